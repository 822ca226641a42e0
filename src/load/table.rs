//! A report as text for a terminal.
//!
//! Owns units and layout. Never computes: every number is in the report.

use std::fmt;

use super::report::{Distribution, Report};

/// A report, printable.
pub struct Table<'a>(pub &'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table(report) = self;
        let counts = &report.totals.counts;
        writeln!(f, "\n{} viewers of {}", report.viewers, report.url)?;
        if report.interrupted {
            writeln!(f, "(interrupted)")?;
        }
        section(f, "joins")?;
        row(
            f,
            "connected",
            format_args!("{} of {} in {:.1} s", report.joined, report.attempted, report.joining_seconds),
        )?;
        for (reason, count) in &report.failures {
            row(f, "failed", format_args!("{count} x {reason}"))?;
        }
        for (reason, count) in &report.ended {
            row(f, "ended before their time", format_args!("{count} x {reason}"))?;
        }
        if report.silent > 0 {
            row(f, "connected, never got a packet", report.silent)?;
        }
        if report.abandoned > 0 {
            row(f, "offers left alone", report.abandoned)?;
        }
        row(f, "time to connect", Times(&report.join))?;
        row(f, "time to the first packet", Times(&report.first_packet))?;

        section(f, "packets")?;
        row(
            f,
            "rate",
            format_args!(
                "{:.0} packets/s, {:.1} Mbit/s over {:.1} s",
                report.packets_per_second,
                report.bits_per_second / 1e6,
                report.measured_seconds
            ),
        )?;
        row(f, "expected", counts.expected)?;
        row(f, "lost before repair", Part(report.lost_before_repair, counts.expected))?;
        row(f, "lost", Part(report.lost, counts.expected))?;
        let video = &report.totals.video;
        row(f, "lost of the video", Part(video.lost(), video.expected))?;
        row(
            f,
            "repaired",
            format_args!(
                "{} ({} asked for, {} retransmissions, {} keyframes asked for)",
                counts.repaired, report.totals.nacked, report.totals.repairs, report.totals.keyframe_requests
            ),
        )?;
        row(
            f,
            "duplicate, reordered, stale",
            format_args!("{}, {}, {}", counts.duplicates, counts.reordered, counts.stale),
        )?;
        if counts.restarts + report.totals.unknown + report.totals.bad_reports > 0 {
            row(
                f,
                "restarts, unknown, forged reports",
                format_args!("{}, {}, {}", counts.restarts, report.totals.unknown, report.totals.bad_reports),
            )?;
        }
        let done = report.totals.impaired;
        if done != super::impair::Done::default() {
            row(
                f,
                "done here on purpose",
                format_args!(
                    "{} lost, {} retransmissions lost, {} held back, {} doubled",
                    done.lost, done.repairs_lost, done.held, done.doubled
                ),
            )?;
        }
        row(f, "longest gap of a viewer", Times(&report.gap))?;
        if report.stalled > 0 {
            row(f, "viewers with a gap over 2 s", report.stalled)?;
        }
        row(f, "jitter of a viewer", Times(&report.jitter))?;

        if report.verifiers > 0 {
            let verified = &report.verified;
            section(f, "verified")?;
            row(
                f,
                "frames",
                format_args!(
                    "{} complete ({} keyframes), {} incomplete, by {} viewers",
                    verified.frames, verified.keyframes, verified.incomplete, report.verifiers
                ),
            )?;
            row(
                f,
                "errors",
                format_args!(
                    "{} forged packets, {} malformed frames, {} frozen, {} starts without a keyframe",
                    verified.forged, verified.malformed, verified.frozen, verified.bad_starts
                ),
            )?;
            if !report.delay.is_empty() {
                row(f, "delay from the camera", Times(&report.delay))?;
                row(
                    f,
                    "pictures without a delay",
                    format_args!(
                        "{} from before their viewer, {} shown again, {} from the future",
                        verified.from_past, verified.again, verified.from_future
                    ),
                )?;
            }
        }
        if let Some(server) = &report.server {
            section(f, "server")?;
            row(
                f,
                "CPU",
                format_args!("{:.2} cores user, {:.2} system", server.cores_user, server.cores_system),
            )?;
            row(f, "CPU per packet delivered", format_args!("{:.0} ns", server.cpu_per_packet * 1e9))?;
            row(
                f,
                "CPU per join",
                format_args!(
                    "{:.0} µs ({:.0} with the packets sent meanwhile)",
                    server.cpu_per_join * 1e6,
                    server.cpu_per_join_gross * 1e6
                ),
            )?;
            row(
                f,
                "memory",
                format_args!(
                    "{:.1} KiB per viewer, {:.0} MiB in all",
                    server.rss_per_viewer / 1_024.0,
                    server.rss_bytes as f64 / 1_048_576.0
                ),
            )?;
            row(
                f,
                "threads, context switches",
                format_args!(
                    "{}, {:.0}/s ({:.0} voluntary, {:.0} involuntary)",
                    server.threads,
                    server.context_switches_per_second,
                    server.voluntary_switches_per_second,
                    server.involuntary_switches_per_second
                ),
            )?;
            row(f, "waited for a core", format_args!("{:.1} % of the test", server.waited * 100.0))?;
        }
        let generator = &report.generator;
        section(f, "generator")?;
        row(
            f,
            "CPU of its receiving threads",
            format_args!(
                "{:.2} cores, the busiest {:.0} % ({:.0} packets/s a core)",
                generator.threads,
                generator.busiest_thread * 100.0,
                generator.packets_per_second_per_core
            ),
        )?;
        row(
            f,
            "while joining, worst second",
            format_args!(
                "{:.0} % the busiest of them, {:.0} % the thread that posts offers",
                generator.joining_busiest_thread * 100.0,
                generator.joining_coordinator * 100.0
            ),
        )?;
        row(f, "waited for a core", format_args!("{:.1} % of the test", generator.waited * 100.0))?;
        for warning in &report.warnings {
            writeln!(f, "\nWARNING: {warning}")?;
        }
        for missed in &report.missed {
            writeln!(f, "\nMISSED: {missed}")?;
        }
        Ok(())
    }
}

fn section(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    writeln!(f, "\n{name}")
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<34}{value}")
}

struct Times<'a>(&'a Distribution);

impl fmt::Display for Times<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Times(Distribution { count, p50, p95, p99, max, .. }) = self;
        if *count == 0 {
            return f.write_str("-");
        }
        let ms = |seconds: &f64| seconds * 1e3;
        write!(f, "p50 {:.1}, p95 {:.1}, p99 {:.1}, max {:.1} ms", ms(p50), ms(p95), ms(p99), ms(max))
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
