//! What is remembered of cameras while nobody reads them: how they failed and when they may be asked again, by stream, and
//! by which way media came, by address.
//!
//! Owns the bounds of it: streams that are made when somebody asks for their names come and go, and who asks for many names
//! has neither cameras asked more often for it, nor more lines written. Never reads a clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Tries;
use crate::contain::lock;

/// Streams whose failures are remembered, and addresses whose ways are. More take more memory (a few hundred bytes each); of
/// fewer, whoever asks for more dead names than that has each of them connected to again.
const PLACES: usize = 1_024;

/// How long failures are remembered. Longer lets a camera that is back wait for its longest pause, though not whoever asks
/// for it; shorter begins anew sooner with a dead one.
const FAILED: Duration = Duration::from_secs(10 * 60);

/// How long it is remembered that media came by TCP though UDP goes first. Longer keeps a camera from UDP whose network was
/// mended; shorter lets one viewer a day wait the three seconds more that UDP is given.
const BY_TCP: Duration = Duration::from_secs(24 * 60 * 60);

/// Lines about cameras of streams that somebody's asking made, in a period. More let who asks for many dead names write more.
const LINES: usize = 64;

/// The period.
const PERIOD: Duration = Duration::from_secs(60);

/// What is remembered, of all cameras of a process.
#[derive(Default)]
pub struct Memory {
    tries: Mutex<Recent<Tries>>,
    by_tcp: Mutex<Recent<()>>,
    lines: Arc<Lines>,
}

impl Memory {
    /// What became of the last tries of a stream, handed out.
    pub(super) fn take_tries(&self, stream: &str, now: Instant) -> Option<Tries> {
        lock(&self.tries).take(stream, now, FAILED)
    }

    /// Keeps that until somebody wants the stream again.
    pub(super) fn keep_tries(&self, stream: &str, tries: Tries, now: Instant) {
        lock(&self.tries).put(stream, tries, now, FAILED);
    }

    /// Whether media of the camera at that address came by TCP when the way was looked for last.
    pub(super) fn is_by_tcp(&self, address: &str, now: Instant) -> bool {
        lock(&self.by_tcp).has(address, now, BY_TCP)
    }

    /// It does, or does not.
    pub(super) fn note_way(&self, address: &str, by_tcp: bool, now: Instant) {
        let mut known = lock(&self.by_tcp);
        if by_tcp {
            known.put(address, (), now, BY_TCP);
        } else {
            known.take(address, now, BY_TCP);
        }
    }

    /// What bounds the lines about streams that are made.
    pub(super) fn lines(&self) -> Arc<Lines> {
        self.lines.clone()
    }

    /// Says how many lines were not written, once a period.
    pub fn sum_up(&self, now: Instant) {
        self.lines.sum_up(now);
    }
}

/// The memory, for whoever reads the cameras of one stream.
#[derive(Clone, Default)]
pub struct Record {
    /// Of all of them.
    pub memory: Arc<Memory>,
    /// The stream is made when somebody asks for its name.
    pub is_made: bool,
    /// The source rests while nobody wants the stream: how it failed is kept until somebody does. One that an operator takes away and
    /// adds again begins anew.
    pub rests: bool,
}

/// Values by name that are good for some time, [`PLACES`] at the most.
struct Recent<T>(HashMap<String, (T, Instant)>);

impl<T> Default for Recent<T> {
    fn default() -> Recent<T> {
        Recent(HashMap::new())
    }
}

impl<T> Recent<T> {
    fn put(&mut self, name: &str, value: T, now: Instant, good: Duration) {
        if self.0.len() >= PLACES && !self.0.contains_key(name) {
            self.0.retain(|_, (_, at)| now.saturating_duration_since(*at) < good);
            let oldest = self.0.iter().min_by_key(|(_, (_, at))| *at).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest.filter(|_| self.0.len() >= PLACES) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(name.to_owned(), (value, now));
    }

    fn take(&mut self, name: &str, now: Instant, good: Duration) -> Option<T> {
        let (value, at) = self.0.remove(name)?;
        (now.saturating_duration_since(at) < good).then_some(value)
    }

    fn has(&self, name: &str, now: Instant, good: Duration) -> bool {
        self.0.get(name).is_some_and(|(_, at)| now.saturating_duration_since(*at) < good)
    }
}

/// How many lines may be written in a period.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<Period>);

#[derive(Debug, Default)]
struct Period {
    since: Option<Instant>,
    written: usize,
    more: u64,
}

impl Lines {
    /// Whether one more may be written. It counts for later if not.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let mut period = lock(&self.0);
        period.since.get_or_insert(now);
        let is_due = period.written < LINES;
        period.written += usize::from(is_due);
        period.more += u64::from(!is_due);
        is_due
    }

    fn sum_up(&self, now: Instant) {
        let mut period = lock(&self.0);
        if period.since.is_some_and(|since| now.saturating_duration_since(since) >= PERIOD) {
            let Period { more: times, .. } = std::mem::take(&mut *period);
            if times > 0 {
                tracing::warn!(
                    times,
                    "cameras failed of more streams that are made when somebody asks than are told one by one: who asks for \
                     names that are none? GET /api/v1/streams lists the last ones"
                );
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant serves")]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_an_address_is_known_for_a_day_and_until_it_is_another() {
        let (memory, start) = (Memory::default(), Instant::now());
        memory.note_way("cam:554", true, start);
        assert!(memory.is_by_tcp("cam:554", start + BY_TCP / 2) && !memory.is_by_tcp("other:554", start));
        assert!(!memory.is_by_tcp("cam:554", start + BY_TCP));
        memory.note_way("cam:554", false, start);
        assert!(!memory.is_by_tcp("cam:554", start));
    }

    #[test]
    fn more_names_than_there_are_places_push_out_the_oldest() {
        let (memory, start) = (Memory::default(), Instant::now());
        for number in 0..=PLACES as u64 {
            memory.note_way(&format!("cam{number}"), true, start + Duration::from_millis(number));
        }
        assert_eq!(lock(&memory.by_tcp).0.len(), PLACES);
        let now = start + Duration::from_secs(2);
        assert_eq!(["cam0", "cam1", "cam1024"].map(|name| memory.is_by_tcp(name, now)), [false, true, true]);
        // What is too old goes first, all of it.
        memory.note_way("late", true, start + BY_TCP + Duration::from_millis(1_000));
        assert_eq!(lock(&memory.by_tcp).0.len(), 25);
    }

    #[test]
    fn lines_of_many_names_are_counted_once_there_are_enough() {
        let (lines, start) = (Lines::default(), Instant::now());
        let written = (0..10_000).filter(|ms| lines.is_due(start + Duration::from_millis(*ms))).count();
        assert_eq!(written, LINES);
        lines.sum_up(start + PERIOD / 2);
        assert_eq!(lock(&lines.0).more, 10_000 - LINES as u64, "the period is not over");
        lines.sum_up(start + PERIOD);
        assert!(lines.is_due(start + PERIOD) && lock(&lines.0).more == 0);
    }
}
