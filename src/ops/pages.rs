//! The web pages, embedded: a list of streams and a player. They work without any other server.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::control::conditional::{etag_of, has_already};
use crate::control::http::CONTENT_SECURITY_POLICY;
use crate::control::problem::Problem;

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
pub fn index(request: &HeaderMap) -> Response {
    page(request, StatusCode::OK, "text/html; charset=utf-8", INDEX)
}

/// The player; it explains in words when there is no such stream.
pub fn player(request: &HeaderMap, exists: bool) -> Response {
    let status = if exists { StatusCode::OK } else { StatusCode::NOT_FOUND };
    page(request, status, "text/html; charset=utf-8", PLAYER)
}

/// A script or style of the pages.
pub fn file(request: &HeaderMap, name: &str) -> Response {
    match FILES.iter().find(|(file, _, _)| *file == name) {
        Some((_, content_type, text)) => page(request, StatusCode::OK, content_type, text),
        None => Problem::new(StatusCode::NOT_FOUND, "no such file").into_response(),
    }
}

fn page(request: &HeaderMap, status: StatusCode, content_type: &'static str, text: &'static str) -> Response {
    let etag = etag_of(text.as_bytes());
    // A status of its own has to be told again.
    let mut response = if status == StatusCode::OK && has_already(request, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (status, text).into_response()
    };
    let headers = response.headers_mut();
    let (name, value) = CONTENT_SECURITY_POLICY;
    headers.insert(name, value);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::ETAG, etag);
    // Pages change with the binary: a browser must not keep an old script for a new server.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
