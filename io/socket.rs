//! UDP sockets as the rest of the crate wants them: non-blocking, dual stack on `[::]`, telling local
//! addresses, with GRO and buffers of a known size. It owns the descriptor and its options and never sends or
//! receives.

use std::{
    fmt, io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

use quinn_udp::{UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Type};

use crate::{
    address::{Family, canonical},
    sockopt,
};

/// What kind of socket to make.
#[derive(Debug, Clone, Copy)]
pub struct SocketOptions {
    /// Where to listen. `[::]` means every address of this machine, IPv4 and IPv6; port 0 lets the kernel
    /// choose.
    pub address: SocketAddr,
    /// Bytes of datagrams the kernel keeps for us between two reads; 0 leaves the system's default.
    pub receive_buffer: usize,
    /// Bytes of datagrams the kernel keeps on their way to the device; 0 leaves the system's default.
    pub send_buffer: usize,
}

/// A bound UDP socket. Register it with mio through [`AsRawFd`] and `SourceFd`.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    state: UdpSocketState,
    family: Family,
    local: SocketAddr,
    receive_buffer: BufferGrant,
    send_buffer: BufferGrant,
}

impl Socket {
    /// Makes and binds a socket.
    ///
    /// `[::]` on a machine without IPv6 is [`SocketError::NoIpv6`]: binding `0.0.0.0` instead is for the
    /// caller to decide.
    pub fn bind(options: SocketOptions) -> Result<Self, SocketError> {
        let address = canonical(options.address);
        let failed = |step| move |source| SocketError::Setup { address, step, source };
        let (family, domain) = match address {
            SocketAddr::V4(_) => (Family::V4, Domain::IPV4),
            SocketAddr::V6(_) => (Family::V6, Domain::IPV6),
        };

        let inner = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))
            .map_err(|error| SocketError::from_create(address, error))?;
        if family == Family::V6 {
            // Only the wildcard can be dual stack; elsewhere the option says nothing, so it is set to what is
            // true.
            let dual_stack = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            inner.set_only_v6(!dual_stack).map_err(failed("make it dual stack"))?;
        }
        // Non-blocking, packet info, GRO; path MTU discovery too, which is not what we want: next line.
        let state = UdpSocketState::new(UdpSockRef::from(&inner)).map_err(failed("switch on GRO"))?;
        allow_fragments(&inner, family).map_err(failed("allow fragments"))?;
        let receive_buffer = grant(&inner, Buffer::Receive, options.receive_buffer)
            .map_err(failed("size its receive buffer"))?;
        let send_buffer =
            grant(&inner, Buffer::Send, options.send_buffer).map_err(failed("size its send buffer"))?;

        // Bound last, so that every datagram that arrives has packet info with it.
        inner.bind(&address.into()).map_err(|error| SocketError::from_bind(address, error))?;
        let local = inner
            .local_addr()
            .and_then(|local| local.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into()))
            .map_err(failed("read its local address"))?;

        Ok(Self { inner, state, family, local: canonical(local), receive_buffer, send_buffer })
    }

    /// The address it is bound to, with the port the kernel chose. `[::]` stays `[::]`.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The receive buffer that was asked for, and the one the kernel gave.
    pub fn receive_buffer(&self) -> BufferGrant {
        self.receive_buffer
    }

    /// The send buffer that was asked for, and the one the kernel gave.
    pub fn send_buffer(&self) -> BufferGrant {
        self.send_buffer
    }

    /// Datagrams that reached this socket and were dropped by the kernel, mostly for a full receive buffer,
    /// since it was made. Wraps around at 2^32. One system call: for now and then, not for every round of a loop.
    pub fn receive_drops(&self) -> io::Result<u32> {
        sockopt::receive_drops(self.as_fd())
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    pub(crate) fn state(&self) -> &UdpSocketState {
        &self.state
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

/// What the kernel gave of a socket buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferGrant {
    /// Bytes asked for; 0 if the system's default was.
    pub asked: usize,
    /// Bytes the kernel gave, in the same measure (it counts twice as much, for its own bookkeeping).
    pub granted: usize,
    /// The `sysctl` that limits it for a process without `CAP_NET_ADMIN`.
    pub sysctl: &'static str,
}

impl BufferGrant {
    /// Whether the kernel gave less than was asked for: worth a warning, which [`fmt::Display`] words.
    pub fn is_short(&self) -> bool {
        self.granted < self.asked
    }
}

impl fmt::Display for BufferGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, granted, sysctl } = self;
        if self.is_short() {
            let way_out = format_args!("sysctl -w {sysctl}={asked}, or CAP_NET_ADMIN for this process");
            write!(f, "{granted} of {asked} bytes granted ({way_out})")
        } else {
            write!(f, "{granted} bytes granted")
        }
    }
}

/// Why a socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// `EADDRINUSE`.
    #[error("udp {address} is in use: stop the process that holds it (ss -ulpn) or choose another port")]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// `EACCES`.
    #[error("no permission to bind udp {address}: choose a port over 1023 or grant CAP_NET_BIND_SERVICE")]
    Denied {
        /// The address asked for.
        address: SocketAddr,
    },
    /// `EADDRNOTAVAIL`.
    #[error("{address} is not an address of this machine: choose one that `ip address` lists, or a wildcard")]
    NotLocal {
        /// The address asked for.
        address: SocketAddr,
    },
    /// `EAFNOSUPPORT` for an IPv6 address.
    #[error("cannot bind udp {address}: this machine has no IPv6; use 0.0.0.0 or another IPv4 address")]
    NoIpv6 {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("udp socket {address}: cannot {step}: {source}")]
    Setup {
        /// The address asked for.
        address: SocketAddr,
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl SocketError {
    fn from_create(address: SocketAddr, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EAFNOSUPPORT) if address.is_ipv6() => Self::NoIpv6 { address },
            _ => Self::Setup { address, step: "create it", source },
        }
    }

    fn from_bind(address: SocketAddr, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EADDRINUSE) => Self::InUse { address },
            Some(libc::EACCES) => Self::Denied { address },
            Some(libc::EADDRNOTAVAIL) => Self::NotLocal { address },
            _ => Self::Setup { address, step: "bind it", source },
        }
    }
}

/// Undoes the path MTU discovery that quinn-udp switches on for QUIC.
///
/// QUIC probes the path and must never be fragmented; our datagrams have one size, and a peer behind a tunnel
/// that is too narrow for it shall get fragments instead of nothing.
/// - IPv4 `OMIT`: don't-fragment is never set, so routers may cut too, and forged ICMP cannot shrink what we
///   send.
/// - IPv6 `WANT`: only the sender may cut, so "packet too big" has to be listened to. A train that is too
///   wide for the learnt path is answered with `EMSGSIZE` and goes out again without GSO, in fragments.
fn allow_fragments(socket: &socket2::Socket, family: Family) -> io::Result<()> {
    let socket = socket.as_fd();
    sockopt::set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)?;
    if family == Family::V6 {
        sockopt::set(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 0)?;
        sockopt::set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_WANT)?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Buffer {
    Receive,
    Send,
}

/// Sizes a buffer: beyond the sysctl limit if we are allowed to, up to it otherwise.
fn grant(socket: &socket2::Socket, buffer: Buffer, asked: usize) -> io::Result<BufferGrant> {
    let (force, sysctl) = match buffer {
        Buffer::Receive => (libc::SO_RCVBUFFORCE, "net.core.rmem_max"),
        Buffer::Send => (libc::SO_SNDBUFFORCE, "net.core.wmem_max"),
    };
    // The kernel doubles the value into an int.
    let value = asked.min(libc::c_int::MAX as usize / 2);
    if value > 0 && sockopt::set(socket.as_fd(), libc::SOL_SOCKET, force, value as libc::c_int).is_err() {
        match buffer {
            Buffer::Receive => socket.set_recv_buffer_size(value)?,
            Buffer::Send => socket.set_send_buffer_size(value)?,
        }
    }
    let doubled = match buffer {
        Buffer::Receive => socket.recv_buffer_size()?,
        Buffer::Send => socket.send_buffer_size()?,
    };
    Ok(BufferGrant { asked, granted: doubled / 2, sysctl })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const V4: &str = "192.0.2.1:80";
    const V6: &str = "[2001:db8::1]:80";

    fn error(errno: i32) -> io::Error {
        io::Error::from_raw_os_error(errno)
    }

    #[test]
    fn what_the_kernel_says_is_put_in_words() {
        let created = |address: &str, errno| SocketError::from_create(address.parse().unwrap(), error(errno));
        assert!(matches!(created(V6, libc::EAFNOSUPPORT), SocketError::NoIpv6 { .. }));
        assert!(matches!(created(V4, libc::EAFNOSUPPORT), SocketError::Setup { .. }));
        assert!(matches!(created(V6, libc::EMFILE), SocketError::Setup { .. }));
        let bound = |errno| SocketError::from_bind(V4.parse().unwrap(), error(errno));
        assert!(matches!(bound(libc::EADDRINUSE), SocketError::InUse { .. }));
        assert!(matches!(bound(libc::EACCES), SocketError::Denied { .. }));
        assert!(matches!(bound(libc::EADDRNOTAVAIL), SocketError::NotLocal { .. }));
        assert!(matches!(bound(libc::EINVAL), SocketError::Setup { step: "bind it", .. }));
    }

    #[test]
    fn a_buffer_is_the_systems_unless_asked_for_and_never_so_large_that_the_kernel_takes_it_for_nothing() {
        let granted = |bytes| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let socket =
                Socket::bind(SocketOptions { address, receive_buffer: bytes, send_buffer: bytes }).unwrap();
            [socket.receive_buffer().granted, socket.send_buffer().granted]
        };
        let default = |name| -> usize {
            std::fs::read_to_string(format!("/proc/sys/net/core/{name}")).unwrap().trim().parse().unwrap()
        };
        let (unasked, least, most) = (granted(0), granted(1), granted(usize::MAX));
        assert_eq!(unasked, [default("rmem_default") / 2, default("wmem_default") / 2]);
        for buffer in 0..2 {
            assert!(least[buffer] < unasked[buffer] && unasked[buffer] <= most[buffer], "{least:?} {most:?}");
        }
    }
}
