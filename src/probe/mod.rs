//! `sluice probe`: looks at a camera as the server would, and says what is there. A shell: it waits.
//!
//! Owns the options, the time and the exit code. The camera is read by the server's own session
//! ([`rtsp::once`]) into a sink that measures instead of publishing (`measure`); `report` judges, and `text` has
//! the words. Never reconnects, and never prints a password.

mod lines;
mod measure;
mod report;
mod text;

use std::cell::Cell;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use sluice_config::{Fingerprint, Rtsp, RtspUrl, StreamName};
use sluice_media::{AccessUnit, AudioFrame, Kind, SourceReport};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use self::measure::Measure;
use self::report::{Found, Report};
use crate::executor::Executor;
use crate::source::rtsp::{self, RtspSettings};
use crate::stream::{Formats, Sink, SourceState};

/// Exit code for a URL or a name that cannot be used; clap's own, too.
const BAD_USAGE: u8 = 2;

/// Exit code when the probe itself cannot run.
const CANNOT_RUN: u8 = 4;

/// Of the time that is given, the last part of so many is for the camera's word to TEARDOWN.
const FAREWELL_PART: u32 = 10;

/// Look at a camera as the server would, and say whether it plays in browsers and what to change.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
It ends as soon as it has seen enough (three keyframes in at least 4 s), or when the time is over. It never prints a \
password.

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
    let seen = Executor::source().and_then(|executor| executor.run(look(options, &url, &name)));
    let report = match seen {
        Ok(report) => report,
        Err(error) => return fail(options, &format!("it cannot run here: {error}"), CANNOT_RUN),
    };
    let text = if options.json { report.json() } else { report.to_string() };
    // Where nobody reads it the exit code still tells.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(report.exit_code)
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

/// Makes an attempt, or two where the camera has no TCP and nobody asked for it.
#[expect(clippy::disallowed_methods, reason = "this shell reads the clock")]
async fn look(options: &Options, url: &RtspUrl, name: &StreamName) -> std::io::Result<Report> {
    // Before the start, so that a signal during it is not lost.
    let mut stop = Stop {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        until: Instant::now() + (options.timeout - options.timeout / FAREWELL_PART),
    };
    let began = Instant::now();
    let mut transport = options.transport.map(sluice_config::Transport::from);
    loop {
        let mut settings = settings(url, name, transport, options.timeout);
        settings.rtsp.fingerprint = options.fingerprint;
        let enough = Notify::new();
        let mut sink = Probe { measure: Measure::default(), enough: &enough };
        let interrupted = Cell::new(false);
        let stopped = async {
            tokio::select! {
                () = enough.notified() => {}
                interrupt = stop.wait() => interrupted.set(interrupt),
            }
        };
        let outcome = rtsp::once(&settings, &mut sink, stopped, options.timeout / FAREWELL_PART).await;
        if transport.is_none() && outcome.failed.as_ref().is_some_and(|failed| failed.wants_udp) {
            transport = Some(sluice_config::Transport::Udp);
            continue;
        }
        return Ok(Report::new(&Found {
            address: settings.camera.address(),
            url,
            name,
            fingerprint: options.fingerprint,
            credentials: settings.camera.credentials.is_some(),
            outcome: &outcome,
            measure: &sink.measure,
            time: began.elapsed(),
            silence: sink.measure.silence(Instant::now()),
            interrupted: interrupted.get(),
        }));
    }
}

/// As the server treats a camera without a word in its configuration, but for time: what would be waited for longer
/// than the probe lasts fails within it, in the words for that.
fn settings(
    url: &RtspUrl,
    name: &StreamName,
    transport: Option<sluice_config::Transport>,
    time: Duration,
) -> RtspSettings {
    let usual = Rtsp::default();
    let patience = time * 3 / 4;
    let rtsp = Rtsp {
        transport: transport.unwrap_or(usual.transport),
        connect_timeout: usual.connect_timeout.min(patience),
        request_timeout: usual.request_timeout.min(patience),
        data_timeout: usual.data_timeout.min(patience),
        ..usual
    };
    RtspSettings { stream: name.to_string(), camera: url.clone(), rtsp }
}

/// What ends a probe that has not seen enough.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    until: Instant,
}

impl Stop {
    /// Whether it was a signal.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => true,
            () = tokio::time::sleep_until(self.until.into()) => false,
        }
    }
}

/// The sink: measures, and says when that is enough.
struct Probe<'a> {
    measure: Measure,
    enough: &'a Notify,
}

impl Probe<'_> {
    fn look(&self) {
        if self.measure.is_enough() {
            self.enough.notify_one();
        }
    }
}

impl Sink for Probe<'_> {
    fn state(&mut self, _: SourceState) {}

    fn begin(&mut self, formats: Formats, parameter_sets: &[Bytes]) {
        self.measure.begin(formats, parameter_sets);
    }

    fn video(&mut self, unit: AccessUnit) {
        self.measure.video(unit);
        self.look();
    }

    fn audio(&mut self, frame: AudioFrame) {
        self.measure.audio(&frame);
        self.look();
    }

    fn reported(&mut self, _: Kind, _: SourceReport) {}

    fn lost(&mut self, packets: u64) {
        self.measure.lost(packets);
    }

    fn remark(&mut self, notes: &[String]) {
        self.measure.remark(notes);
    }

    fn damaged_keyframe(&mut self, received: Instant) {
        self.measure.damaged_keyframe(received);
    }

    fn restarted(&mut self) {
        self.measure.restarted();
    }

    fn is_watched(&self) -> bool {
        true
    }
}
