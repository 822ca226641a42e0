//! An SDP offer, checked: what WHEP needs of it, and a clear refusal of everything else.
//!
//! Owns the reading of remote SDP (RFC 8866 syntax by a library, RFC 8839, 8842, 8843 and 9143
//! rules here). Candidates are not read at all: an ICE-lite agent sends no checks and learns
//! addresses from STUN, so no `.local` name is ever resolved. Never makes an answer.

mod payload;
mod refusal;
mod transport;

pub(crate) use sluice_media::shown;

pub use payload::Payload;
pub use refusal::{CredentialsError, OfferError, REASONS, RefusedOffers};
pub use transport::{Setup, Transport, check_credentials};

/// Bytes of an offer at the most. A browser's is 2 to 8 KB.
pub const OFFER_MAX: usize = 64 * 1024;

/// Media sections of an offer at the most. More are a mistake or an attack on the parser.
const SECTIONS_MAX: usize = 16;

/// Lines of an offer at the most. A browser's has about 200, and each costs a look and two allocations: with
/// this bound the longest offer costs five times as much as a browser's.
const LINES_MAX: usize = 1_024;

/// Bytes of an `a=mid` at the most. Those over 16 do without the header extension, which carries no more
/// (RFC 8285 §4.2); some stacks write UUIDs.
const MID_MAX: usize = 64;

/// An offer that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// All media sections in order, those that carry nothing too.
    pub sections: Vec<Section>,
    /// The live ones, in the order of their bundle: its transport is that of the first that is carried
    /// (RFC 9143 §7.3.1).
    pub bundle: Vec<usize>,
    /// Transports of sections, in the order of `bundle`. There is at least one.
    transports: Vec<(usize, Transport)>,
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
    /// It comes with the bundle's transport or not at all (RFC 9143 §6).
    pub bundle_only: bool,
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

impl Offer {
    /// Reads an offer and judges it.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, or why what it says cannot be answered.
    pub fn parse(text: &str) -> Result<Offer, OfferError> {
        Offer::judge(&read(text)?)
    }

    /// Whether a description can be answered, and what of it counts.
    fn judge(session: &sdp_types::Session) -> Result<Offer, OfferError> {
        if session.medias.is_empty() {
            return Err(OfferError::Empty);
        }
        if session.medias.len() > SECTIONS_MAX {
            return Err(OfferError::Sections(session.medias.len()));
        }
        if session.has_attribute("ice-lite") {
            return Err(OfferError::IceLite);
        }
        let sections = session
            .medias
            .iter()
            .enumerate()
            .map(|(index, media)| section(session, index, media))
            .collect::<Result<Vec<_>, _>>()?;
        check_counts(&sections)?;
        let bundle = bundle(session, &sections)?;
        if bundle.is_empty() {
            return Err(OfferError::Disabled);
        }
        let transports = transports(session, &sections, &bundle)?;
        Ok(Offer { sections, bundle, transports })
    }

    /// The transport of the bundle if the sections that `carried` tells are carried.
    pub fn transport(&self, carried: impl Fn(usize) -> bool) -> &Transport {
        let of_carried = self.transports.iter().find(|(index, _)| carried(*index));
        // What is carried may have none of its own: then it shares that of any other.
        &of_carried.unwrap_or(&self.transports[0]).1
    }

    /// Whether two sections of the bundle may have one transport and no other: what comes with the bundle or not at all,
    /// what says nothing about one, and what has the same credentials. Chromium writes `bundle-only` in no first offer.
    pub fn share_transport(&self, first: usize, other: usize) -> bool {
        let of = |wanted| self.transports.iter().find(|(index, _)| *index == wanted);
        let credentials = |index| of(index).map(|(_, transport)| &transport.credentials);
        let own = credentials(other);
        self.sections[other].bundle_only || own.is_none() || own == credentials(first)
    }

    /// Forgets that the peer could be sent lost packets again. What is left is answered without RTX, and
    /// therefore without NACK; requests for keyframes stay.
    pub fn forget_repair(&mut self) {
        for section in &mut self.sections {
            section.payloads.retain(|payload| !payload.is_repair());
        }
    }

    /// Forgets that the peer takes packets with the one before them in front.
    pub fn forget_redundancy(&mut self) {
        for section in &mut self.sections {
            section.payloads.retain(|payload| !payload.is_redundancy());
        }
    }
}

/// Reads a description: its lines within bounds, and the grammar by a library.
fn read(text: &str) -> Result<sdp_types::Session, OfferError> {
    // Editors of Windows put a byte order mark before a text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().count();
    if lines > LINES_MAX {
        return Err(OfferError::Lines(lines));
    }
    check_lines(text)?;
    sdp_types::Session::parse(text.as_bytes()).map_err(|error| OfferError::Syntax(error.to_string()))
}

/// Checks what the library leaves open: its parser panics behind a line without a type, and it keeps
/// a lone CR, which would begin a line of its own in our answer.
fn check_lines(text: &str) -> Result<(), OfferError> {
    for (index, line) in text.lines().enumerate() {
        let typed = line.is_empty() || matches!(line.as_bytes(), [kind, b'=', ..] if *kind != b'=');
        if !typed {
            return Err(OfferError::Line(index + 1, "does not begin with a letter and \"=\""));
        }
        // Nearly always ASCII, which is quicker to look through.
        let control = match line.is_ascii() {
            true => line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t'),
            false => line.chars().any(|c| c.is_control() && c != '\t'),
        };
        if control {
            return Err(OfferError::Line(index + 1, "holds a control character"));
        }
    }
    Ok(())
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
    let bundle_only = media.port == 0 && media.has_attribute("bundle-only");
    let disabled = media.port == 0 && !bundle_only;
    let mid = media.get_first_attribute_value("mid").ok().flatten().unwrap_or_default().trim().to_owned();
    let usable = mid.len() <= MID_MAX && mid.bytes().all(|byte| byte.is_ascii_graphic());
    if !disabled && (mid.is_empty() || !usable) {
        return Err(OfferError::Mid(index, shown(&mid).to_owned()));
    }
    if kind != SectionKind::Other && !disabled {
        if !receives(session, media) {
            return Err(OfferError::Direction(index));
        }
        if !media.proto.contains("RTP/SAVP") {
            return Err(OfferError::Protocol(index, shown(&media.proto).to_owned()));
        }
    }
    Ok(Section {
        kind,
        disabled,
        bundle_only,
        payloads: match kind {
            SectionKind::Audio | SectionKind::Video if !disabled => payload::payloads(index, media)?,
            _ => Vec::new(),
        },
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
            return Err(OfferError::Several(count, name));
        }
    }
    Ok(())
}

/// The live sections in the order of their bundle. All must be in one: there is only one transport
/// (RFC 9725 §4.4).
fn bundle(session: &sdp_types::Session, sections: &[Section]) -> Result<Vec<usize>, OfferError> {
    let live = || sections.iter().enumerate().filter(|(_, section)| !section.disabled);
    let mut unique: Vec<&str> = live().map(|(_, section)| section.mid.as_str()).collect();
    let count = unique.len();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() != count {
        return Err(OfferError::SameMid);
    }
    if count < 2 {
        return Ok(live().map(|(index, _)| index).collect());
    }
    let groups = session.attributes.iter().filter(|attribute| attribute.attribute == "group");
    let bundles = groups.filter_map(|group| group.value.as_deref()?.strip_prefix("BUNDLE "));
    // A section is in one bundle at the most, so more bundles or members than sections mean nothing.
    for bundle in bundles.take(SECTIONS_MAX) {
        let members = bundle.split_whitespace().take(SECTIONS_MAX);
        let mut order: Vec<usize> = members
            .filter_map(|mid| live().find(|(_, section)| section.mid == mid).map(|(index, _)| index))
            .collect();
        // A member that is named twice.
        let mut seen = [false; SECTIONS_MAX];
        order.retain(|&index| !std::mem::replace(&mut seen[index], true));
        if order.len() == count {
            return Ok(order);
        }
    }
    Err(OfferError::Bundle)
}

/// The transports that an answer may have to choose from: those of media. Another section's counts only
/// where media says nothing about one.
fn transports(
    session: &sdp_types::Session,
    sections: &[Section],
    bundle: &[usize],
) -> Result<Vec<(usize, Transport)>, OfferError> {
    let (media, other): (Vec<usize>, Vec<usize>) =
        bundle.iter().partition(|&&index| sections[index].kind != SectionKind::Other);
    for group in [media, other] {
        let mut found = Vec::new();
        for index in group {
            match Transport::of(session, &session.medias[index]) {
                Ok(transport) => found.extend(transport.map(|transport| (index, transport))),
                // A later one is not needed.
                Err(_) if !found.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(OfferError::NoCredentials)
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

#[cfg(test)]
#[path = "offer_tests.rs"]
mod tests;
