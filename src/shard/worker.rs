//! The pinned thread that runs one shard: the shell around it that reads the clock and the socket.
//!
//! One round of the loop: (1) wait for the socket, the waker or the shard's next deadline; (2) read
//! the clock once; (3) hand over commands, so that a viewer is here before its first STUN request;
//! (4) then datagrams, STUN and DTLS before any media; (5) then trains; (6) then deadlines; (7) flush
//! what is left in the batch. Every step is bounded, so that none can keep the others waiting.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and makes a thread")]

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::Receiver as Queue;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use sluice_io::affinity::{self, CoreId};
use sluice_io::{AppendError, Batch, BatchLimits, DropReason, GsoMode, Receiver, Sender, Socket};
use tokio::sync::mpsc;

use super::Egress;
use super::command::{COMMANDS_MAX, Command, MEDIA_MAX, Media, ShardHandle, Wake};
use super::shard::{Ended, Shard};
use crate::ops::counters::ShardCounters;
use crate::track::RecentLimits;
use crate::viewer::Epoch;

/// Receive calls (of up to 32 datagrams each) in one round. More lets a flood of datagrams delay
/// media; fewer lets the socket's buffer fill up while many viewers join.
const RECEIVES_PER_ROUND: usize = 16;

/// Commands between two receives. A join is about 5 µs here; more of them delay media, fewer let STUN
/// requests overtake the joins they belong to.
const COMMANDS_AT_ONCE: usize = 64;

/// Trains in one round. One train costs as much as it has viewers.
const MEDIA_PER_ROUND: usize = 64;

/// The longest wait: how old the busy ratio and the watchdog's sign of life may get.
const MAX_WAIT: Duration = Duration::from_millis(500);

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// What a worker is made from.
pub struct WorkerSetup {
    /// The shard's number, from 0.
    pub index: usize,
    /// The core to pin the thread to, if any.
    pub core: Option<CoreId>,
    /// The shard's socket.
    pub socket: Socket,
    /// Whether GSO may be used.
    pub gso: GsoMode,
    /// How much each track's ring holds.
    pub recent: RecentLimits,
    /// Where ended viewers are told. Holds as many as there may be viewers, so it is never full.
    pub ended: mpsc::Sender<Ended>,
}

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
#[error("shard {index} cannot start: {source}")]
pub struct StartError {
    index: usize,
    source: std::io::Error,
}

/// A running worker.
pub struct Worker {
    /// How the control plane reaches its shard.
    pub handle: Arc<ShardHandle>,
    /// Ends after [`Command::Shutdown`].
    pub thread: JoinHandle<()>,
}

/// Starts the thread of one shard.
pub fn start(setup: WorkerSetup) -> Result<Worker, StartError> {
    let index = setup.index;
    let failed = |source| StartError { index, source };
    let poll = Poll::new().map_err(failed)?;
    let waker = mio::Waker::new(poll.registry(), WAKER).map_err(failed)?;
    let fd = setup.socket.as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), SOCKET, Interest::READABLE).map_err(failed)?;
    let port = setup.socket.local_addr().port();

    let counters = Arc::new(ShardCounters::default());
    let wake = Arc::new(Wake::new(waker));
    let (commands_in, commands) = crossbeam_channel::bounded(COMMANDS_MAX);
    let (media_in, media) = crossbeam_channel::bounded(MEDIA_MAX);
    let handle =
        Arc::new(ShardHandle::new(index, port, counters.clone(), commands_in, media_in, wake.clone()));

    let shard = Shard::new(setup.recent, epoch(), counters.clone());
    let outbox = Outbox {
        batch: Batch::new(BatchLimits::default()),
        sender: Sender::new(setup.gso),
        socket: Arc::new(setup.socket),
        counters: counters.clone(),
        now: Instant::now(),
    };
    let mut rounds =
        Rounds { index, shard, outbox, poll, commands, media, wake, counters, ended: setup.ended };
    let core = setup.core;
    let thread = std::thread::Builder::new()
        .name(format!("shard-{index}"))
        .spawn(move || {
            if let Some(core) = core
                && !affinity::pin(core)
            {
                tracing::warn!(shard = index, ?core, "the thread could not be pinned to its core");
            }
            rounds.run();
        })
        .map_err(failed)?;
    Ok(Worker { handle, thread })
}

/// Now, by both clocks.
fn epoch() -> Epoch {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Epoch::new(Instant::now(), unix)
}

struct Rounds {
    index: usize,
    shard: Shard,
    outbox: Outbox,
    poll: Poll,
    commands: Queue<Command>,
    media: Queue<Media>,
    wake: Arc<Wake>,
    counters: Arc<ShardCounters>,
    ended: mpsc::Sender<Ended>,
}

impl Rounds {
    fn run(&mut self) {
        let mut receiver = Receiver::default();
        let mut events = Events::with_capacity(8);
        // What was left undone by a bound of the last round; the socket's readiness is an edge.
        let mut more = true;
        loop {
            let wait = if more { Duration::ZERO } else { self.wait() };
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(shard = self.index, %error, "epoll failed; the shard goes on by its deadlines");
            }
            let began = Instant::now();
            self.outbox.now = began;
            self.counters.wakeups.add(1);
            // A panic below is a defect of ours, not of one viewer's engine (those are caught one by
            // one). The thread must live: its viewers end and join again, the other shards go on.
            let round = catch_unwind(AssertUnwindSafe(|| self.round(began, &mut receiver)));
            let (stop, unfinished) = round.unwrap_or_else(|_| {
                tracing::error!(shard = self.index, "a round panicked; its viewers end and must join again");
                self.shard.abandon();
                (false, true)
            });
            more = unfinished;
            self.outbox.flush();
            for ended in self.shard.drain_ended() {
                // Sized for every viewer there may be: never full while the control plane lives.
                let _ = self.ended.try_send(ended);
            }
            self.counters.busy_nanos.add(began.elapsed().as_nanos() as u64);
            if stop {
                return;
            }
        }
    }

    fn wait(&self) -> Duration {
        let now = Instant::now();
        self.shard.next_deadline().map_or(MAX_WAIT, |at| at.saturating_duration_since(now).min(MAX_WAIT))
    }

    /// Returns whether to stop, and whether a bound left work behind.
    fn round(&mut self, now: Instant, receiver: &mut Receiver) -> (bool, bool) {
        self.wake.taken();
        let mut more = true;
        for _ in 0..RECEIVES_PER_ROUND {
            if self.obey(now) {
                return (true, false);
            }
            if self.receive(now, receiver) {
                more = false;
                break;
            }
        }
        let media = self.media.len().min(MEDIA_PER_ROUND);
        for message in self.media.try_iter().take(media) {
            self.shard.handle_media(now, message, &mut self.outbox);
        }
        more |= !self.commands.is_empty() || !self.media.is_empty();
        self.shard.handle_timeout(now, &mut self.outbox);
        (false, more)
    }

    /// Hands over the commands that wait. Returns whether to stop.
    fn obey(&mut self, now: Instant) -> bool {
        let Rounds { shard, outbox, commands, .. } = self;
        commands.try_iter().take(COMMANDS_AT_ONCE).any(|command| shard.handle_command(now, command, outbox))
    }

    /// One receive call. Returns whether the socket has no more.
    fn receive(&mut self, now: Instant, receiver: &mut Receiver) -> bool {
        let Rounds { shard, outbox, counters, index, .. } = self;
        // Replies leave through the same socket: it is borrowed for the call, not the closure.
        let socket = outbox.socket.clone();
        let report = receiver.receive(&socket, |datagram| {
            shard.handle_datagram(now, datagram.source, datagram.local_ip, datagram.bytes, outbox);
        });
        match report {
            Ok(report) => {
                counters.ingress_datagrams.add(report.datagrams as u64);
                counters.discarded_oversize.add(report.oversized as u64);
                report.drained
            }
            Err(error) => {
                tracing::debug!(shard = *index, %error, "a receive failed");
                true
            }
        }
    }
}

/// The batch, and how it gets to the kernel.
struct Outbox {
    batch: Batch,
    sender: Sender,
    socket: Arc<Socket>,
    counters: Arc<ShardCounters>,
    now: Instant,
}

impl Egress for Outbox {
    fn transmit(&mut self, destination: SocketAddr, source: Option<IpAddr>, datagram: &[u8]) {
        let mut result = self.batch.push(destination, source, datagram);
        if self.made_room(&result) {
            result = self.batch.push(destination, source, datagram);
        }
        if result.is_err() {
            // Empty or longer than a message may be: nothing that an engine makes.
            self.counters.dropped_refused.add(1);
        }
    }

    fn write(
        &mut self,
        destination: SocketAddr,
        source: Option<IpAddr>,
        max: usize,
        write: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) {
        // The batch decides whether there is room before `write` runs, so it runs once.
        let mut result = self.batch.append_with(destination, source, max, &mut *write).map(drop);
        if self.made_room(&result) {
            result = self.batch.append_with(destination, source, max, write).map(drop);
        }
        if result.is_err() {
            self.counters.dropped_refused.add(1);
        }
    }
}

impl Outbox {
    /// Makes room if that was what was missing, and says whether to try again.
    fn made_room(&mut self, result: &Result<(), AppendError>) -> bool {
        let full = *result == Err(AppendError::Full);
        if full {
            self.flush();
        }
        full
    }

    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let report = self.sender.flush(&self.socket, &mut self.batch, self.now);
        let counters = &self.counters;
        counters.send_calls.add(report.calls as u64);
        counters.egress_messages.add(report.messages as u64);
        counters.egress_datagrams.add(report.segments as u64);
        counters.egress_bytes.add(report.bytes as u64);
        counters.gso_fallbacks.add(report.gso_fallbacks as u64);
        let no_memory = report.dropped.count(DropReason::NoBuffer) as u64;
        counters.dropped_no_memory.add(no_memory);
        counters.dropped_refused.add(report.dropped.total() as u64 - no_memory);
        // The socket's buffer is full: waiting would hold up every viewer of the shard. What a
        // viewer misses it asks for again (NACK).
        counters.dropped_socket_full.add(self.batch.segments() as u64);
        self.batch.clear();
    }
}
