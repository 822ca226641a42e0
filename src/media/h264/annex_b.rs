//! H.264 byte streams as files hold them, taken apart: NAL units behind start codes become pictures
//! (ITU-T H.264 Annex B).
//!
//! Owns where a NAL unit and where a picture ends. Never copies: what it gives are slices of the file.

use bytes::Bytes;

use super::{DELIMITER, H264, NEEDLESS, kind};
use crate::nal::{NalCodec as _, Role, START_CODE, find_start_code, trimmed};

/// The pictures of a byte stream in decoding order, each as its NAL units without start codes,
/// delimiters and filler. What comes before the first start code is left out, and so are parameter sets
/// behind the last picture.
///
/// A picture begins at the first NAL unit that may stand before a slice, or at a slice of macroblock 0
/// (§7.4.1.2.3); so slices in arbitrary order are not understood, and two fields are two pictures.
pub fn pictures(stream: &Bytes) -> Vec<Vec<Bytes>> {
    let mut pictures = Vec::new();
    let mut picture = Vec::new();
    let mut has_slice = false;
    for nal in nal_units(stream) {
        let role = H264.role(&nal);
        let first_slice = matches!(role, Role::Slice { first: Some(true), .. });
        if has_slice && (first_slice || matches!(kind(&nal), 6..=DELIMITER | 14..=18)) {
            pictures.push(std::mem::take(&mut picture));
            has_slice = false;
        }
        has_slice |= role.is_slice();
        if !NEEDLESS.contains(&kind(&nal)) {
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

    fn of(stream: &[u8]) -> Vec<Vec<Bytes>> {
        pictures(&Bytes::copy_from_slice(stream))
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
