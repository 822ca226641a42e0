//! What happens, as it happens: the last ten minutes, and each second from now on.
//!
//! Owns how many may follow.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;

use super::Api;
use super::asked::{Asked, Given, fresh};
use crate::http::problem::Problem;
use crate::operator::history::SAMPLES;

/// Pages and programs that may follow at once. Each holds a connection of the listener; more of them leave fewer for
/// scrapes and probes.
pub(super) const FOLLOWERS_MAX: usize = 6;

pub(super) async fn history(State(api): State<Api>, given: Given) -> Result<Response, Problem> {
    let asked = Asked::of(given, &["last"])?;
    Ok(fresh(api.operator.history.past(asked.number("last", SAMPLES, SAMPLES)?)))
}

/// Each new sample as one event `sample` (HTML, Server-sent events).
pub(super) async fn follow(State(api): State<Api>) -> Result<Response, Problem> {
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
