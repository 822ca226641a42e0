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
    Formats { video: Some(video), audio: Some(AudioFormat { codec: audio, channels }), notes: Vec::new() }
}
