//! What viewers weigh: by what a shard's work for one of them is told from that for another before either is measured.
//!
//! Owns the measure, and the sums of a shard: of all viewers that it was given, and of those that are connected. A shard's
//! thread knows nothing of it: sessions keep the sums, under their lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a viewer takes whatever its bitrate, as bits a second that would take as much: messages, which are as many whatever is in
/// them. A viewer was measured to take 551 us a second at 1.1 Mb/s, 721 at 4.3 and 1,012 at 8.5 (docs/PERFORMANCE.md), which is
/// about 480 and 60 for each Mb/s. Raising it tells high layers from low ones less; lowering it thinks low ones cheaper than
/// they are.
const BESIDE_BITS: u64 = 8_000_000;

/// What one viewer weighs, in kilobits a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weight(u64);

impl Weight {
    /// Of a viewer that is sent so many bits a second; 0 while that is not known.
    pub const fn of(bits: u64) -> Weight {
        Weight((BESIDE_BITS + bits) / 1_000)
    }

    /// As a number, for what was learnt of a shard.
    pub(super) fn value(self) -> f64 {
        self.0 as f64
    }
}

/// What the viewers of a shard weigh.
#[derive(Debug, Default)]
pub struct Load {
    given: AtomicU64,
    connected: AtomicU64,
}

impl Load {
    /// A viewer was sent to the shard.
    pub fn give(&self, weight: Weight) {
        self.given.fetch_add(weight.0, Ordering::Relaxed);
    }

    /// It is connected.
    pub fn connect(&self, weight: Weight) {
        self.connected.fetch_add(weight.0, Ordering::Relaxed);
    }

    /// It has ended, having been connected or not.
    pub fn take(&self, weight: Weight, connected: bool) {
        self.given.fetch_sub(weight.0, Ordering::Relaxed);
        if connected {
            self.connected.fetch_sub(weight.0, Ordering::Relaxed);
        }
    }

    /// One weighs something else now.
    pub(super) fn change(&self, before: Weight, now: Weight, connected: bool) {
        self.take(before, connected);
        self.give(now);
        if connected {
            self.connect(now);
        }
    }

    /// Of all that it was given, and of those that are connected.
    #[cfg(test)]
    pub(crate) fn weights(&self) -> (Weight, Weight) {
        (Weight(self.given.load(Ordering::Relaxed)), Weight(self.connected.load(Ordering::Relaxed)))
    }

    /// Of all that it was given.
    pub(super) fn given(&self) -> f64 {
        self.given.load(Ordering::Relaxed) as f64
    }

    /// Of those that are connected.
    pub(super) fn connected(&self) -> f64 {
        self.connected.load(Ordering::Relaxed) as f64
    }
}
