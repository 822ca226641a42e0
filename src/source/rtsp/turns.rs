//! Whose turn it is, where a stream has several sources that are tried in order.
//!
//! Owns the order, and when a round of all of them is over. Never waits and never connects.
//!
//! The first that works is stayed with until it fails: nobody's picture is taken away to see whether one that failed is
//! back. When a source that worked for a while fails, the first has the next turn, or behind the first the second;
//! otherwise the next in the list has.

/// The turns.
#[derive(Debug)]
pub(super) struct Turns {
    sources: usize,
    at: usize,
    /// Attempts that failed since the last one that worked for a while, or since the last pause.
    failed: usize,
    /// Another attempt would help none of these.
    hopeless: bool,
}

/// What comes behind a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The next source, at once.
    Next,
    /// A pause: all of them have failed, and another attempt without an operator helps none where it says so.
    Pause { hopeless: bool },
}

impl Turns {
    /// Of so many sources.
    pub(super) fn new(sources: usize) -> Turns {
        Turns { sources: sources.max(1), at: 0, failed: 0, hopeless: true }
    }

    /// Whose turn it is.
    pub(super) fn now(&self) -> usize {
        self.at
    }

    /// The one whose turn it is failed, having worked for a while if `steady`; whether it takes an operator to mend that.
    pub(super) fn failed(&mut self, steady: bool, needs_operator: bool) -> Then {
        if steady {
            (self.failed, self.hopeless) = (0, true);
        }
        self.failed += 1;
        self.hopeless &= needs_operator;
        self.at = if steady && self.at > 0 { 0 } else { (self.at + 1) % self.sources };
        if self.failed < self.sources {
            return Then::Next;
        }
        self.failed = 0;
        Then::Pause { hopeless: std::mem::replace(&mut self.hopeless, true) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Then = Then::Pause { hopeless: false };

    #[test]
    fn one_source_pauses_behind_each_failure() {
        let mut turns = Turns::new(1);
        for steady in [false, true, false] {
            assert_eq!((turns.failed(steady, false), turns.now()), (PAUSE, 0));
        }
        assert_eq!(turns.failed(false, true), Then::Pause { hopeless: true });
    }

    #[test]
    fn the_next_is_tried_at_once_and_a_pause_is_made_when_all_have_failed() {
        let mut turns = Turns::new(3);
        let mut tried = Vec::new();
        for _ in 0..7 {
            tried.push((turns.now(), turns.failed(false, false)));
        }
        let round = [(0, Then::Next), (1, Then::Next), (2, PAUSE)];
        assert_eq!(tried, [round, round, [(0, Then::Next); 3]].concat()[..7]);
    }

    #[test]
    fn one_that_worked_is_followed_by_the_first_and_the_first_by_the_second() {
        let mut turns = Turns::new(3);
        turns.failed(false, false);
        turns.failed(false, false);
        assert_eq!((turns.now(), turns.failed(true, false), turns.now()), (2, Then::Next, 0));
        assert_eq!((turns.failed(true, false), turns.now()), (Then::Next, 1));
        // A round is counted from there.
        assert_eq!(
            (turns.failed(false, false), turns.failed(false, false), turns.now()),
            (Then::Next, PAUSE, 0)
        );
    }

    #[test]
    fn it_takes_an_operator_only_where_every_source_does() {
        let mut turns = Turns::new(2);
        assert_eq!((turns.failed(false, true), turns.failed(false, false)), (Then::Next, PAUSE));
        assert_eq!(
            (turns.failed(false, true), turns.failed(false, true)),
            (Then::Next, Then::Pause { hopeless: true })
        );
    }
}
