//! AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1), as much of it as tells AAC-LC from all else.

use super::bits::Bits;

/// Sampling rates by their index (ISO/IEC 14496-3 table 1.18), in Hz.
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// What is turned into Opus, in Hz.
const TAKEN: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Audio object types (ISO/IEC 14496-3 table 1.17).
const LOW_COMPLEXITY: u32 = 2;
const SPECTRAL_BAND_REPLICATION: u32 = 5;
const PARAMETRIC_STEREO: u32 = 29;
/// The type is written in six more bits.
const ESCAPE: u32 = 31;

/// Behind a configuration that a decoder for AAC-LC reads: one for a decoder of HE-AAC (§1.6.6.1).
const SYNC_EXTENSION: u32 = 0x2b7;

/// AAC-LC sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AacConfig {
    /// Samples a second, one of the rates that the standard numbers.
    pub sample_rate: u32,
    /// Channels: 1 or 2.
    pub channels: u8,
}

/// Why sound that is announced as AAC is not carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AacConfigError {
    /// The description has no `config`.
    #[error("its description does not say how to decode it (config)")]
    Missing,
    /// It cannot be read.
    #[error("what its description says of decoding (config) cannot be read")]
    Malformed,
    /// It is somewhere in the packets.
    #[error("how to decode it is told inside its packets (cpresent), which is not read")]
    InBand,
    /// Parameters of the packets are others than cameras use.
    #[error("its packets are packed in a way that is not read (only AAC-hbr is)")]
    Packing,
    /// HE-AAC, version 1 or 2.
    #[error("it is HE-AAC, which is not carried")]
    HighEfficiency,
    /// Another profile.
    #[error("it is AAC of type {0}, and only AAC-LC (type 2) is carried")]
    Type(u32),
    /// Access units of 960 samples.
    #[error("it has 960 samples in a unit, and only 1,024 are read")]
    ShortUnits,
    /// Too slow or too fast.
    #[error("it has {0} samples a second, and 8,000 to 48,000 are carried")]
    Rate(u32),
    /// Neither mono nor stereo.
    #[error("it is neither mono nor stereo")]
    Channels,
}

impl AacConfig {
    /// Reads the configuration in `bytes`.
    ///
    /// # Errors
    ///
    /// What of it is not carried.
    pub fn read(bytes: &[u8]) -> Result<AacConfig, AacConfigError> {
        AacConfig::from(&mut Bits::new(bytes))
    }

    /// Reads one that begins here, and leaves the reader behind it.
    pub(super) fn from(bits: &mut Bits<'_>) -> Result<AacConfig, AacConfigError> {
        let mut next = |count| bits.number(count).ok_or(AacConfigError::Malformed);
        let kind = match next(5)? {
            ESCAPE => 32 + next(6)?,
            kind => kind,
        };
        match kind {
            LOW_COMPLEXITY => {}
            SPECTRAL_BAND_REPLICATION | PARAMETRIC_STEREO => return Err(AacConfigError::HighEfficiency),
            other => return Err(AacConfigError::Type(other)),
        }
        let sample_rate = match next(4)? {
            15 => next(24)?,
            index => *RATES.get(index as usize).ok_or(AacConfigError::Malformed)?,
        };
        let channels = next(4)?;
        if next(1)? == 1 {
            return Err(AacConfigError::ShortUnits);
        }
        // dependsOnCoreCoder with its delay, and extensionFlag, which is 0 for AAC-LC.
        if next(1)? == 1 {
            next(14)?;
        }
        next(1)?;
        let mut ahead = bits.clone();
        if ahead.number(11) == Some(SYNC_EXTENSION) {
            let (kind, present) = (ahead.number(5), ahead.number(1));
            if kind == Some(SPECTRAL_BAND_REPLICATION) && present == Some(1) {
                return Err(AacConfigError::HighEfficiency);
            }
            *bits = ahead;
        }
        if !TAKEN.contains(&sample_rate) || !RATES.contains(&sample_rate) {
            return Err(AacConfigError::Rate(sample_rate));
        }
        match channels {
            1 | 2 => Ok(AacConfig { sample_rate, channels: channels as u8 }),
            _ => Err(AacConfigError::Channels),
        }
    }

    /// The configuration in its shortest form: two bytes.
    pub fn bytes(self) -> [u8; 2] {
        let index = RATES.iter().position(|rate| *rate == self.sample_rate);
        let index = index.expect("only numbered rates are read") as u16;
        ((LOW_COMPLEXITY as u16) << 11 | index << 7 | u16::from(self.channels) << 3).to_be_bytes()
    }
}
