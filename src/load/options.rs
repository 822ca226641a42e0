//! The command line of `sluice load whep`, and whether what it asks for can be done on this machine.
//!
//! Owns defaults, units and limits. Never starts anything.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

use super::impair::Impairment;
use super::process;
use super::require::Requirement;
use super::tls::Trust;

/// Files beside the viewers' sockets: epolls, standard streams, `/proc`, and HTTP connections.
const OTHER_FILES: u64 = 64 + MAX_REQUESTS as u64;

/// HTTP requests at a time. More of them measure the accept queue, not the server.
pub const MAX_REQUESTS: usize = 128;

/// Viewers at the most: what one machine has ports for, with a few source addresses.
const VIEWERS_MAX: u32 = 200_000;

/// Real WHEP viewers against any WHEP server, in one process.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// WHEP endpoint, such as http://127.0.0.1:8889/demo/whep
    #[arg(value_name = "URL")]
    pub url: Url,
    /// Another endpoint; viewers are spread over all of them in turn. May be repeated
    #[arg(long, value_name = "URL")]
    pub also: Vec<Url>,
    /// Whom https:// is believed.
    #[command(flatten)]
    pub trust: Trust,
    /// How many viewers watch at a time.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWERS_MAX)))]
    pub viewers: u32,
    /// Joins a second.
    #[arg(long, default_value_t = 100.0, value_parser = rate)]
    pub rate: f64,
    /// How long to measure once all have joined (or failed to): 10s, 5m, 2h.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// While measuring: viewers that leave and are replaced, per second.
    #[arg(long, default_value_t = 0.0, value_parser = rate_or_none)]
    pub churn: f64,
    /// While measuring: offers that are never followed by a connection, per second.
    #[arg(long, default_value_t = 0.0, value_parser = rate_or_none)]
    pub abandon: f64,
    /// One viewer in K decrypts and checks everything (H.264, H.265); 0 for none.
    #[arg(long, default_value_t = 0, value_name = "K")]
    pub verify: u32,
    /// Ask for missing packets again, as browsers do.
    #[arg(long, default_value = "on")]
    pub nack: Switch,
    /// Lose packets on arrival: 5% or 0.05
    #[arg(long, default_value = "0", value_name = "SHARE", value_parser = share)]
    pub loss: f64,
    /// Lose packets in bursts of this mean length, beginning at this share of packets: 0.2%x8
    #[arg(long, value_name = "SHARExLENGTH", value_parser = burst)]
    pub burst_loss: Option<Burst>,
    /// Let a share of packets arrive after the three behind them.
    #[arg(long, default_value = "0", value_name = "SHARE", value_parser = share)]
    pub reorder: f64,
    /// Let a share of packets arrive twice.
    #[arg(long, default_value = "0", value_name = "SHARE", value_parser = share)]
    pub duplicate: f64,
    /// Decides every loss and who leaves: the same seed does the same.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Receiving threads; by default one for each of --cores, else one.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Pin the receiving threads to these cores: 1,2,3
    #[arg(long, value_delimiter = ',', value_name = "CORE")]
    pub cores: Vec<usize>,
    /// Bind viewers to these addresses in turn; by default the one that reaches the server.
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS")]
    pub source_addresses: Vec<IpAddr>,
    /// Process of the server, on this machine, to account for; may be repeated (a proxy, say).
    #[arg(long, value_name = "PID")]
    pub server_pid: Vec<u32>,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as one HTML file with curves over time; it needs no network.
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// A bound to keep, or exit with 1: 'loss<0.1%', 'join_p99<500ms'; may be repeated.
    #[arg(long, value_name = "BOUND")]
    pub require: Vec<Requirement>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// Bursts of loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    share: f64,
    length: f64,
}

/// Why a test cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Too few open files.
    #[error(
        "{viewers} viewers need {needed} open files and this shell allows {allowed}: run `ulimit -n {needed}` \
         first (as root, or after raising `nofile` in /etc/security/limits.conf), or take fewer viewers"
    )]
    Files {
        /// Viewers asked for.
        viewers: u32,
        /// Files they need.
        needed: u64,
        /// Files there are.
        allowed: u64,
    },
    /// Too few ports.
    #[error(
        "{viewers} viewers from {addresses} address(es) need more UDP ports than the {ports} of \
         net.ipv4.ip_local_port_range: run `sysctl -w net.ipv4.ip_local_port_range='1025 65535'`, or give \
         more --source-addresses (on loopback all of 127.0.0.0/8 works)"
    )]
    Ports {
        /// Viewers asked for.
        viewers: u32,
        /// Addresses they share.
        addresses: u64,
        /// Ports of each.
        ports: u64,
    },
    /// A core that this process may not use.
    #[error("core {core} is not among the cores this process may use ({usable}): see `taskset -p $$`")]
    Core {
        /// The core asked for.
        core: usize,
        /// Those there are.
        usable: String,
    },
    /// A server process that cannot be read.
    #[error(
        "no process among {0:?} can be read in /proc: --server-pid takes running processes of this machine"
    )]
    Process(Vec<u32>),
}

impl Options {
    /// How many receiving threads there are.
    pub fn threads(&self) -> usize {
        self.threads.map_or(self.cores.len().max(1), usize::from)
    }

    /// The last mile of every viewer.
    pub fn impairment(&self) -> Impairment {
        let burst = self.burst_loss.unwrap_or(Burst { share: 0.0, length: 1.0 });
        Impairment {
            loss: self.loss,
            burst: burst.share,
            // The default impairment has none, and must equal this one then.
            burst_length: if burst.share > 0.0 { burst.length } else { 0.0 },
            reorder: self.reorder,
            duplicate: self.duplicate,
        }
    }

    /// Checks what the machine allows, before anything is started.
    pub fn check_limits(&self) -> Result<(), LimitError> {
        let viewers = self.viewers;
        // A replaced viewer's socket may still be open while its successor joins.
        let needed = u64::from(viewers) + self.churn.ceil() as u64 + OTHER_FILES;
        let allowed = process::open_files_limit().unwrap_or(u64::MAX);
        if needed > allowed {
            return Err(LimitError::Files { viewers, needed, allowed });
        }
        let addresses = self.source_addresses.len().max(1) as u64;
        let ports = process::ephemeral_ports().unwrap_or(u64::MAX);
        if u64::from(viewers) > ports.saturating_mul(addresses) {
            return Err(LimitError::Ports { viewers, addresses, ports });
        }
        let usable: Vec<usize> = sluice_io::affinity::cores().iter().map(|core| core.index()).collect();
        if let Some(&core) = self.cores.iter().find(|core| !usable.contains(core)) {
            let usable = usable.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            return Err(LimitError::Core { core, usable });
        }
        if !self.server_pid.is_empty() && process::Sample::of_all(&self.server_pid).is_none() {
            return Err(LimitError::Process(self.server_pid.clone()));
        }
        Ok(())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err("write a time with its unit: 500ms, 10s, 5m or 2h".to_owned()),
    };
    let seconds = number.parse::<f64>().map_err(|_| format!("{number:?} is not a number"))? * factor;
    if !(0.1..=604_800.0).contains(&seconds) {
        return Err("a test lasts between 100ms and a week (168h)".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn rate(text: &str) -> Result<f64, String> {
    rate_or_none(text).and_then(|rate| if rate > 0.0 { Ok(rate) } else { Err("more than 0".to_owned()) })
}

fn rate_or_none(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=10_000.0).contains(&rate) => Ok(rate),
        _ => Err("a number a second, 10000 at the most".to_owned()),
    }
}

pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (number, factor) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 0.01));
    match number.parse::<f64>().map(|number| number * factor) {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share from 0 to 1, or a percentage: 0.05 or 5%".to_owned()),
    }
}

fn burst(text: &str) -> Result<Burst, String> {
    let (begins, length) = text.split_once('x').ok_or("a share and a length: 0.2%x8")?;
    match length.parse() {
        Ok(length) if (1.0..=10_000.0).contains(&length) => Ok(Burst { share: share(begins)?, length }),
        _ => Err("a burst is at least 1 packet long: 0.2%x8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let line = ["load", "http://h/whep"].iter().chain(arguments);
        Line::try_parse_from(line).map(|line| line.options).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_impaired_unless_asked_for() {
        let options = parse(&[]).expect("the defaults");
        assert_eq!(options.impairment(), Impairment::default());
        assert_eq!((options.threads(), options.duration), (1, Duration::from_secs(10)));
    }

    #[test]
    fn shares_bursts_and_times_have_units() {
        let options = parse(&["--loss", "5%", "--burst-loss", "0.2%x8", "--duration", "1.5m"]).expect("good");
        let impairment = options.impairment();
        assert_eq!((impairment.loss, impairment.burst, impairment.burst_length), (0.05, 0.002, 8.0));
        assert_eq!(options.duration, Duration::from_secs(90));
        assert_eq!(parse(&["--cores", "1,2"]).expect("good").threads(), 2);
    }

    #[test]
    fn nonsense_is_refused_with_the_way_out() {
        for (arguments, word) in [
            (["--duration", "10"], "10s"),
            (["--duration", "1ms"], "100ms"),
            (["--loss", "6"], "5%"),
            (["--burst-loss", "1%"], "0.2%x8"),
            (["--burst-loss", "1%x0"], "at least 1"),
            (["--viewers", "0"], "1..="),
            (["--rate", "0"], "more than 0"),
            (["--require", "loss"], "loss<0.1%"),
        ] {
            let error = parse(&arguments).expect_err(arguments[1]);
            assert!(error.contains(word), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn more_viewers_than_ports_are_refused_before_anything_starts() {
        let options = parse(&["--viewers", "200000"]).expect("good");
        let error = options.check_limits().expect_err("no machine has that many").to_string();
        assert!(error.contains("ulimit -n") || error.contains("ip_local_port_range"), "{error}");
    }
}
