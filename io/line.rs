//! A connection whose bytes may lie in the kernel for a while: waits for so many of them, or for a time, and takes what is there.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};

use crate::sockopt;

/// From so many bytes on `socket` counts as readable (`SO_RCVLOWAT`, socket(7)), for whoever waits for that; at its end, or
/// with half of its buffer in use, it does with fewer. The default is 1.
///
/// # Errors
///
/// The kernel's.
pub fn set_low_water(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    sockopt::set(
        socket,
        libc::SOL_SOCKET,
        libc::SO_RCVLOWAT,
        libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX),
    )
}

/// Blocks until `socket` is readable (which [`set_low_water`] defines), has ended or failed, for `limit` at most. Returns whether
/// it is. A signal ends the wait early.
///
/// # Errors
///
/// The kernel's, but for a signal.
pub fn wait_readable(socket: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let mut waited = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let limit = libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(limit.subsec_nanos().cast_signed()),
    };
    // SAFETY: the descriptor is borrowed for the call; `waited` is one entry and `limit` a time, both outlive the call; the
    // mask may be null (ppoll(2)).
    let ready = unsafe { libc::ppoll(&raw mut waited, 1, &raw const limit, std::ptr::null()) };
    match ready {
        0.. => Ok(ready > 0),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
    }
}

/// Appends what is there to the room that `buffer` has, without waiting. Returns how much that was, 0 at the connection's end or
/// where there is no room, and `None` if nothing is there.
///
/// # Errors
///
/// The kernel's.
pub fn read(socket: BorrowedFd<'_>, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
    let room = buffer.spare_capacity_mut();
    // SAFETY: the descriptor is borrowed for the call; the kernel writes at most `room.len()` bytes to `room`.
    let read =
        unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT) };
    let Ok(read) = usize::try_from(read) else {
        return match io::Error::last_os_error() {
            error if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(None)
            }
            error => Err(error),
        };
    };
    // SAFETY: the kernel has written that many bytes of the room.
    unsafe { buffer.advance_mut(read) };
    Ok(Some(read))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd as _;

    use super::*;

    /// Longer than any wait in these tests has to be.
    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(20);

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn fewer_bytes_lie_until_there_are_enough_or_fewer_suffice() {
        let (near, mut far) = pair();
        set_low_water(near.as_fd(), 1_000).unwrap();
        far.write_all(&[0; 999]).unwrap();
        assert!(!wait_readable(near.as_fd(), SHORT).unwrap());
        far.write_all(&[0; 1]).unwrap();
        assert!(wait_readable(near.as_fd(), LONG).unwrap());
        set_low_water(near.as_fd(), 2_000).unwrap();
        assert!(!wait_readable(near.as_fd(), SHORT).unwrap());
        set_low_water(near.as_fd(), 1).unwrap();
        assert!(wait_readable(near.as_fd(), LONG).unwrap());
    }

    #[test]
    fn what_is_there_goes_behind_what_was() {
        let (near, mut far) = pair();
        let mut buffer = BytesMut::with_capacity(64);
        buffer.extend_from_slice(b"a");
        assert_eq!(read(near.as_fd(), &mut buffer).unwrap(), None);
        far.write_all(b"bc").unwrap();
        assert!(wait_readable(near.as_fd(), LONG).unwrap());
        assert_eq!(read(near.as_fd(), &mut buffer).unwrap(), Some(2));
        assert_eq!(&buffer[..], b"abc");
        drop(far);
        assert!(wait_readable(near.as_fd(), LONG).unwrap());
        assert_eq!(read(near.as_fd(), &mut buffer).unwrap(), Some(0));
        assert!(read(std::io::stdin().as_fd(), &mut buffer).is_err(), "no socket");
    }

    #[test]
    fn an_end_is_worth_waking_up_for() {
        let (near, mut far) = pair();
        set_low_water(near.as_fd(), 1_000).unwrap();
        far.write_all(&[0; 10]).unwrap();
        drop(far);
        assert!(wait_readable(near.as_fd(), LONG).unwrap());
    }
}
