//! Looks at one shard from outside: does its thread go round, and how much does it work?
//!
//! Owns the judgement, with the times it takes; it takes `now` and what the kernel says, and changes only what others
//! read of the shard's health. What follows from it is the watchdog's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::command::ShardHandle;
use super::standstill::Standstill;
use crate::stat::Stat;

/// A thread that has not gone round for this long stands still; it gets no joins. A worker wakes up at least
/// twice a second. Longer sends joins to where they are lost; shorter takes a machine that is busy for a
/// thread that is stuck.
const STUCK: Duration = Duration::from_secs(1);

/// A thread that has not gone round for this long is looked at in the kernel, to tell why if it goes on. Longer
/// leaves less time to judge by; shorter reads a file for each idle thread at each look.
const SUSPECT: Duration = Duration::from_millis(500);

/// A thread that stands still for this long has lost its viewers: their sessions are closed. Longer keeps
/// their places taken; shorter ends viewers who would have had a short pause.
const GIVEN_UP: Duration = Duration::from_secs(5);

/// Time that a busy ratio is taken over.
const BUSY: Duration = Duration::from_secs(1);

/// What a look finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It goes round.
    Runs,
    /// It stands still, or has ended, for so long.
    Unable(Duration),
    /// As [`Finding::Unable`], and its viewers are to be given up now. Found once.
    GiveUp(Duration),
}

/// One shard, as seen from outside.
pub struct Watch {
    /// The shard.
    pub shard: Arc<ShardHandle>,
    wakeups: u64,
    went_round: Instant,
    given_up: bool,
    busy_since: Instant,
    /// What the kernel said when the silence began to be long.
    suspected: Option<(Instant, Option<Stat>)>,
}

impl Watch {
    /// Begins to watch.
    pub fn new(shard: Arc<ShardHandle>, now: Instant) -> Watch {
        Watch { shard, wakeups: 0, went_round: now, given_up: false, busy_since: now, suspected: None }
    }

    /// Looks. `missed` is time in which the watchdog itself did not run: nobody is blamed for that. `kernel` reads
    /// what the kernel says of a thread, by its folder below `/proc`.
    pub fn look(&mut self, now: Instant, missed: Duration, kernel: impl Fn(&str) -> Option<Stat>) -> Finding {
        self.went_round += missed;
        let worked = now.saturating_duration_since(self.busy_since);
        if worked >= BUSY {
            self.shard.look(worked);
            self.shard.learn(now);
            self.busy_since = now;
        }
        let health = &self.shard.health;
        let wakeups = self.shard.counters.wakeups.get();
        if std::mem::replace(&mut self.wakeups, wakeups) != wakeups {
            self.went_round = now;
        }
        let silent = now.saturating_duration_since(self.went_round);
        let see = || health.thread().and_then(&kernel);
        if silent < SUSPECT {
            self.suspected = None;
        } else if self.suspected.is_none() {
            self.suspected = Some((now, see()));
        }
        let (was_able, gone) = (health.is_able(), health.is_gone());
        health.set_stuck(silent >= STUCK);
        let index = self.shard.index;
        match (was_able, health.is_able()) {
            (true, false) if gone => {
                tracing::error!(shard = index, "the thread has ended: it gets no joins");
            }
            (true, false) => self.say_why(silent, now, see()),
            (false, true) => tracing::info!(shard = index, "the thread goes round again"),
            _ => {}
        }
        if health.is_able() {
            self.given_up = false;
            return Finding::Runs;
        }
        if (gone || silent >= GIVEN_UP) && !std::mem::replace(&mut self.given_up, true) {
            return Finding::GiveUp(silent);
        }
        Finding::Unable(silent)
    }

    /// An error if it is to blame, a warning if the machine is.
    fn say_why(&self, silent: Duration, now: Instant, seen: Option<Stat>) {
        let (since, first) = self.suspected.unwrap_or((now, None));
        // Seen once only: the look before it came late.
        let window = now.saturating_duration_since(since);
        let why = Standstill::of(first.filter(|_| !window.is_zero()), seen, window);
        let (shard, seconds) = (self.shard.index, silent.as_secs_f32());
        let what = format!("has not gone round for {seconds:.2} s and gets no joins until it does: {why}");
        if why.is_ours() {
            tracing::error!(shard, "the thread {what}");
        } else {
            tracing::warn!(shard, "the thread {what}");
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;
    use crate::shard::place::tests::shards;

    const LOOK: Duration = Duration::from_millis(250);

    /// Looks four times a second for `time`; the findings that were not [`Finding::Runs`].
    fn looks(watch: &mut Watch, now: &mut Instant, time: Duration, goes_round: bool) -> Vec<Finding> {
        let end = *now + time;
        let mut found = Vec::new();
        while *now < end {
            *now += LOOK;
            watch.shard.counters.wakeups.add(u64::from(goes_round));
            found.push(watch.look(*now, Duration::ZERO, |_| None));
        }
        found.retain(|finding| *finding != Finding::Runs);
        found
    }

    #[test]
    fn a_thread_that_stands_still_gets_no_joins_and_then_loses_its_viewers_once() {
        let (shard, mut now) = (shards(&[2]).remove(0), Instant::now());
        let mut watch = Watch::new(shard.clone(), now);
        assert_eq!(looks(&mut watch, &mut now, Duration::from_secs(60), true), []);
        assert_eq!(looks(&mut watch, &mut now, STUCK - LOOK, false), []);
        assert!(shard.health.is_able());
        let found = looks(&mut watch, &mut now, Duration::from_secs(10), false);
        assert!(!shard.health.is_able());
        let given_up: Vec<&Finding> = found.iter().filter(|f| matches!(f, Finding::GiveUp(_))).collect();
        assert_eq!(given_up, [&Finding::GiveUp(GIVEN_UP)]);
        assert_eq!(looks(&mut watch, &mut now, LOOK, true), [], "it comes back");
        assert!(shard.health.is_able());
        let again = looks(&mut watch, &mut now, Duration::from_secs(10), false);
        assert!(again.contains(&Finding::GiveUp(GIVEN_UP)), "and stands still again");
    }

    #[test]
    fn the_kernel_is_asked_about_a_thread_that_is_silent_and_about_no_other() {
        let (shard, mut now) = (shards(&[2]).remove(0), Instant::now());
        shard.health.set_thread("self/task/7".to_owned());
        let mut watch = Watch::new(shard.clone(), now);
        let asked = std::cell::Cell::new(0);
        let mut look = |goes_round: bool| {
            now += LOOK;
            shard.counters.wakeups.add(u64::from(goes_round));
            watch.look(now, Duration::ZERO, |folder| {
                assert_eq!(folder, "self/task/7");
                asked.set(asked.get() + 1);
                None
            });
            asked.get()
        };
        // An idle thread goes round twice a second.
        assert_eq!((0..400).map(|count| look(count % 2 == 0)).last(), Some(0));
        assert_eq!([look(false), look(false)], [1, 1], "first when it is silent");
        assert_eq!(look(false), 2, "and when it stands still");
        assert_eq!((0..400).map(|_| look(false)).last(), Some(2));
    }

    #[test]
    fn a_thread_that_ended_is_given_up_at_the_next_look() {
        let (shard, mut now) = (shards(&[2]).remove(0), Instant::now());
        let mut watch = Watch::new(shard.clone(), now);
        looks(&mut watch, &mut now, LOOK, true);
        shard.health.set_gone();
        assert!(matches!(looks(&mut watch, &mut now, LOOK, false)[..], [Finding::GiveUp(_)]));
        assert!(matches!(looks(&mut watch, &mut now, LOOK, false)[..], [Finding::Unable(_)]));
    }

    #[test]
    fn a_machine_that_stood_still_is_no_shard_that_did() {
        let (shard, mut now) = (shards(&[2]).remove(0), Instant::now());
        let mut watch = Watch::new(shard.clone(), now);
        looks(&mut watch, &mut now, Duration::from_secs(1), true);
        let missed = Duration::from_secs(100);
        now += missed + LOOK;
        assert_eq!(watch.look(now, missed, |_| None), Finding::Runs);
    }
}
