//! `/api/v1`: what operators ask of the admin listener, and have changed.
//!
//! Owns the paths and who may ask; a file for each thing that is asked about. What is told is `operator`'s, and of streams
//! `streams`'; what is changed is asked of `operator::change`.

mod asked;
mod config;
mod events;
mod log;
mod openapi;
mod probe;
mod sessions;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use self::asked::fresh;
pub use self::log::Lines;
pub use self::openapi::document;
use super::extract::Bare;
use super::problem::Problem;
use super::request::{Head, Request};
use super::same_origin;
use crate::operator::Operator;
use crate::operator::shards::Shards;

/// Viewers and lines in an answer that does not say how many.
const LISTED: usize = 100;

/// Time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What answers.
#[derive(Clone)]
struct Api {
    operator: Arc<Operator>,
    followers: Arc<Semaphore>,
}

/// Routes below `/api/v1`, and the older `/streams`.
pub fn routes(operator: Arc<Operator>) -> Router {
    let api = Api { operator, followers: Arc::new(Semaphore::new(events::FOLLOWERS_MAX)) };
    Router::new()
        .route("/streams", get(streams::list))
        .route("/api/v1/streams", get(streams::list))
        .route("/api/v1/streams/{*name}", get(streams::one).put(streams::put).delete(streams::remove))
        .route("/api/v1/history", get(events::history))
        .route("/api/v1/events", get(events::follow))
        .route("/api/v1/sessions", get(sessions::list))
        .route("/api/v1/sessions/{id}", get(sessions::one).delete(sessions::end))
        .route("/api/v1/shards", get(shards))
        .route("/api/v1/openapi.json", get(async |_: Bare| fresh(document())))
        .route("/api/v1/log", get(log::lines))
        .route("/api/v1/log/level", get(log::levels).put(log::change_levels))
        .route("/api/v1/probe", post(probe::probe))
        .route("/api/v1/config", get(config::told))
        .route("/api/v1/config/reload", post(config::reload))
        .layer(axum::middleware::from_fn(same_origin::check))
        .with_state(api)
}

/// Shards: what each has, and how much more it takes.
#[utoipa::path(
    get,
    path = "/api/v1/shards",
    tag = "shards",
    responses((status = 200, description = "By number", body = Shards)),
)]
async fn shards(State(api): State<Api>, _: Bare) -> Response {
    fresh(api.operator.shards())
}

/// A request with its body.
async fn whole(request: HttpRequest) -> Result<Request, Problem> {
    Head::of(&request, &[]).with_body(request, BODY_TIMEOUT).await
}
