//! `POST /api/v1/tokens`: a token of our own, for a page that is opened where nobody can type a password.
//!
//! Owns what may be asked for, and that what no stream is meant by is refused, or told if a stream may come. Whoever has
//! `api` may ask; what the token says, `token` makes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Request as HttpRequest, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sluice_config::{Action, Pattern, StreamName, format_duration, parse_duration};
use utoipa::ToSchema;

use super::token::{LONGEST, STREAMS_MAX};
use super::{Access, Grant};
use crate::http::extract::Bare;
use crate::http::json;
use crate::http::problem::{Body, Problem};
use crate::http::request::Head;
use crate::http::same_origin;
use crate::stream::Registry;

/// Time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest time that a token is good for.
const SHORTEST: Duration = Duration::from_secs(1);

/// What is asked for: `{"streams": ["gate", "yard-*"], "for": "10m"}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenWanted)]
pub(in crate::http) struct Wanted {
    /// Names of streams, with `*` for anything, or `~` and a regular expression.
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
    /// Those of them that mean no stream there is now. One that comes while the token is good is opened.
    unmatched: Vec<String>,
}

/// Whom a token is made of and for.
#[derive(Clone)]
pub struct Issuer {
    /// Who makes and takes them.
    pub access: Arc<Access>,
    /// The streams that there are.
    pub registry: Arc<Registry>,
}

/// The route.
pub fn routes(issuer: Issuer) -> Router {
    Router::new()
        .route("/api/v1/tokens", post(make))
        .layer(axum::middleware::from_fn(same_origin::check))
        .with_state(issuer)
}

/// Makes a token for a page that is opened where nobody can type a password.
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "tokens",
    request_body(content = Wanted, description = "Which streams, and for how long: a week at the most"),
    responses(
        (status = 201, description = "The token, which is told here alone", body = Made),
        (status = 400, description = "That can be no stream, or no time", body = Body,
         content_type = "application/problem+json"),
    ),
)]
#[expect(clippy::disallowed_methods, reason = "a token ends at a time of the calendar")]
pub(in crate::http) async fn make(
    State(Issuer { access, registry }): State<Issuer>,
    _: Bare,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let grant = request.extensions().get::<Grant>().cloned();
    let request = Head::of(&request, &[]).with_body(request, BODY_TIMEOUT).await?;
    let no_json = |why: &dyn std::fmt::Display| {
        bad(format!("no JSON as in {{\"streams\":[\"gate\"],\"for\":\"10m\"}}: {why}"))
    };
    let json: serde_json::Value = json::read(&request.body).map_err(|error| no_json(&error))?;
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
    let streams = registry.streams();
    let is_meant = |pattern: &&Pattern| streams.iter().any(|stream| pattern.fits(&stream.name));
    let unmatched = patterns.iter().filter(|pattern| !is_meant(pattern));
    let unmatched = unmatched.map(|pattern| pattern.as_str().to_owned()).collect();
    let made = Made { token, expires, streams: wanted.streams, unmatched };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(made)).into_response())
}

fn judge(wanted: &Wanted) -> Result<(Vec<Pattern>, Duration), Problem> {
    let count = wanted.streams.len();
    if count == 0 || count > STREAMS_MAX {
        return Err(bad(format!("streams has {count} names: 1 to {STREAMS_MAX}, and \"*\" is every stream")));
    }
    let patterns: Result<Vec<Pattern>, String> =
        wanted.streams.iter().map(|stream| pattern(stream)).collect();
    let patterns = patterns.map_err(|why| bad(format!("streams: {why}")))?;
    let time = parse_duration(&wanted.time).map_err(|error| bad(format!("for: {error}")))?;
    if !(SHORTEST..=LONGEST).contains(&time) {
        let [least, most] = [SHORTEST, LONGEST].map(format_duration);
        return Err(bad(format!("for: {} is out of range: {least} to {most}", format_duration(time))));
    }
    Ok((patterns, time))
}

/// Streams that one text means. What has neither stars nor an expression is a name, and has to be one that a stream can have.
fn pattern(text: &str) -> Result<Pattern, String> {
    let pattern: Pattern = text.parse()?;
    if !text.starts_with('~') && !text.contains('*') {
        text.parse::<StreamName>().map_err(|error| error.to_string())?;
    }
    Ok(pattern)
}

fn bad(why: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_stream_can_be_called_is_refused_and_patterns_are_as_good_as_names() {
        for good in ["gate", "site1/gate", "yard-*", "*", "~^cam[0-9]+$", "~."] {
            assert_eq!(pattern(good).map(|pattern| pattern.as_str().to_owned()), Ok(good.to_owned()));
        }
        for (wrong, why) in [
            ("", "empty"),
            ("ga te", "` `"),
            ("gate/whep", "whep"),
            ("streams.json", "streams.json"),
            ("/gate", "part"),
            (".hidden", "."),
            ("~(", "no regular expression"),
            (&"x".repeat(200), "200"),
        ] {
            let said = pattern(wrong).map(|_| ()).expect_err(wrong);
            assert!(said.contains(why), "{wrong}: {said}");
        }
    }
}
