//! Viewers: the role of a peer that is sent media, with its place in every track.
//!
//! Owns what flows to one remote WHEP player: numbering, sealing, repairs, catching up, which layer. Its transport is a
//! [`Peer`]. Takes `now` and bytes; never reads a clock, opens a socket or knows other viewers.

mod budget;
mod catch_up;
mod feedback;
mod forward;
mod line;
mod outgoing;
mod reception;
mod redundancy;
mod runs;
mod state;
mod thin;
mod time;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sluice_media::rtcp::Epoch;
use sluice_media::srtp::{Opener, Sealer};
use sluice_media::{Kind, MAX_PAYLOAD, class};

pub use budget::KeyframeAnswer;
pub use feedback::Keyframes;
pub use forward::{Due, Forward, Forwarder, Repair};
pub(crate) use outgoing::AROUND_PAYLOAD_MAX;
pub use outgoing::Repairs;
pub use state::{Sent, TrackState, ViewerState};
pub use thin::LeftOut;

use self::budget::Budget;
use self::line::Line;
use self::outgoing::Outgoing;
use self::reception::Estimates;
use self::redundancy::Redundancy;
use crate::count::EndReason;
use crate::count::feedback::Feedback;
use crate::fault::{Site, strikes};
use crate::id::{LAYERS_MAX, LayerId, SessionId};
use crate::peer::{
    Admission, Check, Credentials, Egress, MediaParams, Path, Peer, PeerLimits, Remote, Turned,
};
use crate::track::{MAX_TRAIN_PACKETS, Recent, Train};

/// Bytes of a train's datagrams at the most: a catch-up waits until the socket can take so much.
const TRAIN_BYTES_MAX: usize = MAX_TRAIN_PACKETS * (MAX_PAYLOAD + AROUND_PAYLOAD_MAX);

/// Time between two looks at a line that is too slow for a catch-up. Longer makes it start later, shorter wakes the
/// thread for nothing.
const SLOW_WAIT: Duration = Duration::from_millis(20);

/// Who goes over to a layer whose keyframe came this short a time ago is sent nothing of the past. Longer lets somebody who
/// goes to and fro be sent more than once; shorter misses a keyframe that came while a picture of the other layer was spread.
const NEW_KEYFRAME: Duration = Duration::from_millis(100);

/// What a viewer may take.
#[derive(Debug, Clone, Copy)]
pub struct ViewerLimits {
    /// Of its transport.
    pub peer: PeerLimits,
    /// Between two sender reports of a track.
    pub report_interval: Duration,
}

/// Sequence numbers of the first packets.
#[derive(Debug, Clone, Copy)]
pub struct FirstSequences {
    /// Of the video.
    pub video: u16,
    /// Of the audio.
    pub audio: u16,
}

/// What a viewer is given by its shard at each call.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Recent trains of its layer.
    pub video: &'a Recent,
    /// Those of all layers of its stream: what was sent lately may be of another one.
    pub rings: Rings<'a>,
    /// What NTP time it is.
    pub epoch: &'a Epoch,
    /// Where what viewers report is counted.
    pub feedback: &'a Feedback,
    /// Live trains wait for the line: the past of who joins goes within what they leave.
    pub live_waits: bool,
}

/// Recent trains of a stream's layers, by their numbers, where they are here.
#[derive(Debug, Clone, Copy)]
pub struct Rings<'a>(pub [Option<&'a Recent>; LAYERS_MAX]);

impl<'a> Rings<'a> {
    /// Of that one.
    pub fn of(self, layer: u8) -> Option<&'a Recent> {
        self.0.get(usize::from(layer)).copied().flatten()
    }
}

/// What a call of a viewer brought about, for the shard's books.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// The viewer was reached just now, this long after its offer.
    pub reached: Option<Duration>,
    /// The viewer connected just now, this long after it was reached.
    pub connected: Option<Duration>,
    /// The first media was sealed just now, this long after it connected.
    pub first_media: Option<Duration>,
    /// What became of keyframe requests.
    pub keyframes: Keyframes,
    /// What became of packets that were asked for again.
    pub repairs: Repairs,
    /// Pictures left out because its line is narrow.
    pub left_out: LeftOut,
    /// Datagrams of the engine's own that were withheld.
    pub withheld: u32,
    /// DTLS records that carry application data: no answer offers a data channel.
    pub application_data: u32,
    /// DTLS records that the library refused.
    pub dtls_refused: u32,
    /// Datagrams of RTCP that do not open.
    pub rtcp_refused: u32,
    /// The viewer is over and must be dropped.
    pub ended: Option<EndReason>,
}

/// What a viewer did with a live train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was sent.
    Sent,
    /// It was sent with the packet before it in front, in so many bytes more.
    Twice(usize),
    /// It was sent as the first of its track, so [`Viewer::deadline`] changed; as the first of all, so long after the
    /// viewer connected.
    First(Option<Duration>),
    /// It was left out: something before it is missing, so nothing shows it before the next keyframe.
    Undecodable,
    /// It was left out: its line has no room for one picture more, so nothing shows what follows before the next keyframe.
    SlowLine,
    /// It leaves from the ring when its line has room, so [`Viewer::deadline`] changed.
    Queued,
    /// It is not this viewer's now: there is no way to the viewer, the codec is another, or a catch-up sends it.
    Passed,
}

/// How something goes to a viewer now.
pub(crate) struct Way<'a> {
    now: Instant,
    path: Path,
    epoch: &'a Epoch,
    egress: &'a mut dyn Egress,
}

/// One remote WHEP player.
pub struct Viewer {
    /// What it watches now.
    pub layer: LayerId,
    /// The number of the layer that it is to watch, while that one's source brings something.
    pub chosen: u8,
    /// Boxed: media never touches it, and what media touches of all viewers shall lie close together.
    peer: Box<Peer>,
    /// What it is sent, at most one video and one audio track.
    tracks: Vec<Outgoing>,
    sealer: Option<Sealer>,
    /// Boxed as the peer is.
    opener: Option<Box<Opener>>,
    estimates: Estimates,
    /// Boxed as the peer is.
    budget: Box<Budget>,
    /// Boxed as the peer is.
    line: Box<Line>,
    /// Boxed as the peer is; nothing of a peer that takes none.
    redundancy: Option<Box<Redundancy>>,
    /// Where media goes, as the peer said last; good until `target_until`.
    target: Option<Path>,
    target_until: Instant,
    /// A catch-up goes on then: its line is slow.
    rests_until: Instant,
    report_interval: Duration,
    /// Since when it is connected and was sent nothing.
    waits_since: Option<Instant>,
}

impl Viewer {
    /// A viewer over `peer`, which is sent `media`; its offer was answered at `offered`. Sequence numbers begin at
    /// the given ones.
    pub fn new(
        layer: LayerId,
        peer: Peer,
        media: Vec<MediaParams>,
        report_interval: Duration,
        first_sequences: FirstSequences,
        offered: Instant,
    ) -> Viewer {
        let track = |media: MediaParams| {
            let first = match media.codec.kind() {
                Kind::Video => first_sequences.video,
                Kind::Audio => first_sequences.audio,
            };
            let mut track = Outgoing::new(media, first);
            track.forwarder.begin_with(layer.number);
            track
        };
        let takes_redundancy = media.iter().any(|media| media.redundant_payload_type.is_some());
        Viewer {
            layer,
            chosen: layer.number,
            peer: Box::new(peer),
            tracks: media.into_iter().map(track).collect(),
            sealer: None,
            opener: None,
            estimates: Estimates::default(),
            budget: Box::new(Budget::new(offered)),
            line: Box::default(),
            redundancy: takes_redundancy.then(Box::default),
            target: None,
            target_until: offered,
            rests_until: offered,
            report_interval,
            waits_since: None,
        }
    }

    /// Its transport.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Its HTTP session.
    pub fn session(&self) -> SessionId {
        self.peer.session()
    }

    /// Whether it is sent no more than its line carries, because that is narrower than its stream.
    pub fn is_limited(&self) -> bool {
        self.line.limit().is_some()
    }

    /// When the viewer wants [`Viewer::handle_timeout`].
    pub fn deadline(&self) -> Instant {
        // Without a target nothing of a track can be done, however long it is due.
        let tracks = self.tracks.iter().filter(|_| self.target.is_some());
        let catch_up = |due: Instant| due.max(self.rests_until);
        let tracks = tracks.flat_map(|track| [track.forwarder.due().map(catch_up), track.report_due()]);
        tracks.flatten().fold(self.peer.poll_timeout(), Instant::min)
    }

    /// The address is another viewer's now.
    pub fn forget(&mut self, remote: Remote) {
        self.peer.forget(remote);
        self.target = self.target.filter(|target| target.remote != remote);
    }

    /// A connectivity check that names this viewer, from any address.
    pub fn handle_check(
        &mut self,
        now: Instant,
        remote: Remote,
        local: Option<IpAddr>,
        check: &Check<'_>,
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> (Outcome, Admission) {
        let (turned, admission) = self.peer.handle_check(now, remote, local, check, egress);
        (self.settle(now, turned, around), admission)
    }

    /// A datagram other than STUN from a known address.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        remote: Remote,
        datagram: &[u8],
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> Outcome {
        if !self.peer.is_known(remote) {
            return Outcome::default();
        }
        if class(datagram).is_srtp() {
            return self.handle_reports(now, remote, datagram, around, egress);
        }
        let turned = self.peer.handle_dtls(now, remote, datagram, egress);
        self.settle(now, turned, around)
    }

    /// The time is `now`: what is due is done.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> Outcome {
        if let Some(over) = self.peer.expired(now) {
            return Outcome { ended: Some(over), ..Outcome::default() };
        }
        let left_out = self.left_out();
        let first_media = self.send_what_is_due(now, around, egress);
        let left_out = self.left_out() - left_out;
        let turned = self.peer.handle_timeout(now, egress);
        Outcome { first_media, left_out, ..self.settle(now, turned, around) }
    }

    /// Whether the viewer has the beginning of the picture that `train` goes on with.
    pub fn is_amid(&self, train: &Train) -> bool {
        self.tracks.iter().any(|track| track.media.codec == train.codec && track.forwarder.is_amid(train))
    }

    /// It is this viewer's turn of a live train of its stream; `padding` bytes go behind the last packet.
    pub fn handle_train(
        &mut self,
        now: Instant,
        train: &Train,
        padding: u8,
        epoch: &Epoch,
        egress: &mut dyn Egress,
    ) -> Taken {
        let (Some(path), Some(sealer)) = (self.aim(now), &self.sealer) else { return Taken::Passed };
        // A source may come back with another codec than this viewer agreed to.
        let Some(track) = self.tracks.iter_mut().find(|track| track.media.codec == train.codec) else {
            return Taken::Passed;
        };
        if egress.is_slow(path) && !track.forwarder.is_amid(train) {
            return Taken::SlowLine;
        }
        let Some(forward) = track.forwarder.forward(train) else {
            return match () {
                () if track.forwarder.is_thin() => Taken::Queued,
                () if track.forwarder.awaits_keyframe() => Taken::Undecodable,
                () => Taken::Passed,
            };
        };
        let first = track.report_due().is_none();
        let packets = 0..train.packets.len();
        let way = &mut Way { now, path, epoch, egress };
        let twice = track.send((train, packets), forward, padding, sealer, way);
        egress.forwarded(train.received);
        if twice > 0 {
            // A line that is too narrow carries it in place of pictures.
            videos(&mut self.tracks).for_each(|track| track.forwarder.charge(twice as u64));
        }
        match twice {
            _ if first => Taken::First(self.first_media(now)),
            0 => Taken::Sent,
            bytes => Taken::Twice(bytes),
        }
    }

    /// Whether its sound goes twice now: it loses some.
    pub fn is_redundant(&self) -> bool {
        self.tracks.iter().any(|track| track.is_redundant)
    }

    /// Whether it could be sent pictures that come as these do.
    pub fn takes(&self, recent: &Recent) -> bool {
        let Some(latest) = recent.latest() else { return true };
        let mut videos = self.tracks.iter().filter(|track| track.media.codec.kind() == Kind::Video);
        videos.all(|track| track.media.codec == latest.codec)
    }

    /// Goes over to another layer of its stream, of which `recent` is the ring, with the keyframe that is there. Returns
    /// whether that was possible: else there is another try when half of a picture is out no more, or with
    /// [`Viewer::switch_at`].
    pub fn switch(&mut self, now: Instant, layer: LayerId, recent: &Recent) -> bool {
        if !self.takes(recent) || strikes(Site::LayerCannotBegin) {
            return false;
        }
        let began = self.sealer.is_some();
        // A camera's layers have their keyframes together: while half of the one picture is out, the other's came and went.
        let is_new = |keyframe: Instant| now.saturating_duration_since(keyframe) < NEW_KEYFRAME;
        let is_free = recent.keyframe_received().is_some_and(is_new);
        for track in videos(&mut self.tracks) {
            if !began {
                track.forwarder.begin_with(layer.number);
            } else if !(is_free || self.budget.may_begin_in_the_past(now))
                || !track.switch_to_past(now, layer.number, recent)
            {
                return false;
            } else if !is_free {
                self.budget.begun_in_the_past(now);
            }
        }
        self.layer = layer;
        true
    }

    /// Goes over to another layer of its stream, of which it is the turn of `train` now. Returns whether that was possible:
    /// else there is another try with the next keyframe.
    pub fn switch_at(&mut self, now: Instant, layer: LayerId, train: &Train) -> bool {
        let began = self.sealer.is_some();
        for track in videos(&mut self.tracks) {
            if !began {
                track.forwarder.begin_with(layer.number);
            } else if track.media.codec != train.codec || !track.switch_to_live(now, layer.number, train) {
                return false;
            }
        }
        self.layer = layer;
        true
    }

    /// New ICE credentials on both sides; addresses known so far stay valid (RFC 8445 §9).
    pub fn restart_ice(
        &mut self,
        now: Instant,
        (local, remote): (Credentials, Credentials),
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> Outcome {
        let turned = self.peer.restart_ice(now, local, remote, egress);
        self.settle(now, Some(turned), around)
    }

    /// Says goodbye on the wire. The viewer can only be dropped afterwards.
    pub fn close(&mut self, egress: &mut dyn Egress) {
        if let (Some(sealer), Some(path)) = (&mut self.sealer, self.target) {
            self.tracks.iter().for_each(|track| track.goodbye(sealer, path, egress));
        }
        self.peer.close(self.target, egress);
    }

    /// Where media goes now. Asks the peer only when the last answer is no longer good; without a target only
    /// what is heard from the viewer changes that.
    fn aim(&mut self, now: Instant) -> Option<Path> {
        if self.target.is_some() && now >= self.target_until {
            self.aim_anew(now);
        }
        self.target
    }

    fn aim_anew(&mut self, now: Instant) {
        let found = self.peer.target(now).filter(|_| !strikes(Site::TargetIsSilent));
        let before = self.target.map(|target| target.remote);
        self.target = found.map(|(target, _)| target);
        if let (Some(before), Some(target)) = (before, self.target)
            && before != target.remote
        {
            self.line.moved();
        }
        self.target_until = found.map_or(now, |(_, until)| until);
    }

    /// Looks where media goes after something was heard from the viewer.
    fn aim_as_heard(&mut self, now: Instant, around: Surroundings<'_>) {
        let was_silent = self.sealer.is_some() && self.target.is_none();
        self.aim_anew(now);
        if was_silent && self.target.is_some() {
            // It went without what came meanwhile: the ring brings it back to the live edge.
            for track in videos(&mut self.tracks) {
                track.forwarder.resume(now, around.video, &mut self.budget);
            }
        }
    }

    /// How long it was connected before media was sealed for it, told once.
    fn first_media(&mut self, now: Instant) -> Option<Duration> {
        self.waits_since.take().map(|since| now.saturating_duration_since(since))
    }

    fn left_out(&self) -> LeftOut {
        let tracks = self.tracks.iter().map(|track| track.forwarder.left_out());
        tracks.fold(LeftOut::default(), |mut sum, of| {
            sum += of;
            sum
        })
    }

    /// What leaves from the ring, and reports. Returns how long it waited for its first media, if that was it.
    fn send_what_is_due(
        &mut self,
        now: Instant,
        around: Surroundings<'_>,
        egress: &mut dyn Egress,
    ) -> Option<Duration> {
        let (Some(path), Some(sealer)) = (self.aim(now), &mut self.sealer) else { return None };
        let mut sent = false;
        let mut way = Way { now, path, epoch: around.epoch, egress };
        for track in &mut self.tracks {
            // Only video ever leaves from the ring: nothing starts that for another track.
            while track.forwarder.due().is_some()
                && !(around.live_waits && track.forwarder.is_in_past())
                && way.egress.ready(TRAIN_BYTES_MAX)
            {
                if strikes(Site::SocketIsFullForCatchUp) {
                    break;
                }
                if way.egress.is_slow(path) {
                    self.rests_until = now + SLOW_WAIT;
                    break;
                }
                let Some(Due { train, packets, forward }) = track.forwarder.poll(now, around.video) else {
                    break;
                };
                // The ring may hold another codec than was agreed to, as in `handle_train`.
                if train.codec == track.media.codec {
                    track.send((&train, packets), forward, 0, sealer, &mut way);
                    sent = true;
                }
            }
            if sent && track.media.codec.kind() == Kind::Video && self.line.sends(now) {
                track.forwarder.limit(now, None, around.video);
            }
            track.report(self.report_interval, sealer, &mut way);
        }
        if sent { self.first_media(now) } else { None }
    }

    /// What the peer's call brought about; nothing if it was not asked.
    fn settle(&mut self, now: Instant, turned: Option<Turned>, around: Surroundings<'_>) -> Outcome {
        let Some(turned) = turned else { return Outcome::default() };
        if turned.ended == Some(EndReason::EngineFailed) {
            return Outcome { ended: turned.ended, ..Outcome::default() };
        }
        self.aim_as_heard(now, around);
        if turned.connected.is_some() {
            self.sealer = self.peer.sealer();
            self.opener = self.peer.opener().map(Box::new);
            if self.sealer.is_none() || self.opener.is_none() {
                let failed = self.peer.failed("the handshake gave no SRTP keys");
                return Outcome { ended: failed.ended, ..Outcome::default() };
            }
            self.waits_since = Some(now);
            for track in videos(&mut self.tracks) {
                track.forwarder.start(now, around.video);
            }
        }
        let Turned { reached, connected, ended, withheld, application_data, dtls_refused } = turned;
        Outcome { reached, connected, ended, withheld, application_data, dtls_refused, ..Outcome::default() }
    }
}

/// Those of them that are video.
fn videos(tracks: &mut [Outgoing]) -> impl Iterator<Item = &mut Outgoing> {
    tracks.iter_mut().filter(|track| track.media.codec.kind() == Kind::Video)
}
