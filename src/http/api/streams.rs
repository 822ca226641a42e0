//! Streams: which there are and what they do, each alone, and another, or none, in its place.
//!
//! Owns what a request may say of a stream: its keys as JSON, and on what condition. What they may be is decided where the
//! file's are (`operator::change`).

use std::time::{Instant, SystemTime};

use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sluice_config::{StreamKey, StreamText};
use utoipa::ToSchema;

use super::asked::{Asked, Given, bad, fresh};
use super::{Api, whole};
use crate::http::as_toml::as_toml;
use crate::http::extract::{Bare, Named};
use crate::http::json;
use crate::http::problem::{Body, Problem};
use crate::http::streams::{Listed, Told, of_operators, whole as listed};
use crate::operator::change::{Condition, Refused, Set, Wanted};
use crate::operator::settings::ToldSetting;
use crate::session::offer::shown;
use crate::stream::SourceState;

/// Streams in one answer at the most.
const LISTED_MAX: usize = 10_000;

/// One stream.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = OneStream)]
pub struct One {
    /// What it is and does.
    #[serde(flatten)]
    pub stream: Told,
    /// Its keys, with who gave them.
    pub settings: Vec<ToldSetting>,
}

/// All of them by name, or those that the query says.
#[utoipa::path(
    get,
    path = "/api/v1/streams",
    tag = "streams",
    params(
        ("name" = Option<String>, Query, description = "Those whose name has this part"),
        ("state" = Option<String>, Query, description = "Those in this state: `idle`, `connecting`, `starting`, `playing`, `waiting`"),
        ("offset" = Option<usize>, Query, description = "How many are passed over; 0 unless given"),
        ("limit" = Option<usize>, Query, description = "How many are told; 10,000 unless given, and at the most"),
    ),
    responses(
        (status = 200, description = "The streams asked for, by name", body = Listed),
        (status = 400, description = "The query says what means nothing", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(State(api): State<Api>, given: Given) -> Result<Response, Problem> {
    let asked = Asked::of(given, &["name", "state", "offset", "limit"])?;
    let (offset, limit) =
        (asked.number("offset", 0, usize::MAX)?, asked.number("limit", LISTED_MAX, LISTED_MAX)?);
    let state = asked.text("state");
    if let Some(state) = state.filter(|state| !SourceState::NAMES.contains(state)) {
        return Err(bad(format!(
            "state={} is none: there are {}",
            shown(state),
            SourceState::NAMES.join(", ")
        )));
    }
    let Listed { version, streams, .. } = listed(&api.operator.registry, &api.operator.history, now());
    let wanted = |told: &Told| {
        asked.text("name").is_none_or(|part| told.name.contains(part))
            && state.is_none_or(|state| told.state == state)
    };
    let streams: Vec<Told> = streams.into_iter().filter(wanted).collect();
    let total = Some(streams.len());
    Ok(fresh(Listed { version, total, streams: streams.into_iter().skip(offset).take(limit).collect() }))
}

/// One stream, and what it is configured as.
#[utoipa::path(
    get,
    path = "/api/v1/streams/{name}",
    tag = "streams",
    params(
        ("name" = String, Path, description = "Its name, or a pattern of names (`~` and a regular expression, percent-encoded); a `/` in it stays"),
    ),
    responses(
        (status = 200, description = "The stream, and what it is configured as", body = One, headers(("ETag" = String, description = "Of its configuration"))),
        (status = 404, description = "There is no such stream", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn one(State(api): State<Api>, Named(name): Named, _: Bare) -> Result<Response, Problem> {
    found(&api, &name)
}

/// Adds the stream, or makes it another.
#[utoipa::path(
    put,
    path = "/api/v1/streams/{name}",
    tag = "streams",
    params(
        ("name" = String, Path, description = "Its name, or a pattern of names (`~` and a regular expression, percent-encoded); a `/` in it stays"),
        ("keep" = Option<bool>, Query, description = "`true`: write it to the configuration file, too; `false` unless given"),
        ("If-Match" = Option<String>, Header, description = "Change it only if it is what this entity tag says, or `*`: if there is one"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: add it only if there is none"),
    ),
    request_body(content = Value, description = "Its keys, as below `[streams.NAME]` in the configuration file; keys that are left out have their defaults"),
    responses(
        (status = 200, description = "It is changed, or was so before; its viewers stay", body = One, headers(("ETag" = String, description = "Of its configuration"))),
        (status = 201, description = "It is added", body = One, headers(("ETag" = String, description = "Of its configuration"))),
        (status = 400, description = "The request is none", body = Body, content_type = "application/problem+json"),
        (status = 409, description = "It cannot be kept: there is no file, somebody has changed it since it was read, or a variable or the command line says otherwise", body = Body, content_type = "application/problem+json"),
        (status = 412, description = "It is not what the condition says", body = Body, content_type = "application/problem+json"),
        (status = 422, description = "It is no stream, or its camera is where the API may name none (`admin.sources`): nothing is changed", body = Body, content_type = "application/problem+json"),
        (status = 503, description = "Too many changes wait, or the server is stopping", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put(
    State(api): State<Api>,
    Named(name): Named,
    given: Given,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let keep = keep(given)?;
    let request = whole(request).await?;
    let (name, condition) = (named(&name)?, condition(&request.head.headers)?);
    let keys: Map<String, Value> = json::read(&request.body).map_err(|error| {
        let example = r#"{"source":"rtsp://user:password@192.168.1.10/main","rtsp_transport":"udp"}"#;
        bad(format!("no JSON as in {example}: {error}"))
    })?;
    let stream = Some(lines(&keys)?);
    let is_new = api.operator.etag_of(&name).is_none();
    let set = Set { name: name.clone(), stream, condition, keep };
    api.operator.changes.ask(Wanted::Set(set)).await?;
    let mut response = found(&api, name.as_str())?;
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// Takes the stream away; its viewers are told.
#[utoipa::path(
    delete,
    path = "/api/v1/streams/{name}",
    tag = "streams",
    params(
        ("name" = String, Path, description = "Its name, or a pattern of names (`~` and a regular expression, percent-encoded); a `/` in it stays"),
        ("keep" = Option<bool>, Query, description = "`true`: write it to the configuration file, too; `false` unless given"),
        ("If-Match" = Option<String>, Header, description = "Change it only if it is what this entity tag says, or `*`: if there is one"),
    ),
    responses(
        (status = 204, description = "It is gone; its viewers are told"),
        (status = 400, description = "The request is none", body = Body, content_type = "application/problem+json"),
        (status = 404, description = "There is no such stream", body = Body, content_type = "application/problem+json"),
        (status = 409, description = "It cannot be kept, or is the demo that is served for want of a stream", body = Body, content_type = "application/problem+json"),
        (status = 412, description = "It is not what the condition says", body = Body, content_type = "application/problem+json"),
        (status = 503, description = "Too many changes wait, or the server is stopping", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Named(name): Named,
    given: Given,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let set = Set { name: named(&name)?, stream: None, condition: condition(&headers)?, keep: keep(given)? };
    api.operator.changes.ask(Wanted::Set(set)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn found(api: &Api, name: &str) -> Result<Response, Problem> {
    let operator = &api.operator;
    if let Ok(key @ StreamKey::Pattern(_)) = name.parse::<StreamKey>() {
        return pattern(api, &key);
    }
    let stream = operator.registry.stream(name).ok_or_else(|| Refused::NoStream(shown(name).to_owned()))?;
    let etag = operator.etag(&stream);
    let told = of_operators(&stream, &operator.history, now());
    let mut response = fresh(One { stream: told, settings: operator.settings.of_stream(name) });
    response.headers_mut().insert(header::ETAG, HeaderValue::from_str(&etag).expect("hexadecimal digits"));
    Ok(response)
}

/// A pattern as if it were a stream that rests: what it says of those that it makes.
fn pattern(api: &Api, key: &StreamKey) -> Result<Response, Problem> {
    let operator = &api.operator;
    let Some(etag) = operator.etag_of(key) else {
        return Err(Refused::NoStream(shown(key.as_str()).to_owned()).into());
    };
    let settings = operator.settings.of_stream(key.as_str());
    let source = settings.iter().find(|setting| setting.key == "source");
    let stream = Told {
        name: key.to_string(),
        source: source.map(|source| source.value.clone()).unwrap_or_default(),
        state: SourceState::Idle.name().to_owned(),
        on_demand: true,
        pattern: Some(key.to_string()),
        ..Told::default()
    };
    let mut response = fresh(One { stream, settings });
    response.headers_mut().insert(header::ETAG, HeaderValue::from_str(&etag).expect("hexadecimal digits"));
    Ok(response)
}

/// This moment, by both clocks.
#[expect(
    clippy::disallowed_methods,
    reason = "what a stream does and what is wrong with it are of one moment"
)]
fn now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

fn named(name: &str) -> Result<StreamKey, Problem> {
    name.parse().map_err(bad)
}

fn keep(given: Given) -> Result<bool, Problem> {
    match Asked::of(given, &["keep"])?.text("keep") {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(bad(format!("keep={} is neither true nor false", shown(other)))),
    }
}

/// On what condition a change is to be made (RFC 9110 §13.1.1, §13.1.2).
fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    let said = |name| -> Option<Vec<String>> {
        let lines: Vec<&str> = headers.get_all(&name).iter().filter_map(|line| line.to_str().ok()).collect();
        let tags = lines.iter().flat_map(|line| line.split(',')).map(|tag| tag.trim().to_owned());
        Some(tags.collect()).filter(|_| !lines.is_empty())
    };
    match (said(header::IF_MATCH), said(header::IF_NONE_MATCH)) {
        (None, None) => Ok(Condition::Any),
        (Some(tags), None) if tags == ["*"] => Ok(Condition::Present),
        (Some(tags), None) => Ok(Condition::Tagged(tags)),
        (None, Some(tags)) if tags == ["*"] => Ok(Condition::Absent),
        _ => Err(bad("a change goes by If-Match, or by If-None-Match: *".to_owned())),
    }
}

/// The keys as lines of TOML. Which there are, and what they may be, is found out with all others.
fn lines(keys: &Map<String, Value>) -> Result<StreamText, Problem> {
    let mut lines = String::new();
    for (key, value) in keys {
        if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(bad(format!("{:?} is no key of a stream", shown(key))));
        }
        if value.is_null() {
            // As if it were not there.
            continue;
        }
        let value = as_toml(value).ok_or_else(|| {
            bad(format!("{key} is neither a text, a number, true or false, nor a list or an object of such"))
        })?;
        lines.push_str(&format!("{key} = {value}\n"));
    }
    Ok(StreamText::new(lines))
}
