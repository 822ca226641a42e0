//! Prometheus metrics: names, units and help; values are read from the shards at scrape.
//!
//! Owns the exposition only. No label names a viewer, so the number of series depends on streams and
//! shards alone (docs/OPERATING.md lists them).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry as Exposition;
use sluice_io::DropReason;
use sluice_media::Kind;
use sluice_media::srtp::Library;

use super::log::Lost;
use crate::cipher::Choice;
use crate::count::EndReason;
use crate::count::feedback::Heard;
use crate::count::histogram::{Histogram, Snapshot};
use crate::count::{Cell, ShardCounters};
use crate::session::table::Sessions;
use crate::shard::command::ShardHandle;
use crate::stat::Stat;
use crate::stream::SourceState;
use crate::stream::{Registry, Stream};
use crate::supervise::{Ends, Task};

/// All metrics of the process.
pub struct Metrics {
    exposition: Exposition,
}

impl Metrics {
    /// Metrics over the given parts; `revision` is the commit of this build, `cipher` who seals, then what the
    /// log lost and what ended that should not.
    pub fn new(
        registry: Arc<Registry>,
        sessions: Arc<Sessions>,
        shards: Vec<Arc<ShardHandle>>,
        (revision, cipher): (&'static str, Choice),
        (lost, ends): (Arc<Lost>, Arc<Ends>),
    ) -> Metrics {
        let mut exposition = Exposition::with_prefix("sluice");
        exposition.register_collector(Box::new(Everything {
            registry,
            sessions,
            shards,
            revision,
            cipher,
            lost,
            ends,
        }));
        Metrics { exposition }
    }

    /// The OpenMetrics text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.exposition)
            .expect("writing to a String cannot fail");
        text
    }
}

struct Everything {
    registry: Arc<Registry>,
    sessions: Arc<Sessions>,
    shards: Vec<Arc<ShardHandle>>,
    revision: &'static str,
    cipher: Choice,
    lost: Arc<Lost>,
    ends: Arc<Ends>,
}

impl fmt::Debug for Everything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Everything")
    }
}

type Labels = Vec<(&'static str, String)>;
/// Reads one number of a shard.
type Read = fn(&ShardCounters) -> &Cell;
/// Reads one histogram of what is heard of a kind of track.
type ReadHeard = fn(&Heard) -> &Histogram;
/// Reads one number of a stream.
type ReadStream = fn(&Stream) -> &Cell;

/// Counters summed over shards: name without `_total`, help, what to read.
const SUMS: [(&str, &str, Read); 11] = [
    ("viewer_connects", "Viewers that connected", |c| &c.connected),
    ("trains", "Trains (frames, or slices of them) that shards got to fan out", |c| &c.trains),
    ("ingress_datagrams", "Datagrams received from viewers", |c| &c.ingress_datagrams),
    ("egress_bytes", "UDP payload bytes sent to viewers", |c| &c.egress_bytes),
    ("egress_datagrams", "Datagrams sent to viewers", |c| &c.egress_datagrams),
    ("egress_messages", "GSO messages sent to viewers, each of one or more datagrams", |c| {
        &c.egress_messages
    }),
    ("send_calls", "Calls of sendmmsg", |c| &c.send_calls),
    ("gso_fallbacks", "Messages sent again without GSO after the kernel refused them", |c| &c.gso_fallbacks),
    ("media_queue_full", "Trains dropped because a shard did not keep up", |c| &c.media_queue_full),
    ("engine_withheld_datagrams", "SRTP and SRTCP datagrams of engines that were withheld", |c| &c.withheld),
    ("shard_wakeups", "Times that shard threads woke up", |c| &c.wakeups),
];

/// Datagrams not sent, by reason; those that the kernel refused have [`DropReason`]s.
const DROPS: [(&str, Read); 3] = [
    ("socket_full", |c| &c.dropped_socket_full),
    ("late", |c| &c.dropped_late),
    ("shed", |c| &c.dropped_shed),
];

/// Datagrams not looked at further, by reason.
const DISCARDS: [(&str, Read); 10] = [
    ("oversize", |c| &c.discarded_oversize),
    ("unauthenticated", |c| &c.discarded_unauthenticated),
    ("copy", |c| &c.discarded_copy),
    ("no_check", |c| &c.discarded_no_check),
    ("unknown_ufrag", |c| &c.discarded_unknown_ufrag),
    ("unknown_address", |c| &c.discarded_unknown_address),
    ("media", |c| &c.discarded_media),
    ("application_data", |c| &c.discarded_application_data),
    ("dtls", |c| &c.discarded_dtls),
    ("alien", |c| &c.discarded_alien),
];

/// Packets that viewers asked for again (NACK), by what became of them.
const REPAIRS: [(&str, Read); 5] = [
    ("sent", |c| &c.repairs_sent),
    ("repeated", |c| &c.repairs_repeated),
    ("unknown", |c| &c.repairs_unknown),
    ("over_budget", |c| &c.repairs_over_budget),
    ("not_agreed", |c| &c.repairs_not_agreed),
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

/// Keyframe requests of viewers, by what became of them.
const KEYFRAMES: [(&str, Read); 3] = [
    ("replayed", |c| &c.keyframes_replayed),
    ("coalesced", |c| &c.keyframes_coalesced),
    ("awaited", |c| &c.keyframes_awaited),
];

impl Collector for Everything {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut out = Out(encoder);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let build = vec![("version", version), ("revision", self.revision.to_owned())];
        out.gauge("build_info", "Version of this build; always 1", [(build, 1.0)])?;
        let by = |library: Library| vec![("library", library.to_string())];
        let help = "Library that seals media (srtp.cipher); always 1";
        out.gauge("cipher_info", help, [(by(self.cipher.library), 1.0)])?;
        let help = "Time to seal a packet of 1,200 bytes by each library, as measured at the start";
        let costs = self.cipher.costs().map(|(library, cost)| (by(library), cost.as_secs_f64()));
        out.gauge("cipher_packet_seconds", help, costs)?;
        self.encode_streams(&mut out)?;
        self.encode_shards(&mut out)?;
        self.encode_feedback(&mut out)?;
        let help = "Lines of the log that nobody took: it was stuck, or could not be written";
        out.counter("log_lost_lines", help, [(vec![], self.lost.get())])?;
        let ends = Task::ALL.map(|task| (vec![("task", task.label().to_owned())], self.ends.of(task)));
        out.counter("task_ends", "Tasks and threads that ended and should not have, by kind", ends)?;
        out.process()
    }
}

impl Everything {
    fn encode_streams(&self, out: &mut Out<'_>) -> fmt::Result {
        let streams = self.registry.streams();
        let label = |stream: &Stream| vec![("stream", stream.name.clone())];
        let up = |stream: &Stream| f64::from(u8::from(stream.status().state == SourceState::Playing));
        out.gauge(
            "stream_up",
            "1 while the stream's source plays",
            streams.iter().map(|s| (label(s), up(s))),
        )?;
        let viewers = |stream: &Stream| stream.viewers.load(Ordering::Relaxed) as f64;
        let each = streams.iter().map(|s| (label(s), viewers(s)));
        out.gauge("stream_viewers", "Sessions that watch the stream", each)?;
        let counters: [(&str, &str, ReadStream); 10] = [
            ("stream_ingress_bytes", "Payload bytes taken in", |s| &s.counters.ingress_bytes),
            ("stream_ingress_packets", "Packets made of what was taken in", |s| &s.counters.ingress_packets),
            ("stream_ingress_packets_lost", "Packets lost before they reached us", |s| {
                &s.counters.ingress_lost
            }),
            ("stream_ingress_restarts", "Times that packet numbers or SSRC of the source began anew", |s| {
                &s.counters.ingress_restarts
            }),
            ("stream_ingress_invalid_frames", "Frames that could not be packetized", |s| {
                &s.counters.ingress_invalid
            }),
            (
                "stream_ingress_timestamp_jumps",
                "Times that timestamps of the source jumped within a session",
                |s| &s.counters.ingress_jumps,
            ),
            ("stream_ingress_discarded_nals", "NAL units left out because they are malformed", |s| {
                &s.counters.ingress_discarded_nals
            }),
            (
                "stream_ingress_excess_frames",
                "Frames left out because the source sends too many a second",
                |s| &s.counters.ingress_excess,
            ),
            ("stream_keyframes", "Keyframes taken in", |s| &s.counters.keyframes),
            ("stream_starts", "Times that the source began to play", |s| &s.counters.starts),
        ];
        for (name, help, read) in counters {
            out.counter(name, help, streams.iter().map(|s| (label(s), read(s).get())))?;
        }
        Ok(())
    }

    fn encode_shards(&self, out: &mut Out<'_>) -> fmt::Result {
        let sum = |read: Read| self.shards.iter().map(|shard| read(&shard.counters).get()).sum::<u64>();
        out.gauge("sessions", "WHEP sessions, connected or not", [(vec![], self.sessions.len() as f64)])?;
        let now = sum(|c| &c.connected_now) as f64;
        out.gauge("viewers", "Viewers that are connected", [(vec![], now)])?;
        let refused = self.sessions.admission.refused();
        let refused = refused.map(|(reason, count)| (vec![("reason", reason.to_owned())], count));
        out.counter("joins_refused", "Joins refused because of a limit, by reason", refused)?;
        let refused = self.sessions.refused.counts();
        let refused = refused.map(|(reason, count)| (vec![("reason", reason.to_owned())], count));
        out.counter(
            "offers_refused",
            "Offers that could not be answered, by what is wrong with them",
            refused,
        )?;
        let without = sum(|c| &c.without_media) as f64;
        let help = "Connected viewers that get no media, because it does not suffice for all";
        out.gauge("viewers_without_media", help, [(vec![], without)])?;
        let ended = EndReason::ALL.map(|reason| {
            let count = self.shards.iter().map(|shard| shard.counters.ended(reason).get()).sum();
            (vec![("reason", reason.label().to_owned())], count)
        });
        out.counter("viewer_ends", "Viewers that ended, by reason", ended)?;
        let connect = sum(|c| &c.connect_micros) as f64 / 1e6;
        out.seconds("viewer_connect_seconds", "Time from offer to connected, summed", [(vec![], connect)])?;
        for (name, help, read) in SUMS {
            out.counter(name, help, [(vec![], sum(read))])?;
        }
        let by_reason = |table: &[(&'static str, Read)], label: &'static str| {
            let rows = table.iter().map(|(name, read)| (vec![(label, (*name).to_owned())], sum(*read)));
            rows.collect::<Vec<_>>()
        };
        let mut dropped = by_reason(&DROPS, "reason");
        dropped.extend(DropReason::ALL.map(|reason| {
            let count = self.shards.iter().map(|shard| shard.counters.kernel_dropped(reason).get()).sum();
            (vec![("reason", reason.to_string())], count)
        }));
        out.counter("egress_dropped_datagrams", "Datagrams not sent, by reason", dropped)?;
        let discarded = by_reason(&DISCARDS, "reason");
        out.counter("ingress_discarded_datagrams", "Datagrams discarded, by reason", discarded)?;
        let repairs = by_reason(&REPAIRS, "result");
        out.counter("repair_requests", "Packets that viewers asked for again, by result", repairs)?;
        let keyframes = by_reason(&KEYFRAMES, "result");
        out.counter("keyframe_requests", "Keyframe requests of viewers, by result", keyframes)?;

        let shard = |shard: &ShardHandle| vec![("shard", shard.index.to_string())];
        let up = self.shards.iter().map(|s| (shard(s), f64::from(u8::from(s.health.is_able()))));
        out.gauge("shard_up", "1 while the shard's thread goes round and gets joins", up)?;
        let busy = self.shards.iter().map(|s| (shard(s), s.health.busy_ratio()));
        out.gauge("shard_busy_ratio", "Part of the last second that the shard's thread worked", busy)?;
        let busy = self.shards.iter().map(|s| (shard(s), s.counters.busy_nanos.get() as f64 / 1e9));
        out.seconds("shard_busy_seconds", "Time that the shard's thread worked", busy)?;
        let expected = self.shards.iter().map(|s| (shard(s), s.expected_load()));
        let help = "Part of its time that all viewers given to the shard will take; over limits.busy it gets no more";
        out.gauge("shard_expected_ratio", help, expected)?;
        let refused = self.shards.iter().map(|s| (shard(s), s.refused.get()));
        let help = "Joins refused because the shard with the fewest viewers, and every other, had no room";
        out.counter("shard_joins_refused", help, refused)?;
        let dropped = self.shards.iter().map(|s| (shard(s), s.counters.ingress_dropped.get()));
        let help = "Datagrams that the kernel dropped before the shard received them: its socket had no room";
        out.counter("ingress_dropped_datagrams", help, dropped)?;
        let blocked = self.shards.iter().map(|s| (shard(s), s.counters.blocked_nanos.get() as f64 / 1e9));
        out.seconds("shard_blocked_seconds", "Time that the shard's socket was full", blocked)?;
        let viewers = self.shards.iter().map(|s| (shard(s), s.counters.viewers.get() as f64));
        out.gauge("shard_viewers", "Viewers on the shard, connected or not", viewers)
    }
}

impl Everything {
    fn encode_feedback(&self, out: &mut Out<'_>) -> fmt::Result {
        let shards = || self.shards.iter().map(|shard| &shard.counters.feedback);
        let kinds = [("audio", Kind::Audio), ("video", Kind::Video)];
        let label = |kind: &'static str| vec![("kind", kind.to_owned())];
        for (name, help, read) in HEARD {
            let values = kinds.map(|(word, kind)| {
                (label(word), Snapshot::of(shards().map(|feedback| read(feedback.of(kind)))))
            });
            out.family(name, help, MetricType::Histogram, values)?;
        }
        let lost = kinds
            .map(|(word, kind)| (label(word), shards().map(|feedback| feedback.of(kind).lost.get()).sum()));
        out.counter("viewer_lost_packets", "Packets that viewers lost, before repair", lost)?;
        let estimate = Snapshot::of(shards().map(|feedback| &feedback.estimate));
        let help = "What a viewer thinks its line carries (REMB)";
        let name = "viewer_estimate_bytes_per_second";
        out.family(name, help, MetricType::Histogram, [(vec![], estimate)])?;
        let sum = |read: Read| self.shards.iter().map(|shard| read(&shard.counters).get()).sum::<u64>();
        let below = sum(|c| &c.feedback.estimate_below_sent);
        let help = "Estimates that were below what the viewer was being sent";
        out.counter("viewer_estimates_below_sent", help, [(vec![], below)])?;
        let packets = FEEDBACK.map(|(word, read)| (vec![("type", word.to_owned())], sum(read)));
        out.counter("feedback_packets", "RTCP packets of viewers, by type", packets)?;
        let over_rate = OVER_RATE.map(|(word, read)| (vec![("of", word.to_owned())], sum(read)));
        let help = "RTCP packets, and packet numbers in NACKs, beyond what a viewer may send in a second";
        out.counter("feedback_over_rate", help, over_rate)?;
        let misdirected = sum(|c| &c.feedback.misdirected);
        let help = "NACK, PLI and FIR that named something else than the viewer's video";
        out.counter("feedback_misdirected", help, [(vec![], misdirected)])
    }
}

/// One descriptor after the other.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value)));
        self.family(name, help, MetricType::Gauge, values)
    }

    fn counter(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.family(name, help, MetricType::Counter, values)
    }

    /// A counter of seconds.
    fn seconds(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.family(name, help, MetricType::Counter, values)
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        values: impl IntoIterator<Item = (Labels, impl EncodeMetric)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, kind)?;
        let mut values = values.into_iter().peekable();
        if let Some((_, value)) = values.next_if(|(labels, _)| labels.is_empty()) {
            return value.encode(metric);
        }
        for (labels, value) in values {
            value.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// What the kernel knows of this process, under names of our own prefix.
    fn process(&mut self) -> fmt::Result {
        let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let Some(process) = Stat::parse(&line) else { return Ok(()) };
        let cpu = process.cpu.as_secs_f64();
        self.seconds("process_cpu_seconds", "CPU time of the process", [(vec![], cpu)])?;
        let resident = process.resident_bytes as f64;
        self.gauge("process_resident_memory_bytes", "Resident memory of the process", [(vec![], resident)])?;
        let threads = process.threads as f64;
        self.gauge("process_threads", "Threads of the process", [(vec![], threads)])
    }
}
