//! The WHEP player of all tests: str0m's engine on the other end, with ICE in full.
//!
//! Owns what a player does and sees, without a clock or a socket: it takes `now` and datagrams and gives datagrams. What
//! is between it and the server is its owner's: a link in [`world`](crate::world), a socket in
//! [`player`](crate::player) and [`viewers`](crate::viewers). It is no code of ours but for the way to its keys, so that it
//! can judge ours; where thousands have to be cheap, [`rig`](crate::rig) plays with those of `sluice load`.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use sluice_load::srtp::Srtp;
use sluice_media::dtls::{KeySlot, SharedDtls, with_key_slot};
use sluice_media::{Class, class};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{AbsCaptureTime, Extension, Ssrc};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcConfig, RtcError};

use crate::sdp::Section;

/// DTLS of all players: its keys can be had.
static DTLS: LazyLock<SharedDtls> = LazyLock::new(|| SharedDtls::new().expect("DTLS"));

/// When a player that has ended wants to be told the time.
const NEVER: Duration = Duration::from_secs(3_600);

/// How a player behaves.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// It puts frames together instead of giving packets.
    pub frames: bool,
    /// Audio by PCMU instead of Opus.
    pub pcmu: bool,
    /// It presents another certificate than it announced.
    pub impostor: bool,
    /// Its RTCP is read and written by the test; what its engine would send is thrown away, because a
    /// key has one emitter.
    pub by_hand: bool,
    /// It wants to be told when what comes was captured.
    pub capture_times: bool,
    /// It takes sound with the packet before it in front (RED).
    pub redundancy: bool,
}

impl Behaviour {
    /// Takes packets as they come.
    pub const PACKETS: Behaviour = Behaviour {
        frames: false,
        pcmu: false,
        impostor: false,
        by_hand: false,
        capture_times: false,
        redundancy: false,
    };
    /// Its RTCP is the test's.
    pub const BY_HAND: Behaviour = Behaviour { by_hand: true, ..Behaviour::PACKETS };
    /// Puts frames together.
    pub const FRAMES: Behaviour = Behaviour { frames: true, ..Behaviour::PACKETS };
}

/// A packet that came through, under its original number whether sent once or again.
#[derive(Debug, Clone)]
pub struct Packet {
    /// When it came.
    pub at: Instant,
    /// Its SSRC; of a packet that was sent again, that of the original.
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// Its extended sequence number.
    pub sequence: u64,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// Whether it ends its picture.
    pub marker: bool,
    /// When it was captured, of a packet that says so.
    pub captured: Option<AbsCaptureTime>,
    /// Its RTP payload.
    pub payload: Arc<[u8]>,
}

/// A whole frame.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Whether no packet is missing between this frame and the last.
    pub contiguous: bool,
    /// Its NAL units.
    pub nals: Vec<Vec<u8>>,
}

/// A datagram, and where it goes.
pub type Sent = (SocketAddr, Vec<u8>);

/// One player and what it saw.
pub struct Client {
    rtc: Rtc,
    host: SocketAddr,
    /// Its address as the server sees it: its own, unless a NAT is before it.
    pub public: SocketAddr,
    /// When it wants to be told the time.
    pub deadline: Instant,
    /// When ICE and DTLS were up.
    pub connected: Option<Instant>,
    /// The server said goodbye.
    pub closed: Option<Instant>,
    /// Its engine gave up.
    pub failed: Option<RtcError>,
    /// Media that came through, of a player that takes packets.
    pub packets: Vec<Packet>,
    /// Pictures that came through, of a player that takes frames.
    pub frames: Vec<Frame>,
    /// Sounds that came through, of such a player.
    pub sounds: Vec<Vec<u8>>,
    /// What was agreed on for its picture.
    pub video: Section,
    /// What was agreed on for its sound, if it has any.
    pub audio: Option<Section>,
    /// Compound reports of the server, opened; of a player by hand.
    pub reports: Vec<(Instant, Vec<u8>)>,
    by_hand: bool,
    keys: KeySlot,
    srtp: Option<Srtp>,
    pending: Option<SdpPendingOffer>,
    /// The last answer.
    answer: String,
}

impl Client {
    /// A player at `host` and the text of its offer.
    pub fn new(host: SocketAddr, behaviour: Behaviour, now: Instant) -> (Client, String) {
        let mut config = RtcConfig::new()
            .set_crypto_provider(DTLS.provider())
            .set_dtls_cert(DTLS.certificate())
            .clear_codecs()
            .enable_h264(true)
            .enable_opus(!behaviour.pcmu, behaviour.redundancy)
            .enable_pcmu(behaviour.pcmu, behaviour.redundancy)
            .set_rtp_mode(!behaviour.frames)
            .set_stats_interval(None);
        if behaviour.capture_times {
            config.extension_map().set(9, Extension::AbsoluteCaptureTime);
        }
        let (mut rtc, keys) = with_key_slot(|| config.build(now));
        rtc.add_local_candidate(Candidate::host(host, "udp").expect("a candidate"));
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().expect("two sections to offer");
        let mut text = offer.to_sdp_string();
        if behaviour.impostor {
            let at = text.find("a=fingerprint:sha-256 ").expect("a fingerprint") + 22;
            let other = if text[at..].starts_with("00") { "11" } else { "00" };
            text.replace_range(at..at + 2, other);
        }
        let client = Client {
            rtc,
            host,
            public: host,
            deadline: now,
            connected: None,
            closed: None,
            failed: None,
            packets: Vec::new(),
            frames: Vec::new(),
            sounds: Vec::new(),
            video: Section::default(),
            audio: None,
            reports: Vec::new(),
            by_hand: behaviour.by_hand,
            keys,
            srtp: None,
            pending: Some(pending),
            answer: String::new(),
        };
        (client, text)
    }

    /// Takes the answer to its offer.
    pub fn take_answer(&mut self, answer: &str) {
        self.answer = answer.to_owned();
        self.accept();
        self.video = Section::of(answer, "video").expect("video is agreed on");
        self.audio = Section::of(answer, "audio");
    }

    /// A new offer with new ICE credentials.
    pub fn offer_restart(&mut self) -> String {
        let mut api = self.rtc.sdp_api();
        api.ice_restart(true);
        let (offer, pending) = api.apply().expect("a restart to offer");
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    /// Takes the fragment that answers such an offer: the last answer with the credentials in it.
    pub fn take_restart(&mut self, fragment: &str) {
        let line = |name: &str| fragment.lines().find(|line| line.starts_with(name));
        let renewed =
            |old: &str| match ["a=ice-ufrag:", "a=ice-pwd:"].into_iter().find(|name| old.starts_with(name)) {
                Some(name) => line(name).expect("credentials").to_owned(),
                None => old.to_owned(),
            };
        self.answer = self.answer.lines().map(|old| renewed(old) + "\r\n").collect();
        self.accept();
    }

    /// Restarts ICE under credentials that the test has agreed on without an offer of the engine's.
    pub fn restart(&mut self, ours: IceCreds, theirs: IceCreds) {
        let mut api = self.rtc.direct_api();
        api.set_local_ice_credentials(ours);
        api.set_remote_ice_credentials(theirs);
    }

    fn accept(&mut self) {
        let pending = self.pending.take().expect("an offer is pending");
        let answer = SdpAnswer::from_sdp_string(&self.answer).expect("an answer that str0m reads");
        self.rtc.sdp_api().accept_answer(pending, answer).expect("an answer that str0m takes");
    }

    /// Both directions of its SRTP, from the beginning.
    pub fn srtp(&self) -> Srtp {
        Srtp::new(&DTLS.provider(), self.keys.get().expect("it connected")).expect("a profile of WebRTC")
    }

    /// Seals a compound report of a player by hand.
    pub fn seal(&mut self, compound: &[u8]) -> Vec<u8> {
        assert!(self.by_hand, "its engine seals reports already");
        let fresh = self.srtp();
        self.srtp.get_or_insert(fresh).seal_reports(compound).expect("an index is left")
    }

    /// The time, and what has come from an address, if anything has. Returns what it sends.
    pub fn handle(&mut self, now: Instant, datagram: Option<(SocketAddr, &[u8])>) -> Vec<Sent> {
        if self.failed.is_some() {
            self.deadline = now + NEVER;
            return Vec::new();
        }
        let receive = datagram
            .and_then(|(source, bytes)| Receive::new(Protocol::Udp, source, self.host, bytes).ok())
            .map_or(Input::Timeout(now), |receive| Input::Receive(now, receive));
        if let Some((_, bytes)) = datagram.filter(|(_, bytes)| self.by_hand && class(bytes) == Class::Rtcp) {
            let mut compound = Vec::new();
            assert!(self.srtp().open_reports(bytes, &mut compound), "a report that is authentic");
            self.reports.push((now, compound));
        }
        match self.rtc.handle_input(receive) {
            Ok(()) => self.drain(now),
            Err(error) => self.fail(error),
        }
    }

    /// Asks for a keyframe.
    pub fn request_keyframe(&mut self, now: Instant) -> Vec<Sent> {
        let ssrc = Ssrc::from(self.video.ssrc);
        let mut api = self.rtc.direct_api();
        api.stream_rx(&ssrc).expect("video came already").request_keyframe(KeyframeRequestKind::Pli);
        self.handle(now, None)
    }

    /// Sends SCTP over the DTLS it has, as if a data channel had been agreed on.
    pub fn start_sctp(&mut self, now: Instant) -> Vec<Sent> {
        self.rtc.direct_api().start_sctp(true);
        self.handle(now, None)
    }

    /// Closes with a goodbye. One that has failed already has none.
    pub fn close(&mut self, now: Instant) -> Vec<Sent> {
        match self.rtc.close() {
            Ok(()) => self.drain(now),
            Err(error) => self.fail(error),
        }
    }

    /// A player whose handshake never ends gives up; what the server makes of that is the test's matter.
    fn fail(&mut self, error: RtcError) -> Vec<Sent> {
        self.failed = Some(error);
        self.deadline += NEVER;
        Vec::new()
    }

    fn drain(&mut self, now: Instant) -> Vec<Sent> {
        let mut sent = Vec::new();
        loop {
            match self.rtc.poll_output() {
                Err(error) => {
                    self.fail(error);
                    return sent;
                }
                Ok(Output::Transmit(transmit))
                    if self.by_hand && class(&transmit.contents) == Class::Rtcp => {}
                Ok(Output::Transmit(transmit)) => {
                    sent.push((transmit.destination, transmit.contents.to_vec()));
                }
                Ok(Output::Event(event)) => self.event(now, event),
                Ok(Output::Timeout(at)) => {
                    self.deadline = at.max(now + Duration::from_millis(1));
                    return sent;
                }
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => self.connected = Some(now),
            Event::Closed => self.closed = Some(now),
            Event::RtpPacket(packet) => self.packets.push(Packet {
                at: now,
                ssrc: *packet.header.ssrc,
                payload_type: *packet.header.payload_type,
                sequence: *packet.seq_no,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
                captured: packet.header.ext_vals.abs_capture_time,
                payload: packet.payload,
            }),
            Event::MediaData(data) if *data.pt == self.video.payload_type => {
                let nals = nal_units(&data.data);
                self.frames.push(Frame { contiguous: data.contiguous, nals });
            }
            Event::MediaData(data) => self.sounds.push(data.data.to_vec()),
            _ => {}
        }
    }

    /// Video packets that came through.
    pub fn pictures(&self) -> impl Iterator<Item = &Packet> {
        self.packets.iter().filter(|packet| packet.ssrc == self.video.ssrc)
    }
}

/// The NAL units of a byte stream (ITU-T H.264 Annex B). Payloads of our cameras hold no zero bytes.
fn nal_units(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(&[0, 0, 0, 1]).or_else(|| rest.strip_prefix(&[0, 0, 1])) {
            units.push(Vec::new());
            rest = behind;
        } else {
            units.last_mut().expect("begins with a start code").push(rest[0]);
            rest = &rest[1..];
        }
    }
    units
}
