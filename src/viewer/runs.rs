//! How a train goes to one viewer, and the way back from the viewer's sequence number to the packet in the ring.
//!
//! Owns the short list of runs that stands for a list of all packets: nothing is kept per packet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sluice_media::srtp::PacketIndex;

use super::Rings;
use super::time::{Shift, ViewerTime};
use crate::track::{TrackSeq, Train};

/// Runs remembered for repairs. One begins with each catch-up, each gap and each change of layer, so this many reach far
/// beyond the history of the ring; each costs 64 bytes.
const RUNS_MAX: usize = 8;

/// How one train is to be sent to one viewer.
#[derive(Debug, Clone, Copy)]
pub struct Forward {
    /// The viewer's extended sequence number of its first packet.
    pub sequence: PacketIndex,
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
    pub sequence: PacketIndex,
    /// The RTP timestamp under which it was sent.
    pub timestamp: u32,
}

/// What a viewer was sent: the run that goes on, at hand because every train looks at it, and those that
/// have ended.
#[derive(Debug, Default)]
pub(super) struct Runs {
    current: Option<Run>,
    earlier: VecDeque<Run>,
}

/// Packets that follow each other both in the track of one layer and in what the viewer got, under one rule for
/// timestamps, up to where the next run begins.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// How far timestamps of the layer's track are from the viewer's.
    shift: Shift,
    /// The layer's number.
    layer: u8,
    /// The viewer's sequence number of its first packet.
    sequence: PacketIndex,
    /// The track's sequence number of the same.
    track: TrackSeq,
    /// Timestamp of its first frame.
    first: ViewerTime,
    /// Timestamp of its newest frame.
    newest: ViewerTime,
    /// How rewritten timestamps go on.
    rewritten: Rewritten,
    /// Every frame kept its own timestamp.
    own: bool,
}

/// How timestamps go on from a frame that did not keep its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rewritten {
    /// The ring's count of the frame, modulo 2^32. Where it is not known, packets of the run can be found as
    /// long as the ring has the first.
    pub(super) frame: Option<u32>,
    /// Distance to the next one.
    pub(super) ticks: u32,
}

/// Whose train it is, and where its timestamps are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct By {
    /// The number of its layer.
    pub(super) layer: u8,
    /// How far the viewer's timestamps are from its own.
    pub(super) shift: Shift,
}

impl Run {
    /// Whether `train`, as `by` says, under `sequence` and `timestamp` belongs to this run.
    fn takes(&self, train: &Train, by: By, sequence: PacketIndex, timestamp: ViewerTime) -> bool {
        // Numbers of two tracks may meet by chance.
        if (self.layer, self.shift) != (by.layer, by.shift) {
            return false;
        }
        let expected = match self.own {
            true => ViewerTime::own(train, self.shift),
            false if train.starts_frame => self.newest + u64::from(self.rewritten.ticks),
            false => self.newest,
        };
        sequence.since(self.sequence).is_some_and(|packets| self.track + packets == train.sequence)
            && timestamp == expected
    }
}

impl Runs {
    /// Notes that `train` was sent, as `by` says, under `sequence` and `timestamp`.
    pub(super) fn note(
        &mut self,
        train: &Train,
        by: By,
        sequence: PacketIndex,
        timestamp: ViewerTime,
        rewritten: Rewritten,
    ) {
        match &mut self.current {
            Some(run) if run.takes(train, by, sequence, timestamp) => run.newest = timestamp,
            current => {
                let By { layer, shift } = by;
                let run = Run {
                    shift,
                    layer,
                    sequence,
                    track: train.sequence,
                    first: timestamp,
                    newest: timestamp,
                    rewritten,
                    own: timestamp == ViewerTime::own(train, shift),
                };
                if self.earlier.len() + 1 == RUNS_MAX {
                    self.earlier.pop_front();
                }
                self.earlier.extend(current.replace(run));
            }
        }
    }

    /// The packet that was sent under `sequence`, if the ring of its layer still has it. O(log n).
    pub(super) fn find(&self, sequence: PacketIndex, rings: Rings<'_>) -> Option<Repair> {
        let mut newest_first = self.current.iter().chain(self.earlier.iter().rev());
        let run = newest_first.find(|run| run.sequence <= sequence)?;
        let recent = rings.of(run.layer)?;
        let track = run.track + sequence.since(run.sequence)?;
        let (train, index) = recent.train_containing(track)?;
        let timestamp = if run.own {
            ViewerTime::own(train, run.shift)
        } else {
            let Rewritten { frame, ticks } = run.rewritten;
            let from = match frame {
                Some(frame) => frame,
                None => recent.train_containing(run.track).and_then(|_| recent.frame_of(run.track))? as u32,
            };
            let frames = (recent.frame_of(track)? as u32).wrapping_sub(from);
            run.first + u64::from(frames) * u64::from(ticks)
        };
        Some(Repair { train: train.clone(), index, sequence, timestamp: timestamp.wire() })
    }
}
