//! Audio into RTP payloads: each packet of the source goes on as it came, right behind the one before it.
//!
//! Owns the track's sequence numbers and its timeline, and puts the packet before it in front of each, for viewers who lose
//! some. Of a payload only its duration is read; one where a byte is a sample is cut when it does not fit.

use std::sync::Arc;
use std::time::Duration;

use sluice_media::{AudioCodec, AudioFrame, MAX_PAYLOAD, Packets, Redundant};

use super::{PacketizeError, Unit, cut};
use crate::track::{Stamp, Timeline, TrackSeq, Train};

/// Payload bytes of one audio frame at the most, before it is split: 8 seconds of G.711.
///
/// Raising it lets one frame make more packets at once; lowering it refuses sources of longer packets
/// (cameras send 20 to 128 ms).
const MAX_FRAME: usize = 64_000;

/// How far the source's timestamps may stray from the sound's own duration before they are followed.
///
/// A player that finds a packet a few ticks off its place makes up sound for the hole, or drops some: cameras that
/// stamp by a clock of their own jitter, and sound is continuous. Raising it lets sound drift from pictures by
/// as much, which nobody sees up to 40 ms; lowering it lets jitter through.
const STRAY: Duration = Duration::from_millis(40);

/// How far sound may run ahead of the source's timestamps, where those went back.
///
/// Lowering it says twice what a clock that was set back counts twice; raising it lets a source whose packets are
/// longer than its timestamps tell drift away by that much.
const LEAD: Duration = Duration::from_secs(1);

/// Makes trains of the packets of one audio track: one packet, one train.
#[derive(Debug)]
pub struct AudioPacketizer {
    codec: AudioCodec,
    timeline: Timeline,
    next_sequence: TrackSeq,
    /// The timestamp behind the last packet, by its duration.
    next_timestamp: Option<u64>,
    /// The timestamp of the last packet.
    last_timestamp: u64,
    /// The next packet is the first of a talkspurt: nothing was sent in the time before it.
    talkspurt: bool,
    /// The last packet, of Opus. A copy: what it came in is the source's, which reads into it again.
    last: Vec<u8>,
}

impl AudioPacketizer {
    /// Starts a track of an audio codec at RTP timestamp `first_timestamp`, which should be random
    /// (RFC 3550 §5.1). PCMU and PCMA have one channel, as their static payload types do.
    pub fn new(codec: AudioCodec, first_timestamp: u32) -> AudioPacketizer {
        AudioPacketizer {
            codec,
            timeline: Timeline::new(codec, first_timestamp),
            next_sequence: TrackSeq::default(),
            next_timestamp: None,
            last_timestamp: 0,
            talkspurt: true,
            last: Vec::new(),
        }
    }

    /// The codec of the track.
    pub fn codec(&self) -> AudioCodec {
        self.codec
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

    /// The source reconnected: the next packet's timestamp says nothing about the last one's. Sequence
    /// numbers and timestamps go on.
    pub fn restart(&mut self) {
        self.timeline.restart();
        self.next_timestamp = None;
        self.talkspurt = true;
    }

    /// Makes the train of `frame`; several if it is G.711 and over [`MAX_PAYLOAD`] bytes.
    ///
    /// A packet's timestamp is that of the one before it and its duration, as long as the source's own stays near:
    /// behind a silence it steps ahead, and it never
    /// steps back.
    ///
    /// The marker is set where a talkspurt starts (RFC 3551 §4.1): on the first packet, and on the first
    /// one after [`restart`](Self::restart). Players may take up or drop delay there.
    pub fn packetize(&mut self, frame: AudioFrame) -> Result<Vec<Arc<Train>>, PacketizeError> {
        let (timestamp, bytes) = (frame.timestamp, frame.payload.len());
        if bytes == 0 {
            return Err(PacketizeError::EmptyPayload { timestamp });
        }
        let limit = if self.codec.is_split() { MAX_FRAME } else { MAX_PAYLOAD };
        if bytes > limit {
            let codec = self.codec.encoding_name();
            return Err(PacketizeError::PayloadTooLarge { codec, timestamp, bytes, limit });
        }

        let stamp = self.timeline.stamp(timestamp, frame.received);
        let stamp = Stamp { timestamp: self.in_place(stamp.timestamp), ..stamp };
        let mut redundant = self.redundant(stamp.timestamp, &frame.payload);
        self.last_timestamp = stamp.timestamp;
        self.next_timestamp = self.codec.ticks(&frame.payload).map(|ticks| stamp.timestamp + ticks);
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
                time: stamp.time.map(|time| time.later(later)),
            };
            let marker = std::mem::take(&mut self.talkspurt);
            let (codec, received) = (self.codec.into(), frame.received);
            let redundant = redundant.take();
            let unit = Unit { codec, stamp, received, keyframe: true, marker, redundant };
            let mut packets = Packets::with_capacity(1, piece.len());
            packets.push(piece);
            cut(unit, packets, &mut self.next_sequence, &mut all);
        }
        Ok(all)
    }

    /// The payload at `timestamp` with the one before it, which it then is for the next. Only of Opus: browsers take RED of
    /// nothing else. Nothing behind a silence or a reconnect, where the one before it is heard already.
    fn redundant(&mut self, timestamp: u64, payload: &[u8]) -> Option<Redundant> {
        if self.codec != AudioCodec::Opus {
            return None;
        }
        let follows = self.next_timestamp == Some(timestamp);
        let both =
            follows.then(|| Redundant::new(&self.last, payload, timestamp - self.last_timestamp)).flatten();
        self.last.clear();
        self.last.extend_from_slice(payload);
        both
    }

    /// Where a packet goes whose source says `timestamp`.
    fn in_place(&self, timestamp: u64) -> u64 {
        let Some(next) = self.next_timestamp else { return timestamp };
        let ticks = |time: Duration| time.as_micros() as u64 * u64::from(self.codec.clock_rate()) / 1_000_000;
        if timestamp > next + ticks(STRAY) {
            timestamp
        } else if timestamp + ticks(LEAD) < next {
            timestamp.max(self.last_timestamp + 1)
        } else {
            next
        }
    }
}
