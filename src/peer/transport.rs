//! A peer: one remote end as far as transport goes, whatever flows.
//!
//! Owns its life (waiting for STUN, connected, silent, gone), its engine and its addresses. A role (a viewer, a
//! publisher) holds one, hands it what comes, and acts on what it [turned out](Turned). Takes `now` and bytes; never
//! reads a clock, opens a socket or knows what flows.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sluice_config::CONSENT_MIN;
use sluice_media::srtp::{Opener, Sealer};
use sluice_media::{Class, class};

use super::egress::Control;
use super::engine::{Credentials, Engine, EngineError, Turn};
use super::paths::{Paths, Standing};
use super::{Check, Path, Remote};
use crate::count::EndReason;
use crate::fault::{Site, strikes};
use crate::id::SessionId;

/// How long a peer may take.
#[derive(Debug, Clone, Copy)]
pub struct PeerLimits {
    /// From the offer until ICE and DTLS are up.
    pub setup: Duration,
    /// Without an authenticated STUN request; at least [`CONSENT_MIN`].
    pub consent: Duration,
    /// Media goes to an address for so long after it was last heard; [`FRESH`](super::FRESH) but for tests.
    pub fresh: Duration,
}

/// What a call of a peer brought about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turned {
    /// It was reached just now: its first authentic check came this long after its offer.
    pub reached: Option<Duration>,
    /// It connected just now, this long after it was reached.
    pub connected: Option<Duration>,
    /// It is over and must be dropped.
    pub ended: Option<EndReason>,
    /// Datagrams of the engine's own that were withheld.
    pub withheld: u32,
    /// DTLS records that carry application data: no answer offers a data channel.
    pub application_data: u32,
    /// DTLS records that the library refused.
    pub dtls_refused: u32,
}

/// What became of the address that a check came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is the peer's, as it was before or from now on; the other one had to go for it.
    Admitted(Option<Remote>),
    /// The check is not authentic.
    Refused,
    /// There is no room for one more address.
    NoRoom,
    /// No address of ours was announced that it could have come in on.
    Unannounced,
    /// The check is a copy of an earlier one.
    Copy,
}

/// One remote end.
pub struct Peer {
    session: SessionId,
    ufrag: String,
    /// Boxed: it is just below one of the allocator's sizes.
    engine: Box<Engine>,
    paths: Paths,
    phase: Phase,
    offered: Instant,
    reached: Option<Instant>,
    engine_deadline: Instant,
    limits: PeerLimits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Connected,
    /// ICE fell silent; ends at this instant unless consent comes back.
    Silent(Instant),
}

impl Peer {
    /// A peer whose offer was answered at `offered`.
    pub fn new(session: SessionId, mut engine: Engine, limits: PeerLimits, offered: Instant) -> Peer {
        Peer {
            session,
            ufrag: engine.local_ufrag(),
            engine: Box::new(engine),
            paths: Paths::new(limits.fresh),
            phase: Phase::Connecting,
            offered,
            reached: None,
            engine_deadline: offered,
            limits,
        }
    }

    /// Its HTTP session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Our ICE user name fragment: how its first STUN request is told apart.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// When its offer was answered.
    pub fn offered(&self) -> Instant {
        self.offered
    }

    /// Whether ICE and DTLS were up once.
    pub fn has_connected(&self) -> bool {
        self.phase != Phase::Connecting
    }

    /// When it wants [`Peer::handle_timeout`]: for its engine, or because it is over.
    pub fn poll_timeout(&self) -> Instant {
        self.end().map_or(self.engine_deadline, |(at, _)| at.min(self.engine_deadline))
    }

    /// When it is over, and why, if nothing is heard before.
    fn end(&self) -> Option<(Instant, EndReason)> {
        match self.phase {
            Phase::Connecting => Some((self.offered + self.limits.setup, EndReason::SetupTimeout)),
            Phase::Connected => None,
            Phase::Silent(until) => Some((until, EndReason::ConsentExpired)),
        }
    }

    /// All addresses that authenticated themselves.
    pub fn addresses(&self) -> impl Iterator<Item = Remote> + '_ {
        self.paths.addresses()
    }

    /// Whether it has said nothing on its address `remote` for so long that another one may have it.
    pub fn is_released(&self, now: Instant, remote: Remote) -> bool {
        self.paths.is_released(now, remote)
    }

    /// The address is another peer's now.
    pub fn forget(&mut self, remote: Remote) {
        self.paths.forget(remote);
    }

    /// Something that only it can have made came from `remote`.
    pub fn heard(&mut self, now: Instant, remote: Remote) {
        self.paths.heard(now, remote);
    }

    /// Where what it is sent goes, and until when that holds if nothing more is heard.
    pub fn target(&self, now: Instant) -> Option<(Path, Instant)> {
        self.paths.target(now)
    }

    /// Whether the address is one of its own.
    pub fn is_known(&self, remote: Remote) -> bool {
        self.paths.get(remote).is_some()
    }

    /// What seals for it, once it is connected. Call it once: two sealers of one key would use its indices twice.
    pub(crate) fn sealer(&self) -> Option<Sealer> {
        self.engine.sealer()
    }

    /// What opens its reports, once it is connected. Call it once: each knows for itself what came before.
    pub(crate) fn opener(&self) -> Option<Opener> {
        self.engine.opener()
    }

    /// A connectivity check that names this peer, from any address. The engine tells whether it is authentic: then
    /// it is answered, and the address is this peer's. What turned out is nothing if the engine was not asked.
    pub fn handle_check(
        &mut self,
        now: Instant,
        remote: Remote,
        local: Option<IpAddr>,
        check: &Check<'_>,
        egress: &mut dyn Control,
    ) -> (Option<Turned>, Admission) {
        let standing = self.paths.standing(now, remote, &check.transaction);
        let announced = self.engine.candidate_for(local, remote.address);
        let announced = match (standing, announced) {
            (Standing::Copy, _) => return (None, Admission::Copy),
            (Standing::NoRoom, _) => return (None, Admission::NoRoom),
            (_, None) => return (None, Admission::Unannounced),
            _ if strikes(Site::CheckIsNotAuthentic) => return (None, Admission::Refused),
            (Standing::New | Standing::Again, Some(announced)) => announced,
        };
        let path = Path { remote, local };
        let new = standing == Standing::New;
        let arrival = Arrival { now, check, path, announced, new, admission: Admission::Refused };
        let target = self.paths.target(now).map(|(target, _)| target);
        let mut door = Door { paths: &mut self.paths, target, arrival: Some(arrival), inner: egress };
        let turn = self.engine.handle_datagram(now, remote.address, announced, check.datagram, &mut door);
        let admission = door.arrival.map_or(Admission::Refused, |arrival| arrival.admission);
        let is_first = self.reached.is_none() && matches!(admission, Admission::Admitted(_));
        if is_first {
            self.reached = Some(now);
        }
        let reached = is_first.then(|| now.saturating_duration_since(self.offered));
        (Some(Turned { reached, ..self.settle(now, turn) }), admission)
    }

    /// A datagram of DTLS. Nothing turned out if the address is none of its own.
    pub fn handle_dtls(
        &mut self,
        now: Instant,
        remote: Remote,
        datagram: &[u8],
        egress: &mut dyn Control,
    ) -> Option<Turned> {
        let announced = self.paths.announced(remote)?;
        let turn = self.ask(now, egress, |engine, door| {
            engine.handle_datagram(now, remote.address, announced, datagram, door)
        });
        Some(self.settle(now, turn))
    }

    /// Why it is over at `now`, if it is.
    pub fn expired(&self, now: Instant) -> Option<EndReason> {
        self.end().filter(|(at, _)| now >= *at).map(|(_, why)| why)
    }

    /// The time is `now`. Nothing turned out if the engine wanted nothing.
    pub fn handle_timeout(&mut self, now: Instant, egress: &mut dyn Control) -> Option<Turned> {
        if now < self.engine_deadline {
            return None;
        }
        let turn = self.ask(now, egress, |engine, door| engine.handle_timeout(now, door));
        Some(self.settle(now, turn))
    }

    /// New ICE credentials on both sides; addresses known so far stay valid (RFC 8445 §9).
    pub fn restart_ice(
        &mut self,
        now: Instant,
        local: Credentials,
        remote: Credentials,
        egress: &mut dyn Control,
    ) -> Turned {
        self.ufrag.clone_from(&local.ufrag);
        let turn = self.ask(now, egress, |engine, door| engine.restart_ice(now, local, remote, door));
        self.settle(now, turn)
    }

    /// Says goodbye over `target` (RFC 9725 §4.2: immediate revocation). It can only be dropped afterwards.
    pub fn close(&mut self, target: Option<Path>, egress: &mut dyn Control) {
        let mut door = Door { paths: &mut self.paths, target, arrival: None, inner: egress };
        // An engine that fails while it closes is dropped just the same.
        let _ = self.engine.close(&mut door);
    }

    /// Why a role cannot go on though transport could.
    pub(crate) fn failed(&self, why: &str) -> Turned {
        tracing::debug!(session = ?self.session, why, "engine failed");
        Turned { ended: Some(EndReason::EngineFailed), ..Turned::default() }
    }

    fn ask(
        &mut self,
        now: Instant,
        egress: &mut dyn Control,
        call: impl FnOnce(&mut Engine, &mut Door<'_>) -> Result<Turn, EngineError>,
    ) -> Result<Turn, EngineError> {
        let target = self.paths.target(now).map(|(target, _)| target);
        let mut door = Door { paths: &mut self.paths, target, arrival: None, inner: egress };
        call(&mut self.engine, &mut door)
    }

    fn settle(&mut self, now: Instant, turn: Result<Turn, EngineError>) -> Turned {
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => return self.failed(&error.to_string()),
        };
        self.engine_deadline = turn.deadline;
        let mut turned = Turned {
            withheld: turn.withheld,
            application_data: turn.application_data,
            dtls_refused: turn.dtls_refused,
            ..Turned::default()
        };
        if turn.connected && self.phase == Phase::Connecting {
            self.phase = Phase::Connected;
            turned.connected = Some(now.saturating_duration_since(self.reached.unwrap_or(self.offered)));
        }
        match (turn.ice, self.phase) {
            (Some(false), Phase::Connected) => {
                // The engine has waited for so much of it.
                self.phase = Phase::Silent(now + self.limits.consent.saturating_sub(CONSENT_MIN));
            }
            (Some(true), Phase::Silent(_)) => self.phase = Phase::Connected,
            _ => {}
        }
        if turn.closed {
            turned.ended = Some(EndReason::PeerClosed);
        }
        turned
    }
}

/// A check under way to the engine.
struct Arrival<'a> {
    now: Instant,
    check: &'a Check<'a>,
    path: Path,
    announced: SocketAddr,
    /// Whether it counts: copies are answered and nothing else.
    new: bool,
    admission: Admission,
}

/// Puts the kernel's address in the place of the announced one, sees which checks the engine answers, and
/// sends all but those answers where media goes.
struct Door<'a> {
    paths: &'a mut Paths,
    target: Option<Path>,
    arrival: Option<Arrival<'a>>,
    inner: &'a mut dyn Control,
}

impl Control for Door<'_> {
    fn transmit(&mut self, path: Path, datagram: &[u8]) {
        if class(datagram) == Class::Stun {
            let arrival =
                self.arrival.as_mut().filter(|arrival| arrival.path.remote.address == path.remote.address);
            // It sends no checks of its own, so there is nothing else.
            let Some(Arrival { now, check, path: from, announced, new, admission }) = arrival else { return };
            if check.is_answered_by(datagram) {
                let evicted = new.then(|| {
                    self.paths.confirm(*now, *from, *announced, &check.transaction, check.nominates)
                });
                *admission = Admission::Admitted(evicted.flatten());
                self.target = self.paths.target(*now).map(|(target, _)| target);
            }
            return self.inner.transmit(from.or_local(path.local), datagram);
        }
        // A peer that is silent gets no handshake either; it asks again when it is back.
        if let Some(target) = self.target {
            self.inner.transmit(target.or_local(path.local), datagram);
        }
    }
}
