//! One session with a camera as a state machine: bytes in, bytes and events out, `now` given.
//!
//! Owns the order of requests and what each answer means. Never reads a clock or a socket, and never knows media.
//!
//! ```text
//! begin -> DESCRIBE -> Described -> set_up -> SETUP, each track -> PLAY, Ready -> keepalives ... tear_down -> Over
//!             ^  |                                |
//!             +--+ Connect: closed behind a challenge, redirected, or closed at the SETUP of optional sound
//!
//! OPTIONS goes before DESCRIBE where the camera closes at DESCRIBE, or says that it is too early for it.
//! ```

mod answers;
mod keepalive;
mod track;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sluice_config::{Line, Rtsp, Transport};
use url::Url;

use self::keepalive::Keepalive;
pub(super) use self::track::{Group, Track};
use super::RtspSettings;
use super::auth::{Authenticator, SignIn};
use super::control::Base;
use super::exchange::{Exchange, Outstanding};
use super::failure::Failure;
use super::message::Method;
use super::sdp::Description;
use super::transcript::{Mask, Transcript};
use super::wire::{Expected, Item, Wire};

/// Connections of one attempt: the first, and those because of a challenge, a redirect or a refused sound.
const MAX_CONNECTIONS: u8 = 5;

/// A session description of no announced length has ended when nothing came for this long. Longer delays cameras
/// that leave the length out; shorter cuts descriptions on slow lines.
const QUIET: Duration = Duration::from_millis(500);

/// A session description that is whole, though less than announced, has ended when nothing came for this long.
const STALLED: Duration = Duration::from_secs(1);

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
    Options,
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
    /// A status below 200 that came since the last answer, as it was said.
    interim: Option<String>,
    /// When bytes came last.
    heard: Option<Instant>,
    url: Url,
    connections: u8,
    /// How media is asked for in this attempt.
    transport: Transport,
    /// Where that is refused, TCP will do.
    or_tcp: bool,
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
    /// SETUP without the profile that the camera describes, because one with it was refused.
    without_feedback: bool,
    /// Sound is left out: the camera closed the connection at its SETUP.
    without_optional: bool,
    /// OPTIONS comes first in this attempt.
    options_first: bool,
    /// That was what the camera wanted.
    options_helped: bool,
    /// The keepalive at which the camera closed a session.
    avoided: Option<Method>,
    notes: Vec<String>,
    /// Where keepalives and TEARDOWN go.
    session_url: String,
    keepalive: Keepalive,
    packets: u64,
}

impl Dialog {
    /// With a number that makes its client nonces differ from others'.
    pub(super) fn new(settings: &RtspSettings, seed: u64) -> Dialog {
        let auth = Authenticator::new(settings.camera.credentials.clone(), seed);
        let transcript = Transcript::new(Mask::new(settings));
        Dialog {
            settings: settings.clone(),
            wire: Wire::default(),
            exchange: Exchange::new(auth, transcript, settings.rtsp.request_timeout),
            step: Step::Idle,
            interim: None,
            heard: None,
            url: settings.camera.url.clone(),
            connections: 0,
            transport: settings.rtsp.transport,
            or_tcp: false,
            base: None,
            description: Description::default(),
            tracks: Vec::new(),
            set_up: 0,
            urls: VecDeque::new(),
            track_urls: Vec::new(),
            one_by_one: false,
            without_range: false,
            without_feedback: false,
            without_optional: false,
            options_first: false,
            options_helped: false,
            avoided: None,
            notes: Vec::new(),
            session_url: String::new(),
            keepalive: Keepalive::new(None),
            packets: 0,
        }
    }

    /// Takes other keys for the attempts to come.
    pub(super) fn take(&mut self, rtsp: &Rtsp) {
        self.settings.rtsp = rtsp.clone();
        self.exchange.timeout = rtsp.request_timeout;
    }

    /// Begins an attempt with media by `transport`: the next is a connection to [`Dialog::url`].
    pub(super) fn begin(&mut self, transport: Transport) {
        (self.transport, self.or_tcp) = (transport, false);
        self.exchange.auth.renew();
        self.exchange.transcript.clear();
        self.url = self.settings.camera.url.clone();
        self.connections = 0;
        self.without_optional = false;
        self.options_first = self.options_helped;
        self.step = Step::Idle;
    }

    /// Media may come by TCP if the camera does not take what is asked for in this attempt.
    pub(super) fn allow_tcp(&mut self) {
        self.or_tcp = true;
    }

    /// How media was asked for last.
    pub(super) fn transport(&self) -> Transport {
        self.transport
    }

    /// Where to connect.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Where the camera sent us on to, for a sentence about the attempt. Reads on behind "camera HOST:PORT", and is read on from by
    /// a failure; empty where it did not.
    pub(super) fn detour(&self) -> String {
        let asked = &self.settings.camera;
        let mut led = asked.clone();
        led.url = self.url.clone();
        if self.url == asked.url {
            String::new()
        } else if led.address() == asked.address() {
            "led to another path of its own, and there it ".to_owned()
        } else {
            format!("led to {}, which ", led.address())
        }
    }

    /// There is a connection: asks what the camera offers.
    pub(super) fn connected(&mut self, now: Instant) {
        self.connections += 1;
        self.wire = Wire::default();
        self.exchange.renew();
        self.heard = None;
        self.interim = None;
        self.tracks.clear();
        self.set_up = 0;
        self.track_urls.clear();
        self.notes.clear();
        self.one_by_one = false;
        self.without_range = false;
        self.without_feedback = false;
        self.keepalive = Keepalive::new(self.avoided);
        self.packets = 0;
        if self.options_first { self.greet(now) } else { self.describe(now) }
    }

    /// What a tunnel needs: what may not be shown, and whom to sign in as.
    pub(super) fn tunnel(&mut self) -> (Mask, &mut Authenticator) {
        (self.exchange.transcript.mask().clone(), &mut self.exchange.auth)
    }

    fn request_url(&self) -> String {
        Base::new(&self.url, None).session(None).swap_remove(0)
    }

    /// What some cameras wait for before they describe anything.
    fn greet(&mut self, now: Instant) {
        self.step = Step::Options;
        let url = self.request_url();
        self.exchange.send(Method::Options, &url, Vec::new(), now);
    }

    fn describe(&mut self, now: Instant) {
        self.step = Step::Describe;
        let url = self.request_url();
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

    /// Puts a packet between requests (RFC 2326 §10.12).
    pub(super) fn interleave(&mut self, channel: u8, packet: &[u8]) {
        self.exchange.interleave(channel, packet);
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

    /// How the camera asked who is there.
    pub(super) fn sign_in(&self) -> SignIn {
        self.exchange.auth.asked()
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
        let quiet = self.quiet_at();
        // A keepalive has no deadline of its own: the next one takes its place.
        let request = if self.step == Step::Playing { self.keepalive.deadline() } else { request };
        request.into_iter().chain(quiet).min()
    }

    /// When a body has ended if nothing more comes.
    fn quiet_at(&self) -> Option<Instant> {
        let time = match () {
            () if self.wire.is_open_ended() => QUIET,
            () if self.wire.has_description() => STALLED,
            () => return None,
        };
        self.heard.map(|heard| heard + time)
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
            self.wire.expect(match self.step {
                Step::Describe => Expected::Description,
                Step::Play | Step::Playing => Expected::Media,
                _ => Expected::Answer,
            });
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
            Step::Options | Step::Describe | Step::Setup | Step::Play if challenged => return Event::Connect,
            Step::Describe if !std::mem::replace(&mut self.options_first, true) => return Event::Connect,
            // The other kind may be welcome in the next session.
            Step::Playing if request.is_some() => self.avoided = request,
            Step::Setup if self.optional().is_some() => {
                self.without_optional = true;
                return Event::Connect;
            }
            _ => {}
        }
        let request = request.filter(|_| self.step != Step::Playing);
        let in_tunnel = Line::of(self.url.scheme()).is_some_and(Line::is_tunnel);
        Event::Failed(match request {
            Some(Method::Options | Method::Describe) if in_tunnel => Failure::TunnelClosed(request),
            _ => Failure::Closed(request),
        })
    }

    /// A deadline has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Event> {
        if self.step == Step::Playing {
            let unanswered = self.exchange.outstanding().is_some();
            if let Some(method) = self.keepalive.due(unanswered, now) {
                let url = self.session_url.clone();
                self.exchange.send(method, &url, Vec::new(), now);
                self.keepalive.schedule(self.exchange.session_timeout, now);
            }
            return None;
        }
        let quiet = self.quiet_at().is_some_and(|at| at <= now);
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
        } else if let Some(said) = self.interim.take() {
            Failure::OnlyInterim { request, limit: self.settings.rtsp.request_timeout, said }
        } else {
            Failure::NoAnswerTo {
                request,
                limit: self.settings.rtsp.request_timeout,
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
}

#[cfg(test)]
#[path = "dialog_tests.rs"]
mod tests;
