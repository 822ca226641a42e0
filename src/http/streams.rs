//! `/streams.json`: what every stream is and does, for the start page and for scripts.
//!
//! Owns the shape of the list, and that it is made once a second at the most, however many ask. It changes only
//! when something changes, so that most are told that they have it already. Holds no credentials.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::access::Grant;
use super::conditional::{etag_of, has_already};
use super::discreet::{discreet, kind};
use crate::contain::lock;
use crate::stream::trouble::Trouble;
use crate::stream::{Cause, SourceState};
use crate::stream::{Registry, Stream};

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
    /// The answer to a GET or HEAD with `headers` at `now`.
    pub fn answer(&self, registry: &Registry, headers: &HeaderMap, now: Instant, _grant: &Grant) -> Response {
        let list = self.list(registry, now);
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

    fn list(&self, registry: &Registry, now: Instant) -> List {
        let mut kept = lock(&self.0);
        match kept.as_ref().filter(|list| now.saturating_duration_since(list.made) < LISTED) {
            Some(list) => list.clone(),
            None => {
                let streams: Vec<Value> = registry.streams().iter().map(|stream| describe(stream)).collect();
                let body = json!({ "version": env!("CARGO_PKG_VERSION"), "streams": streams }).to_string();
                let list = List { made: now, etag: etag_of(body.as_bytes()), body: body.into() };
                kept.insert(list).clone()
            }
        }
    }
}

/// Everything of every stream, for operators: where it comes from, and what exactly is wrong.
pub fn whole(registry: &Registry) -> Value {
    let whole = registry.streams().into_iter().map(|stream| {
        let mut told = describe(&stream);
        told["source"] = stream.source().into();
        told["error"] = stream.status().failure.into();
        told
    });
    json!({ "version": env!("CARGO_PKG_VERSION"), "streams": whole.collect::<Vec<_>>() })
}

/// What everybody may know of a stream: not where its camera is.
fn describe(stream: &Stream) -> Value {
    let (status, watch) = (stream.status(), stream.watch());
    let failure = status.failure.as_ref().map(|failure| discreet(failure, &stream.source()));
    let (state, retry_in) = match &status.state {
        SourceState::Connecting => ("connecting", None),
        SourceState::Starting { .. } => ("starting", None),
        SourceState::Playing => ("playing", None),
        SourceState::Waiting { retry_in, .. } => ("waiting", Some(retry_in.as_millis() as u64)),
    };
    let trouble = watch.trouble.map(|trouble| {
        let detail = match trouble {
            Trouble::Away | Trouble::NoKeyframe => failure.clone(),
            _ => None,
        };
        let cause = status.cause.filter(|_| trouble == Trouble::Away).map(Cause::name);
        json!({ "kind": trouble.name(), "cause": cause, "detail": detail })
    });
    let formats = status.formats.unwrap_or_default();
    let video = formats.video.map(|video| {
        json!({
            "codec": video.codec.encoding_name(),
            "width": video.size.map(|(width, _)| width),
            "height": video.size.map(|(_, height)| height),
            "profile": video.profile_level_id.map(|[a, b, c]| format!("{a:02x}{b:02x}{c:02x}")),
        })
    });
    let audio = formats
        .audio
        .map(|audio| json!({ "codec": audio.codec.encoding_name(), "channels": audio.channels }));
    json!({
        "name": stream.name,
        "source": kind(&stream.source()),
        "state": state,
        // Of the page's own clock, which may be wrong, it would make "since 1970".
        "since": watch.since.map(httpdate::fmt_http_date),
        "trouble": trouble,
        "error": failure,
        "retry_in_ms": retry_in,
        "picture": stream.has_picture(),
        "video": video,
        "audio": audio,
        "notes": formats.notes,
        "viewers": stream.viewers.load(Ordering::Relaxed),
    })
}
