//! The payload types of a media section, and what its attributes say about each.

use sluice_media::{Codec, StaticType, fmtp, shown, static_type};

use super::OfferError;

/// Payload types of a media section at the most: RTP has no more numbers (RFC 3550 §5.1). Without this
/// bound the work of reading a section would grow with the square of its length.
pub(super) const FORMATS_MAX: usize = 128;

/// The feedback that an answer may agree to, in the order in which it does (RFC 4585 §4.2, RFC 5104 §7.1).
/// Whatever else is offered is not kept: a line for all payload types would be kept once for each.
pub const FEEDBACK: [&str; 4] = ["nack", "nack pli", "ccm fir", "goog-remb"];

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
    /// Which kinds of feedback it is offered with, in an `a=rtcp-fb` of its own or for all (`*`).
    pub feedback: [bool; FEEDBACK.len()],
}

impl Payload {
    /// Whether it carries retransmissions of another payload type (RFC 4588 §8.1).
    pub fn is_repair(&self) -> bool {
        self.name.eq_ignore_ascii_case("rtx")
    }

    /// Whether it carries earlier packets in front of others (RFC 2198).
    pub fn is_redundancy(&self) -> bool {
        self.name.eq_ignore_ascii_case("red")
    }

    /// Whether it carries one earlier packet of `media` in front of each: two of its own, and nothing else.
    pub fn is_redundancy_of(&self, media: &Payload) -> bool {
        let of_media = |number: &str| number.parse() == Ok(media.payload_type);
        self.is_redundancy()
            && (self.clock_rate, self.channels) == (media.clock_rate, media.channels)
            && self.format.split_once('/').is_some_and(|(a, b)| of_media(a) && of_media(b))
    }

    /// The value of a parameter of `a=fmtp`, names compared without regard to case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        fmtp::parameter(&self.format, name)
    }

    /// The feedback it is offered with, of what an answer may agree to.
    pub fn feedback(&self) -> impl Iterator<Item = &'static str> {
        FEEDBACK.into_iter().zip(self.feedback).filter_map(|(name, offered)| offered.then_some(name))
    }
}

/// The payload types of section `index` whose encoding is known.
pub(super) fn payloads(index: usize, media: &sdp_types::Media) -> Result<Vec<Payload>, OfferError> {
    let count = media.fmt.split_whitespace().count();
    if count > FORMATS_MAX {
        return Err(OfferError::PayloadTypes(index, count));
    }
    let mut types = Vec::with_capacity(count);
    for format in media.fmt.split_whitespace() {
        let Some(payload_type) = format.parse::<u8>().ok().filter(|&number| number < 128) else {
            return Err(OfferError::PayloadType(index, shown(format).to_owned()));
        };
        if !types.contains(&payload_type) {
            types.push(payload_type);
        }
    }
    let lines = lines_by_type(media, &types);
    let mut found = Vec::with_capacity(types.len());
    for (payload_type, lines) in types.into_iter().zip(lines) {
        // On a port shared with RTCP these would be taken for RTCP (RFC 5761 §4).
        if (64..96).contains(&payload_type) {
            continue;
        }
        let (name, clock_rate, channels) = match (lines.map, carried_static_type(payload_type)) {
            (Some(map), _) => {
                let mut parts = map.split('/');
                let name = parts.next().unwrap_or_default();
                let clock_rate = parts.next().and_then(|rate| rate.parse().ok());
                let channels = parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1);
                let Some(clock_rate) = clock_rate else {
                    return Err(OfferError::ClockRate(index, payload_type, shown(map).to_owned()));
                };
                (name, clock_rate, channels)
            }
            (None, Some(known)) => (known.name, known.clock_rate, known.channels.unwrap_or(1) as u8),
            (None, None) => continue,
        };
        found.push(Payload {
            payload_type,
            name: name.to_owned(),
            clock_rate,
            channels,
            format: lines.format.unwrap_or_default().to_owned(),
            feedback: lines.feedback,
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
    /// Every `a=rtcp-fb` that counts.
    feedback: [bool; FEEDBACK.len()],
}

/// The attributes of a section by payload type, in the order of `types`. One pass: browsers offer some
/// twenty types in a hundred lines. A line costs the same whatever it says; what holds for all types is
/// gathered once and given to each at the end.
fn lines_by_type<'a>(media: &'a sdp_types::Media, types: &[u8]) -> Vec<Lines<'a>> {
    let mut places = [None; 128];
    for (place, &payload_type) in types.iter().enumerate() {
        places[usize::from(payload_type)] = Some(place);
    }
    let mut lines = vec![Lines::default(); types.len()];
    let mut for_all = [false; FEEDBACK.len()];
    for attribute in &media.attributes {
        let name = attribute.attribute.as_str();
        if !matches!(name, "rtpmap" | "fmtp" | "rtcp-fb") {
            continue;
        }
        let Some((wanted, value)) = attribute.value.as_deref().and_then(|value| value.split_once(' ')) else {
            continue;
        };
        let value = value.trim();
        let feedback = FEEDBACK.iter().position(|known| name == "rtcp-fb" && *known == value);
        if let ("*", Some(feedback)) = (wanted, feedback) {
            for_all[feedback] = true;
        }
        let place = wanted.parse::<u8>().ok().and_then(|number| *places.get(usize::from(number))?);
        let Some(lines) = place.and_then(|place| lines.get_mut(place)) else { continue };
        match (name, feedback) {
            ("rtpmap", _) => _ = lines.map.get_or_insert(value),
            ("fmtp", _) => _ = lines.format.get_or_insert(value),
            (_, Some(feedback)) => lines.feedback[feedback] = true,
            _ => {}
        }
    }
    for lines in &mut lines {
        lines.feedback.iter_mut().zip(for_all).for_each(|(own, all)| *own |= all);
    }
    lines
}

/// A payload type that needs no `a=rtpmap`, if it is one that we may answer with.
fn carried_static_type(payload_type: u8) -> Option<StaticType> {
    static_type(payload_type).filter(|known| Codec::of_name(known.name).is_some())
}
