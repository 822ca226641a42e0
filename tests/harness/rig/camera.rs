//! A camera whose pictures have as many packets as a measurement wants.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sluice::track::{AudioPacketizer, Train, VideoPacketizer};
use sluice_media::{AccessUnit, AudioCodec, AudioFrame, MAX_PAYLOAD, VideoCodec};

use crate::sample::{PPS, SPS, slice};

/// A camera of made-up H.264 and Opus.
pub(super) struct Camera {
    video: VideoPacketizer,
    audio: AudioPacketizer,
    pictures: i64,
    sounds: i64,
}

impl Camera {
    pub(super) fn new() -> Camera {
        let (video, audio) =
            (VideoPacketizer::new(VideoCodec::H264, 7_000), AudioPacketizer::new(AudioCodec::Opus, 9_000));
        Camera { video, audio, pictures: 0, sounds: 0 }
    }

    pub(super) fn video(&mut self, now: Instant, keyframe: bool, packets: usize) -> Vec<Arc<Train>> {
        // Fragments are full but for the last few bytes.
        let size = packets * (MAX_PAYLOAD - 2) - 6;
        let mut nals = vec![slice(keyframe, vec![0x55; size])];
        if keyframe {
            nals.splice(0..0, [Bytes::from_static(SPS), Bytes::from_static(PPS)]);
        }
        let timestamp = self.pictures * 3_000;
        self.pictures += 1;
        self.video
            .packetize(AccessUnit { nals, timestamp, received: now, after_gap: false })
            .expect("a sound picture")
    }

    pub(super) fn audio(&mut self, now: Instant) -> Vec<Arc<Train>> {
        let timestamp = self.sounds * 960;
        self.sounds += 1;
        // Opus, one frame of 20 ms.
        let mut payload = vec![0x55; 120];
        payload[0] = 0xf8;
        let frame = AudioFrame { payload: payload.into(), timestamp, received: now };
        self.audio.packetize(frame).expect("a sound packet")
    }
}
