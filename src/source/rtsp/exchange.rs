//! Requests and answers on one connection: numbers, credentials, the session's name, deadlines.
//!
//! Owns the request that is outstanding (one at a time), what is to be written, and what was said. Never decides
//! which request comes next.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::auth::{Authenticator, Sent, Verdict};
use super::message::{Headers, Method, read_session};
use super::transcript::Transcript;
use super::wire::Message;

/// Requests given up whose answers may still come, remembered to be told apart from the one that is waited for.
const MAX_ABANDONED: usize = 8;

/// Bytes waiting to be written beyond which requests of the camera get no answer: it does not read them.
const MAX_OUTPUT: usize = 16 << 10;

/// How long a session lives unheard if the camera does not say (RFC 2326 §12.37).
const DEFAULT_SESSION: Duration = Duration::from_secs(60);

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Outstanding {
    pub(super) method: Method,
    url: String,
    extra: Vec<(&'static str, String)>,
    number: u32,
    credentials: Sent,
    pub(super) deadline: Instant,
}

impl Outstanding {
    /// Whether it was sent again because of a challenge.
    pub(super) fn answers_challenge(&self) -> bool {
        self.credentials.answers_challenge()
    }
}

/// The talk on a connection.
pub(super) struct Exchange {
    pub(super) auth: Authenticator,
    pub(super) transcript: Transcript,
    pub(super) output: BytesMut,
    /// For an answer.
    pub(super) timeout: Duration,
    number: u32,
    outstanding: Option<Outstanding>,
    abandoned: Vec<u32>,
    /// Answers that had the number of their request, as long as all had.
    echoed: Option<u32>,
    /// The head of the last answer.
    last: Bytes,
    session: Option<String>,
    pub(super) session_timeout: Duration,
}

impl Exchange {
    pub(super) fn new(auth: Authenticator, transcript: Transcript, timeout: Duration) -> Exchange {
        Exchange {
            auth,
            transcript,
            output: BytesMut::new(),
            timeout,
            number: 0,
            outstanding: None,
            abandoned: Vec::new(),
            echoed: Some(0),
            last: Bytes::new(),
            session: None,
            session_timeout: DEFAULT_SESSION,
        }
    }

    /// Puts a packet of up to 64 KiB between requests (RFC 2326 §10.12), unless the camera does not read.
    pub(super) fn interleave(&mut self, channel: u8, packet: &[u8]) {
        if let Ok(length) = u16::try_from(packet.len())
            && self.output.len() < MAX_OUTPUT
        {
            self.output.extend_from_slice(&[b'$', channel]);
            self.output.extend_from_slice(&length.to_be_bytes());
            self.output.extend_from_slice(packet);
        }
    }

    /// Starts over on a new connection. Credentials and what was said stay.
    pub(super) fn renew(&mut self) {
        self.output.clear();
        self.outstanding = None;
        self.abandoned.clear();
        self.echoed = Some(0);
        self.last.clear();
        self.session = None;
        self.session_timeout = DEFAULT_SESSION;
    }

    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn outstanding(&self) -> Option<&Outstanding> {
        self.outstanding.as_ref()
    }

    /// Sends a request; one that is outstanding is given up.
    pub(super) fn send(
        &mut self,
        method: Method,
        url: &str,
        extra: Vec<(&'static str, String)>,
        now: Instant,
    ) {
        self.abandon();
        self.write(method, url.to_owned(), extra, Sent::default(), now);
    }

    /// Stops waiting for the answer.
    pub(super) fn abandon(&mut self) {
        if let Some(outstanding) = self.outstanding.take() {
            if self.abandoned.len() == MAX_ABANDONED {
                self.abandoned.remove(0);
            }
            self.abandoned.push(outstanding.number);
        }
    }

    /// The request that `message` answers. One is outstanding, so whatever number the answer has, it is that one's,
    /// but for the number of one given up, and an answer that comes twice.
    pub(super) fn answered(&mut self, message: &Message) -> Option<Outstanding> {
        if self.is_late(message) {
            return None;
        }
        let outstanding = self.outstanding.take()?;
        let echoes = number(message) == Some(outstanding.number);
        self.echoed = self.echoed.filter(|_| echoes).map(|count| count.saturating_add(1));
        self.last = message.raw.clone();
        Some(outstanding)
    }

    /// Whether it answers a request that is answered already, or was given up.
    ///
    /// Cameras that number all answers alike are not rare, so an old number tells only where two numbers were right
    /// so far, or where the answer is the last one again.
    pub(super) fn is_late(&self, message: &Message) -> bool {
        let Some(number) = number(message) else { return false };
        let next = self.outstanding.as_ref().map_or(self.number + 1, |outstanding| outstanding.number);
        let tells = match self.echoed {
            Some(count) => count >= 2 || count == 1 && message.raw == self.last,
            None => false,
        };
        self.abandoned.contains(&number) || tells && (1..next).contains(&number)
    }

    /// Judges a 401, and asks again if that may help.
    pub(super) fn refused(&mut self, mut refused: Outstanding, headers: &Headers, now: Instant) -> Verdict {
        let verdict = self.auth.handle_refusal(headers, &mut refused.credentials);
        if verdict == Verdict::Again {
            self.write(refused.method, refused.url, refused.extra, refused.credentials, now);
        }
        verdict
    }

    /// Learns the session's name and life from an answer. The first name counts: some cameras give each SETUP
    /// another, and mean the first.
    pub(super) fn learn_session(&mut self, headers: &Headers) {
        let Some(value) = headers.get("session") else { return };
        let (id, timeout) = read_session(&value);
        if self.session.is_none() && !id.is_empty() {
            self.session = Some(id.chars().filter(|c| !c.is_control()).collect());
        }
        self.session_timeout = timeout.map_or(self.session_timeout, Duration::from_secs);
    }

    /// Answers a request of the camera's.
    pub(super) fn reply(&mut self, method: &str, headers: &Headers) {
        if self.output.len() > MAX_OUTPUT {
            return;
        }
        let known =
            ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE", "REDIRECT", "TEARDOWN", "PLAY_NOTIFY"];
        let status = if known.contains(&method) { "200 OK" } else { "501 Not Implemented" };
        let mut text = format!("RTSP/1.0 {status}\r\n");
        for name in ["CSeq", "Session"] {
            if let Some(value) = headers.get(&name.to_ascii_lowercase()) {
                let value: String = value.chars().filter(|c| !c.is_control()).collect();
                text += &format!("{name}: {value}\r\n");
            }
        }
        if method == "OPTIONS" {
            text += "Public: OPTIONS, GET_PARAMETER, SET_PARAMETER, ANNOUNCE, TEARDOWN\r\n";
        }
        text += "\r\n";
        self.output.extend_from_slice(text.as_bytes());
    }

    fn write(
        &mut self,
        method: Method,
        url: String,
        extra: Vec<(&'static str, String)>,
        mut credentials: Sent,
        now: Instant,
    ) {
        self.number += 1;
        let number = self.number;
        let start = self.output.len();
        let mut line = |text: &[u8]| {
            self.output.extend_from_slice(text);
            self.output.extend_from_slice(b"\r\n");
        };
        line(format!("{method} {url} RTSP/1.0").as_bytes());
        line(format!("CSeq: {number}").as_bytes());
        line(concat!("User-Agent: sluice/", env!("CARGO_PKG_VERSION")).as_bytes());
        if let Some(value) = self.auth.authorize(method, &url, &mut credentials) {
            line(&[b"Authorization: ", &value[..]].concat());
        }
        if let Some(session) = &self.session {
            line(format!("Session: {session}").as_bytes());
        }
        for (name, value) in &extra {
            line(format!("{name}: {value}").as_bytes());
        }
        line(b"");
        self.transcript.sent(&self.output[start..]);
        let deadline = now + self.timeout;
        self.outstanding = Some(Outstanding { method, url, extra, number, credentials, deadline });
    }
}

/// The number of the request that an answer says it is for.
fn number(message: &Message) -> Option<u32> {
    message.head.headers.get("cseq").and_then(|value| value.trim().parse().ok())
}
