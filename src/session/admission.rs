//! Admission: who may join, and the one book of who did.
//!
//! Owns the counts that limits are about: viewers, viewers of a stream, joins that are not connected yet, and
//! what one client has of them. A [`Place`] is taken by a join and gives itself back when it is dropped. Sans-I/O:
//! `now` is given to it. Never knows HTTP, shards or sessions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sluice_config::{Bitrate, Limits};

use super::pace::Pace;
use crate::client::{Client, Share};
use crate::contain::lock;
use crate::count::Cell;
use crate::current::Current;
use crate::id::StreamId;

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
    /// Joins a second of one stream; 0 for no bound (`limits.joins_per_stream`).
    pub joins_of_stream: u32,
    /// Joins a second of all; 0 for no bound (`limits.joins`).
    pub joins: u32,
    /// Bits a second that viewers of one stream are sent at the most; 0 for no bound (`limits.egress_per_stream`).
    pub egress_of_stream: u64,
    /// Bits a second that one client is sent at the most; 0 for no bound (`limits.egress_per_address`).
    pub egress_of_client: u64,
}

/// What a viewer wants to be let in for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Who it is.
    pub client: Client,
    /// What it wants to watch.
    pub stream: StreamId,
    /// Bits a second of that; 0 while it is not known.
    pub bits: u64,
}

/// Bits a second; 0 for no limit.
fn bits(rate: Bitrate) -> u64 {
    rate.bytes_per_second().map_or(0, |bytes| (bytes * 8.0) as u64)
}

impl From<&Limits> for AdmissionLimits {
    fn from(limits: &Limits) -> AdmissionLimits {
        AdmissionLimits {
            viewers: limits.viewers as usize,
            viewers_per_stream: limits.viewers_per_stream.map_or(0, |limit| limit.get() as usize),
            pending: limits.pending as usize,
            share: Share(limits.share_per_address),
            joins_per_second: limits.joins_per_address,
            joins_of_stream: limits.joins_per_stream,
            joins: limits.joins,
            egress_of_stream: bits(limits.egress_per_stream),
            egress_of_client: bits(limits.egress_per_address),
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
    /// This stream is joined too fast.
    #[error("is joined more than {0} times a second (limits.joins_per_stream)")]
    StreamRate(u32),
    /// The server is.
    #[error("the server is joined more than {0} times a second (limits.joins)")]
    ServerRate(u32),
    /// The viewers of this stream get all that they may.
    #[error("sends its viewers all that it may (limits.egress_per_stream)")]
    StreamEgress,
    /// This client gets all that it may.
    #[error(
        "this address is sent all that one may be (limits.egress_per_address; behind a proxy see http.trusted_proxies)"
    )]
    OwnEgress,
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
    pub const LABELS: [&str; 10] = [
        "viewers",
        "viewers_per_stream",
        "pending",
        "address_rate",
        "address_pending",
        "address_viewers",
        "stream_rate",
        "server_rate",
        "stream_egress",
        "address_egress",
    ];

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
            Refusal::StreamRate(_) => 6,
            Refusal::ServerRate(_) => 7,
            Refusal::StreamEgress => 8,
            Refusal::OwnEgress => 9,
        }
    }

    /// Whether it is about this client alone, and not about the server.
    pub fn is_of_client(self) -> bool {
        matches!(
            self,
            Refusal::Rate(_) | Refusal::OwnPending { .. } | Refusal::OwnViewers { .. } | Refusal::OwnEgress
        )
    }

    /// Whether it is about the stream alone.
    pub fn is_of_stream(self) -> bool {
        matches!(self, Refusal::StreamViewers(_) | Refusal::StreamRate(_) | Refusal::StreamEgress)
    }

    /// Whether it is about joins in a second, so that it is over soon.
    pub fn is_of_rate(self) -> bool {
        matches!(self, Refusal::Rate(_) | Refusal::StreamRate(_) | Refusal::ServerRate(_))
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
    streams: HashMap<StreamId, Audience>,
    /// Joins of all.
    joins: Option<Pace>,
    clients: HashMap<Client, Account>,
    /// When clients were last looked through.
    swept: Option<Instant>,
}

/// What one client has.
struct Account {
    viewers: usize,
    pending: usize,
    bits: u64,
    joins: Pace,
}

/// What the viewers of one stream have.
struct Audience {
    viewers: usize,
    bits: u64,
    joins: Pace,
    /// The stream is, and its number is never used again.
    is_over: bool,
}

/// A place of one viewer, from before its answer until it is dropped.
pub struct Place {
    admission: Arc<Admission>,
    asked: Asked,
    /// What it takes now, which was [`Asked::bits`].
    bits: AtomicU64,
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

    /// Takes a place for a viewer, or says why there is none.
    pub fn admit(self: &Arc<Self>, now: Instant, asked: Asked) -> Result<Place, Refusal> {
        let admitted = self.lock().take(&self.limits.get(), now, asked);
        match admitted {
            Ok(client) => {
                let asked = Asked { client, ..asked };
                let (bits, pending) = (AtomicU64::new(asked.bits), AtomicBool::new(true));
                Ok(Place { admission: self.clone(), asked, bits, pending })
            }
            Err(refusal) => {
                self.refused[refusal.index()].add_shared(1);
                Err(refusal)
            }
        }
    }

    /// A stream is over: what is known of it goes with its last viewer.
    pub fn forget(&self, stream: StreamId) {
        let mut book = self.lock();
        match book.streams.get_mut(&stream) {
            Some(audience) if audience.viewers > 0 => audience.is_over = true,
            _ => _ = book.streams.remove(&stream),
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
    fn take(&mut self, limits: &AdmissionLimits, now: Instant, asked: Asked) -> Result<Client, Refusal> {
        let Asked { stream, bits, .. } = asked;
        let rate = limits.joins_per_second;
        let client = self.known(limits, now, asked.client);
        let new = Account { viewers: 0, pending: 0, bits: 0, joins: Pace::new(now, rate) };
        let account = self.clients.entry(client).or_insert(new);
        // First what costs least to find out, and what is this client's own doing.
        if !account.joins.take(now, rate) {
            return Err(Refusal::Rate(rate));
        }
        let is_over = |held: u64, limit: u64| limit > 0 && held.saturating_add(bits) > limit;
        if is_over(account.bits, limits.egress_of_client) {
            return Err(Refusal::OwnEgress);
        }
        if self.viewers >= limits.viewers {
            return Err(Refusal::Viewers(limits.viewers));
        }
        let new =
            Audience { viewers: 0, bits: 0, joins: Pace::new(now, limits.joins_of_stream), is_over: false };
        let audience = self.streams.entry(stream).or_insert(new);
        if limits.viewers_per_stream > 0 && audience.viewers >= limits.viewers_per_stream {
            return Err(Refusal::StreamViewers(limits.viewers_per_stream));
        }
        if is_over(audience.bits, limits.egress_of_stream) {
            return Err(Refusal::StreamEgress);
        }
        if self.pending >= limits.pending {
            return Err(Refusal::Pending(self.pending));
        }
        let percent = limits.share.0;
        if !limits.share.allows(account.pending, limits.pending - self.pending) {
            return Err(Refusal::OwnPending { own: account.pending, percent });
        }
        if !limits.share.allows(account.viewers, limits.viewers.saturating_sub(self.viewers)) {
            return Err(Refusal::OwnViewers { own: account.viewers, percent });
        }
        // Last what a join that is refused anyway would take from others.
        if limits.joins_of_stream > 0 && !audience.joins.take(now, limits.joins_of_stream) {
            return Err(Refusal::StreamRate(limits.joins_of_stream));
        }
        let joins = self.joins.get_or_insert(Pace::new(now, limits.joins));
        if limits.joins > 0 && !joins.take(now, limits.joins) {
            return Err(Refusal::ServerRate(limits.joins));
        }
        account.viewers += 1;
        account.pending += 1;
        account.bits += bits;
        self.viewers += 1;
        self.pending += 1;
        audience.viewers += 1;
        audience.bits += bits;
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
            let rate = limits.joins_per_second;
            self.clients.retain(|_, account| account.viewers > 0 || !account.joins.is_full(now, rate));
        }
        if self.clients.len() < room { client } else { Client::REST }
    }

    fn connected(&mut self, client: Client) {
        self.pending -= 1;
        if let Some(account) = self.clients.get_mut(&client) {
            account.pending -= 1;
        }
    }

    /// Whether a viewer may take other `bits` than the `before`; it does then.
    fn change(
        &mut self,
        limits: &AdmissionLimits,
        asked: Asked,
        before: u64,
        bits: u64,
    ) -> Result<(), Refusal> {
        let account = self.clients.get_mut(&asked.client);
        let audience = self.streams.get_mut(&asked.stream);
        let (Some(account), Some(audience)) = (account, audience) else { return Ok(()) };
        let after = |held: u64| held.saturating_sub(before).saturating_add(bits);
        let is_over = |held: u64, limit: u64| bits > before && limit > 0 && after(held) > limit;
        if is_over(account.bits, limits.egress_of_client) {
            return Err(Refusal::OwnEgress);
        }
        if is_over(audience.bits, limits.egress_of_stream) {
            return Err(Refusal::StreamEgress);
        }
        (account.bits, audience.bits) = (after(account.bits), after(audience.bits));
        Ok(())
    }

    fn leave(&mut self, asked: Asked) {
        self.viewers -= 1;
        if let Some(account) = self.clients.get_mut(&asked.client) {
            account.viewers -= 1;
            account.bits = account.bits.saturating_sub(asked.bits);
        }
        if let Some(audience) = self.streams.get_mut(&asked.stream) {
            audience.viewers -= 1;
            audience.bits = audience.bits.saturating_sub(asked.bits);
            if audience.viewers == 0 && audience.is_over {
                self.streams.remove(&asked.stream);
            }
        }
    }
}

impl Place {
    /// The viewer takes so many bits a second from now on, if it may.
    ///
    /// # Errors
    ///
    /// Why it may not: then it is as it was.
    pub fn change(&self, bits: u64) -> Result<(), Refusal> {
        let mut book = self.admission.lock();
        let before = self.bits.load(Ordering::Relaxed);
        let changed = book.change(&self.admission.limits.get(), self.asked, before, bits);
        match changed {
            Ok(()) => self.bits.store(bits, Ordering::Relaxed),
            Err(refusal) => self.admission.refused[refusal.index()].add_shared(1),
        }
        changed
    }

    /// The viewer is connected: it is not on its way in any more.
    pub fn connected(&self) {
        if self.pending.swap(false, Ordering::Relaxed) {
            self.admission.lock().connected(self.asked.client);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connected();
        let bits = *self.bits.get_mut();
        self.admission.lock().leave(Asked { bits, ..self.asked });
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
