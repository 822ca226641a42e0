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

/// A line is too narrow when reports have said so this loud: loss with a sign of a queue is half of it, and all from
/// [`LOUD`] on; without one so many reports in a row have to be loud. Less takes a short jam for a narrow line, more leaves
/// it full for longer.
const CERTAIN: u32 = 4;

/// What is left of that after a report that says nothing: where a line is just too narrow, only the seconds of keyframes
/// tell. Lower finds out later, higher adds up jams that have nothing to do with each other.
const REMAINS: f64 = 0.8;

/// A round trip that is longer than the shortest by this has a queue. Shorter takes jitter for one.
const QUEUE: Duration = Duration::from_millis(150);

/// A report about a longer time than this comes after an outage: loss in it tells nothing of the width. That nothing was
/// lost tells as much as ever: some players report seldom.
const OUTAGE: Duration = Duration::from_secs(3);

/// A limit goes when nothing usable was told for so long of what was sent under it: nobody would ever lift it. Shorter
/// overruns the line of a player whose reports are lost for a while, until loss is told again; longer shows less to one
/// that has ceased to report, though its line may be free. What it costs: behind a narrow line without reports everything
/// is sent, and what comes through is broken.
const SILENT: Duration = Duration::from_secs(10);

/// Part of what came through that is sent next. Lower shows less, higher is too much again sooner.
const BELOW: f64 = 0.92;

/// Where nothing but much loss says that a line is narrow, so many more reports have to say that a cut changed nothing,
/// before the limit is given up: a line that is full from the beginning takes some time to drain. More shows less for
/// longer to somebody with a bad radio, fewer overrun such a line.
const DOUBTS: u32 = 1;

/// Pause that lets a queue drain: as long as it is by the round trip, and so long where that does not tell. Longer shows
/// less after each cut, shorter leaves pictures and sound old.
const DRAIN: Duration = Duration::from_millis(300);
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A queue that so many cuts in a row and the pauses to drain it have left at this part of what it was, without loss, is
/// none of ours: the path became longer, or others fill it. More cuts, or a higher part, show less for longer to who moved
/// to a longer path; fewer, or a lower one, take a queue that drains slowly for a path, and overrun it until it loses.
const STANDS: u32 = 3;
const STAYS: f64 = 0.75;

/// A cut is at least and at most to this part of what was sent before. Reports tell of the time before them, and while
/// little was sent they tell nothing of what would pass.
const CUT: (f64, f64) = (0.6, 0.92);

/// What a report tells this soon after a cut is of before: of its loss, and of its round trip, which is that of the last
/// sender report ([`REPORTS`] apart).
const SETTLES: (Duration, Duration) = (Duration::from_millis(1_500), Duration::from_millis(3_500));

/// Beside that what is told of loss is as old as the round trip, and that is believed up to so much. Higher waits longer
/// for who has a full queue of many seconds before him, lower takes the loss of before a cut for that behind it.
const OLDEST: Duration = Duration::from_secs(4);

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

/// With each report so much of what the stream carried is forgotten: after a time without pictures it seems to carry
/// nothing, and any line would be wide. Lower limits for longer who goes over to a smaller layer, higher believes in a
/// camera that has just come back.
const FORGETS: f64 = 0.05;

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
    /// The part of its stream that comes through, by the last report, in bytes a second.
    comes: Option<f64>,
    /// The shortest round trip, which slowly follows longer ones: a path may change.
    nearest: Option<Duration>,
    /// Loss that was as high when less was sent: not of the line's width.
    bad: f64,
    /// How loud reports said of late that the line is too narrow, with a sign of a queue.
    narrow: f64,
    /// Reports in a row that said so without one.
    loud: u32,
    /// Bytes of pictures that the stream has in a second, at its most of late.
    stream: f64,
    /// Since when something is under way that no usable report has told of.
    untold: Option<Instant>,
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
    /// The queue that cuts in a row shall drain.
    standing: Option<Standing>,
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
    /// The limit began with it, on trial: nothing but much loss says that the line is narrow. It is given up again where the
    /// whole round trip is no queue.
    trial: bool,
    /// Reports that may still say that it changed nothing before that is believed.
    doubts: u32,
}

/// A queue that is not drained yet.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// How long it was at the first cut, and what was sent before that.
    queue: Duration,
    rate: f64,
    cuts: u32,
}

impl Line {
    /// Bytes of pictures that it is to be sent in a second at the most, if it is limited.
    pub(super) fn limit(&self) -> Option<u32> {
        self.limit.as_ref().map(|limit| limit.rate as u32)
    }

    /// Bytes of pictures that are known to come through in a second. Nothing before the second report.
    pub(super) fn carries(&self) -> Option<u32> {
        self.limit().or(self.comes.map(|comes| comes as u32))
    }

    /// Something is sent under the limit. Returns whether the limit went, because nothing is told of such for too long.
    pub(super) fn sends(&mut self, now: Instant) -> bool {
        if self.limit.is_none() {
            return false;
        }
        let since = *self.untold.get_or_insert(now);
        let goes = now.saturating_duration_since(since) >= SILENT;
        if goes {
            self.lift(Some(now));
        }
        goes
    }

    /// The viewer is somewhere else: what its path was like tells nothing of the new one.
    pub(super) fn moved(&mut self) {
        (self.nearest, self.bad) = (None, 0.0);
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
        self.stream = (stream as f64).max(self.stream * (1.0 - FORGETS));
        let passed = told.passed.as_secs_f64();
        let nothing_lost = told.loss <= LOSS && self.limit.is_some();
        if passed == 0.0 || (told.passed > OUTAGE && !nothing_lost) {
            return None;
        }
        self.untold = None;
        let sent = f64::from(told.sent) / passed;
        let delivered = sent * (1.0 - told.loss);
        // Not what was sent in this one second, which may be one of small pictures.
        self.comes = Some(stream as f64 * (1.0 - told.loss));
        let queue = self.queue(told.round_trip);
        let queued = queue > QUEUE;
        let lossy = told.loss > LOSS + 1.5 * self.bad;
        if told.loss < self.bad {
            self.bad += (told.loss - self.bad) * 0.05;
        }
        if self.limit.is_some() {
            return self.follow(now, told, delivered, lossy, queue);
        }
        let signs = queued || estimate.is_some_and(|estimate| estimate < sent);
        self.loud = if told.loss > LOUD + 1.5 * self.bad { self.loud + 1 } else { 0 };
        self.narrow = match (lossy && signs, self.loud > 0) {
            (true, true) => f64::from(CERTAIN),
            (true, false) => self.narrow + f64::from(CERTAIN) / 2.0,
            _ => self.narrow * REMAINS,
        };
        if self.narrow < f64::from(CERTAIN) && self.loud < CERTAIN {
            return None;
        }
        let signs = self.narrow >= f64::from(CERTAIN);
        let doubts = if signs { 0 } else { DOUBTS };
        self.begin(now, told, delivered * BELOW, Cut { rate: sent, loss: told.loss, trial: !signs, doubts });
        Some(drain(queue))
    }

    /// What a report changes for who is limited.
    fn follow(
        &mut self,
        now: Instant,
        told: Told,
        delivered: f64,
        lossy: bool,
        queue: Duration,
    ) -> Option<Duration> {
        let limit = self.limit.as_mut().filter(|limit| now >= limit.settled.0)?;
        let mut queued = queue > QUEUE && now >= limit.settled.1;
        if now >= limit.settled.1 {
            limit.standing = limit.standing.filter(|stands| queue >= stands.queue.mul_f64(STAYS));
        }
        if queued
            && !lossy
            && let Some(stands) = limit.standing.take_if(|stands| stands.cuts >= STANDS)
        {
            // Less was sent, and as much of it waited.
            self.nearest = self.nearest.map(|nearest| nearest + queue);
            queued = false;
            limit.undo(stands.rate);
            (limit.rest, limit.next_step) = (REST.0, now);
        }
        if let Some(cut) = limit.cut.take()
            && told.loss > cut.loss / 2.0
            && !queued
            && lossy
        {
            // Less was sent, and as much of it was lost.
            if let Some(doubts) = cut.doubts.checked_sub(1) {
                limit.cut = Some(Cut { doubts, ..cut });
                return None;
            }
            self.bad = self.bad.max(told.loss);
            if cut.trial && told.round_trip.is_some_and(|round_trip| round_trip < QUEUE) {
                self.lift(None);
                return None;
            }
            limit.undo(cut.rate);
        } else if lossy || queued {
            limit.cut(now, told, delivered, queue);
            return Some(drain(queue));
        } else if now >= limit.next_step {
            limit.step(now, self.stream);
        }
        if limit.wide_since.is_some_and(|since| now.saturating_duration_since(since) >= self.hold) {
            self.lift(Some(now));
        }
        None
    }

    /// It is limited no more, `opened` then if it was rightly limited.
    fn lift(&mut self, opened: Option<Instant>) {
        (self.limit, self.narrow, self.loud, self.untold) = (None, 0.0, 0, None);
        self.opened = opened.or(self.opened);
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

    fn begin(&mut self, now: Instant, told: Told, rate: f64, cut: Cut) {
        let soon = self.opened.is_some_and(|at| now.saturating_duration_since(at) < SOON);
        self.hold = if soon { (self.hold * 2).min(HOLD.1) } else { HOLD.0 };
        self.limit = Some(Limit {
            rate: rate.max(FLOOR),
            ceiling: None,
            cut: Some(cut),
            standing: None,
            settled: settled(now, told),
            next_step: now + REST.0,
            rest: REST.0,
            last_step: None,
            wide_since: None,
        });
    }
}

impl Limit {
    /// It was too much.
    fn cut(&mut self, now: Instant, told: Told, delivered: f64, queue: Duration) {
        let before = self.rate;
        self.rate = (delivered * BELOW).clamp(before * CUT.0, before * CUT.1).max(FLOOR);
        self.ceiling = Some(before);
        let tried = self.last_step.is_some_and(|at| now.saturating_duration_since(at) < FAULT);
        self.rest = if tried { (self.rest * 2).min(REST.1) } else { REST.0 };
        self.next_step = now + self.rest;
        self.settled = settled(now, told);
        self.cut = Some(Cut { rate: before, loss: told.loss, trial: false, doubts: 0 });
        if queue > QUEUE {
            let stands = self.standing.get_or_insert(Standing { queue, rate: before, cuts: 0 });
            stands.cuts += 1;
        }
        self.wide_since = None;
    }

    /// It was not too much: the cut was wrong.
    fn undo(&mut self, before: f64) {
        (self.rate, self.ceiling) = (self.rate.max(before), None);
    }

    /// Nothing was too much: tries a little more. Who was found wide stays so when his stream becomes larger.
    fn step(&mut self, now: Instant, stream: f64) {
        let wide = (WIDE * stream).max(FLOOR);
        if self.wide_since.is_some() {
            self.rate = self.rate.max(wide);
            return;
        }
        let near = self.ceiling.is_some_and(|ceiling| self.rate > ceiling * NEAR.0);
        self.rate = (self.rate * if near { STEPS.1 } else { STEPS.0 }).min(self.rate.max(wide));
        self.last_step = Some(now);
        if self.ceiling.is_some_and(|ceiling| self.rate > ceiling * NEAR.1) {
            (self.ceiling, self.rest) = (None, REST.0);
        }
        if self.rate >= wide {
            self.wide_since = Some(now);
        }
    }
}

/// From when on reports tell of loss and of round trips since a cut now.
fn settled(now: Instant, told: Told) -> (Instant, Instant) {
    let old = now + told.round_trip.unwrap_or_default().min(OLDEST);
    (old + SETTLES.0, old.max(now + SETTLES.1))
}

/// Pause that drains such a queue.
fn drain(queue: Duration) -> Duration {
    if queue > QUEUE { queue.min(DRAIN_MAX) } else { DRAIN }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
