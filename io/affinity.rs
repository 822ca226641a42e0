//! Pinning threads to cores. It owns the list of cores this process may use and never starts a thread.

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
}
