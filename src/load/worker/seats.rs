//! The loop of one thread: read, obey, tell the time, tell what was counted. A shell.
//!
//! Owns the viewers of the thread with their sockets and deadlines, and the order in which they get their
//! turn. Never speaks HTTP.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver as Queue;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use sluice_io::deadlines::Deadlines;
use sluice_io::{Receiver, Socket, SocketOptions};
use sluice_media::dtls::SharedDtls;
use tokio::sync::mpsc::UnboundedSender;

use super::super::client::{Behaviour, Client, ClientError, Stage, Transmit};
use super::super::gone::{Gone, Mark, Viewed};
use super::super::process;
use super::outbox::{Outbox, Trouble, guarded};
use super::{Command, Event};

/// Commands in one round: a join is about 0.2 ms, and more of them delay the receiving.
const COMMANDS_PER_ROUND: usize = 16;

/// Receive calls for one viewer before the next one's turn.
const RECEIVES_PER_TURN: usize = 4;

/// Bytes that the kernel keeps for one viewer between two reads: several keyframes. Less shows as
/// drops of the generator; more costs kernel memory only while it is used.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Time that a join may take.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two tellings of what was counted: half of the time between two points of the curves.
const TICK: Duration = Duration::from_millis(500);

pub(super) struct Worker {
    index: usize,
    poll: Poll,
    commands: Queue<Command>,
    events: UnboundedSender<Event>,
    dtls: SharedDtls,
    seats: Slab<Seat>,
    by_id: HashMap<u32, usize>,
    deadlines: Deadlines,
    /// Seats whose sockets may hold more: readiness is an edge.
    unread: VecDeque<usize>,
    outbox: Outbox,
    gone: Gone,
    began: Instant,
}

/// One viewer and its socket.
struct Seat {
    id: u32,
    socket: Socket,
    client: Client,
    began: Instant,
    connected: bool,
    queued: bool,
}

impl Worker {
    /// Without viewers yet.
    pub(super) fn new(
        index: usize,
        poll: Poll,
        commands: Queue<Command>,
        dtls: SharedDtls,
        events: UnboundedSender<Event>,
    ) -> Worker {
        Worker {
            index,
            poll,
            commands,
            events,
            dtls,
            seats: Slab::new(),
            by_id: HashMap::new(),
            deadlines: Deadlines::default(),
            unread: VecDeque::new(),
            outbox: Outbox::new(),
            gone: Gone::default(),
            began: Instant::now(),
        }
    }

    /// Works until it is told to stop.
    pub(super) fn run(&mut self) {
        let mut receiver = Receiver::new();
        let mut events = Events::with_capacity(1_024);
        let mut next_tick = Instant::now() + TICK;
        loop {
            let idle = self.unread.is_empty() && self.commands.is_empty();
            let until = self.deadlines.next().map_or(next_tick, |at| at.min(next_tick));
            let wait = if idle { until.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(thread = self.index, %error, "epoll failed; the thread goes on by its deadlines");
            }
            for event in &events {
                self.queue(event.token());
            }
            for _ in 0..self.unread.len() {
                if let Some(slot) = self.unread.pop_front() {
                    self.read(slot, &mut receiver);
                }
            }
            for _ in 0..COMMANDS_PER_ROUND {
                match self.commands.try_recv() {
                    Ok(Command::Stop) | Err(crossbeam_channel::TryRecvError::Disconnected) => {
                        return self.stop();
                    }
                    Ok(command) => self.obey(command),
                    Err(crossbeam_channel::TryRecvError::Empty) => break,
                }
            }
            let now = Instant::now();
            while let Some(slot) = self.deadlines.expired(now) {
                self.drive(slot, now, |client, out| client.handle_timeout(now, out));
            }
            if now >= next_tick {
                next_tick = (next_tick + TICK).max(now);
                let _ = self.events.send(Event::Ticked(self.index, self.mark()));
            }
        }
    }

    fn queue(&mut self, Token(slot): Token) {
        if let Some(seat) = self.seats.get_mut(slot)
            && !std::mem::replace(&mut seat.queued, true)
        {
            self.unread.push_back(slot);
        }
    }

    /// Reads one viewer's socket until it is empty or its turn is over.
    fn read(&mut self, slot: usize, receiver: &mut Receiver) {
        let Some(seat) = self.seats.get_mut(slot) else { return };
        seat.queued = false;
        let (mut result, mut drained) = (Ok(()), false);
        let now = Instant::now();
        for _ in 0..RECEIVES_PER_TURN {
            let Seat { socket, client, .. } = seat;
            let outbox = &mut self.outbox;
            let report = receiver.receive(socket, |datagram| {
                if result.is_ok() {
                    let mut out = |to: SocketAddr, bytes: &[u8]| outbox.push(socket, to, bytes, now);
                    result =
                        guarded(|| client.handle_datagram(now, datagram.source, datagram.bytes, &mut out));
                }
            });
            match report {
                Ok(report) if !report.drained => {}
                // An ICMP "port unreachable" is told as an error, once; ICE times out if it stays.
                Ok(_) | Err(_) => {
                    drained = true;
                    break;
                }
            }
        }
        if !drained {
            self.queue(Token(slot));
        }
        self.settle(slot, now, result);
    }

    /// Calls one viewer and sends what it says.
    fn drive(
        &mut self,
        slot: usize,
        now: Instant,
        call: impl FnOnce(&mut Client, &mut Transmit<'_>) -> Result<(), ClientError>,
    ) {
        let Some(Seat { socket, client, .. }) = self.seats.get_mut(slot) else { return };
        let outbox = &mut self.outbox;
        let mut out = |to: SocketAddr, bytes: &[u8]| outbox.push(socket, to, bytes, now);
        let result = guarded(|| call(client, &mut out));
        self.settle(slot, now, result);
    }

    /// After every call: flush, tell what changed, set the deadline or end the viewer.
    fn settle(&mut self, slot: usize, now: Instant, result: Result<(), Trouble>) {
        let Some(seat) = self.seats.get_mut(slot) else { return };
        self.outbox.flush(&seat.socket, now);
        self.gone.delay.extend(std::iter::from_fn(|| seat.client.poll_delay()));
        let stage = seat.client.stage();
        if stage == Stage::Connected && !seat.connected {
            seat.connected = true;
            let _ = self.events.send(Event::Joined);
        }
        let late = !seat.connected && now >= seat.began + JOIN_TIMEOUT;
        let reason = match (&result, stage) {
            (Err(trouble), _) => Some(trouble.to_string()),
            (_, Stage::Closed) => Some("the server closed".to_owned()),
            (_, Stage::Gone) => Some("no answer to consent checks".to_owned()),
            (_, Stage::Offered) if late => Some("no answer to the offer".to_owned()),
            (_, Stage::Checking) if late => Some("ice found no path".to_owned()),
            (_, Stage::Handshaking) if late => Some("dtls did not end".to_owned()),
            _ => None,
        };
        if let Some(reason) = reason {
            let (id, was_connected) = (seat.id, seat.connected);
            self.remove(slot, now);
            let _ = self.events.send(Event::Failed { id, reason, was_connected });
            return;
        }
        let mut deadline = seat.client.deadline();
        if !seat.connected {
            deadline = deadline.min(seat.began + JOIN_TIMEOUT);
        }
        self.deadlines.set(slot, deadline);
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Join { id, address, behaviour, began } => {
                if let Err(reason) = self.join(now, id, address, behaviour, began) {
                    let _ = self.events.send(Event::Failed { id, reason, was_connected: false });
                }
            }
            Command::Answer { id, sdp } => {
                if let Some(&slot) = self.by_id.get(&id) {
                    self.drive(slot, now, |client, out| client.handle_answer(now, &sdp, out));
                }
            }
            Command::Forget { id } => {
                if let Some(&slot) = self.by_id.get(&id) {
                    self.remove(slot, now);
                }
            }
            Command::Leave { id } => {
                if let Some(&slot) = self.by_id.get(&id) {
                    self.leave(slot, now);
                }
            }
            Command::Mark => {
                let _ = self.events.send(Event::Marked(self.index, self.mark()));
            }
            Command::Freeze => self.seats.iter_mut().for_each(|(_, seat)| seat.client.freeze(now)),
            Command::Stop => {}
        }
    }

    fn join(
        &mut self,
        now: Instant,
        id: u32,
        address: IpAddr,
        behaviour: Behaviour,
        began: Instant,
    ) -> Result<(), String> {
        let address = SocketAddr::new(address, 0);
        let options = SocketOptions { address, receive_buffer: RECEIVE_BUFFER, send_buffer: 0 };
        let socket = Socket::bind(options).map_err(|error| error.to_string())?;
        let local = socket.local_addr();
        let (client, sdp) = guarded(|| Client::new(now, local, id, behaviour, &self.dtls))
            .map_err(|trouble| trouble.to_string())?;
        let entry = self.seats.vacant_entry();
        let slot = entry.key();
        let fd = socket.as_raw_fd();
        self.poll
            .registry()
            .register(&mut SourceFd(&fd), Token(slot), Interest::READABLE)
            .map_err(|error| format!("epoll took no more sockets: {error}"))?;
        entry.insert(Seat { id, socket, client, began, connected: false, queued: false });
        self.by_id.insert(id, slot);
        self.deadlines.set(slot, began + JOIN_TIMEOUT);
        let _ = self.events.send(Event::Offer { id, sdp });
        Ok(())
    }

    fn leave(&mut self, slot: usize, now: Instant) {
        if let Some(Seat { socket, client, .. }) = self.seats.get_mut(slot) {
            let outbox = &mut self.outbox;
            let mut out = |to: SocketAddr, bytes: &[u8]| outbox.push(socket, to, bytes, now);
            let _ = guarded(|| {
                client.close(now, &mut out);
                Ok(())
            });
            outbox.flush(socket, now);
        }
        self.remove(slot, now);
    }

    /// Writes down what became of a viewer; its socket closes.
    fn remove(&mut self, slot: usize, now: Instant) {
        let Some(seat) = self.seats.try_remove(slot) else { return };
        self.by_id.remove(&seat.id);
        self.deadlines.clear(slot);
        let Seat { socket, client, began, .. } = seat;
        let since = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(began));
        self.gone.add(Viewed {
            connect: since(client.connected_at()),
            first_packet: since(client.first_packet_at()),
            longest_gap: client.longest_gap(now),
            jitter: client.jitter(),
            totals: client.totals(),
            verdict: client.verdict(),
            kernel_drops: socket.receive_drops().map_or(0, u64::from),
        });
    }

    fn mark(&self) -> Mark {
        let (cpu, waited) = process::thread_times();
        let mut mark = Mark { totals: self.gone.totals, connected: 0, cpu, waited, at: self.began.elapsed() };
        for (_, seat) in &self.seats {
            mark.totals += seat.client.totals();
            mark.connected += usize::from(seat.connected);
        }
        mark
    }

    fn stop(&mut self) {
        let now = Instant::now();
        let slots: Vec<usize> = self.seats.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.leave(slot, now);
        }
        let _ = self.events.send(Event::Stopped(Box::new(std::mem::take(&mut self.gone))));
    }
}
