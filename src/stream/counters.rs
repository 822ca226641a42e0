//! What a layer of a stream counts at ingress: numbers that its source's thread writes and a scrape reads.
//!
//! Owns the cells. Bytes, packets and the clock are of each track; the rest is of the layer.

use sluice_media::Kind;

use super::Cause;
use crate::count::{Cell, Gauge};

/// The numbers of one layer.
#[derive(Debug, Default)]
pub struct StreamCounters {
    /// Of its video.
    pub video: TrackCounters,
    /// Of its audio.
    pub audio: TrackCounters,
    /// Packets lost before they reached us.
    pub ingress_lost: Cell,
    /// Times the source began anew within its session.
    pub ingress_restarts: Cell,
    /// Times that another way of media was taken than the one that was tried.
    pub ingress_turns: Cell,
    /// Times that timestamps of audio or video jumped within a session.
    pub ingress_jumps: Cell,
    /// NAL units left out because they are malformed.
    pub ingress_discarded_nals: Cell,
    /// Access units or audio frames that could not be packetized.
    pub ingress_invalid: Cell,
    /// Pictures and audio packets left out because the source sends more of them than any camera.
    pub ingress_excess: Cell,
    /// Units of sound that were turned into Opus.
    pub sound_transcoded: Cell,
    /// Units of sound that should have been: malformed ones, and those for which there was no time.
    pub sound_discarded: Cell,
    /// Payload bits a second of both tracks, over the last seconds; 0 until that is known.
    pub rate: Gauge,
    /// Keyframes.
    pub keyframes: Cell,
    /// Times the source began to play.
    pub starts: Cell,
    /// Times the source had rested and somebody wanted it.
    pub wakes: Cell,
    failures: [Cell; Cause::ALL.len()],
}

/// The numbers of one track.
#[derive(Debug, Default)]
pub struct TrackCounters {
    /// Payload bytes of packets made.
    pub bytes: Cell,
    /// Packets made.
    pub packets: Cell,
    /// By how much the source's clock is too fast, negative where it is too slow: a part of a second each second.
    pub drift: Gauge,
    /// Interarrival jitter of its frames, in seconds.
    pub jitter: Gauge,
}

impl StreamCounters {
    /// The numbers of its track of `kind`.
    pub fn track(&self, kind: Kind) -> &TrackCounters {
        match kind {
            Kind::Video => &self.video,
            Kind::Audio => &self.audio,
        }
    }

    /// Payload bytes of both tracks.
    pub fn ingress_bytes(&self) -> u64 {
        self.video.bytes.get() + self.audio.bytes.get()
    }

    /// Attempts to play that failed for `cause`.
    pub fn failures(&self, cause: Cause) -> &Cell {
        let place = Cause::ALL.iter().position(|other| *other == cause);
        &self.failures[place.expect("ALL holds every cause")]
    }
}
