//! A thread that outlives the panics of what it does.
//!
//! Owns the loop around the rounds: a round that panics is followed by putting things in order, a pause,
//! and the next round. Only a panic of the putting in order ends the thread. Never knows what a round is.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: its thread pauses after a panic")]

use std::time::{Duration, Instant};

use crate::contain::contain;

/// The pause after a panic: the first, and the longest in a row of them. Without one a defect that comes
/// back in each round takes a whole core; over half a second the thread would count as stuck.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(400));

/// A panic this long after the last is not in a row with it.
const QUIET: Duration = Duration::from_secs(10);

/// What a thread does, round after round.
pub(super) trait Duty {
    /// One round. Returns whether to go on.
    fn round(&mut self) -> bool;
    /// Puts things in order after a round that panicked. Returns whether to go on.
    fn recover(&mut self) -> bool;
}

/// Does it until it is told to stop (then `true`), or cannot be put in order any more.
pub(super) fn live(duty: &mut impl Duty) -> bool {
    let mut pause = PAUSES.0;
    let mut last: Option<Instant> = None;
    loop {
        match contain(|| duty.round()) {
            Some(true) => {}
            Some(false) => return true,
            None => {
                match contain(|| duty.recover()) {
                    Some(true) => {}
                    Some(false) => return true,
                    None => return false,
                }
                let now = Instant::now();
                let in_a_row = last.replace(now).is_some_and(|last| now.duration_since(last) < QUIET);
                pause = if in_a_row { (pause * 2).min(PAUSES.1) } else { PAUSES.0 };
                std::thread::sleep(pause);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds that panic where the test says so, on a thread of their own.
    #[derive(Default)]
    struct Rounds {
        at: usize,
        panics: Vec<usize>,
        last: usize,
        recoveries: usize,
        cannot_recover: bool,
        stops_on_recovery: bool,
    }

    impl Duty for Rounds {
        fn round(&mut self) -> bool {
            self.at += 1;
            assert!(!self.panics.contains(&self.at), "a defect in round {}", self.at);
            self.at < self.last
        }

        fn recover(&mut self) -> bool {
            assert!(!self.cannot_recover, "a defect in the handler");
            self.recoveries += 1;
            !self.stops_on_recovery
        }
    }

    fn run(mut rounds: Rounds) -> (bool, Rounds) {
        let thread = std::thread::spawn(move || (live(&mut rounds), rounds));
        thread.join().expect("the thread itself never panics")
    }

    #[test]
    fn a_round_that_panics_is_put_in_order_and_the_next_comes() {
        let (told, rounds) = run(Rounds { panics: vec![3, 4, 7], last: 10, ..Rounds::default() });
        assert_eq!((told, rounds.at, rounds.recoveries), (true, 10, 3));
    }

    #[test]
    fn a_stop_is_kept_through_a_panic() {
        let rounds = Rounds { panics: vec![2], last: 10, stops_on_recovery: true, ..Rounds::default() };
        let (told, rounds) = run(rounds);
        assert_eq!((told, rounds.at), (true, 2));
    }

    #[test]
    fn a_thread_that_cannot_be_put_in_order_ends_and_does_not_unwind() {
        let (told, rounds) =
            run(Rounds { panics: vec![2], last: 10, cannot_recover: true, ..Rounds::default() });
        assert_eq!((told, rounds.at), (false, 2));
    }
}
