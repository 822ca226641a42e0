//! What `sluice load whep --json` tells, as far as benches need it.
//!
//! Owns the reading. Never computes more than a share.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::error::BenchError;

/// One load test.
#[derive(Debug, Clone, Deserialize)]
pub struct Measured {
    /// Joins that connected.
    pub joined: u64,
    /// Joins begun.
    pub attempted: u64,
    /// Joins that failed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Viewers that ended before their time, by reason.
    pub ended: BTreeMap<String, u64>,
    /// Seconds that joining took.
    pub joining_seconds: f64,
    /// Seconds measured.
    pub measured_seconds: f64,
    /// Packets a second while measuring.
    pub packets_per_second: f64,
    /// Bits a second while measuring, without UDP and IP headers.
    pub bits_per_second: f64,
    /// Time to connect.
    pub join: Times,
    /// Longest time without a packet, of each viewer.
    pub gap: Times,
    /// Interarrival jitter of each viewer.
    pub jitter: Times,
    /// From a picture's send time until a checking viewer had all of it; only of simulated cameras.
    pub delay: Times,
    /// Counts of the whole test.
    pub totals: Totals,
    /// Packets that never came.
    pub lost: u64,
    /// What the viewers found that check everything.
    pub verified: Verified,
    /// The server; absent if it could not be looked at.
    pub server: Option<Server>,
    /// The generator.
    pub generator: Generator,
    /// What makes figures doubtful.
    pub warnings: Vec<String>,
}

/// A distribution in seconds.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Times {
    /// Values in it.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 99 % are below.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// Counts of packets.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Totals {
    /// Media datagrams that came, retransmissions among them.
    pub packets: u64,
    /// Packets that should have come.
    pub expected: u64,
    /// Those of video.
    pub video: Counts,
    /// Retransmissions that came.
    pub repairs: u64,
    /// Keyframes asked for.
    pub keyframe_requests: u64,
    /// What the generator lost on purpose; it is not among `packets`.
    pub impaired: Impaired,
}

/// Packets that came and were lost on purpose.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Impaired {
    /// Media.
    pub lost: u64,
    /// Retransmissions.
    pub repairs_lost: u64,
}

/// Counts of packets of one kind.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Counts {
    /// Packets that should have come.
    pub expected: u64,
    /// Packets that came as themselves.
    pub received: u64,
    /// Packets that came only because they were asked for again.
    pub repaired: u64,
}

/// What the viewers found that check everything.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Verified {
    /// Whole frames.
    pub frames: u64,
    /// Frames with parts missing.
    pub incomplete: u64,
}

/// The server's side.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Server {
    /// CPU in user mode, in cores.
    pub cores_user: f64,
    /// CPU in the kernel, in cores.
    pub cores_system: f64,
    /// CPU seconds per packet delivered.
    pub cpu_per_packet: f64,
    /// CPU seconds per join, less what its packets cost.
    pub cpu_per_join: f64,
    /// The same with those packets.
    pub cpu_per_join_gross: f64,
    /// Bytes grown by, per viewer.
    pub rss_per_viewer: f64,
    /// Bytes at the end.
    pub rss_bytes: u64,
}

/// The generator's side.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Generator {
    /// CPU of the busiest receiving thread, in cores.
    pub busiest_thread: f64,
    /// The same while viewers joined.
    pub joining_busiest_thread: f64,
    /// Part of the test that a receiving thread was ready and had no core.
    pub waited: f64,
}

impl Measured {
    /// Reads a report.
    pub fn read(path: &Path) -> Result<Measured, BenchError> {
        let text = fs::read(path).map_err(BenchError::file(path))?;
        serde_json::from_slice(&text)
            .map_err(|error| BenchError::Result { path: path.to_owned(), message: error.to_string() })
    }

    /// Part of all packets that never came.
    pub fn loss(&self) -> f64 {
        share(self.lost, self.totals.expected)
    }

    /// CPU seconds of the server per packet that reached the generator, those that it lost on purpose too.
    pub fn cpu_per_packet(&self) -> Option<f64> {
        let Totals { packets, impaired, .. } = self.totals;
        let reached = packets + impaired.lost + impaired.repairs_lost;
        Some(self.server?.cpu_per_packet * share(packets, reached))
    }

    /// Joins that failed and viewers that ended, in words; nothing if there were none.
    pub fn troubles(&self) -> Option<String> {
        let all: Vec<String> = self
            .failures
            .iter()
            .chain(&self.ended)
            .map(|(reason, count)| format!("{count} x {reason}"))
            .collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

impl Server {
    /// All its CPU, in cores.
    pub fn cores(&self) -> f64 {
        self.cores_user + self.cores_system
    }
}

impl Counts {
    /// Part that never came.
    pub fn lost(&self) -> f64 {
        share(self.expected.saturating_sub(self.received + self.repaired), self.expected)
    }

    /// Part that did not come the first time.
    pub fn lost_before_repair(&self) -> f64 {
        share(self.expected.saturating_sub(self.received), self.expected)
    }
}

/// A part of a whole; nothing of nothing is 0.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
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
        assert_eq!(measured.totals.video.lost(), 0.0125);
        assert_eq!(measured.totals.video.lost_before_repair(), 0.125);
        assert_eq!(measured.troubles().as_deref(), Some("1 x http timed out"));
        assert!((measured.server.expect("it was looked at").cores() - 0.3).abs() < 1e-9);
    }

    #[test]
    fn what_was_lost_on_purpose_was_paid_for_by_the_server() {
        let measured: Measured = serde_json::from_str(TEXT).expect("what it writes");
        // 9,000 of 10,000 packets were kept.
        assert!((measured.cpu_per_packet().expect("a cost") - 1.8e-6).abs() < 1e-12);
    }
}
