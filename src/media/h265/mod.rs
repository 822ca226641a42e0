//! H.265 (ITU-T H.265 §7.3, RFC 7798): types of NAL units, the head of a slice, parameter sets, payloads, and what
//! session descriptions say of it.
//!
//! Owns what bytes mean. Never decodes, and never keeps state: who reads judges.

mod codec;
mod payload;
mod sdp;
mod slice;
mod sps;
mod words;

use std::ops::RangeInclusive;

pub(crate) use codec::H265;

// `nal_unit_type` values (ITU-T H.265 Table 7-1).
/// Slices of pictures that refer to others.
const SLICES: RangeInclusive<u8> = 0..=9;
/// Slices of pictures that a decoder can begin with (IRAP): BLA, IDR and CRA.
const IRAP: RangeInclusive<u8> = 16..=21;
/// Video parameter set.
const VPS: u8 = 32;
/// Sequence parameter set.
const SPS: u8 = 33;
/// Picture parameter set.
const PPS: u8 = 34;
/// Access unit delimiter.
const DELIMITER: u8 = 35;
/// End of sequence, end of bitstream, filler: RTP says the same or has no use for it.
const NEEDLESS: RangeInclusive<u8> = 36..=38;
/// Supplemental enhancement information for what is behind it.
const PREFIX_SEI: u8 = 39;
/// And for what is before it.
const SUFFIX_SEI: u8 = 40;

/// What a NAL unit's header says (§7.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    kind: u8,
    /// `nuh_layer_id`: 0 is the picture, all others add to it what no browser shows.
    layer: u8,
}

impl Header {
    /// `None` of what is too short, damaged (`forbidden_zero_bit`), or of no temporal layer.
    fn read(nal: &[u8]) -> Option<Header> {
        let &[first, second, ..] = nal else { return None };
        let header = Header { kind: first >> 1 & 0x3f, layer: (first & 1) << 5 | second >> 3 };
        (first & 0x80 == 0 && second & 7 != 0).then_some(header)
    }
}

/// The type of a NAL unit of the picture itself.
fn kind(nal: &[u8]) -> Option<u8> {
    Header::read(nal).filter(|header| header.layer == 0).map(|header| header.kind)
}
