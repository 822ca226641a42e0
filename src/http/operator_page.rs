//! `/` of the admin listener: a page for browsers, a list in plain text for everybody else.
//!
//! Owns which of the two an answer is, and the files of the page. What it shows is asked of `api`.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::extract::Named;
use super::pages::{self, File, SCRIPT, STYLE};
use super::problem::Problem;

const PAGE: &str = include_str!("pages/operator/operator.html");

const INDEX: &str = "\
sluice, for operators

/           a page of all this, for browsers
/metrics    everything that is counted, for Prometheus (docs/OPERATING.md says what each means)
/api/v1/    history, events, streams, sessions, shards, log, config: what the page and `sluice top` show (JSON)
            POST api/v1/probe looks at a camera, as `sluice probe --json` does (docs/API.md)
/v3/        MediaMTX's control API, for programs made for that (docs/MIGRATING.md)
/livez      200 while the server works, 503 with the reason while it does not: restart on 503
/readyz     200 while viewers can be served, 503 with the reasons while they cannot: send none on 503
/version    version and commit of this build (JSON)
/debug/pprof/   where processor time and memory go, for go tool pprof
";

/// What `/static/` serves, by name.
const FILES: &[File] = &[
    ("ask.js", SCRIPT, include_str!("pages/operator/ask.js")),
    ("charts.js", SCRIPT, include_str!("pages/operator/charts.js")),
    ("feed.js", SCRIPT, include_str!("pages/operator/feed.js")),
    ("given.js", SCRIPT, include_str!("pages/operator/given.js")),
    ("inputs.js", SCRIPT, include_str!("pages/operator/inputs.js")),
    ("lines.js", SCRIPT, include_str!("pages/operator/lines.js")),
    ("natural.js", SCRIPT, include_str!("pages/natural.js")),
    ("operator.js", SCRIPT, include_str!("pages/operator/operator.js")),
    ("probe.js", SCRIPT, include_str!("pages/operator/probe.js")),
    ("rows.js", SCRIPT, include_str!("pages/operator/rows.js")),
    ("shards.js", SCRIPT, include_str!("pages/operator/shards.js")),
    ("units.js", SCRIPT, include_str!("pages/operator/units.js")),
    ("uplot.js", SCRIPT, include_str!("pages/vendor/uplot/uPlot.iife.min.js")),
    ("watchers.js", SCRIPT, include_str!("pages/operator/watchers.js")),
    ("words.js", SCRIPT, include_str!("pages/words.js")),
    ("operator.css", STYLE, include_str!("pages/operator/operator.css")),
    ("style.css", STYLE, include_str!("pages/style.css")),
    ("uplot.css", STYLE, include_str!("pages/vendor/uplot/uPlot.min.css")),
    ("uplot-licence.txt", "text/plain; charset=utf-8", include_str!("pages/vendor/uplot/LICENSE")),
];

/// Routes of the page.
pub fn routes() -> Router {
    Router::new().route("/", get(index)).route("/static/{file}", get(file))
}

/// A program that does not ask for HTML wants to read.
async fn index(headers: HeaderMap) -> Response {
    let mut response = match pages::asks_for_html(&headers) {
        true => pages::page(&headers, StatusCode::OK, "text/html; charset=utf-8", PAGE),
        false => INDEX.into_response(),
    };
    response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("Accept"));
    response
}

async fn file(Named(name): Named, headers: HeaderMap) -> Response {
    match FILES.iter().find(|(file, _, _)| *file == name) {
        Some((_, content_type, text)) => pages::page(&headers, StatusCode::OK, content_type, *text),
        None => Problem::new(StatusCode::NOT_FOUND, "no such file").into_response(),
    }
}
