//! What a camera offers, what of it is forwarded, and the H.264 parameter sets that go with it.
//!
//! Owns the choice of streams, the sentences about those left out, and the parameter sets known so far. Never
//! talks to a camera.

use bytes::Bytes;
use retina::codec::{ParametersRef, VideoParametersCodec, h26x::Framing};

use super::h264::{self, nal_type};
use super::sdp::Media;
use crate::source::{AudioFormat, Formats, VideoFormat};
use crate::track::{AccessUnit, Codec};

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
    /// SPS and PPS of `sprop-parameter-sets` (RFC 6184 §8.1).
    pub(super) parameter_sets: Option<(Bytes, Bytes)>,
}

impl From<&Media> for Offer {
    fn from(media: &Media) -> Offer {
        let fmtp = media.fmtp.as_deref();
        let read = || {
            let read = retina::codec::Depacketizer::new("video", "h264", media.clock_rate, None, fmtp).ok()?;
            match read.parameters() {
                Some(ParametersRef::Video(video)) => match video.codec_params() {
                    VideoParametersCodec::H264 { sps, pps } => Some((sps.clone(), pps.clone())),
                    _ => None,
                },
                _ => None,
            }
        };
        let known = !media.encoding.is_empty() && media.payload_type.is_some();
        Offer {
            media: media.kind.clone(),
            encoding: if known { media.encoding.clone() } else { "of no known format".to_owned() },
            clock_rate: media.clock_rate,
            channels: media.channels,
            payload_type: media.payload_type.unwrap_or(u8::MAX),
            frame_rate: media.frame_rate,
            parameter_sets: if media.encoding == "h264" { read() } else { None },
        }
    }
}

impl Offer {
    /// The codec as which the stream is forwarded, if it can be.
    ///
    /// G.711 counts only as browsers take it: 8 kHz, one channel.
    fn codec(&self) -> Option<Codec> {
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
            text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(MAX_NAME).collect()
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

/// Chooses the first H.264 video and the first audio that browsers take.
pub(super) fn choose(offers: &[Offer]) -> Choice {
    let first = |wanted: fn(&Codec) -> bool| {
        offers.iter().enumerate().find_map(|(index, offer)| Some((index, offer.codec().filter(wanted)?)))
    };
    let video = first(|codec| *codec == Codec::H264).map(|(index, _)| index);
    let audio = first(|codec| *codec != Codec::H264);

    let left_out = |(index, offer): (usize, &Offer)| {
        if video == Some(index) || audio.is_some_and(|(chosen, _)| chosen == index) {
            return None;
        }
        let name = offer.name();
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
        Some(format!("{name} is not carried yet{consequence}"))
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
    /// What the stream carries, with the video as its parameter sets describe it.
    pub(super) fn formats(&self, offers: &[Offer], sets: &ParameterSets) -> Formats {
        let audio = self.audio.map(|(index, codec)| {
            let channels = offers[index].channels.unwrap_or(1).clamp(1, 2);
            // Opus is always announced with two channels (RFC 7587 §7), whatever is inside.
            AudioFormat { codec, channels: if codec == Codec::Opus { 2 } else { channels as u8 } }
        });
        let video = self.video.map(|index| sets.format(offers[index].frame_rate));
        Formats { video, audio, notes: self.notes.clone() }
    }
}

/// The parameter sets of the video: of the session description first, then as they come in the stream.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    sps: Option<Bytes>,
    pps: Option<Bytes>,
    /// The stream brings its own sequence parameter sets: those of the session description are not put in any
    /// more, many cameras leave old ones there.
    in_band: bool,
}

impl ParameterSets {
    /// Those of the session description.
    pub(super) fn out_of_band(sets: Option<(Bytes, Bytes)>) -> ParameterSets {
        let (sps, pps) = sets.unzip();
        ParameterSets { sps, pps, in_band: false }
    }

    /// Learns the sets in `unit`, or puts those of the session description into it if it is an IDR picture of
    /// a camera that sends them nowhere else. `true` if the video's description has changed by it.
    pub(super) fn pass(&mut self, unit: &mut AccessUnit) -> bool {
        let first = |wanted: u8| unit.nals.iter().find(|nal| nal_type(nal) == wanted);
        let (sps, pps) = (first(h264::SPS), first(h264::PPS));
        let changed = sps.is_some() && sps != self.sps.as_ref();
        if sps.is_some() {
            self.in_band = true;
        }
        // Copied: a slice would keep the whole packet, perhaps a whole picture, for the life of the session.
        if changed {
            self.sps = sps.map(|nal| Bytes::copy_from_slice(nal));
        }
        if self.in_band && pps.is_some() && pps != self.pps.as_ref() {
            self.pps = pps.map(|nal| Bytes::copy_from_slice(nal));
        }
        if !self.in_band && unit.nals.iter().any(|nal| nal_type(nal) == h264::IDR_SLICE) {
            let has_pps = pps.is_some();
            // Behind a delimiter, which has to be first (ITU-T H.264 §7.4.1.2.3).
            let at = usize::from(unit.nals.first().is_some_and(|nal| nal_type(nal) == h264::DELIMITER));
            let missing = self.sps.iter().chain(self.pps.iter().filter(|_| !has_pps)).cloned();
            unit.nals.splice(at..at, missing);
        }
        changed
    }

    /// The video as the sets describe it, so far as they are known and can be read.
    fn format(&self, announced_rate: Option<f32>) -> VideoFormat {
        let mut format = VideoFormat {
            codec: Codec::H264,
            profile_level_id: None,
            size: None,
            frame_rate: announced_rate,
        };
        // h264-reader 0.8.0 panics on an empty unit (rbsp.rs:243), so short ones end here.
        let Some(sps) = &self.sps else { return format };
        let Some(&[profile, constraints, level]) = sps.get(1..4) else { return format };
        format.profile_level_id = Some([profile, constraints, level]);
        let pps = self.pps.as_deref().unwrap_or_default();
        // Fails for sets that are garbage: then the picture is still forwarded, only its size is not known.
        if let Ok(read) = retina::codec::h264::parameters_from_sps_and_pps(sps, pps, Framing::AnnexB) {
            let (width, height) = read.pixel_dimensions();
            // Cropping that leaves nothing is not refused there.
            let size = u16::try_from(width).ok().zip(u16::try_from(height).ok());
            format.size = size.filter(|(width, height)| *width > 0 && *height > 0);
            let timing = read.frame_rate().filter(|(ticks, scale)| *ticks > 0 && *scale > 0);
            let rate = timing.map(|(ticks, scale)| (f64::from(scale) / f64::from(ticks)) as f32);
            format.frame_rate = format.frame_rate.or(rate);
        }
        format
    }
}

#[cfg(test)]
#[path = "formats_tests.rs"]
mod tests;
