//! `sluice bench egress`: one stream, more and more viewers.
//!
//! Owns the question whether a packet costs the same however many watch. A fresh server for each size, so
//! that memory is that of these viewers; the floor with as many destinations right after it; sizes in turn,
//! round after round.

use std::time::Duration;

use serde::Serialize;

use super::error::BenchError;
use super::floor::{CLIP, Floor, FloorSize, over_floor};
use super::measured::{Measured, Server};
use super::options::Common;
use super::report::{Report, Table};
use super::rig::{Loading, Rig, Serving};
use super::spread::{Spread, number, percent, text};
use super::tell;

/// Viewers of each size, by default and with `--quick`.
const SIZES: [u32; 5] = [100, 500, 1_000, 2_000, 5_000];
const QUICK_SIZES: [u32; 2] = [50, 200];

/// Command line of `sluice bench egress`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Sizes to measure [default: 100,500,1000,2000,5000; with --quick 50,200]
    #[arg(long, value_delimiter = ',', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    viewers: Vec<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// One size: its rounds, and why there are none.
struct Size {
    viewers: u32,
    rounds: Vec<Round>,
    not_measured: Option<String>,
}

/// One size in one round.
struct Round {
    measured: Measured,
    /// Datagrams of the server in a message on average, from its first to its last viewer.
    packets_per_message: f64,
    floor: Floor,
}

/// The figures of one size.
#[derive(Debug, Serialize)]
struct Figures {
    viewers: u32,
    /// Why there are none.
    not_measured: Option<String>,
    joined: Option<Spread>,
    packets_per_second: Option<Spread>,
    bits_per_second: Option<Spread>,
    loss: Option<Spread>,
    server_cores_user: Option<Spread>,
    server_cores_system: Option<Spread>,
    server_ns_per_packet: Option<Spread>,
    floor_ns_per_packet: Option<Spread>,
    cost_over_floor: Option<Spread>,
    server_us_per_viewer_second: Option<Spread>,
    rss_bytes_per_viewer: Option<Spread>,
    join_p99_seconds: Option<Spread>,
    generator_busiest_thread: Option<Spread>,
    server_packets_per_message: Option<Spread>,
    floor_packets_per_message: Option<Spread>,
}

/// Measures.
pub async fn run(rig: &Rig, options: &Options) -> Result<Report, BenchError> {
    let quick = options.common.quick;
    let numbers = match (&options.viewers[..], quick) {
        ([], false) => &SIZES[..],
        ([], true) => &QUICK_SIZES[..],
        (given, _) => given,
    };
    let mut sizes: Vec<Size> =
        numbers.iter().map(|&viewers| Size { viewers, rounds: Vec::new(), not_measured: None }).collect();
    let mut report = Report::new("Egress: one stream, more and more viewers", rig);
    let window = if quick { CLIP / 2 } else { CLIP };
    for round in 1..=options.common.rounds() {
        for size in sizes.iter_mut().filter(|size| size.not_measured.is_none()) {
            tell(&format!("round {round}: {} viewers", size.viewers));
            match measure(rig, size.viewers, window).await {
                Ok(round) => {
                    let about = format!("{} viewers", size.viewers);
                    report.doubt(&about, &round.measured);
                    round.floor.doubts().iter().for_each(|doubt| report.warn(&about, doubt));
                    size.rounds.push(round);
                }
                // One size more than the machine can do shall not cost the others their figures.
                Err(error) => size.not_measured = Some(error.to_string()),
            }
        }
    }
    write(&mut report, &sizes);
    Ok(report)
}

async fn measure(rig: &Rig, viewers: u32, window: Duration) -> Result<Round, BenchError> {
    let server = rig.server(&Serving::demo(viewers)).await?;
    let loading = Loading { duration: window, ..Loading::of(&[server.whep("demo")], viewers) };
    let measured = rig.load(&server, &loading).await?;
    let datagrams = server.metric("sluice_egress_datagrams_total")?;
    let packets_per_message = datagrams / server.metric("sluice_egress_messages_total")?;
    let cipher = server.cipher()?;
    drop(server);
    if measured.joined == 0 || measured.packets_per_second == 0.0 {
        let troubles = measured.troubles().unwrap_or_default();
        return Err(BenchError::Cannot(format!("no viewer got a packet: {troubles}")));
    }
    let viewers = measured.joined as u32;
    let size = FloorSize { streams: 1, viewers, send_times: false, cipher, duration: window };
    Ok(Round { measured, packets_per_message, floor: rig.floor(size).await? })
}

impl Size {
    fn figures(&self) -> Figures {
        let rounds = || self.rounds.iter();
        let of =
            |figure: &dyn Fn(&Measured) -> f64| Spread::of(rounds().map(|round| figure(&round.measured)));
        let of_server = |figure: &dyn Fn(&Server) -> f64| {
            Spread::of(rounds().filter_map(|round| round.measured.server.as_ref().map(figure)))
        };
        let of_floor =
            |figure: &dyn Fn(&Floor) -> f64| Spread::of(rounds().map(|round| figure(&round.floor)));
        let costs = rounds().filter_map(|round| Some((round.measured.server?.cpu_per_packet, &round.floor)));
        Figures {
            viewers: self.viewers,
            not_measured: self.not_measured.clone(),
            joined: of(&|measured| measured.joined as f64),
            packets_per_second: of(&|measured| measured.packets_per_second),
            bits_per_second: of(&|measured| measured.bits_per_second),
            loss: of(&Measured::loss),
            server_cores_user: of_server(&|server| server.cores_user),
            server_cores_system: of_server(&|server| server.cores_system),
            server_ns_per_packet: of_server(&|server| server.cpu_per_packet * 1e9),
            floor_ns_per_packet: of_floor(&|floor| floor.cpu_per_packet() * 1e9),
            cost_over_floor: over_floor(costs),
            server_us_per_viewer_second: Spread::of(rounds().filter_map(|Round { measured, .. }| {
                Some(measured.server?.cores() / measured.joined as f64 * 1e6)
            })),
            rss_bytes_per_viewer: of_server(&|server| server.rss_per_viewer),
            join_p99_seconds: of(&|measured| measured.join.p99),
            generator_busiest_thread: of(&|measured| measured.generator.busiest_thread),
            server_packets_per_message: Spread::of(rounds().map(|round| round.packets_per_message)),
            floor_packets_per_message: of_floor(&Floor::packets_per_message),
        }
    }
}

fn write(report: &mut Report, sizes: &[Size]) {
    let figures: Vec<Figures> = sizes.iter().map(Size::figures).collect();
    report.text(
        "Each size has a fresh server with one shard, pinned to one core, that plays the demo (H.264 720p30 and \
         Opus). *Floor* is what the same bytes cost on that core with nothing around them but sealing and sending, \
         to as many destinations, measured right behind it. Medians of the rounds, with the smallest and the largest.",
    );
    let mut costs = Table::new(&[
        "viewers",
        "packets/s",
        "Mbit/s",
        "lost",
        "server: cores user + system",
        "ns per packet",
        "floor, ns per packet",
        "cost / floor",
        "µs per viewer and second",
    ]);
    let mut others = Table::new(&[
        "viewers",
        "connected",
        "memory per viewer",
        "join p99",
        "packets in a message",
        "of the floor",
        "busiest thread of the generator",
    ]);
    for size in &figures {
        let whole = |value| number(value, 0);
        if let Some(why) = &size.not_measured {
            // Only the first line: errors quote logs.
            let why = why.lines().next().unwrap_or_default();
            costs.row([size.viewers.to_string(), format!("not measured: {why}")]);
            if size.joined.is_none() {
                continue;
            }
        }
        let cores = |value| number(value, 2);
        costs.row([
            number(f64::from(size.viewers), 0),
            text(size.packets_per_second, whole),
            text(size.bits_per_second, |bits| number(bits / 1e6, 0)),
            text(size.loss, percent),
            format!("{} + {}", text(size.server_cores_user, cores), text(size.server_cores_system, cores)),
            text(size.server_ns_per_packet, whole),
            text(size.floor_ns_per_packet, whole),
            text(size.cost_over_floor, |ratio| number(ratio, 2)),
            text(size.server_us_per_viewer_second, whole),
        ]);
        others.row([
            number(f64::from(size.viewers), 0),
            text(size.joined, whole),
            text(size.rss_bytes_per_viewer, |bytes| format!("{} KiB", number(bytes / 1_024.0, 1))),
            text(size.join_p99_seconds, |seconds| format!("{} ms", number(seconds * 1e3, 1))),
            text(size.server_packets_per_message, cores),
            text(size.floor_packets_per_message, cores),
            text(size.generator_busiest_thread, percent),
        ]);
    }
    report.table(costs);
    report.table(others);
    if let [first, .., last] = &figures[..]
        && let (Some(few), Some(many)) = (first.server_us_per_viewer_second, last.server_us_per_viewer_second)
    {
        report.text(format!(
            "A viewer among {} costs {} x what one among {} costs.",
            number(f64::from(last.viewers), 0),
            number(many.median / few.median, 2),
            number(f64::from(first.viewers), 0)
        ));
    }
    report.set_figures(&figures);
}
