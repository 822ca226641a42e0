//! Places in a track.

use std::fmt;
use std::ops::{Add, AddAssign};

/// A packet's place in its track: counts packets from 0 and never wraps.
///
/// A viewer's packets are numbered by [`PacketIndex`](sluice_media::srtp::PacketIndex): those are what a key may use
/// once, so the two are of different types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackSeq(pub u64);

impl TrackSeq {
    /// Packets from `earlier` to this one; nothing if it is later.
    pub fn since(self, earlier: TrackSeq) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }
}

impl Add<u64> for TrackSeq {
    type Output = TrackSeq;

    fn add(self, packets: u64) -> TrackSeq {
        TrackSeq(self.0 + packets)
    }
}

impl AddAssign<u64> for TrackSeq {
    fn add_assign(&mut self, packets: u64) {
        self.0 += packets;
    }
}

impl fmt::Display for TrackSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::LowerHex for TrackSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
