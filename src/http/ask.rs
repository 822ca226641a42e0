//! Questions to other servers: for keys of tokens, about people, and for certificates. Connections are kept, answers are
//! short and come in time, and no redirection is followed.
//!
//! Owns the client and its bounds. The certificates that it trusts are the machine's own, or those that it is told.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::percent_decode_str;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use sluice_config::WebUrl;

/// Bytes of an answer: a set of keys has a few KiB.
const ANSWER_MAX: usize = 256 * 1_024;

/// Connections to one server that are kept while nobody asks. More spare handshakes after a rush.
const KEPT: usize = 8;

/// For how long.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Asks.
#[derive(Clone)]
pub struct Client(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It did not come in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// There is no connection, or no HTTP on it.
    #[error("cannot be asked: {0}")]
    Unreachable(String),
    /// The answer says neither yes nor no.
    #[error("it answers with status {0}, which is neither yes nor no")]
    Status(u16),
    /// The answer is too long, or broke off.
    #[error("its answer broke off, or is longer than {ANSWER_MAX} bytes")]
    Broken,
}

impl Client {
    /// Without a connection yet. The certificates of the machine are read here, which takes some milliseconds; without
    /// any only `http` can be asked.
    pub fn new() -> Client {
        let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(default_provider());
        let tls = tls.unwrap_or_else(|error| {
            tracing::warn!(%error, "no certificates of this machine are found: no https server can be asked");
            HttpsConnectorBuilder::new().with_tls_config(trusting(RootCertStore::empty()))
        });
        Client::over(tls.https_or_http().enable_http1().build())
    }

    /// As [`Client::new`], trusting these roots alone.
    pub fn trusting(roots: RootCertStore) -> Client {
        let tls = HttpsConnectorBuilder::new().with_tls_config(trusting(roots));
        Client::over(tls.https_or_http().enable_http1().build())
    }

    fn over(connector: HttpsConnector<HttpConnector>) -> Client {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(KEPT_FOR).pool_max_idle_per_host(KEPT);
        Client(builder.build(connector))
    }

    /// GET.
    ///
    /// # Errors
    ///
    /// [`AskError`]; any status is an answer.
    pub async fn get(&self, url: &WebUrl, timeout: Duration) -> Result<(StatusCode, Bytes), AskError> {
        self.ask(Method::GET, url, Bytes::new(), timeout).await
    }

    /// POST of JSON.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn post(
        &self,
        url: &WebUrl,
        json: Vec<u8>,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), AskError> {
        self.ask(Method::POST, url, json.into(), timeout).await
    }

    async fn ask(
        &self,
        method: Method,
        url: &WebUrl,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let answer = self.send(request(method, url, body)?, timeout).await?;
        Ok((answer.status(), answer.into_body()))
    }

    /// Sends any request.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, AskError> {
        let asked = async {
            let response = self.0.request(request).await;
            let response = response.map_err(|error| AskError::Unreachable(cause(&error)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await;
            Ok(Response::from_parts(head, body.map_err(|_| AskError::Broken)?.to_bytes()))
        };
        tokio::time::timeout(timeout, asked).await.unwrap_or(Err(AskError::Late(timeout)))
    }
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has what its own defaults need")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A request; a name and a password in the URL go into a header.
fn request(method: Method, url: &WebUrl, body: Bytes) -> Result<Request<Full<Bytes>>, AskError> {
    let mut url = url.expose().clone();
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (name, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    // An HTTP URL takes both.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_fragment(None);
    let mut request = Request::builder().method(method).uri(url.as_str());
    if !name.is_empty() || !password.is_empty() {
        let said = STANDARD.encode(format!("{name}:{password}"));
        request = request.header(header::AUTHORIZATION, format!("Basic {said}"));
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request.header(header::USER_AGENT, concat!("sluice/", env!("CARGO_PKG_VERSION")));
    // What it quotes may hold a secret.
    request.body(Full::new(body)).map_err(|_| AskError::Unreachable("its URL cannot be sent".to_owned()))
}

/// The innermost reason, which says most and holds nothing of the URL.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
