use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use crossbeam_channel::{Receiver, bounded};
use sluice_config::{OnDemand, Rtsp, Source};
use sluice_media::{AudioCodec, VideoCodec};

use super::*;
use crate::client::{Client, Share};
use crate::id::LayerId;
use crate::session::admission::{Admission, AdmissionLimits, Asked};
use crate::session::agreed::Agreed;
use crate::session::right::{Proof, Right};
use crate::session::visitor::Visitor;
use crate::shard::command::{MEDIA_MAX, Queued, ShardHandle, Wake};
use crate::shard::weight::Weight;
use crate::shard::{News, RoomLimits};
use crate::stream::{AudioFormat, Cause, Formats, HIGH, LOW, Origin, VideoFormat};
use crate::track::RecentLimits;

/// A pair over one shard whose queues nobody reads, and the only session of it.
struct World {
    shard: Arc<ShardHandle>,
    _queues: (Receiver<Command>, Receiver<Queued>),
    stream: Arc<Stream>,
    sessions: Sessions,
}

const SESSION: SessionId = SessionId(1);

impl World {
    /// A session that agreed to H.264, wants the one layer and was answered with the other.
    fn new(wanted: u8, answered: u8) -> World {
        World::with(wanted, answered, Agreed::to(VideoCodec::H264))
    }

    /// The same, that agreed to something else.
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn with(wanted: u8, answered: u8, agreed: Agreed) -> World {
        let poll = mio::Poll::new().expect("a poll");
        let wake = Arc::new(Wake::new(mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker")));
        let ((commands, told), (media, queue)) = (bounded(100), bounded(MEDIA_MAX));
        let room = RoomLimits { busy: Some(0.9), rate: None };
        let shard = Arc::new(ShardHandle::new(0, (1, None), Arc::default(), commands, media, wake, room));
        let limits = RecentLimits { bytes: 1, history: Duration::ZERO };
        let origin =
            || Origin { source: Source::Demo, rtsp: Rtsp::default(), on_demand: OnDemand::default() };
        let (stream, _) = Registry::new(std::slice::from_ref(&shard), limits)
            .add("gate", origin())
            .expect("it is the first");
        stream.add_low(origin()).expect("it has none");
        let limits = AdmissionLimits {
            viewers: 10,
            viewers_per_stream: 0,
            pending: 10,
            share: Share(100),
            joins_per_second: 10,
            joins_of_stream: 0,
            joins: 0,
            egress_of_stream: 0,
            egress_of_client: 0,
        };
        let sessions = Sessions::new(Arc::new(Admission::new(limits)));
        let address = Ipv4Addr::LOCALHOST.into();
        let (now, bits) = (Instant::now(), 0);
        let asked = Asked { client: Client::of(address), stream: stream.id, bits };
        let place = sessions.admission.admit(now, asked).expect("room");
        let visitor = Visitor::new(address, &HeaderMap::new(), now);
        let layer = stream.id.layer(answered);
        stream.subscribe(layer, 0).expect("room");
        let session = Session::new(
            stream.clone(),
            (layer, wanted),
            shard.clone(),
            (place, visitor, Right::nameless(Proof::Open, 0)),
            String::new(),
            Vec::new(),
            (Vec::new(), agreed),
        );
        sessions.insert(SESSION, session);
        World { shard, _queues: (told, queue), stream, sessions }
    }

    fn plays(&self, number: u8, codec: VideoCodec) {
        self.plays_with(number, codec, None);
    }

    fn plays_with(&self, number: u8, codec: VideoCodec, sound: Option<AudioCodec>) {
        let video = VideoFormat { codec, profile_level_id: None, size: None, frame_rate: None };
        let audio = sound.map(|codec| AudioFormat::new(codec, 1));
        let layer = self.stream.layer(number).expect("a pair");
        self.stream.update(&layer, |status| {
            status.formats = Some(Formats { video: Some(video), audio, ..Formats::default() });
            status.enter(SourceState::Playing);
        });
        look(&self.sessions, &self.stream);
    }

    fn goes(&self, number: u8) {
        let layer = self.stream.layer(number).expect("a pair");
        let (error, cause, retry_in) = ("gone".to_owned(), Cause::Broken, Duration::from_secs(1));
        self.stream.update(&layer, |status| status.enter(SourceState::Waiting { error, cause, retry_in }));
        look(&self.sessions, &self.stream);
    }

    /// What the session is counted for; nothing if it ends.
    fn layer(&self) -> Option<LayerId> {
        self.sessions.session(SESSION, "gate").map(|session| session.layer)
    }

    fn at(&self, number: u8) -> Option<LayerId> {
        Some(self.stream.id.layer(number))
    }
}

#[test]
fn who_watches_the_low_layer_stays_while_it_is_away_and_the_other_cannot_be_shown() {
    for wanted in [HIGH, LOW] {
        let world = World::new(wanted, LOW);
        world.plays(LOW, VideoCodec::H264);
        world.plays(HIGH, VideoCodec::H265);
        assert_eq!(world.layer(), world.at(LOW));
        world.goes(LOW);
        assert_eq!(world.layer(), world.at(LOW));
        // The other one comes and goes meanwhile.
        world.goes(HIGH);
        world.plays(HIGH, VideoCodec::H265);
        assert_eq!(world.layer(), world.at(LOW));
        world.plays(LOW, VideoCodec::H264);
        assert_eq!(world.layer(), world.at(LOW));
        // And ends where it is back with what nobody can show it.
        world.goes(LOW);
        world.plays(LOW, VideoCodec::H265);
        assert_eq!(world.layer(), None);
    }
}

#[test]
fn who_wants_a_layer_that_turns_out_to_have_another_codec_is_counted_for_the_other_until_it_has_its_own() {
    // It joined while nothing was known of the high one.
    let world = World::new(HIGH, HIGH);
    world.plays(LOW, VideoCodec::H264);
    assert_eq!(world.layer(), world.at(HIGH));
    world.plays(HIGH, VideoCodec::H265);
    assert_eq!(world.layer(), world.at(LOW));
    assert_eq!(world.stream.viewers_of(world.stream.id.layer(HIGH)), 0);
    world.goes(HIGH);
    world.plays(HIGH, VideoCodec::H264);
    assert_eq!(world.layer(), world.at(HIGH));
    // Who wants the low one stays there.
    let world = World::new(LOW, LOW);
    world.plays(LOW, VideoCodec::H264);
    world.plays(HIGH, VideoCodec::H264);
    assert_eq!(world.layer(), world.at(LOW));
}

#[test]
fn who_came_before_the_sound_of_the_other_layer_joins_anew_once_it_is_there() {
    let offers = |sound| Agreed::to(VideoCodec::H264).offering(sound);
    let (h264, opus) = (VideoCodec::H264, AudioCodec::Opus);
    let world = World::with(HIGH, LOW, offers(opus));
    world.plays(LOW, h264);
    assert_eq!(world.layer(), world.at(HIGH), "shown the low one until that comes");
    world.plays_with(HIGH, h264, Some(opus));
    assert_eq!(world.layer(), None);
    // Who could not hear it, or offered no sound at all, sees on.
    for agreed in [offers(AudioCodec::G722), Agreed::to(h264)] {
        let world = World::with(HIGH, LOW, agreed);
        world.plays(LOW, h264);
        world.plays_with(HIGH, h264, Some(opus));
        assert_eq!(world.layer(), world.at(HIGH));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any instant serves")]
fn a_session_weighs_what_its_layer_sends_and_nothing_once_it_is_over() {
    let now = Instant::now();
    let world = World::new(HIGH, HIGH);
    let sends = |number: u8, bits: f64| {
        world.stream.layer(number).expect("a pair").counters.rate.set(Some(bits));
        world.sessions.weigh();
        world.shard.load.weights()
    };
    let both = |bits| (Weight::of(bits), Weight::of(bits));
    assert_ne!(both(8_000_000), both(500_000));
    assert_eq!(
        world.shard.load.weights(),
        (Weight::of(0), Weight::default()),
        "nothing is known of its stream yet"
    );
    assert_eq!(sends(HIGH, 4e6), (Weight::of(4_000_000), Weight::default()), "it is not connected");
    world.sessions.hear(now, &News::Connected(SESSION));
    assert_eq!(sends(HIGH, 8e6), both(8_000_000));
    // It goes over to the other layer.
    world.sessions.send_to(SESSION, world.stream.id.layer(LOW)).expect("room");
    assert_eq!(sends(LOW, 5e5), both(500_000));
    world.sessions.end(SESSION);
    assert_eq!(world.shard.load.weights(), (Weight::default(), Weight::default()));
}
