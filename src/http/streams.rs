//! `/streams.json`: what every stream is and does, for the start page and for scripts.
//!
//! Owns the shape of the list, and that the whole of it is made twice a second at the most, however many ask. It changes only
//! when something changes, so that most are told that they have it already. Holds no credentials.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
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
use crate::stream::{Layer, Registry, SourceState, Stream};

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
    /// Of a pair its layers, the high one first: what stands above is of the one that is shown. Empty if it has one layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<ToldLayer>,
    /// Where several sources are tried in order, which has its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// What comes in, for operators: it changes with every look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
}

impl Told {
    /// It, and behind it its layers as if each was a stream: for lists that have one line for each.
    pub fn with_layers(self) -> Vec<Told> {
        let of_layer = |layer: &ToldLayer| {
            let layer = layer.clone();
            Told {
                name: format!("{}:{}", self.name, layer.name),
                on_demand: self.on_demand,
                pattern: None,
                source: layer.source,
                state: layer.state,
                since: layer.since,
                trouble: layer.trouble,
                error: layer.error,
                retry_in_ms: layer.retry_in_ms,
                picture: self.picture,
                video: layer.video,
                audio: None,
                notes: layer.notes,
                viewers: layer.viewers,
                layers: Vec::new(),
                turn: layer.turn,
                ingress: layer.ingress,
            }
        };
        let layers: Vec<Told> = self.layers.iter().map(of_layer).collect();
        std::iter::once(self).chain(layers).collect()
    }

    /// Whether it is a layer in such a list.
    pub fn is_layer(&self) -> bool {
        // No name of a stream has this.
        self.name.contains(':')
    }
}

/// One layer of a pair.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Layer)]
pub struct ToldLayer {
    /// `high`, `low`.
    pub name: String,
    /// Whether it is what viewers are shown who ask for none.
    pub shown: bool,
    /// Where it comes from: for everybody its kind, for operators host and port too.
    pub source: String,
    /// `connecting`, `starting`, `playing`, `waiting`.
    pub state: String,
    /// Since when its source is connected, or is not (RFC 9110 §5.6.7).
    pub since: Option<String>,
    /// What is wrong with it.
    pub trouble: Option<ToldTrouble>,
    /// Why there is no picture, in a sentence.
    pub error: Option<String>,
    /// Time until its source is tried again.
    pub retry_in_ms: Option<u64>,
    /// Its video.
    pub video: Option<ToldVideo>,
    /// Sentences about what is left out, or is to be set.
    pub notes: Vec<String>,
    /// Sessions that chose it.
    pub viewers: usize,
    /// Where several sources are tried in order, which has its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// What comes in, for operators: it changes with every look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
}

/// Whose turn it is of several sources that are tried in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Turn {
    /// Its place in the list, from 1.
    pub source: usize,
    /// How many there are.
    pub of: usize,
    /// Where it is, for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
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
    let mut told = describe(stream, now);
    let shown = stream.shown();
    told.source = stream.source();
    told.pattern = stream.pattern.clone();
    told.error = shown.status().failure;
    told.ingress = Some(ingress(stream, &shown, history));
    told.turn = turn(&shown, true);
    for of_layer in &mut told.layers {
        let Some(layer) = stream.layer_named(&of_layer.name) else { continue };
        of_layer.source = layer.source();
        of_layer.error = layer.status().failure;
        of_layer.ingress = Some(ingress(stream, &layer, history));
        of_layer.turn = turn(&layer, true);
    }
    told
}

fn ingress(stream: &Stream, layer: &Layer, history: &History) -> Ingress {
    Ingress {
        bps: history.ingress_bps(layer.id),
        keyframe_interval_s: stream.ring(layer.id).interval.map(|interval| interval.as_secs_f64()),
        lost: layer.counters.ingress_lost.get(),
        keyframes: layer.counters.keyframes.get(),
    }
}

/// Which of a layer's sources has its turn; nothing if there is one.
fn turn(layer: &Layer, is_operator: bool) -> Option<Turn> {
    let origin = layer.origin();
    let (source, of) = (layer.status().source, origin.source.cameras().count());
    let at = origin.source.cameras().nth(source).filter(|_| is_operator);
    let at = at.map(|camera| format!("{}://{}", camera.url.scheme(), camera.address()));
    (of > 1).then_some(Turn { source: source + 1, of, at })
}

/// What everybody may know of a stream: not where its camera is. What is wrong with it is judged now, of the state
/// that is told beside it.
fn describe(stream: &Stream, now: (Instant, SystemTime)) -> Told {
    let shown = stream.shown();
    let of_layer =
        |layer: &Arc<Layer>| ToldLayer { shown: layer.id == shown.id, ..describe_layer(stream, layer, now) };
    let layers: Vec<ToldLayer> = stream.layers().iter().map(of_layer).collect();
    let of_shown = layers.iter().find(|layer| layer.shown).cloned().unwrap_or_default();
    let formats = stream.playable(&shown).or(shown.status().formats).unwrap_or_default();
    let ToldLayer { source, state, since, trouble, error, retry_in_ms, video, mut notes, turn, .. } =
        of_shown;
    let away = layers.iter().find(|layer| !layer.shown && layer.state != "playing");
    if let Some(away) = away.filter(|_| state == "playing") {
        notes.push(format!(
            "the {} stream of this camera is away; the other one is shown meanwhile",
            away.name
        ));
    }
    Told {
        name: stream.name.clone(),
        on_demand: stream.origin().on_demand.enabled,
        pattern: None,
        source,
        state,
        since,
        trouble,
        error,
        retry_in_ms,
        picture: stream.has_picture(),
        video,
        audio: formats.audio.map(|audio| ToldAudio {
            codec: audio.codec.encoding_name().to_owned(),
            channels: audio.channels,
        }),
        notes,
        viewers: stream.viewers.load(Ordering::Relaxed),
        layers: if layers.len() > 1 { layers } else { Vec::new() },
        turn,
        ingress: None,
    }
}

/// The same of one layer.
fn describe_layer(stream: &Stream, layer: &Layer, (now, date): (Instant, SystemTime)) -> ToldLayer {
    let (status, watch) = stream.look_at(layer, now, date);
    let failure = status.failure.as_ref().map(|failure| discreet(failure, &layer.source()));
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
    ToldLayer {
        name: layer.name().to_owned(),
        shown: false,
        source: kind(&layer.source()).to_owned(),
        state: status.state.name().to_owned(),
        since: watch.since.map(httpdate::fmt_http_date),
        trouble,
        error: failure,
        retry_in_ms: retry_in,
        video,
        notes: formats.notes,
        viewers: stream.viewers_of(layer.id),
        turn: turn(layer, false),
        ingress: None,
    }
}
