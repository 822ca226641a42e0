//! Invariant 1 over long random lives: under one key no SSRC and index goes out twice.
//!
//! Every packet is opened with the viewer's keys at the index that a receiver derives for it, so what is
//! counted are the indices that were sealed under, not only sequence numbers. The books of every other
//! simulation check the same without opening.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sluice::count::EndReason;
use sluice::shard::command::Command;
use sluice_harness::client::Behaviour;
use sluice_harness::link::{Link, Way};
use sluice_harness::world::World;
use sluice_load::rtcp::{self, ReportBlock};
use sluice_media::{Class, Kind, class};

/// Viewers that stay to the end, so that their sequence numbers roll over.
const STAYERS: usize = 2;

#[test]
fn no_index_repeats_in_a_long_random_life() {
    live(71, 5, 450_000);
}

#[test]
#[ignore = "20 s with --release: cargo test --release --test simulation -- --ignored ten_million"]
fn ten_million_packets_repeat_no_index() {
    let world = live(72, 40, 10_000_000);
    println!(
        "seed {}: {} packets, {} of them repairs, {} indices of SRTP and SRTCP, no repetition",
        world.seed(),
        world.books.packets,
        world.counters.repairs_sent.get(),
        world.books.indices(),
    );
    println!(
        "{:?} of virtual time: {} viewers, up to {} rollovers, {} replays for keyframe requests",
        world.now - world.start,
        world.clients.len(),
        world.books.rollovers(),
        world.counters.keyframes_replayed.get(),
    );
}

/// Viewers do everything that could make a number go out twice, until that many packets were sent.
fn live(seed: u64, viewers: usize, packets: usize) -> World {
    let mut world = World::with_camera(seed);
    world.low_layer(0);
    world.books.brief = true;
    // The players are there for their keys and their STUN; media would only keep them busy.
    world.lose(|_, way, bytes| way == Way::ToClient && class(bytes) == Class::Rtp);
    let mut random = StdRng::seed_from_u64(world.seed());
    let mut present: Vec<usize> = Vec::new();
    let mut reports: Vec<Vec<u8>> = Vec::new();
    let (mut restarts, mut choices) = (0, 0);
    while world.books.packets < packets {
        if present.len() < viewers {
            present.push(join(&mut world));
            continue;
        }
        let place = random.random_range(0..present.len());
        let viewer = present[place];
        match random.random_range(0..1_000) {
            0..300 => world.run(Duration::from_millis(random.random_range(5..400))),
            300..600 => nack(&mut world, viewer, &mut random),
            600..800 => {
                let mut compound = Vec::new();
                rtcp::pli(&mut compound, 1, world.clients[viewer].video.ssrc);
                if random.random_bool(0.01) {
                    reports.push(world.clients[viewer].seal(&compound));
                }
                world.report(viewer, &compound);
            }
            // A shard that does not keep up.
            800..820 => world.cameras[0].withheld = random.random_range(1..30),
            820..860 => {
                world.restart_ice(viewer);
                restarts += 1;
            }
            860..910 => {
                let port = random.random_range(1_024..20_000);
                let address = [203, 0, 113, random.random_range(1..255)];
                world.rebind(viewer, (address, port).into());
            }
            // Somebody on the way sends again what the viewer sent.
            910..950 if !reports.is_empty() => {
                let report = reports[random.random_range(0..reports.len())].clone();
                let from = world.clients[viewer].public;
                world.inject(from, &report);
            }
            // A line that is down for a while.
            950..954 => {
                world.links[viewer].down = true;
                world.run(Duration::from_millis(random.random_range(100..2_000)));
                world.links[viewer].down = false;
            }
            954..968 if viewer >= STAYERS => {
                world.close(viewer);
                present.swap_remove(place);
            }
            968..974 if viewer >= STAYERS => {
                let session = world.session(viewer);
                world.command(Command::End(session, EndReason::Deleted));
                present.swap_remove(place);
            }
            // A full socket: what waits is dropped, in the middle of a picture too.
            974..980 => {
                world.fill_socket(true);
                world.run(Duration::from_millis(random.random_range(20..400)));
                world.fill_socket(false);
            }
            980..992 => {
                world.choose(viewer, random.random_range(0..2));
                choices += 1;
            }
            992..994 => {
                world.set_away(1, true);
                world.run(Duration::from_millis(random.random_range(20..3_000)));
                world.set_away(1, false);
            }
            // It loses some of its sound, or none any more.
            994..997 => report_sound(&mut world, viewer, random.random_range(0..20)),
            _ => world.run(Duration::from_millis(20)),
        }
        present.retain(|viewer| world.end_of(*viewer).is_none());
    }
    let counters = &world.counters;
    let happened = [
        ("repairs", counters.repairs_sent.get()),
        ("NACKs for what was sent again just now", counters.repairs_repeated.get()),
        ("datagrams dropped for a full socket", counters.dropped_late.get()),
        ("replays", counters.keyframes_replayed.get()),
        ("restarts of ICE", restarts),
        ("choices of a layer", choices),
        ("packets of sound that went twice", counters.redundant_packets.get()),
        ("viewers that came later", (world.clients.len() - viewers) as u64),
    ];
    for (what, count) in happened {
        assert!(count > 10, "{count} {what} in {:?} prove nothing", world.now - world.start);
    }
    assert!(world.books.rollovers() > 0, "no sequence number rolled over");
    assert_eq!(counters.withheld.get(), 0, "the engine emits nothing under our keys");
    world
}

fn join(world: &mut World) -> usize {
    let takes = Behaviour { redundancy: true, ..Behaviour::BY_HAND };
    let viewer = world.join(0, takes, Link::GOOD);
    world.connect(viewer..viewer + 1);
    world.open_packets_of(viewer);
    viewer
}

/// Tells what was lost of the last hundred packets of its sound.
fn report_sound(world: &mut World, viewer: usize, lost: u32) {
    let media = *world.track(viewer, Kind::Audio).ssrc;
    for lost in [0, lost] {
        let Some(highest) = world.books.highest(viewer, media) else { return };
        let block = ReportBlock {
            ssrc: media,
            fraction_lost: 0,
            lost,
            highest: highest as u32,
            jitter: 0,
            last_report: 0,
            since_last_report: Duration::ZERO,
        };
        let mut compound = Vec::new();
        rtcp::receiver_report(&mut compound, 1, &[block]);
        world.report(viewer, &compound);
        world.run(Duration::from_secs(2));
    }
}

/// Asks for what was sent lately, for what was never sent, and for the same again.
fn nack(world: &mut World, viewer: usize, random: &mut StdRng) {
    let media = *world.track(viewer, Kind::Video).ssrc;
    let Some(last) = world.books.highest(viewer, media) else { return };
    let mut compound = Vec::new();
    for _ in 0..random.random_range(1..4) {
        let first = (last as u16).wrapping_add(20).wrapping_sub(random.random_range(0..1_000));
        let numbers: Vec<u16> =
            (0..random.random_range(1..30)).map(|step| first.wrapping_add(step)).collect();
        rtcp::nack(&mut compound, 1, media, &numbers);
    }
    world.report(viewer, &compound);
    if random.random_bool(0.3) {
        world.report(viewer, &compound);
    }
}
