//! H.264 syntax, as far as a forwarder has to read it (ITU-T H.264 §7.3): types of NAL units, start codes, the
//! head of a slice, sequence parameter sets, `sprop-parameter-sets`.
//!
//! Owns what bytes mean. Never decodes, and never keeps state: who reads judges.

pub mod annex_b;
mod bits;
mod depacketize;
mod payloads;
mod sets;
mod slice;
mod sprop;
mod sps;

use std::ops::RangeInclusive;

pub(crate) use bits::Bits;
pub use depacketize::{Depacketizer, Packet, PictureTooLarge};
pub use payloads::payloads;
pub use sets::ParameterSets;
pub use slice::{SliceHead, SliceKind};
pub use sprop::parameter_sets;
pub use sps::Sps;

// `nal_unit_type` values (ITU-T H.264 Table 7-1), and the packet types beside them (RFC 6184 Table 1).
/// Slices of a primary picture: coded whole, or as data partitions A to C, or of an IDR picture.
pub const SLICES: RangeInclusive<u8> = 1..=IDR;
/// Partitions B and C have no slice header of their own, and go with an A before them.
const LATER_PARTITIONS: RangeInclusive<u8> = 3..=4;
/// Slice of an IDR picture.
pub const IDR: u8 = 5;
/// Supplemental enhancement information.
pub const SEI: u8 = 6;
/// Sequence parameter set.
pub const SPS: u8 = 7;
/// Picture parameter set.
pub const PPS: u8 = 8;
/// Access unit delimiter.
pub const DELIMITER: u8 = 9;
/// Access unit delimiter, end of sequence, end of stream, filler: RTP says the same or has no use for it.
pub const NEEDLESS: RangeInclusive<u8> = DELIMITER..=12;
/// Aggregate of units with one time (RFC 6184 §5.7.1).
pub const STAP_A: u8 = 24;
/// Fragment of a unit (RFC 6184 §5.8).
pub const FU_A: u8 = 28;

/// What stands before each unit of a byte stream (Annex B).
pub const START_CODE: [u8; 3] = [0, 0, 1];

/// Type of a NAL unit: the low five bits of its header (§7.3.1). Zero, which is no type, for none.
pub fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

/// Whether the unit is a slice of a primary picture.
pub fn is_slice(nal: &[u8]) -> bool {
    SLICES.contains(&kind(nal))
}

/// Whether a slice holds the first macroblock of its picture; `None` for all units that do not say.
///
/// `first_mb_in_slice` is ue(v): zero is the bit `1`. So two bytes are enough, a first fragment will do.
pub fn begins_picture(nal: &[u8]) -> Option<bool> {
    let says = is_slice(nal) && !LATER_PARTITIONS.contains(&kind(nal));
    nal.get(1).filter(|_| says).map(|byte| byte & 0x80 != 0)
}

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

/// `nal` without the zeros behind it: a unit never ends with one (§7.4.1), so they are padding, or the first
/// byte of a start code of four.
pub fn trimmed(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &nal[..end]
}

/// Where the next `00 00 01` is, at `from` or behind it. Reads every third byte where there are few zeros.
pub fn find_start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(&[first, second, third]) = data.get(at..at + START_CODE.len()) {
        match third {
            0 => at += 1,
            1 if first == 0 && second == 0 => return Some(at),
            _ => at += START_CODE.len(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_are_found_at_every_offset() {
        for offset in 0..12 {
            let mut data = vec![0xff; offset];
            data.extend_from_slice(&[0, 0, 1, 0xff]);
            assert_eq!(find_start_code(&data, 0), Some(offset));
            data[offset + 2] = 3;
            assert_eq!(find_start_code(&data, 0), None);
        }
        assert_eq!(find_start_code(&[0, 0, 0, 0, 1], 0), Some(2));
        assert_eq!(find_start_code(&[0, 0], 0), None);
    }

    #[test]
    fn only_slices_say_whether_they_begin_a_picture() {
        for (nal, begins) in [
            (&[0x65, 0x88][..], Some(true)),
            (&[0x41, 0x9a], Some(true)),
            (&[0x41, 0x4a], Some(false)),
            (&[0x43, 0x80], None),
            (&[0x67, 0x80], None),
            (&[0x41], None),
            (&[], None),
        ] {
            assert_eq!(begins_picture(nal), begins, "{nal:02x?}");
        }
        assert_eq!(trimmed(&[0x41, 1, 0, 0]), [0x41, 1]);
        assert_eq!(trimmed(&[0, 0]), [0u8; 0]);
    }
}
