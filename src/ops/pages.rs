//! The web pages, embedded: a list of streams and a player. They work without any other server.

use std::sync::atomic::Ordering;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::control::http::CONTENT_SECURITY_POLICY;
use crate::control::problem::Problem;
use crate::control::registry::{Registry, Stream};
use crate::source::SourceState;

const INDEX: &str = include_str!("pages/index.html");
const PLAYER: &str = include_str!("pages/player.html");

/// What `/static/` serves, by name.
const FILES: [(&str, &str, &str); 4] = [
    ("index.js", "text/javascript; charset=utf-8", include_str!("pages/index.js")),
    ("player.js", "text/javascript; charset=utf-8", include_str!("pages/player.js")),
    ("whep.js", "text/javascript; charset=utf-8", include_str!("pages/whep.js")),
    ("style.css", "text/css; charset=utf-8", include_str!("pages/style.css")),
];

/// The list of streams.
pub fn index() -> Response {
    page(StatusCode::OK, "text/html; charset=utf-8", INDEX)
}

/// The player; it explains in words when there is no such stream.
pub fn player(exists: bool) -> Response {
    let status = if exists { StatusCode::OK } else { StatusCode::NOT_FOUND };
    page(status, "text/html; charset=utf-8", PLAYER)
}

/// A script or style of the pages.
pub fn file(name: &str) -> Response {
    match FILES.iter().find(|(file, _, _)| *file == name) {
        Some((_, content_type, text)) => page(StatusCode::OK, content_type, text),
        None => Problem::new(StatusCode::NOT_FOUND, "no such file").into_response(),
    }
}

fn page(status: StatusCode, content_type: &'static str, text: &'static str) -> Response {
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    let (name, value) = CONTENT_SECURITY_POLICY;
    headers.insert(name, value);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Pages change with the binary: a browser must not keep an old script for a new server.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// What the list of streams shows, as JSON. Holds no credentials.
pub fn streams(registry: &Registry) -> Response {
    let streams: Vec<Value> = registry.streams().map(|stream| describe(stream)).collect();
    let body = json!({ "version": env!("CARGO_PKG_VERSION"), "streams": streams });
    let mut response = axum::Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn describe(stream: &Stream) -> Value {
    let status = stream.status();
    let (state, error, retry_in_ms) = match &status.state {
        SourceState::Connecting => ("connecting", None, None),
        SourceState::Starting { why } => ("starting", Some(why.clone()), None),
        SourceState::Playing => ("playing", None, None),
        SourceState::Waiting { error, retry_in } => {
            ("waiting", Some(error.clone()), Some(retry_in.as_millis() as u64))
        }
    };
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
        "source": stream.source,
        "state": state,
        "error": error,
        "retry_in_ms": retry_in_ms,
        "video": video,
        "audio": audio,
        "notes": formats.notes,
        "viewers": stream.viewers.load(Ordering::Relaxed),
    })
}
