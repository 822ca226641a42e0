//! What the cameras sound like: the demo's Opus, or a tone in another codec.
//!
//! Owns the RTP payloads of a sound that repeats without a seam, and how it is announced. Never knows a camera.

use std::f64::consts::TAU;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use sluice_media::{AudioCodec, clip};

/// 16 frames of a tone of 437.5 Hz (AAC-LC, 16 kHz, mono) with their ADTS headers. They hold whole waves, so the last
/// goes with the first. Made by `ffmpeg -f lavfi -i sine=frequency=437.5:sample_rate=16000 -t 4 -c:a aac -b:a 24k`,
/// from the 17th frame on.
static TONE_AAC: &[u8] = include_bytes!("tone.aac");

/// Bytes of an ADTS header without a checksum (ISO/IEC 13818-7 §6.2).
const ADTS_HEADER: usize = 7;

/// Hz of the tone in G.711; the packets below hold whole waves of it.
const TONE: f64 = 400.0;

/// Packets of G.711 that repeat.
const TONE_PACKETS: usize = 50;

/// How loud the tone is, of 16 bits.
const LOUDNESS: f64 = 8_000.0;

/// The sound of cameras.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Audio {
    /// The demo's: Opus, stereo, 48 kHz.
    Opus,
    /// A tone in AAC-LC, mono, 16 kHz.
    Aac,
    /// A tone in G.711 µ-law.
    Pcmu,
    /// A tone in G.711 A-law.
    Pcma,
    /// None.
    None,
}

/// Sound to be repeated without end, at least one packet.
#[derive(Debug, Clone)]
pub struct Sound {
    /// Payloads of its RTP packets.
    pub payloads: Vec<Bytes>,
    /// Ticks of its clock that each of them lasts.
    pub ticks: u32,
    /// Ticks a second.
    pub clock_rate: u32,
    /// Whether each packet has the marker, as the end of an access unit (RFC 3640 §3.1), or the first alone, as the start
    /// of a talkspurt (RFC 3551 §4.1).
    pub marks_each: bool,
    /// The payload type: a static one where there is one (RFC 3551 §6).
    pub payload_type: u8,
    /// The value of `a=rtpmap` behind it.
    pub rtpmap: &'static str,
    /// The value of `a=fmtp` behind it.
    pub fmtp: Option<&'static str>,
}

impl Sound {
    /// The sound of an option.
    pub fn of(audio: Audio) -> Option<Sound> {
        match audio {
            Audio::Opus => Some(Sound {
                payloads: clip::packets(),
                ticks: 960,
                marks_each: false,
                clock_rate: AudioCodec::Opus.clock_rate(),
                payload_type: 97,
                rtpmap: "opus/48000/2",
                fmtp: Some("sprop-stereo=1"),
            }),
            Audio::Aac => Some(Sound {
                payloads: adts_frames(TONE_AAC).map(access_unit).collect(),
                ticks: 1_024,
                marks_each: true,
                clock_rate: 16_000,
                payload_type: 97,
                rtpmap: "MPEG4-GENERIC/16000/1",
                fmtp: Some(
                    "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
                     indexdeltalength=3;config=1408",
                ),
            }),
            Audio::Pcmu => Some(Sound::g711(0, "PCMU/8000", mu_law)),
            Audio::Pcma => Some(Sound::g711(8, "PCMA/8000", a_law)),
            Audio::None => None,
        }
    }

    fn g711(payload_type: u8, rtpmap: &'static str, encode: fn(i16) -> u8) -> Sound {
        let (ticks, clock_rate) = (160_u32, AudioCodec::Pcmu.clock_rate());
        let samples = (0..TONE_PACKETS * ticks as usize).map(|index| {
            let phase = TAU * TONE * index as f64 / f64::from(clock_rate);
            encode((phase.sin() * LOUDNESS) as i16)
        });
        let samples: Bytes = samples.collect();
        let packet = |index: usize| samples.slice(index * ticks as usize..(index + 1) * ticks as usize);
        let payloads = (0..TONE_PACKETS).map(packet).collect();
        Sound { payloads, ticks, clock_rate, marks_each: false, payload_type, rtpmap, fmtp: None }
    }

    /// From the beginning to packet `number`.
    pub fn elapsed(&self, number: u64) -> Duration {
        let nanos = u128::from(number) * u128::from(self.ticks) * 1_000_000_000 / u128::from(self.clock_rate);
        Duration::from_nanos(nanos as u64)
    }

    /// The packet that plays at a time.
    pub fn at(&self, elapsed: Duration) -> u64 {
        let ticks = elapsed.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        (ticks / u128::from(self.ticks)) as u64
    }
}

/// The frames of an ADTS stream, without their headers.
fn adts_frames(mut rest: &'static [u8]) -> impl Iterator<Item = &'static [u8]> {
    std::iter::from_fn(move || {
        let &[_, _, _, high, middle, low, _] = rest.first_chunk()?;
        let length = usize::from(high & 3) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
        let (frame, behind) = rest.split_at_checked(length)?;
        rest = behind;
        frame.get(ADTS_HEADER..)
    })
}

/// One access unit behind its header: 16 bits of headers, of which 13 are the unit's length (RFC 3640 §3.3.6).
fn access_unit(frame: &[u8]) -> Bytes {
    let length = (frame.len() as u16) << 3;
    [&[0, 16], &length.to_be_bytes(), frame].concat().into()
}

/// A sample by µ-law (ITU-T G.711).
fn mu_law(sample: i16) -> u8 {
    const BIAS: u16 = 132;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let biased = sample.unsigned_abs().min(32_635) + BIAS;
    // From 7, of the bit below the sign, to 0.
    let segment = (biased.ilog2() - 7) as u16;
    let step = biased >> (segment + 3) & 0x0f;
    !(sign | (segment << 4 | step) as u8)
}

/// A sample by A-law (ITU-T G.711).
fn a_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let size = if sample < 0 { !sample } else { sample }.unsigned_abs() >> 3;
    let coded = match size.checked_ilog2() {
        Some(top @ 5..) => ((top as u16 - 4) << 4) | (size >> (top - 4) & 0x0f),
        _ => size >> 1,
    };
    (coded as u8 | sign) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sound_has_packets_of_the_length_that_it_says() {
        let packets = |audio| Sound::of(audio).map(|sound| (sound.payloads.len(), sound.elapsed(1)));
        assert_eq!(packets(Audio::Opus), Some((500, Duration::from_millis(20))));
        assert_eq!(packets(Audio::Aac), Some((16, Duration::from_millis(64))));
        assert_eq!(packets(Audio::Pcmu), Some((50, Duration::from_millis(20))));
        assert_eq!(packets(Audio::None), None);
        for audio in [Audio::Opus, Audio::Aac, Audio::Pcma] {
            let sound = Sound::of(audio).expect("sound");
            assert!(sound.payloads.iter().all(|payload| !payload.is_empty()));
            assert!(
                (0..1_000).all(|number| sound.at(sound.elapsed(number) + Duration::from_nanos(1)) == number)
            );
        }
    }

    #[test]
    fn an_access_unit_says_its_length() {
        let sound = Sound::of(Audio::Aac).expect("sound");
        for payload in &sound.payloads {
            let length = usize::from(u16::from_be_bytes([payload[2], payload[3]]) >> 3);
            assert_eq!((&payload[..2], length), (&[0, 16][..], payload.len() - 4));
        }
    }

    #[test]
    fn g711_is_that_of_the_standard() {
        // Silence, the loudest, and ends of segments (ITU-T G.711 tables 1a to 2b).
        let mu: Vec<u8> = [0, -1, 32_767, -32_768, 8_031, -124].map(mu_law).into();
        assert_eq!(mu, [0xff, 0x7f, 0x80, 0x00, 0xa0, 0x6f]);
        let a: Vec<u8> = [0, -1, 32_767, -32_768, 512, 1_024].map(a_law).into();
        assert_eq!(a, [0xd5, 0x55, 0xaa, 0x2a, 0xf5, 0xe5]);
    }
}
