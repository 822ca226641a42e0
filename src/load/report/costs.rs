//! What a measurement cost both sides.
//!
//! Owns the arithmetic from CPU times to costs per packet and per join. Never judges (that is `doubts`).

use serde::{Deserialize, Serialize};

use super::super::gone::Mark;
use super::super::process::Sample;
use super::super::series::{Point, Series};
use super::{Run, Window, ratio};

/// The server's side of the measurement.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// CPU in cores: user mode.
    pub cores_user: f64,
    /// CPU in cores: kernel.
    pub cores_system: f64,
    /// CPU seconds per packet delivered, of everything it did while measuring.
    pub cpu_per_packet: f64,
    /// CPU seconds per join: those of the joining, less what its packets cost.
    pub cpu_per_join: f64,
    /// CPU seconds per join with the packets sent meanwhile.
    pub cpu_per_join_gross: f64,
    /// Resident bytes it grew by, per viewer.
    pub rss_per_viewer: f64,
    /// Resident bytes at the end.
    pub rss_bytes: u64,
    /// Threads at the end.
    pub threads: u64,
    /// Context switches a second.
    pub context_switches_per_second: f64,
    /// Of these: its threads gave their core up, having nothing to do.
    pub voluntary_switches_per_second: f64,
    /// Of these: their core was taken from them.
    pub involuntary_switches_per_second: f64,
    /// Part of the whole test that its threads were ready and had no core; over 1 if several waited.
    pub waited: f64,
}

impl Server {
    /// All its CPU, in cores.
    pub fn cores(&self) -> f64 {
        self.cores_user + self.cores_system
    }
}

/// The generator's side of the measurement.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Generator {
    /// CPU of the busiest receiving thread, in cores.
    pub busiest_thread: f64,
    /// CPU of all receiving threads, in cores.
    pub threads: f64,
    /// Part of the measurement in which the thread with the least time left ran, or was ready and had no core.
    pub occupied: f64,
    /// Part of the whole test that the thread kept waiting longest was ready and had no core.
    pub waited: f64,
    /// Packets a second that the receiving threads could take, going by that.
    pub packets_per_second_per_core: f64,
    /// Datagrams that our own kernel dropped before we read them: loss that is ours.
    pub kernel_drops: u64,
    /// CPU of the busiest receiving thread in the worst second of the joining, in cores.
    pub joining_busiest_thread: f64,
    /// CPU of the thread that posts offers in the worst second of the joining, in cores.
    pub joining_coordinator: f64,
}

/// What the server did for `packets` within `seconds`; none if it was not looked at.
pub(super) fn server(run: &Run, window: &Window, packets: u64, seconds: f64) -> Option<Server> {
    let (before, (start, end)) = (run.before?, window.server?);
    let cpu = end.cpu().saturating_sub(start.cpu()).as_secs_f64();
    let cpu_per_packet = ratio(cpu, packets as f64);
    let packets_while_joining: u64 = window.workers.iter().map(|(start, _)| start.totals.packets).sum();
    let connected: usize = window.workers.iter().map(|(start, _)| start.connected).sum();
    let joining = start.cpu().saturating_sub(before.cpu()).as_secs_f64();
    let net = (joining - packets_while_joining as f64 * cpu_per_packet).max(0.0);
    let switches =
        |count: fn(&Sample) -> u64| ratio(count(&end).saturating_sub(count(&start)) as f64, seconds);
    let voluntary = switches(|sample| sample.voluntary_switches);
    let involuntary = switches(|sample| sample.involuntary_switches);
    Some(Server {
        cores_user: ratio(end.user.saturating_sub(start.user).as_secs_f64(), seconds),
        cores_system: ratio(end.system.saturating_sub(start.system).as_secs_f64(), seconds),
        cpu_per_packet,
        cpu_per_join: ratio(net, connected as f64),
        cpu_per_join_gross: ratio(joining, connected as f64),
        rss_per_viewer: ratio(start.rss_bytes.saturating_sub(before.rss_bytes) as f64, connected as f64),
        rss_bytes: end.rss_bytes,
        threads: end.threads,
        context_switches_per_second: voluntary + involuntary,
        voluntary_switches_per_second: voluntary,
        involuntary_switches_per_second: involuntary,
        waited: ratio(end.waited.saturating_sub(before.waited).as_secs_f64(), run.length()),
    })
}

/// What the generator did for them.
pub(super) fn generator(run: &Run, series: &Series, packets: u64, seconds: f64) -> Generator {
    let workers = run.window.as_ref().map_or(&[][..], |window| &window.workers);
    let cores = |(start, end): &(Mark, Mark)| ratio(end.cpu.saturating_sub(start.cpu).as_secs_f64(), seconds);
    let occupied = |(start, end): &(Mark, Mark)| {
        let waited = end.waited.saturating_sub(start.waited).as_secs_f64();
        cores(&(*start, *end)) + ratio(waited, seconds)
    };
    let worst = |of: fn(&Point) -> f64| series.joining().map(of).fold(0.0, f64::max);
    let threads: f64 = workers.iter().map(cores).sum();
    Generator {
        busiest_thread: workers.iter().map(cores).fold(0.0, f64::max),
        threads,
        occupied: workers.iter().map(occupied).fold(0.0, f64::max),
        // Their threads began with the test.
        waited: workers
            .iter()
            .map(|(_, end)| ratio(end.waited.as_secs_f64(), run.length()))
            .fold(0.0, f64::max),
        packets_per_second_per_core: ratio(packets as f64, seconds * threads),
        kernel_drops: run.gone.kernel_drops,
        joining_busiest_thread: worst(|point| point.generator_busiest_thread),
        joining_coordinator: worst(|point| point.generator_coordinator),
    }
}
