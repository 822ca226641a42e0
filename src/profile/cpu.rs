//! Where processor time goes, by thread.
//!
//! Owns the rhythm of a CPU profile. A shell: it waits and reads the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and sleeps")]

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use sluice_io::profile::{Sampler, Stack};

use super::clocks::Clocks;
use super::{Frame, Kind, Profile, Sample};

/// CPU time between two samples of a thread: 99 a second, so as not to beat with what happens a hundred times a second.
/// Shorter costs more, and the kernel looks at such timers at its tick only.
const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 99);

/// How often samples are fetched, and new threads looked for. Longer loses those of many busy threads, and the beginning
/// of new ones; shorter costs more.
const FETCH: Duration = Duration::from_millis(100);

const KINDS: [Kind; 2] = [("samples", "count"), ("cpu", "nanoseconds")];

/// Samples of one stack.
type Stacks = HashMap<(i32, bool, Box<[usize]>), u64>;

/// Samples all threads for `time`. It ends early when it is dropped.
///
/// # Errors
///
/// The kernel's.
pub async fn profile(time: Duration) -> io::Result<Profile> {
    let (began, start) = (SystemTime::now(), Instant::now());
    let mut clocks = Clocks::default();
    clocks.look();
    let mut sampler = Sampler::start(PERIOD)?;
    let mut stacks = Stacks::new();
    let mut threads = HashMap::new();
    let mut lost = 0;
    loop {
        let left = time.saturating_sub(start.elapsed());
        tokio::time::sleep(left.min(FETCH)).await;
        sampler.take(|stack| gather(&mut stacks, &mut threads, stack));
        lost += sampler.take_lost();
        if left <= FETCH {
            break;
        }
        sampler.follow()?;
    }
    drop(sampler);
    clocks.look();
    let mut comments = Vec::new();
    if lost > 0 {
        comments.push(format!("{lost} samples were lost: there were too many at once"));
    }
    let times = Times::new(&stacks, &clocks);
    comments.extend(times.unsampled());
    let samples = stacks.into_iter().map(|((thread, in_kernel, frames), count)| Sample {
        frames: Frame::of_stack(&frames, in_kernel),
        values: vec![count as i64, times.of(thread, count)],
        thread: threads.get(&thread).cloned(),
    });
    Ok(Profile {
        kinds: &KINDS,
        shown: 1,
        period: (KINDS[1], PERIOD.as_nanos() as u64),
        began,
        duration: start.elapsed(),
        samples: samples.collect(),
        comments,
        sampler: super::Sampler::default(),
    })
}

/// What a sample of each thread stands for.
struct Times {
    /// Nanoseconds of a sample, by thread.
    each: HashMap<i32, f64>,
    /// Threads that ran and were never met, and what they used together.
    unsampled: (usize, Duration),
}

impl Times {
    fn new(stacks: &Stacks, clocks: &Clocks) -> Times {
        let mut counts: HashMap<i32, u64> = HashMap::new();
        for ((thread, ..), count) in stacks {
            *counts.entry(*thread).or_default() += count;
        }
        let mut times = Times { each: HashMap::new(), unsampled: (0, Duration::ZERO) };
        for (thread, used) in clocks.used().filter(|(_, used)| !used.is_zero()) {
            match counts.get(&thread) {
                Some(count) => drop(times.each.insert(thread, used.as_nanos() as f64 / *count as f64)),
                None => times.unsampled = (times.unsampled.0 + 1, times.unsampled.1 + used),
            }
        }
        times
    }

    /// What `count` samples of a thread stand for, in nanoseconds. Of one that ended before the profile did only its
    /// timer is known.
    fn of(&self, thread: i32, count: u64) -> i64 {
        let each = self.each.get(&thread).copied().unwrap_or(PERIOD.as_nanos() as f64);
        (each * count as f64).round() as i64
    }

    fn unsampled(&self) -> Option<String> {
        let (threads, used) = self.unsampled;
        let ms = used.as_millis();
        (ms > 0).then(|| format!("{threads} threads ran for {ms} ms altogether and are in no sample"))
    }
}

fn gather(stacks: &mut Stacks, threads: &mut HashMap<i32, String>, stack: Stack<'_>) {
    // At once: it may end before the profile does.
    threads.entry(stack.thread).or_insert_with(|| super::threads::name(stack.thread));
    *stacks.entry((stack.thread, stack.in_kernel, stack.frames.into())).or_default() +=
        u64::from(stack.weight);
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::profile::names::Names;

    /// One profile is taken at a time.
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    #[inline(never)]
    fn work_hard(stop: &AtomicBool) {
        let mut sum = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            // Without a call: where one begins or ends, frame pointers leave out who made it.
            let mut left = 100_000_u32;
            while left > 0 {
                left -= 1;
                sum = (sum ^ (sum << 3)) | 1;
            }
            sum = black_box(sum);
        }
    }

    #[inline(never)]
    fn ask_the_kernel(stop: &AtomicBool) {
        let file = std::fs::File::open("/dev/zero").unwrap();
        let mut room = vec![0; 1 << 20];
        while !stop.load(Ordering::Relaxed) {
            std::io::Read::read_exact(&mut &file, &mut room).unwrap();
        }
    }

    /// The processor time of the calling thread so far.
    fn spent() -> Duration {
        let line = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        crate::stat::Stat::parse(&line).unwrap().cpu
    }

    /// The share of a thread's samples whose stack, as names from the innermost, satisfies `wanted`.
    fn share(profile: &Profile, names: &mut Names, thread: &str, wanted: impl Fn(&[String]) -> bool) -> f64 {
        let (mut all, mut found) = (0, 0);
        for sample in profile.samples.iter().filter(|sample| sample.thread.as_deref() == Some(thread)) {
            let stack: Vec<String> = sample
                .frames
                .iter()
                .flat_map(|frame| {
                    names.of(frame).iter().map(|line| line.function.clone()).collect::<Vec<_>>()
                })
                .collect();
            all += sample.values[0];
            found += if wanted(&stack) { sample.values[0] } else { 0 };
        }
        assert!(all >= 10, "{thread} has {all} samples of {profile:?}");
        found as f64 / all as f64
    }

    /// The kernel meets such threads too seldom.
    #[tokio::test]
    async fn threads_that_run_a_little_and_often_have_the_time_that_they_used() {
        let _turn = TURN.lock().await;
        let stop = Arc::new(AtomicBool::new(false));
        let often = |at: usize| {
            let stop = stop.clone();
            let thread = std::thread::Builder::new().name(format!("often-{at}")).spawn(move || {
                let mut sum = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    (0..200_000_u64).for_each(|step| sum = black_box(sum ^ step));
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            thread.unwrap()
        };
        let workers: Vec<_> = (0..4).map(often).collect();
        let before: Duration = Clocks::now("often-");
        let profile = profile(Duration::from_secs(3)).await.unwrap();
        let used = Clocks::now("often-") - before;
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let of_them = profile
            .samples
            .iter()
            .filter(|sample| sample.thread.as_deref().is_some_and(|name| name.starts_with("often-")));
        let sampled = of_them.map(|sample| sample.values[1]).sum::<i64>() as f64 / 1e9;
        let share = sampled / used.as_secs_f64();
        assert!((0.7..1.01).contains(&share), "{sampled} s sampled of {used:?}: {profile:?}");
    }

    #[tokio::test]
    async fn busy_functions_are_found_by_thread_and_the_kernel_s_time_is_its_own() {
        let _turn = TURN.lock().await;
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |name: &str, work: fn(&AtomicBool)| {
            let stop = stop.clone();
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                work(&stop);
                spent()
            });
            thread.unwrap()
        };
        let workers = [spawn("worker", work_hard), spawn("reader", ask_the_kernel)];
        let profile = profile(Duration::from_secs(2)).await.unwrap();
        stop.store(true, Ordering::Relaxed);
        for (worker, name) in workers.into_iter().zip(["worker", "reader"]) {
            let of_it = profile.samples.iter().filter(|sample| sample.thread.as_deref() == Some(name));
            let sampled = of_it.map(|sample| sample.values[1]).sum::<i64>() as f64 / 1e9;
            // It ran a little before the profile began and after it ended.
            let spent = worker.join().unwrap().as_secs_f64();
            assert!((0.6..1.05).contains(&(sampled / spent)), "{name}: {sampled} s sampled of {spent} s");
        }
        let mut names = Names::default();
        let works = |stack: &[String]| stack.iter().any(|name| name.ends_with("work_hard"));
        assert!(share(&profile, &mut names, "worker", works) > 0.9);
        let reads = |stack: &[String]| {
            stack[0].starts_with("[kernel] ")
                && stack[0].ends_with("read")
                && stack.iter().any(|name| name.ends_with("ask_the_kernel"))
        };
        assert!(share(&profile, &mut names, "reader", reads) > 0.7);
    }
}
