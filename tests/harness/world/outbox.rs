//! The way out of a simulated shard during one call: a socket that may be full, and a line that may be used up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluice::peer::{Control, Egress, Lane, Path, STALL};
use sluice_media::srtp::Sealed;
use sluice_media::{Class, class};

/// Time between two looks at a full socket, as the worker's.
const BLOCKED_WAIT: Duration = Duration::from_millis(10);

/// Time between two looks at a line that is used up, and what it may save up, in seconds: as the worker's.
const RATE_WAIT: Duration = Duration::from_millis(1);
const BURST: f64 = 0.002;

/// What a message costs beside its bytes.
const TURN: f64 = 1_500.0;

/// The line that the shard's socket is on, and the socket itself.
#[derive(Debug)]
pub(super) struct Line {
    /// Since when the socket is full, if it is: it takes no media then.
    full_since: Option<Instant>,
    /// What media may spend a second, if that is limited, and what it might spend when it last did.
    rate: Option<f64>,
    credit: (f64, Instant),
    spent: f64,
}

impl Line {
    pub(super) fn new(now: Instant) -> Line {
        Line { full_since: None, rate: None, credit: (0.0, now), spent: 0.0 }
    }

    pub(super) fn fill(&mut self, full: bool, now: Instant) {
        self.full_since = full.then_some(now);
    }

    pub(super) fn limit(&mut self, rate: Option<f64>, now: Instant) {
        (self.rate, self.credit) = (rate, (0.0, now));
    }

    /// What media has spent so far.
    pub(super) fn spent(&self) -> f64 {
        self.spent
    }

    /// How long to wait before media is tried again, if none can leave now.
    pub(super) fn wait(&self) -> Option<Duration> {
        if self.full_since.is_some() {
            Some(BLOCKED_WAIT)
        } else {
            (self.rate.is_some() && self.credit.0 <= 0.0).then_some(RATE_WAIT)
        }
    }

    /// The egress of one call at `now`.
    pub(super) fn outbox(&self, now: Instant) -> Outbox {
        let stalled = self.full_since.is_some_and(|since| now - since >= STALL);
        let budget = self.rate.map(|rate| {
            let passed = (now - self.credit.1).as_secs_f64();
            (self.credit.0 + rate * passed).min(rate * BURST)
        });
        Outbox { full: self.full_since.is_some(), stalled, budget, ..Outbox::default() }
    }

    /// Takes from what may be spent what a call has.
    pub(super) fn charge(&mut self, outbox: &Outbox, now: Instant) {
        self.spent += outbox.spent;
        self.credit = (outbox.budget.unwrap_or_default() - outbox.spent, now);
    }
}

/// The server's egress of one call.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// What it sent, and where to.
    pub(super) sent: Vec<(SocketAddr, Vec<u8>)>,
    /// Whether it takes no media.
    full: bool,
    /// Whether that has been so for long.
    stalled: bool,
    /// What may still be spent on media, if that is limited.
    budget: Option<f64>,
    spent: f64,
}

impl Control for Outbox {
    fn transmit(&mut self, path: Path, datagram: &[u8]) {
        self.sent.push((path.remote.address, datagram.to_vec()));
    }
}

impl Egress for Outbox {
    fn seal(
        &mut self,
        _lane: Lane,
        path: Path,
        max: usize,
        seal: &mut dyn FnMut(&mut [u8]) -> Option<Sealed>,
    ) {
        let mut datagram = vec![0; max];
        let Some(sealed) = seal(&mut datagram) else { return };
        datagram.truncate(sealed.len());
        if class(&datagram) == Class::Rtp {
            self.spent += datagram.len() as f64;
        }
        self.sent.push((path.remote.address, datagram));
    }

    fn ready(&mut self, _bytes: usize) -> bool {
        if self.full || self.budget.is_some_and(|budget| budget <= self.spent) {
            return false;
        }
        // As in the kernel: a message costs as much as some bytes.
        self.spent += TURN;
        true
    }

    fn is_stalled(&self) -> bool {
        self.stalled
    }
}
