//! One track as one viewer gets it: which trains, under which sequence numbers and timestamps.
//!
//! Owns the state of that (waiting for a keyframe, on the way to the live edge, live), the next sequence
//! number, how live frames go on behind rewritten timestamps, and the way from one layer of the stream to another: under
//! the same numbers, on one line of time. Which pictures a limited viewer gets, `thin` decides. Keeps nothing per packet,
//! never touches the engine and never seals.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_media::srtp::PacketIndex;

use super::Rings;
use super::budget::{Budget, KeyframeAnswer, Replay};
use super::catch_up::{self, CatchUp, Then};
use super::runs::{By, Rewritten, Runs};
pub use super::runs::{Forward, Repair};
use super::thin::{LeftOut, Portion, Thin};
use super::time::{Shift, ViewerTime};
use crate::fault::{Site, strikes};
use crate::track::{Recent, TrackSeq, Train};

/// A track whose newest train is older than this has no keyframe to offer: the player misses pictures
/// because the source is silent, and would only see the past again.
const STALE: Duration = Duration::from_secs(1);

/// Ticks between frames that are lifted above rewritten timestamps.
const LIFT: u32 = 1;

/// What was sent last: its timestamp on the wire, and when that was captured.
pub(super) type Newest = Option<(u32, Instant)>;

/// The state of one track for one viewer.
#[derive(Debug)]
pub struct Forwarder {
    state: State,
    /// Which layer it is sent, and where that one's timestamps are.
    by: By,
    /// The viewer's sequence number of the next packet.
    next_sequence: PacketIndex,
    /// The highest timestamp sent so far.
    highest: ViewerTime,
    lift: Lift,
    runs: Runs,
    /// Bytes of pictures that it may be sent in a second, if its line is narrow.
    limit: Option<u32>,
    /// Pictures left out for that.
    left_out: LeftOut,
}

/// Packets of a train that are due, and how the train is sent.
#[derive(Debug)]
pub struct Due {
    /// The train.
    pub train: Arc<Train>,
    /// Which of its packets.
    pub packets: Range<usize>,
    /// How.
    pub forward: Forward,
}

#[derive(Debug)]
enum State {
    /// Nothing goes out until a keyframe comes.
    AwaitKeyframe,
    /// Sending what is in the ring, at a quicker pace and with rewritten timestamps.
    CatchUp(CatchUp),
    /// Every train goes out as it comes; `next` is the track sequence expected.
    Live {
        next: TrackSeq,
        /// The last train did not end its frame.
        mid_frame: bool,
    },
    /// Sending what is in the ring, no faster than the line carries it. Boxed: few are.
    Thin(Box<Thin>),
}

impl Forwarder {
    /// A forwarder that has sent nothing. `first_sequence` below 32,768 keeps the first rollover far
    /// away (RFC 3711 §3.3.1).
    pub fn new(first_sequence: u16) -> Forwarder {
        Forwarder {
            state: State::AwaitKeyframe,
            by: By::default(),
            next_sequence: PacketIndex(first_sequence.into()),
            highest: ViewerTime::default(),
            lift: Lift::default(),
            runs: Runs::default(),
            limit: None,
            left_out: LeftOut::default(),
        }
    }

    /// The extended number of the packet before the next one that has the 16-bit number `sequence`; nothing
    /// if there was none.
    pub(super) fn extend(&self, sequence: u16) -> Option<PacketIndex> {
        self.next_sequence.before(sequence)
    }

    /// The packet that was sent under the extended number `sequence`, if the ring of its layer still has it.
    pub(super) fn repair(&self, sequence: PacketIndex, rings: Rings<'_>) -> Option<Repair> {
        self.runs.find(sequence, rings)
    }

    /// It is sent the layer of that number, of which nothing was sent yet.
    pub(super) fn begin_with(&mut self, layer: u8) {
        self.by.layer = layer;
    }

    /// Goes over to the layer of that number with what its ring has since the last keyframe. Returns whether that was
    /// possible: `false` while half of a picture is out, and where the ring has no keyframe to begin at.
    pub(super) fn switch_to_past(
        &mut self,
        now: Instant,
        layer: u8,
        recent: &Recent,
        newest: Newest,
    ) -> bool {
        let Some(latest) = recent.latest().filter(|_| !self.is_amid_picture(now, newest)) else {
            return false;
        };
        if let Some(rate) = self.limit {
            return self.switch_thin(now, rate, layer, recent, newest);
        }
        let shift = self.shift_of(latest, newest);
        let Some(plan) = CatchUp::plan(now, recent, shift, self.highest) else { return false };
        self.go_over(By { layer, shift });
        self.state = State::CatchUp(plan);
        true
    }

    /// Goes over to the layer of that number, of which it is now the turn of `train`, the first of a keyframe. Returns
    /// whether that was possible.
    pub(super) fn switch_to_live(&mut self, now: Instant, layer: u8, train: &Train, newest: Newest) -> bool {
        let possible = train.keyframe && !self.is_amid_picture(now, newest);
        if possible {
            self.go_over(By { layer, shift: self.shift_of(train, newest) });
            self.state = State::AwaitKeyframe;
        }
        possible
    }

    /// As [`Forwarder::switch_to_past`] for who is limited: with the keyframe itself, unless pictures were shown that are newer.
    fn switch_thin(&mut self, now: Instant, rate: u32, layer: u8, recent: &Recent, newest: Newest) -> bool {
        let Some(next) = recent.since_keyframe() else { return false };
        let first = recent.trains_from(next).next();
        let newer = |train: &&Arc<Train>| newest.is_none_or(|(_, captured)| train.captured > captured);
        let Some(train) = first.filter(newer) else { return false };
        self.go_over(By { layer, shift: self.shift_of(train, newest) });
        self.state = State::Thin(Box::new(Thin::at(now, rate, next, false)));
        true
    }

    fn go_over(&mut self, by: By) {
        self.by = by;
        // What the other layer was shown under must not be gone below.
        self.lift.floor = self.lift.floor.max(self.highest);
        self.lift.lifted = None;
    }

    /// Whether the rest of a picture is about to come: without it that is one that cannot be decoded.
    fn is_amid_picture(&self, now: Instant, newest: Newest) -> bool {
        let amid = match &self.state {
            State::AwaitKeyframe => false,
            State::CatchUp(plan) => plan.mid_frame,
            State::Live { mid_frame, .. } => *mid_frame,
            // What it has in hand it sends, however long that takes.
            State::Thin(thin) => return thin.is_amid(),
        };
        // Of a layer that is silent it never comes.
        amid && newest.is_some_and(|(_, captured)| now.saturating_duration_since(captured) < STALE)
    }

    /// The shift under which a layer's timestamps go on where those that were sent so far would be: as much later as it
    /// was captured later.
    fn shift_of(&self, train: &Train, newest: Newest) -> Shift {
        let Some((timestamp, captured)) = newest else { return self.by.shift };
        let behind = self.highest.wire().wrapping_sub(timestamp) as i32;
        let later = train.captured.saturating_duration_since(captured);
        let earlier = captured.saturating_duration_since(train.captured);
        let ticks =
            |time: Duration| (time.as_micros() * u128::from(train.codec.clock_rate()) / 1_000_000) as i64;
        Shift::to(train, self.highest.moved(ticks(later) - ticks(earlier) - i64::from(behind)))
    }

    /// Its line carries so many bytes of pictures a second, or whatever comes. `recent` is the ring of its layer.
    pub(super) fn limit(&mut self, now: Instant, limit: Option<u32>, recent: &Recent) {
        self.limit = limit;
        let Some(rate) = limit else { return self.hurry(recent) };
        let end = recent.latest().map_or(TrackSeq(0), |latest| latest.end());
        let thin = match &mut self.state {
            State::Thin(thin) => {
                thin.rate = rate;
                return;
            }
            &mut State::Live { next, mid_frame } => Thin::at(now, rate, next, mid_frame),
            State::CatchUp(plan) if plan.mid_frame => return,
            // A line that does not carry the present does not carry the past beside it.
            State::CatchUp(_) | State::AwaitKeyframe => Thin::waiting(now, rate, end),
        };
        self.state = State::Thin(Box::new(thin));
    }

    /// Who was limited and is no more comes to the live edge as quickly as a joiner, whatever his limit was: by that he might
    /// stay behind for ever.
    fn hurry(&mut self, recent: &Recent) {
        if let (State::Thin(thin), None) = (&mut self.state, self.limit) {
            thin.rate = thin.rate.max(catch_up::rate(recent) as u32);
        }
    }

    /// Nothing goes out for so long, if it is limited: its line has a queue.
    pub(super) fn pause(&mut self, now: Instant, time: Duration) {
        if let State::Thin(thin) = &mut self.state {
            thin.pause(now, time);
        }
    }

    /// So many bytes were sent beside the pictures.
    pub(super) fn charge(&mut self, bytes: u64) {
        if let State::Thin(thin) = &mut self.state {
            thin.charge(bytes);
        }
    }

    /// Pictures left out because its line is narrow, so far.
    pub(super) fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Starts with what the ring has since its last keyframe; without one, at the next keyframe.
    pub fn start(&mut self, now: Instant, recent: &Recent) {
        if let Some(plan) = CatchUp::plan(now, recent, self.by.shift, self.highest) {
            self.state = State::CatchUp(plan);
        }
    }

    /// Answers a keyframe request from the ring, as far as the viewer's budget goes.
    pub(super) fn request_keyframe(
        &mut self,
        now: Instant,
        recent: &Recent,
        budget: &mut Budget,
    ) -> KeyframeAnswer {
        let next = match &mut self.state {
            State::AwaitKeyframe => return KeyframeAnswer::Awaited,
            State::CatchUp(plan) if !plan.fails(now) => return KeyframeAnswer::Coalesced,
            State::CatchUp(_) => {
                // More of the same would not arrive either.
                self.state = State::AwaitKeyframe;
                return KeyframeAnswer::Awaited;
            }
            // Half of a frame is out already, and a replay would cut it off.
            State::Live { mid_frame: true, .. } => return KeyframeAnswer::Awaited,
            State::Live { next, .. } => *next,
            State::Thin(thin) => {
                // Nothing goes beside what its line carries.
                let news = thin.request_keyframe(now);
                return if news { KeyframeAnswer::Awaited } else { KeyframeAnswer::Coalesced };
            }
        };
        let fresh = |latest: &Arc<Train>| now.saturating_duration_since(latest.received) < STALE;
        let plan = || CatchUp::plan(now, recent, self.by.shift, self.highest);
        let plan = (recent.latest().is_some_and(fresh) && !strikes(Site::ReplayIsRefused)).then(plan);
        let Some(plan) = plan.flatten().filter(|plan| plan.next < next && !plan.is_still()) else {
            return KeyframeAnswer::Awaited;
        };
        let bytes = recent.bytes_from(plan.next) - recent.bytes_from(next);
        let replay = Replay { keyframe: plan.next, bytes };
        let answer = budget.replay(now, replay, recent.bytes_per_second());
        if answer == KeyframeAnswer::Replayed {
            self.state = State::CatchUp(plan);
        }
        answer
    }

    /// Goes on after a time in which the viewer got nothing. What it has had already counts as sent again.
    pub(super) fn resume(&mut self, now: Instant, recent: &Recent, budget: &mut Budget) {
        match &self.state {
            State::Live { next, .. } if recent.since_keyframe().is_some_and(|keyframe| keyframe >= *next) => {
                self.start(now, recent);
            }
            State::Live { .. } => {
                self.request_keyframe(now, recent, budget);
            }
            // It waits for a keyframe still, or goes on where it was.
            State::AwaitKeyframe | State::CatchUp(_) | State::Thin(_) => {}
        }
    }

    /// When [`Forwarder::poll`] has something to send, if it goes by the ring.
    pub fn due(&self) -> Option<Instant> {
        match &self.state {
            State::CatchUp(plan) => Some(plan.due()),
            State::Thin(thin) => thin.due(),
            _ => None,
        }
    }

    /// Whether `train` goes on with a picture of which the viewer has a part: without it that part is a picture that
    /// cannot be decoded.
    pub fn is_amid(&self, train: &Train) -> bool {
        matches!(self.state, State::Live { next, mid_frame: true } if next == train.sequence)
    }

    /// Whether nothing can be shown before the next keyframe.
    pub(super) fn awaits_keyframe(&self) -> bool {
        matches!(self.state, State::AwaitKeyframe)
    }

    /// Whether it is on its way from a keyframe of the past to the live edge.
    pub(super) fn is_in_past(&self) -> bool {
        matches!(self.state, State::CatchUp(_))
    }

    /// Whether it goes by the ring, no faster than its line.
    pub(super) fn is_thin(&self) -> bool {
        matches!(self.state, State::Thin(_))
    }

    /// It is the turn of a live train. Returns how to send it, or nothing if the viewer does not get
    /// it: a catch-up will reach it in the ring, or has.
    pub fn forward(&mut self, train: &Train) -> Option<Forward> {
        if let Some(rate) = self.limit {
            self.forward_limited(train, rate);
            return None;
        }
        match &mut self.state {
            State::Thin(thin) if thin.is_level(train) || (train.keyframe && !thin.is_amid()) => {
                Some(self.send_live(train))
            }
            State::Thin(thin) => {
                thin.stir();
                None
            }
            // Nobody needs what is between a keyframe and the past before it.
            State::CatchUp(plan) if train.keyframe && !plan.mid_frame && plan.next <= train.sequence => {
                Some(self.send_live(train))
            }
            State::CatchUp(_) => None,
            State::AwaitKeyframe if !train.keyframe => None,
            &mut State::Live { next, .. } if train.sequence < next => None,
            // Trains before this one were damaged or lost on the way to us, never reached the shard, or were
            // dropped for a full socket. What follows cannot be decoded before the next keyframe, and the
            // viewer's sequence numbers stay contiguous.
            &mut State::Live { next, .. } if train.sequence != next && !train.keyframe => {
                self.state = State::AwaitKeyframe;
                None
            }
            State::AwaitKeyframe | State::Live { .. } => Some(self.send_live(train)),
        }
    }

    /// A live train comes into the ring of who is limited, and leaves from there.
    fn forward_limited(&mut self, train: &Train, rate: u32) {
        match &mut self.state {
            State::Thin(thin) => thin.stir(),
            State::CatchUp(plan) if plan.mid_frame || !train.keyframe => {}
            State::CatchUp(_) | State::AwaitKeyframe | State::Live { .. } if train.keyframe => {
                self.state = State::Thin(Box::new(Thin::at(train.received, rate, train.sequence, false)));
            }
            _ => {}
        }
    }

    /// The next packets from the ring, if some are due. Call until it returns nothing.
    pub fn poll(&mut self, now: Instant, recent: &Recent) -> Option<Due> {
        match self.state {
            State::CatchUp(_) => self.poll_catch_up(now, recent),
            State::Thin(_) => self.poll_thin(now, recent),
            _ => None,
        }
    }

    fn poll_catch_up(&mut self, now: Instant, recent: &Recent) -> Option<Due> {
        let State::CatchUp(plan) = &mut self.state else { return None };
        let Ok(step) = plan.poll(now, recent) else {
            self.state = State::AwaitKeyframe;
            return None;
        };
        let step = step?;
        let (ticks, train) = (plan.ticks, step.train);
        match step.then {
            Then::More => {}
            Then::Live => self.state = State::Live { next: train.end(), mid_frame: false },
            Then::Await => self.state = State::AwaitKeyframe,
        }
        self.lift.floor = step.timestamp;
        let frame = recent.frame_of(train.sequence).map(|frame| frame as u32);
        let forward = self.number(&train, step.timestamp, step.captured, Rewritten { frame, ticks });
        if self.limit.is_some() {
            // It was limited in the middle of a picture.
            self.limit(now, self.limit, recent);
        }
        Some(Due { packets: 0..train.packets.len(), train, forward })
    }

    fn poll_thin(&mut self, now: Instant, recent: &Recent) -> Option<Due> {
        self.hurry(recent);
        let State::Thin(thin) = &mut self.state else { return None };
        let portion = thin.poll(now, recent);
        self.left_out += thin.take_left_out();
        let Portion { train, packets } = portion?;
        let begun = thin.forward.filter(|_| packets.start > 0);
        let forward = begun.unwrap_or_else(|| self.send_own(&train));
        if let State::Thin(thin) = &mut self.state {
            thin.forward = Some(forward);
        }
        Some(Due { train, packets, forward })
    }

    fn send_live(&mut self, train: &Train) -> Forward {
        self.state = State::Live { next: train.end(), mid_frame: !train.ends_frame };
        self.send_own(train)
    }

    /// Gives a train its number, and its own timestamp if it can keep that.
    fn send_own(&mut self, train: &Train) -> Forward {
        let timestamp = self.lift.stamp(train, self.by.shift);
        self.number(train, timestamp, train.captured, Rewritten { frame: None, ticks: LIFT })
    }

    /// Gives a train its number.
    fn number(
        &mut self,
        train: &Train,
        timestamp: ViewerTime,
        captured: Instant,
        rewritten: Rewritten,
    ) -> Forward {
        let sequence = self.next_sequence;
        self.runs.note(train, self.by, sequence, timestamp, rewritten);
        self.next_sequence += train.packets.len() as u64;
        self.highest = self.highest.max(timestamp);
        Forward { sequence, timestamp: timestamp.wire(), captured }
    }
}

/// Keeps live frames behind a catch-up above its rewritten timestamps.
///
/// Those pass as time does, so that they end where live ones go on. Where a frame's own is not above them,
/// because it came early, it and those behind it are lifted until the source is past.
#[derive(Debug, Default)]
struct Lift {
    /// Live frames must be above this: the last timestamp that was rewritten.
    floor: ViewerTime,
    /// What the frame now being sent was lifted to, if it was.
    lifted: Option<ViewerTime>,
}

impl Lift {
    /// Timestamp of a train that keeps its own if it can; all trains of a frame get the same.
    fn stamp(&mut self, train: &Train, shift: Shift) -> ViewerTime {
        let own = ViewerTime::own(train, shift);
        if train.starts_frame {
            self.lifted = (own <= self.floor).then_some(self.floor + u64::from(LIFT));
            self.floor = self.lifted.unwrap_or(self.floor);
        }
        self.lifted.unwrap_or(own)
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
