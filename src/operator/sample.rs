//! One second of the server, from what its shards count.
//!
//! Owns what is shown of it, and how it follows from two readings of counters. Takes `now`; reads no clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sluice_io::DropReason;
use sluice_media::Kind;
use utoipa::ToSchema;

use crate::count::histogram::Snapshot;
use crate::count::{Cell, EndReason, ShardCounters};
use crate::session::table::Sessions;
use crate::shard::command::ShardHandle;

/// What happened in about a second. Rates are by the second, whatever time was between two looks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// Bits sent to viewers, without IP and UDP headers.
    pub egress_bps: u64,
    /// Datagrams sent to viewers.
    pub egress_pps: u64,
    /// Viewers that are connected, at its end.
    pub viewers: u64,
    /// Of those, the ones that get no media because it does not suffice for all.
    pub without_media: u64,
    /// Sessions, connected or not, at its end.
    pub sessions: u64,
    /// Joins, by how far they came.
    pub joins: Joins,
    /// How long the phases of joins took, the mean of those that passed each.
    pub setup: Phases,
    /// From a frame's last packet at ingest until the kernel took it for a viewer: half of all are faster.
    pub forward_p50_ms: Option<f64>,
    /// As before: one in a hundred is slower.
    pub forward_p99_ms: Option<f64>,
    /// The part of a track's packets that was lost before repair, 0 to 1: the mean of viewers that reported.
    pub loss: Option<f64>,
    /// The mean round trip of viewers that reported.
    pub round_trip_ms: Option<f64>,
    /// Packets sent again.
    pub repairs_ps: f64,
    /// Datagrams that were not sent: late, shed, or refused by the kernel.
    pub dropped_ps: f64,
    /// Shards, by number.
    pub shards: Box<[ShardLoad]>,
}

/// Joins in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Joins {
    /// Offers that were answered.
    pub answered: f64,
    /// Viewers whose first authentic connectivity check came.
    pub reached: f64,
    /// Viewers that connected: DTLS is up too.
    pub connected: f64,
    /// Viewers that were sent their first media.
    pub served: f64,
    /// Viewers that did not connect in time.
    pub failed: f64,
    /// Offers refused because of a limit.
    pub refused: f64,
}

/// The phases of joins, each from the end of the one before; nothing where nobody passed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Phases {
    /// From the answer to the first check.
    pub ice_ms: Option<f64>,
    /// From there until DTLS is up.
    pub dtls_ms: Option<f64>,
    /// From there until the first media was sealed.
    pub first_media_ms: Option<f64>,
}

/// A shard in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShardLoad {
    /// Part of the time that its thread worked, 0 to 1.
    pub busy: f64,
    /// Viewers on it, connected or not.
    pub viewers: u64,
    /// Whether its thread goes round.
    pub up: bool,
}

/// What was counted until a moment.
#[derive(Debug)]
pub(super) struct Reading {
    at: Instant,
    bytes: u64,
    datagrams: u64,
    answered: u64,
    connected: u64,
    failed: u64,
    refused: u64,
    repairs: u64,
    dropped: u64,
    ice: Snapshot,
    dtls: Snapshot,
    first_media: Snapshot,
    forward: Snapshot,
    loss: Snapshot,
    round_trip: Snapshot,
}

impl Reading {
    /// Reads all counters, `now`.
    pub(super) fn of(now: Instant, shards: &[Arc<ShardHandle>], sessions: &Sessions) -> Reading {
        let sum = |read: fn(&ShardCounters) -> &Cell| {
            shards.iter().map(|shard| read(&shard.counters).get()).sum::<u64>()
        };
        let counters = || shards.iter().map(|shard| &shard.counters);
        let by_kernel = |reason: DropReason| counters().map(|c| c.kernel_dropped(reason).get()).sum::<u64>();
        let chosen = sum(|c| &c.dropped_socket_full) + sum(|c| &c.dropped_late) + sum(|c| &c.dropped_shed);
        let heard = || counters().flat_map(|c| [Kind::Audio, Kind::Video].map(|kind| c.feedback.of(kind)));
        let no_room = shards.iter().map(|shard| shard.refused.get()).sum::<u64>();
        Reading {
            at: now,
            bytes: sum(|c| &c.egress_bytes),
            datagrams: sum(|c| &c.egress_datagrams),
            answered: sessions.answered.get(),
            connected: sum(|c| &c.connected),
            failed: counters().map(|c| c.ended(EndReason::SetupTimeout).get()).sum(),
            refused: sessions.admission.refused().map(|(_, count)| count).sum::<u64>() + no_room,
            repairs: sum(|c| &c.repairs_sent),
            dropped: chosen + DropReason::ALL.into_iter().map(by_kernel).sum::<u64>(),
            ice: Snapshot::of(counters().map(|c| &c.setup.ice)),
            dtls: Snapshot::of(counters().map(|c| &c.setup.dtls)),
            first_media: Snapshot::of(counters().map(|c| &c.setup.first_media)),
            forward: Snapshot::of(counters().map(|c| &c.traffic.forward_delay)),
            loss: Snapshot::of(heard().map(|heard| &heard.loss)),
            round_trip: Snapshot::of(heard().map(|heard| &heard.round_trip)),
        }
    }

    /// What happened since `before`; `date` is the moment of this reading.
    pub(super) fn since(
        &self,
        before: &Reading,
        date: SystemTime,
        shards: &[Arc<ShardHandle>],
        sessions: &Sessions,
    ) -> Sample {
        // Two looks of one instant have nothing between them.
        let seconds =
            self.at.saturating_duration_since(before.at).max(Duration::from_millis(1)).as_secs_f64();
        let rate = |after: u64, before: u64| round(after.saturating_sub(before) as f64 / seconds);
        let ms = |seconds: Option<f64>| seconds.map(|seconds| round(seconds * 1e3));
        let mean_ms = |after: &Snapshot, before: &Snapshot| ms(after.since(before).mean());
        let forward = self.forward.since(&before.forward);
        let now = |read: fn(&ShardCounters) -> &Cell| {
            shards.iter().map(|shard| read(&shard.counters).get()).sum::<u64>()
        };
        Sample {
            at_ms: date.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
            egress_bps: rate(8 * self.bytes, 8 * before.bytes) as u64,
            egress_pps: rate(self.datagrams, before.datagrams) as u64,
            viewers: now(|c| &c.connected_now),
            without_media: now(|c| &c.without_media),
            sessions: sessions.len() as u64,
            joins: Joins {
                answered: rate(self.answered, before.answered),
                reached: rate(self.ice.count(), before.ice.count()),
                connected: rate(self.connected, before.connected),
                served: rate(self.first_media.count(), before.first_media.count()),
                failed: rate(self.failed, before.failed),
                refused: rate(self.refused, before.refused),
            },
            setup: Phases {
                ice_ms: mean_ms(&self.ice, &before.ice),
                dtls_ms: mean_ms(&self.dtls, &before.dtls),
                first_media_ms: mean_ms(&self.first_media, &before.first_media),
            },
            forward_p50_ms: ms(forward.quantile(0.5)),
            forward_p99_ms: ms(forward.quantile(0.99)),
            loss: self.loss.since(&before.loss).mean().map(round),
            round_trip_ms: mean_ms(&self.round_trip, &before.round_trip),
            repairs_ps: rate(self.repairs, before.repairs),
            dropped_ps: rate(self.dropped, before.dropped),
            shards: shards.iter().map(|shard| ShardLoad::of(shard)).collect(),
        }
    }
}

impl ShardLoad {
    fn of(shard: &ShardHandle) -> ShardLoad {
        ShardLoad {
            busy: shard.health.busy_ratio(),
            viewers: shard.viewers.load(Ordering::Relaxed) as u64,
            up: shard.health.is_able(),
        }
    }
}

/// To five digits behind the point: more would only make answers long.
pub(super) fn round(value: f64) -> f64 {
    (value * 1e5).round() / 1e5
}
