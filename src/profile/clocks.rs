//! How long threads ran while a profile was taken, by their own clocks.
//!
//! Owns that a profile's times are those that were used: the kernel looks at timers of CPU time at its tick only, so a
//! thread that runs a little and often is sampled too seldom, and what is due when a profile ends is lost.

use std::collections::HashMap;
use std::time::Duration;

/// CPU time of threads, by number: in the beginning (of the profile, or of the thread) and when looked at last.
#[derive(Debug, Default)]
pub(super) struct Clocks(HashMap<i32, (Duration, Duration)>);

impl Clocks {
    /// Looks at all threads of this process.
    pub(super) fn look(&mut self) {
        let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return };
        let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        for thread in threads.flatten().filter_map(number) {
            // It may have ended in between.
            if let Some(used) = used(thread) {
                self.0.entry(thread).or_insert((used, used)).1 = used;
            }
        }
    }

    /// What the threads of a name that begins so have used.
    #[cfg(test)]
    pub(super) fn now(name: &str) -> Duration {
        let mut clocks = Clocks::default();
        clocks.look();
        let is_one = |thread: &i32| super::threads::name(*thread).starts_with(name);
        clocks.0.iter().filter(|(thread, _)| is_one(thread)).map(|(_, (_, used))| *used).sum()
    }

    /// What each thread used between the first and the last look.
    pub(super) fn used(&self) -> impl Iterator<Item = (i32, Duration)> {
        self.0.iter().map(|(thread, (first, last))| (*thread, last.saturating_sub(*first)))
    }
}

/// The CPU time of a thread, if the kernel tells (`CONFIG_SCHED_INFO`).
fn used(thread: i32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_s_time_is_what_it_used_between_two_looks() {
        let mut clocks = Clocks::default();
        clocks.look();
        let mut sum = 0_u64;
        for step in 0..50_000_000_u64 {
            sum = std::hint::black_box(sum ^ step);
        }
        clocks.look();
        let thread = std::fs::read_link("/proc/thread-self").unwrap();
        let own: i32 = thread.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let used: HashMap<i32, Duration> = clocks.used().collect();
        assert!(used[&own] > Duration::from_millis(5), "{used:?}");
    }
}
