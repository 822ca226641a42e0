//! The other end of a way.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;

/// A TCP connection that datagrams come over (RFC 6544), told apart from all others of its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub NonZeroU32);

/// Where datagrams come from and go to: an address by UDP, or a connection. Two of one address, one by each, are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Remote {
    /// Its address.
    pub address: SocketAddr,
    /// The connection, if it is no UDP.
    pub connection: Option<ConnectionId>,
}

impl From<SocketAddr> for Remote {
    /// By UDP.
    fn from(address: SocketAddr) -> Remote {
        Remote { address, connection: None }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remote { address, connection } = self;
        if connection.is_some() { write!(f, "tcp {address}") } else { address.fmt(f) }
    }
}
