//! One session with a camera as a state machine: bytes in, bytes and events out, `now` given.
//!
//! Owns the order of requests and what each answer means. Never reads a clock or a socket, and never knows media.
//!
//! ```text
//! begin -> DESCRIBE -> Described -> set_up -> SETUP, each track -> PLAY, Ready -> keepalives ... tear_down -> Over
//!             ^  |                                |
//!             +--+ Connect: closed behind a challenge, redirected, or closed at the SETUP of optional sound
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use url::Url;

use super::RtspSettings;
use super::auth::{Authenticator, Verdict};
use super::control::Base;
use super::exchange::{Exchange, Outstanding};
use super::failure::{Failure, Refusal};
use super::message::{Headers, Method, Start, TransportAnswer, read_transport};
use super::sdp::{self, Description};
use super::transcript::{Mask, Transcript};
use super::wire::{Item, Message, Wire};

/// Connections of one attempt: the first, and those because of a challenge, a redirect or a refused sound.
const MAX_CONNECTIONS: u8 = 5;

/// A session description of no announced length has ended when nothing came for this long. Longer delays cameras
/// that leave the length out; shorter cuts descriptions on slow lines.
const QUIET: Duration = Duration::from_millis(500);

/// Keepalives go out three times in the life of a session, so that one may get lost; but neither more often than
/// the one nor more rarely than the other. More often is traffic, more rarely loses cameras that wait less long than
/// they say.
const KEEPALIVES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));

/// "Invalid Range" (RFC 2326 §11.3.8).
const INVALID_RANGE: u16 = 457;

/// A track to be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Track {
    /// Which section of the description.
    pub(super) media: usize,
    /// Whether the session is worth nothing without it.
    pub(super) essential: bool,
    /// What it is, in words.
    pub(super) name: String,
    /// Our port for its packets, and the one above for its reports, over UDP.
    pub(super) port: Option<u16>,
    /// The channels of its packets and reports: those asked for, then those that the camera chose.
    pub(super) channels: (u8, u8),
    /// The camera's ports, if it named usable ones.
    pub(super) server_port: Option<(u16, u16)>,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// Make another connection, to [`Dialog::url`], and call [`Dialog::connected`].
    Connect,
    /// The camera has said what it offers: [`Dialog::description`]; now [`Dialog::set_up`].
    Described,
    /// The tracks are set up, and media may come.
    Ready,
    /// A packet on a channel.
    Packet(u8, Bytes),
    /// The attempt has failed.
    Failed(Failure),
    /// The session has ended as we wished.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    Describe,
    Described,
    Setup,
    Play,
    Playing,
    TearDown,
    Over,
}

/// The session with one camera, attempt after attempt.
pub(super) struct Dialog {
    settings: RtspSettings,
    wire: Wire,
    exchange: Exchange,
    step: Step,
    /// When bytes came last.
    heard: Option<Instant>,
    url: Url,
    connections: u8,
    base: Option<Base>,
    description: Description,
    tracks: Vec<Track>,
    /// How many of `tracks` are set up.
    set_up: usize,
    /// URLs still to be tried for the request at hand.
    urls: VecDeque<String>,
    /// URLs of the tracks that are set up.
    track_urls: Vec<String>,
    /// Tracks are played one by one, because together was refused.
    one_by_one: bool,
    /// PLAY without `Range`, because one with it was refused.
    without_range: bool,
    /// Sound is left out: the camera closed the connection at its SETUP.
    without_optional: bool,
    notes: Vec<String>,
    /// Where keepalives and TEARDOWN go.
    session_url: String,
    keepalive: Method,
    keepalive_at: Option<Instant>,
    packets: u64,
}

impl Dialog {
    /// With a number that makes its client nonces differ from others'.
    pub(super) fn new(settings: &RtspSettings, seed: u64) -> Dialog {
        let auth = Authenticator::new(settings.credentials.clone(), seed);
        let transcript = Transcript::new(Mask::new(settings));
        Dialog {
            settings: settings.clone(),
            wire: Wire::default(),
            exchange: Exchange::new(auth, transcript, settings.request_timeout),
            step: Step::Idle,
            heard: None,
            url: settings.url.clone(),
            connections: 0,
            base: None,
            description: Description::default(),
            tracks: Vec::new(),
            set_up: 0,
            urls: VecDeque::new(),
            track_urls: Vec::new(),
            one_by_one: false,
            without_range: false,
            without_optional: false,
            notes: Vec::new(),
            session_url: String::new(),
            keepalive: Method::Options,
            keepalive_at: None,
            packets: 0,
        }
    }

    /// Begins an attempt: the next is a connection to [`Dialog::url`].
    pub(super) fn begin(&mut self) {
        self.exchange.auth.renew();
        self.exchange.transcript.clear();
        self.url = self.settings.url.clone();
        self.connections = 0;
        self.without_optional = false;
        self.step = Step::Idle;
    }

    /// Where to connect.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// There is a connection: asks what the camera offers.
    pub(super) fn connected(&mut self, now: Instant) {
        self.connections += 1;
        self.wire = Wire::default();
        self.exchange.renew();
        self.heard = None;
        self.tracks.clear();
        self.set_up = 0;
        self.track_urls.clear();
        self.notes.clear();
        self.one_by_one = false;
        self.without_range = false;
        self.keepalive = Method::Options;
        self.keepalive_at = None;
        self.packets = 0;
        self.step = Step::Describe;
        let url = Base::new(&self.url, None).session(None).swap_remove(0);
        self.exchange.send(Method::Describe, &url, vec![("Accept", "application/sdp".to_owned())], now);
    }

    /// Where bytes of the camera go.
    pub(super) fn input(&mut self) -> &mut BytesMut {
        self.wire.input()
    }

    /// Bytes for the camera.
    pub(super) fn output(&mut self) -> &mut BytesMut {
        &mut self.exchange.output
    }

    pub(super) fn description(&self) -> &Description {
        &self.description
    }

    pub(super) fn is_playing(&self) -> bool {
        self.step == Step::Playing
    }

    /// The tracks that are set up.
    pub(super) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Sentences about tracks that were not set up.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn mask(&self) -> &Mask {
        self.exchange.transcript.mask()
    }

    /// What was said, for the log.
    pub(super) fn transcript(&self) -> String {
        self.exchange.transcript.text()
    }

    /// When [`Dialog::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let request = self.exchange.outstanding().map(|outstanding| outstanding.deadline);
        let quiet = self.heard.filter(|_| self.wire.is_open_ended()).map(|heard| heard + QUIET);
        // A keepalive has no deadline of its own: the next one takes its place.
        let request = if self.step == Step::Playing { self.keepalive_at } else { request };
        request.into_iter().chain(quiet).min()
    }

    /// Sets up `tracks`, the essential ones first, then plays.
    pub(super) fn set_up(&mut self, mut tracks: Vec<Track>, now: Instant) {
        if self.without_optional {
            for track in tracks.extract_if(.., |track| !track.essential) {
                self.notes.push(format!(
                    "{} is left out: the camera closes the connection at its SETUP",
                    track.name
                ));
            }
        }
        for (track, first) in tracks.iter_mut().zip((0..).step_by(2)) {
            track.channels = (first, first + 1);
        }
        self.tracks = tracks;
        self.step = Step::Setup;
        self.next_track(now);
    }

    /// What the bytes read so far amount to. Call it until there is nothing more.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Event> {
        self.heard = Some(now);
        while !matches!(self.step, Step::Idle | Step::Over) {
            match self.wire.next() {
                Ok(None) => return None,
                Ok(Some(Item::Packet(channel, packet))) => {
                    if matches!(self.step, Step::Play | Step::Playing) {
                        self.packets += 1;
                        return Some(Event::Packet(channel, packet));
                    }
                }
                Ok(Some(Item::Message(message))) => {
                    if let Some(event) = self.message(&message, now) {
                        return Some(event);
                    }
                }
                Err(too_large) => return Some(Event::Failed(Failure::TooLarge(too_large))),
            }
        }
        None
    }

    /// The camera closed the connection.
    pub(super) fn handle_close(&mut self) -> Event {
        let outstanding = self.exchange.outstanding();
        let request = outstanding.map(|outstanding| outstanding.method);
        let challenged = outstanding.is_some_and(Outstanding::answers_challenge);
        match self.step {
            Step::TearDown | Step::Over => return self.over(),
            _ if self.connections >= MAX_CONNECTIONS => {}
            Step::Describe | Step::Setup | Step::Play if challenged => return Event::Connect,
            Step::Setup if self.optional().is_some() => {
                self.without_optional = true;
                return Event::Connect;
            }
            _ => {}
        }
        Event::Failed(Failure::Closed(request.filter(|_| self.step != Step::Playing)))
    }

    /// A deadline has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Event> {
        if self.step == Step::Playing {
            if self.keepalive_at.is_some_and(|at| at <= now) {
                // One without an answer is no reason to end: media tell whether the camera lives.
                if self.exchange.outstanding().is_some() {
                    self.other_keepalive();
                }
                self.send_keepalive(now);
            }
            return None;
        }
        let quiet = self.wire.is_open_ended() && self.heard.is_some_and(|heard| heard + QUIET <= now);
        let outstanding = self.exchange.outstanding()?;
        let overdue = outstanding.deadline <= now;
        let request = outstanding.method;
        if (quiet || overdue)
            && let Some(Item::Message(message)) = self.wire.cut_short()
        {
            return self.message(&message, now);
        }
        if !overdue {
            return None;
        }
        match self.step {
            Step::TearDown => return Some(self.over()),
            Step::Setup if self.optional().is_some() => {
                self.exchange.abandon();
                self.leave_out("the camera does not answer its SETUP");
                return self.next_track(now);
            }
            // Media came instead of the answer.
            Step::Play if self.packets > 0 => {
                self.exchange.abandon();
                self.played(now);
                return None;
            }
            _ => {}
        }
        let said = self.mask().quote(self.wire.sample());
        Some(Event::Failed(if self.wire.skipped() > 0 && self.step == Step::Describe {
            Failure::NotRtsp(said)
        } else {
            Failure::NoAnswerTo {
                request,
                limit: self.settings.request_timeout,
                amid: self.wire.is_amid_message(),
            }
        }))
    }

    /// Ends the session: `false` if there is none.
    pub(super) fn tear_down(&mut self, now: Instant) -> bool {
        if self.step == Step::TearDown {
            return true;
        }
        if !matches!(self.step, Step::Setup | Step::Play | Step::Playing) || !self.exchange.has_session() {
            return false;
        }
        self.step = Step::TearDown;
        let base = || {
            self.base.as_ref().map(|base| base.session(self.description.control.as_deref()).swap_remove(0))
        };
        let url =
            Some(self.session_url.clone()).filter(|url| !url.is_empty()).or_else(base).unwrap_or_default();
        self.exchange.send(Method::Teardown, &url, Vec::new(), now);
        true
    }

    fn over(&mut self) -> Event {
        self.step = Step::Over;
        Event::Over
    }

    fn message(&mut self, message: &Message, now: Instant) -> Option<Event> {
        if self.step != Step::Playing {
            self.exchange.transcript.received(&message.raw);
            self.exchange.transcript.received(&message.body);
        }
        let headers = &message.head.headers;
        let status = match &message.head.start {
            Start::Unreadable => {
                let said = self.mask().quote(&message.raw);
                return Some(Event::Failed(Failure::NotRtsp(said)));
            }
            Start::Request(method) => {
                self.exchange.reply(method, headers);
                return (method == "TEARDOWN").then_some(Event::Failed(Failure::TornDown));
            }
            Start::Response(status) => *status,
        };
        if status < 200 {
            return None;
        }
        if message.raw.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/")) {
            return Some(Event::Failed(Failure::NotRtsp(self.mask().quote(&message.raw))));
        }
        let answered = self.exchange.answered(message)?;
        let request = answered.method;
        let mut verdict = None;
        if status == 401 {
            let judged = self.exchange.refused(answered, headers, now);
            if judged == Verdict::Again {
                return None;
            }
            verdict = Some(judged);
        }
        let refusal = || Refusal {
            request,
            status,
            verdict,
            transport: self.settings.transport,
            detail: self.mask().quote(message.raw.split(|byte| *byte == b'\n').next().unwrap_or_default()),
        };
        match self.step {
            Step::TearDown => Some(self.over()),
            Step::Playing => {
                self.kept_alive(request, status, headers);
                None
            }
            Step::Describe if (300..400).contains(&status) => Some(self.redirected(headers)),
            Step::Describe if status < 300 => Some(self.described(message)),
            Step::Setup if status < 300 => self.track_set_up(headers, now),
            Step::Play if status < 300 => {
                self.played(now);
                None
            }
            Step::Setup => {
                let refusal = refusal();
                self.setup_refused(refusal, now)
            }
            Step::Play => {
                let refusal = refusal();
                self.play_refused(refusal, now)
            }
            _ => Some(Event::Failed(Failure::Refused(refusal()))),
        }
    }

    fn redirected(&mut self, headers: &Headers) -> Event {
        let location = headers.get("location").unwrap_or_default().into_owned();
        let target = Url::parse(&location).or_else(|_| self.url.join(&location));
        let Ok(mut target) = target else {
            return Event::Failed(Failure::Redirected(self.mask().quote(location.as_bytes())));
        };
        // Credentials in it are not ours to send.
        let _ = target.set_username("");
        let _ = target.set_password(None);
        let known = target.scheme() == "rtsp" && target.host() == self.settings.url.host();
        if known && self.connections < MAX_CONNECTIONS {
            self.url = target;
            return Event::Connect;
        }
        let shown = format!(
            "{}://{}{}",
            target.scheme(),
            target.host_str().unwrap_or_default(),
            target.port().map(|port| format!(":{port}")).unwrap_or_default()
        );
        let path = if target.path().contains(['=', '@', ':']) { "/..." } else { target.path() };
        Event::Failed(Failure::Redirected(self.mask().quote(format!("{shown}{path}").as_bytes())))
    }

    fn described(&mut self, message: &Message) -> Event {
        let headers = &message.head.headers;
        self.description = sdp::read(&message.body);
        if self.description.media.is_empty() {
            let said = self.mask().quote(&message.body);
            return Event::Failed(Failure::NoDescription(said));
        }
        let named = headers.get("content-base").or_else(|| headers.get("content-location"));
        self.base = Some(Base::new(&self.url, named.as_deref()));
        self.step = Step::Described;
        Event::Described
    }

    /// The track being set up, if the session can do without it.
    fn optional(&self) -> Option<&Track> {
        self.tracks.get(self.set_up).filter(|track| !track.essential)
    }

    fn leave_out(&mut self, why: &str) {
        let track = self.tracks.remove(self.set_up);
        self.notes.push(format!("{} is left out: {why}", track.name));
    }

    /// Asks for the next track, or plays if there is none.
    fn next_track(&mut self, now: Instant) -> Option<Event> {
        let base = self.base.as_ref()?;
        if let Some(track) = self.tracks.get(self.set_up) {
            let control = self.description.media.get(track.media).and_then(|media| media.control.as_deref());
            self.urls = base.track(control).into();
            self.try_setup(now);
            return None;
        }
        self.step = Step::Play;
        self.urls = base.session(self.description.control.as_deref()).into();
        self.try_play(now);
        Some(Event::Ready)
    }

    /// SETUP at the next URL: `false` if there is none.
    fn try_setup(&mut self, now: Instant) -> bool {
        let (Some(url), Some(track)) = (self.urls.pop_front(), self.tracks.get(self.set_up)) else {
            return false;
        };
        let transport = match track.port {
            Some(port) => format!("RTP/AVP;unicast;client_port={port}-{}", port.saturating_add(1)),
            None => format!("RTP/AVP/TCP;unicast;interleaved={}-{}", track.channels.0, track.channels.1),
        };
        self.exchange.send(Method::Setup, &url, vec![("Transport", transport)], now);
        self.track_urls.truncate(self.set_up);
        self.track_urls.push(url);
        true
    }

    fn track_set_up(&mut self, headers: &Headers, now: Instant) -> Option<Event> {
        self.exchange.learn_session(headers);
        let said = headers.get("transport").unwrap_or_default();
        let answer = read_transport(&said);
        let essential = self.optional().is_none();
        if answer.udp && self.tracks[self.set_up].port.is_none() {
            if essential {
                return Some(Event::Failed(Failure::OnlyUdp(self.mask().quote(said.as_bytes()))));
            }
            self.leave_out("the camera sends it over UDP only");
            return self.next_track(now);
        }
        let (before, rest) = self.tracks.split_at_mut(self.set_up);
        if let Some(track) = rest.first_mut() {
            track.settle(&answer, before);
        }
        self.set_up += 1;
        self.next_track(now)
    }

    fn setup_refused(&mut self, refusal: Refusal, now: Instant) -> Option<Event> {
        if refusal.is_about_url() && self.try_setup(now) {
            return None;
        }
        if self.optional().is_none() {
            return Some(Event::Failed(Failure::Refused(refusal)));
        }
        self.leave_out(&format!("the camera refused it ({})", refusal.detail));
        self.next_track(now)
    }

    /// PLAY at the next URL: `false` if there is none.
    fn try_play(&mut self, now: Instant) -> bool {
        let Some(url) = self.urls.pop_front() else { return false };
        let range = (!self.without_range).then(|| ("Range", "npt=0.000-".to_owned()));
        self.exchange.send(Method::Play, &url, range.into_iter().collect(), now);
        self.session_url = url;
        true
    }

    fn play_refused(&mut self, refusal: Refusal, now: Instant) -> Option<Event> {
        if refusal.status == INVALID_RANGE && !self.without_range {
            self.without_range = true;
            self.urls.push_front(self.session_url.clone());
        } else if !refusal.is_about_url() {
            return Some(Event::Failed(Failure::Refused(refusal)));
        } else if !self.one_by_one && self.urls.is_empty() {
            self.one_by_one = true;
            self.urls = self.track_urls.iter().cloned().collect();
        } else if self.one_by_one {
            return Some(Event::Failed(Failure::Refused(refusal)));
        }
        self.try_play(now);
        None
    }

    fn played(&mut self, now: Instant) {
        if self.one_by_one && self.try_play(now) {
            return;
        }
        self.step = Step::Playing;
        self.keepalive_at = Some(now + self.keepalive_interval());
    }

    fn keepalive_interval(&self) -> Duration {
        (self.exchange.session_timeout / 3).clamp(KEEPALIVES.0, KEEPALIVES.1)
    }

    fn send_keepalive(&mut self, now: Instant) {
        let url = self.session_url.clone();
        self.exchange.send(self.keepalive, &url, Vec::new(), now);
        self.keepalive_at = Some(now + self.keepalive_interval());
    }

    fn other_keepalive(&mut self) {
        self.keepalive = match self.keepalive {
            Method::Options => Method::GetParameter,
            _ => Method::Options,
        };
    }

    /// A keepalive was answered, in whatever way: it never ends a session.
    fn kept_alive(&mut self, request: Method, status: u16, headers: &Headers) {
        if status >= 300 {
            if request == self.keepalive && request == Method::GetParameter {
                self.other_keepalive();
            }
        } else if request == Method::Options
            && headers.get("public").is_some_and(|names| names.contains("GET_PARAMETER"))
        {
            self.keepalive = Method::GetParameter;
        }
    }
}

impl Track {
    /// Takes what the camera chose. What it left out is what was asked for, and channels that another track has
    /// already cannot be this one's.
    fn settle(&mut self, answer: &TransportAnswer, before: &[Track]) {
        self.server_port = answer.server_port.filter(|(packets, _)| *packets > 0);
        if answer.tcp {
            self.port = None;
        }
        if let Some(chosen) = answer.interleaved
            && !before.iter().any(|track| track.channels.0 == chosen.0)
        {
            self.channels = chosen;
        }
    }
}

#[cfg(test)]
#[path = "dialog_tests.rs"]
mod tests;
