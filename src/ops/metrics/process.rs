//! Metrics of the process, under the names that all Prometheus clients give them, and of its allocator.
//!
//! Owns the reading of `/proc/self`, and of jemalloc's statistics.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use tikv_jemalloc_ctl::{epoch, stats};

use super::PREFIX;
use super::out::{Labels, Out};
use crate::stat::Stat;

/// What the kernel and the allocator know of this process.
#[derive(Debug)]
pub(super) struct Process {
    /// When the machine began (Unix time): it does not change, and is long to read.
    booted: Option<Duration>,
}

impl Process {
    pub(super) fn new() -> Process {
        Process { booted: read("/proc/stat").and_then(|text| booted(&text)) }
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut out = Out(encoder);
        if let Some(process) = read("/proc/self/stat").and_then(|line| Stat::parse(&line)) {
            let alone = |value| [(Labels::new(), value)];
            let cpu = process.cpu.as_secs_f64();
            out.seconds("process_cpu_seconds", "CPU time of the process", alone(cpu))?;
            let resident = process.resident_bytes as f64;
            out.gauge("process_resident_memory_bytes", "Resident memory of the process", alone(resident))?;
            let virtual_bytes = process.virtual_bytes as f64;
            out.gauge("process_virtual_memory_bytes", "Address space of the process", alone(virtual_bytes))?;
            let threads = process.threads as f64;
            out.gauge("process_threads", "Threads of the process", alone(threads))?;
            let began = self.booted.map(|booted| (Labels::new(), (booted + process.began).as_secs_f64()));
            out.gauge("process_start_time_seconds", "When the process began (Unix time)", began)?;
        }
        // The one that is open to count them is among them.
        let open = std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1));
        let open = open.map(|open| (Labels::new(), open as f64));
        out.gauge("process_open_fds", "Files that the process has open", open)?;
        let most = read("/proc/self/limits").and_then(|text| most_files(&text));
        let most = most.map(|most| (Labels::new(), most));
        out.gauge("process_max_fds", "Files that the process may have open", most)?;
        encode_allocator(&mut out)
    }
}

/// What the allocator has of the process's memory.
fn encode_allocator(out: &mut Out<'_>) -> fmt::Result {
    // Its numbers are of the last time that it was asked to add them up.
    if epoch::advance().is_err() {
        return Ok(());
    }
    let figures = [
        ("allocated", "Memory that is in use", stats::allocated::read()),
        ("active", "Memory of pages that hold something in use", stats::active::read()),
        (
            "resident",
            "Memory that the allocator keeps resident, its own books among it",
            stats::resident::read(),
        ),
        ("retained", "Address space that the allocator keeps without memory", stats::retained::read()),
    ];
    for (name, help, figure) in figures {
        let figure = figure.ok().map(|bytes| (Labels::new(), bytes as f64));
        out.gauge(&format!("{PREFIX}_memory_{name}_bytes"), help, figure)?;
    }
    Ok(())
}

/// When the machine began, by the text of `/proc/stat`.
fn booted(text: &str) -> Option<Duration> {
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(Duration::from_secs(seconds.trim().parse().ok()?))
}

/// The soft limit of open files, by the text of `/proc/self/limits`; infinite if there is none.
fn most_files(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read_and_what_it_does_not_is_nothing() {
        assert_eq!(
            booted("cpu 1 2\nbtime 1764161000\nprocesses 9\n"),
            Some(Duration::from_secs(1_764_161_000))
        );
        assert_eq!(booted("cpu 1 2\n"), None);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(most_files(limits), Some(1_024.0));
        assert_eq!(most_files(&limits.replace("1024  ", "unlimited")), Some(f64::INFINITY));
        assert_eq!(most_files(""), None);
    }
}
