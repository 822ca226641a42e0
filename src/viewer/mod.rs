//! Viewers: one remote WHEP player each, with its engine and its place in every track.
//!
//! Owns a viewer's life: waiting for STUN, connected, silent, gone. Takes `now` and bytes; never
//! reads a clock, opens a socket or knows other viewers.

mod dtls;
mod engine;
mod forward;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use dtls::{DtlsSetupError, SharedDtls};
pub use engine::{Credentials, Engine, EngineError, EngineParams, MediaParams, OutgoingPacket, Turn};
pub use forward::{Forward, Forwarder, KeyframeAnswer};

use crate::id::{SessionId, StreamId};
use crate::shard::Egress;
use crate::track::{Kind, Recent, Train};

/// Addresses of one viewer at the most (design invariant 7): more than any browser has, few enough
/// that a hostile one cannot fill the table.
const MAX_PATHS: usize = 8;

/// An address silent for this long may be replaced by a new one.
const PATH_IDLE: Duration = Duration::from_secs(30);

/// str0m reports ICE as disconnected after this long without an authenticated STUN request.
const ENGINE_CONSENT: Duration = Duration::from_secs(15);

/// Why a viewer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// DELETE of its session.
    Deleted,
    /// The peer closed DTLS.
    PeerClosed,
    /// Not connected in time after the offer.
    SetupTimeout,
    /// No consent check for too long (RFC 7675 §5.1).
    ConsentExpired,
    /// Its engine failed or panicked.
    EngineFailed,
    /// The server stops.
    Shutdown,
}

impl EndReason {
    /// All reasons, for metrics.
    pub const ALL: [EndReason; 6] = [
        EndReason::Deleted,
        EndReason::PeerClosed,
        EndReason::SetupTimeout,
        EndReason::ConsentExpired,
        EndReason::EngineFailed,
        EndReason::Shutdown,
    ];

    /// The value of the `reason` label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            EndReason::Deleted => "deleted",
            EndReason::PeerClosed => "peer_closed",
            EndReason::SetupTimeout => "setup_timeout",
            EndReason::ConsentExpired => "consent_expired",
            EndReason::EngineFailed => "engine_failed",
            EndReason::Shutdown => "shutdown",
        }
    }
}

/// How long a viewer may take.
#[derive(Debug, Clone, Copy)]
pub struct ViewerLimits {
    /// From the offer until ICE and DTLS are up.
    pub setup: Duration,
    /// Without an authenticated STUN request.
    pub consent: Duration,
}

/// The rings a viewer is fed from.
#[derive(Debug, Clone, Copy)]
pub struct Rings<'a> {
    /// Recent video trains of its stream.
    pub video: &'a Recent,
}

/// What a call of a viewer brought about, for the shard's books.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// The viewer connected just now, this long after its offer.
    pub connected: Option<Duration>,
    /// What became of a keyframe request.
    pub keyframe: Option<KeyframeAnswer>,
    /// The viewer is over and must be dropped.
    pub ended: Option<EndReason>,
}

/// One remote WHEP player.
pub struct Viewer {
    /// Its HTTP session.
    pub session: SessionId,
    /// What it watches.
    pub stream: StreamId,
    /// Our ICE user name fragment: how its first STUN request is told apart.
    pub ufrag: String,
    engine: Engine,
    video: Forwarder,
    audio: Forwarder,
    paths: Vec<Path>,
    /// The path that the peer nominated last.
    nominated: Option<SocketAddr>,
    phase: Phase,
    offered: Instant,
    engine_deadline: Instant,
    limits: ViewerLimits,
}

/// An address of the viewer that an authenticated STUN request came from.
#[derive(Debug, Clone, Copy)]
struct Path {
    remote: SocketAddr,
    /// Our address that it sent to, as the kernel knows it: replies leave from there.
    local: Option<IpAddr>,
    /// Our address as announced to the engine.
    announced: SocketAddr,
    seen: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Playing,
    /// ICE fell silent; ends at this instant unless consent comes back.
    Silent(Instant),
}

impl Viewer {
    /// A viewer whose offer was answered at `offered`. Sequence numbers begin at the given ones.
    pub fn new(
        session: SessionId,
        stream: StreamId,
        mut engine: Engine,
        limits: ViewerLimits,
        first_sequences: (u16, u16),
        offered: Instant,
    ) -> Viewer {
        Viewer {
            session,
            stream,
            ufrag: engine.local_ufrag(),
            engine,
            video: Forwarder::new(first_sequences.0),
            audio: Forwarder::new(first_sequences.1),
            paths: Vec::new(),
            nominated: None,
            phase: Phase::Connecting,
            offered,
            engine_deadline: offered,
            limits,
        }
    }

    /// When the viewer wants [`Viewer::handle_timeout`].
    pub fn deadline(&self) -> Instant {
        let own = match self.phase {
            Phase::Connecting => Some(self.offered + self.limits.setup),
            Phase::Playing => None,
            Phase::Silent(until) => Some(until),
        };
        [own, self.video.due()].into_iter().flatten().fold(self.engine_deadline, Instant::min)
    }

    /// Whether `remote` is an address that authenticated itself for this viewer.
    pub fn knows(&self, remote: SocketAddr) -> bool {
        self.paths.iter().any(|path| path.remote == remote)
    }

    /// All addresses that authenticated themselves.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.paths.iter().map(|path| path.remote)
    }

    /// Takes `remote` as an address of this viewer if `datagram`, a STUN request from it, is
    /// authentic. Returns whether it was taken and which address had to go for it.
    pub fn admit(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: Option<IpAddr>,
        datagram: &[u8],
    ) -> (bool, Option<SocketAddr>) {
        let Some(announced) = self.engine.candidate_for(local, remote) else { return (false, None) };
        if !self.engine.is_authentic(now, announced, datagram) {
            return (false, None);
        }
        let mut evicted = None;
        if self.paths.len() >= MAX_PATHS {
            let oldest = (0..self.paths.len()).min_by_key(|&index| self.paths[index].seen);
            match oldest {
                Some(index) if now.saturating_duration_since(self.paths[index].seen) >= PATH_IDLE => {
                    evicted = Some(self.paths.swap_remove(index).remote);
                    self.nominated = self.nominated.filter(|&nominated| evicted != Some(nominated));
                }
                _ => return (false, None),
            }
        }
        self.paths.push(Path { remote, local, announced, seen: now });
        (true, evicted)
    }

    /// One datagram from a known address.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        datagram: &[u8],
        rings: Rings<'_>,
        egress: &mut dyn Egress,
    ) -> Outcome {
        let Some(path) = self.paths.iter_mut().find(|path| path.remote == remote) else {
            return Outcome::default();
        };
        path.seen = now;
        let announced = path.announced;
        let moves = is_stun(datagram) && self.nominated != Some(remote);
        if moves && self.engine.is_nomination(now, announced, datagram) {
            self.nominated = Some(remote);
        }
        let mut egress = PathEgress { paths: &self.paths, nominated: self.nominated, inner: egress };
        let turn = self.engine.handle_datagram(now, remote, announced, datagram, &mut egress);
        self.settle(now, turn, rings)
    }

    /// The time is `now`: what is due is done.
    pub fn handle_timeout(&mut self, now: Instant, rings: Rings<'_>, egress: &mut dyn Egress) -> Outcome {
        let over = match self.phase {
            Phase::Connecting if now >= self.offered + self.limits.setup => Some(EndReason::SetupTimeout),
            Phase::Silent(until) if now >= until => Some(EndReason::ConsentExpired),
            _ => None,
        };
        if over.is_some() {
            return Outcome { ended: over, ..Outcome::default() };
        }
        let mut outcome = Outcome::default();
        while let Some(forward) = self.video.poll_catch_up(now, rings.video) {
            let turn = self.send(now, &forward, egress);
            outcome = merge(outcome, self.settle(now, turn, rings));
            if outcome.ended.is_some() {
                return outcome;
            }
        }
        if now >= self.engine_deadline {
            let mut egress = PathEgress { paths: &self.paths, nominated: self.nominated, inner: egress };
            let turn = self.engine.handle_timeout(now, &mut egress);
            outcome = merge(outcome, self.settle(now, turn, rings));
        }
        outcome
    }

    /// A train of the viewer's stream came in live.
    pub fn handle_train(
        &mut self,
        now: Instant,
        train: &Arc<Train>,
        rings: Rings<'_>,
        egress: &mut dyn Egress,
    ) -> Outcome {
        // A source may come back with another codec than this viewer agreed to.
        if self.phase == Phase::Connecting || !self.engine.sends(train.codec) {
            return Outcome::default();
        }
        let forwarder = match train.codec.kind() {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        };
        let Some(forward) = forwarder.forward(train) else { return Outcome::default() };
        let turn = self.send(now, &forward, egress);
        self.settle(now, turn, rings)
    }

    /// New ICE credentials on both sides; addresses known so far stay valid (RFC 8445 §9).
    pub fn restart_ice(&mut self, local: Credentials, remote: Credentials) {
        self.ufrag = local.ufrag.clone();
        self.engine.restart_ice(local, remote);
    }

    /// Says goodbye on the wire. The viewer can only be dropped afterwards.
    pub fn close(&mut self, egress: &mut dyn Egress) {
        let mut egress = PathEgress { paths: &self.paths, nominated: self.nominated, inner: egress };
        // An engine that fails while it closes is dropped just the same.
        let _ = self.engine.close(&mut egress);
    }

    fn send(
        &mut self,
        now: Instant,
        forward: &Forward,
        egress: &mut dyn Egress,
    ) -> Result<Turn, EngineError> {
        let Forward { train, sequence, timestamp, captured } = forward;
        let packets = train.packets.iter().enumerate().map(|(index, payload)| OutgoingPacket {
            sequence: sequence + index as u64,
            timestamp: *timestamp,
            captured: *captured,
            marker: train.marker(index),
            payload,
        });
        let mut egress = PathEgress { paths: &self.paths, nominated: self.nominated, inner: egress };
        self.engine.send(now, train.codec, packets, &mut egress)
    }

    fn settle(&mut self, now: Instant, turn: Result<Turn, EngineError>, rings: Rings<'_>) -> Outcome {
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => {
                tracing::debug!(session = ?self.session, %error, "viewer's engine failed");
                return Outcome { ended: Some(EndReason::EngineFailed), ..Outcome::default() };
            }
        };
        self.engine_deadline = turn.deadline;
        let mut outcome = Outcome::default();
        if turn.connected && self.phase == Phase::Connecting {
            self.phase = Phase::Playing;
            self.video.start(now, rings.video);
            outcome.connected = Some(now.saturating_duration_since(self.offered));
        }
        match (turn.ice, self.phase) {
            (Some(false), Phase::Playing) => {
                self.phase = Phase::Silent(now + self.limits.consent.saturating_sub(ENGINE_CONSENT));
            }
            (Some(true), Phase::Silent(_)) => self.phase = Phase::Playing,
            _ => {}
        }
        if turn.keyframe_request && self.phase != Phase::Connecting {
            outcome.keyframe = Some(self.video.request_keyframe(now, rings.video));
        }
        if turn.closed {
            outcome.ended = Some(EndReason::PeerClosed);
        }
        outcome
    }
}

fn merge(first: Outcome, second: Outcome) -> Outcome {
    Outcome {
        connected: first.connected.or(second.connected),
        keyframe: first.keyframe.or(second.keyframe),
        ended: first.ended.or(second.ended),
    }
}

fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(0..=3))
}

/// Puts the kernel's address in the place of the announced one, and sends all but STUN replies the
/// way that the peer nominated last: of two equal ways the engine keeps to the first until it has
/// been silent for 15 s, and a viewer whose NAT gave it another port would have no picture so long.
struct PathEgress<'a> {
    paths: &'a [Path],
    nominated: Option<SocketAddr>,
    inner: &'a mut dyn Egress,
}

impl Egress for PathEgress<'_> {
    fn transmit(&mut self, destination: SocketAddr, source: Option<IpAddr>, datagram: &[u8]) {
        let nominated = self.nominated.filter(|_| !is_stun(datagram));
        let destination = nominated.unwrap_or(destination);
        let local = self.paths.iter().find(|path| path.remote == destination).and_then(|path| path.local);
        self.inner.transmit(destination, local.or(source), datagram);
    }
}
