//! Shards: sets of viewers, each with one thread, one socket and no one else's memory.
//!
//! [`Shard`] is the state and takes `now` and bytes; [`worker`] is the pinned thread that runs it;
//! [`command`] is all that the control plane may say to it.

pub mod command;
pub(crate) mod deadlines;
mod demux;
#[expect(clippy::module_inception, reason = "the shard's state is the shard")]
mod shard;
pub mod worker;

use std::net::{IpAddr, SocketAddr};

pub use shard::{Ended, Shard};

/// Where datagrams go: the worker's batch, or a test's list.
pub trait Egress {
    /// Sends `datagram` to `destination`, from our address `source` if one is given. Never blocks
    /// and never fails: what the kernel does not take is counted where it happens.
    fn transmit(&mut self, destination: SocketAddr, source: Option<IpAddr>, datagram: &[u8]);

    /// Lets `write` put a datagram of at most `max` bytes where it is sent from; it returns how many it
    /// used, or nothing to send none. It runs at most once, because what it writes may use up a key.
    fn write(
        &mut self,
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
}
