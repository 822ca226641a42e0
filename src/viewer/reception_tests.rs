//! Reports in, numbers out: what is believed, in which unit, and how often.

use super::*;
use crate::count::histogram::{Histogram, Snapshot};

const EPOCH_UNIX: Duration = Duration::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "virtual time has to start somewhere")]
fn start() -> (Instant, Epoch) {
    let now = Instant::now();
    (now, Epoch::new(now, EPOCH_UNIX))
}

fn report(highest: u32, lost: u32, jitter: u32) -> ReceptionReport {
    ReceptionReport {
        ssrc: 1.into(),
        fraction_lost: 0,
        packets_lost: lost,
        max_seq: highest,
        jitter,
        last_sr_time: 0,
        last_sr_delay: 0,
    }
}

/// How many were observed, and their mean.
fn read(histogram: &Histogram) -> (u64, f64) {
    let snapshot = Snapshot::of([histogram]);
    (snapshot.count(), snapshot.sum() / (snapshot.count().max(1) as f64))
}

const VIDEO: About = About { clock_rate: 90_000, sent: 100_000, bytes: 0 };

#[test]
fn loss_is_the_difference_of_two_reports_a_second_apart() {
    let (now, epoch) = start();
    let feedback = Feedback::default();
    let mut reception = Reception::new();
    assert!(!reception.heard());
    let mut tell = |at: Duration, highest, lost| {
        reception.handle_report(now + at, &report(highest, lost, 0), VIDEO, &epoch, &feedback.video);
    };
    tell(Duration::ZERO, 1_000, 7);
    assert_eq!(read(&feedback.video.loss).0, 0, "there is nothing to compare the first with");
    // As with every NACK under loss: none of these is an observation of its own.
    for step in 1..10 {
        tell(SECOND * step / 10, 1_000 + 10 * step, 7 + step);
    }
    tell(SECOND, 1_100, 17);
    assert_eq!(read(&feedback.video.loss), (1, 0.1));
    assert_eq!(feedback.video.lost.get(), 17, "all that it tells, also of before");
    // More came twice than were lost.
    tell(SECOND * 2, 1_200, 10);
    assert_eq!(read(&feedback.video.loss), (2, 0.05));
    assert_eq!(feedback.video.lost.get(), 17, "a counter never falls");
    tell(SECOND * 3, 5, 0);
    assert_eq!(read(&feedback.video.loss).0, 2, "a receiver that began anew");
    assert_eq!(feedback.audio.lost.get(), 0);
    assert!(reception.heard());
}

#[test]
fn cumulative_loss_is_signed_and_no_more_than_was_sent() {
    let (now, epoch) = start();
    let feedback = Feedback::default();
    let mut reception = Reception::new();
    let about = About { sent: 50, ..VIDEO };
    for (lost, counted) in [(0xff_fffe, 0), (3, 3), (0x7f_ffff, 50), (0x80_0000, 50)] {
        reception.handle_report(now, &report(10, lost, 0), about, &epoch, &feedback.video);
        assert_eq!(feedback.video.lost.get(), counted, "{lost:#x}");
    }
}

#[test]
fn jitter_is_told_in_seconds_whatever_the_clock() {
    let (now, epoch) = start();
    for clock_rate in [90_000, 48_000, 8_000] {
        let feedback = Feedback::default();
        let about = About { clock_rate, sent: 1, bytes: 0 };
        let told = report(1, 0, clock_rate / 100);
        Reception::new().handle_report(now, &told, about, &epoch, &feedback.audio);
        let (count, mean) = read(&feedback.audio.jitter);
        assert!(count == 1 && (mean - 0.01).abs() < 1e-9, "{mean}");
        // What no line can be is not believed.
        let absurd = report(1, 0, u32::MAX);
        Reception::new().handle_report(now, &absurd, about, &epoch, &feedback.audio);
        assert_eq!(read(&feedback.audio.jitter).0, 1);
    }
}

#[test]
fn a_round_trip_is_what_the_viewer_did_not_keep_our_report_for() {
    let (sent, epoch) = start();
    let feedback = Feedback::default();
    let mut reception = Reception::new();
    assert_eq!(reception.round_trip(), DEFAULT_RTT);
    let told = ReceptionReport {
        last_sr_time: (epoch.ntp(sent) >> 16) as u32,
        last_sr_delay: 3 << 15,
        ..report(1, 0, 0)
    };
    let came = sent + Duration::from_millis(1_540);
    reception.handle_report(came, &told, VIDEO, &epoch, &feedback.video);
    let error = reception.round_trip().abs_diff(Duration::from_millis(40));
    assert!(error < Duration::from_micros(50), "{:?}", reception.round_trip());
    let (count, mean) = read(&feedback.video.round_trip);
    assert!(count == 1 && (mean - 0.04).abs() < 5e-5, "{mean}");
    // Kept longer than it has been on its way: made up.
    let lie = ReceptionReport { last_sr_delay: 100 << 16, ..told };
    reception.handle_report(came + SECOND, &lie, VIDEO, &epoch, &feedback.video);
    assert!(reception.round_trip() < Duration::from_millis(41));
    assert_eq!(read(&feedback.video.round_trip).0, 1);
}

#[test]
fn an_estimate_is_compared_with_what_was_sent_since_the_last() {
    let (now, _) = start();
    let feedback = Feedback::default();
    let mut estimates = Estimates::default();
    let below = || feedback.estimate_below_sent.get();
    // Just before the counter of bytes rolls over.
    estimates.handle(now, 2e6, u32::MAX - 1_000, &feedback);
    assert_eq!((read(&feedback.estimate), below()), ((1, 0.25e6), 0), "no rate is known yet");
    estimates.handle(now + SECOND / 2, 1.0, 0, &feedback);
    assert_eq!(read(&feedback.estimate).0, 1, "too soon");
    // 250,000 bytes in a second are 2 Mb/s.
    let sent = 249_000 - 1;
    estimates.handle(now + SECOND, 2.1e6, sent, &feedback);
    assert_eq!(below(), 0);
    estimates.handle(now + SECOND * 2, 1.9e6, sent + 250_000, &feedback);
    assert_eq!((read(&feedback.estimate), below()), ((3, 0.25e6), 1));
}

#[test]
fn an_estimate_that_no_line_has_is_not_observed() {
    let (now, _) = start();
    let feedback = Feedback::default();
    let mut estimates = Estimates::default();
    // The most that a REMB can say, and what arithmetic makes of less.
    for made_up in [2f64.powi(81), f64::INFINITY, f64::NAN, -1.0, 10.1e9] {
        estimates.handle(now, made_up, 0, &feedback);
    }
    assert_eq!(read(&feedback.estimate).0, 0);
    estimates.handle(now, 1e9, 0, &feedback);
    assert_eq!(read(&feedback.estimate), (1, 1.25e8), "they did not stand in its way");
}
