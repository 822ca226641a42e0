//! The engine of one viewer: str0m's `Rtc` behind one contract.
//!
//! **Every mutation of the `Rtc` is followed by a drain to its next timeout, inside the same call.**
//! A call therefore (1) hands the engine one input: a datagram, the time, or the packets of one
//! train; (2) polls it until it asks for a timeout, passing each datagram on to the [`Egress`];
//! (3) returns a [`Turn`]: what happened, and when the engine wants to be called next. Panics of the
//! library and polls without end become [`EngineError`]: this viewer ends, nobody else notices.
//! Only this file touches `Rtc`; it never opens sockets and never reads a clock.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::config::Fingerprint;
use str0m::format::{CodecConfig, CodecSpec, FormatParams, PayloadParams};
use str0m::ice::StunMessage;
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, RtpWrite, Ssrc};
use str0m::{Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcConfig, RtcError};

use super::dtls::SharedDtls;
use crate::shard::Egress;
use crate::track::{Codec, Kind};

/// Polls of one call at the most; an engine that still has output then is broken and ends.
///
/// A keyframe is a few hundred packets. Lower ends good viewers in a burst; higher lets a broken
/// engine hold its shard longer (one poll is about 2 µs).
const MAX_POLLS: usize = 4_096;

/// Packets that str0m keeps for retransmission, per video track.
///
/// At 250 packets a second this is the 1 s that a NACK may reach back. Raising it costs about
/// 450 bytes a packet and viewer; lowering it loses repairs over long round trips.
const RTX_CACHE_PACKETS: usize = 256;

/// How long str0m keeps a packet for retransmission.
const RTX_CACHE_AGE: Duration = Duration::from_secs(1);

/// Retransmissions are at most this part of what a viewer is sent.
const RTX_RATIO: f32 = 0.15;

/// One media section as negotiated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaParams {
    /// Identification tag (RFC 5888); at most 16 bytes.
    pub mid: String,
    /// What is sent in it.
    pub codec: Codec,
    /// Payload type of the media.
    pub payload_type: u8,
    /// Payload type of its retransmissions (RFC 4588), if the peer takes them.
    pub rtx_payload_type: Option<u8>,
    /// `a=fmtp` of the payload type as the peer offered it; empty if it had none.
    pub format: String,
    /// SSRC of the media.
    pub ssrc: u32,
    /// SSRC of its retransmissions.
    pub rtx_ssrc: u32,
}

/// What an engine is built from: the outcome of one negotiation.
#[derive(Debug, Clone)]
pub struct EngineParams {
    /// Our ICE user name fragment and password, from a cryptographic generator (the library's own
    /// come from one that is not).
    pub local_credentials: Credentials,
    /// The peer's ICE user name fragment and password.
    pub remote_credentials: Credentials,
    /// Hash function and digest of the peer's certificate (RFC 8122 §5).
    pub remote_fingerprint: (String, Vec<u8>),
    /// Whether we are the DTLS client, for peers that insist on `a=setup:passive`.
    pub dtls_active: bool,
    /// Where this engine can be reached: the candidates of the answer.
    pub candidates: Vec<SocketAddr>,
    /// The media sections that carry something, in the order of the offer.
    pub media: Vec<MediaParams>,
    /// Header extension id of `abs-send-time`, if offered.
    pub abs_send_time_id: Option<u8>,
    /// Header extension id of MID (RFC 8843 §15), if offered.
    pub mid_id: Option<u8>,
    /// Time between sender reports.
    pub report_interval: Duration,
}

/// ICE user name fragment and password (RFC 8445 §5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name fragment: 4 to 256 characters.
    pub ufrag: String,
    /// Password: 22 to 256 characters.
    pub pwd: String,
}

impl From<Credentials> for IceCreds {
    fn from(Credentials { ufrag, pwd }: Credentials) -> IceCreds {
        IceCreds { ufrag, pass: pwd }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, ***)", self.ufrag)
    }
}

/// Why an engine cannot be built or go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The library refused an input.
    #[error("the engine failed: {0}")]
    Rtc(#[from] RtcError),
    /// A candidate address cannot be announced.
    #[error("address {0} cannot be announced as an ICE candidate")]
    Candidate(SocketAddr),
    /// The library panicked. The viewer's state is lost, nothing else is.
    #[error("the engine panicked")]
    Panic,
    /// More polls than [`MAX_POLLS`] in one call.
    #[error("the engine had no end of output")]
    Endless,
}

/// What one call of the engine brought about.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// When the engine wants [`Engine::handle_timeout`] at the latest.
    pub deadline: Instant,
    /// ICE and DTLS are up: media may flow.
    pub connected: bool,
    /// The peer answered consent checks again (`true`) or stopped (`false`), if that changed.
    pub ice: Option<bool>,
    /// The peer asked for a keyframe (PLI or FIR, RFC 4585 §6.3.1, RFC 5104 §4.3.1).
    pub keyframe_request: bool,
    /// The peer closed, or our own close is complete.
    pub closed: bool,
}

/// One packet to send, in the viewer's own numbering.
#[derive(Debug)]
pub struct OutgoingPacket<'a> {
    /// Extended sequence number; its upper bits are the SRTP rollover counter.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// When it was captured.
    pub captured: Instant,
    /// RTP marker bit.
    pub marker: bool,
    /// Payload.
    pub payload: &'a Arc<[u8]>,
}

/// str0m's `Rtc` and what it takes to write to it.
pub struct Engine {
    rtc: Rtc,
    outgoing: Vec<MediaParams>,
    candidates: Vec<SocketAddr>,
}

impl Engine {
    /// Builds an engine that waits for the peer's first STUN request.
    pub fn new(params: EngineParams, shared: &SharedDtls, now: Instant) -> Result<Engine, EngineError> {
        catch_unwind(AssertUnwindSafe(|| build(params, shared, now))).unwrap_or(Err(EngineError::Panic))
    }

    /// Our ICE user name fragment: what the peer's STUN requests name first.
    pub fn local_ufrag(&mut self) -> String {
        self.rtc.direct_api().local_ice_credentials().ufrag
    }

    /// Replaces both sides' ICE credentials: an ICE restart (RFC 8445 §9).
    ///
    /// An ICE-lite agent sends no checks, so the running pair stays valid until the peer
    /// nominates another.
    pub fn restart_ice(&mut self, local: Credentials, remote: Credentials) {
        let mut api = self.rtc.direct_api();
        api.set_local_ice_credentials(local.into());
        api.set_remote_ice_credentials(remote.into());
    }

    /// Whether the peer agreed to media of this codec.
    pub fn sends(&self, codec: Codec) -> bool {
        self.outgoing.iter().any(|media| media.codec == codec)
    }

    /// The announced address that stands for a datagram's local address.
    ///
    /// The kernel tells the address of the interface; behind a 1:1 NAT the announced one differs,
    /// and the engine knows only announced ones.
    pub fn candidate_for(&self, local: Option<std::net::IpAddr>, source: SocketAddr) -> Option<SocketAddr> {
        let exact = self.candidates.iter().find(|candidate| Some(candidate.ip()) == local);
        exact.or_else(|| self.candidates.iter().find(|c| c.is_ipv4() == source.is_ipv4())).copied()
    }

    /// Whether `datagram` is a STUN request for us, its integrity checked (RFC 8489 §9.1.3).
    pub fn is_authentic(&self, now: Instant, local: SocketAddr, datagram: &[u8]) -> bool {
        // The library takes everything from the address it sends to on trust. Port 0 is no one's, so
        // that it judges the message alone.
        let nobody = SocketAddr::new(local.ip(), 0);
        catch_unwind(AssertUnwindSafe(|| match Receive::new(Protocol::Udp, nobody, local, datagram) {
            Ok(receive) => self.rtc.accepts(&Input::Receive(now, receive)),
            Err(_) => false,
        }))
        .unwrap_or(false)
    }

    /// Whether `datagram` is an authentic STUN request that nominates the path it came on
    /// (USE-CANDIDATE, RFC 8445 §7.3.1.5).
    pub fn is_nomination(&self, now: Instant, local: SocketAddr, datagram: &[u8]) -> bool {
        let says = |message: StunMessage<'_>| message.is_binding_request() && message.use_candidate();
        StunMessage::parse(datagram).is_ok_and(says) && self.is_authentic(now, local, datagram)
    }

    /// Hands one datagram to the engine. One that cannot be parsed changes nothing.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        local: SocketAddr,
        datagram: &[u8],
        egress: &mut dyn Egress,
    ) -> Result<Turn, EngineError> {
        self.turn(egress, |rtc| match Receive::new(Protocol::Udp, source, local, datagram) {
            Ok(receive) => rtc.handle_input(Input::Receive(now, receive)),
            Err(_) => Ok(()),
        })
    }

    /// Tells the engine the time.
    pub fn handle_timeout(&mut self, now: Instant, egress: &mut dyn Egress) -> Result<Turn, EngineError> {
        self.turn(egress, |rtc| rtc.handle_input(Input::Timeout(now)))
    }

    /// Sends the packets of one train. Packets of a codec that was not negotiated are ignored.
    pub fn send<'a>(
        &mut self,
        now: Instant,
        codec: Codec,
        packets: impl Iterator<Item = OutgoingPacket<'a>>,
        egress: &mut dyn Egress,
    ) -> Result<Turn, EngineError> {
        let media = self.outgoing.iter().find(|media| media.codec == codec);
        let target =
            media.map(|media| (Ssrc::from(media.ssrc), media.payload_type, media.rtx_payload_type.is_some()));
        self.turn(egress, |rtc| {
            if let Some((ssrc, payload_type, nackable)) = target
                && let Some(stream) = rtc.direct_api().stream_tx(&ssrc)
            {
                for packet in packets {
                    let write = RtpWrite::new(
                        Pt::new_with_value(payload_type),
                        packet.sequence.into(),
                        packet.timestamp,
                        packet.captured,
                        packet.payload.clone(),
                    );
                    stream.write_rtp(write.marker(packet.marker).nackable(nackable));
                }
            }
            // The send queue moves only when time does.
            rtc.handle_input(Input::Timeout(now))
        })
    }

    /// Says goodbye: RTCP BYE and a DTLS close_notify (RFC 9725 §4.2: immediate revocation).
    pub fn close(&mut self, egress: &mut dyn Egress) -> Result<Turn, EngineError> {
        self.turn(egress, |rtc| rtc.close())
    }

    fn turn(
        &mut self,
        egress: &mut dyn Egress,
        mutate: impl FnOnce(&mut Rtc) -> Result<(), RtcError>,
    ) -> Result<Turn, EngineError> {
        let rtc = &mut self.rtc;
        catch_unwind(AssertUnwindSafe(|| {
            mutate(rtc)?;
            drain(rtc, egress)
        }))
        .unwrap_or(Err(EngineError::Panic))
    }
}

fn drain(rtc: &mut Rtc, egress: &mut dyn Egress) -> Result<Turn, EngineError> {
    let (mut connected, mut ice, mut keyframe_request, mut closed) = (false, None, false, false);
    for _ in 0..MAX_POLLS {
        match rtc.poll_output()? {
            Output::Transmit(transmit) => {
                egress.transmit(transmit.destination, Some(transmit.source.ip()), &transmit.contents);
            }
            Output::Event(Event::Connected) => connected = true,
            Output::Event(Event::IceConnectionStateChange(state)) => match state {
                IceConnectionState::Connected | IceConnectionState::Completed => ice = Some(true),
                IceConnectionState::Disconnected => ice = Some(false),
                _ => {}
            },
            Output::Event(Event::KeyframeRequest(_)) => keyframe_request = true,
            Output::Event(Event::Closed) => closed = true,
            Output::Event(_) => {}
            Output::Timeout(deadline) => {
                let closed = closed || !rtc.is_alive();
                return Ok(Turn { deadline, connected, ice, keyframe_request, closed });
            }
        }
    }
    Err(EngineError::Endless)
}

fn build(params: EngineParams, shared: &SharedDtls, now: Instant) -> Result<Engine, EngineError> {
    let mut config = RtcConfig::new()
        .set_crypto_provider(shared.provider())
        .set_dtls_cert(shared.certificate())
        .set_local_ice_credentials(params.local_credentials.clone().into())
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .set_stats_interval(None)
        .set_extension_map(extensions(&params))
        .set_rtcp_report_interval_audio(params.report_interval)
        .set_rtcp_report_interval_video(params.report_interval)
        .set_send_buffer_audio(1)
        .set_send_buffer_video(RTX_CACHE_PACKETS);
    *config.codec_config() =
        CodecConfig::new_from_payload_params(params.media.iter().map(payload_params).collect());
    let mut rtc = config.build(now);

    for &address in &params.candidates {
        let candidate = Candidate::host(address, "udp").map_err(|_| EngineError::Candidate(address))?;
        rtc.add_local_candidate(candidate);
    }
    let mut api = rtc.direct_api();
    api.set_ice_controlling(false);
    api.set_remote_ice_credentials(params.remote_credentials.into());
    let (hash_func, bytes) = params.remote_fingerprint;
    api.set_remote_fingerprint(Fingerprint { hash_func, bytes });
    api.start_dtls(params.dtls_active)?;
    for media in &params.media {
        let mid = Mid::from(media.mid.as_str());
        let kind = match media.codec.kind() {
            Kind::Audio => MediaKind::Audio,
            Kind::Video => MediaKind::Video,
        };
        api.declare_media(mid, kind);
        let rtx = media.rtx_payload_type.map(|_| Ssrc::from(media.rtx_ssrc));
        let stream = api.declare_stream_tx(Ssrc::from(media.ssrc), rtx, mid, None);
        if rtx.is_some() {
            stream.set_rtx_cache(RTX_CACHE_PACKETS, RTX_CACHE_AGE, Some(RTX_RATIO));
        }
    }
    Ok(Engine { rtc, outgoing: params.media, candidates: params.candidates })
}

fn extensions(params: &EngineParams) -> ExtensionMap {
    let mut map = ExtensionMap::empty();
    if let Some(id) = params.abs_send_time_id {
        map.set(id, Extension::AbsoluteSendTime);
    }
    if let Some(id) = params.mid_id {
        map.set(id, Extension::RtpMid);
    }
    map
}

fn payload_params(media: &MediaParams) -> PayloadParams {
    let (codec, clock_rate, channels) = match media.codec {
        Codec::H264 => (str0m::format::Codec::H264, Frequency::NINETY_KHZ, None),
        Codec::Opus => (str0m::format::Codec::Opus, Frequency::FORTY_EIGHT_KHZ, Some(2)),
        Codec::Pcmu => (str0m::format::Codec::PCMU, Frequency::EIGHT_KHZ, None),
        Codec::Pcma => (str0m::format::Codec::PCMA, Frequency::EIGHT_KHZ, None),
    };
    let format = FormatParams::parse_line(&media.format);
    let spec = CodecSpec { codec, clock_rate, channels, format };
    let resend = media.rtx_payload_type.map(Pt::new_with_value);
    let mut params = PayloadParams::new(Pt::new_with_value(media.payload_type), resend, spec);
    // REMB is what viewers report by (docs/ARCHITECTURE.md); transport-cc costs a packet per frame.
    params.set_fb_transport_cc(false);
    params
}
