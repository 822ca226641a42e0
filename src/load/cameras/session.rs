//! The dialogue of a camera with one client (RFC 2326): what a request does, and what is answered.
//!
//! Owns the session: its tracks, their ways, whether they play. Never touches a socket or a clock.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use rtsp_types::headers::{
    CONTENT_BASE, CONTENT_LENGTH, CONTENT_TYPE, CSEQ, HeaderName, PUBLIC, RANGE, RTP_INFO, SERVER, SESSION,
    TRANSPORT, WWW_AUTHENTICATE,
};
use rtsp_types::{Method, Request, Response, StatusCode, Version};

use super::auth::{Credentials, Guard};
use super::camera::{Camera, Track};
use super::faults::HUGE_CONTENT_LENGTH;
use super::rtp::Stream;
use super::sdp;
use super::transport::Way;

/// Seconds without a request after which a client must expect its session to end (§12.37).
const TIMEOUT_SECS: u64 = 60;

const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

/// What a request changes for the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// The session begins to play its camera, behind the answer.
    Play,
    /// The session is over; the connection may have another.
    Stop,
}

/// A track as one client gets it.
#[derive(Debug)]
pub struct Outgoing {
    /// Its numbers.
    pub stream: Stream,
    /// Where it goes.
    pub way: Way,
}

/// One client's connection.
#[derive(Debug)]
pub struct Session {
    cameras: Arc<[Arc<Camera>]>,
    client: IpAddr,
    server_ports: (u16, u16),
    admitted: bool,
    guard: Guard,
    id: Option<u64>,
    camera: Option<usize>,
    playing: bool,
    tracks: [Option<Outgoing>; 2],
}

impl Session {
    /// A connection from `client`. `server_ports` are those that RTP and RTCP come from by UDP. If it is
    /// not `admitted`, it may look but not set up a session; with `credentials`, not even that without them.
    pub fn new(
        cameras: Arc<[Arc<Camera>]>,
        client: IpAddr,
        server_ports: (u16, u16),
        admitted: bool,
        credentials: Option<Credentials>,
    ) -> Session {
        Session {
            cameras,
            client,
            server_ports,
            admitted,
            guard: Guard::new(credentials),
            id: None,
            camera: None,
            playing: false,
            tracks: [None, None],
        }
    }

    /// Index of the camera that plays, if one does.
    pub fn playing(&self) -> Option<usize> {
        self.camera.filter(|_| self.playing)
    }

    /// A track, if it was set up.
    pub fn track(&mut self, track: Track) -> Option<&mut Outgoing> {
        self.tracks[track.index()].as_mut()
    }

    /// Whether all media goes on the connection itself.
    pub fn is_interleaved(&self) -> bool {
        let mut ways = self.tracks.iter().flatten().map(|outgoing| outgoing.way);
        ways.all(|way| matches!(way, Way::Interleaved { .. }))
    }

    /// Answers a request. `random` gives numbers for what is made by it.
    pub fn handle_request(
        &mut self,
        request: &Request<Vec<u8>>,
        now: Instant,
        random: &mut impl FnMut() -> u64,
    ) -> (Response<Vec<u8>>, Change) {
        let (mut answer, change) = match self.guard.check(request, random) {
            Ok(()) => self.answer(request, now, random).unwrap_or_else(|status| {
                // Some refusals are about the method; the client may want to know which there are.
                (Answer::new(status).header(PUBLIC, METHODS), Change::None)
            }),
            Err(challenge) => {
                (Answer::new(StatusCode::Unauthorized).header(WWW_AUTHENTICATE, challenge), Change::None)
            }
        };
        if let Some(id) = self.id.filter(|_| change != Change::Stop) {
            answer = answer.header(SESSION, format!("{id:016X};timeout={TIMEOUT_SECS}"));
        }
        if change == Change::Stop {
            (self.id, self.camera, self.playing, self.tracks) = (None, None, false, [None, None]);
        }
        let cseq = request.header(&CSEQ).map_or("0", |value| value.as_str());
        (answer.header(CSEQ, cseq).finish(), change)
    }

    fn answer(
        &mut self,
        request: &Request<Vec<u8>>,
        now: Instant,
        random: &mut impl FnMut() -> u64,
    ) -> Result<(Answer, Change), StatusCode> {
        if request.header(&CSEQ).is_none() {
            return Err(StatusCode::BadRequest);
        }
        self.check_session(request)?;
        let ok = Answer::new(StatusCode::Ok);
        match request.method() {
            Method::Options => Ok((ok.header(PUBLIC, METHODS), Change::None)),
            // Clients send these to be still here.
            Method::GetParameter | Method::SetParameter => Ok((ok, Change::None)),
            Method::Describe => self.describe(request).map(|answer| (answer, Change::None)),
            Method::Setup => self.set_up(request, random).map(|answer| (answer, Change::None)),
            Method::Play => {
                let change = if self.playing { Change::None } else { Change::Play };
                self.play(request, now).map(|answer| (answer, change))
            }
            Method::Teardown if self.id.is_some() => Ok((ok, Change::Stop)),
            Method::Teardown => Err(StatusCode::SessionNotFound),
            Method::Extension(_) => Err(StatusCode::NotImplemented),
            _ => Err(StatusCode::MethodNotAllowed),
        }
    }

    /// A session that a request names must be ours; one that it needs and does not name is let pass.
    fn check_session(&self, request: &Request<Vec<u8>>) -> Result<(), StatusCode> {
        let Some(named) = request.header(&SESSION) else { return Ok(()) };
        let named = named.as_str().split(';').next().unwrap_or_default().trim();
        let ours = self.id.map(|id| format!("{id:016X}"));
        if ours.is_some_and(|ours| ours == named) { Ok(()) } else { Err(StatusCode::SessionNotFound) }
    }

    fn describe(&self, request: &Request<Vec<u8>>) -> Result<Answer, StatusCode> {
        let (camera, _) = self.target(request)?;
        let camera = &self.cameras[camera];
        let mut answer = Answer::new(StatusCode::Ok)
            .header(CONTENT_BASE, base(request, camera))
            .header(CONTENT_TYPE, "application/sdp");
        answer.body = sdp::describe(camera);
        answer.content_length = camera.faults.huge_content_length.then_some(HUGE_CONTENT_LENGTH);
        Ok(answer)
    }

    fn set_up(
        &mut self,
        request: &Request<Vec<u8>>,
        random: &mut impl FnMut() -> u64,
    ) -> Result<Answer, StatusCode> {
        let (camera, track) = self.target(request)?;
        let track = track.ok_or(StatusCode::AggregateOperationNotAllowed)?;
        if !self.admitted {
            return Err(StatusCode::NotEnoughBandwidth);
        }
        if self.playing || self.camera.is_some_and(|other| other != camera) {
            return Err(StatusCode::MethodNotValidInThisState);
        }
        let header = request.header(&TRANSPORT).ok_or(StatusCode::BadRequest)?;
        let channels = if track == Track::Video { (0, 1) } else { (2, 3) };
        let way =
            Way::choose(header.as_str(), self.client, channels).ok_or(StatusCode::UnsupportedTransport)?;
        self.id.get_or_insert_with(&mut *random);
        self.camera = Some(camera);
        // Below half of the range, so that it does not wrap within the first second.
        let stream =
            Stream::new(self.cameras[camera].payload_type(track), random() as u32, random() as u16 >> 1);
        let transport = way.describe(stream.ssrc, self.server_ports);
        self.tracks[track.index()] = Some(Outgoing { stream, way });
        Ok(Answer::new(StatusCode::Ok).header(TRANSPORT, transport))
    }

    fn play(&mut self, request: &Request<Vec<u8>>, now: Instant) -> Result<Answer, StatusCode> {
        let (index, _) = self.target(request)?;
        if self.camera != Some(index) {
            return Err(StatusCode::MethodNotValidInThisState);
        }
        let camera = &self.cameras[index];
        let base = base(request, camera);
        // Both timestamps are of one moment, so that a client may align the tracks by them.
        let tracks = Track::ALL.into_iter().filter_map(|track| {
            let sequence = self.tracks[track.index()].as_ref()?.stream.sequence;
            let timestamp = camera.timestamp(track, now);
            Some(format!("url={base}{};seq={sequence};rtptime={timestamp}", track.control()))
        });
        let info = tracks.collect::<Vec<_>>().join(",");
        self.playing = true;
        Ok(Answer::new(StatusCode::Ok).header(RANGE, "npt=now-").header(RTP_INFO, info))
    }

    /// The camera and track that a request's URL names: `/cam3` or `/cam3/track1`.
    fn target(&self, request: &Request<Vec<u8>>) -> Result<(usize, Option<Track>), StatusCode> {
        let url = request.request_uri().ok_or(StatusCode::BadRequest)?;
        let mut segments = url.path().split('/').filter(|segment| !segment.is_empty());
        let name = segments.next().unwrap_or_default();
        let camera = self.cameras.iter().position(|camera| camera.name == name);
        let camera = camera.ok_or(StatusCode::NotFound)?;
        let track = match segments.next() {
            None => None,
            Some(name) => {
                let track = self.cameras[camera].tracks().find(|track| track.control() == name);
                Some(track.ok_or(StatusCode::NotFound)?)
            }
        };
        if segments.next().is_some() { Err(StatusCode::NotFound) } else { Ok((camera, track)) }
    }
}

/// A camera's URL by the host that the client knows it by, with a slash at the end: what `a=control` is
/// relative to.
fn base(request: &Request<Vec<u8>>, camera: &Camera) -> String {
    let url = request.request_uri();
    let host = url.and_then(|url| url.host_str()).unwrap_or("localhost");
    let port = url.and_then(|url| url.port()).map(|port| format!(":{port}")).unwrap_or_default();
    format!("rtsp://{host}{port}/{}/", camera.name)
}

/// A response being put together.
struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: String,
    /// Another length than the body's.
    content_length: Option<&'static str>,
}

impl Answer {
    fn new(status: StatusCode) -> Answer {
        Answer { status, headers: Vec::new(), body: String::new(), content_length: None }
    }

    fn header(mut self, name: HeaderName, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    fn finish(self) -> Response<Vec<u8>> {
        let mut builder = Response::builder(Version::V1_0, self.status)
            .header(SERVER, concat!("sluice-cameras/", env!("CARGO_PKG_VERSION")));
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        let mut response = builder.build(self.body.into_bytes());
        if let Some(length) = self.content_length {
            response.insert_header(CONTENT_LENGTH, length);
        }
        response
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
