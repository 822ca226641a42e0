//! What loss repair costs, from a few losses to a storm: it owns the real shard with viewers that ask for
//! packets again, and measures only what the shard does about it.
//!
//! `cargo bench --bench nack [-- --quick]` prints a Markdown table.
//!
//! Every viewer loses the same share of each picture and asks as a browser does. In the first rows what it
//! asks for arrives; in the storm nothing ever does, so that it asks for all of it again and again, and the
//! budget has to hold. The time is that of the shard taking the requests: opening the report, finding the
//! packets in the ring, sealing them anew.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod stats;

use std::time::{Duration, Instant};

use sluice_harness::rig::{FRAME, Rig};

use self::stats::{Arguments, median};

/// Packets of a picture: one train.
const PACKETS: usize = 16;

/// Pictures from one keyframe to the next.
const GROUP: usize = 30;

/// Video datagrams are longer than this, all others shorter.
const VIDEO_BYTES: usize = 800;

fn main() {
    let quick = Arguments::parse().quick;
    let (viewers, pictures) = if quick { (50, 30) } else { (500, 90) };
    println!("\n{viewers} viewers, {pictures} pictures of {PACKETS} packets.\n");
    println!(
        "| lost | asked for | repaired | over the budget | asked too soon | repairs / media, bytes | \
         ns per packet asked for | ns per repair |\n|---|---:|---:|---:|---:|---:|---:|---:|"
    );
    Storm { name: "1 in 16", every: 16, arrives: true }.run(viewers, pictures);
    Storm { name: "1 in 8", every: 8, arrives: true }.run(viewers, pictures);
    Storm { name: "1 in 2, and every repair", every: 2, arrives: false }.run(viewers, pictures);
}

struct Storm {
    name: &'static str,
    /// One packet in this many is lost, by its sequence number.
    every: u16,
    /// Whether repairs arrive.
    arrives: bool,
}

impl Storm {
    fn run(&self, viewers: usize, pictures: usize) {
        let (mut rig, mut players) = Rig::with_players(viewers);
        let (mut media, mut repairs) = (0, 0);
        let (mut per_request, mut per_repair) = (Vec::new(), Vec::new());
        for number in 0..pictures {
            rig.outbox.keep(true);
            // Whoever gave a packet up asks for a keyframe, which is media too.
            rig.pass(FRAME);
            let picture = rig.video(number % GROUP == 0, PACKETS);
            rig.send(&picture);
            media += rig.outbox.take_sent().bytes;
            rig.deliver(&mut players, |datagram| self.loses(datagram));

            rig.outbox.keep(self.arrives);
            let before = Asked::of(&rig);
            let mut time = Duration::ZERO;
            for player in &mut players {
                player.handle_timeout(rig.now);
                for request in player.take_outgoing() {
                    let began = Instant::now();
                    rig.receive(player.address, &request);
                    time += began.elapsed();
                }
            }
            repairs += rig.outbox.take_sent().bytes;
            rig.deliver(&mut players, |_| false);
            let asked = Asked::of(&rig);
            let share = |count: u64| (count > 0).then(|| time.as_nanos() as f64 / count as f64);
            per_request.extend(share(asked.all() - before.all()));
            per_repair.extend(share(asked.repaired - before.repaired));
        }
        let asked = Asked::of(&rig);
        assert!(asked.repaired > 0, "viewers ask for what they miss");
        println!(
            "| {} | {} | {} | {} | {} | {:.1} % | {:.0} | {:.0} |",
            self.name,
            asked.all(),
            asked.repaired,
            asked.over_budget,
            asked.too_soon,
            repairs as f64 * 100.0 / media as f64,
            median(&per_request),
            median(&per_repair),
        );
    }

    fn loses(&self, datagram: &[u8]) -> bool {
        let sequence = u16::from_be_bytes([datagram[2], datagram[3]]);
        datagram.len() > VIDEO_BYTES && sequence.is_multiple_of(self.every)
    }
}

/// Packets asked for, by what became of them.
struct Asked {
    repaired: u64,
    over_budget: u64,
    too_soon: u64,
    unknown: u64,
}

impl Asked {
    fn of(rig: &Rig) -> Asked {
        Asked {
            repaired: rig.counters.repairs_sent.get(),
            over_budget: rig.counters.repairs_over_budget.get(),
            too_soon: rig.counters.repairs_repeated.get(),
            unknown: rig.counters.repairs_unknown.get(),
        }
    }

    fn all(&self) -> u64 {
        self.repaired + self.over_budget + self.too_soon + self.unknown
    }
}
