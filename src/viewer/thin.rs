//! The way of one viewer along the live edge, no faster than its line.
//!
//! Owns which pictures of the ring a limited viewer is sent, and when each packet leaves. Its queue is the ring itself:
//! what does not fit waits there and not in the line, and what has waited for too long is left out, up to a keyframe. So
//! it gets keyframes and as much of each group of pictures as fits, whole pictures only. A picture that has begun is held
//! here until it is out, whatever the ring lets go of.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::runs::Forward;
use crate::track::{Recent, TrackSeq, Train};

/// A picture that is later than this is left out when a newer keyframe is there. Shorter leaves out the ends of groups
/// that nearly fit, longer lets a viewer fall behind from group to group.
const LATE: Duration = Duration::from_millis(250);

/// A picture that is later than this is left out, with all that follow it up to the next keyframe. Longer shows more of
/// long groups, older.
const TOO_LATE: Duration = Duration::from_secs(2);

/// Packets of this time leave at once. Shorter wakes the shard more often, longer fills short queues.
const PORTION: Duration = Duration::from_millis(25);

/// Time that was not used counts for so much. Less is not made up for where the shard wakes late, more comes as a burst.
const SLACK: Duration = Duration::from_millis(25);

/// A request for a keyframe this soon after one went out is answered by that.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why pictures were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// They were too late.
    Late,
    /// Something before them is missing, at the viewer or before us.
    Undecodable,
}

/// Pictures that were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// They were too late.
    pub late: u32,
    /// They were late, and a newer keyframe was there.
    pub superseded: u32,
    /// Something before them is missing, at the viewer or before us.
    pub undecodable: u32,
}

impl std::ops::AddAssign for LeftOut {
    fn add_assign(&mut self, other: LeftOut) {
        self.late += other.late;
        self.superseded += other.superseded;
        self.undecodable += other.undecodable;
    }
}

impl std::ops::Sub for LeftOut {
    type Output = LeftOut;

    fn sub(self, before: LeftOut) -> LeftOut {
        LeftOut {
            late: self.late - before.late,
            superseded: self.superseded - before.superseded,
            undecodable: self.undecodable - before.undecodable,
        }
    }
}

impl LeftOut {
    /// All of them.
    pub fn sum(&self) -> u32 {
        self.late + self.superseded + self.undecodable
    }
}

/// Where a limited viewer is in the ring.
#[derive(Debug)]
pub(super) struct Thin {
    /// Bytes a second.
    pub(super) rate: u32,
    /// The track's number of the next train to take.
    pub(super) next: TrackSeq,
    /// A keyframe is waited for.
    waits: Option<Why>,
    /// The viewer has the beginning of a picture whose rest has to follow.
    amid: bool,
    /// The picture that is going out, packets of its first train that are out, and the numbers of that one.
    picture: VecDeque<Arc<Train>>,
    out: usize,
    pub(super) forward: Option<Forward>,
    /// Nothing goes out before.
    free: Instant,
    /// There may be something in the ring that was not looked at.
    stirred: bool,
    /// The ring's count of the last picture that was taken.
    frame: Option<u64>,
    /// The last keyframe went out then.
    keyframe: Option<Instant>,
    left_out: LeftOut,
}

/// Packets that leave now.
pub(super) struct Portion {
    pub(super) train: Arc<Train>,
    pub(super) packets: Range<usize>,
}

impl Thin {
    /// Goes on at `next`; `amid` says that the viewer has the beginning of that picture.
    pub(super) fn at(now: Instant, rate: u32, next: TrackSeq, amid: bool) -> Thin {
        Thin {
            rate,
            next,
            waits: None,
            amid,
            picture: VecDeque::new(),
            out: 0,
            forward: None,
            free: now,
            stirred: true,
            frame: None,
            keyframe: None,
            left_out: LeftOut::default(),
        }
    }

    /// Goes on at the first keyframe from `next` on.
    pub(super) fn waiting(now: Instant, rate: u32, next: TrackSeq) -> Thin {
        Thin { waits: Some(Why::Undecodable), ..Thin::at(now, rate, next, false) }
    }

    /// When [`Thin::poll`] may have something to send.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.stirred || !self.picture.is_empty()).then_some(self.free)
    }

    /// Something came into the ring.
    pub(super) fn stir(&mut self) {
        self.stirred = true;
    }

    /// Whether the viewer has a part of a picture.
    pub(super) fn is_amid(&self) -> bool {
        self.amid || !self.picture.is_empty()
    }

    /// Whether `train` is what comes next, with nothing before it.
    pub(super) fn is_level(&self, train: &Train) -> bool {
        !self.is_amid() && self.waits.is_none() && self.next == train.sequence
    }

    /// So many bytes were sent beside.
    pub(super) fn charge(&mut self, bytes: u64) {
        self.free += self.time(bytes);
    }

    /// Nothing goes out for so long.
    pub(super) fn pause(&mut self, now: Instant, time: Duration) {
        self.free = self.free.max(now + time);
    }

    /// The viewer asks for a keyframe: the rest of the group shows it nothing. Returns whether that is news.
    pub(super) fn request_keyframe(&mut self, now: Instant) -> bool {
        let recent = self.keyframe.is_some_and(|at| now.saturating_duration_since(at) < PATIENCE);
        let going = self.picture.front().is_some_and(|train| train.keyframe);
        if self.amid || self.waits.is_some() || recent || going {
            return false;
        }
        self.waits = Some(Why::Undecodable);
        true
    }

    /// What was left out since the last call.
    pub(super) fn take_left_out(&mut self) -> LeftOut {
        std::mem::take(&mut self.left_out)
    }

    /// What leaves now, if anything does. Call until it returns nothing.
    pub(super) fn poll(&mut self, now: Instant, recent: &Recent) -> Option<Portion> {
        if now < self.free {
            return None;
        }
        if self.picture.is_empty() {
            self.stirred = false;
            self.choose(now, recent);
        }
        let train = self.picture.front()?.clone();
        let portion = (f64::from(self.rate) * PORTION.as_secs_f64()) as usize;
        let (from, mut bytes) = (self.out, 0);
        while self.out < train.packets.len() && (bytes == 0 || bytes < portion) {
            bytes += train.packets[self.out].len();
            self.out += 1;
        }
        let packets = from..self.out;
        self.free = self.free.max(now.checked_sub(SLACK).unwrap_or(now)) + self.time(bytes as u64);
        if self.out == train.packets.len() {
            self.picture.pop_front();
            self.out = 0;
            self.stirred = true;
            if train.keyframe {
                self.keyframe = Some(self.free);
            }
        }
        Some(Portion { train, packets })
    }

    /// Takes the next picture that is to go out, if it is there whole.
    fn choose(&mut self, now: Instant, recent: &Recent) {
        let late = |train: &Train, than: Duration| now.saturating_duration_since(train.received) > than;
        let mut first = recent.trains_from(self.next).next();
        if !self.amid
            && let Some(keyframe) = recent.since_keyframe().filter(|keyframe| *keyframe >= self.next)
            && (self.waits.is_some()
                || first.is_none_or(|first| first.sequence != self.next || late(first, LATE)))
        {
            self.skip_to(keyframe, recent);
            first = recent.trains_from(keyframe).next();
        }
        let Some(first) = first.filter(|_| self.waits.is_none()) else { return };
        if first.sequence != self.next {
            // Missed before us, or gone from the ring.
            (self.waits, self.amid) = (Some(Why::Undecodable), false);
        } else if !self.amid && !first.keyframe && late(first, TOO_LATE) {
            self.waits = Some(Why::Late);
        } else {
            self.take_picture(recent);
        }
    }

    fn take_picture(&mut self, recent: &Recent) {
        let mut next = self.next;
        for train in recent.trains_from(self.next) {
            if train.sequence != next || (train.starts_frame && next != self.next) {
                // It never comes whole.
                (self.waits, self.amid) = (Some(Why::Undecodable), false);
                break;
            }
            next = train.end();
            self.picture.push_back(train.clone());
            if train.ends_frame {
                self.frame = recent.frame_of(self.next);
                (self.next, self.amid) = (next, false);
                return;
            }
        }
        self.picture.clear();
    }

    fn skip_to(&mut self, keyframe: TrackSeq, recent: &Recent) {
        if let (Some(last), Some(frame)) = (self.frame, recent.frame_of(keyframe)) {
            let skipped = frame.saturating_sub(last + 1) as u32;
            match self.waits {
                Some(Why::Late) => self.left_out.late += skipped,
                Some(Why::Undecodable) => self.left_out.undecodable += skipped,
                None => self.left_out.superseded += skipped,
            }
        }
        (self.next, self.waits) = (keyframe, None);
    }

    fn time(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / f64::from(self.rate.max(1)))
    }
}

#[cfg(test)]
#[path = "thin_tests.rs"]
mod tests;
