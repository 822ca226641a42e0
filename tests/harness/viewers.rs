//! WHEP players over real sockets: one thread drives any number of them.
//!
//! Media is counted by its clear header and never reaches the engine, so that hundreds of players cost little
//! (the simulation decrypts). What is lost shows as a gap in the sequence numbers.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::mpsc::{Receiver as Queue, Sender as Feed, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use sluice_io::{Receiver, Socket, SocketOptions};
use sluice_load::packet::{self, Datagram};

use crate::client::{Behaviour, Client, Sent};
use crate::http::Request;
use crate::sdp::{attribute, candidate};
use crate::server::Sluice;
use crate::wait::wait_for;

const WAKER: Token = Token(usize::MAX);
const RECEIVE_BUFFER: usize = 4 << 20;

/// Players of one test, until dropped or stopped.
pub struct Viewers {
    players: Vec<Handle>,
    orders: Feed<Order>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

/// What the test keeps of a player.
struct Handle {
    stats: Arc<Mutex<Stats>>,
    /// Its socket once more, for datagrams that no player would send.
    socket: UdpSocket,
    server: SocketAddr,
    location: String,
    answer: String,
}

/// What a player saw so far.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Time from its POST until ICE and DTLS were up.
    pub connected: Option<Duration>,
    /// The server closed with a goodbye.
    pub closed: bool,
    /// Its pictures.
    pub video: Track,
    /// Its sound.
    pub audio: Track,
}

/// Packets of one SSRC.
#[derive(Debug, Clone, Default)]
pub struct Track {
    /// Packets that came.
    pub packets: u64,
    /// The longest time without any, up to the last one.
    pub longest_pause: Duration,
    first: u64,
    highest: u64,
    last_at: Option<Instant>,
}

impl Track {
    /// Packets that did not come, between the first and the highest that did.
    pub fn lost(&self) -> u64 {
        if self.packets == 0 { 0 } else { (self.highest - self.first + 1).saturating_sub(self.packets) }
    }

    /// Time since the last packet.
    pub fn silence(&self, now: Instant) -> Duration {
        self.last_at.map_or(Duration::MAX, |last| now.saturating_duration_since(last))
    }

    fn count(&mut self, sequence: u16, now: Instant) {
        if self.packets == 0 {
            // In the second cycle, so that a packet before the first one has a number too.
            (self.first, self.highest) = (65_536 + u64::from(sequence), 65_536 + u64::from(sequence));
        }
        let ahead = sequence.wrapping_sub(self.highest as u16) as i16;
        let number = self.highest.saturating_add_signed(ahead.into());
        self.first = self.first.min(number);
        self.highest = self.highest.max(number);
        self.packets += 1;
        if let Some(last) = self.last_at {
            self.longest_pause = self.longest_pause.max(now.saturating_duration_since(last));
        }
        self.last_at = Some(now);
    }
}

impl Viewers {
    /// `count` players join `stream`, one POST after the other.
    pub fn join_many(sluice: &Sluice, stream: &str, count: usize) -> Viewers {
        let poll = Poll::new().expect("a poll");
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).expect("a waker"));
        let (orders, queue) = channel();
        let thread = std::thread::spawn(move || Driver::new(poll, queue).run());
        let mut viewers = Viewers { players: Vec::new(), orders, waker, thread: Some(thread) };
        (0..count).for_each(|_| viewers.join(sluice, stream));
        viewers
    }

    /// One more.
    pub fn join(&mut self, sluice: &Sluice, stream: &str) {
        let (player, handle) = Player::join(sluice, stream);
        self.order(Order::Add(Box::new(player)));
        self.players.push(handle);
    }

    /// What each saw so far.
    pub fn stats(&self) -> Vec<Stats> {
        self.players.iter().map(|player| player.stats.lock().expect("its lock").clone()).collect()
    }

    /// Waits until each has connected and got a picture.
    pub fn wait_until_watching(&self) {
        let watching = |stats: &Stats| stats.connected.is_some() && stats.video.packets > 0;
        wait_for("viewers to watch", || self.stats().iter().all(watching).then_some(()));
    }

    /// Sends a datagram to the server from a player's own address.
    pub fn send_raw(&self, player: usize, datagram: &[u8]) {
        let handle = &self.players[player];
        // A full buffer is no failure of the test: the sweep that fills it goes on.
        let _ = handle.socket.send_to(datagram, handle.server);
    }

    /// Where a player's session is.
    pub fn location(&self, player: usize) -> &str {
        &self.players[player].location
    }

    /// The server's address for a player.
    pub fn server(&self, player: usize) -> SocketAddr {
        self.players[player].server
    }

    /// The value of the first `a=name:` in a player's answer.
    pub fn answer_attribute(&self, player: usize, name: &str) -> String {
        attribute(&self.players[player].answer, name).expect("an attribute of the answer").to_owned()
    }

    /// Says goodbye for all players, and ends.
    pub fn stop(mut self) -> Vec<Stats> {
        self.end(Order::Close);
        self.stats()
    }

    fn order(&self, order: Order) {
        // The thread is gone only when it panicked, which its join tells.
        let _ = self.orders.send(order);
        self.waker.wake().expect("an eventfd");
    }

    fn end(&mut self, order: Order) {
        self.order(order);
        let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
        assert!(ended.is_ok() || std::thread::panicking(), "the players' thread panicked");
    }
}

impl Drop for Viewers {
    /// They vanish without a goodbye, as a phone in a tunnel does.
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end(Order::Vanish);
        }
    }
}

enum Order {
    Add(Box<Player>),
    Close,
    Vanish,
}

struct Player {
    client: Client,
    socket: Socket,
    /// The same socket.
    outlet: UdpSocket,
    posted: Instant,
    stats: Arc<Mutex<Stats>>,
}

impl Player {
    fn join(sluice: &Sluice, stream: &str) -> (Player, Handle) {
        let options = SocketOptions {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            receive_buffer: RECEIVE_BUFFER,
            send_buffer: 0,
        };
        let socket = Socket::bind(options).expect("a socket");
        let clone = || UdpSocket::from(socket.as_fd().try_clone_to_owned().expect("a descriptor"));

        let posted = Instant::now();
        let (mut client, offer) = Client::new(socket.local_addr(), Behaviour::PACKETS, posted);
        let endpoint = format!("/{stream}/whep");
        let response = sluice.request(Request::offer(&endpoint, &offer));
        assert_eq!(response.status, 201, "{}", response.text());
        let answer = response.text();
        client.take_answer(&answer);

        let stats = Arc::<Mutex<Stats>>::default();
        let handle = Handle {
            stats: stats.clone(),
            socket: clone(),
            server: candidate(&answer).expect("a candidate"),
            location: response.session(&endpoint).expect("a session"),
            answer,
        };
        let outlet = clone();
        (Player { client, socket, outlet, posted, stats }, handle)
    }

    fn receive(&mut self, receiver: &mut Receiver) {
        loop {
            let now = Instant::now();
            let (video, audio) = (self.client.video.ssrc, self.client.audio.map(|audio| audio.ssrc));
            let mut control: Vec<Sent> = Vec::new();
            let mut stats = self.stats.lock().expect("its lock");
            let report = receiver.receive(&self.socket, |datagram| match packet::classify(datagram.bytes) {
                Datagram::Control => control.push((datagram.source, datagram.bytes.to_vec())),
                Datagram::Rtp(header) if header.ssrc == video => stats.video.count(header.sequence, now),
                Datagram::Rtp(header) if Some(header.ssrc) == audio => {
                    stats.audio.count(header.sequence, now)
                }
                // Reports and retransmissions.
                _ => {}
            });
            drop(stats);
            for (source, bytes) in control {
                let sent = self.client.handle(now, Some((source, &bytes)));
                self.send(sent);
            }
            // An error here is an ICMP message of a server that is gone.
            if report.is_ok_and(|report| report.drained) {
                return;
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let sent = self.client.handle(now, None);
        self.send(sent);
    }

    fn close(&mut self) {
        let sent = self.client.close(Instant::now());
        self.send(sent);
    }

    fn send(&mut self, sent: Vec<Sent>) {
        for (destination, datagram) in sent {
            let _ = self.outlet.send_to(&datagram, destination);
        }
        let mut stats = self.stats.lock().expect("its lock");
        stats.connected = self.client.connected.map(|at| at - self.posted);
        stats.closed = self.client.closed.is_some();
    }
}

struct Driver {
    poll: Poll,
    queue: Queue<Order>,
    players: Vec<Player>,
    receiver: Receiver,
}

impl Driver {
    fn new(poll: Poll, queue: Queue<Order>) -> Driver {
        Driver { poll, queue, players: Vec::new(), receiver: Receiver::new() }
    }

    fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let now = Instant::now();
            let next = self.players.iter().map(|player| player.client.deadline).min();
            let wait = next.map(|at| at.saturating_duration_since(now));
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => panic!("epoll: {error}"),
                _ => {}
            }
            for event in &events {
                if event.token() != WAKER {
                    self.players[event.token().0].receive(&mut self.receiver);
                }
            }
            while let Ok(order) = self.queue.try_recv() {
                match order {
                    Order::Add(player) => self.add(*player),
                    Order::Vanish => return,
                    Order::Close => {
                        self.players.iter_mut().for_each(Player::close);
                        return;
                    }
                }
            }
            let now = Instant::now();
            for player in self.players.iter_mut().filter(|player| player.client.deadline <= now) {
                player.handle_timeout(now);
            }
        }
    }

    fn add(&mut self, player: Player) {
        let (token, fd) = (Token(self.players.len()), player.socket.as_raw_fd());
        self.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE).expect("registered");
        self.players.push(player);
    }
}
