//! One seed drives the world: whole lives of viewers, lines, cameras and a shard, and what must hold in all of them.
//!
//! In every life nothing goes to who did not authenticate itself and no index is used twice (`books`); every picture that
//! anybody shows is what the camera made, and the next one (`eye`); soon after each storm everybody is served whole and in
//! time; three shards serve the same as one; and when everybody has gone, nothing is left of them.
//!
//! CI plays a few seeds. `tests/long` searches new ones and prints the first that fails: it is then added here.

mod play;
mod script;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sluice::fault::{Faults, Site};

use self::play::play;

/// Seeds that CI plays: the first ones, and those that found something.
const SEEDS: [u64; 4] = [1, 2, 3, 3020];

#[test]
fn whoever_lives_through_a_storm_is_served_whole_and_nothing_is_left_of_who_went() {
    if let Some(seed) = number("SEED") {
        live(seed);
        return;
    }
    let lives: Vec<Strikes> = SEEDS.into_iter().map(live).collect();
    for site in Site::ALL {
        let struck: u64 = lives.iter().map(|life| life[&site]).sum();
        println!("{site:?} struck {struck} times");
        assert!(struck > 0, "{site:?} struck in no life");
    }
}

#[test]
#[ignore = "searches for as long as it is given: tests/long"]
fn seeds_are_searched() {
    let time = Duration::from_secs(number("SEARCH_SECONDS").unwrap_or(60));
    let first = number("FIRST_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    #[expect(clippy::disallowed_methods, reason = "a search ends by real time")]
    let began = Instant::now();
    let mut seeds = 0;
    while began.elapsed() < time {
        let seed = first + seeds;
        live(seed);
        seeds += 1;
    }
    println!("{seeds} seeds from {first} on: nothing found in {:?}", began.elapsed());
}

/// How often each site struck in a life.
type Strikes = HashMap<Site, u64>;

/// A number of the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays a life on one shard and on three.
fn live(seed: u64) -> Strikes {
    let told = Told(seed);
    let faults = Faults::begin(seed);
    let one = play(seed, 1, &faults);
    let three = play(seed, 3, &faults);
    for (at, served) in &one {
        // Who connected here and not there lost another datagram; else the same is served.
        assert!(three.get(at).is_none_or(|other| other == served), "three shards serve {at:?} otherwise");
    }
    std::mem::forget(told);
    Site::ALL.map(|site| (site, faults.struck(site))).into()
}

/// Says which seed it was, if it does not end well.
struct Told(u64);

impl Drop for Told {
    #[expect(clippy::print_stderr, reason = "the seed of a failed test")]
    fn drop(&mut self) {
        eprintln!("the life of seed {} failed", self.0);
    }
}
