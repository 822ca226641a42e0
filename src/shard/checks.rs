//! How much STUN of one connection is looked at: each check has the engine compute an HMAC, and a connection brings them as
//! fast as its line does.
//!
//! Owns the bound. Never reads a clock.

use std::time::{Duration, Instant};

/// STUN of one connection that is looked at in a second. Browsers send some twenty while they look for a way, and one every
/// few seconds after that. More lets one viewer have more of it authenticated, 7 microseconds each (`cargo bench --bench join`); fewer
/// leave a browser that looks for its way with less.
const CHECKS_PER_SECOND: u32 = 100;

const SECOND: Duration = Duration::from_secs(1);

/// What one connection has had.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// When the second began that is counted.
    since: Option<Instant>,
    taken: u32,
}

impl Checks {
    /// Whether one more is looked at.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= SECOND) {
            (self.since, self.taken) = (Some(now), 0);
        }
        let is_admitted = self.taken < CHECKS_PER_SECOND;
        self.taken += u32::from(is_admitted);
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_its_share_of_each_second_and_no_more() {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
        let start = Instant::now();
        let mut checks = Checks::default();
        for second in 0..3 {
            let began = start + second * SECOND;
            let at = |number: u32| began + SECOND / 1_000 * number;
            let admitted = (0..1_000).filter(|number| checks.admit(at(*number))).count();
            assert_eq!(admitted, CHECKS_PER_SECOND as usize, "in second {second}");
        }
        // Who sends as browsers do never meets it.
        let mut checks = Checks::default();
        assert!((0..1_000).all(|number| checks.admit(start + SECOND / 50 * number)));
    }
}
