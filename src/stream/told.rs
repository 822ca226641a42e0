//! What was said of a stream in the log, and when.
//!
//! Owns how often the same words may be said, and how many different ones: what a source brings comes and goes as
//! it likes, and must not fill a disk. Never reads a clock, and writes nothing.

use std::time::{Duration, Instant};

/// The same words are said again after this time at the earliest: often enough to be seen, and bounded whatever
/// the source sends. Raising it hides trouble that comes back; lowering it lets one camera write more.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// Different words in that time: more than there are kinds of notes. Raising it lets a source whose words hold
/// numbers of its own write more; lowering it keeps notes out of the log.
const MAX: usize = 16;

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<(String, Option<Instant>)>);

impl Told {
    /// Whether `words` are to be said now. `None` is before any media: then what was said before counts as just said.
    pub(super) fn is_due(&mut self, words: &str, now: Option<Instant>) -> bool {
        // What was said before there was a time was said now at the latest.
        self.0.iter_mut().for_each(|(_, at)| *at = at.or(now));
        let is_old = |at: Option<Instant>| {
            at.zip(now).is_some_and(|(at, now)| now.saturating_duration_since(at) >= INTERVAL)
        };
        self.0.retain(|(_, at)| !is_old(*at));
        let due = self.0.len() < MAX && !self.0.iter().any(|(told, _)| told == words);
        if due {
            self.0.push((words.to_owned(), now));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn words_are_said_once_in_a_while_and_not_too_many() {
        let (start, mut told) = (Instant::now(), Told::default());
        assert!(told.is_due("dark", None) && !told.is_due("dark", None));
        let said =
            (0..180_000).filter(|ms| told.is_due("dark", Some(start + Duration::from_millis(*ms)))).count();
        assert_eq!(said, 2, "after one and two minutes");
        let now = start + Duration::from_secs(300);
        assert_eq!((0..1_000).filter(|number| told.is_due(&number.to_string(), Some(now))).count(), MAX);
        assert!(told.is_due("dark", Some(now + INTERVAL)), "others take its place for that time only");
    }
}
