//! One WHEP viewer without a socket: takes `now` and datagrams, gives datagrams and counts.
//!
//! The engine does ICE (full, controlling), DTLS and SDP. **Media never reaches it**: packets are counted by their clear
//! header, and only retransmissions, sound that goes twice (RED) and the packets of a verifying viewer are decrypted, with the
//! keys that the engine's DTLS handed out. Reports, NACK, PLI and REMB are built and sealed in `feedback`; what the engine would send under the
//! same keys is discarded. What becomes of media is `media`'s.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_media::dtls::{KeySlot, SharedDtls, with_key_slot};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::config::CryptoProvider;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

use super::delay::Delays;
use super::formats::Formats;
use super::frames::{Frames, Verdict};
use super::impair::{Impairment, Path};
use super::packet::{self, Datagram};
use super::sequence::Sequence;
use super::srtp::Srtp;
use super::track::Track;

mod feedback;
mod media;
mod types;

pub use types::{Behaviour, ClientError, Stage, Totals, Transmit};

/// Polls of one call at the most; an engine that still has output then is broken.
const MAX_POLLS: usize = 1_024;

/// Time until an unanswered ICE check is sent again; libwebrtc checks a new pair every 48 ms. It
/// doubles up to the engine's 3 s.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Checks without an answer before a path is given up: with the intervals above 36 s, so that no viewer
/// leaves before its consent is 30 s old (RFC 7675 §5.1). With the engine's own number a server that
/// stalls for 4 s loses viewers that a browser would have kept.
const CHECKS: usize = 16;

/// One viewer.
pub struct Client {
    rtc: Rtc,
    pending: Option<SdpPendingOffer>,
    keys: KeySlot,
    crypto: Arc<CryptoProvider>,
    srtp: Option<Srtp>,
    local: SocketAddr,
    server: Option<SocketAddr>,
    stage: Stage,
    behaviour: Behaviour,
    formats: Formats,
    tracks: Vec<Track>,
    repairs: Option<(u32, Sequence)>,
    frames: Option<Frames>,
    path: Option<Path>,
    frozen: bool,
    /// The packet that the last mile holds back.
    held: Vec<u8>,
    /// Our SSRC as a sender of reports; not 0, which some servers discard.
    own_ssrc: u32,
    engine_deadline: Instant,
    next_report: Option<Instant>,
    bytes_reported: u64,
    connected_at: Option<Instant>,
    first_packet_at: Option<Instant>,
    totals: Totals,
    scratch: Vec<u8>,
}

impl Client {
    /// A viewer with a socket at `local`, and its offer. `id` tells it from the others in captures.
    pub fn new(
        now: Instant,
        local: SocketAddr,
        id: u32,
        behaviour: Behaviour,
        dtls: &SharedDtls,
    ) -> Result<(Client, String), ClientError> {
        let config = configuration().set_crypto_provider(dtls.provider()).set_dtls_cert(dtls.certificate());
        let (mut rtc, keys) = with_key_slot(|| config.build(now));
        let candidate = Candidate::host(local, "udp").map_err(|_| ClientError::Candidate(local))?;
        rtc.add_local_candidate(candidate);
        let mut change = rtc.sdp_api();
        for kind in [MediaKind::Audio, MediaKind::Video] {
            change.add_media(kind, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = change.apply().ok_or(ClientError::Endless)?;
        let client = Client {
            rtc,
            pending: Some(pending),
            keys,
            crypto: dtls.provider(),
            srtp: None,
            local,
            server: None,
            stage: Stage::Offered,
            behaviour,
            formats: Formats::default(),
            tracks: Vec::new(),
            repairs: None,
            frames: None,
            path: (behaviour.impairment != Impairment::default())
                .then(|| Path::new(behaviour.impairment, behaviour.seed)),
            frozen: false,
            held: Vec::new(),
            own_ssrc: id.wrapping_add(1).max(1),
            engine_deadline: now,
            next_report: None,
            bytes_reported: 0,
            connected_at: None,
            first_packet_at: None,
            totals: Totals::default(),
            scratch: Vec::new(),
        };
        Ok((client, offer.to_sdp_string()))
    }

    /// The server's answer: begins ICE.
    pub fn handle_answer(
        &mut self,
        now: Instant,
        sdp: &str,
        out: &mut Transmit<'_>,
    ) -> Result<(), ClientError> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let answer =
            SdpAnswer::from_sdp_string(sdp).map_err(|error| ClientError::Answer(error.to_string()))?;
        self.rtc.sdp_api().accept_answer(pending, answer)?;
        self.formats = Formats::of_answer(sdp);
        self.stage = Stage::Checking;
        self.rtc.handle_input(Input::Timeout(now))?;
        self.drain(now, out)
    }

    /// One datagram of the server.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
        out: &mut Transmit<'_>,
    ) -> Result<(), ClientError> {
        match packet::classify(datagram) {
            Datagram::Rtp(header) => {
                self.server = Some(source);
                self.handle_media(now, header, datagram);
            }
            Datagram::Rtcp => self.handle_reports(now, datagram),
            Datagram::Control => {
                if let Ok(receive) = Receive::new(Protocol::Udp, source, self.local, datagram) {
                    self.rtc.handle_input(Input::Receive(now, receive))?;
                    return self.drain(now, out);
                }
                self.totals.unknown += 1;
            }
            Datagram::Unknown => self.totals.unknown += 1,
        }
        Ok(())
    }

    /// When to call [`Client::handle_timeout`] at the latest.
    pub fn deadline(&self) -> Instant {
        let tracks = self.tracks.iter().filter_map(Track::deadline).min();
        let frames = self.frames.as_ref().and_then(Frames::deadline);
        [tracks, frames, self.next_report].into_iter().flatten().fold(self.engine_deadline, Instant::min)
    }

    /// Tells the time; sends what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Transmit<'_>) -> Result<(), ClientError> {
        if now >= self.engine_deadline {
            self.rtc.handle_input(Input::Timeout(now))?;
            self.drain(now, out)?;
        }
        if let Some(frames) = &mut self.frames {
            frames.handle_timeout(now);
        }
        self.send_feedback(now, out);
        Ok(())
    }

    /// Says goodbye (DTLS `close_notify`).
    pub fn close(&mut self, now: Instant, out: &mut Transmit<'_>) {
        // A viewer on its way out has nobody to tell about a failure.
        let _ = self.rtc.close();
        let _ = self.drain(now, out);
    }

    /// From now on only what is missing is taken, and nothing else is counted or impaired.
    pub fn freeze(&mut self, now: Instant) {
        self.frozen = true;
        self.tracks.iter_mut().for_each(|track| track.freeze(now));
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// When ICE and DTLS were done.
    pub fn connected_at(&self) -> Option<Instant> {
        self.connected_at
    }

    /// When the first media packet came.
    pub fn first_packet_at(&self) -> Option<Instant> {
        self.first_packet_at
    }

    /// What it counted so far.
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals;
        for track in &self.tracks {
            totals.counts += track.counts();
            if track.video {
                totals.video += track.counts();
            }
        }
        totals.impaired = self.path.as_ref().map(Path::done).unwrap_or_default();
        totals
    }

    /// The longest time without a packet in any of its streams; none if nothing ever came.
    pub fn longest_gap(&self, now: Instant) -> Option<Duration> {
        self.tracks.iter().map(|track| track.longest_gap(now)).max()
    }

    /// The worst interarrival jitter of its streams.
    pub fn jitter(&self) -> Option<Duration> {
        self.tracks.iter().map(Track::jitter).max()
    }

    /// What verification found, if this viewer verifies and has connected.
    pub fn verdict(&self) -> Option<Verdict> {
        self.frames.as_ref().map(Frames::verdict)
    }

    /// The age of the next picture that this viewer has all of and that tells its send time, if it verifies.
    pub fn poll_delay(&mut self) -> Option<Duration> {
        self.frames.as_mut()?.poll_delay()
    }

    fn drain(&mut self, now: Instant, out: &mut Transmit<'_>) -> Result<(), ClientError> {
        for _ in 0..MAX_POLLS {
            match self.rtc.poll_output()? {
                Output::Timeout(deadline) => {
                    self.engine_deadline = deadline;
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    // Reports under our keys leave by `send_feedback` alone: one emitter a key.
                    if packet::classify(&transmit.contents) == Datagram::Control {
                        self.server.get_or_insert(transmit.destination);
                        out(transmit.destination, &transmit.contents);
                    }
                }
                Output::Event(event) => self.handle_event(now, &event)?,
            }
        }
        Err(ClientError::Endless)
    }

    fn handle_event(&mut self, now: Instant, event: &Event) -> Result<(), ClientError> {
        match event {
            Event::Connected => {
                let keying = self.keys.get().ok_or(ClientError::Profile)?;
                let srtp = Srtp::new(&self.crypto, keying).ok_or(ClientError::Profile)?;
                self.srtp = Some(srtp);
                self.frames = self.behaviour.verify.map(|wall| Frames::new(Delays::since(now, wall)));
                self.connected_at = Some(now);
                self.next_report = Some(now + feedback::REPORT_INTERVAL);
                self.stage = Stage::Connected;
            }
            // Before the first path this only says that none of the candidates known can work. A full agent
            // may still check us from an address that its answer did not name (RFC 8445 §7.3.1.3).
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.stage = if self.connected_at.is_some() { Stage::Gone } else { Stage::Checking };
            }
            Event::IceConnectionStateChange(
                IceConnectionState::Connected | IceConnectionState::Completed,
            ) => {
                self.stage = match self.stage {
                    Stage::Checking => Stage::Handshaking,
                    Stage::Gone => Stage::Connected,
                    other => other,
                };
            }
            Event::Closed => self.stage = Stage::Closed,
            _ => {}
        }
        Ok(())
    }
}

/// An engine that offers what browsers do, without transport-cc: REMB is what we can answer with.
fn configuration() -> RtcConfig {
    let mut extensions = ExtensionMap::empty();
    extensions.set(1, Extension::AbsoluteSendTime);
    extensions.set(4, Extension::RtpMid);
    let never = Duration::from_secs(3_600);
    let mut config = RtcConfig::new()
        .clear_codecs()
        .enable_opus(true, true)
        .enable_pcmu(true, false)
        .enable_pcma(true, false)
        .enable_h264(true)
        .enable_h265(true)
        .enable_vp8(true)
        .enable_vp9(true)
        .enable_av1(true)
        .set_rtp_mode(true)
        .set_extension_map(extensions)
        .set_stats_interval(None)
        // Its reports are discarded: let it make few.
        .set_rtcp_report_interval_audio(never)
        .set_rtcp_report_interval_video(never);
    config.set_initial_stun_rto(CHECK_INTERVAL);
    config.set_max_stun_retransmits(CHECKS);
    let mut params: Vec<_> = config.codec_config().params().to_vec();
    params.iter_mut().for_each(|params| params.set_fb_transport_cc(false));
    *config.codec_config() = str0m::format::CodecConfig::new_from_payload_params(params);
    config
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
