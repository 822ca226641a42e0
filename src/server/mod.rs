//! The server put together: from a configuration to running threads, and back to nothing.
//!
//! Owns the order of starting and stopping. A shell: it spawns and waits. What runs is
//! watched by `watchdog` and `supervise`.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and sleeps")]

pub mod configured;
mod drain;
mod file_watch;
mod live;
mod rewrite;
mod settings;
mod shards;
mod streams;
mod tables;
pub mod watchdog;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use sluice_config::{Config, Effective};
use sluice_io::{SocketError, affinity};
use sluice_media::dtls::{DtlsSetupError, SharedDtls};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::configured::Configured;
use self::file_watch::watch_file;
use self::live::Live;
pub use self::shards::placement;
use self::streams::Streams;
use self::tables::Tables;
use self::watchdog::WatchdogSetup;
use crate::cipher::Choice;
use crate::count::Reloads;
use crate::count::access::Decisions;
use crate::count::requests::Requests;
use crate::current::Current;
use crate::descriptors::{self, ADMIN_CONNECTIONS, METRICS_CONNECTIONS, PROFILE_CONNECTIONS, TooFew};
use crate::executor::Executor;
use crate::http::access::operators::Operators;
use crate::http::access::{Access, watch as rights};
use crate::http::admin::{self, Admin};
use crate::http::counted::counted;
use crate::http::drain::Drained;
use crate::http::listen::{self, ClientLimits, HttpLimits, ListenError, Service};
use crate::http::mediamtx::MediaMtx;
use crate::http::profiles::{self, Profiles};
use crate::http::routes::{self, Public};
use crate::http::tls::acme::{self, Keeper};
use crate::http::tls::certificate::Files;
use crate::http::tls::configured::{Secured, TlsError};
use crate::http::tls::{self, Tls, renewal};
use crate::http::whep::Whep;
use crate::operator::Operator;
use crate::operator::change::Changes;
use crate::operator::settings::Settings;
use crate::ops::levels::LevelError;
use crate::ops::logging::Logging;
use crate::ops::metrics::{Metrics, Observed};
use crate::session::admission::Admission;
use crate::session::announce::{AnnounceError, Announcer};
use crate::session::drain::Drain;
use crate::session::table::Sessions;
use crate::shard::News;
use crate::shard::command::{Command, ShardHandle};
use crate::shard::worker::{StartError, Worker};
use crate::stream::Registry;
use crate::supervise::{Ends, Pulse, Task, Watched};
use crate::tasks::named;
use crate::track::RecentLimits;

/// How long a stop waits for goodbyes, answers under way and cameras that are let go. Longer makes a stop wait
/// for what does not end; shorter cuts off what would.
const STOP_MAX: Duration = Duration::from_secs(3);

/// Time between looks at shards that are to end.
const STOP_LOOK: Duration = Duration::from_millis(10);

/// Time between signs of life of the HTTP executor.
const PULSE: Duration = Duration::from_millis(500);

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No UDP socket.
    #[error("{0} (udp.address, udp.port)")]
    Socket(#[from] SocketError),
    /// No TCP listener.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// No certificate for a listener.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No worker thread.
    #[error(transparent)]
    Worker(#[from] StartError),
    /// No DTLS.
    #[error(transparent)]
    Dtls(#[from] DtlsSetupError),
    /// No address for viewers.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    /// Too few descriptors for what is configured.
    #[error(transparent)]
    Descriptors(#[from] TooFew),
    /// No thread, or no descriptor for one.
    #[error("the kernel gives no thread: {0}")]
    Thread(std::io::Error),
    /// `log.level` is no filter.
    #[error("log.level: {0}")]
    Level(#[from] LevelError),
    /// `http.allow_origin` cannot be a header.
    #[error("http.allow_origin {0:?} cannot be sent as a header")]
    Origin(String),
    /// What `[access]` names cannot be used.
    #[error("{0}")]
    Access(String),
}

impl ServerError {
    /// Whether what is configured cannot be used, as `sluice check` would say: a start without a change says it again.
    pub fn is_of_configuration(&self) -> bool {
        matches!(
            self,
            ServerError::Tls(TlsError::Certificate(_))
                | ServerError::Access(_)
                | ServerError::Level(_)
                | ServerError::Origin(_)
        )
    }
}

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
    /// Where pages and WHEP are served.
    pub http: SocketAddr,
    /// Where metrics and health are served.
    pub admin: SocketAddr,
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
    /// Starts everything that `configured` says, which is read again when that is asked for ([`Server::changes`]). `revision` is the commit of this build; of the log, what it lost is counted, its last lines are shown, and its
    /// levels can be changed.
    pub async fn start(
        configured: &Configured,
        revision: &'static str,
        log: Logging,
    ) -> Result<Server, ServerError> {
        let Effective { config, settings } = &configured.effective;
        let secured = Secured::new(config)?;
        let cipher = Choice::make(config.srtp.cipher);
        tracing::info!("{cipher}");
        let dtls = SharedDtls::new()?.with_library(cipher.library);
        let (sockets, v6) = shards::sockets(config)?;
        let plan = connections(config)?;
        let listeners = shards::listeners(config, sockets.len(), plan.of_viewers).await?;
        let announcer = Announcer::resolve(&config.ice, v6).await?;
        let announced = announcer.now()?;
        let viewers = config.limits.viewers as usize;
        // Two messages per viewer at the most: never full (see `News`).
        let (news_in, news) = mpsc::channel(2 * viewers + 1);
        let recent = RecentLimits::from(config);
        let ends = Arc::new(Ends::default());
        let workers = shards::start(config, (sockets, listeners), &news_in, &ends)?;
        let shards: Vec<Arc<ShardHandle>> = workers.iter().map(|worker| worker.handle.clone()).collect();

        let registry = Arc::new(Registry::new(&shards, recent));
        let requests = Arc::new(Requests::default());
        let sessions = Arc::new(Sessions::new(Arc::new(Admission::new((&config.limits).into()))));
        let drain = Arc::new(Drain::new(config.drain.clone()));
        let whep = Arc::new(Whep {
            registry: registry.clone(),
            sessions: sessions.clone(),
            shards: shards.clone(),
            dtls,
            announced: Current::new(announced.as_slice().into()),
            terms: Current::new(config.into()),
            drain: drain.clone(),
        });
        let operators = Arc::new(Current::new(ClientLimits::of_operators(config)));
        let decisions = Arc::new(Decisions::default());
        let access = Arc::new(Access::new(&config.access, decisions.clone()));
        let (changes, orders) = Changes::new();
        let reloads = Arc::new(Reloads::default());
        reloads.succeed(SystemTime::now());
        let operator = Arc::new(Operator::new(
            registry.clone(),
            sessions.clone(),
            shards.clone(),
            (Settings::new(settings), reloads.clone(), changes),
            (log.recent, log.levels),
        ));
        let admin_state = Arc::new(Admin {
            operator: operator.clone(),
            metrics: Metrics::new(Observed {
                registry: registry.clone(),
                sessions: sessions.clone(),
                shards: shards.clone(),
                requests: requests.clone(),
                decisions,
                lost: log.lines.lost(),
                ends: ends.clone(),
                revision,
                tls: secured.all().map(|tls| (tls.listener, tls.counters.clone())).collect(),
                cipher,
                reloads,
                drain: drain.clone(),
            }),
            registry: registry.clone(),
            shards,
            pulses: [("watchdog", Arc::default()), ("http", Arc::default())],
            profiles: Arc::new(Profiles::new(revision)),
            mediamtx: Arc::new(MediaMtx {
                operator: operator.clone(),
                config: Current::new(Arc::new(config.clone())),
                started: SystemTime::now(),
            }),
            hosts: Arc::new(Current::new(config.admin.hosts.as_slice().into())),
            operators: Operators { access: access.clone(), clients: operators.clone() },
            drained: Drained { drain: drain.clone(), sessions: sessions.clone() },
            stopping: AtomicBool::new(false),
        });

        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let watched = |task: Task, name: &str| Watched::new(task, name, stopping.clone(), ends.clone());
        let http_executor = Executor::http().map_err(ServerError::Thread)?;
        let clients = Arc::new(Current::new(ClientLimits::new(config)));
        let origins = Arc::new(Current::new(settings::origins(config)?));
        let announcer = Arc::new(Current::new(Arc::new(announcer)));
        let limits = HttpLimits { connections: plan.connections as usize, clients: clients.clone() };
        let private = listen::listen(config.admin.listen, "admin.listen").await?;
        let public = on(&http_executor, listen::listen(config.http.listen, "http.listen")).await?;
        let http = public.local_addr().unwrap_or(config.http.listen);
        let admin = private.local_addr().unwrap_or(config.admin.listen);
        let state = Public {
            whep: whep.clone(),
            list: Arc::default(),
            access: access.clone(),
            origins: origins.clone(),
            clients: clients.clone(),
        };
        let [(_, watchdog_pulse), (_, http_pulse)] = &admin_state.pulses;
        let service = |name, router, limits: &HttpLimits, tls: &Option<Arc<Tls>>| Service {
            router: counted(router, name, &requests),
            limits: limits.clone(),
            tls: tls.clone(),
            requests: requests.clone(),
        };
        let router = tls::strict(routes::public(state), config.http.hsts);
        let of_all = service("public", router, &limits, &secured.public);
        let serving = listen(watched(Task::Http, "http"), public, of_all, &stopping);
        tasks.spawn_on(named("http listener", serving), http_executor.handle());
        http_executor.handle().spawn(named("http pulse", beat(http_pulse.clone())));
        let limits = HttpLimits { connections: ADMIN_CONNECTIONS as usize, clients: operators.clone() };
        if let Some(address) = config.pprof.listen {
            let listener = listen::listen(address, "pprof.listen").await?;
            let router = profiles::alone(
                admin_state.profiles.clone(),
                admin_state.operators.clone(),
                admin_state.hosts.clone(),
            );
            let limits = HttpLimits { connections: PROFILE_CONNECTIONS as usize, ..limits.clone() };
            let alone = service("pprof", router, &limits, &None);
            let serving = listen(watched(Task::Admin, "pprof"), listener, alone, &stopping);
            tasks.spawn(named("pprof listener", serving));
        }
        if let Some(address) = config.metrics.listen {
            let listener = listen::listen(address, "metrics.listen").await?;
            let limits = HttpLimits { connections: METRICS_CONNECTIONS as usize, ..limits.clone() };
            let alone = service("metrics", admin::metrics_alone(admin_state.clone()), &limits, &None);
            let serving = listen(watched(Task::Admin, "metrics"), listener, alone, &stopping);
            tasks.spawn(named("metrics listener", serving));
        }
        let of_operators = service("admin", admin::routes(admin_state.clone()), &limits, &secured.admin);
        let serving = listen(watched(Task::Admin, "admin"), private, of_operators, &stopping);
        tasks.spawn(named("admin listener", serving));
        let certificates = Arc::new(Notify::new());
        let Secured { public: public_tls, by_files, by_acme, .. } = secured;
        if !by_files.is_empty() {
            let watched = watched(Task::Certificates, "certificates");
            let renewed = renew(watched, by_files, certificates.clone(), stopping.clone());
            tasks.spawn_on(named("certificates", renewed), http_executor.handle());
        }
        let acme = Arc::new(Notify::new());
        if let Some(keeper) = by_acme {
            let watched = watched(Task::Certificates, "acme");
            let kept = keep_certificate(watched, keeper, acme.clone(), stopping.clone());
            tasks.spawn_on(named("acme", kept), http_executor.handle());
        }
        let looks = look(watched(Task::History, "history"), operator.clone(), stopping.clone());
        tasks.spawn(named("history", looks));
        tasks.spawn(named("books", keep_books(watched(Task::Books, "books"), sessions.clone(), news)));
        let rights =
            watch_rights(watched(Task::Access, "access"), access.clone(), sessions.clone(), stopping.clone());
        tasks.spawn_on(named("access", rights), http_executor.handle());
        let (over, drained) = mpsc::channel(1);
        let ends_of_drains =
            end_drains(watched(Task::Drain, "drain"), drain, sessions.clone(), over, stopping.clone());
        tasks.spawn(named("drain", ends_of_drains));
        let (streams, sources) = Streams::new(registry, sessions, ends.clone());
        streams.apply(config, |_| false).map_err(ServerError::Thread)?;
        let streams = Arc::new(streams);
        let (watch, watch_wanted) = watch::channel(config.config.watch);
        if let Some(path) = configured.path() {
            let watched = watched(Task::Changes, "watch of the file");
            let (path, changes) = (path.to_owned(), operator.changes.clone());
            let follow = follow_file(watched, path, changes, watch_wanted, stopping.clone());
            tasks.spawn(named("watch of the file", follow));
        }
        let tables = Tables {
            watch,
            origins,
            hosts: admin_state.hosts.clone(),
            access,
            mediamtx: admin_state.mediamtx.clone(),
            clients,
            operators,
            whep: whep.clone(),
            announcer: announcer.clone(),
        };
        let (told, rereads) = watch::channel(Rereads::default());
        let now = configured.clone();
        let live =
            Live { now, tables, streams: streams.clone(), operator, certificates, acme, rereads: told };
        let changes = live::serve(watched(Task::Changes, "changes"), live, orders, stopping.clone());
        tasks.spawn(named("changes", changes));
        let (pulse, stop_watching) = (watchdog_pulse.clone(), stopping.clone());
        let setup = WatchdogSetup { whep, announcer, ends: ends.clone(), pulse, stop: stop_watching };
        let failure = watchdog::start(setup).map_err(ServerError::Thread)?;
        let ports = workers.iter().map(|worker| worker.handle.port).collect();
        let tcp_ports = workers.iter().filter_map(|worker| worker.handle.tcp_port).collect();
        let _http_executor = http_executor;
        Ok(Server {
            http,
            admin,
            ports,
            tcp_ports,
            announced,
            workers,
            admin_state,
            stop,
            tasks,
            streams,
            tls: public_tls,
            sources,
            failure,
            drained,
            rereads,
            _http_executor,
        })
    }

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

/// Runs a future on an executor; its panic is ours.
async fn on<T: Send + 'static>(executor: &Executor, future: impl Future<Output = T> + Send + 'static) -> T {
    match executor.handle().spawn(future).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// Gives signs of life as long as the executor that runs it does.
async fn beat(pulse: Arc<Pulse>) {
    loop {
        pulse.beat();
        tokio::time::sleep(PULSE).await;
    }
}

/// Serves until the stop, whatever happens to the task that does.
fn listen(
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
async fn renew(
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
async fn keep_certificate(
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
async fn follow_file(
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
async fn watch_rights(
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

/// Waits for the ends of drains until the stop.
async fn end_drains(
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

/// How many connections there may be.
fn connections(config: &Config) -> Result<descriptors::Plan, ServerError> {
    let limit = sluice_io::descriptors::raise().unwrap_or_else(|error| {
        tracing::warn!(%error, "the kernel does not say how many files may be open");
        u64::MAX
    });
    let shards = config.shard_count(affinity::cores().len());
    let shards = (shards.into(), config.ice.tcp_listen.is_some());
    let plan = descriptors::plan(config.http.connections, config.streams.len(), shards, limit)?;
    if plan.lowered {
        tracing::warn!(
            "this process may have {limit} open files: http.connections is {}, so that some stay for cameras. \
             Raise the limit (LimitNOFILE= in a systemd unit, `ulimit -Hn` in a shell) for more",
            plan.connections
        );
    }
    Ok(plan)
}

/// Time between two samples of the history.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at everything once a second, for charts, until the server stops.
async fn look(mut watched: Watched, operator: Arc<Operator>, stop: watch::Receiver<bool>) {
    let looks = async || {
        let mut stop = stop.clone();
        let mut clock = tokio::time::interval(LOOK);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                _ = clock.tick() => operator.look(Instant::now(), SystemTime::now()),
            }
        }
    };
    while let Some(pause) = watched.run(looks()).await {
        watched.pause(pause).await;
    }
    operator.history.close();
}

/// Keeps the books of viewers that connect and end, until the last shard is gone.
async fn keep_books(mut watched: Watched, sessions: Arc<Sessions>, mut news: mpsc::Receiver<News>) {
    let mut books = async || {
        while let Some(news) = news.recv().await {
            sessions.hear(Instant::now(), &news);
        }
    };
    while let Some(pause) = watched.run(books()).await {
        watched.pause(pause).await;
    }
}
