//! The server put together: from a configuration to running threads, and back to nothing.
//!
//! Owns the order of starting and stopping. A shell: it spawns, and looks at the shards once a second.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and sleeps")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant, SystemTime};

use axum::http::HeaderValue;
use sluice_config::{Config, Origin, Source};
use sluice_io::affinity::{self, CoreId};
use sluice_io::{GsoMode, Socket, SocketError, SocketOptions, gso};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::control::admission::{Admission, AdmissionLimits};
use crate::control::announce::{self, AnnounceError};
use crate::control::client::Share;
use crate::control::http::{self, HttpLimits, ListenError, Public};
use crate::control::registry::Registry;
use crate::control::sessions::Sessions;
use crate::control::whep::Whep;
use crate::ops::admin::{self, Admin};
use crate::ops::log::Lost;
use crate::ops::metrics::Metrics;
use crate::shard::command::{Command, ShardHandle};
use crate::shard::worker::{self, StartError, Worker, WorkerSetup};
use crate::shard::{News, Pacing};
use crate::source::{Feed, demo, rtsp};
use crate::track::RecentLimits;
use crate::viewer::{DtlsSetupError, SharedDtls, ViewerLimits};

/// Time between looks at shards and interfaces.
const LOOK: Duration = Duration::from_secs(1);

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
        let announced = announce::addresses(&config.ice, v6).await?;
        let viewers = config.limits.viewers as usize;
        // Two messages per viewer at the most: never full (see `News`).
        let (news_in, news) = mpsc::channel(2 * viewers + 1);
        let recent = recent_limits(config);
        let workers = workers(config, sockets, recent, &news_in)?;
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
            metrics: Metrics::new(registry.clone(), sessions.clone(), shards.clone(), revision, lost),
            registry: registry.clone(),
            shards: shards.clone(),
            stopping: AtomicBool::new(false),
        });

        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let limits =
            HttpLimits { headers: config.http.header_timeout, connections: config.http.connections as usize };
        let public = http::listen(config.http.listen, "http.listen").await?;
        let private = http::listen(config.admin.listen, "admin.listen").await?;
        let http = public.local_addr().unwrap_or(config.http.listen);
        let admin = private.local_addr().unwrap_or(config.admin.listen);
        let state = Public {
            whep: whep.clone(),
            list: Arc::default(),
            origin: origin(config)?,
            trusted: config.http.trusted_proxies.as_slice().into(),
            body_timeout: limits.headers,
        };
        tasks.spawn(http::serve(public, http::public(state), limits, stopping.clone()));
        tasks.spawn(http::serve(private, admin::routes(admin_state.clone()), limits, stopping.clone()));
        tasks.spawn(keep_books(sessions, news));
        tasks.spawn(look(shards, whep, config.ice.clone(), v6, stopping.clone()));
        sources(config, &registry, &stopping, &mut tasks);
        let ports = workers.iter().map(|worker| worker.handle.port).collect();
        Ok(Server { http, admin, ports, announced, workers, admin_state, stop, tasks })
    }

    /// Stops: no new sessions, every viewer told goodbye, every thread joined.
    pub async fn stop(self) {
        let Server { workers, admin_state, stop, mut tasks, .. } = self;
        admin_state.stopping.store(true, Ordering::Relaxed);
        // First the listeners and sources, so that nobody joins a shard that is leaving.
        let _ = stop.send(true);
        for worker in &workers {
            while worker.handle.command(Command::Shutdown).is_err() && !worker.thread.is_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let joined = tokio::task::spawn_blocking(move || {
            for worker in workers {
                // A worker catches its panics; if one got through, the process ends anyway.
                let _ = worker.thread.join();
            }
        });
        let _ = joined.await;
        let finish = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(3), finish).await;
    }
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
        let news = news.clone();
        let setup = WorkerSetup { index, core, socket, gso, recent, pacing, rate, busy, news };
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
        setup: config.limits.setup_timeout,
        consent: config.limits.consent_timeout,
        report_interval: config.rtcp.report_interval,
        fresh: crate::viewer::FRESH,
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

fn sources(config: &Config, registry: &Registry, stop: &watch::Receiver<bool>, tasks: &mut JoinSet<()>) {
    for (name, settings) in &config.streams {
        let Some(stream) = registry.stream(name.as_str()) else { continue };
        let feed = Feed::new(stream.clone(), (rand::random(), rand::random()));
        let stop = stop.clone();
        match &settings.source {
            Source::Demo => tasks.spawn(demo::run(feed, stop)),
            Source::Rtsp(url) => {
                tasks.spawn(rtsp::run(rtsp_settings(config, name, settings, url), feed, stop))
            }
        };
    }
}

fn rtsp_settings(
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
async fn keep_books(sessions: Arc<Sessions>, mut news: mpsc::Receiver<News>) {
    while let Some(news) = news.recv().await {
        sessions.hear(&news);
    }
}

/// Once a second: are the shards alive, how busy are they, do streams need attention, and did the interfaces
/// change?
async fn look(
    shards: Vec<Arc<ShardHandle>>,
    whep: Arc<Whep>,
    ice: sluice_config::Ice,
    v6: bool,
    mut stop: watch::Receiver<bool>,
) {
    let mut last = Instant::now();
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let elapsed = last.elapsed();
        last = Instant::now();
        for shard in &shards {
            shard.look(elapsed);
            shard.learn(last);
        }
        let date = SystemTime::now();
        whep.registry.streams().for_each(|stream| stream.look(last, date));
        // Configured names are not resolved again and again; interfaces come and go.
        if ice.addresses.is_empty()
            && let Ok(found) = announce::addresses(&ice, v6).await
        {
            let mut announced = whep.announced.write().expect("no holder of this lock panics");
            if announced[..] != found[..] {
                tracing::info!(addresses = ?found, "the announced addresses changed");
                *announced = found.into();
            }
        }
    }
}
