//! How a session is kept alive: by which request, and when.
//!
//! Owns that nothing about a keepalive ends a session: media tell whether the camera lives.

use std::time::{Duration, Instant};

use super::super::message::{Headers, Method};

/// Keepalives go out three times in the life of a session, so that one may get lost; but neither more often than
/// the one nor more rarely than the other. More often is traffic, more rarely loses cameras that wait less long than
/// they say.
const KEEPALIVES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));

/// The keepalives of one session.
#[derive(Debug)]
pub(super) struct Keepalive {
    method: Method,
    /// What the camera closes the connection at.
    avoided: Option<Method>,
    at: Option<Instant>,
}

impl Keepalive {
    /// None are due before [`Keepalive::schedule`]. `avoided` closed the session before.
    pub(super) fn new(avoided: Option<Method>) -> Keepalive {
        let method = if avoided == Some(Method::Options) { Method::GetParameter } else { Method::Options };
        Keepalive { method, avoided, at: None }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// The next is due in good time for a session that lives for `timeout` unheard.
    pub(super) fn schedule(&mut self, timeout: Duration, now: Instant) {
        self.at = Some(now + (timeout / 3).clamp(KEEPALIVES.0, KEEPALIVES.1));
    }

    /// What to send now, if one is due. `unanswered`: the last one was not answered, so the other kind is tried.
    pub(super) fn due(&mut self, unanswered: bool, now: Instant) -> Option<Method> {
        if self.at.is_none_or(|at| at > now) {
            return None;
        }
        if unanswered {
            self.choose(match self.method {
                Method::Options => Method::GetParameter,
                _ => Method::Options,
            });
        }
        Some(self.method)
    }

    fn choose(&mut self, method: Method) {
        if self.avoided != Some(method) {
            self.method = method;
        }
    }

    /// Learns from an answer, whatever it is. The first one is OPTIONS, and tells whether there is GET_PARAMETER.
    pub(super) fn handle_answer(&mut self, request: Method, status: u16, headers: &Headers) {
        let named = || headers.get("public").is_some_and(|names| names.contains("GET_PARAMETER"));
        match (request, status < 300) {
            (Method::GetParameter, false) => self.choose(Method::Options),
            (Method::Options, true) if named() => self.choose(Method::GetParameter),
            _ => {}
        }
    }
}
