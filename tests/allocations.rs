//! What a shard allocates: nothing per packet and viewer, and for a repair no more than for its request.
//!
//! The allocator of this binary counts, by thread, what is allocated while something is measured.

use std::sync::Arc;

use allocation_counter::measure;
use sluice::track::Train;
use sluice_harness::rig::{FRAME, Player, Rig};

/// Frames of one measurement.
const FRAMES: usize = 60;

/// Allocations of a picture and its sound at the most, however many watch.
const PER_FRAME: u64 = 2;

/// Frame `number` of a group of pictures, with sound: a keyframe of 60 packets, then pictures of 7.
fn frame(rig: &mut Rig, number: usize) -> Vec<Arc<Train>> {
    let mut trains = rig.video(number == 0, if number == 0 { 60 } else { 7 });
    trains.extend(rig.audio());
    trains
}

#[test]
fn a_fan_out_allocates_nothing_per_packet_and_viewer() {
    for players in [1, 10, 100] {
        let (mut rig, _) = Rig::with_players(players);
        // The first group fills the ring and takes every table to its size.
        for measured in [false, true] {
            let mut count = 0;
            rig.outbox.take_sent();
            for number in 0..FRAMES {
                let trains = frame(&mut rig, number);
                count += measure(|| rig.send(&trains)).count_total;
                // What is paced, and reports.
                count += measure(|| rig.pass(FRAME)).count_total;
            }
            let sent = rig.outbox.take_sent().datagrams;
            assert!(sent >= (FRAMES * 8 * players) as u64, "only {sent} datagrams for {players} players");
            let bound = FRAMES as u64 * PER_FRAME;
            assert!(!measured || count <= bound, "{count} allocations for {players} players");
        }
    }
}

#[test]
fn reports_of_our_own_allocate_nothing() {
    const PLAYERS: usize = 50;
    let (mut rig, _) = Rig::with_players(PLAYERS);
    for number in 0..FRAMES {
        let trains = frame(&mut rig, number);
        rig.send(&trains);
        rig.pass(FRAME);
    }
    rig.outbox.keep(true);
    let mut count = 0;
    let mut reports = 0;
    // Two reports of each track, and whatever the engines' timers do.
    for _ in 0..60 {
        count += measure(|| rig.pass(3 * FRAME)).count_total;
        reports += rig.outbox.take_kept().iter().filter(|(_, datagram)| datagram[1] == 200).count();
    }
    assert!(reports >= 2 * PLAYERS, "only {reports} reports");
    let budget = reports as u64 / 10;
    assert!(count <= budget, "{count} allocations for {reports} reports");
}

#[test]
fn a_repair_allocates_no_more_than_its_request() {
    let count = |lost: u16| {
        let (mut rig, mut players) = Rig::with_players(10);
        let mut count = 0;
        let mut requests = 0;
        for _ in 0..FRAMES {
            let (allocated, asked) = lose(&mut rig, &mut players, lost);
            count += allocated;
            requests += asked;
            rig.pass(FRAME);
        }
        let repairs = rig.counters.repairs_sent.get();
        assert!(requests > 100 && repairs >= requests, "{requests} requests, {repairs} repairs");
        (count as f64 / requests as f64, repairs as f64 / requests as f64)
    };
    let (few, one) = count(1);
    let (many, several) = count(3);
    assert!(several > one + 1.5, "{one} and {several} repairs a request");
    // The report itself is the engine's to read; what is sent again costs nothing more.
    assert!(few < 12.0 && many < few + 1.0, "{few} allocations for {one} repairs, {many} for {several}");
}

/// A picture of which every player misses `lost` neighbours, and asks for them. Returns allocations and
/// requests.
fn lose(rig: &mut Rig, players: &mut [Player], lost: u16) -> (u64, u64) {
    let picture = rig.video(false, 16);
    rig.outbox.keep(true);
    rig.send(&picture);
    // Numbers begin anywhere, but each picture has 16 of them.
    let in_gap =
        |datagram: &[u8]| datagram.len() > 800 && u16::from_be_bytes([datagram[2], datagram[3]]) % 16 < lost;
    rig.deliver(players, in_gap);
    let (mut count, mut requests) = (0, 0);
    for player in &mut *players {
        player.handle_timeout(rig.now);
        for request in player.take_outgoing() {
            let before = rig.counters.repairs_sent.get();
            let allocated = measure(|| rig.receive(player.address, &request)).count_total;
            // Now and then it is a receiver report and asks for nothing.
            if rig.counters.repairs_sent.get() > before {
                count += allocated;
                requests += 1;
            }
        }
    }
    rig.deliver(players, |_| false);
    (count, requests)
}
