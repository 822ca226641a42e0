//! Sessions one by one, and the end of one. Today each is a viewer. A shell: an answer is of the moment it is asked for.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::time::{Instant, SystemTime};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::asked::{Asked, Given, bad, fresh, id};
use super::{Api, LISTED};
use crate::http::problem::Problem;
use crate::operator::sessions::{EndError, LISTED_MAX, Sort, Which};
use crate::session::offer::shown;

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
pub(super) async fn one(State(api): State<Api>, Path(text): Path<String>) -> Result<Response, Problem> {
    let session = id(&text)?;
    let which = Which { session: Some(session), limit: 1, ..Which::default() };
    let list = api.operator.viewers(&which, Instant::now(), SystemTime::now()).await;
    let none = || refused(EndError::None(session));
    list.sessions.into_iter().next().map(fresh).ok_or_else(none)
}

pub(super) async fn end(State(api): State<Api>, Path(text): Path<String>) -> Result<Response, Problem> {
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
