//! Session descriptions (RFC 8866) as cameras write them.
//!
//! Owns the reading of `m=`, `c=`, `a=rtpmap`, `a=fmtp`, `a=control` and `a=framerate`, and of `s=`, `i=` and the session's own
//! attributes as words that may name a maker. Every other line is skipped unread, and so is each of these that cannot be read: a session name in GBK or a `c=` cut short is no reason to have no
//! picture.

use std::net::Ipv4Addr;

use sluice_media::{Codec, Kind, VideoCodec, static_type};

use super::sound::Sound;

/// Sections that are read. Cameras have three or four; those behind are only counted. Raising it costs memory and
/// time for a camera that lists thousands.
pub(super) const MAX_SECTIONS: usize = 32;

/// `a=rtpmap` and `a=fmtp` lines of one section that are kept, each.
const MAX_FORMATS: usize = 16;

/// Lines that may name the maker, and characters of each. Cameras have six of some thirty.
const MAX_SAID: usize = 12;
const MAX_SAID_CHARS: usize = 80;

/// What a camera offers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Description {
    /// `a=control` of the session as a whole.
    pub(super) control: Option<String>,
    /// `c=` of the session as a whole, if it is a group's.
    pub(super) group: Option<(Ipv4Addr, Option<u8>)>,
    pub(super) media: Vec<Media>,
    /// Sections that were not read, because there are too many.
    pub(super) more: usize,
    /// What the camera says of itself: `Server` of its answer, `s=`, `i=`, and attributes of the session.
    pub(super) said: Vec<String>,
}

impl Description {
    /// Keeps a line in which the camera may name its maker.
    pub(super) fn say(&mut self, line: &str) {
        if self.said.len() < MAX_SAID {
            self.said.push(line.chars().take(MAX_SAID_CHARS).collect());
        }
    }
}

/// One `m=` section.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Media {
    /// `video`, `audio`, `application`, in lower case.
    pub(super) kind: String,
    /// Of its first format that we carry, else of the first. `None` if it is no number, as in private sections.
    pub(super) payload_type: Option<u8>,
    /// Its other formats of the same encoding and clock.
    pub(super) more_types: Vec<u8>,
    /// Encoding name in lower case; empty if it cannot be told.
    pub(super) encoding: String,
    pub(super) clock_rate: u32,
    pub(super) channels: Option<u16>,
    /// Format parameters, as they came.
    pub(super) fmtp: Option<String>,
    pub(super) control: Option<String>,
    pub(super) frame_rate: Option<f32>,
    /// Says `a=sendonly`: in ONVIF the way back, for sound to the camera. Others say it of what they send.
    pub(super) send_only: bool,
    /// `c=`, if it is a group's, and the port of `m=`: where it is sent to, once for all.
    pub(super) group: Option<(Ipv4Addr, Option<u8>)>,
    pub(super) port: Option<u16>,
    /// Whether its profile lets it be told what is missed (`RTP/AVPF`, RFC 4585 §4).
    pub(super) feedback: bool,
}

/// A section as its lines have it.
#[derive(Default)]
struct Lines<'a> {
    kind: &'a str,
    profile: &'a str,
    port: Option<u16>,
    group: Option<(Ipv4Addr, Option<u8>)>,
    formats: Vec<&'a str>,
    maps: Vec<(&'a str, &'a str)>,
    parameters: Vec<(&'a str, &'a str)>,
    control: Option<&'a str>,
    frame_rate: Option<f32>,
    send_only: bool,
}

/// Reads a session description; of what is none, nothing.
pub(super) fn read(body: &[u8]) -> Description {
    let text = unfolded(&String::from_utf8_lossy(body));
    let mut description = Description::default();
    let mut section: Option<Lines<'_>> = None;
    for line in text.split('\n') {
        if let Some(value) = line.strip_prefix("m=") {
            description.media.extend(section.take().map(Lines::media));
            if description.media.len() == MAX_SECTIONS {
                description.more += 1;
            } else {
                section = Some(Lines::new(value));
            }
        } else if let Some(value) = line.strip_prefix("c=") {
            match &mut section {
                Some(section) => section.group = group(value),
                None if description.media.is_empty() => description.group = group(value),
                None => {}
            }
        } else if let Some(value) = line.strip_prefix("a=") {
            match &mut section {
                Some(section) => section.attribute(value),
                None if description.media.is_empty() => {
                    description.say(value);
                    let control =
                        value.strip_prefix("control:").map(str::trim).filter(|text| !text.is_empty());
                    description.control = description.control.or(control.map(str::to_owned));
                }
                None => {}
            }
        } else if let Some(value) = line.strip_prefix("s=").or_else(|| line.strip_prefix("i="))
            && section.is_none()
        {
            description.say(value);
        }
    }
    description.media.extend(section.map(Lines::media));
    description
}

/// `IN IP4 239.1.2.3/16`: the group and how far it is sent, if it is one.
fn group(value: &str) -> Option<(Ipv4Addr, Option<u8>)> {
    let mut parts = value.split_whitespace().nth(2)?.split('/');
    let address = parts.next()?.parse().ok().filter(Ipv4Addr::is_multicast)?;
    Some((address, parts.next().and_then(|ttl| ttl.parse().ok())))
}

/// One line each, without what is no text at its ends. One that begins with a blank goes on with the line before,
/// unless it has a type of its own: some cameras fold long lines, others indent all.
fn unfolded(text: &str) -> String {
    let is_nothing = |c: char| c.is_whitespace() || c == '\0';
    let mut lines = String::with_capacity(text.len());
    for line in text.split(['\n', '\r']) {
        let trimmed = line.trim_matches(is_nothing);
        let has_type = matches!(trimmed.as_bytes(), [b'a'..=b'z', b'=', ..]);
        match trimmed.is_empty() {
            true => continue,
            false if line.starts_with([' ', '\t']) && !has_type => lines.push(' '),
            false => lines.push('\n'),
        }
        lines.push_str(trimmed);
    }
    lines
}

impl<'a> Lines<'a> {
    /// `video 0 RTP/AVP 96 97`. The port means something for groups only.
    fn new(value: &'a str) -> Lines<'a> {
        let mut words = value.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let port = words.next().and_then(|port| port.parse().ok()).filter(|port| *port > 0);
        let profile = words.next().unwrap_or_default();
        let formats = words.take(MAX_FORMATS).collect();
        Lines { kind, profile, port, formats, ..Lines::default() }
    }

    fn attribute(&mut self, attribute: &'a str) {
        let Some((name, value)) = attribute.split_once(':') else {
            self.send_only |= attribute.eq_ignore_ascii_case("sendonly");
            return;
        };
        let value = value.trim();
        let by_format = || {
            let (format, value) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
            (format, value.trim())
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "rtpmap" if self.maps.len() < MAX_FORMATS => self.maps.push(by_format()),
            "fmtp" if self.parameters.len() < MAX_FORMATS => self.parameters.push(by_format()),
            "control" if !value.is_empty() => self.control = self.control.or(Some(value)),
            "framerate" => {
                let rate = value.parse::<f32>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
                self.frame_rate = self.frame_rate.or(rate);
            }
            _ => {}
        }
    }

    fn media(self) -> Media {
        let kind = self.kind.to_ascii_lowercase();
        let formats: Vec<&str> = match self.formats.as_slice() {
            // `m=video` cut short: what is mapped is what is offered.
            [] => self.maps.iter().map(|(format, _)| *format).collect(),
            formats => formats.to_vec(),
        };
        let described = || formats.iter().map(|format| self.describe(&kind, format));
        let carried = |media: &Media| Codec::of_name(&media.encoding).is_some();
        // Beside sound that becomes Opus there may be telephone events before it, and comfort noise.
        let turned = |media: &Media| {
            let fmtp = media.fmtp.as_deref().unwrap_or_default();
            matches!(Sound::of(&media.encoding, media.clock_rate, media.channels, fmtp), Some(Ok(_)))
        };
        let first = || described().find(turned).or_else(|| described().next());
        let media = described().find(carried).or_else(first).unwrap_or_default();
        let same = |other: &Media| {
            other.payload_type != media.payload_type
                && (&other.encoding, other.clock_rate, other.channels)
                    == (&media.encoding, media.clock_rate, media.channels)
        };
        let more_types = match media.encoding.is_empty() {
            true => Vec::new(),
            false => described().filter(same).filter_map(|other| other.payload_type).collect(),
        };
        let control = self.control.map(str::to_owned);
        let feedback = self.profile.to_ascii_uppercase().ends_with("AVPF");
        Media {
            kind,
            more_types,
            control,
            frame_rate: self.frame_rate,
            send_only: self.send_only,
            group: self.group,
            port: self.port,
            feedback,
            ..media
        }
    }

    /// One of the section's formats.
    fn describe(&self, kind: &str, format: &str) -> Media {
        let payload_type = format.parse().ok().filter(|number| *number < 128_u8);
        let only = |lines: &[(&'a str, &'a str)]| match lines {
            [(_, only)] if self.formats.len() <= 1 => Some(*only),
            _ => None,
        };
        let mapped = || self.maps.first().and_then(|(number, _)| number.parse().ok());
        let payload_type =
            payload_type.or_else(|| only(&self.maps).and_then(|_| mapped()).filter(|number| *number < 128));
        let of = |lines: &[(&'a str, &'a str)]| {
            lines.iter().find(|(this, _)| *this == format).map(|(_, value)| *value)
        };
        // A map or parameters for another number, in a section of one format, can only mean that one.
        let known = payload_type.and_then(static_type);
        let map = of(&self.maps).or_else(|| if known.is_none() { only(&self.maps) } else { None });
        // Parameters of one format may be spread over lines.
        let joined = |format: &str| {
            let lines = self.parameters.iter().filter(|(this, _)| *this == format);
            let values: Vec<&str> = lines.map(|(_, value)| value.trim_matches([' ', ';'])).collect();
            (!values.is_empty()).then(|| values.join(";"))
        };
        let other = || match self.parameters.first() {
            Some((number, _)) if ["video", "audio"].contains(&kind) && self.formats.len() <= 1 => {
                joined(number)
            }
            _ => None,
        };
        let fmtp = joined(format).or_else(other);
        let (encoding, clock_rate, channels) = match (map, known) {
            (Some(map), _) => {
                let mut parts = map.split('/').map(str::trim);
                let encoding = match parts.next().unwrap_or_default().to_ascii_lowercase() {
                    // The trade's name of the codec, not its registered one (RFC 7798 §7.1).
                    name if name == "hevc" => "h265".to_owned(),
                    name => name,
                };
                let clock_rate = parts.next().and_then(|rate| rate.parse().ok()).filter(|rate| *rate > 0);
                let channels =
                    parts.next().and_then(|channels| channels.parse().ok()).filter(|count| *count > 0);
                let usual = match Codec::of_name(&encoding) {
                    Some(codec) => codec.clock_rate(),
                    None if kind == Kind::Video.name() => VideoCodec::CLOCK_RATE,
                    None => 8_000,
                };
                (encoding, clock_rate.unwrap_or(usual), channels)
            }
            (None, Some(known)) => (known.name.to_ascii_lowercase(), known.clock_rate, known.channels),
            (None, None) => match fmtp.as_deref().and_then(VideoCodec::of_parameters) {
                Some(codec) => (codec.encoding_name().to_ascii_lowercase(), VideoCodec::CLOCK_RATE, None),
                None => (String::new(), 0, None),
            },
        };
        Media {
            payload_type,
            encoding,
            clock_rate,
            channels,
            fmtp: fmtp.filter(|text| !text.is_empty()),
            ..Media::default()
        }
    }
}

#[cfg(test)]
#[path = "sdp_tests.rs"]
mod tests;
