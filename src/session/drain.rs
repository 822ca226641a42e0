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
    told: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    draining: Option<Draining>,
    /// Its end has begun, and with it that of the server: nothing changes it any more.
    is_over: bool,
}

/// The server is ending: it is too late for another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is stopping, and it is too late to change that")]
pub struct TooLate;

impl Drain {
    /// Of a server that serves.
    pub fn new(settings: sluice_config::Drain) -> Drain {
        Drain { settings: Current::new(settings), told: watch::Sender::new(State::default()) }
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

    /// Begins, unless it has begun: then its end stays as it is.
    pub fn begin(&self, now: Instant, timeout: Duration) {
        self.told.send_if_modified(|State { draining, is_over }| {
            let begins = draining.is_none() && !*is_over;
            if begins {
                *draining = Some(Draining { since: now, until: now + timeout });
            }
            begins
        });
    }

    /// Begins, or has what has begun end so long from now: sooner or later than it would have.
    ///
    /// # Errors
    ///
    /// [`TooLate`].
    pub fn end_after(&self, now: Instant, timeout: Duration) -> Result<(), TooLate> {
        self.changed(|draining| {
            let since = draining.map_or(now, |draining| draining.since);
            *draining = Some(Draining { since, until: now + timeout });
            true
        })
    }

    /// Serves on.
    ///
    /// # Errors
    ///
    /// [`TooLate`].
    pub fn take_back(&self) -> Result<(), TooLate> {
        self.changed(|draining| draining.take().is_some())
    }

    /// Has what is under way end if `is_over` says so of it, in one step with that look: from then on nobody takes it back.
    /// Gives whether it ends.
    pub fn end_if(&self, is_over: impl FnOnce(&Draining) -> bool) -> bool {
        self.told.send_if_modified(|state| {
            state.is_over |= state.draining.as_ref().is_some_and(is_over);
            state.is_over
        })
    }

    /// The server stops, whether it drains or not.
    pub fn stop(&self) {
        self.told.send_modify(|state| state.is_over = true);
    }

    fn changed(&self, change: impl FnOnce(&mut Option<Draining>) -> bool) -> Result<(), TooLate> {
        let mut told = Err(TooLate);
        self.told.send_if_modified(|State { draining, is_over }| {
            if *is_over {
                return false;
            }
            told = Ok(());
            change(draining)
        });
        told
    }

    /// Whether it drains.
    pub fn now(&self) -> Option<Draining> {
        self.told.borrow().draining
    }

    /// Waits until it drains.
    pub async fn begun(&self) {
        // The sender is ours: it does not end before.
        let _ = self.told.subscribe().wait_for(|told| told.draining.is_some()).await;
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
    fn a_second_order_changes_the_end_if_it_names_one_and_one_that_was_taken_back_begins_anew() {
        let (drain, now) = (drain(), now());
        let until = |until| Some(Draining { since: now, until });
        assert_eq!(drain.now(), None);
        drain.begin(now, MINUTE);
        assert_eq!(drain.now(), until(now + MINUTE));
        drain.begin(now + MINUTE / 2, 10 * MINUTE);
        assert_eq!(drain.now(), until(now + MINUTE), "whoever names no time changes none");
        assert_eq!(drain.end_after(now + MINUTE / 2, 10 * MINUTE), Ok(()));
        assert_eq!(drain.now(), until(now + MINUTE / 2 + 10 * MINUTE), "later");
        assert_eq!(drain.end_after(now + MINUTE, MINUTE / 4), Ok(()));
        assert_eq!(drain.now(), until(now + MINUTE + MINUTE / 4), "sooner");
        assert_eq!(drain.now().map(|draining| draining.left(now + MINUTE)), Some(MINUTE / 4));
        assert_eq!((drain.take_back(), drain.take_back()), (Ok(()), Ok(())), "twice is no mistake");
        assert_eq!(drain.now(), None);
        assert_eq!(drain.end_after(now + 2 * MINUTE, MINUTE), Ok(()));
        assert_eq!(drain.now().map(|draining| draining.since), Some(now + 2 * MINUTE));
    }

    #[test]
    fn what_has_ended_is_not_taken_back_and_what_was_taken_back_does_not_end() {
        let (drain, now) = (drain(), now());
        assert!(!drain.end_if(|_| true), "it does not drain");
        drain.begin(now, MINUTE);
        assert!(!drain.end_if(|draining| draining.until == now), "there is time");
        assert_eq!(drain.take_back(), Ok(()));
        assert!(!drain.end_if(|_| true), "it was taken back");
        drain.begin(now, MINUTE);
        let before = drain.now();
        assert!(drain.end_if(|draining| draining.until == now + MINUTE));
        assert_eq!((drain.take_back(), drain.end_after(now, 2 * MINUTE)), (Err(TooLate), Err(TooLate)));
        drain.begin(now, 2 * MINUTE);
        assert_eq!(drain.now(), before, "it is as it ended");
        let stopped = self::drain();
        stopped.stop();
        stopped.begin(now, MINUTE);
        assert_eq!((stopped.now(), stopped.take_back()), (None, Err(TooLate)), "a stop is no drain");
    }

    fn begun(now: Instant, timeout: Duration) -> Draining {
        let drain = drain();
        drain.begin(now, timeout);
        drain.now().expect("it has begun")
    }

    #[test]
    fn viewers_leave_evenly_and_all_of_them_in_time() {
        for viewers in [0, 1, 7, 240, 5_000] {
            let draining = begun(now(), MINUTE);
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
            let draining = begun(now, timeout);
            assert_eq!(Departures::default().due(&draining, draining.until, 1_000, STEP), 1_000);
        }
    }
}
