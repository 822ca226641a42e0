use proptest::prelude::*;
use sluice_media::aac::{AAC_SAMPLES, AacConfig};

use super::*;

/// A tone of 1 kHz from 0.5 s to 0.55 s and from 1.5 s to 1.55 s, otherwise silence; made by FFmpeg's encoder.
const SLOW: &[u8] = include_bytes!("../../tests/data/bursts-16000-1.aac");
const FAST: &[u8] = include_bytes!("../../tests/data/bursts-44100-2.aac");

/// Samples by which FFmpeg's encoder delays its sound.
const PRIMING: i64 = 1_024;

fn aac(sample_rate: u32, channels: u8) -> Foreign {
    Foreign::Aac(AacConfig { sample_rate, channels })
}

/// The units of ADTS frames.
fn units(mut adts: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    while let [_, _, _, fourth, fifth, sixth, _, ..] = *adts {
        let length = usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth >> 5);
        units.push(&adts[7..length]);
        adts = &adts[length..];
    }
    units
}

/// What a player hears: the sound of `packets` on the source's timeline from 0 on, mono, at 48 kHz.
fn heard(packets: &[Packet], seconds: usize) -> Vec<f32> {
    let mut decoder = ropus::Decoder::new(48_000, ropus::Channels::Mono).expect("a decoder");
    let mut all = vec![0.0; seconds * 48_000];
    for packet in packets {
        let mut samples = [0.0; 5_760];
        let count = decoder.decode_float(&packet.payload, &mut samples, ropus::DecodeMode::Normal);
        for (index, sample) in samples[..count.expect("Opus")].iter().enumerate() {
            let at = packet.timestamp + index as i64;
            if let Some(place) = usize::try_from(at).ok().and_then(|at| all.get_mut(at)) {
                *place = *sample;
            }
        }
    }
    all
}

/// Where the tone is, in milliseconds: begins and ends.
fn tones(heard: &[f32]) -> Vec<(f64, f64)> {
    let mut tones: Vec<(usize, usize)> = Vec::new();
    for (at, _) in heard.iter().enumerate().filter(|(_, sample)| sample.abs() > 0.2) {
        match tones.last_mut() {
            Some((_, end)) if at - *end < 4_800 => *end = at,
            _ => tones.push((at, at)),
        }
    }
    tones.into_iter().map(|(from, to)| (from as f64 / 48.0, to as f64 / 48.0)).collect()
}

fn transcode(sound: Foreign, units: &[(&[u8], i64)]) -> Vec<Packet> {
    let mut transcoder = Transcoder::new(sound).expect("a transcoder");
    let mut packets = Vec::new();
    for (unit, timestamp) in units {
        transcoder.push(unit, *timestamp, &mut packets).expect("a unit");
    }
    packets
}

/// Units with the timestamps of their rate.
fn timed(adts: &'static [u8], rate: i64) -> Vec<(&'static [u8], i64)> {
    let timestamp = |index: usize| (index as i64 * i64::from(AAC_SAMPLES) - PRIMING) * CLOCK / rate;
    units(adts).into_iter().enumerate().map(|(index, unit)| (unit, timestamp(index))).collect()
}

#[test]
fn sound_lies_where_the_source_has_it_whatever_the_codecs_delay() {
    for (adts, rate, channels) in [(SLOW, 16_000, 1), (FAST, 44_100, 2)] {
        let packets = transcode(aac(rate, channels), &timed(adts, rate.into()));
        assert!(packets.windows(2).all(|pair| pair[1].timestamp - pair[0].timestamp == PACKET));
        let tones = tones(&heard(&packets, 2));
        let expected = [(500.0, 550.0), (1_500.0, 1_550.0)];
        assert_eq!(tones.len(), expected.len(), "{rate} Hz: {tones:?}");
        for (tone, expected) in tones.iter().zip(expected) {
            let off = (tone.0 - expected.0).abs().max((tone.1 - expected.1).abs());
            assert!(off < 5.0, "{rate} Hz: {tone:?} instead of {expected:?}");
        }
    }
}

#[test]
fn samples_as_they_are_become_opus_too() {
    let tone = |at: i64| (f64::sin(at as f64 * std::f64::consts::TAU * 1_000.0 / 8_000.0) * 20_000.0) as i16;
    let unit = |first: i64| (first..first + 160).flat_map(|at| tone(at).to_be_bytes()).collect::<Vec<u8>>();
    let units: Vec<(Vec<u8>, i64)> = (0..50).map(|index| (unit(index * 160), index * PACKET)).collect();
    let borrowed: Vec<(&[u8], i64)> = units.iter().map(|(unit, at)| (&unit[..], *at)).collect();
    let packets = transcode(Foreign::L16 { sample_rate: 8_000, channels: 1 }, &borrowed);
    assert_eq!(packets.len(), 50);
    let loud = heard(&packets, 1).iter().skip(4_800).filter(|sample| sample.abs() > 0.3).count();
    assert!(loud > 20_000, "{loud} of 43,200");
}

#[test]
fn a_hole_in_the_timestamps_is_one_in_opus_and_jitter_is_none() {
    let mut units = timed(SLOW, 16_000);
    units.truncate(20);
    for (index, (_, timestamp)) in units.iter_mut().enumerate() {
        *timestamp += if index % 2 == 0 { 300 } else { -300 };
        *timestamp += if index >= 10 { CLOCK } else { 0 };
    }
    let packets = transcode(aac(16_000, 1), &units);
    let steps: Vec<i64> = packets.windows(2).map(|pair| pair[1].timestamp - pair[0].timestamp).collect();
    let holes: Vec<&i64> = steps.iter().filter(|step| **step != PACKET).collect();
    assert!(matches!(holes[..], [hole] if (hole - CLOCK).abs() < 2 * PACKET), "{steps:?}");
}

#[test]
fn a_unit_that_is_none_is_an_error_and_the_next_is_heard() {
    let mut transcoder = Transcoder::new(aac(16_000, 1)).expect("a transcoder");
    let mut packets = Vec::new();
    let loud = units(SLOW)[9];
    assert!(transcoder.push(&loud[..loud.len() / 2], 0, &mut packets).is_err());
    for (unit, timestamp) in timed(SLOW, 16_000) {
        transcoder.push(unit, timestamp, &mut packets).expect("a unit");
    }
    assert_eq!(tones(&heard(&packets, 2)).len(), 2);
}

#[test]
fn every_rate_and_layout_that_is_announced_is_taken() {
    for sample_rate in [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
        for channels in [1, 2] {
            assert!(Transcoder::new(aac(sample_rate, channels)).is_ok(), "{sample_rate} {channels}");
            let sound = Foreign::L16 { sample_rate, channels };
            let unit = vec![0; sample_rate as usize / 10 * 2 * usize::from(channels)];
            assert!(transcode(sound, &[(&unit, 0), (&unit, 4_800)]).len() >= 8, "{sound}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_comes_is_turned_down_without_a_panic(
        garbage in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..200), any::<i32>()), 1..20),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut transcoder = Transcoder::new(aac(44_100, 2)).expect("a transcoder");
        let mut packets = Vec::new();
        for (unit, timestamp) in &garbage {
            let _ = transcoder.push(unit, (*timestamp).into(), &mut packets);
        }
        for (unit, timestamp) in timed(FAST, 44_100).into_iter().skip(20).take(10) {
            let mut unit = unit.to_vec();
            for (at, value) in &flips {
                *at.get_mut(&mut unit) = *value;
            }
            let _ = transcoder.push(&unit, timestamp, &mut packets);
        }
        prop_assert!(packets.iter().all(|packet| !packet.payload.is_empty() && packet.payload.len() <= sluice_media::MAX_PAYLOAD));
    }
}
