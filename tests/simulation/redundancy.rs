//! Sound over lines that lose some: who is sent each packet with the one before it in front (RED), and what is heard then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sluice_harness::client::{Behaviour, Packet};
use sluice_harness::link::{Bursts, Link, Narrow};
use sluice_harness::world::World;
use sluice_media::{AudioCodec, Kind};

const SECOND: Duration = Duration::from_secs(1);

/// Takes sound that goes twice, as browsers do.
const TAKES: Behaviour = Behaviour { redundancy: true, ..Behaviour::PACKETS };

/// str0m's player reports its sound every five seconds, and takes pictures that were sent again for such as were not lost: what
/// it loses is known behind its second report, should none of them be lost.
const KNOWN: Duration = Duration::from_secs(20);

/// Ticks of a packet of 20 ms.
const TICKS: u32 = 960;

/// Packets of a viewer's sound that came.
fn sound(world: &World, viewer: usize) -> impl Iterator<Item = &Packet> {
    let ssrc = *world.track(viewer, Kind::Audio).ssrc;
    world.clients[viewer].packets.iter().filter(move |packet| packet.ssrc == ssrc)
}

/// The payload of a packet with its timestamp, and that of the one in front. Read by the letter of RFC 2198 §3, and not by what
/// the server has for it.
fn payloads(packet: &Packet, payload_type: u8) -> Vec<(u32, &[u8])> {
    if packet.payload_type == payload_type {
        return vec![(packet.timestamp, &packet.payload)];
    }
    let &[first, a, b, c, second, ..] = &packet.payload[..] else { panic!("cut off: {packet:?}") };
    assert_eq!((first, second), (0x80 | payload_type, payload_type), "one block in front, of the same type");
    let word = u32::from_be_bytes([0, a, b, c]);
    let (offset, length) = (word >> 10, (word & 0x3ff) as usize);
    let (earlier, own) = packet.payload[5..].split_at(length);
    vec![(packet.timestamp.wrapping_sub(offset), earlier), (packet.timestamp, own)]
}

/// What a viewer can play of its sound by timestamp. What came twice is the same.
fn heard(world: &World, viewer: usize) -> BTreeMap<u32, Vec<u8>> {
    let payload_type = *world.track(viewer, Kind::Audio).payload_type;
    let mut heard: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for (timestamp, payload) in sound(world, viewer).flat_map(|packet| payloads(packet, payload_type)) {
        let known = heard.entry(timestamp).or_insert_with(|| payload.to_vec());
        assert_eq!(known, payload, "two sounds at {timestamp}");
    }
    heard
}

/// Part of the sound since `from` that a viewer cannot play. Our cameras have a packet every 20 ms.
fn missing(world: &World, viewer: usize, from: Option<u32>) -> f64 {
    let heard: Vec<u32> =
        heard(world, viewer).into_keys().filter(|at| from.is_none_or(|from| *at > from)).collect();
    let (first, last) = (heard[0], heard[heard.len() - 1]);
    let all = (last - first) / TICKS + 1;
    1.0 - heard.len() as f64 / f64::from(all)
}

fn newest(world: &World, viewer: usize) -> Option<u32> {
    sound(world, viewer).map(|packet| packet.timestamp).max()
}

/// Packets of its sound that were sent, by number: each once, and none left out.
fn assert_contiguous(world: &World, viewer: usize) {
    let sent = &world.books.media[&(viewer, *world.track(viewer, Kind::Audio).ssrc)];
    assert!(sent.windows(2).all(|pair| pair[1].0 == pair[0].0.wrapping_add(1)), "viewer {viewer}");
}

/// What four viewers miss over `link` on average, when their reports have told of it.
fn played(seed: u64, link: Link, behaviour: Behaviour) -> (World, f64) {
    let mut world = World::with_camera(seed);
    let viewers = 0..4;
    for _ in viewers.clone() {
        world.join(0, behaviour, link);
    }
    world.connect(viewers.clone());
    world.run(KNOWN);
    let from: Vec<Option<u32>> = viewers.clone().map(|viewer| newest(&world, viewer)).collect();
    world.run(40 * SECOND);
    viewers.clone().for_each(|viewer| assert_contiguous(&world, viewer));
    let all = viewers.clone().map(|viewer| missing(&world, viewer, from[viewer]));
    let mean = all.sum::<f64>() / viewers.len() as f64;
    (world, mean)
}

#[test]
fn of_five_percent_a_three_hundredth_is_missed_and_without_redundancy_all_of_it() {
    let link = Link { reorder: 0.01, ..Link::lossy(0.05) };
    let (world, with) = played(81, link, TAKES);
    assert!(with < 0.004, "{with}");
    assert_eq!(world.counters.redundant_now.get(), 4);
    let twice = world.counters.redundant_packets.get();
    assert!(twice > 4 * 50 * 40, "{twice}");
    // A packet of 120 bytes and 5 of header.
    assert_eq!(world.counters.redundant_bytes.get(), twice * 125);

    let (world, without) = played(81, link, Behaviour::PACKETS);
    assert!((0.035..0.07).contains(&without), "{without}");
    assert_eq!((world.counters.redundant_now.get(), world.counters.redundant_packets.get()), (0, 0));
}

#[test]
fn of_two_packets_in_a_row_one_is_missed() {
    let link = Link { bursts: Some(Bursts::new(2.0, 0.05)), ..Link::GOOD };
    let (_, with) = played(82, link, TAKES);
    let (_, without) = played(82, link, Behaviour::PACKETS);
    // Pictures go in bursts, sound every 20 ms: of what is lost together little is sound.
    assert!(without > 0.03 && with < without / 3.0, "{with} of {without}");
}

#[test]
fn it_begins_with_loss_and_ends_half_a_minute_behind_it() {
    let mut world = World::with_camera(83);
    let viewer = world.join(0, TAKES, Link::GOOD);
    world.connect(0..1);
    world.open_packets_of(viewer);
    world.run(10 * SECOND);
    let on = |world: &World| world.counters.redundant_now.get() == 1;
    assert!(!on(&world) && sound(&world, viewer).count() > 400);
    let plain = *world.track(viewer, Kind::Audio).payload_type;
    assert!(sound(&world, viewer).all(|packet| packet.payload_type == plain), "nothing goes twice");

    for _ in 0..2 {
        world.links[viewer] = Link::lossy(0.1);
        assert!(world.run_until(KNOWN, on), "it does not begin");
        world.links[viewer] = Link::GOOD;
        world.run(20 * SECOND);
        assert!(on(&world), "it may be a pause of a bad radio");
        assert!(world.run_until(25 * SECOND, |world| !on(world)), "it does not end");
        let twice = world.counters.redundant_packets.get();
        world.run(5 * SECOND);
        assert_eq!(world.counters.redundant_packets.get(), twice);
    }
    let types: BTreeSet<u8> = sound(&world, viewer).map(|packet| packet.payload_type).collect();
    assert_eq!(types.len(), 2, "{types:?}");
    assert_contiguous(&world, viewer);
    heard(&world, viewer);

    world.links[viewer] = Link::lossy(0.1);
    assert!(world.run_until(KNOWN, on));
    world.close(viewer);
    world.run(SECOND);
    assert_eq!(world.counters.redundant_now.get(), 0, "who has left is not counted");
}

#[test]
fn an_engine_that_plays_frames_takes_what_goes_twice() {
    // str0m unpacks it itself for this player, and would drop what is malformed. Where two in a row are missing it does not always
    // know where what it has belongs.
    let mut world = World::with_camera(84);
    let frames = Behaviour { redundancy: true, ..Behaviour::FRAMES };
    world.join(0, frames, Link::lossy(0.05));
    world.connect(0..1);
    world.run(KNOWN);
    let before = world.clients[0].sounds.len();
    world.run(40 * SECOND);
    let came = world.clients[0].sounds.len() - before;
    assert!(came > 1_950, "{came} of 2,000");
    let camera = &world.cameras[0];
    assert!(world.clients[0].sounds.iter().all(|sound| camera.made(&sound[1..])));
}

#[test]
fn sound_that_is_not_opus_goes_once() {
    let mut world = World::new(85);
    world.camera(AudioCodec::Pcmu);
    world.run(SECOND);
    let viewer = world.join(0, Behaviour { pcmu: true, ..TAKES }, Link::lossy(0.1));
    world.connect(0..1);
    world.run(20 * SECOND);
    assert_eq!(world.track(viewer, Kind::Audio).redundant_payload_type, None);
    assert!(sound(&world, viewer).count() > 800);
    assert_eq!(world.counters.redundant_packets.get(), 0);
}

#[test]
fn a_source_that_comes_back_is_heard_and_its_first_packet_has_none_in_front() {
    let mut world = World::with_camera(86);
    let viewer = world.join(0, TAKES, Link::lossy(0.1));
    world.connect(0..1);
    world.run(KNOWN);
    assert_eq!(world.counters.redundant_now.get(), 1);
    let plain = *world.track(viewer, Kind::Audio).payload_type;
    let once = |world: &World| sound(world, viewer).filter(|packet| packet.payload_type == plain).count();
    world.run(SECOND);
    world.links[viewer] = Link::GOOD;
    let before = once(&world);
    world.run(SECOND);
    assert_eq!(once(&world), before);
    world.cameras[0].restart_sound();
    world.run(SECOND);
    assert_eq!(once(&world), before + 1);
    assert_contiguous(&world, viewer);
    heard(&world, viewer);
}

#[test]
fn who_has_little_room_for_pictures_has_none_for_sound_twice() {
    let mut world = World::with_camera(87);
    let link = Link { narrow: Some(Narrow { rate: 60e3, queue: Duration::from_millis(200) }), ..Link::GOOD };
    world.join(0, TAKES, link);
    world.connect(0..1);
    world.run(20 * SECOND);
    // Its first reports told of loss before it was known why.
    let before = world.counters.redundant_packets.get();
    world.run(20 * SECOND);
    assert_eq!(world.counters.redundant_now.get(), 0);
    assert_eq!(world.counters.redundant_packets.get(), before);
}
