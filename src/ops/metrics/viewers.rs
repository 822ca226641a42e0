//! Metrics of joining and leaving: sessions, viewers, how long each phase of a setup takes, and refusals.

use std::fmt;
use std::sync::Arc;

use super::out::{Out, label, sum};
use crate::count::histogram::{Histogram, Snapshot};
use crate::count::requests::Requests;
use crate::count::{EndReason, Setup};
use crate::session::table::Sessions;
use crate::shard::command::ShardHandle;

/// Reads one phase of a shard's setups.
type ReadPhase = fn(&Setup) -> &Histogram;

/// The phases that shards see.
const PHASES: [(&str, ReadPhase); 3] =
    [("ice", |setup| &setup.ice), ("dtls", |setup| &setup.dtls), ("first_media", |setup| &setup.first_media)];

/// Writes them.
pub(super) fn encode(
    out: &mut Out<'_>,
    sessions: &Sessions,
    shards: &[Arc<ShardHandle>],
    requests: &Requests,
) -> fmt::Result {
    out.gauge("sessions", "WHEP sessions, connected or not", [(vec![], sessions.len() as f64)])?;
    let now = sum(shards, |c| &c.connected_now) as f64;
    out.gauge("viewers", "Viewers that are connected", [(vec![], now)])?;
    let without = sum(shards, |c| &c.without_media) as f64;
    let help = "Connected viewers that get no media, because it does not suffice for all";
    out.gauge("viewers_without_media", help, [(vec![], without)])?;
    let twice = sum(shards, |c| &c.redundant_now) as f64;
    let help = "Connected viewers whose sound goes twice (RED), because they lose some";
    out.gauge("viewers_with_redundant_sound", help, [(vec![], twice)])?;
    let limited = sum(shards, |c| &c.limited) as f64;
    let help =
        "Viewers that are sent no more than their line carries, because it is narrower than their stream";
    out.gauge("viewers_limited", help, [(vec![], limited)])?;
    let refused = sessions.admission.refused().map(|(reason, count)| (label("reason", reason), count));
    out.counter("joins_refused", "Joins refused because of a limit, by reason", refused)?;
    let refused = sessions.refused.counts().map(|(reason, count)| (label("reason", reason), count));
    let help = "Offers that could not be answered, by what is wrong with them";
    out.counter("offers_refused", help, refused)?;
    let connects = sum(shards, |c| &c.connected);
    out.counter("viewer_connects", "Viewers that connected", [(vec![], connects)])?;
    let ended = EndReason::ALL.map(|reason| {
        let count = shards.iter().map(|shard| shard.counters.ended(reason).get()).sum();
        (label("reason", reason.label()), count)
    });
    out.counter("viewer_ends", "Viewers that ended, by reason", ended)?;
    let of_shards = PHASES.map(|(phase, read)| {
        let each = shards.iter().map(|shard| read(&shard.counters.setup));
        (label("phase", phase), Snapshot::of(each))
    });
    let phases = [(label("phase", "http"), requests.joins())].into_iter().chain(of_shards);
    let help = "Time that a phase of a viewer's setup took, each from the end of the one before";
    out.histogram("viewer_setup_seconds", help, phases)
}
