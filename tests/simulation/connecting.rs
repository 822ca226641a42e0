//! Joining: over loss, with any DTLS flight lost, and the first picture out of the ring.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sluice_harness::client::Behaviour;
use sluice_harness::link::{Link, Way};
use sluice_harness::terms::LIMITS;
use sluice_harness::world::World;
use sluice_media::{AudioCodec, Class, class};

#[test]
fn viewers_connect_over_a_lossy_link() {
    // Keys are random, and with them what a lost datagram held: one of ten may lose the same flight of DTLS
    // again and again, while its timer doubles, until the setup's time is up.
    for (loss, at_least, within) in
        [(0.0, 10, Duration::from_millis(400)), (0.05, 9, LIMITS.peer.setup), (0.10, 9, LIMITS.peer.setup)]
    {
        let mut world = World::with_camera(1);
        for _ in 0..10 {
            world.join(0, Behaviour::PACKETS, Link::lossy(loss));
        }
        let connected = |world: &World| world.counters.connected.get();
        world.run_until(within, |world| connected(world) == 10);
        assert!(connected(&world) >= at_least, "{} of 10 with {loss} of datagrams lost", connected(&world));
    }
}

#[test]
fn the_first_picture_comes_from_the_ring_bit_for_bit() {
    let mut world = World::with_camera(2);
    let viewer = world.join(0, Behaviour::FRAMES, Link::GOOD);
    world.connect(0..1);
    let connected = world.now;
    assert!(world.run_until(Duration::from_millis(100), |world| !world.clients[viewer].frames.is_empty()));
    assert!(world.now - connected < Duration::from_millis(60), "{:?}", world.now - connected);
    world.run(Duration::from_secs(5));

    let (camera, frames) = (&world.cameras[0], &world.clients[viewer].frames);
    let first = camera.frames.iter().position(|nals| *nals == frames[0].nals).expect("a frame of the camera");
    assert_eq!(first, 50, "the last keyframe before the join");
    for (frame, sent) in frames.iter().zip(&camera.frames[first..]) {
        assert_eq!(frame.nals, *sent);
    }
    assert!(frames.iter().skip(1).all(|frame| frame.contiguous));
    assert!(first + frames.len() + 2 >= camera.frames.len(), "all that there was: {}", frames.len());
}

#[test]
fn a_viewer_connects_whichever_flight_of_dtls_is_lost() {
    // ClientHello; ServerHello to ServerHelloDone; Certificate to Finished; Finished (RFC 6347 §4.2.4).
    for lost in 1..=4 {
        let mut world = World::with_camera(3);
        let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
        let (mut flight, mut last, mut began) = (0, None, None::<Instant>);
        let dropped = Rc::new(Cell::new(0));
        let drops = dropped.clone();
        world.lose(move |now, way, bytes| {
            if class(bytes) != Class::Dtls {
                return false;
            }
            if last != Some(way) {
                (flight, last, began) = (flight + 1, Some(way), Some(now));
            }
            // What comes later is sent again.
            let first_time = began.is_some_and(|began| now - began < Duration::from_millis(50));
            let drop = flight == lost && first_time;
            drops.set(drops.get() + u32::from(drop));
            drop
        });
        world.connect(0..1);
        let done =
            world.run_until(Duration::from_secs(5), |world| world.clients[viewer].pictures().count() > 50);
        assert!(done, "no media with flight {lost} lost");
        assert!(dropped.get() > 0, "flight {lost} was not lost");
    }
}

#[test]
fn requests_of_a_viewer_that_cannot_be_reached_are_not_amplified() {
    let mut world = World::with_camera(4);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.lose(|_, way, _| way == Way::ToClient);
    world.run(Duration::from_secs(9));
    let sent = world.books.sent_to.get(&world.clients[viewer].public).copied().unwrap_or_default();
    assert!(sent <= world.tap.len() + 20, "{sent} datagrams for {} of the client", world.tap.len());
    assert!(world.clients[viewer].connected.is_none());
}

#[test]
fn whoever_comes_to_a_ring_without_a_keyframe_has_the_camera_asked_for_one() {
    let mut world = World::new(17);
    let camera = world.camera(AudioCodec::Opus);
    // The first is the only keyframe of two seconds.
    world.cameras[camera].withheld = 1;
    world.join(camera, Behaviour::PACKETS, Link::GOOD);
    assert!(!world.cameras[camera].keyframe.take(), "it has not connected yet");
    world.connect(0..1);
    assert!(world.cameras[camera].keyframe.take());
    world.run(Duration::from_secs(3));
    // Who comes now starts from the ring.
    world.join(camera, Behaviour::PACKETS, Link::GOOD);
    world.connect(1..2);
    world.run(Duration::from_secs(1));
    assert!(!world.cameras[camera].keyframe.take());
}
