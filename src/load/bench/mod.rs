//! `sluice bench`: the published figures, made again on one machine. A shell: it starts, waits and ends.
//!
//! Owns the list of profiles, signals, and where reports go. Each profile has a file of its own; all of
//! them take what they need from [`rig`] (the machine divided between a server and what loads it), compare
//! with [`floor`] (what the same bytes cost with nothing around them), and write a [`report`].
//!
//! Whoever adds a profile: make `Rig::new`, start processes through it only (they are killed, and the
//! namespaces deleted, when the rig's guards are dropped: at the end, on an error, on Ctrl-C), run rounds
//! alternately (A B A B), fold them with [`spread`], carry the generator's warnings into the report.
//! Everything is `async` only so that a signal can drop it.

#![allow(dead_code, reason = "the profiles that use the rest of the rig follow")]

mod child;
mod egress;
mod error;
mod floor;
mod machine;
mod measured;
mod options;
mod probe;
mod quality;
mod report;
mod rig;
mod site;
mod spread;

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::error::BenchError;
use self::report::Report;
use self::rig::Rig;
use super::{CANNOT_RUN, MISSED};

/// Which figures.
#[derive(Debug, clap::Subcommand)]
pub enum Bench {
    /// Figures.
    #[command(flatten)]
    Profile(Profile),
    /// The same bytes sealed and sent with nothing around them; the profiles start it.
    #[command(subcommand, hide = true)]
    Floor(floor::Command),
}

/// The profiles.
#[derive(Debug, clap::Subcommand)]
pub enum Profile {
    /// One stream to more and more viewers: does a packet cost the same?
    Egress(egress::Options),
    /// Is what viewers get good? Packets, a browser's pictures, joins, hours, the peak, on one page.
    Report(quality::Options),
}

/// Measures, prints the report, and writes it. The exit code is 0, 1 if something was
/// found bad, or 2 if something could not be measured.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command")]
pub fn run(bench: Bench) -> ExitCode {
    let profile = match bench {
        Bench::Profile(profile) => profile,
        Bench::Floor(command) => return floor::run(&command),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(BenchError::Start).and_then(|runtime| runtime.block_on(profile.report()));
    match outcome {
        Ok(report) => {
            print!("{report}");
            if report.failed { ExitCode::from(MISSED) } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("sluice bench: {error}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}

impl Profile {
    /// Measures. A signal drops what does, and with it every process and namespace.
    async fn report(&self) -> Result<Report, BenchError> {
        // Before anything is made that would have to be unmade.
        let mut signals = Signals::new()?;
        tokio::select! {
            biased;
            () = signals.next() => Err(BenchError::Interrupted),
            report = self.measure() => report,
        }
    }

    async fn measure(&self) -> Result<Report, BenchError> {
        match self {
            Profile::Egress(options) => {
                let rig = Rig::new("egress", &options.common)?;
                egress::run(&rig, options).await?.written(&rig, &options.common)
            }
            Profile::Report(options) => {
                let rig = Rig::new("report", &options.common)?;
                quality::run(&rig, options).await?.written(&rig, &options.common)
            }
        }
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Signals, BenchError> {
        let listen = |kind| signal(kind).map_err(BenchError::Start);
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Says what is being done, on standard error: a bench takes minutes.
#[expect(clippy::print_stderr, reason = "this is a command")]
fn tell(what: &str) {
    eprintln!("sluice bench: {what}");
}
