//! Which track a packet belongs to: by its channel or port, and where cameras are wrong about those, by its payload
//! type.
//!
//! Owns what is believed of what the camera announced about channels and types.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_media::VideoCodec;

use super::dialog::Track;
use super::formats::Offer;
use super::order::Order;

/// A track whose own channel was silent for so long takes its packets from another one. Longer delays cameras that
/// mean other channels than they say in the middle of a session; shorter mixes in another stream of the same type.
const SILENT: Duration = Duration::from_secs(2);

/// Packets of a type that was not announced, one after another, before it is taken, or told that it cannot be.
const MANY_OTHERS: u32 = 16;

/// How packets get to their track.
pub(super) struct Route {
    /// Which of the offers.
    pub(super) media: usize,
    /// The channels of its packets and reports, if they come interleaved.
    pub(super) channels: Option<(u8, u8)>,
    pub(super) order: Order,
    /// Payload types that are taken: those announced first.
    types: Vec<u8>,
    /// When a packet of such a type came on its own channel last.
    own: Option<Instant>,
    /// Whether one of them came.
    as_announced: bool,
    /// Packets of other types since the last one that was taken.
    others: u32,
    /// Of which the type is this, and whether all of them can be read.
    other: (u8, bool),
    /// Packets were left out since the last one that was taken.
    gap: bool,
    /// What is told of its types.
    note: Option<String>,
}

impl Route {
    pub(super) fn new(track: &Track, offer: &Offer) -> Route {
        let types = offer.payload_types();
        Route {
            media: track.media,
            channels: track.port.is_none().then_some(track.channels),
            order: Order::new(types.clone(), track.port.is_some(), track.ssrc),
            types,
            own: None,
            as_announced: false,
            others: 0,
            other: (0, true),
            gap: false,
            note: None,
        }
    }

    /// Whether packets of this type are taken.
    pub(super) fn takes(&self, payload_type: u8) -> bool {
        self.types.contains(&payload_type)
    }

    /// Whether a packet's type is taken, before it is put in order.
    pub(super) fn takes_type_of(&self, packet: &Bytes) -> bool {
        packet.get(1).is_some_and(|kind| self.takes(kind & 0x7f))
    }

    /// What is to be told of its types.
    pub(super) fn note(&self) -> Option<&String> {
        self.note.as_ref()
    }

    /// Whether packets were left out since the last time this was asked.
    pub(super) fn had_gap(&mut self) -> bool {
        std::mem::take(&mut self.gap)
    }

    /// Takes the type of a packet of `offer` that came here, before it is put in order. Returns whether there is
    /// something new to tell.
    ///
    /// One that no section announces is taken where none of the announced ones comes, and its packets are those of
    /// the `codec`.
    pub(super) fn judge(
        &mut self,
        packet: &Bytes,
        offer: &Offer,
        codec: Option<VideoCodec>,
        announced: &[u8],
    ) -> bool {
        let Some(payload_type) = packet.get(1).map(|kind| kind & 0x7f) else { return false };
        if self.takes(payload_type) {
            (self.as_announced, self.others) = (true, 0);
            return false;
        }
        let media = codec.zip(payload(packet));
        let readable = media.is_some_and(|(codec, payload)| codec.reads(payload));
        // A session that begins with it begins with parameter sets.
        let plain = !self.as_announced && media.is_some_and(|(codec, payload)| codec.describes(payload));
        if self.others == 0 || self.other.0 != payload_type {
            (self.others, self.other) = (0, (payload_type, true));
        }
        self.others = self.others.saturating_add(1);
        self.other.1 &= readable;
        if self.others != MANY_OTHERS && !plain {
            return false;
        }
        let says = format!("have payload type {payload_type}, the camera announces {}", offer.payload_type);
        let note = if self.other.1 && !announced.contains(&payload_type) {
            self.types.push(payload_type);
            self.order.take(payload_type);
            self.gap = self.others > 1;
            format!("{} is taken all the same: its packets {says}", offer.name())
        } else {
            format!("{} is left out: its packets {says}; set its codec anew", offer.name())
        };
        self.note.replace(note.clone()) != Some(note)
    }
}

/// The payload of a packet of RTP, with what may pad it.
fn payload(packet: &Bytes) -> Option<&[u8]> {
    let sources = 4 * usize::from(packet.first()? & 0x0f);
    let extension = match packet[0] & 0x10 {
        0 => 0,
        _ => {
            let words = packet.get(14 + sources..16 + sources)?;
            4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]))
        }
    };
    packet.get(12 + sources + extension..).filter(|payload| !payload.is_empty())
}

/// The route of a packet that came interleaved, by its index; `None` if it belongs to no track.
///
/// What cameras say about channels is often wrong, and payload types tell as well: but only as long as a track's own
/// channel brings nothing.
pub(super) fn find(routes: &mut [Route], channel: u8, payload_type: u8, now: Instant) -> Option<usize> {
    let by_channel = routes.iter().position(|route| route.channels.is_some_and(|(own, _)| own == channel));
    if let Some(at) = by_channel.filter(|at| routes[*at].takes(payload_type)) {
        let route = &mut routes[at];
        if route.own.is_none() {
            // Whoever sent on another channel until now.
            route.order.let_go();
        }
        route.own = Some(now);
        return Some(at);
    }
    let silent = |route: &Route| route.own.is_none_or(|own| now.saturating_duration_since(own) >= SILENT);
    let by_type = routes
        .iter()
        .position(|route| route.channels.is_some() && route.takes(payload_type) && silent(route));
    by_type.or(by_channel)
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
