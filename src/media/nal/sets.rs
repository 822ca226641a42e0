//! The parameter sets of a stream: the newest of each kind and id.
//!
//! Owns what has to go before a keyframe so that it can be decoded by itself, and what is known of the
//! video by it. The only place that remembers sets: those of a session description first, those of the stream
//! in their place, id by id.

use bytes::Bytes;

use super::{NalCodec, SetId, VideoFacts, trimmed};
use crate::MAX_PAYLOAD;

/// Bytes of the sets of one kind that are remembered; beyond it the one not seen for longest goes. Their number is
/// bounded by their ids.
///
/// Encoders use one SPS and one to three PPS, a few all 256. Raising it puts more bytes before each keyframe of a
/// source that keeps making new ids; lowering it loses sets that a picture may refer to.
const MAX_BYTES: usize = 16 << 10;

/// Bytes of one parameter set at the most. Real ones have 10 to 100; beyond one packet it is garbage.
const MAX_SET_BYTES: usize = MAX_PAYLOAD;

/// Kinds of sets that a codec has at the most.
const KINDS: usize = 3;

/// The newest parameter sets of a track.
#[derive(Debug, Clone)]
pub struct ParameterSets {
    codec: &'static dyn NalCodec,
    /// By kind; the set not seen for longest comes first.
    kinds: [Vec<Set>; KINDS],
}

#[derive(Debug, Clone)]
struct Set {
    id: u32,
    /// The set of the kind before that it refers to.
    of: u32,
    nal: Box<[u8]>,
    /// What it says of the video, if it is of the kind that does.
    facts: Option<Box<VideoFacts>>,
}

impl ParameterSets {
    /// None.
    pub(crate) fn new(codec: &'static dyn NalCodec) -> ParameterSets {
        ParameterSets { codec, kinds: Default::default() }
    }

    /// Takes the sets of a session description. If a picture could be shown by them alone they take the place
    /// of all known ones, otherwise only of those with the same id.
    pub fn announce(&mut self, sets: &[Bytes]) {
        let mut announced = ParameterSets::new(self.codec);
        sets.iter().for_each(|nal| _ = announced.remember(nal));
        if announced.complete(None) {
            *self = announced;
        } else {
            sets.iter().for_each(|nal| _ = self.remember(nal));
        }
    }

    /// Takes `nal`, in place of an older set of the same kind and id. `false` if it is no parameter set,
    /// its ids cannot be read, or it is over `MAX_SET_BYTES`: then nothing changed.
    pub fn remember(&mut self, nal: &[u8]) -> bool {
        let nal = trimmed(nal);
        if nal.len() > MAX_SET_BYTES {
            return false;
        }
        let Some(SetId { kind, id, of }) = self.codec.set_id(nal) else { return false };
        let Some(sets) = self.kinds.get_mut(kind) else { return false };

        let known = sets.iter().position(|set| set.id == id).map(|at| sets.remove(at));
        let mut bytes = sets.iter().map(|set| set.nal.len()).sum::<usize>();
        while bytes + nal.len() > MAX_BYTES {
            bytes -= sets.remove(0).nal.len();
        }
        let set = match known {
            Some(set) if *set.nal == *nal => set,
            _ => Set { id, of, nal: nal.into(), facts: self.codec.describe(nal).map(Box::new) },
        };
        sets.push(set);
        true
    }

    /// Whether the set that pictures refer to as `id` is here, or any if the id is not known, together with all that
    /// it refers to: what a keyframe needs at least.
    pub fn complete(&self, id: Option<u32>) -> bool {
        let last = self.codec.sets().len() - 1;
        let named = |set: &&Set| id.is_none_or(|id| set.id == id);
        self.kinds[last].iter().filter(named).any(|set| self.is_founded(last, set))
    }

    /// What goes before a keyframe: kind by kind, each set whose own sets are known.
    pub fn in_order(&self) -> impl Iterator<Item = &[u8]> {
        let sets =
            self.kinds.iter().enumerate().flat_map(|(kind, sets)| sets.iter().map(move |set| (kind, set)));
        sets.filter(|(kind, set)| self.is_founded(*kind, set)).map(|(_, set)| &*set.nal)
    }

    /// What is said of the video by the set behind the one that pictures refer to as `id`.
    pub fn behind(&self, id: u32) -> Option<&VideoFacts> {
        let last = self.codec.sets().len() - 1;
        let set = self.kinds[last].iter().find(|set| set.id == id)?;
        self.parent(last, set)?.facts.as_deref()
    }

    /// What the set seen last says of the video.
    pub fn newest(&self) -> Option<&VideoFacts> {
        self.kinds[self.codec.sets().len() - 2].last()?.facts.as_deref()
    }

    fn parent(&self, kind: usize, set: &Set) -> Option<&Set> {
        self.kinds[kind.checked_sub(1)?].iter().find(|parent| parent.id == set.of)
    }

    /// Whether all is here that a set refers to.
    fn is_founded(&self, kind: usize, set: &Set) -> bool {
        kind == 0 || self.parent(kind, set).is_some_and(|parent| self.is_founded(kind - 1, parent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VideoCodec;

    const SPS: usize = 0;
    const PPS: usize = 1;

    fn none() -> ParameterSets {
        ParameterSets::new(VideoCodec::H264.nal())
    }

    fn ids(nal: &[u8]) -> Option<(usize, u32, u32)> {
        VideoCodec::H264.nal().set_id(nal).map(|SetId { kind, id, of }| (kind, id, of))
    }

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
        let mut sets = none();
        for nal in [&[][..], &[0x67], &[0x67, 0x42, 0xc0, 0x1e], &[0x68], &[0x68, 0x00], &[0x65, 0x88, 0x80]]
        {
            assert!(!sets.remember(nal), "{nal:02x?}");
        }
        assert!(!sets.remember(&[&[0x68, 0xce][..], &[0x80; MAX_SET_BYTES]].concat()));
        assert!(!sets.complete(None));
        assert_eq!(sets.newest(), None);
    }

    #[test]
    fn the_newest_set_of_an_id_wins_and_orphans_stay_home() {
        let (sps, pps) = ([0x67, 0x42, 0xc0, 0x1e, 0x80], [0x68, 0b1100_0000, 1]);
        let (newer, other, orphan) = ([0x68, 0b1100_0000, 2], [0x68, 0b0101_0000], [0x68, 0b0110_1000]);
        let mut sets = none();

        assert!(sets.remember(&pps));
        assert!(!sets.complete(None), "a PPS alone is not enough");
        assert!(sets.remember(&sps));
        assert!(sets.complete(None) && sets.complete(Some(0)) && !sets.complete(Some(1)));
        assert!(sets.remember(&other) && sets.remember(&newer));
        assert_eq!(in_order(&sets), [&sps[..], &other, &newer]);

        // PPS 2 of SPS 1, which nobody sent.
        assert_eq!(ids(&[0x68, 0b0110_1000]), Some((PPS, 2, 1)));
        assert!(sets.remember(&orphan));
        assert_eq!(in_order(&sets), [&sps[..], &other, &newer]);
        assert_eq!(sets.newest().and_then(|facts| facts.profile_level_id), Some([0x42, 0xc0, 0x1e]));
    }

    #[test]
    fn announced_sets_are_the_base_that_others_replace_id_by_id() {
        let (sps, pps, other) = ([0x67, 0x42, 0xc0, 0x1e, 0x80], [0x68, 0b1100_0000, 1], [0x68, 0b0101_0000]);
        let announced = [&sps[..], &pps, &other].map(Bytes::copy_from_slice);
        let mut sets = none();
        sets.announce(&announced);
        assert!(sets.complete(Some(0)) && sets.complete(Some(1)));

        // The stream brings an SPS of the same id, and one of the PPS: the other one stays.
        let (sps, pps) = ([0x67, 0x4d, 0x00, 0x1e, 0x80], [0x68, 0b1100_0000, 2]);
        assert!(sets.remember(&sps) && sets.remember(&pps));
        assert_eq!(in_order(&sets), [&sps[..], &other, &pps]);

        // A session without a description of use keeps what is known; one with it begins anew.
        sets.announce(&[]);
        sets.announce(&[Bytes::from_static(&[0x68]), Bytes::copy_from_slice(&other)]);
        assert_eq!(in_order(&sets), [&sps[..], &pps, &other]);
        sets.announce(&announced[..2]);
        assert_eq!(in_order(&sets), [&announced[0][..], &announced[1]]);
    }

    #[test]
    fn every_id_is_kept_and_a_source_of_large_sets_is_bounded() {
        let mut sets = none();
        assert!(sets.remember(&[0x67, 0x42, 0xc0, 0x1e, 0x80]));
        let pps = |id: u32, more: usize| {
            // ue(v) of `id` in 17 bits at the most, then ue(v) 0.
            let code = u64::from(id + 1);
            let length = 2 * (63 - code.leading_zeros()) + 1;
            let bits = ((code << 1 | 1) << (32 - length - 1)) as u32;
            [&[0x68][..], &bits.to_be_bytes(), &vec![0x80; more]].concat()
        };
        assert!((0..=255).all(|id| sets.remember(&pps(id, 1))));
        assert_eq!(sets.in_order().count(), 1 + 256);
        assert!((0..=255).all(|id| sets.complete(Some(id))));

        assert!((0..=255).all(|id| sets.remember(&pps(id, 1_000))));
        let bytes = sets.kinds[PPS].iter().map(|pps| pps.nal.len()).sum::<usize>();
        assert!((MAX_BYTES - MAX_SET_BYTES..=MAX_BYTES).contains(&bytes), "{bytes}");
        assert_eq!(sets.kinds[PPS].last().map(|pps| pps.id), Some(255));
    }
}
