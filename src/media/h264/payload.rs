//! H.264 in RTP, `packetization-mode=1` (RFC 6184): single NAL units, STAP-A, FU-A.

use super::kind;
use crate::nal::{Fragment, Head, Payload};

/// Aggregate of units with one time (RFC 6184 §5.7.1).
const STAP_A: u8 = 24;
/// Fragment of a unit (RFC 6184 §5.8).
const FU_A: u8 = 28;

/// `forbidden_zero_bit` and `nal_ref_idc`, in the bits where the header has them.
const FIRST_BITS: u8 = 0xe0;
/// `nal_ref_idc`: how much a decoder needs the unit.
const NAL_REF_IDC: u8 = 0x60;

/// What a payload holds.
pub(super) fn read(payload: &[u8]) -> Payload<'_> {
    match (kind(payload), payload) {
        (STAP_A, [_, units @ ..]) => Payload::Aggregate(units),
        // An indicator with the unit's first three bits, a header with its type, and a part of it.
        (FU_A, &[indicator, header, ref part @ ..]) => Payload::Fragment(Fragment {
            first: header & 0x80 != 0,
            last: header & 0x40 != 0,
            header: Head::new([indicator & FIRST_BITS | header & 0x1f]),
            part,
        }),
        (FU_A, _) => Payload::Foreign,
        (_, unit) => Payload::Unit(unit),
    }
}

/// A STAP-A has the highest NRI of its units (RFC 6184 §5.7.1).
pub(super) fn aggregate_head(nals: &[&[u8]]) -> Head {
    Head::new([nals.iter().map(|nal| nal[0] & NAL_REF_IDC).max().unwrap_or(0) | STAP_A])
}

/// FU indicator and FU header (RFC 6184 §5.8), which carry the unit's own header between them.
pub(super) fn fragment_head(nal: &[u8]) -> Head {
    Head::new([nal[0] & NAL_REF_IDC | FU_A, kind(nal)])
}
