//! Names of things across threads.

use std::fmt;

/// A stream, by its place in the registry. Never used twice in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// Encodings of a stream's video at the most. More of them cost a ring each, and every viewer a longer choice.
pub const LAYERS_MAX: usize = 2;

/// What the layers of a stream are called, by number: the first is what a stream has that has only one.
pub const LAYER_NAMES: [&str; LAYERS_MAX] = ["high", "low"];

/// One encoding of a stream's video: most cameras have one, a pair has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId {
    /// Of which stream.
    pub stream: StreamId,
    /// Which of them, from 0.
    pub number: u8,
}

impl LayerId {
    /// What it is called.
    pub fn name(self) -> &'static str {
        LAYER_NAMES[usize::from(self.number)]
    }
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

impl SessionId {
    /// Its first 32 bits: what people call it by, useless to act on it by WHEP.
    pub fn short(self) -> ShortId {
        ShortId((self.0 >> 96) as u32)
    }
}

/// What people call a session by: in the log, on pages, in a complaint. Two may have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortId(pub u32);

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl ShortId {
    /// As a UUID of version 8 (RFC 9562 §5.8), for programs that take no other names. Two may have the same.
    pub fn uuid(self) -> String {
        format!("{self}{UUID_REST}")
    }

    /// The one whose UUID that is.
    pub fn of_uuid(uuid: &str) -> Option<ShortId> {
        uuid.get(..8).filter(|_| uuid.get(8..) == Some(UUID_REST))?.parse().ok()
    }
}

/// All of a UUID of ours behind what it is of.
const UUID_REST: &str = "-0000-8000-8000-000000000000";

impl std::str::FromStr for ShortId {
    type Err = ();

    fn from_str(text: &str) -> Result<ShortId, ()> {
        if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(());
        }
        u32::from_str_radix(text, 16).map(ShortId).map_err(|_| ())
    }
}

/// The short id only: enough to follow a session in the log.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.short(), f)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_leads_back_to_its_session_and_another_to_none() {
        let short = SessionId(0x1f2e_3d4c << 96).short();
        assert_eq!(short.uuid(), "1f2e3d4c-0000-8000-8000-000000000000");
        assert_eq!(ShortId::of_uuid(&short.uuid()), Some(short));
        for other in [
            "",
            "1f2e3d4c",
            "é",
            "1f2e3d4c-0000-8000-8000-000000000001",
            "xf2e3d4c-0000-8000-8000-000000000000",
        ] {
            assert_eq!(ShortId::of_uuid(other), None, "{other}");
        }
    }
}
