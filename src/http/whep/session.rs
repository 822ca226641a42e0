//! The session's own URL: its end, and its ICE.
//!
//! Owns what a PATCH may say (RFC 9725 §4.3), and which tag it must name.

use std::net::IpAddr;

use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::access::Grant;
use super::super::problem::Problem;
use super::super::refused::{no_session, overloaded};
use super::super::request::Request;
use super::{TRICKLE, Whep, expect_content_type, set};
use crate::count::EndReason;
use crate::id::SessionId;
use crate::peer::Credentials;
use crate::session::join::{Restart, restart};
use crate::session::sdpfrag::{Fragment, ufrags_of};
use crate::session::table::Session;
use crate::shard::command::Command;

impl Whep {
    /// `/{stream}/whep/{session}`.
    pub fn session(
        &self,
        stream: &str,
        id: &str,
        request: &Request,
        _grant: &Grant,
    ) -> Result<Response, Problem> {
        let (id, session) = self.session_of(stream, id)?;
        match request.head.method {
            Method::DELETE => self.delete(id, &session),
            Method::PATCH => self.patch(id, &session, request),
            Method::GET | Method::HEAD => Ok(StatusCode::NO_CONTENT.into_response()),
            _ => Err(Problem::not_allowed("DELETE, GET, HEAD, OPTIONS, PATCH")),
        }
    }

    /// A session by its id, as a path has it.
    pub(in crate::http) fn session_of(
        &self,
        stream: &str,
        id: &str,
    ) -> Result<(SessionId, Session), Problem> {
        let id = id.parse().ok();
        let found = id.and_then(|id| Some((id, self.sessions.session(id, stream)?)));
        found.ok_or_else(|| no_session(id.and_then(|id| self.sessions.why_ended(id, stream))))
    }

    fn delete(&self, id: SessionId, session: &Session) -> Result<Response, Problem> {
        session
            .shard
            .command(Command::End(id, EndReason::Deleted))
            .map_err(|busy| overloaded(busy.to_string()))?;
        self.sessions.mark(id, EndReason::Deleted);
        Ok(StatusCode::OK.into_response())
    }

    fn patch(&self, id: SessionId, session: &Session, request: &Request) -> Result<Response, Problem> {
        expect_content_type(&request.head.headers, TRICKLE)?;
        let text = std::str::from_utf8(&request.body).map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "the body is not an SDP fragment: it is not UTF-8 text")
        })?;
        let fragment = Fragment::parse(text)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        // One player sends the tag in a request header `ETag` instead.
        let tag =
            request.head.headers.get(header::IF_MATCH).or_else(|| request.head.headers.get(header::ETAG));
        let tags = tag.and_then(|tag| tag.to_str().ok());
        let matches =
            tags.is_none_or(|tags| tags.split(',').map(strong).any(|tag| tag == "*" || tag == session.etag));
        if !matches {
            return Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "If-Match names another ICE session than the current one: it was restarted since",
            ));
        }
        let Some(remote) = fragment.restart(&session.remote_ufrags) else {
            // Trickled candidates: nothing to do for an ICE-lite agent (RFC 9725 §4.3.2).
            return Ok(StatusCode::NO_CONTENT.into_response());
        };
        if tags.is_none() {
            return Err(Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "new ICE credentials restart ICE: send If-Match with \"*\" or the session's ETag",
            ));
        }
        self.restart(id, session, (remote, ufrags_of(text)), request.head.local)
    }

    fn restart(
        &self,
        id: SessionId,
        session: &Session,
        (remote, remote_ufrags): (Credentials, Vec<String>),
        local_address: Option<IpAddr>,
    ) -> Result<Response, Problem> {
        let candidates = self.candidates(&session.shard, local_address);
        let reach = (&candidates[..], session.shard.tcp_port);
        let Restart { local, fragment, etag } =
            restart(&session.mids, &session.stream.name, reach, &self.dtls, &mut rand::rng());
        let command = Command::RestartIce { session: id, local, remote };
        session.shard.command(command).map_err(|busy| overloaded(busy.to_string()))?;
        self.sessions.restarted(id, etag.clone(), remote_ufrags);
        let mut response = (StatusCode::OK, fragment).into_response();
        set(response.headers_mut(), header::CONTENT_TYPE, TRICKLE);
        set(response.headers_mut(), header::ETAG, &etag);
        Ok(response)
    }
}

/// A tag without the mark of a weak one: proxies that compress answers put it on (nginx).
fn strong(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}
