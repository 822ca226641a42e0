//! Names of things across threads.

use std::fmt;

/// A stream, by its place in the registry. Never used twice in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// One encoding of a stream's video: a camera has one, a publisher may send several (simulcast).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId {
    /// Of which stream.
    pub stream: StreamId,
    /// Which of them, from 0.
    pub number: u8,
}

impl StreamId {
    /// One of its layers.
    pub fn layer(self, number: u8) -> LayerId {
        LayerId { stream: self, number }
    }
}

/// A WHEP session: 128 bits from a cryptographic generator, because its URL is a capability
/// (RFC 9725 §4.9).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub u128);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The first 32 bits only: enough to follow a session in the log, useless to act on it.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", (self.0 >> 96) as u32)
    }
}

impl std::str::FromStr for SessionId {
    type Err = ();

    fn from_str(text: &str) -> Result<SessionId, ()> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(());
        }
        u128::from_str_radix(text, 16).map(SessionId).map_err(|_| ())
    }
}
