//! The clip of the demo: ten seconds of 720p30 H.264 and of Opus, inside the binary.
//!
//! Owns the taking apart of the embedded assets. They stand beside the source that plays them, with the script that
//! makes and documents them (`src/source/demo/make_clip.py`).

use bytes::Bytes;

use crate::VideoCodec;

static VIDEO: &[u8] = include_bytes!("../source/demo/clip.h264");
static AUDIO: &[u8] = include_bytes!("../source/demo/clip.opus.bin");

/// The clip's pictures: 300, 30 a second, every 60th an IDR picture with its parameter sets.
pub fn pictures() -> Vec<Vec<Bytes>> {
    VideoCodec::H264.pictures(&Bytes::from_static(VIDEO))
}

/// The clip's pictures as the file that they are: a byte stream (ITU-T H.264 Annex B).
pub fn byte_stream() -> &'static [u8] {
    VIDEO
}

/// The clip's Opus packets, 20 ms of stereo each. In the asset each stands behind its length, two bytes,
/// most significant first.
pub fn packets() -> Vec<Bytes> {
    let mut packets = Vec::new();
    let mut rest = AUDIO;
    while let Some((&[high, low], behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(behind.len());
        let (packet, next) = behind.split_at(length);
        packets.push(Bytes::from_static(packet));
        rest = next;
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clip_is_ten_seconds_with_a_keyframe_every_two() {
        let pictures = pictures();
        assert_eq!(pictures.len(), 300);
        for (index, picture) in pictures.iter().enumerate() {
            let types: Vec<u8> = picture.iter().map(|nal| nal[0] & 0x1f).collect();
            assert_eq!(types.contains(&5), index % 60 == 0, "picture {index} has NAL types {types:?}");
            assert_eq!(types.starts_with(&[7, 8]), index % 60 == 0, "picture {index}: {types:?}");
        }
        let packets = packets();
        assert_eq!(packets.len(), 500);
        assert!(packets.iter().all(|packet| (3..1_200).contains(&packet.len())));
    }
}
