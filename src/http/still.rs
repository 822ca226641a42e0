//! `/{stream}/frame.mp4`: the newest keyframe of a stream as a file, made when somebody asks for it.
//!
//! Owns the answer: none for those who have it already.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access::Grant;
use super::conditional::has_already;
use super::discreet::discreet;
use super::problem::Problem;
use crate::stream::{Cause, HIGH, Layer, SourceState, Stream};
use crate::track::StillError;

/// Time to ask again when there is no picture yet: most cameras send a keyframe every second or two.
const NOT_YET_RETRY: Duration = Duration::from_secs(1);

/// The answer to a GET or HEAD with `headers`, of the layer that is `wanted` if that shows something; `now` and `date` are the same moment.
pub fn answer(
    stream: &Stream,
    wanted: Option<u8>,
    headers: &HeaderMap,
    (now, date): (Instant, SystemTime),
    _grant: &Grant,
) -> Result<Response, Problem> {
    let layer = stream.shown_of(wanted.unwrap_or(HIGH));
    let has_picture = |layer: &Arc<Layer>| !stream.newest_keyframe(layer.id).is_empty();
    // The picture of one that is away is better than none, and that of the other one better still.
    let layer = if has_picture(&layer) {
        layer
    } else {
        stream.layers().into_iter().find(has_picture).unwrap_or(layer)
    };
    let still =
        layer.still.of(&stream.newest_keyframe(layer.id), now, date).ok_or_else(|| not_yet(stream))?;
    // Hexadecimal digits, and what HTTP makes of a date, can be sent.
    let sendable = |text: &str| HeaderValue::from_str(text).expect("visible characters");
    let etag = sendable(&still.etag);
    let mut response = if has_already(headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let file = still.file.map_err(|error| unusable(stream, &error))?;
        ([(header::CONTENT_TYPE, "video/mp4")], file).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    headers.insert(header::LAST_MODIFIED, sendable(&httpdate::fmt_http_date(still.received)));
    // It may be kept, but the next keyframe is there in a second: ask whether it is.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

fn not_yet(stream: &Stream) -> Problem {
    let name = &stream.name;
    let status = stream.status();
    let detail = match &status.formats {
        Some(formats) if formats.video.is_none() => {
            format!("stream {name:?} has no video that can be forwarded: /streams.json says what it has")
        }
        _ if status.state == SourceState::Idle => return unwatched(name),
        // A password that is wrong does not become right in a moment.
        _ if status.cause.is_some_and(Cause::needs_operator) => {
            let why = status.failure.map(|failure| discreet(&failure, &stream.source())).unwrap_or_default();
            let detail = format!("stream {name:?} has no picture, and waiting does not help: {why}");
            return Problem::new(StatusCode::CONFLICT, detail);
        }
        _ => format!(
            "stream {name:?} has had no keyframe yet: its camera is not connected, or has not sent one; \
             ask again in a moment"
        ),
    };
    Problem::new(StatusCode::CONFLICT, detail).retry_after(NOT_YET_RETRY)
}

/// Of a stream on demand. Asking again does not help.
pub(super) fn unwatched(name: &str) -> Problem {
    let detail =
        format!("stream {name:?} is on demand and has not been watched yet: watch it, and it has one");
    Problem::new(StatusCode::CONFLICT, detail)
}

fn unusable(stream: &Stream, error: &StillError) -> Problem {
    let name = &stream.name;
    let detail = format!("the newest keyframe of stream {name:?} cannot be a file: {error}");
    Problem::new(StatusCode::CONFLICT, detail).retry_after(NOT_YET_RETRY)
}
