//! RTSP through HTTP, as QuickTime does it: answers and media come in the body of one GET, requests go base64-coded in the
//! body of one POST on another connection, and a cookie says that the two belong together.
//!
//! Owns the heads of both, what their answers mean, and the coding. Never reads a clock or a socket.

use std::io::{self, ErrorKind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, BytesMut};
use url::Url;

use super::auth::{Authenticator, Sent, Verdict};
use super::failure::Failure;
use super::message::{Method, Start, read_head};
use super::transcript::Mask;
use super::wire::MAX_HEAD;

/// What the body of the POST is said to have. It has no end: servers that count give up behind so many, so it is more than
/// any session asks for.
const POST_LENGTH: u32 = 1 << 30;

/// Bytes of an answer to the POST that are looked at. Most servers send none.
const POST_ANSWER: usize = 4 << 10;

/// Bytes of requests that are kept for a second POST, until something comes behind the GET: more than the first one has.
const MAX_KEPT: usize = 8 << 10;

/// The two halves of a tunnel to one place, before it stands.
pub(super) struct Tunnel<'a> {
    auth: &'a mut Authenticator,
    sent: Sent,
    cookie: String,
    host: String,
    /// Path and query, as they stand in the request.
    path: String,
}

/// What an answer to the GET means.
#[derive(Debug)]
pub(super) enum Opened {
    /// More bytes are needed.
    More,
    /// What follows is RTSP; that much of it was read already.
    Yes(BytesMut),
    /// Ask again on a new connection: credentials are wanted.
    Again,
    No(Failure),
}

impl<'a> Tunnel<'a> {
    /// To `url`, of which `cookie` makes one tunnel.
    pub(super) fn new(url: &Url, auth: &'a mut Authenticator, cookie: u128) -> Tunnel<'a> {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = format!("{}{port}", url.host_str().unwrap_or_default());
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = if url.path().is_empty() { "/" } else { url.path() };
        Tunnel {
            auth,
            sent: Sent::default(),
            cookie: format!("{cookie:022x}"),
            host,
            path: format!("{path}{query}"),
        }
    }

    /// The whole GET.
    pub(super) fn get(&mut self) -> Vec<u8> {
        let head = self.head(Method::Get);
        [&head[..], b"Accept: application/x-rtsp-tunnelled\r\n\r\n"].concat()
    }

    /// The same, with what was sent with its POST, which is refused.
    pub(super) fn again(self, sent: Sent) -> Tunnel<'a> {
        Tunnel { sent, ..self }
    }

    /// Judges a refusal of the POST that asks who is there.
    ///
    /// # Errors
    ///
    /// Another POST will not be let in either.
    pub(super) fn asked(&mut self, refused: &PostRefused) -> Result<(), Failure> {
        match self.auth.handle_refusal(&read_head(&refused.head).headers, &mut self.sent) {
            Verdict::Again => Ok(()),
            verdict => Err(Failure::TunnelSignIn(verdict)),
        }
    }

    /// What went out with the last of either.
    pub(super) fn sent(&self) -> Sent {
        self.sent.clone()
    }

    /// The head of the POST, whose body the requests are.
    pub(super) fn post(&mut self) -> Vec<u8> {
        let head = self.head(Method::Post);
        let rest = format!(
            "Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: {POST_LENGTH}\r\n\
             Expires: Sun, 9 Jan 1972 00:00:00 GMT\r\n\r\n"
        );
        [&head[..], rest.as_bytes()].concat()
    }

    fn head(&mut self, method: Method) -> Vec<u8> {
        let Tunnel { cookie, host, path, .. } = self;
        let mut head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: {}\r\nx-sessioncookie: {cookie}\r\n\
             Pragma: no-cache\r\nCache-Control: no-cache\r\n",
            concat!("sluice/", env!("CARGO_PKG_VERSION")),
        )
        .into_bytes();
        if let Some(value) = self.auth.authorize(method, &self.path, &mut self.sent) {
            head.extend([&b"Authorization: "[..], &value, b"\r\n"].concat());
        }
        head
    }

    /// Judges what came behind the GET.
    pub(super) fn opened(&mut self, mut bytes: BytesMut, mask: &Mask) -> Opened {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
            return if bytes.len() > MAX_HEAD { Opened::No(no_tunnel(&bytes, mask)) } else { Opened::More };
        };
        let head = read_head(&bytes[..end]);
        match head.start {
            Start::Response(200..=299) => {
                bytes.advance(end);
                Opened::Yes(bytes)
            }
            Start::Response(401) => match self.auth.handle_refusal(&head.headers, &mut self.sent) {
                Verdict::Again => Opened::Again,
                verdict => Opened::No(Failure::TunnelSignIn(verdict)),
            },
            _ => Opened::No(no_tunnel(&bytes, mask)),
        }
    }
}

/// What came behind the GET before the camera closed it: nothing, or a part of an answer.
pub(super) fn cut_off(said: &[u8], mask: &Mask) -> Failure {
    if said.is_empty() { Failure::TunnelClosed(None) } else { no_tunnel(said, mask) }
}

/// What ended a half of the tunnel before it stood.
pub(super) fn broken(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Failure::TunnelClosed(None)
        }
        // TLS that ends without a farewell is closed, too.
        ErrorKind::UnexpectedEof => Failure::TunnelClosed(None),
        _ => Failure::Broken(error.to_string()),
    }
}

fn no_tunnel(said: &[u8], mask: &Mask) -> Failure {
    let line = said.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Failure::NoTunnel(mask.quote(line))
}

/// The server took the GET and refused the POST, in its words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub(super) struct PostRefused {
    said: String,
    head: Vec<u8>,
    asks: bool,
}

impl PostRefused {
    /// Whether it asks who is there.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }
}

/// The way of requests once the tunnel stands: what waits to be sent, and what the POST is answered.
#[derive(Debug)]
pub(super) struct Requests {
    coded: BytesMut,
    /// All that the POST was given, as long as it may have to be given to another.
    kept: Option<BytesMut>,
    answer: Vec<u8>,
}

impl Default for Requests {
    fn default() -> Requests {
        Requests { coded: BytesMut::new(), kept: Some(BytesMut::new()), answer: Vec::new() }
    }
}

impl Requests {
    /// Codes what is to be sent. Each piece is whole, with what pads it: servers decode message by message.
    pub(super) fn take(&mut self, output: &mut BytesMut) {
        if !output.is_empty() {
            let coded = STANDARD.encode(&output[..]);
            self.coded.extend_from_slice(coded.as_bytes());
            self.kept = self.kept.take().filter(|kept| kept.len() + coded.len() <= MAX_KEPT);
            if let Some(kept) = &mut self.kept {
                kept.extend_from_slice(coded.as_bytes());
            }
            output.clear();
        }
    }

    /// What is coded and not sent yet.
    pub(super) fn coded(&mut self) -> &mut BytesMut {
        &mut self.coded
    }

    /// Something came behind the GET: the POST is taken.
    pub(super) fn heard(&mut self) {
        self.kept = None;
    }

    /// Begins anew with another POST; whether nothing is missing then.
    pub(super) fn again(&mut self) -> bool {
        self.answer.clear();
        self.kept.clone().map(|kept| self.coded = kept).is_some()
    }

    /// Takes what came behind the POST: a refusal in the server's words, if it is one. Of one that asks who is there the whole
    /// head is waited for.
    pub(super) fn answered(&mut self, bytes: &[u8]) -> Option<PostRefused> {
        let room = POST_ANSWER.saturating_sub(self.answer.len());
        self.answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let end = self.answer.iter().position(|byte| *byte == b'\n')?;
        let line = &self.answer[..end];
        let asks = match read_head(line).start {
            Start::Response(100..=299) | Start::Request(_) => return None,
            Start::Response(401) => true,
            _ => false,
        };
        let is_whole = self.answer.windows(4).any(|four| four == b"\r\n\r\n");
        if asks && !is_whole && self.answer.len() < POST_ANSWER {
            return None;
        }
        let said = String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).collect();
        Some(PostRefused { said, head: self.answer.clone(), asks })
    }
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod tests;
