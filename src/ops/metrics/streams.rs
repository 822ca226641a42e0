//! Metrics of streams: what cameras deliver, and how well.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sluice_media::Kind;

use super::out::{Labels, Out, label};
use crate::count::{Cell, Gauge};
use crate::stream::{Cause, Registry, Ring, SourceState, Status, Stream, TrackCounters};

/// Reads one number of a stream.
type ReadStream = fn(&Stream) -> &Cell;

/// Counters of a stream: name without `_total`, help, what to read.
const COUNTERS: [(&str, &str, ReadStream); 11] = [
    ("stream_ingress_packets_lost", "Packets lost before they reached us", |s| &s.counters.ingress_lost),
    ("stream_ingress_restarts", "Times that packet numbers or SSRC of the source began anew", |s| {
        &s.counters.ingress_restarts
    }),
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

/// One stream at the moment of a scrape.
struct Seen {
    stream: Arc<Stream>,
    status: Status,
    ring: Ring,
}

impl Seen {
    fn label(&self) -> Labels {
        label("stream", &self.stream.name)
    }

    /// What the stream is: a label for each thing that does not change often.
    fn info(&self) -> Labels {
        let formats = self.status.formats.clone().unwrap_or_default();
        let mut labels = self.label();
        labels.push(("source", self.stream.source()));
        labels.push(("video", formats.video.map(|video| video.to_string()).unwrap_or_default()));
        labels.push(("audio", formats.audio.map(|audio| audio.to_string()).unwrap_or_default()));
        labels
    }
}

/// Writes them; the moment is given by both clocks.
pub(super) fn encode(out: &mut Out<'_>, registry: &Registry, moment: (Instant, SystemTime)) -> fmt::Result {
    let see = |stream: Arc<Stream>| Seen { status: stream.status(), ring: stream.ring(), stream };
    let seen: Vec<Seen> = registry.streams().into_iter().map(see).collect();
    let of = |state: &str| seen.iter().filter(|seen| seen.status.state.name() == state).count() as f64;
    out.gauge(
        "streams",
        "Streams, by what their sources do",
        SourceState::NAMES.map(|state| (label("state", state), of(state))),
    )?;
    let up =
        seen.iter().map(|seen| (seen.label(), f64::from(u8::from(seen.status.state.name() == "playing"))));
    out.gauge("stream_up", "1 while the stream's source plays", up)?;
    let idle = seen.iter().map(|s| (s.label(), f64::from(u8::from(s.status.state == SourceState::Idle))));
    out.gauge(
        "stream_idle",
        "1 while the stream's source rests: it is on demand, and nobody wants it",
        idle,
    )?;
    let waiting = seen.iter().map(|s| (s.label(), s.stream.waiting() as f64));
    out.gauge("stream_waiting_joins", "Joins that wait for the source, which is on demand", waiting)?;
    let help = "What the stream is and carries; always 1";
    out.gauge("stream_info", help, seen.iter().map(|seen| (seen.info(), 1.0)))?;
    let viewers = seen.iter().map(|s| (s.label(), s.stream.viewers.load(Ordering::Relaxed) as f64));
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
        out.counter(name, help, seen.iter().map(|seen| (seen.label(), read(&seen.stream).get())))?;
    }
    let failures = seen.iter().flat_map(|seen| {
        Cause::ALL.map(|cause| {
            let labels = [seen.label(), label("cause", cause.name())].concat();
            (labels, seen.stream.counters.failures(cause).get())
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

/// What `read` gives of each track of each stream.
fn per_track<T>(seen: &[Seen], read: impl Fn(&TrackCounters) -> Option<T>) -> Vec<(Labels, T)> {
    let kinds = [("video", Kind::Video), ("audio", Kind::Audio)];
    let each = seen.iter().flat_map(|seen| kinds.map(|kind| (seen, kind)));
    let read = |(seen, (word, kind)): (&Seen, _)| {
        Some(([seen.label(), label("kind", word)].concat(), read(seen.stream.counters.track(kind))?))
    };
    each.filter_map(read).collect()
}

fn measured(read: fn(&TrackCounters) -> &Gauge) -> impl Fn(&TrackCounters) -> Option<f64> {
    move |track| read(track).get()
}
