//! TLS of a listener: the handshake, what it may take, and which protocol comes out of it.
//!
//! Owns the one configuration of rustls and the certificate that it shows, which `renewal` exchanges while connections
//! come and go. A shell: it waits for handshakes.

pub mod certificate;
pub mod plain;
pub mod renewal;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sluice_config::Config;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::certificate::{Certificate, CertificateError, Files};
use super::connection::Watched;
use crate::contain::{read, write};
use crate::count::TlsCounters;

/// The first byte of a TLS connection: a record of the handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// TLS of one listener.
pub struct Tls {
    /// Which, as it is counted: `public`.
    pub listener: &'static str,
    /// Where its certificate comes from.
    pub files: Files,
    /// What it counts.
    pub counters: Arc<TlsCounters>,
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

/// The certificate that is shown.
struct Shown(RwLock<Arc<Certificate>>);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(read(&self.0).key.clone())
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
    /// TLS with a certificate of `files`.
    ///
    /// # Errors
    ///
    /// The system gives no randomness for tickets, or the library refuses its own defaults.
    pub fn new(listener: &'static str, files: Files, certificate: Certificate) -> Result<Tls, rustls::Error> {
        let counters = Arc::new(TlsCounters::default());
        counters.expires.set(certificate.until_seconds());
        let shown = Arc::new(Shown(RwLock::new(Arc::new(certificate))));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // The client keeps what a resumed session needs, and we nothing.
        config.ticketer = Ticketer::new()?;
        Ok(Tls { listener, files, counters, shown, config: Arc::new(config) })
    }

    /// The certificate that is shown.
    pub fn certificate(&self) -> Arc<Certificate> {
        read(&self.shown.0).clone()
    }

    /// Shows another one to those who come from now on.
    pub fn show(&self, certificate: Certificate) {
        self.counters.expires.set(certificate.until_seconds());
        *write(&self.shown.0) = Arc::new(certificate);
    }

    /// Shakes hands with whoever connected, who has `patience` for all of it.
    pub async fn accept(&self, stream: TcpStream, patience: Duration) -> Option<Secured> {
        let counters = &self.counters;
        match tokio::time::timeout(patience, self.handshake(stream, patience)).await {
            Ok(Ok(secured)) => {
                let counter = match secured {
                    Secured::Plain(_) => &counters.plain,
                    _ => &counters.handshakes,
                };
                counter.add_shared(1);
                Some(secured)
            }
            Ok(Err(error)) => {
                counters.failed.add_shared(1);
                tracing::debug!(listener = self.listener, %error, "no TLS handshake");
                None
            }
            Err(_) => {
                counters.late.add_shared(1);
                None
            }
        }
    }

    async fn handshake(&self, stream: TcpStream, patience: Duration) -> std::io::Result<Secured> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let stream = Watched::new(stream, patience);
        if first[0] != HANDSHAKE && first[0].is_ascii_alphabetic() {
            return Ok(Secured::Plain(stream));
        }
        let stream = TlsAcceptor::from(self.config.clone()).accept(stream).await?;
        Ok(match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Secured::Http2(stream),
            _ => Secured::Http1(stream),
        })
    }
}

/// Why a listener has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Its files cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The library does not work here.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// TLS of the public and the admin listener, where the configuration has files for it.
///
/// # Errors
///
/// What is wrong with them.
pub fn of(config: &Config) -> Result<[Option<Arc<Tls>>; 2], TlsError> {
    let [public, admin] = tables(config);
    Ok([one("public", public)?, one("admin", admin)?])
}

/// The files of each listener, with the table that names them.
fn tables(config: &Config) -> [Option<Files>; 2] {
    [("http.tls", &config.http.tls), ("admin.tls", &config.admin.tls)]
        .map(|(table, tls)| tls.files().map(|files| Files::new(table, files)))
}

fn one(listener: &'static str, files: Option<Files>) -> Result<Option<Arc<Tls>>, TlsError> {
    let Some(files) = files else { return Ok(None) };
    let certificate = load(&files)?;
    Ok(Some(Arc::new(Tls::new(listener, files, certificate)?)))
}

/// The certificates of a configuration as a start would find them, each with its files.
pub fn certificates(config: &Config) -> Vec<(Files, Result<Certificate, CertificateError>)> {
    let load = |files| {
        let loaded = load(&files);
        (files, loaded)
    };
    tables(config).into_iter().flatten().map(load).collect()
}

/// Looks at the certificates of a configuration, as a start would: what there is, or all that is wrong.
pub fn check(config: &Config) -> Result<Vec<String>, Vec<CertificateError>> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (files, loaded) in certificates(config) {
        match loaded {
            Ok(certificate) => good.push(format!("{files}: a certificate {certificate}")),
            Err(error) => bad.push(error),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(bad) }
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

#[expect(clippy::disallowed_methods, reason = "a certificate is valid now or not")]
fn load(files: &Files) -> Result<Certificate, CertificateError> {
    files.judge(&files.read()?, std::time::SystemTime::now())
}
