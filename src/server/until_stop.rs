//! What runs until the stop: each a task that is begun again when it ends by itself.
//!
//! Owns the loop around each of them. What they do is in the modules that they call.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and sleeps")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::drain;
use super::file_watch::watch_file;
use crate::http::access::{Access, watch as rights};
use crate::http::listen::{self, Service};
use crate::http::tls::acme::{self, Keeper};
use crate::http::tls::certificate::Files;
use crate::http::tls::{Tls, renewal};
use crate::operator::Operator;
use crate::operator::change::Changes;
use crate::session::drain::Drain;
use crate::session::outdated;
use crate::session::table::Sessions;
use crate::shard::News;
use crate::source::rtsp::memory::Memory;
use crate::stream::Registry;
use crate::supervise::{Pulse, Watched};

/// Time between signs of life of the HTTP executor.
const PULSE: Duration = Duration::from_millis(500);

/// Time between two samples of the history.
const LOOK: Duration = Duration::from_secs(1);

/// Time between two weighings of all viewers. Longer goes on for longer with what streams sent before; each takes the lock on
/// the sessions for some fifty nanoseconds a viewer.
const WEIGHED: Duration = Duration::from_secs(1);

/// Gives signs of life as long as the executor that runs it does.
pub(super) async fn beat(pulse: Arc<Pulse>) {
    loop {
        pulse.beat();
        tokio::time::sleep(PULSE).await;
    }
}

/// Serves until the stop, whatever happens to the task that does.
pub(super) fn listen(
    mut watched: Watched,
    listener: TcpListener,
    service: Service,
    stop: &watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let stop = stop.clone();
    async move {
        while let Some(pause) = watched.run(listen::serve(&listener, &service, stop.clone())).await {
            watched.pause(pause).await;
        }
    }
}

/// Watches the files of certificates until the stop.
pub(super) async fn renew(
    mut watched: Watched,
    listeners: Vec<(Arc<Tls>, Files)>,
    ask: Arc<Notify>,
    stop: watch::Receiver<bool>,
) {
    while let Some(pause) = watched.run(renewal::watch(&listeners, &ask, stop.clone())).await {
        watched.pause(pause).await;
    }
}

/// Keeps the certificate of ACME until the stop.
pub(super) async fn keep_certificate(
    mut watched: Watched,
    mut keeper: Keeper,
    ask: Arc<Notify>,
    stop: watch::Receiver<bool>,
) {
    while let Some(pause) = watched.run(acme::keep(&mut keeper, &ask, stop.clone())).await {
        watched.pause(pause).await;
    }
}

/// Watches the configuration file until the stop.
pub(super) async fn follow_file(
    mut watched: Watched,
    path: PathBuf,
    changes: Changes,
    wanted: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
) {
    let follow = async || watch_file(&path, &changes, wanted.clone(), stop.clone()).await;
    while let Some(pause) = watched.run(follow()).await {
        watched.pause(pause).await;
    }
}

/// Ends sessions with the right to them until the stop.
pub(super) async fn watch_rights(
    mut watched: Watched,
    access: Arc<Access>,
    sessions: Arc<Sessions>,
    mut stop: watch::Receiver<bool>,
) {
    let mut looks = async || {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = rights::watch(&access, &sessions) => {}
        }
    };
    while let Some(pause) = watched.run(looks()).await {
        watched.pause(pause).await;
    }
}

/// Ends sessions whose stream sends another codec than they agreed to, until the stop.
pub(super) async fn watch_codecs(
    mut watched: Watched,
    registry: Arc<Registry>,
    sessions: Arc<Sessions>,
    mut stop: watch::Receiver<bool>,
) {
    let mut looks = async || {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = outdated::watch(&registry, &sessions) => {}
        }
    };
    while let Some(pause) = watched.run(looks()).await {
        watched.pause(pause).await;
    }
}

/// Waits for the ends of drains until the stop.
pub(super) async fn end_drains(
    mut watched: Watched,
    drain: Arc<Drain>,
    sessions: Arc<Sessions>,
    over: mpsc::Sender<()>,
    mut stop: watch::Receiver<bool>,
) {
    let mut ends = async || {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = drain::watch(&drain, &sessions, &over) => {}
        }
    };
    while let Some(pause) = watched.run(ends()).await {
        watched.pause(pause).await;
    }
}

/// Looks at everything once a second, for charts and for what is summed up in the log, until the server stops.
pub(super) async fn look(
    mut watched: Watched,
    operator: Arc<Operator>,
    memory: Arc<Memory>,
    stop: watch::Receiver<bool>,
) {
    let looks = async || {
        let mut stop = stop.clone();
        let mut clock = tokio::time::interval(LOOK);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                _ = clock.tick() => {
                    let now = Instant::now();
                    operator.look(now, SystemTime::now());
                    memory.sum_up(now);
                }
            }
        }
    };
    while let Some(pause) = watched.run(looks()).await {
        watched.pause(pause).await;
    }
    operator.history.close();
}

/// Keeps the books of viewers that connect and end, until the last shard is gone.
pub(super) async fn keep_books(
    mut watched: Watched,
    sessions: Arc<Sessions>,
    mut news: mpsc::Receiver<News>,
) {
    let mut looks = tokio::time::interval(WEIGHED);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut books = async || {
        loop {
            tokio::select! {
                biased;
                news = news.recv() => match news {
                    Some(news) => sessions.hear(Instant::now(), &news),
                    None => return,
                },
                _ = looks.tick() => sessions.weigh(),
            }
        }
    };
    while let Some(pause) = watched.run(books()).await {
        watched.pause(pause).await;
    }
}
