//! Reading a camera's stream in portions, while nobody watches it.
//!
//! Owns how long what came may lie in the kernel. A wake-up costs more than what is done with a packet, and a camera with
//! sound sends eighty times a second. A shell: it sleeps, and with it the thread, which is this source's alone; what else
//! it is told it hears of a rest later.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it sleeps")]

use std::time::{Duration, Instant};

/// How long what came may lie there, at most. Longer needs fewer wake-ups and makes times of arrival coarser; it is also how
/// long an order to stop can take, and how old a stream's newest picture is while its first viewer connects.
const REST: Duration = Duration::from_millis(100);

/// Bytes that may lie there, as far as the camera goes on as it did. More needs fewer wake-ups for cameras of high bitrates;
/// what the kernel has no room for (64 KiB in the beginning) waits in the camera.
const PORTION: u32 = 32 << 10;

/// A shorter rest saves nothing: pictures come at this rate.
const SHORTEST: Duration = Duration::from_millis(30);

/// What came since the last rest began.
pub(super) struct Portions {
    since: Instant,
    bytes: usize,
}

impl Portions {
    /// Nothing, since `now`.
    pub(super) fn new(now: Instant) -> Portions {
        Portions { since: now, bytes: 0 }
    }

    /// `bytes` came.
    pub(super) fn note(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Lets a portion come together; not if what comes is a flood, or nothing.
    pub(super) fn rest(&mut self, now: Instant) {
        let bytes = std::mem::take(&mut self.bytes);
        let passed = now.saturating_duration_since(std::mem::replace(&mut self.since, now));
        if let Some(rest) = rest_after(passed, bytes) {
            std::thread::sleep(rest);
        }
    }
}

/// How long until there is a portion, if so many bytes came in that time.
fn rest_after(passed: Duration, bytes: usize) -> Option<Duration> {
    let bytes = u32::try_from(bytes).ok().filter(|bytes| *bytes > 0)?;
    let rest = (passed.min(REST) * PORTION / bytes).min(REST);
    (rest >= SHORTEST).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_a_portion_long_and_a_tenth_of_a_second_at_the_most() {
        let after = |ms, bytes| rest_after(Duration::from_millis(ms), bytes).map(|rest| rest.as_millis());
        assert_eq!(after(100, 14_000), Some(100), "1.1 Mb/s");
        assert_eq!(after(40, 20_000), Some(65), "4 Mb/s");
        assert_eq!(after(30, 120_000), None, "a key frame, or 32 Mb/s");
        assert_eq!(after(5_000, 200), Some(100), "next to nothing");
        assert_eq!(after(100, 0), None, "whoever waits for the first byte does not sleep besides");
        assert_eq!(after(100, usize::MAX), None);
    }
}
