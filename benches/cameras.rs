//! `sluice bench cameras`: many cameras with a few viewers each.
//!
//! Owns the question what streams cost beyond their packets. Cameras are those of `sluice load cameras`,
//! pulled over the network between the namespaces; the floor has as many streams, phases spread alike.

use std::time::Duration;

use serde::Serialize;

use super::clock::pause;
use super::error::BenchError;
use super::floor::{CLIP, Floor, FloorSize, over_floor};
use super::measured::{Measured, Server};
use super::options::Common;
use super::report::{Report, Table};
use super::rig::{self, Loading, Rig, Serving};
use super::spread::{Spread, number, percent, text};
use super::tell;

/// Cameras and viewers of each, by default and with `--quick`.
const SIZE: (u16, u32) = (64, 16);
const QUICK_SIZE: (u16, u32) = (8, 4);

/// One viewer in so many decrypts, to tell the delay. Odd, so that over all of them it meets every camera.
const VERIFY: u32 = 33;
const QUICK_VERIFY: u32 = 5;

/// Command line of `sluice bench cameras`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Number of cameras [default: 64; with --quick 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    cameras: Option<u16>,
    /// Viewers of each [default: 16; with --quick 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    viewers: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, Serialize)]
struct Figures {
    cameras: u16,
    viewers: u32,
    joined: Option<Spread>,
    packets_per_second: Option<Spread>,
    bits_per_second: Option<Spread>,
    loss: Option<Spread>,
    server_cores_user: Option<Spread>,
    server_cores_system: Option<Spread>,
    server_ns_per_packet: Option<Spread>,
    floor_ns_per_packet: Option<Spread>,
    cost_over_floor: Option<Spread>,
    /// Without any viewer: the cameras alone.
    idle_cores: Option<Spread>,
    idle_rss_bytes: Option<Spread>,
    rss_bytes: Option<Spread>,
    join_p99_seconds: Option<Spread>,
    delay_p50_seconds: Option<Spread>,
    delay_p99_seconds: Option<Spread>,
}

/// The server with its cameras and without a viewer.
struct Idle {
    cores: f64,
    rss_bytes: u64,
}

/// Measures.
pub async fn run(rig: &Rig, options: &Options) -> Result<Report, BenchError> {
    let quick = options.common.quick;
    let (cameras, each) = if quick { QUICK_SIZE } else { SIZE };
    let (cameras, each) = (options.cameras.unwrap_or(cameras), options.viewers.unwrap_or(each));
    let viewers = u32::from(cameras) * each;
    let window = if quick { CLIP / 2 } else { CLIP * 2 };
    let mut report = Report::new(&format!("{cameras} cameras with {each} viewers each"), rig);
    let mut rounds: Vec<(Idle, Measured, Floor)> = Vec::new();
    for round in 1..=options.common.rounds() {
        tell(&format!("round {round}: {cameras} cameras, {viewers} viewers"));
        let source = rig.cameras(cameras).await?;
        let mut server = rig.server(&Serving::cameras(&source.urls, viewers)).await?;
        let idle = idle(&mut server, window / 2).await?;
        let urls: Vec<String> = (1..=cameras).map(|index| server.whep(&format!("cam{index}"))).collect();
        let verify = if quick { QUICK_VERIFY } else { VERIFY };
        let more = vec![format!("--verify={verify}")];
        let measured =
            rig.load(&server, &Loading { duration: window, more, ..Loading::of(&urls, viewers) }).await?;
        let cipher = server.cipher()?;
        drop((server, source));
        let streams = cameras.into();
        let size = FloorSize { streams, viewers: each, send_times: true, cipher, duration: window };
        let floor = rig.floor(size).await?;
        report.doubt("viewers", &measured);
        floor.doubts().iter().for_each(|doubt| report.warn("floor", doubt));
        rounds.push((idle, measured, floor));
    }
    let figures = figures((cameras, viewers), &rounds);
    write(&mut report, &figures);
    Ok(report)
}

/// What the cameras cost without a viewer.
async fn idle(server: &mut rig::Server, window: Duration) -> Result<Idle, BenchError> {
    let before = server.sample()?;
    pause(window).await;
    let after = server.sample()?;
    let cpu = after.cpu().saturating_sub(before.cpu());
    Ok(Idle { cores: cpu.as_secs_f64() / window.as_secs_f64(), rss_bytes: after.rss_bytes })
}

fn figures((cameras, viewers): (u16, u32), rounds: &[(Idle, Measured, Floor)]) -> Figures {
    let of = |figure: &dyn Fn(&Measured) -> f64| {
        Spread::of(rounds.iter().map(|(_, measured, _)| figure(measured)))
    };
    let of_server = |figure: &dyn Fn(&Server) -> f64| {
        Spread::of(rounds.iter().filter_map(|(_, measured, _)| measured.server.as_ref().map(figure)))
    };
    let delay = |figure: &dyn Fn(&Measured) -> f64| {
        Spread::of(
            rounds.iter().filter(|(_, m, _)| m.delay.count > 0).map(|(_, measured, _)| figure(measured)),
        )
    };
    let costs =
        rounds.iter().filter_map(|(_, measured, floor)| Some((measured.server?.cpu_per_packet, floor)));
    Figures {
        cameras,
        viewers,
        joined: of(&|measured| measured.joined as f64),
        packets_per_second: of(&|measured| measured.packets_per_second),
        bits_per_second: of(&|measured| measured.bits_per_second),
        loss: of(&Measured::loss),
        server_cores_user: of_server(&|server| server.cores_user),
        server_cores_system: of_server(&|server| server.cores_system),
        server_ns_per_packet: of_server(&|server| server.cpu_per_packet * 1e9),
        floor_ns_per_packet: Spread::of(rounds.iter().map(|(_, _, floor)| floor.cpu_per_packet() * 1e9)),
        cost_over_floor: over_floor(costs),
        idle_cores: Spread::of(rounds.iter().map(|(idle, _, _)| idle.cores)),
        idle_rss_bytes: Spread::of(rounds.iter().map(|(idle, _, _)| idle.rss_bytes as f64)),
        rss_bytes: of_server(&|server| server.rss_bytes as f64),
        join_p99_seconds: of(&|measured| measured.join.p99),
        delay_p50_seconds: delay(&|measured| measured.delay.p50),
        delay_p99_seconds: delay(&|measured| measured.delay.p99),
    }
}

fn write(report: &mut Report, figures: &Figures) {
    report.text(
        "The cameras are RTSP servers beside the generator that repeat the demo clip, each picture with its send \
         time; the server pulls them by TCP. *Floor* is what the same bytes of as many streams to as many \
         destinations cost with nothing around them but sealing and sending: RTSP, depacketizing and packetizing are \
         in the server's cost and not in the floor. *Delay* is from a picture's send time until a viewer that \
         decrypts had all of it.",
    );
    let whole = |value| number(value, 0);
    let cores = |value| number(value, 2);
    let ms = |seconds: f64| format!("{} ms", number(seconds * 1e3, 1));
    let mebibytes = |bytes: f64| format!("{} MiB", number(bytes / f64::from(1 << 20), 1));
    let mut table = Table::new(&["what", "figure"]);
    let mut row = |what: &str, figure: String| table.row([what.to_owned(), figure]);
    row("viewers connected", text(figures.joined, whole));
    row("packets/s", text(figures.packets_per_second, whole));
    row("Mbit/s", text(figures.bits_per_second, |bits| number(bits / 1e6, 0)));
    row("lost", text(figures.loss, percent));
    row("server, cores user", text(figures.server_cores_user, cores));
    row("server, cores system", text(figures.server_cores_system, cores));
    row("of these without any viewer", text(figures.idle_cores, cores));
    row("ns per packet", text(figures.server_ns_per_packet, whole));
    row("floor, ns per packet", text(figures.floor_ns_per_packet, whole));
    row("cost / floor", text(figures.cost_over_floor, cores));
    row("memory without any viewer", text(figures.idle_rss_bytes, mebibytes));
    row("memory", text(figures.rss_bytes, mebibytes));
    row("join p99", text(figures.join_p99_seconds, ms));
    row("delay p50", text(figures.delay_p50_seconds, ms));
    row("delay p99", text(figures.delay_p99_seconds, ms));
    report.table(table);
    report.set_figures(figures);
}
