//! TLS of a listener: the handshake, what it may take, and which protocol comes out of it.
//!
//! Owns the one configuration of rustls and the certificate that it shows, which `renewal` and `acme` exchange while
//! connections come and go. A shell: it waits for handshakes and reads the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it waits and reads the clock")]

pub mod acme;
pub mod certificate;
mod challenge;
pub mod configured;
pub mod plain;
mod reminder;
pub mod renewal;

use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::certificate::Certificate;
use self::challenge::Challenges;
use super::connection::Watched;
use crate::contain::{lock, read, write};
use crate::count::TlsCounters;
use crate::ops::log::Repeated;

/// The first byte of a TLS connection: a record of the handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// TLS of one listener.
pub struct Tls {
    /// Which, as it is counted: `public`.
    pub listener: &'static str,
    /// What it counts.
    pub counters: Arc<TlsCounters>,
    /// What ACME servers are shown that ask for it.
    challenges: Challenges,
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
    /// Whoever came while there was no certificate.
    early: Mutex<Repeated>,
}

/// The certificate that is shown, if there is one yet.
struct Shown {
    certificate: RwLock<Option<Arc<Certificate>>>,
    challenges: Challenges,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self.challenges.answer(&hello) {
            Some(answer) => answer,
            None => Some(read(&self.certificate).as_ref()?.key.clone()),
        }
    }
}

/// A connection that is ready for requests.
pub enum Secured {
    /// For HTTP/1.1.
    Http1(TlsStream<Watched>),
    /// For HTTP/2.
    Http2(TlsStream<Watched>),
    /// Without TLS, for HTTP/1.1 that says so.
    Plain(Watched),
}

impl Tls {
    /// TLS with this certificate. Without one the listener is one of ACME, which shows it when it has come.
    ///
    /// # Errors
    ///
    /// The system gives no randomness for tickets, or the library refuses its own defaults.
    fn new(
        listener: &'static str,
        certificate: Option<Certificate>,
        by_acme: bool,
    ) -> Result<Tls, rustls::Error> {
        let counters = Arc::new(TlsCounters::default());
        let challenges = Challenges::default();
        let shown = Arc::new(Shown { certificate: RwLock::default(), challenges: challenges.clone() });
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if by_acme {
            config.alpn_protocols.push(challenge::PROTOCOL.to_vec());
        }
        // The client keeps what a resumed session needs, and we nothing.
        config.ticketer = Ticketer::new()?;
        let config = Arc::new(config);
        let tls = Tls { listener, counters, challenges, shown, config, early: Mutex::default() };
        if let Some(certificate) = certificate {
            tls.show(certificate);
        }
        Ok(tls)
    }

    /// The certificate that is shown, if there is one yet.
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        read(&self.shown.certificate).clone()
    }

    /// Shows another one to those who come from now on.
    pub fn show(&self, certificate: Certificate) {
        self.counters.expires.set(certificate.until_seconds());
        *write(&self.shown.certificate) = Some(Arc::new(certificate));
    }

    /// Shakes hands with whoever connected, who has `patience` for all of it.
    pub async fn accept(&self, stream: TcpStream, patience: Duration) -> Option<Secured> {
        let counters = &self.counters;
        match tokio::time::timeout(patience, self.handshake(stream, patience)).await {
            Ok(Ok(secured)) => {
                let counter = match secured {
                    Some(Secured::Plain(_)) => &counters.plain,
                    _ => &counters.handshakes,
                };
                counter.add_shared(1);
                secured
            }
            Ok(Err(error)) => {
                counters.failed.add_shared(1);
                tracing::debug!(listener = self.listener, %error, "no TLS handshake");
                if self.certificate().is_none() {
                    self.tell_of_early();
                }
                None
            }
            Err(_) => {
                counters.late.add_shared(1);
                None
            }
        }
    }

    fn tell_of_early(&self) {
        if let Some(times) = lock(&self.early).tell(Instant::now()) {
            tracing::warn!(
                listener = self.listener,
                times,
                "there is no certificate yet, so who comes by HTTPS is turned away: ACME (http.tls.acme) is bringing the first one, \
                 and the log says what keeps it"
            );
        }
    }

    /// Nothing comes of a handshake that was a challenge's.
    async fn handshake(&self, stream: TcpStream, patience: Duration) -> std::io::Result<Option<Secured>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let stream = Watched::new(stream, patience);
        if first[0] != HANDSHAKE && first[0].is_ascii_alphabetic() {
            return Ok(Some(Secured::Plain(stream)));
        }
        let mut stream = TlsAcceptor::from(self.config.clone()).accept(stream).await?;
        Ok(match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Some(Secured::Http2(stream)),
            Some(challenge::PROTOCOL) => {
                stream.shutdown().await?;
                None
            }
            _ => Some(Secured::Http1(stream)),
        })
    }
}

/// Has browsers come back by HTTPS alone for so long, if it is not zero.
pub fn strict(router: Router, time: Duration) -> Router {
    if time.is_zero() {
        return router;
    }
    let value = HeaderValue::try_from(format!("max-age={}", time.as_secs())).expect("digits");
    router.layer(axum::middleware::map_response(move |mut response: Response| {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
        std::future::ready(response)
    }))
}
