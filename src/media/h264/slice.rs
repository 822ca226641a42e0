//! The head of a slice.

use super::{Bits, LATER_PARTITIONS, is_slice, kind};

/// How the macroblocks of a slice are predicted (`slice_type`, ITU-T H.264 Table 7-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceKind {
    /// From pictures before it.
    P,
    /// From pictures before and after it.
    B,
    /// From itself alone.
    I,
}

/// The first fields of a slice header (§7.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceHead {
    /// Whether it is the first slice of its picture.
    pub begins_picture: bool,
    /// Of which kind.
    pub kind: SliceKind,
    /// The picture parameter set that it needs.
    pub pps: u32,
}

impl SliceHead {
    /// Of a NAL unit; `None` if it is no slice with a header, or no sound one.
    pub fn read(nal: &[u8]) -> Option<SliceHead> {
        let (head, _) = SliceHead::read_on(nal)?;
        Some(head)
    }

    fn read_on(nal: &[u8]) -> Option<(SliceHead, Bits<'_>)> {
        if !is_slice(nal) || LATER_PARTITIONS.contains(&kind(nal)) {
            return None;
        }
        let mut bits = Bits::new(&nal[1..]);
        let begins_picture = bits.unsigned()? == 0;
        let kind = match bits.unsigned()? {
            0 | 3 | 5 | 8 => SliceKind::P,
            1 | 6 => SliceKind::B,
            2 | 4 | 7 | 9 => SliceKind::I,
            _ => return None,
        };
        let pps = bits.unsigned().filter(|id| *id <= 255)?;
        Some((SliceHead { begins_picture, kind, pps }, bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_slices_are_read() {
        let head = |nal: &[u8]| SliceHead::read(nal);
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
