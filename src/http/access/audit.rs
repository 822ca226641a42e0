//! What was decided, as lines of the log (target `sluice::access`) and as counts.
//!
//! Owns how often the same is told: at once, and then how often again, once a period. Nothing that a client said but
//! names is in a line, and those are short.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sluice_config::Action;
use sluice_media::shown;

use crate::contain::lock;
use crate::count::access::{Decisions, Outcome};
use crate::session::client::Client;

/// Time after which what went on is told again. Shorter makes more lines of a page that asks every second.
const PERIOD: Duration = Duration::from_secs(60);

/// Different decisions that are told one by one in a period. More let a flood of addresses write more lines.
const TOLD_MAX: usize = 1_024;

/// What was decided.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// Who asked, if that was proved or said.
    pub who: Option<&'a str>,
    /// From where.
    pub from: IpAddr,
    /// To do what.
    pub action: Action,
    /// With which stream.
    pub stream: Option<&'a str>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, for an operator.
    pub why: &'a str,
    /// Whether it only looked at something: then it is told where it was refused.
    pub looks: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    who: Option<Box<str>>,
    from: Client,
    action: Action,
    stream: Option<Box<str>>,
    outcome: Outcome,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// Since then.
    again: u64,
}

/// Tells and counts.
#[derive(Debug)]
pub struct Audit {
    /// Counts.
    pub decisions: Arc<Decisions>,
    told: Mutex<(HashMap<Name, Told>, u64)>,
}

impl Audit {
    /// Counts there.
    pub fn new(decisions: Arc<Decisions>) -> Audit {
        Audit { decisions, told: Mutex::default() }
    }

    /// Tells of a decision, and counts it.
    pub fn tell(&self, now: Instant, decision: &Decision<'_>) {
        let Decision { who, from, action, stream, outcome, why, looks } = *decision;
        self.decisions.count(action as usize, outcome);
        let (result, stream, who) = (outcome.label(), stream.map(shown), who.map(shown));
        if looks && outcome == Outcome::Allowed {
            tracing::debug!(target: "sluice::access", who, %from, %action, stream, result, why);
        } else if self.is_new(now, decision) {
            tracing::info!(target: "sluice::access", who, %from, %action, stream, result, why);
        }
    }

    /// Says how often what was told came again, where a period is over.
    pub fn sum_up(&self, now: Instant) {
        let mut told = lock(&self.told);
        let (told, rest) = &mut *told;
        told.retain(|Name { who, from, action, stream, outcome }, told| {
            let goes_on = now.saturating_duration_since(told.at) < PERIOD;
            if !goes_on && told.again > 0 {
                let (result, times) = (outcome.label(), told.again);
                let (who, stream) = (who.as_deref(), stream.as_deref());
                tracing::info!(target: "sluice::access", who, %from, %action, stream, result, times, "again");
            }
            goes_on
        });
        if told.len() < TOLD_MAX / 2 && *rest > 0 {
            let times = std::mem::take(rest);
            tracing::info!(target: "sluice::access", times, "decisions of too many others to be told one by one");
        }
    }

    /// Whether it was not told in this period.
    fn is_new(&self, now: Instant, decision: &Decision<'_>) -> bool {
        let short = |text: &str| shown(text).into();
        let name = Name {
            who: decision.who.map(short),
            from: Client::of(decision.from),
            action: decision.action,
            stream: decision.stream.map(short),
            outcome: decision.outcome,
        };
        let mut told = lock(&self.told);
        let (told, rest) = &mut *told;
        if let Some(told) = told.get_mut(&name) {
            told.again += 1;
            return false;
        }
        if told.len() >= TOLD_MAX {
            *rest += 1;
            return false;
        }
        told.insert(name, Told { at: now, again: 0 });
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a moment to begin with")]
mod tests {
    use super::*;

    fn decision(from: u32, outcome: Outcome) -> Decision<'static> {
        let from = std::net::Ipv4Addr::from_bits(from).into();
        let (action, stream) = (Action::Read, Some("gate"));
        Decision { who: Some("ann"), from, action, stream, outcome, why: "", looks: false }
    }

    #[test]
    fn the_same_is_told_once_a_period_and_a_flood_of_others_is_bounded() {
        let (audit, now) = (Audit::new(Arc::default()), Instant::now());
        assert!(audit.is_new(now, &decision(1, Outcome::Wrong)));
        assert!(!audit.is_new(now, &decision(1, Outcome::Wrong)));
        assert!(audit.is_new(now, &decision(1, Outcome::Allowed)), "it is something else");
        audit.sum_up(now + PERIOD / 2);
        assert!(!audit.is_new(now, &decision(1, Outcome::Wrong)));
        audit.sum_up(now + PERIOD);
        assert!(audit.is_new(now + PERIOD, &decision(1, Outcome::Wrong)));
        let new =
            (0..2 * TOLD_MAX as u32).filter(|n| audit.is_new(now + PERIOD, &decision(n + 9, Outcome::Wrong)));
        assert_eq!(new.count(), TOLD_MAX - 1);
        audit.sum_up(now + 2 * PERIOD);
        assert!(lock(&audit.told).0.is_empty() && lock(&audit.told).1 == 0);
    }

    #[test]
    fn every_decision_is_counted_under_its_words() {
        let audit = Audit::new(Arc::default());
        for _ in 0..3 {
            audit.tell(Instant::now(), &decision(1, Outcome::Forbidden));
        }
        let counted =
            audit.decisions.all().find(|(action, result, _)| (*action, *result) == ("read", "forbidden"));
        assert_eq!(counted, Some(("read", "forbidden", 3)));
        let actions: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(actions, crate::count::access::ACTIONS);
    }
}
