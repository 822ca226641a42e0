//! The forwarder against a model: whatever a camera sends and whenever a viewer joins or asks, its
//! packets are numbered without gaps, its timestamps only grow, and what it gets can be decoded.

use proptest::prelude::*;
use proptest::test_runner::Config;
use sluice_media::VideoCodec;

use super::super::budget::KEYFRAME_INTERVAL;
use super::*;
use crate::track::RecentLimits;

const AMPLE: RecentLimits = RecentLimits { bytes: 64 << 20, history: Duration::from_secs(1) };

/// Ticks of 90 kHz between frames at 30 frames a second, and that time.
const FRAME_TICKS: u64 = 3_000;
const FRAME: Duration = Duration::from_nanos(33_333_333);

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
fn epoch() -> Instant {
    Instant::now()
}

/// A camera: numbers trains as a packetizer does.
struct Camera {
    start: Instant,
    sequence: u64,
    frame: u64,
    timestamp: u64,
}

impl Camera {
    fn new() -> Camera {
        // Near the end of a cycle of 32 bits, so that timestamps wrap on the wire.
        Camera { start: epoch(), sequence: 1_000, frame: 0, timestamp: (2 << 32) - 20 * FRAME_TICKS }
    }

    fn next_frame_at(&self) -> Instant {
        self.start + FRAME * self.frame as u32
    }

    /// The next frame, cut into trains of the given numbers of packets, `ticks` after the last one.
    fn frame(&mut self, keyframe: bool, trains: &[usize], ticks: u64) -> Vec<Arc<Train>> {
        let received = self.next_frame_at();
        self.timestamp += ticks;
        self.frame += 1;
        let last = trains.len() - 1;
        let made = trains.iter().enumerate().map(|(index, &packets)| {
            let train = Train {
                codec: VideoCodec::H264.into(),
                sequence: TrackSeq(self.sequence),
                timestamp: self.timestamp,
                keyframe: keyframe && index == 0,
                starts_frame: index == 0,
                ends_frame: index == last,
                marker: index == last,
                received,
                captured: received,
                source_time: None,
                redundant: None,
                packets: std::iter::repeat_n([0; 1_000], packets).collect(),
            };
            self.sequence = train.end().0;
            Arc::new(train)
        });
        made.collect()
    }
}

/// A train and how it was sent.
struct Sent {
    train: Arc<Train>,
    sequence: PacketIndex,
    timestamp: u32,
    captured: Instant,
}

impl Sent {
    fn new(train: Arc<Train>, Forward { sequence, timestamp, captured }: Forward) -> Sent {
        Sent { train, sequence, timestamp, captured }
    }
}

/// One viewer's forwarder and its ring, in the order in which a shard calls them.
struct Bench {
    recent: Recent,
    forwarder: Forwarder,
    budget: Budget,
    joined: bool,
    sent: Vec<(Instant, Sent)>,
}

impl Bench {
    fn new(limits: RecentLimits) -> Bench {
        let recent = Recent::new(limits);
        let budget = Budget::new(epoch());
        Bench { recent, forwarder: Forwarder::new(FIRST), budget, joined: false, sent: Vec::new() }
    }

    fn join(&mut self, now: Instant) {
        self.advance(now);
        self.forwarder.start(now, &self.recent);
        self.joined = true;
        self.advance(now);
    }

    fn ask(&mut self, now: Instant) -> KeyframeAnswer {
        self.advance(now);
        let answer = self.forwarder.request_keyframe(now, &self.recent, &mut self.budget);
        self.advance(now);
        answer
    }

    fn train(&mut self, now: Instant, train: &Arc<Train>) {
        self.advance(now);
        self.recent.push(train.clone());
        if self.joined
            && let Some(forward) = self.forwarder.forward(train)
        {
            self.sent.push((now, Sent::new(train.clone(), forward)));
        }
    }

    fn frame(&mut self, camera: &mut Camera, keyframe: bool) {
        let now = camera.next_frame_at();
        for train in camera.frame(keyframe, &[2], FRAME_TICKS) {
            self.train(now, &train);
        }
    }

    /// Calls the forwarder at each of its deadlines up to `now`.
    fn advance(&mut self, now: Instant) {
        while let Some(due) = self.forwarder.due().filter(|&due| due <= now) {
            while let Some(Due { train, packets, forward }) = self.forwarder.poll(due, &self.recent) {
                if packets.start == 0 {
                    self.sent.push((due, Sent::new(train, forward)));
                }
            }
            assert!(self.forwarder.due().is_none_or(|next| next > due), "a deadline that never passes");
        }
    }

    /// What holds for everything that any viewer is ever sent.
    fn check_numbers(&self) {
        let mut sequence = u64::from(FIRST);
        for (_, forward) in &self.sent {
            assert_eq!(forward.sequence, PacketIndex(sequence), "sequence numbers have no gap");
            sequence += forward.train.packets.len() as u64;
        }
        for ((_, before), (_, after)) in self.pairs() {
            let step = after.timestamp.wrapping_sub(before.timestamp) as i32;
            let (from, to) = (before.train.sequence, after.train.sequence);
            if after.train.starts_frame {
                assert!(step > 0, "timestamp went by {step} from train {from} to {to}");
            } else {
                assert_eq!(step, 0, "trains {from} and {to} are one frame");
                assert_eq!(before.captured, after.captured);
            }
        }
    }

    /// Whatever is left out, what follows can be decoded.
    fn check_order(&self) {
        for ((_, before), (at, after)) in self.pairs() {
            let decodable = after.train.sequence == before.train.end() || after.train.keyframe;
            assert!(decodable, "{} behind {} at {at:?}", after.train.sequence, before.train.sequence);
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (&(Instant, Sent), &(Instant, Sent))> {
        self.sent.iter().zip(self.sent.iter().skip(1))
    }

    fn trains(&self) -> Vec<u64> {
        self.sent.iter().map(|(_, forward)| forward.train.sequence.0).collect()
    }
}

const FIRST: u16 = 32_000;

/// A camera's frames: whether each is a keyframe, and the packets of its trains.
fn frames() -> impl Strategy<Value = Vec<(bool, Vec<usize>)>> {
    let trains = prop::collection::vec(1usize..5, 1..4);
    (1usize..70, prop::collection::vec(trains, 20..160)).prop_map(|(gop, frames)| {
        frames.into_iter().enumerate().map(|(index, trains)| (index % gop == 0, trains)).collect()
    })
}

proptest! {
    #![proptest_config(Config { cases: 200, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_join_starts_at_the_keyframe_and_reaches_the_live_edge_in_order(
        frames in frames(),
        at in 0.0f64..1.0,
        split in any::<prop::sample::Index>(),
        phase in 0u64..33,
    ) {
        // Nothing is evicted: that has tests of its own.
        let limits = RecentLimits { history: Duration::from_secs(60), ..AMPLE };
        let (mut camera, mut bench) = (Camera::new(), Bench::new(limits));
        let join_in = (at * frames.len() as f64) as usize;
        let (mut all, mut keyframe, mut joined_at) = (Vec::new(), None, None);
        for (index, (is_keyframe, trains)) in frames.iter().enumerate() {
            let now = camera.next_frame_at();
            let trains = camera.frame(*is_keyframe, trains, FRAME_TICKS);
            // Now and then between two trains of a frame, else some time after it.
            let behind = split.index(trains.len() + 1);
            for (place, train) in trains.iter().enumerate() {
                all.push(train.clone());
                bench.train(now, train);
                if index == join_in && place + 1 == behind {
                    keyframe = bench.recent.since_keyframe();
                    let at = if place + 1 < trains.len() { now } else { now + Duration::from_millis(phase) };
                    joined_at = Some(at);
                    bench.join(at);
                }
            }
        }
        bench.advance(camera.next_frame_at() + Duration::from_secs(10));
        prop_assume!(joined_at.is_some());
        let joined_at = joined_at.expect("just checked");

        bench.check_numbers();
        bench.check_order();
        let keyframe = keyframe.expect("the ring is ample and its first frame is a keyframe");
        prop_assert_eq!(bench.sent[0].1.train.sequence, keyframe);
        let at_once = bench.sent.iter().filter(|(at, sent)| *at == joined_at && sent.train.starts_frame);
        prop_assert_eq!(at_once.count(), 1, "the keyframe, and nothing else at once");
        if !matches!(bench.forwarder.state, State::AwaitKeyframe) {
            prop_assert_eq!(bench.trains().last().copied(), all.last().map(|train| train.sequence.0), "the live edge");
        }
        let first = bench.sent[0].1.timestamp;
        for (at, sent) in &bench.sent {
            if sent.timestamp != sent.train.timestamp as u32 {
                let clock = ((*at - joined_at).as_secs_f64() * 90_000.0) as u32;
                prop_assert!(sent.timestamp.wrapping_sub(first) <= clock + 1, "ahead of the clock");
                prop_assert!(sent.captured + FRAME >= sent.train.captured, "the past is shown as if it were now");
            }
        }
    }

    #[test]
    fn any_mix_of_requests_gaps_and_uneven_frames_keeps_the_numbers_whole(
        frames in frames(),
        // Per frame: its distance from the last in ticks, whether it never arrives, and a request.
        fate in prop::collection::vec((1u64..6_000, prop::bool::weighted(0.03), prop::bool::weighted(0.2)), 160),
        bytes in 20_000usize..400_000,
    ) {
        let limits = RecentLimits { bytes, history: Duration::from_millis(300) };
        let (mut camera, mut bench) = (Camera::new(), Bench::new(limits));
        bench.join(camera.start);
        let mut answers: Vec<Instant> = Vec::new();
        for ((keyframe, trains), (ticks, lost, asks)) in frames.iter().zip(fate) {
            let now = camera.next_frame_at();
            for train in camera.frame(*keyframe, trains, ticks) {
                if !lost {
                    bench.train(now, &train);
                }
            }
            if asks {
                let before = bench.sent.len();
                let live = bench.forwarder.due().is_none();
                let keyframe = bench.recent.since_keyframe();
                if bench.ask(now) == KeyframeAnswer::Replayed {
                    prop_assert!(live, "a catch-up is not restarted");
                    prop_assert!(answers.last().is_none_or(|last| now - *last >= KEYFRAME_INTERVAL));
                    prop_assert_eq!(Some(bench.sent[before].1.train.sequence), keyframe);
                    answers.push(now);
                }
            }
        }
        bench.advance(camera.next_frame_at() + Duration::from_secs(1));

        bench.check_numbers();
        bench.check_order();
        prop_assert!(bench.sent.first().is_none_or(|(_, forward)| forward.train.keyframe));
    }
}

#[test]
fn without_a_keyframe_in_the_ring_the_next_one_begins() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    (0..5).for_each(|_| bench.frame(&mut camera, false));
    bench.join(camera.next_frame_at());
    (0..5).for_each(|_| bench.frame(&mut camera, false));
    assert!(bench.sent.is_empty());
    assert_eq!(bench.ask(camera.next_frame_at()), KeyframeAnswer::Awaited);
    bench.frame(&mut camera, true);
    bench.frame(&mut camera, false);
    assert_eq!(bench.trains(), [1_020, 1_022]);
    bench.check_numbers();
}

#[test]
fn requests_are_answered_once_a_second_and_lie_between_two_frames() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    bench.frame(&mut camera, true);
    bench.join(camera.next_frame_at());
    (0..9).for_each(|_| bench.frame(&mut camera, false));
    let (asked, before) = (camera.next_frame_at() - FRAME / 2, bench.sent.len());
    assert_eq!(bench.ask(asked), KeyframeAnswer::Replayed);
    assert_eq!(bench.ask(asked), KeyframeAnswer::Coalesced, "a catch-up runs");
    (0..29).for_each(|_| bench.frame(&mut camera, false));
    assert_eq!(bench.ask(asked + Duration::from_millis(999)), KeyframeAnswer::Coalesced, "too soon");
    let live_again = &bench.sent[before + 10].1;
    assert_eq!(live_again.train.sequence, TrackSeq(1_020), "ten frames again, then live");
    assert_eq!(live_again.timestamp, live_again.train.timestamp as u32, "an even source needs no lift");
    assert_eq!(bench.ask(asked + Duration::from_millis(1_000)), KeyframeAnswer::Awaited, "the same again");
    bench.frame(&mut camera, true);
    bench.frame(&mut camera, false);
    let asked = camera.next_frame_at() - FRAME / 2;
    assert_eq!(bench.ask(asked), KeyframeAnswer::Replayed, "another keyframe");
    bench.check_numbers();
}

#[test]
fn a_frame_that_comes_early_after_a_replay_is_lifted_and_the_next_ones_are_not() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    bench.frame(&mut camera, true);
    bench.join(camera.next_frame_at());
    (0..9).for_each(|_| bench.frame(&mut camera, false));
    let asked = camera.next_frame_at() - FRAME / 2;
    assert_eq!(bench.ask(asked), KeyframeAnswer::Replayed);
    bench.advance(asked + FRAME / 2);
    for ticks in [100, 100, 2_800, FRAME_TICKS] {
        let now = camera.next_frame_at();
        camera.frame(false, &[1, 1], ticks).iter().for_each(|train| bench.train(now, train));
    }
    bench.check_numbers();
    let tail = &bench.sent[bench.sent.len() - 8..];
    let lifted: Vec<bool> = tail.iter().map(|(_, f)| f.timestamp != f.train.timestamp as u32).collect();
    assert_eq!(lifted, [true, true, true, true, false, false, false, false]);
}

/// Frames of 16 packets: 3.8 Mb/s.
fn dear(bench: &mut Bench, camera: &mut Camera, frames: std::ops::Range<u32>, group: u32) {
    for frame in frames {
        let now = camera.next_frame_at();
        for train in camera.frame(frame.is_multiple_of(group), &[16], FRAME_TICKS) {
            bench.train(now, &train);
        }
    }
}

/// Frames sent from `from` on for `time`.
fn sent_within(bench: &Bench, from: Instant, time: Duration) -> usize {
    bench.sent.iter().filter(|(at, _)| *at >= from && *at < from + time).count()
}

#[test]
fn a_join_in_a_long_group_shows_its_keyframe_at_once_and_goes_on_at_four_times_the_pace() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    dear(&mut bench, &mut camera, 0..240, 600);
    let joined = camera.next_frame_at() - FRAME / 2;
    bench.join(joined);
    assert_eq!(bench.trains(), [1_000], "the keyframe");
    dear(&mut bench, &mut camera, 240..600, 600);
    let second = Duration::from_secs(1);
    for tenth in 0..40 {
        let within = sent_within(&bench, joined + second * tenth / 10, second / 10);
        assert!(within <= 13, "{within} frames in a tenth of a second, four times three are made");
    }
    // Eight seconds behind, three seconds gained in each.
    let late = |(at, sent): &&(Instant, Sent)| *at > sent.train.received;
    let through = bench.sent.iter().rev().find(late).expect("the past").0 - joined;
    assert!(through.as_secs_f64() > 2.4 && through.as_secs_f64() < 3.0, "{through:?}");
    assert_eq!(bench.trains(), (0..600).map(|frame| 1_000 + 16 * frame).collect::<Vec<_>>());
    // Timestamps pass as time does, to a frame, from the first to the last.
    for (at, sent) in &bench.sent {
        let clock = ((*at - joined).as_secs_f64() * 90_000.0) as i64;
        let passed = i64::from(sent.timestamp.wrapping_sub(bench.sent[0].1.timestamp) as i32);
        assert!((passed - clock).abs() <= FRAME_TICKS as i64, "{passed} ticks in {clock}");
    }
    bench.check_numbers();
}

#[test]
fn the_past_of_a_small_stream_goes_quicker() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    // 60 frames of 2,000 bytes: 1 MB/s is sixteen times that.
    (0..60).for_each(|index| bench.frame(&mut camera, index == 0));
    let joined = camera.next_frame_at() - FRAME / 2;
    bench.join(joined);
    (0..30).for_each(|_| bench.frame(&mut camera, false));
    let late = |(at, sent): &&(Instant, Sent)| *at > sent.train.received;
    let through = bench.sent.iter().rev().find(late).expect("the past").0 - joined;
    assert!(through < Duration::from_millis(150), "{through:?}");
    bench.check_numbers();
}

#[test]
fn near_the_next_keyframe_a_join_gets_a_still_picture_and_no_past() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    dear(&mut bench, &mut camera, 0..114, 60);
    bench.join(camera.next_frame_at() - FRAME / 2);
    dear(&mut bench, &mut camera, 114..130, 60);
    // The second group's keyframe, then the third group.
    let expected: Vec<u64> = std::iter::once(60).chain(120..130).map(|frame| 1_000 + 16 * frame).collect();
    assert_eq!(bench.trains(), expected);
    bench.check_numbers();
}

#[test]
fn a_keyframe_ends_the_past() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    // The first group: nobody knows when the next one begins.
    dear(&mut bench, &mut camera, 0..290, 300);
    bench.join(camera.next_frame_at() - FRAME / 2);
    dear(&mut bench, &mut camera, 290..310, 300);
    let skipped = bench.pairs().find(|((_, before), (_, after))| after.train.sequence != before.train.end());
    let (at, next) = skipped.expect("something is left out").1;
    assert!(next.train.keyframe && *at == next.train.received, "live from the keyframe on");
    assert_eq!(bench.trains().last(), Some(&(1_000 + 16 * 309)));
    assert!(bench.sent.len() < 70, "{}", bench.sent.len());
    bench.check_numbers();
    bench.check_order();
}

#[test]
fn a_request_in_a_long_catch_up_says_that_the_line_does_not_carry_it() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    dear(&mut bench, &mut camera, 0..300, 900);
    let joined = camera.next_frame_at() - FRAME / 2;
    bench.join(joined);
    dear(&mut bench, &mut camera, 300..309, 900);
    let soon = joined + Duration::from_millis(300);
    assert_eq!(bench.ask(soon), KeyframeAnswer::Coalesced, "the first picture may be on its way");
    dear(&mut bench, &mut camera, 309..345, 900);
    assert_eq!(bench.ask(joined + Duration::from_millis(1_500)), KeyframeAnswer::Awaited);
    let before = bench.sent.len();
    dear(&mut bench, &mut camera, 345..900, 900);
    assert_eq!(bench.sent.len(), before);
    dear(&mut bench, &mut camera, 900..903, 900);
    assert_eq!(bench.sent.len(), before + 3);
    bench.check_numbers();
}

#[test]
fn a_group_that_the_budget_does_not_carry_is_not_replayed() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    dear(&mut bench, &mut camera, 0..600, 300);
    bench.join(camera.next_frame_at() - FRAME / 2);
    dear(&mut bench, &mut camera, 600..690, 300);
    assert_eq!(bench.ask(camera.next_frame_at() - FRAME / 2), KeyframeAnswer::Awaited, "three seconds");
    dear(&mut bench, &mut camera, 690..930, 300);
    assert_eq!(bench.ask(camera.next_frame_at() - FRAME / 2), KeyframeAnswer::Replayed, "one second");
    dear(&mut bench, &mut camera, 930..960, 300);
    bench.check_numbers();
    bench.check_order();
}

#[test]
fn what_was_lost_before_us_is_never_gone_around() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    dear(&mut bench, &mut camera, 0..30, 300);
    bench.join(camera.next_frame_at() - FRAME / 2);
    let mut late = Bench::new(AMPLE);
    let lost = |bench: &mut Bench, camera: &mut Camera| {
        camera.frame(false, &[16], FRAME_TICKS);
        dear(bench, camera, 31..60, 300);
    };
    lost(&mut bench, &mut camera);
    // The picture before the gap stays, whatever is asked for.
    let last = 1_000 + 16 * 29;
    assert_eq!(bench.trains().last(), Some(&last));
    assert_eq!(bench.ask(camera.next_frame_at() - FRAME / 2), KeyframeAnswer::Awaited);
    assert_eq!(bench.trains().last(), Some(&last));

    // Who joins behind it gets nothing that cannot be decoded; who is about to reach it stops there.
    let mut camera = Camera::new();
    dear(&mut late, &mut camera, 0..30, 300);
    late.join(camera.next_frame_at() - FRAME * 9 / 10);
    assert!(late.sent.len() < 5, "on its way");
    lost(&mut late, &mut camera);
    late.advance(camera.next_frame_at());
    assert_eq!(late.trains(), (0..30).map(|frame| 1_000 + 16 * frame).collect::<Vec<_>>());
    dear(&mut late, &mut camera, 300..302, 300);
    assert_eq!(late.sent.len(), 32, "from the next keyframe on");
    late.check_numbers();
    late.check_order();
}

#[test]
fn a_gap_waits_for_the_next_keyframe() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    bench.frame(&mut camera, true);
    bench.join(camera.next_frame_at());
    (0..10).for_each(|_| bench.frame(&mut camera, false));
    camera.frame(false, &[3], FRAME_TICKS);
    let before = bench.sent.len();
    (0..10).for_each(|_| bench.frame(&mut camera, false));
    assert_eq!(bench.sent.len(), before, "what follows a gap cannot be decoded");
    bench.frame(&mut camera, true);
    bench.frame(&mut camera, false);
    assert_eq!(bench.sent.len(), before + 2);
    bench.check_numbers();
}

#[test]
fn a_gap_before_a_keyframe_does_no_harm() {
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    bench.frame(&mut camera, true);
    bench.join(camera.next_frame_at());
    (0..10).for_each(|_| bench.frame(&mut camera, false));
    camera.frame(false, &[3], FRAME_TICKS);
    let before = bench.sent.len();
    bench.frame(&mut camera, true);
    assert_eq!(bench.sent.len(), before + 1);
    bench.check_numbers();
}

#[test]
fn a_keyframe_that_comes_during_a_catch_up_takes_over_what_the_ring_let_go() {
    // Two seconds a group: at its end more than a second of it goes as soon as the next one begins.
    let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
    (0..60).for_each(|index| bench.frame(&mut camera, index == 0));
    bench.join(camera.next_frame_at() - Duration::from_millis(10));
    let before = bench.sent.len();
    assert!((1..20).contains(&before), "the catch-up has just begun: {before}");
    bench.frame(&mut camera, true);
    bench.frame(&mut camera, false);
    bench.advance(camera.next_frame_at());
    let keyframes: Vec<u64> =
        bench.sent.iter().filter(|(_, f)| f.train.keyframe).map(|(_, f)| f.train.sequence.0).collect();
    assert_eq!(keyframes, [1_000, 1_120], "no wait for the keyframe after that");
    assert_eq!(bench.trains().last(), Some(&1_122));
    bench.check_numbers();
}

#[test]
fn an_eviction_during_a_catch_up_waits_for_the_next_keyframe() {
    // Room for 60 packets of 1,000 bytes.
    let limits = RecentLimits { bytes: 60_000, history: Duration::from_secs(1) };
    let (mut camera, mut bench) = (Camera::new(), Bench::new(limits));
    (0..30).for_each(|index| bench.frame(&mut camera, index == 0));
    bench.join(camera.next_frame_at() - Duration::from_millis(20));
    let before = bench.sent.len();
    let now = camera.next_frame_at() - Duration::from_millis(19);
    camera.frame(false, &[40], FRAME_TICKS).iter().for_each(|train| bench.train(now, train));
    (0..20).for_each(|_| bench.frame(&mut camera, false));
    assert_eq!(bench.sent.len(), before, "the trains that come next are gone");
    bench.frame(&mut camera, true);
    assert_eq!(bench.sent.len(), before + 1);
    assert!(bench.sent[before].1.train.keyframe);
    bench.check_numbers();
}

#[test]
fn whoever_is_limited_no_more_is_at_the_live_edge_within_a_group() {
    // 60,000 bytes a second in groups of 30.
    for (rate, limited) in [8_000, 20_000, 59_000, 61_000, 200_000]
        .into_iter()
        .flat_map(|rate| [1, 29, 30, 31, 100, 275].map(|limited| (rate, limited)))
    {
        let (mut camera, mut bench) = (Camera::new(), Bench::new(AMPLE));
        let run = |camera: &mut Camera, bench: &mut Bench, frames: u32| {
            (0..frames).for_each(|_| bench.frame(camera, camera.frame.is_multiple_of(30)));
        };
        run(&mut camera, &mut bench, 1);
        bench.join(camera.next_frame_at());
        run(&mut camera, &mut bench, 40);
        bench.forwarder.limit(camera.next_frame_at(), Some(rate), &bench.recent);
        run(&mut camera, &mut bench, limited);
        bench.forwarder.limit(camera.next_frame_at(), None, &bench.recent);
        // The camera has a richer picture now.
        for _ in 0..60 {
            let (now, keyframe) = (camera.next_frame_at(), camera.frame.is_multiple_of(30));
            camera.frame(keyframe, &[8], FRAME_TICKS).iter().for_each(|train| bench.train(now, train));
        }
        let (at, last) = bench.sent.last().expect("some");
        assert!(!bench.forwarder.is_thin(), "{rate} for {limited} pictures");
        assert_eq!(*at, last.train.received, "{rate} for {limited} pictures");
        bench.check_numbers();
        bench.check_order();
    }
}
