//! What one viewer can cause, whatever it asks for and however often, and what becomes of those beside it.

use std::time::{Duration, Instant};

use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::world::World;
use sluice_load::rtcp;
use sluice_media::{AudioCodec, Kind};

const SECOND: Duration = Duration::from_secs(1);

/// What the viewer calls itself.
const SELF: u32 = 0x0506_0708;

/// What any ten seconds of a viewer may be, of those of another that asks for nothing: 15 % of the rate that the ring
/// tells, which those ten seconds differ from by a little.
const SHARE: f64 = 1.16;

/// A camera with a keyframe every `group`, and two viewers that joined long ago: the first asks for what
/// the test says, the second for nothing.
fn two_viewers(seed: u64, group: Duration) -> World {
    let mut world = World::new(seed);
    world.camera(AudioCodec::Opus);
    world.cameras[0].group = (group.as_millis() / sluice_harness::camera::FRAME.as_millis()) as u64;
    world.run(group + Duration::from_millis(700));
    for _ in 0..2 {
        world.join(0, Behaviour::BY_HAND, Link::GOOD);
    }
    world.connect(0..2);
    world.run(SECOND * 4);
    world
}

fn video(world: &World) -> u32 {
    *world.track(0, Kind::Video).ssrc
}

/// A compound report that asks for a keyframe.
fn keyframe_request(world: &World) -> Vec<u8> {
    let mut compound = Vec::new();
    rtcp::receiver_report(&mut compound, SELF, &[]);
    rtcp::pli(&mut compound, SELF, video(world));
    compound
}

/// A compound report that asks for the last `count` packets of video.
fn nack(world: &World, count: usize) -> Vec<u8> {
    let sent = &world.books.media[&(0, video(world))];
    let numbers: Vec<u16> =
        sent[sent.len().saturating_sub(count)..].iter().map(|(number, _)| *number).collect();
    let mut compound = Vec::new();
    rtcp::receiver_report(&mut compound, SELF, &[]);
    rtcp::nack(&mut compound, SELF, video(world), &numbers);
    compound
}

/// Bytes that a viewer was sent in the ten seconds from `from` on.
fn bytes(world: &World, viewer: usize, from: Instant) -> usize {
    let until = from + SECOND * 10;
    let sent = world.books.bytes[&viewer].iter();
    sent.filter(|(at, _)| (from..until).contains(at)).map(|(_, bytes)| bytes).sum()
}

/// Checks every ten seconds since `from`, and returns what the first viewer got at the most.
fn check(world: &World, from: Instant) -> f64 {
    let mut most = 0.0f64;
    let mut from = from;
    while from + SECOND * 10 <= world.now {
        most = most.max(bytes(world, 0, from) as f64 / bytes(world, 1, from) as f64);
        from += SECOND / 4;
    }
    assert!(most <= SHARE, "{most} times the stream within ten seconds");
    most
}

#[test]
fn a_keyframe_request_a_second_costs_a_share_of_the_stream() {
    for (seed, group) in [(81, SECOND * 2), (82, SECOND * 10)] {
        let mut world = two_viewers(seed, group);
        let began = world.now;
        for _ in 0..30 {
            let compound = keyframe_request(&world);
            world.report(0, &compound);
            world.run(SECOND);
        }
        let most = check(&world, began);
        let counters = &world.counters;
        assert!(counters.keyframes_replayed.get() >= 1 && most > 1.01, "it was answered: {most}");
        assert!(counters.keyframes_awaited.get() >= 20, "{}", counters.keyframes_awaited.get());
    }
}

#[test]
fn storms_of_both_kinds_share_one_budget() {
    for (seed, group) in [(83, SECOND * 2), (84, SECOND * 10)] {
        let mut world = two_viewers(seed, group);
        let began = world.now;
        for round in 0..600 {
            // Nothing that is sent again is ever enough.
            let compound = nack(&world, 90);
            world.report(0, &compound);
            if round % 10 == 0 {
                let compound = keyframe_request(&world);
                world.report(0, &compound);
            }
            world.run(Duration::from_millis(50));
        }
        let most = check(&world, began);
        let counters = &world.counters;
        assert!(counters.repairs_sent.get() > 100 && most > 1.08, "it was answered: {most}");
        assert!(counters.repairs_over_budget.get() > 1_000);
        assert!(counters.keyframes_awaited.get() >= 45, "{}", counters.keyframes_awaited.get());
    }
}

#[test]
fn a_viewer_that_never_shows_a_picture_is_left_alone_more_and_more() {
    let mut world = two_viewers(85, SECOND * 2);
    let mut replayed = Vec::new();
    for _ in 0..5 {
        let before = world.counters.keyframes_replayed.get();
        // As a browser does that cannot decode what it gets.
        for _ in 0..120 {
            let compound = keyframe_request(&world);
            world.report(0, &compound);
            world.run(SECOND / 2);
        }
        replayed.push(world.counters.keyframes_replayed.get() - before);
    }
    assert!(replayed[0] >= 3 && replayed[0] <= 8, "{replayed:?} in each minute");
    assert!(replayed[2..].iter().all(|&replayed| replayed <= 1), "{replayed:?} in each minute");
}

#[test]
fn a_flood_of_reports_is_not_looked_at_and_changes_nothing_for_others() {
    let mut world = two_viewers(86, SECOND * 2);
    let before = world.clients[1].packets.len();
    let from = world.counters.feedback.packets.pli.get();
    for _ in 0..200 {
        // 64 packets a datagram, 6,400 a second.
        let mut compound = Vec::new();
        (0..64).for_each(|_| rtcp::pli(&mut compound, SELF, video(&world)));
        world.report(0, &compound);
        world.run(SECOND / 100);
    }
    let feedback = &world.counters.feedback;
    let looked_at = feedback.packets.pli.get() - from;
    assert!((1_000..=3_000).contains(&looked_at), "{looked_at} in two seconds");
    assert_eq!(looked_at + feedback.over_rate_packets.get(), 200 * 64);

    world.run(SECOND * 2);
    let known = |world: &World| {
        let counters = &world.counters;
        counters.repairs_sent.get()
            + counters.repairs_repeated.get()
            + counters.repairs_unknown.get()
            + counters.repairs_over_budget.get()
    };
    for _ in 0..100 {
        // Every number there is, 17 an entry.
        let numbers: Vec<u16> = (0..4_743).collect();
        let mut compound = Vec::new();
        rtcp::nack(&mut compound, SELF, video(&world), &numbers);
        world.report(0, &compound);
        world.run(SECOND / 100);
    }
    assert!((2_000..=4_000).contains(&known(&world)), "{} in a second", known(&world));
    // The engine reads 31 entries of a packet.
    assert_eq!(known(&world) + world.counters.feedback.over_rate_numbers.get(), 100 * 31 * 17);

    // 25 pictures of two packets at least and 50 packets of sound a second, as before.
    assert!(world.clients[1].packets.len() - before > 5 * 100);
    assert_eq!(world.shard.viewers(), 2);
}

#[test]
fn players_on_bad_lines_never_report_too_much() {
    let mut world = World::with_camera(87);
    for _ in 0..3 {
        world.join(0, Behaviour::PACKETS, Link::GOOD);
    }
    world.connect(0..3);
    world.links = [0.05, 0.1, 0.2].map(Link::lossy).to_vec();
    world.run(SECOND * 30);
    let feedback = &world.counters.feedback;
    assert!(world.counters.repairs_sent.get() > 500, "they asked");
    assert_eq!((feedback.over_rate_packets.get(), feedback.over_rate_numbers.get()), (0, 0));
}

#[test]
fn a_join_sends_its_past_at_a_multiple_of_the_bitrate_and_not_in_a_burst() {
    let mut world = World::new(88);
    world.camera(AudioCodec::Opus);
    world.cameras[0].group = 250;
    world.run(SECOND * 8);
    world.join(0, Behaviour::BY_HAND, Link::GOOD);
    world.connect(0..1);
    world.run(SECOND * 12);
    let sent = &world.books.bytes[&0];
    let began = sent[0].0;
    let within = |from: Duration, time: Duration| {
        let (from, until) = (began + from, began + from + time);
        sent.iter().filter(|(at, _)| (from..until).contains(at)).map(|(_, bytes)| bytes).sum::<usize>()
    };
    assert!(within(Duration::ZERO, SECOND / 100) > 20_000, "the keyframe goes at once");
    // 0.9 Mb/s: the floor of 8 Mb/s is what bounds a small stream. What is live comes on top of it.
    for tenth in 0..20 {
        let bytes = within(SECOND * tenth / 10, SECOND / 10);
        assert!(bytes < 160_000, "{bytes} bytes in a tenth of a second, {tenth} tenths after the first");
    }
    let live = within(SECOND * 3, SECOND * 5) / 5;
    assert!((80_000..150_000).contains(&live), "{live} bytes a second at the live edge");
    // All came, and nothing came twice.
    let newest = world.clients[0].pictures().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100));
}
