use super::super::client::Totals;
use super::super::sequence::Counts;
use super::*;

/// `second` seconds in: 100 packets of 125 bytes a second were due, `lost` of them did not come.
fn mark(second: u64, lost: u64, repaired: u64) -> Mark {
    let expected = second * 100;
    let counts = Counts { expected, received: expected - lost, repaired, ..Counts::default() };
    let packets = expected - lost + repaired;
    Mark {
        totals: Totals { packets, bytes: packets * 125, counts, ..Totals::default() },
        connected: 2,
        cpu: Duration::from_millis(second * 300),
        at: Duration::from_secs(second),
        ..Mark::default()
    }
}

fn moment(second: u64) -> Moment {
    let server = Sample {
        user: Duration::from_millis(second * 100),
        system: Duration::from_millis(second * 200),
        rss_bytes: second * 1_000,
        voluntary_switches: second * 50,
        ..Sample::default()
    };
    Moment {
        at: Duration::from_secs(second),
        failed: 0,
        coordinator: Duration::from_millis(second * 10),
        server: Some(server),
    }
}

fn recorder() -> Recorder {
    Recorder::new(Duration::ZERO, Some(Sample::default()))
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn rates_are_those_between_two_moments() {
    let mut recorder = recorder();
    recorder.record(moment(1), &[mark(1, 0, 0), mark(1, 0, 0)]);
    recorder.record(moment(2), &[mark(2, 0, 0), mark(2, 0, 0)]);
    recorder.begin_measuring(Duration::from_secs(2));
    recorder.record(moment(4), &[mark(4, 0, 0), mark(4, 0, 0)]);
    let series = recorder.finish(0);
    assert_eq!(series.points.iter().map(|point| point.at).collect::<Vec<_>>(), [1.0, 2.0, 4.0]);
    assert_eq!(series.joining().count(), 2);
    for point in &series.points {
        assert_eq!((point.packets_per_second, point.bits_per_second), (200.0, 200_000.0));
        assert_eq!((point.connected, point.loss), (4, Some(0.0)));
        assert!(near(point.generator_cores, 0.6) && near(point.generator_busiest_thread, 0.3));
        assert!(near(point.generator_coordinator, 0.01), "{point:?}");
        assert!(near(point.server_cores_user.expect("seen"), 0.1), "{point:?}");
        assert!(near(point.server_cores_system.expect("seen"), 0.2), "{point:?}");
        assert!(near(point.server_voluntary_switches_per_second.expect("seen"), 50.0), "{point:?}");
    }
}

#[test]
fn what_is_repaired_a_second_later_is_no_loss_and_what_never_comes_is_one_of_its_second() {
    let mut recorder = recorder();
    // Ten are lost in the second second; six of them are repaired in the third, one after the end.
    recorder.record(moment(1), &[mark(1, 0, 0)]);
    recorder.record(moment(2), &[mark(2, 10, 0)]);
    recorder.record(moment(3), &[mark(3, 10, 6)]);
    let series = recorder.finish(3);
    let losses: Vec<_> = series.points.iter().map(|p| (p.loss_before_repair, p.loss)).collect();
    let expected = [(Some(0.0), Some(0.0)), (Some(0.1), Some(0.03)), (Some(0.0), Some(0.0))];
    assert_eq!(losses, expected);
}

#[test]
fn a_long_test_keeps_few_points_and_loses_no_packet_and_no_peak() {
    let mut recorder = recorder();
    let seconds = 10 * POINTS_MAX as u64;
    let mut second = 0;
    while second < seconds {
        second += recorder.step().as_secs();
        let mut mark = mark(second, 0, 0);
        if second > 100 {
            // A busy moment long ago.
            mark.cpu += Duration::from_millis(600);
        }
        recorder.record(moment(second), &[mark]);
    }
    let series = recorder.finish(0);
    assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&series.points.len()), "{}", series.points.len());
    let mut packets = 0.0;
    let mut before = 0.0;
    for point in &series.points {
        packets += point.packets_per_second * (point.at - before);
        before = point.at;
    }
    assert!((packets - second as f64 * 100.0).abs() < 1.0, "{packets}");
    let peak = series.points.iter().map(|point| point.generator_busiest_thread).fold(0.0, f64::max);
    assert!(near(peak, 0.9), "{peak}");
}

#[test]
fn a_worker_that_did_not_count_makes_no_point() {
    let mut recorder = recorder();
    recorder.record(moment(1), &[mark(1, 0, 0)]);
    recorder.record(moment(2), &[mark(1, 0, 0)]);
    recorder.record(moment(3), &[mark(3, 0, 0)]);
    let latest = recorder.latest().expect("two points");
    assert_eq!((latest.at, latest.packets_per_second), (3.0, 100.0));
    assert_eq!(recorder.finish(0).points.len(), 2);
}
