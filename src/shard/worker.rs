//! The pinned thread that runs one shard: the shell around it that reads the clock and the socket.
//!
//! One round of the loop: (1) wait for the socket, the waker or the shard's next deadline; (2) read
//! the clock once; (3) hand over commands, so that a viewer is here before its first STUN request;
//! (4) then datagrams, STUN and DTLS before any media; (5) then trains, which queue; (6) then deadlines;
//! (7) then the viewers' turns of the trains; (8) flush what is left in the batches. Every step is
//! bounded, so that none can keep the others waiting. While the socket is full the loop also waits for
//! it to become writable, and only then: an idle socket would report that after every datagram.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and makes a thread")]

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::Receiver as Queue;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use sluice_io::affinity::{self, CoreId};
use sluice_io::{GsoMode, Receiver, Sender, Socket};
use sluice_media::rtcp::Epoch;
use tokio::sync::mpsc;

use super::command::{COMMANDS_MAX, Command, Health, MEDIA_MAX, Queued, ShardHandle, Tuning, Wake};
use super::connections::Connections;
use super::live::{Duty, live};
use super::outbox::Outbox;
use super::room::RoomLimits;
use super::shard::{Ended, News, Progress, Shard};
use crate::contain::contain;
use crate::count::EndReason;
use crate::count::ShardCounters;
use crate::id::{SessionId, StreamId};
use crate::supervise::{Ends, Task};

/// Receive calls (of up to 32 datagrams each) in one round. More lets a flood of datagrams delay
/// media; fewer lets the socket's buffer fill up while many viewers join.
const RECEIVES_PER_ROUND: usize = 16;

/// Datagrams in one round, and those of the call that reaches it: the kernel gives up to 64 of one peer in each
/// of a call's 32 messages, so calls alone bound little. A check is about 5 µs, so more of them delay media by
/// more; fewer let the socket's buffer fill up while many viewers join.
const DATAGRAMS_PER_ROUND: usize = 1_024;

/// Time that one round takes from the socket, and that of the call that reaches it. Some datagrams are dearer than
/// others (a handshake is 200 µs): longer lets a flood of those delay media, shorter lets the socket's buffer fill
/// up while many viewers join.
const INTAKE_PER_ROUND: Duration = Duration::from_millis(10);

/// Commands between two receives. A join is about 5 µs here; more of them delay media, fewer let STUN
/// requests overtake the joins they belong to.
const COMMANDS_AT_ONCE: usize = 64;

/// Trains taken from the queue in one round. Taking one costs next to nothing; sending it has a bound of
/// its own.
const MEDIA_PER_ROUND: usize = 256;

/// Time that viewers' deadlines have in one round, and the call that reaches it. Most of it is the past of those who join:
/// longer lets a rush of them delay what all others watch, shorter shows joiners their first pictures later.
const DEADLINES_PER_ROUND: Duration = Duration::from_millis(2);

/// Calls for the viewers' turns in one round, of about a millisecond each. More of them delay STUN and
/// joins, fewer read an empty socket more often.
const FAN_OUTS_PER_ROUND: usize = 8;

/// The wait while the line's rate is used up: the shortest that epoll can do.
const RATE_WAIT: Duration = Duration::from_millis(1);

/// The longest wait while the socket is full: how late media that waited too long is dropped.
const BLOCKED_WAIT: Duration = Duration::from_millis(10);

/// The longest wait: how old the busy ratio and the watchdog's sign of life may get.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// Time between two looks at what the kernel dropped before it was received, a system call each. Longer makes that count
/// older at a scrape.
const DROPS_INTERVAL: Duration = Duration::from_secs(1);

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// Where viewers without UDP come to (RFC 6544).
#[derive(Debug)]
pub struct Gate {
    /// Their port.
    pub listener: std::net::TcpListener,
    /// Connections at the most.
    pub connections: usize,
}

/// What a worker is made from.
pub struct WorkerSetup {
    /// The shard's number, from 0.
    pub index: usize,
    /// The core to pin the thread to, if any.
    pub core: Option<CoreId>,
    /// The shard's socket.
    pub socket: Socket,
    /// Where viewers without UDP come to, if they may.
    pub gate: Option<Gate>,
    /// Whether GSO may be used.
    pub gso: GsoMode,
    /// Rings, pace and rate, at first.
    pub tuning: Tuning,
    /// What it may take on, at first.
    pub room: RoomLimits,
    /// Where viewers that connected or ended are told. Holds two for each that there may be, so it is never full.
    pub news: mpsc::Sender<News>,
    /// Where a round that panicked is counted.
    pub ends: Arc<Ends>,
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
    let tcp_port = setup.gate.as_ref().map(|gate| gate.listener.local_addr().map(|address| address.port()));
    let ports = (setup.socket.local_addr().port(), tcp_port.transpose().map_err(failed)?);

    let counters = Arc::new(ShardCounters::default());
    let wake = Arc::new(Wake::new(waker));
    let (commands_in, commands) = crossbeam_channel::bounded(COMMANDS_MAX);
    let (media_in, media) = crossbeam_channel::bounded(MEDIA_MAX);
    let (room, Tuning { recent, pacing, rate }) = (setup.room, setup.tuning);
    let handle =
        Arc::new(ShardHandle::new(index, ports, counters.clone(), commands_in, media_in, wake.clone(), room));

    let shard = Shard::new(recent, pacing, epoch(), counters.clone());
    let (sender, socket) = (Sender::new(setup.gso), Arc::new(setup.socket));
    let connections = connections(setup.gate, &poll, &counters).map_err(failed)?;
    let outbox = Outbox::new(sender, socket, counters.clone(), connections, rate, Instant::now());
    let mut rounds = Rounds {
        index,
        shard,
        outbox,
        poll,
        events: Events::with_capacity(8),
        receiver: Receiver::default(),
        commands,
        media,
        wake,
        health: handle.health.clone(),
        counters,
        news: setup.news,
        ends: setup.ends,
        gso: setup.gso,
        rate,
        readable: true,
        awaits_writable: false,
        more: true,
        drops_due: Instant::now(),
        media_from: None,
        in_hand: InHand::Nothing,
    };
    let core = setup.core;
    let ending = Ending(handle.clone());
    let thread = std::thread::Builder::new()
        .name(format!("shard-{index}"))
        .spawn(move || {
            let _ending = ending;
            if let Ok(folder) = std::fs::read_link("/proc/thread-self") {
                rounds.health.set_thread(folder.to_string_lossy().into_owned());
            }
            if let Some(core) = core
                && !affinity::pin(core)
            {
                tracing::warn!(shard = index, ?core, "the thread could not be pinned to its core");
            }
            if !live(&mut rounds) {
                tracing::error!(shard = index, "the thread ends: it cannot be put in order after a panic");
            }
        })
        .map_err(failed)?;
    Ok(Worker { handle, thread })
}

fn connections(
    gate: Option<Gate>,
    poll: &Poll,
    counters: &Arc<ShardCounters>,
) -> std::io::Result<Connections> {
    let Some(Gate { listener, connections }) = gate else { return Ok(Connections::default()) };
    listener.set_nonblocking(true)?;
    let listener = mio::net::TcpListener::from_std(listener);
    Connections::new(listener, connections, poll.registry(), counters.clone())
}

/// Tells that the thread has ended, however it ends.
struct Ending(Arc<ShardHandle>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.health.set_gone();
    }
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
    events: Events,
    receiver: Receiver,
    commands: Queue<Command>,
    media: Queue<Queued>,
    wake: Arc<Wake>,
    health: Arc<Health>,
    counters: Arc<ShardCounters>,
    news: mpsc::Sender<News>,
    ends: Arc<Ends>,
    gso: GsoMode,
    rate: Option<f64>,
    /// Whether the socket may have something: epoll said so, and it was not read to its end since.
    readable: bool,
    /// Whether epoll tells when the socket is writable.
    awaits_writable: bool,
    /// What was left undone by a bound of the last round; the socket's readiness is an edge.
    more: bool,
    in_hand: InHand,
    /// When to look next at what the kernel dropped.
    drops_due: Instant,
    /// Since when trains go out in this round, if any do.
    media_from: Option<Instant>,
}

/// The command that was taken from the queue last: a panic must not lose what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InHand {
    Nothing,
    Joining(SessionId, StreamId),
    Shutdown,
}

impl InHand {
    fn of(command: &Command) -> InHand {
        match command {
            Command::Join(viewer) => InHand::Joining(viewer.session(), viewer.layer.stream),
            Command::Shutdown => InHand::Shutdown,
            // A panic in these ends the viewer that they name, as it ends all.
            Command::End(..)
            | Command::RestartIce { .. }
            | Command::Choose { .. }
            | Command::Tune(_)
            | Command::Ask(_) => InHand::Nothing,
        }
    }
}

impl Duty for Rounds {
    fn round(&mut self) -> bool {
        let wait = if self.more { Duration::ZERO } else { self.wait() };
        if let Err(error) = self.poll.poll(&mut self.events, Some(wait))
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            tracing::error!(shard = self.index, %error, "epoll failed; the shard goes on by its deadlines");
        }
        for event in &self.events {
            match event.token() {
                SOCKET => self.readable = true,
                WAKER => {}
                _ => self.outbox.connections.note(event),
            }
        }
        let began = Instant::now();
        self.outbox.set_now(began);
        self.counters.wakeups.add(1);
        self.count_drops(began);
        let (stop, unfinished) = self.steps(began);
        self.more = unfinished;
        self.outbox.flush();
        self.flush_connections(began);
        self.await_writable();
        self.tell_news();
        let done = Instant::now();
        self.counters.busy_nanos.add(done.duration_since(began).as_nanos() as u64);
        if let Some(from) = self.media_from.take() {
            self.counters.media_nanos.add(done.duration_since(from).as_nanos() as u64);
        }
        !stop
    }

    /// A panic of a round is a defect of ours, not of one viewer's engine (those are caught one by one).
    /// The thread must live: its viewers end and join again, the other shards go on.
    fn recover(&mut self) -> bool {
        self.ends.count(Task::Shard);
        tracing::error!(shard = self.index, "a round panicked; its viewers end and must join again");
        self.shard.abandon();
        let mut connections = std::mem::take(&mut self.outbox.connections);
        connections.abandon();
        let outbox = Outbox::new(
            Sender::new(self.gso),
            self.outbox.socket.clone(),
            self.counters.clone(),
            connections,
            self.rate,
            Instant::now(),
        );
        let old = std::mem::replace(&mut self.outbox, outbox);
        contain(|| drop(old));
        let in_hand = std::mem::replace(&mut self.in_hand, InHand::Nothing);
        if let InHand::Joining(session, stream) = in_hand {
            // It may be among the abandoned too; books close a session once.
            let reason = EndReason::ShardFailed;
            let ended = Ended { session, stream, reason, connected: false, bytes: 0 };
            let _ = self.news.try_send(News::Ended(ended));
        }
        self.tell_news();
        (self.more, self.readable) = (true, true);
        in_hand != InHand::Shutdown
    }
}

impl Rounds {
    /// Takes over the kernel's count of what the socket had no room for.
    fn count_drops(&mut self, now: Instant) {
        if now < self.drops_due {
            return;
        }
        self.drops_due = now + DROPS_INTERVAL;
        // Nothing lies there for longer than this, whatever epoll said.
        self.readable = true;
        // A kernel that does not count (before 4.12) leaves it at 0.
        if let Ok(drops) = self.outbox.socket.receive_drops() {
            self.counters.ingress_dropped.set(drops.into());
        }
    }

    fn tell_news(&mut self) {
        // Sized for every viewer there may be: never full while the control plane lives.
        for session in self.shard.drain_arrived() {
            let _ = self.news.try_send(News::Connected(session));
        }
        for ended in self.shard.drain_ended() {
            let _ = self.news.try_send(News::Ended(ended));
        }
    }

    /// The control plane gave up this thread's viewers while it stood still: they are told, and so are
    /// those who wait in the queue.
    fn end_given_up(&mut self, now: Instant) -> bool {
        for _ in 0..COMMANDS_MAX / COMMANDS_AT_ONCE {
            if self.obey(now) {
                return true;
            }
        }
        self.shard.end_all(EndReason::ShardFailed, &mut self.outbox);
        false
    }

    fn wait(&self) -> Duration {
        let now = Instant::now();
        let due = self.shard.fan_out_due(now);
        let media = match due {
            _ if self.outbox.is_blocked() => Some(now + BLOCKED_WAIT),
            Some(due) if self.outbox.is_over_rate() => Some(due.max(now + RATE_WAIT)),
            due => due,
        };
        let next = [self.shard.next_deadline(), media].into_iter().flatten().min();
        next.map_or(MAX_WAIT, |at| at.saturating_duration_since(now).min(MAX_WAIT))
    }

    /// Has epoll tell when the socket is writable while, and only while, something waits for that.
    fn await_writable(&mut self) {
        let wanted = self.outbox.is_blocked();
        if wanted == self.awaits_writable {
            return;
        }
        let interest = if wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let fd = self.outbox.socket.as_raw_fd();
        match self.poll.registry().reregister(&mut SourceFd(&fd), SOCKET, interest) {
            Ok(()) => self.awaits_writable = wanted,
            // The wait is bounded anyway.
            Err(error) => tracing::debug!(shard = self.index, %error, "epoll took no new interest"),
        }
    }

    /// Returns whether to stop, and whether a bound left work behind.
    fn steps(&mut self, now: Instant) -> (bool, bool) {
        self.wake.taken();
        if self.health.take_given_up() && self.end_given_up(now) {
            return (true, false);
        }
        let mut more = true;
        let mut intake = Intake::default();
        while intake.has_room() {
            if self.obey(now) {
                return (true, false);
            }
            // Most rounds are trains alone: to ask the kernel for datagrams then would be one call of three.
            if !self.readable {
                more = false;
                break;
            }
            let (datagrams, drained) = self.receive(now);
            if drained {
                self.readable = false;
                more = false;
                break;
            }
            intake.note(datagrams, now.elapsed());
        }
        self.read_connections(now);
        more |= self.outbox.connections.has_more();
        let media = self.media.len().min(MEDIA_PER_ROUND);
        for queued in self.media.try_iter().take(media) {
            let media = queued.take();
            self.shard.handle_media(now, media);
        }
        more |= !self.commands.is_empty() || !self.media.is_empty();
        let (now, late) = self.deadlines(now);
        let now = self.media_turn(now);
        (false, self.fan_out(now) || late || more)
    }

    /// The viewers' deadlines. Returns what time it is, and whether some have to wait.
    fn deadlines(&mut self, mut now: Instant) -> (Instant, bool) {
        let mut end = None;
        while self.shard.handle_timeout(now, &mut self.outbox) {
            now = Instant::now();
            self.outbox.set_now(now);
            if now >= *end.get_or_insert(now + DEADLINES_PER_ROUND) {
                return (now, true);
            }
        }
        (now, false)
    }

    /// It is the trains' turn now. Returns what time it is.
    fn media_turn(&mut self, now: Instant) -> Instant {
        if self.shard.fan_out_due(now).is_none_or(|due| due > now) {
            return now;
        }
        let now = Instant::now();
        self.outbox.set_now(now);
        self.media_from = Some(now);
        now
    }

    /// The viewers' turns. Returns whether there are more that could be taken at once.
    fn fan_out(&mut self, mut now: Instant) -> bool {
        for _ in 0..FAN_OUTS_PER_ROUND {
            match self.shard.poll_fan_out(now, &mut self.outbox) {
                Progress::Idle | Progress::Blocked => return false,
                Progress::More => {}
            }
            now = Instant::now();
            self.outbox.set_now(now);
        }
        true
    }

    /// Hands over the commands that wait. Returns whether to stop.
    fn obey(&mut self, now: Instant) -> bool {
        let Rounds { shard, outbox, commands, in_hand, rate, .. } = self;
        let stop = commands.try_iter().take(COMMANDS_AT_ONCE).any(|command| {
            *in_hand = InHand::of(&command);
            if let Command::Tune(tuning) = &command
                && tuning.rate != *rate
            {
                *rate = tuning.rate;
                outbox.limit(*rate);
            }
            shard.handle_command(now, command, outbox)
        });
        *in_hand = InHand::Nothing;
        stop
    }

    /// What came from viewers without UDP: who is new, and what those who are here say.
    fn read_connections(&mut self, now: Instant) {
        let Rounds { shard, outbox, counters, .. } = self;
        outbox.connections.accept(now);
        for id in outbox.connections.take_readable() {
            let Some((remote, local, mut frames)) = outbox.connections.read(id) else { continue };
            let mut known = false;
            let whole = loop {
                match frames.next_frame() {
                    Ok(Some(datagram)) => {
                        counters.ingress_datagrams.add(1);
                        if outbox.connections.admit(id, datagram, now) {
                            known |= shard.handle_datagram(now, remote, local, datagram, outbox);
                        }
                    }
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            outbox.connections.heard(id, frames, known, whole, now);
        }
    }

    /// Writes what waits for connections, and closes those that nobody is at any more.
    fn flush_connections(&mut self, now: Instant) {
        let Rounds { shard, outbox, .. } = self;
        shard.drain_abandoned().for_each(|id| outbox.connections.hang_up(id));
        outbox.connections.flush();
        outbox.connections.reap(now);
        outbox.connections.take_closed().into_iter().for_each(|remote| shard.forget(remote));
    }

    /// One receive call. Returns how many datagrams it brought and whether the socket has no more.
    fn receive(&mut self, now: Instant) -> (usize, bool) {
        let Rounds { shard, outbox, counters, index, receiver, .. } = self;
        // Replies leave through the same socket: it is borrowed for the call, not the closure.
        let socket = outbox.socket.clone();
        let report = receiver.receive(&socket, |datagram| {
            shard.handle_datagram(now, datagram.source, datagram.local_ip, datagram.bytes, outbox);
        });
        match report {
            Ok(report) => {
                counters.ingress_datagrams.add(report.datagrams as u64);
                if report.datagrams > 0 {
                    counters.traffic.datagrams_per_receive.observe(report.datagrams as f64);
                }
                counters.discarded_oversize.add(report.oversized as u64);
                (report.datagrams + report.oversized, report.drained)
            }
            Err(error) => {
                tracing::debug!(shard = *index, %error, "a receive failed");
                (0, true)
            }
        }
    }
}

/// What one round has taken from the socket so far.
#[derive(Debug, Default)]
struct Intake {
    calls: usize,
    datagrams: usize,
    /// Since the round began.
    took: Duration,
}

impl Intake {
    fn has_room(&self) -> bool {
        self.calls < RECEIVES_PER_ROUND
            && self.datagrams < DATAGRAMS_PER_ROUND
            && self.took < INTAKE_PER_ROUND
    }

    /// One more call brought `datagrams`; the round began `took` ago.
    fn note(&mut self, datagrams: usize, took: Duration) {
        self.calls += 1;
        self.datagrams += datagrams;
        self.took = took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a kernel that gives `each` datagrams a call, for ever, and `cost` of one: calls and datagrams of one
    /// round.
    fn round(each: usize, cost: Duration) -> (usize, usize) {
        let mut intake = Intake::default();
        while intake.has_room() {
            intake.note(each, intake.took + cost * each as u32);
        }
        (intake.calls, intake.datagrams)
    }

    #[test]
    fn a_round_is_bounded_in_calls_in_datagrams_and_in_time() {
        let check = Duration::from_micros(5);
        assert_eq!(round(32, check), (16, 512), "one datagram a message");
        assert_eq!(round(0, check), (16, 0), "whatever the kernel says");
        // As many as 32 messages of 64 hold.
        assert_eq!(round(2_048, check), (1, 2_048));
        for each in 1..=2_048 {
            assert!(round(each, check).1 < DATAGRAMS_PER_ROUND + each, "{each}");
        }
        assert_eq!(round(32, Duration::from_micros(200)), (2, 64), "dear ones");
    }
}
