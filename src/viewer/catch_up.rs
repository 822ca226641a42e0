//! The way of one viewer from a keyframe in the ring to the live edge.
//!
//! Owns how fast that goes and under which timestamps. The keyframe goes at once, so that there is a
//! picture; what follows goes a few times as fast as the camera made it, and is stamped as it goes: its
//! timestamps pass as quickly as time does. A player shows it quickened and never sees a packet late, the
//! line carries a multiple of the bitrate and not a group of pictures in two frame intervals, and where the
//! live edge is met both clocks agree.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::time::{Shift, ViewerTime};
use crate::fault::{Site, strikes};
use crate::track::{Recent, TrackSeq, Train};

/// How many times as fast as it was made the past is sent. Higher meets the live edge sooner, and needs a
/// line of so many times the bitrate; lower keeps a joiner in the past longer: its age through this less one.
const SPEED: f64 = 4.0;

/// Bytes per second that the past is sent with at the least: 8 Mb/s, which lines of our day carry for a
/// moment. Higher overruns narrow lines; lower shows the past of a small stream for longer.
const FLOOR: f64 = 1_000_000.0;

/// The next keyframe is waited for, if it is nearer than this and comes before the past would be through.
/// Higher spares lines what is thrown away a moment later; lower leaves a still picture for a shorter time.
const NEAR: Duration = Duration::from_secs(2);

/// Time between two portions at the least: frames that come closer go together. Shorter wakes the shard more
/// often; longer makes bursts.
const STEP: Duration = Duration::from_millis(4);

/// Behind a delay of this the rest goes on from now: it is not made up for by a burst.
const LATE: Duration = Duration::from_millis(50);

/// A request for a keyframe this long after the start says that the line does not carry what is sent, or
/// lost it. Shorter takes the impatience of a browser that has no picture yet for a loss.
const PATIENCE: Duration = Duration::from_secs(1);

/// A frame interval when the track cannot tell yet: 30 frames a second.
const DEFAULT_INTERVAL: Duration = Duration::from_micros(33_333);

/// Where a viewer is in the ring, and how it goes on.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// Track sequence number of the next train.
    pub(super) next: TrackSeq,
    /// Timestamp of the first frame, when that time was captured, and the distance from frame to frame.
    first: ViewerTime,
    captured: Instant,
    pub(super) ticks: u32,
    /// Frames begun, the first of them due at `began` and each other `step` later.
    frames: u32,
    began: Instant,
    step: Duration,
    /// Nothing goes out before.
    wake: Instant,
    /// Only the keyframe goes: the next one is near.
    still: bool,
    /// The last train sent did not end its frame.
    pub(super) mid_frame: bool,
}

/// One train of a catch-up.
pub(super) struct Step {
    pub(super) train: Arc<Train>,
    pub(super) timestamp: ViewerTime,
    pub(super) captured: Instant,
    /// Where it leaves the viewer.
    pub(super) then: Then,
}

/// What comes behind a train of a catch-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// More of the past.
    More,
    /// The live edge is met.
    Live,
    /// The next keyframe is waited for.
    Await,
}

impl CatchUp {
    /// A way from the last keyframe to the live edge, with timestamps above `sent`, where those of the track are `shift`
    /// away.
    pub(super) fn plan(now: Instant, recent: &Recent, shift: Shift, sent: ViewerTime) -> Option<CatchUp> {
        let (next, latest) = (recent.since_keyframe()?, recent.latest()?);
        let interval = recent.frame_interval().unwrap_or(DEFAULT_INTERVAL);
        let speed = SPEED.max(FLOOR / recent.bytes_per_second().max(1) as f64);
        let step = interval.div_f64(speed);
        let own = ViewerTime::own(latest, shift);
        let first = own.max(sent + 1);
        Some(CatchUp {
            next,
            first,
            captured: latest.captured + time(first.since(own)),
            ticks: ((step.as_secs_f64() * 90_000.0) as u32).max(1),
            frames: 0,
            began: now,
            step,
            wake: now,
            still: outpaced(now, recent, speed),
            mid_frame: false,
        })
    }

    /// Whether the next keyframe comes first, so that only the last one would be sent.
    pub(super) fn is_still(&self) -> bool {
        self.still
    }

    /// When [`CatchUp::poll`] has something to send.
    pub(super) fn due(&self) -> Instant {
        self.wake
    }

    /// Whether a request for a keyframe at `now` says that this does not reach the viewer.
    pub(super) fn fails(&self, now: Instant) -> bool {
        !self.mid_frame && now.saturating_duration_since(self.began) >= PATIENCE
    }

    /// The next train, if one is due. `Err` if the ring let go of what comes next and has no newer keyframe.
    pub(super) fn poll(&mut self, now: Instant, recent: &Recent) -> Result<Option<Step>, Gone> {
        if now < self.wake {
            return Ok(None);
        }
        if strikes(Site::RingLetGoOfPast) {
            return Err(Gone);
        }
        let mut left = recent.trains_from(self.next);
        let mut train = left.next();
        if train.is_some_and(|train| train.sequence != self.next) {
            // A gap, or a new keyframe came and the old one's trains were old enough to go, or bytes ran
            // out. Go on at the new keyframe, if there is one.
            self.next = recent.since_keyframe().filter(|&keyframe| keyframe > self.next).ok_or(Gone)?;
            left = recent.trains_from(self.next);
            train = left.next();
        }
        let Some(train) = train else {
            // The rest of a frame is still on its way into the ring.
            self.wake = now + STEP;
            return Ok(None);
        };
        if train.starts_frame {
            let due = self.began + self.step * self.frames;
            if now < due {
                self.wake = due.max(now + STEP);
                return Ok(None);
            }
            let late = now.saturating_duration_since(due);
            self.began += if late > LATE { late } else { Duration::ZERO };
            self.frames += 1;
        }
        let distance = u64::from(self.ticks) * u64::from(self.frames.saturating_sub(1));
        self.next = train.end();
        self.mid_frame = !train.ends_frame;
        let then = match train.ends_frame {
            true if self.still => Then::Await,
            true if left.len() == 0 => Then::Live,
            _ => Then::More,
        };
        let timestamp = self.first + distance;
        let captured = self.captured + time(distance);
        Ok(Some(Step { train: train.clone(), timestamp, captured, then }))
    }
}

/// Bytes a second that the past is sent with.
pub(super) fn rate(recent: &Recent) -> f64 {
    (recent.bytes_per_second() as f64 * SPEED).max(FLOOR)
}

/// What comes next is not in the ring.
#[derive(Debug)]
pub(super) struct Gone;

/// Whether the next keyframe is near, and comes before all up to the live edge could be sent.
fn outpaced(now: Instant, recent: &Recent, speed: f64) -> bool {
    let (Some(keyframe), Some(next)) = (recent.keyframe_received(), recent.next_keyframe()) else {
        return false;
    };
    let (age, left) = (now.saturating_duration_since(keyframe), next.saturating_duration_since(now));
    !left.is_zero() && left < NEAR && age.div_f64(speed - 1.0) > left
}

/// The time of so many ticks of 90 kHz.
fn time(ticks: u64) -> Duration {
    Duration::from_micros(ticks * 100 / 9)
}
