//! Streams, as operators see them.

use axum::extract::State;
use axum::response::Response;

use super::Api;
use super::asked::fresh;
use crate::http::streams;

pub(super) async fn list(State(api): State<Api>) -> Response {
    fresh(streams::whole(&api.operator.registry, &api.operator.history))
}
