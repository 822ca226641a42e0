//! The admin listener: health, metrics and profiles, on a loopback address by default.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::access::issue::{self, Issuer};
use super::access::operators::{self, Operators};
use super::api;
use super::drain::{self, Drained};
use super::hosts::{self, Hosts};
use super::mediamtx::metrics::{self as theirs, Which};
use super::mediamtx::{self, MediaMtx};
use super::operator_page;
use super::pages;
use super::problem::{Problem, wrong_method};
use super::profiles::{self, Profiles};
use crate::operator::Operator;
use crate::ops::metrics::Metrics;
use crate::shard::command::ShardHandle;
use crate::shard::place;
use crate::stream::{Registry, SourceState, Stream};
use crate::supervise::Pulse;

/// What the admin listener looks at.
pub struct Admin {
    /// What the page shows.
    pub operator: Arc<Operator>,
    /// All metrics.
    pub metrics: Metrics,
    /// Streams, for readiness.
    pub registry: Arc<Registry>,
    /// Shards, for liveness.
    pub shards: Vec<Arc<ShardHandle>>,
    /// Signs of life of threads that nobody waits for, by name.
    pub pulses: [(&'static str, Arc<Pulse>); 2],
    /// Profiles.
    pub profiles: Arc<Profiles>,
    /// MediaMTX's control API.
    pub mediamtx: Arc<MediaMtx>,
    /// Names that it answers to.
    pub hosts: Hosts,
    /// Who may do what.
    pub operators: Operators,
    /// Whether the server lets nobody in any more.
    pub drained: Drained,
    /// Set once the server stops.
    pub stopping: AtomicBool,
}

/// Routes of the admin listener.
pub fn routes(admin: Arc<Admin>) -> Router {
    let profiles = profiles::routes(admin.profiles.clone());
    let api = api::routes(admin.operator.clone());
    let (hosts, operators) = (admin.hosts.clone(), admin.operators.clone());
    let (drained, mediamtx) = (admin.drained.clone(), admin.mediamtx.clone());
    let issuer = Issuer { access: operators.access.clone(), registry: admin.registry.clone() };
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "no such page: / lists what is here") })
        .with_state(admin)
        .merge(profiles)
        .merge(api)
        .merge(issue::routes(issuer))
        .merge(mediamtx::routes(mediamtx))
        .merge(drain::routes(drained))
        .merge(operator_page::routes())
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(operators, operators::check))
        .layer(from_fn_with_state(hosts, hosts::check))
        .layer(from_fn(pages::for_people))
}

/// A listener for metrics alone.
pub fn metrics_alone(admin: Arc<Admin>) -> Router {
    let (hosts, operators) = (admin.hosts.clone(), admin.operators.clone());
    // Who may not have the metrics may know where they are, which tells nothing of them.
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(admin)
        .layer(from_fn_with_state(operators, operators::check))
        .route("/", get(|| async { "sluice: metrics, and nothing else\n\n/metrics    for Prometheus\n" }))
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "no such page: /metrics is all that is here")
        })
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(hosts, hosts::check))
        .layer(from_fn(pages::for_people))
}

/// What this is, as `sluice --version` says it.
async fn version(State(admin): State<Arc<Admin>>) -> Response {
    let (version, revision) = (env!("CARGO_PKG_VERSION"), admin.profiles.revision);
    axum::Json(json!({ "version": version, "revision": revision })).into_response()
}

/// A thread that gave no sign of life for this long does not live. Shorter takes a busy machine for a dead
/// thread.
const SILENT: Duration = Duration::from_secs(5);

impl Admin {
    /// Whether every shard's thread goes round and all else gives signs of life.
    pub fn is_whole(&self) -> bool {
        let (stuck, silent) = self.missing();
        stuck.is_empty() && silent.is_empty()
    }

    /// Shards whose thread stands still or has ended, and what else gives no sign of life.
    fn missing(&self) -> (Vec<usize>, Vec<&'static str>) {
        let unable = self.shards.iter().filter(|shard| !shard.health.is_able());
        let silent = self.pulses.iter().filter(|(_, pulse)| pulse.age() > SILENT);
        (unable.map(|shard| shard.index).collect(), silent.map(|(name, _)| *name).collect())
    }
}

/// 200 while every shard's thread goes round and all else lives, else 503 with what does not.
async fn livez(State(admin): State<Arc<Admin>>) -> Response {
    let (stuck, silent) = admin.missing();
    let live = stuck.is_empty() && silent.is_empty();
    let status = if live { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "live": live, "stuck_shards": stuck, "silent": silent }))).into_response()
}

/// 200 when viewers can be served: the server is whole and does not stop, and at least one stream plays or waits to be
/// wanted.
async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let mut reasons = Vec::new();
    if admin.stopping.load(Ordering::Relaxed) {
        reasons.push("the server is stopping".to_owned());
    }
    if admin.drained.drain.now().is_some() {
        reasons.push(format!("the server is draining: {} viewers are left", admin.drained.sessions.len()));
    }
    let (stuck, silent) = admin.missing();
    reasons.extend(stuck.iter().map(|shard| format!("shard {shard} does not run")));
    reasons.extend(silent.iter().map(|name| format!("the {name} gives no sign of life")));
    if let Err(none) = place::any_runs(&admin.shards) {
        reasons.push(none.to_string());
    }
    let streams = admin.registry.streams();
    let serves =
        |stream: &Arc<Stream>| matches!(stream.status().state, SourceState::Playing | SourceState::Idle);
    if !streams.iter().any(serves) {
        reasons.push(format!("none of {} streams is playing", streams.len()));
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

/// Ours, with MediaMTX's behind them if that is wanted; to a query of theirs theirs alone, in their form.
#[expect(clippy::disallowed_methods, reason = "a shell: what a scrape gives is of its own moment")]
async fn metrics(State(admin): State<Arc<Admin>>, query: Query<BTreeMap<String, String>>) -> Response {
    const OURS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const THEIRS: &str = "text/plain; version=0.0.4; charset=utf-8";
    /// Where OpenMetrics end.
    const END: &str = "# EOF\n";
    let (now, date) = (Instant::now(), SystemTime::now());
    let compatible = admin.mediamtx.config.get().compat.mediamtx_metrics;
    if let Some(which) = Which::of(&query).filter(|_| compatible) {
        let text = theirs::render(&admin.operator, &which, (now, date)).await;
        return ([(header::CONTENT_TYPE, THEIRS)], text).into_response();
    }
    let mut text = admin.metrics.render(now, date);
    if compatible {
        text.truncate(text.trim_end_matches(END).len());
        text += &theirs::render(&admin.operator, &Which::default(), (now, date)).await;
        text += END;
    }
    ([(header::CONTENT_TYPE, OURS)], text).into_response()
}
