//! The end of a drain: when the last viewer has left, or the time is over. A shell: it reads the clock and waits.
//!
//! Owns whom it sends elsewhere, and when. Whether the server drains is in `session/drain.rs`.

#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and waits")]

use std::time::{Duration, Instant};

use sluice_config::format_duration;
use tokio::sync::mpsc;

use crate::count::EndReason;
use crate::session::drain::{Departures, Drain};
use crate::session::table::Sessions;
use crate::shard::command::Command;

/// Time between looks. Shorter costs wake-ups; longer sends more people away at a time.
const STEP: Duration = Duration::from_millis(250);

/// Whoever was sent elsewhere comes back here first, to be told where: the server stays as long behind the last. Our pages
/// take a second at most; longer waits for players that may not come, shorter leaves slow ones with nobody who answers.
const BEHIND: Duration = Duration::from_secs(3);

/// Waits for drains that begin, until one ends: then it says so by `over`.
pub(super) async fn watch(drain: &Drain, sessions: &Sessions, over: &mpsc::Sender<()>) {
    loop {
        drain.begun().await;
        let (mut departures, mut sent, mut said) = (Departures::default(), None, None);
        let mut clock = tokio::time::interval(STEP);
        loop {
            clock.tick().await;
            // Behind the wait: it may have been taken back meanwhile, or have another end.
            let Some(draining) = drain.now() else { break };
            let now = Instant::now();
            let elsewhere = drain.elsewhere();
            // Of each end that it is given, once.
            if said.replace(draining.until) != Some(draining.until) {
                say(draining.left(now), sessions.len(), elsewhere.as_deref());
            }
            let behind = elsewhere.as_ref().map_or(Duration::ZERO, |_| BEHIND);
            let is_told = sent.is_none_or(|sent| now.saturating_duration_since(sent) >= BEHIND);
            let is_left = sessions.is_empty() && is_told;
            if drain.end_if(|draining| now >= draining.until + behind || is_left) {
                // One is enough: whoever waits ends the server.
                let _ = over.try_send(());
                tracing::info!("drained: {} viewers are left", sessions.len());
                // The stop follows.
                return std::future::pending().await;
            }
            if elsewhere.is_some() {
                let viewers = sessions.all();
                let due = departures.due(&draining, now, viewers.len(), STEP);
                for (session, held) in viewers.into_iter().take(due) {
                    // Who is not reached is asked again at the next look.
                    if held.shard.command(Command::End(session, EndReason::Drained)).is_ok() {
                        sessions.mark(session, EndReason::Drained);
                        sent = Some(now);
                    }
                }
            }
        }
        tracing::info!("the drain is taken back: joins are answered again");
    }
}

fn say(left: Duration, viewers: usize, elsewhere: Option<&str>) {
    let timeout = format_duration(Duration::from_secs_f64(left.as_secs_f64().round()));
    match elsewhere {
        Some(site) => {
            tracing::info!("draining: joins are sent to {site}, and {viewers} viewers within {timeout}")
        }
        None => {
            tracing::info!("draining: nobody new is let in, and {viewers} viewers may stay for {timeout}")
        }
    }
}
