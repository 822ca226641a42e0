//! Arbitrary input for everything that reads what a stranger wrote: a bounded, seeded run for every CI.
//!
//! `FUZZ_SEED=n CASES=n cargo test --test fuzz` searches elsewhere or longer; a failure prints its seed and
//! case. Each target checks more than that nothing panics.

#[path = "fuzz/datagrams.rs"]
mod datagrams;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/pictures.rs"]
mod pictures;
#[path = "fuzz/sdp.rs"]
mod sdp;

use rand::SeedableRng;
use rand::rngs::StdRng;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs `case` as often as `cases` (or `CASES`) says, each time with its own random numbers.
fn run(cases: u64, mut case: impl FnMut(&mut StdRng)) {
    let seed = variable("FUZZ_SEED").unwrap_or(1);
    for number in 0..variable("CASES").unwrap_or(cases) {
        let _told_on_panic = Told { seed, number };
        case(&mut StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number)));
    }
}

struct Told {
    seed: u64,
    number: u64,
}

impl Drop for Told {
    #[expect(clippy::print_stderr, reason = "the case of a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("case {} of FUZZ_SEED={}", self.number, self.seed);
        }
    }
}
