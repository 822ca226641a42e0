//! H.264 (ITU-T H.264 §7.3, RFC 6184): types of NAL units, the head of a slice, sequence parameter sets, payloads, and
//! what session descriptions say of it.
//!
//! Owns what bytes mean. Never decodes, and never keeps state: who reads judges.

mod codec;
mod payload;
mod sdp;
mod slice;
mod sps;
mod words;

use std::ops::RangeInclusive;

pub(crate) use codec::H264;
pub use sps::Sps;

// `nal_unit_type` values (ITU-T H.264 Table 7-1).
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
/// Type of a NAL unit: the low five bits of its header (§7.3.1). Zero, which is no type, for none.
pub fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

/// Whether the unit is a slice of a primary picture.
pub fn is_slice(nal: &[u8]) -> bool {
    SLICES.contains(&kind(nal))
}

/// `profile-level-id` (RFC 6184 §8.1) of a sequence parameter set with its one-byte NAL header:
/// `profile_idc`, the constraint flags, `level_idc`. `None` if `sps` is none.
fn profile_level_id(sps: &[u8]) -> Option<[u8; 3]> {
    match *sps {
        [header, profile, constraints, level, ..] if header & 0x1f == SPS => {
            Some([profile, constraints, level])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nal::{NalCodec as _, Role};

    #[test]
    fn only_slices_say_whether_they_begin_a_picture() {
        for (nal, begins) in [
            (&[0x65, 0x88][..], Some(true)),
            (&[0x41, 0x9a], Some(true)),
            (&[0x41, 0x4a], Some(false)),
            (&[0x43, 0x80], None),
            (&[0x41], None),
        ] {
            let key = nal[0] & 0x1f == IDR;
            assert_eq!(H264.role(nal), Role::Slice { key, first: begins }, "{nal:02x?}");
        }
        assert_eq!(H264.role(&[0x67, 0x80]), Role::Set(0));
        assert_eq!(H264.role(&[]), Role::Malformed);
    }
}
