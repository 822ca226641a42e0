//! A request, read: who asks, over which of our addresses, and a body of bounded length that came in bounded time.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request as HttpRequest;
use axum::http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sluice_config::Network;

use super::problem::Problem;
use crate::session::offer::OFFER_MAX;
use crate::session::origin::origin;

/// The addresses of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Ours, that it came in on.
    pub(super) local: Option<IpAddr>,
    /// The other side's, which may be a proxy.
    pub(super) peer: IpAddr,
}

/// All of a request but its body.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its method.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// What stands behind `?` in its address.
    pub query: Option<String>,
    /// Our address that it came in on.
    pub local: Option<IpAddr>,
    /// Who sent it: behind a trusted proxy whom that names.
    pub client: IpAddr,
    /// How many segments up the root is for what is relative to its path.
    pub depth: usize,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// All but the body.
    pub head: Head,
    /// Its body, at most [`OFFER_MAX`] bytes.
    pub body: Bytes,
}

impl Head {
    /// Of a request that came over a connection of `listen`; `trusted` proxies say who asks.
    pub(super) fn of(request: &HttpRequest, trusted: &[Network]) -> Head {
        let ends = request.extensions().get::<Ends>().copied();
        let peer = ends.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ends| ends.peer);
        Head {
            method: request.method().clone(),
            query: request.uri().query().map(str::to_owned),
            local: ends.and_then(|ends| ends.local),
            client: origin(peer, request.headers(), trusted),
            depth: request.uri().path().matches('/').count().saturating_sub(1),
            headers: request.headers().clone(),
        }
    }

    /// With the body of `request`, which has `timeout` to come.
    pub(super) async fn with_body(self, request: HttpRequest, timeout: Duration) -> Result<Request, Problem> {
        match tokio::time::timeout(timeout, Limited::new(request.into_body(), OFFER_MAX).collect()).await {
            Ok(Ok(body)) => Ok(Request { head: self, body: body.to_bytes() }),
            Ok(Err(error)) if !error.is::<LengthLimitError>() => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "the body could not be read: its coding is broken, or it ended early",
            )),
            Ok(Err(_)) => Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is longer than {OFFER_MAX} bytes"),
            )),
            Err(_) => Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body did not arrive within {timeout:?}"),
            )),
        }
    }
}
