//! Heads of RTSP messages (RFC 2326 §6, §7), read as cameras write them.
//!
//! Owns the leniency about lines: LF alone, folded lines, no reason phrase, lines without a colon, bytes that are
//! no UTF-8. Never judges what a header means.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv4Addr;

/// Headers of one message that are kept. Cameras send ten; what comes behind these is not looked at.
pub(super) const MAX_HEADERS: usize = 64;

/// The requests we make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Options,
    Describe,
    Setup,
    Play,
    GetParameter,
    Teardown,
    /// Of HTTP: one half of a tunnel, and the other.
    Get,
    Post,
}

impl Method {
    /// Whether it asks for media by one way or another.
    pub(super) fn is_about_way(self) -> bool {
        matches!(self, Method::Setup | Method::Play)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Method::Options => "OPTIONS",
            Method::Describe => "DESCRIBE",
            Method::Setup => "SETUP",
            Method::Play => "PLAY",
            Method::GetParameter => "GET_PARAMETER",
            Method::Teardown => "TEARDOWN",
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a message begins with, and its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) start: Start,
    pub(super) headers: Headers,
}

/// The first line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    /// `RTSP/1.0 200 OK`.
    Response(u16),
    /// `OPTIONS rtsp://... RTSP/1.0`: the method.
    Request(String),
    /// Begins like a response and has no status that can be read.
    Unreadable,
}

/// Names in lower case and values as they came, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// The first value of `name` (in lower case) that is not empty, as text.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.0.iter().find(|(this, value)| this == name && !value.is_empty());
        found.map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// All values of `name` (in lower case).
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(this, _)| this == name).map(|(_, value)| value.as_slice())
    }
}

/// Reads a head, with or without the empty line that ends it.
pub(super) fn read_head(bytes: &[u8]) -> Head {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let start = read_start(lines.next().unwrap_or_default());
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    for line in lines {
        if line.first().is_some_and(|first| matches!(first, b' ' | b'\t')) {
            // Folded (RFC 2326 §4.2 by RFC 2068). The head as a whole is bounded, so this is.
            if let (Some((_, value)), more @ [_, ..]) = (headers.last_mut(), line.trim_ascii()) {
                value.push(b' ');
                value.extend_from_slice(more);
            }
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        if headers.len() == MAX_HEADERS {
            break;
        }
        let name = String::from_utf8_lossy(line[..colon].trim_ascii()).to_ascii_lowercase();
        headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
    }
    Head { start, headers: Headers(headers) }
}

/// `RTSP/1.0 200 OK`, with whatever version, spaces and reason; else a request.
fn read_start(line: &[u8]) -> Start {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    if !begins_response(first) {
        return Start::Request(String::from_utf8_lossy(first).into_owned());
    }
    let status = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
    status.filter(|status| (100..1000).contains(status)).map_or(Start::Unreadable, Start::Response)
}

/// Whether `bytes` begin as a response does: `RTSP/`, or `HTTP/` from what is no RTSP server.
pub(super) fn begins_response(bytes: &[u8]) -> bool {
    bytes
        .get(..5)
        .is_some_and(|start| [b"RTSP/", b"HTTP/"].iter().any(|name| start.eq_ignore_ascii_case(*name)))
}

/// What a camera says in `Session` (RFC 2326 §12.37): the name of the session, and how long it lives unheard.
pub(super) fn read_session(value: &str) -> (&str, Option<u64>) {
    let mut parts = value.split(';');
    let id = parts.next().unwrap_or_default().trim();
    let timeout = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let digits = value.trim().trim_matches('"');
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        name.trim().eq_ignore_ascii_case("timeout").then(|| digits[..end].parse().ok()).flatten()
    });
    (id, timeout.filter(|seconds| *seconds > 0))
}

/// What a camera says in `Transport` (RFC 2326 §12.39). What it leaves out or garbles is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TransportAnswer {
    /// Named as a transport inside the RTSP connection.
    pub(super) tcp: bool,
    /// Named as one over UDP: it has ports, and nothing of TCP.
    pub(super) udp: bool,
    /// Sent to a group, not to us.
    pub(super) multicast: bool,
    /// Where that is, as far as it says.
    pub(super) destination: Option<Ipv4Addr>,
    /// The group's ports of RTP and RTCP.
    pub(super) ports: Option<(u16, u16)>,
    /// Routers that it passes.
    pub(super) ttl: Option<u8>,
    /// Channels of RTP and RTCP.
    pub(super) interleaved: Option<(u8, u8)>,
    /// The camera's ports of RTP and RTCP.
    pub(super) server_port: Option<(u16, u16)>,
    /// Of its packets, as it says.
    pub(super) ssrc: Option<u32>,
}

/// Reads a `Transport` header. Its `source` may name somebody else, and is not looked at.
pub(super) fn read_transport(value: &str) -> TransportAnswer {
    // Of several, the first: the one that the camera has taken.
    let first = value.split(',').next().unwrap_or_default();
    let mut answer = TransportAnswer::default();
    for (at, part) in first.split(';').map(str::trim).enumerate() {
        let (name, value) =
            part.split_once('=').map_or((part, ""), |(name, value)| (name.trim(), value.trim()));
        if at == 0 {
            answer.tcp = name.to_ascii_uppercase().contains("/TCP");
        }
        match name.to_ascii_lowercase().as_str() {
            "interleaved" => answer.interleaved = pair(value, |first: u8| first.saturating_add(1)),
            "server_port" => answer.server_port = pair(value, |first: u16| first.saturating_add(1)),
            "ssrc" => answer.ssrc = u32::from_str_radix(value.trim_start_matches("0x"), 16).ok(),
            "multicast" => answer.multicast = true,
            "client_port" => answer.udp = true,
            "port" => {
                answer.udp = true;
                answer.ports = pair(value, |first: u16| first.saturating_add(1));
            }
            "destination" => answer.destination = value.parse().ok(),
            "ttl" => answer.ttl = value.parse().ok(),
            _ => {}
        }
    }
    answer.multicast &= answer.interleaved.is_none();
    answer.tcp |= answer.interleaved.is_some();
    answer.udp = !answer.tcp && (answer.udp || answer.server_port.is_some());
    answer
}

/// `4-5`, or `4` for a pair whose second follows.
fn pair<T: std::str::FromStr + Copy>(text: &str, next: impl Fn(T) -> T) -> Option<(T, T)> {
    let (first, second) = text.split_once('-').map_or((text, None), |(first, second)| (first, Some(second)));
    let first: T = first.trim().parse().ok()?;
    let second = second.and_then(|second| second.trim().parse().ok());
    Some((first, second.unwrap_or_else(|| next(first))))
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
