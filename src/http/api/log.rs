//! The last lines of the log, and which are written.

use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::asked::{Asked, Given, bad, fresh};
use super::{Api, LISTED, whole};
use crate::http::problem::Problem;
use crate::ops::recent::{Line, Which};
use crate::session::offer::shown;

/// Lines in an answer at the most: all that are kept.
const LINES_MAX: usize = 4_000;

/// The lines asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lines {
    /// The oldest first.
    pub lines: Vec<Line>,
}

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

pub(super) async fn levels(State(api): State<Api>) -> Response {
    fresh(api.operator.levels.told())
}

/// What the log tells from now on.
pub(super) async fn change_levels(State(api): State<Api>, request: HttpRequest) -> Result<Response, Problem> {
    let request = whole(request).await?;
    let wanted = serde_json::from_slice(&request.body).map_err(|error| {
        bad(format!("no JSON as in {{\"level\":\"info\",\"streams\":{{\"gate\":\"debug\"}}}}: {error}"))
    })?;
    let told = api.operator.levels.change(wanted).map_err(|error| bad(error.to_string()))?;
    tracing::info!(level = told.level, streams = ?told.streams, "the log tells from now on");
    Ok(fresh(told))
}
