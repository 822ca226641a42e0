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
use crate::http::problem::Problem;
use crate::operator::events::Event;
use crate::operator::history::SAMPLES;

/// Pages and programs that may follow at once. Each holds a connection of the listener; more of them leave fewer for
/// scrapes and probes.
pub(super) const FOLLOWERS_MAX: usize = 6;

pub(super) async fn history(State(api): State<Api>, given: Given) -> Result<Response, Problem> {
    let asked = Asked::of(given, &["last"])?;
    Ok(fresh(api.operator.history.past(asked.number("last", SAMPLES, SAMPLES)?)))
}

/// Each thing that happens as one event (HTML, Server-sent events): `sample`, `stream`, `session`, and `lost` where this
/// follower missed some.
pub(super) async fn follow(State(api): State<Api>) -> Result<Response, Problem> {
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
