//! Viewers: one remote WHEP player each, with its engine and its place in every track.
//!
//! Owns a viewer's life: waiting for STUN, connected, silent, gone. Takes `now` and bytes; never
//! reads a clock, opens a socket or knows other viewers.

mod budget;
mod catch_up;
mod dtls;
mod engine;
mod feedback;
mod forward;
pub(crate) mod keys;
mod outgoing;
mod reception;
mod rtcp;
mod runs;
pub(crate) mod seal;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

pub use dtls::{DtlsSetupError, KeySlot, SharedDtls, with_key_slot};
pub use engine::{Credentials, Engine, EngineError, EngineParams, MediaParams, Turn};
pub use feedback::Keyframes;
pub use forward::{Forward, Forwarder, KeyframeAnswer, Repair};
pub use keys::{Keying, SendKeys};
pub use outgoing::Repairs;
pub use rtcp::{CNAME, Epoch};
// Seen from outside by benches/seal.rs alone: whoever seals must never repeat an index.
pub use seal::{Header, Sealer};

use self::budget::Budget;
use self::outgoing::{Outgoing, Target};
use self::reception::Estimates;
use crate::id::{SessionId, StreamId};
use crate::ops::feedback::Feedback;
use crate::shard::Egress;
use crate::track::{Kind, MAX_PAYLOAD, MAX_TRAIN_PACKETS, Recent, Train};

/// Addresses of one viewer at the most (design invariant 7): more than any browser has, few enough
/// that a hostile one cannot fill the table.
const MAX_PATHS: usize = 8;

/// An address silent for this long may be replaced by a new one.
const PATH_IDLE: Duration = Duration::from_secs(30);

/// str0m reports ICE as disconnected after this long without an authenticated STUN request.
const ENGINE_CONSENT: Duration = Duration::from_secs(15);

/// Bytes of a train's datagrams at the most: a catch-up waits until the socket can take so much.
const TRAIN_BYTES_MAX: usize = MAX_TRAIN_PACKETS * (MAX_PAYLOAD + 64);

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
    /// Between two sender reports of a track.
    pub report_interval: Duration,
}

/// What a viewer is given by its shard at each call.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Recent video trains of its stream.
    pub video: &'a Recent,
    /// What NTP time it is.
    pub epoch: &'a Epoch,
    /// Where what viewers report is counted.
    pub feedback: &'a Feedback,
}

/// What a call of a viewer brought about, for the shard's books.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// The viewer connected just now, this long after its offer.
    pub connected: Option<Duration>,
    /// What became of keyframe requests.
    pub keyframes: Keyframes,
    /// What became of packets that were asked for again.
    pub repairs: Repairs,
    /// Datagrams of the engine's own that were withheld.
    pub withheld: u32,
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
    /// Boxed: media never touches it, and what media touches of all viewers shall lie close together.
    engine: Box<Engine>,
    /// What it is sent, at most one video and one audio track.
    tracks: Vec<Outgoing>,
    sealer: Option<Sealer>,
    estimates: Estimates,
    /// Boxed as the engine is.
    budget: Box<Budget>,
    /// Where media goes: the path that the peer nominated last.
    target: Option<Target>,
    paths: Vec<Path>,
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
            tracks: engine
                .take_media()
                .into_iter()
                .map(|media| {
                    let first = match media.codec.kind() {
                        Kind::Video => first_sequences.0,
                        Kind::Audio => first_sequences.1,
                    };
                    Outgoing::new(media, first)
                })
                .collect(),
            engine: Box::new(engine),
            sealer: None,
            estimates: Estimates::default(),
            budget: Box::new(Budget::new(offered)),
            target: None,
            paths: Vec::new(),
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
        let tracks = self.tracks.iter().flat_map(|track| [track.forwarder.due(), track.report_due()]);
        tracks.chain([own]).flatten().fold(self.engine_deadline, Instant::min)
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
                    self.target = self.target.filter(|(target, _)| evicted != Some(*target));
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
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> Outcome {
        let Some(path) = self.paths.iter_mut().find(|path| path.remote == remote) else {
            return Outcome::default();
        };
        path.seen = now;
        let (announced, target) = (path.announced, (path.remote, path.local));
        // The peer is the controlling side: media follows its newest nomination (RFC 8445 §8.1.1). Of two
        // equal ways the engine itself keeps to the first until that has been silent for 15 s.
        let moves = is_stun(datagram) && self.target != Some(target);
        if moves && self.engine.is_nomination(now, announced, datagram) {
            self.target = Some(target);
        }
        let mut paths = PathEgress { paths: &self.paths, target: self.target, inner: egress };
        let turn = self.engine.handle_datagram(now, remote, announced, datagram, &mut paths);
        self.settle(now, turn, around, egress)
    }

    /// The time is `now`: what is due is done.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> Outcome {
        let over = match self.phase {
            Phase::Connecting if now >= self.offered + self.limits.setup => Some(EndReason::SetupTimeout),
            Phase::Silent(until) if now >= until => Some(EndReason::ConsentExpired),
            _ => None,
        };
        if over.is_some() {
            return Outcome { ended: over, ..Outcome::default() };
        }
        self.send_what_is_due(now, around, egress);
        if now < self.engine_deadline {
            return Outcome::default();
        }
        let mut paths = PathEgress { paths: &self.paths, target: self.target, inner: egress };
        let turn = self.engine.handle_timeout(now, &mut paths);
        self.settle(now, turn, around, egress)
    }

    /// It is this viewer's turn of a live train of its stream; `padding` bytes go behind the last
    /// packet. Returns whether that changed [`Viewer::deadline`].
    pub fn handle_train(
        &mut self,
        now: Instant,
        train: &Train,
        padding: u8,
        epoch: &Epoch,
        egress: &mut dyn Egress,
    ) -> bool {
        let (Some(sealer), Some(target)) = (&self.sealer, self.target) else { return false };
        // A source may come back with another codec than this viewer agreed to.
        let Some(track) = self.tracks.iter_mut().find(|track| track.media.codec == train.codec) else {
            return false;
        };
        let Some(forward) = track.forwarder.forward(train) else { return false };
        let first = track.report_due().is_none();
        track.send(now, train, forward, padding, sealer, epoch, target, egress);
        first
    }

    /// New ICE credentials on both sides; addresses known so far stay valid (RFC 8445 §9). Call
    /// [`Viewer::handle_timeout`] next: the engine wants to be drained.
    pub fn restart_ice(&mut self, local: Credentials, remote: Credentials) {
        self.ufrag = local.ufrag.clone();
        self.engine.restart_ice(local, remote);
        self.engine_deadline = self.offered;
    }

    /// Says goodbye on the wire. The viewer can only be dropped afterwards.
    pub fn close(&mut self, egress: &mut dyn Egress) {
        if let (Some(sealer), Some(target)) = (&mut self.sealer, self.target) {
            self.tracks.iter().for_each(|track| track.goodbye(sealer, target, egress));
        }
        let mut egress = PathEgress { paths: &self.paths, target: self.target, inner: egress };
        // An engine that fails while it closes is dropped just the same.
        let _ = self.engine.close(&mut egress);
    }

    /// Trains of a catch-up, and reports.
    fn send_what_is_due(&mut self, now: Instant, around: Surroundings<'_>, egress: &mut dyn Egress) {
        let (Some(sealer), Some(target)) = (&mut self.sealer, self.target) else { return };
        for track in &mut self.tracks {
            // Only video ever catches up: nothing starts that for another track.
            while track.forwarder.due().is_some() && egress.ready(TRAIN_BYTES_MAX) {
                let Some((train, forward)) = track.forwarder.poll_catch_up(now, around.video) else { break };
                track.send(now, &train, forward, 0, sealer, around.epoch, target, egress);
            }
            track.report(now, self.limits.report_interval, sealer, around.epoch, target, egress);
        }
    }

    fn settle(
        &mut self,
        now: Instant,
        turn: Result<Turn, EngineError>,
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> Outcome {
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => return self.failed(&error.to_string()),
        };
        self.engine_deadline = turn.deadline;
        let mut outcome = Outcome { withheld: turn.withheld, ..Outcome::default() };
        if turn.connected && self.phase == Phase::Connecting {
            self.sealer = self.engine.sealer();
            if self.sealer.is_none() {
                return self.failed("the handshake gave no SRTP keys");
            }
            self.phase = Phase::Playing;
            for track in self.tracks.iter_mut().filter(|track| track.media.codec.kind() == Kind::Video) {
                track.forwarder.start(now, around.video);
            }
            outcome.connected = Some(now.saturating_duration_since(self.offered));
        }
        match (turn.ice, self.phase) {
            (Some(false), Phase::Playing) => {
                self.phase = Phase::Silent(now + self.limits.consent.saturating_sub(ENGINE_CONSENT));
            }
            (Some(true), Phase::Silent(_)) => self.phase = Phase::Playing,
            _ => {}
        }
        around.feedback.packets.unread.add(u64::from(turn.unread));
        for rtcp in self.engine.take_feedback() {
            self.handle_feedback(now, &rtcp, around, egress, &mut outcome);
        }
        if turn.closed {
            outcome.ended = Some(EndReason::PeerClosed);
        }
        outcome
    }

    fn failed(&self, why: &str) -> Outcome {
        tracing::debug!(session = ?self.session, why, "viewer's engine failed");
        Outcome { ended: Some(EndReason::EngineFailed), ..Outcome::default() }
    }
}

fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(0..=3))
}

/// Puts the kernel's address in the place of the announced one, and sends all but STUN replies the
/// way that the peer nominated last.
struct PathEgress<'a> {
    paths: &'a [Path],
    target: Option<Target>,
    inner: &'a mut dyn Egress,
}

/// Engines only ever transmit.
impl Egress for PathEgress<'_> {
    fn transmit(&mut self, destination: SocketAddr, source: Option<IpAddr>, datagram: &[u8]) {
        if let Some((nominated, local)) = self.target.filter(|_| !is_stun(datagram)) {
            return self.inner.transmit(nominated, local.or(source), datagram);
        }
        let local = self.paths.iter().find(|path| path.remote == destination).and_then(|path| path.local);
        self.inner.transmit(destination, local.or(source), datagram);
    }
}
