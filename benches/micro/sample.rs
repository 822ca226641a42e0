//! What a sample costs: a stack of a running thread, and an allocation where the heap may be sampled.
//!
//! `cargo bench -p sluice-io --bench sample` prints two Markdown tables of nanoseconds. For an allocator that cannot
//! sample at all: `_RJEM_MALLOC_CONF=prof:false` before it.
//!
//! Rounds are interleaved and the median is printed, so that a noisy neighbour hits all columns.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use sluice_io::profile::{Sampler, heap};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const ROUNDS: usize = 101;
/// Samples, allocations: a round of each.
const SAMPLES: u32 = 500;
const ALLOCATIONS: u32 = 50_000;
const DEPTHS: [u32; 3] = [8, 24, 64];
const SIZES: [usize; 3] = [64, 1_200, 16_384];

fn main() -> io::Result<()> {
    // The first installs the handler: without it the signal would end this process.
    drop(Sampler::start(Duration::from_secs(3_600))?);
    println!("| frames below main | handled, nobody samples | sampled |\n|---:|---:|---:|");
    for depth in DEPTHS {
        let mut idle = Vec::new();
        let mut sampled = Vec::new();
        for _ in 0..ROUNDS {
            idle.push(deep(depth, &signals));
            // No timer ends: what comes is ours.
            let mut sampler = Sampler::start(Duration::from_secs(3_600))?;
            sampled.push(deep(depth, &signals));
            sampler.take(|stack| assert!(stack.frames.len() as u32 > depth.min(60), "{stack:?}"));
        }
        println!("| {depth} | {} | {} |", median(idle), median(sampled));
    }
    println!("\n| bytes | not sampled | sampled |\n|---:|---:|---:|");
    for size in SIZES {
        let mut off = Vec::new();
        let mut on = Vec::new();
        for _ in 0..ROUNDS {
            off.push(allocations(size));
            if heap::is_able() {
                heap::set_active(true)?;
                on.push(allocations(size));
                heap::set_active(false)?;
            }
        }
        println!("| {size} | {} | {} |", median(off), median(on));
    }
    Ok(())
}

/// Calls itself before it calls.
#[inline(never)]
fn deep(depth: u32, call: &dyn Fn() -> f64) -> f64 {
    if depth == 0 { call() } else { black_box(deep(black_box(depth - 1), call)) }
}

/// Nanoseconds of one signal to this thread, and its handler.
fn signals() -> f64 {
    let start = Instant::now();
    for _ in 0..SAMPLES {
        // SAFETY: the signal has a handler, since `main` began.
        unsafe { libc::raise(libc::SIGPROF) };
    }
    start.elapsed().as_nanos() as f64 / f64::from(SAMPLES)
}

/// Nanoseconds of one allocation and its end.
fn allocations(size: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..ALLOCATIONS {
        black_box(Vec::<u8>::with_capacity(black_box(size)));
    }
    start.elapsed().as_nanos() as f64 / f64::from(ALLOCATIONS)
}

fn median(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}
