//! From the packets of a session to units of media for the sink.
//!
//! Owns which tracks are chosen, how packets get to them, and the deadline for media. Never knows RTSP or a socket.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_media::nal::{Depacketizer, LeftOut, Packet};
use sluice_media::{AccessUnit, AudioFrame, VideoCodec, rtcp};
use str0m::rtp::Ssrc;

use super::dialog::Track;
use super::failure::{Failure, Silence};
use super::formats::{Choice, Offer, choose};
use super::losses::Losses;
use super::numbers::Numbers;
use super::oddities::Oddities;
use super::order::Ordered;
use super::routes::{self, Route};
use super::sdp::Description;
use super::{Journal, RtspSettings};
use crate::stream::Sink;

/// Types of RTCP that are in use (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
const REPORTS: std::ops::RangeInclusive<u8> = 200..=207;

/// The goodbye of a sender among them (RFC 3550 §6.6).
const BYE: u8 = 203;

/// Parameter sets of another codec than the announced one, and no keyframe of that, before it is believed.
const OTHERS_SETS: u8 = 2;

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
    oddities: Oddities,
    numbers: Numbers,
    /// Packets that came.
    packets: u64,
    /// Those that belong to no track.
    strangers: u64,
    restarts: u64,
    /// What was no use when a picture came last.
    useless: Useless,
    /// A sender said that it ends, and nothing came since.
    ended: bool,
    /// Of which other codec parameter sets came, and how many; `None` once a keyframe shows that it is the announced.
    other_codec: Option<(VideoCodec, u8)>,
    begun: bool,
    /// Whom to ask for a keyframe, if the camera lets it be asked.
    video_ssrc: Option<Ssrc>,
    /// Since when media should come.
    playing: Option<Instant>,
    sink: &'a mut S,
    journal: &'a mut Journal,
    flow: &'a mut Flow,
}

/// What came and was no use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Useless {
    packets: u64,
    strangers: u64,
    left_out: LeftOut,
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
            choice: Choice { video: None, audio: None, notes: Vec::new() },
            routes: Vec::new(),
            ordered: Vec::new(),
            depacketizer: None,
            units: Vec::new(),
            losses: Losses::new(settings.rtsp.transport),
            oddities: Oddities::default(),
            numbers: Numbers::default(),
            packets: 0,
            strangers: 0,
            restarts: 0,
            useless: Useless::default(),
            ended: false,
            other_codec: None,
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
        let codec = self.choice.video.map(|(_, codec)| codec);
        let other = |codec| VideoCodec::ALL.into_iter().find(|other| *other != codec);
        self.other_codec = codec.and_then(other).map(|other| (other, 0));
        let route = |track: &Track| Route::new(track, &self.offers[track.media]);
        self.routes = tracks.iter().map(route).collect();
    }

    /// The session is established: PLAY is answered, or media came before that.
    fn begin(&mut self) {
        self.begun = true;
        let parameter_sets = self.choice.parameter_sets(&self.offers);
        self.sink.begin(self.choice.formats(&self.offers), &parameter_sets);
    }

    /// When media came last that was of use.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.flow.until
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
        let (now, before) = (self.useless_now(), self.useless);
        let (out, out_before) = (now.left_out, before.left_out);
        let damaged = out.damaged - out_before.damaged;
        let headless = out.headless - out_before.headless;
        let strangers = now.strangers - before.strangers;
        let silence = match stranger {
            Some(address) => Silence::Elsewhere(address),
            None if self.ended => Silence::Ended,
            None if now.packets == before.packets && strangers == 0 => Silence::Nothing,
            None if damaged > headless => Silence::Damaged,
            None if headless > 0 => Silence::Headless,
            None if strangers > 0 => Silence::Strangers,
            None => Silence::NoPicture,
        };
        Failure::Silent {
            what: if self.choice.video.is_some() { "whole picture" } else { "audio" },
            limit: self.settings.rtsp.data_timeout,
            transport: self.settings.rtsp.transport,
            silence,
        }
    }

    /// What came and was no use, since the session began.
    fn useless_now(&self) -> Useless {
        let others: u64 =
            self.routes.iter().map(|route| route.order.discarded() + route.order.foreign()).sum();
        let malformed = self.depacketizer.as_ref().map_or(0, Depacketizer::discarded);
        Useless {
            packets: self.packets,
            strangers: self.strangers + others + malformed,
            left_out: self.depacketizer.as_ref().map(Depacketizer::left_out).unwrap_or_default(),
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
    pub(super) fn report(&mut self, compound: &[u8]) {
        for packet in rtcp::read::packets(compound).filter(|packet| packet.get(1) == Some(&BYE)) {
            let count = usize::from(packet[0] & 0x1f);
            for ssrc in packet[4..].as_chunks::<4>().0.iter().take(count) {
                let ssrc = u32::from_be_bytes(*ssrc);
                self.ended |= self.routes.iter_mut().any(|route| route.order.end(ssrc));
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
    fn remark(&mut self) {
        let types = self.routes.iter().filter_map(Route::note).cloned();
        let unnumbered = self.routes.iter().any(|route| route.order.is_disbelieved());
        let losses = self.losses.note().filter(|_| !unnumbered);
        let notes: Vec<String> =
            losses.into_iter().chain(self.oddities.notes().iter().cloned()).chain(types).collect();
        self.sink.remark(&notes);
    }

    /// Takes the packets of a track that are in order.
    fn forward(&mut self, at: usize) -> Result<(), Failure> {
        let mut ordered = std::mem::take(&mut self.ordered);
        let result = ordered.drain(..).try_for_each(|packet| self.packet(at, packet));
        self.ordered = ordered;
        result
    }

    /// Section and SSRC of the video, if its camera lets it be asked for a keyframe.
    pub(super) fn askable(&self) -> Option<(usize, Ssrc)> {
        let video = self.choice.video.map(|(index, _)| index);
        video.filter(|video| self.offers[*video].feedback).zip(self.video_ssrc)
    }

    fn packet(&mut self, at: usize, packet: Ordered) -> Result<(), Failure> {
        let media = self.routes[at].media;
        self.ended = false;
        if self.losses.count(packet.lost, packet.received) {
            self.remark();
        }
        if packet.lost > 0 {
            self.sink.lost(u64::from(packet.lost));
        }
        if packet.restarted {
            self.restarts += 1;
            self.sink.restarted();
        }
        // Comfort noise, events, and what else shares a channel. Other clients drop these too.
        if !self.routes[at].takes(packet.payload_type) {
            self.strangers += 1;
            return Ok(());
        }
        let Ordered { payload, marker, timestamp, lost, restarted, received, .. } = packet;
        if payload.is_empty() {
            return Ok(());
        }
        match self.choice.video {
            Some((video, codec)) if video == media => {
                self.doubt(codec, &payload)?;
                let after_loss = lost > 0 || self.routes[at].had_gap();
                self.video(Packet { payload, timestamp, marker, after_loss, restarted, received })
            }
            _ => {
                self.audio(own(&payload), timestamp, received);
                Ok(())
            }
        }
    }

    /// Whether the announced `codec` is another one than comes.
    fn doubt(&mut self, codec: VideoCodec, payload: &[u8]) -> Result<(), Failure> {
        let Some((other, sets)) = &mut self.other_codec else { return Ok(()) };
        if codec.describes(payload) || !other.describes(payload) {
            return Ok(());
        }
        *sets += 1;
        if *sets >= OTHERS_SETS {
            return Err(Failure::OtherCodec { announced: codec, comes: *other });
        }
        Ok(())
    }

    fn video(&mut self, packet: Packet) -> Result<(), Failure> {
        let Some(depacketizer) = &mut self.depacketizer else { return Ok(()) };
        let (received, keyframes) = (packet.received, depacketizer.left_out().keyframes);
        let mut units = std::mem::take(&mut self.units);
        depacketizer
            .push(packet, &mut units)
            .map_err(|_| Failure::PictureTooLarge(self.settings.rtsp.max_frame.as_usize()))?;
        if depacketizer.left_out().keyframes > keyframes {
            self.sink.damaged_keyframe(received);
        }
        for unit in units.drain(..) {
            self.flows(unit.received);
            self.other_codec
                .take_if(|_| self.choice.video.is_some_and(|(_, codec)| codec.is_keyframe(&unit.nals)));
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
        self.useless = self.useless_now();
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
