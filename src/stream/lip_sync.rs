//! Sound and pictures of a source brought together by what its reports say of both.
//!
//! Owns the verdict on how far their capture times are apart, and whether the source can be believed. By arrival alone each
//! track's least delay counts as none, so the one that takes longer to be made and sent is behind by that; the source's own
//! clock, if both are told by it, says by how much.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use crate::track::{Moment, Reported};

/// Judgements that count. More ride out more reports that lie, and follow a real change later.
const JUDGEMENTS: usize = 7;

/// A pipeline that takes so much longer than the other is not believed: the two tracks have clocks of their own, or one
/// lies. Raising it lets such a source spoil what arrival gives; lowering it disbelieves encoders with much delay.
const MOST: Duration = Duration::from_secs(2);

/// The first judgement alone counts up to this; more has to be said again. Lowering it leaves more sources apart for
/// their first seconds; raising it lets a lie through until it shows.
const FIRST_MOST: Duration = Duration::from_millis(500);

/// Judgements that are this far from their middle, in the middle, contradict each other. Cameras that report the time of
/// sending with the last picture are off by up to the distance of two pictures.
const STEADY: Duration = Duration::from_millis(120);

/// So many judgements are needed for that, and so many useless reports in a row to say that there is no time in them.
const ENOUGH: usize = 4;

/// The time between two looks while nothing could be judged yet.
const LOOK: Duration = Duration::from_millis(500);

/// By how much each track is to be taken for captured earlier than its least delay says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Alignment {
    pub(super) video: Duration,
    pub(super) audio: Duration,
}

/// Why a source's reports are not believed. Reads as a sentence for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// They are without a time.
    NoTime,
    /// They are about timestamps that the packets of their tracks are far from.
    Astray,
    /// Pictures and sound are told by clocks so far apart.
    Apart(Duration),
    /// They contradict each other.
    Unsteady,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::NoTime => f.write_str("the camera's sender reports have no time"),
            Doubt::Astray => f.write_str(
                "the timestamps of the camera's sender reports are more than 5 s from those of its packets",
            ),
            Doubt::Apart(by) => {
                write!(f, "the camera's sender reports of sound and pictures are {} s apart", by.as_secs())
            }
            Doubt::Unsteady => {
                f.write_str("the camera's sender reports of sound and pictures contradict each other")
            }
        }?;
        let advice = match self {
            Doubt::Astray => "restart the camera, or update it",
            _ => "set the camera's clock (NTP), and restart it",
        };
        write!(f, ", so the two are brought together by arrival: {advice}, if lips and voice are apart")
    }
}

/// What is known of the two tracks of one session.
#[derive(Debug, Default)]
pub(super) struct LipSync {
    /// Nanoseconds that pictures are behind sound by arrival; negative where sound is behind.
    apart: VecDeque<i128>,
    useless: usize,
    looked: Option<Instant>,
    doubt: Option<Doubt>,
}

impl LipSync {
    /// Why the source is not believed.
    pub(super) fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    /// Notes what became of a report of either track.
    pub(super) fn note(&mut self, reported: Reported) {
        let doubt = match reported {
            Reported::Untimed => Some(Doubt::NoTime),
            Reported::Astray => Some(Doubt::Astray),
            Reported::Agrees | Reported::New => None,
        };
        self.useless = if doubt.is_some() { self.useless + 1 } else { 0 };
        if self.useless >= ENOUGH && self.apart.is_empty() {
            self.doubt = doubt;
        }
    }

    /// Whether it is time to look without a new report: a track's first unit came after its report.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.apart.is_empty()
            && self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK);
        if due {
            self.looked = Some(now);
        }
        due
    }

    /// Judges anew by the moments that the last reports of both tracks are about. Nothing is said as long as one is
    /// missing.
    pub(super) fn judge(&mut self, video: Option<Moment>, audio: Option<Moment>) -> Option<Alignment> {
        let (video, audio) = (video?, audio?);
        let by_ours = nanos(video.captured.saturating_duration_since(audio.captured))
            - nanos(audio.captured.saturating_duration_since(video.captured));
        if self.apart.len() == JUDGEMENTS {
            self.apart.pop_front();
        }
        self.apart.push_back(by_ours - video.time.since(audio.time));
        Some(self.alignment())
    }

    fn alignment(&mut self) -> Alignment {
        let middle = |mut of: Vec<i128>| {
            of.sort_unstable();
            of[of.len() / 2]
        };
        let apart = middle(self.apart.iter().copied().collect());
        let stray = middle(self.apart.iter().map(|this| (this - apart).abs()).collect());
        self.doubt = match self.apart.len() {
            _ if apart.abs() > nanos(MOST) => Some(Doubt::Apart(duration(apart))),
            ENOUGH.. if stray > nanos(STEADY) => Some(Doubt::Unsteady),
            _ => None,
        };
        let once = self.apart.len() == 1 && apart.abs() > nanos(FIRST_MOST);
        match self.doubt {
            None if !once && apart > 0 => Alignment { video: duration(apart), ..Alignment::default() },
            None if !once => Alignment { audio: duration(apart), ..Alignment::default() },
            _ => Alignment::default(),
        }
    }
}

fn nanos(duration: Duration) -> i128 {
    duration.as_nanos() as i128
}

/// Without its sign.
fn duration(nanos: i128) -> Duration {
    Duration::from_nanos(nanos.unsigned_abs().try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
#[path = "lip_sync_tests.rs"]
mod tests;
