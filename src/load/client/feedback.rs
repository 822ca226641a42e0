//! What a viewer says about what it receives: reports and REMB, NACK, PLI.
//!
//! Owns when which of them leaves, as browsers do it. Never decides what is missing (`nack`).

use std::time::{Duration, Instant};

use super::super::rtcp;
use super::{Client, Transmit};

/// Time between receiver reports; libwebrtc's for video.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// REMB never asks for less than this: a browser starts at 300 kbit/s and an idle picture is small.
const REMB_FLOOR: u64 = 500_000;

impl Client {
    /// Reports once a second with REMB; NACK and PLI when there is cause. Any of them is a compound
    /// that begins with a receiver report, as every server takes it.
    pub(super) fn send_feedback(&mut self, now: Instant, out: &mut Transmit<'_>) {
        let (Some(srtp), Some(server)) = (&mut self.srtp, self.server) else { return };
        let mut requests = Vec::new();
        for track in &mut self.tracks {
            let mut ask = Vec::new();
            track.poll_nack(now, &mut ask);
            if !ask.is_empty() {
                self.totals.nacked += ask.len() as u64;
                rtcp::nack(&mut requests, self.own_ssrc, track.ssrc, &ask);
            }
            if track.poll_keyframe_request(now) {
                self.totals.keyframe_requests += 1;
                rtcp::pli(&mut requests, self.own_ssrc, track.ssrc);
            }
        }
        let report = self.next_report.is_some_and(|at| now >= at);
        if !report && requests.is_empty() {
            return;
        }
        let mut compound = Vec::with_capacity(128);
        if report {
            self.next_report = Some(now + REPORT_INTERVAL);
            let blocks: Vec<_> = self.tracks.iter_mut().map(|track| track.report_block(now)).collect();
            rtcp::receiver_report(&mut compound, self.own_ssrc, &blocks);
            let rate = (self.totals.bytes - self.bytes_reported) * 8 / REPORT_INTERVAL.as_secs();
            self.bytes_reported = self.totals.bytes;
            // libwebrtc's bound while it sees no congestion: half as much again as what comes.
            let estimate = (rate * 3 / 2 + 10_000).max(REMB_FLOOR);
            let video: Vec<_> = self.tracks.iter().filter(|t| t.video).map(|t| t.ssrc).collect();
            if !video.is_empty() {
                rtcp::remb(&mut compound, self.own_ssrc, estimate, &video);
            }
        } else {
            rtcp::receiver_report(&mut compound, self.own_ssrc, &[]);
        }
        compound.append(&mut requests);
        if let Some(sealed) = srtp.seal_reports(&compound) {
            out(server, &sealed);
        }
    }
}
