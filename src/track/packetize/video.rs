//! Pictures into trains.
//!
//! Owns the track's sequence numbers and its timeline. What a picture's packets are, its codec knows.

use std::sync::Arc;

use bytes::Bytes;
use sluice_config::FRAME_MAX;
use sluice_media::nal::{Bitstream, Unsendable, VideoFacts};
use sluice_media::{AccessUnit, MAX_PAYLOAD, VideoCodec};

use super::{PacketizeError, Unit, cut};
use crate::track::{Timeline, TrackSeq, Train};

/// Bytes of one access unit at the most.
pub const MAX_ACCESS_UNIT: usize = FRAME_MAX.as_usize();

/// NAL units of one access unit at the most.
///
/// Encoders make 1 to 32. Raising it lets a source of tiny NAL units make as many packets, each with
/// its own header; lowering it refuses pictures of many slices.
const MAX_NALS: usize = 1_024;

/// Makes trains of the access units of one video track.
#[derive(Debug)]
pub struct VideoPacketizer {
    codec: VideoCodec,
    timeline: Timeline,
    bitstream: Bitstream,
    next_sequence: TrackSeq,
    /// Malformed NAL units of codecs that the source had before.
    discarded_before: u64,
}

impl VideoPacketizer {
    /// Starts a track at RTP timestamp `first_timestamp`, which should be random (RFC 3550 §5.1).
    pub fn new(codec: VideoCodec, first_timestamp: u32) -> VideoPacketizer {
        VideoPacketizer {
            codec,
            timeline: Timeline::new(codec, first_timestamp),
            bitstream: codec.bitstream(),
            next_sequence: TrackSeq::default(),
            discarded_before: 0,
        }
    }

    /// The codec of the track.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// Takes the parameter sets of the source's SDP, as NAL units: the base that those in band replace id by id. What
    /// cannot be read is left out.
    pub fn set_parameter_sets(&mut self, sets: &[Bytes]) {
        self.bitstream.announce(sets);
    }

    /// The source reconnected, perhaps with another codec: the next unit's timestamp says nothing about the last one's,
    /// and its pictures refer to none before them. Sequence numbers (with a gap) and timestamps go on.
    pub fn restart(&mut self, codec: VideoCodec) {
        self.timeline.restart();
        if codec == self.codec {
            self.bitstream.restart();
        } else {
            self.discarded_before += self.bitstream.discarded();
            self.bitstream = codec.bitstream();
            self.codec = codec;
        }
        self.leave_gap();
    }

    /// What is known of the video.
    pub fn facts(&self) -> VideoFacts {
        VideoFacts { by_arrival: self.timeline.is_by_arrival(), ..self.bitstream.facts() }
    }

    /// A number that no packet has: what comes next does not follow what was before.
    /// Numbers begin behind `end`, where those of an earlier track of the same layer ended: a ring takes nothing older.
    pub fn begin_behind(&mut self, end: TrackSeq) {
        self.next_sequence = self.next_sequence.max(end);
        self.leave_gap();
    }

    fn leave_gap(&mut self) {
        // Otherwise there is nothing to be apart from.
        if self.next_sequence > TrackSeq::default() {
            self.next_sequence += 1;
        }
    }

    /// How often the source's timestamps jumped of themselves, since the start.
    pub fn jumps(&self) -> u64 {
        self.timeline.jumps()
    }

    /// The track's timeline: how its source's clock runs.
    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The same, to tell it what the source says of its clock.
    pub(crate) fn timeline_mut(&mut self) -> &mut Timeline {
        &mut self.timeline
    }

    /// NAL units that were left out because they are malformed, since the start.
    pub fn discarded_nals(&self) -> u64 {
        self.discarded_before + self.bitstream.discarded()
    }

    /// Makes trains of `unit`, in sending order; none if it holds parameter sets or SEI but no slice
    /// (the sets are remembered for the next keyframe).
    ///
    /// A keyframe begins with an aggregate of all parameter sets it may need, from this unit, earlier
    /// ones, or the SDP. Otherwise NAL units keep their order: those over [`MAX_PAYLOAD`] as fragments of
    /// equal size but the last, neighbouring parameter sets and SEI in aggregates, with the slice behind them where it fits
    /// and is no keyframe's, all others as they are.
    ///
    /// A gap is left in the sequence numbers before a unit that comes [after a gap](AccessUnit::after_gap), and for
    /// one that is refused.
    pub fn packetize(&mut self, unit: AccessUnit) -> Result<Vec<Arc<Train>>, PacketizeError> {
        if unit.after_gap {
            self.leave_gap();
        }
        let trains = self.trains_of(&unit);
        if trains.is_err() {
            self.leave_gap();
        }
        trains
    }

    fn trains_of(&mut self, unit: &AccessUnit) -> Result<Vec<Arc<Train>>, PacketizeError> {
        let AccessUnit { timestamp, received, .. } = *unit;
        check_size(unit)?;
        let picture = self.bitstream.picture(&unit.nals).map_err(|why| match why {
            Unsendable::Empty(discarded) => {
                PacketizeError::Empty { timestamp, nals: unit.nals.len(), discarded }
            }
            Unsendable::NoParameterSets => {
                PacketizeError::NoParameterSets { timestamp, sets: self.codec.nal().sets() }
            }
        })?;
        let Some(picture) = picture else { return Ok(Vec::new()) };
        let packets = self.codec.payloads(&picture.nals, MAX_PAYLOAD);
        let codec = self.codec.into();
        let stamp = self.timeline.stamp(timestamp, received);
        let common =
            Unit { codec, stamp, received, keyframe: picture.keyframe, marker: true, redundant: None };
        let mut trains = Vec::with_capacity(1);
        cut(common, packets, &mut self.next_sequence, &mut trains);
        Ok(trains)
    }
}

fn check_size(unit: &AccessUnit) -> Result<(), PacketizeError> {
    let (timestamp, nals) = (unit.timestamp, unit.nals.len());
    if nals > MAX_NALS {
        return Err(PacketizeError::TooManyNals { timestamp, nals, limit: MAX_NALS });
    }
    let bytes = unit.nals.iter().map(Bytes::len).sum();
    if bytes > MAX_ACCESS_UNIT {
        return Err(PacketizeError::TooLarge { timestamp, bytes, limit: MAX_ACCESS_UNIT });
    }
    Ok(())
}
