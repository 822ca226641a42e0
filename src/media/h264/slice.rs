//! The head of a slice (ITU-T H.264 §7.3.3).

use super::{LATER_PARTITIONS, is_slice, kind};
use crate::nal::{Bits, SliceHead, SliceKind};

/// Of a NAL unit; `None` if it is no slice with a header, or no sound one.
pub(super) fn head(nal: &[u8]) -> Option<SliceHead> {
    if !is_slice(nal) || LATER_PARTITIONS.contains(&kind(nal)) {
        return None;
    }
    let mut bits = Bits::new(&nal[1..]);
    let begins_picture = bits.unsigned()? == 0;
    // `slice_type` (Table 7-6).
    let kind = match bits.unsigned()? {
        0 | 3 | 5 | 8 => SliceKind::P,
        1 | 6 => SliceKind::B,
        2 | 4 | 7 | 9 => SliceKind::I,
        _ => return None,
    };
    let pps = bits.unsigned().filter(|id| *id <= 255)?;
    Some(SliceHead { begins_picture, kind, pps })
}

/// Whether `field_pic_flag` is set, `before` bits behind the number of the PPS. Of what is no slice with a header, no.
pub(super) fn is_field(nal: &[u8], before: u32) -> bool {
    let flag = || {
        let mut bits = Bits::new(nal.get(1..)?);
        for _ in 0..3 {
            bits.unsigned()?; // first_mb_in_slice, slice_type, pic_parameter_set_id
        }
        bits.skip(before)?;
        bits.flag()
    };
    is_slice(nal) && !LATER_PARTITIONS.contains(&kind(nal)) && flag() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_fields_are_told_from_those_of_frames() {
        // ue 0, ue 7 (0001000), ue 0, frame_num of 4 bits, field_pic_flag, bottom_field_flag.
        assert!(is_field(&[0x65, 0b1000_1000, 0b1000_0100], 4));
        assert!(!is_field(&[0x65, 0b1000_1000, 0b1000_0010], 4));
        assert!(!is_field(&[0x65, 0b1000_1000], 4) && !is_field(&[0x67, 0xff, 0xff], 4) && !is_field(&[], 4));
    }

    #[test]
    fn heads_of_slices_are_read() {
        // ue 0, ue 7 (0001000), ue 0.
        assert_eq!(
            head(&[0x65, 0b1000_1000, 0b1000_0000]),
            Some(SliceHead { begins_picture: true, kind: SliceKind::I, pps: 0 })
        );
        // ue 0, ue 5 (00110), ue 1 (010).
        assert_eq!(
            head(&[0x41, 0b1001_1001, 0b0000_0000]),
            Some(SliceHead { begins_picture: true, kind: SliceKind::P, pps: 1 })
        );
        // ue 0, ue 6 (00111), ue 0; ue 1 (010), ue 1, ue 0.
        assert_eq!(head(&[0x01, 0b1001_1110 | 1, 0]).map(|head| head.kind), Some(SliceKind::B));
        let later = head(&[0x01, 0b0100_1010, 0]).expect("a slice");
        assert_eq!((later.begins_picture, later.kind), (false, SliceKind::B));
        // ue 10 is no type; not a slice; nothing behind the header; partition B.
        for nal in [&[0x41, 0b1000_1011, 0x80][..], &[0x67, 0xff], &[0x41], &[0x43, 0xff, 0xff], &[]] {
            assert_eq!(head(nal), None, "{nal:02x?}");
        }
    }
}
