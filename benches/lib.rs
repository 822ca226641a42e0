//! `sluice bench`: the published figures, made again on one machine. A shell: it starts, waits and ends.
//!
//! Owns the list of profiles, signals, and where reports go. Each profile has a file of its own; all of
//! them take what they need from `rig` (the machine divided between a server and what loads it), compare
//! with `floor` (what the same bytes cost with nothing around them), and write a `report`.
//!
//! Whoever adds a profile: take a `Rig`, start processes through it only (they are killed, and the
//! namespaces deleted, when the rig's guards are dropped: at the end, on an error, on Ctrl-C), run rounds
//! alternately (A B A B), fold them with `spread`, carry the generator's warnings into the report.
//! Everything is `async` only so that a signal can drop it.

mod cameras;
mod capacity;
mod child;
mod churn;
mod clip;
mod clock;
mod compare;
mod egress;
mod error;
mod flatness;
pub mod floor;
mod histogram;
mod join;
mod loss;
mod measured;
mod options;
mod overload;
mod probe;
mod quality;
mod report;
mod rig;
mod setting;
pub mod sink;
mod site;
mod soak;
mod spread;

use std::process::ExitCode;

use sluice_load::{CANNOT_RUN, MISSED};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::error::BenchError;
use self::options::Common;
use self::report::Report;
use self::rig::Rig;
use self::site::Site;

/// The profiles.
#[derive(Debug, clap::Subcommand)]
pub enum Profile {
    /// One stream to more and more viewers: does a packet cost the same?
    Egress(egress::Options),
    /// Many cameras with a few viewers each.
    Cameras(cameras::Options),
    /// A rush of joins: what do those who watch notice?
    Join(join::Options),
    /// Sessions come and go: is memory flat?
    Churn(churn::Options),
    /// A bad last mile, with repair and without.
    Loss(loss::Options),
    /// Twice as many viewers as the core carries: who gets what?
    Overload(overload::Options),
    /// Hours, with a row a minute.
    Soak(soak::Options),
    /// This server and any other that runs here, by the same viewers in turn.
    Compare(compare::Options),
    /// How many viewers of a clip this server and others carry at a given load.
    Capacity(capacity::Options),
    /// Is what viewers get good? Packets, a browser's pictures, joins, hours, the peak, on one page.
    Report(quality::Options),
}

/// Measures, prints the report, and writes it. `version` is that of the program with its commit. The exit code is 0,
/// 1 if something was found bad, or 2 if something could not be measured.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command")]
pub fn run(profile: &Profile, version: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome =
        runtime.map_err(BenchError::Start).and_then(|runtime| runtime.block_on(profile.report(version)));
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
    /// Measures and writes the report. A signal drops what measures, and with it every process and namespace.
    async fn report(&self, version: &str) -> Result<Report, BenchError> {
        // Before anything is made that would have to be unmade.
        let mut signals = Signals::new()?;
        let (name, common) = self.common();
        let measures_once = matches!(self, Profile::Churn(_) | Profile::Soak(_) | Profile::Report(_));
        if measures_once && common.rounds.is_some() {
            return Err(BenchError::Rounds(name));
        }
        let site = match self {
            Profile::Compare(_) => compare::site(common)?,
            Profile::Cameras(options) => cameras::site(options)?,
            _ => Site::new(common.network)?,
        };
        let rig = Rig::new(name, version, common, site)?;
        let report = match self {
            Profile::Egress(options) => signals.unless(egress::run(&rig, options)).await,
            Profile::Cameras(options) => signals.unless(cameras::run(&rig, options)).await,
            Profile::Join(options) => signals.unless(join::run(&rig, options)).await,
            Profile::Churn(options) => signals.unless(churn::run(&rig, options)).await,
            Profile::Loss(options) => signals.unless(loss::run(&rig, options)).await,
            Profile::Overload(options) => signals.unless(overload::run(&rig, options)).await,
            Profile::Compare(options) => signals.unless(compare::run(&rig, options)).await,
            Profile::Capacity(options) => signals.unless(capacity::run(&rig, options)).await,
            Profile::Report(options) => signals.unless(quality::run(&rig, options)).await,
            // Hours of rows are worth a report, even if they end early.
            Profile::Soak(options) => soak::run(&rig, options, &mut signals).await,
        };
        report?.written(&rig, common)
    }

    /// Its name, and the options that all have.
    fn common(&self) -> (&'static str, &Common) {
        match self {
            Profile::Egress(options) => ("egress", &options.common),
            Profile::Cameras(options) => ("cameras", &options.common),
            Profile::Join(options) => ("join", &options.common),
            Profile::Churn(options) => ("churn", &options.common),
            Profile::Loss(options) => ("loss", &options.common),
            Profile::Overload(options) => ("overload", &options.common),
            Profile::Soak(options) => ("soak", &options.common),
            Profile::Compare(options) => ("compare", &options.common),
            Profile::Capacity(options) => ("capacity", &options.common),
            Profile::Report(options) => ("report", &options.common),
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

    /// What `measuring` gives, unless a signal comes before: then it is dropped in the middle.
    async fn unless<T>(
        &mut self,
        measuring: impl Future<Output = Result<T, BenchError>>,
    ) -> Result<T, BenchError> {
        tokio::select! {
            biased;
            () = self.next() => Err(BenchError::Interrupted),
            measured = measuring => measured,
        }
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
