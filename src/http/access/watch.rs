//! Sessions that end with the right to them.
//!
//! Owns the look for those whose time is over or whose key is gone, once a second, and the end of those whose right a new
//! configuration takes back. Their players are told by the end itself: when they ask again, the refusal says why.

use std::time::{Duration, Instant, SystemTime};

use sluice_config::Action;

use super::Access;
use crate::contain::read;
use crate::count::EndReason;
use crate::session::table::{Session, Sessions};
use crate::shard::command::Command;

/// Time between two looks. Longer lets people watch for as much longer than they may.
const LOOK: Duration = Duration::from_secs(1);

/// How long after a change sessions are looked at that were let in before it: for those whose requests were under way.
const AFTER_CHANGE: Duration = Duration::from_secs(60);

/// Looks again and again, sums up what was told, and keeps the keys of tokens up to date, for as long as it is polled.
#[expect(clippy::disallowed_methods, reason = "a shell: it reads the clock")]
pub async fn watch(access: &Access, sessions: &Sessions) {
    let mut clock = tokio::time::interval(LOOK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let looks = async {
        loop {
            clock.tick().await;
            look(access, sessions, Instant::now(), SystemTime::now());
        }
    };
    tokio::join!(looks, access.keep_keys());
}

/// Ends sessions whose right is over; `now` and `date` are the same moment.
pub fn look(access: &Access, sessions: &Sessions, now: Instant, date: SystemTime) {
    end(sessions, EndReason::AccessExpired, |session| session.right.is_over(date));
    let changed = read(&access.changed).clone();
    let recent = changed.filter(|(_, at)| now.saturating_duration_since(*at) < AFTER_CHANGE);
    if let Some((changed, _)) = recent {
        let ends = |s: &Session| changed.ends(&s.right, s.visitor.address, &s.stream.name);
        end(sessions, EndReason::AccessRevoked, ends);
    }
    let judge = read(&access.judge).clone();
    if let Some(keys) = judge.keys.and_then(|store| store.keys()) {
        let rules = judge.rules;
        // Whoever may watch from there without a token goes on.
        let may = |s: &Session| {
            let from = s.visitor.address.to_canonical();
            rules.is_open(Action::Read) || rules.of_address(from, Action::Read).have(Some(&s.stream.name))
        };
        let ends = |s: &Session| s.right.key.is_some_and(|key| !keys.have(&key)) && !may(s);
        end(sessions, EndReason::AccessRevoked, ends);
    }
    access.audit.sum_up(now);
}

/// One that cannot be ended now is looked at again.
fn end(sessions: &Sessions, reason: EndReason, over: impl Fn(&Session) -> bool) {
    let over = sessions.which(over).into_iter();
    let told = over.filter(|(session, shard)| shard.command(Command::End(*session, reason)).is_ok());
    let ended = told.inspect(|(session, _)| sessions.mark(*session, reason)).count();
    if ended > 0 {
        tracing::info!(viewers = ended, reason = reason.label(), "viewers end with the right to watch");
    }
}
