//! The server put together: from a configuration to running threads, and back to nothing.
//!
//! Owns the order of starting and stopping. A shell: it spawns and waits. What runs is
//! watched by `watchdog` and `supervise`.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and sleeps")]

pub mod watchdog;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use sluice_config::{Config, Origin, Source};
use sluice_io::affinity::{self, CoreId};
use sluice_io::{GsoMode, Socket, SocketError, SocketOptions, gso};
use sluice_media::dtls::{DtlsSetupError, SharedDtls};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::watchdog::WatchdogSetup;
use crate::descriptors::{self, ADMIN_CONNECTIONS, TooFew};
use crate::executor::Executor;
use crate::http::admin::{self, Admin};
use crate::http::listen::{self, HttpLimits, ListenError, Public};
use crate::http::whep::Whep;
use crate::ops::log::Lost;
use crate::ops::metrics::Metrics;
use crate::peer::{FRESH, PeerLimits};
use crate::session::admission::{Admission, AdmissionLimits};
use crate::session::announce::{AnnounceError, Announcer};
use crate::session::client::Share;
use crate::session::table::Sessions;
use crate::shard::command::{Command, ShardHandle};
use crate::shard::worker::{self, StartError, Worker, WorkerSetup};
use crate::shard::{News, Pacing};
use crate::source::{self, demo, rtsp};
use crate::stream::Ingest;
use crate::stream::registry::Registry;
use crate::supervise::{Ends, Pulse, Task, Watched};
use crate::track::RecentLimits;
use crate::viewer::ViewerLimits;

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
    /// `http.allow_origin` cannot be a header.
    #[error("http.allow_origin {0:?} cannot be sent as a header")]
    Origin(String),
}

/// A running server.
pub struct Server {
    /// Where pages and WHEP are served.
    pub http: SocketAddr,
    /// Where metrics and health are served.
    pub admin: SocketAddr,
    /// UDP ports of the shards.
    pub ports: Vec<u16>,
    /// Addresses that viewers were told at the start, best first.
    pub announced: Vec<IpAddr>,
    workers: Vec<Worker>,
    admin_state: Arc<Admin>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// Closed when the last thread of a source has ended.
    sources: mpsc::Receiver<()>,
    failure: oneshot::Receiver<String>,
    _http_executor: Executor,
}

impl Server {
    /// Starts everything that `config` says. `revision` is the commit of this build, `lost` counts what the
    /// log lost.
    pub async fn start(
        config: &Config,
        revision: &'static str,
        lost: Arc<Lost>,
    ) -> Result<Server, ServerError> {
        let dtls = SharedDtls::new()?;
        let (sockets, v6) = sockets(config)?;
        let announcer = Announcer::resolve(&config.ice, v6).await?;
        let announced = announcer.now()?;
        let viewers = config.limits.viewers as usize;
        // Two messages per viewer at the most: never full (see `News`).
        let (news_in, news) = mpsc::channel(2 * viewers + 1);
        let recent = recent_limits(config);
        let ends = Arc::new(Ends::default());
        let workers = workers(config, sockets, recent, &news_in, &ends)?;
        let shards: Vec<Arc<ShardHandle>> = workers.iter().map(|worker| worker.handle.clone()).collect();

        let names = config.streams.iter().map(|(name, stream)| (name.to_string(), label(&stream.source)));
        let registry = Arc::new(Registry::new(names, &shards, recent));
        let sessions = Arc::new(Sessions::new(Arc::new(Admission::new(admission_limits(config)))));
        let whep = Arc::new(Whep {
            registry: registry.clone(),
            sessions: sessions.clone(),
            shards: shards.clone(),
            dtls,
            announced: RwLock::new(announced.as_slice().into()),
            viewer: viewer_limits(config),
            repair: config.nack.enabled,
        });
        let admin_state = Arc::new(Admin {
            metrics: Metrics::new(
                registry.clone(),
                sessions.clone(),
                shards.clone(),
                revision,
                (lost, ends.clone()),
            ),
            registry: registry.clone(),
            shards,
            pulses: [("watchdog", Arc::default()), ("http", Arc::default())],
            hosts: config.admin.hosts.as_slice().into(),
            stopping: AtomicBool::new(false),
        });

        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let watched = |task: Task, name: &str| Watched::new(task, name, stopping.clone(), ends.clone());
        let http_executor = Executor::http().map_err(ServerError::Thread)?;
        let limits = HttpLimits {
            headers: config.http.header_timeout,
            connections: connections(config)?,
            share: Share(config.limits.share_per_address),
            proxies: config.http.trusted_proxies.as_slice().into(),
        };
        let private = listen::listen(config.admin.listen, "admin.listen").await?;
        let public = on(&http_executor, listen::listen(config.http.listen, "http.listen")).await?;
        let http = public.local_addr().unwrap_or(config.http.listen);
        let admin = private.local_addr().unwrap_or(config.admin.listen);
        let state = Public {
            whep: whep.clone(),
            list: Arc::default(),
            origin: origin(config)?,
            trusted: limits.proxies.clone(),
            body_timeout: limits.headers,
        };
        let [(_, watchdog_pulse), (_, http_pulse)] = &admin_state.pulses;
        let serving =
            listen(watched(Task::Http, "http"), public, listen::public(state), limits.clone(), &stopping);
        tasks.spawn_on(serving, http_executor.handle());
        http_executor.handle().spawn(beat(http_pulse.clone()));
        // Whoever reaches it is the operator.
        let limits = HttpLimits { connections: ADMIN_CONNECTIONS as usize, share: Share(100), ..limits };
        let routes = admin::routes(admin_state.clone());
        tasks.spawn(listen(watched(Task::Admin, "admin"), private, routes, limits, &stopping));
        tasks.spawn(keep_books(watched(Task::Books, "books"), sessions, news));
        let sources = sources(config, &registry, &stopping, watched).map_err(ServerError::Thread)?;
        let (pulse, stop_watching) = (watchdog_pulse.clone(), stopping.clone());
        let setup = WatchdogSetup { whep, announcer, ends: ends.clone(), pulse, stop: stop_watching };
        let failure = watchdog::start(setup).map_err(ServerError::Thread)?;
        let ports = workers.iter().map(|worker| worker.handle.port).collect();
        let _http_executor = http_executor;
        Ok(Server {
            http,
            admin,
            ports,
            announced,
            workers,
            admin_state,
            stop,
            tasks,
            sources,
            failure,
            _http_executor,
        })
    }

    /// Waits until a part of the server has ended that cannot begin again, and tells which: the process
    /// must end then, and be started again ([`watchdog::FAILED`]).
    pub async fn failed(&mut self) -> String {
        (&mut self.failure).await.unwrap_or_else(|_| "the watchdog has ended".to_owned())
    }

    /// Stops: no new sessions, every viewer told goodbye, every thread waited for, but not for long.
    pub async fn stop(self) {
        let Server { workers, admin_state, stop, mut tasks, mut sources, .. } = self;
        admin_state.stopping.store(true, Ordering::Relaxed);
        // First the listeners and sources, so that nobody joins a shard that is leaving.
        let _ = stop.send(true);
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
    router: Router,
    limits: HttpLimits,
    stop: &watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let stop = stop.clone();
    async move {
        while let Some(pause) =
            watched.run(listen::serve(&listener, router.clone(), &limits, stop.clone())).await
        {
            watched.pause(pause).await;
        }
    }
}

/// Connections of the public listener.
fn connections(config: &Config) -> Result<usize, ServerError> {
    let limit = sluice_io::descriptors::raise().unwrap_or_else(|error| {
        tracing::warn!(%error, "the kernel does not say how many files may be open");
        u64::MAX
    });
    let shards = config.shard_count(affinity::cores().len());
    let plan = descriptors::plan(config.http.connections, config.streams.len(), shards.into(), limit)?;
    if plan.lowered {
        tracing::warn!(
            "this process may have {limit} open files: http.connections is {}, so that some stay for cameras. \
             Raise the limit (LimitNOFILE= in a systemd unit, `ulimit -Hn` in a shell) for more",
            plan.connections
        );
    }
    Ok(plan.connections as usize)
}

/// One socket per shard on ports in a row; whether they take IPv6.
fn sockets(config: &Config) -> Result<(Vec<Socket>, bool), ServerError> {
    let count = config.shard_count(affinity::cores().len());
    let options = |ip: IpAddr, index: u16| SocketOptions {
        address: SocketAddr::new(ip, config.udp.port + index),
        receive_buffer: config.udp.receive_buffer.as_usize(),
        send_buffer: config.udp.send_buffer.as_usize(),
    };
    let mut ip = config.udp.address;
    let mut sockets = Vec::new();
    for index in 0..count {
        let socket = match Socket::bind(options(ip, index)) {
            Err(SocketError::NoIpv6 { .. }) if ip.is_unspecified() => {
                tracing::info!("this machine has no IPv6: serving IPv4 only");
                ip = Ipv4Addr::UNSPECIFIED.into();
                Socket::bind(options(ip, index))?
            }
            other => other?,
        };
        if index == 0 {
            for (name, grant) in
                [("udp.receive_buffer", socket.receive_buffer()), ("udp.send_buffer", socket.send_buffer())]
            {
                if grant.is_short() {
                    tracing::warn!("{name}: {grant}");
                }
            }
        }
        sockets.push(socket);
    }
    Ok((sockets, ip.is_ipv6()))
}

fn workers(
    config: &Config,
    sockets: Vec<Socket>,
    recent: RecentLimits,
    news: &mpsc::Sender<News>,
    ends: &Arc<Ends>,
) -> Result<Vec<Worker>, ServerError> {
    let gso = gso_mode(config);
    // Each shard has its part of the line for itself.
    let rate = config.egress.rate.bytes_per_second().map(|rate| rate / sockets.len() as f64);
    let pacing = Pacing { spread: config.egress.spread, audio_hold: config.egress.audio_hold };
    let busy = Some(f64::from(config.limits.busy) / 100.0).filter(|&part| part > 0.0);
    let cores = affinity::cores();
    let count = sockets.len();
    let mut workers = Vec::with_capacity(count);
    for (index, socket) in sockets.into_iter().enumerate() {
        let core = config.shards.pin.then(|| core_of(index, count, &cores)).flatten();
        let (news, ends) = (news.clone(), ends.clone());
        let setup = WorkerSetup { index, core, socket, gso, recent, pacing, rate, busy, news, ends };
        workers.push(worker::start(setup)?);
    }
    Ok(workers)
}

/// The last cores, one each: the first is left to the control plane and to interrupts.
fn core_of(index: usize, count: usize, cores: &[CoreId]) -> Option<CoreId> {
    let first = cores.len().saturating_sub(count);
    cores.get((first + index) % cores.len().max(1)).copied()
}

fn gso_mode(config: &Config) -> GsoMode {
    if !config.udp.gso {
        tracing::info!("udp.gso is off: every datagram is a message of its own");
        return GsoMode::Off;
    }
    match gso::self_test() {
        Ok(verdict) => {
            if let gso::GsoVerdict::Refused(why) = &verdict {
                tracing::warn!("GSO is not used: {why}");
            }
            verdict.mode()
        }
        Err(error) => {
            tracing::warn!("GSO is not used, its self-test could not run: {error}");
            GsoMode::Off
        }
    }
}

/// Without repair nothing from before the last keyframe has to stay.
fn recent_limits(config: &Config) -> RecentLimits {
    let history = if config.nack.enabled { config.nack.history } else { Duration::ZERO };
    RecentLimits { bytes: config.track.history_bytes.as_usize(), history }
}

fn admission_limits(config: &Config) -> AdmissionLimits {
    let limits = &config.limits;
    AdmissionLimits {
        viewers: limits.viewers as usize,
        viewers_per_stream: limits.viewers_per_stream.map_or(0, |limit| limit.get() as usize),
        pending: limits.pending as usize,
        share: Share(limits.share_per_address),
        joins_per_second: limits.joins_per_address,
    }
}

fn viewer_limits(config: &Config) -> ViewerLimits {
    ViewerLimits {
        peer: PeerLimits {
            setup: config.limits.setup_timeout,
            consent: config.limits.consent_timeout,
            fresh: FRESH,
        },
        report_interval: config.rtcp.report_interval,
    }
}

fn origin(config: &Config) -> Result<HeaderValue, ServerError> {
    match &config.http.allow_origin {
        Origin::Any => Ok(HeaderValue::from_static("*")),
        Origin::Only(origin) => {
            HeaderValue::from_str(origin).map_err(|_| ServerError::Origin(origin.clone()))
        }
    }
}

/// Where a stream comes from, for everybody who may see the page: some cameras carry their password in
/// the path, so host and port must do.
fn label(source: &Source) -> String {
    match source {
        Source::Rtsp(url) => {
            let host = url.url.host_str().unwrap_or_default();
            format!("rtsp://{host}:{}", url.url.port().unwrap_or(554))
        }
        Source::Demo => "demo".to_owned(),
    }
}

/// Starts the threads of all sources. What it gives is closed when the last of them has ended.
fn sources(
    config: &Config,
    registry: &Registry,
    stop: &watch::Receiver<bool>,
    watched: impl Fn(Task, &str) -> Watched,
) -> std::io::Result<mpsc::Receiver<()>> {
    let (done, all_done) = mpsc::channel(1);
    for (name, settings) in &config.streams {
        let Some(stream) = registry.stream(name.as_str()).cloned() else { continue };
        let feed = Ingest::new(stream.clone(), (rand::random(), rand::random()));
        let (stop, done) = (stop.clone(), done.clone());
        let watched = watched(Task::Source, name.as_str());
        match &settings.source {
            Source::Demo => {
                source::thread::start(stream, feed, watched, done, async move |feed| {
                    demo::run(feed, stop.clone()).await;
                })?;
            }
            Source::Rtsp(url) => {
                let settings = rtsp_settings(config, name, settings, url);
                source::thread::start(stream, feed, watched, done, async move |feed| {
                    rtsp::run(settings.clone(), feed, stop.clone()).await;
                })?;
            }
        };
    }
    Ok(all_done)
}

/// How to treat the camera of a stream, by the configuration.
pub(crate) fn rtsp_settings(
    config: &Config,
    name: &sluice_config::StreamName,
    stream: &sluice_config::Stream,
    url: &sluice_config::RtspUrl,
) -> rtsp::RtspSettings {
    let transport = match config.rtsp_transport(stream) {
        sluice_config::Transport::Tcp => rtsp::Transport::Tcp,
        sluice_config::Transport::Udp => rtsp::Transport::Udp,
    };
    let credentials = url.username.clone().map(|username| rtsp::Credentials {
        username,
        password: url.password.as_ref().map(|password| password.expose().to_owned()).unwrap_or_default(),
    });
    rtsp::RtspSettings {
        stream: name.to_string(),
        url: url.url.clone(),
        credentials,
        transport,
        connect_timeout: config.rtsp.connect_timeout,
        request_timeout: config.rtsp.request_timeout,
        data_timeout: config.rtsp.data_timeout,
        backoff_min: config.rtsp.reconnect_min,
        backoff_max: config.rtsp.reconnect_max,
        max_frame_bytes: config.rtsp.max_frame.as_usize(),
    }
}

/// Keeps the books of viewers that connect and end, until the last shard is gone.
async fn keep_books(mut watched: Watched, sessions: Arc<Sessions>, mut news: mpsc::Receiver<News>) {
    let mut books = async || {
        while let Some(news) = news.recv().await {
            sessions.hear(&news);
        }
    };
    while let Some(pause) = watched.run(books()).await {
        watched.pause(pause).await;
    }
}
