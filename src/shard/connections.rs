//! Viewers without UDP: the TCP connections of one shard (RFC 6544), each a line of framed datagrams (RFC 4571).
//!
//! Owns who may have one and for how long, what waits to be written, and that a picture that has no room on a slow
//! line is left out whole. Whose a datagram is, the shard says; a connection that nobody turns out to be at is closed.
//! A shell over the kernel's sockets; the time is given to it.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use sluice_media::framing::{FRAME_HEADER, Frames, frame_header};
use sluice_media::{Class, class};

use super::checks::Checks;
use crate::client::Client;
use crate::count::ShardCounters;
use crate::peer::{ConnectionId, Remote};

/// Connections that nobody has authenticated himself on. More lets strangers hold more descriptors.
const STRANGERS_MAX: usize = 128;

/// Of those, connections of one client, which has all addresses of a /64: a household of browsers that join at once. More
/// lets one stranger keep others out.
const STRANGERS_OF_CLIENT: usize = 16;

/// Time to authenticate oneself: as long as a setup may take.
const STRANGER_FOR: Duration = Duration::from_secs(10);

/// A connection on which nothing of its viewer came for so long is closed. Browsers check every few seconds.
const SILENT_FOR: Duration = Duration::from_secs(30);

/// Bytes waiting for a line from which on no picture begins on it: half a second of a 2 Mb/s stream. More makes
/// what a slow line shows older; less leaves out pictures that a moment later had fitted.
const SLOW: usize = 128 << 10;

/// Bytes waiting for a line at the most: [`SLOW`], and the largest picture that began before. What is over is lost.
const WAITING_MAX: usize = SLOW + (4 << 20);

/// The kernel's buffer of one connection. What waits in it cannot be left out any more.
const SEND_BUFFER: usize = 128 << 10;

/// Connections accepted in one round: each is some 20 µs.
const ACCEPTS_PER_ROUND: usize = 16;

/// Reads of one connection in one round, of about 4 KiB each. More lets one flood delay the others.
const READS_PER_ROUND: usize = 4;

/// Time between two looks at who is silent.
const REAP_INTERVAL: Duration = Duration::from_secs(1);

/// The token of the listener; those of connections follow.
const LISTENER: usize = 2;

/// The connections of one shard.
#[derive(Default)]
pub(super) struct Connections {
    listener: Option<TcpListener>,
    max: usize,
    registry: Option<Registry>,
    counters: Arc<ShardCounters>,
    open: HashMap<ConnectionId, Connection>,
    last: u32,
    /// Readiness is an edge: these have something, and it was not all taken.
    accepts: bool,
    readable: Vec<ConnectionId>,
    unwritten: Vec<ConnectionId>,
    closed: Vec<Remote>,
    reap_due: Option<Instant>,
}

struct Connection {
    stream: TcpStream,
    remote: Remote,
    local: Option<IpAddr>,
    frames: Frames,
    checks: Checks,
    waiting: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// Whether it is among `readable`, and among `unwritten`.
    is_readable: bool,
    is_unwritten: bool,
    /// Whether a viewer is at it, and when that was last so.
    is_known: bool,
    heard: Instant,
    /// It closes as soon as everything is written.
    closes: bool,
}

impl Connections {
    /// Of `listener`, `max` at the most. Its events and theirs come over `registry`.
    pub(super) fn new(
        mut listener: TcpListener,
        max: usize,
        registry: &Registry,
        counters: Arc<ShardCounters>,
    ) -> std::io::Result<Connections> {
        let registry = registry.try_clone()?;
        registry.register(&mut listener, Token(LISTENER), Interest::READABLE)?;
        let (listener, registry) = (Some(listener), Some(registry));
        Ok(Connections { listener, max, registry, counters, ..Connections::default() })
    }

    /// Closes them all: nothing is known of who is at them.
    pub(super) fn abandon(&mut self) {
        self.open.clear();
        self.readable.clear();
        self.unwritten.clear();
        self.count();
    }

    /// Whether there is something to take that no event will tell again.
    pub(super) fn has_more(&self) -> bool {
        self.accepts || !self.readable.is_empty()
    }

    /// An event that is none of the shard's own.
    pub(super) fn note(&mut self, event: &Event) {
        let Token(token) = event.token();
        if token == LISTENER {
            self.accepts = true;
            return;
        }
        let Some(id) = id_of(token) else { return };
        let Some(connection) = self.open.get_mut(&id) else { return };
        if event.is_readable() && !connection.is_readable {
            connection.is_readable = true;
            self.readable.push(id);
        }
        if event.is_writable() && !connection.waiting.is_empty() && !connection.is_unwritten {
            connection.is_unwritten = true;
            self.unwritten.push(id);
        }
    }

    /// Takes new connections, as many as a round may.
    pub(super) fn accept(&mut self, now: Instant) {
        if !self.accepts {
            return;
        }
        for _ in 0..ACCEPTS_PER_ROUND {
            let Some(listener) = &self.listener else { break };
            match listener.accept() {
                Ok((stream, address)) => self.take(stream, address, now),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // Out of descriptors, most likely: the next look at who is silent tries again.
                    if error.kind() != ErrorKind::WouldBlock {
                        tracing::debug!(%error, "a connection could not be accepted");
                    }
                    self.accepts = false;
                    return;
                }
            }
        }
    }

    fn take(&mut self, mut stream: TcpStream, address: SocketAddr, now: Instant) {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let client = Client::of(address.ip());
        let (mut strangers, mut same) = (0, 0);
        for connection in self.open.values().filter(|connection| !connection.is_known) {
            strangers += 1;
            same += usize::from(Client::of(connection.remote.address.ip()) == client);
        }
        let full = self.open.len() >= self.max || strangers >= STRANGERS_MAX;
        if full || same >= STRANGERS_OF_CLIENT {
            return self.counters.connections_refused.add(1);
        }
        let id = self.next_id();
        // What these fail with, the first write tells again.
        let _ = stream.set_nodelay(true);
        let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = self
            .registry
            .as_ref()
            .map(|registry| registry.register(&mut stream, Token(LISTENER + id.0.get() as usize), both));
        if let Some(Err(error)) = registered {
            return tracing::debug!(%error, "a connection could not be registered");
        }
        let local = stream.local_addr().ok().map(|local| local.ip().to_canonical());
        let connection = Connection {
            stream,
            remote: Remote { address, connection: Some(id) },
            local,
            frames: Frames::default(),
            checks: Checks::default(),
            waiting: Vec::new(),
            written: 0,
            is_readable: true,
            is_unwritten: false,
            is_known: false,
            heard: now,
            closes: false,
        };
        self.open.insert(id, connection);
        self.readable.push(id);
        self.count();
    }

    fn next_id(&mut self) -> ConnectionId {
        loop {
            self.last = self.last.wrapping_add(1);
            if let Some(id) = NonZeroU32::new(self.last).map(ConnectionId)
                && !self.open.contains_key(&id)
            {
                return id;
            }
        }
    }

    /// Takes the connections that something may have come on; [`Connections::read`] reads each.
    pub(super) fn take_readable(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.readable)
    }

    /// What came on a connection, to be given back by [`Connections::heard`]: whence, to which address of ours, and the
    /// frames.
    pub(super) fn read(&mut self, id: ConnectionId) -> Option<(Remote, Option<IpAddr>, Frames)> {
        let connection = self.open.get_mut(&id)?;
        connection.is_readable = false;
        for _ in 0..READS_PER_ROUND {
            match connection.stream.read(connection.frames.space()) {
                Ok(0) => {
                    self.close(id);
                    return None;
                }
                Ok(count) => connection.frames.filled(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let Connection { remote, local, frames, .. } = connection;
                    return Some((*remote, *local, std::mem::take(frames)));
                }
                Err(_) => {
                    self.close(id);
                    return None;
                }
            }
        }
        connection.is_readable = true;
        self.readable.push(id);
        let Connection { remote, local, frames, .. } = connection;
        Some((*remote, *local, std::mem::take(frames)))
    }

    /// Whether a frame of a connection is looked at: of STUN so much in a second. The rest of it is discarded, and counted.
    pub(super) fn admit(&mut self, id: ConnectionId, frame: &[u8], now: Instant) -> bool {
        if class(frame) != Class::Stun {
            return true;
        }
        let is_admitted = self.open.get_mut(&id).is_some_and(|connection| connection.checks.admit(now));
        if !is_admitted {
            self.counters.discarded_check_rate.add(1);
        }
        is_admitted
    }

    /// The frames of a connection were looked at, as far as they go; `known` if a viewer is at it, `readable` unless one
    /// was too long.
    pub(super) fn heard(
        &mut self,
        id: ConnectionId,
        frames: Frames,
        known: bool,
        readable: bool,
        now: Instant,
    ) {
        if !readable {
            self.counters.discarded_oversize.add(1);
            return self.close(id);
        }
        let Some(connection) = self.open.get_mut(&id) else { return };
        connection.frames = frames;
        if known {
            (connection.is_known, connection.heard) = (true, now);
        }
    }

    /// Lets `fill` write a datagram of at most `max` bytes behind what waits for the line; it runs at most once. The
    /// datagram is lost if there is no connection, or no room.
    pub(super) fn append(
        &mut self,
        id: ConnectionId,
        max: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        let begin = connection.waiting.len();
        if begin - connection.written + FRAME_HEADER + max > WAITING_MAX {
            return self.counters.dropped_line_full.add(1);
        }
        connection.waiting.resize(begin + FRAME_HEADER + max, 0);
        let body = begin + FRAME_HEADER;
        let length = fill(&mut connection.waiting[body..]);
        match length.and_then(|length| Some((length, frame_header(length)?))) {
            Some((length, header)) => {
                connection.waiting[begin..body].copy_from_slice(&header);
                connection.waiting.truncate(body + length);
                if !connection.is_unwritten {
                    connection.is_unwritten = true;
                    self.unwritten.push(id);
                }
            }
            None => connection.waiting.truncate(begin),
        }
    }

    /// Whether so much waits for the line that nothing new had better begin on it.
    pub(super) fn is_slow(&self, id: ConnectionId) -> bool {
        self.open.get(&id).is_some_and(|connection| connection.waiting.len() - connection.written >= SLOW)
    }

    /// Hands the kernel what waits, as far as it takes it.
    pub(super) fn flush(&mut self) {
        for id in std::mem::take(&mut self.unwritten) {
            let Some(connection) = self.open.get_mut(&id) else { continue };
            connection.is_unwritten = false;
            if !connection.write(&self.counters) || connection.closes && connection.waiting.is_empty() {
                self.close(id);
            }
        }
    }

    /// The viewer of a connection is gone: it is closed once everything is written.
    pub(super) fn hang_up(&mut self, id: ConnectionId) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        connection.closes = true;
        connection.is_known = false;
        if !connection.is_unwritten {
            connection.is_unwritten = true;
            self.unwritten.push(id);
        }
    }

    /// Closes those on which nobody is, or nothing came for too long.
    pub(super) fn reap(&mut self, now: Instant) {
        if self.listener.is_none() || self.reap_due.is_some_and(|due| now < due) {
            return;
        }
        self.reap_due = Some(now + REAP_INTERVAL);
        // An accept that failed for want of descriptors has no event of its own.
        self.accepts = true;
        let late = |connection: &Connection| {
            let patience = if connection.is_known { SILENT_FOR } else { STRANGER_FOR };
            now.saturating_duration_since(connection.heard) >= patience
        };
        let silent: Vec<ConnectionId> =
            self.open.iter().filter(|(_, connection)| late(connection)).map(|(id, _)| *id).collect();
        silent.into_iter().for_each(|id| self.close(id));
    }

    /// Takes whom the connections that closed since the last call belonged to.
    pub(super) fn take_closed(&mut self) -> Vec<Remote> {
        std::mem::take(&mut self.closed)
    }

    fn close(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.remove(&id) {
            self.closed.push(connection.remote);
            self.count();
        }
    }

    fn count(&self) {
        self.counters.connections_open.set(self.open.len() as u64);
    }
}

impl Connection {
    /// Returns whether the line goes on.
    fn write(&mut self, counters: &ShardCounters) -> bool {
        while self.written < self.waiting.len() {
            match self.stream.write(&self.waiting[self.written..]) {
                Ok(0) => return false,
                Ok(count) => {
                    self.written += count;
                    counters.egress_bytes_tcp.add(count as u64);
                    counters.egress_bytes.add(count as u64);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // What is written goes once it is the larger part, so that moving the rest stays cheap.
                    if self.written > self.waiting.len() / 2 {
                        self.waiting.drain(..self.written);
                        self.written = 0;
                    }
                    return true;
                }
                Err(_) => return false,
            }
        }
        self.waiting.clear();
        self.written = 0;
        // The largest picture is rare: its room is not kept for ever.
        self.waiting.shrink_to(2 * SLOW);
        true
    }
}

fn id_of(token: usize) -> Option<ConnectionId> {
    let number = u32::try_from(token.checked_sub(LISTENER)?).ok()?;
    NonZeroU32::new(number).map(ConnectionId)
}
