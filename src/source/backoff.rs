//! How long a source waits before it tries again.
//!
//! Owns the arithmetic: exponential, bounded, with jitter. Never sleeps, reads a clock or makes a
//! random number; the caller brings that.

use std::time::Duration;

/// The shortest wait there is, whatever the settings say.
///
/// A camera that refuses at once would otherwise be asked without a pause: one core and one log full.
const FLOOR: Duration = Duration::from_millis(10);

/// Waiting times that double from `min` to `max`.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Waits of at most `min` first and `max` in the end. A `max` below `min` counts as `min`.
    pub fn new(min: Duration, max: Duration) -> Backoff {
        let min = min.max(FLOOR);
        Backoff { min, max: max.max(min), ceiling: min }
    }

    /// Other limits from now on, as [`Backoff::new`] takes them. How far the waits have grown stays, within them.
    pub fn limit(&mut self, min: Duration, max: Duration) {
        let limits = Backoff::new(min, max);
        *self = Backoff { ceiling: self.ceiling.clamp(limits.min, limits.max), ..limits };
    }

    /// The next wait: between half of the present ceiling and all of it; then the ceiling doubles.
    ///
    /// `random` is uniform in `0.0..1.0` and is clamped to it. Half of the wait is fixed, so that jitter
    /// never brings the pause near zero; the other half spreads a thousand cameras behind one rebooted
    /// switch.
    pub fn next(&mut self, random: f64) -> Duration {
        // `clamp` lets NaN through, `mul_f64` would panic on it.
        let random = if random.is_nan() { 0.5 } else { random.clamp(0.0, 1.0) };
        let half = self.ceiling / 2;
        let wait = half + half.mul_f64(random);
        self.ceiling = self.ceiling.saturating_mul(2).min(self.max);
        wait
    }

    /// The longest wait, for a failure that another attempt will not cure by itself. With the jitter of
    /// [`Backoff::next`].
    pub fn longest(&mut self, random: f64) -> Duration {
        self.ceiling = self.max;
        self.next(random)
    }

    /// Starts again at `min`: the source worked for a while.
    pub fn reset(&mut self) {
        self.ceiling = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn doubles_up_to_the_maximum_and_starts_again_after_reset() {
        let mut backoff = Backoff::new(seconds(1), seconds(30));
        let waits: Vec<u64> = (0..8).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), seconds(1));
    }

    #[test]
    fn jitter_takes_at_most_half() {
        for random in [0.0, 0.25, 0.999] {
            let wait = Backoff::new(seconds(8), seconds(8)).next(random);
            assert!((seconds(4)..=seconds(8)).contains(&wait), "{random}: {wait:?}");
        }
        assert_ne!(
            Backoff::new(seconds(8), seconds(8)).next(0.1),
            Backoff::new(seconds(8), seconds(8)).next(0.9)
        );
    }

    #[test]
    fn bad_settings_and_bad_randomness_neither_panic_nor_spin() {
        let mut backoff = Backoff::new(Duration::ZERO, Duration::ZERO);
        for random in [f64::NAN, -1.0, f64::INFINITY, f64::NEG_INFINITY, 2.0] {
            assert!(backoff.next(random) >= FLOOR / 2);
        }
        let mut huge = Backoff::new(seconds(1), Duration::MAX);
        for _ in 0..200 {
            assert!(huge.next(1.0) >= seconds(1) / 2);
        }
        assert_eq!(Backoff::new(seconds(5), seconds(1)).next(1.0), seconds(5), "max below min is min");
    }

    #[test]
    fn other_limits_keep_what_has_grown_within_them() {
        let mut backoff = Backoff::new(seconds(1), seconds(30));
        assert_eq!([backoff.next(1.0), backoff.next(1.0)], [seconds(1), seconds(2)]);
        backoff.limit(seconds(1), seconds(60));
        assert_eq!(backoff.next(1.0), seconds(4), "as before");
        backoff.limit(seconds(1), seconds(3));
        assert_eq!([backoff.next(1.0), backoff.next(1.0)], [seconds(3), seconds(3)]);
        backoff.limit(seconds(5), seconds(1));
        assert_eq!(backoff.next(1.0), seconds(5), "max below min is min");
    }

    #[test]
    fn the_longest_wait_lasts_until_reset() {
        let mut backoff = Backoff::new(seconds(1), seconds(30));
        assert_eq!(backoff.longest(1.0), seconds(30));
        assert_eq!(backoff.next(1.0), seconds(30));
        backoff.reset();
        assert_eq!(backoff.next(1.0), seconds(1));
    }
}
