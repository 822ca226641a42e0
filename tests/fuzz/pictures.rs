//! Access units of any NAL units: refused, or trains within every bound, numbered without gaps.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::RngExt;
use sluice::track::{MAX_TRAIN_PACKETS, TrackSeq, VideoPacketizer};
use sluice_harness::sample::{PPS, SPS};
use sluice_media::{AccessUnit, MAX_PAYLOAD, VideoCodec};

use crate::{mutate, run};

const SETS: [&[u8]; 2] = [SPS, PPS];

#[test]
fn pictures_are_refused_or_packetized_within_every_bound() {
    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    let start = Instant::now();
    let mut made = 0;
    run(300, |random| {
        let mut packetizer = VideoPacketizer::new(VideoCodec::H264, random.random());
        let (mut next, mut received) = (None, start);
        for _ in 0..20 {
            received += Duration::from_millis(random.random_range(0..200));
            let mut nals: Vec<Bytes> = Vec::new();
            for _ in 0..random.random_range(0..8) {
                let nal = match random.random_range(0..4) {
                    0 => SETS[random.random_range(0..2)].to_vec(),
                    1 => {
                        let set = SETS[random.random_range(0..2)];
                        mutate::bytes(random, set)
                    }
                    _ => {
                        let size = [3, MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 1, 5_000, 90_000]
                            [random.random_range(0..6)];
                        mutate::noise(random, size)
                    }
                };
                nals.push(nal.into());
            }
            let timestamp =
                if random.random_bool(0.1) { random.random() } else { random.random_range(0..1_000_000) };
            let unit = AccessUnit { nals, timestamp, received, after_gap: false };
            let Ok(trains) = packetizer.packetize(unit) else {
                // What is refused is missing.
                next = next.map(|next: TrackSeq| next + 1);
                continue;
            };
            for (index, train) in trains.iter().enumerate() {
                made += 1;
                assert!(next.is_none_or(|next| train.sequence == next), "a gap before {}", train.sequence);
                next = Some(train.end());
                assert!((1..=MAX_TRAIN_PACKETS).contains(&train.packets.len()));
                assert!(train.packets.iter().all(|packet| (1..=MAX_PAYLOAD).contains(&packet.len())));
                assert_eq!(train.starts_frame, index == 0);
                assert_eq!(train.ends_frame, index + 1 == trains.len());
                assert_eq!(train.timestamp, trains[0].timestamp);
                assert!(train.captured <= train.received);
            }
        }
    });
    assert!(made > 500, "{made} trains are too few to tell");
}
