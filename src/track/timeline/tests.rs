use proptest::prelude::*;

use sluice_media::VideoCodec;

use super::*;

const FRAME: i64 = 3_000;

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
fn epoch() -> Instant {
    // Room for capture times before it, also on a machine that has just started.
    Instant::now() + Duration::from_secs(1_000)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The difference in milliseconds, negative if `a` is earlier.
fn diff_ms(a: Instant, b: Instant) -> f64 {
    nanos_between(b, a) as f64 / 1e6
}

/// A timeline that has seen `source` arrive at the epoch, and the timestamp that got.
fn started(source: i64) -> (Timeline, Instant, u64) {
    let (mut timeline, t) = (Timeline::new(VideoCodec::H264, 77), epoch());
    let first = timeline.stamp(source, t).timestamp;
    (timeline, t, first)
}

#[test]
fn starts_where_told_and_steps_as_the_source() {
    let (mut timeline, t, first) = started(-5);
    assert_eq!(first as u32, 77);
    assert_eq!(timeline.stamp(-5 + FRAME, t + ms(33)).timestamp, first + 3_000);
    assert_eq!(timeline.stamp(-5 + 3 * FRAME, t + ms(100)).timestamp, first + 9_000);
}

#[test]
fn pictures_out_of_display_order_keep_their_steps() {
    let (mut timeline, t, first) = started(0);
    // A step back from the very first, then I P B B.
    for (index, source) in [-2, -1, 3, 1, 2, 6, 4, 5].into_iter().enumerate() {
        let stamp = timeline.stamp(source * FRAME, t + ms(33 * (index as u64 + 1)));
        assert_eq!(stamp.timestamp as i64 - first as i64, source * FRAME);
    }
    assert_eq!(timeline.jumps(), 0);
}

#[test]
fn a_reconnect_goes_on_by_the_time_that_passed() {
    let (mut timeline, t, first) = started(1_000_000);
    timeline.stamp(1_000_000 + FRAME, t + ms(33));
    timeline.restart();
    let stamp = timeline.stamp(5, t + ms(5_033));
    assert_eq!(stamp, Stamp::new(first + 3_000 + 450_000, t + ms(5_033)));
    assert_eq!(timeline.stamp(5 + FRAME, t + ms(5_066)).timestamp, stamp.timestamp + 3_000);
    assert_eq!(timeline.jumps(), 0, "a reconnect is no fault of the source's clock");
}

#[test]
fn a_reconnect_in_the_same_instant_goes_on_by_a_tick() {
    let (mut timeline, t, first) = started(0);
    timeline.restart();
    assert_eq!(timeline.stamp(i64::MIN, t).timestamp, first + 1);
}

#[test]
fn jumps_either_way_are_bridged() {
    for jump in [-90_001, -90_000 * 3_600, 90_000 * 4, 90_000 * 3_600, i64::MAX, i64::MIN] {
        let (mut timeline, t, first) = started(0);
        let stamp = timeline.stamp(jump, t + ms(40));
        assert_eq!(stamp.timestamp, first + 3_600, "{jump}");
        assert_eq!(timeline.jumps(), 1);
    }
}

#[test]
fn a_pause_that_arrival_agrees_with_is_no_jump() {
    for seconds in [2, 60, 86_400] {
        let (mut timeline, t, first) = started(0);
        let stamp = timeline.stamp(seconds * 90_000, t + Duration::from_secs(seconds as u64) - ms(1_500));
        assert_eq!(stamp.timestamp, first + seconds as u64 * 90_000);
    }
}

#[test]
fn a_stall_and_the_burst_behind_it_move_nothing() {
    let (mut timeline, t, first) = started(0);
    let mut worst = 0f64;
    for frame in 1..=900i64 {
        let captured = t + Duration::from_nanos(frame as u64 * 1_000_000_000 / 30);
        // From 10 s to 18 s nothing arrives, then all of it at once.
        let stalled = (300..540).contains(&frame);
        let received = if stalled { t + ms(18_000) } else { captured };
        let stamp = timeline.stamp(frame * FRAME, received);
        assert_eq!(stamp.timestamp, first + frame as u64 * 3_000);
        worst = worst.max(diff_ms(stamp.captured, captured).abs());
    }
    assert_eq!(timeline.jumps(), 0);
    assert!(worst < 1.0, "capture times moved by {worst} ms");
}

#[test]
fn frames_that_the_camera_dropped_in_a_stall_are_no_jump() {
    let (mut timeline, t, first) = started(0);
    // The first frame after 6 s was captured before them; the next one is live, hence 6 s "early".
    timeline.stamp(FRAME, t + ms(6_000));
    let stamp = timeline.stamp(6 * 90_000 + FRAME, t + ms(6_040));
    assert_eq!(stamp.timestamp, first + 6 * 90_000 + 3_000);
    assert_eq!(timeline.jumps(), 0);
}

#[test]
fn a_clock_that_stood_still_is_late_only_for_a_while() {
    let (mut timeline, t, first) = started(0);
    let mut last = None;
    for frame in 1..=400u64 {
        let received = t + Duration::from_secs(60) + ms(frame * 40);
        last = Some((timeline.stamp(frame as i64 * 3_600, received), received));
    }
    let (stamp, received) = last.expect("the loop ran");
    assert_eq!(stamp.timestamp, first + 400 * 3_600);
    assert!(diff_ms(received, stamp.captured) < 1.0);
}

#[test]
fn a_clock_that_stood_still_is_noticed_between_pictures_out_of_order() {
    let (mut timeline, t, _) = started(0);
    for frame in 0..500u64 {
        let source = (frame / 3 * 3 + [3, 1, 2][frame as usize % 3]) as i64;
        let received = t + Duration::from_secs(60) + ms(frame * 40);
        let stamp = timeline.stamp(source * 3_600, received);
        assert!(frame < 255 || diff_ms(received, stamp.captured) < 200.0, "frame {frame}");
    }
}

#[test]
fn units_that_are_late_now_and_then_do_not_count_as_a_clock_that_stood_still() {
    let (mut timeline, t, _) = started(0);
    for frame in 1..=1_000u64 {
        let truth = t + ms(frame * 40);
        let lateness = if frame % 100 == 0 { ms(0) } else { ms(3_000) };
        let stamp = timeline.stamp(frame as i64 * 3_600, truth + lateness);
        assert!(diff_ms(stamp.captured, truth).abs() < 5.0, "frame {frame}");
    }
}

/// Capture times of three minutes at 30 frames/s, by a clock that is off by `ppm`, through a network of
/// 20 ms and up to `jitter` ms more: the error against the truth plus 20 ms, worst after 5 s, and the worst
/// step besides the frame interval.
fn drift(ppm: f64, jitter: f64, noise: &mut impl FnMut() -> f64) -> (f64, f64) {
    let (mut timeline, t) = (Timeline::new(VideoCodec::H264, 0), epoch());
    let (mut worst_error, mut worst_step, mut previous) = (0f64, 0f64, None);
    for frame in 0..5_400u32 {
        let truth = f64::from(frame) / 30.0;
        let source = (truth * 90_000.0 * (1.0 + ppm / 1e6)).round() as i64;
        let least = t + Duration::from_secs_f64(truth + 0.020);
        let received = least + Duration::from_secs_f64(noise() * jitter / 1e3);
        let stamp = timeline.stamp(source, received);
        assert!(stamp.captured <= received);

        let error = diff_ms(stamp.captured, least);
        if frame > 150 {
            worst_error = worst_error.max(error.abs());
            worst_step = worst_step.max((error - previous.unwrap_or(error)).abs());
            previous = Some(error);
        }
    }
    (worst_error, worst_step)
}

proptest! {
    #[test]
    fn capture_times_follow_drift_through_jitter(ppm in -200.0..200.0f64, jitter in 0.0..40.0f64, seed: u64) {
        let mut state = seed | 1;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let (error, step) = drift(ppm, jitter, &mut noise);
        prop_assert!(error < 5.0, "error of {error} ms");
        prop_assert!(step < 5.0, "step of {step} ms");
    }
}

#[derive(Debug, Clone)]
enum Event {
    /// A unit this many ticks after the one before, arriving this many ms after it.
    Unit(i64, u64),
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        12 => (-20_000..20_000i64, 0..200u64).prop_map(|(ticks, ms)| Event::Unit(ticks, ms)),
        2 => (any::<i64>(), 0..20_000u64).prop_map(|(ticks, ms)| Event::Unit(ticks, ms)),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..200)
}

proptest! {
    /// Whatever a source does: small steps are kept to the tick, every jump goes forward, and nothing is
    /// captured after it arrived.
    #[test]
    fn never_breaks(first: u32, origin: i64, events in events()) {
        let mut timeline = Timeline::new(VideoCodec::H264, first);
        let (mut source, mut received) = (origin, epoch());
        let mut newest = timeline.stamp(source, received).timestamp;
        let (mut newest_source, mut jumps, mut restarted, mut was_by_arrival) = (source, 0, false, false);
        prop_assert_eq!(newest as u32, first);

        for event in events {
            let Event::Unit(ticks, ms_later) = event else {
                timeline.restart();
                restarted = true;
                continue;
            };
            source = source.saturating_add(ticks);
            received += ms(ms_later);
            let stamp = timeline.stamp(source, received);
            prop_assert!(stamp.captured <= received);

            let step = i128::from(source) - i128::from(newest_source);
            let out = i128::from(stamp.timestamp) - i128::from(newest);
            let bridged = timeline.jumps() > jumps;
            jumps = timeline.jumps();
            let jumped = std::mem::take(&mut restarted) || bridged;
            if timeline.is_by_arrival() || was_by_arrival {
                prop_assert!(out > 0);
                was_by_arrival = timeline.is_by_arrival();
                (newest, newest_source) = (stamp.timestamp, newest_source.max(source));
                continue;
            }
            if jumped {
                prop_assert!(out > 0);
                prop_assert!(out <= 90 * 20_000 * 200, "by arrival, not by the source");
            } else {
                prop_assert_eq!(out, step);
            }
            prop_assert!(!bridged || step.abs() > 90_000);
            if jumped || source > newest_source {
                (newest, newest_source) = (stamp.timestamp, source);
            }
        }
    }
}

#[test]
fn reports_tell_a_unit_its_time_until_timestamps_jump() {
    let (mut timeline, t, _) = started(0);
    let time = |seconds: u64| SourceTime((3_900_000_000 + seconds) << 32);
    assert_eq!(timeline.moment(t), None);
    assert_eq!(timeline.report(0, time(0), t + ms(5)), Reported::New);
    assert_eq!(timeline.moment(t), Some(Moment { captured: t, time: time(0) }));
    assert_eq!(timeline.moment(t + ms(11_000)), None, "nothing came for long");
    assert_eq!(timeline.stamp(90_000, t + ms(1_000)).time, None);
    assert_eq!(timeline.moment(t + ms(1_000)), Some(Moment { captured: t, time: time(0) }), "a second ago");
    assert_eq!(timeline.report(90_000, time(1), t + ms(1_002)), Reported::Agrees);
    assert_eq!(timeline.stamp(180_000, t + ms(2_000)).time, Some(time(2)));
    assert_eq!(timeline.stamp(90_000 * 60, t + ms(3_000)).time, None, "a jump");
    assert_eq!(timeline.moment(t + ms(4_000)), None);
    timeline.report(90_000 * 60, time(3), t + ms(3_001));
    assert_eq!(timeline.report(90_000 * 61, time(4), t + ms(4_001)), Reported::Agrees);
    timeline.restart();
    assert_eq!(timeline.moment(t + ms(4_000)), None);
    assert_eq!(timeline.report(7, time(9), t + ms(9_000)), Reported::New, "of the session that begins");
}

#[test]
fn a_shift_moves_capture_times_and_nothing_else() {
    let (mut plain, t, first) = started(0);
    let mut shifted = Timeline::new(VideoCodec::H264, 77);
    shifted.stamp(0, t);
    let mut last = t;
    for index in 1..100 {
        if index == 5 {
            shifted.shift(ms(120));
        }
        let (source, received) = (3_600 * index as i64, t + ms(40 * index));
        let (a, b) = (plain.stamp(source, received), shifted.stamp(source, received));
        assert_eq!((a.timestamp, b.timestamp), (first + 3_600 * index, first + 3_600 * index));
        assert!(b.captured >= last, "never back");
        last = b.captured;
        if index > 12 {
            assert_eq!(a.captured - b.captured, ms(120));
        }
    }
}

#[test]
fn an_operator_is_told_how_the_clock_of_the_source_runs() {
    let near = |told: Option<f64>, wanted: f64, off: f64| {
        assert!(told.is_some_and(|told| (told - wanted).abs() < off), "{told:?}, not {wanted}");
    };
    let (mut timeline, t, _) = started(0);
    assert_eq!((timeline.drift(), timeline.jitter()), (None, None));
    // RFC 3550 §6.4.1: of each difference a sixteenth is believed.
    timeline.stamp(3_600, t + ms(44));
    timeline.stamp(7_200, t + ms(86));
    near(timeline.jitter(), 0.002 / 16.0, 1e-9);
    timeline.stamp(10_800, t + ms(120));
    near(timeline.jitter(), 0.002 / 16.0 + (0.006 - 0.002 / 16.0) / 16.0, 1e-9);
    // Too fast by 100 parts in a million, and every other picture 4 ms late.
    for frame in 4..3_000 {
        timeline.stamp(frame as i64 * 3_600 * 10_001 / 10_000, t + ms(40 * frame + 4 * (frame % 2)));
    }
    near(timeline.drift(), 1e-4, 1e-5);
    near(timeline.jitter(), 0.004, 1e-4);
}
