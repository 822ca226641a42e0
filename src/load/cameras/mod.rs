//! `sluice load cameras`: many RTSP cameras in one light process. A shell: it listens, ticks and stops.
//!
//! Owns the options, the tasks (one per camera that says what is due, one per client) and what is counted.
//! Never looks into media: the clip was encoded before, and a picture is packetized once for all clients.
//!
//! ```text
//! clip -> camera 1..N: ticker -> unit (broadcast) -> client: RTP headers -> its connection, or UDP
//! ```
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it listens, waits and reads clocks")]

mod auth;
mod camera;
mod client;
mod clip;
mod faults;
mod mile;
mod mp4;
mod options;
mod rtp;
mod sdp;
pub mod send_time;
mod session;
mod sound;
mod transport;

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use tracing_subscriber::EnvFilter;

pub use self::options::Options;

use self::camera::{Camera, Ticker};
use self::client::Shared;
use self::clip::{Clip, ClipError};

/// Units that wait for a client which does not keep up: about a second. More cost memory, fewer drop
/// media at a shorter pause of the client's.
const QUEUE: usize = 96;

/// Behind the name of a pair's second stream.
const SUB: &str = "-sub";

/// Exit code when the cameras cannot be started.
const CANNOT_RUN: u8 = 2;

/// Connections beyond `--max-clients` that may be open to be told so.
const SPARE_CONNECTIONS: usize = 16;

/// A unit that is later than this shows that the machine is too slow: what is measured behind it is ours.
const LATE: Duration = Duration::from_millis(20);

/// One unit in so many may be late before it is told: each machine stumbles at times.
const LATE_SHARE: u64 = 100;

/// How often lateness is told.
const LOOK: Duration = Duration::from_secs(10);

/// Pairs of UDP ports to try.
const PORT_ATTEMPTS: usize = 64;

/// Why there are no cameras.
#[derive(Debug, thiserror::Error)]
enum CamerasError {
    /// The clip cannot be used.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// Nothing can listen there.
    #[error("cannot listen on {0} for RTSP: {1}; choose another --rtsp-port or --listen")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// No two neighbouring UDP ports.
    #[error("no pair of UDP ports is free on {0}: {1}")]
    Udp(IpAddr, #[source] std::io::Error),
    /// The runtime or its signals.
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
}

/// What is counted.
#[derive(Debug, Default)]
struct Figures {
    /// Sessions that began to play.
    plays: AtomicU64,
    /// RTP packets sent, and their bytes.
    packets: AtomicU64,
    bytes: AtomicU64,
    /// Packets that were to be lost by UDP, and to come late, in sessions that are over.
    lost: AtomicU64,
    reordered: AtomicU64,
    /// Units that clients did not take in time.
    missed: AtomicU64,
    /// Units made, those of them that were late, and those left out because they were much too late.
    units: AtomicU64,
    late: AtomicU64,
    skipped: AtomicU64,
}

/// Runs cameras, on this thread, until a signal or the end of `--duration`. Prints their URLs to standard
/// output, a line each, once they can be played. The exit code is 0, or 2 if they could not be started.
#[expect(clippy::print_stderr, reason = "this is a command")]
pub fn run(options: &Options) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails where there is one already, which serves as well.
    let _ = log.with_ansi(std::io::stderr().is_terminal()).try_init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.map_err(CamerasError::Start).and_then(|runtime| runtime.block_on(serve(options)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice load: {error}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is a command")]
async fn serve(options: &Options) -> Result<(), CamerasError> {
    // Before the start, so that a signal during it is not lost.
    let mut terminate = signal(SignalKind::terminate()).map_err(CamerasError::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CamerasError::Start)?;
    let cameras = Cameras::listen(options, options.clip()?, options.sub_clip()?).await?;
    for camera in cameras.shared.cameras.iter() {
        println!("rtsp://{}/{}", cameras.address, camera.name);
    }
    let shared = cameras.shared.clone();
    let end = async {
        match options.duration {
            Some(duration) => sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = cameras.serve(options.max_clients as usize) => {}
        () = end => tracing::info!("--duration is over: stopping"),
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("interrupted: stopping"),
    }
    shared.figures.tell();
    Ok(())
}

/// Cameras that can be reached and do not play yet.
struct Cameras {
    address: SocketAddr,
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Cameras {
    async fn listen(options: &Options, clip: Clip, sub: Option<Clip>) -> Result<Cameras, CamerasError> {
        let wanted = SocketAddr::new(options.listen, options.rtsp_port);
        let failed = |error| CamerasError::Listen(wanted, error);
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let failed = |error| CamerasError::Udp(options.listen, error);
        let udp = udp_pair(options.listen).await.map_err(failed)?;
        let udp_ports =
            (udp.0.local_addr().map_err(failed)?.port(), udp.1.local_addr().map_err(failed)?.port());

        let (now, count) = (Instant::now(), usize::from(options.count));
        // A pair's second stream is a camera of its own but for its name.
        let mut clips = vec![("", Arc::new(clip))];
        clips.extend(sub.map(|sub| (SUB, Arc::new(sub))));
        let camera = |index| {
            clips.iter().map(move |(suffix, clip)| {
                let (clip, random) = (clip.clone(), [rand::random(), rand::random()]);
                let send_times = !options.no_timestamps;
                Arc::new(Camera::new((index, count, suffix), clip, &options.faults, send_times, now, random))
            })
        };
        let cameras: Arc<[Arc<Camera>]> = (0..count).flat_map(camera).collect();
        let units = cameras.iter().map(|_| broadcast::Sender::new(QUEUE)).collect();
        let (credentials, figures) = (options.auth.clone(), Figures::default());
        let shared = Shared { cameras, units, udp, udp_ports, credentials, figures };
        Ok(Cameras { address, listener, shared: Arc::new(shared) })
    }

    /// Serves for ever; everything ends when this is dropped.
    async fn serve(self, max_clients: usize) {
        let Cameras { listener, shared, .. } = self;
        let mut tasks = JoinSet::new();
        for index in 0..shared.cameras.len() {
            tasks.spawn(tick(shared.clone(), index));
        }
        tasks.spawn(discard_reports(shared.clone()));
        tasks.spawn(tell_lateness(shared.clone()));

        let places = Arc::new(Semaphore::new(max_clients));
        let connections = Arc::new(Semaphore::new(max_clients + SPARE_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                biased;
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a camera's task broke");
                    }
                    continue;
                }
                // More wait in the kernel's queue.
                Ok(connection) = connections.clone().acquire_owned() => {
                    listener.accept().await.map(|accepted| (accepted, connection))
                }
            };
            match accepted {
                Ok(((stream, client), connection)) => {
                    let (shared, place) = (shared.clone(), places.clone().try_acquire_owned().ok());
                    tasks.spawn(async move {
                        tracing::debug!(%client, "connected");
                        let ip = client.ip().to_canonical();
                        let end = client::serve(stream, ip, shared, place.is_some()).await;
                        tracing::debug!(%client, "connection over: {end}");
                        drop((place, connection));
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: connections that end will free some.
                    tracing::warn!(%error, "a connection could not be accepted; is `ulimit -n` high enough?");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// Two sockets on neighbouring ports, the first of them even (RFC 3550 §11).
async fn udp_pair(ip: IpAddr) -> Result<(UdpSocket, UdpSocket), std::io::Error> {
    let mut last = std::io::ErrorKind::AddrInUse.into();
    for _ in 0..PORT_ATTEMPTS {
        let first = UdpSocket::bind((ip, 0)).await?;
        let port = first.local_addr()?.port();
        if port % 2 == 1 {
            continue;
        }
        match UdpSocket::bind((ip, port + 1)).await {
            Ok(second) => return Ok((first, second)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Makes one camera's units when they are due, and only if somebody wants them.
async fn tick(shared: Arc<Shared>, index: usize) {
    let (camera, units) = (&shared.cameras[index], &shared.units[index]);
    let mut ticker = Ticker::new(camera.clone());
    loop {
        sleep_until(ticker.deadline().into()).await;
        while let Some(due) = ticker.poll(Instant::now()) {
            if units.receiver_count() == 0 {
                continue;
            }
            shared.figures.units.fetch_add(1, Ordering::Relaxed);
            shared.figures.late.fetch_add(u64::from(due.late > LATE), Ordering::Relaxed);
            let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            // Fails only if nobody wants it any more.
            let _ = units.send(Arc::new(camera.unit(due, since_1970.as_nanos() as u64)));
        }
        shared.figures.skipped.fetch_add(ticker.take_skipped(), Ordering::Relaxed);
    }
}

/// Takes what clients send by UDP. Left alone it would fill the queues, and the kernel would count errors
/// that look like those of the server under test.
async fn discard_reports(shared: Arc<Shared>) {
    let (media, reports) = &shared.udp;
    let (mut one, mut other) = ([0; 64], [0; 64]);
    loop {
        // Errors are a client's closed port; the next call has the next datagram.
        tokio::select! {
            _ = media.recv_from(&mut one) => {}
            _ = reports.recv_from(&mut other) => {}
        }
    }
}

/// Says it loudly when what is measured behind the cameras is theirs.
async fn tell_lateness(shared: Arc<Shared>) {
    let figures = &shared.figures;
    let read = || {
        [
            figures.units.load(Ordering::Relaxed),
            figures.late.load(Ordering::Relaxed),
            figures.skipped.load(Ordering::Relaxed),
        ]
    };
    let mut before = read();
    loop {
        sleep(LOOK).await;
        let after = read();
        let [units, late, skipped] = std::array::from_fn(|index| after[index] - before[index]);
        before = after;
        if late * LATE_SHARE > units || skipped > 0 {
            tracing::warn!(
                "the cameras do not keep up: of {} pictures and packets in {} s, {late} left more than {} ms late \
                 and {skipped} not at all; give them a core of their own, or take a smaller --count",
                units + skipped,
                LOOK.as_secs(),
                LATE.as_millis()
            );
        }
    }
}

impl Figures {
    fn tell(&self) {
        tracing::info!(
            sessions = self.plays.load(Ordering::Relaxed),
            packets = self.packets.load(Ordering::Relaxed),
            bytes = self.bytes.load(Ordering::Relaxed),
            lost_by_udp = self.lost.load(Ordering::Relaxed),
            reordered_by_udp = self.reordered.load(Ordering::Relaxed),
            missed_by_slow_clients = self.missed.load(Ordering::Relaxed),
            late = self.late.load(Ordering::Relaxed),
            skipped = self.skipped.load(Ordering::Relaxed),
            "served"
        );
    }
}
