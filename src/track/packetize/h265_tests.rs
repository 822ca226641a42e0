//! H.265 into packets: what every payload is, by a strict reader of RFC 7798 and by two depacketizers that know nothing
//! of each other.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use retina::codec::{CodecItem, FrameFormat};
use sluice_media::nal::Packet;
use sluice_media::{AccessUnit, MAX_PAYLOAD, VideoCodec};

use super::*;

// Of x265: Main, 1280x720.
const VPS: &[u8] =
    b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\x92\x80\x90";
const SPS: &[u8] =
    b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\xa0\x02\x80\x80\x2d\x16\
    \x59\x2a\x49\x32\xbc\x05\xa0\x20\x00\x00\x03\x00\x20\x00\x00\x03\x03\xc1";
const PPS: &[u8] = b"\x44\x01\xc1\x72\xb4\x62\x40";

const TRAIL_R: u8 = 1;
const IDR_W_RADL: u8 = 19;
const PREFIX_SEI: u8 = 39;
const SUFFIX_SEI: u8 = 40;

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
fn unit(index: usize, nals: impl IntoIterator<Item = Bytes>) -> AccessUnit {
    AccessUnit {
        nals: nals.into_iter().collect(),
        timestamp: 3_000 * index as i64,
        received: Instant::now() + Duration::from_millis(33 * index as u64),
        after_gap: false,
    }
}

/// A NAL unit of `bytes` bytes, at least 4, without a start code inside or a zero at the end; a slice is the first of
/// its picture and names PPS 0.
fn nal(kind: u8, bytes: usize, seed: u64) -> Bytes {
    let mut state = seed | 1;
    let mut nal = vec![kind << 1, 0x01];
    nal.extend((2..bytes).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8 | 4
    }));
    // First slice; of an IRAP picture a flag; ue 0, then ue 1 (010).
    nal[2] = if kind >= 16 { 0b1010_1000 } else { 0b1101_0000 };
    nal.into()
}

fn packetizer() -> VideoPacketizer {
    let mut packetizer = VideoPacketizer::new(VideoCodec::H265, 1_000);
    packetizer.set_parameter_sets(&[VPS, SPS, PPS].map(Bytes::from_static));
    packetizer
}

fn payloads(trains: &[Arc<Train>]) -> Vec<&[u8]> {
    trains.iter().flat_map(|train| train.packets.iter()).collect()
}

fn kind(nal: &[u8]) -> u8 {
    nal[0] >> 1 & 0x3f
}

/// What RFC 7798 makes of payloads, strictly: every rule about aggregation and fragmentation is asserted.
fn depacketize(payloads: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut nals, mut fragmented) = (Vec::new(), None::<(Vec<u8>, Vec<usize>)>);
    for payload in payloads {
        assert!(payload.len() <= MAX_PAYLOAD);
        assert!(kind(payload) == 49 || fragmented.is_none(), "a packet between fragments");
        match kind(payload) {
            0..48 => nals.push(payload.to_vec()),
            48 => {
                assert_eq!(payload[..2], [48 << 1, 1], "layer 0, the lowest temporal layer (§4.4.2)");
                let (mut rest, mut units) = (&payload[2..], 0);
                while let [high, low, after @ ..] = rest {
                    let (nal, after) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
                    assert!(kind(nal) < 48, "an aggregate inside an aggregate");
                    nals.push(nal.to_vec());
                    (rest, units) = (after, units + 1);
                }
                assert!(rest.is_empty() && units >= 2);
            }
            49 => {
                let (first, last) = (payload[2] & 0x80 != 0, payload[2] & 0x40 != 0);
                assert!(!(first && last), "one fragment is no fragmentation (§4.4.3)");
                assert_eq!(first, fragmented.is_none());
                let header = [payload[0] & 0x81 | (payload[2] & 0x3f) << 1, payload[1]];
                let (nal, sizes) = fragmented.get_or_insert_with(|| (header.to_vec(), Vec::new()));
                assert_eq!(nal[..2], header);
                nal.extend_from_slice(&payload[3..]);
                sizes.push(payload.len());
                if last {
                    let (shortest, all) = (sizes.pop().unwrap_or_default(), sizes.len() + 1);
                    assert!(sizes.iter().all(|size| *size == sizes[0]), "equal but the last: {sizes:?}");
                    assert!(shortest <= sizes[0] && sizes[0] - shortest < all);
                    assert_eq!(all, (nal.len() - 2).div_ceil(MAX_PAYLOAD - 3), "no more than needed");
                    nals.extend(fragmented.take().map(|(nal, _)| nal));
                }
            }
            other => panic!("type {other} is nothing that we send"),
        }
    }
    assert!(fragmented.is_none(), "the last fragment is missing");
    nals
}

#[test]
fn parameter_sets_go_before_every_picture_that_a_decoder_can_begin_with() {
    let mut packetizer = packetizer();
    let head =
        [&[48 << 1, 1, 0, VPS.len() as u8][..], VPS, &[0, SPS.len() as u8], SPS, &[0, PPS.len() as u8], PPS]
            .concat();
    // BLA, IDR and CRA.
    for irap in 16..=21 {
        let slice = nal(irap, 500, 1);
        // Left out by the source, and sent by it at an odd place: the same packets.
        for nals in [vec![slice.clone()], vec![slice.clone(), Bytes::from_static(SPS)]] {
            let trains = packetizer.packetize(unit(0, nals)).expect("a picture");
            assert_eq!(payloads(&trains), [&head[..], &slice], "type {irap}");
            assert!(trains[0].keyframe && trains[0].codec == VideoCodec::H265.into());
        }
    }
    for other in 0..=9 {
        let slice = nal(other, 500, 1);
        let trains = packetizer.packetize(unit(1, [slice.clone()])).expect("a picture");
        assert_eq!(payloads(&trains), [&slice[..]]);
        assert!(!trains[0].keyframe, "type {other}");
    }
    let facts = packetizer.facts();
    assert_eq!((facts.profile_level_id, facts.size), (Some([1, 0, 93]), Some((1_280, 720))));
    assert!(!facts.b_pictures && !facts.interlaced);
}

#[test]
fn a_keyframe_without_all_three_sets_is_refused_in_words() {
    for missing in 0..3 {
        let mut packetizer = VideoPacketizer::new(VideoCodec::H265, 1_000);
        let sets: Vec<Bytes> = [VPS, SPS, PPS].map(Bytes::from_static).into();
        let some: Vec<Bytes> =
            sets.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, set)| set.clone()).collect();
        packetizer.set_parameter_sets(&some);
        let error =
            packetizer.packetize(unit(0, [nal(IDR_W_RADL, 50, 1)])).expect_err("nothing to decode by");
        assert!(
            error.to_string().contains("no VPS/SPS/PPS") && error.reason().contains("VPS/SPS/PPS"),
            "{error}"
        );
        // The missing one comes in band, and behind the others.
        let whole = [sets[missing].clone(), nal(IDR_W_RADL, 50, 1)];
        assert!(packetizer.packetize(unit(1, whole)).expect("a picture")[0].keyframe);
    }
}

#[test]
fn layers_above_the_picture_and_what_rtp_says_itself_are_left_out() {
    let slice = nal(TRAIL_R, 100, 1);
    let layer = Bytes::from_static(&[TRAIL_R << 1, 1 << 3 | 1, 0x80, 7]);
    let (delimiter, filler) = (Bytes::from_static(&[70, 1, 0x50]), Bytes::from_static(&[76, 1, 0xff]));
    let (damaged, foreign) = (Bytes::from_static(&[0x82, 1, 0x80]), Bytes::from_static(&[49 << 1, 1, 0x80]));
    let mut packetizer = packetizer();
    let nals = [delimiter, layer, filler, damaged, foreign, slice.clone()];
    let trains = packetizer.packetize(unit(0, nals)).expect("a picture");
    assert_eq!((payloads(&trains), packetizer.discarded_nals()), (vec![&slice[..]], 2));
}

#[test]
fn another_codec_goes_on_in_sequence_behind_a_gap() {
    let mut packetizer = VideoPacketizer::new(VideoCodec::H264, 1_000);
    let slice = Bytes::from_static(&[0x41, 0x9a, 0x80]);
    let before = packetizer.packetize(unit(0, [slice, Bytes::from_static(&[0x80])])).expect("a picture");
    packetizer.restart(VideoCodec::H265);
    packetizer.set_parameter_sets(&[VPS, SPS, PPS].map(Bytes::from_static));
    let after = packetizer.packetize(unit(1, [nal(IDR_W_RADL, 50, 1)])).expect("a picture");
    assert_eq!(after[0].sequence, before[0].end() + 1);
    assert!(after[0].timestamp > before[0].timestamp);
    assert_eq!((after[0].codec, packetizer.discarded_nals()), (VideoCodec::H265.into(), 1));
}

/// Slices of one picture with what encoders send beside them.
fn picture() -> impl Strategy<Value = Vec<Bytes>> {
    let kind = prop_oneof![3 => Just(TRAIL_R), 1 => 0..=9u8, 2 => 16..=21u8];
    let bytes =
        || prop_oneof![4 => 4..60usize, 3 => 1_190..1_210usize, 2 => 2_390..2_405usize, 1 => 4..60_000usize];
    let slices = (kind, prop::collection::vec((bytes(), any::<u64>()), 1..5)).prop_map(|(kind, slices)| {
        let of_picture = |(at, (bytes, seed))| {
            let mut slice = nal(kind, bytes, seed).to_vec();
            if at > 0 {
                slice[2] &= 0x7f;
            }
            Bytes::from(slice)
        };
        slices.into_iter().enumerate().map(of_picture).collect::<Vec<_>>()
    });
    let info = |kind| {
        prop::option::weighted(0.3, (bytes(), any::<u64>()))
            .prop_map(move |info| info.map(|(bytes, seed)| nal(kind, bytes, seed)))
    };
    (info(PREFIX_SEI), slices, info(SUFFIX_SEI))
        .prop_map(|(before, slices, behind)| before.into_iter().chain(slices).chain(behind).collect())
}

/// The pictures that retina makes of trains, each as NAL units behind start codes.
fn by_retina(
    depacketizer: &mut retina::codec::Depacketizer,
    buffer: &mut retina::testutil::DepacketizeBuf,
    trains: &[Arc<Train>],
) -> Vec<u8> {
    let clock_rate = NonZeroU32::new(90_000).expect("not zero");
    for train in trains {
        for (index, payload) in train.packets.iter().enumerate() {
            let meta = retina::rtp::PacketMeta {
                ctx: retina::PacketContext::dummy(),
                stream_id: 0,
                timestamp: retina::Timestamp::new(train.timestamp as i64, clock_rate, 0)
                    .expect("a timestamp"),
                sequence_number: (train.sequence + index as u64).0 as u16,
                ssrc: 1,
                mark: train.marker(index),
                loss: 0,
            };
            assert!(depacketizer.pull().is_none(), "a picture before the marker");
            buffer.push(depacketizer, meta, payload).expect("a packet");
        }
    }
    match depacketizer.pull() {
        Some(Ok(CodecItem::VideoFrame(frame))) => frame.into_data(),
        other => panic!("no picture but {other:?}"),
    }
}

proptest! {
    /// A strict reader, retina's depacketizer and our own see the very NAL units that went in.
    #[test]
    fn independent_depacketizers_see_what_went_in(pictures in prop::collection::vec(picture(), 1..8)) {
        let mut packetizer = packetizer();
        let mut retina = retina::codec::Depacketizer::new("video", "h265", 90_000, None, None).expect("it knows H.265");
        retina.set_frame_format(FrameFormat::SIMPLE);
        let mut buffer = retina::testutil::DepacketizeBuf::new(65_536);
        let mut own = VideoCodec::H265.depacketizer(1 << 20);
        // To retina a session begins with parameter sets.
        let first = vec![nal(IDR_W_RADL, 40, 1)];
        for (index, nals) in std::iter::once(first).chain(pictures).enumerate() {
            let keyframe = nals.iter().any(|nal| (16..=21).contains(&kind(nal)));
            let sets = [VPS, SPS, PPS].into_iter().filter(|_| keyframe).map(<[u8]>::to_vec);
            let expected: Vec<Vec<u8>> = sets.chain(nals.iter().map(|nal| nal.to_vec())).collect();
            let trains = packetizer.packetize(unit(index, nals)).expect("a picture");
            prop_assert_eq!(trains[0].keyframe, keyframe);
            prop_assert_eq!(&depacketize(&payloads(&trains)), &expected);

            // retina takes sets out, and puts those that it knows before IDR pictures only.
            let is_idr = expected.iter().any(|nal| matches!(kind(nal), 19 | 20));
            let from = if keyframe && !is_idr { 3 } else { 0 };
            let stream: Vec<u8> = expected[from..].iter().flat_map(|nal| [&[0, 0, 0, 1][..], nal].concat()).collect();
            prop_assert!(by_retina(&mut retina, &mut buffer, &trains) == stream, "retina sees something else");

            let mut units = Vec::new();
            for train in &trains {
                for (at, payload) in train.packets.iter().enumerate() {
                    let packet = Packet {
                        payload: Bytes::copy_from_slice(payload),
                        timestamp: train.timestamp as i64,
                        marker: train.marker(at),
                        after_loss: false,
                        restarted: false,
                        received: train.received,
                    };
                    own.push(packet, &mut units).expect("within the limit");
                }
            }
            prop_assert_eq!(units.len(), 1);
            prop_assert_eq!(&units[0].nals, &expected);
            prop_assert_eq!(VideoCodec::H265.is_keyframe(&units[0].nals), keyframe);
        }
        prop_assert_eq!(own.discarded(), 0);
    }
}
