//! Units of media as a source delivers them: one coded picture, one audio packet.

use std::time::Instant;

use bytes::Bytes;

/// One coded picture as a source delivers it: its NAL units without start codes or lengths.
#[derive(Debug, Clone)]
pub struct AccessUnit {
    /// NAL units in decoding order, each with its header.
    pub nals: Vec<Bytes>,
    /// Presentation time by the source's clock, in ticks of 90 kHz, already unwrapped.
    pub timestamp: i64,
    /// When its last byte was read.
    pub received: Instant,
    /// Whether pictures are missing before it, or were damaged and left out: all that follow may refer to
    /// them, up to the next keyframe.
    pub after_gap: bool,
}

/// What a source says of its clock in a sender report (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceReport {
    /// NTP time, 32.32 bits, as it says; anything, where its clock is not set.
    pub ntp: u64,
    /// The timestamp of the same moment by the track's clock, in ticks, unwrapped as those of its units are.
    pub timestamp: i64,
    /// When it was read.
    pub received: Instant,
}

/// One audio packet's payload as a source delivers it.
#[derive(Debug, Clone)]
pub struct AudioFrame {
    /// The payload as RTP carries it. Over [`MAX_PAYLOAD`](crate::MAX_PAYLOAD) bytes Opus is refused and G.711 split.
    pub payload: Bytes,
    /// Time by the source's clock, in ticks of the codec's clock rate, already unwrapped.
    pub timestamp: i64,
    /// When its last byte was read.
    pub received: Instant,
}
