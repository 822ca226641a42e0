//! An SDP offer, checked: what WHEP needs of it, and a clear refusal of everything else.
//!
//! Owns the reading of remote SDP (RFC 8866 syntax by a library, RFC 8839, 8842, 8843 and 9143
//! rules here). Candidates are not read at all: an ICE-lite agent sends no checks and learns
//! addresses from STUN, so no `.local` name is ever resolved. Never makes an answer.

use crate::viewer::Credentials;

/// Bytes of an offer at the most. A browser's is 2 to 8 KB.
pub const OFFER_MAX: usize = 64 * 1024;

/// Media sections of an offer at the most. More are a mistake or an attack on the parser.
const SECTIONS_MAX: usize = 16;

/// Payload types of a media section at the most: RTP has no more numbers (RFC 3550 §5.1). Without this
/// bound the work of reading a section would grow with the square of its length.
const FORMATS_MAX: usize = 128;

/// Bytes of a `a=mid` at the most: what one header extension element carries in its short form
/// (RFC 8285 §4.2).
const MID_MAX: usize = 16;

/// Why an offer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Not SDP: 400.
    #[error("the body is not SDP: {0}")]
    Malformed(String),
    /// SDP, but nothing this server can answer: 422.
    #[error("{0}")]
    Unacceptable(String),
}

fn refuse<T>(why: impl Into<String>) -> Result<T, OfferError> {
    Err(OfferError::Unacceptable(why.into()))
}

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

/// An offer that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// ICE credentials; those of the first section, all sections share one transport.
    pub credentials: Credentials,
    /// Hash function and digest of the certificate.
    pub fingerprint: (String, Vec<u8>),
    /// DTLS role.
    pub setup: Setup,
    /// All media sections in order, those that carry nothing too.
    pub sections: Vec<Section>,
}

/// What kind of media section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionKind {
    /// `m=audio`
    Audio,
    /// `m=video`
    Video,
    /// Anything else, such as the data channel that some players always offer.
    Other,
}

/// One media section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What kind.
    pub kind: SectionKind,
    /// The offerer does not want it: port 0 and not `bundle-only` (RFC 9143 §6).
    pub disabled: bool,
    /// `a=mid`; empty only in a disabled section.
    pub mid: String,
    /// Media of the `m=` line, repeated with the protocol in the answer.
    pub media: String,
    /// Protocol of the `m=` line.
    pub proto: String,
    /// Formats of the `m=` line, repeated where an `application` section is rejected.
    pub formats: String,
    /// Payload types with a known encoding.
    pub payloads: Vec<Payload>,
    /// Header extensions: id and URI.
    pub extensions: Vec<(u8, String)>,
}

/// One payload type of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// 0 to 127.
    pub payload_type: u8,
    /// Encoding name as written.
    pub name: String,
    /// Clock rate in Hz.
    pub clock_rate: u32,
    /// Channels; 1 if not given.
    pub channels: u8,
    /// `a=fmtp` value, empty if there is none.
    pub format: String,
    /// `a=rtcp-fb` values, those for all payload types (`*`) too.
    pub feedback: Vec<String>,
}

impl Payload {
    /// Whether it carries retransmissions of another payload type (RFC 4588 §8.1).
    pub fn is_repair(&self) -> bool {
        self.name.eq_ignore_ascii_case("rtx")
    }

    /// The value of a parameter of `a=fmtp`, names compared without regard to case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.format.split(';').find_map(|item| {
            let (key, value) = item.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Offer {
    /// Reads an offer.
    pub fn parse(text: &str) -> Result<Offer, OfferError> {
        check_lines(text).map_err(OfferError::Malformed)?;
        let session = sdp_types::Session::parse(text.as_bytes())
            .map_err(|error| OfferError::Malformed(error.to_string()))?;
        if session.medias.is_empty() {
            return refuse("the offer has no media section");
        }
        if session.medias.len() > SECTIONS_MAX {
            return refuse(format!(
                "the offer has {} media sections; {SECTIONS_MAX} are allowed",
                session.medias.len()
            ));
        }
        if session.has_attribute("ice-lite") {
            return refuse("the offer is of an ICE-lite agent; one of the two sides must do full ICE");
        }
        let sections = session
            .medias
            .iter()
            .enumerate()
            .map(|(index, media)| section(&session, index, media))
            .collect::<Result<Vec<_>, _>>()?;
        check_counts(&sections)?;
        check_bundle(&session, &sections)?;
        let first = sections.iter().position(|section| !section.disabled);
        let Some(media) = first.map(|index| &session.medias[index]) else {
            return refuse("every media section of the offer is disabled");
        };
        Ok(Offer {
            credentials: credentials(&session, media)?,
            fingerprint: fingerprint(&session, media)?,
            setup: setup(&session, media)?,
            sections,
        })
    }

    /// Forgets that the peer could be sent lost packets again. What is left is answered without RTX, and
    /// therefore without NACK; requests for keyframes stay.
    pub fn forget_repair(&mut self) {
        for section in &mut self.sections {
            section.payloads.retain(|payload| !payload.is_repair());
        }
    }
}

/// Checks what the library leaves open: its parser panics behind a line without a type, and it keeps
/// a lone CR, which would begin a line of its own in our answer.
fn check_lines(text: &str) -> Result<(), String> {
    for (index, line) in text.lines().enumerate() {
        let typed = line.is_empty() || matches!(line.as_bytes(), [kind, b'=', ..] if *kind != b'=');
        if !typed {
            return Err(format!("line {} does not begin with a letter and \"=\"", index + 1));
        }
        // Nearly always ASCII, which is quicker to look through.
        let control = match line.is_ascii() {
            true => line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t'),
            false => line.chars().any(|c| c.is_control() && c != '\t'),
        };
        if control {
            return Err(format!("line {} holds a control character", index + 1));
        }
    }
    Ok(())
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

fn section(
    session: &sdp_types::Session,
    index: usize,
    media: &sdp_types::Media,
) -> Result<Section, OfferError> {
    let kind = match media.media.as_str() {
        "audio" => SectionKind::Audio,
        "video" => SectionKind::Video,
        _ => SectionKind::Other,
    };
    let disabled = media.port == 0 && !media.has_attribute("bundle-only");
    let mid = media.get_first_attribute_value("mid").ok().flatten().unwrap_or_default().trim().to_owned();
    let usable = mid.len() <= MID_MAX && mid.bytes().all(|byte| byte.is_ascii_graphic());
    if !disabled && (mid.is_empty() || !usable) {
        return refuse(format!(
            "media section {index} needs an a=mid of 1 to {MID_MAX} visible characters, not {mid:?}"
        ));
    }
    if kind != SectionKind::Other && !disabled {
        if !receives(session, media) {
            return refuse(format!(
                "media section {index} does not receive: a viewer offers recvonly or sendrecv"
            ));
        }
        if !media.proto.contains("RTP/SAVP") {
            return refuse(format!(
                "media section {index} uses {}; only UDP/TLS/RTP/SAVPF is carried",
                media.proto
            ));
        }
    }
    Ok(Section {
        kind,
        disabled,
        payloads: if kind == SectionKind::Other || disabled { Vec::new() } else { payloads(index, media)? },
        extensions: extensions(media),
        mid: if usable { mid } else { String::new() },
        media: media.media.clone(),
        proto: media.proto.clone(),
        formats: media.fmt.clone(),
    })
}

/// Whether the offerer takes media: by the section's direction, else the session's, else yes
/// (RFC 8866 §6.7).
fn receives(session: &sdp_types::Session, media: &sdp_types::Media) -> bool {
    let said = |attributes: &[sdp_types::Attribute]| {
        attributes.iter().find_map(|attribute| match attribute.attribute.as_str() {
            "recvonly" | "sendrecv" => Some(true),
            "sendonly" | "inactive" => Some(false),
            _ => None,
        })
    };
    said(&media.attributes).or_else(|| said(&session.attributes)).unwrap_or(true)
}

fn check_counts(sections: &[Section]) -> Result<(), OfferError> {
    for (kind, name) in [(SectionKind::Audio, "audio"), (SectionKind::Video, "video")] {
        let count = sections.iter().filter(|section| section.kind == kind && !section.disabled).count();
        if count > 1 {
            return refuse(format!(
                "the offer has {count} {name} sections; a stream has at most one audio and one video"
            ));
        }
    }
    Ok(())
}

/// All live sections must share one transport, the only one this server offers (RFC 9725 §4.4).
fn check_bundle(session: &sdp_types::Session, sections: &[Section]) -> Result<(), OfferError> {
    let live: Vec<&str> =
        sections.iter().filter(|section| !section.disabled).map(|section| section.mid.as_str()).collect();
    let mut unique = live.clone();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() != live.len() {
        return refuse("two media sections have the same a=mid");
    }
    if live.len() < 2 {
        return Ok(());
    }
    let bundled = session.attributes.iter().any(|attribute| {
        let mut words = attribute.value.as_deref().unwrap_or_default().split_whitespace();
        if attribute.attribute != "group" || words.next() != Some("BUNDLE") {
            return false;
        }
        let mids: Vec<&str> = words.collect();
        live.iter().all(|mid| mids.contains(mid))
    });
    if bundled { Ok(()) } else { refuse("all media sections must be in one a=group:BUNDLE") }
}

fn payloads(index: usize, media: &sdp_types::Media) -> Result<Vec<Payload>, OfferError> {
    let formats: Vec<&str> = media.fmt.split_whitespace().collect();
    if formats.len() > FORMATS_MAX {
        return refuse(format!(
            "media section {index} lists {} payload types; {FORMATS_MAX} are allowed",
            formats.len()
        ));
    }
    let mut types = Vec::with_capacity(formats.len());
    for format in formats {
        let Some(payload_type) = format.parse::<u8>().ok().filter(|&number| number < 128) else {
            return refuse(format!("media section {index}: {format:?} is not a payload type of 0 to 127"));
        };
        if !types.contains(&payload_type) {
            types.push(payload_type);
        }
    }
    let lines = lines_by_type(media, &types);
    let mut found = Vec::with_capacity(types.len());
    for (payload_type, lines) in types.into_iter().zip(lines) {
        let Some(map) = lines.map.or(static_map(payload_type)) else { continue };
        // On a port shared with RTCP these would be taken for RTCP (RFC 5761 §4).
        if (64..96).contains(&payload_type) {
            continue;
        }
        let mut parts = map.split('/');
        let name = parts.next().unwrap_or_default().to_owned();
        let clock_rate = parts.next().and_then(|rate| rate.parse().ok());
        let channels = parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1);
        let Some(clock_rate) = clock_rate else {
            return refuse(format!("media section {index}: a=rtpmap:{payload_type} {map} has no clock rate"));
        };
        found.push(Payload {
            payload_type,
            name,
            clock_rate,
            channels,
            format: lines.format.unwrap_or_default().to_owned(),
            feedback: lines.feedback.into_iter().map(str::to_owned).collect(),
        });
    }
    Ok(found)
}

/// What a section's attributes say about one payload type.
#[derive(Debug, Clone, Default)]
struct Lines<'a> {
    /// The first `a=rtpmap`.
    map: Option<&'a str>,
    /// The first `a=fmtp`.
    format: Option<&'a str>,
    /// Every `a=rtcp-fb`.
    feedback: Vec<&'a str>,
}

/// The attributes of a section by payload type, in the order of `types`. One pass: browsers offer some
/// twenty types in a hundred lines.
fn lines_by_type<'a>(media: &'a sdp_types::Media, types: &[u8]) -> Vec<Lines<'a>> {
    let mut places = [None; 128];
    for (place, &payload_type) in types.iter().enumerate() {
        places[usize::from(payload_type)] = Some(place);
    }
    let mut lines = vec![Lines::default(); types.len()];
    for attribute in &media.attributes {
        let add: fn(&mut Lines<'a>, &'a str) = match attribute.attribute.as_str() {
            "rtpmap" => |lines, value| _ = lines.map.get_or_insert(value),
            "fmtp" => |lines, value| _ = lines.format.get_or_insert(value),
            "rtcp-fb" => |lines, value| lines.feedback.push(value),
            _ => continue,
        };
        let Some((wanted, value)) = attribute.value.as_deref().and_then(|value| value.split_once(' ')) else {
            continue;
        };
        if wanted == "*" {
            lines.iter_mut().for_each(|lines| add(lines, value.trim()));
        } else if let Ok(payload_type) = wanted.parse::<u8>()
            && let Some(place) = places.get(usize::from(payload_type)).copied().flatten()
        {
            add(&mut lines[place], value.trim());
        }
    }
    lines
}

/// Payload types that need no `a=rtpmap` (RFC 3551 §6).
fn static_map(payload_type: u8) -> Option<&'static str> {
    match payload_type {
        0 => Some("PCMU/8000"),
        8 => Some("PCMA/8000"),
        _ => None,
    }
}

fn extensions(media: &sdp_types::Media) -> Vec<(u8, String)> {
    let lines = media.attributes.iter().filter(|attribute| attribute.attribute == "extmap");
    lines
        .filter_map(|attribute| {
            let mut words = attribute.value.as_deref()?.split_whitespace();
            // The id may carry a direction: `3/recvonly`.
            let id = words.next()?.split('/').next()?.parse().ok()?;
            Some((id, words.next()?.to_owned()))
        })
        // The one-byte form only (RFC 8285 §4.2); 15 is reserved.
        .filter(|(id, _)| (1..=14).contains(id))
        .collect()
}

fn credentials(session: &sdp_types::Session, media: &sdp_types::Media) -> Result<Credentials, OfferError> {
    let (Some(ufrag), Some(pwd)) =
        (attribute(session, media, "ice-ufrag"), attribute(session, media, "ice-pwd"))
    else {
        return refuse("the offer has no a=ice-ufrag and a=ice-pwd");
    };
    check_credentials(ufrag, pwd).map_err(OfferError::Unacceptable)
}

/// Checks lengths and characters (RFC 8839 §5.4).
pub fn check_credentials(ufrag: &str, pwd: &str) -> Result<Credentials, String> {
    let ice_chars = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    // Some stacks use characters outside ice-char (`-`, `_`, `=`); they do no harm.
    let lenient = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    for (name, text, range) in [("ice-ufrag", ufrag, 4..=256), ("ice-pwd", pwd, 22..=256)] {
        if !range.contains(&text.len()) || !(ice_chars(text) || lenient(text)) {
            return Err(format!(
                "a={name} must be {} to {} characters long without spaces or colons; it has {}",
                range.start(),
                range.end(),
                text.len()
            ));
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
        .collect();
    if values.is_empty() {
        return refuse("the offer has no a=fingerprint: media is only sent encrypted");
    }
    // SHA-256 first; SHA-1 only for peers that know nothing else (RFC 8122 §5.1).
    for (hash, length) in [("sha-256", 32), ("sha-1", 20)] {
        for value in &values {
            let Some((name, digits)) = value.trim().split_once(' ') else { continue };
            if !name.eq_ignore_ascii_case(hash) {
                continue;
            }
            let bytes: Option<Vec<u8>> =
                digits.trim().split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
            return match bytes {
                Some(bytes) if bytes.len() == length => Ok((hash.to_owned(), bytes)),
                _ => refuse(format!("a=fingerprint:{hash} is not {length} bytes of hexadecimal pairs")),
            };
        }
    }
    let hashes: Vec<&str> = values.iter().filter_map(|value| value.split_whitespace().next()).collect();
    refuse(format!("the offer needs an a=fingerprint by sha-256; it has {}", hashes.join(", ")))
}

fn setup(session: &sdp_types::Session, media: &sdp_types::Media) -> Result<Setup, OfferError> {
    match attribute(session, media, "setup") {
        // Absent means active in an offer (RFC 4145 §4.1); browsers always say.
        None | Some("active") => Ok(Setup::Active),
        Some("actpass") => Ok(Setup::ActPass),
        Some("passive") => Ok(Setup::Passive),
        Some(other) => refuse(format!("a=setup:{other} cannot be answered; use actpass, active or passive")),
    }
}

#[cfg(test)]
#[path = "offer_tests.rs"]
mod tests;
