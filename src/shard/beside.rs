//! What a viewer is sent beside the payload of pictures: sound, and all that is around packets.
//!
//! Owns the rate of that. With the bitrate of the pictures it says what a viewer takes of the line for as long as he
//! watches, which tells before he plays whether there is room for him. Reads no clock.

use std::time::{Duration, Instant};

use sluice_media::Kind;

use super::rate::AROUND;
use crate::track::Train;

/// Time that the rate is measured over. Longer knows it later, shorter takes a keyframe's many packets for the rule.
const PERIOD: Duration = Duration::from_secs(2);

/// Bytes of SRTP around a payload: header, extensions and tag. A few more or less are a percent of the line.
const SRTP: u64 = 36;

/// Before it is measured, in percent of the pictures: packets of 1,200 bytes, and some sound. Higher refuses joins in
/// the first seconds of a stream here, lower takes some too many.
const UNKNOWN: u64 = 15;

/// Bytes that went with pictures.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Since when they are counted, and how many there were.
    since: Option<Instant>,
    bytes: u64,
    /// Those of a second, of the last whole period.
    rate: Option<u64>,
}

impl Beside {
    /// A train goes to each viewer.
    pub(super) fn note(&mut self, now: Instant, train: &Train) {
        let passed = now.saturating_duration_since(*self.since.get_or_insert(now));
        if passed >= PERIOD {
            self.rate = Some((self.bytes as f64 / passed.as_secs_f64()) as u64);
            (self.since, self.bytes) = (Some(now), 0);
        }
        let payload = if train.codec.kind() == Kind::Audio { train.bytes() as u64 } else { 0 };
        self.bytes += payload + (AROUND + SRTP) * train.packets.len() as u64;
    }

    /// Bytes a second on the wire where the payload of pictures is `video` of them.
    pub(super) fn with(&self, video: u64) -> u64 {
        video + self.rate.unwrap_or(video * UNKNOWN / 100)
    }
}
