//! The last lines of the log, and which are written.

use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asked::{Asked, Given, bad, fresh};
use super::{Api, LISTED, whole};
use crate::http::extract::Bare;
use crate::http::json;
use crate::http::problem::{Body, Problem};
use crate::ops::levels::Told;
use crate::ops::recent::{Line, Which};
use crate::session::offer::shown;

/// Lines in an answer at the most: all that are kept.
const LINES_MAX: usize = 4_000;

/// The lines asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = LogLines)]
pub struct Lines {
    /// The oldest first.
    pub lines: Vec<Line>,
}

/// The last lines of the log: 2,000 of `info` and above, and 2,000 of `debug` (joins and ends), whatever `log.level` is.
#[utoipa::path(
    get,
    path = "/api/v1/log",
    tag = "log",
    params(
        ("stream" = Option<String>, Query, description = "Those about this stream"),
        ("session" = Option<String>, Query, description = "Those about the session with this short id"),
        ("after" = Option<u64>, Query, description = "Those behind the line of this number"),
        ("limit" = Option<usize>, Query, description = "How many are told; 100 unless given, 4,000 at the most"),
        ("level" = Option<String>, Query, description = "`info` leaves out joins and ends; `debug` unless given"),
    ),
    responses(
        (status = 200, description = "The last lines, the oldest first", body = Lines),
        (status = 400, description = "The query says what means nothing", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn lines(State(api): State<Api>, given: Given) -> Result<Response, Problem> {
    let asked = Asked::of(given, &["stream", "session", "after", "limit", "level"])?;
    let terse = match asked.text("level") {
        None | Some("debug") => false,
        Some("info") => true,
        Some(other) => {
            return Err(bad(format!("level={} is not kept: there are debug and info", shown(other))));
        }
    };
    let session = asked.session()?.map(|id| id.to_string());
    let which = Which {
        stream: asked.text("stream"),
        session: session.as_deref(),
        after: asked.number("after", 0, usize::MAX)? as u64,
        limit: asked.number("limit", LISTED, LINES_MAX)?,
        terse,
    };
    Ok(fresh(Lines { lines: api.operator.log.lines(&which) }))
}

/// Which lines of the log are written.
#[utoipa::path(
    get,
    path = "/api/v1/log/level",
    tag = "log",
    responses(
        (status = 200, description = "What is in effect", body = Told),
    ),
)]
pub(super) async fn levels(State(api): State<Api>, _: Bare) -> Response {
    fresh(api.operator.levels.told())
}

/// What the log tells from now on.
#[utoipa::path(
    put,
    path = "/api/v1/log/level",
    tag = "log",
    request_body(content = Told),
    responses(
        (status = 200, description = "What is in effect now", body = Told),
        (status = 400, description = "Something in it is no level, or no stream: nothing is changed", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn change_levels(
    State(api): State<Api>,
    _: Bare,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let request = whole(request).await?;
    let wanted: Told = json::read(&request.body).map_err(|error| {
        bad(format!("no JSON as in {{\"level\":\"info\",\"streams\":{{\"gate\":\"debug\"}}}}: {error}"))
    })?;
    if let Some(name) = wanted.streams.keys().find(|name| api.operator.registry.stream(name).is_none()) {
        let why = "leave it out, or add it first; /api/v1/streams lists those there are";
        return Err(bad(format!("there is no stream {:?}: {why}", shown(name))));
    }
    let told = api.operator.levels.change(wanted).map_err(|error| bad(error.to_string()))?;
    tracing::info!(level = told.level, streams = ?told.streams, "the log tells from now on");
    Ok(fresh(told))
}
