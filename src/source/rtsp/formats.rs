//! What a camera offers, and what of it is forwarded.
//!
//! Owns the choice of streams and the sentences about those left out. Never talks to a camera.

use bytes::Bytes;
use sluice_media::{Codec, Kind, h264};

use super::sdp::Media;
use crate::stream::{AudioFormat, Formats, VideoFormat};

/// Sentences about streams that are not forwarded, at most: a session description may list thousands.
const MAX_NOTES: usize = 8;

/// Characters of a name that a camera chose, at most.
const MAX_NAME: usize = 32;

/// One `m=` section of a session description.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Offer {
    pub(super) media: String,
    /// Encoding name in lower case.
    pub(super) encoding: String,
    pub(super) clock_rate: u32,
    pub(super) channels: Option<u16>,
    pub(super) payload_type: u8,
    pub(super) frame_rate: Option<f32>,
    /// Perhaps the way back: taken only where there is nothing else.
    pub(super) send_only: bool,
    /// Whether it may be asked for a keyframe.
    pub(super) feedback: bool,
    /// What stands behind the payload type in `a=fmtp`; empty without one.
    pub(super) fmtp: String,
}

impl From<&Media> for Offer {
    fn from(media: &Media) -> Offer {
        let known = !media.encoding.is_empty() && media.payload_type.is_some();
        Offer {
            media: media.kind.clone(),
            encoding: if known { media.encoding.clone() } else { "of no known format".to_owned() },
            clock_rate: media.clock_rate,
            channels: media.channels,
            payload_type: media.payload_type.unwrap_or(u8::MAX),
            frame_rate: media.frame_rate,
            send_only: media.send_only,
            feedback: media.feedback,
            fmtp: media.fmtp.clone().unwrap_or_default(),
        }
    }
}

impl Offer {
    /// The SPS and PPS of `sprop-parameter-sets`, each as a NAL unit.
    pub(super) fn parameter_sets(&self) -> Vec<Bytes> {
        h264::parameter_sets(&self.fmtp)
    }

    /// The codec as which the stream is forwarded, if it can be.
    ///
    /// G.711 counts only as browsers take it: 8 kHz, one channel.
    pub(super) fn codec(&self) -> Option<Codec> {
        let mono = self.channels.is_none_or(|channels| channels == 1);
        match (self.media.as_str(), self.encoding.as_str(), self.clock_rate) {
            ("video", "h264", 90_000) => Some(Codec::H264),
            ("audio", "opus", 48_000) => Some(Codec::Opus),
            ("audio", "pcmu", 8_000) if mono => Some(Codec::Pcmu),
            ("audio", "pcma", 8_000) if mono => Some(Codec::Pcma),
            _ => None,
        }
    }

    /// The stream in words: `audio mpeg4-generic`. What the camera chose of it is cut and made printable.
    pub(super) fn name(&self) -> String {
        let printable = |text: &str| -> String {
            text.chars()
                .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
                .take(MAX_NAME)
                .collect()
        };
        let mut name = format!("{} {}", printable(&self.media), printable(&self.encoding));
        if matches!(self.encoding.as_str(), "h264" | "opus" | "pcmu" | "pcma") && self.codec().is_none() {
            name += &format!(" at {} Hz with {} channels", self.clock_rate, self.channels.unwrap_or(1));
        }
        name
    }
}

/// Which of the offered streams to set up, by index.
#[derive(Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) video: Option<usize>,
    pub(super) audio: Option<(usize, Codec)>,
    /// A sentence for each stream left out.
    pub(super) notes: Vec<String>,
}

/// Chooses the first H.264 video and the first audio that browsers take, of several rather one that is not
/// `sendonly`.
pub(super) fn choose(offers: &[Offer]) -> Choice {
    let first = |wanted: fn(&Codec) -> bool| {
        let fitting =
            |(index, offer): (usize, &Offer)| Some((index, offer.codec().filter(wanted)?, offer.send_only));
        let first = offers.iter().enumerate().filter_map(fitting).min_by_key(|(.., send_only)| *send_only);
        first.map(|(index, codec, _)| (index, codec))
    };
    let video = first(|codec| codec.kind() == Kind::Video).map(|(index, _)| index);
    let audio = first(|codec| codec.kind() == Kind::Audio);

    let left_out = |(index, offer): (usize, &Offer)| {
        if video == Some(index) || audio.is_some_and(|(chosen, _)| chosen == index) {
            return None;
        }
        let name = offer.name();
        if offer.codec().is_some() && offer.send_only {
            return Some(format!(
                "{name} is left out: the camera seems to mean it for sound sent to it (sendonly)"
            ));
        }
        if offer.codec().is_some() {
            return Some(format!(
                "{name} is left out: a stream carries one video and one audio, the first of each"
            ));
        }
        let consequence = match (offer.media.as_str(), video, audio) {
            ("audio", Some(_), None) => ": serving video only",
            ("video", None, Some(_)) => ": serving audio only",
            _ => "",
        };
        // Once is enough.
        let is_first = offers.iter().position(|other| other.media == offer.media) == Some(index);
        let way_out = match offer.media.as_str() {
            _ if !is_first => "",
            "audio" if audio.is_none() => "; set the camera's audio to G.711 at 8 kHz or Opus",
            "video" if video.is_none() => "; set the camera's video to H.264",
            _ => "",
        };
        Some(format!("{name} is not carried yet{consequence}{way_out}"))
    };
    let mut notes: Vec<String> = offers.iter().enumerate().filter_map(left_out).collect();
    if notes.len() > MAX_NOTES {
        let more = notes.len() - (MAX_NOTES - 1);
        notes.truncate(MAX_NOTES - 1);
        notes.push(format!("{more} more streams are not carried"));
    }
    Choice { video, audio, notes }
}

impl Choice {
    /// What the stream carries, as far as the description tells.
    pub(super) fn formats(&self, offers: &[Offer]) -> Formats {
        let audio = self.audio.map(|(index, codec)| {
            let channels = offers[index].channels.unwrap_or(1).clamp(1, 2);
            // Opus is always announced with two channels (RFC 7587 §7), whatever is inside.
            AudioFormat { codec, channels: if codec == Codec::Opus { 2 } else { channels as u8 } }
        });
        let video = self.video.map(|index| VideoFormat {
            codec: Codec::H264,
            profile_level_id: None,
            size: None,
            frame_rate: offers[index].frame_rate,
        });
        Formats { video, audio, notes: self.notes.clone() }
    }
}

#[cfg(test)]
#[path = "formats_tests.rs"]
mod tests;
