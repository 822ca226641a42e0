//! A test over time: what was counted, second after second, and the rates between.
//!
//! Owns how often counts are kept, how they are thinned out when a test is long, and the arithmetic from
//! counts to curves. Never reads a clock or `/proc`: counts are given to it.

use std::time::Duration;

use serde::Serialize;

use super::process::Sample;
use super::worker::Mark;

/// Time between two points in the beginning.
pub const STEP: Duration = Duration::from_secs(1);

/// Points at the most: then every second one goes, and the step doubles. A quarter of an hour by the second,
/// a day by the two minutes. More make reports larger (250 bytes a point) and curves no clearer: a chart is
/// less than a thousand pixels wide.
const POINTS_MAX: usize = 900;

/// What is known at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Time since the beginning of the test.
    pub at: Duration,
    /// Joins that failed and viewers that ended before their time, so far.
    pub failed: u64,
    /// CPU time of the thread that posts offers.
    pub coordinator: Duration,
    /// The server, if it can be looked at.
    pub server: Option<Sample>,
}

/// The curves of a finished test.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Series {
    /// Seconds between two points.
    pub step_seconds: f64,
    /// When measuring began; none if it never did.
    pub measured_from: Option<f64>,
    /// The points, in order.
    pub points: Vec<Point>,
}

/// One point: rates since the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Point {
    /// Seconds since the beginning of the test.
    pub at: f64,
    /// Viewers connected.
    pub connected: usize,
    /// Joins that failed and viewers that ended before their time, in all.
    pub failed: u64,
    /// Packets a second.
    pub packets_per_second: f64,
    /// Bits a second, without UDP and IP headers.
    pub bits_per_second: f64,
    /// Part of the packets that did not come the first time; none if none were due.
    pub loss_before_repair: Option<f64>,
    /// Part of the packets that never came, not even before the test was over.
    pub loss: Option<f64>,
    /// The server's CPU in user mode, in cores.
    pub server_cores_user: Option<f64>,
    /// The server's CPU in the kernel, in cores.
    pub server_cores_system: Option<f64>,
    /// The server's resident bytes.
    pub server_rss_bytes: Option<u64>,
    /// The server's threads.
    pub server_threads: Option<u64>,
    /// Times a second that the server's threads gave their core up.
    pub server_voluntary_switches_per_second: Option<f64>,
    /// Times a second that a core was taken from the server's threads.
    pub server_involuntary_switches_per_second: Option<f64>,
    /// CPU of all receiving threads of the generator, in cores.
    pub generator_cores: f64,
    /// CPU of the busiest of them, in cores; the worst of the seconds that this point stands for.
    pub generator_busiest_thread: f64,
    /// CPU of the generator's thread that posts offers, in cores; the worst of those seconds.
    pub generator_coordinator: f64,
}

/// Counts of one moment, all of them growing but for those of viewers and memory.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    /// When the workers counted, on the average.
    at: f64,
    connected: usize,
    packets: u64,
    bytes: u64,
    expected: u64,
    lost_before_repair: u64,
    lost: u64,
    cpu: f64,
    failed: u64,
    busiest: f64,
    coordinator: f64,
    /// When the server was looked at.
    looked_at: f64,
    server: Option<Sample>,
}

/// Keeps what becomes a [`Series`].
#[derive(Debug)]
pub struct Recorder {
    step: Duration,
    kept: Vec<Counted>,
    /// The workers' counts of the last moment, for what one thread did since.
    marks: Vec<Mark>,
    coordinator: (Duration, Duration),
    measured_from: Option<f64>,
}

impl Recorder {
    /// Begins with nothing counted; `coordinator` and `server` as in [`Moment`].
    pub fn new(coordinator: Duration, server: Option<Sample>) -> Recorder {
        Recorder {
            step: STEP,
            kept: vec![Counted { server, ..Counted::default() }],
            marks: Vec::new(),
            coordinator: (Duration::ZERO, coordinator),
            measured_from: None,
        }
    }

    /// Time between two points now.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// Measuring begins now.
    pub fn begin_measuring(&mut self, at: Duration) {
        self.measured_from = Some(at.as_secs_f64());
    }

    /// Keeps one moment. Nothing if no worker has counted since the last one.
    pub fn record(&mut self, moment: Moment, marks: &[Mark]) {
        let mut counted = Counted {
            failed: moment.failed,
            looked_at: moment.at.as_secs_f64(),
            server: moment.server,
            ..Counted::default()
        };
        for (index, mark) in marks.iter().enumerate() {
            let (counts, before) = (mark.totals.counts, self.marks.get(index).copied().unwrap_or_default());
            counted.at += mark.at.as_secs_f64() / marks.len() as f64;
            counted.connected += mark.connected;
            counted.packets += mark.totals.packets;
            counted.bytes += mark.totals.bytes;
            counted.expected += counts.expected;
            counted.lost_before_repair += counts.lost_before_repair();
            counted.lost += counts.lost();
            counted.cpu += mark.cpu.as_secs_f64();
            let (ran, passed) = (mark.cpu.saturating_sub(before.cpu), mark.at.saturating_sub(before.at));
            counted.busiest = counted.busiest.max(part(ran.as_secs_f64(), passed.as_secs_f64()));
        }
        if self.kept.last().is_some_and(|last| counted.at <= last.at) {
            return;
        }
        let (at, ran) = self.coordinator;
        let (passed, ran) = (moment.at.saturating_sub(at), moment.coordinator.saturating_sub(ran));
        counted.coordinator = part(ran.as_secs_f64(), passed.as_secs_f64());
        self.coordinator = (moment.at, moment.coordinator);
        self.marks = marks.to_vec();
        self.kept.push(counted);
        if self.kept.len() > POINTS_MAX {
            self.thin();
        }
    }

    /// The latest point.
    pub fn latest(&self) -> Option<Point> {
        match self.kept[..] {
            [.., before, last] => Some(Point::between(&before, &last, 0)),
            _ => None,
        }
    }

    /// The curves. `lost` is what had not come when all was over: what was repaired after its second is no
    /// loss of that second.
    pub fn finish(self, lost: u64) -> Series {
        let mut never_came: Vec<u64> = self.kept.iter().map(|counted| counted.lost).collect();
        let mut settled = lost;
        for lost in never_came.iter_mut().rev() {
            settled = settled.min(*lost);
            *lost = settled;
        }
        let pairs = self.kept.windows(2).zip(never_came.windows(2));
        Series {
            step_seconds: self.step.as_secs_f64(),
            measured_from: self.measured_from,
            points: pairs.map(|(pair, lost)| Point::between(&pair[0], &pair[1], lost[1] - lost[0])).collect(),
        }
    }

    /// Every second moment goes; of what is the worst of a time, the worse one stays.
    fn thin(&mut self) {
        self.step *= 2;
        let mut kept = vec![self.kept[0]];
        kept.extend(self.kept[1..].chunks(2).map(|pair| {
            let mut last = pair[pair.len() - 1];
            last.busiest = last.busiest.max(pair[0].busiest);
            last.coordinator = last.coordinator.max(pair[0].coordinator);
            last
        }));
        self.kept = kept;
    }
}

impl Point {
    fn between(before: &Counted, now: &Counted, lost: u64) -> Point {
        let passed = now.at - before.at;
        let rate = |before: u64, now: u64| part(now.saturating_sub(before) as f64, passed);
        let expected = now.expected.saturating_sub(before.expected);
        let of_expected = |count: u64| (expected > 0).then(|| count as f64 / expected as f64);
        let watched = now.looked_at - before.looked_at;
        let server = before.server.zip(now.server);
        let cores = |time: fn(&Sample) -> Duration| {
            server
                .map(|(before, now)| part((time(&now).saturating_sub(time(&before))).as_secs_f64(), watched))
        };
        let switches = |count: fn(&Sample) -> u64| {
            server.map(|(before, now)| part(count(&now).saturating_sub(count(&before)) as f64, watched))
        };
        Point {
            at: now.at,
            connected: now.connected,
            failed: now.failed,
            packets_per_second: rate(before.packets, now.packets),
            bits_per_second: 8.0 * rate(before.bytes, now.bytes),
            loss_before_repair: of_expected(now.lost_before_repair.saturating_sub(before.lost_before_repair)),
            loss: of_expected(lost),
            server_cores_user: cores(|sample| sample.user),
            server_cores_system: cores(|sample| sample.system),
            server_rss_bytes: now.server.map(|sample| sample.rss_bytes),
            server_threads: now.server.map(|sample| sample.threads),
            server_voluntary_switches_per_second: switches(|sample| sample.voluntary_switches),
            server_involuntary_switches_per_second: switches(|sample| sample.involuntary_switches),
            generator_cores: part((now.cpu - before.cpu).max(0.0), passed),
            generator_busiest_thread: now.busiest,
            generator_coordinator: now.coordinator,
        }
    }
}

impl Series {
    /// The points of the time before measuring began.
    pub fn joining(&self) -> impl Iterator<Item = &Point> {
        let until = self.measured_from.unwrap_or(f64::INFINITY);
        self.points.iter().take_while(move |point| point.at <= until)
    }
}

fn part(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
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
}
