//! `sluice load`: real viewers and cameras in great number, for our server or any other.
//!
//! [`client`] is one viewer without a socket: tests can use it too, and [`srtp`] and [`rtcp`] to write as a viewer of
//! their own. [`worker`] runs thousands of them on pinned threads, [`whep`] paces them, [`report`] adds up.
//! [`cameras`] are what a server pulls. Nothing here knows how our server works inside: it measures what arrives.
//! docs/LOAD_TESTING.md is for those who run it.

pub mod cameras;
pub mod client;
pub mod delay;
pub mod distribution;
mod formats;
pub mod frames;
pub mod gone;
mod html;
pub mod http;
pub mod impair;
pub mod machine;
mod nack;
pub mod options;
pub mod packet;
pub mod process;
pub mod report;
pub mod require;
pub mod rtcp;
pub mod sequence;
pub mod series;
pub mod srtp;
mod summary;
mod table;
pub mod tls;
mod track;
pub mod whep;
pub mod worker;

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod opening_tests;

use std::io::{Error, Result};
use std::path::Path;
use std::process::ExitCode;

use options::Options;

/// Exit code when a bound was not kept, or nothing could be measured.
pub const MISSED: u8 = 1;

/// Exit code when the test could not be run.
pub const CANNOT_RUN: u8 = 2;

/// What to load.
#[derive(Debug, clap::Subcommand)]
pub enum Load {
    /// Join as WHEP viewers, receive, and report loss, times and costs.
    Whep(Box<Options>),
    /// Be cameras: RTSP servers that repeat a clip, and misbehave on demand.
    Cameras(Box<cameras::Options>),
}

/// Runs a load test and prints its report. The exit code is 0 if every bound was kept.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command")]
pub fn run(load: Load) -> ExitCode {
    let options = match load {
        Load::Whep(options) => options,
        Load::Cameras(options) => return cameras::run(&options),
    };
    let files = [options.json.as_deref(), options.report.as_deref()];
    if let Err(error) = files.into_iter().flatten().try_for_each(check_writable) {
        eprintln!("sluice load: {error}");
        return ExitCode::from(CANNOT_RUN);
    }
    let report = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(whep::LoadError::from)
        .and_then(|runtime| runtime.block_on(whep::run(&options)));
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            eprintln!("sluice load: {error}");
            return ExitCode::from(CANNOT_RUN);
        }
    };
    print!("{}", table::Table(&report));
    let json = || serde_json::to_string_pretty(&report).map(|text| text + "\n").map_err(Error::from);
    let html = || Ok(html::Html(&report).to_string());
    if let Err(error) =
        write(options.json.as_deref(), json).and_then(|()| write(options.report.as_deref(), html))
    {
        eprintln!("sluice load: {error}");
        return ExitCode::from(CANNOT_RUN);
    }
    let nothing_measured = report.measured_seconds == 0.0 || report.totals.packets == 0;
    if report.missed.is_empty() && !nothing_measured { ExitCode::SUCCESS } else { ExitCode::from(MISSED) }
}

/// A report that cannot be written is told before a test of hours, not behind it. What is there stays.
fn check_writable(file: &Path) -> Result<()> {
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .map(drop)
        .map_err(|error| named(file, error))
}

/// Writes a report to a file, if there is to be one.
fn write(file: Option<&Path>, text: impl FnOnce() -> Result<String>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    text().and_then(|text| std::fs::write(file, text)).map_err(|error| named(file, error))
}

fn named(file: &Path, error: Error) -> Error {
    Error::new(error.kind(), format!("the report cannot be written to {}: {error}", file.display()))
}
