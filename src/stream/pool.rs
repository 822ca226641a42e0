//! Threads that turn sound into Opus: as few as do it, and none before there is something to turn.
//!
//! Owns that this work takes no time of shards, of sources or of HTTP. A shell: it makes threads.

use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender};

use crate::contain::contain;

/// Threads at the most, and cores for each. One turns the sound of some eighty cameras. More let more be heard at once on
/// a machine of few cores, at the cost of its shards.
const THREADS_MAX: usize = 4;
const CORES_PER_THREAD: usize = 4;

/// What a thread does for one stream.
pub(super) trait Job: Send + Sync {
    /// Does what is there to do.
    fn run(&self);
    /// A run of it panicked.
    fn failed(&self);
}

/// The threads.
#[derive(Default)]
pub(super) struct Pool {
    /// A job is in there once at the most, so it holds no more than there are streams.
    jobs: OnceLock<Sender<Arc<dyn Job>>>,
}

impl Pool {
    /// Has `job` run.
    pub(super) fn give(&self, job: Arc<dyn Job>) {
        // The threads hold the other end, and end when this pool is gone.
        let _ = self.jobs.get_or_init(start).send(job);
    }
}

fn start() -> Sender<Arc<dyn Job>> {
    let (give, jobs) = crossbeam_channel::unbounded();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for number in 0..(cores / CORES_PER_THREAD).clamp(1, THREADS_MAX) {
        let jobs = jobs.clone();
        let thread = std::thread::Builder::new().name(format!("sound-{number}"));
        if let Err(error) = thread.spawn(move || work(&jobs)) {
            tracing::error!(%error, number, "the kernel gives no thread to turn sound into Opus");
        }
    }
    give
}

fn work(jobs: &Receiver<Arc<dyn Job>>) {
    for job in jobs {
        if contain(|| job.run()).is_none() {
            job.failed();
        }
    }
}
