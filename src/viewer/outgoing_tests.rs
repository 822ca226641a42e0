//! Numbers on the wire over long random lives: none repeats, repairs are exact and bounded.

use std::sync::Arc;

use proptest::prelude::*;
use sluice_media::srtp::{Keying, Library, Sealed, SendKeys};
use sluice_media::{DATAGRAM_MAX, Redundant, VideoCodec};
use str0m::crypto::dtls::SrtpProfile;
use zeroize::Zeroizing;

use super::super::Rings;
use super::super::forward::Due;
use super::super::reception::DEFAULT_RTT;
use super::*;
use crate::peer::Control;
use crate::track::{RecentLimits, SourceTime, TrackSeq, Train};

const TARGET: &str = "192.0.2.9:4000";

/// Headers of what was sent: SSRC, 16-bit number, timestamp, length; the header extensions of each; and reports.
#[derive(Default)]
struct Wire(Vec<(u32, u16, u32, usize)>, Vec<Vec<u8>>, Vec<Vec<u8>>);

impl Control for Wire {
    fn transmit(&mut self, _: Path, _: &[u8]) {
        unreachable!("a track has no engine");
    }
}

impl Egress for Wire {
    fn seal(&mut self, lane: Lane, _: Path, max: usize, seal: &mut dyn FnMut(&mut [u8]) -> Option<Sealed>) {
        let mut datagram = vec![0; max];
        let Some(sealed) = seal(&mut datagram) else { return };
        assert_eq!(sealed.len(), max, "no more room was asked for than it takes");
        if lane == Lane::Control {
            return self.2.push(datagram);
        }
        let word = |at: usize| u32::from_be_bytes(datagram[at..at + 4].try_into().expect("4 bytes"));
        let number = u16::from_be_bytes([datagram[2], datagram[3]]);
        self.0.push((word(8), number, word(4), sealed.len()));
        let words = if datagram[0] & 0x10 != 0 { usize::from(datagram[15]) } else { 0 };
        self.1.push(datagram[16.min(sealed.len())..16 + 4 * words].to_vec());
    }
}

struct World {
    now: Instant,
    epoch: Epoch,
    sealer: Sealer,
    recent: Recent,
    track: Outgoing,
    budget: Budget,
    /// Bytes of a packet.
    payload: usize,
    next: u64,
    frame: u64,
    /// By how much the camera's clock is ahead of ours, where it tells.
    ahead: Option<f64>,
    wire: Wire,
}

const MEDIA: u32 = 1;
const RTX: u32 = 2;

#[expect(clippy::disallowed_methods, reason = "virtual time has to start somewhere")]
fn start() -> Instant {
    Instant::now()
}

impl World {
    fn new() -> World {
        let now = start();
        let keying = Keying {
            material: Zeroizing::new((0..88).collect()),
            profile: SrtpProfile::AEAD_AES_256_GCM,
            active: false,
        };
        let keys = SendKeys::derive(&keying, &str0m::crypto::from_feature_flags()).expect("a known profile");
        let limits = RecentLimits { bytes: 4 << 20, history: Duration::from_secs(1) };
        let media = MediaParams {
            mid: "0".to_owned(),
            codec: VideoCodec::H264.into(),
            payload_type: 102.into(),
            rtx_payload_type: Some(103.into()),
            redundant_payload_type: None,
            format: String::new(),
            ssrc: MEDIA.into(),
            rtx_ssrc: RTX.into(),
            abs_send_time_id: Some(2),
            abs_capture_time_id: Some(4),
            mid_id: Some(9),
        };
        World {
            now,
            epoch: Epoch::new(now, Duration::from_secs(1_700_000_000)),
            sealer: Sealer::new(&keys, Library::default()).expect("derived keys"),
            recent: Recent::new(limits),
            track: Outgoing::new(media, 60_000),
            budget: Budget::new(now),
            payload: 50,
            next: 0,
            frame: 0,
            ahead: None,
            wire: Wire::default(),
        }
    }

    fn path() -> Path {
        Path { remote: TARGET.parse::<std::net::SocketAddr>().expect("an address").into(), local: None }
    }

    /// A picture of one packet that can be shown by itself.
    fn frame_of(&mut self) -> Train {
        let train = self.frame(1, true);
        Arc::into_inner(train).expect("new")
    }

    fn frame(&mut self, packets: usize, keyframe: bool) -> Arc<Train> {
        let ahead = |ahead: f64| (ahead * 4_294_967_296.0) as i64;
        let source_time =
            self.ahead.map(|by| SourceTime(self.epoch.ntp(self.now).wrapping_add_signed(ahead(by))));
        let train = Arc::new(Train {
            codec: VideoCodec::H264.into(),
            sequence: TrackSeq(self.next),
            timestamp: 1_000_000 + self.frame * 3_000,
            keyframe,
            starts_frame: true,
            ends_frame: true,
            marker: true,
            received: self.now,
            captured: self.now,
            source_time,
            redundant: None,
            packets: std::iter::repeat_n(vec![0; self.payload], packets).collect(),
        });
        self.next += packets as u64;
        self.frame += 1;
        train
    }

    fn live(&mut self, packets: usize, keyframe: bool) {
        let train = self.frame(packets, keyframe);
        self.recent.push(train.clone());
        if let Some(forward) = self.track.forwarder.forward(&train) {
            self.send((&train, 0..train.packets.len()), forward);
        }
        self.catch_up();
    }

    fn catch_up(&mut self) {
        while let Some(Due { train, packets, forward }) = self.track.forwarder.poll(self.now, &self.recent) {
            self.send((&train, packets), forward);
        }
    }

    fn send(&mut self, packets: (&Train, Range<usize>), forward: Forward) {
        let World { track, now, sealer, epoch, wire, .. } = self;
        track.send(
            packets,
            forward,
            0,
            sealer,
            &mut Way { now: *now, path: World::path(), epoch, egress: wire },
        );
    }

    fn nack(&mut self, first: u16, bitmask: u16) -> Repairs {
        let World { track, now, recent, budget, sealer, epoch, wire, .. } = self;
        let way = &mut Way { now: *now, path: World::path(), epoch, egress: wire };
        let rings = Rings([Some(&*recent), None]);
        let around =
            Surroundings { video: recent, rings, epoch, feedback: &Feedback::default(), live_waits: false };
        track.repair((first, bitmask), around, budget, sealer, way)
    }

    /// A receiver report comes: when our report it answers was sent, and how long it was kept.
    fn told(&mut self, last_sr_time: u32, last_sr_delay: u32) {
        let report = ReceptionReport {
            ssrc: MEDIA.into(),
            fraction_lost: 0,
            packets_lost: 0,
            max_seq: 0,
            jitter: 0,
            last_sr_time,
            last_sr_delay,
        };
        self.track.handle_report(self.now, &report, &self.epoch, &Feedback::default());
    }

    fn of(&self, ssrc: u32) -> Vec<(u16, u32)> {
        self.wire.0.iter().filter(|sent| sent.0 == ssrc).map(|sent| (sent.1, sent.2)).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Frame {
        packets: usize,
        keyframe: bool,
    },
    /// Trains that never reach the shard.
    Gap {
        packets: usize,
    },
    KeyframeRequest,
    Nack {
        back: u16,
        bitmask: u16,
    },
    Wait {
        ms: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (1..40usize, prop::bool::weighted(0.05)).prop_map(|(packets, keyframe)| Step::Frame { packets, keyframe }),
        1 => (1..40usize).prop_map(|packets| Step::Gap { packets }),
        1 => Just(Step::KeyframeRequest),
        6 => (0..600u16, any::<u16>()).prop_map(|(back, bitmask)| Step::Nack { back, bitmask }),
        10 => (1..60u64).prop_map(|ms| Step::Wait { ms }),
    ];
    prop::collection::vec(step, 1..600)
}

proptest! {
    /// Invariant 1: under one key no SSRC and index goes out twice. Numbers of media and of repairs
    /// each go up by one for ever, so their 48-bit index never repeats.
    #[test]
    fn no_index_is_ever_used_twice(steps in steps()) {
        let mut world = World::new();
        world.live(10, true);
        world.track.forwarder.start(world.now, &world.recent);
        for step in steps {
            match step {
                Step::Frame { packets, keyframe } => world.live(packets, keyframe),
                Step::Gap { packets } => { world.frame(packets, false); }
                Step::KeyframeRequest => { world.track.forwarder.request_keyframe(world.now, &world.recent, &mut world.budget); }
                Step::Nack { back, bitmask } => {
                    let last = world.of(MEDIA).last().map_or(0, |sent| sent.0);
                    world.nack(last.wrapping_sub(back), bitmask);
                }
                Step::Wait { ms } => world.now += Duration::from_millis(ms),
            }
            world.catch_up();
        }
        for ssrc in [MEDIA, RTX] {
            let numbers = world.of(ssrc);
            for pair in numbers.windows(2) {
                prop_assert_eq!(pair[1].0, pair[0].0.wrapping_add(1), "SSRC {}", ssrc);
            }
        }
    }

    /// A repair is the packet that was sent, timestamp and all, also from a catch-up.
    #[test]
    fn a_repair_has_the_timestamp_of_what_was_lost(frames in 1..80usize, packets in 1..5usize, live in 0..20usize) {
        let mut world = World::new();
        world.payload = 1_000;
        for frame in 0..frames {
            let train = world.frame(packets, frame == 0);
            world.recent.push(train);
            world.now += Duration::from_millis(33);
        }
        world.track.forwarder.start(world.now, &world.recent);
        // Eighty frames at four times their pace.
        for _ in 0..170 {
            world.now += Duration::from_millis(4);
            world.catch_up();
        }
        for _ in 0..live {
            world.now += Duration::from_millis(33);
            world.live(packets, false);
        }
        let sent = world.of(MEDIA);
        prop_assert_eq!(sent.len(), (frames + live) * packets);
        for &(number, timestamp) in &sent {
            world.budget = Budget::new(world.now);
            let repairs = world.nack(number, 0);
            prop_assert_eq!(repairs, Repairs { sent: 1, ..Repairs::default() });
            prop_assert_eq!(world.of(RTX).last().expect("a repair").1, timestamp);
        }
    }
}

/// The elements of `abs-capture-time` among header extensions: the time, and by how much that clock is ahead.
fn capture_times(extensions: &[Vec<u8>]) -> Vec<Option<(u64, f64)>> {
    let element = |block: &Vec<u8>| {
        let mut rest = &block[..];
        while let [head, behind @ ..] = rest {
            let length = usize::from(head & 0x0f) + 1;
            match head >> 4 {
                0 => rest = behind,
                4 => {
                    let word =
                        |at: usize| u64::from_be_bytes(behind[at..at + 8].try_into().expect("8 bytes"));
                    return Some((word(0), word(8).cast_signed() as f64 / 4_294_967_296.0));
                }
                _ => rest = &behind[length..],
            }
        }
        None
    };
    extensions.iter().map(element).collect()
}

#[test]
fn a_train_each_second_says_when_it_was_captured_in_all_its_packets() {
    let mut world = World::new();
    world.ahead = Some(-3_600.25);
    world.live(3, true);
    let known = world.wire.1.len();
    assert_eq!(
        capture_times(&world.wire.1),
        [None; 3],
        "the MID has the place until the viewer knows the SSRC"
    );
    world.told(0, 0);
    for _ in 0..75 {
        world.now += Duration::from_millis(40);
        world.live(3, false);
    }
    let sent = &world.wire.0[known..];
    let times = capture_times(&world.wire.1[known..]);
    let trains: Vec<_> = times.chunks(3).collect();
    let told: Vec<usize> = (0..trains.len()).filter(|at| trains[*at][0].is_some()).collect();
    assert_eq!(told, [26, 56], "where a second of 90,000 ticks begins");
    for at in told {
        let lengths: Vec<usize> = sent[at * 3..][..3].iter().map(|sent| sent.3).collect();
        assert_eq!(lengths, [lengths[0]; 3], "equal, so that they are one message");
        let (time, ahead) = trains[at][0].expect("told");
        assert_eq!(trains[at], [trains[at][0]; 3]);
        assert!((ahead + 3_600.25).abs() < 1e-6, "{ahead}");
        let captured = world.epoch.ntp(world.now - Duration::from_millis(40) * (74 - at as u32));
        assert!((time.wrapping_sub(captured).cast_signed() as f64 / 4_294_967_296.0 + 3_600.25).abs() < 1e-6);
    }
    let longest = sent.iter().map(|sent| sent.3).max().expect("sent");
    assert!(longest <= world.payload + AROUND_PAYLOAD_MAX, "{longest}");
}

#[test]
fn nobody_is_told_a_time_who_did_not_ask_nor_one_that_was_never_set() {
    for (id, ahead) in [(None, Some(0.0)), (Some(4), None), (Some(4), Some(-100_000.0))] {
        let mut world = World::new();
        world.track.media.abs_capture_time_id = id;
        world.ahead = ahead;
        world.live(1, true);
        world.told(0, 0);
        (0..50).for_each(|_| world.live(2, false));
        assert!(capture_times(&world.wire.1).iter().all(Option::is_none));
    }
}

#[test]
fn a_packet_goes_again_once_in_a_round_trip() {
    let mut world = World::new();
    world.live(20, true);
    let number = world.of(MEDIA)[5].0;
    assert_eq!(world.nack(number, 0).sent, 1);
    assert_eq!(world.nack(number, 0), Repairs { repeated: 1, ..Repairs::default() });
    world.now += DEFAULT_RTT;
    assert_eq!(world.nack(number, 0).sent, 1, "a round trip later it was lost again");
}

#[test]
fn the_round_trip_is_the_one_that_the_viewer_reports() {
    let mut world = World::new();
    world.live(20, true);
    let number = world.of(MEDIA)[5].0;
    let report = (world.epoch.ntp(world.now) >> 16) as u32;
    world.now += Duration::from_millis(380);
    // Kept for 80 ms.
    world.told(report, 65_536 * 8 / 100);
    assert_eq!(world.nack(number, 0).sent, 1);
    world.now += Duration::from_millis(298);
    assert_eq!(world.nack(number, 0).repeated, 1);
    world.now += Duration::from_millis(4);
    assert_eq!(world.nack(number, 0).sent, 1);
}

#[test]
fn a_viewer_without_rtx_is_sent_nothing_again() {
    let mut world = World::new();
    world.track.media.rtx_payload_type = None;
    world.live(20, true);
    let (first, before) = (world.of(MEDIA)[0].0, world.wire.0.len());
    assert_eq!(world.nack(first, 0b101), Repairs { not_agreed: 3, ..Repairs::default() });
    assert_eq!(world.wire.0.len(), before);
}

#[test]
fn what_goes_twice_is_counted_as_it_goes_under_the_numbers_that_it_would_have_had() {
    let mut world = World::new();
    let redundant = Redundant::new(&[1; 40], &[2; 50], 960);
    let mut bytes = Vec::new();
    for (agreed, on) in
        [(None, true), (Some(63.into()), false), (Some(63.into()), true), (Some(63.into()), false)]
    {
        (world.track.media.redundant_payload_type, world.track.is_redundant) = (agreed, on);
        let train = Train { redundant: redundant.clone(), ..world.frame_of() };
        let forward = world.track.forwarder.forward(&train).expect("a keyframe");
        let before = world.track.sent().bytes;
        world.send((&train, 0..1), forward);
        bytes.push(world.track.sent().bytes - before);
    }
    assert_eq!(bytes, [50, 50, 95, 50]);
    let lengths: Vec<usize> = world.wire.0.iter().map(|sent| sent.3).collect();
    assert_eq!(lengths[2], lengths[1] + 45);
    let numbers: Vec<u16> = world.of(MEDIA).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [60_000, 60_001, 60_002, 60_003]);
}

#[test]
fn repairs_take_at_most_their_share() {
    let mut world = World::new();
    world.live(1, true);
    for _ in 0..400 {
        world.now += Duration::from_millis(33);
        world.live(20, false);
    }
    let media: usize = world.wire.0.iter().map(|sent| sent.3).sum();
    let last = world.of(MEDIA).last().expect("sent").0;
    let mut repairs = Repairs::default();
    for round in 0..200 {
        for back in (0..500).step_by(17) {
            repairs += world.nack(last.wrapping_sub(back), u16::MAX);
        }
        world.now += DEFAULT_RTT * round.min(1);
    }
    let all: usize = world.wire.0.iter().map(|sent| sent.3).sum();
    assert!(repairs.over_budget > 0, "{repairs:?}");
    assert!((all - media) * 100 < media * 40, "{} of {media} bytes of media repaired", all - media);
}

#[test]
fn unknown_and_unsent_packets_are_counted_and_nothing_else() {
    let mut world = World::new();
    assert_eq!(world.nack(60_000, 0), Repairs { unknown: 1, ..Repairs::default() });
    world.payload = 1_000;
    world.live(3, true);
    let before = world.wire.0.len();
    assert_eq!(world.nack(60_003, 0b1), Repairs { unknown: 2, ..Repairs::default() }, "not sent yet");
    assert_eq!(world.nack(59_000, 0b11), Repairs { unknown: 3, ..Repairs::default() }, "never sent");
    assert_eq!(world.wire.0.len(), before);
}

#[test]
fn mid_goes_until_a_receiver_report_comes() {
    let mut world = World::new();
    world.live(1, true);
    let with_mid = world.wire.0[0].3;
    world.told(0, 0);
    world.live(1, false);
    assert_eq!(with_mid - world.wire.0[1].3, 4, "one word of header less");
}

#[test]
fn no_datagram_is_longer_than_every_path_takes_and_none_wastes_a_byte() {
    let mut world = World::new();
    (world.payload, world.ahead) = (MAX_PAYLOAD, Some(0.0));
    world.track.media.mid = "x".repeat(16);
    // First with the MID, then with capture times, then without either; each is sent again.
    world.live(40, true);
    let first = world.of(MEDIA)[0].0;
    assert!(world.nack(first, 0).sent == 1);
    world.told(0, 0);
    for _ in 0..50 {
        world.now += Duration::from_millis(40);
        world.live(1, false);
    }
    let last = world.of(MEDIA).last().expect("sent").0;
    assert!(world.nack(last, 0).sent == 1);
    assert!(capture_times(&world.wire.1).iter().any(Option::is_some));
    let longest = world.wire.0.iter().map(|sent| sent.3).max();
    assert_eq!(longest, Some(DATAGRAM_MAX));
}

/// What each viewer costs beside its engine: it must not grow unnoticed, and never with the history.
#[test]
fn a_viewer_is_reasonably_sized() {
    use super::super::Viewer;

    assert!(size_of::<Outgoing>() <= 504, "{}", size_of::<Outgoing>());
    // The engine is boxed: this is what a fan-out walks over.
    assert!(size_of::<Viewer>() <= 512, "{}", size_of::<Viewer>());
}

#[path = "outgoing_datagram_tests.rs"]
mod datagrams;
