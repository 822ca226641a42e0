//! A socket that is full: what waits, what is dropped, and how viewers go on.

use std::time::{Duration, Instant};

use sluice_harness::camera::{FRAME, GOP};
use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::world::World;

/// The viewers of each test.
const VIEWERS: usize = 6;

fn watching(seed: u64) -> World {
    let mut world = World::with_camera(seed);
    for _ in 0..VIEWERS {
        world.join(0, Behaviour::PACKETS, Link::GOOD);
    }
    world.connect(0..VIEWERS);
    world.run(Duration::from_secs(3));
    world
}

fn stall(world: &mut World, time: Duration) {
    world.fill_socket(true);
    world.run(time);
    world.fill_socket(false);
}

/// Sequence numbers of a viewer's pictures in the order in which they were sent.
fn sequences(world: &World, viewer: usize) -> &[(u16, Instant)] {
    &world.books.media[&(viewer, world.clients[viewer].video.ssrc)]
}

fn assert_contiguous(world: &World) {
    for viewer in 0..VIEWERS {
        let gap = sequences(world, viewer).windows(2).find(|pair| pair[1].0 != pair[0].0.wrapping_add(1));
        assert_eq!(gap, None, "viewer {viewer} sees a gap and would ask for what was never sent");
    }
}

#[test]
fn a_short_stall_of_the_socket_loses_nothing() {
    let mut world = watching(61);
    stall(&mut world, Duration::from_millis(80));
    world.run(Duration::from_secs(2));
    assert_eq!(world.counters.dropped_late.get(), 0);
    assert_contiguous(&world);
    let fresh = |world: &World, viewer: usize| {
        let (_, newest) = *sequences(world, viewer).last().expect("packets");
        world.now - newest < FRAME
    };
    assert!((0..VIEWERS).all(|viewer| fresh(&world, viewer)));
}

#[test]
fn a_long_stall_drops_whole_trains_and_ends_at_the_next_keyframe() {
    let mut world = watching(62);
    // In the middle between two keyframes.
    let until_keyframe = GOP - world.cameras[0].frames.len() as u64 % GOP;
    world.run(FRAME * (until_keyframe + GOP / 4) as u32);
    let (began, before) = (world.now, world.cameras[0].frames.len());
    stall(&mut world, Duration::from_millis(400));
    assert!(world.counters.dropped_late.get() > 0);
    let next_keyframe = (before as u64).next_multiple_of(GOP);
    let (stopped, resumed) = (world.now, FRAME * (next_keyframe - before as u64) as u32);
    world.run(Duration::from_secs(3));

    assert_contiguous(&world);
    for viewer in 0..VIEWERS {
        let during = sequences(&world, viewer).iter().filter(|(_, at)| *at > began && *at < stopped).count();
        assert_eq!(during, 0, "nothing goes into a full socket");
        let since = sequences(&world, viewer).iter().map(|(_, at)| *at).find(|at| *at >= stopped);
        let silence = since.expect("it goes on") - began;
        assert!(silence <= resumed + 2 * FRAME, "viewer {viewer} got nothing for {silence:?} of {resumed:?}");
    }
    // Nobody asked anybody for it: it was the camera's own.
    assert_eq!(world.counters.keyframes_replayed.get() + world.counters.keyframes_awaited.get(), 0);
    assert_eq!(world.shard.viewers(), VIEWERS);
}

#[test]
fn a_full_socket_holds_up_neither_joins_nor_consent() {
    let mut world = watching(63);
    world.fill_socket(true);
    let late = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(late..late + 1);
    world.run(Duration::from_secs(40));
    assert!(world.ended.is_empty(), "consent was given all the time: {:?}", world.ended);
    assert!(!world.books.media.contains_key(&(late, world.clients[late].video.ssrc)));
    world.fill_socket(false);
    world.run(Duration::from_secs(3));
    let (_, newest) = *sequences(&world, late).last().expect("a picture at last");
    assert!(world.now - newest < FRAME);
    assert_contiguous(&world);
}
