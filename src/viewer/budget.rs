//! What one viewer may cause beside its stream, and what its RTCP may cost.
//!
//! Owns three bounds: bytes sent again (repairs and replays share them, a part of what comes through), replays that did not help, and
//! RTCP packets and packet numbers looked at in a second. Touched only when a viewer's RTCP comes, and
//! therefore boxed: no train of media ever looks at it.

use std::time::{Duration, Instant};

use crate::track::TrackSeq;

/// Part of the stream that a viewer may be sent again, in percent of any [`WINDOW`]. Lower leaves losses;
/// higher lets one bad line, or a hostile viewer, multiply its traffic.
const EXTRA_PERCENT: u64 = 15;

/// Seconds that the share is of. Longer pays for larger bursts: of ten, for all of a second and a half.
const WINDOW: u64 = 10;

/// A slot more than the window has seconds, so that whatever ten seconds one takes are within it.
const SLOTS: usize = WINDOW as usize + 1;

/// A viewer's keyframe requests are answered from the ring once in this time.
pub(super) const KEYFRAME_INTERVAL: Duration = Duration::from_secs(1);

/// A request this soon after a replay says that it did not help, and the pause until the next one doubles.
const RELIEF: Duration = Duration::from_secs(10);

/// Pause between replays at the most. Longer leaves who really lost a keyframe to the source's next one;
/// shorter sends more to those whom no replay helps, as browsers that cannot decode the stream.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// RTCP packets of a viewer that are acted on in a second, and at once. Browsers send about 160 in 53
/// reports under 5 % loss, and few hundred where a stream of 20 Mb/s loses a tenth. Each costs about 3 us.
const RTCP_PER_SECOND: u32 = 1_000;

/// Packet numbers in a viewer's NACKs that are acted on in a second, and at once: ten times what a stream
/// of 20 Mb/s loses at 10 %, and twice what a browser keeps in mind. Each costs about 0.1 us if nothing is
/// sent for it.
const NUMBERS_PER_SECOND: u32 = 2_000;

/// Who goes from one layer to the other begins with what came since its keyframe once in this time, and else at the next
/// one. Shorter lets somebody who goes to and fro be sent the past again and again; longer lets him wait.
const PAST_INTERVAL: Duration = Duration::from_secs(10);

/// What became of a keyframe request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyframeAnswer {
    /// The ring's keyframe and what follows it will be sent again.
    Replayed,
    /// Too soon after the last one, or a catch-up has just begun.
    Coalesced,
    /// The source's next keyframe will do: the ring has none that is usable, the next is near, this one was
    /// sent again already, the viewer's budget is spent, or the last replays did not help.
    Awaited,
}

/// What is left to a viewer.
#[derive(Debug)]
pub(super) struct Budget {
    packets: Bucket,
    numbers: Bucket,
    /// Bytes sent again in each second since `began`, that of `second` modulo their number.
    slots: [u64; SLOTS],
    began: Instant,
    second: u64,
    replayed: Option<Replayed>,
    /// When another layer was begun in the past last.
    switched: Option<Instant>,
    /// What the viewer's line carries in a second, as far as it is known.
    carries: Option<u32>,
}

/// The last replay.
#[derive(Debug, Clone, Copy)]
struct Replayed {
    at: Instant,
    /// The track's number of its keyframe.
    keyframe: TrackSeq,
    /// Time until the next one at the least.
    pause: Duration,
}

/// What a replay would be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replay {
    /// The track's number of its keyframe.
    pub(super) keyframe: TrackSeq,
    /// Payload bytes that the viewer has had already.
    pub(super) bytes: u64,
}

impl Budget {
    /// Nothing was caused yet.
    pub(super) fn new(now: Instant) -> Budget {
        let (packets, numbers) = (Bucket(now), Bucket(now));
        let slots = [0; SLOTS];
        Budget {
            packets,
            numbers,
            slots,
            began: now,
            second: 0,
            replayed: None,
            switched: None,
            carries: None,
        }
    }

    /// So many bytes of its stream come through to the viewer in a second. Nobody is sent again a share of more.
    pub(super) fn carries(&mut self, bytes_per_second: Option<u32>) {
        self.carries = bytes_per_second;
    }

    /// Whether one more RTCP packet is acted on.
    pub(super) fn take_packet(&mut self, now: Instant) -> bool {
        self.packets.take(now, 1, RTCP_PER_SECOND)
    }

    /// Whether `count` more packet numbers are looked at.
    pub(super) fn take_numbers(&mut self, now: Instant, count: u32) -> bool {
        self.numbers.take(now, count, NUMBERS_PER_SECOND)
    }

    /// Payload bytes that may still be sent again, of a stream of `bytes_per_second`.
    pub(super) fn left(&mut self, now: Instant, bytes_per_second: u64) -> u64 {
        let second = now.saturating_duration_since(self.began).as_secs();
        for passed in (self.second + 1..=second).take(SLOTS) {
            self.slots[passed as usize % SLOTS] = 0;
        }
        self.second = self.second.max(second);
        let comes = self.carries.map_or(bytes_per_second, |carries| u64::from(carries).min(bytes_per_second));
        let share = comes.saturating_mul(WINDOW * EXTRA_PERCENT) / 100;
        share.saturating_sub(self.slots.iter().sum())
    }

    /// Notes that `bytes` are sent again. [`Budget::left`] told at this time that they may be.
    pub(super) fn spend(&mut self, bytes: u64) {
        self.slots[self.second as usize % SLOTS] += bytes;
    }

    /// Whether another layer may be begun in the past now.
    pub(super) fn may_begin_in_the_past(&self, now: Instant) -> bool {
        self.switched.is_none_or(|at| now.saturating_duration_since(at) >= PAST_INTERVAL)
    }

    /// It was. Keyframes are of another track now.
    pub(super) fn begun_in_the_past(&mut self, now: Instant) {
        self.switched = Some(now);
        if let Some(replayed) = &mut self.replayed {
            replayed.keyframe = TrackSeq(u64::MAX);
        }
    }

    /// Whether a keyframe request is answered by `replay`, which then is paid for: once a group of pictures,
    /// and more and more seldom if requests go on.
    pub(super) fn replay(&mut self, now: Instant, replay: Replay, bytes_per_second: u64) -> KeyframeAnswer {
        let mut pause = KEYFRAME_INTERVAL;
        if let Some(last) = self.replayed {
            let since = now.saturating_duration_since(last.at);
            if since < KEYFRAME_INTERVAL {
                return KeyframeAnswer::Coalesced;
            }
            if since < last.pause || last.keyframe == replay.keyframe {
                return KeyframeAnswer::Awaited;
            }
            if since < last.pause + RELIEF {
                pause = (2 * last.pause).min(PAUSE_MAX);
            }
        }
        if replay.bytes > self.left(now, bytes_per_second) {
            return KeyframeAnswer::Awaited;
        }
        self.spend(replay.bytes);
        self.replayed = Some(Replayed { at: now, keyframe: replay.keyframe, pause });
        KeyframeAnswer::Replayed
    }
}

/// So many in a second, and so many at once: when all that was taken would have come at that rate.
#[derive(Debug, Clone, Copy)]
struct Bucket(Instant);

impl Bucket {
    fn take(&mut self, now: Instant, count: u32, per_second: u32) -> bool {
        let full = self.0.max(now) + Duration::from_secs(1) * count / per_second;
        let taken = full <= now + Duration::from_secs(1);
        if taken {
            self.0 = full;
        }
        taken
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
