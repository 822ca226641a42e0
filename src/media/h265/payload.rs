//! H.265 in RTP, without decoding order numbers (RFC 7798): single NAL units, aggregation packets, fragmentation units.

use crate::nal::{Fragment, Head, Payload};

/// Aggregation packet (RFC 7798 §4.4.2).
const AP: u8 = 48;
/// Fragmentation unit (RFC 7798 §4.4.3).
const FU: u8 = 49;
/// PACI packet (RFC 7798 §4.4.4): nobody sends it.
const PACI: u8 = 50;

/// `forbidden_zero_bit` and the first bit of `nuh_layer_id`, around the type.
const AROUND_TYPE: u8 = 0x81;

/// What a payload holds.
pub(super) fn read(payload: &[u8]) -> Payload<'_> {
    match (payload.first().map(|first| first >> 1 & 0x3f), payload) {
        (Some(AP), [_, _, units @ ..]) => Payload::Aggregate(units),
        (Some(FU), &[first, second, header, ref part @ ..]) => Payload::Fragment(Fragment {
            first: header & 0x80 != 0,
            last: header & 0x40 != 0,
            header: Head::new([first & AROUND_TYPE | (header & 0x3f) << 1, second]),
            part,
        }),
        (Some(AP | FU | PACI), _) => Payload::Foreign,
        (_, unit) => Payload::Unit(unit),
    }
}

/// An aggregation packet has the lowest temporal layer of its units (RFC 7798 §4.4.2).
pub(super) fn aggregate_head(nals: &[&[u8]]) -> Head {
    let layers = nals.iter().filter_map(|nal| nal.get(1)).map(|second| second & 7);
    Head::new([AP << 1, layers.min().unwrap_or(1)])
}

/// Payload header and FU header (RFC 7798 §4.4.3), which carry the unit's own header between them.
pub(super) fn fragment_head(nal: &[u8]) -> Head {
    let (first, second) = (nal[0], nal.get(1).copied().unwrap_or_default());
    Head::new([first & AROUND_TYPE | FU << 1, second, first >> 1 & 0x3f])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_carries_the_header_of_its_unit() {
        // IDR_W_RADL of temporal layer 0, and CRA of temporal layer 2.
        for (header, indicator) in [([0x26, 0x01], [0x62, 0x01, 19]), ([0x2a, 0x03], [0x62, 0x03, 21])] {
            let head = fragment_head(&[&header[..], &[7; 5]].concat());
            assert_eq!(head.bytes(), indicator);
            let payload = [&indicator[..2], &[0x80 | indicator[2], 7, 7]].concat();
            let Payload::Fragment(fragment) = read(&payload) else { panic!("no fragment") };
            assert_eq!((fragment.first, fragment.last, fragment.part), (true, false, &[7u8, 7][..]));
            assert_eq!(fragment.header.bytes(), header);
        }
    }

    #[test]
    fn an_aggregate_has_the_lowest_layer_of_its_units() {
        assert_eq!(aggregate_head(&[&[0x40, 0x03, 1], &[0x42, 0x02]]).bytes(), [0x60, 0x02]);
        assert_eq!(read(&[0x60, 0x01, 0, 1, 9]), Payload::Aggregate(&[0, 1, 9]));
    }

    #[test]
    fn what_is_cut_short_or_of_a_foreign_kind_is_told() {
        for payload in [&[0x60][..], &[0x62, 0x01], &[0x62], &[0x64, 0x01, 0, 0]] {
            assert_eq!(read(payload), Payload::Foreign, "{payload:02x?}");
        }
        assert_eq!(read(&[]), Payload::Unit(&[]));
    }
}
