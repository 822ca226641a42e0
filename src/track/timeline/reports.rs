//! What a source says of its clock: the NTP time of a timestamp, in its sender reports (RFC 3550 §6.4.1).
//!
//! Owns how much of that is believed. Times of a source's own clock are compared with each other only: whether that
//! clock is right does not matter here.

use std::time::{Duration, Instant};

use super::{NANOS_PER_SECOND, nanos, nanos_between};

/// By so much may two reports in a row differ in what they say of one moment: more is a jump. Cameras report the time of
/// sending with the timestamp of the last picture, so it has to be more than the time between two pictures; lowering
/// it takes those for liars, raising it believes a clock that is put right in small steps.
const JUMP: Duration = Duration::from_millis(300);

/// A report is about a moment that is at most this far from its arrival; otherwise its timestamp is not one of this
/// track. Raising it believes more of those, lowering it disbelieves cameras behind slow lines.
const FAR: Duration = Duration::from_secs(5);

/// A moment on a source's own clock: as 32.32 bits of seconds, which wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceTime(pub u64);

impl SourceTime {
    /// Nanoseconds from `earlier`, negative if it is later; right over any wrap within 68 years.
    pub fn since(self, earlier: SourceTime) -> i128 {
        let difference = self.0.wrapping_sub(earlier.0).cast_signed();
        (i128::from(difference) * NANOS_PER_SECOND) >> 32
    }

    /// The moment so much later.
    pub fn later(self, time: Duration) -> SourceTime {
        self.after(nanos(time))
    }

    /// The moment `nanos` later.
    fn after(self, nanos: i128) -> SourceTime {
        SourceTime(self.0.wrapping_add(((nanos << 32) / NANOS_PER_SECOND) as u64))
    }
}

/// A moment by both clocks: when it was by ours, and by the source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// As the least delay has it.
    pub captured: Instant,
    /// As the source says.
    pub time: SourceTime,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// It says what the one before says.
    Agrees,
    /// It is the first, or contradicts the one before: the next one will tell.
    New,
    /// It says no time.
    Untimed,
    /// It is about no moment of this track: its timestamp is far from those of the packets, up to half of all there are.
    Astray,
}

/// The reports of one track.
#[derive(Debug, Default)]
pub(super) struct Reports {
    line: Option<Line>,
    /// The last two say the same.
    agree: bool,
}

/// What time a timestamp has.
#[derive(Debug, Clone, Copy)]
struct Line {
    source: i64,
    time: SourceTime,
}

impl Reports {
    /// Takes a report that came at `received` about `source`, which was captured at `captured` if that can be told.
    pub(super) fn take(
        &mut self,
        (source, time): (i64, SourceTime),
        captured: Option<Instant>,
        received: Instant,
        clock_rate: i128,
    ) -> Reported {
        let is_far = captured.is_some_and(|at| nanos_between(at, received).abs() > nanos(FAR));
        // A clock that is not set gives no seconds, or none that count.
        let is_untimed = time.0 >> 32 == 0;
        if is_untimed || is_far {
            *self = Reports::default();
            return if is_untimed { Reported::Untimed } else { Reported::Astray };
        }
        let off = self.time_of(source, clock_rate).map(|expected| time.since(expected).abs());
        self.agree = off.is_some_and(|off| off <= nanos(JUMP));
        self.line = Some(Line { source, time });
        if self.agree { Reported::Agrees } else { Reported::New }
    }

    /// The timestamp that the last report was about, and its time.
    pub(super) fn last(&self) -> Option<(i64, SourceTime)> {
        self.line.map(|line| (line.source, line.time))
    }

    /// The time of the unit at `source`, if reports agree about it.
    pub(super) fn believed(&self, source: i64, clock_rate: i128) -> Option<SourceTime> {
        self.time_of(source, clock_rate).filter(|_| self.agree)
    }

    fn time_of(&self, source: i64, clock_rate: i128) -> Option<SourceTime> {
        let line = self.line?;
        let ticks = i128::from(source) - i128::from(line.source);
        Some(line.time.after(ticks * NANOS_PER_SECOND / clock_rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: i128 = 90_000;

    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn now() -> Instant {
        Instant::now() + Duration::from_secs(100)
    }

    fn seconds(seconds: f64) -> SourceTime {
        SourceTime((seconds * 4_294_967_296.0) as u64)
    }

    #[test]
    fn times_have_differences_either_way_and_over_the_wrap_of_2036() {
        let (a, b) = (seconds(3_900_000_000.5), seconds(3_900_000_002.0));
        assert_eq!((b.since(a), a.since(b)), (1_500_000_000, -1_500_000_000));
        let (last, first) = (SourceTime(u64::MAX - (1 << 31) + 1), SourceTime(1 << 31));
        assert_eq!(first.since(last), NANOS_PER_SECOND);
        assert_eq!(last.after(NANOS_PER_SECOND), first);
        assert_eq!(first.after(-NANOS_PER_SECOND), last);
    }

    #[test]
    fn two_reports_that_agree_tell_the_time_of_what_lies_between_and_behind() {
        let (mut reports, now) = (Reports::default(), now());
        assert_eq!(reports.take((0, seconds(1_000.0)), Some(now), now, RATE), Reported::New);
        assert_eq!(reports.believed(0, RATE), None, "one may be anything");
        // Ten milliseconds off: a clock that drifts, or a report of the last picture.
        let second = reports.take((450_000, seconds(1_005.01)), Some(now), now, RATE);
        assert_eq!(second, Reported::Agrees);
        let time = reports.believed(450_000 + 90_000, RATE).expect("believed");
        assert!((time.since(seconds(1_006.01))).abs() < 1_000);
        let time = reports.believed(450_000 - 45_000, RATE).expect("before it, too");
        assert!((time.since(seconds(1_004.51))).abs() < 1_000);
    }

    #[test]
    fn a_clock_that_is_put_right_is_believed_again_by_the_second_report_behind() {
        let (mut reports, now) = (Reports::default(), now());
        let mut take = |source, time| reports.take((source, seconds(time)), Some(now), now, RATE);
        take(0, 1_000.0);
        assert_eq!(take(450_000, 1_005.0), Reported::Agrees);
        assert_eq!(take(900_000, 3_900_000_010.0), Reported::New);
        assert_eq!(take(1_350_000, 3_900_000_015.0), Reported::Agrees);
    }

    #[test]
    fn reports_without_a_time_or_about_no_moment_of_the_track_are_no_use() {
        let (mut reports, now) = (Reports::default(), now());
        reports.take((0, seconds(1_000.0)), None, now, RATE);
        assert_eq!(reports.take((450_000, seconds(0.7)), Some(now), now, RATE), Reported::Untimed);
        assert_eq!(reports.last(), None, "what was before is not trusted either");
        let far = now - Duration::from_secs(20);
        assert_eq!(reports.take((0, seconds(1_000.0)), Some(far), now, RATE), Reported::Astray);
    }
}
