//! Tracks: what a source gives, packetized once into immutable trains that every viewer shares.
//!
//! Owns trains and the state of one track (its sequence,
//! its timeline, its recent history). Never knows a viewer, a socket or a clock.

mod number;
mod pace;
mod packetize;
mod recent;
mod request;
mod still;
mod timeline;

use std::time::Instant;

use sluice_media::{Codec, Packets, Redundant};

pub use number::TrackSeq;
pub use packetize::{AudioPacketizer, MAX_ACCESS_UNIT, PacketizeError, VideoPacketizer};
pub use recent::{MAX_TRAINS, Recent, RecentLimits};
pub use request::KeyframeRequest;
pub use still::{StillError, still};
pub use timeline::{Moment, Reported, SourceTime, Stamp, Timeline};

/// Packets of one train at the most: the pieces in which a large picture goes out.
///
/// Raising it, up to the 64 segments of a GSO message, makes a packet of a large picture a little
/// cheaper (378 ns in trains of 10, 235 ns in trains of 20) and sends longer bursts to one viewer: 16
/// are 19 KB. Lowering it costs messages.
pub const MAX_TRAIN_PACKETS: usize = 16;

/// The packets of one access unit, or of a slice of it: what is fanned out and sent together.
///
/// Packets have equal length but the last of a run, so that a train becomes one GSO message per
/// viewer. Immutable; shared by every shard and viewer through an `Arc`.
#[derive(Debug)]
pub struct Train {
    /// What the packets hold. A source that comes back may carry another codec than viewers agreed to.
    pub codec: Codec,
    /// Track sequence number of the first packet. Counts packets, and never wraps.
    ///
    /// Of video a number is left out where pictures are missing: a loss before us, a picture that had to be left
    /// out, a new session of the camera. Such a gap says what one by a full queue says: nothing behind it can be
    /// decoded before the next keyframe. So a ring lets nobody start before it ([`Recent::push`]), and viewers
    /// keep the last good picture and are sent nothing until the keyframe (`Forwarder::forward`).
    pub sequence: TrackSeq,
    /// Extended RTP timestamp in ticks of the codec's clock; its low 32 bits go on the wire.
    pub timestamp: u64,
    /// Whether this is the first train of an access unit that can be decoded without any before it
    /// (parameter sets and slices of a keyframe). Always `true` for audio.
    pub keyframe: bool,
    /// Whether this is the first train of its access unit.
    pub starts_frame: bool,
    /// Whether this is the last train of its access unit.
    pub ends_frame: bool,
    /// Whether the last packet carries the RTP marker bit. On video the end of a picture (RFC 6184
    /// §5.1), so `true` where `ends_frame` is; on audio the start of a talkspurt (RFC 3551 §4.1), so
    /// `true` only behind a silence or a reconnect.
    pub marker: bool,
    /// When the access unit was complete at ingest: start of the forwarding delay.
    pub received: Instant,
    /// When the access unit was captured, as well as the source's clock tells: feeds sender reports.
    pub captured: Instant,
    /// The same by the source's own clock, where it reports that: feeds `abs-capture-time`.
    pub source_time: Option<SourceTime>,
    /// RTP payloads, one per packet, each at most [`MAX_PAYLOAD`](sluice_media::MAX_PAYLOAD) bytes.
    pub packets: Packets,
    /// The same of Opus with the packet before it in front, for viewers who lose some (RFC 2198); of a packet that has
    /// none directly before it, nothing.
    pub redundant: Option<Redundant>,
}

impl Train {
    /// Track sequence number behind the last packet.
    pub fn end(&self) -> TrackSeq {
        self.sequence + self.packets.len() as u64
    }

    /// Payload bytes of all packets.
    pub fn bytes(&self) -> usize {
        self.packets.bytes()
    }

    /// The same at the most, for whoever is sent the most of it.
    pub fn bytes_most(&self) -> usize {
        self.redundant.as_ref().map_or(0, Redundant::len).max(self.bytes())
    }

    /// Bytes of memory that it holds: of a small one most are not payload.
    pub fn held(&self) -> usize {
        /// The counts of the `Arc`, and what the allocator adds to each of three pieces of memory.
        const AROUND: usize = 2 * size_of::<usize>() + 3 * 16;
        let redundant = self.redundant.as_ref().map_or(0, |redundant| redundant.payloads().len());
        size_of::<Train>() + AROUND + self.packets.held() + redundant
    }

    /// Whether packet `index` carries the RTP marker bit.
    pub fn marker(&self, index: usize) -> bool {
        self.marker && index + 1 == self.packets.len()
    }
}
