//! Tasks and threads that have to run as long as the server does, and what is done when one ends.
//!
//! Owns the counts of ends that nobody asked for, and the rule: what can begin again does so, after a
//! pause; the end of anything else, and of the beginning again itself, is the end of the process
//! (`watchdog`). A shell: it reads the clock and waits.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it waits and reads the clock")]

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::sync::watch;

use crate::contain::dispose;
use crate::count::Cell;

/// The pause before what ended begins again: the first, and after failures in a row the longest. Shorter
/// spends a core on what cannot run; longer leaves a stream dark.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What ran this long is not in a row with its last failure.
const STEADY: Duration = Duration::from_secs(60);

/// The kinds of what is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// The thread of a shard.
    Shard,
    /// The thread of a stream's source.
    Source,
    /// The listener of pages and WHEP.
    Http,
    /// The listener of health and metrics.
    Admin,
    /// The closing of ended viewers' books.
    Books,
    /// The looks at the files of certificates.
    Certificates,
    /// The watchdog's looks.
    Watchdog,
    /// The looks that charts are made of.
    History,
    /// The looks for sessions whose right is over.
    Access,
    /// The end of a drain.
    Drain,
    /// Changes of the configuration.
    Changes,
}

impl Task {
    /// All kinds, for metrics.
    pub const ALL: [Task; 11] = [
        Task::Shard,
        Task::Source,
        Task::Http,
        Task::Admin,
        Task::Books,
        Task::Certificates,
        Task::Watchdog,
        Task::History,
        Task::Access,
        Task::Drain,
        Task::Changes,
    ];

    /// The value of the `task` label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Task::Shard => "shard",
            Task::Source => "source",
            Task::Http => "http",
            Task::Admin => "admin",
            Task::Books => "books",
            Task::Certificates => "certificates",
            Task::Watchdog => "watchdog",
            Task::History => "history",
            Task::Access => "access",
            Task::Drain => "drain",
            Task::Changes => "changes",
        }
    }
}

/// Ends that nobody asked for.
#[derive(Debug, Default)]
pub struct Ends {
    counts: [Cell; Task::ALL.len()],
    lost: AtomicBool,
}

impl Ends {
    /// How many of a kind there were.
    pub fn of(&self, task: Task) -> u64 {
        self.cell(task).get()
    }

    /// One more.
    pub fn count(&self, task: Task) {
        self.cell(task).add_shared(1);
    }

    /// Whether something ended that does not begin again.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    fn cell(&self, task: Task) -> &Cell {
        &self.counts[Task::ALL.iter().position(|other| *other == task).unwrap_or(0)]
    }
}

/// One thing that has to run.
pub struct Watched {
    task: Task,
    name: String,
    stop: watch::Receiver<bool>,
    ends: Arc<Ends>,
    pause: Duration,
    over: bool,
}

impl Watched {
    /// `name` tells it from others of its kind; it may end once `stop` is true.
    pub fn new(task: Task, name: impl Into<String>, stop: watch::Receiver<bool>, ends: Arc<Ends>) -> Watched {
        Watched { task, name: name.into(), stop, ends, pause: PAUSES.0, over: false }
    }

    /// Runs `future` to its end, or its panic. Gives the pause to make if that was no stop; then it has
    /// been said and counted.
    pub async fn run(&mut self, future: impl Future<Output = ()>) -> Option<Duration> {
        let began = Instant::now();
        let panicked = AssertUnwindSafe(future).catch_unwind().await.map_err(dispose).is_err();
        if is_stop(&self.stop) {
            self.over = true;
            return None;
        }
        if began.elapsed() > STEADY {
            self.pause = PAUSES.0;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSES.1);
        self.ends.count(self.task);
        let (task, name) = (self.task.label(), &self.name);
        let how = if panicked { "panicked" } else { "ended by itself" };
        tracing::error!(task, name, "a task {how}; it begins again in {pause:?}. Please report it");
        Some(pause)
    }

    /// Waits before the next beginning, but not for a stop.
    pub async fn pause(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, self.stop.wait_for(|stop| *stop)).await;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.over && !is_stop(&self.stop) {
            self.ends.count(self.task);
            self.ends.lost.store(true, Ordering::Relaxed);
            tracing::error!(task = self.task.label(), name = self.name, "a task ended for good");
        }
    }
}

/// Whether the server stops, or whoever could say so is gone.
fn is_stop(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

/// A sign of life, given again and again.
#[derive(Debug)]
pub struct Pulse {
    since: Instant,
    at_ms: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { since: Instant::now(), at_ms: AtomicU64::new(0) }
    }
}

impl Pulse {
    /// There is life.
    pub fn beat(&self) {
        self.at_ms.store(self.since.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Time since the last sign.
    pub fn age(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_millis(self.at_ms.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_panics_or_returns_begins_again_until_the_stop() {
        let (stop, stopping) = watch::channel(false);
        let ends = Arc::new(Ends::default());
        let mut watched = Watched::new(Task::Source, "gate", stopping, ends.clone());
        let mut pauses = Vec::new();
        let mut began = 0;
        while let Some(pause) = watched
            .run(async {
                began += 1;
                match began {
                    1 => std::panic::panic_any(vec![1u8]),
                    2 => {}
                    _ => drop(stop.send(true)),
                }
            })
            .await
        {
            pauses.push(pause);
            watched.pause(pause).await;
        }
        assert_eq!(began, 3);
        assert_eq!(pauses, [500, 1_000].map(Duration::from_millis));
        drop(watched);
        assert_eq!((ends.of(Task::Source), ends.is_lost()), (2, false));
    }

    #[tokio::test]
    async fn what_is_dropped_before_the_stop_is_lost() {
        let (stop, stopping) = watch::channel(false);
        let ends = Arc::new(Ends::default());
        let make = || Watched::new(Task::Books, "books", stopping.clone(), ends.clone());
        let task = tokio::spawn({
            let mut watched = make();
            async move { watched.run(std::future::pending()).await }
        });
        tokio::task::yield_now().await;
        task.abort();
        let _ = task.await;
        assert_eq!((ends.of(Task::Books), ends.is_lost()), (1, true));
        stop.send(true).unwrap();
        drop(make());
        assert_eq!(ends.of(Task::Books), 1, "that is how it ends");
    }
}
