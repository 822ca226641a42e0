//! The codecs that are forwarded, audio and video together.

use crate::{AudioCodec, VideoCodec};

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl Kind {
    /// As in `m=`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Audio => "audio",
            Kind::Video => "video",
        }
    }
}

/// The codecs Sluice forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Sound.
    Audio(AudioCodec),
    /// Pictures.
    Video(VideoCodec),
}

impl Codec {
    /// Whether the codec carries sound or pictures.
    pub fn kind(self) -> Kind {
        match self {
            Codec::Audio(_) => Kind::Audio,
            Codec::Video(_) => Kind::Video,
        }
    }

    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Audio(codec) => codec.clock_rate(),
            Codec::Video(_) => VideoCodec::CLOCK_RATE,
        }
    }

    /// The encoding name of `a=rtpmap`.
    pub fn encoding_name(self) -> &'static str {
        match self {
            Codec::Audio(codec) => codec.encoding_name(),
            Codec::Video(codec) => codec.encoding_name(),
        }
    }

    /// The codec with this encoding name, compared without regard to case (RFC 8866 §6.6).
    pub fn of_name(name: &str) -> Option<Codec> {
        let audio = || AudioCodec::of_name(name).map(Codec::Audio);
        VideoCodec::of_name(name).map(Codec::Video).or_else(audio)
    }
}

impl From<AudioCodec> for Codec {
    fn from(codec: AudioCodec) -> Codec {
        Codec::Audio(codec)
    }
}

impl From<VideoCodec> for Codec {
    fn from(codec: VideoCodec) -> Codec {
        Codec::Video(codec)
    }
}
