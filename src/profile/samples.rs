//! The allocator's samples, as it writes them.
//!
//! Owns the reading of jemalloc's text (`heap_v2`), whose counts of what was sampled stand for more that was not.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, SystemTime};

use sluice_io::profile::heap;

use super::{Frame, Kind, Profile, Sample, Sampler};

/// As Go names them.
const KINDS: [Kind; 4] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];

/// The allocator, and what grows by it. Its own functions have many names, and compilers make one of several; the gates
/// are always there.
const ALLOCATOR: Sampler = Sampler {
    gates: &[
        "<tikv_jemallocator::",
        "tikv_jemallocator::",
        "__rust",
        // As compilers name it in the crate that chooses the allocator.
        "sluice::__rust",
    ],
    callers: &["alloc::", "<alloc::"],
};

/// Which of the values is asked for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// What was allocated and is in use.
    InUse,
    /// All that was allocated.
    Allocated,
}

/// The allocator's samples at one moment, by stack (addresses at which callers go on, innermost first): objects and bytes
/// allocated, objects and bytes in use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(HashMap<Vec<usize>, [f64; 4]>);

impl Samples {
    /// Asks the allocator.
    ///
    /// # Errors
    ///
    /// The kernel's and the allocator's.
    pub fn take() -> io::Result<Samples> {
        let text = heap::dump()?;
        Samples::parse(&text).ok_or_else(|| {
            let first = text.lines().next().unwrap_or_default();
            io::Error::other(format!(
                "the allocator's samples begin with {first:?} and not with heap_v2/BYTES"
            ))
        })
    }

    fn parse(text: &str) -> Option<Samples> {
        let mut lines = text.lines();
        let interval = lines.next()?.strip_prefix("heap_v2/")?.parse().ok()?;
        let mut samples = Samples::default();
        let mut stack: Option<Vec<usize>> = None;
        for line in lines.map(str::trim_start) {
            if let Some(addresses) = line.strip_prefix('@') {
                let address = |word: &str| usize::from_str_radix(word.trim_start_matches("0x"), 16).ok();
                stack = Some(addresses.split_ascii_whitespace().filter_map(address).collect());
            } else if let Some(all_threads) = line.strip_prefix("t*:")
                && let Some(stack) = stack.take()
                && let Some(values) = values(all_threads, interval)
            {
                samples.0.insert(stack, values);
            } else if line.starts_with("MAPPED_LIBRARIES") {
                break;
            }
        }
        Some(samples)
    }

    /// What came on top of `before`.
    pub fn since(mut self, before: &Samples) -> Samples {
        for (stack, values) in &mut self.0 {
            let before = before.0.get(stack).copied().unwrap_or_default();
            values.iter_mut().zip(before).for_each(|(value, before)| *value -= before);
        }
        self.0.retain(|_, values| values.iter().any(|value| *value != 0.0));
        self
    }

    /// As a profile that took `duration`.
    pub fn profile(self, shown: Shown, began: SystemTime, duration: Duration, comment: String) -> Profile {
        let samples = self.0.into_iter().map(|(stack, values)| Sample {
            frames: Frame::of_addresses(&stack, false),
            values: values.iter().map(|value| value.round() as i64).collect(),
            thread: None,
        });
        Profile {
            kinds: &KINDS,
            shown: if shown == Shown::InUse { 3 } else { 1 },
            period: (("space", "bytes"), heap::sample_interval()),
            began,
            duration,
            samples: samples.collect(),
            comments: vec![comment],
            sampler: ALLOCATOR,
        }
    }
}

/// Reads `OBJECTS: BYTES [OBJECTS: BYTES]`, in use and ever, of what was sampled; gives what it stands for.
fn values(text: &str, interval: f64) -> Option<[f64; 4]> {
    let (now, ever) = text.split_once('[')?;
    let pair = |text: &str| -> Option<[f64; 2]> {
        let (objects, bytes) = text.trim().split_once(':')?;
        Some([objects.trim().parse().ok()?, bytes.trim().parse().ok()?])
    };
    let [in_use, all] =
        [pair(now)?, pair(ever.trim_end().trim_end_matches(']'))?].map(|sampled| scale(sampled, interval));
    Some([all[0], all[1], in_use[0], in_use[1]])
}

/// An allocation of `size` bytes is sampled with the probability `1 - exp(-size / interval)`.
fn scale([objects, bytes]: [f64; 2], interval: f64) -> [f64; 2] {
    if objects == 0.0 {
        return [0.0; 2];
    }
    let sampled = -f64::exp_m1(-bytes / objects / interval);
    [objects / sampled, bytes / sampled]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
heap_v2/524288
  t*: 3: 1048608 [9: 1573024]
  t0: 3: 1048608 [9: 1573024]
@ 0x10 0x20 0x30
  t*: 2: 1048576 [3: 1572864]
  t0: 2: 1048576 [3: 1572864]
@ 0x40
  t*: 0: 0 [6: 160]
  t0: 0: 0 [6: 160]

MAPPED_LIBRARIES:
00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/sluice
";

    #[test]
    fn a_sample_stands_for_what_was_not_sampled() {
        let samples = Samples::parse(TEXT).unwrap();
        assert_eq!(samples.0.len(), 2);
        let [objects, bytes, live, live_bytes] = samples.0[&vec![0x10, 0x20, 0x30]];
        // One allocation as large as the interval is found with 1 - 1/e.
        let found = 1.0 - (-1.0_f64).exp();
        for (value, sampled) in [(objects, 3.0), (bytes, 1_572_864.0), (live, 2.0), (live_bytes, 1_048_576.0)]
        {
            assert!((value - sampled / found).abs() < 1e-6 * value, "{value} of {sampled}");
        }
        let [objects, .., live, live_bytes] = samples.0[&vec![0x40]];
        assert_eq!((live, live_bytes), (0.0, 0.0));
        assert!((objects / 6.0 / (524_288.0 * 6.0 / 160.0) - 1.0).abs() < 1e-3, "{objects}");
    }

    #[test]
    fn a_difference_shows_what_came_on_top_and_nothing_else() {
        let before = Samples::parse(TEXT).unwrap();
        assert_eq!(before.clone().since(&before), Samples::default());
        let after = Samples::parse(&TEXT.replace("6: 160", "12: 320")).unwrap();
        let difference = after.since(&before);
        assert_eq!(difference.0.len(), 1);
        assert!((difference.0[&vec![0x40]][0] - before.0[&vec![0x40]][0]).abs() < 1.0);
    }

    #[test]
    fn what_is_no_dump_is_refused() {
        for text in ["", "heap_v1/1", "heap_v2/", "heap_v2/x\n"] {
            assert_eq!(Samples::parse(text), None, "{text:?}");
        }
        assert_eq!(Samples::parse("heap_v2/1\n@ zz\n t*: 1 [\n").unwrap().0.len(), 0);
    }
}
