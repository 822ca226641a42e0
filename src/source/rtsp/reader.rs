//! From the packets of a session to units of media for the sink.
//!
//! Owns which tracks are chosen, what becomes of their packets, and the deadline for media. Never knows RTSP or a socket.

mod arrivals;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sluice_config::Transport;
use sluice_media::nal::{Depacketizer, Packet};
use sluice_media::{AccessUnit, AudioFrame};
use str0m::rtp::Ssrc;

use super::connection::MayLie;
use super::dialog::Track;
use super::doubt::Doubt;
use super::failure::Failure;
use super::flow::Flow;
use super::formats::{Choice, Offer, choose};
use super::losses::{Losses, Watch};
use super::numbers::Numbers;
use super::oddities::Oddities;
use super::order::Ordered;
use super::rhythm::Rhythm;
use super::routes::Route;
use super::sdp::Description;
use super::silence::{Silence, Useless};
use super::sound::Units;
use super::{Journal, RtspSettings};
use crate::stream::{Brand, Sink};

/// A way of media that is tried has to bring a packet within this time. Longer delays the first picture of a camera whose
/// packets do not come through; shorter gives up one that takes its time.
const HURRY: Duration = Duration::from_secs(3);

/// Turns the packets of one session into units of media.
pub(super) struct Reader<'a, S> {
    settings: &'a RtspSettings,
    offers: Vec<Offer>,
    choice: Choice,
    routes: Vec<Route>,
    ordered: Vec<Ordered>,
    /// Of the video, once it is chosen.
    depacketizer: Option<Depacketizer>,
    /// Of the audio, once it is chosen.
    sound: Option<Units>,
    units: Vec<AccessUnit>,
    losses: Losses,
    /// Where TCP may be taken for what UDP loses.
    watch: Option<Watch>,
    oddities: Oddities,
    numbers: Numbers,
    rhythm: Rhythm,
    /// How long no packet at all may come.
    first: Duration,
    /// Packets that came.
    packets: u64,
    /// Those that belong to no track.
    strangers: u64,
    /// When one of either came last.
    newest: Option<Instant>,
    restarts: u64,
    /// What was no use when a picture came last.
    useless: Useless,
    /// A sender said that it ends, and nothing came since.
    ended: bool,
    /// Whether the video is what it is said to be, once it is chosen.
    doubt: Option<Doubt>,
    begun: bool,
    /// Whom to ask for a keyframe, if the camera lets it be asked.
    video_ssrc: Option<Ssrc>,
    /// Since when media should come.
    playing: Option<Instant>,
    sink: &'a mut S,
    journal: &'a mut Journal,
    flow: &'a mut Flow,
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
            sound: None,
            units: Vec::new(),
            losses: Losses::new(settings.rtsp.transport),
            watch: None,
            oddities: Oddities::default(),
            numbers: Numbers::default(),
            rhythm: Rhythm::default(),
            first: settings.rtsp.data_timeout,
            packets: 0,
            strangers: 0,
            newest: None,
            restarts: 0,
            useless: Useless::default(),
            ended: false,
            doubt: None,
            begun: false,
            video_ssrc: None,
            playing: None,
            sink,
            journal,
            flow,
        }
    }

    /// There is another way, if nothing comes.
    pub(super) fn hurry(&mut self) {
        self.first = self.first.min(HURRY);
    }

    /// There is a way by which nothing is lost, if much is by this one.
    pub(super) fn mind_loss(&mut self) {
        self.watch = Some(Watch::default());
    }

    /// How long it may be silent.
    fn patience(&self) -> Duration {
        if self.packets == 0 { self.first } else { self.settings.rtsp.data_timeout }
    }

    /// Chooses what to set up of what the camera offers.
    pub(super) fn choose(&mut self, description: &Description) -> Result<Vec<Track>, Failure> {
        self.offers = description.media.iter().map(Offer::from).collect();
        let url = &self.settings.camera.url;
        let path = url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let brand = Brand::of(&path, description.said.iter().map(String::as_str));
        self.choice = choose(&self.offers, brand);
        if description.more > 0 {
            self.choice.notes.push(format!("{} more streams are not looked at", description.more));
        }
        let Choice { video, audio, .. } = &self.choice;
        let max_bytes = self.settings.rtsp.max_frame.as_usize();
        let sets = self.choice.parameter_sets(&self.offers);
        self.depacketizer = video.map(|(_, codec)| {
            let mut depacketizer = codec.depacketizer(max_bytes);
            depacketizer.announce(&sets);
            depacketizer
        });
        self.sound = audio.map(|(index, sound)| sound.units(self.offers[index].clock_rate));
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
        self.doubt = self.choice.video.map(|(_, codec)| Doubt::new(codec));
        let route = |track: &Track| Route::new(track, &self.offers[track.media]);
        self.routes = tracks.iter().map(route).collect();
        if tracks.iter().all(|track| track.port.is_none()) {
            self.losses = Losses::new(Transport::Tcp);
            self.watch = None;
        }
    }

    /// The session is established: PLAY is answered, or media came before that.
    fn begin(&mut self) {
        self.begun = true;
        let parameter_sets = self.choice.parameter_sets(&self.offers);
        self.sink.begin(self.choice.formats(&self.offers), &parameter_sets);
    }

    /// When media came last that was of use.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.flow.until()
    }

    /// How long what comes may lie before it is read: not before the camera is known to play, and where somebody watches
    /// only sound, until the picture that is due.
    pub(super) fn may_lie(&mut self, now: Instant) -> MayLie {
        match self.flow.is_steady() {
            true if !self.sink.is_watched() => MayLie::Portion,
            true => self.rhythm.rest(now).map_or(MayLie::No, MayLie::Until),
            false => MayLie::No,
        }
    }

    /// When [`Reader::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let orders = self.routes.iter().filter_map(|route| route.order.deadline());
        let silence = self.playing.map(|since| self.flow.until().unwrap_or(since) + self.patience());
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
        let since = self.playing.map(|since| self.flow.until().unwrap_or(since));
        if since.is_some_and(|since| now.saturating_duration_since(since) >= self.patience()) {
            return Err(self.silent(stranger, now));
        }
        Ok(())
    }

    fn silent(&self, stranger: Option<IpAddr>, now: Instant) -> Failure {
        let silence = match stranger {
            Some(address) => Silence::Elsewhere(address),
            None if self.ended => Silence::Ended,
            None => self.useless_now().since(&self.useless, self.patience(), now),
        };
        Failure::Silent {
            what: if self.choice.video.is_some() { "whole picture" } else { "audio" },
            limit: self.patience(),
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
            newest: self.newest,
        }
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
        if let Some(heavy) = self.watch.as_mut().and_then(|watch| watch.count(packet.lost, packet.received)) {
            return Err(Failure::Lossy(heavy));
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
        if packet.payload.is_empty() {
            return Ok(());
        }
        match self.choice.video {
            Some((video, codec)) if video == media => {
                let Ordered { payload, marker, timestamp, lost, restarted, received, .. } = packet;
                if let Some(comes) = self.doubt.as_mut().and_then(|doubt| doubt.look(&payload)) {
                    return Err(Failure::OtherCodec { announced: codec, comes });
                }
                let after_loss = lost > 0 || self.routes[at].had_gap();
                self.video(Packet { payload, timestamp, marker, after_loss, restarted, received })
            }
            _ => {
                self.audio(&packet);
                Ok(())
            }
        }
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
            self.rhythm.picture(unit.received);
            if self.choice.video.is_some_and(|(_, codec)| codec.is_keyframe(&unit.nals)) {
                self.doubt = None;
            }
            self.sink.video(unit);
        }
        self.units = units;
        Ok(())
    }

    fn audio(&mut self, packet: &Ordered) {
        let received = packet.received;
        let Some(units) = self.sound.as_mut().and_then(|sound| sound.push(packet)) else {
            self.strangers += 1;
            return;
        };
        for (payload, timestamp) in units {
            // With video, only pictures show that the camera lives: its encoder can hang while the microphone
            // goes on.
            if self.choice.video.is_none() {
                self.flows(received);
            }
            self.sink.audio(AudioFrame { payload, timestamp, received });
        }
    }

    /// Notes a sign of life.
    fn flows(&mut self, received: Instant) {
        self.useless = self.useless_now();
        if self.flow.note(received) {
            self.journal.flows(&self.settings.stream);
        }
    }
}
