//! Viewers: one remote WHEP player each, with its engine and its place in every track.
//!
//! Owns a viewer's life: waiting for STUN, connected, silent, gone. Its addresses are `paths`. Takes `now` and bytes; never
//! reads a clock, opens a socket or knows other viewers.

mod budget;
mod catch_up;
mod feedback;
mod forward;
mod outgoing;
mod reception;
mod runs;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sluice_media::rtcp::Epoch;
use sluice_media::srtp::{Opener, Sealer};
use sluice_media::{Kind, MAX_PAYLOAD};

pub use budget::KeyframeAnswer;
pub use feedback::Keyframes;
pub use forward::{Forward, Forwarder, Repair};
pub use outgoing::Repairs;

use self::budget::Budget;
use self::outgoing::Outgoing;
use self::reception::Estimates;
use crate::count::EndReason;
use crate::count::feedback::Feedback;
use crate::id::{SessionId, StreamId};
use crate::peer::{
    Check, Credentials, Egress, Engine, EngineError, Path, Paths, Standing, Target, Turn, is_srtp,
};
use crate::track::{MAX_TRAIN_PACKETS, Recent, Train};

/// str0m reports ICE as disconnected after this long without an authenticated STUN request.
const ENGINE_CONSENT: Duration = Duration::from_secs(15);

/// Bytes of a train's datagrams at the most: a catch-up waits until the socket can take so much.
const TRAIN_BYTES_MAX: usize = MAX_TRAIN_PACKETS * (MAX_PAYLOAD + 64);

/// How long a viewer may take.
#[derive(Debug, Clone, Copy)]
pub struct ViewerLimits {
    /// From the offer until ICE and DTLS are up.
    pub setup: Duration,
    /// Without an authenticated STUN request.
    pub consent: Duration,
    /// Between two sender reports of a track.
    pub report_interval: Duration,
    /// Media goes to an address for so long after it was last heard; [`FRESH`] but for tests.
    pub fresh: Duration,
}

/// Sequence numbers of the first packets.
#[derive(Debug, Clone, Copy)]
pub struct FirstSequences {
    /// Of the video.
    pub video: u16,
    /// Of the audio.
    pub audio: u16,
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
    /// DTLS records that carry application data: no answer offers a data channel.
    pub application_data: u32,
    /// DTLS records that the library refused.
    pub dtls_refused: u32,
    /// The viewer is over and must be dropped.
    pub ended: Option<EndReason>,
}

/// What became of the address that a check came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is the viewer's, as it was before or from now on; the other one had to go for it.
    Admitted(Option<SocketAddr>),
    /// The check is not authentic, or there is no room for one more address.
    Refused,
    /// The check is a copy of an earlier one.
    Copy,
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
    /// Boxed as the engine is.
    opener: Option<Box<Opener>>,
    estimates: Estimates,
    /// Boxed as the engine is.
    budget: Box<Budget>,
    /// Where media goes, as `paths` said last; good until `target_until`.
    target: Option<Target>,
    target_until: Instant,
    paths: Box<Paths>,
    phase: Phase,
    offered: Instant,
    engine_deadline: Instant,
    limits: ViewerLimits,
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
        first_sequences: FirstSequences,
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
                        Kind::Video => first_sequences.video,
                        Kind::Audio => first_sequences.audio,
                    };
                    Outgoing::new(media, first)
                })
                .collect(),
            engine: Box::new(engine),
            sealer: None,
            opener: None,
            estimates: Estimates::default(),
            budget: Box::new(Budget::new(offered)),
            target: None,
            target_until: offered,
            paths: Box::new(Paths::new(limits.fresh)),
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
        // Without a target nothing of a track can be done, however long it is due.
        let tracks = self.tracks.iter().filter(|_| self.target.is_some());
        let tracks = tracks.flat_map(|track| [track.forwarder.due(), track.report_due()]);
        tracks.chain([own]).flatten().fold(self.engine_deadline, Instant::min)
    }

    /// All addresses that authenticated themselves.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.paths.addresses()
    }

    /// Whether the viewer has said nothing on its address `remote` for so long that another one may have it.
    pub fn is_released(&self, now: Instant, remote: SocketAddr) -> bool {
        self.paths.is_released(now, remote)
    }

    /// Whether it is heard on some address of its own.
    pub fn is_reachable(&self, now: Instant) -> bool {
        self.paths.target(now).is_some()
    }

    /// The address is another viewer's now.
    pub fn forget(&mut self, remote: SocketAddr) {
        self.paths.forget(remote);
        self.target = self.target.filter(|(target, _)| *target != remote);
    }

    /// A connectivity check that names this viewer, from any address. The engine tells whether it is
    /// authentic: then it is answered, and the address is this viewer's.
    pub fn handle_check(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: Option<IpAddr>,
        check: &Check<'_>,
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> (Outcome, Admission) {
        let standing = self.paths.standing(now, remote, &check.transaction);
        let announced = self.engine.candidate_for(local, remote);
        let announced = match (standing, announced) {
            (Standing::Copy, _) => return (Outcome::default(), Admission::Copy),
            (Standing::NoRoom, _) | (_, None) => return (Outcome::default(), Admission::Refused),
            (Standing::New | Standing::Again, Some(announced)) => announced,
        };
        let path = Path { remote, local, announced };
        let new = standing == Standing::New;
        let arrival = Arrival { now, check, path, new, admission: Admission::Refused };
        let target = self.aim(now);
        let mut way = PathEgress { paths: &mut self.paths, target, arrival: Some(arrival), inner: egress };
        let turn = self.engine.handle_datagram(now, remote, announced, check.datagram, &mut way);
        let admission = way.arrival.map_or(Admission::Refused, |arrival| arrival.admission);
        (self.settle(now, turn, around), admission)
    }

    /// A datagram other than STUN from a known address.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        datagram: &[u8],
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> Outcome {
        let Some(path) = self.paths.get(remote) else { return Outcome::default() };
        if is_srtp(datagram) {
            return self.handle_reports(now, remote, datagram, around, egress);
        }
        let target = self.aim(now);
        let mut way = PathEgress { paths: &mut self.paths, target, arrival: None, inner: egress };
        let turn = self.engine.handle_datagram(now, remote, path.announced, datagram, &mut way);
        self.settle(now, turn, around)
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
        let target = self.aim(now);
        let mut way = PathEgress { paths: &mut self.paths, target, arrival: None, inner: egress };
        let turn = self.engine.handle_timeout(now, &mut way);
        self.settle(now, turn, around)
    }

    /// Whether the viewer has the beginning of the picture that `train` goes on with.
    pub fn is_amid(&self, train: &Train) -> bool {
        self.tracks.iter().any(|track| track.media.codec == train.codec && track.forwarder.is_amid(train))
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
        let (Some(target), Some(sealer)) = (self.aim(now), &self.sealer) else { return false };
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
        let (paths, target) = (&mut *self.paths, self.target);
        let mut egress = PathEgress { paths, target, arrival: None, inner: egress };
        // An engine that fails while it closes is dropped just the same.
        let _ = self.engine.close(&mut egress);
    }

    /// Where media goes now. Asks the paths only when the last answer is no longer good; without a target only
    /// what is heard from the viewer changes that.
    fn aim(&mut self, now: Instant) -> Option<Target> {
        if self.target.is_some() && now >= self.target_until {
            self.aim_anew(now);
        }
        self.target
    }

    fn aim_anew(&mut self, now: Instant) {
        let found = self.paths.target(now);
        self.target = found.map(|(target, _)| target);
        self.target_until = found.map_or(now, |(_, until)| until);
    }

    /// Looks where media goes after something was heard from the viewer.
    fn aim_as_heard(&mut self, now: Instant, around: Surroundings<'_>) {
        let was_silent = self.sealer.is_some() && self.target.is_none();
        self.aim_anew(now);
        if was_silent && self.target.is_some() {
            // It went without what came meanwhile: the ring brings it back to the live edge.
            for track in self.tracks.iter_mut().filter(|track| track.media.codec.kind() == Kind::Video) {
                track.forwarder.resume(now, around.video, &mut self.budget);
            }
        }
    }

    /// Trains of a catch-up, and reports.
    fn send_what_is_due(&mut self, now: Instant, around: Surroundings<'_>, egress: &mut dyn Egress) {
        let (Some(target), Some(sealer)) = (self.aim(now), &mut self.sealer) else { return };
        for track in &mut self.tracks {
            // Only video ever catches up: nothing starts that for another track.
            while track.forwarder.due().is_some() && egress.ready(TRAIN_BYTES_MAX) {
                let Some((train, forward)) = track.forwarder.poll_catch_up(now, around.video) else { break };
                track.send(now, &train, forward, 0, sealer, around.epoch, target, egress);
            }
            track.report(now, self.limits.report_interval, sealer, around.epoch, target, egress);
        }
    }

    fn settle(&mut self, now: Instant, turn: Result<Turn, EngineError>, around: Surroundings<'_>) -> Outcome {
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => return self.failed(&error.to_string()),
        };
        self.engine_deadline = turn.deadline;
        let mut outcome = Outcome {
            withheld: turn.withheld,
            application_data: turn.application_data,
            dtls_refused: turn.dtls_refused,
            ..Outcome::default()
        };
        self.aim_as_heard(now, around);
        if turn.connected && self.phase == Phase::Connecting {
            self.sealer = self.engine.sealer();
            self.opener = self.engine.opener().map(Box::new);
            if self.sealer.is_none() || self.opener.is_none() {
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

/// A check under way to the engine.
struct Arrival<'a> {
    now: Instant,
    check: &'a Check<'a>,
    path: Path,
    /// Whether it counts: copies are answered and nothing else.
    new: bool,
    admission: Admission,
}

/// Puts the kernel's address in the place of the announced one, sees which checks the engine answers, and
/// sends all but those answers where media goes.
struct PathEgress<'a> {
    paths: &'a mut Paths,
    target: Option<Target>,
    arrival: Option<Arrival<'a>>,
    inner: &'a mut dyn Egress,
}

/// Engines only ever transmit.
impl Egress for PathEgress<'_> {
    fn transmit(&mut self, destination: SocketAddr, source: Option<IpAddr>, datagram: &[u8]) {
        if let [0..=3, ..] = datagram {
            let arrival = self.arrival.as_mut().filter(|arrival| arrival.path.remote == destination);
            // It sends no checks of its own, so there is nothing else.
            let Some(Arrival { now, check, path, new, admission }) = arrival else { return };
            if check.is_answered_by(datagram) {
                let evicted =
                    new.then(|| self.paths.confirm(*now, *path, &check.transaction, check.nominates));
                *admission = Admission::Admitted(evicted.flatten());
                self.target = self.paths.target(*now).map(|(target, _)| target);
            }
            return self.inner.transmit(destination, path.local.or(source), datagram);
        }
        // A peer that is silent gets no handshake either; it asks again when it is back.
        if let Some((nominated, local)) = self.target {
            self.inner.transmit(nominated, local.or(source), datagram);
        }
    }
}
