//! What one train costs per packet, by the number of viewers: it owns the real shard with connected viewers,
//! and measures everything but the kernel.
//!
//! `cargo bench --bench fan_out [-- --quick]` prints a Markdown table of nanoseconds per packet.
//!
//! Each column is a shard of its own. In each round every shard gets the same trains in turn (A B C D,
//! A B C D, ...) and medians are printed, so that a noisy neighbour hits all columns: compare columns, not
//! runs. Datagrams are sealed into an arena like the worker's, and forgotten there. What falls due between
//! two pictures (reports, engines' timers) is no part of it.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod stats;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice::track::Train;
use sluice_harness::rig::{FRAME, Rig};

use self::stats::{Arguments, median};

const VIEWERS: [usize; 4] = [100, 1_000, 2_000, 5_000];

/// Pictures of one shard in one round: the first finds the caches as the other shards left them.
const PICTURES: usize = 10;

/// Without a picture for this time, sound no longer waits for one.
const SILENCE: Duration = Duration::from_millis(300);

/// Packets of a picture: 720p30 at 2 Mb/s.
const PACKETS: usize = 7;

fn main() {
    let quick = Arguments::parse().quick;
    let (viewers, rounds) = if quick { (&VIEWERS[..2], 5) } else { (&VIEWERS[..], 21) };
    let began = Instant::now();
    let mut columns: Vec<Column> = viewers.iter().map(|&viewers| Column::new(viewers)).collect();
    println!("\n{} viewers joined in {:.1} s.", viewers.iter().sum::<usize>(), began.elapsed().as_secs_f64());
    for _ in 0..rounds {
        columns.iter_mut().for_each(Column::round);
    }

    println!("\nNanoseconds per packet, medians of {rounds} interleaved rounds of {PICTURES} pictures.\n");
    print!("| viewers of the shard |");
    columns.iter().for_each(|column| print!(" {} |", column.viewers));
    println!(" most / least |\n|---|{}---:|", "---:|".repeat(columns.len()));
    row("a picture of 7 packets", &columns, |column| median(&column.picture));
    row("a picture of 7 packets with sound in its message", &columns, |column| median(&column.both));
    row("sound on its own", &columns, |column| median(&column.sound));
}

fn row(name: &str, columns: &[Column], value: impl Fn(&Column) -> f64) {
    let values: Vec<f64> = columns.iter().map(value).collect();
    print!("| {name} |");
    values.iter().for_each(|value| print!(" {value:.0} |"));
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    println!(" {:.2} |", most / least);
}

/// One shard, and nanoseconds per packet of each round.
struct Column {
    viewers: usize,
    rig: Rig,
    picture: Vec<f64>,
    both: Vec<f64>,
    sound: Vec<f64>,
}

impl Column {
    fn new(viewers: usize) -> Column {
        let (rig, _) = Rig::with_players(viewers);
        let (picture, both, sound) = Default::default();
        Column { viewers, rig, picture, both, sound }
    }

    fn round(&mut self) {
        let mut spent: [Spent; 3] = Default::default();
        for _ in 0..PICTURES {
            let picture = self.rig.video(false, PACKETS);
            spent[0] += self.measure(&picture);
            self.idle(FRAME);

            // Sound that came first waits for the picture.
            let mut trains = self.rig.audio();
            trains.extend(self.rig.video(false, PACKETS));
            spent[1] += self.measure(&trains);
            self.idle(SILENCE);

            // No picture will come soon: it does not wait.
            let sound = self.rig.audio();
            spent[2] += self.measure(&sound);
            self.idle(FRAME);
        }
        let packets = (PICTURES * self.viewers) as u64;
        let all = [PACKETS as u64, PACKETS as u64 + 1, 1].map(|packet| packet * packets);
        assert_eq!(spent.each_ref().map(|spent| spent.packets), all, "every viewer gets every packet");
        let [picture, both, sound] = spent.map(|spent| spent.per_packet());
        self.picture.push(picture);
        self.both.push(both);
        self.sound.push(sound);
    }

    /// Lets time pass without looking.
    fn idle(&mut self, time: Duration) {
        self.rig.pass(time);
        self.rig.outbox.take_sent();
    }

    fn measure(&mut self, trains: &[Arc<Train>]) -> Spent {
        let began = Instant::now();
        self.rig.send(trains);
        Spent { time: began.elapsed(), packets: self.rig.outbox.take_sent().media }
    }
}

#[derive(Debug, Default)]
struct Spent {
    time: Duration,
    packets: u64,
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Spent) {
        self.time += other.time;
        self.packets += other.packets;
    }
}

impl Spent {
    fn per_packet(&self) -> f64 {
        self.time.as_nanos() as f64 / self.packets as f64
    }
}
