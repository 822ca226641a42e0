//! The server put together: from a configuration to running threads, and back to nothing.
//!
//! Owns what a server is while it runs, and the order of stopping; that of starting is in `start`. A shell: it waits. What
//! runs is watched by `watchdog` and `supervise`.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and sleeps")]

pub mod configured;
mod drain;
mod error;
mod file_watch;
mod files;
mod live;
mod made;
mod rewrite;
mod settings;
mod shards;
mod start;
mod streams;
mod tables;
mod until_stop;
pub mod watchdog;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub use self::error::ServerError;
pub use self::shards::placement;
use self::streams::Streams;
use crate::executor::Executor;
use crate::http::access::open::Listeners;
use crate::http::admin::Admin;
use crate::http::tls::Tls;
use crate::operator::change::Changes;
use crate::shard::command::Command;
use crate::shard::worker::Worker;

/// How long a stop waits for goodbyes, answers under way and cameras that are let go. Longer makes a stop wait
/// for what does not end; shorter cuts off what would.
const STOP_MAX: Duration = Duration::from_secs(3);

/// Time between looks at shards that are to end.
const STOP_LOOK: Duration = Duration::from_millis(10);

/// Why a server has to be stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// A part of it has ended that cannot begin again: the process must end, and be started again
    /// ([`watchdog::FAILED`]).
    Failed(String),
    /// A drain is over.
    Drained,
}

/// What a service manager is told of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Streams that are configured.
    pub streams: usize,
    /// Sessions of viewers.
    pub viewers: usize,
    /// Whether every shard goes round, and all else gives signs of life.
    pub is_whole: bool,
    /// The time that viewers have left, while it drains.
    pub draining: Option<Duration>,
}

/// How often the configuration was read again while the server runs, whoever asked for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rereads {
    /// Those that began.
    pub begun: u64,
    /// Those that ended, well or not.
    pub ended: u64,
}

impl Rereads {
    /// Whether none is under way.
    pub fn is_over(self) -> bool {
        self.begun == self.ended
    }
}

/// A running server.
pub struct Server {
    /// Where it listens, beside media.
    pub listeners: Listeners,
    /// UDP ports of the shards.
    pub ports: Vec<u16>,
    /// Their TCP ports, where viewers without UDP are taken.
    pub tcp_ports: Vec<u16>,
    /// Addresses that viewers were told at the start, best first.
    pub announced: Vec<IpAddr>,
    workers: Vec<Worker>,
    admin_state: Arc<Admin>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    streams: Arc<Streams>,
    /// TLS of the public listener, if it has any.
    tls: Option<Arc<Tls>>,
    /// Closed when the last thread of a source has ended.
    sources: mpsc::Receiver<()>,
    failure: oneshot::Receiver<String>,
    /// Told when a drain is over.
    drained: mpsc::Receiver<()>,
    rereads: watch::Receiver<Rereads>,
    _http_executor: Executor,
}

impl Server {
    /// Waits until the server has to be stopped, and tells why.
    pub async fn over(&mut self) -> Over {
        tokio::select! {
            failure = &mut self.failure => {
                Over::Failed(failure.unwrap_or_else(|_| "the watchdog has ended".to_owned()))
            }
            // The sender lives as long as the tasks do.
            Some(()) = self.drained.recv() => Over::Drained,
        }
    }

    /// Begins to drain, if the configuration gives viewers any time. Gives whether it drains now.
    pub fn drain(&self) -> bool {
        let drain = &self.admin_state.drained.drain;
        let timeout = drain.timeout();
        if !timeout.is_zero() {
            drain.begin(Instant::now(), timeout);
        }
        self.is_draining()
    }

    /// Whether nobody is let in, because it is to end.
    pub fn is_draining(&self) -> bool {
        self.admin_state.drained.drain.now().is_some()
    }

    /// How it stands now.
    pub fn standing(&self) -> Standing {
        let Admin { registry, drained, .. } = &*self.admin_state;
        Standing {
            streams: registry.streams().len(),
            viewers: drained.sessions.len(),
            is_whole: self.admin_state.is_whole(),
            draining: drained.drain.now().map(|draining| draining.left(Instant::now())),
        }
    }

    /// Whom changes are asked of.
    pub fn changes(&self) -> &Changes {
        &self.admin_state.operator.changes
    }

    /// Tells of reloads.
    pub fn rereads(&self) -> watch::Receiver<Rereads> {
        self.rereads.clone()
    }

    /// The scheme of the pages' addresses, and the first name that the certificate is for.
    pub fn web(&self) -> (&'static str, Option<String>) {
        match &self.tls {
            Some(tls) => ("https", tls.certificate().and_then(|shown| shown.names.first().cloned())),
            None => ("http", None),
        }
    }

    /// Stops: no new sessions, every viewer told goodbye, every thread waited for, but not for long.
    pub async fn stop(self) {
        let Server { workers, admin_state, stop, mut tasks, streams, mut sources, .. } = self;
        admin_state.stopping.store(true, Ordering::Relaxed);
        // Who takes a drain back from now on must not be told that the server serves on.
        admin_state.drained.drain.stop();
        // First the listeners and sources, so that nobody joins a shard that is leaving.
        let _ = stop.send(true);
        streams.stop();
        let goodbyes = async {
            for worker in &workers {
                while worker.handle.command(Command::Shutdown).is_err() && !worker.thread.is_finished() {
                    tokio::time::sleep(STOP_LOOK).await;
                }
            }
            while !workers.iter().all(|worker| worker.thread.is_finished()) {
                tokio::time::sleep(STOP_LOOK).await;
            }
        };
        let finish = async {
            while tasks.join_next().await.is_some() {}
            while sources.recv().await.is_some() {}
        };
        let said = async {
            if tokio::time::timeout(STOP_MAX, goodbyes).await.is_err() {
                tracing::error!("a shard does not end; its viewers get no goodbye");
            }
        };
        let _ = tokio::join!(said, tokio::time::timeout(STOP_MAX, finish));
    }
}
