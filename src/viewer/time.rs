//! The clock of one viewer's track.

use std::ops::Add;

use crate::track::Train;

/// An RTP timestamp as one viewer gets it, without its wrap. Like the track's it counts ticks of the codec's clock, and
/// most trains keep theirs; behind a catch-up it differs, so the two are not compared by accident. The third clock, the
/// source's, has a sign ([`AccessUnit::timestamp`](sluice_media::AccessUnit::timestamp)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ViewerTime(u64);

impl ViewerTime {
    /// What a train has that keeps its own, which is so far from its track's: layers of a stream have each their own
    /// timestamps, and who goes from one to the other sees one line.
    pub(super) fn own(train: &Train, shift: Shift) -> ViewerTime {
        ViewerTime(train.timestamp.saturating_add_signed(shift.0))
    }

    /// What is `time` later, or earlier where it is negative, in ticks.
    pub(super) fn moved(self, ticks: i64) -> ViewerTime {
        ViewerTime(self.0.saturating_add_signed(ticks))
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

/// How far a viewer's timestamps are from those of the layer that it is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shift(i64);

impl Shift {
    /// That by which `train` has the timestamp `time`.
    pub(super) fn to(train: &Train, time: ViewerTime) -> Shift {
        Shift(time.0.wrapping_sub(train.timestamp) as i64)
    }
}

impl Add<u64> for ViewerTime {
    type Output = ViewerTime;

    fn add(self, ticks: u64) -> ViewerTime {
        ViewerTime(self.0 + ticks)
    }
}
