//! Since when an attempt brings media, and whether that has lasted.
//!
//! Owns what counts as an attempt that worked. Never reads a clock: time goes by as media arrive.

use std::time::{Duration, Instant};

/// An attempt that brought media for so long has worked: it may be tried again at once, and its end is news.
///
/// Raising it makes the pauses longer after sessions that break soon; lowering it lets a camera that brings a picture
/// and closes be asked, and written of, several times a second for ever.
const STEADY: Duration = Duration::from_secs(5);

/// From when to when an attempt brought media.
#[derive(Debug, Default)]
pub(super) struct Flow {
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Flow {
    /// Whether it brought media for a while.
    pub(super) fn is_steady(&self) -> bool {
        self.since
            .zip(self.until)
            .is_some_and(|(since, until)| until.saturating_duration_since(since) >= STEADY)
    }

    /// When media came last.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Notes media. Returns whether it is steady since now.
    pub(super) fn note(&mut self, received: Instant) -> bool {
        let was_steady = self.is_steady();
        self.since.get_or_insert(received);
        self.until = Some(received);
        self.is_steady() && !was_steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn a_flow_is_steady_after_a_while_and_that_is_news_once() {
        let start = Instant::now();
        let mut flow = Flow::default();
        let news: Vec<u64> =
            (0..20).filter(|second| flow.note(start + Duration::from_secs(*second))).collect();
        assert_eq!(news, [STEADY.as_secs()]);
        assert!(flow.is_steady());
        assert_eq!(flow.until(), Some(start + Duration::from_secs(19)));
        let mut short = Flow::default();
        assert!(!short.is_steady() && !short.note(start) && !short.is_steady());
    }
}
