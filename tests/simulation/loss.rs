//! Media over bad links: what NACK repairs, and what an outage leaves behind.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sluice::count::EndReason;
use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::terms::LIMITS;
use sluice_harness::world::World;

#[test]
fn five_percent_loss_is_repaired_within_a_second() {
    let mut world = World::with_camera(11);
    let viewers = 0..8;
    for _ in viewers.clone() {
        world.join(0, Behaviour::PACKETS, Link::lossy(0.05));
    }
    world.connect(viewers.clone());
    world.run(Duration::from_secs(20));

    let second = Duration::from_secs(1);
    let (mut due, mut in_time) = (0, 0);
    for viewer in viewers {
        let came = arrivals(&world, viewer);
        let connected = world.clients[viewer].connected.expect("connected");
        let until = world.now - second;
        for (sequence, at) in sent(&world, viewer).iter().filter(|(_, at)| (connected..until).contains(at)) {
            due += 1;
            in_time += usize::from(came.get(sequence).is_some_and(|came| *came - *at <= second));
        }
    }
    assert!(due > 15_000, "{due} packets are too few to tell");
    assert!(in_time as f64 >= 0.999 * due as f64, "{in_time} of {due}");
}

#[test]
fn retransmissions_stay_a_small_part_of_what_a_viewer_is_sent() {
    let mut world = World::with_camera(12);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(2));
    // From now on most of it is lost, and the viewer asks for all of that again and again.
    world.links[viewer] = Link::lossy(0.6);
    world.run(Duration::from_secs(10));
    let video = sent(&world, viewer).len();
    let media = |ssrc: u32| world.books.media.get(&(viewer, ssrc)).map_or(0, Vec::len);
    let again: usize =
        world.books.media.keys().map(|(_, ssrc)| media(*ssrc)).sum::<usize>() - video - audio(&world);
    assert!(again > 0, "it did ask");
    // 15 % of all bytes is what the engine stops at, judged every 50 ms; five NACKs a packet would be 300 %.
    assert!(again * 100 <= video * 30, "{again} sent again beside {video}");
}

/// An outage that ends just after a keyframe: sending the group again costs little.
const FRESH: Duration = Duration::from_millis(4_400);

#[test]
fn a_short_outage_ends_with_a_picture() {
    let mut world = World::with_camera(13);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(3));
    outage(&mut world, viewer, FRESH);
    let back = world.now;
    let media = |world: &World| world.clients[viewer].pictures().any(|packet| packet.at > back);
    assert!(world.run_until(Duration::from_millis(100), media), "media never stopped");

    // It cannot decode what it missed the start of, so it asks for a keyframe.
    let (asked, had) = (world.now, world.clients[viewer].pictures().count());
    world.request_keyframe(viewer);
    let idr = |world: &World| {
        world.clients[viewer].pictures().skip(had).any(|packet| is_parameter_sets(&packet.payload))
    };
    assert!(world.run_until(Duration::from_millis(150), idr), "no keyframe after the outage");
    assert!(world.now - asked < Duration::from_millis(60), "{:?}", world.now - asked);
    assert_eq!(world.counters.keyframes_replayed.get(), 1);
    assert!(!world.cameras[0].keyframe.take(), "the ring's did");
    world.run(Duration::from_secs(2));
    assert_eq!(world.shard.viewers(), 1);
    assert_eq!(world.counters.connected.get(), 1, "the viewer is the same one");
}

#[test]
fn what_repairs_left_of_the_budget_may_be_too_little_and_the_next_keyframe_does() {
    let mut world = World::with_camera(13);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(3));
    // Ends in the middle of a group. All packets of the ring are asked for, and then a keyframe.
    outage(&mut world, viewer, Duration::from_secs(5));
    let back = world.now;
    let media = |world: &World| world.clients[viewer].pictures().any(|packet| packet.at > back);
    assert!(world.run_until(Duration::from_millis(100), media), "media never stopped");
    world.request_keyframe(viewer);
    world.run(Duration::from_millis(100));
    assert!(world.counters.repairs_sent.get() >= 90, "{}", world.counters.repairs_sent.get());
    assert_eq!((world.counters.keyframes_replayed.get(), world.counters.keyframes_awaited.get()), (0, 1));
    assert!(world.cameras[0].keyframe.take(), "the camera is asked");
    let idr = |world: &World| {
        let mut late = world.clients[viewer].pictures().filter(|packet| packet.at > back);
        late.any(|packet| is_parameter_sets(&packet.payload))
    };
    assert!(world.run_until(Duration::from_secs(2), idr), "no keyframe within a group");
}

#[test]
fn an_outage_that_the_players_ice_does_not_survive_ends_with_an_ice_restart_and_a_picture() {
    let mut world = World::with_camera(16);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(3));
    outage(&mut world, viewer, FRESH + Duration::from_secs(16));
    world.restart_ice(viewer);
    // Media comes back by itself with the first check, from a keyframe on.
    let (back, had) = (world.now, world.clients[viewer].pictures().count());
    let media = |world: &World| world.clients[viewer].pictures().count() > had;
    assert!(world.run_until(Duration::from_secs(5), media), "no media after the outage");
    let first = world.clients[viewer].pictures().nth(had).expect("one");
    assert!(is_parameter_sets(&first.payload), "what came first cannot be decoded");
    // To the live edge and on, without a pause.
    world.run(Duration::from_secs(2));
    let times: Vec<Instant> =
        world.clients[viewer].pictures().map(|p| p.at).filter(|at| *at > back).collect();
    let widest = times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("packets");
    assert!(widest < Duration::from_millis(100), "{widest:?}");
    assert_eq!(world.counters.connected.get(), 1, "the viewer is the same one");
    // Consent counts anew: what began in the outage ends nothing later.
    world.run(Duration::from_secs(40));
    assert!(world.ended.is_empty());
    let newest = world.clients[viewer].pictures().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100));
}

#[test]
fn a_viewer_whose_consent_has_not_run_out_yet_gets_its_keyframe() {
    // Its ICE gave up in the outage, so no STUN comes any more; but what it asks for it gets until consent ends.
    let mut world = World::with_camera(17);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(3));
    outage(&mut world, viewer, FRESH + Duration::from_secs(16));
    let (asked, had) = (world.now, world.clients[viewer].pictures().count());
    world.request_keyframe(viewer);
    let idr = |world: &World| {
        world.clients[viewer].pictures().skip(had).any(|packet| is_parameter_sets(&packet.payload))
    };
    assert!(world.run_until(Duration::from_millis(150), idr), "no keyframe after the outage");
    assert!(world.now - asked < Duration::from_millis(60), "{:?}", world.now - asked);
    world.run(Duration::from_secs(15));
    assert_eq!(world.end_of(viewer).map(|(_, reason)| reason), Some(EndReason::ConsentExpired));
    world.assert_empty();
}

/// Nothing passes for `time`, and what is sent into it ends when the viewer counts as silent.
fn outage(world: &mut World, viewer: usize, time: Duration) {
    let address = world.clients[viewer].public;
    world.links[viewer].down = true;
    world.run(time.min(LIMITS.peer.fresh));
    let sent = world.books.sent_to[&address];
    world.run(time.saturating_sub(LIMITS.peer.fresh));
    assert_eq!(world.books.sent_to[&address], sent, "datagrams for one who is silent");
    world.links[viewer].down = false;
}

#[test]
fn an_outage_longer_than_consent_frees_the_viewer_entirely() {
    let mut world = World::with_camera(14);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(3));
    world.links[viewer].down = true;
    let began = world.now - world.start;
    world.run(Duration::from_secs(40));
    let (at, reason) = world.end_of(viewer).expect("it ended");
    assert_eq!(reason, EndReason::ConsentExpired);
    let after = at - began;
    // From its last STUN request, which was up to 3 s before the outage.
    assert!((26..=34).contains(&after.as_secs()), "{after:?}");
    world.assert_empty();
    let sent = world.books.sent_to.clone();
    world.run(Duration::from_secs(5));
    assert_eq!(world.books.sent_to, sent, "nothing is sent to one who is gone");
}

#[test]
fn lost_feedback_alone_ends_nothing_before_consent_does() {
    let mut world = World::with_camera(15);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(3));
    let lost = Rc::new(Cell::new(true));
    let loses = lost.clone();
    world.lose(move |_, way, _| loses.get() && way == sluice_harness::link::Way::ToServer);
    let newest =
        |world: &World| world.clients[viewer].pictures().map(|packet| packet.at).max().expect("packets");
    // Its checks and its reports may all be lost for a while.
    world.run(Duration::from_millis(3_500));
    assert!(world.now - newest(&world) < Duration::from_millis(100), "media goes on");
    // Whoever was not heard for longer may be gone: nothing is sent, but nothing ends either.
    world.run(Duration::from_secs(5));
    let sent = world.books.sent_to[&world.clients[viewer].public];
    world.run(Duration::from_secs(1));
    assert_eq!(world.books.sent_to[&world.clients[viewer].public], sent);
    lost.set(false);
    let back = world.now;
    assert!(world.run_until(Duration::from_secs(4), |world| newest(world) > back), "no media");
    world.run(Duration::from_secs(1));
    assert!(world.now - newest(&world) < Duration::from_millis(100));
    assert!(world.ended.is_empty());
}

/// Extended sequence numbers of the viewer's video packets, in the order they were first sent, and when.
fn sent(world: &World, viewer: usize) -> Vec<(u64, Instant)> {
    let sent = &world.books.media[&(viewer, world.clients[viewer].video.ssrc)];
    let first = u64::from(sent[0].0);
    sent.iter().map(|(sequence, at)| (first + u64::from(sequence.wrapping_sub(sent[0].0)), *at)).collect()
}

/// When each of the viewer's video packets came, by sequence number.
fn arrivals(world: &World, viewer: usize) -> HashMap<u64, Instant> {
    let mut first = HashMap::new();
    for packet in world.clients[viewer].pictures() {
        first.entry(packet.sequence & 0xffff).or_insert(packet.at);
    }
    first
}

fn audio(world: &World) -> usize {
    let client = &world.clients[0];
    let ssrcs = client
        .packets
        .iter()
        .filter(|p| Some(p.payload_type) == client.audio.map(|audio| audio.payload_type));
    let ssrc = ssrcs.map(|packet| packet.ssrc).next().expect("some audio");
    world.books.media[&(0, ssrc)].len()
}

/// Whether a packet is the STAP-A of parameter sets that a keyframe begins with (RFC 6184 §5.7.1).
fn is_parameter_sets(payload: &[u8]) -> bool {
    payload[0] & 0x1f == 24 && payload[3] & 0x1f == 7
}
