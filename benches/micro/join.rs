//! What a join costs the server, by its parts: it owns the sum of everything between the offer's text and the
//! live edge, without HTTP and the kernel.
//!
//! `cargo bench --bench join [-- --quick]` prints a Markdown table of microseconds per join.
//!
//! One viewer after the other joins an otherwise empty shard, connects, gets what the ring has, and leaves.
//! Only the server's calls are measured; the clients' half of ICE and DTLS runs between them. The ring holds
//! the middle of a group of pictures.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod stats;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sluice_harness::rig::{FRAME, Part, Rig, Watch};

use self::stats::{Arguments, median};

/// Pictures in the ring behind its keyframe, of [`PACKETS`] packets each: a second.
const PICTURES: usize = 30;
const PACKETS: usize = 5;
const KEYFRAME_PACKETS: usize = 25;

fn main() {
    let quick = Arguments::parse().quick;
    let joins = if quick { 20 } else { 1_000 };
    let mut rig = Rig::empty();
    for picture in 0..=PICTURES {
        let keyframe = picture == 0;
        let trains = rig.video(keyframe, if keyframe { KEYFRAME_PACKETS } else { PACKETS });
        rig.send(&trains);
        rig.pass(FRAME);
    }

    let mut samples: BTreeMap<Part, Vec<f64>> = BTreeMap::new();
    let (mut calls, mut packets, mut sums) = (BTreeMap::new(), 0, Vec::new());
    for number in 0..=joins {
        let mut clock = Clock::default();
        let players = rig.join(1, &mut clock);
        rig.outbox.take_sent();
        rig.catch_up(&mut clock);
        packets = rig.outbox.take_sent().datagrams;
        rig.leave(&players[0]);
        // The first join makes what all share.
        if number > 0 {
            let micros = |time: Duration| time.as_nanos() as f64 / 1_000.0;
            sums.push(clock.spent.values().map(|(time, _)| micros(*time)).sum());
            for (part, (time, count)) in clock.spent {
                samples.entry(part).or_default().push(micros(time));
                calls.insert(part, count);
            }
        }
    }
    assert!(packets > (PICTURES * PACKETS) as u64, "the viewer gets what the ring has");

    println!("\nMicroseconds of the server per join, medians of {joins} joins.\n");
    println!("| part | calls | µs |\n|---|---:|---:|");
    for (part, samples) in &samples {
        println!("| {} | {} | {:.1} |", name(*part, packets), calls[part], median(samples));
    }
    println!("| **all** | | **{:.1}** |", median(&sums));
}

fn name(part: Part, packets: u64) -> String {
    match part {
        Part::Sdp => "offer read, answer written".to_owned(),
        Part::Build => "engine and viewer built".to_owned(),
        Part::Enter => "taken over by the shard".to_owned(),
        Part::Stun => "STUN requests".to_owned(),
        Part::Dtls => "DTLS, keys derived".to_owned(),
        Part::Deadlines => "deadlines until then".to_owned(),
        Part::Media => format!("first media: {packets} packets"),
    }
}

/// Sums up what each part took, and how many calls it was.
#[derive(Default)]
struct Clock {
    began: Option<Instant>,
    spent: BTreeMap<Part, (Duration, usize)>,
}

impl Watch for Clock {
    fn begin(&mut self) {
        self.began = Some(Instant::now());
    }

    fn end(&mut self, part: Part) {
        let took = self.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        let entry = self.spent.entry(part).or_default();
        entry.0 += took;
        entry.1 += 1;
    }
}
