//! The rate at which a shard may send: a token bucket over bytes on the wire.
//!
//! Owns how much may go out now. It is for lines whose queues are shallow: a switch, or a link slower
//! than the network card, drops what a fan-out puts out at the speed of the processor. Reads no clock.

use std::time::{Duration, Instant};

/// What may go out at once after a pause. Longer bursts overrun the queues this is made for; shorter ones
/// need the thread to wake up more often than epoll can.
const BURST: Duration = Duration::from_millis(2);

/// What may go out at once where media waited and the thread came late to it: a busy machine wakes it up some
/// milliseconds after it asked. Longer bursts overrun queues, shorter ones leave a part of the line unused whenever
/// somebody else has the core.
const LATE_BURST: Duration = Duration::from_millis(20);

/// Bytes of a packet around its UDP payload on Ethernet: IPv4 and UDP headers 28, frame 18, preamble and
/// gap 20.
pub(super) const AROUND: u64 = 66;

/// A token bucket that may go into debt by whatever is sent while it is not empty.
#[derive(Debug)]
pub(super) struct Rate {
    bytes_per_second: f64,
    tokens: f64,
    filled: Instant,
    /// Media waits for it.
    awaited: bool,
}

impl Rate {
    /// A full bucket; `bytes_per_second` is above 0.
    pub(super) fn new(bytes_per_second: f64, now: Instant) -> Rate {
        Rate { bytes_per_second, tokens: bytes_per_second * BURST.as_secs_f64(), filled: now, awaited: false }
    }

    /// The time is `now`.
    pub(super) fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled);
        self.filled = self.filled.max(now);
        let burst = if std::mem::take(&mut self.awaited) { LATE_BURST } else { BURST };
        let mut full = self.bytes_per_second * burst.as_secs_f64();
        if passed < BURST {
            // What waited goes out in this moment, or the next.
            full = full.max(self.tokens);
        }
        self.tokens = (self.tokens + self.bytes_per_second * passed.as_secs_f64()).min(full);
    }

    /// Whether media may go out now.
    pub(super) fn is_open(&self) -> bool {
        self.tokens > 0.0
    }

    /// Media would go out now: returns whether it may. If not, the time until it is asked again is made up for.
    pub(super) fn admits(&mut self) -> bool {
        self.awaited |= !self.is_open();
        self.is_open()
    }

    /// A datagram of `bytes` bytes goes out.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.tokens -= (bytes as u64 + AROUND) as f64;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    #[test]
    fn over_time_the_rate_is_kept_and_pauses_are_not_saved_up() {
        let start = Instant::now();
        let mut rate = Rate::new(1_000_000.0, start);
        let mut sent = 0;
        for step in 1..=1_000 {
            rate.refill(start + Duration::from_millis(step));
            while rate.is_open() {
                rate.spend(1_184);
                sent += 1_250;
            }
        }
        assert!((1_000_000..1_005_000).contains(&sent), "{sent} bytes in a second");
        rate.refill(start + Duration::from_secs(100));
        let mut burst = 0;
        while rate.is_open() {
            rate.spend(184);
            burst += 250;
        }
        assert_eq!(burst, 2_000, "2 ms worth");
    }

    #[test]
    fn a_thread_that_comes_late_to_what_waits_makes_up_for_it() {
        let start = Instant::now();
        let mut rate = Rate::new(1_000_000.0, start);
        let mut sent = 0;
        for step in 1..=100 {
            let now = start + 10 * Duration::from_millis(step);
            // A round reads the clock more than once.
            rate.refill(now);
            rate.refill(now + Duration::from_micros(5));
            while rate.admits() {
                rate.spend(1_184);
                sent += 1_250;
            }
        }
        assert!((980_000..1_005_000).contains(&sent), "{sent} bytes in a second");
        rate.refill(start + Duration::from_secs(100));
        let mut burst = 0;
        while rate.admits() {
            rate.spend(184);
            burst += 250;
        }
        assert!((19_000..21_000).contains(&burst), "{burst}: 20 ms worth at the most");
        // What is left where nothing waits is not kept.
        rate.refill(start + Duration::from_secs(110));
        rate.refill(start + Duration::from_secs(120));
        assert!(rate.tokens <= 2_000.0, "{}", rate.tokens);
    }

    #[test]
    fn a_debt_is_paid_before_anything_goes_out() {
        let start = Instant::now();
        let mut rate = Rate::new(1_000_000.0, start);
        rate.spend(12_000 - AROUND as usize);
        rate.refill(start + Duration::from_millis(10));
        assert!(!rate.is_open());
        rate.refill(start + Duration::from_millis(11));
        assert!(rate.is_open());
        rate.refill(start);
        assert!(rate.is_open(), "a clock that stands still changes nothing");
    }
}
