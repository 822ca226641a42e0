//! `sluice bench cameras`: many cameras with a few viewers each.
//!
//! Owns the question what streams cost beyond their packets. Cameras are those of `sluice load cameras`,
//! pulled over the network between the namespaces; the floor has as many streams, phases spread alike. Peers, if any are named,
//! run already and pull the same cameras.

use std::time::Duration;

use serde::Serialize;
use sluice_load::process::Sample;

use super::clock::pause;
use super::compare::{self, Peer};
use super::error::BenchError;
use super::floor::{CLIP, Floor, FloorSize, over_floor};
use super::measured::{Measured, Server};
use super::options::Common;
use super::report::{Report, Table};
use super::rig::{Loading, Rig, Serving};
use super::site::Site;
use super::spread::{Spread, number, percent, text};
use super::tell;

/// Cameras and viewers of each, by default and with `--quick`.
const SIZE: (u16, u32) = (64, 16);
const QUICK_SIZE: (u16, u32) = (8, 4);

/// One viewer in so many decrypts, to tell the delay. Odd, so that over all of them it meets every camera.
const VERIFY: u32 = 33;
const QUICK_VERIFY: u32 = 5;

/// How long cameras play before their cost is looked at: those that have just begun are read more often.
const SETTLES: Duration = Duration::from_secs(6);

/// Command line of `sluice bench cameras`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Number of cameras [default: 64; with --quick 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    cameras: Option<u16>,
    /// Viewers of each [default: 16; with --quick 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    viewers: Option<u32>,
    /// Cameras that run already instead of those of this bench: rtsp://HOST:PORT, which has /cam1, /cam2 ..., as `sluice load
    /// cameras` does
    #[arg(long, value_name = "RTSP_URL", requires = "peers")]
    from: Option<String>,
    /// Another server that pulls the same cameras already: the WHEP endpoint of cam1, which has that name in it, and its
    /// process: mediamtx=http://127.0.0.1:8890/cam1/whep,1234; may be repeated
    #[arg(long = "peer", id = "peers", value_name = "NAME=URL,PID", requires = "from")]
    peers: Vec<Peer>,
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
    peers: Vec<PeerFigures>,
}

/// A peer and its rounds.
#[derive(Debug, Serialize)]
struct PeerFigures {
    name: String,
    idle_cores: Option<Spread>,
    cores: Option<Spread>,
    /// CPU with viewers over Sluice's of the same round.
    over_sluice: Option<Spread>,
    loss: Option<Spread>,
    delay_p50_seconds: Option<Spread>,
    delay_p99_seconds: Option<Spread>,
}

/// The server with its cameras and without a viewer.
struct Idle {
    cores: f64,
    rss_bytes: u64,
}

/// One round: what ours cost, the floor, and what each peer cost.
type Round = ((Idle, Measured), Floor, Vec<(Idle, Measured)>);

/// Where it is measured: peers can be reached in this machine's own network alone.
pub fn site(options: &Options) -> Result<Site, BenchError> {
    if options.peers.is_empty() { Site::new(options.common.network) } else { compare::site(&options.common) }
}

/// Measures.
pub async fn run(rig: &Rig, options: &Options) -> Result<Report, BenchError> {
    let quick = options.common.quick;
    let (cameras, each) = if quick { QUICK_SIZE } else { SIZE };
    let (cameras, each) = (options.cameras.unwrap_or(cameras), options.viewers.unwrap_or(each));
    let viewers = u32::from(cameras) * each;
    let window = if quick { CLIP / 2 } else { CLIP * 2 };
    let mut report = Report::new(&format!("{cameras} cameras with {each} viewers each"), rig);
    for peer in &options.peers {
        compare::check(rig, peer, &mut report)?;
    }
    let more = vec![format!("--verify={}", if quick { QUICK_VERIFY } else { VERIFY })];
    let loading =
        |urls: &[String]| Loading { duration: window, more: more.clone(), ..Loading::of(urls, viewers) };
    let mut rounds: Vec<Round> = Vec::new();
    for round in 1..=options.common.rounds() {
        tell(&format!("round {round}: {cameras} cameras, {viewers} viewers"));
        let (source, from) = match &options.from {
            Some(from) => (None, numbered(&format!("{}/cam1", from.trim_end_matches('/')), cameras)),
            None => {
                let source = rig.cameras(cameras).await?;
                let urls = source.urls.clone();
                (Some(source), urls)
            }
        };
        let mut server = rig.server(&Serving::cameras(&from, viewers)).await?;
        pause(SETTLES).await;
        let before = server.sample()?;
        pause(window / 2).await;
        let idle = Idle::between(before, server.sample()?, window / 2);
        let urls: Vec<String> = (1..=cameras).map(|index| server.whep(&format!("cam{index}"))).collect();
        let measured = rig.load(&server, &loading(&urls)).await?;
        report.doubt("viewers", &measured);
        let cipher = server.cipher()?;
        drop(server);
        let mut theirs = Vec::new();
        for peer in &options.peers {
            tell(&format!("round {round}: {}", peer.name));
            let look = || Sample::of_all(&peer.pids).ok_or_else(|| gone(peer));
            let before = look()?;
            pause(window / 2).await;
            let idle = Idle::between(before, look()?, window / 2);
            let urls = numbered(peer.url.as_str(), cameras);
            let measured = rig.start_load(&peer.pids, &loading(&urls), rig.load_place())?.end().await?;
            report.doubt(&peer.name, &measured);
            theirs.push((idle, measured));
        }
        drop(source);
        let streams = cameras.into();
        let size = FloorSize { streams, viewers: each, send_times: true, cipher, duration: window };
        let floor = rig.floor(size).await?;
        floor.doubts().iter().for_each(|doubt| report.warn("floor", doubt));
        rounds.push(((idle, measured), floor, theirs));
    }
    let peers = options.peers.iter().enumerate().map(|(at, peer)| peer_figures(&peer.name, at, &rounds));
    let figures = Figures { peers: peers.collect(), ..figures((cameras, each), &rounds) };
    write(&mut report, &figures);
    Ok(report)
}

/// The URLs of cam1, cam2 ... by that of the first.
fn numbered(first: &str, count: u16) -> Vec<String> {
    let (before, after) = first.rsplit_once("cam1").unwrap_or((first, ""));
    (1..=count).map(|index| format!("{before}cam{index}{after}")).collect()
}

fn gone(peer: &Peer) -> BenchError {
    BenchError::Cannot(format!("--peer {}: process {:?} is not there any more", peer.name, peer.pids))
}

impl Idle {
    fn between(before: Sample, after: Sample, window: Duration) -> Idle {
        let cpu = after.cpu().saturating_sub(before.cpu());
        Idle { cores: cpu.as_secs_f64() / window.as_secs_f64(), rss_bytes: after.rss_bytes }
    }
}

fn peer_figures(name: &str, at: usize, rounds: &[Round]) -> PeerFigures {
    let of = |figure: &dyn Fn(&Measured) -> Option<f64>| {
        Spread::of(rounds.iter().filter_map(|(.., theirs)| figure(&theirs[at].1)))
    };
    let cores = |measured: &Measured| measured.server.map(|server| server.cores());
    let ratios =
        rounds.iter().filter_map(|((_, ours), _, theirs)| Some(cores(&theirs[at].1)? / cores(ours)?));
    let delayed = |measured: &Measured| measured.delay.count > 0;
    PeerFigures {
        name: name.to_owned(),
        idle_cores: Spread::of(rounds.iter().map(|(.., theirs)| theirs[at].0.cores)),
        cores: of(&cores),
        over_sluice: Spread::of(ratios),
        loss: of(&|measured| Some(measured.loss())),
        delay_p50_seconds: of(&|measured| delayed(measured).then_some(measured.delay.p50)),
        delay_p99_seconds: of(&|measured| delayed(measured).then_some(measured.delay.p99)),
    }
}

fn figures((cameras, viewers): (u16, u32), rounds: &[Round]) -> Figures {
    let of = |figure: &dyn Fn(&Measured) -> f64| {
        Spread::of(rounds.iter().map(|((_, measured), ..)| figure(measured)))
    };
    let of_server = |figure: &dyn Fn(&Server) -> f64| {
        Spread::of(rounds.iter().filter_map(|((_, measured), ..)| measured.server.as_ref().map(figure)))
    };
    let delay = |figure: &dyn Fn(&Measured) -> f64| {
        Spread::of(
            rounds
                .iter()
                .filter(|((_, m), ..)| m.delay.count > 0)
                .map(|((_, measured), ..)| figure(measured)),
        )
    };
    let costs =
        rounds.iter().filter_map(|((_, measured), floor, _)| Some((measured.server?.cpu_per_packet, floor)));
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
        floor_ns_per_packet: Spread::of(rounds.iter().map(|(_, floor, _)| floor.cpu_per_packet() * 1e9)),
        cost_over_floor: over_floor(costs),
        idle_cores: Spread::of(rounds.iter().map(|((idle, _), ..)| idle.cores)),
        idle_rss_bytes: Spread::of(rounds.iter().map(|((idle, _), ..)| idle.rss_bytes as f64)),
        rss_bytes: of_server(&|server| server.rss_bytes as f64),
        join_p99_seconds: of(&|measured| measured.join.p99),
        delay_p50_seconds: delay(&|measured| measured.delay.p50),
        delay_p99_seconds: delay(&|measured| measured.delay.p99),
        peers: Vec::new(),
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
    if !figures.peers.is_empty() {
        let ratio = |value: f64| format!("{} x", number(value, 2));
        let mut table = Table::new(&[
            "server",
            "cores without any viewer",
            "cores with viewers",
            "over Sluice's",
            "lost",
            "delay p50",
            "delay p99",
        ]);
        for peer in &figures.peers {
            table.row([
                peer.name.clone(),
                text(peer.idle_cores, cores),
                text(peer.cores, cores),
                text(peer.over_sluice, ratio),
                text(peer.loss, percent),
                text(peer.delay_p50_seconds, ms),
                text(peer.delay_p99_seconds, ms),
            ]);
        }
        report.table(table);
    }
    report.set_figures(figures);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_url_tells_the_others() {
        let urls = numbered("http://cam1.example:8890/cam1/whep", 2);
        assert_eq!(urls, ["http://cam1.example:8890/cam1/whep", "http://cam1.example:8890/cam2/whep"]);
        assert_eq!(numbered("rtsp://127.0.0.1:8554/cam1", 3)[2], "rtsp://127.0.0.1:8554/cam3");
    }
}
