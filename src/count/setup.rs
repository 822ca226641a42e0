//! How long the phases of a viewer's setup took, as numbers of one shard.
//!
//! Owns the bounds of their buckets. Before these comes the request itself, which no shard sees
//! (src/count/requests.rs).

use super::histogram::Histogram;

/// Seconds of a phase: from a viewer in the same rack to one that nearly gave up. The target for all of them
/// together is 0.1.
pub(super) const PHASE: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The phases, each from the end of the one before.
#[derive(Debug)]
pub struct Setup {
    /// From the answer to the first authentic connectivity check: the way to us, and the browser's ICE.
    pub ice: Histogram,
    /// From there until DTLS is up: two round trips, and both sides' cryptography.
    pub dtls: Histogram,
    /// From there until the first train was sealed for the viewer: 0 where the ring has a keyframe.
    pub first_media: Histogram,
}

impl Default for Setup {
    fn default() -> Setup {
        let phase = || Histogram::new(PHASE);
        Setup { ice: phase(), dtls: phase(), first_media: phase() }
    }
}
