//! So many a second, and a few seconds' worth at once: of an address, of a stream, of the server.
//!
//! Owns the count. Sans-I/O: `now` is given to it.

use std::time::Instant;

/// Seconds' worth that may come at once: the people who come back when the server does. Raising it lets a flood begin
/// harder.
const BURST_SECONDS: f64 = 5.0;

/// What may still come at once, as of a moment.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    left: f64,
    at: Instant,
}

impl Pace {
    /// Nothing has come yet, at `rate` a second.
    pub fn new(now: Instant, rate: u32) -> Pace {
        Pace { left: f64::from(rate) * BURST_SECONDS, at: now }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Instant, rate: u32) -> bool {
        *self = Pace { left: self.left_at(now, rate), at: self.at.max(now) };
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }

    /// Whether as many may come as if none had.
    pub fn is_full(&self, now: Instant, rate: u32) -> bool {
        self.left_at(now, rate) >= f64::from(rate) * BURST_SECONDS
    }

    fn left_at(&self, now: Instant, rate: u32) -> f64 {
        let (passed, rate) = (now.saturating_duration_since(self.at).as_secs_f64(), f64::from(rate));
        (self.left + passed * rate).min(rate * BURST_SECONDS)
    }
}
