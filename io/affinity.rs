//! Pinning threads to cores. It owns the list of cores this process may use and never starts a thread.

use std::mem;

/// A core this process may run on; only [`cores`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreId(core_affinity::CoreId);

impl CoreId {
    /// The number of the core, as in `/proc/cpuinfo` and `taskset -c`.
    pub fn index(self) -> usize {
        self.0.id
    }
}

/// The cores the calling thread may run on, in ascending order: all of the machine, or what `taskset`, a
/// cpuset or a container has left. Empty if the kernel does not say. A pinned thread sees only its own: ask
/// before pinning.
pub fn cores() -> Vec<CoreId> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(CoreId).collect()
}

/// Pins the calling thread to `core`; `false` if the kernel refuses, and then nothing has changed.
#[must_use = "an unpinned shard works, but its operator should know"]
pub fn pin(core: CoreId) -> bool {
    core_affinity::set_for_current(core.0)
}

/// Lets the calling thread run on any of `cores` and nowhere else; threads and processes that it starts
/// inherit that. `false` if `cores` is empty or the kernel refuses, and then nothing has changed.
#[must_use = "what was to be kept apart may share a core"]
pub fn pin_to_any(cores: &[CoreId]) -> bool {
    // SAFETY: a `cpu_set_t` is an array of bits, for which all zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for core in cores {
        // SAFETY: `CPU_SET` writes one bit of `set`, and panics where there is none: `cores` gave the index.
        unsafe { libc::CPU_SET(core.index(), &mut set) };
    }
    // SAFETY: the pointer is to a whole `cpu_set_t` that outlives the call; 0 is the calling thread.
    unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &raw const set) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_runs_where_it_was_told() {
        let all = cores();
        let last = *all.last().expect("this test runs on some core");
        // A thread of its own, so that the other tests keep their cores.
        let seen = std::thread::scope(|scope| scope.spawn(|| pin(last).then(cores)).join().unwrap());
        assert_eq!(seen, Some(vec![last]));
        assert_eq!(cores(), all, "the thread that asked is not pinned");
    }

    #[test]
    fn a_thread_keeps_to_the_cores_it_was_given() {
        let all = cores();
        // Not the first, which a set that was filled wrongly would have as well.
        let last = &all[all.len() - 1..];
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| (pin_to_any(last), cores(), pin_to_any(&[]), cores())).join().unwrap()
        });
        assert_eq!(seen, (true, last.to_vec(), false, last.to_vec()));
    }
}
