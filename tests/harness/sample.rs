//! The made-up media of all tests: one pair of parameter sets, slices that go with it, and what a stream of them carries.
//!
//! It is enough for whoever reads syntax; nothing can be decoded.

use bytes::Bytes;
use sluice::stream::{AudioFormat, Formats, VideoFormat};
use sluice_media::{AudioCodec, VideoCodec};

/// Sequence parameter set of 1280x720 in Constrained Baseline (ITU-T H.264 §7.3.2.1).
pub const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe9, 0x79, 0x44];

/// Its picture parameter set, number 0.
pub const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

/// Video, sequence and picture parameter set of 1280x720 in H.265, Main (ITU-T H.265 §7.3.2), by x265.
pub const H265_SETS: [&[u8]; 3] = [
    b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\x92\x80\x90",
    b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\xa0\x02\x80\x80\x2d\x16\
      \x59\x2a\x49\x32\xbc\x05\xa0\x20\x00\x00\x03\x00\x20\x00\x00\x03\x03\xc1",
    b"\x44\x01\xc1\x72\xb4\x62\x40",
];

/// A slice of H.265 of `payload`, whose first bits are made those of a slice that begins a picture and needs PPS 0.
pub fn h265_slice(keyframe: bool, mut payload: Vec<u8>) -> Bytes {
    // The first slice; of a keyframe (IDR_W_RADL) a flag; ue 0; of others (TRAIL_R) ue 1 (010).
    payload[0] = if keyframe { 0b1010_0000 } else { 0b1101_0000 } | payload[0] & 0b111;
    payload.splice(0..0, if keyframe { [0x26, 0x01] } else { [0x02, 0x01] });
    payload.into()
}

/// A slice of `payload`, whose first five bits are made those of an I slice that begins a picture and needs PPS 0.
pub fn slice(keyframe: bool, mut payload: Vec<u8>) -> Bytes {
    // ue 0, ue 2 (011), ue 0.
    payload[0] = 0b1011_1000 | payload[0] & 0b111;
    payload.insert(0, if keyframe { 0x65 } else { 0x41 });
    payload.into()
}

/// What a stream carries whose sound is `audio`.
pub fn formats(audio: AudioCodec) -> Formats {
    let video = VideoFormat {
        codec: VideoCodec::H264,
        profile_level_id: Some([0x42, 0xc0, 0x1f]),
        size: None,
        frame_rate: None,
    };
    let channels = if audio == AudioCodec::Opus { 2 } else { 1 };
    Formats { video: Some(video), audio: Some(AudioFormat::new(audio, channels)), ..Formats::default() }
}
