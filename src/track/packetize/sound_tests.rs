//! When pieces of sound were captured, and how often the clock of a source jumped.

use super::*;

#[test]
fn pieces_of_sound_that_came_late_were_captured_one_after_the_other() {
    let (t, mut packetizer) = (epoch(), AudioPacketizer::new(AudioCodec::Pcmu, 0));
    let mut packetize = |bytes, timestamp, ms| {
        let received = t + Duration::from_millis(ms);
        packetizer.packetize(AudioFrame { payload: vec![7; bytes].into(), timestamp, received }).unwrap()
    };
    packetize(8_000, 0, 0);
    // Half a second late: what was captured lies well before the arrival, which bounds it.
    let trains = packetize(2_402, 8_000, 1_500);
    let later = |train: &Arc<Train>| (train.captured - trains[0].captured).as_micros();
    assert_eq!(trains.iter().map(later).collect::<Vec<_>>(), [0, 100_125, 200_250]);
    assert!(trains[0].captured < t + Duration::from_millis(1_001));
}

#[test]
fn jumps_of_the_source_are_counted_and_a_reconnect_is_none() {
    let t = epoch();
    let (mut video, mut audio) = (packetizer(), AudioPacketizer::new(AudioCodec::Opus, 0));
    let hour = 90_000 * 3_600;
    for (round, (timestamp, restart, jumps)) in
        [(0, false, 0), (hour, false, 1), (0, false, 2), (hour, true, 2)].into_iter().enumerate()
    {
        if restart {
            video.restart(VideoCodec::H264);
            audio.restart();
        }
        let (nals, received) = (vec![nal(0x41, 100, 1)], t + Duration::from_millis(33 * round as u64));
        video.packetize(AccessUnit { nals, timestamp, received, after_gap: false }).unwrap();
        audio.packetize(AudioFrame { payload: vec![0xf8; 9].into(), timestamp, received }).unwrap();
        assert_eq!((video.jumps(), audio.jumps()), (jumps, jumps), "{timestamp}");
    }
}
