//! The recent past of one track: what a late joiner starts from and what a NACK is answered from.
//!
//! Owns which trains are kept, and whether a viewer may start at the last keyframe. Never sends
//! anything, and holds nothing of a viewer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pace::Pace;
use super::{TrackSeq, Train};

/// Frames that [`Recent::frame_interval`] looks back. More follow a changed frame rate later; fewer let
/// two odd timestamps among them through.
const INTERVAL_FRAMES: usize = 16;

/// Trains that a ring keeps at the most: nine minutes of 30 pictures a second in one group, if they are small.
///
/// A subscription takes all of them in one go, under the stream's lock and then in one step of the shard. Raising
/// it makes that step longer (a millisecond is about 10,000); lowering it lets nobody join between the keyframes
/// of long groups.
pub const MAX_TRAINS: usize = 16_384;

/// How much of a track is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentLimits {
    /// Bytes of memory at the most, with what is around the payloads. It has to hold a keyframe and all behind it, else nobody can join between
    /// keyframes. Raising it costs that much memory per track and shard.
    pub bytes: usize,
    /// How far back packets are kept for retransmission, also those before the last keyframe. Raising it
    /// costs its time times the bitrate; lowering it leaves late NACKs unanswered.
    pub history: Duration,
}

/// The newest trains of one track, in order of sequence: all since the last keyframe, and all of the
/// last [`RecentLimits::history`], as far as [`RecentLimits::bytes`] and [`MAX_TRAINS`] hold them.
#[derive(Debug)]
pub struct Recent {
    limits: RecentLimits,
    trains: VecDeque<Kept>,
    bytes: usize,
    /// Bytes of memory that the trains and their places hold.
    held: usize,
    pace: Pace,
    /// Frames that began so far, and bytes of all trains so far.
    frames: u64,
    total: u64,
    /// Sequence number of the last keyframe from which everything up to the newest train is here.
    keyframe: Option<TrackSeq>,
    /// Sequence number behind the newest train ever taken, `None` before the first.
    end: Option<TrackSeq>,
    evicted_early: u64,
}

/// A train, and what came before it.
#[derive(Debug)]
struct Kept {
    train: Arc<Train>,
    /// Frames that began before its own.
    frame: u64,
    /// Bytes of all trains before it.
    before: u64,
}

impl Kept {
    /// Bytes of memory that it holds.
    fn held(&self) -> usize {
        size_of::<Kept>() + self.train.held()
    }
}

impl Recent {
    /// Keeps trains of a track within `limits`.
    pub fn new(limits: RecentLimits) -> Recent {
        Recent {
            limits,
            trains: VecDeque::new(),
            bytes: 0,
            held: 0,
            pace: Pace::default(),
            frames: 0,
            total: 0,
            keyframe: None,
            end: None,
            evicted_early: 0,
        }
    }

    /// It keeps as much as `limits` say from now on; what is over them goes with the next train.
    pub fn limit(&mut self, limits: RecentLimits) {
        self.limits = limits;
    }

    /// Gives back the memory of what is kept. What comes next follows what was here.
    pub fn forget(&mut self) {
        self.trains = VecDeque::new();
        (self.bytes, self.held, self.keyframe) = (0, 0, None);
    }

    /// Takes the next train. `false` if it is not newer than all before: then nothing changed.
    ///
    /// If trains are missing before it (a full queue dropped them, or a picture never came whole, see
    /// [`Train::sequence`]), no viewer can start at a keyframe before the gap any more: its decoder would miss a
    /// reference. Those trains stay for NACKs.
    pub fn push(&mut self, train: Arc<Train>) -> bool {
        if self.end.is_some_and(|end| train.sequence < end) {
            return false;
        }
        let gap = self.end.is_some_and(|end| train.sequence > end);
        if train.keyframe {
            self.keyframe = Some(train.sequence);
        } else if gap {
            self.keyframe = None;
        }
        self.end = Some(train.end());
        self.pace.note(train.received, train.bytes(), train.keyframe);
        self.frames += u64::from(train.starts_frame);
        let kept = Kept { frame: self.frames.saturating_sub(1), before: self.total, train };
        self.bytes += kept.train.bytes();
        self.held += kept.held();
        self.total += kept.train.bytes() as u64;
        self.trains.push_back(kept);
        self.evict();
        true
    }

    /// Track sequence number of the first train of the last keyframe, if all trains from there to the
    /// newest are here: where a late joiner starts. `None` until the next keyframe otherwise.
    pub fn since_keyframe(&self) -> Option<TrackSeq> {
        self.keyframe
    }

    /// The trains from the one that contains packet `sequence` on, or if that is not here, from the
    /// first one behind it. Finding it takes O(log n).
    pub fn trains_from(
        &self,
        sequence: TrackSeq,
    ) -> impl ExactSizeIterator<Item = &Arc<Train>> + DoubleEndedIterator {
        self.trains.range(self.index_of(sequence)..).map(|kept| &kept.train)
    }

    /// Payload bytes from the train that contains packet `sequence` to the newest. O(log n).
    pub fn bytes_from(&self, sequence: TrackSeq) -> u64 {
        self.trains.get(self.index_of(sequence)).map_or(0, |kept| self.total - kept.before)
    }

    /// Frames that began before the one of packet `sequence`, counted from any one point: their difference
    /// tells how many frames two packets are apart. O(log n).
    pub fn frame_of(&self, sequence: TrackSeq) -> Option<u64> {
        self.trains.get(self.index_of(sequence)).map(|kept| kept.frame)
    }

    /// Payload bytes that the track carries in a second, over the last ten.
    pub fn bytes_per_second(&self) -> u64 {
        self.pace.bytes_per_second()
    }

    /// When the newest keyframe came, whether or not a viewer can start there.
    pub fn keyframe_received(&self) -> Option<Instant> {
        self.pace.keyframe()
    }

    /// When the next keyframe comes if this group of pictures is as long as the last one. `None` before the
    /// second keyframe.
    pub fn next_keyframe(&self) -> Option<Instant> {
        self.pace.next_keyframe()
    }

    /// The train that contains packet `sequence`, and the packet's index in it. O(log n).
    pub fn train_containing(&self, sequence: TrackSeq) -> Option<(&Arc<Train>, usize)> {
        let train = &self.trains.get(self.index_of(sequence))?.train;
        let index = sequence.since(train.sequence)?;
        Some((train, usize::try_from(index).ok()?))
    }

    /// All trains of the newest keyframe that is here whole, in order; empty if there is none. Unlike
    /// [`Recent::since_keyframe`], what came or was missed behind it does not matter.
    pub fn newest_keyframe(&self) -> Vec<Arc<Train>> {
        for start in (0..self.trains.len()).rev().filter(|&index| self.trains[index].train.keyframe) {
            let mut unit: Vec<Arc<Train>> = Vec::new();
            for Kept { train, .. } in self.trains.range(start..) {
                if unit.last().is_some_and(|before| before.end() != train.sequence || train.starts_frame) {
                    break;
                }
                unit.push(train.clone());
                if train.ends_frame {
                    return unit;
                }
            }
        }
        Vec::new()
    }

    /// The newest train.
    pub fn latest(&self) -> Option<&Arc<Train>> {
        self.trains.back().map(|kept| &kept.train)
    }

    /// Payload bytes kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory that what is kept holds, at most [`RecentLimits::bytes`].
    pub fn held(&self) -> usize {
        self.held
    }

    /// Trains kept, at most [`MAX_TRAINS`].
    pub fn len(&self) -> usize {
        self.trains.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.trains.is_empty()
    }

    /// Trains that went for want of room before their time, since the start. If it grows, raise
    /// [`RecentLimits::bytes`] or let the source send keyframes more often.
    pub fn evicted_early(&self) -> u64 {
        self.evicted_early
    }

    /// Time between frames: the median over the last ones, by their timestamps in order of display.
    /// `None` until there are two frames with different timestamps.
    pub fn frame_interval(&self) -> Option<Duration> {
        let mut timestamps = [0; INTERVAL_FRAMES];
        let mut frames = 0;
        let starts = self.trains.iter().rev().map(|kept| &kept.train).filter(|train| train.starts_frame);
        for (slot, train) in timestamps.iter_mut().zip(starts) {
            *slot = train.timestamp;
            frames += 1;
        }
        let timestamps = &mut timestamps[..frames];
        timestamps.sort_unstable();

        let mut steps = [0; INTERVAL_FRAMES];
        let mut count = 0;
        for pair in timestamps.windows(2).filter(|pair| pair[0] != pair[1]) {
            steps[count] = pair[1] - pair[0];
            count += 1;
        }
        let steps = &mut steps[..count];
        steps.sort_unstable();
        let median = steps.get(count / 2)?;
        let clock_rate = self.latest()?.codec.clock_rate();
        Some(Duration::from_secs_f64(*median as f64 / f64::from(clock_rate)))
    }

    /// Index of the first train that ends behind `sequence`.
    fn index_of(&self, sequence: TrackSeq) -> usize {
        self.trains.partition_point(|kept| kept.train.end() <= sequence)
    }

    fn evict(&mut self) {
        let Some(newest) = self.latest().map(|train| train.received) else { return };
        while let Some(kept) = self.trains.front() {
            let (oldest, held) = (&kept.train, kept.held());
            let is_over = self.held > self.limits.bytes || self.trains.len() > MAX_TRAINS;
            let needed_to_join = self.keyframe.is_some_and(|keyframe| oldest.sequence >= keyframe);
            let age = newest.saturating_duration_since(oldest.received);
            let outlived = !needed_to_join && age > self.limits.history;
            if !is_over && !outlived {
                return;
            }
            if needed_to_join {
                self.keyframe = None;
            }
            self.evicted_early += u64::from(!outlived);
            self.bytes -= oldest.bytes();
            self.held -= held;
            self.trains.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
