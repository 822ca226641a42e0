//! Waiting for what must happen, however slow the machine is.

use std::time::{Duration, Instant};

/// How long anything may take before a test calls it broken. Generous: CI machines are slow.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `check` gives something, for at most [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
