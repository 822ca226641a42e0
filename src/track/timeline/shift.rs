//! By how much a track is taken for earlier than its least delay says, so that it agrees with another one.
//!
//! Owns the pace of that: capture times never go backwards, and timestamps are not touched at all.

use std::time::{Duration, Instant};

use super::nanos_between;

/// Of the time that passes so much is what a shift moves by, as `1/N`: at first, and once it was where it should be.
///
/// A session begins without one, and nobody relies on it yet; with 2 capture times pass at half speed for a moment. Later
/// a change is a correction of milliseconds: smaller numbers show players a clock that runs wrong, larger ones leave
/// sound apart from pictures for longer.
const FIRST: i128 = 2;
/// See [`FIRST`].
const LATER: i128 = 50;

/// The shift of one track, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Shift {
    current: i128,
    target: Option<i128>,
    arrived: bool,
    moved: Option<Instant>,
}

impl Shift {
    /// Goes there from now on.
    pub(super) fn set(&mut self, target: Duration) {
        self.target = Some(target.as_nanos() as i128);
    }

    /// The shift of a unit that was received then.
    pub(super) fn at(&mut self, received: Instant) -> i128 {
        let before = self.moved.replace(received);
        let Some(target) = self.target.filter(|target| *target != self.current) else {
            self.arrived |= self.target.is_some();
            return self.current;
        };
        let passed = before.map_or(0, |before| nanos_between(before, received).max(0));
        let most = passed / if self.arrived { LATER } else { FIRST };
        self.current += (target - self.current).clamp(-most, most);
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn it_goes_quickly_at_first_then_slowly_and_time_never_goes_back() {
        let (start, mut shift) = (Instant::now(), Shift::default());
        let frame = Duration::from_millis(40);
        let mut steps = Vec::new();
        let mut last = 0;
        for index in 0..3_000_u32 {
            match index {
                10 => shift.set(Duration::from_millis(300)),
                100 => shift.set(Duration::from_millis(250)),
                _ => {}
            }
            let now = shift.at(start + frame * index);
            assert!(now - last < frame.as_nanos() as i128, "capture times go on");
            if now != last {
                steps.push(index);
            }
            last = now;
        }
        assert_eq!(last, 250_000_000);
        let (first, later): (Vec<u32>, Vec<u32>) = steps.into_iter().partition(|index| *index < 100);
        assert_eq!((first.len(), later.len()), (15, 63), "20 ms of each 40, then 0.8");
    }
}
