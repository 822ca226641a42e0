//! The sound of a camera: how it is carried, and its packets back to units.
//!
//! Owns the choice between sound that goes on as it comes and sound that is turned into Opus. Never decodes.

use bytes::Bytes;
use sluice_media::aac::{AAC_SAMPLES, Aac, AacConfigError, AacDepacketizer};
use sluice_media::{AudioCodec, Codec, Foreign};

use super::order::Ordered;
use crate::stream::{AudioFormat, MadeOf};

/// Sampling rates of samples as they are (`L16`), in Hz: what the resampler and Opus take.
const L16_RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Sound that is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sound {
    /// As it comes.
    Forwarded(AudioCodec),
    /// By way of Opus.
    Aac(Aac),
    /// By way of Opus.
    L16 { sample_rate: u32, channels: u8 },
}

impl Sound {
    /// How sound with that `a=rtpmap` and `a=fmtp` is carried; nothing if it is of no codec that is known here, or known
    /// but of a shape that nobody takes.
    pub(super) fn of(
        encoding: &str,
        clock_rate: u32,
        channels: Option<u16>,
        fmtp: &str,
    ) -> Option<Result<Sound, AacConfigError>> {
        if let Some(Codec::Audio(codec)) = Codec::of_name(encoding) {
            return codec.is_taken_with(clock_rate, channels).then_some(Ok(Sound::Forwarded(codec)));
        }
        if Aac::is_named(encoding) {
            return Some(Aac::read(encoding, fmtp).map(Sound::Aac));
        }
        let channels = channels.unwrap_or(1);
        let is_taken = encoding.eq_ignore_ascii_case("l16") && L16_RATES.contains(&clock_rate);
        (is_taken && (1..=2).contains(&channels))
            .then_some(Ok(Sound::L16 { sample_rate: clock_rate, channels: channels as u8 }))
    }

    /// Less is better: what goes on as it comes costs nothing and loses nothing.
    pub(super) fn rank(self) -> usize {
        usize::from(self.foreign().is_some())
    }

    fn foreign(self) -> Option<Foreign> {
        match self {
            Sound::Forwarded(_) => None,
            Sound::Aac(aac) => Some(Foreign::Aac(aac.config)),
            Sound::L16 { sample_rate, channels } => Some(Foreign::L16 { sample_rate, channels }),
        }
    }

    /// What viewers get, of sound that is announced with so many channels and that clock rate.
    pub(super) fn format(self, clock_rate: u32, channels: Option<u16>) -> AudioFormat {
        let codec = match self {
            Sound::Forwarded(codec) => codec,
            Sound::Aac(_) | Sound::L16 { .. } => AudioCodec::Opus,
        };
        let made_of = self.foreign().map(|sound| MadeOf { sound, clock_rate: self.clock_rate(clock_rate) });
        AudioFormat { codec, channels: codec.channels(channels), made_of }
    }

    /// Of its timestamps: as announced, otherwise a tick each sample (RFC 3640 §4.1).
    fn clock_rate(self, announced: u32) -> u32 {
        if announced > 0 { announced } else { self.foreign().map_or(0, Foreign::sample_rate) }
    }

    /// A reader of its packets.
    pub(super) fn units(self, clock_rate: u32) -> Units {
        let waits = self.foreign().is_some();
        let Sound::Aac(aac) = self else { return Units { aac: None, step: 0, waits } };
        let ticks = u64::from(AAC_SAMPLES) * u64::from(self.clock_rate(clock_rate));
        let step = (ticks / u64::from(aac.config.sample_rate)) as i64;
        Units { aac: Some(AacDepacketizer::new(&aac)), step, waits }
    }
}

/// Turns the packets of a track of sound into units with their timestamps.
#[derive(Debug)]
pub(super) struct Units {
    aac: Option<AacDepacketizer>,
    /// Ticks from unit to unit of one packet.
    step: i64,
    /// What it gives may wait for somebody.
    waits: bool,
}

impl Units {
    /// The units that are whole now; `None` for a malformed packet. One that may wait is in memory of its own: a slice would keep
    /// all that was read with it.
    pub(super) fn push(&mut self, packet: &Ordered) -> Option<impl Iterator<Item = (Bytes, i64)> + use<>> {
        let after_loss = packet.lost > 0 || packet.restarted;
        let (one, several) = match &mut self.aac {
            None if self.waits => (Some(Bytes::copy_from_slice(&packet.payload)), Vec::new()),
            None => (Some(packet.payload.clone()), Vec::new()),
            Some(aac) => (None, aac.push(&packet.payload, packet.marker, after_loss).ok()?),
        };
        let (first, step) = (packet.timestamp, self.step);
        Some(one.into_iter().chain(several).zip(0..).map(move |(unit, index)| (unit, first + index * step)))
    }
}
