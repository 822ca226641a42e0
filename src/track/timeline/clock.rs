//! How a source's clock runs against ours, and how unevenly its units arrive: two measures for an operator.
//!
//! Owns both. No unit arrives before it was captured, so the least delay of a while tells where the source's clock
//! stands, and jitter, which only delays, does not; how that moves from while to while is the drift. Nothing here
//! changes a timestamp.

use std::collections::VecDeque;
use std::time::Duration;

use super::nanos;

/// The least delay is taken over this time. Shorter ones let a jam of that length pass for drift; longer ones make
/// the first figure late.
const WHILE: Duration = Duration::from_secs(10);

/// Whiles that the drift is measured over. More smooth it, and show later that a clock has changed.
const WHILES: usize = 30;

/// Whiles before there is a figure. Over fewer a network's jitter is larger than a crystal's drift (a millisecond over
/// 50 s is 20 parts in a million).
const WHILES_MIN: usize = 6;

/// Of a difference between two delays this part is believed (RFC 3550 §6.4.1).
const JITTER_SHARE: f64 = 16.0;

/// The watch on one track's clock. Times are in nanoseconds, the source's and ours each from one point.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Since the last [`restart`](Clock::restart): by the source, and by arrival.
    source: i128,
    arrival: i128,
    /// The while under way: when it began by arrival, and its least delay.
    current: Option<Least>,
    /// Those before, oldest first.
    past: VecDeque<Least>,
    /// The delay of the last unit.
    delay: Option<i128>,
    jitter: Option<f64>,
}

/// The least delay of a while.
#[derive(Debug, Clone, Copy)]
struct Least {
    began: i128,
    /// When the unit arrived that has it.
    at: i128,
    delay: i128,
}

impl Clock {
    /// What comes has nothing to do with what was: the source reconnected, or its timestamps jumped. The jitter of
    /// its network is as it was.
    pub(super) fn restart(&mut self) {
        *self = Clock { jitter: self.jitter, ..Clock::default() };
    }

    /// A unit came `arrival` after the last one, with a timestamp `source` after it: negative where it goes back.
    pub(super) fn note(&mut self, source: i128, arrival: i128) {
        self.source += source;
        self.arrival += arrival;
        let delay = self.arrival - self.source;
        if let Some(before) = self.delay.replace(delay) {
            let difference = (delay - before).abs() as f64 / 1e9;
            let jitter = self.jitter.get_or_insert(0.0);
            *jitter += (difference - *jitter) / JITTER_SHARE;
        }
        let now = Least { began: self.arrival, at: self.arrival, delay };
        match &mut self.current {
            Some(least) if self.arrival - least.began >= nanos(WHILE) => {
                if self.past.len() == WHILES {
                    self.past.pop_front();
                }
                self.past.push_back(std::mem::replace(least, now));
            }
            Some(least) if delay < least.delay => (least.at, least.delay) = (now.at, delay),
            Some(_) => {}
            none => *none = Some(now),
        }
    }

    /// By how much the source's clock is too fast (negative: too slow), as a part of a second each second; nothing in
    /// the first minute.
    pub(super) fn drift(&self) -> Option<f64> {
        let (first, last) = (self.past.front()?, self.past.back()?);
        let (passed, moved) = (last.at - first.at, last.delay - first.delay);
        (self.past.len() >= WHILES_MIN && passed > 0).then(|| -(moved as f64) / passed as f64)
    }

    /// The mean difference between two units' delays, in seconds; nothing before the second unit.
    pub(super) fn jitter(&self) -> Option<f64> {
        self.jitter
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: i128 = 40_000_000;

    /// Feeds `frames` of a clock that is off by `ppm`, each `delays` late.
    fn run(clock: &mut Clock, frames: usize, ppm: i128, delays: impl Fn(usize) -> i128) {
        let arrival = |frame: usize| frame as i128 * FRAME + delays(frame);
        for frame in 1..=frames {
            let source = FRAME + FRAME * ppm / 1_000_000;
            clock.note(source, arrival(frame) - arrival(frame - 1));
        }
    }

    proptest! {
        #[test]
        fn the_drift_of_a_clock_shows_through_the_jitter_of_a_network(
            ppm in -500i128..500,
            seed in any::<u64>(),
        ) {
            let mut clock = Clock::default();
            // Up to 30 ms late, one in ten hardly at all.
            let late = |frame: usize| {
                let draw = (frame as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                if draw.is_multiple_of(10) { (draw % 200_000) as i128 } else { (draw % 30_000_000) as i128 }
            };
            run(&mut clock, 25 * 120, ppm, late);
            let drift = clock.drift().expect("two minutes are enough") * 1e6;
            prop_assert!((drift - ppm as f64).abs() < 20.0, "{drift} instead of {ppm}");
        }
    }

    #[test]
    fn there_is_no_drift_to_tell_in_the_first_minute_nor_right_after_a_restart() {
        let mut clock = Clock::default();
        run(&mut clock, 25 * 50, 100, |_| 0);
        assert_eq!(clock.drift(), None);
        run(&mut clock, 25 * 30, 100, |_| 0);
        assert!(clock.drift().is_some());
        clock.restart();
        assert_eq!(clock.drift(), None);
    }

    #[test]
    fn jitter_is_the_mean_difference_of_delays_and_stays_over_a_restart() {
        let mut clock = Clock::default();
        clock.note(0, 0);
        assert_eq!(clock.jitter(), None);
        run(&mut clock, 1_000, 0, |frame| if frame % 2 == 0 { 0 } else { 8_000_000 });
        let jitter = clock.jitter().expect("a thousand units");
        assert!((jitter - 0.008).abs() < 1e-4, "{jitter}");
        clock.restart();
        assert_eq!(clock.jitter(), Some(jitter));
    }

    #[test]
    fn a_clock_is_watched_for_a_year_in_the_memory_of_an_hour() {
        let mut clock = Clock::default();
        for _ in 0..100_000 {
            clock.note(nanos(WHILE), nanos(WHILE));
        }
        assert_eq!(clock.past.len(), WHILES);
        assert_eq!(clock.drift(), Some(0.0));
    }
}
