//! What a limited viewer gets out of a ring, at any rate: whole pictures, each decodable, in time.

use proptest::prelude::*;
use sluice_media::VideoCodec;

use super::*;
use crate::track::RecentLimits;

const AMPLE: RecentLimits = RecentLimits { bytes: 64 << 20, history: Duration::from_secs(1) };
const FRAME: Duration = Duration::from_millis(40);

#[expect(clippy::disallowed_methods, reason = "virtual time has to start somewhere")]
fn start() -> Instant {
    Instant::now()
}

/// A camera, the ring, and who is limited.
struct World {
    recent: Recent,
    thin: Thin,
    now: Instant,
    sequence: u64,
    frames: u64,
    group: u64,
    /// Packets that left, each by its train and its place there.
    sent: Vec<(Instant, Arc<Train>, usize)>,
}

impl World {
    fn new(rate: u32, group: u64) -> World {
        let now = start();
        let thin = Thin::at(now, rate, TrackSeq(0), false);
        World { recent: Recent::new(AMPLE), thin, now, sequence: 0, frames: 0, group, sent: Vec::new() }
    }

    /// A picture comes: keyframes of 30 packets in two trains, others of 3. A group of 50 is 88.5 packets a second.
    fn picture(&mut self) {
        let keyframe = self.frames.is_multiple_of(self.group);
        let trains: &[usize] = if keyframe { &[16, 14] } else { &[3] };
        for (index, packets) in trains.iter().enumerate() {
            let train = Train {
                codec: VideoCodec::H264.into(),
                sequence: TrackSeq(self.sequence),
                timestamp: self.frames * 3_600,
                keyframe: keyframe && index == 0,
                starts_frame: index == 0,
                ends_frame: index + 1 == trains.len(),
                marker: index + 1 == trains.len(),
                received: self.now,
                captured: self.now,
                source_time: None,
                redundant: None,
                packets: std::iter::repeat_n([0; 1_000], *packets).collect(),
            };
            self.sequence = train.end().0;
            self.recent.push(Arc::new(train));
            self.thin.stir();
        }
        self.frames += 1;
    }

    fn run(&mut self, frames: u64) {
        for _ in 0..frames {
            self.picture();
            let until = self.now + FRAME;
            while let Some(due) = self.thin.due().filter(|due| *due < until) {
                self.now = due.max(self.now);
                while let Some(Portion { train, packets }) = self.thin.poll(self.now, &self.recent) {
                    self.sent.extend(packets.map(|index| (self.now, train.clone(), index)));
                }
            }
            self.now = until;
        }
    }

    /// Checks that what left is whole pictures that can be decoded, and returns how many.
    fn pictures(&self) -> u64 {
        let mut pictures = 0;
        let mut next: Option<TrackSeq> = None;
        for (_, train, index) in &self.sent {
            let sequence = train.sequence + *index as u64;
            if next != Some(sequence) {
                assert!(train.keyframe && *index == 0, "goes on with something else than a keyframe");
                let before = self
                    .sent
                    .iter()
                    .find(|(_, train, index)| Some(train.sequence + *index as u64 + 1) == next);
                assert!(before.is_none_or(|(_, train, index)| train.marker(*index)), "a picture was cut off");
            }
            next = Some(sequence + 1);
            pictures += u64::from(train.marker(*index));
        }
        pictures
    }
}

/// Bytes of pictures that the camera makes in a second, in groups of 50.
const STREAM: u32 = 88_500;

#[test]
fn a_line_that_is_wide_enough_gets_everything_in_time() {
    let mut world = World::new(STREAM * 12 / 10, 50);
    world.run(500);
    assert_eq!(world.pictures(), 500);
    assert_eq!(world.thin.take_left_out().sum(), 0);
    let latest = world.sent.iter().map(|(at, train, _)| *at - train.received).max();
    assert!(latest.is_some_and(|latest| latest < Duration::from_millis(500)), "{latest:?}");
}

#[test]
fn half_a_line_gets_every_keyframe_and_half_of_the_rest() {
    let mut world = World::new(STREAM / 2, 50);
    world.run(1_000);
    let keyframes = world.sent.iter().filter(|(_, train, index)| train.keyframe && *index == 0).count();
    assert_eq!(keyframes, 20, "of twenty");
    let pictures = world.pictures();
    assert!((350..500).contains(&pictures), "{pictures} of 1000");
    let left_out = world.thin.take_left_out();
    assert!((480..650).contains(&left_out.sum()), "{left_out:?}");
}

#[test]
fn long_groups_are_cut_where_they_get_too_old_and_go_on_at_the_next_keyframe() {
    let mut world = World::new(STREAM * 6 / 10, 500);
    world.run(1_200);
    world.pictures();
    let latest = world.sent.iter().map(|(at, train, _)| *at - train.received).max();
    assert!(latest.is_some_and(|latest| latest < TOO_LATE + FRAME * 4), "{latest:?}");
    assert!(world.thin.take_left_out().late > 100);
    let keyframes = world.sent.iter().filter(|(_, train, index)| train.keyframe && *index == 0).count();
    assert_eq!(keyframes, 3);
}

#[test]
fn who_asks_for_a_keyframe_gets_nothing_that_it_cannot_decode() {
    let mut world = World::new(STREAM * 2, 50);
    world.run(80);
    assert!(world.thin.request_keyframe(world.now), "the last one is a second old");
    assert!(!world.thin.request_keyframe(world.now), "it waits already");
    let before = world.sent.len();
    world.run(19);
    assert_eq!(world.sent.len(), before);
    world.run(5);
    assert!(world.sent[before].1.keyframe);
    assert!(!world.thin.request_keyframe(world.now), "it was sent just now");
    assert_eq!(world.thin.take_left_out().undecodable, 20);
}

#[test]
fn what_is_sent_beside_takes_its_part() {
    let mut world = World::new(STREAM * 2, 50);
    world.run(20);
    let free = world.thin.free;
    world.thin.charge(STREAM.into());
    assert_eq!(world.thin.free - free, Duration::from_millis(500));
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 64, ..proptest::test_runner::Config::default() })]

    #[test]
    fn at_any_rate_pictures_are_whole_and_no_more_leaves_than_the_line_carries(
        rates in prop::collection::vec(4_000..400_000u32, 1..6),
        group in 1..120u64,
        asks in any::<u8>(),
        gap in 0..400u64,
    ) {
        let mut world = World::new(rates[0], group);
        for (index, rate) in rates.iter().enumerate() {
            world.thin.rate = *rate;
            let (from, began) = (world.sent.len(), world.now);
            world.run(100);
            let bytes = (world.sent.len() - from) as f64 * 1_000.0;
            let passed = (world.now - began + SLACK * 2 + PORTION).as_secs_f64();
            let before = rates[..index].iter().copied().max().unwrap_or(0).max(*rate);
            prop_assert!(bytes <= f64::from(before) * passed + 2_000.0, "{bytes} bytes at {rate}");
            if asks >> index & 1 == 1 {
                world.thin.request_keyframe(world.now);
            }
            if gap < 100 && index == 0 {
                // Trains that never came.
                world.sequence += gap;
            }
        }
        world.pictures();
    }
}
