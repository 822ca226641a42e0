//! From the packets of a session to units of media for the sink.
//!
//! Owns which tracks are chosen, how packets get to them, and the deadline for media. Never knows RTSP or a socket.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_media::nal::{Depacketizer, Packet};
use sluice_media::{AccessUnit, AudioFrame};
use str0m::rtp::Ssrc;

use super::dialog::Track;
use super::failure::Failure;
use super::formats::{Choice, Offer, choose};
use super::losses::Losses;
use super::numbers::Numbers;
use super::order::{Order, Ordered};
use super::sdp::Description;
use super::{Journal, RtspSettings};
use crate::stream::Sink;

/// Types of RTCP that are in use (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
const REPORTS: std::ops::RangeInclusive<u8> = 200..=207;

/// Packets of a type that was not announced, and none of the other, before that is told.
const MANY_OTHERS: u32 = 50;

/// An attempt that brought media for so long has worked: it may be tried again at once, and its end is news.
///
/// Raising it makes the pauses longer after sessions that break soon; lowering it lets a camera that brings a picture
/// and closes be asked, and written of, several times a second for ever.
const STEADY: Duration = Duration::from_secs(5);

/// From when to when an attempt brought media.
#[derive(Debug, Default)]
pub(super) struct Flow {
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Flow {
    /// Whether it brought media for a while.
    pub(super) fn is_steady(&self) -> bool {
        self.since
            .zip(self.until)
            .is_some_and(|(since, until)| until.saturating_duration_since(since) >= STEADY)
    }

    /// Notes media. Returns whether it is steady since now.
    pub(super) fn note(&mut self, received: Instant) -> bool {
        let was_steady = self.is_steady();
        self.since.get_or_insert(received);
        self.until = Some(received);
        self.is_steady() && !was_steady
    }
}

/// Turns the packets of one session into units of media.
pub(super) struct Reader<'a, S> {
    settings: &'a RtspSettings,
    offers: Vec<Offer>,
    choice: Choice,
    routes: Vec<Route>,
    ordered: Vec<Ordered>,
    /// Of the video, once it is chosen.
    depacketizer: Option<Depacketizer>,
    units: Vec<AccessUnit>,
    losses: Losses,
    numbers: Numbers,
    /// Packets that belong to no track.
    strangers: u64,
    begun: bool,
    /// Whom to ask for a keyframe, if the camera lets it be asked.
    video_ssrc: Option<Ssrc>,
    /// Since when media should come.
    playing: Option<Instant>,
    sink: &'a mut S,
    journal: &'a mut Journal,
    flow: &'a mut Flow,
}

/// How packets get to their track.
struct Route {
    /// Which of the offers.
    media: usize,
    /// The channel of its packets, if they come interleaved.
    channel: Option<u8>,
    order: Order,
    /// Whether a packet came as it was announced.
    as_announced: bool,
    /// Those with another payload type before.
    others: u32,
    /// The type of the last of them.
    other_type: u8,
}

impl Route {
    /// Takes the type of a packet: `true` if it is time to tell of it.
    fn is_odd(&mut self, announced: u8, payload_type: u8) -> bool {
        self.as_announced |= payload_type == announced;
        if self.as_announced {
            return false;
        }
        self.other_type = payload_type;
        self.others = self.others.saturating_add(1);
        self.others == MANY_OTHERS
    }
}

impl<'a, S: Sink> Reader<'a, S> {
    pub(super) fn new(
        settings: &'a RtspSettings,
        sink: &'a mut S,
        journal: &'a mut Journal,
        flow: &'a mut Flow,
    ) -> Reader<'a, S> {
        Reader {
            settings,
            offers: Vec::new(),
            choice: Choice::default(),
            routes: Vec::new(),
            ordered: Vec::new(),
            depacketizer: None,
            units: Vec::new(),
            losses: Losses::new(settings.rtsp.transport),
            numbers: Numbers::default(),
            strangers: 0,
            begun: false,
            video_ssrc: None,
            playing: None,
            sink,
            journal,
            flow,
        }
    }

    /// Chooses what to set up of what the camera offers.
    pub(super) fn choose(&mut self, description: &Description) -> Result<Vec<Track>, Failure> {
        self.offers = description.media.iter().map(Offer::from).collect();
        self.choice = choose(&self.offers);
        if description.more > 0 {
            self.choice.notes.push(format!("{} more streams are not looked at", description.more));
        }
        let Choice { video, audio, .. } = &self.choice;
        let max_bytes = self.settings.rtsp.max_frame.as_usize();
        self.depacketizer = video.map(|(_, codec)| codec.depacketizer(max_bytes));
        let chosen = video.map(|(index, _)| index).into_iter().chain(audio.map(|(index, _)| index));
        let track = |(at, media): (usize, usize)| Track::new(media, at == 0, self.offers[media].name());
        let tracks: Vec<Track> = chosen.enumerate().map(track).collect();
        if tracks.is_empty() {
            return Err(Failure::Nothing(std::mem::take(&mut self.choice.notes)));
        }
        Ok(tracks)
    }

    /// Media may come for `tracks`; `notes` are about those that were chosen and are not among them.
    pub(super) fn prepare(&mut self, tracks: &[Track], notes: &[String]) {
        self.choice.audio.take_if(|(audio, _)| !tracks.iter().any(|track| track.media == *audio));
        self.choice.notes.extend_from_slice(notes);
        let route = |track: &Track| Route {
            media: track.media,
            channel: track.port.is_none().then_some(track.channels.0),
            order: Order::new(self.offers[track.media].payload_type, track.port.is_some()),
            as_announced: false,
            others: 0,
            other_type: 0,
        };
        self.routes = tracks.iter().map(route).collect();
    }

    /// The session is established: PLAY is answered, or media came before that.
    fn begin(&mut self) {
        self.begun = true;
        let parameter_sets = self.choice.parameter_sets(&self.offers);
        self.sink.begin(self.choice.formats(&self.offers), &parameter_sets);
    }

    /// When [`Reader::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let orders = self.routes.iter().filter_map(|route| route.order.deadline());
        let silence =
            self.playing.map(|since| self.flow.until.unwrap_or(since) + self.settings.rtsp.data_timeout);
        orders.chain(silence).min()
    }

    pub(super) fn handle_timeout(
        &mut self,
        playing: bool,
        stranger: Option<IpAddr>,
        now: Instant,
    ) -> Result<(), Failure> {
        if playing && self.playing.is_none() {
            self.playing = Some(now);
            if !self.begun {
                self.begin();
            }
        }
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        for at in 0..self.routes.len() {
            self.routes[at].order.release(now, &mut self.ordered);
            self.forward(at)?;
        }
        let since = self.playing.map(|since| self.flow.until.unwrap_or(since));
        if since.is_some_and(|since| now.saturating_duration_since(since) >= self.settings.rtsp.data_timeout)
        {
            return Err(self.silent(stranger));
        }
        Ok(())
    }

    fn silent(&self, stranger: Option<IpAddr>) -> Failure {
        let disordered: u64 = self.routes.iter().map(|route| route.order.discarded()).sum();
        let malformed = self.depacketizer.as_ref().map_or(0, Depacketizer::discarded);
        Failure::Silent {
            what: if self.choice.video.is_some() { "whole picture" } else { "audio" },
            limit: self.settings.rtsp.data_timeout,
            transport: self.settings.rtsp.transport,
            discarded: self.strangers + disordered + malformed,
            stranger,
        }
    }

    /// A packet out of the RTSP connection.
    pub(super) fn interleaved(
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
            let mut routes = self.routes.iter().filter(|route| route.channel == Some(channel));
            routes.any(|route| self.offers[route.media].payload_type == payload_type)
        };
        if (192..=223).contains(kind) && (REPORTS.contains(kind) || !is_named()) {
            return Ok(());
        }
        let is_its = |route: &Route| self.offers[route.media].payload_type == payload_type;
        // What the camera said about channels is often wrong; payload types tell as well.
        let by_channel = self.routes.iter().position(|route| route.channel == Some(channel));
        let by_type = || self.routes.iter().position(|route| route.channel.is_some() && is_its(route));
        match by_channel.filter(|at| is_its(&self.routes[*at])).or_else(by_type).or(by_channel) {
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

    /// A packet that came to the ports of section `media`.
    pub(super) fn datagram(&mut self, media: usize, packet: Bytes, received: Instant) -> Result<(), Failure> {
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
        let route = &mut self.routes[at];
        let announced = self.offers[route.media].payload_type;
        if self.choice.video.is_some_and(|(video, _)| video == route.media)
            && let Some(ssrc) = packet.get(8..12).and_then(|ssrc| ssrc.try_into().ok())
        {
            self.video_ssrc = Some(u32::from_be_bytes(ssrc).into());
        }
        let is_odd = packet.get(1).is_some_and(|kind| route.is_odd(announced, kind & 0x7f));
        route.order.push(packet, received, missing, &mut self.ordered);
        if is_odd {
            self.remark();
        }
        self.forward(at)
    }

    /// Tells what was found out about the session.
    fn remark(&mut self) {
        let odd = |route: &Route| {
            let offer = &self.offers[route.media];
            (!route.as_announced && route.others >= MANY_OTHERS).then(|| {
                format!(
                    "{} is left out: its packets have payload type {}, the camera announces {}; set its codec anew",
                    offer.name(),
                    route.other_type,
                    offer.payload_type
                )
            })
        };
        let notes: Vec<String> =
            self.losses.note().into_iter().chain(self.routes.iter().filter_map(odd)).collect();
        self.sink.remark(&notes);
    }

    /// Takes the packets of a track that are in order.
    fn forward(&mut self, at: usize) -> Result<(), Failure> {
        let media = self.routes[at].media;
        let mut ordered = std::mem::take(&mut self.ordered);
        let result = ordered.drain(..).try_for_each(|packet| self.packet(media, packet));
        self.ordered = ordered;
        result
    }

    /// Section and SSRC of the video, if its camera lets it be asked for a keyframe.
    pub(super) fn askable(&self) -> Option<(usize, Ssrc)> {
        let video = self.choice.video.map(|(index, _)| index);
        video.filter(|video| self.offers[*video].feedback).zip(self.video_ssrc)
    }

    fn packet(&mut self, media: usize, packet: Ordered) -> Result<(), Failure> {
        if self.losses.count(packet.lost, packet.received) {
            self.remark();
        }
        if packet.lost > 0 {
            self.sink.lost(u64::from(packet.lost));
        }
        if packet.restarted {
            self.sink.restarted();
        }
        // Comfort noise, events, and what else shares a channel. Other clients drop these too.
        if self.offers[media].payload_type != packet.payload_type {
            self.strangers += 1;
            return Ok(());
        }
        let Ordered { payload, marker, timestamp, lost, restarted, received, .. } = packet;
        if payload.is_empty() {
            return Ok(());
        }
        match self.choice.video {
            Some((video, codec)) if video == media => {
                // Behind a restart nothing is missing if it begins with a picture of its own.
                let after_loss = lost > 0 || restarted && !codec.begins_group(&payload);
                self.video(Packet { payload, timestamp, marker, after_loss, received })
            }
            _ => {
                self.audio(own(&payload), timestamp, received);
                Ok(())
            }
        }
    }

    fn video(&mut self, packet: Packet) -> Result<(), Failure> {
        let Some(depacketizer) = &mut self.depacketizer else { return Ok(()) };
        let mut units = std::mem::take(&mut self.units);
        depacketizer
            .push(packet, &mut units)
            .map_err(|_| Failure::PictureTooLarge(self.settings.rtsp.max_frame.as_usize()))?;
        for unit in units.drain(..) {
            self.flows(unit.received);
            self.sink.video(unit);
        }
        self.units = units;
        Ok(())
    }

    fn audio(&mut self, payload: Bytes, timestamp: i64, received: Instant) {
        // With video, only pictures show that the camera lives: its encoder can hang while the microphone
        // goes on.
        if self.choice.video.is_none() {
            self.flows(received);
        }
        self.sink.audio(AudioFrame { payload, timestamp, received });
    }

    /// Notes a sign of life.
    fn flows(&mut self, received: Instant) {
        if self.flow.note(received) {
            self.journal.flows(&self.settings.stream);
        }
    }
}

/// The same bytes in memory of their own: a slice would keep all that was read with it.
fn own(payload: &Bytes) -> Bytes {
    Bytes::copy_from_slice(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn a_flow_is_steady_after_a_while_and_that_is_news_once() {
        let start = Instant::now();
        let mut flow = Flow::default();
        let news: Vec<u64> =
            (0..20).filter(|second| flow.note(start + Duration::from_secs(*second))).collect();
        assert_eq!(news, [STEADY.as_secs()]);
        assert!(flow.is_steady());
        assert_eq!(flow.until, Some(start + Duration::from_secs(19)));
        let mut short = Flow::default();
        assert!(!short.is_steady() && !short.note(start) && !short.is_steady());
    }
}
