//! By what right somebody watches: who it is, how that was proved, and until when it holds.
//!
//! Owns what is kept of it with a session, so that the session can end with the right. How it is proved is decided
//! where requests are.

use std::sync::Arc;
use std::time::SystemTime;

/// The right to what a session does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The name that was proved; none of those who need none.
    pub who: Option<Arc<str>>,
    /// How.
    pub proof: Proof,
    /// When it ends; `None`: when whoever gave it takes it back.
    pub until: Option<SystemTime>,
    /// The number of the configuration that it was given by.
    pub as_of: u64,
    /// The key that the proof was signed with, where one was.
    pub key: Option<KeyMark>,
}

/// Tells keys apart, and says nothing of them.
pub type KeyMark = [u8; 16];

/// What a right was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Nothing: everybody has it.
    Open,
    /// An address.
    Address,
    /// The password of a user.
    Password,
    /// A token of our own.
    Token,
    /// A token that somebody else signed (RFC 7519).
    Jwt,
    /// The word of another server.
    Hook,
}

impl Right {
    /// What needs no name.
    pub fn nameless(proof: Proof, as_of: u64) -> Right {
        Right { who: None, proof, until: None, as_of, key: None }
    }

    /// Whether its time is over.
    pub fn is_over(&self, date: SystemTime) -> bool {
        self.until.is_some_and(|until| until <= date)
    }
}
