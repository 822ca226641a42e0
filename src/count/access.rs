//! Decisions about access: by action, and by what came of it.
//!
//! Owns the words that they are counted by; both are compiled in, so that nothing of a request makes a series.

use super::Cell;

/// What is decided about, in the order of the configuration's own list.
pub const ACTIONS: [&str; 5] = ["read", "publish", "api", "metrics", "pprof"];

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It may be done.
    Allowed,
    /// Nobody said who asks.
    Unknown,
    /// The password or token is wrong.
    Wrong,
    /// The token's time is over.
    Expired,
    /// Who asks is known, and may not.
    Forbidden,
    /// Too many wrong ones came from there.
    Slowed,
    /// Too much waits to be looked at.
    Busy,
    /// A server that had to be asked did not answer.
    Unavailable,
}

impl Outcome {
    /// All, in order.
    pub const ALL: [Outcome; 8] = [
        Outcome::Allowed,
        Outcome::Unknown,
        Outcome::Wrong,
        Outcome::Expired,
        Outcome::Forbidden,
        Outcome::Slowed,
        Outcome::Busy,
        Outcome::Unavailable,
    ];

    /// The value of the `result` label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Allowed => "allowed",
            Outcome::Unknown => "no_credentials",
            Outcome::Wrong => "wrong",
            Outcome::Expired => "expired",
            Outcome::Forbidden => "forbidden",
            Outcome::Slowed => "slowed",
            Outcome::Busy => "busy",
            Outcome::Unavailable => "unavailable",
        }
    }
}

/// All decisions of this process.
#[derive(Debug, Default)]
pub struct Decisions([[Cell; Outcome::ALL.len()]; ACTIONS.len()]);

impl Decisions {
    /// One was made about the action of that number.
    pub fn count(&self, action: usize, outcome: Outcome) {
        self.0[action][outcome as usize].add_shared(1);
    }

    /// How many, with the words for both.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        ACTIONS.into_iter().zip(&self.0).flat_map(|(action, cells)| {
            Outcome::ALL
                .into_iter()
                .zip(cells)
                .map(move |(outcome, cell)| (action, outcome.label(), cell.get()))
        })
    }
}
