//! A report as rows of words and numbers, for whatever shows them.
//!
//! Owns units, digits and the order of rows. Never computes: every number is in the report.

use std::fmt;

use super::distribution::Distribution;
use super::impair::Done;
use super::report::{Report, Server};

/// Rows under one heading.
#[derive(Debug)]
pub struct Section {
    /// The heading.
    pub name: &'static str,
    /// Names and values.
    pub rows: Vec<(&'static str, String)>,
}

impl Section {
    fn new(name: &'static str) -> Section {
        Section { name, rows: Vec::new() }
    }

    fn row(&mut self, name: &'static str, value: impl fmt::Display) {
        self.rows.push((name, value.to_string()));
    }
}

/// All sections that have something to say.
pub fn sections(report: &Report) -> Vec<Section> {
    let mut sections = vec![joins(report), packets(report)];
    if report.verifiers > 0 {
        sections.push(verified(report));
    }
    sections.extend(report.server.as_ref().map(server));
    sections.push(generator(report));
    sections
}

fn joins(report: &Report) -> Section {
    let mut section = Section::new("joins");
    let Report { joined, attempted, joining_seconds, .. } = report;
    section.row("connected", format_args!("{joined} of {attempted} in {joining_seconds:.1} s"));
    for (reason, count) in &report.failures {
        section.row("failed", format_args!("{count} x {reason}"));
        if let Some(why) = report.why.get(reason) {
            section.row("why", why);
        }
    }
    for (reason, count) in &report.ended {
        section.row("ended before their time", format_args!("{count} x {reason}"));
    }
    if report.silent > 0 {
        section.row("connected, never got a packet", report.silent);
    }
    if report.abandoned > 0 {
        section.row("offers left alone", report.abandoned);
    }
    section.row("time to connect", Times(&report.join));
    section.row("time to the first packet", Times(&report.first_packet));
    section
}

fn packets(report: &Report) -> Section {
    let mut section = Section::new("packets");
    let (totals, counts, video) = (&report.totals, &report.totals.counts, &report.totals.video);
    let (packets, megabits) = (report.packets_per_second, report.bits_per_second / 1e6);
    section.row(
        "rate",
        format_args!("{packets:.0} packets/s, {megabits:.1} Mbit/s over {:.1} s", report.measured_seconds),
    );
    section.row("expected", counts.expected);
    section.row("lost before repair", Part(report.lost_before_repair, counts.expected));
    section.row("lost", Part(report.lost, counts.expected));
    section.row("lost of the video", Part(video.lost(), video.expected));
    section.row(
        "repaired",
        format_args!(
            "{} ({} asked for, {} retransmissions, {} keyframes asked for)",
            counts.repaired, totals.nacked, totals.repairs, totals.keyframe_requests
        ),
    );
    if counts.recovered > 0 {
        section.row("recovered from a later packet (RED)", counts.recovered);
    }
    section.row(
        "duplicate, reordered, stale",
        format_args!("{}, {}, {}", counts.duplicates, counts.reordered, counts.stale),
    );
    if counts.restarts + totals.unknown + totals.bad_reports > 0 {
        section.row(
            "restarts, unknown, forged reports",
            format_args!("{}, {}, {}", counts.restarts, totals.unknown, totals.bad_reports),
        );
    }
    let done = totals.impaired;
    if done != Done::default() {
        section.row(
            "done here on purpose",
            format_args!(
                "{} lost, {} retransmissions lost, {} held back, {} doubled",
                done.lost, done.repairs_lost, done.held, done.doubled
            ),
        );
    }
    section.row("longest gap of a viewer", Times(&report.gap));
    if report.stalled > 0 {
        section.row("viewers with a gap over 2 s", report.stalled);
    }
    section.row("jitter of a viewer", Times(&report.jitter));
    section
}

fn verified(report: &Report) -> Section {
    let mut section = Section::new("verified");
    let verified = &report.verified;
    section.row(
        "frames",
        format_args!(
            "{} complete ({} keyframes), {} incomplete, by {} viewers",
            verified.frames, verified.keyframes, verified.incomplete, report.verifiers
        ),
    );
    section.row(
        "errors",
        format_args!(
            "{} forged packets, {} malformed frames, {} frozen, {} starts without a keyframe",
            verified.forged, verified.malformed, verified.frozen, verified.bad_starts
        ),
    );
    if !report.delay.is_empty() {
        section.row("delay from the camera", Times(&report.delay));
        section.row(
            "pictures without a delay",
            format_args!(
                "{} from before their viewer or of its start, {} shown again, {} from the future",
                verified.from_past, verified.again, verified.from_future
            ),
        );
    }
    section
}

fn server(server: &Server) -> Section {
    let mut section = Section::new("server");
    let Server { cores_user, cores_system, cpu_per_join, cpu_per_join_gross, .. } = server;
    section.row("CPU", format_args!("{cores_user:.2} cores user, {cores_system:.2} system"));
    section.row("CPU per packet delivered", format_args!("{:.0} ns", server.cpu_per_packet * 1e9));
    section.row(
        "CPU per join",
        format_args!(
            "{:.0} µs ({:.0} with the packets sent meanwhile)",
            cpu_per_join * 1e6,
            cpu_per_join_gross * 1e6
        ),
    );
    section.row(
        "memory",
        format_args!(
            "{:.1} KiB per viewer, {:.0} MiB in all",
            server.rss_per_viewer / 1_024.0,
            server.rss_bytes as f64 / 1_048_576.0
        ),
    );
    section.row(
        "threads, context switches",
        format_args!(
            "{}, {:.0}/s ({:.0} voluntary, {:.0} involuntary)",
            server.threads,
            server.context_switches_per_second,
            server.voluntary_switches_per_second,
            server.involuntary_switches_per_second
        ),
    );
    section.row("waited for a core", format_args!("{:.1} % of the test", server.waited * 100.0));
    section
}

fn generator(report: &Report) -> Section {
    let mut section = Section::new("generator");
    let generator = &report.generator;
    section.row(
        "CPU of its receiving threads",
        format_args!(
            "{:.2} cores, the busiest {:.0} %, time left {:.0} % ({:.0} packets/s a core)",
            generator.threads,
            generator.busiest_thread * 100.0,
            (1.0 - generator.occupied).max(0.0) * 100.0,
            generator.packets_per_second_per_core
        ),
    );
    section.row(
        "while joining, worst second",
        format_args!(
            "{:.0} % the busiest of them, {:.0} % the thread that posts offers",
            generator.joining_busiest_thread * 100.0,
            generator.joining_coordinator * 100.0
        ),
    );
    section.row("waited for a core", format_args!("{:.1} % of the test", generator.waited * 100.0));
    section
}

struct Times<'a>(&'a Distribution);

impl fmt::Display for Times<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        let [p50, p95, p99, max] = [self.0.p50, self.0.p95, self.0.p99, self.0.max].map(|time| time * 1e3);
        write!(f, "p50 {p50:.1}, p95 {p95:.1}, p99 {p99:.1}, max {max:.1} ms")
    }
}

struct Part(u64, u64);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Part(part, whole) = self;
        match whole {
            0 => write!(f, "{part}"),
            _ => write!(f, "{part} ({:.4} %)", *part as f64 * 100.0 / *whole as f64),
        }
    }
}
