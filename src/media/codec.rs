//! The codecs that are forwarded, and what holds for each of them by its payload format.

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// The codecs Sluice forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264 with `packetization-mode=1` (RFC 6184).
    H264,
    /// Opus, 48 kHz clock (RFC 7587).
    Opus,
    /// G.711 µ-law, 8 kHz (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 A-law, 8 kHz (RFC 3551 §4.5.14).
    Pcma,
}

impl Codec {
    /// Whether the codec carries sound or pictures.
    pub fn kind(self) -> Kind {
        match self {
            Codec::H264 => Kind::Video,
            Codec::Opus | Codec::Pcmu | Codec::Pcma => Kind::Audio,
        }
    }

    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::H264 => 90_000,
            Codec::Opus => 48_000,
            Codec::Pcmu | Codec::Pcma => 8_000,
        }
    }

    /// The encoding name of `a=rtpmap`. Compare without regard to case (RFC 8866 §6.6).
    pub fn encoding_name(self) -> &'static str {
        match self {
            Codec::H264 => "H264",
            Codec::Opus => "opus",
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }
}
