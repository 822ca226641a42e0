//! RTSP through HTTP, as QuickTime does it: answers and media come in the body of one GET, requests go base64-coded in the
//! body of one POST on another connection, and a cookie says that the two belong together.
//!
//! Owns the heads of both, what their answers mean, and the coding. Never reads a clock or a socket.

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
const POST_ANSWER: usize = 1 << 10;

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

fn no_tunnel(said: &[u8], mask: &Mask) -> Failure {
    let line = said.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Failure::NoTunnel(mask.quote(line))
}

/// The server took the GET and refused the POST, in its words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct PostRefused(String);

/// The way of requests once the tunnel stands: what waits to be sent, and what the POST is answered.
#[derive(Debug, Default)]
pub(super) struct Requests {
    coded: BytesMut,
    answer: Vec<u8>,
}

impl Requests {
    /// Codes what is to be sent. Each piece is whole, with what pads it: servers decode message by message.
    pub(super) fn take(&mut self, output: &mut BytesMut) {
        if !output.is_empty() {
            let coded = STANDARD.encode(&output[..]);
            self.coded.extend_from_slice(coded.as_bytes());
            output.clear();
        }
    }

    /// What is coded and not sent yet.
    pub(super) fn coded(&mut self) -> &mut BytesMut {
        &mut self.coded
    }

    /// Takes what came behind the POST: a refusal in the server's words, if it is one.
    pub(super) fn answered(&mut self, bytes: &[u8]) -> Option<PostRefused> {
        let room = POST_ANSWER.saturating_sub(self.answer.len());
        self.answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let end = self.answer.iter().position(|byte| *byte == b'\n')?;
        let line = &self.answer[..end];
        match read_head(line).start {
            Start::Response(100..=299) | Start::Request(_) => None,
            _ => {
                let said = String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).collect();
                Some(PostRefused(said))
            }
        }
    }
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod tests;
