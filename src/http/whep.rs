//! WHEP (draft-ietf-wish-whep): requests in, responses out.
//!
//! Owns the endpoint `/{stream}/whep` and the session URLs below it, their status codes and headers.
//! Lenient where real players need it (docs/WHEP.md lists the rules). Never reads a clock or a
//! socket: `now` and the address that a request came in on are given to it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sluice_media::dtls::SharedDtls;

use super::access::Grant;
use super::awaited::{Awaited, Came};
use super::discreet::discreet;
use super::drain;
use super::layers;
use super::made::{Full, Made, Maker};
use super::problem::Problem;
use super::request::Request;
use crate::client::Client;
use crate::count::EndReason;
use crate::current::Current;
use crate::id::{LayerId, SessionId};
use crate::peer::Credentials;
use crate::session::admission::{Asked, Place, Refusal};
use crate::session::drain::Drain;
use crate::session::join::{JoinError, Joined, Restart, Terms, join, restart};
use crate::session::offer::{Offer, OfferError};
use crate::session::outdated;
use crate::session::sdpfrag::{Fragment, ufrags_of};
use crate::session::table::{Session, Sessions};
use crate::session::visitor::Visitor;
use crate::shard::command::{Command, ShardHandle};
use crate::shard::place;
use crate::stream::{Formats, HIGH, Layer, Registry, SourceState, Status, Stream, WANTED_RETRY};
use crate::viewer::{Viewer, ViewerLimits};
use sluice_media::shown;

/// Time to try again when the server is full.
const FULL_RETRY: Duration = Duration::from_secs(5);

/// Time to try again when one address joins too fast.
const RATE_RETRY: Duration = Duration::from_secs(1);

/// Time to try again when a source is being connected: a camera takes one or two seconds.
const CONNECTING_RETRY: Duration = Duration::from_secs(1);

/// How often a stream is looked for that goes at that very moment. Once more is enough; more would only hide a defect.
const FOUND_MAX: usize = 3;

/// What WHEP needs of the rest of the server.
pub struct Whep {
    /// Streams.
    pub registry: Arc<Registry>,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Shards, by number.
    pub shards: Vec<Arc<ShardHandle>>,
    /// Certificate and provider of all engines.
    pub dtls: SharedDtls,
    /// Addresses to announce, best first.
    pub announced: Current<Arc<[IpAddr]>>,
    /// What viewers are given that come from now on.
    pub terms: Current<ViewerTerms>,
    /// Whether nobody is let in any more.
    pub drain: Arc<Drain>,
    /// Makes streams that nobody has named.
    pub maker: Arc<dyn Maker>,
}

/// What each viewer is given, for as long as it stays.
#[derive(Debug, Clone, Copy)]
pub struct ViewerTerms {
    /// Its bounds.
    pub limits: ViewerLimits,
    /// Whether lost packets are sent again (`nack.enabled`).
    pub repair: bool,
    /// Whether sound may go twice, to who loses some (`red.enabled`).
    pub redundancy: bool,
}

impl Whep {
    /// Announces these addresses to viewers that come from now on, best first.
    pub fn announce(&self, addresses: &[IpAddr]) {
        if self.announced.get()[..] != *addresses {
            tracing::info!(?addresses, "the announced addresses changed");
            self.announced.set(addresses.into());
        }
    }

    /// `/{stream}/whep`.
    pub fn endpoint(
        &self,
        now: Instant,
        stream: &str,
        request: &Request,
        grant: &Grant,
    ) -> Result<Next, Problem> {
        if request.head.method == Method::POST {
            return self.post(now, stream, request, grant);
        }
        self.known(stream)?;
        let answer = match request.head.method {
            Method::GET => StatusCode::NO_CONTENT.into_response(),
            Method::HEAD => (StatusCode::OK, [(header::CONTENT_TYPE, "application/sdp")]).into_response(),
            _ => return Err(Problem::not_allowed("GET, HEAD, OPTIONS, POST")),
        };
        Ok(Next::Answer(answer))
    }

    /// Whether there is a stream of that name, or could be.
    pub(super) fn knows(&self, stream: &str) -> bool {
        self.registry.stream(stream).is_some() || self.maker.knows(stream)
    }

    fn known(&self, stream: &str) -> Result<(), Problem> {
        if self.knows(stream) { Ok(()) } else { Err(unknown_stream(stream)) }
    }

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
    pub(super) fn session_of(&self, stream: &str, id: &str) -> Result<(SessionId, Session), Problem> {
        let id = id.parse().ok();
        let found = id.and_then(|id| Some((id, self.sessions.session(id, stream)?)));
        found.ok_or_else(|| no_session(id.and_then(|id| self.sessions.why_ended(id, stream))))
    }

    fn post(&self, now: Instant, stream: &str, request: &Request, grant: &Grant) -> Result<Next, Problem> {
        self.known(stream)?;
        expect_content_type(&request.head.headers, "application/sdp")?;
        if self.drain.now().is_some() {
            return self.turn_away(stream, request).map(Next::Answer);
        }
        for _ in 0..FOUND_MAX {
            let made = self.found(stream, request)?;
            if let Some(next) = self.post_to(now, made, request, grant)? {
                return Ok(next);
            }
        }
        Err(overloaded("the stream went while it was asked for, again and again"))
    }

    /// Nothing if it went meanwhile, because nobody wanted it.
    fn post_to(
        &self,
        now: Instant,
        made: Made,
        request: &Request,
        grant: &Grant,
    ) -> Result<Option<Next>, Problem> {
        let stream = made.stream.clone();
        let on_demand = stream.origin().on_demand.enabled;
        let status = stream.status();
        let playable = layers::playable(&stream, layers::asked(&request.head)?);
        if playable.is_empty() {
            let has_failed = stream.layers().iter().all(|layer| {
                let status = layer.status();
                matches!(status.state, SourceState::Waiting { .. }) && !status.is_underway()
            });
            if has_failed || !on_demand {
                stream.want();
                return Err(not_playing(&stream, &status));
            }
        }
        // Who is not let in wakes no camera, nor does an offer that is none.
        let waits = playable.is_empty() || stream.is_pair();
        let offer = waits
            .then(|| Offer::parse(body_of(request)?).map_err(|error| self.refuse(&stream, error.into())));
        let offer = offer.transpose()?;
        let place = self.admit(now, &stream, request)?;
        // It does not rest from here on.
        let hold = stream.hold();
        if on_demand && stream.is_over() {
            return Ok(None);
        }
        made.begin();
        let is_ready = |offer: &Offer| !playable.is_empty() && Awaited::is_ready(&stream, offer);
        if let Some(offer) = offer.filter(|offer| !is_ready(offer)) {
            return Ok(Some(Next::Wait(Awaited::new((&stream, hold), place, offer, &request.head.headers))));
        }
        let joined = self.join(now, &stream, &playable, place, request, grant).map(Next::Answer);
        // Its viewer holds it from here on.
        drop(hold);
        joined.map(Some)
    }

    /// The stream of a name, made if it has to be.
    fn found(&self, name: &str, request: &Request) -> Result<Made, Problem> {
        if let Some(stream) = self.registry.stream(name) {
            return Ok(Made::before(stream));
        }
        match self.maker.make(name, Client::of(request.head.client)) {
            Ok(made) => made.ok_or_else(|| unknown_stream(name)),
            Err(full) => {
                let (status, word) = match full {
                    Full::All(_) => (StatusCode::SERVICE_UNAVAILABLE, "made_streams"),
                    Full::Own { .. } => (StatusCode::TOO_MANY_REQUESTS, "address_made_streams"),
                };
                Err(Problem::new(status, full.to_string()).retry_after(FULL_RETRY).counted_as(word))
            }
        }
    }

    /// Answers an offer that has waited.
    pub fn came(
        &self,
        now: Instant,
        came: Came,
        request: &Request,
        grant: &Grant,
    ) -> Result<Response, Problem> {
        let Came { stream, place, status, hold } = came;
        if self.drain.now().is_some() {
            return self.turn_away(&stream.name, request);
        }
        if stream.is_over() {
            return Err(match self.registry.stream(&stream.name) {
                Some(there) if Arc::ptr_eq(&there, &stream) => overloaded("the server is stopping"),
                None if !self.maker.knows(&stream.name) => unknown_stream(&stream.name),
                _ => overloaded("the stream is another one since it was asked for: ask again"),
            });
        }
        let playable = layers::playable(&stream, layers::asked(&request.head)?);
        if playable.is_empty() {
            return Err(not_playing(&stream, &status));
        }
        let answered = self.join(now, &stream, &playable, place, request, grant);
        // Its viewer holds it from here on.
        drop(hold);
        answered
    }

    fn turn_away(&self, stream: &str, request: &Request) -> Result<Response, Problem> {
        let (elsewhere, head) = (self.drain.elsewhere(), &request.head);
        drain::turn_away(elsewhere.as_deref(), stream, &head.headers, head.query.as_deref())
    }

    fn admit(&self, now: Instant, stream: &Stream, request: &Request) -> Result<Place, Problem> {
        let client = Client::of(request.head.client);
        let wanted = layers::asked(&request.head)?;
        let bits = stream.shown_of(wanted.unwrap_or(HIGH)).bits();
        let place = self.sessions.admission.admit(now, Asked { client, stream: stream.id, bits });
        place.map_err(|refusal| refused(stream, refusal))
    }

    fn refuse(&self, stream: &Stream, error: JoinError) -> Problem {
        match &error {
            JoinError::Offer(error) => self.sessions.refused.count(error),
            JoinError::Engine(error) => {
                tracing::warn!(stream = stream.name, %error, "no engine could be made for an offer");
            }
        }
        let mut problem = Problem::from(error);
        if stream.is_pair() {
            // What is advised of one stream.
            problem.detail =
                problem.detail.replace(", or give its second stream", " in one of its two streams");
        }
        problem
    }

    fn join(
        &self,
        now: Instant,
        stream: &Arc<Stream>,
        playable: &[(Arc<Layer>, Formats)],
        taken: Place,
        request: &Request,
        grant: &Grant,
    ) -> Result<Response, Problem> {
        let shard = place::choose(now, &self.shards).map_err(|none| overloaded(none.to_string()))?;
        let text = body_of(request)?;
        let candidates = self.candidates(shard, request.head.local);
        let ViewerTerms { limits, repair, redundancy } = self.terms.get();
        let join_to = |layer: LayerId, formats: &Formats| {
            let terms = Terms {
                layer,
                name: &stream.name,
                formats,
                candidates: &candidates,
                tcp_port: shard.tcp_port,
                dtls: &self.dtls,
                limits,
                repair,
                redundancy,
            };
            join(text, terms, &mut rand::rng(), now)
        };
        let wanted = layers::asked(&request.head)?;
        let (first, formats) = &playable[0];
        let mut answered_with = first;
        let mut joined = join_to(layers::chosen(stream, wanted, first).id, formats);
        if matches!(joined, Err(JoinError::Offer(OfferError::Video(_)))) {
            // Who cannot play the one may play the other; who can play neither is told of the first.
            if let Some((other, formats)) = playable.get(1) {
                if let Ok(of_other) = join_to(other.id, formats) {
                    taken.change(other.bits()).map_err(|refusal| refused(stream, refusal))?;
                    (answered_with, joined) = (other, Ok(of_other));
                }
            } else if let Some((away, formats)) = layers::away(stream, first)
                && formats.is_none_or(|formats| join_to(away.id, &formats).is_ok())
            {
                stream.want();
                return Err(not_playing_other(stream, &away));
            }
        }
        let Joined { viewer, answer, etag, ufrags, mids, agreed } =
            joined.map_err(|error| self.refuse(stream, error))?;
        let (id, layer) = (viewer.session(), viewer.layer);
        let visitor = Visitor::new(request.head.client, &request.head.headers, now);
        let place = (taken, visitor, grant.right().clone());
        let session = Session::new(
            stream.clone(),
            (layer, wanted.unwrap_or(HIGH)),
            shard.clone(),
            place,
            etag.clone(),
            ufrags,
            (mids, agreed),
        );
        self.enter(id, session, viewer)?;
        let (remote, shard) = (request.head.client, shard.index);
        tracing::debug!(session = ?id, stream = stream.name, %remote, shard, "viewer joins");

        let mut response = (StatusCode::CREATED, answer).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/sdp"));
        // Relative, because a proxy may serve us below a path that it takes off. This form is also right for
        // clients that put it in the place of the whole path, or resolve it against a page at the root.
        let up = "../".repeat(request.head.depth);
        set(headers, header::LOCATION, &format!("{up}{}/whep/{id}", stream.name));
        set(headers, header::ETAG, &etag);
        // The name by which it can be ended (`/v3/webrtcsessions/kick`), and nothing else.
        set(headers, HeaderName::from_static("id"), &id.short().uuid());
        set(headers, HeaderName::from_static("accept-patch"), TRICKLE);
        if stream.is_pair() {
            set(headers, HeaderName::from_static("layer"), answered_with.name());
        }
        Ok(response)
    }

    /// Writes the session down and hands the viewer to its shard; all of it or nothing.
    fn enter(&self, id: SessionId, session: Session, viewer: Viewer) -> Result<(), Problem> {
        let shard = session.shard.clone();
        session.stream.subscribe(session.layer, shard.index).map_err(|busy| overloaded(busy.to_string()))?;
        let stream = session.stream.clone();
        self.sessions.insert(id, session);
        shard.command(Command::Join(Box::new(viewer))).map_err(|busy| {
            self.sessions.end(id);
            overloaded(busy.to_string())
        })?;
        if stream.is_over() {
            // Removed meanwhile: whoever ended its sessions may have done so before this one was there.
            let _ = shard.command(Command::End(id, EndReason::StreamRemoved));
            return Err(unknown_stream(&stream.name));
        }
        // A layer may have come meanwhile, and whoever looked at its sessions did so before this one was there.
        if let Some(session) = stream.is_pair().then(|| self.sessions.session(id, &stream.name)).flatten() {
            outdated::settle(&self.sessions, id, &session);
        }
        Ok(())
    }

    fn candidates(&self, shard: &ShardHandle, local: Option<IpAddr>) -> Vec<SocketAddr> {
        let announced = self.announced.get();
        let mut addresses: Vec<IpAddr> = announced.to_vec();
        // Some clients use the first candidate only (FFmpeg): let it be one that surely works.
        addresses.sort_by_key(|address| Some(*address) != local);
        addresses.into_iter().map(|address| SocketAddr::new(address, shard.port)).collect()
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

/// What follows a request.
pub enum Next {
    /// Its answer.
    Answer(Response),
    /// Its source has to play first; then [`Whep::came`].
    Wait(Awaited),
}

fn body_of(request: &Request) -> Result<&str, Problem> {
    std::str::from_utf8(&request.body)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is not SDP: it is not UTF-8 text"))
}

const TRICKLE: &str = "application/trickle-ice-sdpfrag";

impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Problem {
        let status = match &error {
            JoinError::Offer(offer) if offer.is_malformed() => StatusCode::BAD_REQUEST,
            JoinError::Offer(_) | JoinError::Engine(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem = Problem::new(status, error.to_string());
        if matches!(error, JoinError::Engine(_)) { problem.counted_as("engine") } else { problem }
    }
}

pub(super) fn expect_content_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("Content-Type must be {wanted}, not {:?}", shown(given)),
    ))
}

/// A tag without the mark of a weak one: proxies that compress answers put it on (nginx).
fn strong(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

pub(super) fn unknown_stream(name: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is no stream named {:?}; the start page / lists those there are", shown(name)),
    )
    .counted_as("no_stream")
}

/// Of a session that is over, or never was. A player whose connection was closed asks, to know what to do.
fn no_session(reason: Option<EndReason>) -> Problem {
    let gone = |detail: &str, label| Problem::new(StatusCode::NOT_FOUND, detail).counted_as(label);
    match reason {
        Some(reason @ EndReason::CodecChanged) => gone(
            "this session has ended, because its stream sends another codec now, or sound that it had not; POST a new offer to \
             go on",
            reason.label(),
        ),
        Some(reason @ EndReason::Overloaded) => gone(
            "this session has ended, because the server has more to send than it can, and those who came last go without; \
             POST a new offer later",
            reason.label(),
        )
        .retry_after(FULL_RETRY),
        _ => gone("no such session: it has ended, or never was; POST a new offer to begin one", "no_session"),
    }
}

fn not_playing(stream: &Stream, status: &Status) -> Problem {
    let without = format!("stream {:?} has no picture yet", stream.name);
    no_picture(stream, status, &without)
}

/// As [`not_playing`], of a player that cannot play the layer that plays, and may play `other`, which is away.
fn not_playing_other(stream: &Stream, other: &Layer) -> Problem {
    let without = format!(
        "stream {:?} has no picture yet that this player can play, and its {} layer is away",
        stream.name,
        other.name()
    );
    no_picture(stream, &other.status(), &without)
}

fn no_picture(stream: &Stream, status: &Status, without: &str) -> Problem {
    let (cause, reason, retry_in) = match &status.state {
        SourceState::Waiting { error, cause, retry_in } => {
            let soon = if cause.needs_operator() { *retry_in } else { (*retry_in).min(WANTED_RETRY) };
            (Some(*cause), discreet(error, &stream.source()), soon)
        }
        // While an attempt is made, what is known of the last one.
        _ => {
            let connecting = || "its source is being connected".to_owned();
            let why = status.failure.as_ref().map_or_else(connecting, |why| discreet(why, &stream.source()));
            (status.cause, why, CONNECTING_RETRY)
        }
    };
    let again = if cause.is_some() { "; trying again" } else { "" };
    let detail = format!("{without}: {reason}{again}");
    Problem { reason: Some(Box::new((cause, reason))), ..Problem::new(StatusCode::CONFLICT, detail) }
        .retry_after(retry_in)
}

/// 429 where this client asks for too much, 503 where all do.
pub(super) fn refused(stream: &Stream, refusal: Refusal) -> Problem {
    let why = match refusal {
        refusal if refusal.is_of_stream() => format!("stream {:?} {refusal}", stream.name),
        refusal => refusal.to_string(),
    };
    let status = match refusal.is_of_client() {
        true => StatusCode::TOO_MANY_REQUESTS,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let wait = if refusal.is_of_rate() { RATE_RETRY } else { FULL_RETRY };
    Problem::new(status, why).retry_after(wait).counted_as(refusal.label())
}

pub(super) fn overloaded(why: impl Into<String>) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(FULL_RETRY)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("made of visible ASCII by us");
    headers.insert(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_over_says_why_where_its_player_can_act_on_it() {
        for reason in EndReason::ALL {
            let told = no_session(Some(reason));
            let (word, again) = match reason {
                EndReason::CodecChanged => ("codec_changed", None),
                EndReason::Overloaded => ("overloaded", Some(FULL_RETRY)),
                _ => ("no_session", None),
            };
            assert_eq!(
                (told.status, told.word, told.retry_after),
                (StatusCode::NOT_FOUND, Some(word), again)
            );
        }
    }
}
