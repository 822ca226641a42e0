//! Sessions that ended lately, so that somebody who complains can be answered.
//!
//! Owns for how long they are kept, and how many. Never reads a clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::visitor::Visitor;
use crate::count::EndReason;
use crate::id::SessionId;

/// For how long an ended session is kept. Longer answers who complains later, and holds more addresses.
const KEPT: Duration = Duration::from_secs(600);

/// Ended sessions that are kept at the most, some 300 bytes each; then the oldest go before their time. Fewer forget
/// viewers of a full house that leaves at once.
const GONE_MAX: usize = 16_384;

/// One that ended.
#[derive(Debug, Clone)]
pub struct Gone {
    /// Which it was.
    pub id: SessionId,
    /// What it watched.
    pub stream: String,
    /// Who had asked for it.
    pub visitor: Visitor,
    /// When it ended.
    pub ended: Instant,
    /// Why.
    pub reason: EndReason,
    /// Whether it ever connected.
    pub connected: bool,
}

/// Those that ended.
#[derive(Debug, Default)]
pub(super) struct Graves(VecDeque<Gone>);

impl Graves {
    /// One more, which ended after all others.
    pub(super) fn add(&mut self, gone: Gone) {
        self.forget(gone.ended);
        if self.0.len() == GONE_MAX {
            self.0.pop_front();
        }
        self.0.push_back(gone);
    }

    /// Those of the last ten minutes, the latest first.
    pub(super) fn since(&mut self, now: Instant) -> Vec<Gone> {
        self.forget(now);
        self.0.iter().rev().cloned().collect()
    }

    /// Why one of them ended.
    pub(super) fn reason(&self, id: SessionId, stream: &str) -> Option<EndReason> {
        let found = self.0.iter().rev().find(|gone| gone.id == id && gone.stream == stream);
        found.map(|gone| gone.reason)
    }

    fn forget(&mut self, now: Instant) {
        while self.0.front().is_some_and(|gone| now.saturating_duration_since(gone.ended) > KEPT) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::IpAddr;

    use axum::http::HeaderMap;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    pub(in crate::session) fn now() -> Instant {
        Instant::now()
    }

    fn gone(id: u128, ended: Instant) -> Gone {
        let visitor = Visitor::new(IpAddr::from([192, 0, 2, 1]), &HeaderMap::new(), ended);
        let (id, stream) = (SessionId(id), "gate".to_owned());
        Gone { id, stream, visitor, ended, reason: EndReason::Operator, connected: true }
    }

    #[test]
    fn who_ended_is_found_for_ten_minutes_and_no_longer() {
        let (mut graves, began) = (Graves::default(), now());
        for minute in 0..20 {
            graves.add(gone(minute.into(), began + minute * Duration::from_secs(60)));
        }
        let ids = |graves: &mut Graves, minute: u32| {
            let found = graves.since(began + minute * Duration::from_secs(60));
            found.iter().map(|gone| gone.id.0).collect::<Vec<_>>()
        };
        assert_eq!(graves.reason(SessionId(19), "gate"), Some(EndReason::Operator));
        assert_eq!(graves.reason(SessionId(19), "yard"), None, "it watched another");
        assert_eq!(ids(&mut graves, 19), (9..20).rev().collect::<Vec<_>>());
        assert_eq!(ids(&mut graves, 29), [19]);
        assert!(ids(&mut graves, 30).is_empty());
    }

    #[test]
    fn a_flood_of_sessions_takes_no_more_than_its_bound() {
        let (mut graves, now) = (Graves::default(), now());
        (0..=GONE_MAX as u128).for_each(|id| graves.add(gone(id, now)));
        let found = graves.since(now);
        assert_eq!((found.len(), found[0].id.0), (GONE_MAX, GONE_MAX as u128));
    }
}
