//! The figures of a report by name, as bounds ask for them.
//!
//! Owns which of them a test measured: what was not measured is none, and keeps no bound.

use super::Report;

impl Report {
    /// A figure by its name in [`FIGURES`](super::super::require::FIGURES); none if it was not measured.
    pub fn figure(&self, name: &str) -> Option<f64> {
        let part = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let (counts, video) = (self.totals.counts, self.totals.video);
        let joined = |value: f64| (self.join.count > 0).then_some(value);
        let started = |value: f64| (self.first_packet.count > 0).then_some(value);
        let dated = |value: f64| (self.delay.count > 0).then_some(value);
        let failed: u64 = self.failures.values().chain(self.ended.values()).sum();
        match name {
            "failed" => Some(failed as f64),
            "silent" => Some(self.silent as f64),
            "stalled" => Some(self.stalled as f64),
            "loss" => part(self.lost, counts.expected),
            "video_loss" => part(video.lost(), video.expected),
            "sound_loss" => part(
                counts.lost().saturating_sub(video.lost()),
                counts.expected.saturating_sub(video.expected),
            ),
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
            "delay_p50" => dated(self.delay.p50),
            "delay_p95" => dated(self.delay.p95),
            "delay_p99" => dated(self.delay.p99),
            "delay_max" => dated(self.delay.max),
            // Nothing verified is no proof of anything.
            "verify_errors" => (self.verified.frames > 0 || self.verified.errors() > 0)
                .then_some(self.verified.errors() as f64),
            "server_cpu_per_packet" => self.server.map(|server| server.cpu_per_packet),
            "server_cpu_per_join" => self.server.map(|server| server.cpu_per_join),
            "server_rss_per_viewer" => self.server.map(|server| server.rss_per_viewer),
            _ => None,
        }
    }
}
