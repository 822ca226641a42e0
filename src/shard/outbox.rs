//! The worker's way out: sealed datagrams in two batches, and what happens while the socket is full. Those of viewers
//! without UDP go to their `connections` instead.
//!
//! Owns the order (STUN, DTLS and RTCP ahead of media), the wait of at most [`STALL`] for a full
//! socket, the line's rate if one is set, and the counts of what the kernel took. Never waits itself: the
//! worker asks [`Outbox::is_blocked`] and [`Outbox::is_over_rate`] and comes back. A shell: it reads the clock when
//! the kernel has taken media.
#![expect(
    clippy::disallowed_methods,
    reason = "this file is a shell: when a call ended, only the clock tells"
)]

use std::sync::Arc;
use std::time::Instant;

use sluice_io::{AppendError, Batch, BatchLimits, Sender, Socket};
use sluice_media::srtp::Sealed;

use super::carried::Carried;
use super::connections::Connections;
use super::rate::Rate;
use crate::count::ShardCounters;
use crate::peer::{Control, Egress, Lane, Path, STALL};

/// Bytes of the control batch: 64 messages of a full DTLS flight's datagram. More than one batch of
/// them waits only while the socket is full; the rest is dropped then, and its protocols try again.
const CONTROL_BYTES: usize = 64 * 1_280;

/// Messages that one turn may need: a picture of several runs of packets, and sound behind it.
pub(crate) const MESSAGES_PER_TURN: usize = 6;

/// The batches, and how they get to the kernel.
pub(super) struct Outbox {
    control: Batch,
    media: Batch,
    sender: Sender,
    pub(super) socket: Arc<Socket>,
    counters: Arc<ShardCounters>,
    rate: Option<Rate>,
    now: Instant,
    carried: Carried,
    /// The lines of viewers without UDP.
    pub(super) connections: Connections,
    /// Since when the socket is full and has taken nothing.
    blocked_since: Option<Instant>,
}

impl Outbox {
    /// Empty batches; `rate` is in bytes a second on the wire.
    pub(super) fn new(
        sender: Sender,
        socket: Arc<Socket>,
        counters: Arc<ShardCounters>,
        connections: Connections,
        rate: Option<f64>,
        now: Instant,
    ) -> Outbox {
        let control = BatchLimits { arena_bytes: CONTROL_BYTES, ..BatchLimits::default() };
        let (control, media) = (Batch::new(control), Batch::new(BatchLimits::default()));
        let rate = rate.map(|rate| Rate::new(rate, now));
        let carried = Carried::new();
        Outbox {
            control,
            media,
            sender,
            socket,
            counters,
            rate,
            now,
            carried,
            connections,
            blocked_since: None,
        }
    }

    /// `rate` bytes a second on the wire from now on, if there is a limit.
    pub(super) fn limit(&mut self, rate: Option<f64>) {
        self.rate = rate.map(|rate| Rate::new(rate, self.now));
    }

    /// What time it is; drops what has waited for the socket too long.
    pub(super) fn set_now(&mut self, now: Instant) {
        self.now = now;
        if let Some(rate) = &mut self.rate {
            rate.refill(now);
        }
        if self.is_stalled() {
            // It goes on counting: what is not sealed yet is judged by it.
            self.counters.dropped_socket_full.add((self.control.segments() + self.media.segments()) as u64);
            self.control.clear();
            self.media.clear();
            self.carried.dropped();
        }
    }

    /// Whether something waits for the socket to become writable.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked_since.is_some()
    }

    /// Whether media waits for the line's rate to allow more.
    pub(super) fn is_over_rate(&self) -> bool {
        self.rate.as_ref().is_some_and(|rate| !rate.is_open())
    }

    /// Hands both batches to the kernel, as far as it takes them.
    pub(super) fn flush(&mut self) {
        let Outbox { control, media, sender, socket, counters, now, carried, .. } = self;
        for (lane, batch) in [(Lane::Control, control), (Lane::Media, media)] {
            if batch.is_empty() {
                continue;
            }
            let report = sender.flush(socket, batch, *now);
            counters.send_calls.add(report.calls as u64);
            counters.egress_messages.add(report.messages as u64);
            counters.egress_datagrams.add(report.segments as u64);
            counters.egress_bytes.add(report.bytes as u64);
            counters.gso_fallbacks.add(report.gso_fallbacks as u64);
            let traffic = &counters.traffic;
            traffic.messages_per_call.add(report.call_sizes.counts(), report.messages as f64);
            traffic.datagrams_per_message.add(report.message_sizes.counts(), report.segments as f64);
            for (reason, datagrams) in report.dropped.iter() {
                counters.kernel_dropped(reason).add(datagrams as u64);
            }
            let blocked = report.blocked_messages > 0;
            if lane == Lane::Media && !blocked {
                carried.handed_over(Instant::now(), &traffic.forward_delay);
            }
            if let Some(since) = self.blocked_since.take_if(|_| !blocked || report.messages > 0) {
                counters.blocked_nanos.add(now.saturating_duration_since(since).as_nanos() as u64);
            }
            if blocked {
                self.blocked_since.get_or_insert(*now);
                return;
            }
        }
    }

    /// Appends to a lane; flushes once if there is no room, and drops if there still is none.
    fn append(
        &mut self,
        lane: Lane,
        Path { remote, local }: Path,
        max: usize,
        write: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) {
        if let Some(connection) = remote.connection {
            return self.connections.append(connection, max, write);
        }
        let remote = remote.address;
        // The batch decides whether there is room before `write` runs, so it runs once.
        let mut result = self.lane(lane).append_with(remote, local, max, &mut *write);
        if result == Err(AppendError::Full) {
            self.flush();
            result = self.lane(lane).append_with(remote, local, max, write);
        }
        match (result, &mut self.rate) {
            (Ok(Some(length)), Some(rate)) => rate.spend(length),
            (Ok(_), _) => {}
            (Err(AppendError::Full), _) => self.counters.dropped_socket_full.add(1),
            // Empty or longer than a message may be: nothing that an engine or the sealer makes.
            (Err(AppendError::Empty | AppendError::TooLong { .. }), _) => {
                self.counters.dropped_unbatchable.add(1);
            }
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut Batch {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Media => &mut self.media,
        }
    }
}

impl Control for Outbox {
    fn transmit(&mut self, path: Path, datagram: &[u8]) {
        self.append(Lane::Control, path, datagram.len(), &mut |out| {
            out.copy_from_slice(datagram);
            Some(datagram.len())
        });
    }
}

impl Egress for Outbox {
    fn seal(
        &mut self,
        lane: Lane,
        path: Path,
        max: usize,
        seal: &mut dyn FnMut(&mut [u8]) -> Option<Sealed>,
    ) {
        self.append(lane, path, max, &mut |out| seal(out).map(Sealed::len));
    }

    fn ready(&mut self, bytes: usize) -> bool {
        if self.rate.as_mut().is_some_and(|rate| !rate.admits()) {
            return false;
        }
        if !self.media.has_room(MESSAGES_PER_TURN, bytes) {
            self.flush();
        }
        self.media.has_room(MESSAGES_PER_TURN, bytes)
    }

    fn is_slow(&self, path: Path) -> bool {
        path.remote.connection.is_some_and(|connection| self.connections.is_slow(connection))
    }

    fn forwarded(&mut self, received: Instant) {
        self.carried.note(received);
    }

    fn is_stalled(&self) -> bool {
        self.blocked_since.is_some_and(|since| self.now.saturating_duration_since(since) >= STALL)
    }
}
