//! Two things that the kernel tells by system calls alone: whether the clock is kept in time, and how much room a disk
//! has. It decides nothing.

use std::{ffi::CString, io, mem, os::unix::ffi::OsStrExt, path::Path};

/// Whether something (chrony, timesyncd, a host) keeps the clock of this machine in time (adjtimex(2), `STA_UNSYNC`).
///
/// # Errors
///
/// The kernel's, where a sandbox forbids the call.
pub fn is_clock_synchronised() -> io::Result<bool> {
    // SAFETY: a `timex` is plain numbers, and all zero asks for nothing to be changed.
    let mut timex: libc::timex = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a whole `timex` that outlives the call.
    match unsafe { libc::adjtimex(&raw mut timex) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(timex.status & libc::STA_UNSYNC == 0),
    }
}

/// Room on the file system of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that anybody may still write.
    pub free: u64,
    /// All bytes.
    pub total: u64,
}

/// The room where `path` is.
///
/// # Errors
///
/// The kernel's: there is no such path, or it may not be looked at.
pub fn room(path: &Path) -> io::Result<Room> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a `statvfs` is plain numbers.
    let mut found: libc::statvfs = unsafe { mem::zeroed() };
    // SAFETY: the path ends with a zero, and the pointer is to a whole `statvfs`; both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut found) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Room { free: found.f_bavail * found.f_frsize, total: found.f_blocks * found.f_frsize })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_has_room_and_what_is_not_there_has_none() {
        let found = room(Path::new("/")).unwrap();
        let df = std::process::Command::new("df").args(["-B1", "--output=size,avail", "/"]).output().unwrap();
        let told = String::from_utf8(df.stdout).unwrap();
        let told: Vec<u64> = told.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert_eq!(found.total, told[0]);
        assert!(found.free.abs_diff(told[1]) <= told[1] / 2, "others write meanwhile: {found:?}, {told:?}");
        assert_eq!(room(Path::new("/no/such/path")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
