//! Metrics of what leaves and what comes in, over all shards: how much, in which portions, and what does not.

use std::fmt;
use std::sync::Arc;

use sluice_io::DropReason;

use super::out::{Out, Read, label, sum, sums};
use crate::count::Traffic;
use crate::count::histogram::{Histogram, Snapshot};
use crate::shard::command::ShardHandle;

/// Reads one histogram of a shard's traffic.
type ReadTraffic = fn(&Traffic) -> &Histogram;

/// Counters summed over shards: name without `_total`, help, what to read.
const SUMS: [(&str, &str, Read); 10] = [
    ("trains", "Trains (frames, or slices of them) that shards got to fan out", |c| &c.trains),
    ("ingress_datagrams", "Datagrams received from viewers", |c| &c.ingress_datagrams),
    ("egress_bytes", "Bytes sent to viewers: UDP payload, and TCP", |c| &c.egress_bytes),
    ("egress_tcp_bytes", "Of these, bytes of TCP connections", |c| &c.egress_bytes_tcp),
    ("egress_datagrams", "Datagrams sent to viewers", |c| &c.egress_datagrams),
    ("egress_messages", "GSO messages sent to viewers, each of one or more datagrams", |c| {
        &c.egress_messages
    }),
    (
        "tcp_connections_refused",
        "TCP connections of viewers refused: too many of them, of strangers, or of one address",
        |c| &c.connections_refused,
    ),
    ("send_calls", "Calls of sendmmsg", |c| &c.send_calls),
    ("gso_fallbacks", "Messages sent again without GSO after the kernel refused them", |c| &c.gso_fallbacks),
    ("engine_withheld_datagrams", "SRTP and SRTCP datagrams of engines that were withheld", |c| &c.withheld),
];

/// Portions: name, help, what to read.
const SIZES: [(&str, &str, ReadTraffic); 3] = [
    ("egress_messages_per_call", "GSO messages that one sendmmsg took", |t| &t.messages_per_call),
    ("egress_datagrams_per_message", "Datagrams that one message was cut into", |t| &t.datagrams_per_message),
    ("ingress_datagrams_per_call", "Datagrams that one recvmmsg brought", |t| &t.datagrams_per_receive),
];

/// Trains that never reached a shard, by reason.
const QUEUE: [(&str, Read); 2] =
    [("queue", |c| &c.media_queue_full), ("share_of_stream", |c| &c.media_queue_share)];

/// Datagrams not sent, by reason; those that the kernel refused have [`DropReason`]s.
const DROPS: [(&str, Read); 7] = [
    ("socket_full", |c| &c.dropped_socket_full),
    ("late", |c| &c.dropped_late),
    ("shed", |c| &c.dropped_shed),
    ("undecodable", |c| &c.dropped_undecodable),
    ("slow_line", |c| &c.dropped_slow_line),
    ("line_full", |c| &c.dropped_line_full),
    ("unbatchable", |c| &c.dropped_unbatchable),
];

/// Datagrams not looked at further, by reason.
const DISCARDS: [(&str, Read); 15] = [
    ("oversize", |c| &c.discarded_oversize),
    ("unauthenticated", |c| &c.discarded_unauthenticated),
    ("taken_address", |c| &c.discarded_taken_address),
    ("ninth_address", |c| &c.discarded_ninth_address),
    ("check_rate", |c| &c.discarded_check_rate),
    ("unannounced", |c| &c.discarded_unannounced),
    ("copy", |c| &c.discarded_copy),
    ("no_check", |c| &c.discarded_no_check),
    ("unknown_ufrag", |c| &c.discarded_unknown_ufrag),
    ("unknown_address", |c| &c.discarded_unknown_address),
    ("media", |c| &c.discarded_media),
    ("application_data", |c| &c.discarded_application_data),
    ("dtls", |c| &c.discarded_dtls),
    ("rtcp", |c| &c.discarded_rtcp),
    ("alien", |c| &c.discarded_alien),
];

/// Writes them.
pub(super) fn encode(out: &mut Out<'_>, shards: &[Arc<ShardHandle>]) -> fmt::Result {
    for (name, help, read) in SUMS {
        out.counter(name, help, [(vec![], sum(shards, read))])?;
    }
    for (name, help, read) in SIZES {
        let each = shards.iter().map(|shard| read(&shard.counters.traffic));
        out.histogram(name, help, [(vec![], Snapshot::of(each))])?;
    }
    let queue = sums(shards, "reason", &QUEUE);
    out.counter(
        "media_queue_full",
        "Trains dropped because a shard did not keep up, or their stream had its share of the queue",
        queue,
    )?;
    let mut dropped = sums(shards, "reason", &DROPS);
    dropped.extend(DropReason::ALL.map(|reason| {
        let count = shards.iter().map(|shard| shard.counters.kernel_dropped(reason).get()).sum();
        (label("reason", reason), count)
    }));
    out.counter("egress_dropped_datagrams", "Datagrams not sent, by reason", dropped)?;
    let discarded = sums(shards, "reason", &DISCARDS);
    out.counter("ingress_discarded_datagrams", "Datagrams discarded, by reason", discarded)
}
