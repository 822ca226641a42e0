//! One number that one thread writes and others read.
//!
//! A write of its own thread is a load and a store, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number with one writer.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Zero.
    pub const fn new() -> Cell {
        Cell(AtomicU64::new(0))
    }

    /// Adds `n`. Only the owning thread may, but for [`Cell::add_shared`].
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Adds `n` from any thread.
    pub fn add_shared(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets the number.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Reads the number; it may be an instant old.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
