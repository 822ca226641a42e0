//! Drain: a server that is to end lets nobody in and its viewers leave in their own time.
//!
//! Owns whether that is so and until when, and how many are to be sent elsewhere at a time. Never reads a clock; what ends
//! the process is in `server/drain.rs`.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::current::Current;

/// Of a drain with a place to go, the end that nobody is sent away in, as part of the whole: who is slow to leave has it.
/// A larger part sends people away faster; a smaller one leaves more of them to the last moment.
const SLACK: f64 = 0.1;

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draining {
    /// When it began.
    pub since: Instant,
    /// When whoever is left has to go.
    pub until: Instant,
}

/// Whether the server drains, and how.
pub struct Drain {
    settings: Current<sluice_config::Drain>,
    told: watch::Sender<Option<Draining>>,
}

impl Drain {
    /// Of a server that serves.
    pub fn new(settings: sluice_config::Drain) -> Drain {
        Drain { settings: Current::new(settings), told: watch::Sender::new(None) }
    }

    /// Another configuration. A drain under way keeps its end.
    pub fn configure(&self, settings: sluice_config::Drain) {
        self.settings.set(settings);
    }

    /// How long viewers may stay (`drain.timeout`).
    pub fn timeout(&self) -> Duration {
        self.settings.get().timeout
    }

    /// Where viewers go (`drain.elsewhere`).
    pub fn elsewhere(&self) -> Option<String> {
        self.settings.get().elsewhere
    }

    /// Begins, unless it has begun: then its end stays as it is. Gives when it ends, and whether this began it.
    pub fn begin(&self, now: Instant, timeout: Duration) -> (Draining, bool) {
        let mut draining = Draining { since: now, until: now + timeout };
        let begun = self.told.send_if_modified(|told| match told {
            Some(earlier) => {
                draining = *earlier;
                false
            }
            None => {
                *told = Some(draining);
                true
            }
        });
        (draining, begun)
    }

    /// Serves on, if there is time. Gives whether it drained.
    pub fn take_back(&self) -> bool {
        self.told.send_if_modified(|told| told.take().is_some())
    }

    /// Whether it drains.
    pub fn now(&self) -> Option<Draining> {
        *self.told.borrow()
    }

    /// Waits until it drains.
    pub async fn begun(&self) {
        // The sender is ours: it does not end before.
        let _ = self.told.subscribe().wait_for(Option::is_some).await;
    }
}

impl Draining {
    /// Time that is left.
    pub fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

/// Viewers who are sent elsewhere, evenly over a drain.
#[derive(Debug, Default)]
pub struct Departures {
    /// The part of a viewer that was due and could not be sent.
    owed: f64,
}

impl Departures {
    /// How many of `viewers` to send now, if the next are sent after `step`.
    pub fn due(&mut self, draining: &Draining, now: Instant, viewers: usize, step: Duration) -> usize {
        let whole = draining.until.saturating_duration_since(draining.since);
        let left = draining.left(now).saturating_sub(whole.mul_f64(SLACK));
        if left <= step {
            return viewers;
        }
        self.owed += viewers as f64 * step.as_secs_f64() / left.as_secs_f64();
        let due = self.owed.floor();
        self.owed -= due;
        due as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const STEP: Duration = Duration::from_millis(250);

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    fn now() -> Instant {
        Instant::now()
    }

    fn drain() -> Drain {
        Drain::new(sluice_config::Drain::default())
    }

    #[test]
    fn a_second_order_does_not_give_more_time_and_one_that_was_taken_back_begins_anew() {
        let (drain, now) = (drain(), now());
        assert_eq!(drain.now(), None);
        let (first, begun) = drain.begin(now, MINUTE);
        assert!(begun);
        assert_eq!(drain.begin(now + MINUTE / 2, 10 * MINUTE), (first, false));
        assert_eq!(drain.now(), Some(first));
        assert_eq!(first.left(now + MINUTE / 2), MINUTE / 2);
        assert!(drain.take_back() && !drain.take_back());
        assert_eq!(drain.now(), None);
        let (again, begun) = drain.begin(now + MINUTE, MINUTE);
        assert!(begun);
        assert_eq!(again.until, now + 2 * MINUTE);
    }

    #[test]
    fn viewers_leave_evenly_and_all_of_them_in_time() {
        for viewers in [0, 1, 7, 240, 5_000] {
            let (draining, _) = drain().begin(now(), MINUTE);
            let (mut departures, mut left) = (Departures::default(), viewers);
            let mut at = draining.since;
            let mut by_half = 0;
            while at < draining.until - MINUTE / 10 {
                let due = departures.due(&draining, at, left, STEP);
                assert!(due <= left.min(viewers / 200 + 1), "{due} of {viewers} at once");
                left -= due;
                at += STEP;
                if at == draining.since + 27 * Duration::from_secs(1) {
                    by_half = viewers - left;
                }
            }
            assert_eq!(left, 0, "of {viewers}");
            assert!(
                by_half.abs_diff(viewers / 2) <= 1 + viewers / 100,
                "{by_half} of {viewers} by half time"
            );
        }
    }

    #[test]
    fn a_time_that_is_over_lets_everybody_go_at_once() {
        let now = now();
        for timeout in [Duration::ZERO, STEP] {
            let (draining, _) = drain().begin(now, timeout);
            assert_eq!(Departures::default().due(&draining, draining.until, 1_000, STEP), 1_000);
        }
    }
}
