//! Addresses as they are here (canonical) and as the kernel wants them.
//!
//! Owns the two directions between the forms; see [the crate](crate#addresses).

use std::net::{SocketAddr, SocketAddrV6};

use socket2::SockAddr;

/// The canonical form of an address: IPv4 is never spelt as IPv6. The scope of a link-local address is kept.
pub(crate) fn canonical(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(address.ip().to_canonical());
    address
}

/// Which kind of addresses a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    /// Also carries IPv4, as `::ffff:a.b.c.d`, when it is dual stack.
    V6,
}

impl Family {
    /// The address as this socket's kernel side wants it. IPv6 on an IPv4 socket stays what it is; the kernel
    /// answers `EAFNOSUPPORT`.
    pub(crate) fn name(self, address: SocketAddr) -> SockAddr {
        match (self, address) {
            (Self::V6, SocketAddr::V4(v4)) => {
                SockAddr::from(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
            }
            (_, address) => SockAddr::from(address),
        }
    }
}
