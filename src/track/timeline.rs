//! The timeline of a track: from a source's clock to RTP timestamps that never break, and to the time
//! of capture by ours.
//!
//! Owns the judgement of a source's timestamps (is this a jump? do they pass as time does?) and the estimate of its
//! clock. Never reads a clock: the time of arrival is passed in.

mod clock;
mod fit;
mod reports;
mod shift;

use std::time::{Duration, Instant};

use super::Codec;
use clock::Clock;
use fit::{Arrivals, Fit, Step};
use reports::Reports;
pub use reports::{Moment, Reported, SourceTime};
use shift::Shift;

/// A step back beyond this is a jump; a smaller one is a picture sent out of display order.
///
/// B pictures go back by a few frame intervals: 16 at 25 frames/s are 640 ms. Lowering it takes them for
/// jumps, which disorders pictures; raising it lets a clock that was set back repeat that much time.
const BACKWARD_LIMIT: Duration = Duration::from_secs(1);

/// A unit ahead of its own clock by more than this came from the future: its timestamp jumped forward.
///
/// A source that plays faster than real time in smaller steps is followed. Arrival may make up for an
/// earlier delay, hence the room. Raising it lets jumps through that a player answers with a still
/// picture of that length; lowering it takes the first units after a stall for one.
const EARLY_LIMIT: Duration = Duration::from_secs(2);

/// How fast the estimate of the least delay may grow, in parts per million of time.
///
/// Crystals differ by up to 200 ppm, so it has to be more than that. Raising it lets the delay of a
/// congested network seep into capture times; lowering it loses cameras with bad clocks.
const DELAY_GROWTH_PPM: i64 = 500;

/// Later than this, for [`LATE_PATIENCE`] on end, is not a stall: the source's clock stood still or runs
/// slow, and capture times are set anew. Timestamps go on.
///
/// Raising either reports capture times that are too early for longer; lowering them takes a stall
/// that is being made up for as the new normal.
const LATE_LIMIT: Duration = Duration::from_secs(2);
/// See [`LATE_LIMIT`].
const LATE_PATIENCE: Duration = Duration::from_secs(10);

/// A track without units for so long tells nothing of how late they come: its clock runs on, and is not watched.
const IDLE: Duration = Duration::from_secs(10);

/// Extended timestamps start in the second cycle of 32 bits, so that a step back from the first is one.
const FIRST_CYCLE: u64 = 1 << 32;

/// When a unit of media is, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Extended RTP timestamp in ticks of the codec's clock.
    pub timestamp: u64,
    /// When it was captured: linear in the timestamp, but for what brings it together with another track, and never
    /// later than its arrival.
    pub captured: Instant,
    /// When it was captured by the source's own clock, where its reports agree about that.
    pub time: Option<SourceTime>,
}

/// Maps the timestamps of a source to those of a track.
///
/// Between units the track's timestamps step exactly as the source's do, small steps back included.
/// Where the source's jump ([`restart`](Self::restart), far back, or into the future) the track's go
/// on by the time that passed between the arrivals. Where its clock proves unfit (it stands still, or its rate is far
/// from what it should be) they follow arrival alone, until it fits again.
#[derive(Debug)]
pub struct Timeline {
    clock_rate: i128,
    first_timestamp: u32,
    restarted: bool,
    jumps: u64,
    newest: Option<Newest>,
    fit: Fit,
    by_arrival: Option<Place>,
    clock: Clock,
    reports: Reports,
    shift: Shift,
}

/// Where the last unit was put by its arrival alone.
#[derive(Debug)]
struct Place {
    stamp: Stamp,
    arrivals: Arrivals,
}

/// The unit with the highest timestamp so far: what steps are measured from.
#[derive(Debug)]
struct Newest {
    source: i64,
    timestamp: u64,
    received: Instant,
    /// When the last unit was received, be it the newest or not.
    last_received: Instant,
    /// By the source's clock plus the least delay seen: no unit can arrive before it was captured, so
    /// the fastest ones tell the clocks' offset, and jitter, which only delays, does not.
    captured: Instant,
    late_since: Option<Instant>,
}

impl Timeline {
    /// A timeline in ticks of `codec`, whose first timestamp has the low 32 bits `first_timestamp`.
    pub fn new(codec: impl Into<Codec>, first_timestamp: u32) -> Timeline {
        Timeline {
            clock_rate: codec.into().clock_rate().into(),
            first_timestamp,
            restarted: false,
            jumps: 0,
            newest: None,
            fit: Fit::default(),
            by_arrival: None,
            clock: Clock::default(),
            reports: Reports::default(),
            shift: Shift::default(),
        }
    }

    /// The next unit's timestamp has nothing to do with the ones before it.
    pub fn restart(&mut self) {
        self.restarted = true;
        self.fit.restart();
        self.clock.restart();
        self.reports = Reports::default();
        self.shift = Shift::default();
    }

    /// Takes what the source says: that timestamp `source` was at `time` by its own clock.
    pub fn report(&mut self, source: i64, time: SourceTime, received: Instant) -> Reported {
        let captured = self.captured(source);
        self.reports.take((source, time), captured, received, self.clock_rate)
    }

    /// The moment that the source's last report was about; nothing without one, while timestamps follow arrival, and
    /// where nothing came for a while.
    pub fn moment(&self, now: Instant) -> Option<Moment> {
        let newest = self.newest.as_ref()?;
        if self.is_by_arrival() || now.saturating_duration_since(newest.last_received) > IDLE {
            return None;
        }
        let (source, time) = self.reports.last()?;
        Some(Moment { captured: self.captured(source)?, time })
    }

    /// From now on units are taken for captured this much earlier than the least delay says.
    pub fn shift(&mut self, shift: Duration) {
        self.shift.set(shift);
    }

    /// When timestamp `source` is or was captured, by the least delay.
    fn captured(&self, source: i64) -> Option<Instant> {
        let newest = self.newest.as_ref().filter(|_| !self.restarted)?;
        let ticks = i128::from(newest.source) - i128::from(source);
        Some(earlier(newest.captured, ticks * NANOS_PER_SECOND / self.clock_rate))
    }

    /// Whether timestamps follow arrival, because the source's do not fit.
    pub fn is_by_arrival(&self) -> bool {
        self.by_arrival.is_some()
    }

    /// How often the source's timestamps jumped of themselves, without a [`restart`](Self::restart).
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    /// By how much the source's clock is too fast (negative: too slow), as a part of a second each second, once that
    /// can be told.
    pub fn drift(&self) -> Option<f64> {
        self.clock.drift()
    }

    /// How unevenly the source's units arrive: interarrival jitter as in RFC 3550 §6.4.1, in seconds.
    pub fn jitter(&self) -> Option<f64> {
        self.clock.jitter()
    }

    /// The stamp of a unit with timestamp `source`, in ticks, that arrived at `received`. Call it in the
    /// order of arrival.
    pub fn stamp(&mut self, source: i64, received: Instant) -> Stamp {
        let jumps = self.jumps;
        let stamp = self.place(source, received);
        if self.jumps > jumps {
            // They were about timestamps of before.
            self.reports = Reports::default();
        }
        let captured = earlier(stamp.captured, self.shift.at(received));
        let time = self.reports.believed(source, self.clock_rate).filter(|_| !self.is_by_arrival());
        Stamp { captured, time, ..stamp }
    }

    /// By the least delay.
    fn place(&mut self, source: i64, received: Instant) -> Stamp {
        let Some(newest) = &mut self.newest else {
            let timestamp = FIRST_CYCLE + u64::from(self.first_timestamp);
            self.newest = Some(Newest::anchored(source, timestamp, received));
            self.restarted = false;
            return Stamp::new(timestamp, received);
        };
        let gap = received.saturating_duration_since(std::mem::replace(&mut newest.last_received, received));
        let by_source = self.by_source(source, nanos(gap), received);
        if !self.fit.is_unfit() {
            let Some(place) = self.by_arrival.take() else { return by_source };
            // The clock fits again: it goes on from where arrival led.
            let stamp = place.onward(received, self.clock_rate);
            self.newest = Some(Newest::anchored(source, stamp.timestamp, received));
            return stamp;
        }
        let clock_rate = self.clock_rate;
        let place = match &mut self.by_arrival {
            Some(place) => {
                place.move_on(nanos(gap), received, clock_rate);
                place
            }
            // It goes on behind the last that the source had its say in.
            none => {
                let newest = self.newest.as_ref().map_or(0, |newest| newest.timestamp);
                let timestamp = newest.max(by_source.timestamp) + 1;
                none.insert(Place {
                    stamp: Stamp { timestamp, ..by_source },
                    arrivals: Arrivals::new(nanos(gap)),
                })
            }
        };
        place.stamp
    }

    /// By the source's clock. `gap` is the time since the last arrival.
    fn by_source(&mut self, source: i64, gap: i128, received: Instant) -> Stamp {
        let restarted = std::mem::take(&mut self.restarted);
        let newest = self.newest.get_or_insert(Newest::anchored(source, FIRST_CYCLE, received));
        let ticks = i128::from(source) - i128::from(newest.source);
        let step = ticks * NANOS_PER_SECOND / self.clock_rate;
        let delay = nanos_between(newest.captured, received) - step;
        let jumped = step < -nanos(BACKWARD_LIMIT) || delay < -nanos(EARLY_LIMIT);
        if !restarted {
            self.fit.note(Step { source: step, arrival: gap, ahead: -delay, jumped });
        }
        if restarted || jumped {
            self.jumps += u64::from(!restarted);
            let passed = received.saturating_duration_since(newest.received);
            let passed_ticks = nanos(passed) * self.clock_rate / NANOS_PER_SECOND;
            let timestamp = newest.timestamp + (passed_ticks as u64).max(1);
            *newest = Newest::anchored(source, timestamp, received);
            self.clock.restart();
            return Stamp::new(timestamp, received);
        }

        // Small by the check above, or as large as the time that really passed.
        let timestamp = newest.timestamp.saturating_add_signed(ticks as i64);
        let correction = if ticks > 0 { newest.correction(step, delay, received) } else { 0 };
        let captured = earlier(received, (delay - correction).max(0));
        // A unit that goes back tells nothing new: it arrived later than the newest, captured earlier.
        if ticks > 0 {
            self.clock.note(step, nanos_between(newest.received, received));
            let late_since = newest.late_since;
            *newest = Newest { source, timestamp, received, captured, late_since, last_received: received };
        }
        Stamp::new(timestamp, captured)
    }
}

impl Stamp {
    /// By our clock alone.
    fn new(timestamp: u64, captured: Instant) -> Stamp {
        Stamp { timestamp, captured, time: None }
    }
}

impl Place {
    /// The place of a unit that arrived at `received`, `gap` after the one before.
    fn move_on(&mut self, gap: i128, received: Instant, clock_rate: i128) {
        let behind = nanos_between(self.stamp.captured, received);
        let step = self.arrivals.step(behind, gap);
        let ticks = (step * clock_rate / NANOS_PER_SECOND).max(1);
        // By whole ticks, so that the rest is not lost. More than one unit a tick is a burst that ends.
        let captured = earlier(received, (behind - ticks * NANOS_PER_SECOND / clock_rate).max(0));
        self.stamp = Stamp::new(self.stamp.timestamp + ticks as u64, captured);
    }

    /// The stamp of a unit by its arrival at `received` and nothing else.
    fn onward(&self, received: Instant, clock_rate: i128) -> Stamp {
        let passed = nanos_between(self.stamp.captured, received) * clock_rate / NANOS_PER_SECOND;
        Stamp::new(self.stamp.timestamp + (passed.max(1) as u64), received)
    }
}

impl Newest {
    fn anchored(source: i64, timestamp: u64, received: Instant) -> Newest {
        Newest { source, timestamp, received, last_received: received, captured: received, late_since: None }
    }

    /// By how much to move the estimate for a unit that came `step` after this one and `delay` after
    /// its estimated capture, both in nanoseconds: down at once, up slowly.
    fn correction(&mut self, step: i128, delay: i128, received: Instant) -> i128 {
        if delay <= nanos(LATE_LIMIT) {
            self.late_since = None;
        } else if received.saturating_duration_since(*self.late_since.get_or_insert(received)) > LATE_PATIENCE
        {
            self.late_since = None;
            return delay;
        }
        // The shorter of both clocks: neither a stall nor the burst after it gives time to grow.
        let passed = step.min(nanos_between(self.received, received)).max(0);
        delay.min(passed * i128::from(DELAY_GROWTH_PPM) / 1_000_000)
    }
}

const NANOS_PER_SECOND: i128 = 1_000_000_000;

fn nanos(duration: Duration) -> i128 {
    // Fits: a Duration has less than 2^94 nanoseconds.
    duration.as_nanos() as i128
}

/// Nanoseconds from `a` to `b`, negative if `b` is earlier.
fn nanos_between(a: Instant, b: Instant) -> i128 {
    nanos(b.saturating_duration_since(a)) - nanos(a.saturating_duration_since(b))
}

/// `instant` less `nanos`, which may be negative; `instant` itself where that cannot be expressed.
fn earlier(instant: Instant, nanos: i128) -> Instant {
    let distance = Duration::from_nanos(nanos.unsigned_abs().try_into().unwrap_or(u64::MAX));
    let moved = if nanos < 0 { instant.checked_add(distance) } else { instant.checked_sub(distance) };
    moved.unwrap_or(instant)
}

#[cfg(test)]
mod tests;
