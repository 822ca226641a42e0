//! How much a track carries in a second, and how far apart its keyframes are.
//!
//! Owns two measures of the past that what is sent beside the live edge is weighed by: a share of the
//! bitrate, a multiple of it, or not at all because the next keyframe is near. Once per track, never per
//! viewer.

use std::time::{Duration, Instant};

/// Time that the bitrate is measured over, in slots of a second. Longer forgets a scene that was dear more
/// slowly; shorter takes a single keyframe for the bitrate.
const SLOTS: usize = 10;

/// A track that has run for less than this counts as if it had run so long: its first keyframe is no bitrate.
const LEAST: Duration = Duration::from_secs(1);

/// What a track carries.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the first train came.
    began: Option<Instant>,
    /// Bytes of each second, that of the current one at `seconds` modulo their number.
    slots: [u64; SLOTS],
    /// Whole seconds since the first train, and how far the current one has come.
    seconds: u64,
    within: Duration,
    /// When the newest keyframe came, and how long after the one before it.
    keyframe: Option<Instant>,
    group: Option<Duration>,
}

impl Pace {
    /// A train of `bytes` was complete at `at`.
    pub(super) fn note(&mut self, at: Instant, bytes: usize, keyframe: bool) {
        let ran = at.saturating_duration_since(*self.began.get_or_insert(at));
        // Seconds that begin now are empty; of more than there are slots for, all have been visited.
        for second in (self.seconds + 1..=ran.as_secs()).take(SLOTS) {
            self.slots[second as usize % SLOTS] = 0;
        }
        if ran.as_secs() >= self.seconds {
            (self.seconds, self.within) = (ran.as_secs(), Duration::from_nanos(ran.subsec_nanos().into()));
        }
        self.slots[self.seconds as usize % SLOTS] += bytes as u64;
        if keyframe {
            self.group = self.keyframe.map(|before| at.saturating_duration_since(before)).or(self.group);
            self.keyframe = Some(at);
        }
    }

    /// Payload bytes of a second, over the last ten.
    pub(super) fn bytes_per_second(&self) -> u64 {
        let whole = self.seconds.min(SLOTS as u64 - 1);
        let time = (Duration::from_secs(whole) + self.within).max(LEAST);
        (self.slots.iter().sum::<u64>() as f64 / time.as_secs_f64()) as u64
    }

    /// When the newest keyframe came.
    pub(super) fn keyframe(&self) -> Option<Instant> {
        self.keyframe
    }

    /// When the next keyframe comes if this group of pictures is as long as the last.
    pub(super) fn next_keyframe(&self) -> Option<Instant> {
        Some(self.keyframe? + self.group?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
    fn epoch() -> Instant {
        Instant::now()
    }

    const FRAME: Duration = Duration::from_millis(40);

    /// `count` frames of `bytes` from `at` on; returns when the next one comes.
    fn frames(pace: &mut Pace, at: Instant, count: u32, bytes: usize) -> Instant {
        for frame in 0..count {
            pace.note(at + FRAME * frame, bytes, false);
        }
        at + FRAME * count
    }

    fn near(pace: &Pace, wanted: f64) -> bool {
        (pace.bytes_per_second() as f64 / wanted - 1.0).abs() < 0.06
    }

    #[test]
    fn the_bitrate_is_known_after_a_second_and_follows_within_ten() {
        let (mut pace, at) = (Pace::default(), epoch());
        assert_eq!(pace.bytes_per_second(), 0);
        let at = frames(&mut pace, at, 25, 1_000);
        assert!(near(&pace, 25_000.0), "{}", pace.bytes_per_second());
        let at = frames(&mut pace, at, 25 * 30, 1_000);
        assert!(near(&pace, 25_000.0), "{}", pace.bytes_per_second());
        let at = frames(&mut pace, at, 25 * 5, 3_000);
        assert!(near(&pace, 50_000.0), "{}", pace.bytes_per_second());
        frames(&mut pace, at, 25 * 5, 3_000);
        assert!(near(&pace, 75_000.0), "{}", pace.bytes_per_second());
    }

    #[test]
    fn a_lone_keyframe_is_no_bitrate_and_silence_is_forgotten() {
        let (mut pace, at) = (Pace::default(), epoch());
        pace.note(at, 50_000, true);
        assert_eq!(pace.bytes_per_second(), 50_000);
        // Four seconds of silence count, a day of it no more than ten.
        pace.note(at + Duration::from_secs(4), 0, false);
        assert_eq!(pace.bytes_per_second(), 12_500);
        pace.note(at + Duration::from_secs(86_400), 90, false);
        assert_eq!(pace.bytes_per_second(), 10);
    }

    #[test]
    fn the_next_keyframe_is_expected_after_as_long_a_group_as_the_last() {
        let (mut pace, at) = (Pace::default(), epoch());
        pace.note(at, 1, true);
        assert_eq!(pace.next_keyframe(), None, "one keyframe tells nothing");
        let second = at + Duration::from_secs(3);
        pace.note(second, 1, true);
        pace.note(second + FRAME, 1, false);
        assert_eq!(pace.keyframe(), Some(second));
        assert_eq!(pace.next_keyframe(), Some(at + Duration::from_secs(6)));
    }
}
