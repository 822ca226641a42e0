//! `sluice bench report`: is what viewers get good? One page of checks, each with its verdict.
//!
//! Owns the order of the checks and the page. Each check has a file of its own, takes a server that runs, and
//! gives a [`Check`]; a tool that is missing makes a check unchecked, never good. All checks use one server, so
//! that what the first ones leave behind shows in the later ones and in the readings between them.
//!
//! ```text
//! readings -> packets -> browser -> pictures -> stability -> peak -> readings
//! ```

mod browser;
mod check;
mod chromium;
mod packets;
mod peak;
mod pictures;
mod reading;
mod source;
mod ssim;
mod stability;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use self::check::{Check, Verdict};
use self::reading::Readings;
use super::error::BenchError;
use super::options::Common;
use super::report::{Report, Table};
use super::rig::{Rig, Serving};
use super::tell;

/// The quality report.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    pub common: Common,
    /// Viewers of the checks of packets, joins and stability [default: 100, with --quick 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub viewers: Option<u32>,
    /// Joins of a browser [default: 20, with --quick 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub joins: Option<u32>,
    /// Pictures of the browser's that are compared with the source [default: 8, with --quick 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=100))]
    pub pictures: Option<u32>,
    /// How long stability is watched, in hours, as in 0.5 or 24 [default: 1 minute, with --quick 5 seconds]
    #[arg(long, value_name = "H", value_parser = hours)]
    pub hours: Option<Duration>,
    /// Viewers at the peak, unless the limit of the server comes first [default: 3200, with --quick 80]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub peak_viewers: Option<u32>,
    /// The browser [default: chromium, chromium-browser or google-chrome, wherever $PATH has one]
    #[arg(long, value_name = "FILE")]
    pub chromium: Option<PathBuf>,
}

impl Options {
    fn viewers(&self) -> u32 {
        self.viewers.unwrap_or(if self.common.quick { 10 } else { 100 })
    }

    fn joins(&self) -> u32 {
        self.joins.unwrap_or(if self.common.quick { 5 } else { 20 })
    }

    fn pictures(&self) -> u32 {
        self.pictures.unwrap_or(if self.common.quick { 4 } else { 8 })
    }

    fn stability(&self) -> Duration {
        self.hours.unwrap_or(Duration::from_secs(if self.common.quick { 5 } else { 60 }))
    }

    fn peak_viewers(&self) -> u32 {
        self.peak_viewers.unwrap_or(if self.common.quick { 80 } else { 3_200 })
    }

    /// How long packets are counted in each load test of a check.
    fn measuring(&self) -> Duration {
        Duration::from_secs(if self.common.quick { 3 } else { 20 })
    }
}

/// Runs all checks, each once, against a server that shows the demo. Rounds are for figures; here are verdicts.
pub async fn run(rig: &Rig, options: &Options) -> Result<Report, BenchError> {
    let mut server = rig.server(&Serving::demo(options.viewers().max(options.peak_viewers()))).await?;
    let mut readings = Readings::default();
    let mut checks = Vec::new();

    readings.take("before", &mut server).await?;
    tell("packets and joins of plain viewers");
    checks.extend(packets::check(rig, &server, options).await?);
    tell("joins and pictures of a browser");
    let seen = browser::watch(rig, &server, options).await?;
    checks.push(browser::check(seen.as_ref(), options));
    checks.push(pictures::check(rig, seen.as_ref())?);
    tell(&format!("stability, for {:?}", options.stability()));
    checks.push(stability::check(rig, &mut server, options).await?);
    readings.take("after all of that", &mut server).await?;
    checks.push(peak::check(rig, &server, options).await?);
    readings.take("after the peak", &mut server).await?;
    checks.push(readings.check());

    Ok(page(rig, checks, &readings))
}

fn page(rig: &Rig, checks: Vec<Check>, readings: &Readings) -> Report {
    let mut report = Report::new("Quality report", rig);
    report.failed = checks.iter().any(|check| check.verdict == Verdict::Bad);
    let mut table = Table::new(&["check", "verdict", "measured"]);
    for check in &checks {
        table.row([check.name.to_owned(), check.verdict.to_string(), check.measured.clone()]);
    }
    report.table(table);
    for check in &checks {
        report.heading(check.name);
        report.text(check.how.clone());
        if let Some(table) = &check.table {
            report.table(table.clone());
        }
        for doubt in &check.doubts {
            report.warn(check.name, doubt);
        }
    }
    report.set_figures(&json!({ "checks": checks, "readings": readings }));
    report
}

/// The first of these programs in `$PATH`.
fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let in_order =
        names.iter().flat_map(|name| directories.iter().map(move |directory| directory.join(name)));
    in_order.into_iter().find(|file| file.is_file())
}

fn hours(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(hours) if (0.001..=168.0).contains(&hours) => Ok(Duration::from_secs_f64(hours * 3_600.0)),
        _ => Err("a number of hours from 0.001 to 168 (a week), as in 0.5 or 24".to_owned()),
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

    fn parse(line: &str) -> Result<Options, String> {
        let words = ["report"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.options).map_err(|error| error.to_string())
    }

    #[test]
    fn quick_is_small_and_what_is_said_wins() {
        let quick = parse("--quick --joins 7 --hours 0.5").expect("good");
        assert_eq!((quick.viewers(), quick.joins()), (10, 7));
        assert_eq!(quick.stability(), Duration::from_secs(1_800));
        assert!(quick.measuring() < parse("").expect("the defaults").measuring());
    }

    #[test]
    fn nonsense_is_refused() {
        for (line, word) in [("--hours 0", "hours"), ("--hours x", "hours"), ("--pictures 1", "2..")] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
