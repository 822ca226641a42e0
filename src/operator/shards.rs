//! Shards one by one: what each has, and how much more it takes.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Operator;
use super::sample::round;

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Shards {
    /// By number.
    pub shards: Vec<Shard>,
}

/// One shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Shard {
    /// Its number, from 0.
    pub shard: usize,
    /// Its UDP port.
    pub port: u16,
    /// Whether its thread goes round.
    pub up: bool,
    /// Sessions that it has, connected or not.
    pub sessions: usize,
    /// Those that are connected.
    pub connected: u64,
    /// Of those, the ones that get no media because it does not suffice for all.
    pub without_media: u64,
    /// Part of the last second that its thread worked, 0 to 1.
    pub busy: f64,
    /// Part of what it can do that its sessions will take once all of them are connected; over 1 is more than it has.
    pub expected: f64,
    /// Joins that were refused because it had no room, since the start.
    pub refused: u64,
}

impl Operator {
    /// All shards, as they are.
    pub fn shards(&self) -> Shards {
        let shards = self.shards.iter().map(|shard| Shard {
            shard: shard.index,
            port: shard.port,
            up: shard.health.is_able(),
            sessions: shard.viewers.load(Ordering::Relaxed),
            connected: shard.counters.connected_now.get(),
            without_media: shard.counters.without_media.get(),
            busy: shard.health.busy_ratio(),
            expected: round(shard.expected_load()),
            refused: shard.refused.get(),
        });
        Shards { shards: shards.collect() }
    }
}
