//! Metrics of what viewers get: what they report, what they ask for again, and what becomes of that.

use std::fmt;
use std::sync::Arc;

use sluice_media::Kind;

use super::out::{Out, Read, label, sum, sums};
use crate::count::feedback::Heard;
use crate::count::histogram::{Histogram, Snapshot};
use crate::shard::command::ShardHandle;

/// Reads one histogram of what is heard of a kind of track.
type ReadHeard = fn(&Heard) -> &Histogram;

/// Packets that viewers asked for again (NACK), by what became of them.
const REPAIRS: [(&str, Read); 5] = [
    ("sent", |c| &c.repairs_sent),
    ("repeated", |c| &c.repairs_repeated),
    ("unknown", |c| &c.repairs_unknown),
    ("over_budget", |c| &c.repairs_over_budget),
    ("not_agreed", |c| &c.repairs_not_agreed),
];

/// Keyframe requests of viewers, by what became of them.
const KEYFRAMES: [(&str, Read); 3] = [
    ("replayed", |c| &c.keyframes_replayed),
    ("coalesced", |c| &c.keyframes_coalesced),
    ("awaited", |c| &c.keyframes_awaited),
];

/// Pictures left out for viewers whose line is too narrow, by reason.
const THINNED: [(&str, Read); 3] = [
    ("late", |c| &c.thinned_late),
    ("superseded", |c| &c.thinned_superseded),
    ("undecodable", |c| &c.thinned_undecodable),
];

/// RTCP packets of viewers, by type.
const FEEDBACK: [(&str, Read); 7] = [
    ("receiver_report", |c| &c.feedback.packets.receiver_report),
    ("nack", |c| &c.feedback.packets.nack),
    ("pli", |c| &c.feedback.packets.pli),
    ("fir", |c| &c.feedback.packets.fir),
    ("remb", |c| &c.feedback.packets.remb),
    ("other", |c| &c.feedback.packets.other),
    ("unread", |c| &c.feedback.packets.unread),
];

/// RTCP of viewers that was not acted on because too much of it came in a second.
const OVER_RATE: [(&str, Read); 2] =
    [("packets", |c| &c.feedback.over_rate_packets), ("numbers", |c| &c.feedback.over_rate_numbers)];

/// What receiver reports tell: name, help, what to read.
const HEARD: [(&str, &str, ReadHeard); 3] = [
    ("viewer_loss_ratio", "Part of a track's packets that a viewer lost, before repair", |h| &h.loss),
    ("viewer_jitter_seconds", "Interarrival jitter of a track at a viewer", |h| &h.jitter),
    ("viewer_round_trip_seconds", "Round trip to a viewer", |h| &h.round_trip),
];

/// Writes them.
pub(super) fn encode(out: &mut Out<'_>, shards: &[Arc<ShardHandle>]) -> fmt::Result {
    let feedback = || shards.iter().map(|shard| &shard.counters.feedback);
    let kinds = [("audio", Kind::Audio), ("video", Kind::Video)];
    for (name, help, read) in HEARD {
        let values = kinds.map(|(word, kind)| {
            (label("kind", word), Snapshot::of(feedback().map(|feedback| read(feedback.of(kind)))))
        });
        out.histogram(name, help, values)?;
    }
    let lost = kinds.map(|(word, kind)| {
        (label("kind", word), feedback().map(|feedback| feedback.of(kind).lost.get()).sum())
    });
    out.counter("viewer_lost_packets", "Packets that viewers lost, before repair", lost)?;
    let estimate = Snapshot::of(feedback().map(|feedback| &feedback.estimate));
    let help = "What a viewer thinks its line carries (REMB)";
    out.histogram("viewer_estimate_bytes_per_second", help, [(vec![], estimate)])?;
    let below = sum(shards, |c| &c.feedback.estimate_below_sent);
    let help = "Estimates that were below what the viewer was being sent";
    out.counter("viewer_estimates_below_sent", help, [(vec![], below)])?;

    let repairs = sums(shards, "result", &REPAIRS);
    out.counter("repair_requests", "Packets that viewers asked for again, by result", repairs)?;
    let keyframes = sums(shards, "result", &KEYFRAMES);
    out.counter("keyframe_requests", "Keyframe requests of viewers, by result", keyframes)?;
    let help = "Pictures left out for viewers whose line is too narrow, by reason";
    out.counter("thinned_pictures", help, sums(shards, "reason", &THINNED))?;
    let twice = sum(shards, |c| &c.redundant_packets);
    let help = "Packets of sound that went with the one before them in front (RED), to viewers who lose some";
    out.counter("redundant_packets", help, [(vec![], twice)])?;
    let longer = sum(shards, |c| &c.redundant_bytes);
    let help = "Bytes that packets of sound were longer for the one before them in front";
    out.counter("redundant_bytes", help, [(vec![], longer)])?;
    let packets = sums(shards, "type", &FEEDBACK);
    out.counter("feedback_packets", "RTCP packets of viewers, by type", packets)?;
    let help = "RTCP packets, and packet numbers in NACKs, beyond what a viewer may send in a second";
    out.counter("feedback_over_rate", help, sums(shards, "of", &OVER_RATE))?;
    let misdirected = sum(shards, |c| &c.feedback.misdirected);
    let help = "NACK, PLI and FIR that named something else than the viewer's video";
    out.counter("feedback_misdirected", help, [(vec![], misdirected)])
}
