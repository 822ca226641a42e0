//! The port that datagrams leave by: the worker's batches, or a test's list.
//!
//! Two kinds of datagrams leave, by two doors. What an engine makes (STUN, DTLS) is copied as it is; what carries
//! media or reports is written where it is sent from, and the only thing that can be said of such a place is that the
//! [`Sealer`](sluice_media::srtp::Sealer) filled it. So plaintext cannot leave, by type.

use std::time::{Duration, Instant};

use sluice_media::srtp::Sealed;

use super::Path;

/// A socket that takes nothing for so long is stalled: what waits for it is dropped. A viewer can ask for that again, but
/// late. Raising it delays everybody after a stall; lowering it drops what a short one would have let through.
pub const STALL: Duration = Duration::from_millis(100);

/// How much a datagram matters when the socket is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// STUN, DTLS, RTCP: goes ahead of media. Without it viewers lose their connection, not a picture.
    Control,
    /// Media and its repairs.
    Media,
}

/// The door of engines.
pub trait Control {
    /// Sends `datagram` of an engine over `path`, on [`Lane::Control`]. Never blocks and never fails: what the
    /// kernel does not take is counted where it happens.
    fn transmit(&mut self, path: Path, datagram: &[u8]);
}

/// Both doors.
pub trait Egress: Control {
    /// Lets `seal` fill a datagram of at most `max` bytes where it is sent from; nothing leaves if it gives nothing.
    /// It runs at most once, because it may use up an index of a key.
    fn seal(&mut self, lane: Lane, path: Path, max: usize, seal: &mut dyn FnMut(&mut [u8]) -> Option<Sealed>);

    /// Whether media of up to `bytes` bytes to one destination can be taken now. If not, the socket is
    /// full or the line's rate is used up: whoever sends media keeps it and asks again later.
    fn ready(&mut self, _bytes: usize) -> bool {
        true
    }

    /// Whether so much waits for the line of `path` alone that no picture had better begin on it: only where a
    /// connection is slower than its stream.
    fn is_slow(&self, _path: Path) -> bool {
        false
    }

    /// What was sealed last for one viewer is live media of a frame that was complete at `received`: from there on its
    /// delay is measured.
    fn forwarded(&mut self, _received: Instant) {}

    /// Whether the socket has taken nothing for [`STALL`]: media need not wait for it any more.
    fn is_stalled(&self) -> bool {
        false
    }
}
