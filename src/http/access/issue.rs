//! `POST /api/v1/tokens`: a token of our own, for a page that is opened where nobody can type a password.
//!
//! Owns what may be asked for. Whoever has `api` may ask; what the token says, `token` makes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Request as HttpRequest, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sluice_config::{Action, Pattern, format_duration, parse_duration};
use utoipa::ToSchema;

use super::token::{LONGEST, STREAMS_MAX};
use super::{Access, Grant};
use crate::http::problem::{Body, Problem};
use crate::http::request::Head;
use crate::http::same_origin;

/// Time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest time that a token is good for.
const SHORTEST: Duration = Duration::from_secs(1);

/// What is asked for: `{"streams": ["gate", "yard-*"], "for": "10m"}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenWanted)]
pub(in crate::http) struct Wanted {
    /// Names of streams, with `*` for anything.
    streams: Vec<String>,
    /// For how long: `10m`.
    #[serde(rename = "for")]
    time: String,
}

/// The answer. The token is the one thing here that is secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(in crate::http) struct Made {
    /// The token.
    token: String,
    /// When it ends (RFC 9110 §5.6.7).
    expires: String,
    /// The streams whose pages it opens.
    streams: Vec<String>,
}

/// The route.
pub fn routes(access: Arc<Access>) -> Router {
    Router::new()
        .route("/api/v1/tokens", post(make))
        .layer(axum::middleware::from_fn(same_origin::check))
        .with_state(access)
}

/// Makes a token for a page that is opened where nobody can type a password.
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "tokens",
    request_body(content = Wanted, description = "Which streams, and for how long: a week at the most"),
    responses(
        (status = 201, description = "The token, which is told here alone", body = Made),
        (status = 400, description = "That is no stream, or no time", body = Body,
         content_type = "application/problem+json"),
    ),
)]
#[expect(clippy::disallowed_methods, reason = "a token ends at a time of the calendar")]
pub(in crate::http) async fn make(
    State(access): State<Arc<Access>>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let grant = request.extensions().get::<Grant>().cloned();
    let request = Head::of(&request, &[]).with_body(request, BODY_TIMEOUT).await?;
    let no_json = |why: &dyn std::fmt::Display| {
        bad(format!("no JSON as in {{\"streams\":[\"gate\"],\"for\":\"10m\"}}: {why}"))
    };
    let json: serde_json::Value = serde_json::from_slice(&request.body).map_err(|error| no_json(&error))?;
    // A list would be taken for the keys in their order.
    if !json.is_object() {
        return Err(no_json(&"it is no object"));
    }
    let wanted = Wanted::deserialize(json).map_err(|error| no_json(&error))?;
    let (patterns, time) = judge(&wanted)?;
    let until = SystemTime::now() + time;
    let token = access.tokens.make(Action::Read, &patterns, until);
    let by = grant.as_ref().and_then(|grant| grant.right().who.as_deref());
    let expires = httpdate::fmt_http_date(until);
    tracing::info!(target: "sluice::access", by, streams = ?wanted.streams, until = expires.as_str(), "a token was made");
    let made = Made { token, expires, streams: wanted.streams };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(made)).into_response())
}

fn judge(wanted: &Wanted) -> Result<(Vec<Pattern>, Duration), Problem> {
    let count = wanted.streams.len();
    if count == 0 || count > STREAMS_MAX {
        return Err(bad(format!("streams has {count} names: 1 to {STREAMS_MAX}, and \"*\" is every stream")));
    }
    let patterns: Result<Vec<Pattern>, String> = wanted.streams.iter().map(|stream| stream.parse()).collect();
    let patterns = patterns.map_err(|why| bad(format!("streams: {why}")))?;
    let time = parse_duration(&wanted.time).map_err(|error| bad(format!("for: {error}")))?;
    if !(SHORTEST..=LONGEST).contains(&time) {
        let [least, most] = [SHORTEST, LONGEST].map(format_duration);
        return Err(bad(format!("for: {} is out of range: {least} to {most}", format_duration(time))));
    }
    Ok((patterns, time))
}

fn bad(why: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, why)
}
