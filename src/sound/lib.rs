//! Sound that browsers do not take, turned into Opus: decoded, brought to a sampling rate of Opus, and encoded.
//!
//! Owns where each Opus packet lies on the source's timeline: delays of the codecs are taken off, and a hole in the
//! source's timestamps is one in Opus. Pure: no thread, no clock. Never knows a stream.
#![forbid(unsafe_code)]

mod decode;
mod encode;
mod resample;

use bytes::Bytes;
use sluice_media::Foreign;

pub use decode::DecodeError;

use decode::Decoder;
use encode::{Encoder, NATIVE};
use resample::Resampler;

/// Ticks of Opus' RTP clock a second (RFC 7587 §4.1).
const CLOCK: i64 = 48_000;

/// Ticks of one Opus packet: 20 ms.
const PACKET: i64 = 960;

/// How far a unit's timestamp may be from where the samples before it end. Within it sound goes on without a seam, beyond
/// it begins anew. Raising it lets sound stray from pictures by as much; lowering it makes a seam of each timestamp of a
/// camera whose clock jitters.
const STRAY: i64 = CLOCK / 25;

/// Why there is no sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The decoder does not take what is announced.
    #[error("no decoder for {0}: {1}")]
    Decoder(Foreign, String),
    /// No resampler from that rate.
    #[error("no resampler for {0}: {1}")]
    Resampler(Foreign, String),
    /// The encoder does not take it.
    #[error("no encoder for {0}: {1}")]
    Encoder(Foreign, String),
}

/// One packet of Opus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// What RTP carries: 20 ms (RFC 7587 §4.2).
    pub payload: Bytes,
    /// Of its first sample, in ticks of 48 kHz on the source's timeline.
    pub timestamp: i64,
}

/// Turns the sound of one track into Opus.
pub struct Transcoder {
    rate: i64,
    channels: usize,
    decoder: Decoder,
    resampler: Option<Resampler>,
    encoder: Encoder,
    /// Interleaved samples as they were decoded.
    decoded: Vec<f32>,
    /// Those that wait to be encoded, at the encoder's rate.
    waiting: Vec<f32>,
    place: Option<Place>,
}

/// Where samples lie in time.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Timestamp of the first sample, in ticks of 48 kHz.
    anchor: i64,
    /// Samples of a channel that came since.
    taken: i64,
    /// Packets that were made of them.
    made: i64,
}

impl Transcoder {
    /// Of sound as a source announces it.
    ///
    /// # Errors
    ///
    /// A library does not take it, though [`Foreign`] says so.
    pub fn new(sound: Foreign) -> Result<Transcoder, SetupError> {
        let (rate, channels) = (sound.sample_rate(), sound.channels());
        let decoder = Decoder::new(sound).map_err(|error| SetupError::Decoder(sound, error))?;
        let resampler = (!NATIVE.contains(&rate))
            .then(|| Resampler::new(rate, channels))
            .transpose()
            .map_err(|error| SetupError::Resampler(sound, error))?;
        let encoder_rate = if resampler.is_some() { CLOCK as u32 } else { rate };
        let encoder =
            Encoder::new(encoder_rate, channels).map_err(|error| SetupError::Encoder(sound, error))?;
        Ok(Transcoder {
            rate: rate.into(),
            channels: channels.into(),
            decoder,
            resampler,
            encoder,
            decoded: Vec::new(),
            waiting: Vec::new(),
            place: None,
        })
    }

    /// Takes the next unit, whose first sample has `timestamp` in ticks of 48 kHz, and adds the packets that are whole
    /// now to `packets`.
    ///
    /// # Errors
    ///
    /// The unit is malformed: its time stays silent.
    pub fn push(
        &mut self,
        unit: &[u8],
        timestamp: i64,
        packets: &mut Vec<Packet>,
    ) -> Result<(), DecodeError> {
        self.decoded.clear();
        self.decoder.decode(unit, &mut self.decoded)?;
        let expected = self.place.map(|place| place.anchor + place.taken * CLOCK / self.rate);
        if expected.is_none_or(|expected| (timestamp - expected).abs() > STRAY) {
            self.restart(timestamp);
        }
        let Some(place) = &mut self.place else { return Ok(()) };
        place.taken += (self.decoded.len() / self.channels) as i64;
        let delay = match &mut self.resampler {
            Some(resampler) => {
                resampler.push(&self.decoded, &mut self.waiting);
                resampler.delay()
            }
            None => {
                self.waiting.extend_from_slice(&self.decoded);
                0
            }
        } + self.encoder.delay();
        let samples = self.encoder.samples() * self.channels;
        let whole = self.waiting.len() / samples;
        for frame in self.waiting.chunks_exact(samples) {
            let timestamp = place.anchor + place.made * PACKET - delay;
            place.made += 1;
            packets.extend(self.encoder.encode(frame).map(|payload| Packet { payload, timestamp }));
        }
        self.waiting.drain(..whole * samples);
        Ok(())
    }

    /// What came before has nothing to do with what comes.
    fn restart(&mut self, timestamp: i64) {
        self.waiting.clear();
        self.resampler.iter_mut().for_each(Resampler::restart);
        self.place = Some(Place { anchor: timestamp, taken: 0, made: 0 });
    }
}

#[cfg(test)]
mod tests;
