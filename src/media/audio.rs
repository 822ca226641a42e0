//! The audio codecs that are forwarded: the only file that tells one from the other.

use crate::aac::AacConfig;
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
    /// G.722: 7 kHz of sound (RFC 3551 §4.5.2).
    G722,
}

impl AudioCodec {
    /// All of them.
    pub const ALL: [AudioCodec; 4] = [AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722];

    /// What to set a camera to that sends something else.
    pub const WANTED: &str = "G.711 at 8 kHz, Opus or AAC-LC";

    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            AudioCodec::Opus => 48_000,
            // Of G.722 a tick is two samples: an error of RFC 1890 that stayed (RFC 3551 §4.5.2).
            AudioCodec::Pcmu | AudioCodec::Pcma | AudioCodec::G722 => 8_000,
        }
    }

    /// The encoding name of `a=rtpmap`.
    pub fn encoding_name(self) -> &'static str {
        match self {
            AudioCodec::Opus => "opus",
            AudioCodec::Pcmu => "PCMU",
            AudioCodec::Pcma => "PCMA",
            AudioCodec::G722 => "G722",
        }
    }

    /// The codec with this encoding name, compared without regard to case (RFC 8866 §6.6).
    pub fn of_name(name: &str) -> Option<AudioCodec> {
        AudioCodec::ALL.into_iter().find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))
    }

    /// Whether browsers take it with this clock rate and so many channels, if their number is given. G.711 and G.722 have one
    /// channel there, as its static payload types do.
    pub fn is_taken_with(self, clock_rate: u32, channels: Option<u16>) -> bool {
        clock_rate == self.clock_rate() && (!self.is_split() || channels.is_none_or(|channels| channels == 1))
    }

    /// Channels of a stream that is announced with `channels`.
    pub fn channels(self, channels: Option<u16>) -> u8 {
        match self {
            // It is always announced with two channels (RFC 7587 §7), whatever is inside.
            AudioCodec::Opus => 2,
            AudioCodec::Pcmu | AudioCodec::Pcma | AudioCodec::G722 => channels.unwrap_or(1).clamp(1, 2) as u8,
        }
    }

    /// Whether a payload may be cut anywhere: a byte is a tick.
    pub fn is_split(self) -> bool {
        match self {
            AudioCodec::Opus => false,
            AudioCodec::Pcmu | AudioCodec::Pcma | AudioCodec::G722 => true,
        }
    }

    /// How long a payload plays, in ticks of the clock, where it can be told.
    pub fn ticks(self, payload: &[u8]) -> Option<u64> {
        match self {
            AudioCodec::Opus => {
                let duration = opus::duration(payload)?;
                Some(duration.as_micros() as u64 * u64::from(self.clock_rate()) / 1_000_000)
            }
            AudioCodec::Pcmu | AudioCodec::Pcma | AudioCodec::G722 => Some(payload.len() as u64),
        }
    }
}

/// Sound that browsers do not take, and that is turned into Opus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// AAC-LC (ISO/IEC 14496-3).
    Aac(AacConfig),
    /// Samples of 16 bits as they are (RFC 3551 §4.5.11).
    L16 {
        /// Samples a second: 8,000 to 48,000.
        sample_rate: u32,
        /// Channels: 1 or 2.
        channels: u8,
    },
}

impl Foreign {
    /// Samples a second.
    pub fn sample_rate(self) -> u32 {
        match self {
            Foreign::Aac(config) => config.sample_rate,
            Foreign::L16 { sample_rate, .. } => sample_rate,
        }
    }

    /// Channels: 1 or 2.
    pub fn channels(self) -> u8 {
        match self {
            Foreign::Aac(config) => config.channels,
            Foreign::L16 { channels, .. } => channels,
        }
    }

    /// What operators know it by.
    pub fn name(self) -> &'static str {
        match self {
            Foreign::Aac(_) => "AAC-LC",
            Foreign::L16 { .. } => "L16",
        }
    }
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let channels = if self.channels() == 1 { "mono" } else { "stereo" };
        write!(f, "{} {} Hz {channels}", self.name(), self.sample_rate())
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
