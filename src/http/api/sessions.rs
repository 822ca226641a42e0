//! Sessions one by one, and the end of one. Today each is a viewer. A shell: an answer is of the moment it is asked for.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::time::{Instant, SystemTime};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::asked::{Asked, Given, bad, fresh, id};
use super::{Api, LISTED};
use crate::http::extract::{Bare, Named};
use crate::http::problem::{Body, Problem};
use crate::operator::sessions::{EndError, LISTED_MAX, List, Row, Sort, Which};
use crate::session::offer::shown;

/// Sessions one by one, the worst first, and those that ended lately. Shards are asked part by part, so that no answer delays
/// media; one that does not answer within a second is named.
#[utoipa::path(
    get,
    path = "/api/v1/sessions",
    tag = "sessions",
    params(
        ("stream" = Option<String>, Query, description = "Those of this stream"),
        ("session" = Option<String>, Query, description = "The one with this short id"),
        ("sort" = Option<String>, Query, description = "What comes first: the worst `loss` (unless given), `round_trip` or `repairs`, the lowest `estimate`, the newest (`since`)"),
        ("offset" = Option<usize>, Query, description = "How many are passed over; 0 unless given"),
        ("limit" = Option<usize>, Query, description = "How many are told; 100 unless given, 1,000 at the most"),
    ),
    responses(
        (status = 200, description = "The sessions asked for, and those that ended in the last ten minutes", body = List),
        (status = 400, description = "The query says what means nothing", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(State(api): State<Api>, given: Given) -> Result<Response, Problem> {
    let asked = Asked::of(given, &["stream", "session", "sort", "offset", "limit"])?;
    let sort = match asked.text("sort") {
        None => Sort::default(),
        Some(name) => Sort::named(name).ok_or_else(|| {
            let names = Sort::NAMES.map(|(name, _)| name).join(", ");
            bad(format!("sort={} is no order: there are {names}", shown(name)))
        })?,
    };
    let (stream, limit) =
        (asked.text("stream").map(str::to_owned), asked.number("limit", LISTED, LISTED_MAX)?);
    let offset = asked.number("offset", 0, usize::MAX)?;
    let which = Which { stream, session: asked.session()?, sort, offset, limit };
    Ok(fresh(api.operator.viewers(&which, Instant::now(), SystemTime::now()).await))
}

/// The session with that short id: one, but for chance.
#[utoipa::path(
    get,
    path = "/api/v1/sessions/{id}",
    tag = "sessions",
    params(
        ("id" = String, Path, description = "Its short id, as in `1f2e3d4c`"),
    ),
    responses(
        (status = 200, description = "The session", body = Row),
        (status = 400, description = "That is no short id", body = Body, content_type = "application/problem+json"),
        (status = 404, description = "It has ended, or never was", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn one(State(api): State<Api>, Named(text): Named, _: Bare) -> Result<Response, Problem> {
    let session = id(&text)?;
    let which = Which { session: Some(session), limit: 1, ..Which::default() };
    let list = api.operator.viewers(&which, Instant::now(), SystemTime::now()).await;
    let none = || refused(EndError::None(session));
    list.sessions.into_iter().next().map(fresh).ok_or_else(none)
}

/// Ends a session: its player is told goodbye, and may join again. The reason is `operator`.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{id}",
    tag = "sessions",
    params(
        ("id" = String, Path, description = "Its short id, as in `1f2e3d4c`"),
    ),
    responses(
        (status = 204, description = "It is ended"),
        (status = 400, description = "That is no short id", body = Body, content_type = "application/problem+json"),
        (status = 404, description = "It has ended, or never was", body = Body, content_type = "application/problem+json"),
        (status = 409, description = "Chance gave one id to several: none is ended", body = Body, content_type = "application/problem+json"),
        (status = 503, description = "Its shard does not keep up", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn end(State(api): State<Api>, Named(text): Named, _: Bare) -> Result<Response, Problem> {
    api.operator.end(id(&text)?).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn refused(error: EndError) -> Problem {
    let status = match error {
        EndError::None(_) => StatusCode::NOT_FOUND,
        EndError::Several(..) => StatusCode::CONFLICT,
        EndError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, error.to_string())
}
