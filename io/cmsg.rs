//! Control messages (`cmsg(3)`) of one outgoing message: the segment size and the source address. It owns
//! their layout in memory and never decides which of them a message gets.

use std::{
    mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

const HEADER_BYTES: usize = space(0);

/// Room for one `UDP_SEGMENT` (u16) and one packet info (`in6_pktinfo` is the larger of the two kinds).
const CAPACITY: usize = space(size_of::<u16>()) + space(size_of::<libc::in6_pktinfo>());

/// Control messages of one `msghdr`, back to back, each aligned as the kernel wants it.
#[repr(C, align(8))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Control {
    bytes: [u8; CAPACITY],
    len: usize,
}

// The first control message lies at the start of `Control`, and all others at multiples of CMSG_ALIGN from
// it.
const _: () = assert!(align_of::<Control>() >= align_of::<libc::cmsghdr>());

impl Control {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; CAPACITY], len: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// `UDP_SEGMENT`: cut the payload every `segment_len` bytes, the last segment may be shorter (`udp(7)`).
    /// It is a property of this message, so every message of one `sendmmsg` may have a size of its own.
    pub(crate) fn push_segment_len(&mut self, segment_len: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &segment_len.to_ne_bytes());
    }

    /// `IP_PKTINFO` or `IPV6_PKTINFO`: leave from `source`, by whatever interface the route says (index 0).
    pub(crate) fn push_source(&mut self, source: IpAddr) {
        match source {
            IpAddr::V4(ip) => self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &in_pktinfo(ip)),
            IpAddr::V6(ip) => self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &in6_pktinfo(ip)),
        }
    }

    /// What `msg_controllen` has to say; 0 if there is nothing.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let end = self.len + space(data.len());
        let message = &mut self.bytes[self.len..end];
        // Padding is sent to the kernel too; let it not be what an earlier message left here.
        message.fill(0);
        message[HEADER_BYTES..HEADER_BYTES + data.len()].copy_from_slice(data);

        // SAFETY: `cmsghdr` is a C struct of integers (musl adds padding that has no public name); all zeroes
        // is valid.
        let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
        header.cmsg_len = (HEADER_BYTES + data.len()) as _;
        header.cmsg_level = level;
        header.cmsg_type = kind;
        // SAFETY: `message` is at least HEADER_BYTES >= size_of::<cmsghdr>() long, is exclusively borrowed,
        // and the write does not ask for alignment.
        unsafe { message.as_mut_ptr().cast::<libc::cmsghdr>().write_unaligned(header) };
        self.len = end;
    }
}

/// `struct in_pktinfo`: interface index, source address, header destination (read by nobody when sending).
fn in_pktinfo(source: Ipv4Addr) -> [u8; size_of::<libc::in_pktinfo>()] {
    let mut bytes = [0; size_of::<libc::in_pktinfo>()];
    let offset = mem::offset_of!(libc::in_pktinfo, ipi_spec_dst);
    bytes[offset..offset + 4].copy_from_slice(&source.octets());
    bytes
}

/// `struct in6_pktinfo`: source address, interface index.
fn in6_pktinfo(source: Ipv6Addr) -> [u8; size_of::<libc::in6_pktinfo>()] {
    let mut bytes = [0; size_of::<libc::in6_pktinfo>()];
    let offset = mem::offset_of!(libc::in6_pktinfo, ipi6_addr);
    bytes[offset..offset + 16].copy_from_slice(&source.octets());
    bytes
}

/// Bytes that a control message with `data_len` bytes of data takes, including what aligns the next one.
const fn space(data_len: usize) -> usize {
    // SAFETY: CMSG_SPACE is arithmetic on its argument; it is unsafe only because every function of libc is.
    unsafe { libc::CMSG_SPACE(data_len as libc::c_uint) as usize }
}

#[cfg(test)]
mod tests;
