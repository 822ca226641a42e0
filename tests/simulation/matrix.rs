//! The matrix of docs/RELIABILITY.md: what somebody sees on a line with one fault.
//!
//! Outages, addresses that change and feedback that is lost have tests of their own (`loss`, `moving`).

use std::time::Duration;

use sluice_harness::client::Behaviour;
use sluice_harness::eye;
use sluice_harness::link::{Bursts, Link};
use sluice_harness::world::World;

/// Viewers of a line, so that no single throw of the dice decides.
const VIEWERS: usize = 4;

/// What is looked at: behind the first seconds.
const SECONDS: u64 = 20;

/// UDP payload under an MTU of 1,280 bytes behind headers of IPv4 or IPv6, and UDP.
const LEAST_MTU: [usize; 2] = [1_280 - 20 - 8, 1_280 - 40 - 8];

/// A line, and what is seen on it at the least.
struct Row {
    line: &'static str,
    link: Link,
    /// Of the pictures that the camera made, in percent.
    shown: f64,
    /// Nothing new for so long, at the most.
    longest: Duration,
}

#[test]
fn what_is_seen_on_a_line_with_one_fault() {
    let ms = Duration::from_millis;
    let good = Link::GOOD;
    let row = |line, link, shown, longest| Row { line, link, shown, longest: ms(longest) };
    let rows = [
        row("no fault", good, 100.0, 100),
        row("1 % lost", Link { loss: 0.01, ..good }, 99.0, 500),
        row("5 % lost", Link { loss: 0.05, ..good }, 98.0, 1_000),
        row("10 % lost", Link { loss: 0.10, ..good }, 97.0, 1_000),
        row("2 % lost in bursts of 8", Link { bursts: Some(Bursts::new(8.0, 0.02)), ..good }, 98.0, 1_000),
        row("5 % lost in bursts of 30", Link { bursts: Some(Bursts::new(30.0, 0.05)), ..good }, 85.0, 3_000),
        row("round trip of 500 ms", Link { delay: ms(250), ..good }, 100.0, 100),
        // Over more than that the player gives up: str0m looks for what is within the last 100 packets.
        row("round trip of 200 ms, 2 % lost", Link { delay: ms(100), loss: 0.02, ..good }, 94.0, 2_500),
        row("5 % overtaken by 30 ms", Link { reorder: 0.05, ..good }, 100.0, 150),
        row("2 % twice", Link { duplicate: 0.02, ..good }, 100.0, 100),
        row("MTU of 1,280 by IPv4", Link { largest: LEAST_MTU[0], ..good }, 100.0, 100),
        row("MTU of 1,280 by IPv6", Link { largest: LEAST_MTU[1], ..good }, 100.0, 100),
    ];
    for (seed, row) in (100..).zip(rows) {
        let Row { line, link, shown, longest } = row;
        let mut world = World::with_camera(seed);
        for _ in 0..VIEWERS {
            world.join(0, Behaviour::PACKETS, good);
        }
        // Joining over a bad line is another test's.
        world.connect(0..VIEWERS);
        world.links.fill(link);
        world.run(Duration::from_secs(3));
        let (from, first) = (world.now, world.cameras[0].frames.len());
        world.run(Duration::from_secs(SECONDS));
        let (until, last) = (world.now, world.cameras[0].frames.len());
        // What was under way at the end has time to come.
        world.run(Duration::from_secs(1));
        let (mut seen, mut gap) = (0, Duration::ZERO);
        for client in &world.clients {
            let all = eye::shown(client, &world.cameras);
            let mut frames: Vec<usize> = all.iter().map(|shown| shown.frame).collect();
            frames.retain(|frame| (first..last).contains(frame));
            frames.sort_unstable();
            frames.dedup();
            seen += frames.len();
            gap = gap.max(eye::longest_gap(&all, from + link.delay..until));
        }
        let part = 100.0 * seen as f64 / (VIEWERS * (last - first)) as f64;
        println!("{line}: {part:.2} % of the pictures, {gap:?} without a new one");
        assert!(part >= shown, "{line}: {part:.2} % of the pictures are too few");
        assert!(gap <= longest, "{line}: {gap:?} without a new picture is too long");
    }
}
