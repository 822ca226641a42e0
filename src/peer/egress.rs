//! The port that datagrams leave by: the worker's batches, or a test's list.

use std::net::{IpAddr, SocketAddr};

/// How much a datagram matters when the socket is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// STUN, DTLS, RTCP: goes ahead of media. Without it viewers lose their connection, not a picture.
    Control,
    /// Media and its repairs.
    Media,
}

/// Where datagrams go: the worker's batches, or a test's list.
pub trait Egress {
    /// Sends `datagram` of an engine (so on [`Lane::Control`]) to `destination`, from our address
    /// `source` if one is given. Never blocks and never fails: what the kernel does not take is counted
    /// where it happens.
    fn transmit(&mut self, destination: SocketAddr, source: Option<IpAddr>, datagram: &[u8]);

    /// Lets `write` put a datagram of at most `max` bytes where it is sent from; it returns how many it
    /// used, or nothing to send none. It runs at most once, because what it writes may use up a key.
    fn write(
        &mut self,
        _lane: Lane,
        destination: SocketAddr,
        source: Option<IpAddr>,
        max: usize,
        write: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) {
        let mut datagram = vec![0; max];
        if let Some(length) = write(&mut datagram) {
            self.transmit(destination, source, &datagram[..length]);
        }
    }

    /// Whether media of up to `bytes` bytes to one destination can be taken now. If not, the socket is
    /// full or the line's rate is used up: whoever sends media keeps it and asks again later.
    fn ready(&mut self, _bytes: usize) -> bool {
        true
    }

    /// Whether the socket has taken nothing for so long that media need not wait for it any more.
    fn is_stalled(&self) -> bool {
        false
    }
}
