//! More to send than can be sent, for long: who goes without, what the others get, and how it ends.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sluice::count::EndReason;
use sluice_harness::camera::{FRAME, GOP};
use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::rig::Rig;
use sluice_harness::world::World;

const VIEWERS: usize = 20;

/// Time over which it is looked at what viewers get.
const TIME: Duration = Duration::from_secs(9);

/// A world whose viewers watch, and what all of them cost a second.
fn watching(seed: u64) -> (World, f64) {
    let mut world = World::with_camera(seed);
    for _ in 0..VIEWERS {
        world.join(0, Behaviour::PACKETS, Link::GOOD);
    }
    world.connect(0..VIEWERS);
    world.run(Duration::from_secs(3));
    let (before, began) = (world.spent(), world.now);
    world.run(FRAME * GOP as u32 * 2);
    let cost = (world.spent() - before) / (world.now - began).as_secs_f64();
    (world, cost)
}

/// What happened in [`TIME`].
struct Seen {
    /// Part of the packets of pictures, and of sound, that each viewer got.
    pictures: Vec<f64>,
    sound: Vec<f64>,
    /// Part of what was asked for that went out.
    sent: f64,
}

fn watch(world: &mut World, cost: f64) -> Seen {
    let made = |world: &World| world.cameras[0].recent.latest().expect("a picture").end();
    let (first, began, spent) = (made(world), world.now, world.spent());
    world.run(TIME);
    let packets = made(world).since(first).expect("later") as f64;
    // Nothing is lost here, so what is not of the pictures is sound.
    let got = |pictures: bool, of: f64| {
        let since = |viewer: usize| {
            let video = world.clients[viewer].video.ssrc;
            let tracks = world
                .books
                .media
                .iter()
                .filter(|((owner, ssrc), _)| *owner == viewer && (*ssrc == video) == pictures);
            tracks.flat_map(|(_, all)| all).filter(|(_, at): &&(u16, Instant)| *at > began).count()
        };
        (0..VIEWERS).map(|viewer| since(viewer) as f64 / of).collect()
    };
    Seen {
        pictures: got(true, packets),
        sound: got(false, TIME.as_secs_f64() * 50.0),
        sent: (world.spent() - spent) / (cost * TIME.as_secs_f64()),
    }
}

/// How many of the oldest got nine tenths; nobody younger did unless all older did.
fn whole(parts: &[f64]) -> usize {
    parts.iter().take_while(|&&part| part >= 0.9).count()
}

#[test]
fn where_a_part_can_be_sent_as_many_are_served_whole() {
    for (part, least) in [(0.4, 7), (0.6, 10), (0.8, 14)] {
        let (mut world, cost) = watching(71);
        world.limit(Some(cost * part));
        let seen = watch(&mut world, cost);
        let pictures = &seen.pictures;
        assert!(whole(pictures) >= least, "at {part}: {pictures:.2?}");
        assert!(seen.sent > part - 0.05, "at {part} only {:.2} of what was asked for went out", seen.sent);
        let (without, shed) = (world.counters.without_media.get(), world.counters.dropped_shed.get());
        assert!(shed > 0, "at {part} {without} went without and {shed} were shed: {pictures:.2?}");
        assert!(world.ended.is_empty(), "who goes without for a while stays connected: {:?}", world.ended);
        for (viewer, client) in world.clients.iter().enumerate() {
            let cut = world.books.cut.get(&(viewer, client.video.ssrc));
            assert_eq!(cut, None, "viewer {viewer} got parts of pictures at {part}");
        }
    }
}

/// The most viewers that went without media at once in `time`.
fn most_without(world: &mut World, time: Duration) -> u64 {
    let until = world.now + time;
    let mut most = 0;
    while world.now < until {
        world.run(Duration::from_millis(20));
        most = most.max(world.counters.without_media.get());
    }
    most
}

#[test]
fn the_past_of_those_who_join_goes_within_what_those_who_watch_leave() {
    const JOINERS: usize = 10;
    let (mut world, cost) = watching(76);
    // Nearly all of the line, when all are here.
    world.limit(Some(cost * (VIEWERS + JOINERS) as f64 / VIEWERS as f64 / 0.85));
    for round in 0..6 {
        // Two fifths into a group of pictures, so that there is a past.
        world.run(FRAME * (GOP as u32 * 2 / 5));
        let made = world.cameras[0].recent.latest().expect("a picture").end();
        let began = world.now;
        let late = world.clients.len();
        for _ in 0..JOINERS {
            world.join(0, Behaviour::PACKETS, Link::GOOD);
        }
        world.connect(late..late + JOINERS);
        let without = most_without(&mut world, FRAME * (GOP as u32 * 2));
        assert_eq!((without, world.counters.dropped_late.get()), (0, 0), "round {round}");
        let packets = world.cameras[0].recent.latest().expect("a picture").end().since(made).expect("later");
        for viewer in 0..VIEWERS {
            let ssrc = world.clients[viewer].video.ssrc;
            let got = world.books.media[&(viewer, ssrc)].iter().filter(|(_, at)| *at > began).count();
            let part = got as f64 / packets as f64;
            assert!(part > 0.95, "viewer {viewer} got {part:.2} in round {round}");
        }
        for joined in late..late + JOINERS {
            let ssrc = world.clients[joined].video.ssrc;
            let (_, newest) = *world.books.media[&(joined, ssrc)].last().expect("pictures");
            assert!(world.now - newest < FRAME * 3, "{joined} plays in round {round}");
            world.close(joined);
        }
        world.run(Duration::from_secs(1));
        assert_eq!(world.shard.viewers(), VIEWERS, "they left");
    }
}

#[test]
fn a_pause_of_the_thread_cuts_nobody() {
    // Each is made up for before the next comes.
    for (pause, part) in [(1_500, 0.65), (700, 0.75), (300, 0.9)] {
        let (mut world, cost) = watching(77);
        world.limit(Some(cost / part));
        for round in 0..4 {
            world.stall(Duration::from_millis(pause));
            let without = most_without(&mut world, Duration::from_millis(4_630));
            assert_eq!((without, world.ended.len()), (0, 0), "{pause} ms at {part}, round {round}");
        }
    }
}

#[test]
fn what_a_viewer_takes_of_the_line_is_known_before_he_plays_and_his_past_is_no_part_of_it() {
    let (mut world, _) = watching(78);
    let settled = world.counters.live_each.get() as f64;
    // With what is around it on Ethernet.
    let wire = |world: &World| {
        let all = world.books.bytes.values().flatten();
        all.map(|(_, bytes)| bytes + 66).sum::<usize>() as f64
    };
    assert!(settled > 0.0);
    let began = wire(&world);
    world.run(FRAME * GOP as u32 * 2);
    let takes = (wire(&world) - began) / (FRAME * GOP as u32 * 2).as_secs_f64() / VIEWERS as f64;
    assert!((settled / takes - 1.0).abs() < 0.15, "{settled} of {takes}");
    world.run(FRAME * (GOP as u32 * 3 / 5));
    let late = world.clients.len();
    for _ in 0..VIEWERS {
        world.join(0, Behaviour::PACKETS, Link::GOOD);
    }
    world.connect(late..late + VIEWERS);
    for _ in 0..20 {
        world.run(Duration::from_millis(50));
        let rush = world.counters.live_each.get() as f64;
        assert!((rush / settled - 1.0).abs() < 0.1, "{rush} of {settled}");
    }
}

#[test]
fn when_it_is_over_in_time_all_are_served_again_and_nobody_was_sent_away() {
    for part in [0.4, 0.6, 0.8] {
        let (mut world, cost) = watching(75);
        world.limit(Some(cost * part));
        world.run(Duration::from_secs(4));
        assert!(world.counters.without_media.get() > 0, "at {part}");
        // What is asked for is nine tenths of what can be sent.
        world.limit(Some(cost / 0.9));
        world.run(FRAME * GOP as u32 * 5);
        assert_eq!((world.counters.without_media.get(), world.ended.len()), (0, 0), "after {part}");
        let seen = watch(&mut world, cost);
        assert_eq!(whole(&seen.pictures), VIEWERS, "after {part}: {:.2?}", seen.pictures);
    }
}

#[test]
fn who_goes_without_for_long_is_told_and_the_others_stay_whole() {
    let (mut world, cost) = watching(74);
    world.limit(Some(cost * 0.5));
    // Those next to the boundary are tried a few times, ever more seldom.
    world.run(Duration::from_secs(150));
    let (ended, reasons): (Vec<usize>, Vec<EndReason>) =
        (0..VIEWERS).filter_map(|viewer| Some((viewer, world.end_of(viewer)?.1))).unzip();
    assert!(reasons.iter().all(|reason| *reason == EndReason::Overloaded), "{reasons:?}");
    assert!((VIEWERS / 3..VIEWERS * 2 / 3).contains(&ended.len()), "{ended:?}");
    assert!(ended.iter().copied().eq(VIEWERS - ended.len()..VIEWERS), "the newest: {ended:?}");
    assert_eq!(world.counters.without_media.get(), 0);
    let seen = watch(&mut world, cost);
    assert_eq!(whole(&seen.pictures), VIEWERS - ended.len(), "{:.2?}", seen.pictures);
    let said_goodbye = ended.iter().filter(|viewer| world.clients[**viewer].closed.is_some()).count();
    assert_eq!(said_goodbye, ended.len(), "each was told so");
}

#[test]
fn pictures_flow_for_those_who_stay_though_sound_alone_could_take_it_all() {
    let (mut world, cost) = watching(72);
    world.limit(Some(cost / 3.0));
    world.run(Duration::from_secs(2));
    let seen = watch(&mut world, cost);
    assert!(whole(&seen.pictures) >= 5, "{:.2?}", seen.pictures);
    assert!(whole(&seen.sound) >= 5, "{:.2?}", seen.sound);
}

#[test]
fn one_who_goes_without_cannot_ask_for_more_than_those_who_are_served() {
    let (mut world, cost) = watching(73);
    world.limit(Some(cost * 0.5));
    world.run(Duration::from_secs(4));
    let newest = VIEWERS - 1;
    let ssrc = world.clients[newest].video.ssrc;
    let before = world.books.media[&(newest, ssrc)].len();
    for _ in 0..5 {
        world.request_keyframe(newest);
        world.run(Duration::from_millis(1_100));
    }
    assert_eq!(world.books.media[&(newest, ssrc)].len(), before, "nothing is sent again to it");
    assert!(world.counters.keyframes_awaited.get() >= 5);
    // Nor does one who joins now get what the others have no room for.
    let late = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(late..late + 1);
    world.run(Duration::from_secs(1));
    assert!(!world.books.media.contains_key(&(late, world.clients[late].video.ssrc)));
}

#[test]
fn a_rush_into_the_past_leaves_the_thread_to_others_every_few_viewers() {
    const JOINERS: usize = 100;
    let mut rig = Rig::empty();
    for number in 0..GOP - 1 {
        let frame = rig.video(number == 0, 4);
        rig.send(&frame);
        rig.pass(FRAME);
    }
    let players = rig.join(JOINERS, &mut ());
    rig.outbox.keep(true);
    rig.now += FRAME;
    let (mut served, mut more) = (Vec::new(), true);
    while more {
        more = rig.shard.handle_timeout(rig.now, &mut rig.outbox);
        served.push(rig.outbox.take_kept().into_iter().map(|(to, _)| to).collect::<HashSet<_>>());
    }
    let sizes: Vec<usize> = served.iter().map(HashSet::len).collect();
    assert!(sizes.iter().all(|&viewers| viewers <= 32), "{sizes:?}");
    let all: HashSet<_> = served.into_iter().flatten().collect();
    assert_eq!(all.len(), players.len(), "all of them in the end: {sizes:?}");
}
