//! Metrics of each shard: its thread, its socket, and how late media leaves it.

use std::fmt;
use std::sync::Arc;

use super::out::{Out, label};
use crate::count::histogram::Snapshot;
use crate::shard::command::ShardHandle;

/// Writes them.
pub(super) fn encode(out: &mut Out<'_>, shards: &[Arc<ShardHandle>]) -> fmt::Result {
    let named = |shard: &ShardHandle| label("shard", shard.index);
    let up = shards.iter().map(|s| (named(s), f64::from(u8::from(s.health.is_able()))));
    out.gauge("shard_up", "1 while the shard's thread goes round and gets joins", up)?;
    let viewers = shards.iter().map(|s| (named(s), s.counters.viewers.get() as f64));
    out.gauge("shard_viewers", "Viewers on the shard, connected or not", viewers)?;
    let busy = shards.iter().map(|s| (named(s), s.health.busy_ratio()));
    out.gauge("shard_busy_ratio", "Part of the last second that the shard's thread worked", busy)?;
    let busy = shards.iter().map(|s| (named(s), s.counters.busy_nanos.get() as f64 / 1e9));
    out.seconds("shard_busy_seconds", "Time that the shard's thread worked", busy)?;
    let wakeups = shards.iter().map(|s| (named(s), s.counters.wakeups.get()));
    out.counter("shard_wakeups", "Times that the shard's thread woke up", wakeups)?;
    let open = shards.iter().map(|s| s.counters.connections_open.get()).sum::<u64>() as f64;
    out.gauge("tcp_connections", "TCP connections of viewers that are open", [(vec![], open)])?;
    let expected = shards.iter().map(|s| (named(s), s.expected_load()));
    let help =
        "Part of its time that all viewers given to the shard will take; over limits.busy it gets no more";
    out.gauge("shard_expected_ratio", help, expected)?;
    let refused = shards.iter().map(|s| (named(s), s.refused.get()));
    let help = "Joins refused because the shard with the fewest viewers, and every other, had no room";
    out.counter("shard_joins_refused", help, refused)?;
    let blocked = shards.iter().map(|s| (named(s), s.counters.blocked_nanos.get() as f64 / 1e9));
    out.seconds("shard_blocked_seconds", "Time that the shard's socket was full", blocked)?;
    let dropped = shards.iter().map(|s| (named(s), s.counters.ingress_dropped.get()));
    let help = "Datagrams that the kernel dropped before the shard received them: its socket had no room";
    out.counter("ingress_dropped_datagrams", help, dropped)?;
    let delay = shards.iter().map(|s| (named(s), Snapshot::of([&s.counters.traffic.forward_delay])));
    let help = "Time from a complete frame at ingest until the kernel took it, once for each viewer";
    out.histogram("forward_delay_seconds", help, delay)
}
