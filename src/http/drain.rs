//! `/api/v1/drain`, and what joins are answered meanwhile.
//!
//! Owns both answers. A shell: it reads the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: its handlers read the clock")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use sluice_config::{format_duration, parse_duration};
use url::Url;
use utoipa::ToSchema;

use super::extract::Bare;
use super::json;
use super::problem::{Body, Problem};
use super::request::Head;
use super::same_origin;
use crate::session::drain::{Drain, TooLate};
use crate::session::table::Sessions;

/// Time to try again when the server drains: shorter lets those who wait find its successor sooner, longer asks less of
/// a server that may be the only one.
const RETRY: Duration = Duration::from_secs(5);

/// Time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest drain. Who is to end at once is told so by a second SIGTERM.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// The longest drain, as `drain.timeout` has it.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// The word that refusals because of it are counted by.
const DRAINING: &str = "draining";

/// What it is of.
#[derive(Clone)]
pub struct Drained {
    /// Whether the server drains.
    pub drain: Arc<Drain>,
    /// Who watches.
    pub sessions: Arc<Sessions>,
}

/// An order to drain.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DrainOrder)]
pub(super) struct Order {
    /// How long viewers may stay from now on, instead of `drain.timeout`, or instead of what a drain under way has left: `10m`.
    timeout: Option<String>,
}

/// How it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drain)]
pub(super) struct Told {
    /// Whether the server drains: it lets nobody new in.
    draining: bool,
    /// Viewers that are left.
    viewers: usize,
    /// Seconds that they have.
    left_seconds: Option<f64>,
    /// Where they go.
    elsewhere: Option<String>,
}

/// The route below `/api/v1`.
pub fn routes(drained: Drained) -> Router {
    Router::new()
        .route("/api/v1/drain", get(told).post(begin).delete(take_back))
        .layer(axum::middleware::from_fn(same_origin::check))
        .with_state(drained)
}

/// How a drain stands.
#[utoipa::path(
    get,
    path = "/api/v1/drain",
    tag = "drain",
    responses(
        (status = 200, description = "How it stands", body = Told),
    ),
)]
pub(super) async fn told(State(drained): State<Drained>, _: Bare) -> Response {
    drained.told(StatusCode::OK)
}

/// Begins a drain, as SIGTERM does: nobody new is let in, and the server ends when the last has left or the time is over.
/// While it drains, an order with a time changes how long viewers may stay, and one without changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/drain",
    tag = "drain",
    request_body(content = Option<Order>, description = "The time, where it is not `drain.timeout`"),
    responses(
        (status = 202, description = "It has begun, and how it stands", body = Told),
        (status = 400, description = "That is no time", body = Body, content_type = "application/problem+json"),
        (status = 409, description = "`drain.timeout` is 0, no time is sent, and it does not drain yet; or it is too late for another time, because the server is stopping", body = Body,
         content_type = "application/problem+json"),
    ),
)]
pub(super) async fn begin(
    State(drained): State<Drained>,
    _: Bare,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let request = Head::of(&request, &[]).with_body(request, BODY_TIMEOUT).await?;
    let order: Order = if request.body.is_empty() {
        Order::default()
    } else {
        let bad = |error| format!("no JSON as in {{\"timeout\":\"10m\"}}: {error}");
        json::read(&request.body).map_err(|error| refused(StatusCode::BAD_REQUEST, bad(error)))?
    };
    let (drain, now) = (&drained.drain, Instant::now());
    match &order.timeout {
        Some(text) => drain.end_after(now, time(text)?)?,
        None if drain.timeout().is_zero() && drain.now().is_none() => {
            let why =
                "drain.timeout is 0, so viewers would have no time: set it, or send {\"timeout\":\"10m\"}";
            return Err(refused(StatusCode::CONFLICT, why.to_owned()));
        }
        None => drain.begin(now, drain.timeout()),
    }
    Ok(drained.told(StatusCode::ACCEPTED))
}

/// Takes a drain back: joins are answered again.
#[utoipa::path(
    delete,
    path = "/api/v1/drain",
    tag = "drain",
    responses(
        (status = 200, description = "How it stands: it serves on", body = Told),
        (status = 409, description = "It is too late: the last viewer has left or the time is over, and the server is stopping", body = Body,
         content_type = "application/problem+json"),
    ),
)]
pub(super) async fn take_back(State(drained): State<Drained>, _: Bare) -> Result<Response, Problem> {
    drained.drain.take_back()?;
    Ok(drained.told(StatusCode::OK))
}

impl From<TooLate> for Problem {
    fn from(late: TooLate) -> Problem {
        refused(StatusCode::CONFLICT, late.to_string())
    }
}

/// How long viewers may stay, as an order says it.
fn time(text: &str) -> Result<Duration, Problem> {
    let time = parse_duration(text).ok();
    time.filter(|time| (TIMEOUT_MIN..=TIMEOUT_MAX).contains(time)).ok_or_else(|| {
        let [min, max] = [TIMEOUT_MIN, TIMEOUT_MAX].map(format_duration);
        let why = format!("timeout is {:?}, and has to be {min} to {max}", sluice_media::shown(text));
        refused(StatusCode::BAD_REQUEST, why)
    })
}

fn refused(status: StatusCode, why: String) -> Problem {
    Problem::new(status, why)
}

impl Drained {
    fn told(&self, status: StatusCode) -> Response {
        let draining = self.drain.now();
        let told = Told {
            draining: draining.is_some(),
            viewers: self.sessions.len(),
            left_seconds: draining.map(|draining| draining.left(Instant::now()).as_secs_f64()),
            elsewhere: self.drain.elsewhere(),
        };
        (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(told)).into_response()
    }
}

/// What a join of `stream` is answered while the server drains: 307 to where its viewers go, otherwise 503.
///
/// # Errors
///
/// That 503, with a time to try again.
pub(super) fn turn_away(
    elsewhere: Option<&str>,
    stream: &str,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let location = elsewhere.and_then(|site| location(site, stream, headers, query));
    let Some(location) = location.and_then(|location| HeaderValue::from_str(&location).ok()) else {
        let why = "the server is about to end, and lets nobody new in: try again in a moment";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
            .retry_after(RETRY)
            .counted_as(DRAINING));
    };
    // Method and body go along (RFC 9110 §15.4.8).
    let headers =
        [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response())
}

/// The stream's endpoint there; nothing for who came by that very name, which would lead here again.
fn location(site: &str, stream: &str, headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let mut url = Url::parse(site).ok()?;
    let there = url[url::Position::BeforeHost..url::Position::AfterPort].to_ascii_lowercase();
    let here = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if here.is_some_and(|here| here.to_ascii_lowercase() == there) {
        return None;
    }
    url.path_segments_mut().ok()?.pop_if_empty().extend(stream.split('/')).push("whep");
    url.set_query(query);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))])
    }

    #[test]
    fn a_join_is_sent_to_the_same_stream_on_the_other_server() {
        for (site, stream, query, there) in [
            ("https://b.example", "gate", None, "https://b.example/gate/whep"),
            (
                "https://b.example:8443/tv",
                "gate",
                Some("token=a%20b"),
                "https://b.example:8443/tv/gate/whep?token=a%20b",
            ),
            ("http://192.0.2.1:8889", "hall/door 1", None, "http://192.0.2.1:8889/hall/door%201/whep"),
        ] {
            let answer = turn_away(Some(site), stream, &asked("a.example"), query).expect("a redirection");
            assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
            assert_eq!(answer.headers()[header::LOCATION], there);
        }
    }

    #[test]
    fn who_came_by_the_name_that_it_would_be_sent_to_is_told_to_wait() {
        for (site, host) in [
            (None, "a.example"),
            (Some("https://tv.example"), "TV.example"),
            (Some("http://tv.example:8889"), "tv.example:8889"),
        ] {
            let problem = turn_away(site, "gate", &asked(host), None).expect_err("no way");
            assert_eq!((problem.status, problem.retry_after), (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY)));
        }
        assert!(turn_away(Some("https://tv.example:8443"), "gate", &asked("tv.example"), None).is_ok());
    }
}
