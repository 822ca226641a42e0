//! Tokens of our own: short-lived, for pages in frames, screens and links, where nobody can type a password.
//!
//! Owns their form, `sluice_` and base64url of a small JSON with an HMAC-SHA256 behind it. The key is made at the start,
//! so a restart ends them all. Reads no clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sluice_config::{Action, Pattern};

use super::rules::Streams;

/// What each begins with: it is told from other tokens by it, and found by those who look for secrets in text.
const PREFIX: &str = "sluice_";

/// Bytes of the HMAC at the end.
const MAC: usize = 32;

/// The longest time that one is given for. Longer is what users and JWT are for: a token cannot be taken back.
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Streams that one may name.
pub const STREAMS_MAX: usize = 64;

/// Makes and checks them.
pub struct Tokens(hmac::Key);

/// What one says.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    /// What its bearer may do.
    #[serde(rename = "a")]
    action: String,
    /// With which streams: patterns.
    #[serde(rename = "s")]
    streams: Vec<String>,
    /// Until when, in seconds since 1970.
    #[serde(rename = "e")]
    until: u64,
}

/// Why one is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// It is not ours, was changed, or is of an earlier start.
    Unknown,
    /// Its time is over.
    Expired,
}

/// Whether a text is meant as one.
pub fn is_ours(text: &str) -> bool {
    text.starts_with(PREFIX)
}

impl Default for Tokens {
    /// Those of one start: with a key of its own.
    fn default() -> Tokens {
        Tokens(hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()))
    }
}

impl Tokens {
    /// One that lets its bearer do `action` with `streams` until then, to the second.
    pub fn make(&self, action: Action, streams: &[Pattern], until: SystemTime) -> String {
        let until = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let streams = streams.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        let said = Said { action: action.name().to_owned(), streams, until };
        let mut bytes = serde_json::to_vec(&said).expect("texts and numbers can be JSON");
        let mac = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(mac.as_ref());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// With which streams its bearer may do `action`, and until when.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub fn check(
        &self,
        token: &str,
        action: Action,
        date: SystemTime,
    ) -> Result<(Streams, SystemTime), TokenError> {
        let said = self.read(token).ok_or(TokenError::Unknown)?;
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(said.until)).ok_or(TokenError::Unknown)?;
        if until <= date {
            return Err(TokenError::Expired);
        }
        if said.action != action.name() {
            return Ok((Streams::none(), until));
        }
        let streams: Arc<[Pattern]> =
            said.streams.iter().filter_map(|pattern| pattern.parse().ok()).collect();
        Ok((Streams::Some(streams), until))
    }

    /// What it says, if we said so.
    fn read(&self, token: &str) -> Option<Said> {
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let (said, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
        // In constant time.
        hmac::verify(&self.0, said, mac).ok()?;
        serde_json::from_slice(said).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| text.parse().expect("a pattern")).collect()
    }

    #[test]
    fn a_token_gives_what_it_was_made_for_until_its_time() {
        let tokens = Tokens::default();
        let token = tokens.make(Action::Read, &patterns(&["gate", "yard-*"]), at(100));
        assert!(
            is_ours(&token) && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)),
            "{token}"
        );
        let (streams, until) = tokens.check(&token, Action::Read, at(99)).expect("a token");
        assert_eq!(until, at(100));
        for (stream, may) in [("gate", true), ("yard-7", true), ("attic", false)] {
            assert_eq!(streams.have(Some(stream)), may, "{stream}");
        }
        let (streams, _) = tokens.check(&token, Action::Publish, at(99)).expect("a token");
        assert!(!streams.have(None), "to watch is not to send");
        assert_eq!(tokens.check(&token, Action::Read, at(100)).err(), Some(TokenError::Expired));
    }

    #[test]
    fn one_that_was_changed_or_is_of_another_start_is_unknown() {
        let tokens = Tokens::default();
        let token = tokens.make(Action::Read, &patterns(&["gate"]), at(100));
        let other = Tokens::default().make(Action::Read, &patterns(&["gate"]), at(100));
        let longer = {
            let bytes = URL_SAFE_NO_PAD.decode(&token[PREFIX.len()..]).expect("base64");
            let text = String::from_utf8_lossy(&bytes[..bytes.len() - MAC]).replace("100", "999");
            let forged = [text.as_bytes(), &bytes[bytes.len() - MAC..]].concat();
            format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(forged))
        };
        for wrong in
            [&other, &longer, &token[..token.len() - 4], &token[PREFIX.len()..], "sluice_", "sluice_AAAA", ""]
        {
            assert_eq!(tokens.check(wrong, Action::Read, at(1)).err(), Some(TokenError::Unknown), "{wrong}");
        }
    }
}
