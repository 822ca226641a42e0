//! HTTP requests: how many, how they were answered, how long that took, and why they were refused.
//!
//! Owns the book. Its size is bounded by what is compiled in: listeners, routes by their pattern, methods, statuses
//! and reasons; nothing of a request's own text is a key. Under one lock, which requests can afford.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::histogram::{Histogram, Snapshot};
use super::setup::PHASE;

/// What a request was, as far as it is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Which listener took it: `public`, `admin` or `pprof`.
    pub listener: &'static str,
    /// The pattern of its path, `other` if it has none.
    pub route: String,
    /// Its method, `other` if it is none of those that are answered.
    pub method: &'static str,
}

/// All requests of this process.
#[derive(Debug, Default)]
pub struct Requests(Mutex<Book>);

#[derive(Debug)]
struct Book {
    answered: BTreeMap<(Request, u16), u64>,
    took: BTreeMap<(&'static str, String), Histogram>,
    refused: BTreeMap<&'static str, u64>,
    /// Requests that began a session.
    joins: Histogram,
}

/// The reason of a request that the server failed on. It is counted from 0, so that an alert sees the first.
pub const FAILED: &str = "failed";

impl Default for Book {
    fn default() -> Book {
        Book {
            answered: BTreeMap::new(),
            took: BTreeMap::new(),
            refused: BTreeMap::from([(FAILED, 0)]),
            joins: Histogram::new(PHASE),
        }
    }
}

impl Requests {
    /// A request was answered with `status`, so long after its head had come; if not as it wished, for the reason
    /// `refused`.
    pub fn answered(&self, request: Request, status: u16, took: Duration, refused: Option<&'static str>) {
        let mut book = self.lock();
        let of_route = (request.listener, request.route.clone());
        let histogram = book.took.entry(of_route).or_insert_with(|| Histogram::new(PHASE));
        histogram.observe(took.as_secs_f64());
        *book.answered.entry((request, status)).or_default() += 1;
        if let Some(reason) = refused {
            *book.refused.entry(reason).or_default() += 1;
        }
    }

    /// Somebody was refused before there was a request to answer.
    pub fn refused(&self, reason: &'static str) {
        *self.lock().refused.entry(reason).or_default() += 1;
    }

    /// A request began a session: the first phase of a viewer's setup took so long.
    pub fn joined(&self, took: Duration) {
        self.lock().joins.observe(took.as_secs_f64());
    }

    /// How many requests got which status.
    pub fn by_status(&self) -> Vec<(Request, u16, u64)> {
        let book = self.lock();
        book.answered.iter().map(|((request, status), count)| (request.clone(), *status, *count)).collect()
    }

    /// How long they took, by listener and route.
    pub fn by_route(&self) -> Vec<(&'static str, String, Snapshot)> {
        let book = self.lock();
        let took = book.took.iter();
        took.map(|((listener, route), took)| (*listener, route.clone(), Snapshot::of([took]))).collect()
    }

    /// How many were refused, by reason.
    pub fn by_reason(&self) -> Vec<(&'static str, u64)> {
        self.lock().refused.iter().map(|(reason, count)| (*reason, *count)).collect()
    }

    /// How long those took that began a session.
    pub fn joins(&self) -> Snapshot {
        Snapshot::of([&self.lock().joins])
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Plain numbers, and true after a panic too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
