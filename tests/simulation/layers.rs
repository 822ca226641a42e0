//! Two layers of one stream: viewers go from one to the other under numbers without gaps and on one line of time, and
//! what they lose is sent again from the ring that it was sent from.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sluice::track::Recent;
use sluice_harness::camera::FRAME;
use sluice_harness::client::{Behaviour, Packet};
use sluice_harness::link::{Link, Narrow};
use sluice_harness::terms::RECENT;
use sluice_harness::world::World;
use sluice_media::{AudioCodec, VideoCodec};

const HIGH: usize = 0;
const LOW: usize = 1;

/// A world with a pair that has run for a while: the low camera began later, has other groups, and is seen later.
fn pair(seed: u64) -> World {
    let mut world = World::new(seed);
    world.camera(AudioCodec::Opus);
    world.run(Duration::from_millis(730));
    world.low_layer(HIGH);
    world.cameras[LOW].group = 35;
    world.run(Duration::from_millis(2_700));
    world
}

fn watching(seed: u64, link: Link) -> World {
    let mut world = pair(seed);
    world.join(HIGH, Behaviour::PACKETS, link);
    world.connect(0..1);
    world.run(Duration::from_secs(3));
    world
}

/// The viewer's pictures by number, each once.
fn pictures(world: &World) -> Vec<&Packet> {
    let mut packets: Vec<&Packet> = world.clients[0].pictures().collect();
    packets.sort_by_key(|packet| packet.sequence);
    packets.dedup_by_key(|packet| packet.sequence);
    packets
}

/// Parameter sets, with which a keyframe begins: they are of no camera.
fn is_sets(packet: &Packet) -> bool {
    packet.payload[0] & 0x1f == 24
}

/// Which camera made it.
fn maker(world: &World, packet: &Packet) -> Option<usize> {
    [HIGH, LOW]
        .into_iter()
        .find(|camera| !is_sets(packet) && world.cameras[*camera].made(&packet.payload[2..]))
}

/// What was seen of which camera, from when on.
fn seen(world: &World) -> Vec<(usize, Instant)> {
    let mut seen: Vec<(usize, Instant)> = Vec::new();
    for packet in pictures(world) {
        if let Some(camera) =
            maker(world, packet).filter(|camera| seen.last().is_none_or(|last| last.0 != *camera))
        {
            seen.push((camera, packet.at));
        }
    }
    seen
}

/// Checks all that a player counts on, whatever was sent; returns how often the camera changed.
fn judge(world: &World) -> usize {
    let ssrc = world.clients[0].video.ssrc;
    let sent = &world.books.media[&(0, ssrc)];
    let contiguous = sent.windows(2).all(|pair| pair[1].0 == pair[0].0.wrapping_add(1));
    assert!(contiguous, "numbers with gaps, or out of order");
    assert_eq!(world.books.cut.get(&(0, ssrc)), None, "a picture that was cut off");

    let packets = pictures(world);
    let (mut last, mut sets, mut changes) = (None, false, 0);
    for pair in packets.windows(2) {
        let (before, packet) = (pair[0], pair[1]);
        let step = packet.timestamp.wrapping_sub(before.timestamp) as i32;
        assert!((0..90_000 * 3).contains(&step), "timestamps went by {step}");
        let whole = packet.sequence == before.sequence + 1;
        sets |= is_sets(packet) || !whole;
        if let Some(camera) = maker(world, packet) {
            if last.is_some_and(|last| last != camera) {
                assert!(sets, "{camera} begins without parameter sets");
                assert!(step > 0 || is_sets(before), "two cameras in one picture");
                changes += 1;
            }
            (last, sets) = (Some(camera), false);
        } else {
            assert!(is_sets(packet), "a packet of no camera");
        }
    }
    // Timestamps pass as time does, over all of it.
    let (first, newest) = (packets[0], packets[packets.len() - 1]);
    let passed = (newest.at - first.at).as_secs_f64();
    let ticks: f64 =
        packets.windows(2).map(|two| f64::from(two[1].timestamp.wrapping_sub(two[0].timestamp))).sum();
    assert!((ticks / 90_000.0 - passed).abs() < 1.0, "{} s of timestamps in {passed} s", ticks / 90_000.0);
    changes
}

#[test]
fn a_viewer_that_chooses_another_layer_sees_it_at_once_and_on_one_line_of_time() {
    let mut world = watching(61, Link::GOOD);
    let chose = world.now;
    world.choose(0, LOW);
    world.run(Duration::from_secs(3));
    let (camera, at) = *seen(&world).last().expect("pictures");
    assert_eq!(camera, LOW);
    assert!(at - chose < Duration::from_millis(150), "{:?}, though its ring has a keyframe", at - chose);
    assert_eq!(judge(&world), 1);
    // The other one goes to this shard no more, and its ring is forgotten a second later.
    assert!(!world.cameras[HIGH].sent);
    let newest = pictures(&world).last().expect("pictures").at;
    assert!(world.now - newest < 3 * FRAME, "it is at the live edge");
}

#[test]
fn sound_goes_on_while_pictures_change() {
    let mut world = watching(62, Link::GOOD);
    for round in 0..6 {
        world.choose(0, [LOW, HIGH][round % 2]);
        world.run(Duration::from_millis(1_100));
    }
    let sound = |packet: &&Packet| packet.ssrc != world.clients[0].video.ssrc;
    let mut sound: Vec<&Packet> = world.clients[0].packets.iter().filter(sound).collect();
    sound.sort_by_key(|packet| packet.sequence);
    let is_next = |pair: &[&Packet]| pair[1].sequence == pair[0].sequence + 1;
    assert!(sound.windows(2).all(is_next), "a gap, or one twice");
    let holes =
        sound.windows(2).filter(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) != 960).count();
    assert!(holes <= 6, "{holes} packets are missing in {}", sound.len());
    assert!(sound.len() > 460, "{}", sound.len());
    judge(&world);
}

#[test]
fn a_hundred_choices_under_loss_leave_numbers_whole_and_what_is_lost_is_repaired_from_its_own_ring() {
    let mut world = watching(63, Link::lossy(0.05));
    let mut random = StdRng::seed_from_u64(world.seed());
    for _ in 0..100 {
        world.choose(0, random.random_range(0..2));
        world.run(Duration::from_millis(random.random_range(10..2_500)));
    }
    world.run(Duration::from_secs(3));
    let changes = judge(&world);
    assert!(changes > 25, "{changes} changes prove nothing");
    let ssrc = world.clients[0].video.ssrc;
    let (sent, came) = (world.books.media[&(0, ssrc)].len(), pictures(&world).len());
    assert!(came as f64 > 0.995 * sent as f64, "{came} of {sent}: repairs fail");
    let repairs = world.counters.repairs_sent.get();
    assert!(repairs as f64 > 0.03 * sent as f64, "{repairs} repairs of {sent}");
    assert!(world.counters.repairs_unknown.get() * 20 < repairs, "{}", world.counters.repairs_unknown.get());
}

#[test]
fn what_was_sent_before_a_change_is_repaired_behind_it() {
    let mut world = watching(64, Link::GOOD);
    // The last picture before the change is lost on the way.
    world.links[0].down = true;
    world.run(2 * FRAME);
    world.choose(0, LOW);
    world.run(Duration::from_millis(5));
    world.links[0].down = false;
    let lost = world.now;
    world.run(Duration::from_millis(900));
    let packets = pictures(&world);
    let of_high: Vec<_> =
        packets.iter().filter(|packet| packet.at > lost && maker(&world, packet) == Some(HIGH)).collect();
    assert!(!of_high.is_empty(), "nothing of the ring that was left was sent again");
    assert!(!world.cameras[HIGH].sent);
    judge(&world);
}

#[test]
fn a_layer_without_a_keyframe_is_waited_for_while_the_other_goes_on() {
    let mut world = watching(65, Link::GOOD);
    // The control plane's ring has lost its keyframe, and the next one is not near.
    let is_early = |world: &World| world.cameras[LOW].frames.len() as u64 % 35 == 5;
    assert!(world.run_until(Duration::from_secs(2), is_early));
    world.cameras[LOW].recent = Recent::new(*RECENT);
    let chose = world.now;
    world.choose(0, LOW);
    assert!(world.cameras[LOW].keyframe.take(), "the camera is asked for one");
    assert!(world.cameras[HIGH].sent, "it is watched still");
    world.run(Duration::from_secs(4));
    let (camera, at) = *seen(&world).last().expect("pictures");
    assert_eq!(camera, LOW);
    assert!(at - chose > Duration::from_millis(900), "{:?}", at - chose);
    let times: Vec<Instant> = world.clients[0].pictures().map(|packet| packet.at).collect();
    let widest = times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("pictures");
    assert!(widest < Duration::from_millis(150), "{widest:?} without a picture");
    assert!(!world.cameras[HIGH].sent);
    judge(&world);
}

#[test]
fn who_goes_to_and_fro_is_not_sent_the_past_again_and_again() {
    let mut world = watching(66, Link::GOOD);
    let began = world.now;
    for round in 0..40 {
        world.choose(0, [LOW, HIGH][round % 2]);
        world.run(Duration::from_millis(300));
    }
    let sent = |from: Instant, until: Instant| {
        let bytes = world.books.bytes[&0].iter().filter(|(at, _)| (from..until).contains(at));
        bytes.map(|(_, bytes)| bytes).sum::<usize>()
    };
    let time = world.now - began;
    let (before, during) = (sent(began - Duration::from_secs(2), began), sent(began, world.now));
    let usual = before as f64 * time.as_secs_f64() / 2.0;
    assert!((during as f64) < 1.6 * usual, "{during} bytes where {usual} are usual");
    judge(&world);
}

#[test]
fn keyframes_of_both_layers_that_come_together_keep_nobody_waiting() {
    // As from one camera: the same pictures at the same time, so half of a keyframe of the one is out when the other's comes.
    let mut world = World::new(69);
    world.camera(AudioCodec::Opus);
    world.low_layer(HIGH);
    world.run(Duration::from_millis(3_400));
    world.join(HIGH, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    for round in 0..6 {
        let chosen = [LOW, HIGH][round % 2];
        world.choose(0, chosen);
        // Not before the next keyframe, two seconds after the last; the first time at once.
        world.run(Duration::from_millis(2_300));
        let camera = seen(&world).last().expect("pictures").0;
        assert_eq!(camera, chosen, "in round {round}");
    }
    judge(&world);
}

#[test]
fn while_the_source_is_away_the_other_layer_is_shown_and_then_it_again() {
    let mut world = watching(67, Link::GOOD);
    let low_viewer = world.join(LOW, Behaviour::PACKETS, Link::GOOD);
    world.connect(low_viewer..low_viewer + 1);
    world.run(Duration::from_secs(1));
    let left = world.now;
    world.set_away(HIGH, true);
    world.run(Duration::from_secs(12));
    let (camera, at) = *seen(&world).last().expect("pictures");
    assert_eq!(camera, LOW);
    assert!(at - left < Duration::from_millis(200), "{:?} without pictures", at - left);
    // Who joins now and wants the high one is shown the low one, too.
    let late = world.join(HIGH, Behaviour::PACKETS, Link::GOOD);
    world.connect(late..late + 1);
    world.run(Duration::from_secs(1));
    let of_late = |world: &World, camera: usize| {
        let mut packets = world.clients[late].pictures().filter(|packet| !is_sets(packet));
        packets.any(|packet| world.cameras[camera].made(&packet.payload[2..]))
    };
    assert!(of_late(&world, LOW) && !of_late(&world, HIGH));

    world.set_away(HIGH, false);
    world.run(Duration::from_secs(3));
    assert_eq!(seen(&world).iter().map(|seen| seen.0).collect::<Vec<_>>(), [HIGH, LOW, HIGH]);
    assert!(of_late(&world, HIGH));
    let of_other: Vec<&Packet> =
        world.clients[low_viewer].pictures().filter(|packet| !is_sets(packet)).collect();
    assert!(of_other.len() > 100);
    assert!(
        of_other.iter().all(|packet| world.cameras[LOW].made(&packet.payload[2..])),
        "nobody else noticed"
    );
    judge(&world);
}

#[test]
fn a_layer_of_another_codec_is_not_gone_over_to() {
    let mut world = pair(68);
    world.cameras[LOW].change_video(VideoCodec::H265);
    world.run(Duration::from_millis(3_000));
    world.join(HIGH, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    world.choose(0, LOW);
    world.run(Duration::from_secs(3));
    assert_eq!(seen(&world).iter().map(|seen| seen.0).collect::<Vec<_>>(), [HIGH]);
    let newest = pictures(&world).last().expect("pictures").at;
    assert!(world.now - newest < 3 * FRAME, "it goes on where it was");
    judge(&world);
}

#[test]
fn a_viewer_whose_line_is_narrow_goes_over_within_a_group() {
    let second = Duration::from_secs(1);
    let mut world = watching(68, Link::GOOD);
    let lately = world.books.bytes[&0].iter().filter(|(at, _)| *at + second * 2 > world.now);
    let rate = lately.map(|(_, bytes)| *bytes as f64).sum::<f64>() / 2.0;
    world.links[0].narrow = Some(Narrow { rate: rate * 0.5, queue: Duration::from_millis(300) });
    world.run(second * 20);
    assert!(world.counters.thinned_superseded.get() > 100, "it is limited");
    for camera in [LOW, HIGH, LOW] {
        let chose = world.now;
        world.choose(0, camera);
        world.run(second * 12);
        let (last, since) = *seen(&world).last().expect("pictures");
        assert_eq!(last, camera);
        // Half of what comes through is too late to be of the new layer, and groups are two seconds.
        assert!(since - chose < second * 5, "after {:?}", since - chose);
    }
    world.links[0].narrow = None;
    world.run(second * 40);
    assert_eq!(judge(&world), 3);
}
