//! How an ACME server is asked: over HTTPS alone (RFC 8555 §6.1), by the process's one client, in bounded time.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::RootCertStore;

use crate::http::ask::Client;
use crate::http::tls::certificate::{CertificateError, PemFile};

/// For one answer. Let's Encrypt takes some seconds when it is busy.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks.
#[derive(Clone)]
pub struct Transport(Client);

/// A server that sends us somewhere without TLS.
#[derive(Debug, thiserror::Error)]
#[error("{0} is to be asked without TLS, which ACME does not do")]
struct Plain(String);

impl Transport {
    /// Trusts whom the machine trusts, or the certificates in `root` alone.
    ///
    /// # Errors
    ///
    /// [`CertificateError`], if `root` cannot be used.
    pub fn new(root: Option<&PemFile>) -> Result<Transport, CertificateError> {
        let Some(file) = root else { return Ok(Transport(Client::new())) };
        let mut roots = RootCertStore::empty();
        for (index, certificate) in file.certificates()?.into_iter().enumerate() {
            roots.add(certificate).map_err(|error| file.unreadable(index, &error))?;
        }
        Ok(Transport(Client::trusting(roots)))
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            if head.uri.scheme_str() != Some("https") {
                return Err(other(Plain(host(&head.uri))));
            }
            let Ok::<_, Infallible>(body) = body.collect().await;
            let request = Request::from_parts(head, Full::new(body.to_bytes()));
            let answer = client.send(request, TIMEOUT).await.map_err(other)?;
            Ok(answer.map(Full::new).into())
        })
    }
}

fn host(uri: &Uri) -> String {
    uri.host().unwrap_or("a URL without a host").to_owned()
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}
