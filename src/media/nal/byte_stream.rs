//! Byte streams as files hold them, taken apart: NAL units behind start codes become pictures (Annex B of both
//! standards).
//!
//! Owns where a NAL unit and where a picture ends. Never copies: what it gives are slices of the file.

use bytes::Bytes;

use super::{NalCodec, Role, START_CODE, find_start_code, trimmed};

/// The pictures of a byte stream in decoding order, each as its NAL units without start codes,
/// delimiters and filler. What comes before the first start code is left out, and so are parameter sets
/// behind the last picture.
///
/// A picture begins at the first NAL unit that may stand before a slice, or at a slice that says that it is the first
/// (ITU-T H.264 §7.4.1.2.3, H.265 §7.4.2.4.4); so slices in arbitrary order are not understood, and two fields are two
/// pictures.
pub(crate) fn pictures(codec: &dyn NalCodec, stream: &Bytes) -> Vec<Vec<Bytes>> {
    let mut pictures = Vec::new();
    let mut picture = Vec::new();
    let mut has_slice = false;
    for nal in nal_units(stream) {
        let role = codec.role(&nal);
        let first_slice = matches!(role, Role::Slice { first: Some(true), .. });
        let is_before = matches!(role, Role::Set(_) | Role::Info | Role::Delimiter | Role::Other);
        if has_slice && (first_slice || is_before) {
            pictures.push(std::mem::take(&mut picture));
            has_slice = false;
        }
        has_slice |= role.is_slice();
        if !matches!(role, Role::Needless | Role::Delimiter) {
            picture.push(nal);
        }
    }
    if has_slice {
        pictures.push(picture);
    }
    pictures
}

/// The NAL units of a byte stream, none of them empty.
fn nal_units(stream: &Bytes) -> impl Iterator<Item = Bytes> {
    let mut next = find_start_code(stream, 0);
    std::iter::from_fn(move || {
        let start = next? + START_CODE.len();
        next = find_start_code(stream, start);
        Some(&stream[start..next.unwrap_or(stream.len())])
    })
    .filter_map(|unit| {
        let unit = trimmed(unit);
        (!unit.is_empty()).then(|| stream.slice_ref(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h264::H264;
    use crate::h265::H265;

    fn of(stream: &[u8]) -> Vec<Vec<Bytes>> {
        pictures(&H264, &Bytes::copy_from_slice(stream))
    }

    #[test]
    fn pictures_of_h265_begin_at_their_first_slice_too() {
        let stream = [
            &[
                0, 0, 1, 0x40, 1, 2, 0, 0, 1, 0x42, 1, 3, 0, 0, 1, 0x44, 1, 4, 0, 0, 1, 0x26, 1, 0x80, 0, 0,
                1, 0x26, 1, 0x40,
            ][..],
            &[0, 0, 1, 0x46, 1, 0x50, 0, 0, 1, 0x02, 1, 0x80, 0, 0, 1, 0x02, 1, 0x80, 0, 0, 1, 0x4e, 1, 5],
            &[0, 0, 1, 0x02, 1, 0x80],
        ]
        .concat();
        let kinds = |picture: &Vec<Bytes>| picture.iter().map(|nal| nal[0] >> 1).collect();
        let kinds: Vec<Vec<u8>> = pictures(&H265, &stream.into()).iter().map(kinds).collect();
        assert_eq!(kinds, [vec![32, 33, 34, 19, 19], vec![1], vec![1], vec![39, 1]]);
    }

    #[test]
    fn start_codes_of_both_lengths_and_padding_are_no_part_of_a_unit() {
        let stream = [
            &b"rubbish"[..],
            &[0, 0, 0, 1, 0x67, 7, 0, 0, 3, 1],
            &[0, 0, 1, 0x65, 0x88, 5, 0, 0, 0, 0],
            &[0, 0, 1, 0x41, 0x9a],
        ]
        .concat();
        assert_eq!(
            of(&stream),
            [vec![&[0x67, 7, 0, 0, 3, 1][..], &[0x65, 0x88, 5]], vec![&[0x41, 0x9a][..]]]
        );
    }

    #[test]
    fn a_picture_of_several_slices_stays_one_and_delimiters_are_left_out() {
        let stream = [
            &[0, 0, 1, 0x09, 0x10, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 1][..],
            &[0, 0, 1, 0x65, 0x80, 1, 0, 0, 1, 0x65, 0x40, 2],
            &[0, 0, 1, 0x09, 0x30, 0, 0, 1, 0x41, 0x80, 3, 0, 0, 1, 0x41, 0x20, 4],
            // No delimiter, first an SEI, then nothing before the slice.
            &[0, 0, 1, 0x06, 5, 0, 0, 1, 0x41, 0x80, 5],
            &[0, 0, 1, 0x41, 0x80, 6, 0, 0, 1, 0x0c, 0xff],
            // Sets without a picture.
            &[0, 0, 1, 0x67, 1],
        ]
        .concat();
        let kinds: Vec<Vec<u8>> =
            of(&stream).iter().map(|picture| picture.iter().map(|nal| nal[0] & 0x1f).collect()).collect();
        assert_eq!(kinds, [vec![7, 8, 5, 5], vec![1, 1], vec![6, 1], vec![1]]);
    }

    #[test]
    fn rubbish_has_no_pictures() {
        for stream in [&[][..], &[0, 0], &[0, 0, 1], &[0, 0, 1, 0, 0, 1, 0, 0, 0], b"no start code"] {
            assert_eq!(of(stream), Vec::<Vec<Bytes>>::new(), "{stream:?}");
        }
    }
}
