//! One track on its way to one viewer: headers, reports and repairs around the sealed payload.
//!
//! Owns the counters of that way (what a sender report says, the next RTX number, what was sent again
//! lately). The one caller of [`Sealer::rtp`] for its two SSRCs, so that no index repeats: media takes
//! the forwarder's numbers, which only grow, and each repair takes a new one of its own SSRC.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use sluice_media::rtcp::{CNAME, Epoch, PACKET_MAX, Report, goodbye, sender_report};
use sluice_media::srtp::{Header, PacketIndex, RTCP_TAG_MAX, RTP_HEADER, Sealer, TAG_MAX};
use sluice_media::{EXTENSION_MAX, MAX_PAYLOAD, ORIGINAL_NUMBER, RED_HEADER};
use str0m::media::Pt;
use str0m::rtp::rtcp::ReceptionReport;

use super::budget::Budget;
use super::forward::{Forward, Forwarder, Repair};
use super::line::{REPORTS, Told};
use super::reception::{About, Reception};
use super::state::{Sent, TrackState};
use super::{Surroundings, Way};
use crate::count::feedback::Feedback;
use crate::fault::{Site, strikes};
use crate::peer::{Egress, Lane, MediaParams, Path};
use crate::track::{Recent, Train};

/// Packets remembered as sent again, so that none goes twice in a round trip. Only viewers with loss
/// have the list, of 24 bytes a packet.
const RESENT_MAX: usize = 128;

/// A camera's clock that is this far from ours is not set, and nobody is told its time: a time zone is less.
const CAPTURE_OFF_MOST: i64 = 86_400 << 32;

/// Bytes around a payload at the most: header, extensions and tag.
pub(crate) const AROUND_PAYLOAD_MAX: usize = RTP_HEADER + EXTENSION_MAX + TAG_MAX;

/// A track on its way to a viewer.
pub(super) struct Outgoing {
    pub(super) media: MediaParams,
    pub(super) forwarder: Forwarder,
    /// Whether packets go with the one before them in front, where they have it and the peer takes that.
    pub(super) is_redundant: bool,
    packets: u32,
    bytes: u64,
    /// RTP timestamp and capture time of the newest train.
    newest: Option<(u32, Instant)>,
    next_report: Option<Instant>,
    reception: Reception,
    next_repair: PacketIndex,
    resent: VecDeque<(PacketIndex, Instant)>,
    repairs: u32,
}

/// What became of the packets of one NACK.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Sent again.
    pub sent: u32,
    /// Asked for again within a round trip.
    pub repeated: u32,
    /// Not in the ring any more, or never sent.
    pub unknown: u32,
    /// Over the share that repairs may take.
    pub over_budget: u32,
    /// Of a track that was answered without repair.
    pub not_agreed: u32,
    /// More numbers than are looked at in a second.
    pub over_rate: u32,
}

impl std::ops::AddAssign for Repairs {
    fn add_assign(&mut self, other: Repairs) {
        self.sent += other.sent;
        self.repeated += other.repeated;
        self.unknown += other.unknown;
        self.over_budget += other.over_budget;
        self.not_agreed += other.not_agreed;
        self.over_rate += other.over_rate;
    }
}

impl Outgoing {
    /// A track that has sent nothing; `first_sequence` and `first_repair` are where numbers begin.
    pub(super) fn new(media: MediaParams, first_sequence: u16) -> Outgoing {
        Outgoing {
            media,
            forwarder: Forwarder::new(first_sequence),
            is_redundant: false,
            packets: 0,
            bytes: 0,
            newest: None,
            next_report: None,
            reception: Reception::new(),
            next_repair: PacketIndex(first_sequence.into()),
            resent: VecDeque::new(),
            repairs: 0,
        }
    }

    /// What can be told of it.
    pub(super) fn state(&self) -> TrackState {
        TrackState {
            packets: self.packets,
            repairs: self.repairs,
            lost: self.reception.lost(),
            loss: self.reception.loss(),
            round_trip: self.reception.measured_round_trip(),
            left_out: self.forwarder.left_out().sum(),
        }
    }

    /// When the next sender report is due; nothing before the first train.
    pub(super) fn report_due(&self) -> Option<Instant> {
        self.next_report
    }

    /// Seals those packets of a train into `egress`; its last one gets `padding` bytes behind it, so that
    /// what follows can share its message (but for what is longer, because it has the packet before it in front). The first
    /// train asks for a report at once, so that the player can bring picture and sound together. Returns the bytes of what
    /// went with it once more.
    pub(super) fn send(
        &mut self,
        (train, packets): (&Train, Range<usize>),
        forward: Forward,
        padding: u8,
        sealer: &Sealer,
        way: &mut Way<'_>,
    ) -> usize {
        let redundant = self.media.redundant_payload_type.filter(|_| self.is_redundant);
        let redundant = redundant.zip(train.redundant.as_ref());
        let mut red = [0; RED_HEADER];
        if let Some((_, redundant)) = redundant {
            red = redundant.header(*self.media.payload_type);
        }
        let mut block = [0; EXTENSION_MAX];
        // In all packets of a train or in none: they have one length.
        let capture = self.capture(train, forward, way);
        let extension = self.extension(way.now, way.epoch, capture, &mut block);
        let mut bytes = 0;
        let last = train.packets.len() - 1;
        for index in packets.clone() {
            let (payload_type, prefix, payload): (Pt, &[u8], &[u8]) = match redundant {
                Some((payload_type, redundant)) => (payload_type, &red, redundant.payloads()),
                None => (self.media.payload_type, &[], &train.packets[index]),
            };
            let header = Header {
                payload_type,
                marker: train.marker(index),
                index: forward.sequence + index as u64,
                timestamp: forward.timestamp,
                ssrc: self.media.ssrc,
                extension,
                padding: if index == last { padding } else { 0 },
            };
            let length = prefix.len() + payload.len();
            let max = RTP_HEADER + extension.len() + length + usize::from(header.padding) + TAG_MAX;
            let mut seal = |out: &mut [u8]| sealer.rtp(header, prefix, payload, out);
            if !strikes(Site::DatagramDoesNotFit) {
                way.egress.seal(Lane::Media, way.path, max, &mut seal);
            }
            bytes += length as u64;
        }
        self.packets = self.packets.wrapping_add(packets.len() as u32);
        self.bytes += bytes;
        self.newest = Some((forward.timestamp, forward.captured));
        self.next_report.get_or_insert(way.now);
        redundant.map_or(0, |(_, redundant)| redundant.len() - train.bytes())
    }

    /// Sends a sender report if one is due, and again every `interval`.
    pub(super) fn report(&mut self, interval: Duration, sealer: &mut Sealer, way: &mut Way<'_>) {
        let now = way.now;
        let Some((timestamp, captured)) =
            self.newest.filter(|_| self.next_report.is_some_and(|at| at <= now))
        else {
            return;
        };
        let interval = if self.forwarder.is_thin() { interval.min(REPORTS) } else { interval };
        self.next_report = Some(now + interval);
        // The timestamp of now, on the line through the newest train's.
        let age = now.saturating_duration_since(captured).as_secs_f64();
        let ticks = (age * f64::from(self.media.codec.clock_rate())) as u32;
        let report = Report {
            ssrc: self.media.ssrc,
            ntp: way.epoch.ntp(now),
            timestamp: timestamp.wrapping_add(ticks),
            packets: self.packets,
            octets: self.bytes as u32,
        };
        let mut packet = [0; PACKET_MAX];
        let length = sender_report(report, CNAME, &mut packet);
        write_rtcp(sealer, &packet[..length], way.path, way.egress);
    }

    /// Says that this track is over.
    pub(super) fn goodbye(&self, sealer: &mut Sealer, path: Path, egress: &mut dyn Egress) {
        let mut packet = [0; PACKET_MAX];
        let length = goodbye(self.media.ssrc, &mut packet);
        write_rtcp(sealer, &packet[..length], path, egress);
    }

    /// What a receiver report says about this track. Returns what it tells of the time since the last one.
    pub(super) fn handle_report(
        &mut self,
        now: Instant,
        report: &ReceptionReport,
        epoch: &Epoch,
        feedback: &Feedback,
    ) -> Option<Told> {
        let codec = self.media.codec;
        let about = About { clock_rate: codec.clock_rate(), sent: self.packets, bytes: self.bytes as u32 };
        self.reception.handle_report(now, report, about, epoch, feedback.of(codec.kind()))
    }

    /// Media sent so far, without repairs.
    pub(super) fn sent(&self) -> Sent {
        Sent { bytes: self.bytes, packets: self.packets.into() }
    }

    /// Goes over to the layer of that number with what its ring has since the last keyframe. Returns whether that was
    /// possible.
    pub(super) fn switch_to_past(&mut self, now: Instant, layer: u8, recent: &Recent) -> bool {
        self.forwarder.switch_to_past(now, layer, recent, self.newest)
    }

    /// Goes over to the layer of that number, of which it is now the turn of `train`. Returns whether that was possible.
    pub(super) fn switch_to_live(&mut self, now: Instant, layer: u8, train: &Train) -> bool {
        self.forwarder.switch_to_live(now, layer, train, self.newest)
    }

    /// Sends again what a NACK asks for: `first`, and the packets of `bitmask` behind it (RFC 4585
    /// §6.2.1), each once in a round trip, in an RTX packet (RFC 4588 §4).
    pub(super) fn repair(
        &mut self,
        (first, bitmask): (u16, u16),
        around: Surroundings<'_>,
        budget: &mut Budget,
        sealer: &Sealer,
        way: &mut Way<'_>,
    ) -> Repairs {
        let now = way.now;
        let mut repairs = Repairs::default();
        let asked = 1 + bitmask.count_ones();
        let Some(payload_type) = self.media.rtx_payload_type else {
            repairs.not_agreed = asked;
            return repairs;
        };
        if !budget.take_numbers(now, asked) {
            repairs.over_rate = asked;
            return repairs;
        }
        // A packet is looked for only if there is something left for one of any size.
        let mut left = budget.left(now, around.video.bytes_per_second());
        let behind = (0..16).filter(|bit| bitmask >> bit & 1 == 1).map(|bit| first.wrapping_add(bit + 1));
        for number in std::iter::once(first).chain(behind) {
            let Some(sequence) = self.forwarder.extend(number) else {
                repairs.unknown += 1;
                continue;
            };
            if self.was_resent(now, sequence) {
                repairs.repeated += 1;
            } else if left < MAX_PAYLOAD as u64 || strikes(Site::BudgetIsSpent) {
                repairs.over_budget += 1;
            } else if let Some(repair) = self
                .forwarder
                .repair(sequence, around.rings)
                .filter(|repair| repair.train.codec == self.media.codec && !strikes(Site::RingLetGoOfPacket))
            {
                let bytes = repair.train.packets[repair.index].len() as u64;
                left = left.saturating_sub(bytes);
                budget.spend(bytes);
                self.forwarder.charge(bytes);
                self.note_resent(now, sequence);
                self.send_repair(&repair, payload_type, sealer, way);
                repairs.sent += 1;
            } else {
                repairs.unknown += 1;
            }
        }
        repairs
    }

    fn send_repair(&mut self, repair: &Repair, payload_type: Pt, sealer: &Sealer, way: &mut Way<'_>) {
        let mut block = [0; EXTENSION_MAX];
        let extension = self.extension(way.now, way.epoch, None, &mut block);
        let header = Header {
            payload_type,
            marker: repair.train.marker(repair.index),
            index: self.next_repair,
            timestamp: repair.timestamp,
            ssrc: self.media.rtx_ssrc,
            extension,
            padding: 0,
        };
        self.next_repair += 1;
        self.repairs = self.repairs.wrapping_add(1);
        let original: [u8; ORIGINAL_NUMBER] = repair.sequence.wire().to_be_bytes();
        let payload = &repair.train.packets[repair.index];
        let max = RTP_HEADER + extension.len() + original.len() + payload.len() + TAG_MAX;
        let mut seal = |out: &mut [u8]| sealer.rtp(header, &original, payload, out);
        way.egress.seal(Lane::Media, way.path, max, &mut seal);
    }

    /// Whether a packet went again within the last round trip.
    fn was_resent(&mut self, now: Instant, sequence: PacketIndex) -> bool {
        let rtt = self.reception.round_trip();
        while self.resent.front().is_some_and(|(_, at)| now.saturating_duration_since(*at) >= rtt) {
            self.resent.pop_front();
        }
        self.resent.iter().any(|(other, _)| *other == sequence)
    }

    fn note_resent(&mut self, now: Instant, sequence: PacketIndex) {
        if self.resent.len() == RESENT_MAX {
            self.resent.pop_front();
        }
        self.resent.push_back((sequence, now));
    }

    /// The element of `abs-capture-time` that a train carries, the first of each second by its timestamp: when it was
    /// captured by the camera's clock, and by how much that is ahead of ours, which sender reports tell. Receivers compute
    /// what lies between, over up to five seconds (libwebrtc's interpolator).
    fn capture(&self, train: &Train, forward: Forward, way: &Way<'_>) -> Option<(u8, [u8; 16])> {
        let id = self.media.abs_capture_time_id?;
        let time = train.source_time.filter(|_| train.starts_frame)?.0;
        // Timestamps of the past that is shown quickened have no time of their own. A MID goes first, and needs its place.
        if forward.captured != train.captured || !self.reception.heard() {
            return None;
        }
        let second = |timestamp: u32| timestamp / self.media.codec.clock_rate();
        if self.newest.is_some_and(|(newest, _)| second(newest) == second(forward.timestamp)) {
            return None;
        }
        let ahead = time.wrapping_sub(way.epoch.ntp(train.captured)).cast_signed();
        let mut element = [0; 16];
        element[..8].copy_from_slice(&time.to_be_bytes());
        element[8..].copy_from_slice(&ahead.to_be_bytes());
        (ahead.unsigned_abs() <= CAPTURE_OFF_MOST.unsigned_abs()).then_some((id, element))
    }

    /// The header extensions that packets carry now, with `capture` if it has its turn; empty if none was agreed on.
    fn extension<'a>(
        &self,
        now: Instant,
        epoch: &Epoch,
        capture: Option<(u8, [u8; 16])>,
        block: &'a mut [u8; EXTENSION_MAX],
    ) -> &'a [u8] {
        let mut end = 4;
        if let Some(id) = self.media.abs_send_time_id {
            block[end] = (id << 4) | 2;
            block[end + 1..end + 4].copy_from_slice(&epoch.abs_send_time(now));
            end += 4;
        }
        let mid = self.media.mid.as_bytes();
        // A viewer that reported knows our SSRC, and needs no MID any more.
        if let Some(id) =
            self.media.mid_id.filter(|_| !self.reception.heard() && (1..=16).contains(&mid.len()))
        {
            block[end] = (id << 4) | (mid.len() as u8 - 1);
            block[end + 1..end + 1 + mid.len()].copy_from_slice(mid);
            end += 1 + mid.len();
        }
        if let Some((id, element)) = capture {
            block[end] = (id << 4) | 15;
            block[end + 1..end + 17].copy_from_slice(&element);
            end += 17;
        }
        if end == 4 {
            return &[];
        }
        let end = end.next_multiple_of(4);
        block[..2].copy_from_slice(&[0xbe, 0xde]);
        block[2..4].copy_from_slice(&((end / 4 - 1) as u16).to_be_bytes());
        &block[..end]
    }
}

fn write_rtcp(sealer: &mut Sealer, packet: &[u8], path: Path, egress: &mut dyn Egress) {
    let mut seal = |out: &mut [u8]| {
        out[..packet.len()].copy_from_slice(packet);
        sealer.rtcp(out, packet.len())
    };
    egress.seal(Lane::Control, path, packet.len() + RTCP_TAG_MAX, &mut seal);
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
