//! Whether a shard has room for one viewer more, by what its work was measured to be.
//!
//! Owns the expectation: what all viewers that a shard was given will take of its time and of its line once they play.
//! It learns what they take of the time, for their weight (`shard/weight`), from samples of the shard's counters; what one takes
//! of the line is the bitrate of what is watched, and known before anybody plays. So a rush of joins is judged by what is
//! to come and not by a ratio a second old, and one for high layers otherwise than one for low ones. A join's own work
//! (handshake, catch-up) is no part of it, for that passes. Reads no clock and knows no viewer.

use std::time::{Duration, Instant};

use crate::count::ShardCounters;

/// Time between two samples at the least. Shorter ones would judge by single key frames, longer ones let
/// more joins in before anything is known of the first.
const SAMPLE: Duration = Duration::from_millis(200);

/// How far back the cost of a viewer is averaged, in seconds: over some groups of pictures, since key frames
/// are dear. Longer follows a changed bitrate later.
const MEMORY: f64 = 3.0;

/// How far back the shard's present work is averaged, in seconds. Longer lets joins in that will be too many,
/// shorter refuses some for a single key frame.
const PRESENT: f64 = 1.0;

/// What STUN, reports and timers take beside media: measured 1.05 to 1.08 of the media's own time. Raising it leaves that much of a core unused in a rush.
const BESIDE_MEDIA: f64 = 1.1;

/// How many times the weight of viewers that are connected may be foretold from them. A few viewers cost more each than
/// many, so raising it refuses a rush for what ten watchers cost; lowering it judges a rush later.
const FORETOLD: f64 = 8.0;

/// Where a thread works for the first part of a sample, and for the second one at other things than media, media
/// had less than it needs. Lower values learn later in a rush, higher ones think viewers too cheap.
const SQUEEZED: (f64, f64) = (0.97, 0.2);

/// A full shard takes viewers again when it expects less than this part of the mark. Nearer to 1 it would
/// open and close for every key frame.
const AGAIN: f64 = 0.8;

/// A shard's counters at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) busy_nanos: u64,
    /// The part of that in which trains went out.
    pub(crate) media_nanos: u64,
    pub(crate) blocked_nanos: u64,
    /// Bytes a second on the wire that a viewer takes once he plays.
    pub(crate) live_each: u64,
    /// Viewers that connected, ever.
    pub(crate) connects: u64,
    /// The weight of those that are connected.
    pub(crate) weight: f64,
    /// Viewers that get no media now, because it does not suffice for all.
    pub(crate) without_media: u64,
}

impl Sample {
    /// With the weight of those that are connected.
    pub(crate) fn of(counters: &ShardCounters, weight: f64) -> Sample {
        Sample {
            busy_nanos: counters.busy_nanos.get(),
            media_nanos: counters.media_nanos.get(),
            blocked_nanos: counters.blocked_nanos.get(),
            live_each: counters.live_each.get(),
            connects: counters.connected.get(),
            weight,
            without_media: counters.without_media.get(),
        }
    }
}

/// What a shard may take on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoomLimits {
    /// Part of its time, of its socket's and of its line's at the most; nothing takes all that come.
    pub busy: Option<f64>,
    /// What its line carries, in bytes a second on the wire, if there is a limit.
    pub rate: Option<f64>,
}

/// A shard has no room: why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "shard {shard} has no room: with one more than {} it would do {percent} % of what it can; \
     it takes no more over {mark} % (limits.busy)",
    viewers_of(*viewers)
)]
pub struct NoRoom {
    /// Which.
    pub shard: usize,
    /// Viewers that it was given.
    pub viewers: usize,
    /// What they take, or will take with one more when they are all connected.
    pub percent: u32,
    /// The limit that holds now: lower once it was reached, until that much is free again.
    pub mark: u32,
}

fn viewers_of(viewers: usize) -> String {
    format!("its {viewers} {}", if viewers == 1 { "viewer" } else { "viewers" })
}

/// What was used between two samples, each from 0 to 1.
#[derive(Debug, Clone, Copy)]
struct Parts {
    seconds: f64,
    busy: f64,
    media: f64,
    blocked: f64,
}

impl Parts {
    /// Whatever is the narrowest.
    fn most(self) -> f64 {
        self.busy.max(self.blocked)
    }
}

/// What is known of a shard's room. Owned by the control plane.
#[derive(Debug)]
pub(crate) struct Room {
    limits: RoomLimits,
    /// The newest sample, and the newest that viewers' cost was learnt from.
    last: Option<(Instant, Sample)>,
    learnt: Option<(Instant, Sample)>,
    /// Averages that fade with [`MEMORY`]: seconds of steady work, and the weight that they were for, times seconds.
    work: f64,
    weight: f64,
    /// Bytes a second that a viewer takes of the line.
    live_each: u64,
    /// Part of the time that the shard works now, joins and all.
    present: f64,
    full: bool,
}

impl Room {
    pub(crate) fn new(limits: RoomLimits) -> Room {
        Room {
            limits,
            last: None,
            learnt: None,
            work: 0.0,
            weight: 0.0,
            live_each: 0,
            present: 0.0,
            full: false,
        }
    }

    /// What it may take on from now on.
    pub(crate) fn limit(&mut self, limits: RoomLimits) {
        self.limits = limits;
    }

    /// Learns from the counters as they are `now`, if that is worth a sample yet.
    pub(crate) fn learn(&mut self, now: Instant, sample: impl FnOnce() -> Sample) {
        let newest = (now, sample());
        self.live_each = newest.1.live_each;
        let Some((last, learnt)) = self.last.zip(self.learnt) else {
            (self.last, self.learnt) = (Some(newest), Some(newest));
            return;
        };
        if now.saturating_duration_since(last.0) < SAMPLE {
            return;
        }
        self.last = Some(newest);
        let parts = self.parts(last, newest);
        self.present += (parts.most() - self.present) * (1.0 - (-parts.seconds / PRESENT).exp());

        // What was squeezed is made up for in the next samples: they are taken together.
        let parts = self.parts(learnt, newest);
        let joins = newest.1.connects > learnt.1.connects;
        let beside = parts.busy - parts.media;
        if joins && parts.busy >= SQUEEZED.0 && beside >= SQUEEZED.1 {
            return;
        }
        self.learnt = Some(newest);
        // Work beside media is that of joins, which will pass, or of a flood: it must not be foretold of those who
        // come, or few datagrams would close the door. While it lasts it counts as present work.
        let busy = parts.busy.min(parts.media * BESIDE_MEDIA);
        let keep = (-parts.seconds / MEMORY).exp();
        let weight = (learnt.1.weight + newest.1.weight) / 2.0;
        self.work = self.work * keep + Parts { busy, ..parts }.most() * parts.seconds;
        self.weight = self.weight * keep + weight * parts.seconds;
    }

    /// Those that are connected were weighed anew, as their streams are now: what was learnt of them was for that weight.
    pub(crate) fn reweigh(&mut self, before: f64, now: f64) {
        if before <= 0.0 || now <= 0.0 {
            return;
        }
        let ratio = now / before;
        self.weight *= ratio;
        for (_, sample) in [&mut self.last, &mut self.learnt].into_iter().flatten() {
            sample.weight *= ratio;
        }
    }

    fn parts(&self, (began, before): (Instant, Sample), (ended, after): (Instant, Sample)) -> Parts {
        let seconds = ended.saturating_duration_since(began).as_secs_f64();
        let part = |after: u64, before: u64| (after.saturating_sub(before) as f64 / 1e9 / seconds).min(1.0);
        Parts {
            seconds,
            busy: part(after.busy_nanos, before.busy_nanos),
            media: part(after.media_nanos, before.media_nanos),
            blocked: part(after.blocked_nanos, before.blocked_nanos),
        }
    }

    /// What `viewers` of the weight `given` will take of the shard's time or of its line, whichever is the narrower, once they
    /// are all connected, from 0; over 1 is more than there is.
    pub(crate) fn expected(&self, viewers: usize, given: f64) -> f64 {
        let line = self.limits.rate.map_or(0.0, |rate| self.live_each as f64 * viewers as f64 / rate);
        if self.weight <= 0.0 {
            return line;
        }
        let connected = self.last.map_or(0.0, |(_, sample)| sample.weight);
        let time = self.work / self.weight * given.min(connected * FORETOLD);
        time.max(line)
    }

    /// Whether the shard can take one viewer more than the `viewers` that it was given, all of which weigh `given` with it;
    /// `shard` and `viewers` are for the error.
    pub(crate) fn check(&mut self, shard: usize, viewers: usize, given: f64) -> Result<(), NoRoom> {
        let Some(mark) = self.limits.busy else { return Ok(()) };
        let expected = self.expected(viewers + 1, given);
        let without_media = self.last.is_some_and(|(_, sample)| sample.without_media > 0);
        let holds = if self.full { mark * AGAIN } else { mark };
        self.full = without_media || expected > holds;
        // Work that is not the viewers' own (a rush, a flood) closes the door only while it lasts.
        if !self.full && self.present <= mark {
            return Ok(());
        }
        let percent = |part: f64| (part * 100.0).round() as u32;
        let load = if without_media { 1.0 } else { 0.0 };
        Err(NoRoom {
            shard,
            viewers,
            percent: percent(expected.max(self.present).max(load)),
            mark: percent(if self.full && expected <= mark && !without_media { holds } else { mark }),
        })
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
