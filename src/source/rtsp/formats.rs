//! What a camera offers, and what of it is forwarded.
//!
//! Owns the choice of streams and the sentences about those left out. Never talks to a camera.

use bytes::Bytes;
use sluice_media::aac::AacConfigError;
use sluice_media::{AudioCodec, VideoCodec};

use super::sdp::Media;
use super::sound::Sound;
use crate::stream::{Brand, Formats, Setting, VideoFormat};

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
    /// Others of the same codec in its section.
    pub(super) more_types: Vec<u8>,
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
            more_types: media.more_types.clone(),
            frame_rate: media.frame_rate,
            send_only: media.send_only,
            feedback: media.feedback,
            fmtp: media.fmtp.clone().unwrap_or_default(),
        }
    }
}

impl Offer {
    /// The payload types of its packets.
    pub(super) fn payload_types(&self) -> Vec<u8> {
        [&[self.payload_type][..], &self.more_types].concat()
    }

    /// The codec of pictures that can be carried.
    fn video(&self) -> Option<VideoCodec> {
        let codec = VideoCodec::of_name(&self.encoding)?;
        let fits = self.clock_rate == VideoCodec::CLOCK_RATE && codec.nal().unreadable(&self.fmtp).is_none();
        (fits && self.media == "video").then_some(codec)
    }

    /// How sound is carried that can be.
    fn sound(&self) -> Option<Sound> {
        self.announced_sound()?.ok()
    }

    fn announced_sound(&self) -> Option<Result<Sound, AacConfigError>> {
        let is_sound = self.media == "audio";
        is_sound.then(|| Sound::of(&self.encoding, self.clock_rate, self.channels, &self.fmtp)).flatten()
    }

    /// Whether the stream can be carried.
    pub(super) fn is_fit(&self) -> bool {
        self.video().is_some() || self.sound().is_some()
    }

    /// Why the packets of its codec cannot be read, if they cannot, and the way out.
    fn unreadable(&self) -> Option<String> {
        if let Some(Err(error)) = self.announced_sound() {
            return Some(format!("{error}; set the camera's audio to {}", AudioCodec::WANTED));
        }
        VideoCodec::of_name(&self.encoding)?.nal().unreadable(&self.fmtp).map(str::to_owned)
    }

    /// Whether its codec is known.
    fn is_known(&self) -> bool {
        AudioCodec::of_name(&self.encoding).is_some()
            || VideoCodec::of_name(&self.encoding).is_some()
            || self.encoding.eq_ignore_ascii_case("l16")
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
        if self.is_known() && !self.is_fit() && self.unreadable().is_none() {
            name += &match VideoCodec::of_name(&self.encoding) {
                // Video has no channels.
                Some(_) => format!(" at {} Hz, and not {}", self.clock_rate, VideoCodec::CLOCK_RATE),
                None => format!(" at {} Hz with {} channels", self.clock_rate, self.channels.unwrap_or(1)),
            };
        }
        name
    }
}

/// Which of the offered streams to set up, by index.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Choice {
    pub(super) video: Option<(usize, VideoCodec)>,
    pub(super) audio: Option<(usize, Sound)>,
    /// A sentence for each stream left out.
    pub(super) notes: Vec<String>,
    /// There is video, and none that can be forwarded.
    pub(super) video_left_out: bool,
    /// Whose camera it is, where that can be told.
    pub(super) brand: Option<Brand>,
}

/// Chooses the first video that is forwarded and the first audio that is carried: of several rather one that is not
/// `sendonly`, then a video that every browser plays, and sound that goes on as it comes. What to set is said in the words of
/// the menus of `brand`, where they are known.
pub(super) fn choose(offers: &[Offer], brand: Option<Brand>) -> Choice {
    let video =
        best(offers, |offer| offer.video().map(|codec| (usize::from(!codec.nal().is_everywhere()), codec)));
    let audio = best(offers, |offer| offer.sound().map(|sound| (sound.rank(), sound)));
    let chosen = [video.map(|(index, _)| index), audio.map(|(index, _)| index)];

    let left_out = |(index, offer): (usize, &Offer)| {
        if chosen.contains(&Some(index)) {
            return None;
        }
        let name = offer.name();
        if offer.is_fit() && offer.send_only {
            return Some(format!(
                "{name} is left out: the camera seems to mean it for sound sent to it (sendonly)"
            ));
        }
        if offer.is_fit() {
            return Some(format!(
                "{name} is left out: a stream carries one video and one audio, the first of each"
            ));
        }
        if let Some(why) = offer.unreadable() {
            let setting =
                if offer.media == "audio" { Brand::entry(brand, Setting::Sound) } else { String::new() };
            return Some(format!("{name} is left out: {why}{setting}"));
        }
        let consequence = match (offer.media.as_str(), video, audio) {
            ("audio", Some(_), None) => ": serving video only",
            ("video", None, Some(_)) => ": serving audio only",
            _ => "",
        };
        // Once is enough.
        let is_first = offers.iter().position(|other| other.media == offer.media) == Some(index);
        let way_out = match offer.media.as_str() {
            _ if !is_first => String::new(),
            "audio" if audio.is_none() => {
                let entry = Brand::entry(brand, Setting::Sound);
                format!("; set the camera's audio to {}{entry}", AudioCodec::WANTED)
            }
            "video" if video.is_none() => {
                let entry = Brand::entry(brand, Setting::Codec);
                format!("; set the camera's video to {}{entry}", VideoCodec::WANTED)
            }
            _ => String::new(),
        };
        Some(format!("{name} is not carried{consequence}{way_out}"))
    };
    let mut notes: Vec<String> = offers.iter().enumerate().filter_map(left_out).collect();
    if notes.len() > MAX_NOTES {
        let more = notes.len() - (MAX_NOTES - 1);
        notes.truncate(MAX_NOTES - 1);
        notes.push(format!("{more} more streams are not carried"));
    }
    let video_left_out = video.is_none() && offers.iter().any(|offer| offer.media == "video");
    Choice { video, audio, notes, video_left_out, brand }
}

/// The best of `offers` that are wanted, the first of equals. `wanted` says how much, less being better.
fn best<C>(offers: &[Offer], wanted: impl Fn(&Offer) -> Option<(usize, C)>) -> Option<(usize, C)> {
    let fitting = |(index, offer): (usize, &Offer)| {
        let (rank, codec) = wanted(offer)?;
        Some(((offer.send_only, rank), (index, codec)))
    };
    let best = offers.iter().enumerate().filter_map(fitting).min_by_key(|(rank, _)| *rank);
    best.map(|(_, chosen)| chosen)
}

impl Choice {
    /// The parameter sets that the video's description has, each as a NAL unit.
    pub(super) fn parameter_sets(&self, offers: &[Offer]) -> Vec<Bytes> {
        self.video.map(|(index, codec)| codec.parameter_sets(&offers[index].fmtp)).unwrap_or_default()
    }

    /// What the stream carries, as far as the description tells.
    pub(super) fn formats(&self, offers: &[Offer]) -> Formats {
        let audio =
            self.audio.map(|(index, sound)| sound.format(offers[index].clock_rate, offers[index].channels));
        let video = self.video.map(|(index, codec)| VideoFormat {
            codec,
            profile_level_id: None,
            size: None,
            frame_rate: offers[index].frame_rate,
        });
        let Choice { video_left_out, brand, .. } = *self;
        Formats { video, audio, video_left_out, notes: self.notes.clone(), brand }
    }
}

#[cfg(test)]
#[path = "formats_tests.rs"]
mod tests;
