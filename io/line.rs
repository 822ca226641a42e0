//! A connection whose bytes may lie in the kernel for a while: waits for so many of them, or for a time, and takes what is there.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use socket2::SockRef;

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

/// How long a call of [`read_waiting`] waits at most (`SO_RCVTIMEO`, socket(7)). The kernel rounds it up to its ticks (1 to 10 ms);
/// none becomes the shortest.
///
/// # Errors
///
/// The kernel's.
pub fn set_patience(socket: BorrowedFd<'_>, limit: Duration) -> io::Result<()> {
    // No time at all would mean for ever.
    SockRef::from(&socket).set_read_timeout(Some(limit.max(Duration::from_micros(1))))
}

/// Whether [`read_waiting`] waits: not on a socket that never blocks (`O_NONBLOCK`, fcntl(2)), which executors need.
///
/// # Errors
///
/// The kernel's.
pub fn set_waits(socket: BorrowedFd<'_>, waits: bool) -> io::Result<()> {
    SockRef::from(&socket).set_nonblocking(!waits)
}

/// Appends what is there to the room that `buffer` has, without waiting. Returns how much that was, 0 at the connection's end or
/// where there is no room, and `None` if nothing is there.
///
/// # Errors
///
/// The kernel's.
pub fn read(socket: BorrowedFd<'_>, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
    receive(socket, buffer, libc::MSG_DONTWAIT)
}

/// As [`read`], but blocks until as much is there as [`set_low_water`] says, the connection has ended or failed, or the time of
/// [`set_patience`] has passed; then it takes less. A signal ends the wait early, with `None` if nothing was read by then. One call of the kernel
/// where waiting and reading by themselves are two. Only where [`set_waits`] said so: else it does not wait.
///
/// # Errors
///
/// The kernel's, but for a signal.
pub fn read_waiting(socket: BorrowedFd<'_>, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
    receive(socket, buffer, 0)
}

fn receive(socket: BorrowedFd<'_>, buffer: &mut BytesMut, flags: libc::c_int) -> io::Result<Option<usize>> {
    let room = buffer.spare_capacity_mut();
    // SAFETY: the descriptor is borrowed for the call; the kernel writes at most `room.len()` bytes to `room`.
    let read = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
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

    /// What one call brings that waits for so many bytes, and for so long.
    fn waiting(socket: &TcpStream, bytes: u32, limit: Duration, buffer: &mut BytesMut) -> Option<usize> {
        set_low_water(socket.as_fd(), bytes).unwrap();
        set_patience(socket.as_fd(), limit).unwrap();
        read_waiting(socket.as_fd(), buffer).unwrap()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the kernel waits in real time, for who writes meanwhile")]
    fn fewer_bytes_lie_until_there_are_enough() {
        let (near, mut far) = pair();
        let mut buffer = BytesMut::with_capacity(10_000);
        far.write_all(&[0; 999]).unwrap();
        let writer = std::thread::spawn({
            let mut far = far.try_clone().unwrap();
            move || {
                std::thread::sleep(SHORT);
                far.write_all(&[0; 1_000]).unwrap();
            }
        });
        assert_eq!(waiting(&near, 1_000, LONG, &mut buffer), Some(1_999));
        writer.join().unwrap();
        far.write_all(&[0; 5]).unwrap();
        assert_eq!(waiting(&near, 5, LONG, &mut buffer), Some(5));
    }

    #[test]
    fn patience_ends_with_what_is_there() {
        let (near, mut far) = pair();
        let mut buffer = BytesMut::with_capacity(10_000);
        assert_eq!(waiting(&near, 1_000, SHORT, &mut buffer), None);
        assert_eq!(waiting(&near, 1_000, Duration::ZERO, &mut buffer), None);
        far.write_all(&[0; 999]).unwrap();
        assert_eq!(waiting(&near, 1_000, SHORT, &mut buffer), Some(999));
        set_waits(near.as_fd(), false).unwrap();
        assert_eq!(waiting(&near, 1_000, LONG, &mut buffer), None, "it never blocks");
        set_waits(near.as_fd(), true).unwrap();
        assert_eq!(waiting(&near, 1_000, SHORT, &mut buffer), None);
    }

    #[test]
    fn what_is_there_goes_behind_what_was() {
        let (near, mut far) = pair();
        let mut buffer = BytesMut::with_capacity(64);
        buffer.extend_from_slice(b"a");
        assert_eq!(read(near.as_fd(), &mut buffer).unwrap(), None);
        far.write_all(b"bc").unwrap();
        assert_eq!(waiting(&near, 2, LONG, &mut buffer), Some(2));
        assert_eq!(&buffer[..], b"abc");
        drop(far);
        assert_eq!(waiting(&near, 1, LONG, &mut buffer), Some(0));
        assert_eq!(read(near.as_fd(), &mut buffer).unwrap(), Some(0));
        assert!(read(std::io::stdin().as_fd(), &mut buffer).is_err(), "no socket");
    }

    #[test]
    fn an_end_is_worth_waking_up_for() {
        let (near, mut far) = pair();
        let mut buffer = BytesMut::with_capacity(64);
        far.write_all(&[0; 10]).unwrap();
        drop(far);
        assert_eq!(waiting(&near, 1_000, LONG, &mut buffer), Some(10));
        assert_eq!(waiting(&near, 1_000, LONG, &mut buffer), Some(0));
    }
}
