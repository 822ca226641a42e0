//! Network namespaces: which network a thread's new sockets belong to. It owns the one system call and never
//! makes or deletes a namespace; that is for `ip netns`.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Moves the calling thread into the network namespace that `namespace` is an open file of
/// (`/run/netns/NAME`, `/proc/PID/ns/net`). Sockets it has stay where they are; new sockets, threads and
/// processes of this thread are in the new one.
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` if the file is no network namespace.
pub fn enter(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `setns` takes no pointers, the descriptor is open while it is borrowed, and CLONE_NEWNET
    // concerns only the calling thread.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd, thread};

    use super::*;

    #[test]
    fn a_file_that_is_no_namespace_is_refused() {
        // On a thread of its own: if it worked, no other test should notice.
        let refused = thread::scope(|scope| {
            scope.spawn(|| enter(File::open("/proc/self/stat").unwrap().as_fd())).join().unwrap()
        });
        assert!(refused.is_err());
    }
}
