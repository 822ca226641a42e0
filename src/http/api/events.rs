//! What happens, as it happens: the last ten minutes, and each second from now on.
//!
//! Owns how many may follow.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;

use super::Api;
use super::asked::{Asked, Given, fresh};
use crate::http::extract::Bare;
use crate::http::problem::{Body, Problem};
use crate::operator::events::Event;
use crate::operator::history::{Past, SAMPLES};

/// Pages and programs that may follow at once. Each holds a connection of the listener; more of them leave fewer for
/// scrapes and probes.
pub(super) const FOLLOWERS_MAX: usize = 6;

/// The last ten minutes, a sample a second.
#[utoipa::path(
    get,
    path = "/api/v1/history",
    tag = "events",
    params(
        ("last" = Option<usize>, Query, description = "So many of the last seconds; 600 unless given, and at the most"),
    ),
    responses(
        (status = 200, description = "A sample a second, the oldest first", body = Past),
        (status = 400, description = "The query says what means nothing", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn history(State(api): State<Api>, given: Given) -> Result<Response, Problem> {
    let asked = Asked::of(given, &["last"])?;
    Ok(fresh(api.operator.history.past(asked.number("last", SAMPLES, SAMPLES)?)))
}

/// Each thing that happens as one event (HTML, Server-sent events): `sample`, `stream`, `session`, and `lost` where this
/// follower missed some.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    responses(
        (status = 200, description = "Server-sent events, each with its JSON: `sample` (a Sample), `stream` (a StreamEvent), `session` (a SessionEvent), `lost` (a LostEvent)", body = String, content_type = "text/event-stream"),
        (status = 503, description = "Six follow already, or the server is stopping", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn follow(State(api): State<Api>, _: Bare) -> Result<Response, Problem> {
    let place = api.followers.try_acquire_owned().map_err(|_| {
        let why = format!("{FOLLOWERS_MAX} pages and programs follow already: close one of them");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
    })?;
    let stopping = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping");
    let follows = api.operator.follow().ok_or_else(stopping)?;
    let events = stream::unfold((follows, place), async |(mut follows, place)| {
        let event = event(&follows.next().await?);
        Some((Ok::<sse::Event, Infallible>(event), (follows, place)))
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Sse::new(events)).into_response())
}

fn event(happened: &Event) -> sse::Event {
    let named = |name: &str| sse::Event::default().event(name);
    let written = match happened {
        Event::Sample(sample) => named("sample").json_data(&**sample),
        Event::Stream(stream) => named("stream").json_data(stream),
        Event::Session(session) => named("session").json_data(session),
        Event::Lost(lost) => named("lost").json_data(lost),
    };
    written.unwrap_or_default()
}
