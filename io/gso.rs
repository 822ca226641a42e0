//! Whether the kernel may be trusted to cut messages: for this machine once at start, and for each
//! destination while sending. It owns that memory; it never sends a batch and, but for the self-test, never
//! touches a socket.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::outcome::GsoFault;

mod route;
mod self_test;

pub use route::try_route;
pub use self_test::{GsoVerdict, Refusal, self_test};

/// Whether to use generic segmentation offload at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GsoMode {
    /// One message carries up to 64 datagrams; the kernel, or the device, cuts it.
    On,
    /// Every datagram is a message of its own: the same bytes at several times the cost.
    Off,
}

/// How long a destination (or everything) goes without GSO after a refusal. Lowering it retries a hopeless
/// path more often, one failed system call each time; raising it keeps a repaired path expensive for longer.
pub const REPROBE_AFTER: Duration = Duration::from_secs(60);

/// Destinations remembered as unfit for GSO. Beyond it the oldest is forgotten, which costs it one failed
/// call when it is tried again; an entry takes about 100 bytes.
pub const MAX_UNFIT: usize = 1_024;

/// Refusals by the device (`EIO`) in a row, with no train accepted between them, after which no destination
/// is tried any more: without this a host whose only device cannot segment would fail once for each of its
/// peers.
const DEVICE_STRIKES: u32 = 16;

/// What was learnt about GSO while sending.
#[derive(Debug)]
pub(crate) struct GsoMemory {
    mode: GsoMode,
    unfit: HashMap<SocketAddr, Instant>,
    /// `unfit` by age: each lasts equally long, so the first to be added is the first to expire.
    by_age: VecDeque<(Instant, SocketAddr)>,
    strikes: u32,
    device_unfit_until: Option<Instant>,
}

impl GsoMemory {
    pub(crate) fn new(mode: GsoMode) -> Self {
        Self { mode, unfit: HashMap::new(), by_age: VecDeque::new(), strikes: 0, device_unfit_until: None }
    }

    /// Forgets what is older than [`REPROBE_AFTER`].
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((_, oldest)) = self.by_age.pop_front_if(|(until, _)| *until <= now) {
            self.unfit.remove(&oldest);
        }
        self.device_unfit_until = self.device_unfit_until.filter(|until| *until > now);
    }

    /// Whether a train may go to `destination` as one message.
    pub(crate) fn allows(&self, destination: &SocketAddr) -> bool {
        self.mode == GsoMode::On
            && self.device_unfit_until.is_none()
            && (self.unfit.is_empty() || !self.unfit.contains_key(destination))
    }

    /// The kernel took a train.
    pub(crate) fn accepted(&mut self) {
        self.strikes = 0;
    }

    /// The kernel refused a train to `destination`: `allows` says no until [`REPROBE_AFTER`] has passed.
    pub(crate) fn refused(&mut self, destination: SocketAddr, fault: GsoFault, now: Instant) {
        let until = now + REPROBE_AFTER;
        if fault == GsoFault::Device {
            self.strikes += 1;
            if self.strikes >= DEVICE_STRIKES {
                self.strikes = 0;
                self.device_unfit_until = Some(until);
            }
        }
        if self.unfit.contains_key(&destination) {
            return;
        }
        if self.unfit.len() >= MAX_UNFIT
            && let Some((_, oldest)) = self.by_age.pop_front()
        {
            self.unfit.remove(&oldest);
        }
        self.unfit.insert(destination, until);
        self.by_age.push_back((until, destination));
    }

    /// Destinations that go without GSO now.
    #[cfg(test)]
    fn unfit(&self) -> usize {
        self.unfit.len()
    }
}

#[cfg(test)]
mod tests;
