//! Admission: who may join, and the one book of who did.
//!
//! Owns the counts that limits are about: viewers, viewers of a stream, joins that are not connected yet, and
//! what one client has of them. A [`Place`] is taken by a join and gives itself back when it is dropped. Sans-I/O:
//! `now` is given to it. Never knows HTTP, shards or sessions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sluice_config::Limits;

use super::client::{Client, Share};
use crate::contain::lock;
use crate::count::Cell;
use crate::current::Current;
use crate::id::StreamId;

/// Seconds' worth of joins that a client may make at once: the people behind one address who come back when
/// the server does. Raising it lets a flood begin harder.
const BURST_SECONDS: f64 = 5.0;

/// Clients without a viewer whose joins are remembered. More share one account for a while, so that addresses
/// made up by the thousand cost memory for this many only (100 bytes each).
const REMEMBERED_MAX: usize = 8_192;

/// Time between two looks for clients that can be forgotten: a look goes through all of them.
const SWEEP: Duration = Duration::from_secs(1);

/// What may be taken.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionLimits {
    /// Viewers at the most (`limits.viewers`).
    pub viewers: usize,
    /// Viewers of one stream at the most; 0 for no bound of its own (`limits.viewers_per_stream`).
    pub viewers_per_stream: usize,
    /// Joins not connected yet at the most (`limits.pending`).
    pub pending: usize,
    /// What one client may have of viewers and of pending joins (`limits.share_per_address`).
    pub share: Share,
    /// Joins a second of one client (`limits.joins_per_address`).
    pub joins_per_second: u32,
}

impl From<&Limits> for AdmissionLimits {
    fn from(limits: &Limits) -> AdmissionLimits {
        AdmissionLimits {
            viewers: limits.viewers as usize,
            viewers_per_stream: limits.viewers_per_stream.map_or(0, |limit| limit.get() as usize),
            pending: limits.pending as usize,
            share: Share(limits.share_per_address),
            joins_per_second: limits.joins_per_address,
        }
    }
}

/// Why a join is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The house is full.
    #[error("the server has its {0} viewers (limits.viewers)")]
    Viewers(usize),
    /// The stream is.
    #[error("has its {0} viewers (limits.viewers_per_stream)")]
    StreamViewers(usize),
    /// Too many are on their way in.
    #[error("{0} joins are not connected yet (limits.pending)")]
    Pending(usize),
    /// This client comes too fast.
    #[error("this address joins more than {0} times a second (limits.joins_per_address)")]
    Rate(u32),
    /// This client has too many on their way in.
    #[error(
        "{own} joins of this address are not connected yet; the places that are left are for others \
         (limits.share_per_address is {percent} %)"
    )]
    OwnPending {
        /// Those of this client.
        own: usize,
        /// Its share.
        percent: u8,
    },
    /// This client has too many viewers.
    #[error(
        "this address has {own} viewers; the places that are left are for others (limits.share_per_address is \
         {percent} %; behind a proxy see http.trusted_proxies)"
    )]
    OwnViewers {
        /// Those of this client.
        own: usize,
        /// Its share.
        percent: u8,
    },
}

impl Refusal {
    /// Labels of metrics, in the order of the refusals.
    pub const LABELS: [&str; 6] =
        ["viewers", "viewers_per_stream", "pending", "address_rate", "address_pending", "address_viewers"];

    /// Its label.
    pub fn label(self) -> &'static str {
        Refusal::LABELS[self.index()]
    }

    fn index(self) -> usize {
        match self {
            Refusal::Viewers(_) => 0,
            Refusal::StreamViewers(_) => 1,
            Refusal::Pending(_) => 2,
            Refusal::Rate(_) => 3,
            Refusal::OwnPending { .. } => 4,
            Refusal::OwnViewers { .. } => 5,
        }
    }

    /// Whether it is about this client alone, and not about the server.
    pub fn is_of_client(self) -> bool {
        matches!(self, Refusal::Rate(_) | Refusal::OwnPending { .. } | Refusal::OwnViewers { .. })
    }
}

/// The door, and its book.
pub struct Admission {
    limits: Current<AdmissionLimits>,
    book: Mutex<Book>,
    refused: [Cell; Refusal::LABELS.len()],
}

#[derive(Default)]
struct Book {
    viewers: usize,
    pending: usize,
    streams: HashMap<StreamId, usize>,
    clients: HashMap<Client, Account>,
    /// When clients were last looked through.
    swept: Option<Instant>,
}

/// What one client has.
struct Account {
    viewers: usize,
    pending: usize,
    /// Joins that it may still make at once, as of `at`.
    joins: f64,
    at: Instant,
}

/// A place of one viewer, from before its answer until it is dropped.
pub struct Place {
    admission: Arc<Admission>,
    client: Client,
    stream: StreamId,
    pending: AtomicBool,
}

impl Admission {
    /// An empty house.
    pub fn new(limits: AdmissionLimits) -> Admission {
        Admission { limits: Current::new(limits), book: Mutex::default(), refused: Default::default() }
    }

    /// Who comes from now on is judged by `limits`, but for [`AdmissionLimits::viewers`], by which queues were made.
    pub fn limit(&self, limits: AdmissionLimits) {
        let viewers = self.limits.get().viewers;
        self.limits.set(AdmissionLimits { viewers, ..limits });
    }

    /// Takes a place for a viewer of `stream`, or says why there is none.
    pub fn admit(self: &Arc<Self>, now: Instant, client: Client, stream: StreamId) -> Result<Place, Refusal> {
        let admitted = self.lock().take(&self.limits.get(), now, client, stream);
        match admitted {
            Ok(client) => {
                Ok(Place { admission: self.clone(), client, stream, pending: AtomicBool::new(true) })
            }
            Err(refusal) => {
                self.refused[refusal.index()].add_shared(1);
                Err(refusal)
            }
        }
    }

    /// Joins refused so far, with the label of the reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refusal::LABELS.into_iter().zip(self.refused.iter().map(Cell::get))
    }

    /// Joins that are not connected yet.
    pub fn pending(&self) -> usize {
        self.lock().pending
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }
}

impl Book {
    /// Takes a place on the account that is given back.
    fn take(
        &mut self,
        limits: &AdmissionLimits,
        now: Instant,
        client: Client,
        stream: StreamId,
    ) -> Result<Client, Refusal> {
        let rate = f64::from(limits.joins_per_second);
        let client = self.known(limits, now, client);
        let full = rate * BURST_SECONDS;
        let account =
            self.clients.entry(client).or_insert(Account { viewers: 0, pending: 0, joins: full, at: now });
        account.joins = account.joins_at(now, rate);
        account.at = account.at.max(now);
        // First what costs least to find out, and what is this client's own doing.
        if account.joins < 1.0 {
            return Err(Refusal::Rate(limits.joins_per_second));
        }
        account.joins -= 1.0;
        if self.viewers >= limits.viewers {
            return Err(Refusal::Viewers(limits.viewers));
        }
        let of_stream = self.streams.get(&stream).copied().unwrap_or(0);
        if limits.viewers_per_stream > 0 && of_stream >= limits.viewers_per_stream {
            return Err(Refusal::StreamViewers(limits.viewers_per_stream));
        }
        if self.pending >= limits.pending {
            return Err(Refusal::Pending(self.pending));
        }
        let percent = limits.share.0;
        if !limits.share.allows(account.pending, limits.pending - self.pending) {
            return Err(Refusal::OwnPending { own: account.pending, percent });
        }
        if !limits.share.allows(account.viewers, limits.viewers - self.viewers) {
            return Err(Refusal::OwnViewers { own: account.viewers, percent });
        }
        account.viewers += 1;
        account.pending += 1;
        self.viewers += 1;
        self.pending += 1;
        *self.streams.entry(stream).or_default() += 1;
        Ok(client)
    }

    /// The client, or [`Client::REST`] where another account would be too many.
    fn known(&mut self, limits: &AdmissionLimits, now: Instant, client: Client) -> Client {
        // Those with viewers are as many as there may be viewers; the bound is on the others.
        let room = limits.viewers + REMEMBERED_MAX;
        if self.clients.contains_key(&client) || self.clients.len() < room {
            return client;
        }
        if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP) {
            self.swept = Some(now);
            let rate = f64::from(limits.joins_per_second);
            self.clients.retain(|_, account| {
                account.viewers > 0 || account.joins_at(now, rate) < rate * BURST_SECONDS
            });
        }
        if self.clients.len() < room { client } else { Client::REST }
    }

    fn connected(&mut self, client: Client) {
        self.pending -= 1;
        if let Some(account) = self.clients.get_mut(&client) {
            account.pending -= 1;
        }
    }

    fn leave(&mut self, client: Client, stream: StreamId) {
        self.viewers -= 1;
        if let Some(account) = self.clients.get_mut(&client) {
            account.viewers -= 1;
        }
        if let Some(of_stream) = self.streams.get_mut(&stream) {
            *of_stream -= 1;
        }
    }
}

impl Account {
    /// Joins that may be made at once, as of `now`.
    fn joins_at(&self, now: Instant, rate: f64) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.joins + passed * rate).min(rate * BURST_SECONDS)
    }
}

impl Place {
    /// The viewer is connected: it is not on its way in any more.
    pub fn connected(&self) {
        if self.pending.swap(false, Ordering::Relaxed) {
            self.admission.lock().connected(self.client);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connected();
        self.admission.lock().leave(self.client, self.stream);
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
