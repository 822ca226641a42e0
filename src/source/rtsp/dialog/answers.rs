//! What each answer of a camera means: what is asked next, and by which URL.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::time::Instant;

use sluice_config::{Line, Transport};
use url::Url;

use super::super::auth::Verdict;
use super::super::control::Base;
use super::super::failure::{Failure, Refusal};
use super::super::message::{Headers, Method, Start, TransportAnswer, read_transport};
use super::super::sdp;
use super::super::wire::Message;
use super::{Dialog, Event, Group, MAX_CONNECTIONS, Step, Track};

/// "Method Not Valid in This State" (RFC 2326 §11.3.6).
const TOO_EARLY: u16 = 455;

/// Routers that what we say to a group passes, if the camera does not say: none.
const DEFAULT_TTL: u8 = 1;

/// "Unsupported transport" (RFC 2326 §11.3.14).
const UNSUPPORTED_TRANSPORT: u16 = 461;

/// What cameras answer to a PLAY whose `Range` they do not take: 457 is meant for it (RFC 2326 §11.3.8).
const ABOUT_RANGE: [u16; 7] = [400, 406, 451, 455, 457, 501, 551];

impl Dialog {
    pub(super) fn message(&mut self, message: &Message, now: Instant) -> Option<Event> {
        if self.step != Step::Playing {
            // Before it is written down: paths are secrets of cameras and servers.
            let location = message.head.headers.get("location");
            if let Some(target) = location.and_then(|location| self.target(&location)) {
                self.exchange.transcript.hide(&target);
            }
            self.exchange.transcript.received(&message.raw);
            self.exchange.transcript.received(&message.body);
        }
        let headers = &message.head.headers;
        let status = match &message.head.start {
            // While it plays, media tell whether it lives, and no answer is worth them.
            Start::Unreadable if self.step == Step::Playing => return None,
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
            // Its answer may follow.
            let first = message.raw.split(|byte| *byte == b'\n').next().unwrap_or_default();
            self.interim = Some(self.mask().quote(first));
            return None;
        }
        self.interim = None;
        if message.raw.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/")) {
            return Some(Event::Failed(Failure::NotRtsp(self.mask().quote(&message.raw))));
        }
        let Some(answered) = self.exchange.answered(message) else {
            // Nothing else was asked: what was taken for the answer to PLAY was another one.
            let is_about_play = self.step == Step::Playing
                && status >= 400
                && self.packets == 0
                && self.tracks.iter().all(|track| track.port.is_none())
                && self.exchange.outstanding().is_none()
                && !self.exchange.is_late(message);
            return is_about_play
                .then(|| Event::Failed(Failure::Refused(self.refusal(Method::Play, status, None, message))));
        };
        let request = answered.method;
        let mut verdict = None;
        if status == 401 {
            let judged = self.exchange.refused(answered, headers, now);
            if judged == Verdict::Again {
                return None;
            }
            verdict = Some(judged);
        }
        if status < 300 && matches!(self.step, Step::Setup | Step::Play | Step::Playing) {
            self.exchange.learn_session(headers);
        }
        let refusal = |dialog: &Dialog| dialog.refusal(request, status, verdict, message);
        match self.step {
            Step::TearDown => Some(self.over()),
            Step::Playing => {
                self.keepalive.handle_answer(request, status, headers);
                None
            }
            // Whether it knows OPTIONS does not matter.
            Step::Options if status != 401 => {
                self.describe(now);
                None
            }
            Step::Describe if status == TOO_EARLY && !std::mem::replace(&mut self.options_first, true) => {
                self.greet(now);
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
                let refusal = refusal(self);
                self.setup_refused(refusal, now)
            }
            Step::Play => {
                let refusal = refusal(self);
                self.play_refused(refusal, now)
            }
            _ => Some(Event::Failed(Failure::Refused(refusal(self)))),
        }
    }

    fn refusal(&self, request: Method, status: u16, verdict: Option<Verdict>, message: &Message) -> Refusal {
        let first = message.raw.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let transport = self.transport;
        Refusal { request, status, verdict, transport, detail: self.mask().quote(first) }
    }

    /// The address that a redirect means, if it can be read.
    fn target(&self, location: &str) -> Option<Url> {
        Url::parse(location).or_else(|_| self.url.join(location)).ok()
    }

    fn redirected(&mut self, headers: &Headers) -> Event {
        let Some(location) = headers.get("location").map(Cow::into_owned) else {
            return Event::Failed(Failure::RedirectedNowhere);
        };
        let Some(mut target) = self.target(&location) else {
            return Event::Failed(Failure::Redirected(self.mask().quote(location.as_bytes())));
        };
        // Credentials in it are not ours to send.
        let _ = target.set_username("");
        let _ = target.set_password(None);
        if target == self.url {
            return Event::Failed(Failure::RedirectedToItself);
        }
        let line = Line::of(target.scheme());
        // Never to where others read along, if they do not here.
        let is_safe = line.is_some_and(|line| line.is_secret() || !self.settings.camera.line().is_secret());
        let known = is_safe && target.host() == self.settings.camera.url.host();
        if known && self.connections < MAX_CONNECTIONS {
            self.url = target;
            return Event::Connect;
        }
        if known {
            return Event::Failed(Failure::RedirectedInCircles);
        }
        let shown = format!(
            "{}://{}{}",
            target.scheme(),
            target.host_str().unwrap_or_default(),
            target.port().map(|port| format!(":{port}")).unwrap_or_default()
        );
        let path = if target.path().len() > 1 { "/..." } else { "" };
        let shown = self.mask().quote(format!("{shown}{path}").as_bytes());
        Event::Failed(match line {
            Some(_) if !is_safe => Failure::RedirectedInClear(shown),
            Some(_) => Failure::Redirected(shown),
            None => Failure::RedirectedElsewhere(shown),
        })
    }

    fn described(&mut self, message: &Message) -> Event {
        let headers = &message.head.headers;
        self.options_helped = self.options_first;
        self.description = sdp::read(&message.body);
        if let Some(server) = headers.get("server") {
            self.description.say(&server);
        }
        if self.description.media.is_empty() {
            // Where nothing was sent, its status says more.
            let said = if message.body.is_empty() { &message.raw } else { &message.body };
            let said = self.mask().quote(said);
            return Event::Failed(Failure::NoDescription(said));
        }
        let named = headers.get("content-base").or_else(|| headers.get("content-location"));
        self.base = Some(Base::new(&self.url, named.as_deref()));
        self.step = Step::Described;
        Event::Described
    }

    /// The track being set up, if the session can do without it.
    pub(super) fn optional(&self) -> Option<&Track> {
        self.tracks.get(self.set_up).filter(|track| !track.essential)
    }

    pub(super) fn leave_out(&mut self, why: &str) {
        let track = self.tracks.remove(self.set_up);
        self.notes.push(format!("{} is left out: {why}", track.name));
    }

    /// Asks for the next track, or plays if there is none.
    pub(super) fn next_track(&mut self, now: Instant) -> Option<Event> {
        let base = self.base.as_ref()?;
        if let Some(track) = self.tracks.get(self.set_up) {
            let control = self.description.media.get(track.media).and_then(|media| media.control.as_deref());
            self.urls = base.track(control, self.description.control.as_deref()).into();
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
        let profile = if self.says_feedback(track) { "RTP/AVPF" } else { "RTP/AVP" };
        let transport = match track.port {
            _ if track.shared => format!("{profile};multicast"),
            Some(port) => format!("{profile};unicast;client_port={port}-{}", port.saturating_add(1)),
            None => format!("{profile}/TCP;unicast;interleaved={}-{}", track.channels.0, track.channels.1),
        };
        self.exchange.send(Method::Setup, &url, vec![("Transport", transport)], now);
        self.track_urls.truncate(self.set_up);
        self.track_urls.push(url);
        true
    }

    fn track_set_up(&mut self, headers: &Headers, now: Instant) -> Option<Event> {
        let said = headers.get("transport").unwrap_or_default();
        let answer = read_transport(&said);
        let essential = self.optional().is_none();
        let group = self.group(&answer);
        if self.tracks[self.set_up].shared && group.is_none() && !answer.tcp {
            if essential {
                return Some(Event::Failed(Failure::OnlyUnicast(self.mask().quote(said.as_bytes()))));
            }
            self.leave_out("the camera does not send it by multicast");
            return self.next_track(now);
        }
        if answer.multicast && !self.tracks[self.set_up].shared {
            if essential {
                return Some(Event::Failed(Failure::OnlyMulticast(self.mask().quote(said.as_bytes()))));
            }
            self.leave_out("the camera sends it by multicast only");
            return self.next_track(now);
        }
        if answer.udp && !answer.multicast && self.tracks[self.set_up].port.is_none() {
            if essential {
                return Some(Event::Failed(Failure::OnlyUdp(self.mask().quote(said.as_bytes()))));
            }
            self.leave_out("the camera sends it over UDP only");
            return self.next_track(now);
        }
        let (before, rest) = self.tracks.split_at_mut(self.set_up);
        if let Some(track) = rest.first_mut() {
            track.settle(&answer, group, before);
        }
        self.set_up += 1;
        self.next_track(now)
    }

    /// The group that the track being set up is sent to, by what the answer says or else the description.
    fn group(&self, answer: &TransportAnswer) -> Option<Group> {
        let media = self.description.media.get(self.tracks.get(self.set_up)?.media)?;
        let described = media.group.or(self.description.group);
        let address = answer.destination.filter(Ipv4Addr::is_multicast);
        let address = address.or(described.map(|(address, _)| address)).filter(|_| answer.multicast)?;
        let described_ports = media.port.map(|port| (port, port.saturating_add(1)));
        let ports = answer.ports.or(answer.server_port).filter(|(port, _)| *port > 0).or(described_ports)?;
        let ttl = answer.ttl.or(described.and_then(|(_, ttl)| ttl)).unwrap_or(DEFAULT_TTL);
        Some(Group { address, ports, ttl })
    }

    /// Whether SETUP asks for the profile with feedback (RFC 4585 §4): some cameras that describe it refuse any
    /// other, some refuse that.
    fn says_feedback(&self, track: &Track) -> bool {
        !self.without_feedback && self.description.media.get(track.media).is_some_and(|media| media.feedback)
    }

    fn setup_refused(&mut self, refusal: Refusal, now: Instant) -> Option<Event> {
        if refusal.status == UNSUPPORTED_TRANSPORT
            && self.set_up == 0
            && std::mem::take(&mut self.or_tcp)
            && let Some(url) = self.track_urls.last()
        {
            self.urls.push_front(url.clone());
            self.transport = Transport::Tcp;
            self.tracks.iter_mut().for_each(|track| track.port = None);
            self.try_setup(now);
            return None;
        }
        if let Some(url) = self.track_urls.last().filter(|_| !refusal.is_about_url())
            && self.tracks.get(self.set_up).is_some_and(|track| self.says_feedback(track))
        {
            self.urls.push_front(url.clone());
            self.without_feedback = true;
            self.try_setup(now);
            return None;
        }
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
        if ABOUT_RANGE.contains(&refusal.status) && !self.without_range {
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

    pub(super) fn played(&mut self, now: Instant) {
        if self.one_by_one && self.try_play(now) {
            return;
        }
        self.step = Step::Playing;
        self.keepalive.schedule(self.exchange.session_timeout, now);
    }
}
