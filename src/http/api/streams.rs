//! Streams, as operators see them.

use axum::extract::State;
use axum::response::Response;

use std::time::{Instant, SystemTime};

use super::Api;
use super::asked::fresh;
use crate::http::streams;

#[expect(clippy::disallowed_methods, reason = "the state and what is wrong are of one moment")]
pub(super) async fn list(State(api): State<Api>) -> Response {
    let now = (Instant::now(), SystemTime::now());
    fresh(streams::whole(&api.operator.registry, &api.operator.history, now))
}
