//! RTCP of a viewer: what it misses is sent again, what it reports is counted.
//!
//! Owns which packet is acted on, and for which track. A NACK, PLI or FIR is answered only where it
//! names the viewer's video: audio has no ring, and no keyframes. More than a browser ever sends is counted
//! and not looked at. Receiver reports of the video, with REMB, tell whether the line is too narrow (`line`), and all of them
//! whether sound goes twice (`redundancy`).

use std::time::Instant;

use sluice_io::MAX_DATAGRAM;
use sluice_media::Kind;
use sluice_media::rtcp::read;
use str0m::rtp::Ssrc;
use str0m::rtp::rtcp::Rtcp;

use super::outgoing::Outgoing;
use super::{KeyframeAnswer, Outcome, Surroundings, Viewer, Way};
use crate::contain::contain;
use crate::fault::{Site, strikes};
use crate::peer::{Egress, Remote};

/// RTCP packets of one datagram that are read; a compound of a browser has two or three.
const FEEDBACK_MAX: usize = 64;

/// What became of the keyframe requests of one datagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keyframes {
    /// Answered by sending the ring again.
    pub replayed: u32,
    /// Too soon after another.
    pub coalesced: u32,
    /// Left to the source's next keyframe.
    pub awaited: u32,
}

impl Keyframes {
    fn note(&mut self, answer: KeyframeAnswer) {
        match answer {
            KeyframeAnswer::Replayed => self.replayed += 1,
            KeyframeAnswer::Coalesced => self.coalesced += 1,
            KeyframeAnswer::Awaited => self.awaited += 1,
        }
    }
}

impl Viewer {
    /// A datagram of RTCP from a known address.
    pub(super) fn handle_reports(
        &mut self,
        now: Instant,
        remote: Remote,
        datagram: &[u8],
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut room = [0; MAX_DATAGRAM];
        let opened = self.opener.as_mut().and_then(|opener| opener.open(datagram, &mut room));
        let Some(packets) = opened.filter(|_| !strikes(Site::ReportDoesNotOpen)).map(read::packets) else {
            outcome.rtcp_refused = 1;
            return outcome;
        };
        // What was opened with its keys is as good a sign of life as a check.
        self.peer.heard(now, remote);
        self.aim_as_heard(now, around);
        let counts = &around.feedback.packets;
        for (number, packet) in packets.enumerate() {
            if number >= FEEDBACK_MAX {
                counts.unread.add(1);
            } else if let Some(rtcp) = contain(|| read::read(packet)).flatten() {
                // Should the library panic, one packet is not read.
                self.handle_feedback(now, &rtcp, around, egress, &mut outcome);
            } else {
                counts.other.add(1);
            }
        }
        outcome
    }

    /// One RTCP packet of the viewer.
    fn handle_feedback(
        &mut self,
        now: Instant,
        rtcp: &Rtcp,
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
        outcome: &mut Outcome,
    ) {
        let (Some(sealer), Some(path)) = (&self.sealer, self.target) else { return };
        let counts = around.feedback;
        if !self.budget.take_packet(now) {
            return counts.over_rate_packets.add(1);
        }
        match rtcp {
            Rtcp::ReceiverReport(report) => {
                counts.packets.receiver_report.add(1);
                for block in &report.reports {
                    let told = self.tracks.iter_mut().find(|track| track.media.ssrc == block.ssrc);
                    let Some(track) = told else { continue };
                    let told = track.handle_report(now, block, around.epoch, counts);
                    if let (Some(told), Some(redundancy)) = (&told, &mut self.redundancy) {
                        redundancy.handle_report(now, told.loss);
                    }
                    if let Some(told) = told.filter(|_| track.media.codec.kind() == Kind::Video) {
                        let estimate = self.estimates.fresh(now).map(|bits| f64::from(bits) / 8.0);
                        let stream = around.video.bytes_per_second();
                        let pause = self.line.handle_report(now, told, estimate, stream);
                        self.budget.carries(self.line.carries());
                        track.forwarder.limit(now, self.line.limit(), around.video);
                        track.forwarder.pause(now, pause.unwrap_or_default());
                    }
                }
                self.apply_redundancy();
            }
            Rtcp::Nack(nack) => {
                counts.packets.nack.add(1);
                let Some(track) = video(&mut self.tracks, nack.ssrc) else {
                    return counts.misdirected.add(1);
                };
                let mut way = Way { now, path, epoch: around.epoch, egress };
                for entry in &nack.reports {
                    let asked = (entry.pid, entry.blp);
                    outcome.repairs += track.repair(asked, around, &mut self.budget, sealer, &mut way);
                }
            }
            Rtcp::Pli(pli) => {
                counts.packets.pli.add(1);
                self.request_keyframe(now, pli.ssrc, around, outcome);
            }
            Rtcp::Fir(fir) => {
                counts.packets.fir.add(1);
                for entry in &fir.reports {
                    self.request_keyframe(now, entry.ssrc, around, outcome);
                }
            }
            Rtcp::Remb(remb) => {
                counts.packets.remb.add(1);
                let sent = self.sent().bytes as u32;
                self.estimates.handle(now, f64::from(remb.bitrate), sent, counts);
            }
            _ => counts.packets.other.add(1),
        }
    }

    /// Sends sound twice from now on, or once. Of the tracks only sound was agreed on with a payload type for that.
    fn apply_redundancy(&mut self) {
        let Some(redundancy) = &self.redundancy else { return };
        let is_on = redundancy.is_on(self.line.limit());
        for track in &mut self.tracks {
            track.is_redundant = is_on && track.media.redundant_payload_type.is_some();
        }
    }

    fn request_keyframe(
        &mut self,
        now: Instant,
        ssrc: Ssrc,
        around: Surroundings<'_>,
        outcome: &mut Outcome,
    ) {
        match video(&mut self.tracks, ssrc) {
            Some(track) => {
                let answer = track.forwarder.request_keyframe(now, around.video, &mut self.budget);
                outcome.keyframes.note(answer);
            }
            None => around.feedback.misdirected.add(1),
        }
    }
}

/// The video track of that SSRC.
fn video(tracks: &mut [Outgoing], ssrc: Ssrc) -> Option<&mut Outgoing> {
    tracks.iter_mut().find(|track| track.media.ssrc == ssrc && track.media.codec.kind() == Kind::Video)
}
