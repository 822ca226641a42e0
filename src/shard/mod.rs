//! Shards: sets of viewers, each with one thread, one socket and no one else's memory.
//!
//! [`Shard`] is the state and takes `now` and bytes; `fan_out` keeps the trains that are on their way to
//! its viewers; [`worker`] is the pinned thread that runs it (`live` keeps it running), `outbox` is how its
//! bytes get to the kernel, and [`watch`] looks at it from outside; [`command`] is all that the control plane
//! may say to it, [`place`] which shard it says it to, and `room` whether that one can serve a viewer more.

pub mod command;
pub(crate) mod deadlines;
mod demux;
mod fan_out;
mod live;
mod outbox;
pub mod place;
mod rate;
mod room;
#[expect(clippy::module_inception, reason = "the shard's state is the shard")]
mod shard;
mod shed;
pub mod watch;
pub mod worker;

use std::net::{IpAddr, SocketAddr};

pub(crate) use fan_out::FanOut;
pub use fan_out::Pacing;
pub(crate) use outbox::MESSAGES_PER_TURN;
pub use room::{NoRoom, RoomLimits};
pub use shard::{Ended, News, Progress, Shard};

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
