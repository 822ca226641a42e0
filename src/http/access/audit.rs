//! What was decided, as lines of the log (target `sluice::access`) and as counts.
//!
//! Owns how often the same is told: at once, and then how often again, once a period. What is changed is told always, and
//! no address can use up the lines of others. Nothing that a client said but names is in a line, and those are short; of
//! who is not let in, only names that somebody has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use sluice_config::Action;
use sluice_media::shown;

use crate::client::{Client, Share};
use crate::contain::lock;
use crate::count::access::{Decisions, Outcome};

/// Time after which what went on is told again. Shorter makes more lines of a page that asks every second.
const PERIOD: Duration = Duration::from_secs(60);

/// Different decisions that are told one by one in a period, of those that let somebody in and of refusals each. More
/// let a flood of addresses write more lines.
const TOLD_MAX: usize = 1_024;

/// Part of what is left that one address may have on one listener, and after it its decisions are told by what came of
/// them, without names: of those that let somebody in, because a whole house may be behind an address, and of refusals.
const SHARES: [Share; 2] = [Share(50), Share(5)];

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
    why: Box<str>,
}

/// An address on one of the two listeners: that of streams is the first.
type Account = (Client, bool);

#[derive(Debug)]
struct Told {
    at: Instant,
    /// Since then.
    again: u64,
}

/// What was told in a period.
#[derive(Debug, Default)]
struct Table {
    told: HashMap<Name, Told>,
    /// Of those, how many each has.
    own: HashMap<Account, usize>,
}

/// Whether a decision is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// As it is.
    Whole,
    /// Without names, as the first of many.
    Folded,
    /// It counts for later.
    Later,
}

/// Tells and counts.
pub struct Audit {
    /// Of names that nobody has.
    key: hmac::Key,
    /// Counts.
    pub decisions: Arc<Decisions>,
    /// What let somebody in, and refusals.
    told: Mutex<[Table; 2]>,
    /// Decisions of addresses that no place was left for.
    rest: Mutex<u64>,
}

impl Audit {
    /// Counts there.
    pub fn new(decisions: Arc<Decisions>) -> Audit {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        Audit { key, decisions, told: Mutex::default(), rest: Mutex::default() }
    }

    /// What stands in a line for a name that nobody has here: it may be a password or a token in the wrong box. The same name
    /// has the same word until the end of the process.
    pub fn stranger(&self, name: &str) -> String {
        let tag = hmac::sign(&self.key, name.as_bytes());
        let digits: String = tag.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("unknown:{digits}")
    }

    /// Tells of a decision, and counts it.
    pub fn tell(&self, now: Instant, decision: &Decision<'_>) {
        let Decision { who, from, action, stream, outcome, why, looks } = *decision;
        self.decisions.count(action as usize, outcome);
        let (result, stream, who) = (outcome.label(), stream.map(shown), who.map(shown));
        if looks && outcome == Outcome::Allowed {
            tracing::debug!(target: "sluice::access", who, %from, %action, stream, result, why);
            return;
        }
        match self.telling(now, decision) {
            Telling::Whole => {
                tracing::info!(target: "sluice::access", who, %from, %action, stream, result, why)
            }
            Telling::Folded => tracing::info!(
                target: "sluice::access", %from, %action, result,
                "so many of this address that they are told by their number from now on"
            ),
            Telling::Later => {}
        }
    }

    /// Says how often what was told came again, where a period is over.
    pub fn sum_up(&self, now: Instant) {
        let mut tables = lock(&self.told);
        for Table { told, own } in &mut *tables {
            told.retain(|name, told| {
                let goes_on = now.saturating_duration_since(told.at) < PERIOD;
                if !goes_on {
                    name.tell(told.again);
                    let places = own.entry(name.account()).or_default();
                    *places = places.saturating_sub(1);
                }
                goes_on
            });
            own.retain(|_, places| *places > 0);
        }
        let is_calm = tables.iter().all(|table| table.told.len() < TOLD_MAX / 2);
        let mut rest = lock(&self.rest);
        if is_calm && *rest > 0 {
            let times = std::mem::take(&mut *rest);
            tracing::info!(target: "sluice::access", times, "decisions of too many others to be told one by one");
        }
    }

    fn telling(&self, now: Instant, decision: &Decision<'_>) -> Telling {
        let is_allowed = decision.outcome == Outcome::Allowed;
        // What changes a server is no flood: whoever does it was let in.
        if is_allowed && !decision.action.is_of_stream() {
            return Telling::Whole;
        }
        let at = usize::from(!is_allowed);
        let telling = lock(&self.told)[at].telling(now, Name::of(decision), SHARES[at]);
        telling.unwrap_or_else(|| {
            *lock(&self.rest) += 1;
            Telling::Later
        })
    }
}

impl Table {
    /// Whether one is told that was not in this period; nothing if there is no place left for it.
    fn telling(&mut self, now: Instant, name: Name, share: Share) -> Option<Telling> {
        if let Some(told) = self.told.get_mut(&name) {
            told.again += 1;
            return Some(Telling::Later);
        }
        let account = name.account();
        let own = self.own.get(&account).copied().unwrap_or_default();
        let free = TOLD_MAX.saturating_sub(self.told.len());
        let (name, telling) = match share.allows(own, free) {
            true if free > 0 => (name, Telling::Whole),
            true => return None,
            false => (name.folded(), Telling::Folded),
        };
        if let Some(told) = self.told.get_mut(&name) {
            told.again += 1;
            return Some(Telling::Later);
        }
        self.told.insert(name, Told { at: now, again: 0 });
        *self.own.entry(account).or_default() += 1;
        Some(telling)
    }
}

impl Name {
    fn of(decision: &Decision<'_>) -> Name {
        let short = |text: &str| shown(text).into();
        Name {
            who: decision.who.map(short),
            from: Client::of(decision.from),
            action: decision.action,
            stream: decision.stream.map(short),
            outcome: decision.outcome,
            why: short(decision.why),
        }
    }

    fn account(&self) -> Account {
        (self.from, self.action.is_of_stream())
    }

    /// All of an address that came out the same.
    fn folded(self) -> Name {
        Name { who: None, stream: None, why: Box::default(), ..self }
    }

    /// Says how often it came again.
    fn tell(&self, times: u64) {
        if times > 0 {
            let Name { who, from, action, stream, outcome, why } = self;
            let (result, who, stream) = (outcome.label(), who.as_deref(), stream.as_deref());
            let why = Some(&**why).filter(|why| !why.is_empty());
            tracing::info!(target: "sluice::access", who, %from, %action, stream, result, why, times, "again");
        }
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
    fn the_same_is_told_once_a_period() {
        let (audit, now) = (Audit::new(Arc::default()), Instant::now());
        let wrong = decision(1, Outcome::Wrong);
        assert_eq!(audit.telling(now, &wrong), Telling::Whole);
        assert_eq!(audit.telling(now, &wrong), Telling::Later);
        assert_eq!(audit.telling(now, &decision(1, Outcome::Allowed)), Telling::Whole, "something else");
        let other = Decision { why: "another reason", ..wrong.clone() };
        assert_eq!(audit.telling(now, &other), Telling::Whole);
        audit.sum_up(now + PERIOD / 2);
        assert_eq!(audit.telling(now, &wrong), Telling::Later);
        audit.sum_up(now + PERIOD);
        assert_eq!(audit.telling(now + PERIOD, &wrong), Telling::Whole);
        audit.sum_up(now + 2 * PERIOD);
        assert!(lock(&audit.told).iter().all(|table| table.told.is_empty() && table.own.is_empty()));
    }

    #[test]
    fn a_flood_of_one_address_hides_nothing_of_others_and_no_change() {
        let (audit, now) = (Audit::new(Arc::default()), Instant::now());
        let names: Vec<String> = (0..10 * TOLD_MAX).map(|number| format!("s{number}")).collect();
        let flood = |name| Decision { stream: Some(name), ..decision(1, Outcome::Wrong) };
        let telling: Vec<Telling> = names.iter().map(|name| audit.telling(now, &flood(name))).collect();
        let told = |which| telling.iter().filter(|telling| **telling == which).count();
        assert!(told(Telling::Whole) <= TOLD_MAX / 16, "{} lines", told(Telling::Whole));
        assert_eq!(told(Telling::Folded), 1, "and it is said that there are more");
        // Somebody else, the same address on the other listener, and whoever is let in.
        let eve = Decision { action: Action::Api, stream: None, ..decision(1, Outcome::Forbidden) };
        for other in [decision(2, Outcome::Wrong), eve, decision(1, Outcome::Allowed)] {
            assert_eq!(audit.telling(now, &other), Telling::Whole, "{other:?}");
        }
        let change = Decision { action: Action::Api, ..decision(1, Outcome::Allowed) };
        assert_eq!([(); 3].map(|()| audit.telling(now, &change)), [Telling::Whole; 3], "each of them");
        let folded = Name::of(&decision(1, Outcome::Wrong)).folded();
        let again = lock(&audit.told)[1].told[&folded].again;
        assert_eq!(again as usize, names.len() - told(Telling::Whole) - 1, "each is counted");
    }

    #[test]
    fn a_flood_of_many_addresses_writes_so_many_lines_and_says_how_many_more() {
        let (audit, now) = (Audit::new(Arc::default()), Instant::now());
        let flood = (0..2 * TOLD_MAX as u32).map(|from| audit.telling(now, &decision(from, Outcome::Wrong)));
        assert_eq!(flood.filter(|telling| *telling == Telling::Whole).count(), TOLD_MAX);
        assert_eq!(*lock(&audit.rest), TOLD_MAX as u64);
        assert_eq!(audit.telling(now, &decision(1, Outcome::Allowed)), Telling::Whole, "who is let in");
        audit.sum_up(now + PERIOD);
        assert_eq!(*lock(&audit.rest), 0);
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
