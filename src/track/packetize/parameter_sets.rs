//! The parameter sets of an H.264 stream: the newest SPS and PPS of each id.
//!
//! Owns what has to go before an IDR picture so that it can be decoded by itself. Never reads more of
//! a parameter set than its ids.

use super::super::MAX_PAYLOAD;

/// Sets of one kind that are remembered; beyond it the one not seen for longest goes.
///
/// Encoders use one SPS and one to three PPS. Raising it puts more bytes before each IDR picture of a
/// source that keeps making new ids; lowering it loses sets that a picture may refer to.
const MAX_SETS: usize = 16;

/// Bytes of one parameter set at the most. Real ones have 10 to 100; beyond one packet it is garbage.
pub(super) const MAX_SET_BYTES: usize = MAX_PAYLOAD;

/// `nal_unit_type` of a sequence parameter set (ITU-T H.264 table 7-1).
pub(super) const SPS: u8 = 7;
/// `nal_unit_type` of a picture parameter set.
pub(super) const PPS: u8 = 8;

/// `profile-level-id` (RFC 6184 §8.1) of a sequence parameter set with its one-byte NAL header:
/// `profile_idc`, the constraint flags, `level_idc`. `None` if `sps` is none.
pub fn profile_level_id(sps: &[u8]) -> Option<[u8; 3]> {
    match *sps {
        [header, profile, constraints, level, ..] if header & 0x1f == SPS => {
            Some([profile, constraints, level])
        }
        _ => None,
    }
}

/// The newest parameter sets of a track.
#[derive(Debug, Clone, Default)]
pub(super) struct ParameterSets {
    /// The set not seen for longest comes first.
    sps: Vec<Set>,
    pps: Vec<Set>,
}

#[derive(Debug, Clone)]
struct Set {
    id: u64,
    /// The SPS that a PPS refers to; of an SPS its own id.
    sps_id: u64,
    nal: Box<[u8]>,
}

impl ParameterSets {
    /// Takes `nal`, in place of an older set of the same kind and id. `false` if it is no SPS or PPS,
    /// its ids cannot be read, or it is over [`MAX_SET_BYTES`]: then nothing changed.
    pub(super) fn remember(&mut self, nal: &[u8]) -> bool {
        if nal.len() > MAX_SET_BYTES {
            return false;
        }
        let Some((kind, id, sps_id)) = ids(nal) else { return false };
        let sets = if kind == SPS { &mut self.sps } else { &mut self.pps };

        let known = sets.iter().position(|set| set.id == id).map(|at| sets.remove(at));
        if sets.len() == MAX_SETS {
            sets.remove(0);
        }
        let nal = match known {
            Some(set) if *set.nal == *nal => set.nal,
            _ => nal.into(),
        };
        sets.push(Set { id, sps_id, nal });
        true
    }

    /// Whether there is a PPS together with the SPS it refers to: what an IDR picture needs at least.
    pub(super) fn complete(&self) -> bool {
        self.pps.iter().any(|pps| self.knows_sps_of(pps))
    }

    /// What goes before an IDR picture: each SPS, then each PPS whose SPS is known.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &[u8]> {
        let pps = self.pps.iter().filter(|pps| self.knows_sps_of(pps));
        self.sps.iter().chain(pps).map(|set| &*set.nal)
    }

    /// `profile-level-id` of the SPS seen last.
    pub(super) fn profile_level_id(&self) -> Option<[u8; 3]> {
        self.sps.last().and_then(|sps| profile_level_id(&sps.nal))
    }

    fn knows_sps_of(&self, pps: &Set) -> bool {
        self.sps.iter().any(|sps| sps.id == pps.sps_id)
    }
}

/// Kind, own id and SPS id of a parameter set (ITU-T H.264 §7.3.2.1.1, §7.3.2.2).
fn ids(nal: &[u8]) -> Option<(u8, u64, u64)> {
    let (header, payload) = nal.split_first()?;
    match header & 0x1f {
        SPS => {
            let mut bits = Bits::new(payload.get(3..)?);
            let id = bits.unsigned().filter(|id| *id <= 31)?;
            Some((SPS, id, id))
        }
        PPS => {
            let mut bits = Bits::new(payload);
            let id = bits.unsigned().filter(|id| *id <= 255)?;
            let sps_id = bits.unsigned().filter(|id| *id <= 31)?;
            Some((PPS, id, sps_id))
        }
        _ => None,
    }
}

/// The first bits of a NAL unit's payload.
///
/// Emulation prevention (§7.3.1) needs no care here: it begins at 16 zero bits, and ids within their
/// range have 13 in a row at the most.
struct Bits {
    /// Unread bits, the next one on top.
    window: u64,
    left: u32,
}

impl Bits {
    fn new(payload: &[u8]) -> Bits {
        let mut first = [0; 8];
        let length = payload.len().min(first.len());
        first[..length].copy_from_slice(&payload[..length]);
        Bits { window: u64::from_be_bytes(first), left: 8 * length as u32 }
    }

    /// `ue(v)`: an unsigned Exp-Golomb number (§9.1). `None` if it ends beyond the bits.
    fn unsigned(&mut self) -> Option<u64> {
        let length = 2 * self.window.leading_zeros() + 1;
        if length > self.left {
            return None;
        }
        // 63 bits at the most, as the length is odd.
        let code = self.window >> (u64::BITS - length);
        self.window <<= length;
        self.left -= length;
        Some(code - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order(sets: &ParameterSets) -> Vec<&[u8]> {
        sets.in_order().collect()
    }

    #[test]
    fn ids_are_read() {
        // SPS: profile, constraints, level, then ue(v) 0 is the bit `1`, ue(v) 5 is `00110`.
        assert_eq!(ids(&[0x67, 0x42, 0xc0, 0x1e, 0b1000_0000]), Some((SPS, 0, 0)));
        assert_eq!(ids(&[0x67, 0x42, 0xc0, 0x1e, 0b0011_0000]), Some((SPS, 5, 5)));
        // PPS 255 is `0000_0000_1000_0000_0`; of SPS 0 is `1`, of SPS 31 `0000_0100_000`.
        assert_eq!(ids(&[0x68, 0x00, 0x80, 0b0100_0000]), Some((PPS, 255, 0)));
        assert_eq!(ids(&[0x68, 0x00, 0x80, 0b0000_0010, 0]), Some((PPS, 255, 31)));
        // Beyond the range: PPS 256, SPS 32, and numbers that do not end.
        assert_eq!(ids(&[0x68, 0x00, 0x80, 0b1100_0000]), None);
        assert_eq!(ids(&[0x67, 0x42, 0xc0, 0x1e, 0b0000_0100, 0b0010_0000]), None);
        assert_eq!(ids(&[0x68, 0x00, 0x00, 0x00, 0x00, 0x40, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(ids(&[&[0x68][..], &[0; 20]].concat()), None);
        // PPS 4, then the SPS id ends beyond the last byte.
        assert_eq!(ids(&[0x68, 0b0010_1001]), None);
        assert_eq!(ids(&[0x68, 0b0010_1001, 0]), Some((PPS, 4, 3)));
    }

    #[test]
    fn truncated_and_foreign_units_are_refused() {
        let mut sets = ParameterSets::default();
        for nal in [&[][..], &[0x67], &[0x67, 0x42, 0xc0, 0x1e], &[0x68], &[0x68, 0x00], &[0x65, 0x88, 0x80]]
        {
            assert!(!sets.remember(nal), "{nal:02x?}");
        }
        assert!(!sets.remember(&[&[0x68, 0xce][..], &[0x80; MAX_SET_BYTES]].concat()));
        assert!(!sets.complete());
        assert_eq!(sets.profile_level_id(), None);
    }

    #[test]
    fn the_newest_set_of_an_id_wins_and_orphans_stay_home() {
        let (sps, pps) = ([0x67, 0x42, 0xc0, 0x1e, 0x80], [0x68, 0b1100_0000, 1]);
        let (newer, other, orphan) = ([0x68, 0b1100_0000, 2], [0x68, 0b0101_0000], [0x68, 0b0110_1000]);
        let mut sets = ParameterSets::default();

        assert!(sets.remember(&pps));
        assert!(!sets.complete(), "a PPS alone is not enough");
        assert!(sets.remember(&sps));
        assert!(sets.complete());
        assert!(sets.remember(&other) && sets.remember(&newer));
        assert_eq!(in_order(&sets), [&sps[..], &other, &newer]);

        // PPS 2 of SPS 1, which nobody sent.
        assert_eq!(ids(&[0x68, 0b0110_1000]), Some((PPS, 2, 1)));
        assert!(sets.remember(&orphan));
        assert_eq!(in_order(&sets), [&sps[..], &other, &newer]);
        assert_eq!(sets.profile_level_id(), Some([0x42, 0xc0, 0x1e]));
    }

    #[test]
    fn a_source_that_keeps_making_ids_is_bounded() {
        let mut sets = ParameterSets::default();
        assert!(sets.remember(&[0x67, 0x42, 0xc0, 0x1e, 0x80]));
        for id in 0..=254u32 {
            // ue(v) of `id` in 17 bits at the most, then ue(v) 0.
            let code = u64::from(id + 1);
            let length = 2 * (63 - code.leading_zeros()) + 1;
            let bits = ((code << 1 | 1) << (32 - length - 1)) as u32;
            assert!(sets.remember(&[&[0x68][..], &bits.to_be_bytes(), &[0x80]].concat()));
        }
        assert_eq!(sets.in_order().count(), 1 + MAX_SETS);
        assert_eq!(sets.pps.last().map(|pps| pps.id), Some(254));
    }
}
