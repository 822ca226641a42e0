use std::time::Instant;

use sluice_media::VideoCodec;

use super::super::{Stamp, Timeline, nanos_between};
use super::*;

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
fn epoch() -> Instant {
    // Room for capture times before it, also on a machine that has just started.
    Instant::now() + Duration::from_secs(1_000)
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Units of a source: when each arrives, in seconds, and its timestamp.
type Units = Vec<(f64, i64)>;

/// `count` pictures, `fps` a second, whose clock has `rate` ticks a second; each comes late by `delay` seconds.
fn pictures(count: u32, fps: f64, rate: f64, mut delay: impl FnMut(u32) -> f64) -> Units {
    let mut last = 0f64;
    let picture = |n: u32| {
        let captured = f64::from(n) / fps;
        last = last.max(captured + delay(n));
        (last, (captured * rate).round() as i64)
    };
    (0..count).map(picture).collect()
}

/// Noise between 0 and 1, the same in each run.
fn noise(n: u32) -> f64 {
    f64::from(n.wrapping_mul(2_654_435_761) >> 8) / f64::from(1u32 << 24)
}

/// All stamps, and when timestamps first followed arrival.
fn run(timeline: &mut Timeline, start: Instant, units: &Units) -> (Vec<Stamp>, Option<f64>) {
    let mut tripped = None;
    let stamp = |(at, source): &(f64, i64)| {
        let stamp = timeline.stamp(*source, start + seconds(*at));
        assert!(stamp.captured <= start + seconds(*at));
        if timeline.is_by_arrival() && tripped.is_none() {
            tripped = Some(*at);
        }
        stamp
    };
    (units.iter().map(stamp).collect(), tripped)
}

fn tripped(units: &Units) -> Option<f64> {
    run(&mut Timeline::new(VideoCodec::H264, 7), epoch(), units).1
}

#[test]
fn cameras_with_jitter_are_believed_at_any_rate() {
    for fps in [0.25, 1.0, 5.0, 10.0, 25.0, 30.0, 60.0] {
        for jitter in [0.0, 0.02, 0.2, 0.8] {
            let units = pictures(3_000, fps, 90_000.0, |n| noise(n) * jitter);
            assert_eq!(tripped(&units), None, "{fps} a second, jitter of {jitter} s");
        }
        // A clock of a bad crystal, with a tenth of a percent.
        assert_eq!(tripped(&pictures(9_000, fps, 90_090.0, |n| noise(n) * 0.02)), None);
    }
}

#[test]
fn bursts_behind_stalls_are_believed() {
    for fps in [5.0, 15.0, 30.0, 60.0] {
        for (every, stall) in [(20.0, 10.0), (7.0, 3.0), (4.0, 3.9), (2.0, 1.9), (120.0, 60.0)] {
            // The first `stall` of each `every` seconds comes at its end, at once.
            let delay = |n: u32| (stall - f64::from(n) / fps % every).max(0.0);
            assert_eq!(tripped(&pictures(20_000, fps, 90_000.0, delay)), None, "{fps} {every} {stall}");
        }
    }
}

#[test]
fn what_was_held_back_may_come_slowly() {
    // For 20 s pictures come at two thirds of their rate, then at twice it until they have caught up.
    let delay = |n: u32| {
        let at = f64::from(n) / 25.0;
        if at < 10.0 {
            0.0
        } else if at < 23.3 {
            (at - 10.0) * 0.5
        } else {
            (6.65 - (at - 23.3) * 0.5).max(0.0)
        }
    };
    assert_eq!(tripped(&pictures(5_000, 25.0, 90_000.0, delay)), None);
}

#[test]
fn the_group_of_pictures_that_a_recorder_sends_first_is_believed() {
    for group in [2.0, 10.0, 30.0] {
        for drained_in in [0.05, 0.9, 1.5] {
            let delay = |n: u32| {
                let at = f64::from(n) / 25.0;
                if at < group { group - at + at / group * drained_in } else { drained_in }
            };
            assert_eq!(tripped(&pictures(2_000, 25.0, 90_000.0, delay)), None, "{group} s in {drained_in} s");
        }
    }
}

#[test]
fn pictures_in_the_order_of_decoding_are_believed() {
    for reordered in [2, 4, 16] {
        let units = |fps: f64| -> Units {
            let picture = |n: u32| {
                // I, then each group's last picture first.
                let (group, place) = (n / reordered, n % reordered);
                let shown = group * reordered + if place == 0 { reordered - 1 } else { place - 1 };
                (f64::from(n) / fps, (f64::from(shown) * 90_000.0 / fps) as i64)
            };
            (0..3_000).map(picture).collect()
        };
        assert_eq!(tripped(&units(25.0)), None, "{reordered} a group");
    }
}

#[test]
fn a_clock_that_is_set_now_and_then_is_believed() {
    for (every, to) in [(40, -270_000), (60, -540_000), (30, 900_000)] {
        let mut units = pictures(1_000, 10.0, 90_000.0, |_| 0.0);
        for (n, unit) in units.iter_mut().enumerate() {
            unit.1 += n as i64 / every * to;
        }
        assert_eq!(tripped(&units), None, "{to} each {every}");
    }
}

/// After `from` seconds stamps rise, and go with arrival to within `within` seconds over any stretch.
fn follow_arrival(units: &Units, stamps: &[Stamp], from: f64, within: f64) {
    let after: Vec<_> = units.iter().zip(stamps).filter(|((at, _), _)| *at > from).collect();
    let ((first_at, _), first) = after[0];
    for pair in after.windows(2) {
        assert!(pair[1].1.timestamp > pair[0].1.timestamp);
    }
    for ((at, _), stamp) in &after {
        let passed = (stamp.timestamp - first.timestamp) as f64 / 90_000.0;
        assert!((passed - (at - first_at)).abs() < within, "{passed} s of {} s", at - first_at);
        let captured = nanos_between(first.captured, stamp.captured) as f64 / 1e9;
        assert!((captured - passed).abs() < 0.001, "captured {captured} s, stamped {passed} s");
    }
}

#[test]
fn a_clock_that_does_not_fit_gives_way_to_arrival() {
    // Standing still, milliseconds, 8 and 10 kHz, half and twice the rate, microseconds, 27 MHz.
    for (rate, within) in [
        (0.0, 2.5),
        (1_000.0, 7.0),
        (8_000.0, 7.0),
        (10_000.0, 12.0),
        (45_000.0, 25.0),
        (180_000.0, 15.0),
        (1_000_000.0, 7.0),
        (27_000_000.0, 7.0),
    ] {
        for fps in [5.0, 10.0, 25.0, 60.0] {
            let units = pictures(60 * fps as u32, fps, rate, |n| noise(n) * 0.03);
            let (stamps, tripped) = run(&mut Timeline::new(VideoCodec::H264, 7), epoch(), &units);
            let at = tripped.unwrap_or_else(|| panic!("{rate} Hz at {fps} a second is believed"));
            assert!(at <= within, "{rate} Hz at {fps} a second is believed for {at} s");
            follow_arrival(&units, &stamps, at + 2.0, 0.15);
        }
    }
}

#[test]
fn timestamps_without_any_order_give_way_to_arrival() {
    let units: Units = (0..500).map(|n| (f64::from(n) / 25.0, (noise(n) * 4e9) as i64)).collect();
    let at = tripped(&units).expect("by arrival");
    assert!(at < 6.0, "after {at} s");
}

#[test]
fn by_arrival_jitter_is_smoothed_and_stalls_are_followed() {
    let mut units = pictures(600, 25.0, 0.0, |n| noise(n) * 0.03);
    let (stamps, _) = run(&mut Timeline::new(VideoCodec::H264, 7), epoch(), &units);
    let steps = stamps[200..].windows(2).map(|pair| (pair[1].timestamp - pair[0].timestamp) as f64 / 90.0);
    let (least, most) = steps.fold((f64::MAX, 0f64), |(least, most), step| (least.min(step), most.max(step)));
    // Arrival has steps of 10 to 70 ms.
    assert!(least > 25.0 && most < 55.0, "steps of {least} to {most} ms");

    // Five seconds late, and all at once.
    units.iter_mut().filter(|(at, _)| (15.0..20.0).contains(at)).for_each(|(at, _)| *at = 20.0);
    let (stamps, _) = run(&mut Timeline::new(VideoCodec::H264, 7), epoch(), &units);
    follow_arrival(&units, &stamps, 21.0, 0.1);
    let first = stamps[units.iter().position(|(at, _)| *at > 14.0).expect("long enough")];
    let last = stamps.last().expect("long enough");
    let passed = (last.timestamp - first.timestamp) as f64 / 90_000.0;
    assert!((passed - 10.0).abs() < 0.2, "{passed} s");
}

#[test]
fn a_clock_that_fits_again_for_long_enough_is_believed_again() {
    let (mut timeline, start) = (Timeline::new(VideoCodec::H264, 7), epoch());
    let (bad, tripped) = run(&mut timeline, start, &pictures(100, 10.0, 0.0, |_| 0.0));
    assert!(tripped.is_some());
    // A reconnect alone tells nothing new.
    timeline.restart();
    let good: Units = pictures(300, 10.0, 90_000.0, |_| 0.0);
    let good: Units = good.into_iter().map(|(at, source)| (10.0 + at, source)).collect();
    let (stamps, still) = run(&mut timeline, start, &good);
    assert_eq!(still, Some(10.0));
    assert!(!timeline.is_by_arrival(), "it fits for 30 s");
    assert!(stamps[0].timestamp > bad[99].timestamp);
    follow_arrival(&good, &stamps, 10.0, 0.1);
    let exact = stamps[200..].windows(2).all(|pair| pair[1].timestamp - pair[0].timestamp == 9_000);
    assert!(exact, "it steps as the source does");
}
