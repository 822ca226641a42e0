//! What arrives of a session: reports, and packets on their way to the order of their track.
//!
//! Owns what is told of how packets come.

use std::time::Instant;

use bytes::Bytes;
use sluice_media::{Kind, SourceReport, rtcp};

use super::Reader;
use crate::source::rtsp::failure::Failure;
use crate::source::rtsp::formats::Offer;
use crate::source::rtsp::routes::{self, Route};
use crate::stream::Sink;

/// Types of RTCP that are in use (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
const REPORTS: std::ops::RangeInclusive<u8> = 200..=207;

/// What a sender says of its clock among them (RFC 3550 §6.4.1).
const SENDER_REPORT: u8 = 200;

/// The goodbye of a sender among them (RFC 3550 §6.6).
const BYE: u8 = 203;

impl<S: Sink> Reader<'_, S> {
    /// A packet out of the RTSP connection.
    pub(in crate::source::rtsp) fn interleaved(
        &mut self,
        channel: u8,
        packet: Bytes,
        received: Instant,
    ) -> Result<(), Failure> {
        let Some(kind) = packet.get(1) else { return Ok(()) };
        let payload_type = kind & 0x7f;
        // Reports (RFC 5761 §4) come on channels of their own, or wrongly on those of packets. A marked packet of a
        // type that no camera should choose looks like one.
        let is_named = || {
            let of_channel = |route: &&Route| route.channels.is_some_and(|(own, _)| own == channel);
            self.routes.iter().filter(of_channel).any(|route| route.takes(payload_type))
        };
        if (192..=223).contains(kind) && (REPORTS.contains(kind) || !is_named()) {
            let of_channel = |(packets, reports)| reports == channel || packets == channel;
            let at = self.routes.iter().position(|route| route.channels.is_some_and(of_channel));
            self.reports(at, &packet, received);
            return Ok(());
        }
        self.newest = Some(received);
        match routes::find(&mut self.routes, channel, payload_type, received) {
            Some(at) => {
                let number = packet.get(2..4).map(|number| u16::from_be_bytes([number[0], number[1]]));
                let missing = number.and_then(|number| self.numbers.missing(at, number));
                self.arrived(at, packet, missing, received)
            }
            None => {
                self.strangers += 1;
                Ok(())
            }
        }
    }

    /// Reports of the camera about section `media`, out of a datagram.
    pub(in crate::source::rtsp) fn report(&mut self, media: usize, compound: &[u8], received: Instant) {
        let at = self.routes.iter().position(|route| route.media == media);
        self.reports(at, compound, received);
    }

    /// Reports that came where those of the track `at` should: of these, what a sender says of its clock and that it ends
    /// are acted on.
    fn reports(&mut self, at: Option<usize>, compound: &[u8], received: Instant) {
        for packet in rtcp::read::packets(compound) {
            match packet {
                [_, SENDER_REPORT, _, _, rest @ ..] => self.clock(at, rest, received),
                [first, BYE, _, _, rest @ ..] => {
                    for ssrc in rest.as_chunks::<4>().0.iter().take(usize::from(first & 0x1f)) {
                        let ssrc = u32::from_be_bytes(*ssrc);
                        self.ended |= self.routes.iter_mut().any(|route| route.order.end(ssrc));
                    }
                }
                _ => {}
            }
        }
    }

    /// A sender report behind its first word. Of whom it is its SSRC tells; of one that nobody has, where it came.
    fn clock(&mut self, at: Option<usize>, report: &[u8], received: Instant) {
        let Some(&[ssrc, high, low, wire]) = report.as_chunks::<4>().0.first_chunk() else { return };
        let [ssrc, high, low, wire] = [ssrc, high, low, wire].map(u32::from_be_bytes);
        let by_sender =
            self.routes.iter().position(|route| route.order.timestamp(Some(ssrc), wire).is_some());
        let Some(at) = by_sender.or(at) else { return };
        let route = &self.routes[at];
        let Some(timestamp) = route.order.timestamp(None, wire).filter(|_| self.begun) else { return };
        let is_video = self.choice.video.is_some_and(|(video, _)| video == route.media);
        let kind = if is_video { Kind::Video } else { Kind::Audio };
        let ntp = u64::from(high) << 32 | u64::from(low);
        self.sink.reported(kind, SourceReport { ntp, timestamp, received });
    }

    /// A packet that came to the ports of section `media`.
    pub(in crate::source::rtsp) fn datagram(
        &mut self,
        media: usize,
        packet: Bytes,
        received: Instant,
    ) -> Result<(), Failure> {
        match self.routes.iter().position(|route| route.media == media) {
            Some(at) => self.arrived(at, packet, None, received),
            None => Ok(()),
        }
    }

    fn arrived(
        &mut self,
        at: usize,
        packet: Bytes,
        missing: Option<u16>,
        received: Instant,
    ) -> Result<(), Failure> {
        if !self.begun {
            self.begin();
        }
        self.packets += 1;
        let is_video = self.choice.video.is_some_and(|(video, _)| video == self.routes[at].media);
        self.rhythm.packet(is_video, packet.len());
        self.newest = Some(received);
        let route = &mut self.routes[at];
        let offer = &self.offers[route.media];
        let codec = self.choice.video.filter(|(video, _)| *video == route.media).map(|(_, codec)| codec);
        if self.choice.video.is_some_and(|(video, _)| video == route.media)
            && let Some(ssrc) = packet.get(8..12).and_then(|ssrc| ssrc.try_into().ok())
        {
            self.video_ssrc = Some(u32::from_be_bytes(ssrc).into());
        }
        let announced: Vec<u8> = match route.takes_type_of(&packet) {
            true => Vec::new(),
            false => self.offers.iter().flat_map(Offer::payload_types).collect(),
        };
        let is_odd = route.judge(&packet, offer, codec, &announced);
        route.order.push(packet, received, missing, &mut self.ordered);
        let foreign = self.routes.iter().map(|route| route.order.foreign()).sum();
        let unnumbered = self.routes.iter().any(|route| route.order.is_disbelieved());
        if self.oddities.look(self.restarts, foreign, unnumbered, received) | is_odd {
            self.remark();
        }
        self.forward(at)
    }

    /// Tells what was found out about the session.
    pub(super) fn remark(&mut self) {
        let types = self.routes.iter().filter_map(Route::note).cloned();
        let unnumbered = self.routes.iter().any(|route| route.order.is_disbelieved());
        let losses = self.losses.note().filter(|_| !unnumbered);
        let notes: Vec<String> =
            losses.into_iter().chain(self.oddities.notes().iter().cloned()).chain(types).collect();
        self.sink.remark(&notes);
    }
}
