//! The engine of one peer: str0m's `Rtc` behind one contract.
//!
//! **Every mutation of the `Rtc` is followed by a drain to its next timeout, inside the same call.**
//! A call therefore (1) hands the engine one input: a datagram or the time; (2) polls it until it asks
//! for a timeout, passing each datagram on to the [`Control`] but those that only the sealer may send;
//! (3) returns a [`Turn`]: what happened, and when the engine wants to be called next. Panics of the
//! library and polls without end become [`EngineError`]: this viewer ends, nobody else notices.
//! Only this file touches `Rtc`; it never opens sockets, never reads a clock and never sees media.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use sluice_media::dtls::{KeySlot, SharedDtls, with_key_slot};
use sluice_media::srtp::{Library, Opener, ReportKeys, Sealer, SendKeys};
use sluice_media::{Codec, class};
use str0m::config::{CryptoProvider, Fingerprint};
use str0m::media::Pt;
use str0m::net::{Protocol, Receive};
use str0m::rtp::Ssrc;
use str0m::{Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcConfig, RtcError};

use super::{Control, Path};

/// Polls of one call at the most; an engine that still has output then is broken and ends.
///
/// Media never passes it: the longest output is a flight of the handshake, some ten datagrams. Lower ends a peer whose
/// flight is long, higher lets a broken engine hold its shard longer (one poll is about 2 µs).
const MAX_POLLS: usize = 4_096;

/// One media section as negotiated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaParams {
    /// Identification tag (RFC 5888). str0m's type holds 16 bytes, and some stacks write UUIDs.
    pub mid: String,
    /// What is sent in it.
    pub codec: Codec,
    /// Payload type of the media.
    pub payload_type: Pt,
    /// Payload type of its retransmissions (RFC 4588), if the peer takes them.
    pub rtx_payload_type: Option<Pt>,
    /// Payload type of the media with the packet before it in front (RFC 2198), if the peer takes that.
    pub redundant_payload_type: Option<Pt>,
    /// `a=fmtp` of the payload type as the peer offered it; empty if it had none.
    pub format: String,
    /// SSRC of the media.
    pub ssrc: Ssrc,
    /// SSRC of its retransmissions.
    pub rtx_ssrc: Ssrc,
    /// Header extension id of `abs-send-time`, if offered.
    pub abs_send_time_id: Option<u8>,
    /// Header extension id of `abs-capture-time`, if offered.
    pub abs_capture_time_id: Option<u8>,
    /// Header extension id of MID (RFC 9143 §15), if offered.
    pub mid_id: Option<u8>,
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
    /// More polls in one call than an engine with an end of output needs.
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
    /// The peer closed, or our own close is complete.
    pub closed: bool,
    /// RTP or RTCP datagrams of the engine's own that were withheld.
    pub withheld: u32,
    /// DTLS records of the peer that carry application data.
    pub application_data: u32,
    /// DTLS records of the peer that the library refused.
    pub dtls_refused: u32,
}

/// str0m's `Rtc`: ICE and DTLS. It is given no media and no RTCP, so it emits none.
pub struct Engine {
    rtc: Rtc,
    candidates: Vec<SocketAddr>,
    keys: KeySlot,
    crypto: Arc<CryptoProvider>,
    library: Library,
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
    pub fn restart_ice(
        &mut self,
        now: Instant,
        local: Credentials,
        remote: Credentials,
        egress: &mut dyn Control,
    ) -> Result<Turn, EngineError> {
        self.turn(egress, |rtc| {
            let mut api = rtc.direct_api();
            api.set_local_ice_credentials(local.into());
            api.set_remote_ice_credentials(remote.into());
            rtc.handle_input(Input::Timeout(now))
        })
    }

    /// What seals this viewer's media, once the handshake is done. Call it once: two sealers of one key
    /// would use its indices twice.
    pub(crate) fn sealer(&self) -> Option<Sealer> {
        Sealer::new(&SendKeys::derive(self.keys.get()?, &self.crypto)?, self.library)
    }

    /// What opens this viewer's reports, once the handshake is done. Call it once: each knows for itself what
    /// came before.
    pub(crate) fn opener(&self) -> Option<Opener> {
        Opener::new(&ReportKeys::derive(self.keys.get()?, &self.crypto)?, self.library)
    }

    /// The announced address that stands for a datagram's local address.
    ///
    /// The kernel tells the address of the interface; behind a 1:1 NAT the announced one differs,
    /// and the engine knows only announced ones.
    pub fn candidate_for(&self, local: Option<std::net::IpAddr>, source: SocketAddr) -> Option<SocketAddr> {
        let exact = self.candidates.iter().find(|candidate| Some(candidate.ip()) == local);
        exact.or_else(|| self.candidates.iter().find(|c| c.is_ipv4() == source.is_ipv4())).copied()
    }

    /// Hands one datagram to the engine. One that cannot be parsed changes nothing, and of STUN only authentic
    /// requests (RFC 8489 §9.1.3) change anything: they alone are answered, before anything else is sent.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        local: SocketAddr,
        datagram: &[u8],
        egress: &mut dyn Control,
    ) -> Result<Turn, EngineError> {
        self.turn(egress, |rtc| match Receive::new(Protocol::Udp, source, local, datagram) {
            Ok(receive) => rtc.handle_input(Input::Receive(now, receive)),
            Err(_) => Ok(()),
        })
    }

    /// Tells the engine the time.
    pub fn handle_timeout(&mut self, now: Instant, egress: &mut dyn Control) -> Result<Turn, EngineError> {
        self.turn(egress, |rtc| rtc.handle_input(Input::Timeout(now)))
    }

    /// Says goodbye: a DTLS close_notify (RFC 9725 §4.2: immediate revocation).
    pub fn close(&mut self, egress: &mut dyn Control) -> Result<Turn, EngineError> {
        self.turn(egress, |rtc| rtc.close())
    }

    fn turn(
        &mut self,
        egress: &mut dyn Control,
        mutate: impl FnOnce(&mut Rtc) -> Result<(), RtcError>,
    ) -> Result<Turn, EngineError> {
        let rtc = &mut self.rtc;
        let turn = catch_unwind(AssertUnwindSafe(|| {
            mutate(rtc)?;
            drain(rtc, egress)
        }));
        let (application_data, dtls_refused) = self.keys.take_discarded();
        turn.unwrap_or(Err(EngineError::Panic)).map(|turn| Turn { application_data, dtls_refused, ..turn })
    }
}

fn drain(rtc: &mut Rtc, egress: &mut dyn Control) -> Result<Turn, EngineError> {
    let (mut connected, mut ice, mut closed) = (false, None, false);
    let mut withheld = 0;
    for _ in 0..MAX_POLLS {
        match rtc.poll_output()? {
            // One emitter per SRTP key: whatever the engine makes of RTP or RTCP never leaves.
            Output::Transmit(transmit) if class(&transmit.contents).is_srtp() => withheld += 1,
            Output::Transmit(transmit) => {
                let path = Path { remote: transmit.destination.into(), local: Some(transmit.source.ip()) };
                egress.transmit(path, &transmit.contents);
            }
            Output::Event(Event::Connected) => connected = true,
            Output::Event(Event::IceConnectionStateChange(state)) => match state {
                IceConnectionState::Connected | IceConnectionState::Completed => ice = Some(true),
                IceConnectionState::Disconnected => ice = Some(false),
                _ => {}
            },
            Output::Event(Event::Closed) => closed = true,
            Output::Event(_) => {}
            Output::Timeout(deadline) => {
                let closed = closed || !rtc.is_alive();
                let (application_data, dtls_refused) = (0, 0);
                return Ok(Turn {
                    deadline,
                    connected,
                    ice,
                    closed,
                    withheld,
                    application_data,
                    dtls_refused,
                });
            }
        }
    }
    Err(EngineError::Endless)
}

fn build(params: EngineParams, shared: &SharedDtls, now: Instant) -> Result<Engine, EngineError> {
    let config = RtcConfig::new()
        .set_crypto_provider(shared.provider())
        .set_dtls_cert(shared.certificate())
        .set_local_ice_credentials(params.local_credentials.clone().into())
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .set_stats_interval(None)
        .clear_codecs()
        .clear_extension_map();
    let (mut rtc, keys) = with_key_slot(|| config.build(now));

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
    let (crypto, library) = (shared.provider(), shared.library());
    Ok(Engine { rtc, candidates: params.candidates, keys, crypto, library })
}
