//! How much the line of one viewer carries, as far as its reports tell.
//!
//! Owns the decision whether a viewer is limited, and to how many bytes a second. A line that is too narrow shows in loss
//! together with a queue (a round trip that grew, an estimate below what is sent); loss alone is most often a bad radio,
//! and less to send would lose as much of it. Who is limited is tried with a little more again and again, ever more
//! seldom where that fails. Pure: takes `now` and numbers, about once a second, and sends nothing.

use std::time::{Duration, Instant};

/// Loss from which a line may be too narrow. Lower limits for what repairs mend at once, higher lets queues overflow.
const LOSS: f64 = 0.03;

/// Loss that says so louder, and without any sign of a queue: a line may drop what is over its rate, and one that was
/// full from the beginning shows no other round trip. Lower takes bad radio for that, and tries less for two seconds;
/// higher leaves viewers behind such lines with broken pictures.
const LOUD: f64 = 0.1;

/// A line is too narrow when reports in a row have said so this loud: loss with a sign of a queue is 2, and 4 from
/// [`LOUD`] on; without one that is 1. Less takes a short jam for a narrow line, more leaves it full for longer.
const CERTAIN: u32 = 4;

/// A round trip that is longer than the shortest by this has a queue. Shorter takes jitter for one.
const QUEUE: Duration = Duration::from_millis(150);

/// A report about a longer time than this comes after an outage: it tells nothing of the width.
const OUTAGE: Duration = Duration::from_secs(3);

/// Part of what came through that is sent next. Lower shows less, higher is too much again sooner.
const BELOW: f64 = 0.92;

/// Pause that lets a queue drain: as long as it is by the round trip, and so long where that does not tell. Longer shows
/// less after each cut, shorter leaves pictures and sound old.
const DRAIN: Duration = Duration::from_millis(300);
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A cut is at least and at most to this part of what was sent before. Reports tell of the time before them, and while
/// little was sent they tell nothing of what would pass.
const CUT: (f64, f64) = (0.6, 0.92);

/// What a report tells this soon after a cut is of before: of its loss, and of its round trip, which is that of the last
/// sender report ([`REPORTS`] apart).
const SETTLES: (Duration, Duration) = (Duration::from_millis(1_500), Duration::from_millis(3_500));

/// Time between sender reports to who is limited, at the most: they are what round trips are measured by.
pub(super) const REPORTS: Duration = Duration::from_secs(1);

/// Nobody is limited to fewer bytes a second: 64 kb/s, a picture now and then.
const FLOOR: f64 = 8_000.0;

/// What is tried next is so much more: while nothing is known to be too much, and near what was too much last. More is
/// back sooner, and overruns the line by more where that fails.
const STEPS: (f64, f64) = (1.15, 1.04);

/// Near is from this part of it on, and it is forgotten beyond that one.
const NEAR: (f64, f64) = (0.85, 1.15);

/// Pause behind a cut until more is tried, doubled each time that a trial was the cause, and how soon after one a cut is
/// its fault. Longer shows less when a line is free again, shorter overruns it more often.
const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(16));
const FAULT: Duration = Duration::from_secs(10);

/// Who may be sent so many times its stream is limited no more: keyframes then go at once again, and are several times
/// as fast as the rest.
const WIDE: f64 = 2.0;

/// It has to be so wide for so long, doubled each time that the limit had to come back soon.
const HOLD: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(320));
const SOON: Duration = Duration::from_secs(60);

/// What a report tells of pictures since the last one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// The time that it is about.
    pub(super) passed: Duration,
    /// Payload bytes that were sent in it.
    pub(super) sent: u32,
    /// The part of them that was lost, 0 to 1.
    pub(super) loss: f64,
    /// The round trip, if it is known.
    pub(super) round_trip: Option<Duration>,
}

/// What is known of a viewer's line.
#[derive(Debug, Default)]
pub(super) struct Line {
    limit: Option<Limit>,
    /// What came through in a second, of the last report.
    delivered: Option<f64>,
    /// The shortest round trip, which slowly follows longer ones: a path may change.
    nearest: Option<Duration>,
    /// Loss that was as high when less was sent: not of the line's width.
    bad: f64,
    /// How loud reports in a row said that the line is too narrow.
    narrow: u32,
    /// How long it has to be wide before the limit goes, and when that happened last.
    hold: Duration,
    opened: Option<Instant>,
}

#[derive(Debug)]
struct Limit {
    /// Bytes a second.
    rate: f64,
    /// What was too much last.
    ceiling: Option<f64>,
    /// The last cut, until a report tells what it changed.
    cut: Option<Cut>,
    /// Reports tell of loss and round trip since the last cut from then on.
    settled: (Instant, Instant),
    /// More is tried from then on, and so long after the next cut.
    next_step: Instant,
    rest: Duration,
    last_step: Option<Instant>,
    wide_since: Option<Instant>,
}

/// What was before a cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    rate: f64,
    loss: f64,
}

impl Line {
    /// Bytes of pictures that it is to be sent in a second at the most, if it is limited.
    pub(super) fn limit(&self) -> Option<u32> {
        self.limit.as_ref().map(|limit| limit.rate as u32)
    }

    /// Bytes of pictures that are known to come through in a second. Nothing before the second report.
    pub(super) fn carries(&self) -> Option<u32> {
        self.limit().or(self.delivered.map(|delivered| delivered as u32))
    }

    /// A report came. The viewer thinks that its line carries `estimate` bytes a second (of sound too); its stream has
    /// `stream` bytes of pictures a second. Returns for how long nothing shall be sent, so that the line's queue drains.
    pub(super) fn handle_report(
        &mut self,
        now: Instant,
        told: Told,
        estimate: Option<f64>,
        stream: u64,
    ) -> Option<Duration> {
        let passed = told.passed.as_secs_f64();
        if told.passed > OUTAGE || passed == 0.0 {
            return None;
        }
        let sent = f64::from(told.sent) / passed;
        let delivered = sent * (1.0 - told.loss);
        self.delivered = Some(delivered);
        let queue = self.queue(told.round_trip);
        let queued = queue > QUEUE;
        let drain = if queued { queue.min(DRAIN_MAX) } else { DRAIN };
        let lossy = told.loss > LOSS + 1.5 * self.bad;
        if told.loss < self.bad {
            self.bad += (told.loss - self.bad) * 0.05;
        }
        let Some(limit) = &mut self.limit else {
            let signs = queued || estimate.is_some_and(|estimate| estimate < sent);
            let loud = told.loss > LOUD + 1.5 * self.bad;
            let says = match (lossy && signs, loud) {
                (true, true) => CERTAIN,
                (true, false) => CERTAIN / 2,
                (false, loud) => u32::from(loud),
            };
            self.narrow = if says == 0 { 0 } else { self.narrow + says };
            if self.narrow >= CERTAIN {
                self.begin(now, delivered, Cut { rate: sent, loss: told.loss });
                return Some(drain);
            }
            return None;
        };
        if now < limit.settled.0 {
            return None;
        }
        let queued = queued && now >= limit.settled.1;
        if let Some(cut) = limit.cut.take()
            && told.loss > cut.loss / 2.0
            && !queued
            && lossy
        {
            // Less was sent, and as much of it was lost.
            self.bad = self.bad.max(told.loss);
            limit.rate = limit.rate.max(cut.rate);
            limit.ceiling = None;
        } else if lossy || queued {
            limit.cut(now, delivered, told.loss);
            return Some(drain);
        } else if now >= limit.next_step {
            limit.step(now, stream as f64);
        }
        if limit.wide_since.is_some_and(|since| now.saturating_duration_since(since) >= self.hold) {
            (self.limit, self.narrow, self.opened) = (None, 0, Some(now));
        }
        None
    }

    /// How long what is sent now waits before the line, as far as the round trip tells.
    fn queue(&mut self, round_trip: Option<Duration>) -> Duration {
        let Some(round_trip) = round_trip else { return Duration::ZERO };
        let nearest = self
            .nearest
            .map_or(round_trip, |nearest| round_trip.min(nearest + round_trip.saturating_sub(nearest) / 64));
        self.nearest = Some(nearest);
        round_trip.saturating_sub(nearest)
    }

    fn begin(&mut self, now: Instant, delivered: f64, before: Cut) {
        let soon = self.opened.is_some_and(|at| now.saturating_duration_since(at) < SOON);
        self.hold = if soon { (self.hold * 2).min(HOLD.1) } else { HOLD.0 };
        self.limit = Some(Limit {
            rate: (delivered * BELOW).max(FLOOR),
            ceiling: None,
            cut: Some(before),
            settled: (now + SETTLES.0, now + SETTLES.1),
            next_step: now + REST.0,
            rest: REST.0,
            last_step: None,
            wide_since: None,
        });
    }
}

impl Limit {
    /// It was too much.
    fn cut(&mut self, now: Instant, delivered: f64, loss: f64) {
        let before = self.rate;
        self.rate = (delivered * BELOW).clamp(before * CUT.0, before * CUT.1).max(FLOOR);
        self.ceiling = Some(before);
        let tried = self.last_step.is_some_and(|at| now.saturating_duration_since(at) < FAULT);
        self.rest = if tried { (self.rest * 2).min(REST.1) } else { REST.0 };
        self.next_step = now + self.rest;
        self.settled = (now + SETTLES.0, now + SETTLES.1);
        self.cut = Some(Cut { rate: before, loss });
        self.wide_since = None;
    }

    /// Nothing was too much: tries a little more.
    fn step(&mut self, now: Instant, stream: f64) {
        let near = self.ceiling.is_some_and(|ceiling| self.rate > ceiling * NEAR.0);
        self.rate *= if near { STEPS.1 } else { STEPS.0 };
        self.last_step = Some(now);
        if self.ceiling.is_some_and(|ceiling| self.rate > ceiling * NEAR.1) {
            (self.ceiling, self.rest) = (None, REST.0);
        }
        if self.rate >= WIDE * stream {
            self.rate = WIDE * stream;
            self.wide_since.get_or_insert(now);
        } else {
            self.wide_since = None;
        }
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
