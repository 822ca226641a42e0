//! What a load test found: figures, warnings, and whether they can be trusted.
//!
//! Owns the arithmetic from counts to figures and their names. Never prints (that is `table`).

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::client::Totals;
use super::frames::Verdict;
use super::process::Sample;
use super::worker::{Mark, Viewed};

/// Part of a core from which a receiving thread is taken to have been the limit.
const BUSY: f64 = 0.9;

/// Part of the time that a receiving thread may wait for a core before times and gaps are doubtful. The
/// server's own waiting is only shown: with more threads than cores it waits for itself.
const KEPT_WAITING: f64 = 0.05;

/// Everything that a run wrote down.
#[derive(Debug, Default)]
pub struct Run {
    /// Joins begun.
    pub attempted: u64,
    /// Joins that connected.
    pub joined: u64,
    /// Joins that failed, by reason.
    pub failures: BTreeMap<String, u64>,
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
    /// Every viewer there was.
    pub viewed: Vec<Viewed>,
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

/// Figures about one distribution, in seconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Distribution {
    /// Values in it.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 95 % are below.
    pub p95: f64,
    /// 99 % are below.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// The server's side of the measurement.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Server {
    /// CPU in cores: user mode.
    pub cores_user: f64,
    /// CPU in cores: kernel.
    pub cores_system: f64,
    /// CPU seconds per packet delivered, of everything it did while measuring.
    pub cpu_per_packet: f64,
    /// CPU seconds per join: those of the joining, less what its packets cost.
    pub cpu_per_join: f64,
    /// CPU seconds per join with the packets sent meanwhile.
    pub cpu_per_join_gross: f64,
    /// Resident bytes it grew by, per viewer.
    pub rss_per_viewer: f64,
    /// Resident bytes at the end.
    pub rss_bytes: u64,
    /// Threads at the end.
    pub threads: u64,
    /// Context switches a second.
    pub context_switches_per_second: f64,
    /// Part of the whole test that its threads were ready and had no core; over 1 if several waited.
    pub waited: f64,
}

/// The generator's side of the measurement.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Generator {
    /// CPU of the busiest receiving thread, in cores.
    pub busiest_thread: f64,
    /// CPU of all receiving threads, in cores.
    pub threads: f64,
    /// Part of the whole test that the thread kept waiting longest was ready and had no core.
    pub waited: f64,
    /// Packets a second that the receiving threads could take, going by that.
    pub packets_per_second_per_core: f64,
    /// Datagrams that our own kernel dropped before we read them: loss that is ours.
    pub kernel_drops: u64,
}

/// A finished test.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The endpoint.
    pub url: String,
    /// Viewers asked for.
    pub viewers: u32,
    /// Joins begun, connected, failed by reason.
    pub attempted: u64,
    /// Joins that connected.
    pub joined: u64,
    /// Joins that failed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Viewers that ended before their time, by reason.
    pub ended: BTreeMap<String, u64>,
    /// Viewers that connected and never got a packet.
    pub silent: u64,
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
}

impl Report {
    /// Adds a run up.
    pub fn new(url: String, viewers: u32, run: Run) -> Report {
        let mut totals = Totals::default();
        let mut verified = Verdict::default();
        for viewed in &run.viewed {
            totals += viewed.totals;
            verified += viewed.verdict.unwrap_or_default();
        }
        let window = run.window.as_ref();
        let seconds = window.map_or(0.0, |window| window.length.as_secs_f64());
        let (packets, bytes) = window.map_or((0, 0), Window::delivered);
        let mut report = Report {
            url,
            viewers,
            attempted: run.attempted,
            joined: run.joined,
            silent: run.viewed.iter().filter(|v| v.connect.is_some() && v.first_packet.is_none()).count()
                as u64,
            abandoned: run.abandoned,
            interrupted: run.interrupted,
            joining_seconds: run.joining.as_secs_f64(),
            measured_seconds: seconds,
            packets_per_second: ratio(packets as f64, seconds),
            bits_per_second: ratio(bytes as f64 * 8.0, seconds),
            join: distribution(run.viewed.iter().filter_map(|viewed| viewed.connect)),
            first_packet: distribution(run.viewed.iter().filter_map(|viewed| viewed.first_packet)),
            gap: distribution(run.viewed.iter().filter_map(|viewed| viewed.longest_gap)),
            jitter: distribution(run.viewed.iter().filter_map(|viewed| viewed.jitter)),
            lost: totals.counts.lost(),
            lost_before_repair: totals.counts.lost_before_repair(),
            totals,
            verified,
            verifiers: run.viewed.iter().filter(|viewed| viewed.verdict.is_some()).count() as u64,
            server: window.and_then(|window| server(&run, window, packets, seconds)),
            generator: generator(&run, packets, seconds),
            warnings: Vec::new(),
            missed: Vec::new(),
            failures: run.failures,
            ended: run.ended,
        };
        report.warnings = report.doubts(run.lateness);
        report
    }

    /// A figure by its name in [`super::require::FIGURES`]; none if it was not measured.
    pub fn figure(&self, name: &str) -> Option<f64> {
        let part = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let (counts, video) = (self.totals.counts, self.totals.video);
        let joined = |value: f64| (self.join.count > 0).then_some(value);
        let started = |value: f64| (self.first_packet.count > 0).then_some(value);
        let failed: u64 = self.failures.values().chain(self.ended.values()).sum();
        match name {
            "failed" => Some(failed as f64),
            "silent" => Some(self.silent as f64),
            "loss" => part(self.lost, counts.expected),
            "video_loss" => part(video.lost(), video.expected),
            "loss_before_repair" => part(self.lost_before_repair, counts.expected),
            "duplicates" => Some(counts.duplicates as f64),
            "reordered" => Some(counts.reordered as f64),
            "gap_max" => (self.gap.count > 0).then_some(self.gap.max),
            "join_p50" => joined(self.join.p50),
            "join_p95" => joined(self.join.p95),
            "join_p99" => joined(self.join.p99),
            "join_max" => joined(self.join.max),
            "first_packet_p50" => started(self.first_packet.p50),
            "first_packet_p95" => started(self.first_packet.p95),
            "first_packet_p99" => started(self.first_packet.p99),
            "first_packet_max" => started(self.first_packet.max),
            // Nothing verified is no proof of anything.
            "verify_errors" => (self.verified.frames > 0 || self.verified.errors() > 0)
                .then_some(self.verified.errors() as f64),
            "server_cpu_per_packet" => self.server.map(|server| server.cpu_per_packet),
            "server_cpu_per_join" => self.server.map(|server| server.cpu_per_join),
            "server_rss_per_viewer" => self.server.map(|server| server.rss_per_viewer),
            _ => None,
        }
    }

    fn doubts(&self, lateness: Duration) -> Vec<String> {
        let mut doubts = Vec::new();
        let Generator { busiest_thread, kernel_drops, .. } = self.generator;
        if busiest_thread > BUSY {
            doubts.push(format!(
                "the generator was the limit: a receiving thread used {:.0} % of a core; give it more --threads \
                 on cores of their own, or another machine. The server's figures below say nothing",
                busiest_thread * 100.0
            ));
        }
        if kernel_drops > 0 {
            doubts.push(format!(
                "{kernel_drops} packets reached this machine and were dropped before the generator read them: \
                 that loss is the generator's (net.core.rmem_max below 1048576, or too few --threads)"
            ));
        }
        if self.generator.waited > KEPT_WAITING {
            doubts.push(format!(
                "a receiving thread was ready to run and had no core for {:.0} % of the test: it shares its core, \
                 and times, gaps and failures may come from that",
                self.generator.waited * 100.0
            ));
        }
        if lateness > Duration::from_millis(100) {
            doubts.push(format!(
                "joins were begun up to {} ms late: --rate is more than the generator can do here",
                lateness.as_millis()
            ));
        }
        if self.verifiers > 0 && self.verified.frames == 0 {
            doubts.push("no frame could be verified: the stream has no H.264, or nothing came".to_owned());
        }
        if self.measured_seconds == 0.0 {
            doubts.push("nothing was measured: the test ended while viewers were still joining".to_owned());
        }
        doubts
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

fn server(run: &Run, window: &Window, packets: u64, seconds: f64) -> Option<Server> {
    let (before, (start, end)) = (run.before?, window.server?);
    let cpu = end.cpu().saturating_sub(start.cpu()).as_secs_f64();
    let cpu_per_packet = ratio(cpu, packets as f64);
    let packets_while_joining: u64 = window.workers.iter().map(|(start, _)| start.totals.packets).sum();
    let connected: usize = window.workers.iter().map(|(start, _)| start.connected).sum();
    let joining = start.cpu().saturating_sub(before.cpu()).as_secs_f64();
    let net = (joining - packets_while_joining as f64 * cpu_per_packet).max(0.0);
    Some(Server {
        cores_user: ratio(end.user.saturating_sub(start.user).as_secs_f64(), seconds),
        cores_system: ratio(end.system.saturating_sub(start.system).as_secs_f64(), seconds),
        cpu_per_packet,
        cpu_per_join: ratio(net, connected as f64),
        cpu_per_join_gross: ratio(joining, connected as f64),
        rss_per_viewer: ratio(start.rss_bytes.saturating_sub(before.rss_bytes) as f64, connected as f64),
        rss_bytes: end.rss_bytes,
        threads: end.threads,
        context_switches_per_second: ratio(
            end.context_switches.saturating_sub(start.context_switches) as f64,
            seconds,
        ),
        waited: ratio(end.waited.saturating_sub(before.waited).as_secs_f64(), run.length()),
    })
}

fn generator(run: &Run, packets: u64, seconds: f64) -> Generator {
    let workers = run.window.as_ref().map_or(&[][..], |window| &window.workers);
    let cores = |(start, end): &(Mark, Mark)| ratio(end.cpu.saturating_sub(start.cpu).as_secs_f64(), seconds);
    let threads: f64 = workers.iter().map(cores).sum();
    Generator {
        busiest_thread: workers.iter().map(cores).fold(0.0, f64::max),
        threads,
        // Their threads began with the test.
        waited: workers
            .iter()
            .map(|(_, end)| ratio(end.waited.as_secs_f64(), run.length()))
            .fold(0.0, f64::max),
        packets_per_second_per_core: ratio(packets as f64, seconds * threads),
        kernel_drops: run.viewed.iter().map(|viewed| viewed.kernel_drops).sum(),
    }
}

fn distribution(values: impl Iterator<Item = Duration>) -> Distribution {
    // An hour in microseconds, three digits: what is longer is cut off, and is a failure anyway.
    let mut histogram =
        Histogram::<u64>::new_with_max(3_600_000_000, 3).expect("bounds that the library takes");
    values.for_each(|value| histogram.saturating_record(value.as_micros() as u64));
    let seconds = |micros: u64| micros as f64 / 1e6;
    Distribution {
        count: histogram.len(),
        p50: seconds(histogram.value_at_quantile(0.50)),
        p95: seconds(histogram.value_at_quantile(0.95)),
        p99: seconds(histogram.value_at_quantile(0.99)),
        max: seconds(histogram.max()),
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(packets: u64, cpu_ms: u64, connected: usize) -> Mark {
        let totals = Totals { packets, bytes: packets * 1_000, ..Totals::default() };
        Mark { totals, connected, cpu: Duration::from_millis(cpu_ms), waited: Duration::ZERO }
    }

    fn sample(cpu_ms: u64, rss_bytes: u64) -> Sample {
        Sample { user: Duration::from_millis(cpu_ms), rss_bytes, ..Sample::default() }
    }

    fn run(busy_ms: u64) -> Run {
        Run {
            before: Some(sample(100, 1_000_000)),
            window: Some(Window {
                length: Duration::from_secs(10),
                workers: vec![(mark(1_000, 500, 10), mark(101_000, 500 + busy_ms, 10))],
                server: Some((sample(201, 2_000_000), sample(301, 2_000_000))),
            }),
            ..Run::default()
        }
    }

    #[test]
    fn costs_are_those_of_the_window_and_joins_do_not_pay_for_packets() {
        let report = Report::new(String::new(), 10, run(1_000));
        let server = report.server.expect("it was sampled");
        assert!((server.cpu_per_packet - 1e-6).abs() < 1e-12, "{server:?}");
        assert!((server.cpu_per_join - 0.010).abs() < 1e-9, "101 ms less 1,000 packets of 1 µs: {server:?}");
        assert!((server.cpu_per_join_gross - 0.0101).abs() < 1e-9, "{server:?}");
        assert_eq!((server.rss_per_viewer, report.packets_per_second), (100_000.0, 10_000.0));
        assert_eq!(report.generator.packets_per_second_per_core, 100_000.0);
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    }

    #[test]
    fn a_busy_generator_says_so() {
        let report = Report::new(String::new(), 10, run(9_500));
        assert!(report.warnings[0].contains("generator was the limit"), "{:?}", report.warnings);
    }

    #[test]
    fn a_generator_that_shares_its_core_says_so() {
        let mut run = run(0);
        if let Some(window) = &mut run.window {
            window.workers[0].1.waited = Duration::from_secs(2);
        }
        let report = Report::new(String::new(), 10, run);
        assert!(report.warnings[0].contains("20 %"), "2 of 10 s: {:?}", report.warnings);
    }

    #[test]
    fn every_figure_that_can_be_bounded_exists() {
        let mut run = run(0);
        let counts = super::super::sequence::Counts { expected: 4, received: 3, ..Default::default() };
        run.viewed.push(Viewed {
            connect: Some(Duration::from_millis(20)),
            first_packet: Some(Duration::from_millis(30)),
            longest_gap: Some(Duration::from_millis(40)),
            jitter: None,
            totals: Totals { counts, video: counts, ..Totals::default() },
            verdict: Some(Verdict { frames: 1, ..Verdict::default() }),
            kernel_drops: 0,
        });
        let report = Report::new(String::new(), 1, run);
        for (name, _, _) in super::super::require::FIGURES {
            assert!(report.figure(name).is_some(), "{name}");
        }
        assert_eq!(report.figure("loss"), Some(0.25));
        assert_eq!(Report::new(String::new(), 1, Run::default()).figure("loss"), None, "nothing came at all");
    }
}
