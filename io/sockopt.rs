//! Socket options for which socket2 has no function: it owns the raw `setsockopt` and `getsockopt`. It never
//! decides which options a socket gets.

use std::{
    io,
    mem::size_of_val,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Sets an option whose value is an `int`.
pub(crate) fn set(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for the call; the kernel reads size_of::<c_int>() bytes of `value`,
    // which outlives the call, and writes nothing.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Datagrams the kernel dropped on their way into this socket since it was made, mostly because the receive
/// buffer was full: `SO_MEMINFO` (`sock_diag(7)`, Linux 4.12).
pub(crate) fn receive_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = [0_u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the descriptor is borrowed for the call; the kernel writes at most `len` bytes, the size of
    // `info`, and then how many it wrote to `len`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 { Ok(info[libc::SK_MEMINFO_DROPS as usize]) } else { Err(io::Error::last_os_error()) }
}
