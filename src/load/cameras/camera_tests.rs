//! One camera: pace, loop, timestamps, and what a picture is made of.
#![expect(clippy::disallowed_methods, reason = "any instant serves")]

use sluice_media::h264::kind;

use super::super::faults::Missing;
use super::*;

fn camera(index: usize, count: usize, faults: &Faults) -> Arc<Camera> {
    let clip = Arc::new(Clip::demo());
    // The random beginnings are such that 32 bits wrap soon.
    Arc::new(Camera::new((index, count, ""), clip, faults, true, Instant::now(), [u32::MAX - 30_000, 5]))
}

/// All units of `time` from the camera's beginning.
fn units(camera: &Arc<Camera>, time: Duration) -> Vec<(Due, Unit)> {
    let mut ticker = Ticker::new(camera.clone());
    let mut units = Vec::new();
    while ticker.deadline() < camera.began + time {
        let due = ticker.poll(ticker.deadline()).expect("due at its deadline");
        assert_eq!(due.late, Duration::ZERO);
        units.push((due, camera.unit(due, 1_000)));
    }
    assert_eq!(ticker.take_skipped(), 0);
    units
}

fn of(units: &[(Due, Unit)], track: Track) -> Vec<&Unit> {
    units.iter().map(|(_, unit)| unit).filter(|unit| unit.track == track).collect()
}

/// Types of the NAL units in a picture, those in packets of several included.
fn kinds(unit: &Unit) -> Vec<u8> {
    let mut kinds = Vec::new();
    for payload in unit.payloads.iter() {
        match kind(payload) {
            24 => {
                let mut rest = &payload[1..];
                while let Some((&[high, low], behind)) = rest.split_first_chunk() {
                    kinds.push(kind(behind));
                    rest = &behind[usize::from(u16::from_be_bytes([high, low]))..];
                }
            }
            28 if payload[1] & 0x80 != 0 => kinds.push(payload[1] & 0x1f),
            28 => {}
            single => kinds.push(single),
        }
    }
    kinds
}

#[test]
fn it_loops_for_ever_with_timestamps_that_go_on() {
    let camera = camera(1, 3, &Faults::default());
    let units = units(&camera, Duration::from_secs(25));
    let video = of(&units, Track::Video);
    assert_eq!(video.len(), 750);
    assert!(video.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 3_000));
    let audio = of(&units, Track::Audio);
    assert_eq!(audio.len(), 1_250);
    assert!(audio.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 960));
    // The second of three begins a third into its group of pictures, so 40 pictures before a keyframe.
    let keyframes: Vec<usize> = (0..750).filter(|&index| video[index].keyframe).collect();
    assert_eq!(keyframes, (0..).map(|group| 40 + 60 * group).take(12).collect::<Vec<_>>());
    let payloads = |index: usize| video[index].payloads.iter().skip(1);
    assert!((0..300).all(|index| payloads(index).eq(payloads(index + 300))));
}

#[test]
fn cameras_send_at_different_moments() {
    let clip = Arc::new(Clip::demo());
    let now = Instant::now();
    let began =
        |index| Camera::new((index, 4, ""), clip.clone(), &Faults::default(), true, now, [0; 2]).began;
    let steps: Vec<u128> = (0..4).map(|index| (began(index) - now).as_micros()).collect();
    assert_eq!(steps, [0, 8_333, 16_666, 25_000]);
}

#[test]
fn pictures_say_when_they_were_sent_in_front_of_their_slices() {
    let all = units(&camera(0, 1, &Faults::default()), Duration::from_secs(3));
    for unit in of(&all, Track::Video) {
        let expected: &[u8] = if unit.keyframe { &[7, 8, 6, 5] } else { &[6, 1] };
        assert_eq!(kinds(unit), expected);
        assert!(unit.payloads.iter().all(|payload| payload.len() <= 1_388));
        if !unit.keyframe {
            assert_eq!(send_time::read(VideoCodec::H264.nal(), &unit.payloads[0]), Some(1_000));
        }
    }
}

#[test]
fn parameter_sets_can_be_missing_and_packets_can_be_big() {
    let faults = Faults { no_parameter_sets: Some(Missing::Stream), big_packets: true, ..Faults::default() };
    let all = units(&camera(0, 1, &faults), Duration::from_secs(3));
    let video = of(&all, Track::Video);
    assert_eq!(kinds(video[0]), [6, 5]);
    for unit in &video {
        // The slice of another picture shares the packet of the SEI: it fits.
        assert_eq!(unit.payloads.len(), if unit.keyframe { 2 } else { 1 });
    }
    assert!(video[0].payloads[1].len() > 30_000);
}

#[test]
fn a_clock_that_jumps_takes_both_tracks_along() {
    let faults = Faults { timestamp_jump: Some(Duration::from_secs(1)), ..Faults::default() };
    let camera = camera(0, 1, &faults);
    let all = units(&camera, Duration::from_secs(3));
    for (track, step, jump) in [(Track::Video, 3_000, 324_000_000), (Track::Audio, 960, 172_800_000)] {
        let stamps: Vec<u32> = of(&all, track).iter().map(|unit| unit.timestamp).collect();
        let steps: Vec<i32> =
            stamps.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]).cast_signed()).collect();
        let jumps: Vec<i32> = steps.into_iter().filter(|&taken| taken != step).collect();
        assert_eq!(jumps, [jump + step, step - jump], "{track:?}");
        let middle = camera.began + Duration::from_millis(1_500);
        assert!(stamps.contains(&camera.timestamp(track, middle)), "reports show the same clock");
    }
}

#[test]
fn what_was_missed_is_left_out() {
    let camera = camera(0, 1, &Faults::default());
    let mut ticker = Ticker::new(camera.clone());
    assert_eq!(ticker.poll(camera.began - Duration::from_nanos(1)), None);
    let wake = camera.began + Duration::from_secs(60);
    let due = ticker.poll(wake).expect("much");
    assert!(due.late < TOO_LATE && due.late > TOO_LATE - Duration::from_millis(40), "{due:?}");
    // What was due up to 59 s, that included: 59 * 30 + 1 pictures and 59 * 50 + 1 packets.
    assert_eq!(ticker.take_skipped(), 1_771 + 2_951);
    assert_eq!(ticker.take_skipped(), 0);
    assert_eq!(
        std::iter::from_fn(|| ticker.poll(wake)).count(),
        30 + 50 - 1,
        "the last second is made up for"
    );
}
