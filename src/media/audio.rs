//! The audio codecs that are forwarded: the only file that tells one from the other.

use crate::opus;

/// An audio codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// Opus (RFC 7587).
    Opus,
    /// G.711 µ-law (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 A-law (RFC 3551 §4.5.14).
    Pcma,
}

impl AudioCodec {
    /// All of them.
    pub const ALL: [AudioCodec; 3] = [AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma];

    /// What to set a camera to that sends something else.
    pub const WANTED: &str = "G.711 at 8 kHz or Opus";

    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            AudioCodec::Opus => 48_000,
            AudioCodec::Pcmu | AudioCodec::Pcma => 8_000,
        }
    }

    /// The encoding name of `a=rtpmap`.
    pub fn encoding_name(self) -> &'static str {
        match self {
            AudioCodec::Opus => "opus",
            AudioCodec::Pcmu => "PCMU",
            AudioCodec::Pcma => "PCMA",
        }
    }

    /// The codec with this encoding name, compared without regard to case (RFC 8866 §6.6).
    pub fn of_name(name: &str) -> Option<AudioCodec> {
        AudioCodec::ALL.into_iter().find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))
    }

    /// Whether browsers take it with this clock rate and so many channels, if their number is given. G.711 has one
    /// channel there, as its static payload types do.
    pub fn is_taken_with(self, clock_rate: u32, channels: Option<u16>) -> bool {
        clock_rate == self.clock_rate() && (!self.is_split() || channels.is_none_or(|channels| channels == 1))
    }

    /// Channels of a stream that is announced with `channels`.
    pub fn channels(self, channels: Option<u16>) -> u8 {
        match self {
            // It is always announced with two channels (RFC 7587 §7), whatever is inside.
            AudioCodec::Opus => 2,
            AudioCodec::Pcmu | AudioCodec::Pcma => channels.unwrap_or(1).clamp(1, 2) as u8,
        }
    }

    /// Whether a payload may be cut anywhere: a byte is a sample.
    pub fn is_split(self) -> bool {
        match self {
            AudioCodec::Opus => false,
            AudioCodec::Pcmu | AudioCodec::Pcma => true,
        }
    }

    /// How long a payload plays, in ticks of the clock, where it can be told.
    pub fn ticks(self, payload: &[u8]) -> Option<u64> {
        match self {
            AudioCodec::Opus => {
                let duration = opus::duration(payload)?;
                Some(duration.as_micros() as u64 * u64::from(self.clock_rate()) / 1_000_000)
            }
            AudioCodec::Pcmu | AudioCodec::Pcma => Some(payload.len() as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_is_found_by_its_name_and_taken_as_browsers_have_it() {
        for codec in AudioCodec::ALL {
            assert_eq!(AudioCodec::of_name(&codec.encoding_name().to_uppercase()), Some(codec));
            assert!(codec.is_taken_with(codec.clock_rate(), None) && !codec.is_taken_with(16_000, None));
        }
        assert!(
            AudioCodec::Opus.is_taken_with(48_000, Some(2))
                && !AudioCodec::Pcmu.is_taken_with(8_000, Some(2))
        );
        assert_eq!((AudioCodec::Opus.channels(Some(1)), AudioCodec::Pcma.channels(None)), (2, 1));
    }

    #[test]
    fn durations_are_told_in_ticks() {
        assert_eq!(AudioCodec::Opus.ticks(&[0b1111_1000]), Some(960));
        assert_eq!(AudioCodec::Opus.ticks(&[]), None);
        assert_eq!(AudioCodec::Pcmu.ticks(&[0; 160]), Some(160));
    }
}
