//! Why an attempt on a camera failed, in a sentence that says what to do about it.
//!
//! Owns the words. Never lets credentials, paths or queries of a source into them: cameras are known to take
//! passwords in each of these.

use std::time::Duration;

use thiserror::Error;

use super::{RtspSettings, Transport};

/// Characters of a library's or camera's text in a sentence, at most.
const MAX_DETAIL: usize = 200;

/// Why an attempt ended. Reads on behind "camera HOST:PORT ".
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("has no usable source URL: write rtsp://host[:port]/path, with user and password apart from it")]
    Url,
    #[error("cannot be reached: is it on, are host and port right? ({0})")]
    Unreachable(Detail),
    #[error("did not answer within {secs} s (TCP connect and DESCRIBE together): is it on, are host and port \
        right?", secs = .0.as_secs_f32())]
    NoAnswer(Duration),
    #[error("did not answer {0} within {secs} s: restart it if this lasts", secs = .1.as_secs_f32())]
    NoAnswerTo(Request, Duration),
    #[error("refused {request}: {advice} ({detail})", advice = advice(*status, *transport, *has_credentials))]
    Refused { request: Request, status: u16, transport: Transport, has_credentials: bool, detail: Detail },
    #[error("failed at {0}: {1}")]
    Broken(Request, Detail),
    #[error("offers nothing that can be forwarded: set it to H.264 video ({})", .0.join("; "))]
    Nothing(Vec<String>),
    #[error("sent no {what} for {secs} s{hint}", secs = .limit.as_secs_f32(),
        hint = silence_hint(*.transport, *.discarded))]
    Silent { what: &'static str, limit: Duration, transport: Transport, discarded: u64 },
    #[error("sent a picture of more than {0} bytes: lower its bitrate, or raise rtsp.max_frame")]
    PictureTooLarge(usize),
    #[error("closed the connection: is it restarting, or out of sessions?")]
    Closed,
    #[error("broke the stream: {0}")]
    Stream(Detail),
    #[error("sent something that the RTSP library could not take (it panicked): please report this camera")]
    Panic,
}

impl Failure {
    /// From retina's answer to a request.
    pub(super) fn of(request: Request, error: &retina::Error, settings: &RtspSettings) -> Failure {
        let detail = Detail::of(error, settings);
        match error.status_code() {
            // A success whose headers or body are unusable comes as a "response error", too.
            Some(status) if status >= 300 => Failure::Refused {
                request,
                status,
                transport: settings.transport,
                has_credentials: settings.credentials.is_some(),
                detail,
            },
            // retina hides the kind of its errors; its text for this one is constant (error.rs).
            None if detail.0.starts_with("Unable to connect") => Failure::Unreachable(detail),
            _ => Failure::Broken(request, detail),
        }
    }

    /// Whether only an operator can cure it, so that trying often is useless. For credentials it does harm:
    /// many cameras lock a user after a few wrong passwords.
    pub(super) fn needs_operator(&self) -> bool {
        matches!(self, Failure::Url | Failure::Nothing(_) | Failure::Refused { status: 401 | 403, .. })
    }

    /// Equal for failures that need no second warning.
    pub(super) fn same_as(&self, other: &Failure) -> bool {
        match (self, other) {
            (
                Failure::Refused { request: a, status: b, .. },
                Failure::Refused { request: c, status: d, .. },
            ) => (a, b) == (c, d),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// The requests of RFC 2326 that an attempt makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Describe,
    Setup,
    Play,
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Request::Describe => "DESCRIBE",
            Request::Setup => "SETUP",
            Request::Play => "PLAY",
        })
    }
}

fn advice(status: u16, transport: Transport, has_credentials: bool) -> &'static str {
    match status {
        401 if has_credentials => "check user and password of the source",
        401 => "it wants credentials, put user and password into the source URL",
        403 => "this user may not view the stream, give it the right in the camera or use another",
        404 => "it has no such stream, check the path of the source URL",
        300..=399 => "it redirects, which is not followed: put the final address into the source URL",
        453 | 503 => "it has no room for another session, close other clients of the camera",
        461 if transport == Transport::Tcp => "it does not offer RTP over TCP, set its rtsp_transport to udp",
        461 => "it does not offer RTP over UDP, set its rtsp_transport to tcp",
        500.. => "it has an internal fault, restart it if this lasts",
        _ => "check the path of the source URL and the camera's settings",
    }
}

fn silence_hint(transport: Transport, discarded: u64) -> &'static str {
    match (discarded, transport) {
        (1.., _) => ", though packets came: they are not what its session description announced",
        (0, Transport::Udp) => ": does a firewall drop its UDP packets? Try its rtsp_transport tcp",
        (0, Transport::Tcp) => ": does its encoder still run?",
    }
}

/// Text of retina, and so in part of the camera, made fit for a log line and an API.
#[derive(Debug)]
pub(super) struct Detail(String);

impl std::fmt::Display for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Detail {
    pub(super) fn of(error: &retina::Error, settings: &RtspSettings) -> Detail {
        Detail::from_text(&error.to_string(), settings)
    }

    /// Keeps the first line (behind it are addresses, times and hex dumps, which differ each time), takes out
    /// URLs, cuts it, and withholds it if it has the password in it.
    fn from_text(text: &str, settings: &RtspSettings) -> Detail {
        let secret = settings.credentials.as_ref().map(|credentials| credentials.password.as_str());
        if secret.is_some_and(|secret| !secret.is_empty() && text.contains(secret)) {
            return Detail("text withheld, it contains the password".to_owned());
        }
        let line = text.lines().next().unwrap_or_default().trim_end_matches("; buffered:");
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut line = without_urls(&line);
        for part in [Some(settings.url.path()), settings.url.query()].into_iter().flatten() {
            if part.len() > 1 {
                line = line.replace(part, "...");
            }
        }
        if line.chars().count() > MAX_DETAIL {
            line = line.chars().take(MAX_DETAIL).chain("...".chars()).collect();
        }
        Detail(line)
    }
}

/// `text` with each `scheme://...` cut down to its scheme.
fn without_urls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        clean.push_str(before);
        clean.push_str("...");
        let end = url.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '>'));
        rest = &url[end.unwrap_or(url.len())..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
