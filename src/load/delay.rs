//! How old pictures are when a viewer has all of them: the delay from end to end.
//!
//! Owns which pictures count. The send time comes out of the picture itself
//! ([`super::cameras::send_time`]), the age is told by our own clock: on one machine that is one clock, on
//! two it is as good as their agreement. Never reads a clock.

use std::time::{Duration, Instant};

/// How long a viewer is not at the live edge yet, at most: a server that gives it the past for a quick start sends the present behind
/// that. Longer leaves out pictures that are late for other reasons; shorter has joins in the delay, which servers that let a viewer
/// wait for the next keyframe do not.
const LEVEL: Duration = Duration::from_millis(500);

/// What time of day an instant is.
#[derive(Debug, Clone, Copy)]
pub struct Wall {
    at: Instant,
    since_1970: Duration,
}

impl Wall {
    /// `at` is so long after the beginning of 1970, by `CLOCK_REALTIME`. Instants are told from that one
    /// reading: a clock that is set during the test makes ages wrong by as much.
    pub fn new(at: Instant, since_1970: Duration) -> Wall {
        Wall { at, since_1970 }
    }

    /// Nanoseconds since 1970.
    pub fn nanos(&self, now: Instant) -> u64 {
        let since = match now.checked_duration_since(self.at) {
            Some(later) => self.since_1970 + later,
            None => self.since_1970.saturating_sub(self.at - now),
        };
        since.as_nanos().try_into().unwrap_or(u64::MAX)
    }
}

/// What one picture with a send time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// New, and so old.
    Fresh(Duration),
    /// Sent before this viewer was there and at the live edge: what a server gives for a quick start, and what comes behind that.
    FromPast,
    /// Not newer than one seen before: shown again, as after a keyframe request.
    Again,
    /// Sent later than now: the clocks disagree.
    FromFuture,
}

/// Tells the ages of one viewer's pictures.
#[derive(Debug, Clone)]
pub struct Delays {
    wall: Wall,
    /// When its viewer is at the live edge.
    level: u64,
    newest: Option<u64>,
}

impl Delays {
    /// Those of a viewer that connected at `joined`.
    pub fn since(joined: Instant, wall: Wall) -> Delays {
        Delays { wall, level: wall.nanos(joined + LEVEL), newest: None }
    }

    /// A picture that was sent at `sent`, in nanoseconds since 1970, is complete.
    pub fn handle_picture(&mut self, now: Instant, sent: u64) -> Age {
        if self.newest.is_some_and(|newest| sent <= newest) {
            return Age::Again;
        }
        self.newest = Some(sent);
        if sent < self.level {
            return Age::FromPast;
        }
        match self.wall.nanos(now).checked_sub(sent) {
            Some(age) => Age::Fresh(Duration::from_nanos(age)),
            None => Age::FromFuture,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests need some instant")]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn an_instant_has_a_time_of_day_before_and_after_the_reading() {
        let now = Instant::now();
        let wall = Wall::new(now, Duration::from_secs(1_000));
        assert_eq!(wall.nanos(now + Duration::from_millis(1)), 1_000_001 * MS);
        assert_eq!(wall.nanos(now - Duration::from_millis(1)), 999_999 * MS);
    }

    #[test]
    fn only_pictures_that_are_new_and_were_sent_to_this_viewer_have_an_age() {
        let joined = Instant::now();
        let wall = Wall::new(joined, Duration::from_secs(1_000));
        let mut delays = Delays::since(joined, wall);
        let (sent, ms) = (1_000_000 * MS + LEVEL.as_nanos() as u64, Duration::from_millis);
        let joined = joined + LEVEL;
        assert_eq!(delays.handle_picture(joined + ms(5), sent - 1), Age::FromPast);
        assert_eq!(delays.handle_picture(joined + ms(5), sent), Age::Fresh(ms(5)));
        assert_eq!(delays.handle_picture(joined + ms(50), sent + 33 * MS), Age::Fresh(ms(17)));
        assert_eq!(delays.handle_picture(joined + ms(51), sent), Age::Again);
        assert_eq!(delays.handle_picture(joined + ms(52), sent + 33 * MS), Age::Again);
        assert_eq!(delays.handle_picture(joined + ms(60), sent + 61 * MS), Age::FromFuture);
    }
}
