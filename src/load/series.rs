//! A test over time: what was counted, second after second, and the rates between.
//!
//! Owns how often counts are kept, how they are thinned out when a test is long, and the arithmetic from
//! counts to curves. Never reads a clock or `/proc`: counts are given to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gone::Mark;
use super::process::Sample;

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
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Series {
    /// Seconds between two points.
    pub step_seconds: f64,
    /// When measuring began; none if it never did.
    pub measured_from: Option<f64>,
    /// The points, in order.
    pub points: Vec<Point>,
}

/// One point: rates since the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
#[path = "series_tests.rs"]
mod tests;
