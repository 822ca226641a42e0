//! Whether a source's clock can be used: whether its timestamps pass as time does.
//!
//! Owns that verdict, both ways. Compares steps of timestamps with those of arrival, never single ones: a network
//! delays, and makes up for it in bursts.

use std::time::Duration;

use super::nanos;

/// What one look at the clock spans at least: time of arrival, and units.
///
/// Lowering either takes the jitter of few units for the clock's rate; raising it leaves viewers longer with
/// timestamps that do not fit. A camera of one picture in 4 s needs 40 s for one look.
const WINDOW: Duration = Duration::from_secs(1);
/// See [`WINDOW`].
const WINDOW_UNITS: u32 = 10;

/// As much of the time without a unit counts where a clock may be slow.
///
/// Most of a longer time is a stall, which the burst behind it makes up for. Lowering it is lenient with slow clocks
/// of few pictures a second; raising it lets a stall count for more than the pictures around it.
const MOST_OF_A_GAP: Duration = Duration::from_millis(500);

/// A rate off by this factor, in every window of a row, is wrong when source and arrival have gone apart by
/// [`APART`]; with [`FAR_OFF`] when they have by [`FAR_APART`].
///
/// A network at its limit makes a good clock look slow for as long as a camera keeps pictures back, and fast when it
/// gives them out: some seconds' worth. Lowering these takes that for a bad clock; raising them is slow to help.
const OFF: (i128, i128) = (3, 2);
/// See [`OFF`].
const APART: Duration = Duration::from_secs(8);
/// Ten thousand ticks a second are off by nine; milliseconds by ninety; a clock that stands still by more.
const FAR_OFF: i128 = 8;
/// See [`OFF`].
const FAR_APART: Duration = Duration::from_secs(2);

/// A clock is wrong, or right again, after so many windows in a row at the least.
///
/// The group of pictures that a recorder sends at the start, or what a stall held back, fills one window or the
/// edges of two. Lowering the first takes it for a fast clock; lowering the second lets a clock that is right now
/// and then change the timeline often.
const ROW: u32 = 3;
/// See [`ROW`].
const ROW_BACK: u32 = 10;

/// The watch on a source's clock. All times are in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Fit {
    unfit: bool,
    window: Window,
    /// The verdict on the last windows, how many in a row had it, and how far source and arrival went apart in them.
    verdict: Option<Verdict>,
    row: u32,
    apart: i128,
    /// Whether all of the row was far off.
    far: bool,
}

/// What was added up since the last look.
#[derive(Debug, Default)]
struct Window {
    units: u32,
    /// Units whose timestamp jumped.
    jumps: u32,
    /// Units that have the timestamp of the one before.
    still: u32,
    /// Time by the source.
    source: i128,
    /// Time by arrival, and that with gaps cut short.
    arrival: i128,
    flowing: i128,
    /// By how much units were ahead of the earliest ones before. A burst is not: it makes up for a delay.
    ahead: i128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fits,
    Slow,
    Fast,
    /// Most timestamps have nothing to do with those before.
    Wild,
}

/// One unit's part in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Time since the highest timestamp before, by the source; negative where it goes back.
    pub(super) source: i128,
    /// Time since the unit before, by arrival.
    pub(super) arrival: i128,
    /// How much earlier it came than the least delay so far lets it.
    pub(super) ahead: i128,
    /// It jumped.
    pub(super) jumped: bool,
}

impl Fit {
    /// Whether timestamps have to follow arrival.
    pub(super) fn is_unfit(&self) -> bool {
        self.unfit
    }

    /// The source reconnected. What was found of its clock stays: it is the same camera's, as a rule.
    pub(super) fn restart(&mut self) {
        *self = Fit { unfit: self.unfit, ..Fit::default() };
    }

    /// Takes the next unit.
    pub(super) fn note(&mut self, step: Step) {
        let window = &mut self.window;
        window.units += 1;
        window.arrival += step.arrival;
        window.flowing += step.arrival.min(nanos(MOST_OF_A_GAP));
        if step.jumped {
            // Bridged by the time that passed, which says nothing of the rate.
            window.jumps += 1;
            window.source += step.arrival;
        } else {
            window.still += u32::from(step.source == 0);
            window.source += step.source.max(0);
            window.ahead += step.ahead.max(0);
        }
        if window.flowing < nanos(WINDOW) || window.units < WINDOW_UNITS {
            return;
        }
        let window = std::mem::take(window);
        self.judge(&window);
    }

    fn judge(&mut self, window: &Window) {
        let verdict = window.verdict();
        if verdict != self.verdict || verdict.is_none() {
            (self.verdict, self.row, self.apart, self.far) = (verdict, 0, 0, true);
        }
        let Some(verdict) = verdict else { return };
        self.row = self.row.saturating_add(1);
        let (apart, far) = window.apart(verdict);
        self.apart += apart;
        self.far &= far;
        let limit = if self.far { FAR_APART } else { APART };
        match verdict {
            Verdict::Fits if self.row >= ROW_BACK => self.unfit = false,
            Verdict::Fits => {}
            // No network does that.
            Verdict::Slow if window.still == window.units => self.unfit = true,
            Verdict::Wild if self.row >= ROW => self.unfit = true,
            Verdict::Slow | Verdict::Fast if self.row >= ROW && self.apart >= nanos(limit) => {
                self.unfit = true;
            }
            _ => {}
        }
    }
}

impl Window {
    /// `None` where it can be told neither way.
    fn verdict(&self) -> Option<Verdict> {
        let (more, less) = OFF;
        if 2 * self.jumps > self.units {
            Some(Verdict::Wild)
        } else if self.source * more < self.flowing * less {
            Some(Verdict::Slow)
        } else if self.source * less > self.arrival * more && self.ahead * more > self.arrival {
            Some(Verdict::Fast)
        } else if (self.source - self.arrival).abs() * 4 < self.arrival && self.jumps == 0 {
            Some(Verdict::Fits)
        } else {
            None
        }
    }

    /// How far source and arrival went apart in it, and whether the rate is far off.
    fn apart(&self, verdict: Verdict) -> (i128, bool) {
        match verdict {
            Verdict::Slow => (self.flowing - self.source, self.source * FAR_OFF < self.flowing),
            Verdict::Fast => (self.ahead, false),
            Verdict::Fits | Verdict::Wild => (0, false),
        }
    }
}

/// Time by arrival, smoothed: what units get instead of their timestamps.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// Nanoseconds from a unit to the next, on average.
    interval: i128,
}

/// Of what arrival tells, this part is believed at once; of a network's jitter as much is seen.
///
/// Raising it smooths more and lets times lag behind arrival where the rate of pictures changes.
const SMOOTHING: i128 = 8;

/// A unit later than this is not put into the rhythm of those before.
const SNAP: Duration = Duration::from_secs(1);

impl Arrivals {
    /// Units that come `interval` after each other, for a start.
    pub(super) fn new(interval: i128) -> Arrivals {
        Arrivals { interval: interval.min(nanos(SNAP)) }
    }

    /// How much later than the one before, whose place was `behind` before this one's arrival, a unit is; its arrival
    /// was `gap` after that one's. Never later than its arrival.
    pub(super) fn step(&mut self, behind: i128, gap: i128) -> i128 {
        // A stall is no rhythm.
        let gap = gap.min(4 * self.interval.max(nanos(MOST_OF_A_GAP) / 4));
        self.interval += (gap - self.interval) / SMOOTHING;
        if behind >= nanos(SNAP) {
            return behind;
        }
        let step = self.interval + (behind - self.interval) / SMOOTHING;
        step.clamp(0, behind.max(0))
    }
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
