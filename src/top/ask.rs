//! One look at a server over its admin listener.
//!
//! Owns the address, what is asked for, the time it may take, and why there is no answer, in sentences with a way out.
//! The shapes are those that the server says (`operator`, `http/streams`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use axum::http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use sluice_load::http::apart;
use sluice_load::tls::Connector;
use tokio::net::TcpStream;
use url::Url;

use crate::http::streams::{Listed, Told};
use crate::operator::history::Past;
use crate::operator::sample::Sample;
use crate::operator::sessions::{List, Sort};

/// For one answer. A server that works takes milliseconds; one whose shard stands still, a second.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Bytes of one answer at the most: thousands of streams.
const BODY_MAX: usize = 16 << 20;

/// Viewers that are asked for: more than a screen has lines.
const VIEWERS: usize = 200;

/// The port where none is given.
const PORT: u16 = 9_997;

/// Where a server is asked, and as whom. It prints without the latter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Without user and password.
    url: Url,
    /// Marked as sensitive: it prints as such.
    authorization: Option<HeaderValue>,
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error("{0:?} is no address: write http://HOST:PORT, as admin.listen says, or https:// with admin.tls")]
    Malformed(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        // What is before an @ may be a password.
        let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
        let malformed = || AddressError::Malformed(shown.to_owned());
        let bare = !text.contains("://");
        let whole = if bare { format!("http://{text}") } else { text.to_owned() };
        let (mut url, authorization) = apart(Url::parse(&whole).map_err(|_| malformed())?);
        let usual = match url.scheme() {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(malformed()),
        };
        // A URL without a port means one where nobody serves this.
        let authority = whole.split('/').nth(2).unwrap_or_default();
        if url.port().is_none() && !authority.ends_with(usual) {
            url.set_port(Some(PORT)).map_err(|()| malformed())?;
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(malformed());
        }
        // What is asked for is relative to it.
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Address { url, authorization })
    }
}

impl Address {
    /// `http` or `https`.
    pub(super) fn scheme(&self) -> &str {
        self.url.scheme()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

/// What a look shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) version: String,
    /// The newest, once the server has run for two seconds.
    pub(super) sample: Option<Sample>,
    pub(super) streams: Listed,
    pub(super) viewers: List,
}

/// Why a look shows nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(
        "no answer from {address}: {source}; does Sluice run there, and does admin.listen name this address? \
         Another machine's is reached through ssh -L 9997:127.0.0.1:9997 HOST"
    )]
    Connect { address: Address, source: std::io::Error },
    #[error("{address} answers, but not with TLS that is believed: {source}")]
    Tls { address: Address, source: std::io::Error },
    #[error("{0} answered 401: write https://USER:PASSWORD@HOST:PORT with one that may see this page")]
    Credentials(Address),
    #[error("{0} does not answer within {wait} s", wait = ANSWER_MAX.as_secs())]
    Late(Address),
    #[error("{0} answered {1}: {2}")]
    Refused(Address, StatusCode, String),
    #[error("{address} answers, but not as the admin listener of a Sluice of this version: {why}")]
    Strange { address: Address, why: String },
}

/// Looks once.
pub(super) async fn see(address: &Address, connector: &Connector, sort: Sort) -> Result<Seen, AskError> {
    let name = Sort::NAMES.iter().find(|(_, other)| *other == sort).map_or("loss", |(name, _)| name);
    let all = async {
        let Past { version, mut samples } = get(address, connector, "api/v1/history?last=1").await?;
        let mut streams: Listed = get(address, connector, "api/v1/streams").await?;
        streams.streams = streams.streams.into_iter().flat_map(Told::with_layers).collect();
        let viewers =
            get(address, connector, &format!("api/v1/sessions?sort={name}&limit={VIEWERS}")).await?;
        Ok(Seen { version, sample: samples.pop(), streams, viewers })
    };
    tokio::time::timeout(ANSWER_MAX, all).await.unwrap_or_else(|_| Err(AskError::Late(address.clone())))
}

/// One request on a connection of its own.
async fn get<T: DeserializeOwned>(
    address: &Address,
    connector: &Connector,
    path: &str,
) -> Result<T, AskError> {
    let strange = |why: String| AskError::Strange { address: address.clone(), why };
    let broken = |error: hyper::Error| strange(error.to_string());
    let url = address.url.join(path).map_err(|error| strange(error.to_string()))?;
    let port = url.port_or_known_default().unwrap_or(PORT);
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|source| AskError::Connect { address: address.clone(), source })?;
    let stream = connector.connect(stream, host).await;
    let stream = stream.map_err(|source| AskError::Tls { address: address.clone(), source })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut request = Request::get(&url[url::Position::BeforePath..])
        .header(HOST, &url[url::Position::BeforeHost..url::Position::BeforePath])
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("sluice-top/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| strange(error.to_string()))?;
    if let Some(authorization) = &address.authorization {
        request.headers_mut().insert(AUTHORIZATION, authorization.clone());
    }
    let asked = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
        let body = body.map_err(|error| strange(error.to_string()))?.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| strange(error.to_string()));
        }
        if status == StatusCode::UNAUTHORIZED {
            return Err(AskError::Credentials(address.clone()));
        }
        let problem = serde_json::from_slice::<serde_json::Value>(&body).ok();
        let detail = problem.and_then(|problem| Some(problem["detail"].as_str()?.to_owned()));
        Err(AskError::Refused(address.clone(), status, detail.unwrap_or_default()))
    };
    // The connection is driven until the answer is here; its own end is that answer's matter.
    tokio::select! {
        answer = asked => answer,
        error = async {
            let ended = connection.await;
            std::future::pending::<()>().await;
            ended
        } => Err(strange(format!("{error:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        for (text, address) in [
            ("http://127.0.0.1:9997", "http://127.0.0.1:9997"),
            ("http://127.0.0.1:9997/", "http://127.0.0.1:9997"),
            ("localhost", "http://localhost:9997"),
            ("localhost:19997", "http://localhost:19997"),
            ("[::1]:9997", "http://[::1]:9997"),
            ("http://metrics.lan", "http://metrics.lan:9997"),
            ("http://metrics.lan:80/sluice", "http://metrics.lan/sluice"),
            ("https://metrics.lan", "https://metrics.lan:9997"),
            ("https://metrics.lan:443", "https://metrics.lan"),
            ("https://ann:canary@metrics.lan:1", "https://metrics.lan:1"),
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(address.to_owned()));
        }
        for (text, words) in [
            ("ftp://host", "is no address"),
            ("http://ann:canary@:1", "is no address"),
            ("", "is no address"),
            ("http://", "is no address"),
            ("a b", "is no address"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(words) && !error.contains("canary"), "{text}: {error}");
        }
    }
}
