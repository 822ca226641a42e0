//! The report of `sluice load whep --json`, read again.

use std::fs;
use std::path::Path;

pub use sluice_load::distribution::Distribution as Times;
pub use sluice_load::report::{Report as Measured, Server, share};

use super::error::BenchError;

/// Reads a report.
pub fn read(path: &Path) -> Result<Measured, BenchError> {
    let text = fs::read(path).map_err(BenchError::file(path))?;
    serde_json::from_slice(&text)
        .map_err(|error| BenchError::Result { path: path.to_owned(), message: error.to_string() })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// As `sluice load whep --json` writes it, cut to what is read here, with a field more.
    pub const TEXT: &str = r#"{
        "version": "0.1.0", "attempted": 10, "joined": 9, "failures": {"http timed out": 1}, "ended": {},
        "joining_seconds": 1.5, "measured_seconds": 10.0, "packets_per_second": 1800.0, "bits_per_second": 1.2e7,
        "join": {"count": 9, "p50": 0.002, "p95": 0.003, "p99": 0.004, "max": 0.005},
        "gap": {"count": 9, "p50": 0.04, "p95": 0.05, "p99": 0.06, "max": 0.07},
        "jitter": {"count": 9, "p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0},
        "delay": {"count": 0, "p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0},
        "totals": {"packets": 9000, "bytes": 1, "expected": 10000, "received": 9000, "repaired": 600,
            "video": {"expected": 8000, "received": 7000, "repaired": 900}, "repairs": 950, "keyframe_requests": 3,
            "impaired": {"lost": 900, "repairs_lost": 100, "held": 0, "doubled": 0}},
        "lost": 400, "verified": {"frames": 290, "incomplete": 10},
        "server": {"cores_user": 0.1, "cores_system": 0.2, "cpu_per_packet": 2e-6, "cpu_per_join": 5e-4,
            "cpu_per_join_gross": 9e-4, "rss_per_viewer": 60000.0, "rss_bytes": 40000000},
        "generator": {"busiest_thread": 0.25, "joining_busiest_thread": 0.3, "joining_coordinator": 0.1, "waited": 0.01}, "warnings": ["doubtful"]
    }"#;

    #[test]
    fn the_generators_report_is_read() {
        let measured: Measured = serde_json::from_str(TEXT).expect("what it writes");
        assert_eq!(measured.joined, 9);
        assert_eq!(measured.loss(), 0.04);
        assert_eq!(measured.totals.video.share_lost(), 0.0125);
        assert_eq!(measured.totals.video.share_lost_before_repair(), 0.125);
        assert_eq!(measured.troubles().as_deref(), Some("1 x http timed out"));
        assert!((measured.server.expect("it was looked at").cores() - 0.3).abs() < 1e-9);
    }

    #[test]
    fn what_was_lost_on_purpose_was_paid_for_by_the_server() {
        let measured: Measured = serde_json::from_str(TEXT).expect("what it writes");
        // 9,000 of 10,000 packets were kept.
        assert!((measured.cpu_per_packet_reached().expect("a cost") - 1.8e-6).abs() < 1e-12);
    }
}
