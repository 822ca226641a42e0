//! The way in: one `recvmmsg`, and what GRO has glued together is cut apart again. It owns the receive
//! buffers and never looks into a datagram beyond its length.

use std::{
    fmt,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef};

use crate::{address::canonical, socket::Socket};

/// Bytes of the longest datagram that is passed on. Everything our peers have to say fits into an
/// Ethernet frame; what is longer was made to cost us memory.
pub const MAX_DATAGRAM: usize = 1_600;

/// Bytes for one message of the kernel. It coalesces up to 64 datagrams of one peer into at most an IP
/// packet's 64 KiB, so nothing is ever cut off. The pages behind it are used only as far as messages reach:
/// 32 messages reserve 2 MiB, and a shard that hears small reports keeps 128 KiB of them resident.
const MESSAGE_BYTES: usize = 65_536;

/// A datagram as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The peer, canonical.
    pub source: SocketAddr,
    /// The local address it was sent to, canonical: the one to answer from on a machine with several.
    pub local_ip: Option<IpAddr>,
    /// Its contents, 0 to [`MAX_DATAGRAM`] bytes.
    pub bytes: &'a [u8],
}

/// What one call to [`Receiver::receive`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiveReport {
    /// Messages the kernel gave; fewer than datagrams when it has coalesced some.
    pub messages: usize,
    /// Datagrams passed on.
    pub datagrams: usize,
    /// Datagrams longer than [`MAX_DATAGRAM`], discarded.
    pub oversized: usize,
    /// The socket was empty when the call ended: wait for it to become readable. Holds for edge-triggered
    /// polling.
    pub drained: bool,
}

/// Receives datagrams in batches. Its buffers are allocated once.
pub struct Receiver {
    buffers: Box<[u8]>,
    meta: [RecvMeta; BATCH_SIZE],
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("buffer_bytes", &self.buffers.len()).finish_non_exhaustive()
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// Reserves the buffers: 2 MiB of address space, see `MESSAGE_BYTES`.
    pub fn new() -> Self {
        Self {
            buffers: vec![0; BATCH_SIZE * MESSAGE_BYTES].into_boxed_slice(),
            meta: [RecvMeta::default(); BATCH_SIZE],
        }
    }

    /// Makes one `recvmmsg` and calls `handle` for each datagram, in order of arrival.
    ///
    /// Call again until the report says `drained`, with a cap of your own: peers can send faster than you
    /// read.
    ///
    /// # Errors
    ///
    /// What the kernel says, except that there is nothing to read (an empty, drained report) and that a
    /// signal came (tried again). The socket stays usable.
    pub fn receive(
        &mut self,
        socket: &Socket,
        mut handle: impl FnMut(Datagram<'_>),
    ) -> io::Result<ReceiveReport> {
        let messages = match self.fill(socket) {
            Ok(messages) => messages,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        // recvmmsg comes back with fewer messages than it was offered room for only when there is no more.
        let mut report = ReceiveReport { messages, drained: messages < BATCH_SIZE, ..Default::default() };
        for (meta, buffer) in self.meta.iter().zip(self.buffers.chunks(MESSAGE_BYTES)).take(messages) {
            let source = canonical(meta.addr);
            let local_ip = meta.dst_ip.map(|ip| ip.to_canonical());
            for bytes in split(&buffer[..meta.len], meta.stride) {
                if bytes.len() > MAX_DATAGRAM {
                    report.oversized += 1;
                    continue;
                }
                report.datagrams += 1;
                handle(Datagram { source, local_ip, bytes });
            }
        }
        Ok(report)
    }

    fn fill(&mut self, socket: &Socket) -> io::Result<usize> {
        let mut rest = &mut *self.buffers;
        let mut slices = std::array::from_fn::<_, BATCH_SIZE, _>(|_| {
            let (slice, behind) = std::mem::take(&mut rest).split_at_mut(MESSAGE_BYTES);
            rest = behind;
            IoSliceMut::new(slice)
        });
        socket.state().recv(UdpSockRef::from(socket), &mut slices, &mut self.meta)
    }
}

/// The datagrams of one message: `stride` bytes each, the last may be shorter. An empty datagram is one too.
fn split(message: &[u8], stride: usize) -> impl Iterator<Item = &[u8]> {
    let empty = message.is_empty().then_some(message);
    message.chunks(stride.max(1)).chain(empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(len: usize, stride: usize) -> Vec<usize> {
        split(&vec![0; len], stride).map(<[u8]>::len).collect()
    }

    #[test]
    fn messages_are_cut_at_the_stride() {
        assert_eq!(lengths(100, 100), [100], "not coalesced: the stride is the length");
        assert_eq!(lengths(300, 100), [100, 100, 100]);
        assert_eq!(lengths(250, 100), [100, 100, 50]);
        assert_eq!(lengths(0, 0), [0], "an empty datagram");
    }
}
