//! Open files: how many the kernel lets this process have. It owns the two system calls and never decides
//! what they are for.

use std::io;

/// Raises the number of files that this process may have open (`RLIMIT_NOFILE`) from the soft limit, which
/// shells and systemd keep low for programs that use `select`, to the hard one. Gives what then holds.
///
/// # Errors
///
/// The kernel's, which none of the two calls is known to give.
pub fn raise() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a whole `rlimit` that outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: as above; the kernel only reads it.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } {
        0 => Ok(raised.rlim_cur),
        _ => Ok(limit.rlim_cur),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // One below the hard one: a difference that no other test notices.
        // SAFETY: both pointers are to the whole `rlimit` that outlives the calls.
        unsafe {
            libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
            limit.rlim_cur = limit.rlim_max - 1;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
        let raised = raise().unwrap();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert_eq!(numbers, [raised, raised]);
    }
}
