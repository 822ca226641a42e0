//! Time for profiles, which read no clock themselves. A shell: it reads one, and waits.
//!
//! Owns nothing else.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and waits")]

use std::time::{Duration, Instant};

/// Lets time pass while something is measured.
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Time since a moment.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins now.
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// Time since then.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
