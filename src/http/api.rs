//! `/api/v1`: what the operator's page and `sluice top` ask of the admin listener.
//!
//! Owns the paths, what a query may say, and how many may follow. What is told is `operator`'s, and of streams
//! `streams`'. A shell: an answer is of the moment it is asked for.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{Path, Query, Request as HttpRequest, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use futures::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::problem::Problem;
use super::request::Head;
use super::{same_origin, streams};
use crate::id::ShortId;
use crate::operator::Operator;
use crate::operator::history::SAMPLES;
use crate::operator::viewers::{self, EndError, LISTED_MAX, Sort};
use crate::ops::recent::{self, Line};
use crate::session::offer::shown;

/// Pages and programs that may follow at once. Each holds a connection of the listener; more of them leave fewer for
/// scrapes and probes.
const FOLLOWERS_MAX: usize = 6;

/// Viewers and lines in an answer that does not say how many.
const LISTED: usize = 100;

/// Lines in an answer at the most: all that are kept.
const LINES_MAX: usize = 4_000;

/// Time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What answers.
#[derive(Clone)]
pub struct Api {
    operator: Arc<Operator>,
    followers: Arc<Semaphore>,
}

/// The lines asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lines {
    /// The oldest first.
    pub lines: Vec<Line>,
}

/// Routes below `/api/v1`, and the older `/streams`.
pub fn routes(operator: Arc<Operator>) -> Router {
    let api = Api { operator, followers: Arc::new(Semaphore::new(FOLLOWERS_MAX)) };
    Router::new()
        .route("/streams", get(streams))
        .route("/api/v1/streams", get(streams))
        .route("/api/v1/history", get(history))
        .route("/api/v1/events", get(events))
        .route("/api/v1/viewers", get(viewers))
        .route("/api/v1/viewers/{id}", delete(end))
        .route("/api/v1/log", get(log))
        .route("/api/v1/log/level", get(levels).put(change_levels))
        .route("/api/v1/config", get(config))
        .layer(axum::middleware::from_fn(same_origin::check))
        .with_state(api)
}

async fn streams(State(api): State<Api>) -> Response {
    fresh(streams::whole(&api.operator.registry, &api.operator.history))
}

async fn history(
    State(api): State<Api>,
    asked: Query<BTreeMap<String, String>>,
) -> Result<Response, Problem> {
    let asked = Asked::of(asked, &["last"])?;
    Ok(fresh(api.operator.history.past(asked.number("last", SAMPLES, SAMPLES)?)))
}

/// Each new sample as one event `sample` (HTML, Server-sent events).
async fn events(State(api): State<Api>) -> Result<Response, Problem> {
    let place = api.followers.try_acquire_owned().map_err(|_| {
        let why = format!("{FOLLOWERS_MAX} pages and programs follow already: close one of them");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
    })?;
    let follows = api
        .operator
        .history
        .follow()
        .ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping"))?;
    let events = stream::unfold((follows, place), async |(mut follows, place)| {
        // An error means that the server stops.
        follows.changed().await.ok()?;
        let sample = follows.borrow_and_update().clone()?;
        let event = Event::default().event("sample").json_data(&*sample).unwrap_or_default();
        Some((Ok::<Event, Infallible>(event), (follows, place)))
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Sse::new(events)).into_response())
}

async fn viewers(
    State(api): State<Api>,
    asked: Query<BTreeMap<String, String>>,
) -> Result<Response, Problem> {
    let asked = Asked::of(asked, &["stream", "session", "sort", "limit"])?;
    let sort = match asked.0.get("sort") {
        None => Sort::default(),
        Some(name) => Sort::named(name).ok_or_else(|| {
            let names = Sort::NAMES.map(|(name, _)| name).join(", ");
            bad(format!("sort={} is no order: there are {names}", shown(name)))
        })?,
    };
    let (stream, limit) = (asked.0.get("stream").cloned(), asked.number("limit", LISTED, LISTED_MAX)?);
    let which = viewers::Which { stream, session: asked.session()?, sort, limit };
    Ok(fresh(api.operator.viewers(&which, Instant::now(), SystemTime::now()).await))
}

async fn end(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: ShortId = id.parse().map_err(|()| bad(no_id(&id)))?;
    api.operator.end(id).map_err(|error| {
        let status = match error {
            EndError::None(_) => StatusCode::NOT_FOUND,
            EndError::Several(..) => StatusCode::CONFLICT,
            EndError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, error.to_string())
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn log(State(api): State<Api>, asked: Query<BTreeMap<String, String>>) -> Result<Response, Problem> {
    let asked = Asked::of(asked, &["stream", "session", "after", "limit", "level"])?;
    let terse = match asked.0.get("level").map(String::as_str) {
        None | Some("debug") => false,
        Some("info") => true,
        Some(other) => {
            return Err(bad(format!("level={} is not kept: there are debug and info", shown(other))));
        }
    };
    let session = asked.session()?.map(|id| id.to_string());
    let which = recent::Which {
        stream: asked.0.get("stream").map(String::as_str),
        session: session.as_deref(),
        after: asked.number("after", 0, usize::MAX)? as u64,
        limit: asked.number("limit", LISTED, LINES_MAX)?,
        terse,
    };
    Ok(fresh(Lines { lines: api.operator.log.lines(&which) }))
}

async fn levels(State(api): State<Api>) -> Response {
    fresh(api.operator.levels.told())
}

/// What the log tells from now on.
async fn change_levels(State(api): State<Api>, request: HttpRequest) -> Result<Response, Problem> {
    let request = Head::of(&request, &[]).with_body(request, BODY_TIMEOUT).await?;
    let wanted = serde_json::from_slice(&request.body).map_err(|error| {
        bad(format!("no JSON as in {{\"level\":\"info\",\"streams\":{{\"gate\":\"debug\"}}}}: {error}"))
    })?;
    let told = api.operator.levels.change(wanted).map_err(|error| bad(error.to_string()))?;
    tracing::info!(level = told.level, streams = ?told.streams, "the log tells from now on");
    Ok(fresh(told))
}

async fn config(State(api): State<Api>) -> Response {
    fresh(api.operator.settings.told())
}

/// An answer that nobody may keep.
fn fresh(body: impl Serialize) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Json(body)).into_response()
}

fn bad(why: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, why)
}

fn no_id(id: &str) -> String {
    format!("{:?} is no id of a session: it has eight hexadecimal digits, as in 1f2e3d4c", shown(id))
}

/// What a query says.
struct Asked(BTreeMap<String, String>);

impl Asked {
    /// A query that may say `known` and nothing else.
    fn of(Query(asked): Query<BTreeMap<String, String>>, known: &[&str]) -> Result<Asked, Problem> {
        match asked.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(Asked(asked)),
            Some(name) => {
                Err(bad(format!("{} means nothing here: there are {}", shown(name), known.join(", "))))
            }
        }
    }

    fn session(&self) -> Result<Option<ShortId>, Problem> {
        self.0.get("session").map(|id| id.parse().map_err(|()| bad(no_id(id)))).transpose()
    }

    fn number(&self, name: &str, otherwise: usize, max: usize) -> Result<usize, Problem> {
        let Some(text) = self.0.get(name) else { return Ok(otherwise) };
        let number = text.parse().ok().filter(|number| *number <= max);
        number.ok_or_else(|| bad(format!("{name}={} is not a number from 0 to {max}", shown(text))))
    }
}
