//! Metrics of streams: what cameras deliver, and how well. What is of a layer has the label `layer` where a stream has two.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sluice_media::Kind;

use super::out::{Labels, Out, label};
use crate::count::{Cell, Gauge};
use crate::stream::{Cause, Layer, Registry, Ring, SourceState, Status, Stream, TrackCounters};

/// Reads one number of a layer.
type ReadLayer = fn(&Layer) -> &Cell;

/// Counters of a layer: name without `_total`, help, what to read.
const COUNTERS: [(&str, &str, ReadLayer); 12] = [
    ("stream_ingress_packets_lost", "Packets lost before they reached us", |s| &s.counters.ingress_lost),
    ("stream_ingress_restarts", "Times that packet numbers or SSRC of the source began anew", |s| {
        &s.counters.ingress_restarts
    }),
    (
        "stream_ingress_transport_changes",
        "Times that the other way of media was taken (rtsp.transport = \"auto\")",
        |s| &s.counters.ingress_turns,
    ),
    ("stream_ingress_invalid_frames", "Frames that could not be packetized", |s| &s.counters.ingress_invalid),
    ("stream_ingress_timestamp_jumps", "Times that timestamps of the source jumped within a session", |s| {
        &s.counters.ingress_jumps
    }),
    ("stream_ingress_discarded_nals", "NAL units left out because they are malformed", |s| {
        &s.counters.ingress_discarded_nals
    }),
    ("stream_ingress_excess_frames", "Frames left out because the source sends too many a second", |s| {
        &s.counters.ingress_excess
    }),
    ("stream_sound_transcoded_units", "Units of sound that were turned into Opus", |s| {
        &s.counters.sound_transcoded
    }),
    (
        "stream_sound_discarded_units",
        "Units of sound that could not be turned into Opus, or not in time",
        |s| &s.counters.sound_discarded,
    ),
    ("stream_keyframes", "Keyframes taken in", |s| &s.counters.keyframes),
    ("stream_starts", "Times that the source began to play", |s| &s.counters.starts),
    ("stream_wakes", "Times that somebody wanted a source on demand that rested", |s| &s.counters.wakes),
];

/// One layer at the moment of a scrape.
struct Seen {
    stream: Arc<Stream>,
    layer: Arc<Layer>,
    is_pair: bool,
    status: Status,
    ring: Ring,
}

impl Seen {
    /// Of its stream; of a pair, which layer of it too.
    fn label(&self) -> Labels {
        let mut labels = label("stream", &self.stream.name);
        if self.is_pair {
            labels.extend(label("layer", self.layer.name()));
        }
        labels
    }

    /// What the layer is: a label for each thing that does not change often.
    fn info(&self) -> Labels {
        let formats = self.status.formats.clone().unwrap_or_default();
        let mut labels = self.label();
        labels.push(("source", self.layer.source()));
        labels.push(("video", formats.video.map(|video| video.to_string()).unwrap_or_default()));
        labels.push(("audio", formats.audio.map(|audio| audio.to_string()).unwrap_or_default()));
        labels
    }
}

/// Writes them; the moment is given by both clocks.
pub(super) fn encode(out: &mut Out<'_>, registry: &Registry, moment: (Instant, SystemTime)) -> fmt::Result {
    let streams = registry.streams();
    let see = |stream: &Arc<Stream>, layer: Arc<Layer>| {
        let (status, ring) = (layer.status(), stream.ring(layer.id));
        Seen { is_pair: stream.is_pair(), status, ring, stream: stream.clone(), layer }
    };
    let of_stream = |stream: &Arc<Stream>| {
        let (stream, layers) = (stream.clone(), stream.layers());
        layers.into_iter().map(move |layer| see(&stream, layer))
    };
    let seen: Vec<Seen> = streams.iter().flat_map(of_stream).collect();
    let states: Vec<SourceState> = streams.iter().map(|stream| stream.status().state).collect();
    let of = |state: &str| states.iter().filter(|of| of.name() == state).count() as f64;
    out.gauge(
        "streams",
        "Streams, by what their sources do",
        SourceState::NAMES.map(|state| (label("state", state), of(state))),
    )?;
    let is_up = |state: &SourceState| f64::from(u8::from(*state == SourceState::Playing));
    let of_streams = || streams.iter().zip(&states);
    let up = of_streams().map(|(stream, state)| (label("stream", &stream.name), is_up(state)));
    out.gauge("stream_up", "1 while the stream's source plays; of a pair, while one of them does", up)?;
    let idle = of_streams().map(|(stream, state)| {
        (label("stream", &stream.name), f64::from(u8::from(*state == SourceState::Idle)))
    });
    out.gauge(
        "stream_idle",
        "1 while the stream's source rests: it is on demand, and nobody wants it",
        idle,
    )?;
    let waiting = streams.iter().map(|stream| (label("stream", &stream.name), stream.waiting() as f64));
    out.gauge("stream_waiting_joins", "Joins that wait for the source, which is on demand", waiting)?;
    let of_pairs = || seen.iter().filter(|seen| seen.is_pair);
    let up = of_pairs().map(|seen| (seen.label(), is_up(&seen.status.state)));
    out.gauge("stream_layer_up", "1 while the source of a pair's layer plays", up)?;
    let viewers = of_pairs().map(|seen| (seen.label(), seen.stream.viewers_of(seen.layer.id) as f64));
    out.gauge("stream_layer_viewers", "Sessions that chose a pair's layer", viewers)?;
    let help = "What the stream, or a pair's layer, is and carries; always 1";
    out.gauge("stream_info", help, seen.iter().map(|seen| (seen.info(), 1.0)))?;
    let viewers = streams
        .iter()
        .map(|stream| (label("stream", &stream.name), stream.viewers.load(Ordering::Relaxed) as f64));
    out.gauge("stream_viewers", "Sessions that watch the stream", viewers)?;

    let bytes = per_track(&seen, |track| Some(track.bytes.get()));
    out.counter("stream_ingress_bytes", "Payload bytes taken in, by kind of track", bytes)?;
    let packets = per_track(&seen, |track| Some(track.packets.get()));
    out.counter("stream_ingress_packets", "Packets made of what was taken in, by kind of track", packets)?;
    let help = "Interarrival jitter of the source's frames (RFC 3550)";
    out.gauge("stream_ingress_jitter_seconds", help, per_track(&seen, measured(|track| &track.jitter)))?;
    let help = "By how much the source's clock is too fast (negative: too slow); 0.0001 is 100 ppm";
    out.gauge("stream_clock_drift_ratio", help, per_track(&seen, measured(|track| &track.drift)))?;
    for (name, help, read) in COUNTERS {
        out.counter(name, help, seen.iter().map(|seen| (seen.label(), read(&seen.layer).get())))?;
    }
    let failures = seen.iter().flat_map(|seen| {
        Cause::ALL.map(|cause| {
            let labels = [seen.label(), label("cause", cause.name())].concat();
            (labels, seen.layer.counters.failures(cause).get())
        })
    });
    out.counter("stream_failures", "Attempts of the source that failed, by cause", failures)?;
    encode_rings(out, &seen, moment)
}

fn encode_rings(out: &mut Out<'_>, seen: &[Seen], (now, date): (Instant, SystemTime)) -> fmt::Result {
    let evicted = seen.iter().map(|seen| (seen.label(), seen.ring.evicted_early));
    let help = "Trains that left the stream's ring early for want of room: nobody joins then before the next keyframe";
    out.counter("stream_evicted_early_trains", help, evicted)?;
    let interval = seen.iter().filter_map(|s| Some((s.label(), s.ring.interval?.as_secs_f64())));
    out.gauge("stream_keyframe_interval_seconds", "Time between the two newest keyframes", interval)?;
    let newest = seen.iter().filter_map(|seen| {
        let date = date.checked_sub(now.saturating_duration_since(seen.ring.keyframe?))?;
        Some((seen.label(), date.duration_since(UNIX_EPOCH).ok()?.as_secs_f64()))
    });
    out.gauge("stream_last_keyframe_timestamp_seconds", "When the newest keyframe came (Unix time)", newest)
}

/// What `read` gives of each track of each layer.
fn per_track<T>(seen: &[Seen], read: impl Fn(&TrackCounters) -> Option<T>) -> Vec<(Labels, T)> {
    let kinds = [("video", Kind::Video), ("audio", Kind::Audio)];
    let each = seen.iter().flat_map(|seen| kinds.map(|kind| (seen, kind)));
    let read = |(seen, (word, kind)): (&Seen, _)| {
        Some(([seen.label(), label("kind", word)].concat(), read(seen.layer.counters.track(kind))?))
    };
    each.filter_map(read).collect()
}

fn measured(read: fn(&TrackCounters) -> &Gauge) -> impl Fn(&TrackCounters) -> Option<f64> {
    move |track| read(track).get()
}
