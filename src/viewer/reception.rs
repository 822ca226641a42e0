//! What a viewer tells of its reception: receiver reports of each track, and REMB.
//!
//! Owns the little that is kept between two reports: the round trip, and the counts that a loss is the
//! difference of. Each track, and each viewer's estimate, is observed at most once in
//! [`OBSERVE_INTERVAL`]: under loss browsers report with every NACK, and a few bad lines would else
//! outweigh all good ones. Here nothing changes what is sent, but for the round trip that repairs wait: whether a line is too
//! narrow is told to `line`.

use std::time::{Duration, Instant};

use sluice_media::rtcp::Epoch;
use str0m::rtp::rtcp::ReceptionReport;

use super::line::Told;
use crate::count::feedback::{Feedback, Heard};

/// Time between two observations of one track at the least. Browsers report video once a second and
/// audio every five; shorter gives those who report more a larger weight, longer misses short trouble.
const OBSERVE_INTERVAL: Duration = Duration::from_secs(1);

/// An estimate that is older than this tells nothing of the line as it is now. Browsers send one a second; shorter does
/// without one where two reports are lost.
const ESTIMATE_GOOD: Duration = Duration::from_secs(5);

/// A round trip until a report tells.
pub(super) const DEFAULT_RTT: Duration = Duration::from_millis(100);

/// A round trip or a jitter over this is a clock that went back or a report made up, not a line.
const PLAUSIBLE: Duration = Duration::from_secs(60);

/// An estimate over this (10 Gbit/s, in bits a second) is made up: a REMB can say 2^81, and one such number
/// would spoil the sum of all for ever. Higher lets more be made up, lower leaves out viewers beside the server.
const ESTIMATE_MAX: f64 = 10e9;

/// What is known of the reception of one track.
#[derive(Debug)]
pub(super) struct Reception {
    heard: bool,
    round_trip: Duration,
    /// The report that was observed last.
    observed: Option<Observed>,
    /// Packets lost that were counted.
    lost: u32,
    /// Part of the packets between the two reports observed last that was lost.
    loss: Option<f32>,
    /// Whether a report told the round trip.
    measured: bool,
}

#[derive(Debug, Clone, Copy)]
struct Observed {
    at: Instant,
    /// The highest sequence number that came, with its rollovers.
    highest: u32,
    /// Packets lost since the beginning; negative where more came twice than were lost.
    lost: i32,
    /// Payload bytes sent until then, modulo 2^32.
    bytes: u32,
}

/// The track that a report is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    /// RTP clock rate in Hz: the unit of jitter.
    pub(super) clock_rate: u32,
    /// Packets sent so far.
    pub(super) sent: u32,
    /// Their payload in bytes, modulo 2^32.
    pub(super) bytes: u32,
}

impl Reception {
    /// Nothing was told yet.
    pub(super) fn new() -> Reception {
        Reception {
            heard: false,
            round_trip: DEFAULT_RTT,
            observed: None,
            lost: 0,
            loss: None,
            measured: false,
        }
    }

    /// Whether the viewer reported on this track, and so knows its SSRC.
    pub(super) fn heard(&self) -> bool {
        self.heard
    }

    /// The round trip as the last report told it.
    pub(super) fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// The round trip, if it was measured.
    pub(super) fn measured_round_trip(&self) -> Option<Duration> {
        self.measured.then_some(self.round_trip)
    }

    /// Packets that were lost, before repair.
    pub(super) fn lost(&self) -> u32 {
        self.lost
    }

    /// Part of the packets between the two reports observed last that was lost.
    pub(super) fn loss(&self) -> Option<f32> {
        self.loss
    }

    /// One report block (RFC 3550 §6.4.1). Returns what it tells of the time since the one that was observed before.
    pub(super) fn handle_report(
        &mut self,
        now: Instant,
        report: &ReceptionReport,
        about: About,
        epoch: &Epoch,
        heard: &Heard,
    ) -> Option<Told> {
        self.heard = true;
        let round_trip = round_trip(now, report, epoch);
        self.round_trip = round_trip.unwrap_or(self.round_trip);
        self.measured |= round_trip.is_some();

        // 24 bits with a sign.
        let lost = ((report.packets_lost << 8) as i32) >> 8;
        // No viewer can have lost more than was sent to it.
        let plausible = (lost.max(0) as u32).min(about.sent);
        heard.lost.add(u64::from(plausible.saturating_sub(self.lost)));
        self.lost = self.lost.max(plausible);

        let last = self.observed;
        if last.is_some_and(|last| now.saturating_duration_since(last.at) < OBSERVE_INTERVAL) {
            return None;
        }
        self.observed = Some(Observed { at: now, highest: report.max_seq, lost, bytes: about.bytes });
        let loss = last.and_then(|last| loss(last, report.max_seq, lost));
        if let Some(loss) = loss {
            heard.loss.observe(loss);
            self.loss = Some(loss as f32);
        }
        let jitter = f64::from(report.jitter) / f64::from(about.clock_rate);
        if jitter < PLAUSIBLE.as_secs_f64() {
            heard.jitter.observe(jitter);
        }
        if let Some(round_trip) = round_trip {
            heard.round_trip.observe(round_trip.as_secs_f64());
        }
        let (last, loss) = last.zip(loss)?;
        let passed = now.saturating_duration_since(last.at);
        Some(Told { passed, sent: about.bytes.wrapping_sub(last.bytes), loss, round_trip })
    }
}

/// Part of the packets between two reports that was lost (RFC 3550 §A.3): the fraction in a report
/// itself is only about the time since the last one, which may be that of a single NACK.
fn loss(last: Observed, highest: u32, lost: i32) -> Option<f64> {
    // Going back means that the receiver began anew.
    let expected = highest.wrapping_sub(last.highest).cast_signed();
    (expected > 0).then(|| f64::from((lost - last.lost).clamp(0, expected)) / f64::from(expected))
}

/// From our sender report to this report, without the time that the viewer kept it.
fn round_trip(now: Instant, report: &ReceptionReport, epoch: &Epoch) -> Option<Duration> {
    if report.last_sr_time == 0 {
        return None;
    }
    // All in seconds of 16.16 bits.
    let middle = (epoch.ntp(now) >> 16) as u32;
    let trip = middle.wrapping_sub(report.last_sr_time).wrapping_sub(report.last_sr_delay);
    let trip = Duration::from_micros((u64::from(trip) * 1_000_000) >> 16);
    (trip < PLAUSIBLE).then_some(trip)
}

/// What a viewer thinks its line carries, beside what it is sent.
#[derive(Debug, Default)]
pub(super) struct Estimates {
    /// When the last one was observed, and the media bytes sent until then, modulo 2^32.
    observed: Option<(Instant, u32)>,
    /// The newest that was observed, in bits a second.
    latest: Option<f32>,
}

impl Estimates {
    /// The newest that was observed, in bits a second.
    pub(super) fn latest(&self) -> Option<f32> {
        self.latest
    }

    /// The newest that was observed, in bits a second, if that was lately.
    pub(super) fn fresh(&self, now: Instant) -> Option<f32> {
        let (at, _) = self.observed?;
        self.latest.filter(|_| now.saturating_duration_since(at) < ESTIMATE_GOOD)
    }

    /// One REMB of `bits_per_second` (draft-alvestrand-rmcat-remb-03 §2.2), after `sent` media bytes,
    /// modulo 2^32.
    pub(super) fn handle(&mut self, now: Instant, bits_per_second: f64, sent: u32, feedback: &Feedback) {
        if !(0.0..=ESTIMATE_MAX).contains(&bits_per_second) {
            return;
        }
        let last = self.observed;
        let passed = last.map(|(at, _)| now.saturating_duration_since(at));
        if passed.is_some_and(|passed| passed < OBSERVE_INTERVAL) {
            return;
        }
        self.observed = Some((now, sent));
        self.latest = Some(bits_per_second as f32);
        feedback.estimate.observe(bits_per_second / 8.0);
        if let (Some((_, before)), Some(passed)) = (last, passed) {
            let rate = f64::from(sent.wrapping_sub(before)) * 8.0 / passed.as_secs_f64();
            feedback.estimate_below_sent.add(u64::from(bits_per_second < rate));
        }
    }
}

#[cfg(test)]
#[path = "reception_tests.rs"]
mod tests;
