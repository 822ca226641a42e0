use std::time::Instant;

use shiguredo_mp4::demux::{Input, Mp4FileDemuxer};
use sluice_harness::sample::{PPS as PPS_720, SPS as SPS_720};
use sluice_media::{AccessUnit, Packets, VideoCodec};

use super::*;
use crate::track::VideoPacketizer;

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
fn now() -> Instant {
    Instant::now()
}

/// The trains of a picture, as the track makes them.
fn packetized(nals: &[Vec<u8>]) -> Vec<Arc<Train>> {
    let nals = nals.iter().map(|nal| Bytes::copy_from_slice(nal)).collect();
    let unit = AccessUnit { nals, timestamp: 0, received: now(), after_gap: false };
    VideoPacketizer::new(VideoCodec::H264, 7).packetize(unit).expect("a picture")
}

/// A train of these payloads and no others.
fn train(payloads: &[&[u8]]) -> Arc<Train> {
    Arc::new(Train {
        codec: VideoCodec::H264.into(),
        sequence: TrackSeq(100),
        timestamp: 0,
        keyframe: true,
        starts_frame: true,
        ends_frame: true,
        marker: true,
        received: now(),
        captured: now(),
        source_time: None,
        redundant: None,
        packets: payloads.iter().collect::<Packets>(),
    })
}

/// A NAL unit of `bytes` bytes, each different from its neighbours; its first bits are those of a slice of PPS 0.
fn nal(header: u8, bytes: usize) -> Vec<u8> {
    let body = (1..bytes).map(|at| if at == 1 { 0b1000_1001 } else { (at % 251) as u8 | 1 | 0x80 });
    std::iter::once(header).chain(body).collect()
}

/// What a reader of files finds.
struct Found {
    size: (u16, u16),
    sets: Vec<Vec<u8>>,
    /// NAL units of the only sample.
    nals: Vec<Vec<u8>>,
}

fn read(file: &[u8]) -> Found {
    let mut demuxer = Mp4FileDemuxer::new();
    demuxer.handle_input(Input { position: 0, data: file });
    let sample = demuxer.next_sample().expect("a file").expect("a sample");
    assert!(sample.keyframe);
    let Some(SampleEntry::Avc1(format)) = sample.sample_entry.cloned() else { panic!("no avc1") };
    let start = sample.data_offset as usize;
    let mut rest = &file[start..start + sample.data_size];
    let mut nals = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (nal, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        nals.push(nal.to_vec());
        rest = after;
    }
    assert!(rest.is_empty() && demuxer.next_sample().expect("its end").is_none());
    let sets = [format.avcc_box.sps_list, format.avcc_box.pps_list].concat();
    Found { size: (format.visual.width, format.visual.height), sets, nals }
}

#[test]
fn a_picture_comes_back_slice_by_slice() {
    let sets = [SPS_720.to_vec(), PPS_720.to_vec()];
    // Single packets, fragments of a few and of many packets, and more than one train; SEI goes with the sets.
    for sizes in [&[500][..], &[1_200, 1_201, 3, 5_000], &[90_000, 40, 2_399, 2_400]] {
        let slices: Vec<Vec<u8>> = sizes.iter().map(|&bytes| nal(0x65, bytes)).collect();
        let others = [&[nal(0x06, 30)][..], &slices].concat();
        let trains = packetized(&[&sets[..], &others].concat());
        let file = still(&trains).expect("a still");
        let found = read(&file);
        assert_eq!((found.size, &found.sets[..]), ((1280, 720), &sets[..]));
        assert_eq!(found.nals, others);
        assert_eq!(&file[4..8], b"ftyp");
        let at = |name: &[u8]| file.windows(4).position(|window| window == name).expect("a box");
        assert!(at(b"moov") < at(b"mdat"), "what tells the format comes first");
    }
}

#[test]
fn the_newest_parameter_sets_tell_size_and_profile() {
    // The same picture size under id 1, of another level.
    let older = [0x67, 0x42, 0xc0, 0x1e, 0x6d, 0x00, 0xa0, 0x0b, 0x74, 0xbc, 0xa2];
    let trains = [train(&[&older, SPS_720, PPS_720, &[0x65, 0x88, 1]])];
    let found = read(&still(&trains).expect("a still"));
    assert_eq!(found.sets, [SPS_720.to_vec(), older.to_vec(), PPS_720.to_vec()]);
    assert_eq!(found.nals, [[0x65, 0x88, 1]]);
}

#[test]
fn what_is_no_picture_is_told_with_its_packet() {
    for (payloads, sequence, words) in [
        (&[&[][..]][..], 100, "empty"),
        (&[SPS_720, &[0x1d, 1, 2]], 101, "type"),
        (&[&[0x78, 0, 9, 0x67]], 100, "ends behind"),
        (&[&[0x78, 0, 0]], 100, "empty"),
        (&[&[0x78, 0]], 100, "left behind"),
        (&[&[0x7c]], 100, "no header"),
        (&[&[0x7c, 0x05, 1]], 100, "without its start"),
        (&[&[0x7c, 0x85, 1], &[0x7c, 0x85, 1]], 101, "no end"),
        (&[&[0x7c, 0x85, 1], &[0x65, 1]], 101, "no end"),
        (&[&[0x7c, 0x85, 1], &[0x7c, 0x05, 1]], 101, "no end"),
    ] {
        let Err(StillError::Malformed { sequence: found, what }) = still(&[train(payloads)]) else {
            panic!("{payloads:02x?} became a still")
        };
        assert!(
            found == TrackSeq(sequence) && what.contains(words),
            "{payloads:02x?}: packet {found}, {what}"
        );
    }
    assert_eq!(still(&[]), Err(StillError::NoSlices));
    assert_eq!(still(&[train(&[SPS_720, PPS_720])]), Err(StillError::NoSlices));
    assert!(matches!(still(&[train(&[&[0x65, 0x88]])]), Err(StillError::Sets(_))), "no parameter sets");
    let cut = &SPS_720[..6];
    assert!(matches!(still(&[train(&[cut, PPS_720, &[0x65, 0x88]])]), Err(StillError::Sets(_))));
}

#[test]
fn any_packets_are_a_still_or_an_error() {
    let good: Vec<Vec<u8>> = packetized(&[SPS_720.to_vec(), PPS_720.to_vec(), nal(0x65, 4_000)])
        .iter()
        .flat_map(|train| train.packets.iter().map(<[u8]>::to_vec).collect::<Vec<_>>())
        .collect();
    // Every byte of the first packets set to every value of a few, and every length.
    for packet in 0..good.len() {
        for at in 0..good[packet].len().min(40) {
            for value in [0, 1, 0x18, 0x1c, 0x67, 0x7f, 0x80, 0xff] {
                let mut payloads = good.clone();
                payloads[packet][at] = value;
                let _ = still(&[train(&payloads.iter().map(|payload| &payload[..]).collect::<Vec<_>>())]);
                payloads[packet].truncate(at);
                let _ = still(&[train(&payloads.iter().map(|payload| &payload[..]).collect::<Vec<_>>())]);
            }
        }
    }
}
