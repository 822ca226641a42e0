//! What one source may send in a second: far more than any camera does, and no more than a shard bears.
//!
//! Owns the limits and the memory of what was over them. A source of tiny pictures costs a shard as much as many
//! cameras, for few bytes: bytes alone bound nothing. Never reads a clock: time goes by as frames arrive.

use std::time::{Duration, Instant};

use sluice_media::{AccessUnit, AudioFrame, MAX_PAYLOAD};

use crate::track::MAX_TRAIN_PACKETS;

/// Pictures of one stream in a second. Cameras send 1 to 60, a few 120. Raising it lets one source take that much
/// more of its shards and of their queues; lowering it refuses cameras.
pub(super) const PICTURES_PER_SECOND: u32 = 240;

/// Pictures that may come at once, when a line that stood still goes on: ten seconds of 120 a second. Raising it
/// lets a source take that much of a queue at once; lowering it discards after shorter stalls.
const PICTURES_AT_ONCE: u32 = 1_200;

/// Trains of pictures of one stream in a second: 300 Mbit/s in whole ones, also the most that come at once. Raising
/// it lets a source of many slices take more of its shards; lowering it refuses very large pictures.
pub(super) const TRAINS_PER_SECOND: u32 = 2_000;

/// Sound packets of one stream in a second, after those over [`MAX_PAYLOAD`] are split. Cameras send 25 to 100; of
/// 2.5 ms each there are 400. Raising and lowering it is as with pictures.
pub(super) const SOUNDS_PER_SECOND: u32 = 1_000;

/// Sound packets that may come at once: ten seconds of packets of 5 ms.
const SOUNDS_AT_ONCE: u32 = 2_000;

/// How long what was over is told of. Raising it keeps the note of a source that has mended; lowering it lets the
/// note come and go.
const MEMORY: Duration = Duration::from_secs(60);

/// How far a source is from its limits.
#[derive(Debug)]
pub(crate) struct Excess {
    pictures: Bucket,
    trains: Bucket,
    sounds: Bucket,
    /// When a picture, and a sound packet, was over last.
    over: [Option<Instant>; 2],
}

impl Excess {
    pub(crate) fn new() -> Excess {
        Excess {
            pictures: Bucket::new(PICTURES_PER_SECOND, PICTURES_AT_ONCE),
            trains: Bucket::new(TRAINS_PER_SECOND, TRAINS_PER_SECOND),
            sounds: Bucket::new(SOUNDS_PER_SECOND, SOUNDS_AT_ONCE),
            over: [None; 2],
        }
    }

    /// Whether a picture is within the limits.
    pub(crate) fn admits_picture(&mut self, unit: &AccessUnit) -> bool {
        let now = unit.received;
        let bytes: usize = unit.nals.iter().map(|nal| nal.len()).sum();
        // At most, before it is packetized: one packet for each NAL unit, and one more for each time one is full.
        let packets = unit.nals.len() + bytes / (MAX_PAYLOAD - 2);
        let trains = packets.div_ceil(MAX_TRAIN_PACKETS);
        let admits = self.pictures.take(now, 1) && self.trains.take(now, trains);
        if !admits {
            self.over[0] = Some(now);
        }
        admits
    }

    /// Whether a sound packet is.
    pub(crate) fn admits_sound(&mut self, frame: &AudioFrame) -> bool {
        let packets = frame.payload.len().div_ceil(MAX_PAYLOAD);
        let admits = self.sounds.take(frame.received, packets);
        if !admits {
            self.over[1] = Some(frame.received);
        }
        admits
    }

    /// What was over lately, and what to set.
    pub(crate) fn notes(&self, now: Option<Instant>) -> Vec<String> {
        let lately = |over: Option<Instant>| {
            over.zip(now).is_some_and(|(over, now)| now.saturating_duration_since(over) < MEMORY)
        };
        let mut notes = Vec::new();
        if lately(self.over[0]) {
            notes.push(format!(
                "sends more than {PICTURES_PER_SECOND} pictures a second, or pictures of more slices than can be \
                 forwarded: what is over is left out, and the picture stands until the next keyframe; lower the \
                 camera's frame rate, or its slices to one a picture"
            ));
        }
        if lately(self.over[1]) {
            notes.push(format!(
                "sends more than {SOUNDS_PER_SECOND} sound packets a second: what is over is left out; set the \
                 camera's audio to packets of 20 ms"
            ));
        }
        notes
    }
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    most: f64,
    left: f64,
    at: Option<Instant>,
}

impl Bucket {
    fn new(per_second: u32, most: u32) -> Bucket {
        Bucket { per_second: per_second.into(), most: most.into(), left: most.into(), at: None }
    }

    fn take(&mut self, now: Instant, count: usize) -> bool {
        let passed = now.saturating_duration_since(self.at.unwrap_or(now));
        self.at = Some(now.max(self.at.unwrap_or(now)));
        self.left = (self.left + self.per_second * passed.as_secs_f64()).min(self.most);
        let admits = self.left >= count as f64;
        if admits {
            self.left -= count as f64;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn epoch() -> Instant {
        Instant::now()
    }

    fn picture(received: Instant, nals: usize, bytes: usize) -> AccessUnit {
        let nals = vec![Bytes::from(vec![0x41; bytes]); nals];
        AccessUnit { nals, timestamp: 0, received, after_gap: false }
    }

    fn sound(received: Instant, bytes: usize) -> AudioFrame {
        AudioFrame { payload: Bytes::from(vec![0xff; bytes]), timestamp: 0, received }
    }

    /// How many of `count` are admitted that come in `time`, evenly.
    fn admitted(count: u32, time: Duration, mut admits: impl FnMut(Instant) -> bool) -> u32 {
        let start = epoch();
        (0..count)
            .map(|index| u32::from(admits(start + time.mul_f64(f64::from(index) / f64::from(count)))))
            .sum()
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn no_camera_is_over() {
        // 120 pictures a second at 100 Mbit/s, and one of 4 MiB a second; sound of 2.5 ms.
        let mut excess = Excess::new();
        let all = admitted(7_200, MINUTE, |now| excess.admits_picture(&picture(now, 8, 13_000)));
        assert_eq!(all, 7_200);
        let mut excess = Excess::new();
        assert_eq!(admitted(60, MINUTE, |now| excess.admits_picture(&picture(now, 1, 4 << 20))), 60);
        assert_eq!(admitted(24_000, MINUTE, |now| excess.admits_sound(&sound(now, 100))), 24_000);
        assert!(excess.notes(Some(epoch() + MINUTE)).is_empty());
    }

    #[test]
    fn a_stall_of_the_line_is_not_over() {
        let (start, mut excess) = (epoch(), Excess::new());
        assert!(
            (0..600).all(|_| excess.admits_picture(&picture(start, 2, 5_000))),
            "ten seconds of 60 a second"
        );
        assert!((0..500).all(|_| excess.admits_sound(&sound(start, 160))));
    }

    #[test]
    fn tiny_pictures_many_slices_and_tiny_sounds_are() {
        let mut excess = Excess::new();
        let tiny = admitted(600_000, MINUTE, |now| excess.admits_picture(&picture(now, 1, 2)));
        assert!(
            (60 * PICTURES_PER_SECOND..=60 * PICTURES_PER_SECOND + PICTURES_AT_ONCE).contains(&tiny),
            "{tiny}"
        );
        // 64 trains each, so far fewer pictures.
        let mut excess = Excess::new();
        let slices = admitted(14_000, MINUTE, |now| excess.admits_picture(&picture(now, 1_024, 1)));
        assert!((1_800..=62 * TRAINS_PER_SECOND / 64).contains(&slices), "{slices}");
        let mut excess = Excess::new();
        let sounds = admitted(600_000, MINUTE, |now| excess.admits_sound(&sound(now, 1)));
        assert!(
            (60 * SOUNDS_PER_SECOND..=60 * SOUNDS_PER_SECOND + SOUNDS_AT_ONCE).contains(&sounds),
            "{sounds}"
        );
        // What has to be split counts as often as it is sent.
        let mut excess = Excess::new();
        let large = admitted(60_000, MINUTE, |now| excess.admits_sound(&sound(now, 60_000)));
        assert!(large * 50 <= 62 * SOUNDS_PER_SECOND, "{large}");
    }

    #[test]
    fn what_was_over_is_told_for_a_time() {
        let (start, mut excess) = (epoch(), Excess::new());
        assert!(excess.notes(Some(start)).is_empty() && excess.notes(None).is_empty());
        while excess.admits_picture(&picture(start, 1, 2)) {}
        while excess.admits_sound(&sound(start, 1)) {}
        let notes = excess.notes(Some(start));
        assert!(
            notes.len() == 2 && notes[0].contains("frame rate") && notes[1].contains("20 ms"),
            "{notes:?}"
        );
        assert!(excess.notes(Some(start + MEMORY)).is_empty());
    }
}
