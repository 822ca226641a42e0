//! The head of a slice segment (ITU-T H.265 §7.3.6.1).

use super::{IRAP, SLICES, kind};
use crate::nal::{Bits, SliceHead, SliceKind};

/// Of a NAL unit; `None` if it is no slice, no sound one, or not the first of its picture: the others cannot be read
/// without the parameter sets.
///
/// The kind of a slice is read as encoders write it: without the extra bits that a PPS may ask for before it.
pub(super) fn head(nal: &[u8]) -> Option<SliceHead> {
    let kind = kind(nal).filter(|kind| SLICES.contains(kind) || IRAP.contains(kind))?;
    let mut bits = Bits::new(nal.get(2..)?);
    // first_slice_segment_in_pic_flag
    if !bits.flag()? {
        return None;
    }
    if IRAP.contains(&kind) {
        bits.flag()?; // no_output_of_prior_pics_flag
    }
    let pps = bits.unsigned().filter(|id| *id <= 63)?;
    let kind = match bits.unsigned()? {
        // Pictures that a decoder can begin with refer to none (§7.4.7.1).
        _ if IRAP.contains(&kind) => SliceKind::I,
        0 => SliceKind::B,
        1 => SliceKind::P,
        2 => SliceKind::I,
        _ => return None,
    };
    Some(SliceHead { begins_picture: true, kind, pps })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_slices_are_read() {
        let found = |nal: &[u8]| head(nal).map(|head| (head.kind, head.pps));
        // IDR_W_RADL: first, no output of prior pictures 0, ue 0, ue 2 (011).
        assert_eq!(found(&[0x26, 0x01, 0b1010_1100]), Some((SliceKind::I, 0)));
        // CRA: PPS 1 (010).
        assert_eq!(found(&[0x2a, 0x01, 0b1001_0011]), Some((SliceKind::I, 1)));
        // TRAIL_R: first, ue 0, then ue 1 (010), ue 0 (1), ue 2 (011), and ue 3 (00100), which is none.
        assert_eq!(found(&[0x02, 0x01, 0b1101_0000]), Some((SliceKind::P, 0)));
        assert_eq!(found(&[0x02, 0x01, 0b1110_0000]), Some((SliceKind::B, 0)));
        assert_eq!(found(&[0x02, 0x01, 0b1101_1000]), Some((SliceKind::I, 0)));
        assert_eq!(found(&[0x02, 0x01, 0b1100_1000]), None);
        // Not the first; a parameter set; nothing behind the header; another layer.
        for nal in [&[0x02, 0x01, 0x40][..], &[0x42, 0x01, 0xff], &[0x26, 0x01], &[0x26, 0x09, 0xff], &[]] {
            assert_eq!(head(nal), None, "{nal:02x?}");
        }
    }
}
