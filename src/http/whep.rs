//! WHEP (draft-ietf-wish-whep): requests in, responses out.
//!
//! Owns the endpoint `/{stream}/whep` and the session URLs below it, their status codes and headers.
//! Lenient where real players need it (docs/WHEP.md lists the rules). Never reads a clock or a
//! socket: `now` and the address that a request came in on are given to it.

mod session;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sluice_media::dtls::SharedDtls;

use super::access::Grant;
use super::awaited::{Awaited, Came};
use super::drain;
use super::layers;
use super::made::{Full, Made, Maker};
use super::problem::Problem;
use super::refused::{FULL_RETRY, not_playing, not_playing_other, overloaded, refused, unknown_stream};
use super::request::Request;
use crate::client::Client;
use crate::count::EndReason;
use crate::current::Current;
use crate::id::{LayerId, SessionId};
use crate::session::admission::{Asked, Place};
use crate::session::drain::Drain;
use crate::session::join::{JoinError, Joined, Terms, join};
use crate::session::offer::{Offer, OfferError};
use crate::session::outdated;
use crate::session::table::{Session, Sessions};
use crate::session::visitor::Visitor;
use crate::shard::command::{Command, ShardHandle};
use crate::shard::place;
use crate::shard::weight::Weight;
use crate::stream::{Formats, HIGH, Layer, Registry, SourceState, Stream};
use crate::viewer::{Viewer, ViewerLimits};
use sluice_media::shown;

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
        let wanted = layers::asked(&request.head)?;
        let (first, formats) = &playable[0];
        let chosen = layers::chosen(stream, wanted, first);
        let shard = place::choose(now, &self.shards, Weight::of(chosen.bits()))
            .map_err(|none| overloaded(none.to_string()))?;
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
        let mut answered_with = first;
        let mut joined = join_to(chosen.id, formats);
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
}

/// What follows a request.
pub enum Next {
    /// Its answer.
    Answer(Response),
    /// Its source has to play first; then [`Whep::came`].
    Wait(Awaited),
}

const TRICKLE: &str = "application/trickle-ice-sdpfrag";

fn body_of(request: &Request) -> Result<&str, Problem> {
    std::str::from_utf8(&request.body)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is not SDP: it is not UTF-8 text"))
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

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("made of visible ASCII by us");
    headers.insert(name, value);
}
