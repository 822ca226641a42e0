//! One profile at a time.
//!
//! Owns whose turn it is. A profile has a price for those who watch, so a second caller is told to wait rather than
//! served too.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::contain::lock;

/// Gives turns; clones give the same.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<Option<Busy>>>);

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// What.
    pub what: &'static str,
    /// When it should be done.
    pub until: Instant,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn(Turns);

impl Turns {
    /// The turn for something that takes `time`; what is being done, if it is another's.
    ///
    /// # Errors
    ///
    /// What is being done now.
    pub fn take(&self, what: &'static str, now: Instant, time: Duration) -> Result<Turn, Busy> {
        let mut busy = lock(&self.0);
        match *busy {
            Some(busy) => Err(busy),
            None => {
                *busy = Some(Busy { what, until: now + time });
                Ok(Turn(self.clone()))
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *lock(&self.0.0) = None;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any time will do")]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_one_s_until_it_is_given_back() {
        let (turns, now) = (Turns::default(), Instant::now());
        let turn = turns.take("a CPU profile", now, Duration::from_secs(9)).unwrap();
        let busy = turns.clone().take("a heap profile", now, Duration::ZERO).unwrap_err();
        assert_eq!(busy, Busy { what: "a CPU profile", until: now + Duration::from_secs(9) });
        drop(turn);
        assert!(turns.take("a heap profile", now, Duration::ZERO).is_ok());
    }
}
