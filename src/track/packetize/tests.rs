use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use retina::codec::{CodecItem, Depacketizer, FrameFormat, ParametersRef};
use sluice_media::{AccessUnit, AudioCodec, AudioFrame, MAX_PAYLOAD, VideoCodec, read_red};

use super::*;

/// Two parameter sets of cameras in the field, both with id 0, and their PPS.
const SPS_A: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x03, 0xc5, 0x68, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c,
    0x03, 0xc5, 0x8b, 0x92,
];
const SPS_B: &[u8] = &[0x67, 0x4d, 0x00, 0x1e, 0x95, 0xa8, 0x2d, 0x0f, 0x69, 0xb8, 0x08, 0x08, 0x08, 0x10];
const PPS_A: &[u8] = &[0x68, 0xcb, 0x8c, 0xb2];
const PPS_B: &[u8] = &[0x68, 0xee, 0x3c, 0x80];

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
fn epoch() -> Instant {
    Instant::now()
}

fn unit(index: usize, nals: impl IntoIterator<Item = Bytes>) -> AccessUnit {
    let received = epoch() + Duration::from_millis(33 * index as u64);
    AccessUnit {
        nals: nals.into_iter().collect(),
        timestamp: 3_000 * index as i64,
        received,
        after_gap: false,
    }
}

/// A NAL unit of `bytes` bytes that an encoder could have made: no start code inside, no zero at the end; a slice
/// names PPS 0.
fn nal(header: u8, bytes: usize, seed: u64) -> Bytes {
    let (mut state, mut zeros) = (seed | 1, 0);
    let mut nal = vec![header];
    for _ in 1..bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // One byte in four is zero, to make escapes as frequent as in flat pictures.
        let byte = if state >> 62 == 0 { 0 } else { (state >> 24) as u8 };
        let byte = if zeros >= 2 && byte <= 3 { 4 } else { byte };
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        nal.push(byte);
    }
    // ue 0, ue 7 (0001000), ue 0.
    if let (1 | 2 | 5, Some(head)) = (header & 0x1f, nal.get_mut(1..)) {
        head.iter_mut().zip([0b1000_1000, 0x80]).for_each(|(byte, bits)| *byte = *byte & 1 | bits);
    }
    if bytes > 1 && nal.ends_with(&[0]) {
        nal[bytes - 1] = 0x80;
    }
    nal.into()
}

fn packetizer() -> VideoPacketizer {
    let mut packetizer = VideoPacketizer::new(VideoCodec::H264, 1_000);
    packetizer.set_parameter_sets(&[SPS_A, PPS_A].map(Bytes::from_static));
    packetizer
}

fn payloads(trains: &[Arc<Train>]) -> Vec<&[u8]> {
    trains.iter().flat_map(|train| train.packets.iter()).collect()
}

/// What RFC 6184 makes of payloads, strictly: every rule about FU-A and STAP-A is asserted.
fn depacketize(payloads: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut nals, mut fragmented) = (Vec::new(), None::<Vec<u8>>);
    for payload in payloads {
        let kind = payload[0] & 0x1f;
        assert!(kind == 28 || fragmented.is_none(), "a packet between fragments");
        match kind {
            1..=23 => nals.push(payload.to_vec()),
            24 => {
                let (mut rest, mut nri, mut units) = (&payload[1..], 0, 0);
                while let [high, low, after @ ..] = rest {
                    let (nal, after) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
                    assert!((1..=23).contains(&(nal[0] & 0x1f)), "an aggregate inside an aggregate");
                    nals.push(nal.to_vec());
                    (rest, nri, units) = (after, nri.max(nal[0] & 0x60), units + 1);
                }
                assert!(rest.is_empty() && units >= 2);
                assert_eq!(payload[0], nri | 24, "NRI is the highest of all (§5.7.1)");
            }
            28 => {
                let (indicator, header, fragment) = (payload[0], payload[1], &payload[2..]);
                assert!(!fragment.is_empty());
                assert_eq!(header & 0x20, 0, "reserved bit (§5.8)");
                let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
                assert!(!(start && end), "one fragment is no fragmentation (§5.8)");
                assert_eq!(start, fragmented.is_none());
                let nal = fragmented.get_or_insert_with(|| vec![indicator & 0xe0 | header & 0x1f]);
                assert_eq!(nal[0], indicator & 0xe0 | header & 0x1f);
                nal.extend_from_slice(fragment);
                if end {
                    nals.extend(fragmented.take());
                }
            }
            _ => panic!("payload type {kind} is not of packetization-mode=1"),
        }
    }
    assert!(fragmented.is_none(), "the last fragment is missing");
    nals
}

#[test]
fn parameter_sets_go_before_each_idr_once() {
    let mut packetizer = packetizer();
    let head = [&[0x78, 0, SPS_A.len() as u8], SPS_A, &[0, 4], PPS_A].concat();
    let idr = nal(0x65, 500, 1);

    // Left out by the source, sent by it at an odd place, sent twice: the same packets.
    let set = Bytes::from_static;
    for nals in [
        vec![idr.clone()],
        vec![idr.clone(), set(PPS_A), set(SPS_A)],
        vec![set(SPS_A), set(SPS_A), idr.clone()],
    ] {
        let trains = packetizer.packetize(unit(0, nals)).unwrap();
        assert_eq!(payloads(&trains), [&head[..], &idr]);
        assert!(trains[0].keyframe);
    }

    // A picture that is no IDR brings new ones: sent in order now, and before the next IDR.
    let slice = nal(0x41, 100, 2);
    let trains = packetizer.packetize(unit(1, [set(SPS_B), set(PPS_B), slice.clone()])).unwrap();
    assert_eq!(depacketize(&payloads(&trains)), [SPS_B, PPS_B, &slice]);
    assert!(!trains[0].keyframe);
    let trains = packetizer.packetize(unit(2, [idr.clone()])).unwrap();
    assert_eq!(depacketize(&payloads(&trains)), [SPS_B, PPS_B, &idr]);
    let facts = packetizer.facts();
    assert_eq!(facts.profile_level_id, Some([0x4d, 0x00, 0x1e]));
}

#[test]
fn sei_joins_the_parameter_sets_if_it_fits() {
    let mut packetizer = packetizer();
    let idr = nal(0x65, 500, 1);
    for (sei_bytes, packets) in [
        (50, 2),
        (MAX_PAYLOAD - 1 - 2 - 21 - 2 - 4 - 2, 2),
        (MAX_PAYLOAD - 1 - 2 - 21 - 2 - 4 - 1, 3),
        (MAX_PAYLOAD, 3),
    ] {
        let sei = nal(0x06, sei_bytes, 3);
        let trains = packetizer.packetize(unit(0, [sei.clone(), idr.clone()])).unwrap();
        assert_eq!(trains[0].packets.len(), packets, "SEI of {sei_bytes} bytes");
        assert_eq!(depacketize(&payloads(&trains)), [SPS_A, PPS_A, &sei, &idr]);
    }
}

#[test]
fn sei_shares_the_packet_of_a_small_slice() {
    let mut packetizer = packetizer();
    let sei = nal(0x06, 40, 3);
    // What is left of a packet by the SEI, the aggregate's header and two lengths.
    let most = MAX_PAYLOAD - 40 - 1 - 2 * 2;
    for (bytes, packets) in [(100, 1), (most, 1), (most + 1, 2), (MAX_PAYLOAD + 1, 3)] {
        let (slice, next) = (nal(0x41, bytes, 1), nal(0x41, 100, 2));
        let trains = packetizer.packetize(unit(0, [sei.clone(), slice.clone(), next.clone()])).unwrap();
        assert_eq!(trains[0].packets.len(), packets + 1, "a slice of {bytes} bytes, and another");
        assert_eq!(depacketize(&payloads(&trains)), [&sei[..], &slice, &next]);
    }
}

#[test]
fn each_group_of_small_units_has_its_own_aggregate() {
    let (large, small, slice) = (nal(0x06, 1_000, 3), nal(0x06, 100, 4), nal(0x65, 500, 1));
    let nals = [large.clone(), slice.clone(), small.clone(), large.clone(), slice.clone()];
    let trains = packetizer().packetize(unit(0, nals)).unwrap();
    let kinds: Vec<_> = payloads(&trains).iter().map(|payload| payload[0] & 0x1f).collect();
    assert_eq!(kinds, [24, 5, 24, 5]);
    assert_eq!(depacketize(&payloads(&trains)), [SPS_A, PPS_A, &large, &slice, &small, &large, &slice]);
}

#[test]
fn fragments_are_of_equal_size_at_the_edges() {
    let mut packetizer = packetizer();
    // Payload lengths of one slice. 2,345 = 1 + 2 * 1,172 is the most that two fragments carry.
    let cases: [(usize, &[usize]); 6] = [
        (MAX_PAYLOAD, &[MAX_PAYLOAD]),
        (MAX_PAYLOAD + 1, &[589, 589]),
        (2_345, &[MAX_PAYLOAD, MAX_PAYLOAD]),
        (2_346, &[784, 784, 783]),
        (2_347, &[784, 784, 784]),
        (2_348, &[785, 785, 783]),
    ];
    for (bytes, sizes) in cases {
        let trains = packetizer.packetize(unit(0, [nal(0x41, bytes, 4)])).unwrap();
        assert_eq!(
            payloads(&trains).iter().map(|packet| packet.len()).collect::<Vec<_>>(),
            sizes,
            "{bytes} bytes"
        );
    }
}

#[test]
fn refusals_name_value_and_limit_and_leave_no_trace() {
    let mut packetizer = VideoPacketizer::new(VideoCodec::H264, 0);
    let idr = nal(0x65, 500, 1);
    let error = packetizer.packetize(unit(1, [idr.clone()])).unwrap_err();
    assert_eq!(error, PacketizeError::NoParameterSets { timestamp: 3_000, sets: &["SPS", "PPS"] });

    let malformed =
        [Bytes::new(), nal(0xc1, 9, 1), nal(0x60, 9, 1), nal(0x78, 9, 1), nal(0x7f, 9, 1), nal(0x67, 2, 1)];
    let needless = [nal(0x09, 2, 1), nal(0x0a, 1, 1), nal(0x0b, 1, 1), nal(0x0c, 90, 1)];
    let error = packetizer.packetize(unit(1, [&malformed[..], &needless[..]].concat())).unwrap_err();
    assert_eq!(error, PacketizeError::Empty { timestamp: 3_000, nals: 10, discarded: 6 });
    assert_eq!(packetizer.discarded_nals(), 6);
    assert!(packetizer.packetize(unit(1, [])).is_err());

    let halves = [nal(0x41, MAX_ACCESS_UNIT / 2, 1), nal(0x41, MAX_ACCESS_UNIT / 2 + 1, 1)];
    let error = packetizer.packetize(unit(1, halves)).unwrap_err();
    assert!(error.to_string().contains("4194305 bytes, the limit is 4194304"), "{error}");
    let error = packetizer.packetize(unit(1, vec![nal(0x41, 2, 1); 1_025])).unwrap_err();
    assert!(error.to_string().contains("1025 NAL units, the limit is 1024"), "{error}");

    // Sets alone are no picture, but they are remembered: the IDR picture is the first to be sent.
    let sets = [Bytes::from_static(SPS_A), Bytes::from_static(PPS_A)];
    assert!(packetizer.packetize(unit(1, sets)).unwrap().is_empty());
    let trains = packetizer.packetize(unit(2, [idr])).unwrap();
    assert_eq!((trains[0].sequence.0, trains[0].timestamp as u32), (0, 0));
}

#[test]
fn the_largest_unit_is_cut_into_trains() {
    let trains = packetizer().packetize(unit(0, [nal(0x65, MAX_ACCESS_UNIT, 1)])).unwrap();
    check_trains(&trains, 0);
    let packets = payloads(&trains).len();
    // 3,579 fragments and the parameter sets, 50 full packets to a train.
    assert_eq!((packets, trains.len()), (3_580, 224));
}

#[test]
fn a_restart_goes_on_in_sequence_and_time() {
    let mut packetizer = packetizer();
    let t = epoch();
    let slice = |timestamp, received| AccessUnit {
        nals: vec![nal(0x41, 100, 1)],
        timestamp,
        received,
        after_gap: false,
    };
    let first = packetizer.packetize(slice(1_000_000, t)).unwrap();
    packetizer.restart(VideoCodec::H264);
    let second = packetizer.packetize(slice(7, t + Duration::from_secs(2))).unwrap();
    assert_eq!(second[0].sequence, first[0].end() + 1, "its pictures refer to none before them");
    assert_eq!(second[0].timestamp, first[0].timestamp + 180_000);
    assert_eq!(second[0].captured, t + Duration::from_secs(2));
}

#[test]
fn a_missing_picture_is_a_gap_in_the_numbers() {
    let mut packetizer = packetizer();
    let slice = |index| unit(index, [nal(0x41, 100, 1)]);
    // At the beginning there is nothing to be apart from.
    let first = packetizer.packetize(AccessUnit { after_gap: true, ..slice(0) }).unwrap();
    assert_eq!(first[0].sequence, TrackSeq(0));
    assert_eq!(packetizer.packetize(slice(1)).unwrap()[0].sequence, TrackSeq(1));
    assert_eq!(
        packetizer.packetize(AccessUnit { after_gap: true, ..slice(2) }).unwrap()[0].sequence,
        TrackSeq(3)
    );
    // One that is refused is missing, too.
    packetizer.packetize(unit(3, [nal(0x41, MAX_ACCESS_UNIT + 1, 1)])).unwrap_err();
    assert_eq!(packetizer.packetize(slice(4)).unwrap()[0].sequence, TrackSeq(5));
}

#[test]
fn a_keyframe_needs_the_very_sets_that_its_slices_name() {
    let mut packetizer = packetizer();
    // ue 0, ue 7 (0001000), then PPS 0 or PPS 1 (010).
    let idr = |pps: u8| Bytes::from(vec![0x65, 0b1000_1000, pps, 7]);
    assert!(packetizer.packetize(unit(0, [idr(0b1000_0000)])).is_ok());
    let error = packetizer.packetize(unit(1, [idr(0b0100_0000)])).unwrap_err();
    assert_eq!(error, PacketizeError::NoParameterSets { timestamp: 3_000, sets: &["SPS", "PPS"] });
    // PPS 1 of SPS 0.
    let other = Bytes::from_static(&[0x68, 0b0101_0000]);
    let trains = packetizer.packetize(unit(2, [other.clone(), idr(0b0100_0000)])).unwrap();
    assert_eq!(depacketize(&payloads(&trains)), [SPS_A, PPS_A, &other, &idr(0b0100_0000)]);
}

#[test]
fn audio_goes_on_as_it_came() {
    let t = epoch();
    let mut packetizer = AudioPacketizer::new(AudioCodec::Opus, 5);
    let mut packetize = |bytes: usize, timestamp| {
        // CELT, one frame of 20 ms.
        packetizer.packetize(AudioFrame { payload: vec![0xf8; bytes].into(), timestamp, received: t })
    };
    let (first, second) = (packetize(100, 0).unwrap(), packetize(MAX_PAYLOAD, 960).unwrap());
    assert_eq!((first[0].sequence.0, first[0].timestamp as u32, first[0].marker(0)), (0, 5, true));
    assert_eq!((second[0].sequence.0, second[0].timestamp as u32, second[0].marker(0)), (1, 965, false));
    assert!(second[0].keyframe && second[0].starts_frame && second[0].ends_frame);
    assert_eq!(payloads(&second), [[0xf8_u8; MAX_PAYLOAD]]);

    assert_eq!(packetize(0, 0).unwrap_err(), PacketizeError::EmptyPayload { timestamp: 0 });
    let error = packetize(MAX_PAYLOAD + 1, 0).unwrap_err();
    assert!(
        error.to_string().starts_with("opus packet at source timestamp 0 has 1175 bytes, the limit is 1174")
    );

    packetizer.restart();
    let frame = AudioFrame { payload: vec![7].into(), timestamp: 0, received: t };
    assert!(packetizer.packetize(frame).unwrap()[0].marker, "a reconnect starts a talkspurt");
}

/// What goes in front of a packet: how many ticks older it is, and its payload.
fn in_front(train: &Train) -> Option<(u16, Vec<u8>)> {
    let redundant = train.redundant.as_ref()?;
    let packet = [&redundant.header(111)[..], redundant.payloads()].concat();
    let blocks = read_red(&packet).expect("RED");
    let [before, own] = &blocks[..] else { panic!("{blocks:?}") };
    assert_eq!(own.payload, &train.packets[0]);
    assert!(train.bytes_most() == packet.len() && train.held() > packet.len());
    Some((before.offset, before.payload.to_vec()))
}

#[test]
fn opus_has_the_packet_directly_before_it_in_front() {
    let (t, mut packetizer) = (epoch(), AudioPacketizer::new(AudioCodec::Opus, u32::MAX - 1_000));
    let mut packetize = |timestamp, payload: &[u8]| {
        let payload = [&[0xf8], payload].concat().into();
        let made =
            packetizer.packetize(AudioFrame { payload, timestamp, received: t }).expect("a sound packet");
        in_front(&made[0])
    };
    assert_eq!(packetize(0, &[1]), None, "the first");
    assert_eq!(packetize(960, &[2, 2]), Some((960, vec![0xf8, 1])));
    assert_eq!(packetize(1_920, &[3]), Some((960, vec![0xf8, 2, 2])), "where timestamps wrap");
    // Behind a silence the one before it was heard long ago.
    assert_eq!(packetize(5_280, &[4]), None);
    assert_eq!(packetize(6_240, &[0; 1_150]), Some((960, vec![0xf8, 4])));
    assert_eq!(packetize(7_200, &[5]), None, "1,151 bytes are more than the format tells");
    assert_eq!(packetize(8_160, &[6]), Some((960, vec![0xf8, 5])));
    // A clock that went back: the sound goes on.
    assert_eq!(packetize(0, &[7]), Some((960, vec![0xf8, 6])));
}

#[test]
fn a_reconnect_has_nothing_in_front_and_neither_has_another_codec() {
    let t = epoch();
    let frame = |timestamp| AudioFrame { payload: vec![0xf8; 100].into(), timestamp, received: t };
    let mut opus = AudioPacketizer::new(AudioCodec::Opus, 0);
    assert!(in_front(&opus.packetize(frame(0)).unwrap()[0]).is_none());
    assert!(in_front(&opus.packetize(frame(960)).unwrap()[0]).is_some());
    opus.restart();
    assert!(in_front(&opus.packetize(frame(1_920)).unwrap()[0]).is_none());
    for codec in [AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722] {
        let mut packetizer = AudioPacketizer::new(codec, 0);
        for packet in 0..5 {
            assert!(in_front(&packetizer.packetize(frame(packet * 100)).unwrap()[0]).is_none(), "{codec:?}");
        }
    }
}

/// Timestamps, from that of the first on, of packets that the source gives `(timestamp, bytes, arrival in ms)`.
fn sound(codec: AudioCodec, packets: impl IntoIterator<Item = (i64, Vec<u8>, u64)>) -> Vec<u32> {
    let (start, mut packetizer) = (epoch(), AudioPacketizer::new(codec, 0));
    let mut timestamps = Vec::new();
    for (timestamp, payload, at) in packets {
        let frame =
            AudioFrame { payload: payload.into(), timestamp, received: start + Duration::from_millis(at) };
        timestamps.push(packetizer.packetize(frame).unwrap()[0].timestamp as u32);
    }
    timestamps
}

#[test]
fn sound_follows_sound_where_the_source_s_clock_jitters() {
    // CELT, one frame of 20 ms: 960 ticks.
    let packet = || vec![0b1111_1000, 1, 2];
    let jitter = [0, -7, 4, 7, -4, 0, 300, -300];
    let packets = (0..8).map(|n| (n * 960 + jitter[n as usize], packet(), n as u64 * 20));
    assert_eq!(sound(AudioCodec::Opus, packets), [0, 960, 1_920, 2_880, 3_840, 4_800, 5_760, 6_720]);
    // Of 10 and 60 ms in turn.
    let packets = [(0, vec![0], 0), (483, vec![0b0001_1000], 10), (3_350, vec![0], 70), (3_845, vec![0], 80)];
    assert_eq!(sound(AudioCodec::Opus, packets), [0, 480, 3_360, 3_840]);
    // G.711: a byte is a sample; the packet that was cut is followed by its end.
    let packets = [(0, vec![7; 2_000], 0), (1_990, vec![7; 160], 250), (2_170, vec![7; 160], 270)];
    assert_eq!(sound(AudioCodec::Pcmu, packets), [0, 2_000, 2_160]);
}

#[test]
fn sound_behind_a_silence_goes_where_the_source_says_and_never_back() {
    let packet = || vec![0b1111_1000, 1, 2];
    let packets =
        [(0, packet(), 0), (960, packet(), 20), (960 * 52, packet(), 1_040), (960 * 53, packet(), 1_060)];
    assert_eq!(sound(AudioCodec::Opus, packets), [0, 960, 960 * 52, 960 * 53]);
    // 100 ms back: what was said is not said again at the same time.
    let packets = [(9_600, packet(), 0), (4_800, packet(), 20), (5_760, packet(), 40)];
    assert_eq!(sound(AudioCodec::Opus, packets), [0, 960, 1_920]);
    // A clock that is slow by 2 % is followed in steps of more than the 40 ms that nobody hears.
    let packets = (0..200).map(|n| (n * 980, packet(), n as u64 * 20));
    let timestamps = sound(AudioCodec::Opus, packets);
    let steps: Vec<u32> = timestamps.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().filter(|step| **step != 960).count() <= 3 && steps.iter().all(|step| *step >= 960));
    assert!(980 * 199 - timestamps[199] <= 48 * 40, "{timestamps:?}");
}

#[test]
fn sound_whose_packets_are_longer_than_its_timestamps_tell_does_not_run_away() {
    let packets = (0..1_000).map(|n| (n * 160, vec![7; 320], n as u64 * 20));
    let timestamps = sound(AudioCodec::Pcmu, packets);
    assert!(timestamps.is_sorted_by(|a, b| a < b));
    assert!(timestamps[999] <= 999 * 160 + 8_000 + 320, "{}", timestamps[999]);
}

#[test]
fn long_g711_is_split_between_samples() {
    for codec in [AudioCodec::Pcmu, AudioCodec::Pcma] {
        let (t, mut packetizer) = (epoch(), AudioPacketizer::new(codec, 0));
        let samples: Vec<u8> = (0..2_402).map(|sample| sample as u8).collect();
        let frame = AudioFrame { payload: samples.clone().into(), timestamp: 160, received: t };
        let trains = packetizer.packetize(frame).unwrap();

        let seen: Vec<_> =
            trains.iter().map(|train| (train.sequence.0, train.timestamp as u32, train.bytes())).collect();
        assert_eq!(seen, [(0, 0, 801), (1, 801, 801), (2, 1_602, 800)]);
        assert_eq!(payloads(&trains).concat(), samples);
        assert!(trains.iter().all(|train| train.captured <= t && train.packets.len() == 1));
        assert_eq!(trains.iter().filter(|train| train.marker).count(), 1);

        let next = AudioFrame { payload: vec![0; 160].into(), timestamp: 160 + 2_402, received: t };
        assert_eq!(packetizer.packetize(next).unwrap()[0].timestamp as u32, 2_402);
        let endless = AudioFrame { payload: vec![0; 64_001].into(), timestamp: 0, received: t };
        assert!(packetizer.packetize(endless).is_err());
    }
}

/// What holds for the trains of any access unit, the first of which has to have `sequence`.
fn check_trains(trains: &[Arc<Train>], mut sequence: u64) {
    for (index, train) in trains.iter().enumerate() {
        let (first, last) = (index == 0, index + 1 == trains.len());
        assert_eq!(train.sequence, TrackSeq(sequence));
        sequence = train.end().0;
        assert!((1..=MAX_TRAIN_PACKETS).contains(&train.packets.len()));
        assert!(train.packets.iter().all(|packet| (1..=MAX_PAYLOAD).contains(&packet.len())));
        assert_eq!((train.starts_frame, train.ends_frame), (first, last));
        assert!(first || !train.keyframe);
        assert_eq!(train.timestamp, trains[0].timestamp);
        for packet in 0..train.packets.len() {
            assert_eq!(train.marker(packet), last && packet + 1 == train.packets.len());
        }
    }
    check_fragments(&payloads(trains));
}

/// All fragments of a NAL unit are equal but the last, which lacks less than a byte per fragment.
fn check_fragments(payloads: &[&[u8]]) {
    let fragments: Vec<_> = payloads.iter().filter(|payload| payload[0] & 0x1f == 28).collect();
    for run in fragments.chunk_by(|_, next| next[1] & 0x80 == 0) {
        let (last, others) = run.split_last().unwrap();
        let size = others[0].len();
        assert!(others.iter().all(|other| other.len() == size));
        assert!(last.len() <= size && size - last.len() < run.len());
        let carried: usize = run.iter().map(|fragment| fragment.len() - 2).sum();
        assert_eq!(run.len(), carried.div_ceil(MAX_PAYLOAD - 2), "no more fragments than needed");
    }
}

fn nal_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 1..60usize,
        2 => 1_190..1_210usize,
        1 => (2..6usize, 0..4usize).prop_map(|(packets, more)| packets * (MAX_PAYLOAD - 2) - 1 + more),
        3 => 1..20_000usize,
        1 => 1..200_000usize,
    ]
}

/// Any header at all, and now and then nothing.
fn any_nal() -> impl Strategy<Value = Bytes> {
    let odd =
        (any::<u8>(), nal_bytes(), any::<u64>()).prop_map(|(header, bytes, seed)| nal(header, bytes, seed));
    // Small ids often: ue(v) 0 is a one, ue(v) 1 to 6 begin with `01` or `001`.
    let sps = (0..8u8, 1..40usize, any::<u64>()).prop_map(|(id, bytes, seed)| {
        Bytes::from([&[0x67, 0x42, 0xc0, 0x1e, 0x80 >> (id % 3)], &nal(0x90, bytes, seed)[..]].concat())
    });
    let pps = (any::<u8>(), 1..700usize, any::<u64>()).prop_map(|(ids, bytes, seed)| {
        Bytes::from([&[0x68, ids | 0x20], &nal(0x90, bytes, seed)[..]].concat())
    });
    prop_oneof![1 => Just(Bytes::new()), 6 => odd, 2 => media_nal(), 2 => sps, 3 => pps]
}

/// Slices, SEI, and types that decoders skip.
fn media_nal() -> impl Strategy<Value = Bytes> {
    let header = prop_oneof![
        6 => Just(0x41u8),
        3 => Just(0x65),
        2 => Just(0x06),
        1 => prop::sample::select(vec![0x01, 0x0e, 0x14, 0x13, 0x57]),
    ];
    (header, nal_bytes(), any::<u64>()).prop_map(|(header, bytes, seed)| nal(header, bytes, seed))
}

fn kind(nal: &[u8]) -> u8 {
    nal[0] & 0x1f
}

proptest! {
    /// Garbage of any sort: what is sent is what was well formed, in order, with complete parameter sets
    /// before each IDR picture.
    #[test]
    fn any_units_are_sent_whole_or_refused(
        units in prop::collection::vec(prop::collection::vec(any_nal(), 1..12), 1..6)
    ) {
        let mut packetizer = VideoPacketizer::new(VideoCodec::H264, 1_000);
        let (mut sequence, mut discarded) = (0, 0);
        for (index, nals) in units.into_iter().enumerate() {
            let sound = |nal: &&Bytes| {
                nal.first().is_some_and(|header| header & 0x80 == 0 && !matches!(header & 0x1f, 0 | 9..=12 | 24..))
            };
            let sent: Vec<_> = nals.iter().filter(sound).cloned().collect();
            let idr = sent.iter().any(|nal| kind(nal) == 5);
            let is_set = |nal: &[u8]| matches!(kind(nal), 7 | 8);

            let result = packetizer.packetize(unit(index, nals));
            prop_assert!(packetizer.discarded_nals() >= discarded);
            let newly_discarded = packetizer.discarded_nals() - discarded;
            discarded = packetizer.discarded_nals();
            let trains = match result {
                Ok(trains) if trains.is_empty() => {
                    prop_assert!(!sent.iter().any(|nal| (1..=5).contains(&kind(nal))));
                    continue;
                }
                Ok(trains) => trains,
                Err(PacketizeError::NoParameterSets { .. }) => {
                    prop_assert!(idr);
                    sequence += u64::from(sequence > 0);
                    continue;
                }
                Err(PacketizeError::Empty { .. }) => {
                    sequence += u64::from(sequence > 0);
                    prop_assert!(sent.iter().all(|nal| is_set(nal)), "only unreadable sets may be left out");
                    continue;
                }
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            };
            check_trains(&trains, sequence);
            sequence = trains[trains.len() - 1].end().0;
            prop_assert_eq!(trains[0].keyframe, idr);

            let got = depacketize(&payloads(&trains));
            let without_sets = |nals: &[Vec<u8>]| {
                nals.iter().filter(|nal| !is_set(nal)).cloned().collect::<Vec<_>>()
            };
            let expected: Vec<_> = sent.iter().map(|nal| nal.to_vec()).collect();
            prop_assert_eq!(without_sets(&got), without_sets(&expected));
            if idr {
                let sets = got.iter().take_while(|nal| is_set(nal)).count();
                prop_assert_eq!(sets, got.iter().filter(|nal| is_set(nal)).count(), "all sets are in front");
                prop_assert!(got[..sets].is_sorted_by_key(|nal| kind(nal)));
                prop_assert!(kind(&got[0]) == 7 && kind(&got[sets - 1]) == 8);
                let mut different = got[..sets].to_vec();
                different.sort();
                different.dedup();
                prop_assert_eq!(different.len(), sets);
                let head = &trains[0].packets[0];
                prop_assert!(kind(head) == 24 || got[0].len() + got[1].len() + 5 > MAX_PAYLOAD);
            } else {
                // Sets keep their place; the only ones missing are those that were discarded.
                let mut rest = expected.iter();
                prop_assert!(got.iter().all(|nal| rest.any(|sent| sent == nal)));
                prop_assert!(expected.len() - got.len() <= newly_discarded as usize);
            }
        }
    }
}

proptest! {
    #![proptest_config(fewer_cases())]

    /// retina's depacketizer, which reads cameras, gives the same pictures back to the byte.
    #[test]
    fn an_independent_depacketizer_gives_the_same_nal_units(
        units in prop::collection::vec(
            (prop::collection::vec(source_nal(), 0..11), nal_bytes(), any::<bool>(), any::<u64>()),
            1..6,
        )
    ) {
        let mut packetizer = packetizer();
        let mut receiver = Receiver::new();
        let (mut sps, mut pps) = (SPS_A.to_vec(), PPS_A.to_vec());
        for (index, (mut nals, bytes, idr, seed)) in units.into_iter().enumerate() {
            // retina takes SPS, PPS and SEI at the end for the start of the next picture: end with a slice.
            nals.push(nal(if idr { 0x65 } else { 0x41 }, bytes.max(2), seed));
            for nal in &nals {
                match kind(nal) {
                    7 => sps = nal.to_vec(),
                    8 => pps = nal.to_vec(),
                    _ => {}
                }
            }
            let trains = packetizer.packetize(unit(index, nals.clone())).unwrap();
            let picture = receiver.receive(&trains);

            // retina puts the sets it knows before pictures that have nothing but IDR slices.
            let slices_refer_back = nals.iter().any(|nal| (1..=4).contains(&kind(nal)));
            let head = if slices_refer_back { vec![] } else { vec![sps.clone(), pps.clone()] };
            let others = nals.iter().filter(|nal| !matches!(kind(nal), 7 | 8)).map(|nal| nal.to_vec());
            prop_assert!(picture == annex_b(head.into_iter().chain(others)), "picture {index} differs");
            if nals.iter().any(|nal| kind(nal) == 5) {
                prop_assert_eq!(receiver.parameter_sets(), annex_b([sps.clone(), pps.clone()]));
            }
        }
    }
}

/// A quarter of the default (or of `PROPTEST_CASES`): these are long.
fn fewer_cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.div_ceil(4), ..config }
}

/// What a sound source sends; sets come in pairs of one camera, as retina knows only one SPS and one PPS.
fn source_nal() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        8 => media_nal().prop_filter("a header alone is no NAL unit to retina", |nal| nal.len() > 1),
        1 => prop::sample::select(vec![SPS_A, SPS_B]).prop_map(Bytes::from_static),
        1 => prop::sample::select(vec![PPS_A, PPS_B]).prop_map(Bytes::from_static),
    ]
}

fn annex_b(nals: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    nals.into_iter().flat_map(|nal| [vec![0, 0, 0, 1], nal].concat()).collect()
}

/// retina's H.264 depacketizer, fed by RTP metadata as a loss-free network would.
struct Receiver {
    depacketizer: Depacketizer,
    buffer: retina::testutil::DepacketizeBuf,
}

impl Receiver {
    fn new() -> Receiver {
        let mut depacketizer = Depacketizer::new("video", "h264", 90_000, None, None).unwrap();
        depacketizer.set_frame_format(FrameFormat::SIMPLE);
        Receiver { depacketizer, buffer: retina::testutil::DepacketizeBuf::new(65_536) }
    }

    /// The one picture that `trains` are.
    fn receive(&mut self, trains: &[Arc<Train>]) -> Vec<u8> {
        let clock_rate = NonZeroU32::new(90_000).unwrap();
        for train in trains {
            for (index, payload) in train.packets.iter().enumerate() {
                let meta = retina::rtp::PacketMeta {
                    ctx: retina::PacketContext::dummy(),
                    stream_id: 0,
                    timestamp: retina::Timestamp::new(train.timestamp as i64, clock_rate, 0).unwrap(),
                    sequence_number: (train.sequence + index as u64).0 as u16,
                    ssrc: 1,
                    mark: train.marker(index),
                    loss: 0,
                };
                assert!(self.depacketizer.pull().is_none(), "a picture before the marker");
                self.buffer.push(&mut self.depacketizer, meta, payload).unwrap();
            }
        }
        match self.depacketizer.pull() {
            Some(Ok(CodecItem::VideoFrame(frame))) => frame.into_data(),
            other => panic!("no picture but {other:?}"),
        }
    }

    fn parameter_sets(&self) -> Vec<u8> {
        match self.depacketizer.parameters() {
            Some(ParametersRef::Video(video)) => video.extra_data().to_vec(),
            _ => panic!("retina saw no parameter sets"),
        }
    }
}

#[path = "sound_tests.rs"]
mod sound_tests;
