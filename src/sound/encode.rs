//! From samples to Opus.

use bytes::Bytes;
use ropus::{Application, Bitrate, Channels};

/// Sampling rates that Opus takes (RFC 6716 §2), in Hz.
pub(crate) const NATIVE: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

/// Bits a second and channel: where the source has no more than telephone or wide-band sound, and where it has more.
/// Raising them costs every viewer's line; below 24 kbit/s speech begins to suffer.
const NARROW: u32 = 32_000;
const FULL: u32 = 48_000;

/// How hard the encoder tries, of 10. More than 5 is not heard at these rates, and costs up to twice the time.
const COMPLEXITY: u8 = 5;

/// Bytes of a packet at the most: of 20 ms at the rates above there are 320.
const MAX_BYTES: usize = sluice_media::MAX_PAYLOAD;

/// Encodes one track.
pub(crate) struct Encoder {
    encoder: ropus::Encoder,
    rate: u32,
}

impl Encoder {
    pub(crate) fn new(rate: u32, channels: u8) -> Result<Encoder, String> {
        let layout = if channels == 1 { Channels::Mono } else { Channels::Stereo };
        let each = if rate <= 16_000 { NARROW } else { FULL };
        let encoder = ropus::Encoder::builder(rate, layout, Application::Audio)
            .bitrate(Bitrate::Bits(each * u32::from(channels)))
            .complexity(COMPLEXITY)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Encoder { encoder, rate })
    }

    /// Samples of a channel in a packet.
    pub(crate) fn samples(&self) -> usize {
        self.rate as usize / 50
    }

    /// By how much what is decoded lags behind what was encoded, in ticks of 48 kHz.
    pub(crate) fn delay(&self) -> i64 {
        i64::from(self.encoder.lookahead()) * super::CLOCK / i64::from(self.rate)
    }

    /// One packet of as many samples; `None` if the encoder fails, which it does not for so many.
    pub(crate) fn encode(&mut self, frame: &[f32]) -> Option<Bytes> {
        let mut payload = [0; MAX_BYTES];
        let length = self.encoder.encode_float(frame, &mut payload).ok()?;
        Some(Bytes::copy_from_slice(&payload[..length]))
    }
}
