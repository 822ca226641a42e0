//! `/v3`: what programs written for MediaMTX's control API ask of the admin listener, in its shapes.
//!
//! Owns the paths, the paging and the form of refusals. What an answer is made of stands in a file below for each thing;
//! docs/MIGRATING.md says which of their fields mean nothing here. A shell: an answer is of the moment it is asked for.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

mod change;
mod config;
pub mod metrics;
mod paths;
mod sessions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{FromRequestParts, Query, Request as HttpRequest, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;
use sluice_config::Config;
use x509_cert::der::DateTime;

use self::change::Change;
use self::sessions::{Outgoing, Session};
use super::extract::Named;
use super::problem::Problem;
use super::request::Head;
use super::same_origin;
use crate::current::Current;
use crate::id::ShortId;
use crate::operator::Operator;
use crate::operator::sessions::EndError;

/// Time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Items in an answer that does not say how many, as there.
const LISTED: usize = 100;

/// What answers.
pub struct MediaMtx {
    /// Streams, sessions and shards.
    pub operator: Arc<Operator>,
    /// What is in effect.
    pub config: Current<Arc<Config>>,
    /// When the server was started.
    pub started: SystemTime,
}

/// Lists of what this server does not have, which are empty.
const NEVER: [&str; 9] = [
    "rtspconns",
    "rtspsessions",
    "rtspsconns",
    "rtspssessions",
    "rtmpconns",
    "rtmpsconns",
    "srtconns",
    "hlsmuxers",
    "recordings",
];

/// Routes below `/v3`.
pub fn routes(state: Arc<MediaMtx>) -> Router {
    let never = NEVER.into_iter().fold(Router::new(), |router, list| {
        router.route(&format!("/v3/{list}/list"), get(async |asked: Asked| page(Vec::<()>::new(), &asked)))
    });
    never
        .route("/v3/info", get(info))
        .route("/v3/config/global/get", get(global))
        .route("/v3/config/pathdefaults/get", get(path_defaults))
        .route("/v3/config/paths/list", get(path_configs))
        .route("/v3/config/paths/get/{*name}", get(path_config))
        .route("/v3/config/paths/add/{*name}", post(add))
        .route("/v3/config/paths/patch/{*name}", patch(alter))
        .route("/v3/config/paths/replace/{*name}", post(replace))
        .route("/v3/config/paths/delete/{*name}", delete(remove))
        .route("/v3/paths/list", get(list_paths))
        .route("/v3/paths/get/{*name}", get(path))
        .route("/v3/webrtcsessions/list", get(list_sessions))
        .route("/v3/webrtcsessions/get/{id}", get(session))
        .route("/v3/webrtcsessions/kick/{id}", post(kick))
        .route("/v3/{*rest}", get(nothing).post(nothing).patch(nothing).delete(nothing))
        .layer(axum::middleware::from_fn(same_origin::check))
        .with_state(state)
}

/// What a query says: only `page` and `itemsPerPage` mean something, as there.
type Asked = Query<BTreeMap<String, String>>;

/// A refusal in their form.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(why: impl Into<String>) -> Refusal {
        Refusal(StatusCode::BAD_REQUEST, why.into())
    }

    fn none(why: impl Into<String>) -> Refusal {
        Refusal(StatusCode::NOT_FOUND, why.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, fresh(json!({ "status": "error", "error": self.1 }))).into_response()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal(problem.status, problem.detail)
    }
}

/// What a path names.
struct Name(String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Name, Refusal> {
        let Named(name) = Named::from_request_parts(parts, state).await?;
        Ok(Name(name))
    }
}

/// What nobody may keep.
fn fresh(body: impl Serialize) -> impl IntoResponse {
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Json(body))
}

fn done() -> Response {
    fresh(json!({ "status": "ok" })).into_response()
}

/// One page of all `items`.
fn page<T: Serialize>(items: Vec<T>, asked: &Asked) -> Result<Response, Refusal> {
    let Window { pages, first, count } = Window::of(items.len(), asked)?;
    let shown: Vec<T> = items.into_iter().skip(first).take(count).collect();
    Ok(fresh(json!({ "itemCount": pages.0, "pageCount": pages.1, "items": shown })).into_response())
}

/// Which of all items are asked for.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    /// How many items there are, and how many pages.
    pages: (usize, usize),
    first: usize,
    count: usize,
}

impl Window {
    fn of(items: usize, Query(asked): &Asked) -> Result<Window, Refusal> {
        let number = |name: &str, otherwise: usize| match asked.get(name).filter(|text| !text.is_empty()) {
            None => Ok(otherwise),
            Some(text) => text
                .parse::<u32>()
                .map(|number| number as usize)
                .map_err(|_| Refusal::bad(format!("{name}={} is not a number", sluice_media::shown(text)))),
        };
        let (count, page) = (number("itemsPerPage", LISTED)?, number("page", 0)?);
        if count == 0 {
            return Err(Refusal::bad("invalid items per page"));
        }
        Ok(Window { pages: (items, items.div_ceil(count)), first: page.saturating_mul(count), count })
    }
}

/// A time as they write it (RFC 3339).
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    DateTime::from_unix_duration(since).map(|time| time.to_string()).unwrap_or_default()
}

async fn info(State(state): State<Arc<MediaMtx>>) -> Response {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    fresh(json!({ "version": version, "started": rfc3339(state.started) })).into_response()
}

async fn global(State(state): State<Arc<MediaMtx>>) -> Response {
    fresh(config::global(&state.config.get())).into_response()
}

async fn path_defaults(State(state): State<Arc<MediaMtx>>) -> Response {
    fresh(config::path_defaults(&state.config.get())).into_response()
}

async fn path_configs(State(state): State<Arc<MediaMtx>>, asked: Asked) -> Result<Response, Refusal> {
    let (streams, config) = (state.operator.registry.streams(), state.config.get());
    page(streams.iter().map(|stream| config::path(&config, stream)).collect(), &asked)
}

async fn path_config(State(state): State<Arc<MediaMtx>>, Name(name): Name) -> Result<Response, Refusal> {
    let stream = state.operator.registry.stream(&name);
    let stream = stream.ok_or_else(|| Refusal::none("path configuration not found"))?;
    Ok(fresh(config::path(&state.config.get(), &stream)).into_response())
}

async fn add(
    State(state): State<Arc<MediaMtx>>,
    Name(name): Name,
    request: HttpRequest,
) -> Result<Response, Refusal> {
    changed(&state, Change::Add, &name, request).await
}

async fn alter(
    State(state): State<Arc<MediaMtx>>,
    Name(name): Name,
    request: HttpRequest,
) -> Result<Response, Refusal> {
    changed(&state, Change::Patch, &name, request).await
}

async fn replace(
    State(state): State<Arc<MediaMtx>>,
    Name(name): Name,
    request: HttpRequest,
) -> Result<Response, Refusal> {
    changed(&state, Change::Replace, &name, request).await
}

async fn remove(
    State(state): State<Arc<MediaMtx>>,
    Name(name): Name,
    request: HttpRequest,
) -> Result<Response, Refusal> {
    changed(&state, Change::Delete, &name, request).await
}

async fn changed(
    state: &MediaMtx,
    change: Change,
    name: &str,
    request: HttpRequest,
) -> Result<Response, Refusal> {
    let request = Head::of(&request, &[]).with_body(request, BODY_TIMEOUT).await?;
    change::make(&state.operator, &state.config.get(), change, name, &request.body).await?;
    Ok(done())
}

async fn list_paths(State(state): State<Arc<MediaMtx>>, asked: Asked) -> Result<Response, Refusal> {
    let outgoing = Outgoing::of(&state.operator).await;
    let streams = state.operator.registry.streams();
    page(streams.iter().map(|stream| paths::Path::of(stream, &outgoing)).collect(), &asked)
}

async fn path(State(state): State<Arc<MediaMtx>>, Name(name): Name) -> Result<Response, Refusal> {
    let stream = state.operator.registry.stream(&name).ok_or_else(|| Refusal::none("path not found"))?;
    let outgoing = Outgoing::of(&state.operator).await;
    Ok(fresh(paths::Path::of(&stream, &outgoing)).into_response())
}

async fn list_sessions(State(state): State<Arc<MediaMtx>>, asked: Asked) -> Result<Response, Refusal> {
    let outgoing = Outgoing::of(&state.operator).await;
    page(outgoing.sessions((Instant::now(), SystemTime::now())), &asked)
}

async fn session(State(state): State<Arc<MediaMtx>>, Name(id): Name) -> Result<Response, Refusal> {
    let id = id_of(&id)?.uuid();
    let outgoing = Outgoing::of(&state.operator).await;
    let sessions = outgoing.sessions((Instant::now(), SystemTime::now()));
    let session: Option<Session> = sessions.into_iter().find(|session| session.id == id);
    Ok(fresh(session.ok_or_else(|| Refusal::none("session not found"))?).into_response())
}

async fn kick(State(state): State<Arc<MediaMtx>>, Name(id): Name) -> Result<Response, Refusal> {
    state.operator.end(id_of(&id)?).map_err(|error| match error {
        EndError::None(_) => Refusal::none("session not found"),
        EndError::Several(..) => Refusal(StatusCode::CONFLICT, error.to_string()),
        EndError::Busy(_) => Refusal(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    })?;
    Ok(done())
}

fn id_of(id: &str) -> Result<ShortId, Refusal> {
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    let digits = id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if parts != [8, 4, 4, 4, 12] || !digits {
        return Err(Refusal::bad("invalid UUID"));
    }
    ShortId::of_uuid(&id.to_ascii_lowercase()).ok_or_else(|| Refusal::none("session not found"))
}

/// Of their API what is not here.
async fn nothing() -> Refusal {
    Refusal::none("this part of MediaMTX's API is not here: docs/MIGRATING.md lists what is")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(items: usize, query: &[(&str, &str)]) -> Result<Window, Refusal> {
        let asked = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Window::of(items, &Query(asked.collect()))
    }

    #[test]
    fn pages_are_cut_and_counted_as_there() {
        let cut = |pages, first, count| Ok(Window { pages, first, count });
        assert_eq!(window(0, &[]), cut((0, 0), 0, 100));
        assert_eq!(window(250, &[]), cut((250, 3), 0, 100));
        assert_eq!(window(250, &[("page", "2"), ("itemsPerPage", "100")]), cut((250, 3), 200, 100));
        assert_eq!(window(3, &[("page", "9"), ("itemsPerPage", "2"), ("other", "x")]), cut((3, 2), 18, 2));
        let refused = |why: &str| Err(Refusal(StatusCode::BAD_REQUEST, why.to_owned()));
        assert_eq!(window(3, &[("itemsPerPage", "0")]), refused("invalid items per page"));
        assert_eq!(window(3, &[("page", "-1")]), refused("page=-1 is not a number"));
    }

    #[test]
    fn an_id_is_a_uuid_and_of_ours_one() {
        assert_eq!(id_of("1F2E3D4C-0000-8000-8000-000000000000"), Ok(ShortId(0x1f2e_3d4c)));
        assert_eq!(id_of("1f2e3d4c").map_err(|refusal| refusal.0), Err(StatusCode::BAD_REQUEST));
        let other = id_of("1f2e3d4c-1111-4000-8000-000000000000");
        assert_eq!(other.map_err(|refusal| refusal.0), Err(StatusCode::NOT_FOUND));
    }
}
