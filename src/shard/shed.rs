//! Who goes without media when it does not suffice for all: the newest, so that those who watch go on watching.
//!
//! Owns how many of a shard's viewers are served, in the order in which they joined. More work than can be done
//! is more over time, not for a moment: trains wait, and more was asked for in the last seconds than is being
//! done. Then as many of the newest are cut as it takes, at once; they come back in steps while nothing waits, the
//! later the oftener that went wrong. What came at once after a silence was asked for over the time of that, and a time
//! in which the thread did not run is none in which anything could be done. Who goes without for too long is given up,
//! so that he is told instead of left with a picture that stands still. A key frame that comes late, or a socket that stands still, cuts nobody.
//! Knows no viewer and no train, reads no clock.

use std::time::{Duration, Instant};

/// Trains that wait for this long are a reason to ask whether there is too much to do. Half of what a train may wait
/// at the most, so that those who stay lose nothing; lower takes a busy moment for overload.
const LATE: Duration = Duration::from_millis(250);

/// Nothing waits for longer than this where all is done in time.
const CAUGHT_UP: Duration = Duration::from_millis(10);

/// What waits is made up for slowly after a cut. In the [`FAULT`] after it there is another one only where trains wait
/// for so much longer. Less cuts again for what the first one will do; more lets trains wait too long.
const LATER: Duration = Duration::from_millis(50);

/// What is asked for is averaged over [`SLOTS`] of these: two seconds, a usual group of pictures. Less takes a key
/// frame for overload; more finds out later, when trains have waited too long.
const SLOT: Duration = Duration::from_micros(62_500);
const SLOTS: usize = 32;

/// Where something waits, the thread looks every few milliseconds. So long without a look it did not run (the process was
/// stopped, or the machine): that says nothing of what can be done. Shorter takes a busy core for it and sheds too late;
/// longer takes more of a pause for too much work.
const PAUSE: Duration = Duration::from_millis(100);

/// Part of what can be done that is given out when viewers are cut: the rest makes up for what waits. Lower cuts
/// more than need be, higher leaves those who stay with the delay.
const GIVEN_OUT: f64 = 0.95;

/// Time between steps of coming back. Shorter ones do not see the key frame that the last step brought.
const STEP: Duration = Duration::from_secs(1);

/// The first step is one part in so many of those who are served; each that goes well doubles the next. Fewer parts
/// risk more of those who stay, more keep viewers waiting after a short overload.
const FIRST_STEP: usize = 16;

/// A cut so soon after a step is that step's fault: the next is tried after twice the time, at most [`REST_MAX`].
const FAULT: Duration = Duration::from_secs(8);
const REST_MAX: Duration = Duration::from_secs(64);

/// Who goes without for so long is given up. Less ends sessions for a scene with much motion that passes; more leaves viewers
/// before a picture that stands still, and nobody tells them why.
const PATIENCE: Duration = Duration::from_secs(10);

/// Cost of trains times their viewers, in one [`SLOT`].
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    asked: u64,
    done: u64,
}

/// A connected viewer.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Grows with each that joins.
    number: u64,
    /// Where it sits.
    slot: usize,
    /// Since when it goes without.
    since: Option<Instant>,
}

/// Which of a shard's viewers are served.
#[derive(Debug)]
pub(super) struct Shed {
    /// Connected viewers, oldest first.
    order: Vec<Place>,
    /// How many of them are served; `usize::MAX` for all that come.
    served: usize,
    slots: [Slot; SLOTS],
    /// The slot that goes on, and since when.
    current: usize,
    began: Option<Instant>,
    /// Since when something waits.
    behind: Option<Instant>,
    /// When the thread ran again after a pause.
    resumed: Option<Instant>,
    /// What comes now: when something had come last before it, and when it began to come.
    burst: Option<(Instant, Instant)>,
    /// When something came last.
    heard: Option<Instant>,
    step: usize,
    rest: Duration,
    /// The last cut, and from how much lateness on there is another soon after it.
    last_cut: Option<(Instant, Duration)>,
    /// Those who came back with the last step may have begun: a keyframe came.
    begun: bool,
    next_step: Option<Instant>,
    last_step: Option<Instant>,
    looked: Option<Instant>,
    /// A period of [`STEP`]: since when, whether nothing waited once, for how long something did, and the longest that
    /// a train had waited.
    period: Option<Instant>,
    caught_up: bool,
    waited: Duration,
    longest: Duration,
}

impl Default for Shed {
    fn default() -> Shed {
        Shed {
            order: Vec::new(),
            served: usize::MAX,
            slots: [Slot::default(); SLOTS],
            current: 0,
            began: None,
            behind: None,
            resumed: None,
            burst: None,
            heard: None,
            step: 1,
            rest: STEP,
            last_cut: None,
            begun: false,
            next_step: None,
            last_step: None,
            looked: None,
            period: None,
            caught_up: false,
            waited: Duration::ZERO,
            longest: Duration::ZERO,
        }
    }
}

impl Shed {
    /// The viewer that sits in `slot` connected; `number` grows with each that joins.
    pub(super) fn connected(&mut self, number: u64, slot: usize) {
        let place = self.order.partition_point(|other| other.number < number);
        self.order.insert(place, Place { number, slot, since: None });
    }

    /// A viewer is over, if it was connected: the oldest who goes without takes its place.
    pub(super) fn left(&mut self, number: u64) {
        if let Ok(place) = self.order.binary_search_by_key(&number, |place| place.number) {
            self.order.remove(place);
        }
        self.served_again();
        self.settle();
    }

    /// Viewers from this number on go without media.
    pub(super) fn horizon(&self) -> u64 {
        self.order.get(self.served).map_or(u64::MAX, |place| place.number)
    }

    /// How many connected viewers go without.
    pub(super) fn without_media(&self) -> usize {
        self.order.len().saturating_sub(self.served)
    }

    /// The newest viewer, if it is to be given up now: where it sits.
    pub(super) fn gives_up(&self, now: Instant) -> Option<usize> {
        let newest = self.order.last().filter(|_| self.without_media() > 0)?;
        let over = now.saturating_duration_since(newest.since?) >= PATIENCE;
        over.then_some(newest.slot)
    }

    /// A keyframe came: those who wait for one begin.
    pub(super) fn begins(&mut self) {
        self.begun = true;
    }

    /// So much (in bytes, as [`cost_of`](super::fan_out::cost_of) has it) is to be sent to those who are served.
    pub(super) fn asked(&mut self, now: Instant, cost: u64) {
        self.advance(now);
        let heard = self.heard.replace(now).unwrap_or(now);
        let goes_on = |(_, began): &(Instant, Instant)| now.saturating_duration_since(*began) < SLOT;
        let (silent, began) = self.burst.filter(goes_on).unwrap_or((heard, now));
        self.burst = Some((silent, began));
        // What comes at once after a silence is of the time of that: of one picture in a while as of a pause.
        let over = began.saturating_duration_since(silent).as_micros() / SLOT.as_micros();
        let over = (over as usize).min(SLOTS - 1) + 1;
        for back in 0..over {
            self.slots[(self.current + SLOTS - back) % SLOTS].asked += cost / over as u64;
        }
        self.slots[self.current].asked += cost % over as u64;
    }

    /// So much of that was.
    pub(super) fn done(&mut self, cost: u64) {
        self.slots[self.current].done += cost;
    }

    /// The oldest train has waited for `late` beyond its time. A `stalled` socket takes nothing at all: that says
    /// nothing of how much it takes.
    pub(super) fn look(&mut self, now: Instant, late: Duration, stalled: bool) {
        self.advance(now);
        if stalled {
            return;
        }
        self.longest = self.longest.max(late);
        let looked = self.looked.replace(now).unwrap_or(now);
        let passed = now.saturating_duration_since(looked);
        if passed >= PAUSE && (self.behind.is_some() || late >= PAUSE) {
            (self.resumed, self.behind) = (Some(now), None);
        } else if self.behind.is_some() {
            self.waited += passed;
        }
        if late < CAUGHT_UP {
            self.caught_up = true;
            self.behind = None;
        } else {
            let since = now.checked_sub(late).unwrap_or(now);
            self.behind.get_or_insert(self.resumed.map_or(since, |resumed| since.max(resumed)));
        }
        let soon = self.last_cut.filter(|(at, _)| now.saturating_duration_since(*at) < FAULT);
        if late >= soon.map_or(LATE, |(_, later)| later) {
            if let Some(part) = self.sufficient(now).filter(|&part| part < 1.0) {
                self.cut(now, part);
                self.last_cut = Some((now, late + LATER));
            }
        } else if self.without_media() > 0 {
            self.come_back(now);
        }
        self.without_since(now);
    }

    /// Writes down since when they go without: those who were cut are next to those who are served, those who came since at
    /// the end.
    fn without_since(&mut self, now: Instant) {
        let served = self.served.min(self.order.len());
        let (_, without) = self.order.split_at_mut(served);
        without
            .iter_mut()
            .take_while(|place| place.since.is_none())
            .for_each(|place| place.since = Some(now));
        without
            .iter_mut()
            .rev()
            .take_while(|place| place.since.is_none())
            .for_each(|place| place.since = Some(now));
    }

    /// Forgets that of those who are served again: the newest of them.
    fn served_again(&mut self) {
        let served = self.served.min(self.order.len());
        let (served, _) = self.order.split_at_mut(served);
        served
            .iter_mut()
            .rev()
            .take_while(|place| place.since.is_some())
            .for_each(|place| place.since = None);
    }

    /// What can be done as a part of what is asked for, if that can be told.
    fn sufficient(&self, now: Instant) -> Option<f64> {
        let (behind, began) = (self.behind?, self.began?);
        if now.saturating_duration_since(behind) < LATE {
            return None;
        }
        let passed = now.saturating_duration_since(began);
        // The slots that lie in the time since something waits, and the one that goes on.
        let whole = began.saturating_duration_since(behind).as_micros() / SLOT.as_micros();
        let whole = (whole as usize).min(SLOTS - 1);
        let slots = |count| (0..count).map(|back| self.slots[(self.current + SLOTS - back) % SLOTS]);
        let done: u64 = slots(whole + 1).map(|slot| slot.done).sum();
        let done = done as f64 / (SLOT * whole as u32 + passed).as_secs_f64();
        let asked: u64 = slots(SLOTS).map(|slot| slot.asked).sum();
        let asked = asked as f64 / (SLOT * (SLOTS as u32 - 1) + passed).as_secs_f64();
        (done > 0.0 && asked > 0.0).then(|| done / asked)
    }

    /// Serves so few that what they ask for can be done.
    fn cut(&mut self, now: Instant, part: f64) {
        let before = self.served.min(self.order.len());
        if before <= 1 {
            return;
        }
        let after = ((before as f64 * part * GIVEN_OUT) as usize).clamp(1, before - 1);
        self.served = after;
        self.scale(before, after);
        if self.last_step.is_some_and(|at| now.saturating_duration_since(at) < FAULT) {
            self.rest = (self.rest * 2).min(REST_MAX);
        }
        self.last_step = None;
        self.next_step = Some(now + self.rest);
        self.step = (after / FIRST_STEP).max(1);
        self.begin_period(now);
    }

    /// Serves some more if all was well since the last step, or the last look at that.
    fn come_back(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(*self.period.get_or_insert(now));
        if passed < STEP {
            return;
        }
        // With half of the time to spare something has changed: there is no need to rest.
        let spare = self.waited * 2 < passed;
        let well = self.caught_up && self.longest < LATE;
        let due = self.next_step.is_none_or(|at| at <= now);
        self.begin_period(now);
        let part = (self.served / FIRST_STEP).max(1);
        if !well {
            self.step = part;
        } else if self.begun && (due || spare) {
            if spare {
                self.rest = STEP;
                self.step = self.step.max(self.served / 2);
            }
            let before = self.served;
            self.served = before.saturating_add(self.step).min(self.order.len());
            self.scale(before, self.served);
            self.served_again();
            self.step = self.step.saturating_mul(2);
            self.last_step = Some(now);
            (self.next_step, self.begun) = (None, false);
            self.settle();
        }
    }

    /// So many are served now as if it had been so all the time.
    fn scale(&mut self, before: usize, after: usize) {
        for slot in &mut self.slots {
            slot.asked = (slot.asked as f64 * after as f64 / before as f64) as u64;
        }
    }

    fn begin_period(&mut self, now: Instant) {
        self.period = Some(now);
        (self.caught_up, self.longest, self.waited) = (false, Duration::ZERO, Duration::ZERO);
    }

    /// With nobody left to come back it is over.
    fn settle(&mut self) {
        if self.served != usize::MAX && self.without_media() == 0 {
            // A cut that follows may still be the fault of the last step: then `rest` goes on growing.
            self.served = usize::MAX;
            self.next_step = None;
        }
    }

    fn advance(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let slots = now.saturating_duration_since(began).as_micros() / SLOT.as_micros();
        let Ok(slots) = u32::try_from(slots) else {
            // Nothing for years.
            self.began = Some(now);
            return self.slots.fill(Slot::default());
        };
        for _ in 0..slots.min(SLOTS as u32) {
            self.current = (self.current + 1) % SLOTS;
            self.slots[self.current] = Slot::default();
        }
        self.began = Some(began + SLOT * slots);
        // Long without a cut: the next one is nobody's fault.
        if self.without_media() == 0
            && self.last_step.is_some_and(|at| now.saturating_duration_since(at) >= FAULT)
        {
            (self.last_step, self.rest) = (None, STEP);
        }
    }
}

#[cfg(test)]
#[path = "shed_tests.rs"]
mod tests;
