//! Packetizing: a picture or an audio packet becomes RTP payloads, once for all viewers.
//!
//! Owns the payload formats ([`VideoPacketizer`], [`AudioPacketizer`]) and the cutting of packets into
//! trains. Never writes an RTP header: SSRC, sequence number and payload type belong to each viewer.

mod audio;
#[cfg(test)]
mod h265_tests;
#[cfg(test)]
mod tests;
mod video;

use std::sync::Arc;
use std::time::Instant;

use sluice_media::Redundant;

pub use audio::AudioPacketizer;
pub use video::{MAX_ACCESS_UNIT, VideoPacketizer};

use super::{Codec, MAX_TRAIN_PACKETS, Packets, Stamp, TrackSeq, Train};

/// Why a unit of media was refused. Nothing of it was sent; the next unit is judged afresh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketizeError {
    /// No NAL unit was left to send.
    #[error(
        "access unit at source timestamp {timestamp} has nothing to send: {discarded} of its {nals} NAL units \
         are malformed, the rest are delimiters and filler; check the encoder of the source"
    )]
    Empty {
        /// Source timestamp in ticks of 90 kHz.
        timestamp: i64,
        /// NAL units the access unit came with.
        nals: usize,
        /// Those of them that were malformed.
        discarded: usize,
    },
    /// The access unit has more bytes than [`MAX_ACCESS_UNIT`].
    #[error(
        "access unit at source timestamp {timestamp} has {bytes} bytes, the limit is {limit}; \
         lower the bitrate or the resolution of the source"
    )]
    TooLarge {
        /// Source timestamp in ticks of 90 kHz.
        timestamp: i64,
        /// Bytes of all its NAL units.
        bytes: usize,
        /// [`MAX_ACCESS_UNIT`].
        limit: usize,
    },
    /// The access unit has more NAL units than one picture can need.
    #[error(
        "access unit at source timestamp {timestamp} has {nals} NAL units, the limit is {limit}; \
         let the encoder of the source cut pictures into fewer slices, or send less beside them (SEI)"
    )]
    TooManyNals {
        /// Source timestamp in ticks of 90 kHz.
        timestamp: i64,
        /// NAL units the access unit came with.
        nals: usize,
        /// The most there may be.
        limit: usize,
    },
    /// A keyframe came before the parameter sets that it needs.
    #[error(
        "keyframe at source timestamp {timestamp} has no {}, in band or in the SDP, so that no decoder can show \
         it: let the camera send its parameter sets ({}) before each keyframe",
        sets.join("/"),
        sets.join(" and ")
    )]
    NoParameterSets {
        /// Source timestamp in ticks of 90 kHz.
        timestamp: i64,
        /// Kinds of parameter sets that the codec has.
        sets: &'static [&'static str],
    },
    /// An audio packet without payload.
    #[error("audio packet at source timestamp {timestamp} is empty; check the encoder of the source")]
    EmptyPayload {
        /// Source timestamp in ticks of the codec's clock.
        timestamp: i64,
    },
    /// An audio packet that does not fit and cannot be split.
    #[error(
        "{codec} packet at source timestamp {timestamp} has {bytes} bytes, the limit is {limit}; \
         lower the audio bitrate of the source or the duration of its packets"
    )]
    PayloadTooLarge {
        /// Encoding name.
        codec: &'static str,
        /// Source timestamp in ticks of the codec's clock.
        timestamp: i64,
        /// Its bytes.
        bytes: usize,
        /// The most bytes a payload may have.
        limit: usize,
    },
}

impl PacketizeError {
    /// What is wrong and what to do, without the time: the same words for every unit of the same kind, fit for
    /// everybody to read.
    pub fn reason(&self) -> String {
        match self {
            PacketizeError::NoParameterSets { sets, .. } => format!(
                "no {}, in band or in the session description: let the camera send its parameter sets before each \
                 keyframe",
                sets.join("/")
            ),
            PacketizeError::TooLarge { limit, .. } => format!(
                "they have more than {limit} bytes: lower the bitrate or the resolution of the camera"
            ),
            PacketizeError::TooManyNals { limit, .. } => {
                format!(
                    "they have more than {limit} NAL units: let the camera cut pictures into fewer slices, or send \
                     less beside them (SEI)"
                )
            }
            PacketizeError::Empty { .. } | PacketizeError::EmptyPayload { .. } => {
                "nothing in them can be sent: check the encoder of the camera".to_owned()
            }
            PacketizeError::PayloadTooLarge { limit, .. } => {
                format!("packets have more than {limit} bytes: lower the audio bitrate of the camera")
            }
        }
    }
}

/// What the trains of one access unit or audio packet have in common.
#[derive(Debug)]
struct Unit {
    codec: Codec,
    stamp: Stamp,
    received: Instant,
    keyframe: bool,
    marker: bool,
    /// Of what is one packet.
    redundant: Option<Redundant>,
}

/// Cuts the packets of one unit into trains of about equal size behind those in `trains`, numbering them from `sequence` on.
fn cut(mut unit: Unit, mut packets: Packets, sequence: &mut TrackSeq, trains: &mut Vec<Arc<Train>>) {
    let (mut start, all) = (0, packets.len());
    while start < all {
        let left = all - start;
        let end = start + left.div_ceil(left.div_ceil(MAX_TRAIN_PACKETS));
        let first = start == 0;
        let last = end == all;
        let train = Train {
            codec: unit.codec,
            sequence: *sequence,
            timestamp: unit.stamp.timestamp,
            keyframe: unit.keyframe && first,
            starts_frame: first,
            ends_frame: last,
            marker: unit.marker && last,
            received: unit.received,
            captured: unit.stamp.captured,
            source_time: unit.stamp.time,
            redundant: unit.redundant.take(),
            // Only what is more than one train has to be copied.
            packets: if first && last { std::mem::take(&mut packets) } else { packets.copy(start..end) },
        };
        *sequence = train.end();
        trains.push(Arc::new(train));
        start = end;
    }
}
