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
    /// Counts of the whole test.
    pub totals: Totals,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that did not come the first time.
    pub lost_before_repair: u64,
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
    /// Part of the test that its threads were ready and had no core.
    pub waited: f64,
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
