//! Tracks: what a source gives, packetized once into immutable trains that every viewer shares.
//!
//! Owns the words of media (codec, access unit, train) and the state of one track (its sequence,
//! its timeline, its recent history). Never knows a viewer, a socket or a clock.

pub(crate) mod annex_b;
pub(crate) mod h264;
mod opus;
mod pace;
mod packetize;
mod packets;
mod recent;
mod still;
mod timeline;

use std::time::Instant;

use bytes::Bytes;

pub use h264::profile_level_id;
pub(crate) use packetize::payloads;
pub use packetize::{AudioPacketizer, MAX_ACCESS_UNIT, PacketizeError, VideoFacts, VideoPacketizer};
pub use packets::Packets;
pub use recent::{MAX_TRAINS, Recent, RecentLimits};
pub use still::{StillError, still};
pub use timeline::{Stamp, Timeline};

/// RTP payload bytes of one packet at the most.
///
/// 1,200 leaves room for RTP header, extensions and the SRTP tag inside the 1,280-byte IPv6 minimum
/// MTU. Raising it saves a little CPU per byte and loses viewers behind tunnels; lowering it costs
/// packets.
pub const MAX_PAYLOAD: usize = 1_200;

/// Packets of one train at the most: the pieces in which a large picture goes out.
///
/// Raising it, up to the 64 segments of a GSO message, makes a packet of a large picture a little
/// cheaper (378 ns in trains of 10, 235 ns in trains of 20) and sends longer bursts to one viewer: 16
/// are 19 KB. Lowering it costs messages.
pub const MAX_TRAIN_PACKETS: usize = 16;

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// The codecs Sluice forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264 with `packetization-mode=1` (RFC 6184).
    H264,
    /// Opus, 48 kHz clock (RFC 7587).
    Opus,
    /// G.711 µ-law, 8 kHz (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 A-law, 8 kHz (RFC 3551 §4.5.14).
    Pcma,
}

impl Codec {
    /// Whether the codec carries sound or pictures.
    pub fn kind(self) -> Kind {
        match self {
            Codec::H264 => Kind::Video,
            Codec::Opus | Codec::Pcmu | Codec::Pcma => Kind::Audio,
        }
    }

    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::H264 => 90_000,
            Codec::Opus => 48_000,
            Codec::Pcmu | Codec::Pcma => 8_000,
        }
    }

    /// The encoding name of `a=rtpmap`. Compare without regard to case (RFC 8866 §6.6).
    pub fn encoding_name(self) -> &'static str {
        match self {
            Codec::H264 => "H264",
            Codec::Opus => "opus",
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }
}

/// One coded picture as a source delivers it: its NAL units without start codes or lengths.
#[derive(Debug, Clone)]
pub struct AccessUnit {
    /// NAL units in decoding order, each with its one-byte header (ITU-T H.264 §7.3.1).
    pub nals: Vec<Bytes>,
    /// Presentation time by the source's clock, in ticks of 90 kHz, already unwrapped.
    pub timestamp: i64,
    /// When its last byte was read.
    pub received: Instant,
    /// Whether pictures are missing before it, or were damaged and left out: all that follow may refer to
    /// them, up to the next keyframe.
    pub after_gap: bool,
}

impl AccessUnit {
    /// Whether it has a slice of an IDR picture: a decoder can begin with it.
    pub fn is_keyframe(&self) -> bool {
        self.nals.iter().any(|nal| h264::kind(nal) == h264::IDR)
    }
}

/// One audio packet's payload as a source delivers it.
#[derive(Debug, Clone)]
pub struct AudioFrame {
    /// The payload as RTP carries it. Over [`MAX_PAYLOAD`] bytes Opus is refused and G.711 split.
    pub payload: Bytes,
    /// Time by the source's clock, in ticks of the codec's clock rate, already unwrapped.
    pub timestamp: i64,
    /// When its last byte was read.
    pub received: Instant,
}

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
    pub sequence: u64,
    /// Extended RTP timestamp in ticks of the codec's clock; its low 32 bits go on the wire.
    pub timestamp: u64,
    /// Whether this is the first train of an access unit that can be decoded without any before it
    /// (parameter sets and IDR slices). Always `true` for audio.
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
    /// RTP payloads, one per packet, each at most [`MAX_PAYLOAD`] bytes.
    pub packets: Packets,
}

impl Train {
    /// Track sequence number behind the last packet.
    pub fn end(&self) -> u64 {
        self.sequence + self.packets.len() as u64
    }

    /// Payload bytes of all packets.
    pub fn bytes(&self) -> usize {
        self.packets.bytes()
    }

    /// Bytes of memory that it holds: of a small one most are not payload.
    pub fn held(&self) -> usize {
        /// The counts of the `Arc`, and what the allocator adds to each of three pieces of memory.
        const AROUND: usize = 2 * size_of::<usize>() + 3 * 16;
        size_of::<Train>() + AROUND + self.packets.held()
    }

    /// Whether packet `index` carries the RTP marker bit.
    pub fn marker(&self, index: usize) -> bool {
        self.marker && index + 1 == self.packets.len()
    }
}
