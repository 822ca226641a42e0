//! What a session has agreed to be sent, and whether its stream still sends that.
//!
//! Owns the judgement. A source that comes back with other sizes, parameter sets or levels goes on in the same session;
//! one with another codec cannot, because payload types are agreed on once: its viewers have to join anew. So they have to
//! for sound that came later than they did.

use sluice_media::{AudioCodec, Codec, Kind};

use crate::peer::MediaParams;
use crate::stream::Formats;

/// The codecs of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Each with the `a=fmtp` that it was offered with.
    media: Vec<(Codec, String)>,
    /// Of a session without sound: what it could have agreed to.
    unheard: Vec<AudioCodec>,
}

impl Agreed {
    /// Those of the sections that carry something; the offer took sound of the codecs `offered`.
    pub fn of(media: &[MediaParams], offered: Vec<AudioCodec>) -> Agreed {
        let is_heard = media.iter().any(|media| media.codec.kind() == Kind::Audio);
        let media = media.iter().map(|media| (media.codec, media.format.clone())).collect();
        Agreed { media, unheard: if is_heard { Vec::new() } else { offered } }
    }

    /// One of pictures alone.
    #[cfg(test)]
    pub(crate) fn to(codec: sluice_media::VideoCodec) -> Agreed {
        Agreed { media: vec![(codec.into(), "packetization-mode=1".to_owned())], unheard: Vec::new() }
    }

    /// The same, of which the offer took sound.
    #[cfg(test)]
    pub(crate) fn offering(self, sound: AudioCodec) -> Agreed {
        Agreed { unheard: vec![sound], ..self }
    }

    /// Whether it has no sound, and could have that.
    pub fn misses(&self, sound: AudioCodec) -> bool {
        self.unheard.contains(&sound)
    }

    /// Whether a source of `formats` can go on in this session. What it has not, and what the session has not, keeps
    /// nobody from the rest.
    pub fn fits(&self, formats: &Formats) -> bool {
        let of = |kind: Kind| self.media.iter().find(|(codec, _)| codec.kind() == kind);
        let is_seen = match (of(Kind::Video), &formats.video) {
            (Some((codec, format)), Some(video)) => {
                *codec == video.codec.into()
                    && video.codec.nal().choose(&[format.as_str()], video.profile_level_id).is_some()
            }
            _ => true,
        };
        let is_heard = match (of(Kind::Audio), &formats.audio) {
            (Some((codec, _)), Some(audio)) => *codec == audio.codec.into(),
            _ => true,
        };
        is_seen && is_heard
    }
}

#[cfg(test)]
mod tests {
    use sluice_media::VideoCodec;

    use super::*;
    use crate::stream::{AudioFormat, VideoFormat};

    fn formats(video: Option<VideoCodec>, profile: [u8; 3], audio: Option<AudioCodec>) -> Formats {
        let of = |codec| VideoFormat { codec, profile_level_id: Some(profile), size: None, frame_rate: None };
        let audio = audio.map(|codec| AudioFormat::new(codec, 1));
        Formats { video: video.map(of), audio, ..Formats::default() }
    }

    #[test]
    fn a_session_goes_on_whatever_changes_but_a_codec() {
        let (h264, h265) = (Some(VideoCodec::H264), Some(VideoCodec::H265));
        let (opus, pcma) = (Some(AudioCodec::Opus), Some(AudioCodec::Pcma));
        let format = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".to_owned();
        let of = |media| Agreed { media, ..Agreed::default() };
        let both =
            of(vec![(VideoCodec::H264.into(), format.clone()), (AudioCodec::Opus.into(), String::new())]);
        let (baseline, high) = ([0x42, 0xe0, 0x1f], [0x64, 0x00, 0x33]);
        for (stays, formats) in [
            (true, formats(h264, baseline, opus)),
            (true, formats(h264, high, opus)),
            (true, formats(h264, high, None)),
            (true, formats(None, high, opus)),
            (false, formats(h265, [1, 0, 93], opus)),
            (false, formats(h264, baseline, pcma)),
        ] {
            assert_eq!(both.fits(&formats), stays, "{formats:?}");
        }
        // Who does not hear it anyway sees it on.
        let silent = of(vec![(VideoCodec::H264.into(), format)]);
        assert!(silent.fits(&formats(h264, baseline, pcma)));
        assert!(Agreed::default().fits(&formats(h265, high, pcma)));
    }
}
