//! What `/proc` tells about processes: CPU time, memory, threads, context switches, limits.
//!
//! Owns the parsing. Never stops a test: what cannot be read is absent from the report.

use std::fs;
use std::time::Duration;

/// Length of a clock tick in `/proc/PID/stat`: `USER_HZ` is 100 on every Linux that Sluice builds for.
const TICK: Duration = Duration::from_millis(10);

/// A process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Sample {
    /// CPU time in user mode, in steps of 10 ms.
    #[serde(serialize_with = "seconds")]
    pub user: Duration,
    /// CPU time in the kernel, in steps of 10 ms.
    #[serde(serialize_with = "seconds")]
    pub system: Duration,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Times that the threads alive gave their core up: they had nothing to do.
    pub voluntary_switches: u64,
    /// Times that a core was taken from them: something else had to run there.
    pub involuntary_switches: u64,
    /// Time that the threads alive were ready to run and had no core: what else runs there took it.
    #[serde(serialize_with = "seconds")]
    pub waited: Duration,
}

impl Sample {
    /// User and kernel time together.
    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }

    /// Looks at processes; their sums. None if one of them cannot be read.
    pub fn of_all(pids: &[u32]) -> Option<Sample> {
        let mut sum = Sample::default();
        for &pid in pids {
            let sample = Sample::of(pid)?;
            sum.user += sample.user;
            sum.system += sample.system;
            sum.rss_bytes += sample.rss_bytes;
            sum.threads += sample.threads;
            sum.voluntary_switches += sample.voluntary_switches;
            sum.involuntary_switches += sample.involuntary_switches;
            sum.waited += sample.waited;
        }
        (!pids.is_empty()).then_some(sum)
    }

    fn of(pid: u32) -> Option<Sample> {
        let (user, system) = cpu_of_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let (mut voluntary_switches, mut involuntary_switches, mut waited) = (0, 0, Duration::ZERO);
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            // A thread may end while we look.
            let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let status = read("status");
            voluntary_switches += field(&status, "voluntary_ctxt_switches").unwrap_or(0);
            involuntary_switches += field(&status, "nonvoluntary_ctxt_switches").unwrap_or(0);
            waited += times_of_schedstat(&read("schedstat")).1;
        }
        Some(Sample {
            user,
            system,
            rss_bytes: field(&status, "VmRSS")? * 1_024,
            threads: field(&status, "Threads")?,
            voluntary_switches,
            involuntary_switches,
            waited,
        })
    }
}

/// What the calling thread ran, and waited for a core; zero where the kernel keeps no statistics.
pub fn thread_times() -> (Duration, Duration) {
    times_of_schedstat(&fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default())
}

/// Files that this process may have open: what `ulimit -n` says.
pub fn open_files_limit() -> Option<u64> {
    open_files_of_limits(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// Ports that the kernel gives out itself, for one address.
pub fn ephemeral_ports() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ports = text.split_whitespace().map(|port| port.parse::<u64>().ok());
    let (first, last) = (ports.next()??, ports.next()??);
    (last + 1).checked_sub(first)
}

fn cpu_of_stat(stat: &str) -> Option<(Duration, Duration)> {
    // The name in parentheses may hold anything, blanks and parentheses too: count from its end.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().skip(11);
    let mut ticks = || Some(TICK * fields.next()?.parse::<u32>().ok()?);
    Some((ticks()?, ticks()?))
}

/// Nanoseconds run and nanoseconds waited (Documentation/scheduler/sched-stats.rst of Linux).
fn times_of_schedstat(text: &str) -> (Duration, Duration) {
    let mut nanos = text.split_whitespace().map(|nanos| nanos.parse().unwrap_or(0));
    let mut next = || Duration::from_nanos(nanos.next().unwrap_or(0));
    (next(), next())
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_files_of_limits(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 123 45 0 0 20 0 4 0";
        let expected = (Duration::from_millis(1_230), Duration::from_millis(450));
        assert_eq!(cpu_of_stat(stat), Some(expected));
        assert_eq!(cpu_of_stat("7 (a) S 1"), None);
    }

    #[test]
    fn run_and_wait_times_are_told_apart() {
        assert_eq!(times_of_schedstat("5 7 9\n"), (Duration::from_nanos(5), Duration::from_nanos(7)));
        assert_eq!(times_of_schedstat(""), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn limits_are_read() {
        let limits =
            "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024     524288     files\n";
        assert_eq!(open_files_of_limits(limits), Some(1_024));
        assert_eq!(open_files_of_limits("Max open files unlimited unlimited files"), Some(u64::MAX));
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let sample = Sample::of_all(&[std::process::id()]).expect("our own /proc");
        assert!(sample.rss_bytes > 1 << 20 && sample.threads >= 1, "{sample:?}");
        assert!(sample.voluntary_switches > 0, "the test's main thread waits for this one: {sample:?}");
        assert_eq!(Sample::of_all(&[]), None);
        assert_eq!(Sample::of_all(&[std::process::id(), u32::MAX]), None);
    }
}
