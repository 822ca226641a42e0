//! The HTTP of a WHEP viewer: POST an offer, DELETE the session. A shell.
//!
//! Owns connections (one a request, as a page's first load makes them; with https a handshake each). Never reads SDP.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use url::Url;

use super::machine::shown;
use super::tls::{Connector, Trust, TrustError};

/// Bytes of an answer at the most. Answers are a few KiB.
const ANSWER_MAX: usize = 256 * 1_024;

/// Time that one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A WHEP endpoint, resolved once so that a test measures the server and not the resolver.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Without user and password.
    url: Url,
    address: SocketAddr,
    /// The name or address in the URL, without brackets.
    host: String,
    connector: Connector,
    /// Basic authentication (RFC 7617), marked as sensitive: it prints as such.
    authorization: Option<HeaderValue>,
}

/// Why an endpoint cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The scheme is neither `http` nor `https`.
    #[error("{0} is no address of WHEP: write http://HOST:PORT/NAME/whep, or https://")]
    Scheme(String),
    /// Nobody can be believed.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The name has no address.
    #[error("{host} cannot be resolved: {source}")]
    Resolve {
        /// The host of the URL.
        host: String,
        /// What the resolver said.
        source: std::io::Error,
    },
    /// Nobody listens.
    #[error("cannot connect to {address}: {source}; is the server running?")]
    Connect {
        /// The address tried.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// An answer to an offer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The answer.
    pub sdp: String,
    /// The session, if the server named one.
    pub session: Option<Url>,
}

/// Why an offer failed, in few words that group well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A status other than 201 (or 200, which some servers send), and why, as far as that is known.
    #[error("http {0}")]
    Status(StatusCode, Option<String>),
    /// No answer in time.
    #[error("http timed out")]
    Timeout,
    /// The connection broke, or was never made.
    #[error("http failed: {0}")]
    Broken(String),
}

impl Endpoint {
    /// Resolves a URL and finds out which of our addresses reaches it. Its user and password, if it has
    /// them, go with every request. `trust` says whom an `https` one is believed.
    pub async fn find(url: Url, trust: &Trust) -> Result<(Endpoint, std::net::IpAddr), EndpointError> {
        let (url, authorization) = apart(url);
        let host = match (url.scheme(), url.host_str()) {
            ("http" | "https", Some(host)) => host.trim_matches(['[', ']']).to_owned(),
            _ => return Err(EndpointError::Scheme(shown(&url))),
        };
        let connector = trust.connector(url.scheme())?;
        let port = url.port_or_known_default().unwrap_or(80);
        let resolve = |source| EndpointError::Resolve { host: host.clone(), source };
        let addresses = tokio::net::lookup_host((host.as_str(), port)).await.map_err(resolve)?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        let mut failure = resolve(std::io::Error::other("it has no address"));
        for address in addresses {
            match connect(address).await {
                Ok((_, local)) => {
                    return Ok((Endpoint { url, address, host, connector, authorization }, local));
                }
                Err(source) => failure = EndpointError::Connect { address, source },
            }
        }
        Err(failure)
    }

    /// Posts an offer.
    pub async fn post(&self, offer: String) -> Result<Answer, Refusal> {
        let request = Request::post(self.url.path_and_query())
            .header(CONTENT_TYPE, "application/sdp")
            .header(ACCEPT, "application/sdp");
        let (response, sdp) = self.send(request, offer.into()).await?;
        if !matches!(response.status(), StatusCode::CREATED | StatusCode::OK) {
            return Err(Refusal::Status(response.status(), why(response.status(), self.url.path(), &sdp)));
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let session = location.and_then(|location| self.url.join(location).ok());
        Ok(Answer { sdp: String::from_utf8_lossy(&sdp).into_owned(), session })
    }

    /// Ends a session. Servers that do not know it any more are content as well.
    pub async fn delete(&self, session: &Url) -> Result<(), Refusal> {
        let request = Request::builder().method(Method::DELETE).uri(session.path_and_query());
        self.send(request, Bytes::new()).await.map(|_| ())
    }

    async fn send(
        &self,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<(Response<()>, Bytes), Refusal> {
        let host = &self.url[url::Position::BeforeHost..url::Position::AfterPort];
        let request = request.header(HOST, host).header(USER_AGENT, AGENT);
        let mut request = request.body(Full::new(body)).map_err(broken)?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let exchange = async {
            let (stream, _) = connect(self.address).await.map_err(broken)?;
            let stream = self.connector.connect(stream, &self.host).await.map_err(broken)?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
            let driver = tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(broken);
            let outcome = match response {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(broken);
                    body.map(|body| (Response::from_parts(head, ()), body.to_bytes()))
                }
                Err(refusal) => Err(refusal),
            };
            driver.abort();
            outcome
        };
        tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or(Err(Refusal::Timeout))
    }
}

/// Characters of what a server says of a refusal.
const DETAIL_MAX: usize = 500;

/// Why an offer to `path` was refused: what the server says of it (`detail` of RFC 9457), and what an address that
/// takes no POST tells.
fn why(status: StatusCode, path: &str, body: &[u8]) -> Option<String> {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str()).map(|detail| {
        // It goes to a terminal.
        detail.chars().filter(|c| !c.is_control()).take(DETAIL_MAX).collect::<String>()
    });
    let page = path.trim_end_matches('/');
    let takes_no_offers = status == StatusCode::METHOD_NOT_ALLOWED && !page.ends_with("/whep");
    let advice = takes_no_offers.then(|| {
        let stream = if page.is_empty() { "/NAME" } else { page };
        format!("WHEP addresses end in /whep: try {stream}/whep")
    });
    let known: Vec<String> = detail.into_iter().chain(advice).collect();
    (!known.is_empty()).then(|| known.join("; "))
}

async fn connect(address: SocketAddr) -> std::io::Result<(TcpStream, std::net::IpAddr)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?.ip();
    Ok((stream, local))
}

/// What a viewer of ours calls itself, for whoever runs the server.
const AGENT: &str = concat!("sluice-load/", env!("CARGO_PKG_VERSION"));

/// A URL without its user and password, and the header that says them.
pub fn apart(mut url: Url) -> (Url, Option<HeaderValue>) {
    if url.username().is_empty() && url.password().is_none() {
        return (url, None);
    }
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [decoded(url.username()), decoded(url.password().unwrap_or_default())].join(&b':');
    let mut header = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair))).ok();
    header.iter_mut().for_each(|header| header.set_sensitive(true));
    // Only URLs that cannot have a user refuse this.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    (url, header)
}

fn broken(error: impl std::fmt::Display) -> Refusal {
    Refusal::Broken(error.to_string())
}

/// The part of a URL that goes into the request line.
trait RequestTarget {
    fn path_and_query(&self) -> &str;
}

impl RequestTarget for Url {
    fn path_and_query(&self) -> &str {
        &self[url::Position::BeforePath..url::Position::AfterQuery]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_reason_is_told_and_an_address_that_takes_no_offers_is_put_right() {
        let problem = |detail: &str| serde_json::json!({ "detail": detail }).to_string();
        let not_allowed = StatusCode::METHOD_NOT_ALLOWED;
        for (status, path, body, expected) in [
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "/a/whep",
                problem("full\u{1b}[31m:\nlater"),
                Some("full[31m:later"),
            ),
            (StatusCode::NOT_FOUND, "/a/whep", "<html>no</html>".to_owned(), None),
            (StatusCode::NOT_FOUND, "/a/whep", r#"{"detail": 7}"#.to_owned(), None),
            (not_allowed, "/a/", String::new(), Some("WHEP addresses end in /whep: try /a/whep")),
            (not_allowed, "/", String::new(), Some("WHEP addresses end in /whep: try /NAME/whep")),
            (
                not_allowed,
                "/a",
                problem("GET only"),
                Some("GET only; WHEP addresses end in /whep: try /a/whep"),
            ),
            (not_allowed, "/a/whep/", problem("GET only"), Some("GET only")),
        ] {
            assert_eq!(why(status, path, body.as_bytes()).as_deref(), expected, "{status} {path} {body}");
        }
        let long = why(not_allowed, "/a/whep", problem(&"é".repeat(10_000)).as_bytes()).expect("a detail");
        assert_eq!(long.chars().count(), DETAIL_MAX);
    }

    #[test]
    fn user_and_password_go_into_a_header_and_nowhere_else() {
        let (url, header) = apart(Url::parse("http://bob:p%3Aw@h:1/s/whep?a=b").expect("a URL"));
        assert_eq!(url.as_str(), "http://h:1/s/whep?a=b");
        // "bob:p:w"
        assert_eq!(header.as_ref().map(HeaderValue::as_bytes), Some(&b"Basic Ym9iOnA6dw=="[..]));
        assert!(!format!("{header:?}").contains("Ym9i"), "it must not be printed");
        let (_, none) = apart(Url::parse("http://h/s/whep").expect("a URL"));
        assert_eq!(none, None);
    }
}
