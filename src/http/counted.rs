//! Counts what a listener answers: which requests, how, how long that took, and why they were refused.
//!
//! Owns the words that they are counted by. A shell: it reads the clock.
#![expect(
    clippy::disallowed_methods,
    reason = "this file is a shell: it reads the clock around each request"
)]

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use super::path::ENDPOINT;
use super::problem::Refused;
use crate::count::requests::{Request as Counted, Requests};

/// The route that an answer was given by, where the router does not know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route(pub(super) &'static str);

/// What a count belongs to.
#[derive(Clone)]
struct Counting {
    listener: &'static str,
    requests: Arc<Requests>,
}

/// Counts all that `router` answers as requests of `listener`.
pub fn counted(router: Router, listener: &'static str, requests: &Arc<Requests>) -> Router {
    router.layer(from_fn_with_state(Counting { listener, requests: requests.clone() }, count))
}

async fn count(State(counting): State<Counting>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let method = word(request.method());
    let response = next.run(request).await;
    let (took, status) = (began.elapsed(), response.status());
    let told = response.extensions().get::<Route>().map(|route| route.0);
    let route = told.or(path.as_ref().map(MatchedPath::as_str)).unwrap_or("other").to_owned();
    // A session begins.
    if status == StatusCode::CREATED && route == ENDPOINT {
        counting.requests.joined(took);
    }
    let said = response.extensions().get::<Refused>().map(|refused| refused.0);
    let refused = said.or_else(|| Refused::by_status(status));
    let request = Counted { listener: counting.listener, route, method };
    counting.requests.answered(request, status.as_u16(), took, refused);
    response
}

/// A method as a label: whatever a client makes up is one word.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
