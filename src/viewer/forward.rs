//! One track as one viewer gets it: which trains, under which sequence numbers and timestamps.
//!
//! Owns the two numbers that turn a track's numbering into the viewer's (an offset for sequence
//! numbers; a short rewritten run of timestamps while catching up), the start at a keyframe, and the
//! way back from a viewer's sequence number to the packet in the ring. Keeps nothing per packet,
//! never touches the engine and never seals.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::track::{Recent, Train};

/// Time over which a viewer gets what it missed since the last keyframe.
///
/// Two frame intervals at 30 frames a second. Shorter bursts overrun queues on the way; longer ones
/// delay the first picture.
const CATCH_UP: Duration = Duration::from_millis(66);

/// Time between two portions of a catch-up.
const CATCH_UP_STEP: Duration = Duration::from_millis(4);

/// Timestamp distance between frames of a join's catch-up, in ticks of 90 kHz (1 ms).
///
/// The player shall decode them at once instead of playing them at their old pace: that would make
/// it lag by their age for ever.
const CATCH_UP_TICKS: u64 = 90;

/// A viewer's keyframe requests are answered from the ring once in this time.
const KEYFRAME_INTERVAL: Duration = Duration::from_secs(1);

/// A track whose newest train is older than this has no keyframe to offer: the player misses pictures
/// because the source is silent, and would only see the past again.
const STALE: Duration = Duration::from_secs(1);

/// Runs remembered for repairs. One begins with each catch-up and each gap, so this many reach far
/// beyond the history of the ring; each costs 40 bytes.
const RUNS_MAX: usize = 8;

/// A frame interval when the track cannot tell yet, in ticks of 90 kHz: 30 frames a second.
const DEFAULT_FRAME_TICKS: u64 = 3_000;

/// How one train is to be sent to one viewer.
#[derive(Debug, Clone, Copy)]
pub struct Forward {
    /// The viewer's extended sequence number of its first packet.
    pub sequence: u64,
    /// The RTP timestamp of its packets.
    pub timestamp: u32,
    /// When that timestamp was captured.
    pub captured: Instant,
}

/// One packet to be sent again.
#[derive(Debug, Clone)]
pub struct Repair {
    /// The train it is in.
    pub train: Arc<Train>,
    /// Its place there.
    pub index: usize,
    /// The viewer's extended sequence number under which it was sent.
    pub sequence: u64,
    /// The RTP timestamp under which it was sent.
    pub timestamp: u32,
}

/// What became of a keyframe request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyframeAnswer {
    /// The ring's keyframe and what follows it will be sent again.
    Replayed,
    /// Too soon after the last one, or a catch-up runs already.
    Coalesced,
    /// The ring has no usable keyframe, or the viewer waits for one already: the source's next will do.
    Awaited,
}

/// The state of one track for one viewer.
#[derive(Debug)]
pub struct Forwarder {
    state: State,
    /// The viewer's sequence number of the next packet.
    next_sequence: u64,
    /// The highest timestamp sent so far.
    highest: u64,
    lift: Lift,
    /// When a keyframe request was last answered.
    last_keyframe_answer: Option<Instant>,
    /// The run that goes on, at hand because every train looks at it, and those that have ended.
    run: Option<Run>,
    earlier: VecDeque<Run>,
}

/// Packets that follow each other both in the track and in what the viewer got, under one rule for
/// timestamps, up to where the next run begins.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The viewer's sequence number of its first packet.
    sequence: u64,
    /// The track's sequence number of the same.
    track: u64,
    /// Timestamp of its first frame, if timestamps were rewritten; else every frame kept its own.
    rewritten: Option<u64>,
    /// Distance of rewritten timestamps.
    ticks: u64,
    /// Timestamp of its newest frame.
    newest: u64,
}

impl Run {
    /// Whether `train` under `sequence` and `timestamp` belongs to this run.
    fn takes(&self, train: &Train, sequence: u64, timestamp: u64) -> bool {
        let expected = match self.rewritten {
            None => train.timestamp,
            Some(_) if train.starts_frame => self.newest + self.ticks,
            Some(_) => self.newest,
        };
        self.track + (sequence - self.sequence) == train.sequence && timestamp == expected
    }
}

#[derive(Debug)]
enum State {
    /// Nothing goes out until a keyframe comes.
    AwaitKeyframe,
    /// Sending what is in the ring from `next` on, at a quicker pace and with rewritten timestamps
    /// for all trains before `edge`.
    CatchUp(CatchUp),
    /// Every train goes out as it comes; `next` is the track sequence expected.
    Live { next: u64 },
}

#[derive(Debug)]
struct CatchUp {
    next: u64,
    edge: u64,
    /// Timestamp of the next frame before the edge, and the distance to the one after it.
    timestamp: u64,
    ticks: u64,
    /// What the live edge's timestamp and capture time are: to place rewritten ones in time.
    edge_stamp: (u64, Instant),
    /// Trains that may still go out before the next pause, which lasts until `due`.
    portion: usize,
    due: Instant,
    ends: Instant,
}

impl Forwarder {
    /// A forwarder that has sent nothing. `first_sequence` below 32,768 keeps the first rollover far
    /// away (RFC 3711 §3.3.1).
    pub fn new(first_sequence: u16) -> Forwarder {
        Forwarder {
            state: State::AwaitKeyframe,
            next_sequence: u64::from(first_sequence),
            highest: 0,
            lift: Lift::default(),
            last_keyframe_answer: None,
            run: None,
            earlier: VecDeque::new(),
        }
    }

    /// The packet that was sent under the 16-bit `sequence`, if the ring still has it.
    pub fn repair(&self, sequence: u16, recent: &Recent) -> Option<Repair> {
        // The distance back from the next number tells the upper bits (RFC 3711 §3.3.1).
        let back = u64::from((self.next_sequence as u16).wrapping_sub(sequence));
        let sequence = self.next_sequence.checked_sub(back).filter(|_| back > 0)?;
        let mut newest_first = self.run.iter().chain(self.earlier.iter().rev());
        let run = newest_first.find(|run| run.sequence <= sequence)?;
        let (train, index) = recent.train_containing(run.track + (sequence - run.sequence))?;
        let timestamp = match run.rewritten {
            None => train.timestamp,
            Some(first) => {
                let mut trains =
                    recent.trains_from(run.track).take_while(|other| other.sequence <= train.sequence);
                trains.next().filter(|other| other.sequence == run.track)?;
                first + trains.filter(|other| other.starts_frame).count() as u64 * run.ticks
            }
        };
        Some(Repair { train: train.clone(), index, sequence, timestamp: timestamp as u32 })
    }

    /// Starts with what the ring has since its last keyframe; without one, at the next keyframe.
    pub fn start(&mut self, now: Instant, recent: &Recent) {
        if let Some(plan) = self.plan(now, recent, None) {
            self.state = State::CatchUp(plan);
        }
    }

    /// Answers a keyframe request from the ring.
    pub fn request_keyframe(&mut self, now: Instant, recent: &Recent) -> KeyframeAnswer {
        match self.state {
            State::AwaitKeyframe => return KeyframeAnswer::Awaited,
            State::CatchUp(_) => return KeyframeAnswer::Coalesced,
            State::Live { .. } => {}
        }
        if self.last_keyframe_answer.is_some_and(|last| now.duration_since(last) < KEYFRAME_INTERVAL) {
            return KeyframeAnswer::Coalesced;
        }
        let fresh = |latest: &Arc<Train>| now.saturating_duration_since(latest.received) < STALE;
        let plan = recent.latest().is_some_and(fresh).then(|| self.plan(now, recent, Some(self.highest)));
        let Some(plan) = plan.flatten() else {
            return KeyframeAnswer::Awaited;
        };
        self.last_keyframe_answer = Some(now);
        self.state = State::CatchUp(plan);
        KeyframeAnswer::Replayed
    }

    /// When [`Forwarder::poll_catch_up`] has something to send, if a catch-up runs.
    pub fn due(&self) -> Option<Instant> {
        match &self.state {
            State::CatchUp(plan) => Some(plan.due),
            _ => None,
        }
    }

    /// It is the turn of a live train. Returns how to send it, or nothing if the viewer does not get
    /// it: a catch-up will reach it in the ring, or has.
    pub fn forward(&mut self, train: &Train) -> Option<Forward> {
        match self.state {
            State::CatchUp(_) => None,
            State::AwaitKeyframe if !train.keyframe => None,
            State::Live { next } if train.sequence < next => None,
            // Trains before this one never reached the shard, or were dropped for a full socket. What
            // follows cannot be decoded before the next keyframe, and the viewer's sequence numbers
            // stay contiguous.
            State::Live { next } if train.sequence != next && !train.keyframe => {
                self.state = State::AwaitKeyframe;
                None
            }
            State::AwaitKeyframe | State::Live { .. } => Some(self.send_live(train)),
        }
    }

    /// The next train of a catch-up, if one is due. Call until it returns nothing.
    pub fn poll_catch_up(&mut self, now: Instant, recent: &Recent) -> Option<(Arc<Train>, Forward)> {
        let State::CatchUp(plan) = &mut self.state else { return None };
        if plan.portion == 0 && now < plan.due {
            return None;
        }
        let mut left = recent.trains_from(plan.next);
        if left.next().is_none_or(|train| train.sequence != plan.next) {
            // The ring let go of it: a new keyframe came and the old one's trains were old enough to
            // go, or bytes ran out. Go on at the new keyframe, if the ring has it yet.
            let Some(keyframe) = recent.since_keyframe().filter(|&keyframe| keyframe > plan.next) else {
                self.state = State::AwaitKeyframe;
                return None;
            };
            plan.next = keyframe;
        }
        let mut left = recent.trains_from(plan.next);
        let pending = left.len();
        let train = left.next()?.clone();
        if plan.portion == 0 {
            plan.begin_portion(now, pending);
        }
        plan.portion -= 1;
        plan.next = train.end();
        // Trains that came in during the catch-up keep their own timestamps.
        let ticks = plan.ticks;
        let (timestamp, captured) = if train.sequence >= plan.edge {
            (self.lift.stamp(&train), train.captured)
        } else {
            let (timestamp, captured) = plan.rewrite(&train);
            self.lift.ran_ahead(timestamp, plan.edge_stamp.0);
            (timestamp, captured)
        };
        if pending == 1 {
            self.state = State::Live { next: train.end() };
        }
        let forward = self.number(&train, timestamp, captured, ticks);
        Some((train, forward))
    }

    fn send_live(&mut self, train: &Train) -> Forward {
        self.state = State::Live { next: train.end() };
        let timestamp = self.lift.stamp(train);
        self.number(train, timestamp, train.captured, 0)
    }

    /// Gives a train its number, and notes where a new run begins; `ticks` is the distance of timestamps
    /// if they are rewritten.
    fn number(&mut self, train: &Train, timestamp: u64, captured: Instant, ticks: u64) -> Forward {
        let sequence = self.next_sequence;
        match &mut self.run {
            Some(run) if run.takes(train, sequence, timestamp) => run.newest = timestamp,
            run => {
                let rewritten = (timestamp != train.timestamp).then_some(timestamp);
                let next = Run { sequence, track: train.sequence, rewritten, ticks, newest: timestamp };
                if self.earlier.len() + 1 == RUNS_MAX {
                    self.earlier.pop_front();
                }
                self.earlier.extend(run.replace(next));
            }
        }
        self.next_sequence += train.packets.len() as u64;
        self.highest = self.highest.max(timestamp);
        Forward { sequence, timestamp: timestamp as u32, captured }
    }

    /// Lays out a catch-up. `after` is the last timestamp this viewer got, if any: rewritten
    /// timestamps then lie between it and the next frame's, else just before the live edge's.
    fn plan(&self, now: Instant, recent: &Recent, after: Option<u64>) -> Option<CatchUp> {
        let next = recent.since_keyframe()?;
        let latest = recent.latest()?;
        if after.is_some() && !latest.ends_frame {
            // Half of the newest frame is out already under its own timestamp.
            return None;
        }
        let frames = recent.trains_from(next).filter(|train| train.starts_frame).count() as u64;
        let (timestamp, ticks) = match after {
            Some(after) => {
                let interval = recent
                    .frame_interval()
                    .map_or(DEFAULT_FRAME_TICKS, |interval| (interval.as_secs_f64() * 90_000.0) as u64);
                let ticks = (interval / (frames + 1)).max(1);
                (after.max(latest.timestamp) + ticks, ticks)
            }
            None => {
                let before_edge = frames.saturating_sub(1).saturating_mul(CATCH_UP_TICKS);
                (latest.timestamp.saturating_sub(before_edge), CATCH_UP_TICKS)
            }
        };
        Some(CatchUp {
            next,
            edge: latest.end(),
            timestamp,
            ticks,
            edge_stamp: (latest.timestamp, latest.captured),
            portion: 0,
            due: now,
            ends: now + CATCH_UP,
        })
    }
}

/// Keeps live frames behind a replay above its rewritten timestamps.
///
/// A replay lies between the newest frame and the next, whose time is guessed from the frame
/// interval. Where that comes early, it and those behind it are lifted until the source is past.
#[derive(Debug, Default)]
struct Lift {
    /// Live frames must be above this: the last timestamp that was rewritten into the future.
    floor: u64,
    /// What the frame now being sent was lifted to, if it was.
    lifted: Option<u64>,
}

impl Lift {
    /// Timestamp of a train that keeps its own if it can; all trains of a frame get the same.
    fn stamp(&mut self, train: &Train) -> u64 {
        if train.starts_frame {
            self.lifted = (train.timestamp <= self.floor).then_some(self.floor + 1);
            self.floor = self.lifted.unwrap_or(self.floor);
        }
        self.lifted.unwrap_or(train.timestamp)
    }

    /// A train was sent under `timestamp`; the newest frame's own was `edge`.
    fn ran_ahead(&mut self, timestamp: u64, edge: u64) {
        if timestamp > edge {
            self.floor = timestamp;
        }
    }
}

impl CatchUp {
    /// Decides how many of the `pending` trains go out now: evenly spread over the steps left.
    fn begin_portion(&mut self, now: Instant, pending: usize) {
        let left = self.ends.saturating_duration_since(now);
        let steps = (left.as_micros() / CATCH_UP_STEP.as_micros()).max(1) as usize;
        self.portion = pending.div_ceil(steps);
        self.due = now + CATCH_UP_STEP;
    }

    /// Timestamp and capture time of a train before the edge; all trains of a frame share them.
    fn rewrite(&mut self, train: &Train) -> (u64, Instant) {
        let timestamp = self.timestamp;
        if train.ends_frame {
            self.timestamp += self.ticks;
        }
        let (edge, captured) = self.edge_stamp;
        (timestamp, before(captured, edge, timestamp))
    }
}

/// The time of `timestamp`, on the line through the edge's timestamp and capture time.
fn before(captured: Instant, edge: u64, timestamp: u64) -> Instant {
    let distance = |ticks: u64| Duration::from_micros(ticks * 1_000_000 / 90_000);
    if timestamp <= edge {
        captured.checked_sub(distance(edge - timestamp)).unwrap_or(captured)
    } else {
        captured + distance(timestamp - edge)
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
