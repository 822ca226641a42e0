//! Listeners and their time limits. A shell: it reads the clock and owns sockets.
//!
//! Owns what a client can do to us before a handler runs: slow headers, idle and too many connections. Which handler
//! that is stands in `routes`.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it listens and reads the clock")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sluice_config::{Config, Network};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::connection::{self, AGE_MAX, Places, WAITING, Watched, stopped};
use super::h2;
use super::request::Ends;
use super::tls::{Secured, Tls, plain};
use crate::client::{Client, Share};
use crate::count::requests::Requests;
use crate::current::Current;
use crate::ops::log::Repeated;
use crate::tasks::named;

/// Time for answers under way when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// What a listener allows.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Connections that are served at the most. A few more wait here, the rest in the kernel's queue.
    pub connections: usize,
    /// What clients may do.
    pub clients: Arc<Current<ClientLimits>>,
}

/// What clients of a listener may do; connections that come after a change have the new limits.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    /// Time for a request's headers; so also the time that a connection may stay idle.
    pub headers: Duration,
    /// What one address may have of the connections.
    pub share: Share,
    /// Proxies: no single client, so without a share of their own.
    pub proxies: Arc<[Network]>,
}

impl ClientLimits {
    /// What clients of the public listener may do.
    pub fn new(config: &Config) -> ClientLimits {
        ClientLimits {
            headers: config.http.header_timeout,
            share: Share(config.limits.share_per_address),
            proxies: config.http.trusted_proxies.as_slice().into(),
        }
    }

    /// What operators may do: whoever reaches their listener is one.
    pub fn of_operators(config: &Config) -> ClientLimits {
        ClientLimits { share: Share(100), ..ClientLimits::new(config) }
    }

    fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(peer.to_canonical()))
    }
}

/// Why a listener cannot start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({key}): {source}{}", advice(.source, address.port()))]
pub struct ListenError {
    address: SocketAddr,
    key: &'static str,
    source: std::io::Error,
}

/// What to do about it, where that is known.
fn advice(error: &std::io::Error, port: u16) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("; stop the process that holds it (ss -tlpn 'sport = :{port}'), or choose another port")
        }
        std::io::ErrorKind::PermissionDenied if port < 1_024 => {
            "; ports below 1024 need root or CAP_NET_BIND_SERVICE".to_owned()
        }
        std::io::ErrorKind::AddrNotAvailable => format!(
            "; no interface of this machine has that address (ip addr shows them): \"[::]:{port}\" listens on all of them"
        ),
        _ => String::new(),
    }
}

/// Opens a listener; `key` is the configuration key that names its address.
pub async fn listen(address: SocketAddr, key: &'static str) -> Result<TcpListener, ListenError> {
    connection::socket(address).and_then(connection::listen).map_err(|source| ListenError {
        address,
        key,
        source,
    })
}

/// Clients that are turned away and may read why, at once. Their descriptors come out of the reserve; of more than
/// that some see a reset.
const LEAVING: usize = 16;

/// How long such a client may take for that. Longer lets one address keep the sentence from others, shorter
/// resets those on slow lines.
const LINGER: Duration = Duration::from_millis(500);

/// What a listener serves, and how.
#[derive(Clone)]
pub struct Service {
    /// What answers.
    pub router: Router,
    /// What clients may do.
    pub limits: HttpLimits,
    /// With TLS, and nothing else then.
    pub tls: Option<Arc<Tls>>,
    /// Counts whom it refuses.
    pub requests: Arc<Requests>,
}

/// Serves until `stop` turns true, then lets answers under way finish.
pub async fn serve(listener: &TcpListener, service: &Service, mut stop: watch::Receiver<bool>) {
    let (limits, requests) = (&service.limits, &service.requests);
    let all = limits.connections + WAITING;
    let places = Arc::new(Semaphore::new(all));
    let waiting = Arc::new(Places::new(limits.connections + WAITING));
    let served = Arc::new(Places::new(limits.connections));
    let leaving = Arc::new(Semaphore::new(LEAVING));
    let mut trouble = Repeated::default();
    loop {
        let permit = places.clone().acquire_owned();
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            accepted = async {
                let permit = permit.await.expect("the semaphore is never closed");
                (listener.accept().await, permit)
            } => accepted,
        };
        match accepted {
            (Ok((stream, peer)), permit) => {
                // Many are behind a proxy, and it has fairness of its own.
                let may = limits.clients.get();
                let patience = may.headers;
                let client = Some((Client::of(peer.ip()), may.share)).filter(|_| !may.is_proxy(peer.ip()));
                let Some(waits) = waiting.take(client) else {
                    drop(permit);
                    requests.refused("connections_of_address");
                    refuse(stream, service, &leaving);
                    continue;
                };
                let (service, stop, served, leaving) =
                    (service.clone(), stop.clone(), served.clone(), leaving.clone());
                tokio::spawn(named("http connection", async move {
                    match tokio::time::timeout(2 * patience, served.wait_for(client)).await {
                        Ok(place) => {
                            let bounds = h2::Bounds {
                                patience,
                                places: served,
                                client,
                                requests: service.requests.clone(),
                            };
                            connection(stream, peer.ip(), service, bounds, stop).await;
                            drop(place);
                        }
                        Err(_) => {
                            service.requests.refused("connections");
                            refuse(stream, &service, &leaving);
                        }
                    }
                    drop((waits, permit));
                }));
            }
            (Err(error), _) => {
                // Out of file descriptors, most likely: connections that end will free some.
                if let Some(times) = trouble.tell(Instant::now()) {
                    tracing::warn!(%error, times, "connections could not be accepted");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let _ = tokio::time::timeout(GRACE, places.acquire_many(all as u32)).await;
}

/// Serves one connection. A handshake has the time of a request's headers, before those.
async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    service: Service,
    bounds: h2::Bounds,
    stop: watch::Receiver<bool>,
) {
    let ends = Ends { local: stream.local_addr().ok().map(|address| address.ip().to_canonical()), peer };
    let Service { router, tls, .. } = service;
    let patience = bounds.patience;
    let Some(tls) = tls else {
        return http1(Watched::new(stream, patience), router, ends, patience, stop).await;
    };
    match tls.accept(stream, patience).await {
        Some(Secured::Http1(stream)) => http1(stream, router, ends, patience, stop).await,
        Some(Secured::Http2(stream)) => h2::serve(stream, router, ends, bounds, stop).await,
        Some(Secured::Plain(stream)) => http1(stream, plain::routes(), ends, patience, stop).await,
        None => {}
    }
}

async fn http1(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    ends: Ends,
    headers: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ends);
        tower::ServiceExt::oneshot(router.clone(), request.map(Body::new))
    });
    // The header timer also runs while a kept connection waits for its next request.
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(headers).max_buf_size(64 * 1024);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    tokio::select! {
        // Errors here are the client's: it left, or was too slow.
        _ = connection.as_mut() => {}
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
        () = tokio::time::sleep(AGE_MAX) => {
            // What is being answered has its own deadline.
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stopped(&mut stop) => {}
            }
        }
    }
}

/// Tells a client that it has its share. What does not fit into an empty socket is lost. Over TLS there is only the close:
/// the sentence would cost a handshake.
fn refuse(stream: TcpStream, service: &Service, leaving: &Arc<Semaphore>) {
    if service.tls.is_some() {
        return;
    }
    let why = "this address has its share of the connections (http.connections, limits.share_per_address)";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nRetry-After: 5\r\n\
         Connection: close\r\n\r\n{why}",
        why.len()
    );
    let socket = SockRef::from(&stream);
    let _ = socket.send(answer.as_bytes());
    let _ = socket.shutdown(std::net::Shutdown::Write);
    // A close with a request unread is a reset, which takes the answer along.
    let Ok(permit) = leaving.clone().try_acquire_owned() else { return };
    tokio::spawn(named("http refusal", async move {
        let _ = tokio::time::timeout(LINGER, drain(stream)).await;
        drop(permit);
    }));
}

/// Reads what a client that is turned away asks for, a request's head at the most, and forgets it.
async fn drain(mut stream: TcpStream) {
    let mut room = [0; 1_024];
    for _ in 0..16 {
        match stream.read(&mut room).await {
            Ok(1..) => {}
            _ => return,
        }
    }
}
