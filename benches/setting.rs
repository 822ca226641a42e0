//! The setting that figures are of, as it goes into every report. A shell: it reads the date.
//!
//! Owns what a bench knows beyond the machine itself: the moment, the version, the network, who runs where.
//! Never measures anything.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the date")]

use std::fs;
use std::time::SystemTime;

use sluice_load::machine::{self, Machine};

/// A machine, a moment, a version and a division of labour.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Setting {
    /// The command that was given, without secrets.
    pub command: String,
    /// The machine.
    pub machine: Machine,
    /// Whether it is a virtual one.
    pub is_virtual: bool,
    /// Processes that ran or waited to, on average of the minute before the bench.
    pub load_average: f64,
    /// When the bench began, UTC (RFC 3339).
    pub date: String,
    /// Version and commit of Sluice.
    pub version: String,
    /// What is between server and generator.
    pub network: String,
    /// Who runs where.
    pub cores: String,
}

impl Setting {
    /// Looks at this machine; on all its cores, so before the bench takes some for itself.
    pub fn look(version: &str, network: String, cores: String) -> Setting {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let average = read("/proc/loadavg");
        let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        Setting {
            command: machine::command(),
            machine: Machine::read(),
            is_virtual: read("/proc/cpuinfo").contains(" hypervisor"),
            load_average: average.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0),
            date: format!("{now:.0}"),
            version: version.to_owned(),
            network,
            cores,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_that_of_utc_to_the_second() {
        let Setting { date, .. } = Setting::look("0", String::new(), String::new());
        assert!(date.ends_with('Z') && date.len() == "2026-11-23T10:00:00Z".len(), "{date}");
    }
}
