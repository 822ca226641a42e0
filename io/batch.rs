//! The send arena: datagrams lie back to back in the order they were appended, and neighbours to one peer
//! form one message. It owns bytes and addresses and never sees a socket, so what would be sent can be tested
//! without sending.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use crate::address::canonical;

/// Messages in one batch, and headers in one `sendmmsg`. Raising it makes a flush rarer but longer, so a
/// datagram waits longer for its neighbours; at 64 the system call's own entry is already below 2 % of the
/// work.
pub const MAX_MESSAGES: usize = 64;

/// Segments of one message: `UDP_MAX_SEGMENTS` of every kernel since 4.18 (newer ones take 128).
pub const MAX_SEGMENTS: usize = 64;

/// Bytes of one message, and so of one datagram: under the 65,507 of UDP over IPv4, with room for the options
/// and tunnel headers that a kernel adds before it segments.
pub const MAX_MESSAGE_BYTES: usize = 65_000;

/// How much a [`Batch`] can hold; all of it is allocated once.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Messages, 1 to [`MAX_MESSAGES`]; a value outside is moved to the nearest bound.
    pub messages: usize,
    /// Bytes of the arena. Raising it lets more datagrams share a flush and costs memory and, beyond the size
    /// of the second-level cache, a miss for every line the kernel then reads.
    pub arena_bytes: usize,
}

impl Default for BatchLimits {
    /// 64 messages, 512 KiB: 64 peers with 8 KiB each, a train of seven full packets.
    fn default() -> Self {
        Self { messages: MAX_MESSAGES, arena_bytes: 512 * 1024 }
    }
}

/// Why a datagram was not appended; the batch is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Flush (or clear) and append again.
    #[error("the batch is full: flush it and append again")]
    Full,
    /// There is no such thing as an empty message in a train.
    #[error("a datagram of 0 bytes cannot be batched")]
    Empty,
    /// No flush will make room for it.
    #[error("a datagram of {len} bytes is over the limit of {limit}")]
    TooLong {
        /// Bytes offered or asked for.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// Datagrams on their way to one `sendmmsg`. It is a queue: [`Sender::flush`](crate::Sender::flush) takes
/// from the front what the kernel accepts, appending goes to the back.
#[derive(Debug)]
pub struct Batch {
    arena: Box<[u8]>,
    used: usize,
    messages: VecDeque<Message>,
    max_messages: usize,
    segments: usize,
    bytes: usize,
}

impl Batch {
    /// Allocates the arena and the list of messages; nothing is allocated afterwards.
    pub fn new(limits: BatchLimits) -> Self {
        let max_messages = limits.messages.clamp(1, MAX_MESSAGES);
        Self {
            arena: vec![0; limits.arena_bytes].into_boxed_slice(),
            used: 0,
            messages: VecDeque::with_capacity(max_messages),
            max_messages,
            segments: 0,
            bytes: 0,
        }
    }

    /// Appends a copy of `datagram`. `source` is the local address it shall leave from (of the destination's
    /// family, else it is ignored); `None` lets the routing table choose.
    pub fn push(
        &mut self,
        destination: SocketAddr,
        source: Option<IpAddr>,
        datagram: &[u8],
    ) -> Result<(), AppendError> {
        let copy = |buffer: &mut [u8]| {
            buffer.copy_from_slice(datagram);
            Some(datagram.len())
        };
        self.append_with(destination, source, datagram.len(), copy).map(|_| ())
    }

    /// Lets `write` put a datagram of up to `max_len` bytes where it will be sent from.
    ///
    /// `write` gets exactly `max_len` bytes (with arbitrary contents) and returns how many it used, or `None`
    /// to take the datagram back: then nothing is appended and the result is `Ok(None)`. Whether there is
    /// room is decided before `write` runs, for the full `max_len`, so a writer with a side effect (a
    /// counter, a nonce) runs only when its datagram will be kept.
    pub fn append_with(
        &mut self,
        destination: SocketAddr,
        source: Option<IpAddr>,
        max_len: usize,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<Option<usize>, AppendError> {
        check_len(max_len, self.max_datagram())?;
        let peer = Peer::canonical(destination, source);
        let free_bytes = self.arena.len() - self.used;
        let free_message = self.messages.len() < self.max_messages;
        if max_len > free_bytes || !(free_message || self.newest_takes(peer, max_len)) {
            return Err(AppendError::Full);
        }

        let Some(len) = write(&mut self.arena[self.used..self.used + max_len]) else { return Ok(None) };
        check_len(len, max_len)?;
        self.commit(peer, len);
        Ok(Some(len))
    }

    /// Gives the last `len` written bytes of the arena to the newest message, or to a new one.
    fn commit(&mut self, peer: Peer, len: usize) {
        let start = self.used;
        self.used += len;
        self.segments += 1;
        self.bytes += len;
        match self.messages.back_mut().filter(|newest| newest.takes(peer, len)) {
            Some(newest) => newest.extend(len),
            None => self.messages.push_back(Message::new(peer, start, len)),
        }
    }

    /// Whether a datagram of any length up to `len` would join the newest message.
    fn newest_takes(&self, peer: Peer, len: usize) -> bool {
        self.messages.back().is_some_and(|newest| newest.takes(peer, len))
    }

    fn max_datagram(&self) -> usize {
        self.arena.len().min(MAX_MESSAGE_BYTES)
    }

    /// Whether `messages` more, of up to `bytes` bytes together, would fit.
    pub fn has_room(&self, messages: usize, bytes: usize) -> bool {
        self.messages.len() + messages <= self.max_messages && bytes <= self.arena.len() - self.used
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Messages waiting.
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Datagrams waiting.
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// Bytes of all datagrams waiting.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The messages waiting, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = MessageRef<'_>> {
        self.messages.iter().map(|message| MessageRef {
            destination: message.peer.destination,
            source: message.peer.source,
            bytes: &self.arena[message.start..message.start + message.len],
            segment_len: message.segment_len,
        })
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.used = 0;
        self.segments = 0;
        self.bytes = 0;
    }

    /// Takes the first `segments` datagrams off the oldest message, and the message with its last one.
    pub(crate) fn consume(&mut self, segments: usize) {
        let Some(front) = self.messages.front_mut() else { return };
        let taken = front.len.min(segments * front.segment_len);
        self.segments -= segments.min(front.segments());
        self.bytes -= taken;
        front.start += taken;
        front.len -= taken;
        if front.len == 0 {
            self.messages.pop_front();
        }
        if self.messages.is_empty() {
            // The arena is reused from its start only when nobody points into it any more.
            self.used = 0;
        }
    }
}

/// One message of a batch: bytes for one peer, cut every `segment_len` bytes.
#[derive(Debug, Clone, Copy)]
pub struct MessageRef<'a> {
    /// Where it goes, canonical.
    pub destination: SocketAddr,
    /// The local address it shall leave from.
    pub source: Option<IpAddr>,
    /// All its datagrams, back to back.
    pub bytes: &'a [u8],
    /// Length of each datagram but the last, which may be shorter.
    pub segment_len: usize,
}

impl<'a> MessageRef<'a> {
    /// The datagrams as the peer will receive them.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.chunks(self.segment_len)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Peer {
    destination: SocketAddr,
    source: Option<IpAddr>,
}

impl Peer {
    fn canonical(destination: SocketAddr, source: Option<IpAddr>) -> Self {
        let destination = canonical(destination);
        let source = source.map(|ip| ip.to_canonical()).filter(|ip| ip.is_ipv4() == destination.is_ipv4());
        Self { destination, source }
    }
}

#[derive(Debug)]
struct Message {
    peer: Peer,
    /// Where it begins in the arena.
    start: usize,
    len: usize,
    segment_len: usize,
}

impl Message {
    fn new(peer: Peer, start: usize, len: usize) -> Self {
        Self { peer, start, len, segment_len: len }
    }

    /// A datagram joins if it goes the same way, keeps the train regular, and there is room: order is kept
    /// because only the newest message is ever asked.
    fn takes(&self, peer: Peer, len: usize) -> bool {
        let same_way = self.peer == peer;
        let only_the_last_is_shorter = self.len.is_multiple_of(self.segment_len) && len <= self.segment_len;
        let room = self.segments() < MAX_SEGMENTS && self.len + len <= MAX_MESSAGE_BYTES;
        same_way && only_the_last_is_shorter && room
    }

    fn extend(&mut self, len: usize) {
        self.len += len;
    }

    fn segments(&self) -> usize {
        self.len.div_ceil(self.segment_len)
    }
}

fn check_len(len: usize, limit: usize) -> Result<(), AppendError> {
    match len {
        0 => Err(AppendError::Empty),
        len if len > limit => Err(AppendError::TooLong { len, limit }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
