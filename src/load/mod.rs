//! `sluice load`: real viewers and cameras in great number, for our server or any other.
//!
//! [`client`] is one viewer without a socket: tests can use it too, and [`srtp`] and [`rtcp`] to write as a viewer of
//! their own. [`worker`] runs thousands of them on
//! pinned threads, [`whep`] paces them, [`report`] adds up. [`cameras`] are what a server pulls. Nothing
//! here knows how our server works inside: it measures what arrives. docs/LOAD_TESTING.md is for those who
//! run it.

pub mod cameras;
pub mod client;
pub mod dtls;
mod formats;
pub mod frames;
pub mod http;
pub mod impair;
mod nack;
pub mod options;
pub mod packet;
pub mod process;
pub mod report;
pub mod require;
pub mod rtcp;
pub mod sequence;
pub mod srtp;
mod table;
mod track;
pub mod whep;
pub mod worker;

use std::process::ExitCode;

use options::Options;

/// Exit code when a bound was not kept, or nothing could be measured.
const MISSED: u8 = 1;

/// Exit code when the test could not be run.
const CANNOT_RUN: u8 = 2;

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
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report).map_err(std::io::Error::from);
        if let Err(error) = text.and_then(|text| std::fs::write(file, text + "\n")) {
            eprintln!("sluice load: the report cannot be written to {}: {error}", file.display());
            return ExitCode::from(CANNOT_RUN);
        }
    }
    let nothing_measured = report.measured_seconds == 0.0 || report.totals.packets == 0;
    if report.missed.is_empty() && !nothing_measured { ExitCode::SUCCESS } else { ExitCode::from(MISSED) }
}
