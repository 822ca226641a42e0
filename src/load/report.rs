//! What a load test found: figures, warnings, and whether they can be trusted.
//!
//! Owns the arithmetic from counts to figures. Never prints (that is `table` and `html`). `costs` is what
//! both sides spent, `doubts` what makes figures doubtful, `figures` what bounds call them.

mod costs;
mod doubts;
mod figures;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

pub use costs::{Generator, Server};
use serde::{Deserialize, Serialize};

use super::client::Totals;
use super::distribution::Distribution;
use super::frames::Verdict;
use super::gone::{Gone, Mark};
use super::machine::Machine;
use super::process::Sample;
use super::series::{Recorder, Series};

/// What was asked for, of what, where and when.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The endpoint, without secrets.
    pub url: String,
    /// The other endpoints.
    pub also: Vec<String>,
    /// Viewers asked for.
    pub viewers: u32,
    /// The command line, without secrets.
    pub command: String,
    /// The generator's machine.
    pub machine: Machine,
    /// When the test began.
    pub started: SystemTime,
}

/// Everything that a run wrote down.
#[derive(Debug, Default)]
pub struct Run {
    /// Joins begun.
    pub attempted: u64,
    /// Joins that connected.
    pub joined: u64,
    /// Joins that failed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Why the first of each was refused, if the server says it.
    pub why: BTreeMap<String, String>,
    /// Viewers that had connected and ended before their time, by reason.
    pub ended: BTreeMap<String, u64>,
    /// Offers made and left alone.
    pub abandoned: u64,
    /// The test was interrupted.
    pub interrupted: bool,
    /// Joins that could not be begun in time: the coordinator's own lateness at the worst.
    pub lateness: Duration,
    /// The server before the first join.
    pub before: Option<Sample>,
    /// How long joining took.
    pub joining: Duration,
    /// The measurement, if it came to one.
    pub window: Option<Window>,
    /// All viewers there were.
    pub gone: Gone,
    /// The course of counts.
    pub recorder: Option<Recorder>,
}

/// The time between the end of joining and the end of the test.
#[derive(Debug, Default)]
pub struct Window {
    /// Its length.
    pub length: Duration,
    /// The workers' counts at its beginning and end.
    pub workers: Vec<(Mark, Mark)>,
    /// The server at its beginning and end.
    pub server: Option<(Sample, Sample)>,
}

/// A finished test, as it is written and read again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Version of the generator.
    pub version: String,
    /// The command line, without secrets.
    pub command: String,
    /// The generator's machine.
    pub machine: Machine,
    /// When the test began, in seconds since 1970.
    pub started_at: u64,
    /// The endpoint, without secrets.
    pub url: String,
    /// The other endpoints, without secrets.
    #[serde(default)]
    pub also: Vec<String>,
    /// Viewers asked for.
    pub viewers: u32,
    /// Joins begun, connected, failed by reason.
    pub attempted: u64,
    /// Joins that connected.
    pub joined: u64,
    /// Joins that failed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Why the first of each of these was refused, if the server says it.
    pub why: BTreeMap<String, String>,
    /// Viewers that ended before their time, by reason.
    pub ended: BTreeMap<String, u64>,
    /// Viewers that connected and never got a packet.
    pub silent: u64,
    /// Viewers that had no packet for more than 2 s in one of their streams.
    pub stalled: u64,
    /// Offers made and left alone.
    pub abandoned: u64,
    /// The test was interrupted.
    pub interrupted: bool,
    /// Seconds that joining took.
    pub joining_seconds: f64,
    /// Seconds measured; the rates below are over these.
    pub measured_seconds: f64,
    /// Packets a second.
    pub packets_per_second: f64,
    /// Bits a second, without UDP and IP headers.
    pub bits_per_second: f64,
    /// Time to connect.
    pub join: Distribution,
    /// Time to the first packet.
    pub first_packet: Distribution,
    /// Longest gap of each viewer.
    pub gap: Distribution,
    /// Interarrival jitter of each viewer.
    pub jitter: Distribution,
    /// From a picture's send time, which only the cameras of `sluice load cameras` write, until a verifying
    /// viewer had all of it.
    pub delay: Distribution,
    /// Counts of the whole test.
    pub totals: Totals,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that did not come the first time.
    pub lost_before_repair: u64,
    /// What verification found.
    pub verified: Verdict,
    /// Viewers that verified.
    pub verifiers: u64,
    /// The server, if it could be looked at.
    pub server: Option<Server>,
    /// The generator.
    pub generator: Generator,
    /// What makes figures doubtful.
    pub warnings: Vec<String>,
    /// Bounds that were not kept.
    pub missed: Vec<String>,
    /// The course of the test over time.
    pub series: Series,
}

impl Report {
    /// What was loaded, in a line: `1 viewer of A and B`.
    pub fn title(&self) -> String {
        let viewers = if self.viewers == 1 { "viewer" } else { "viewers" };
        let all = std::iter::once(&self.url).chain(&self.also).map(String::as_str).collect::<Vec<_>>();
        format!("{} {viewers} of {}", self.viewers, all.join(" and "))
    }

    /// Part of all packets that never came.
    pub fn loss(&self) -> f64 {
        share(self.lost, self.totals.counts.expected)
    }

    /// CPU seconds of the server per packet that reached us, those that were lost here on purpose too.
    pub fn cpu_per_packet_reached(&self) -> Option<f64> {
        let Totals { packets, impaired, .. } = self.totals;
        let reached = packets + impaired.lost + impaired.repairs_lost;
        Some(self.server?.cpu_per_packet * share(packets, reached))
    }

    /// Joins that failed and viewers that ended, in words; nothing if there were none.
    pub fn troubles(&self) -> Option<String> {
        let all = self.failures.iter().chain(&self.ended);
        let all: Vec<String> = all.map(|(reason, count)| format!("{count} x {reason}")).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// A part of a whole; nothing of nothing is 0.
pub fn share(part: u64, whole: u64) -> f64 {
    ratio(part as f64, whole as f64)
}

impl Report {
    /// Adds a run up.
    pub fn new(setting: Setting, mut run: Run) -> Report {
        let Gone { totals, verdict: verified, .. } = run.gone;
        let window = run.window.as_ref();
        let seconds = window.map_or(0.0, |window| window.length.as_secs_f64());
        let (packets, bytes) = window.map_or((0, 0), Window::delivered);
        let lost = totals.counts.lost();
        let series = run.recorder.take().map(|recorder| recorder.finish(lost)).unwrap_or_default();
        let gone = &run.gone;
        let since_1970 = setting.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: setting.command,
            machine: setting.machine,
            started_at: since_1970.as_secs(),
            url: setting.url,
            also: setting.also,
            viewers: setting.viewers,
            attempted: run.attempted,
            joined: run.joined,
            silent: gone.silent,
            stalled: gone.stalled,
            abandoned: run.abandoned,
            interrupted: run.interrupted,
            joining_seconds: run.joining.as_secs_f64(),
            measured_seconds: seconds,
            packets_per_second: ratio(packets as f64, seconds),
            bits_per_second: ratio(bytes as f64 * 8.0, seconds),
            join: Distribution::of(&gone.connect),
            first_packet: Distribution::of(&gone.first_packet),
            gap: Distribution::of(&gone.gap),
            jitter: Distribution::of(&gone.jitter),
            delay: Distribution::of(&gone.delay),
            lost,
            lost_before_repair: totals.counts.lost_before_repair(),
            totals,
            verified,
            verifiers: gone.verifiers,
            server: window.and_then(|window| costs::server(&run, window, packets, seconds)),
            generator: costs::generator(&run, &series, packets, seconds),
            warnings: Vec::new(),
            missed: Vec::new(),
            series,
            failures: run.failures,
            why: run.why,
            ended: run.ended,
        };
        report.warnings = report.doubts(run.lateness);
        report
    }
}

impl Run {
    /// Seconds from the first join to the end of the measurement.
    fn length(&self) -> f64 {
        let measured = self.window.as_ref().map_or(Duration::ZERO, |window| window.length);
        (self.joining + measured).as_secs_f64()
    }
}

impl Window {
    /// Packets and bytes delivered in it.
    fn delivered(&self) -> (u64, u64) {
        self.workers.iter().fold((0, 0), |(packets, bytes), (start, end)| {
            (
                packets + end.totals.packets.saturating_sub(start.totals.packets),
                bytes + end.totals.bytes.saturating_sub(start.totals.bytes),
            )
        })
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
