//! Metrics of HTTP: requests by route and status, how long they took, and refusals by reason.

use std::fmt;

use super::out::{Out, label};
use crate::count::requests::{Request, Requests};

/// Writes them.
pub(super) fn encode(out: &mut Out<'_>, requests: &Requests) -> fmt::Result {
    let answered = requests.by_status().into_iter().map(|(request, status, count)| {
        let Request { listener, route, method } = request;
        let listener = ("listener", listener.to_owned());
        (vec![listener, ("route", route), ("method", method.to_owned()), ("code", status.to_string())], count)
    });
    out.counter("http_requests", "HTTP requests answered, by listener, route, method and status", answered)?;
    let took = requests
        .by_route()
        .into_iter()
        .map(|(listener, route, took)| (vec![("listener", listener.to_owned()), ("route", route)], took));
    let help = "Time from a request's head until its answer was ready";
    out.histogram("http_request_seconds", help, took)?;
    let refused = requests.by_reason().into_iter().map(|(reason, count)| (label("reason", reason), count));
    out.counter("http_refusals", "HTTP requests and connections that were refused, by reason", refused)
}
