//! `sluice doctor`: what is right and wrong with a machine that is to serve thousands of viewers, and what mends it.
//!
//! Owns the options and the exit code. `read` gathers facts, `machine` and `service` judge them, `finding` has the words
//! of the report. Changes nothing.

mod facts;
mod finding;
mod machine;
mod read;
mod service;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sluice_config::Config;

use self::finding::Report;

/// Exit code when something is bad.
const BAD: u8 = 1;

/// Look at this machine as the server would: what is good, what is bad, and what mends it.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
It changes nothing. Run it as the user that the server runs as, or as root for what only root may see. A train of two \
datagrams of one byte goes to port 9 of a neighbour by each interface.

Exit codes:
  0  nothing is bad
  1  something is
  2  the configuration cannot be used")]
pub struct Options {
    /// The configuration file that the server has.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set a key, over the file and the environment, as the server would; lists have commas: A,B. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Looks, and prints what it found.
///
/// # Errors
///
/// The kernel's, when it gives no runtime.
pub fn run(config: &Config, json: bool) -> std::io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let facts = runtime.block_on(read::facts(config));
    // A name that is still being resolved sits in a thread that cannot be stopped.
    runtime.shutdown_background();
    let report = Report::new([machine::judge(&facts), service::judge(&facts)].concat());
    let text = match json {
        true => format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default()),
        false => report.to_string(),
    };
    // Where nobody reads it the exit code still tells.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if report.bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(BAD) })
}
