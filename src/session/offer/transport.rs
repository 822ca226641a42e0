//! The transport of a media section: ICE credentials, certificate, DTLS role (RFC 8839, RFC 8122, RFC 8842).

use sluice_media::shown;

use super::{CredentialsError, OfferError};
use crate::peer::Credentials;

/// Fingerprints of one section that are looked at, and named where none is usable. Clients send one to four.
const FINGERPRINTS_MAX: usize = 8;

/// The DTLS role the offerer wants (RFC 8842 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Either; we take the passive one, which lets us choose the SRTP profile.
    ActPass,
    /// It is the DTLS client.
    Active,
    /// It is the DTLS server (FFmpeg).
    Passive,
}

/// How one section would be sent, if it had a transport of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// The offerer's ICE credentials.
    pub credentials: Credentials,
    /// Hash function and digest of its certificate.
    pub fingerprint: (String, Vec<u8>),
    /// Its DTLS role.
    pub setup: Setup,
}

impl Transport {
    /// The transport of a section; `None` where it says nothing about one, as a section that is only ever
    /// bundled may.
    pub(super) fn of(
        session: &sdp_types::Session,
        media: &sdp_types::Media,
    ) -> Result<Option<Transport>, OfferError> {
        let said = |name| attribute(session, media, name).is_some();
        if !["ice-ufrag", "ice-pwd", "fingerprint"].into_iter().any(said) {
            return Ok(None);
        }
        Ok(Some(Transport {
            credentials: credentials(session, media)?,
            fingerprint: fingerprint(session, media)?,
            setup: setup(session, media)?,
        }))
    }
}

/// An attribute of the section, else of the session (RFC 8866 §5.13, RFC 8839 §5.4).
fn attribute<'a>(
    session: &'a sdp_types::Session,
    media: &'a sdp_types::Media,
    name: &str,
) -> Option<&'a str> {
    media
        .get_first_attribute_value(name)
        .ok()
        .flatten()
        .or_else(|| session.get_first_attribute_value(name).ok().flatten())
        .map(str::trim)
}

fn credentials(session: &sdp_types::Session, media: &sdp_types::Media) -> Result<Credentials, OfferError> {
    let (Some(ufrag), Some(pwd)) =
        (attribute(session, media, "ice-ufrag"), attribute(session, media, "ice-pwd"))
    else {
        return Err(OfferError::NoCredentials);
    };
    Ok(check_credentials(ufrag, pwd)?)
}

/// Checks lengths and characters (RFC 8839 §5.4).
pub fn check_credentials(ufrag: &str, pwd: &str) -> Result<Credentials, CredentialsError> {
    let ice_chars = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    // Some stacks use characters outside ice-char (`-`, `_`, `=`); they do no harm.
    let lenient = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    for (name, text, range) in [("ice-ufrag", ufrag, 4..=256), ("ice-pwd", pwd, 22..=256)] {
        if !range.contains(&text.len()) || !(ice_chars(text) || lenient(text)) {
            let (min, max) = range.into_inner();
            return Err(CredentialsError { name, min, max, length: text.len() });
        }
    }
    Ok(Credentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
}

fn fingerprint(
    session: &sdp_types::Session,
    media: &sdp_types::Media,
) -> Result<(String, Vec<u8>), OfferError> {
    let lines = media.attributes.iter().chain(&session.attributes);
    let values: Vec<&str> = lines
        .filter(|attribute| attribute.attribute == "fingerprint")
        .filter_map(|attribute| attribute.value.as_deref())
        .take(FINGERPRINTS_MAX)
        .collect();
    if values.is_empty() {
        return Err(OfferError::NoFingerprint);
    }
    // SHA-256 first; SHA-1 only for peers that know nothing else (RFC 8122 §5.1).
    for (hash, length) in [("sha-256", 32), ("sha-1", 20)] {
        for value in &values {
            let Some((name, digits)) = value.trim().split_once(' ') else { continue };
            if !name.eq_ignore_ascii_case(hash) {
                continue;
            }
            let pairs = digits.trim().split(':').take(length + 1);
            let bytes: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
            return match bytes {
                Some(bytes) if bytes.len() == length => Ok((hash.to_owned(), bytes)),
                _ => Err(OfferError::Digest(hash, length)),
            };
        }
    }
    let hashes: Vec<&str> = values.iter().filter_map(|value| value.split_whitespace().next()).collect();
    let hashes = hashes.join(", ");
    Err(OfferError::Hash(shown(&hashes).to_owned()))
}

fn setup(session: &sdp_types::Session, media: &sdp_types::Media) -> Result<Setup, OfferError> {
    match attribute(session, media, "setup") {
        // Absent means active in an offer (RFC 4145 §4.1); browsers always say.
        None | Some("active") => Ok(Setup::Active),
        Some("actpass") => Ok(Setup::ActPass),
        Some("passive") => Ok(Setup::Passive),
        Some(other) => Err(OfferError::Setup(shown(other).to_owned())),
    }
}
