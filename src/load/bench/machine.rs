//! The machine that figures are of, as it goes into every report. A shell: it reads the date.
//!
//! Owns what is told of it. Never measures anything.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the date")]

use std::fs;
use std::time::SystemTime;

/// A machine, a moment and a version.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Machine {
    /// Model of the processor, and whether it is a virtual one.
    pub processor: String,
    /// Processors that are online.
    pub processors: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Processes that ran or waited to, on average of the last minute, before the bench.
    pub load_average: f64,
    /// When, UTC (RFC 3339).
    pub date: String,
    /// Version and commit of Sluice.
    pub version: String,
    /// What is between server and generator.
    pub network: String,
    /// Who runs where.
    pub cores: String,
}

impl Machine {
    /// Looks at this machine. What cannot be read is told as unknown.
    pub fn look(network: String, cores: String) -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let virtual_one = field(&cpuinfo, "flags").is_some_and(|flags| flags.contains(" hypervisor"));
        let model = field(&cpuinfo, "model name").unwrap_or("unknown processor");
        let kilobytes = field(&meminfo, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
        let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        Machine {
            processor: format!("{model}{}", if virtual_one { " (virtual machine)" } else { "" }),
            processors: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            memory_bytes: kilobytes.unwrap_or(0_u64) * 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_average: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0.0),
            date: format!("{now:.0}"),
            version: format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("COMMIT_OF_BUILD")),
            network,
            cores,
        }
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text
        .lines()
        .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(':')))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: EPYC: a name\nMemTotal:       24 kB\n";
        assert_eq!(field(text, "model name"), Some("EPYC: a name"));
        assert_eq!(field(text, "MemTotal"), Some("24 kB"));
        assert_eq!(field(text, "model n"), None);
    }

    #[test]
    fn this_machine_can_be_described() {
        let machine = Machine::look(String::new(), String::new());
        assert!(machine.memory_bytes > 1 << 20 && machine.processors > 0, "{machine:?}");
        assert!(machine.date.ends_with('Z') && machine.date.len() == 20, "{machine:?}");
        assert!(!machine.kernel.is_empty(), "{machine:?}");
    }
}
