//! The addresses of one peer: which of them authenticated themselves lately, and where media goes.
//!
//! Owns every address that an authentic check came from (design invariant 7), when each was heard last, and
//! the one rule for media: the path that was nominated last, while it is fresh; else the fresh path that was
//! heard last, by UDP if there is one; else none. An address that says nothing is sent nothing, whoever vouched for it once. Never
//! judges what is authentic and never sends.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::Remote;
use crate::fault::{Site, strikes};

/// Addresses of one viewer at the most (design invariant 7): more than any browser has, few enough
/// that a hostile one cannot fill the table.
const PATHS_MAX: usize = 8;

/// An address silent for this long may be replaced by a new one.
const PATH_IDLE: Duration = Duration::from_secs(30);

/// Addresses of one viewer in all its life. The engine keeps some 250 bytes of each for ever; fewer may lock
/// out a traveller whose NAT changes often (once a minute for 17 hours).
const PATHS_EVER_MAX: u16 = 1_024;

/// Checks remembered, so that none counts twice: some 80 s of a browser. Fewer let older copies count
/// again; each costs 8 bytes a viewer.
const CHECKS_REMEMBERED: usize = 32;

/// How long a path is fresh after an authentic check or report of the viewer came from it.
///
/// Chromium checks every 2.5 s, and consent has others check every 4 to 6 s (RFC 7675 §5.1); while a picture
/// plays, browsers report every second too. Longer floods a third party, or the NAT of a viewer that is gone,
/// for longer; shorter than 6 s interrupts media in a pause of reports.
pub const FRESH: Duration = Duration::from_secs(7);

/// An address whose viewer said nothing for this long can be taken over by another one: a page that is opened
/// again behind a NAT that gives it the same port. Shorter than a setup may take (10 s), or the new page would
/// give up first; longer than the pauses of a live viewer (two checks of Chromium; reports come between).
const RELEASED: Duration = Duration::from_secs(5);

/// From us to a peer: its address, and ours that datagrams leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Where it is.
    pub remote: Remote,
    /// Our address that it sent to, as the kernel knows it; without one the kernel chooses.
    pub local: Option<IpAddr>,
}

impl Path {
    /// The same from `local`, if it says none itself.
    pub(crate) fn or_local(self, local: Option<IpAddr>) -> Path {
        Path { local: self.local.or(local), ..self }
    }
}

#[derive(Debug, Clone, Copy)]
struct Known {
    path: Path,
    /// Our address as announced to the engine.
    announced: SocketAddr,
    heard: Instant,
    nominated: Option<Instant>,
}

impl Known {
    fn is_udp(&self) -> bool {
        self.path.remote.connection.is_none()
    }
}

/// All paths of a viewer.
#[derive(Debug)]
pub(crate) struct Paths {
    known: Vec<Known>,
    ever: u16,
    fresh: Duration,
    /// The beginnings of transaction ids; they are random.
    checks: [u64; CHECKS_REMEMBERED],
    next_check: u8,
}

/// What may be done with a check before anybody knows whether it is authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It came for the first time.
    New,
    /// It came before, now again from a known address: it is answered, but proves nothing any more.
    Again,
    /// It came before, and now from an address that nobody vouches for (STUN itself does not tell a copy).
    Copy,
    /// It is from one address more than there is room for.
    NoRoom,
}

impl Paths {
    /// No paths; each will be fresh for `fresh`.
    pub(crate) fn new(fresh: Duration) -> Paths {
        let checks = [0; CHECKS_REMEMBERED];
        Paths { known: Vec::new(), ever: 0, fresh, checks, next_check: 0 }
    }

    /// The path from `remote`.
    pub(crate) fn get(&self, remote: Remote) -> Option<Path> {
        self.known.iter().map(|known| known.path).find(|path| path.remote == remote)
    }

    /// Our address, as announced to the engine, that `remote` sends to.
    pub(crate) fn announced(&self, remote: Remote) -> Option<SocketAddr> {
        let mut known = self.known.iter();
        known.find(|known| known.path.remote == remote).map(|known| known.announced)
    }

    /// All addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Remote> + '_ {
        self.known.iter().map(|known| known.path.remote)
    }

    /// What may be done with the check of that `transaction` from `remote`.
    pub(crate) fn standing(&self, now: Instant, remote: Remote, transaction: &[u8; 12]) -> Standing {
        let known = self.get(remote).is_some();
        match self.checks.contains(&beginning(transaction)) {
            true if known => Standing::Again,
            true => Standing::Copy,
            false if known || self.has_room(now) => Standing::New,
            false => Standing::NoRoom,
        }
    }

    /// A new check came over `path` and is authentic. Returns the address that had to go for it.
    pub(crate) fn confirm(
        &mut self,
        now: Instant,
        path: Path,
        announced: SocketAddr,
        transaction: &[u8; 12],
        nominates: bool,
    ) -> Option<Remote> {
        self.checks[usize::from(self.next_check)] = beginning(transaction);
        self.next_check = (self.next_check + 1) % CHECKS_REMEMBERED as u8;
        if let Some(known) = self.known.iter_mut().find(|known| known.path.remote == path.remote) {
            // Nominations stay: only the newest counts.
            let nominated = if nominates { Some(now) } else { known.nominated };
            *known = Known { path, announced, heard: now, nominated };
            return None;
        }
        let evicted = (self.known.len() >= PATHS_MAX).then(|| self.oldest()).flatten();
        let evicted = evicted.map(|index| self.known.swap_remove(index).path.remote);
        self.known.push(Known { path, announced, heard: now, nominated: nominates.then_some(now) });
        self.ever += 1;
        evicted
    }

    /// Something else that only the viewer can have made came from `remote`.
    pub(crate) fn heard(&mut self, now: Instant, remote: Remote) {
        if let Some(known) = self.known.iter_mut().find(|known| known.path.remote == remote) {
            known.heard = now;
        }
    }

    /// The address is another viewer's now.
    pub(crate) fn forget(&mut self, remote: Remote) {
        self.known.retain(|known| known.path.remote != remote);
    }

    /// Whether another viewer may have the address.
    pub(crate) fn is_released(&self, now: Instant, remote: Remote) -> bool {
        let known = self.known.iter().find(|known| known.path.remote == remote);
        known.is_none_or(|known| now.saturating_duration_since(known.heard) >= RELEASED)
    }

    /// Where media goes, and until when that holds if nothing more is heard.
    pub(crate) fn target(&self, now: Instant) -> Option<(Path, Instant)> {
        let fresh = self.known.iter().filter(|known| now < known.heard + self.fresh);
        // `None` is less than any instant.
        let best = fresh.max_by_key(|known| (known.nominated, known.is_udp(), known.heard))?;
        Some((best.path, best.heard + self.fresh))
    }

    fn has_room(&self, now: Instant) -> bool {
        let idle = |index: usize| now.saturating_duration_since(self.known[index].heard) >= PATH_IDLE;
        let room = self.known.len() < PATHS_MAX || self.oldest().is_some_and(idle);
        room && self.ever < PATHS_EVER_MAX && !strikes(Site::NoRoomForPath)
    }

    fn oldest(&self) -> Option<usize> {
        (0..self.known.len()).min_by_key(|&index| self.known[index].heard)
    }
}

/// Eight of twelve random bytes; never 0, which stands for none.
fn beginning(transaction: &[u8; 12]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *transaction;
    u64::from_ne_bytes([a, b, c, d, e, f, g, h]).max(1)
}

#[cfg(test)]
#[path = "paths_tests.rs"]
mod tests;
