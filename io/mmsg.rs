//! The `sendmmsg` system call: it owns the C structures the kernel reads and makes them point at the caller's
//! bytes for the length of one call. It never judges the answer and never calls twice.

use std::{
    io,
    mem::MaybeUninit,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::{AsRawFd, BorrowedFd},
};

use socket2::SockAddr;

use crate::{address::Family, batch::MAX_MESSAGES, cmsg::Control, outcome::Errno};

/// One message of the call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    /// Canonical.
    pub(crate) destination: SocketAddr,
    /// Of the destination's family.
    pub(crate) source: Option<IpAddr>,
    pub(crate) bytes: &'a [u8],
    /// Cut every this many bytes; `None` for a single datagram, because some drivers refuse GSO with nothing
    /// to cut.
    pub(crate) segment_len: Option<u16>,
}

impl Outgoing<'_> {
    /// Datagrams in it.
    pub(crate) fn segments(&self) -> usize {
        self.segment_len.map_or(1, |len| self.bytes.len().div_ceil(usize::from(len)))
    }
}

/// Storage for one call of up to [`MAX_MESSAGES`] messages, allocated once.
pub(crate) struct SendCall {
    headers: Box<[libc::mmsghdr; MAX_MESSAGES]>,
    iovecs: Box<[libc::iovec; MAX_MESSAGES]>,
    names: Box<[SockAddr]>,
    controls: Box<[Control; MAX_MESSAGES]>,
}

// SAFETY: the pointers in `headers` and `iovecs` are what keeps the type from being `Send`. They are written
// anew by every call before the kernel reads them and are never read by Rust, so it does not matter which
// thread calls.
unsafe impl Send for SendCall {}

impl SendCall {
    pub(crate) fn new() -> Self {
        let nowhere = SockAddr::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        Self {
            // SAFETY: `mmsghdr` and `iovec` are C structs of integers and raw pointers; all zeroes is valid.
            headers: unsafe { Box::new(MaybeUninit::zeroed().assume_init()) },
            // SAFETY: as above.
            iovecs: unsafe { Box::new(MaybeUninit::zeroed().assume_init()) },
            names: vec![nowhere; MAX_MESSAGES].into_boxed_slice(),
            controls: Box::new([Control::new(); MAX_MESSAGES]),
        }
    }

    /// Offers `outgoing`, at most [`MAX_MESSAGES`] of it, to the kernel in one `sendmmsg(2)`.
    ///
    /// `Ok` is how many messages, counted from the first, the kernel took. It stops at the first it cannot
    /// take and says why only if that is the very first: call again from there to learn it.
    pub(crate) fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        family: Family,
        outgoing: impl Iterator<Item = Outgoing<'a>>,
    ) -> Result<usize, Errno> {
        let mut count = 0;
        for message in outgoing.take(MAX_MESSAGES) {
            self.write(count, family, &message);
            count += 1;
        }
        self.point(count);

        // SAFETY:
        // - the descriptor is open: it is borrowed for the call;
        // - `headers` holds at least `count` entries, `msg_len` of each is written by the kernel;
        // - `point` has just made every entry refer to `names`, `iovecs` and `controls` of the same index,
        //   which live in boxes of their own that nothing has touched or moved since;
        // - each iovec covers bytes borrowed for 'a, which outlives this function. The kernel only reads
        //   names, bytes and control data when sending, although C has no const for them.
        // No flags: the socket itself is non-blocking, and datagram sockets raise no SIGPIPE.
        let sent = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count as libc::c_uint, 0)
        };
        usize::try_from(sent).map_err(|_| last_errno())
    }

    /// Writes everything of message `index` but the pointers between the parts.
    fn write(&mut self, index: usize, family: Family, message: &Outgoing<'_>) {
        self.names[index] = family.name(message.destination);
        let iovec = &mut self.iovecs[index];
        iovec.iov_base = message.bytes.as_ptr().cast_mut().cast();
        iovec.iov_len = message.bytes.len();
        let control = &mut self.controls[index];
        control.clear();
        if let Some(segment_len) = message.segment_len {
            control.push_segment_len(segment_len);
        }
        if let Some(source) = message.source {
            control.push_source(source);
        }
    }

    /// Makes the first `count` headers refer to their parts. Done for every call, last: a pointer taken
    /// earlier would be invalidated by the writes through `&mut` above.
    fn point(&mut self, count: usize) {
        let parts = self.names.iter().zip(self.iovecs.iter_mut()).zip(self.controls.iter_mut());
        for (header, ((name, iovec), control)) in self.headers.iter_mut().zip(parts).take(count) {
            let header = &mut header.msg_hdr;
            header.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_namelen = name.len();
            header.msg_iov = iovec;
            header.msg_iovlen = 1;
            header.msg_controllen = control.len() as _;
            header.msg_control = match control.len() {
                0 => std::ptr::null_mut(),
                _ => control.as_mut_ptr().cast(),
            };
        }
    }
}

fn last_errno() -> Errno {
    Errno(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use std::net::SocketAddrV6;

    use super::*;

    #[test]
    fn ipv4_is_mapped_only_for_an_ipv6_socket() {
        let v4: SocketAddr = "192.0.2.1:5".parse().unwrap();
        assert_eq!(Family::V4.name(v4).as_socket(), Some(v4));
        assert_eq!(Family::V6.name(v4).as_socket(), Some("[::ffff:192.0.2.1]:5".parse().unwrap()));
        let v6: SocketAddr = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5, 0, 3).into();
        assert_eq!(Family::V6.name(v6).as_socket(), Some(v6), "the scope is kept");
    }
}
