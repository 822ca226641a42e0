//! `/streams.json`: what every stream is and does, for the start page and for scripts.
//!
//! Owns the shape of the list, and that the whole of it is made twice a second at the most, however many ask. It changes only
//! when something changes, so that most are told that they have it already. Holds no credentials.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::Grant;
use super::conditional::{etag_of, has_already};
use super::discreet::{discreet, kind};
use crate::contain::lock;
use crate::operator::history::History;
use crate::stream::trouble::Trouble;
use crate::stream::{Registry, SourceState, Stream};

/// For how long a list is given again. Raising it makes pages late; lowering it costs CPU for each page that is
/// open.
const LISTED: Duration = Duration::from_millis(500);

/// The list made last.
#[derive(Debug, Default)]
pub struct StreamList(Mutex<Option<List>>);

#[derive(Debug, Clone)]
struct List {
    made: Instant,
    etag: HeaderValue,
    body: Bytes,
}

impl StreamList {
    /// The answer to a GET or HEAD with `headers`, at a moment by both clocks: the streams that `grant` holds for.
    pub fn answer(
        &self,
        registry: &Registry,
        headers: &HeaderMap,
        now: (Instant, SystemTime),
        grant: &Grant,
    ) -> Response {
        let list = match grant.holds_for_all() {
            true => self.list(registry, now),
            // Few watch some of the streams only, and each of them others.
            false => List::of(registry, now, |name| grant.holds_for(name)),
        };
        let mut response = if has_already(headers, &list.etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, "application/json")], list.body).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, list.etag);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    fn list(&self, registry: &Registry, now: (Instant, SystemTime)) -> List {
        let mut kept = lock(&self.0);
        match kept.as_ref().filter(|list| now.0.saturating_duration_since(list.made) < LISTED) {
            Some(list) => list.clone(),
            None => kept.insert(List::of(registry, now, |_| true)).clone(),
        }
    }
}

impl List {
    fn of(registry: &Registry, now: (Instant, SystemTime), which: impl Fn(&str) -> bool) -> List {
        let streams = registry.streams();
        let streams =
            streams.iter().filter(|stream| which(&stream.name)).map(|stream| describe(stream, now)).collect();
        let listed = Listed { version: env!("CARGO_PKG_VERSION").to_owned(), total: None, streams };
        let body = serde_json::to_string(&listed).expect("texts and numbers can be JSON");
        List { made: now.0, etag: etag_of(body.as_bytes()), body: body.into() }
    }
}

/// Every stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Streams)]
pub struct Listed {
    /// The version of the server.
    pub version: String,
    /// How many there are, of those asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<usize>,
    /// By name.
    pub streams: Vec<Told>,
}

/// What is told of a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Stream)]
pub struct Told {
    /// Its name in URLs.
    pub name: String,
    /// Where it comes from: for everybody its kind (`rtsp`, `demo`), for operators host and port too.
    pub source: String,
    /// `idle` (it is on demand, and nobody wants it), `connecting`, `starting`, `playing`, `waiting`.
    pub state: String,
    /// Whether its source runs only while somebody watches.
    pub on_demand: bool,
    /// The pattern that it is made by while somebody watches, for operators; nothing if it has a name of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Since when its source is connected, is not, or is not to be (RFC 9110 §5.6.7): of the page's own clock, which may be wrong, a
    /// time would make "since 1970".
    pub since: Option<String>,
    /// What is wrong with it.
    pub trouble: Option<ToldTrouble>,
    /// Why there is no picture, in a sentence.
    pub error: Option<String>,
    /// Time until its source is tried again.
    pub retry_in_ms: Option<u64>,
    /// Whether there is a keyframe to show.
    pub picture: bool,
    /// Its video.
    pub video: Option<ToldVideo>,
    /// Its audio.
    pub audio: Option<ToldAudio>,
    /// Sentences about what is left out, or is to be set.
    pub notes: Vec<String>,
    /// Sessions that watch it.
    pub viewers: usize,
    /// What comes in, for operators: it changes with every look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
}

/// What is wrong with a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Trouble)]
pub struct ToldTrouble {
    /// `away`, `silent`, `no_keyframe`, `no_video`.
    pub kind: String,
    /// What kind of thing keeps its source away.
    pub cause: Option<String>,
    /// The sentence, without the camera's address.
    pub detail: Option<String>,
}

/// The video of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Video)]
pub struct ToldVideo {
    /// `H264`.
    pub codec: String,
    /// Pixels, when known.
    pub width: Option<u16>,
    /// Pixels, when known.
    pub height: Option<u16>,
    /// `profile-level-id`, as in `42c01f`, when known.
    pub profile: Option<String>,
}

/// The audio of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Audio)]
pub struct ToldAudio {
    /// `opus`, `PCMU`, `PCMA`.
    pub codec: String,
    /// One or two.
    pub channels: u8,
}

/// What comes in of a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ingress {
    /// Payload bits a second, over the last seconds.
    pub bps: Option<u64>,
    /// Time between its last two keyframes.
    pub keyframe_interval_s: Option<f64>,
    /// Packets that were lost before they reached us, since the start.
    pub lost: u64,
    /// Keyframes, since the start.
    pub keyframes: u64,
}

/// Everything of every stream at a moment, for operators: where it comes from, and what exactly is wrong.
pub fn whole(registry: &Registry, history: &History, now: (Instant, SystemTime)) -> Listed {
    let streams: Vec<Told> =
        registry.streams().iter().map(|stream| of_operators(stream, history, now)).collect();
    Listed { version: env!("CARGO_PKG_VERSION").to_owned(), total: Some(streams.len()), streams }
}

/// Everything of one stream at a moment, for operators.
pub fn of_operators(stream: &Stream, history: &History, now: (Instant, SystemTime)) -> Told {
    Told {
        source: stream.source(),
        error: stream.status().failure,
        pattern: stream.pattern.clone(),
        ingress: Some(Ingress {
            bps: history.ingress_bps(stream.id),
            keyframe_interval_s: stream.ring().interval.map(|interval| interval.as_secs_f64()),
            lost: stream.counters.ingress_lost.get(),
            keyframes: stream.counters.keyframes.get(),
        }),
        ..describe(stream, now)
    }
}

/// What everybody may know of a stream: not where its camera is. What is wrong with it is judged now, of the state
/// that is told beside it.
fn describe(stream: &Stream, (now, date): (Instant, SystemTime)) -> Told {
    let (status, watch) = stream.look(now, date);
    let failure = status.failure.as_ref().map(|failure| discreet(failure, &stream.source()));
    let retry_in = match &status.state {
        SourceState::Waiting { retry_in, .. } => Some(retry_in.as_millis() as u64),
        _ => None,
    };
    let trouble = watch.trouble.map(|trouble| {
        let detail = match trouble {
            Trouble::Away | Trouble::NoKeyframe => failure.clone(),
            _ => None,
        };
        let cause = status.cause.filter(|_| trouble == Trouble::Away).map(|cause| cause.name().to_owned());
        ToldTrouble { kind: trouble.name().to_owned(), cause, detail }
    });
    let formats = status.formats.unwrap_or_default();
    let video = formats.video.map(|video| ToldVideo {
        codec: video.codec.encoding_name().to_owned(),
        width: video.size.map(|(width, _)| width),
        height: video.size.map(|(_, height)| height),
        profile: video.profile_level_id.map(|[a, b, c]| format!("{a:02x}{b:02x}{c:02x}")),
    });
    let audio = formats
        .audio
        .map(|audio| ToldAudio { codec: audio.codec.encoding_name().to_owned(), channels: audio.channels });
    Told {
        name: stream.name.clone(),
        source: kind(&stream.source()).to_owned(),
        state: status.state.name().to_owned(),
        on_demand: stream.origin().on_demand.enabled,
        pattern: None,
        since: watch.since.map(httpdate::fmt_http_date),
        trouble,
        error: failure,
        retry_in_ms: retry_in,
        picture: stream.has_picture(),
        video,
        audio,
        notes: formats.notes,
        viewers: stream.viewers.load(Ordering::Relaxed),
        ingress: None,
    }
}
