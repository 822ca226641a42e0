//! A stream of two layers: which shard is sent which, what is shown and heard, and a layer that comes and goes.

use bytes::Bytes;
use crossbeam_channel::Receiver;
use sluice_config::{OnDemand, Rtsp, Source};
use sluice_media::{AccessUnit, AudioCodec, AudioFrame, Kind, VideoCodec};

use super::*;
use crate::count::ShardCounters;
use crate::shard::RoomLimits;
use crate::shard::command::{MEDIA_MAX, Media, Queued, STREAM_MEDIA_MAX, Wake};
use crate::stream::{AudioFormat, Cause, Ingest, Registry, Sink as _, VideoFormat};

const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x03, 0xc5, 0x68, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c,
    0x03, 0xc5, 0x8b, 0x92,
];
const PPS: &[u8] = &[0x68, 0xcb, 0x8c, 0xb2];
const IDR: &[u8] = &[0x65, 0b1000_1000, 0x80, 1, 2, 3];

/// A pair over one shard, which reads its queue when the test does.
struct Rig {
    stream: Arc<Stream>,
    feeds: Vec<Ingest>,
    queue: Receiver<Queued>,
    now: Instant,
    ticks: i64,
}

fn origin() -> Origin {
    Origin { source: Source::Demo, rtsp: Rtsp::default(), on_demand: OnDemand::default() }
}

impl Rig {
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
    fn new() -> Rig {
        let poll = mio::Poll::new().expect("a poll");
        let wake = Arc::new(Wake::new(mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker")));
        let (commands, _) = crossbeam_channel::bounded(1);
        let (media, queue) = crossbeam_channel::bounded(MEDIA_MAX);
        let room = RoomLimits { busy: Some(0.9), rate: None };
        let counters = Arc::<ShardCounters>::default();
        let shard = Arc::new(ShardHandle::new(0, (1, None), counters, commands, media, wake, room));
        let limits = RecentLimits { bytes: 1 << 20, history: Duration::from_secs(1) };
        let (stream, _) = Registry::new(&[shard], limits).add("gate", origin()).expect("it is the first");
        stream.add_low(origin()).expect("it has none");
        let mut rig = Rig {
            stream,
            feeds: Vec::new(),
            queue,
            now: Instant::now() + Duration::from_secs(100),
            ticks: 0,
        };
        rig.feeds = rig.stream.layers().into_iter().map(|layer| rig.feed(layer)).collect();
        rig
    }

    fn feed(&self, layer: Arc<Layer>) -> Ingest {
        Ingest::new(self.stream.clone(), layer, (1, 1))
    }

    fn id(&self, number: u8) -> LayerId {
        self.stream.id.layer(number)
    }

    /// The layer's source begins a session.
    fn begin(&mut self, number: u8, audio: bool) {
        self.begin_with(number, audio.then_some(AudioCodec::Pcmu));
    }

    fn begin_with(&mut self, number: u8, audio: Option<AudioCodec>) {
        let (profile_level_id, size, frame_rate) = (None, None, None);
        let video = Some(VideoFormat { codec: VideoCodec::H264, profile_level_id, size, frame_rate });
        let audio = audio.map(|codec| AudioFormat::new(codec, 1));
        self.feeds[usize::from(number)].begin(Formats { video, audio, ..Formats::default() }, &[]);
        self.picture(number);
    }

    /// The layer's source goes.
    fn end(&mut self, number: u8) {
        let (error, cause, retry_in) = ("gone".to_owned(), Cause::Broken, Duration::from_secs(1));
        self.feeds[usize::from(number)].state(SourceState::Waiting { error, cause, retry_in });
    }

    fn tick(&mut self) {
        self.now += Duration::from_millis(20);
        self.ticks += 1;
    }

    fn picture(&mut self, number: u8) {
        self.tick();
        let nals = [SPS, PPS, IDR].into_iter().map(Bytes::from_static).collect();
        let unit = AccessUnit { nals, timestamp: self.ticks * 1_800, received: self.now, after_gap: false };
        self.feeds[usize::from(number)].video(unit);
    }

    /// 20 ms of sound, whose bytes say whose it is.
    fn sound(&mut self, number: u8) {
        self.tick();
        let payload = Bytes::from(vec![number + 1; 160]);
        // Cameras have clocks of their own.
        let timestamp = self.ticks * 160 + i64::from(number) * 1_000_000;
        self.feeds[usize::from(number)].audio(AudioFrame { payload, timestamp, received: self.now });
    }

    /// What the shard takes out of its queue, in words.
    fn taken(&self) -> Vec<String> {
        let word = |media: Media| match media {
            Media::Subscribe { layer, recent, away, .. } => {
                format!("begin {} with {}{}", layer.name(), recent.len(), if away { ", away" } else { "" })
            }
            Media::Unsubscribe { layer } => format!("end {}", layer.name()),
            Media::Away { layer, away } => format!("{} {}", layer.name(), if away { "away" } else { "back" }),
            Media::Picture { layer, .. } => layer.name().to_owned(),
            Media::Sound { train, .. } => format!("sound of {}", train.packets[0][0] - 1),
        };
        self.queue.try_iter().map(|queued| word(queued.take())).collect()
    }

    /// Numbers and timestamps of the sound that the shard takes.
    fn sounds(&self) -> Vec<(u64, u64)> {
        let sound = |media| match media {
            Media::Sound { train, .. } => Some((train.sequence.0, train.timestamp)),
            _ => None,
        };
        self.queue.try_iter().filter_map(|queued| sound(queued.take())).collect()
    }
}

#[test]
fn a_shard_is_sent_what_somebody_there_chose_and_another_layer_while_that_is_away() {
    let mut rig = Rig::new();
    rig.begin(HIGH, false);
    rig.begin(LOW, false);
    rig.stream.subscribe(rig.id(HIGH), 0).expect("room");
    rig.picture(HIGH);
    rig.picture(LOW);
    assert_eq!(rig.taken(), ["begin high with 1", "high"]);
    rig.end(HIGH);
    rig.picture(LOW);
    assert_eq!(rig.taken(), ["begin low with 1", "high away", "low"]);
    assert_eq!((rig.stream.status().state, rig.stream.shown().id), (SourceState::Playing, rig.id(LOW)));
    // Back: the keyframe is there before it is told, and nobody is sent the other any more who is not.
    rig.begin(HIGH, false);
    assert_eq!(rig.taken(), ["high", "high back"]);
    rig.picture(LOW);
    rig.picture(LOW);
    assert_eq!(rig.taken(), ["end low"]);
    rig.stream.unsubscribe(rig.id(HIGH), 0);
    assert_eq!(rig.taken(), ["end high"]);
    rig.end(HIGH);
    rig.end(LOW);
    assert_eq!(rig.taken(), [""; 0]);
    assert_eq!(rig.stream.shown().id, rig.id(HIGH), "nothing better is there");
}

#[test]
fn what_a_full_queue_did_not_take_is_told_with_the_next_picture() {
    let mut rig = Rig::new();
    rig.begin(HIGH, false);
    rig.begin(LOW, false);
    rig.stream.subscribe(rig.id(HIGH), 0).expect("room");
    (0..STREAM_MEDIA_MAX).for_each(|_| rig.picture(HIGH));
    rig.end(HIGH);
    assert!(!rig.taken().iter().any(|word| word.ends_with("away")), "the shard had room");
    rig.picture(LOW);
    assert_eq!(rig.taken(), ["begin low with 1", "high away", "low"]);
    (0..STREAM_MEDIA_MAX).for_each(|_| rig.picture(LOW));
    rig.begin(HIGH, false);
    assert!(!rig.taken().iter().any(|word| word.ends_with("back")), "the shard had room");
    rig.picture(LOW);
    assert_eq!(rig.taken(), ["high back", "end low"], "nobody there watches low any more");
}

#[test]
fn who_comes_while_the_chosen_layer_is_away_has_the_other_sent() {
    let mut rig = Rig::new();
    rig.begin(LOW, false);
    rig.stream.subscribe(rig.id(HIGH), 0).expect("room");
    assert_eq!(rig.taken(), ["begin high with 0, away", "begin low with 1"]);
    // And chooses it: nothing changes but the books.
    rig.stream.choose(rig.id(HIGH), rig.id(LOW), 0).expect("room");
    assert_eq!(rig.taken(), ["end high"]);
    assert_eq!((rig.stream.viewers_of(rig.id(HIGH)), rig.stream.viewers_of(rig.id(LOW))), (0, 1));
    assert_eq!(rig.stream.viewers.load(Ordering::Relaxed), 1);
}

#[test]
fn sound_is_of_the_first_layer_that_has_some_and_goes_on_where_the_other_takes_over() {
    let mut rig = Rig::new();
    rig.begin(HIGH, true);
    rig.begin(LOW, true);
    rig.stream.subscribe(rig.id(LOW), 0).expect("room");
    rig.taken();
    let mut all = Vec::new();
    for (round, heard) in [(0, HIGH), (1, LOW), (2, HIGH)] {
        match round {
            1 => rig.end(HIGH),
            2 => rig.begin(HIGH, true),
            _ => {}
        }
        rig.taken();
        for _ in 0..10 {
            rig.sound(HIGH);
            rig.sound(LOW);
        }
        let before = rig.queue.len();
        assert_eq!(before, 10, "once each in round {round}");
        all.extend(rig.sounds());
        rig.sound(heard);
        assert_eq!(rig.taken(), [format!("sound of {heard}")]);
        // The one that was taken for that is missing in `all`.
        all.push((u64::MAX, 0));
    }
    let numbers: Vec<u64> = all.iter().map(|(number, _)| *number).collect();
    for pair in numbers.windows(2).filter(|pair| pair.iter().all(|number| *number != u64::MAX)) {
        assert_eq!(pair[1], pair[0] + 1);
    }
    let known: Vec<(u64, u64)> = all.into_iter().filter(|(number, _)| *number != u64::MAX).collect();
    for pair in known.windows(2) {
        let step = pair[1].1 as i64 - pair[0].1 as i64;
        assert!((1..8_000).contains(&step), "timestamps went by {step}");
    }
    assert_eq!(known.len(), 30);
    let audio = |number: u8| rig.stream.layer(number).expect("it").counters.track(Kind::Audio).packets.get();
    assert_eq!((audio(HIGH), audio(LOW)), (22, 11), "each counts what came of it");
}

#[test]
fn who_agreed_to_the_sound_of_one_layer_hears_it_on_beside_that_of_the_other() {
    let mut rig = Rig::new();
    rig.begin_with(LOW, Some(AudioCodec::Pcmu));
    rig.stream.subscribe(rig.id(HIGH), 0).expect("room");
    rig.begin_with(HIGH, Some(AudioCodec::Pcma));
    rig.taken();
    for number in [LOW, HIGH, LOW] {
        rig.sound(number);
    }
    assert_eq!(rig.taken(), ["sound of 1", "sound of 0", "sound of 1"]);
    // Who comes now is answered with the first.
    let low = rig.stream.playable(&rig.stream.layer(LOW).expect("it")).expect("it plays");
    assert_eq!(low.audio, Some(AudioFormat::new(AudioCodec::Pcma, 1)));
}

#[test]
fn a_viewer_of_a_layer_without_sound_is_offered_that_of_the_other() {
    let mut rig = Rig::new();
    rig.begin(HIGH, false);
    rig.begin(LOW, true);
    let high = rig.stream.playable(rig.stream.high()).expect("it plays");
    assert_eq!(high.audio, Some(AudioFormat::new(AudioCodec::Pcmu, 1)));
    rig.end(LOW);
    // It comes back, and cannot be agreed on then.
    let away = rig.stream.playable(rig.stream.high()).and_then(|formats| formats.audio);
    assert_eq!(away, Some(AudioFormat::new(AudioCodec::Pcmu, 1)));
}

#[test]
fn a_low_layer_that_is_taken_away_and_given_again_goes_on_in_the_rings_of_shards() {
    let mut rig = Rig::new();
    rig.begin(HIGH, false);
    rig.begin(LOW, false);
    let end = rig.stream.end_of(rig.id(LOW));
    rig.stream.subscribe(rig.id(LOW), 0).expect("room");
    rig.taken();
    assert!(rig.stream.remove_low() && !rig.stream.remove_low());
    assert_eq!(rig.taken(), ["begin high with 1", "low away"]);
    assert!(!rig.stream.is_pair() && rig.stream.layer(LOW).is_none());
    // What its source brings still is nobody's.
    rig.picture(LOW);
    rig.end(LOW);
    assert_eq!(rig.taken(), [""; 0]);
    assert_eq!(rig.stream.status().state, SourceState::Playing);

    rig.stream.add_low(origin()).expect("it has none");
    assert!(rig.stream.add_low(origin()).is_none(), "it has one");
    rig.feeds[1] = rig.feed(rig.stream.layer(LOW).expect("it"));
    rig.begin(LOW, false);
    assert_eq!(rig.taken(), ["low", "low back"]);
    let newest = rig.stream.newest_keyframe(rig.id(LOW));
    assert!(newest[0].sequence > end, "a ring takes nothing older");
}
