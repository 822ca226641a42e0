//! A keyframe that somebody needs sooner than the next comes by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by shards, taken by the source: a flag, so that neither waits for the other.
#[derive(Debug, Clone, Default)]
pub struct KeyframeRequest(Arc<AtomicBool>);

impl KeyframeRequest {
    /// A viewer needs one.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody needs one; asked no more.
    pub fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_once_however_often_it_was_made() {
        let request = KeyframeRequest::default();
        let of_a_shard = request.clone();
        assert!(!request.take());
        of_a_shard.ask();
        of_a_shard.ask();
        assert!(request.take());
        assert!(!request.take());
    }
}
