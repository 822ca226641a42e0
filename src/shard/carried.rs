//! What the media batch carries: of which frames, and for how many viewers each.
//!
//! Owns the measure of the forwarding delay: a frame is noted when it is sealed for a viewer, and observed when
//! the kernel has the batch, once for all viewers that the batch carries it to. Reads no clock.

use std::time::Instant;

use crate::count::Histogram;

/// Frames of one batch that are told apart. More cost memory only; with fewer, those behind the last count as that.
const FRAMES_MAX: usize = 64;

/// How many of them are looked through for one that is there already: a picture and the sound behind it, of the
/// stream whose turn it is. More cost time where a batch carries many streams; with fewer, one frame is observed
/// in parts.
const LOOK_BACK: usize = 3;

/// Frames in the batch.
pub(super) struct Carried {
    /// When each was complete at ingest, and how many viewers get it.
    frames: Vec<(Instant, u64)>,
}

impl Carried {
    /// None.
    pub(super) fn new() -> Carried {
        Carried { frames: Vec::with_capacity(FRAMES_MAX) }
    }

    /// The frame that was complete at `received` is in the batch for one viewer more.
    pub(super) fn note(&mut self, received: Instant) {
        let is_full = self.frames.len() >= FRAMES_MAX;
        let mut latest = self.frames.iter_mut().rev().take(LOOK_BACK);
        match latest.find(|(other, _)| is_full || *other == received) {
            Some((_, viewers)) => *viewers += 1,
            None => self.frames.push((received, 1)),
        }
    }

    /// The kernel has all of the batch at `now`.
    pub(super) fn handed_over(&mut self, now: Instant, delay: &Histogram) {
        for (received, viewers) in self.frames.drain(..) {
            delay.observe_times(now.saturating_duration_since(received).as_secs_f64(), viewers);
        }
    }

    /// The batch was dropped.
    pub(super) fn dropped(&mut self) {
        self.frames.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::count::histogram::Snapshot;

    const BOUNDS: &[f64] = &[0.001, 0.01, 0.1];

    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn epoch() -> Instant {
        Instant::now()
    }

    #[test]
    fn every_viewer_of_every_frame_is_counted_with_the_delay_of_that_frame() {
        let (mut carried, delay, start) = (Carried::new(), Histogram::new(BOUNDS), epoch());
        let sound = start + Duration::from_millis(15);
        for _ in 0..20 {
            carried.note(start);
            carried.note(sound);
        }
        carried.handed_over(start + Duration::from_millis(20), &delay);
        let snapshot = Snapshot::of([&delay]);
        assert_eq!(snapshot.count(), 40);
        assert!((snapshot.sum() - 20.0 * 0.020 - 20.0 * 0.005).abs() < 1e-9, "{}", snapshot.sum());
        carried.handed_over(start + Duration::from_secs(9), &delay);
        assert_eq!(Snapshot::of([&delay]).count(), 40, "once");
    }

    #[test]
    fn of_more_frames_than_are_told_apart_every_viewer_counts_and_no_memory_is_taken() {
        let (mut carried, delay, start) = (Carried::new(), Histogram::new(BOUNDS), epoch());
        let room = carried.frames.capacity();
        for frame in 0..10 * FRAMES_MAX as u32 {
            carried.note(start + Duration::from_micros(frame.into()));
        }
        assert_eq!(carried.frames.capacity(), room);
        carried.handed_over(start + Duration::from_secs(1), &delay);
        assert_eq!(Snapshot::of([&delay]).count(), 10 * FRAMES_MAX as u64);
    }

    #[test]
    fn what_was_dropped_has_no_delay() {
        let (mut carried, delay, start) = (Carried::new(), Histogram::new(BOUNDS), epoch());
        carried.note(start);
        carried.dropped();
        carried.handed_over(start, &delay);
        assert_eq!(Snapshot::of([&delay]).count(), 0);
    }
}
