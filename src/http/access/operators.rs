//! Access on the listeners of operators: which action a path means.
//!
//! Owns that what a probe of a load balancer asks for is open, and that all else needs a right, what is not there too.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sluice_config::Action;

use super::{Access, Asked};
use crate::current::Current;
use crate::http::listen::ClientLimits;
use crate::http::request::Head;

/// What decides.
#[derive(Clone)]
pub struct Operators {
    /// Who may.
    pub access: Arc<Access>,
    /// Which proxies say truly who asks.
    pub clients: Arc<Current<ClientLimits>>,
}

/// Lets a request through that has a right to what its path means. The grant goes with it.
pub async fn check(State(operators): State<Operators>, mut request: Request, next: Next) -> Response {
    let Some(action) = action(request.uri().path()) else { return next.run(request).await };
    let head = Head::of(&request, &operators.clients.get().proxies);
    let looks = matches!(head.method, Method::GET | Method::HEAD);
    match operators.access.ask(&head, Asked { action, stream: None, looks }).await {
        Ok(grant) => {
            request.extensions_mut().insert(grant);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// The style of the page that says a refusal.
const REFUSED_STYLE: &str = "/static/style.css";

/// The action that a path means; none where it is for everybody.
fn action(path: &str) -> Option<Action> {
    if path == REFUSED_STYLE {
        return None;
    }
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match first {
        "livez" | "readyz" | "version" => None,
        "metrics" => Some(Action::Metrics),
        "debug" => Some(Action::Pprof),
        _ => Some(Action::Api),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_one_action_and_what_is_unknown_means_the_strictest() {
        for (path, expected) in [
            ("/livez", None),
            ("/readyz", None),
            ("/version", None),
            ("/static/style.css", None),
            ("/static/style.css/", Some(Action::Api)),
            ("/metrics", Some(Action::Metrics)),
            ("/debug/pprof/heap", Some(Action::Pprof)),
            ("/debug/flamegraph", Some(Action::Pprof)),
            ("/", Some(Action::Api)),
            ("/static/operator.js", Some(Action::Api)),
            ("/streams", Some(Action::Api)),
            ("/api/v1/sessions", Some(Action::Api)),
            ("/v3/paths/list", Some(Action::Api)),
            ("//metrics", Some(Action::Metrics)),
            ("/livez2", Some(Action::Api)),
            ("", Some(Action::Api)),
        ] {
            assert_eq!(action(path), expected, "{path}");
        }
    }
}
