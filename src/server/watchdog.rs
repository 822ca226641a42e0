//! The watchdog: a plain thread that looks at everything that has to run, four times a second.
//!
//! Owns what follows from a shard that stands still or has ended (its sessions are closed), the announced
//! addresses' news, and the decision that the process must end and be started again. It needs none of the
//! runtimes that it looks at. A shell: it reads the clock and sleeps.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and sleeps")]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{oneshot, watch};

use crate::contain::contain;
use crate::current::Current;
use crate::http::whep::Whep;
use crate::session::announce::Announcer;
use crate::session::table::Sessions;
use crate::shard::watch::{Finding, Watch};
use crate::stat::Stat;
use crate::supervise::{Ends, Pulse, Task};

/// Time between looks. Shorter costs wake-ups, longer sees an end later; it must stay well below a second.
const LOOK: Duration = Duration::from_millis(250);

/// Looks between two at what changes slowly: whether streams need attention, and the network interfaces.
const SLOW: u32 = 4;

/// A shard that does not run for this long ends the process: what it could carry is missing, and nothing
/// brings it back. Longer serves on with less; shorter takes the picture from the viewers of the others,
/// who then have to join again.
const UNWHOLE: Duration = Duration::from_secs(30);

/// As [`UNWHOLE`], when no shard runs: nobody has a picture that could be taken.
const NONE_RUNS: Duration = Duration::from_secs(5);

/// How long the rest of the process may take to end once it has been told to. Longer leaves viewers without
/// a picture; shorter cuts goodbyes off.
const LAST_RESORT: Duration = Duration::from_secs(10);

/// The exit code of a server that ended because a part of it did: start it again.
pub const FAILED: u8 = 70;

/// What the watchdog looks at, and since when it is not whole.
struct Looks {
    shards: Vec<Watch>,
    sessions: Arc<Sessions>,
    ends: Arc<Ends>,
    last: Instant,
}

impl Looks {
    /// Looks. Gives the reason if the process must end.
    fn look(&mut self, now: Instant) -> Option<String> {
        let elapsed = now.saturating_duration_since(self.last);
        self.last = now;
        // A machine that stood still is nobody's failure.
        let missed = if elapsed > LOOK * 4 { elapsed - LOOK } else { Duration::ZERO };
        let mut unable: Vec<(usize, Duration)> = Vec::new();
        for watch in &mut self.shards {
            let finding = watch.look(now, missed, stat);
            let shard = &watch.shard;
            if let Finding::GiveUp(_) = finding {
                shard.health.give_up();
                let sessions = self.sessions.end_of_shard(now, shard.index);
                // Its own thread writes these, and it does not run.
                shard.counters.viewers.set(0);
                shard.counters.connected_now.set(0);
                self.ends.count(Task::Shard);
                tracing::error!(
                    shard = shard.index,
                    sessions,
                    "its sessions are closed: viewers must join again"
                );
            }
            if let Finding::Unable(time) | Finding::GiveUp(time) = finding {
                unable.push((shard.index, time));
            }
        }
        if self.ends.is_lost() {
            return Some("a task ended for good (the log says which)".to_owned());
        }
        let all = unable.len() == self.shards.len();
        let patience = if all { NONE_RUNS } else { UNWHOLE };
        // The shortest time of all is the time since none runs.
        let worst = if all {
            unable.iter().min_by_key(|(_, time)| *time)
        } else {
            unable.iter().max_by_key(|(_, time)| *time)
        };
        let (index, time) = worst.filter(|(_, time)| *time >= patience)?;
        let seconds = time.as_secs();
        Some(match all {
            true => format!("no shard has run for {seconds} s"),
            false => format!("shard {index} has not run for {seconds} s"),
        })
    }
}

/// What the watchdog is made from.
pub struct WatchdogSetup {
    /// WHEP: its shards are watched, its announced addresses kept.
    pub whep: Arc<Whep>,
    /// How addresses are announced.
    pub announcer: Arc<Current<Arc<Announcer>>>,
    /// Ends that nobody asked for.
    pub ends: Arc<Ends>,
    /// The watchdog's own sign of life.
    pub pulse: Arc<Pulse>,
    /// Turns true when the server stops.
    pub stop: watch::Receiver<bool>,
}

/// Starts the thread. What it gives resolves to the reason once the process must end; if the thread itself
/// is gone, to an error.
///
/// # Errors
///
/// The kernel's, when it gives no thread.
pub fn start(setup: WatchdogSetup) -> io::Result<oneshot::Receiver<String>> {
    let (failed, failure) = oneshot::channel();
    let now = Instant::now();
    let looks = Looks {
        shards: setup.whep.shards.iter().map(|shard| Watch::new(shard.clone(), now)).collect(),
        sessions: setup.whep.sessions.clone(),
        ends: setup.ends.clone(),
        last: now,
    };
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        if let Some(reason) = watch(&setup, looks) {
            let _ = failed.send(reason);
            std::thread::sleep(LAST_RESORT);
            std::process::exit(i32::from(FAILED));
        }
    })?;
    Ok(failure)
}

/// Looks until the server stops, or must end.
fn watch(setup: &WatchdogSetup, mut looks: Looks) -> Option<String> {
    for count in 0u32.. {
        if *setup.stop.borrow() || setup.stop.has_changed().is_err() {
            break;
        }
        // A look that panics is one look less.
        match contain(|| looks.look(Instant::now())) {
            Some(None) => {}
            Some(reason) => return reason,
            None => setup.ends.count(Task::Watchdog),
        }
        if count % SLOW == 0 {
            for look in [look_at_streams, look_at_interfaces] {
                if contain(|| look(setup)).is_none() {
                    setup.ends.count(Task::Watchdog);
                }
            }
        }
        setup.pulse.beat();
        std::thread::sleep(LOOK);
    }
    None
}

/// What the kernel says of the thread with this folder below `/proc`.
fn stat(folder: &str) -> Option<Stat> {
    Stat::parse(&std::fs::read_to_string(format!("/proc/{folder}/stat")).ok()?)
}

fn look_at_streams(setup: &WatchdogSetup) {
    let (now, date) = (Instant::now(), SystemTime::now());
    setup.whep.registry.streams().iter().for_each(|stream| drop(stream.look(now, date)));
}

/// Configured addresses are not resolved again and again; interfaces come and go.
fn look_at_interfaces(setup: &WatchdogSetup) {
    let announcer = setup.announcer.get();
    if announcer.follows_interfaces()
        && let Ok(found) = announcer.now()
    {
        setup.whep.announce(&found);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use axum::http::HeaderMap;

    use sluice_config::{OnDemand, Rtsp, Source};

    use super::*;
    use crate::client::{Client, Share};
    use crate::id::SessionId;
    use crate::session::admission::{Admission, AdmissionLimits, Asked};
    use crate::session::agreed::Agreed;
    use crate::session::right::{Proof, Right};
    use crate::session::table::Session;
    use crate::session::visitor::Visitor;
    use crate::shard::command::ShardHandle;
    use crate::shard::place::tests::shards;
    use crate::stream::{Origin, Registry, Stream};
    use crate::track::RecentLimits;

    struct World {
        shards: Vec<Arc<ShardHandle>>,
        stream: Arc<Stream>,
        sessions: Arc<Sessions>,
        ends: Arc<Ends>,
        looks: Looks,
        now: Instant,
    }

    impl World {
        fn new(count: usize) -> World {
            let shards = shards(&vec![0; count]);
            let recent = RecentLimits { bytes: 1, history: Duration::ZERO };
            let origin =
                Origin { source: Source::Demo, rtsp: Rtsp::default(), on_demand: OnDemand::default() };
            let (stream, _) = Registry::new(&shards, recent).add("demo", origin).unwrap();
            let (ends, now) = (Arc::<Ends>::default(), Instant::now());
            let limits = AdmissionLimits {
                viewers: 1_000,
                viewers_per_stream: 0,
                pending: 1_000,
                share: Share(100),
                joins_per_second: 1_000,
                joins_of_stream: 0,
                joins: 0,
                egress_of_stream: 0,
                egress_of_client: 0,
            };
            let sessions = Arc::new(Sessions::new(Arc::new(Admission::new(limits))));
            let watches = shards.iter().map(|shard| Watch::new(shard.clone(), now)).collect();
            let looks = Looks { shards: watches, sessions: sessions.clone(), ends: ends.clone(), last: now };
            World { shards, stream, sessions, ends, looks, now }
        }

        fn join(&self, id: u128, shard: usize) {
            // The test's shards have no thread, so their queues have no end: the books alone count here.
            self.stream.viewers.fetch_add(1, Ordering::Relaxed);
            let handle = self.shards[shard].clone();
            let client = Client::of(std::net::Ipv4Addr::LOCALHOST.into());
            let asked = Asked { client, stream: self.stream.id, bits: 0 };
            let place = self.sessions.admission.admit(self.now, asked).unwrap();
            let (stream, layer) = (self.stream.clone(), self.stream.high().id);
            let visitor = Visitor::new(std::net::Ipv4Addr::LOCALHOST.into(), &HeaderMap::new(), self.now);
            let right = Right::nameless(Proof::Open, 0);
            let session = Session::new(
                stream,
                (layer, layer.number),
                handle,
                (place, visitor, right),
                String::new(),
                Vec::new(),
                (Vec::new(), Agreed::default()),
            );
            self.sessions.insert(SessionId(id), session);
        }

        /// Looks for `time`, while the named shards go round; the reason to end and when it came.
        fn pass(&mut self, time: Duration, run: &[usize]) -> Option<(Duration, String)> {
            let began = self.now;
            while self.now - began < time {
                self.now += LOOK;
                run.iter().for_each(|&index| self.shards[index].counters.wakeups.add(1));
                if let Some(reason) = self.looks.look(self.now) {
                    return Some((self.now - began, reason));
                }
            }
            None
        }
    }

    #[test]
    fn the_sessions_of_a_shard_that_ended_are_closed_within_a_second_and_no_other() {
        let mut world = World::new(2);
        (0..6).for_each(|id| world.join(id, (id % 2) as usize));
        world.pass(Duration::from_secs(2), &[0, 1]);
        world.shards[0].health.set_gone();
        assert_eq!(world.pass(Duration::from_secs(1), &[1]), None);
        assert_eq!(world.sessions.len(), 3);
        assert!(world.sessions.session(SessionId(0), "demo").is_none());
        assert!(world.sessions.session(SessionId(1), "demo").is_some());
        assert_eq!(world.stream.viewers.load(Ordering::Relaxed), 3);
        assert_eq!(world.shards[0].viewers.load(Ordering::Relaxed), 0);
        assert!(world.shards[0].health.take_given_up(), "it would end its viewers if it came back");
        assert_eq!(world.ends.of(Task::Shard), 1);
    }

    #[test]
    fn a_server_that_is_not_whole_ends_after_a_while_and_at_once_when_nothing_runs() {
        let mut world = World::new(2);
        assert_eq!(world.pass(Duration::from_secs(100), &[0, 1]), None);
        let (after, reason) = world.pass(Duration::from_secs(100), &[1]).expect("an end");
        assert_eq!((after, reason.as_str()), (UNWHOLE, "shard 0 has not run for 30 s"));

        let mut world = World::new(2);
        assert_eq!(world.pass(Duration::from_secs(20), &[0]), None, "one stands still");
        let (after, reason) = world.pass(Duration::from_secs(100), &[]).expect("an end");
        assert_eq!((after, reason.as_str()), (NONE_RUNS, "no shard has run for 5 s"));
    }

    #[test]
    fn a_task_that_ended_for_good_ends_the_server() {
        let mut world = World::new(1);
        let (_stop, stopping) = watch::channel(false);
        assert_eq!(world.pass(Duration::from_secs(1), &[0]), None);
        drop(crate::supervise::Watched::new(Task::Books, "books", stopping, world.ends.clone()));
        assert!(world.pass(Duration::from_secs(1), &[0]).is_some());
    }

    #[test]
    fn a_machine_that_was_suspended_closes_nothing() {
        let mut world = World::new(1);
        world.join(1, 0);
        world.pass(Duration::from_secs(1), &[0]);
        world.now += Duration::from_secs(3_600);
        assert_eq!(world.pass(Duration::from_millis(750), &[]), None);
        assert_eq!(world.pass(Duration::from_secs(3), &[0]), None);
        assert_eq!(world.sessions.len(), 1);
    }
}
