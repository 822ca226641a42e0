//! What became of the configuration when it was last read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Cell;

/// The last time, and the last time that it was good. The start is the first.
#[derive(Debug, Default)]
pub struct Reloads {
    failed: Cell,
    succeeded: Cell,
}

impl Reloads {
    /// It was read at `date`, and is in effect.
    pub fn succeed(&self, date: SystemTime) {
        self.succeeded.set(date.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64);
        self.failed.set(0);
    }

    /// It was read, and could not be used.
    pub fn fail(&self) {
        self.failed.set(1);
    }

    /// Whether it is in effect as it was last read.
    pub fn is_successful(&self) -> bool {
        self.failed.get() == 0
    }

    /// When it was last read and could be used, in milliseconds since 1970.
    pub fn succeeded_ms(&self) -> u64 {
        self.succeeded.get()
    }
}
