//! The clock of one viewer's track.

use std::ops::Add;

use crate::track::Train;

/// An RTP timestamp as one viewer gets it, without its wrap. Like the track's it counts ticks of the codec's clock, and
/// most trains keep theirs; behind a catch-up it differs, so the two are not compared by accident. The third clock, the
/// source's, has a sign ([`AccessUnit::timestamp`](sluice_media::AccessUnit::timestamp)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ViewerTime(u64);

impl ViewerTime {
    /// What a train has that keeps its own.
    pub(super) fn own(train: &Train) -> ViewerTime {
        ViewerTime(train.timestamp)
    }

    /// As it goes on the wire (RFC 3550 §5.1).
    pub(super) fn wire(self) -> u32 {
        self.0 as u32
    }

    /// Ticks from `earlier` to this one; 0 if it is not later.
    pub(super) fn since(self, earlier: ViewerTime) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for ViewerTime {
    type Output = ViewerTime;

    fn add(self, ticks: u64) -> ViewerTime {
        ViewerTime(self.0 + ticks)
    }
}
