//! Profiles over HTTP, at the addresses at which Go programs have theirs: `go tool pprof` asks for them unchanged.
//!
//! Owns what may be asked for. How a profile is taken is decided in `profile`.
#![expect(clippy::disallowed_methods, reason = "whoever asks waits until a time: it reads the clock")]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use super::access::operators::{self, Operators};
use super::extract::Queried;
use super::hosts::{self, Hosts};
use super::pages;
use super::problem::Problem;
use super::same_origin;
use crate::profile::aside::aside;
use crate::profile::heap::Heap;
use crate::profile::names::Names;
use crate::profile::samples::Shown;
use crate::profile::turn::{Busy, Turn, Turns};
use crate::profile::{Profile, cpu, flame, pprof, text, threads};

/// The longest profile. Longer holds a place, and a turn, for ever.
const SECONDS_MAX: u64 = 300;

/// The length of a CPU profile, unless it is told.
const SECONDS: Duration = Duration::from_secs(30);

/// How long the stacks of all threads may take.
const MOMENT: Duration = Duration::from_secs(1);

const INDEX: &str = "\
sluice, profiles

/debug/pprof/profile?seconds=30     where processor time goes: go tool pprof -text THIS_URL
/debug/pprof/heap                   what holds memory; the first request begins to sample, and takes 10 s
/debug/pprof/allocs                 all that was allocated since then
/debug/pprof/heap?seconds=30        what was allocated in 30 s (allocs too)
/debug/pprof/goroutine?debug=1      threads and tasks with their stacks, by name; without debug=1 for go tool pprof
/debug/pprof/threads                threads with their state, processor time and stack
/debug/pprof/cmdline                arguments of this process, without secrets
/debug/flamegraph?seconds=30        where processor time goes, as a picture (SVG)

One profile at a time, 300 s at the most. heap and allocs take debug=1 too.
curl -X POST THIS_HOST/debug/pprof/heap?sampling=off ends the sampling of the heap, and =on begins it.
";

/// What is behind these routes. Listeners share it.
#[derive(Debug, Default)]
pub struct Profiles {
    /// The commit of this build.
    pub revision: &'static str,
    turns: Turns,
    heap: Heap,
}

impl Profiles {
    /// Profiles of a build of this commit.
    pub fn new(revision: &'static str) -> Profiles {
        Profiles { revision, ..Profiles::default() }
    }

    fn turn(&self, what: &'static str, time: Duration) -> Result<Turn, Problem> {
        let now = Instant::now();
        self.turns.take(what, now, time).map_err(|Busy { what, until }| {
            let left = until.saturating_duration_since(now);
            let seconds = left.as_secs() + 1;
            let detail = format!("{what} is being taken, one at a time: try again in {seconds} s");
            Problem::new(StatusCode::CONFLICT, detail).retry_after(Duration::from_secs(seconds))
        })
    }
}

/// A listener for profiles alone.
pub fn alone(profiles: Arc<Profiles>, operators: Operators, hosts: Hosts) -> Router {
    routes(profiles)
        .layer(axum::middleware::from_fn_with_state(operators, operators::check))
        // Who may take none may know where they are.
        .route("/", get(|| async { "sluice: profiles, and nothing else\n\n/debug/pprof/    lists them\n" }))
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "no such page: /debug/pprof/ lists what is here")
        })
        .layer(axum::middleware::from_fn_with_state(hosts, hosts::check))
        .layer(axum::middleware::from_fn(pages::for_people))
}

/// Routes of profiles.
pub fn routes(profiles: Arc<Profiles>) -> Router {
    Router::new()
        .route("/debug/pprof", get(|| async { Redirect::permanent("pprof/") }))
        .route("/debug/pprof/", get(|| async { INDEX }))
        .route("/debug/pprof/profile", get(profile))
        .route(
            "/debug/pprof/heap",
            get(heap).post(sampling).fallback(|| async { Problem::not_allowed("GET, POST") }),
        )
        .route("/debug/pprof/allocs", get(allocs))
        .route("/debug/pprof/goroutine", get(goroutine))
        .route("/debug/pprof/threads", get(all_threads))
        .route("/debug/pprof/cmdline", get(cmdline))
        .route("/debug/flamegraph", get(flamegraph))
        .method_not_allowed_fallback(|| async { Problem::not_allowed("GET") })
        // Who only wants the head must not have the work done.
        .layer(axum::middleware::from_fn(without_head))
        // A profile has a price, which no page of another site is to cause.
        .layer(axum::middleware::from_fn(same_origin::check))
        .with_state(profiles)
}

/// A profile has no head without its body.
async fn without_head(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD {
        return Problem::not_allowed("GET").into_response();
    }
    next.run(request).await
}

/// What a request may say. What else it says is of no interest here.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    seconds: Option<String>,
    debug: Option<String>,
    sampling: Option<String>,
}

impl Asked {
    fn seconds(&self) -> Result<Option<Duration>, Problem> {
        let Some(text) = &self.seconds else { return Ok(None) };
        match text.parse() {
            Ok(seconds @ 1..=SECONDS_MAX) => Ok(Some(Duration::from_secs(seconds))),
            _ => Err(bad("seconds", text, &format!("a whole number from 1 to {SECONDS_MAX}"))),
        }
    }

    /// Whether text is wanted instead of what `go tool pprof` reads.
    fn is_text(&self) -> Result<bool, Problem> {
        match self.debug.as_deref() {
            None | Some("0") => Ok(false),
            Some("1" | "2") => Ok(true),
            Some(text) => Err(bad("debug", text, "0, 1 or 2")),
        }
    }
}

fn bad(key: &str, value: &str, way_out: &str) -> Problem {
    let value: String = value.chars().take(40).collect();
    Problem::new(StatusCode::BAD_REQUEST, format!("{key} is {value:?}: give {way_out}"))
}

fn failed(error: io::Error) -> Problem {
    let status = match error.kind() {
        io::ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, format!("no profile: {error}"))
}

type Asks = Queried<Asked>;

async fn profile(State(profiles): State<Arc<Profiles>>, Queried(asked): Asks) -> Result<Response, Problem> {
    let time = asked.seconds()?.unwrap_or(SECONDS);
    if asked.is_text()? {
        return Err(bad("debug", "1", "0: a CPU profile is no text; /debug/flamegraph draws one"));
    }
    let turn = profiles.turn("a CPU profile", time)?;
    let taken = cpu::profile(time).await.map_err(failed)?;
    answer("profile", taken, profiles.revision, false, turn).await
}

async fn heap(State(profiles): State<Arc<Profiles>>, Queried(asked): Asks) -> Result<Response, Problem> {
    memory(&profiles, &asked, "heap", Shown::InUse).await
}

async fn allocs(State(profiles): State<Arc<Profiles>>, Queried(asked): Asks) -> Result<Response, Problem> {
    memory(&profiles, &asked, "allocs", Shown::Allocated).await
}

async fn memory(
    profiles: &Profiles,
    asked: &Asked,
    name: &'static str,
    shown: Shown,
) -> Result<Response, Problem> {
    let (seconds, is_text) = (asked.seconds()?, asked.is_text()?);
    let turn = profiles.turn("a heap profile", profiles.heap.time(seconds))?;
    let taken = profiles.heap.profile(shown, seconds).await.map_err(failed)?;
    answer(name, taken, profiles.revision, is_text, turn).await
}

/// Begins or ends the sampling of the heap.
async fn sampling(
    State(profiles): State<Arc<Profiles>>,
    Queried(asked): Asks,
) -> Result<&'static str, Problem> {
    let (sampled, said) = match asked.sampling.as_deref() {
        Some("on") => (true, "the heap is sampled from now on\n"),
        Some("off") => (false, "the heap is not sampled any more\n"),
        other => return Err(bad("sampling", other.unwrap_or_default(), "on or off")),
    };
    profiles.heap.set_sampled(sampled).map_err(failed)?;
    Ok(said)
}

async fn goroutine(State(profiles): State<Arc<Profiles>>, Queried(asked): Asks) -> Result<Response, Problem> {
    let is_text = asked.is_text()?;
    let turn = profiles.turn("the list of threads", MOMENT)?;
    let taken = threads::profile().await.map_err(failed)?;
    answer("goroutine", taken, profiles.revision, is_text, turn).await
}

async fn all_threads(State(profiles): State<Arc<Profiles>>) -> Result<String, Problem> {
    let _turn = profiles.turn("the list of threads", MOMENT)?;
    let all = threads::all().await.map_err(failed)?;
    aside(move || threads::text(&all, &mut Names::default())).await.map_err(failed)
}

/// As Go has it: arguments with a zero byte between them.
async fn cmdline() -> String {
    let arguments = std::env::args_os().map(|argument| sluice_config::redact(&argument.to_string_lossy()));
    arguments.collect::<Vec<_>>().join("\0")
}

async fn flamegraph(
    State(profiles): State<Arc<Profiles>>,
    Queried(asked): Asks,
) -> Result<Response, Problem> {
    let time = asked.seconds()?.unwrap_or(SECONDS);
    let _turn = profiles.turn("a CPU profile", time)?;
    let taken = cpu::profile(time).await.map_err(failed)?;
    let title = format!("sluice {}: processor time of {} s", profiles.revision, time.as_secs());
    let svg = aside(move || flame::draw(&taken, &mut Names::default(), &title)).await.map_err(failed)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("image/svg+xml"));
    headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static("default-src 'none'"));
    Ok((headers, svg).into_response())
}

/// Gives names to a profile and writes it; the turn ends behind that.
async fn answer(
    name: &'static str,
    taken: Profile,
    revision: &'static str,
    is_text: bool,
    turn: Turn,
) -> Result<Response, Problem> {
    let written = aside(move || {
        let mut names = Names::default();
        let taken = taken.without_sampler(&mut names);
        if is_text {
            return text::render(&taken, &mut names).into_response();
        }
        let headers = [
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.pb.gz\"")),
        ];
        (headers, pprof::encode(&taken, &mut names, revision)).into_response()
    });
    let written = written.await.map_err(failed);
    drop(turn);
    written
}
