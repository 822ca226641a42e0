//! From units to samples.

use sluice_media::Foreign;
use symphonia_codec_aac::AacDecoder;
use symphonia_core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder as _, AudioDecoderOptions};
use symphonia_core::packet::PacketRef;
use symphonia_core::units::{Duration, Timestamp};

/// A unit that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a unit of sound cannot be decoded: {0}")]
pub struct DecodeError(String);

/// Decodes units of one track.
pub(crate) enum Decoder {
    Aac(Box<AacDecoder>),
    /// Samples of 16 bits, the most significant byte first (RFC 3551 §4.5.11).
    L16 {
        channels: usize,
    },
}

impl Decoder {
    pub(crate) fn new(sound: Foreign) -> Result<Decoder, String> {
        match sound {
            Foreign::Aac(config) => {
                let mut parameters = AudioCodecParameters::new();
                parameters.for_codec(CODEC_ID_AAC).with_extra_data(Box::new(config.bytes()));
                let decoder = AacDecoder::try_new(&parameters, &AudioDecoderOptions::default());
                Ok(Decoder::Aac(Box::new(decoder.map_err(|error| error.to_string())?)))
            }
            Foreign::L16 { channels, .. } => Ok(Decoder::L16 { channels: channels.into() }),
        }
    }

    /// Adds the unit's samples to `samples`, channels interleaved, from -1 to 1.
    pub(crate) fn decode(&mut self, unit: &[u8], samples: &mut Vec<f32>) -> Result<(), DecodeError> {
        match self {
            Decoder::Aac(decoder) => {
                let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(0), unit);
                let decoded = decoder.decode_ref(&packet).map_err(|error| DecodeError(error.to_string()))?;
                decoded.copy_to_vec_interleaved(samples);
            }
            Decoder::L16 { channels } => {
                let whole = unit.len() / (2 * *channels) * 2 * *channels;
                let sample = |bytes: &[u8]| f32::from(i16::from_be_bytes([bytes[0], bytes[1]])) / 32_768.0;
                samples.extend(unit[..whole].chunks_exact(2).map(sample));
            }
        }
        Ok(())
    }
}
