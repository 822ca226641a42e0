use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use sluice_config::{Fingerprint, OnDemand, Reach, Rtsp, RtspUrl, Source, Transport};
use sluice_media::VideoCodec;

use super::*;
use crate::count::ShardCounters;
use crate::shard::RoomLimits;
use crate::shard::command::{MEDIA_MAX, Media, Queued, STREAM_MEDIA_MAX, Wake};
use crate::stream::HIGH;
use crate::track::{MAX_TRAINS, TrackSeq, Train};

fn origin(camera: &str) -> Origin {
    let source = Source::Rtsp(camera.parse::<RtspUrl>().expect("a URL").into());
    Origin { source, rtsp: Rtsp::default(), on_demand: OnDemand::default() }
}

/// Two streams over one shard, which reads its queue when the test does.
struct World {
    registry: Registry,
    queue: Receiver<Queued>,
    shard: Arc<ShardHandle>,
    next: u64,
}

impl World {
    fn new() -> World {
        let poll = mio::Poll::new().expect("a poll");
        let wake = Arc::new(Wake::new(mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker")));
        let (commands, _) = crossbeam_channel::bounded(1);
        let (media, queue) = crossbeam_channel::bounded(MEDIA_MAX);
        let counters = Arc::<ShardCounters>::default();
        let room = RoomLimits { busy: Some(0.9), rate: None };
        let shard = Arc::new(ShardHandle::new(0, (1, None), counters, commands, media, wake, room));
        let limits = RecentLimits { bytes: 1 << 30, history: Duration::from_secs(1) };
        let registry = Registry::new(std::slice::from_ref(&shard), limits);
        for name in ["bad", "good"] {
            registry.add(name, origin("rtsp://camera/1")).expect("it is new");
        }
        World { registry, queue, shard, next: 0 }
    }

    fn stream(&self, name: &str) -> Arc<Stream> {
        self.registry.stream(name).expect("it was made")
    }

    fn publish(&mut self, name: &str) {
        self.publish_part(name, self.next == 0, true, true);
    }

    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn publish_part(&mut self, name: &str, keyframe: bool, starts_frame: bool, ends_frame: bool) {
        let received = Instant::now();
        let train = Train {
            codec: VideoCodec::H264.into(),
            sequence: TrackSeq(self.next),
            timestamp: self.next,
            keyframe,
            starts_frame,
            ends_frame,
            marker: ends_frame,
            received,
            captured: received,
            source_time: None,
            redundant: None,
            packets: std::iter::once([0x41, 0x9a]).collect(),
        };
        self.next += 1;
        let stream = self.stream(name);
        stream.publish(stream.high().id, [Arc::new(train)]);
    }

    fn subscribe(&self, name: &str) {
        let stream = self.stream(name);
        stream.subscribe(stream.high().id, 0).expect("there is room");
    }

    fn unsubscribe(&self, name: &str) {
        let stream = self.stream(name);
        stream.unsubscribe(stream.high().id, 0);
    }

    /// What the shard takes out of its queue.
    fn taken(&self) -> Vec<Media> {
        self.queue.try_iter().map(Queued::take).collect()
    }
}

#[test]
fn one_stream_cannot_fill_the_queue_of_a_shard() {
    let mut world = World::new();
    for name in ["bad", "good"] {
        world.subscribe(name);
    }
    world.taken();
    for _ in 0..2 {
        (0..2 * MEDIA_MAX).for_each(|_| world.publish("bad"));
        let over = world.shard.counters.media_queue_share.get();
        assert!(over >= (2 * MEDIA_MAX - STREAM_MEDIA_MAX) as u64, "what is over is dropped and counted");
        // Pictures of others and their viewers come through.
        (0..100).for_each(|_| world.publish("good"));
        world.unsubscribe("good");
        world.subscribe("good");
        assert_eq!(world.shard.counters.media_queue_share.get(), over);
        assert_eq!(world.shard.counters.media_queue_full.get(), 0);
        let good = world.stream("good").high().id;
        let taken = world.taken();
        let of_good = |media: &&Media| matches!(media, Media::Picture { layer, .. } if *layer == good);
        assert_eq!(taken.iter().filter(of_good).count(), 100);
        assert_eq!(taken.len(), STREAM_MEDIA_MAX + 102);
        // And when the queue was read, the first has its share again.
    }
}

#[test]
fn a_subscription_hands_over_a_bounded_number_of_trains() {
    let mut world = World::new();
    (0..MAX_TRAINS).for_each(|_| world.publish("bad"));
    let handed = |world: &mut World| {
        world.subscribe("bad");
        world.unsubscribe("bad");
        world.taken().iter().fold(0, |count, media| match media {
            Media::Subscribe { recent, .. } => count + recent.len(),
            _ => count,
        })
    };
    assert_eq!(handed(&mut world), MAX_TRAINS);
    world.publish("bad");
    assert_eq!(handed(&mut world), 0, "more is no start any more");
}

#[test]
fn the_newest_whole_keyframe_is_shown_whatever_is_missed_behind_it() {
    let mut world = World::new();
    let shown = |world: &World| {
        let stream = world.stream("bad");
        let trains = stream.newest_keyframe(stream.high().id);
        trains.iter().map(|train| train.sequence.0).collect::<Vec<u64>>()
    };
    world.publish_part("bad", true, true, false);
    assert!(shown(&world).is_empty(), "its end is not here");
    world.publish_part("bad", false, false, false);
    world.publish_part("bad", false, false, true);
    assert_eq!(shown(&world), [0, 1, 2], "only the first is marked");
    world.publish_part("bad", false, true, true);
    world.next += 7;
    world.publish_part("bad", false, true, true);
    assert_eq!(shown(&world), [0, 1, 2], "also behind a gap");
    world.publish_part("bad", true, true, false);
    world.publish_part("bad", false, true, true);
    assert_eq!(shown(&world), [0, 1, 2], "half a keyframe is none");
    world.publish_part("bad", true, true, true);
    assert_eq!(shown(&world), [world.next - 1]);
    assert!(world.stream("bad").has_picture() && !world.stream("good").has_picture());
}

#[test]
fn a_stream_comes_and_goes_while_others_play() {
    let mut world = World::new();
    world.subscribe("good");
    let good = world.stream("good");
    let old = world.stream("bad");
    assert!(world.registry.remove("nobody").is_none());
    let removed = world.registry.remove("bad").expect("it was there");
    assert!(removed.is_over() && !good.is_over());
    assert!(world.registry.stream("bad").is_none());
    let (new, mut orders) = world.registry.add("bad", origin("rtsp://other/1")).expect("the name is free");
    assert_ne!(new.id, old.id, "nothing under way to the old one reaches viewers of the new one");
    assert!(world.registry.add("bad", origin("rtsp://third/1")).is_none(), "it is taken");
    assert_eq!(orders.origin().source.label(), new.source());
    world.taken();
    world.publish("good");
    assert_eq!(world.taken().len(), 1, "the other one goes on");
    let names: Vec<_> = world.registry.streams().iter().map(|stream| stream.name.clone()).collect();
    assert_eq!(names, ["bad", "good"]);
}

#[tokio::test]
async fn a_source_hears_of_another_origin_and_of_its_end() {
    let world = World::new();
    let (stream, mut orders) = world.registry.add("gate", origin("rtsp://camera/1")).expect("it is new");
    assert_eq!(orders.origin().source.label(), "rtsp://camera:554");
    assert!(!stream.change(HIGH, origin("rtsp://camera/1")), "that is the same");
    assert!(stream.change(HIGH, origin("rtsp://camera/2")));
    orders.changed(&origin("rtsp://camera/1"), |_| panic!("it is another camera")).await;
    assert_eq!(*orders.origin(), origin("rtsp://camera/2"));
    assert!(!orders.is_over());
    stream.stop();
    orders.changed(&origin("rtsp://camera/2"), |_| panic!("it is over")).await;
    assert!(orders.is_over());
}

#[tokio::test]
async fn a_session_goes_on_under_keys_that_are_looked_at_between_sessions() {
    let seconds = Duration::from_secs;
    let between: [fn(&mut Rtsp); 4] = [
        |rtsp| rtsp.connect_timeout = Duration::from_secs(7),
        |rtsp| rtsp.request_timeout = Duration::from_secs(7),
        |rtsp| rtsp.reconnect_min = Duration::from_secs(7),
        |rtsp| rtsp.reconnect_max = Duration::from_secs(7),
    ];
    let within: [fn(&mut Rtsp); 5] = [
        |rtsp| rtsp.transport = Transport::Udp,
        |rtsp| rtsp.data_timeout = Duration::from_secs(7),
        |rtsp| rtsp.max_frame = sluice_config::Bytes::kib(64),
        |rtsp| rtsp.reach = Some(Reach(Vec::new())),
        |rtsp| rtsp.fingerprint = vec![Fingerprint([7; 32])],
    ];
    for end in within {
        let world = World::new();
        let begun = origin("rtsp://camera/1");
        let (stream, mut orders) = world.registry.add("gate", begun.clone()).expect("it is new");
        orders.origin();
        let mut next = begun.clone();
        let mut taken = Vec::new();
        for change in between {
            change(&mut next.rtsp);
            assert!(stream.change(HIGH, next.clone()), "it is told as a change all the same");
            let looked =
                tokio::time::timeout(seconds(0), orders.changed(&begun, |origin| taken.push(origin.clone())));
            assert!(looked.await.is_err(), "{next:?}");
            assert_eq!(taken.last(), Some(&next));
        }
        end(&mut next.rtsp);
        assert!(stream.change(HIGH, next.clone()));
        orders.changed(&begun, |origin| panic!("a session goes on under {origin:?}")).await;
        assert_eq!(*orders.origin(), next);
    }
}
