//! Lines that are narrower than their stream, or hardly wider: what is shown behind them, and what is sent into them.

use std::time::{Duration, Instant};

use sluice_harness::client::Behaviour;
use sluice_harness::link::{Link, Narrow, Way};
use sluice_harness::world::World;
use sluice_media::{Class, class};

const SECOND: Duration = Duration::from_secs(1);

/// A longer time than this without a new picture is a freeze, as browsers count it.
const FREEZE: Duration = Duration::from_millis(190);

/// What a viewer saw in a while, and what was sent to it.
#[derive(Debug)]
struct Seen {
    pictures: usize,
    of: usize,
    frozen: Duration,
    freezes: usize,
    /// Bytes sent, as a multiple of what the line carries.
    times: f64,
    /// Of the time that datagrams waited before the line.
    median: Duration,
    longest: Duration,
}

/// A viewer behind a line of `part` of the stream's rate, whose queue holds so much.
fn behind(seed: u64, part: f64, queue: Duration) -> (World, f64) {
    let mut world = World::with_camera(seed);
    world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(SECOND * 4);
    let from = world.now;
    world.run(SECOND * 10);
    let rate = bytes(&world, 0, from) / 10.0;
    let narrow = Some(Narrow { rate: rate * part, queue });
    let link = Link { narrow, ..Link::GOOD };
    let viewer = world.join(0, Behaviour::PACKETS, link);
    world.connect(viewer..viewer + 1);
    (world, rate)
}

fn bytes(world: &World, viewer: usize, from: Instant) -> f64 {
    let sent = world.books.bytes[&viewer].iter().filter(|(at, _)| *at >= from);
    sent.map(|(_, bytes)| *bytes as f64).sum()
}

/// Lets `time` pass and looks at viewer 1.
fn watch(world: &mut World, time: Duration) -> Seen {
    let (from, before) = (world.now, world.cameras[0].frames.len());
    world.busy[1].1.clear();
    world.run(time);
    let shown: Vec<Instant> = shown(world).into_iter().filter(|at| *at >= from).collect();
    let gaps = shown.windows(2).map(|pair| pair[1] - pair[0]);
    let edges = [
        shown.first().map_or(time, |first| *first - from),
        shown.last().map_or(time, |last| world.now - *last),
    ];
    let frozen: Vec<Duration> = gaps.chain(edges).filter(|gap| *gap > FREEZE).collect();
    let mut waits = world.busy[1].1.clone();
    waits.sort_unstable();
    let sent = bytes(world, 1, from) / time.as_secs_f64();
    Seen {
        pictures: shown.len(),
        of: world.cameras[0].frames.len() - before,
        frozen: frozen.iter().sum(),
        freezes: frozen.len(),
        times: world.links[1].narrow.map_or(0.0, |narrow| sent / narrow.rate),
        median: waits.get(waits.len() / 2).copied().unwrap_or_default(),
        longest: waits.last().copied().unwrap_or_default(),
    }
}

/// When each picture of viewer 1 was there that can be decoded: whole, and all before it since a keyframe.
fn shown(world: &World) -> Vec<Instant> {
    let mut packets: Vec<_> = world.clients[1].pictures().collect();
    packets.sort_by_key(|packet| packet.sequence);
    packets.dedup_by_key(|packet| packet.sequence);
    let mut shown = Vec::new();
    let (mut decodes, mut from) = (false, 0);
    let mut there = Instant::clone(&world.start);
    while from < packets.len() {
        let first = packets[from];
        let count = packets[from..].iter().take_while(|packet| packet.timestamp == first.timestamp).count();
        let picture = &packets[from..from + count];
        let follows = from > 0 && packets[from - 1].sequence + 1 == first.sequence;
        let next = packets.get(from + count);
        let whole = next.is_none_or(|next| picture[0].sequence + count as u64 == next.sequence);
        // A single-time aggregate of parameter sets, or one of them.
        let keyframe = matches!(first.payload[0] & 0x1f, 7 | 24);
        decodes = (keyframe || (decodes && follows)) && whole;
        if decodes {
            there = picture.iter().map(|packet| packet.at).fold(there, Instant::max);
            shown.push(there);
        }
        from += count;
    }
    shown
}

/// Whether what goes to viewer 1 is numbered without a gap.
fn assert_contiguous(world: &World) {
    let sent = &world.books.media[&(1, world.clients[1].video.ssrc)];
    let gap = sent.windows(2).find(|pair| pair[1].0 != pair[0].0.wrapping_add(1));
    assert_eq!(gap, None, "it would ask for what was never sent");
    assert_eq!(world.books.cut.get(&(1, world.clients[1].video.ssrc)), None, "a picture was cut off");
}

#[test]
fn a_line_of_half_the_stream_shows_whole_pictures_and_is_not_overrun() {
    let (mut world, _) = behind(201, 0.5, Duration::from_millis(300));
    world.run(SECOND * 15);
    let seen = watch(&mut world, SECOND * 60);
    assert!(seen.times < 1.05, "{seen:?}");
    assert!(seen.pictures * 100 > seen.of * 25, "{seen:?}");
    assert!(seen.median < Duration::from_millis(150), "{seen:?}");
    assert!(seen.frozen < SECOND * 45, "{seen:?}");
    assert_contiguous(&world);
    assert!(world.counters.thinned_superseded.get() > 100);
}

#[test]
fn a_line_of_four_fifths_shows_most_of_it() {
    let (mut world, _) = behind(202, 0.8, Duration::from_millis(300));
    world.run(SECOND * 15);
    let seen = watch(&mut world, SECOND * 60);
    assert!(seen.times < 1.05, "{seen:?}");
    assert!(seen.pictures * 100 > seen.of * 55, "{seen:?}");
    assert_contiguous(&world);
}

#[test]
fn a_line_that_is_hardly_wide_enough_shows_all_of_it() {
    let (mut world, _) = behind(203, 1.2, Duration::from_millis(300));
    world.run(SECOND * 30);
    let seen = watch(&mut world, SECOND * 60);
    assert!(seen.pictures * 100 >= seen.of * 97, "{seen:?}");
    assert!(seen.frozen < SECOND * 3, "{seen:?}");
    assert_contiguous(&world);
}

#[test]
fn a_line_that_is_free_again_shows_everything_and_one_that_gets_narrow_is_found_out() {
    let (mut world, rate) = behind(204, 0.5, Duration::from_millis(300));
    world.run(SECOND * 20);
    assert_eq!(world.counters.limited.get(), 1);
    world.links[1].narrow = None;
    world.run(SECOND * 40);
    assert_eq!(world.counters.limited.get(), 0);
    let seen = watch(&mut world, SECOND * 20);
    assert!(seen.pictures + 3 >= seen.of, "{seen:?}");
    let left_out = world.counters.thinned_superseded.get() + world.counters.thinned_late.get();
    world.run(SECOND * 20);
    assert_eq!(world.counters.thinned_superseded.get() + world.counters.thinned_late.get(), left_out);

    world.links[1].narrow = Some(Narrow { rate: rate * 0.6, queue: Duration::from_millis(300) });
    world.run(SECOND * 15);
    let seen = watch(&mut world, SECOND * 30);
    assert!(seen.times < 1.05 && seen.pictures * 100 > seen.of * 30, "{seen:?}");
    assert_contiguous(&world);
}

#[test]
fn who_reports_no_more_is_limited_no_more() {
    let (mut world, _) = behind(207, 0.4, Duration::from_millis(300));
    world.run(SECOND * 15);
    assert_eq!(world.counters.limited.get(), 1);
    world.lose(|_, way, datagram| way == Way::ToServer && class(datagram) == Class::Rtcp);
    world.links[1].narrow = None;
    world.run(SECOND * 8);
    assert_eq!(world.counters.limited.get(), 1, "a few reports may be lost");
    world.run(SECOND * 6);
    assert_eq!(world.counters.limited.get(), 0);
    let seen = watch(&mut world, SECOND * 10);
    assert!(seen.pictures + 3 >= seen.of, "{seen:?}");
    assert_contiguous(&world);
}

#[test]
fn a_deep_queue_is_not_kept_full() {
    let (mut world, _) = behind(205, 0.8, SECOND * 2);
    world.run(SECOND * 40);
    let seen = watch(&mut world, SECOND * 60);
    assert!(seen.median < Duration::from_millis(400), "{seen:?}");
    assert!(seen.times < 1.05, "{seen:?}");
}

#[test]
fn nobody_beside_it_notices() {
    let (mut world, _) = behind(206, 0.3, Duration::from_millis(300));
    let (from, had) = (world.cameras[0].frames.len(), world.clients[0].pictures().count());
    world.run(SECOND * 30);
    let frames = world.cameras[0].frames.len() - from;
    let packets = world.clients[0].pictures().count() - had;
    assert!(packets > frames * 2, "{packets} packets of {frames} pictures");
    assert!(!world.cameras[0].keyframe.take(), "nobody asked the camera for anything");
}

#[test]
#[ignore = "a measurement: cargo test --test simulation -- --ignored --nocapture narrow::"]
fn what_lines_of_every_width_show() {
    println!(
        "| width | queue | pictures | freezes | frozen | sent, times the line | queue, median | longest |"
    );
    for queue in [300, 1_000] {
        for part in [0.3, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0] {
            let (mut world, _) = behind(210, part, Duration::from_millis(queue));
            world.run(SECOND * 15);
            let seen = watch(&mut world, SECOND * 60);
            println!(
                "| {part} | {queue} ms | {:.0} % | {} | {:.1} s | {:.2} | {} ms | {} ms |",
                seen.pictures as f64 * 100.0 / seen.of as f64,
                seen.freezes,
                seen.frozen.as_secs_f64(),
                seen.times,
                seen.median.as_millis(),
                seen.longest.as_millis(),
            );
        }
    }
}
