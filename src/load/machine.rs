//! Which machine a test ran on, and what was asked of it: what a figure is worth nothing without.
//!
//! Owns what is said about processor, memory, kernel and command line, with secrets taken out. What `/proc`
//! does not tell is left empty.

use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};
use url::Url;

/// The machine of the generator.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Processor model.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Kernel release.
    pub kernel: String,
}

impl Machine {
    /// Looks at this one.
    pub fn read() -> Machine {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let release = text("/proc/sys/kernel/osrelease");
        Machine {
            cpu: value(&text("/proc/cpuinfo"), "model name").unwrap_or_default().to_owned(),
            cores: sluice_io::affinity::cores().len(),
            memory_bytes: kibibytes(&text("/proc/meminfo"), "MemTotal").unwrap_or(0) * 1_024,
            kernel: release.trim().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = if self.cpu.is_empty() { "an unknown processor" } else { &self.cpu };
        let gib = self.memory_bytes as f64 / (1_u64 << 30) as f64;
        write!(f, "{} cores of {cpu}, {gib:.0} GiB, Linux {}", self.cores, self.kernel)
    }
}

/// The command line of this process as a shell would take it, without what URLs keep secret.
pub fn command() -> String {
    std::env::args().map(|word| quoted(&without_secrets(&word))).collect::<Vec<_>>().join(" ")
}

/// A URL as reports show it: without user, password and the values of its query, which may be tokens.
pub fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // Only URLs that cannot have a user refuse this.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    if url.query().is_some() {
        let names: Vec<_> = url.query_pairs().map(|(name, _)| format!("{name}=...")).collect();
        shown.set_query(Some(&names.join("&")));
    }
    shown.into()
}

fn without_secrets(word: &str) -> String {
    // An option may have its value in the same word.
    let (option, value) = match word.split_once('=') {
        Some((option, value)) if option.starts_with("--") => (format!("{option}="), value),
        _ => (String::new(), word),
    };
    match Url::parse(value) {
        Ok(url) if url.has_host() => option + &shown(&url),
        _ => word.to_owned(),
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,%@+".contains(c);
    let safe = !word.is_empty() && word.chars().all(plain);
    if safe { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.split_once(':')?.1.trim())
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    value(text, name)?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cores_memory_and_a_kernel() {
        let machine = Machine::read();
        assert!(machine.cores >= 1 && machine.memory_bytes > 1 << 20 && !machine.kernel.is_empty());
        assert!(machine.to_string().contains("Linux"), "{machine}");
        assert_eq!(kibibytes("MemFree: 1 kB\nMemTotal:       16 kB\n", "MemTotal"), Some(16));
    }

    #[test]
    fn what_urls_keep_secret_is_not_shown() {
        let secret = "http://me:pass@h:8889/cam/whep?token=abc&x=1";
        let shown = without_secrets(secret);
        assert_eq!(shown, "http://h:8889/cam/whep?token=...&x=...");
        assert_eq!(quoted(&shown), "'http://h:8889/cam/whep?token=...&x=...'");
        assert_eq!(without_secrets("--loss=5%"), "--loss=5%");
        assert_eq!(
            without_secrets("--also=http://me:pass@h/cam/whep?token=abc"),
            "--also=http://h/cam/whep?token=..."
        );
    }

    #[test]
    fn a_shell_reads_a_command_as_it_was() {
        assert_eq!(quoted("--require=loss<0.1%"), "'--require=loss<0.1%'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("--cores=1,2"), "--cores=1,2");
    }
}
