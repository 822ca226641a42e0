//! Audio into RTP payloads: each packet of the source goes on as it came.
//!
//! Owns the track's sequence numbers and its timeline. Never looks into a payload; only G.711, where a
//! byte is a sample, is cut when it does not fit.

use std::sync::Arc;
use std::time::Duration;

use super::{PacketizeError, Unit, trains};
use crate::track::{AudioFrame, Codec, Kind, MAX_PAYLOAD, Packets, Stamp, Timeline, Train};

/// Payload bytes of one audio frame at the most, before it is split: 8 seconds of G.711.
///
/// Raising it lets one frame make more packets at once; lowering it refuses sources of longer packets
/// (cameras send 20 to 128 ms).
const MAX_FRAME: usize = 64_000;

/// Makes trains of the packets of one audio track: one packet, one train.
#[derive(Debug)]
pub struct AudioPacketizer {
    codec: Codec,
    timeline: Timeline,
    next_sequence: u64,
    /// The next packet is the first of a talkspurt: nothing was sent in the time before it.
    talkspurt: bool,
}

impl AudioPacketizer {
    /// Starts a track of an audio codec at RTP timestamp `first_timestamp`, which should be random
    /// (RFC 3550 §5.1). PCMU and PCMA have one channel, as their static payload types do.
    pub fn new(codec: Codec, first_timestamp: u32) -> AudioPacketizer {
        debug_assert_eq!(codec.kind(), Kind::Audio);
        AudioPacketizer {
            codec,
            timeline: Timeline::new(codec, first_timestamp),
            next_sequence: 0,
            talkspurt: true,
        }
    }

    /// The codec of the track.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The source reconnected: the next packet's timestamp says nothing about the last one's. Sequence
    /// numbers and timestamps go on.
    pub fn restart(&mut self) {
        self.timeline.restart();
        self.talkspurt = true;
    }

    /// Makes the train of `frame`; several if it is G.711 and over [`MAX_PAYLOAD`] bytes.
    ///
    /// The marker is set where a talkspurt starts (RFC 3551 §4.1): on the first packet, and on the first
    /// one after [`restart`](Self::restart). Players may take up or drop delay there.
    pub fn packetize(&mut self, frame: AudioFrame) -> Result<Vec<Arc<Train>>, PacketizeError> {
        let (timestamp, bytes) = (frame.timestamp, frame.payload.len());
        if bytes == 0 {
            return Err(PacketizeError::EmptyPayload { timestamp });
        }
        let limit = if self.splits() { MAX_FRAME } else { MAX_PAYLOAD };
        if bytes > limit {
            let codec = self.codec.encoding_name();
            return Err(PacketizeError::PayloadTooLarge { codec, timestamp, bytes, limit });
        }

        let stamp = self.timeline.stamp(timestamp, frame.received);
        // Pieces of equal length: a run of them is one message to the kernel.
        let piece_bytes = bytes.div_ceil(bytes.div_ceil(MAX_PAYLOAD));
        let mut all = Vec::with_capacity(1);
        for (index, piece) in frame.payload.chunks(piece_bytes).enumerate() {
            // Only a split codec has a second piece, and there a byte is a sample.
            let samples = (index * piece_bytes) as u64;
            let later = Duration::from_nanos(samples * 1_000_000_000 / u64::from(self.codec.clock_rate()));
            let stamp = Stamp {
                timestamp: stamp.timestamp + samples,
                captured: (stamp.captured + later).min(frame.received),
            };
            let marker = std::mem::take(&mut self.talkspurt);
            let unit = Unit { codec: self.codec, stamp, received: frame.received, keyframe: true, marker };
            all.extend(trains(unit, Packets::from_iter([piece]), &mut self.next_sequence));
        }
        Ok(all)
    }

    fn splits(&self) -> bool {
        matches!(self.codec, Codec::Pcmu | Codec::Pcma)
    }
}
