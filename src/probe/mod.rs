//! `sluice probe`: looks at a camera as the server would, and says what is there.
//!
//! Owns the options and the exit code. `look` reads the camera and measures it (`measure`); `report` judges, and `text` has
//! the words; `service` looks for others who ask. Never prints a password.

mod lines;
mod look;
mod measure;
mod pair;
mod report;
mod service;
mod text;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sluice_config::{Fingerprint, Misfit, RtspUrl, StreamName};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use self::report::Report;
pub use self::service::{NoReport, Probes, Question};

use self::look::{Wanted, look};
use crate::executor::Executor;

/// Exit code for a URL or a name that cannot be used; clap's own, too.
const BAD_USAGE: u8 = 2;

/// Exit code when the probe itself cannot run.
const CANNOT_RUN: u8 = 4;

/// Look at a camera as the server would, and say whether it plays in browsers and what to change.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
It ends as soon as it has seen enough (three keyframes in at least 4 s), or when the time is over. Where the URL is one \
whose maker is known it looks at the camera's second stream as well. It never prints a password.

Exit codes:
  0  the camera plays in browsers, perhaps with a flaw that is named
  1  it was reached and does not play
  2  the URL or an option cannot be used
  3  it was not reached, or does not let us in
  4  this machine refused what the probe needs")]
pub struct Options {
    /// The camera: rtsp://user:password@host/path, or by rtsps://, rtsp+http://, rtsp+https://
    #[arg(value_name = "URL")]
    url: String,
    /// How media shall come [default: tcp, then udp if the camera says that it has nothing else]
    #[arg(long, value_name = "TRANSPORT")]
    transport: Option<Transport>,
    /// The SHA-256 of its certificate, for a camera by rtsps:// whose own it is
    #[arg(long, value_name = "SHA256")]
    fingerprint: Option<Fingerprint>,
    /// For all of it, as in 10s or 1m; from 1s to 10m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    timeout: Duration,
    /// Name of the stream in the lines for the configuration file
    #[arg(long, value_name = "NAME", default_value = "cam1")]
    name: String,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// The names of `rtsp.transport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    Tcp,
    Udp,
    Auto,
    Multicast,
}

impl From<Transport> for sluice_config::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => sluice_config::Transport::Tcp,
            Transport::Udp => sluice_config::Transport::Udp,
            Transport::Auto => sluice_config::Transport::Auto,
            Transport::Multicast => sluice_config::Transport::Multicast,
        }
    }
}

/// A time on the command line. An hour of waiting is a mistake.
fn time(text: &str) -> Result<Duration, String> {
    let time = sluice_config::parse_duration(text).map_err(|error| error.to_string())?;
    let good = (Duration::from_secs(1)..=Duration::from_secs(600)).contains(&time);
    if good { Ok(time) } else { Err("must be from 1s to 10m".to_owned()) }
}

/// Looks at a camera and prints what it found.
pub fn run(options: &Options) -> ExitCode {
    // Read here and not by clap, which repeats what it cannot read: a password may be in it.
    let url = options.url.parse().map_err(|error| format!("{error}: write rtsp://user:password@host/path"));
    let name = options.name.parse().map_err(|error: sluice_config::StreamNameError| error.to_string());
    let (url, name): (RtspUrl, StreamName) = match (url, name) {
        (Ok(url), Ok(name)) => (url, name),
        (Err(why), _) | (_, Err(why)) => return fail(options, &why, BAD_USAGE),
    };
    let transport = options.transport.map(sluice_config::Transport::from);
    let (fingerprint, time) = (options.fingerprint, options.timeout);
    if let Some(why) = misfit(&url, transport, fingerprint) {
        return fail(options, &why, BAD_USAGE);
    }
    let wanted = Wanted { url, name, transport, fingerprint, time, reach: None };
    let seen = Executor::source().and_then(|executor| {
        executor.run(async {
            // Before the start, so that one during it is not lost.
            let mut signals = Signals::new()?;
            Ok(look(&wanted, signals.wait()).await)
        })
    });
    let report = match seen {
        Ok(report) => report,
        Err(error) => return fail(options, &format!("it cannot run here: {error}"), CANNOT_RUN),
    };
    let text = if options.json { report.json() } else { report.to_string() };
    // Where nobody reads it the exit code still tells.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(report.exit_code)
}

/// What `sluice check` would refuse of a stream that says so of its camera, in its words.
pub(crate) fn misfit(
    url: &RtspUrl,
    transport: Option<sluice_config::Transport>,
    fingerprint: Option<Fingerprint>,
) -> Option<String> {
    let misfits = Misfit::all(&[url.line()], transport, fingerprint.is_some());
    let told: Vec<String> =
        misfits.iter().map(|misfit| format!("the camera {misfit}: {}", misfit.help())).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Says why there is no report.
fn fail(options: &Options, why: &str, code: u8) -> ExitCode {
    let _ = if options.json {
        let error = serde_json::json!({ "plays": "no", "exit_code": code, "reasons": [why] });
        std::io::stdout().write_all(format!("{error:#}\n").as_bytes())
    } else {
        std::io::stderr().write_all(format!("sluice probe: {why}\n").as_bytes())
    };
    ExitCode::from(code)
}

/// What ends a probe before it has seen enough, if somebody sends it.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
