//! What one `sendmmsg` meant: a pure function from its result to the next step, and nothing else. It never
//! makes the call and never waits; every row of its table is a test without a socket.

use std::fmt;

/// An error number of the kernel, as in `errno(3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

/// What is known about the first message of the call, the only one an error can be about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// It has several segments, so the kernel was asked to cut it.
    pub(crate) segmented: bool,
    /// How often it has been tried again already, in whatever form.
    pub(crate) retries: u32,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The kernel has this many messages; go on behind them. If fewer than offered, the next call tells why.
    Sent(usize),
    /// The socket's send buffer is full: keep the rest and wait until it is writable.
    Blocked,
    /// Send the same bytes again, one segment a message.
    WithoutGso(GsoFault),
    /// Try the same message again.
    Retry,
    /// This message cannot be sent; go on behind it.
    Drop(DropReason),
}

/// Whose fault a refused train is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GsoFault {
    /// The way to this destination cannot carry the segments (`EMSGSIZE`, `EINVAL`).
    Path,
    /// The device, or IPsec on it, cannot segment or checksum (`EIO`); other destinations will tell the same.
    Device,
}

/// Why datagrams were dropped; [`fmt::Display`] gives the word a metric's label can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// `ENOBUFS`, `ENOMEM`: the device's queue or the kernel's memory is full. Waiting for writability would
    /// not tell when that is over.
    NoMemory,
    /// `EMSGSIZE`: longer than the way to the peer allows.
    TooLong,
    /// `ENETUNREACH`, `EHOSTUNREACH`, `ENETDOWN`, `EADDRNOTAVAIL`, ...: no way to the peer, or not from this
    /// source.
    Unreachable,
    /// `EPERM`, `EACCES`: a firewall rule of this machine, or a broadcast address.
    Denied,
    /// `EINVAL`, `EAFNOSUPPORT`, ...: not an address this socket can send to, such as port 0.
    Invalid,
    /// `ECONNREFUSED`, twice.
    Refused,
    /// Any other error.
    Other,
}

impl DropReason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::NoMemory,
        Self::TooLong,
        Self::Unreachable,
        Self::Denied,
        Self::Invalid,
        Self::Refused,
        Self::Other,
    ];
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMemory => "no_memory",
            Self::TooLong => "too_long",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Other => "other",
        })
    }
}

/// Further tries of one message, after a signal, an answer of 0 messages or a refused train. None happens
/// twice in a row on a healthy kernel; the bound keeps an unhealthy one from spinning a shard.
const MAX_RETRIES: u32 = 3;

/// Judges `result`, the answer of a `sendmmsg` whose first message is `first`.
pub(crate) fn judge(result: Result<usize, Errno>, first: Attempt) -> Outcome {
    let may_retry = first.retries < MAX_RETRIES;
    let train = first.segmented && may_retry;
    let Errno(errno) = match result {
        Ok(0) if may_retry => return Outcome::Retry,
        Ok(0) => return Outcome::Blocked,
        Ok(sent) => return Outcome::Sent(sent),
        Err(errno) => errno,
    };
    match errno {
        // EAGAIN and EWOULDBLOCK are one number on Linux.
        libc::EAGAIN => Outcome::Blocked,
        libc::EINTR if may_retry => Outcome::Retry,
        libc::EINTR => Outcome::Blocked,
        libc::EIO if train => Outcome::WithoutGso(GsoFault::Device),
        libc::EINVAL | libc::EMSGSIZE if train => Outcome::WithoutGso(GsoFault::Path),
        // An ICMP error about an earlier datagram, perhaps to another peer: the kernel has reported it now
        // and the message was not even tried.
        libc::ECONNREFUSED if first.retries == 0 => Outcome::Retry,
        _ => Outcome::Drop(reason(errno)),
    }
}

fn reason(errno: i32) -> DropReason {
    match errno {
        libc::ENOBUFS | libc::ENOMEM => DropReason::NoMemory,
        libc::EMSGSIZE => DropReason::TooLong,
        libc::ENETUNREACH
        | libc::EHOSTUNREACH
        | libc::ENETDOWN
        | libc::EHOSTDOWN
        | libc::ENODEV
        | libc::EADDRNOTAVAIL => DropReason::Unreachable,
        libc::EPERM | libc::EACCES => DropReason::Denied,
        libc::EINVAL | libc::EAFNOSUPPORT | libc::EDESTADDRREQ => DropReason::Invalid,
        libc::ECONNREFUSED => DropReason::Refused,
        _ => DropReason::Other,
    }
}

#[cfg(test)]
mod tests;
