//! What arrives of a session: reports, and packets on their way to the order of their track.
//!
//! Owns what is told of how packets come.

use std::time::Instant;

use bytes::Bytes;
use sluice_media::rtcp;

use super::Reader;
use crate::source::rtsp::failure::Failure;
use crate::source::rtsp::formats::Offer;
use crate::source::rtsp::routes::{self, Route};
use crate::stream::Sink;

/// Types of RTCP that are in use (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
const REPORTS: std::ops::RangeInclusive<u8> = 200..=207;

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
            self.report(&packet);
            return Ok(());
        }
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

    /// Reports of the camera: of those only that a sender ends is acted on.
    pub(in crate::source::rtsp) fn report(&mut self, compound: &[u8]) {
        for packet in rtcp::read::packets(compound).filter(|packet| packet.get(1) == Some(&BYE)) {
            let count = usize::from(packet[0] & 0x1f);
            for ssrc in packet[4..].as_chunks::<4>().0.iter().take(count) {
                let ssrc = u32::from_be_bytes(*ssrc);
                self.ended |= self.routes.iter_mut().any(|route| route.order.end(ssrc));
            }
        }
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
