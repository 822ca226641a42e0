//! `sluice bench compare`: this server and any other WHEP server, by the same viewers in the same run.
//!
//! Owns what a peer is and the ratios. Peers run already, and pull the same cameras; they are never started,
//! configured or ended. Servers are measured in turn (A B A B), so that a noisy moment hits all of them.

use std::fs;
use std::str::FromStr;

use serde::Serialize;
use sluice_load::process::Sample;
use url::Url;

use super::error::BenchError;
use super::floor::{CLIP, Floor, FloorSize, over_floor};
use super::measured::Measured;
use super::options::{Common, Network};
use super::report::{Report, Table};
use super::rig::{Loading, Rig, Serving};
use super::site::Site;
use super::spread::{Spread, number, percent, text};
use super::tell;

/// How far the floor's packets and bytes may be from a server's to be a floor of the same bytes.
const SAME: f64 = 0.1;

/// Command line of `sluice bench compare`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// A server that runs, its WHEP endpoint and its process: mediamtx=http://127.0.0.1:8890/cam1/whep,1234;
    /// may be repeated, and have several processes behind further commas
    #[arg(long = "peer", value_name = "NAME=URL,PID", required = true)]
    peers: Vec<Peer>,
    /// What Sluice pulls: the camera that the peers pull [default: the demo inside Sluice]
    #[arg(long, value_name = "RTSP_URL")]
    camera: Option<String>,
    /// Viewers [default: 200; with --quick 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    viewers: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub(super) name: String,
    pub(super) url: Url,
    pub(super) pids: Vec<u32>,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        let wrong = || {
            format!("{text:?} is not NAME=WHEP_URL,PID, as in mediamtx=http://127.0.0.1:8890/cam1/whep,1234")
        };
        let (name, mut rest) = text.split_once('=').ok_or_else(wrong)?;
        let mut pids = Vec::new();
        // URLs may have commas: processes are the numbers at the end.
        while let Some((front, pid)) = rest.rsplit_once(',')
            && let Ok(pid) = pid.parse()
        {
            pids.push(pid);
            rest = front;
        }
        let url = Url::parse(rest).map_err(|error| format!("{}: {error}", wrong()))?;
        if name.is_empty() || pids.is_empty() {
            return Err(wrong());
        }
        pids.reverse();
        Ok(Peer { name: name.to_owned(), url, pids })
    }
}

/// A server under comparison and its rounds.
struct Contender {
    name: String,
    url: String,
    pids: Vec<u32>,
    rounds: Vec<(Measured, u64)>,
}

#[derive(Debug, Serialize)]
struct Figures {
    name: String,
    joined: Option<Spread>,
    packets_per_second: Option<Spread>,
    bits_per_second: Option<Spread>,
    loss: Option<Spread>,
    join_p99_seconds: Option<Spread>,
    cores_user: Option<Spread>,
    cores_system: Option<Spread>,
    ns_per_packet: Option<Spread>,
    us_per_viewer_second: Option<Spread>,
    rss_bytes: Option<Spread>,
    /// Growth while the viewers of the first round joined; later ones find the memory taken.
    rss_bytes_per_viewer: Option<f64>,
    cost_over_floor: Option<Spread>,
    /// CPU per viewer and second over Sluice's of the same round.
    cpu_over_sluice: Option<Spread>,
    /// The same over Sluice's.
    rss_per_viewer_over_sluice: Option<f64>,
}

/// Where peers can be reached: only this machine's own network.
pub fn site(common: &Common) -> Result<Site, BenchError> {
    match common.network {
        Some(Network::Namespaces) => Err(BenchError::Cannot(
            "peers that run already are in this machine's own network and cannot be moved: leave --network out".to_owned(),
        )),
        _ => Ok(Site::loopback("peers run in this machine's own network")),
    }
}

/// Measures.
pub async fn run(rig: &Rig, options: &Options) -> Result<Report, BenchError> {
    let quick = options.common.quick;
    let viewers = options.viewers.unwrap_or(if quick { 20 } else { 200 });
    let window = if quick { CLIP / 2 } else { CLIP };
    let names: Vec<&str> = options.peers.iter().map(|peer| peer.name.as_str()).collect();
    let mut report = Report::new(&format!("Sluice and {}: {viewers} viewers", names.join(", ")), rig);
    let (serving, stream) = match &options.camera {
        Some(url) => (Serving::cameras(std::slice::from_ref(url), viewers), "cam1"),
        None => (Serving::demo(viewers), "demo"),
    };
    let server = rig.server(&serving).await?;
    let contender = |name: &str, url: String, pids: Vec<u32>| Contender {
        name: name.to_owned(),
        url,
        pids,
        rounds: Vec::new(),
    };
    let mut all = vec![contender("sluice", server.whep(stream), vec![server.pid()])];
    for peer in &options.peers {
        check(rig, peer, &mut report)?;
        all.push(contender(&peer.name, peer.url.to_string(), peer.pids.clone()));
    }
    let mut floors = Vec::new();
    for round in 1..=options.common.rounds() {
        for contender in &mut all {
            tell(&format!("round {round}: {}", contender.name));
            let loading =
                Loading { duration: window, ..Loading::of(std::slice::from_ref(&contender.url), viewers) };
            let measured = rig.start_load(&contender.pids, &loading, rig.load_place())?.end().await?;
            let rss = Sample::of_all(&contender.pids).map_or(0, |sample| sample.rss_bytes);
            report.doubt(&contender.name, &measured);
            contender.rounds.push((measured, rss));
        }
        tell(&format!("round {round}: floor"));
        let send_times = options.camera.is_some();
        let size = FloorSize { streams: 1, viewers, send_times, cipher: server.cipher()?, duration: window };
        floors.push(rig.floor(size).await?);
    }
    write(&mut report, &all, &floors, options.camera.is_some());
    Ok(report)
}

/// Whether a peer can be measured, and is where it should be.
pub(super) fn check(rig: &Rig, peer: &Peer, report: &mut Report) -> Result<(), BenchError> {
    if Sample::of_all(&peer.pids).is_none() {
        return Err(BenchError::Cannot(format!(
            "--peer {}: no process {:?} can be read in /proc; it must run already, on this machine",
            peer.name, peer.pids
        )));
    }
    let ours =
        rig.server_place().cores.iter().map(|core| core.index().to_string()).collect::<Vec<_>>().join(",");
    for pid in &peer.pids {
        let theirs = allowed_cores(*pid).unwrap_or_default();
        if theirs != ours {
            report.warn(
                &peer.name,
                &format!(
                    "process {pid} may run on cores {theirs}, and Sluice on core {ours} alone: costs compare, limits do \
                     not; `taskset -acp {ours} {pid}` puts it there"
                ),
            );
        }
    }
    Ok(())
}

/// As `/proc` writes them: `0`, `0-3`.
fn allowed_cores(pid: u32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(list.trim().to_owned())
}

/// CPU per viewer and second, in seconds.
fn cost(measured: &Measured) -> Option<f64> {
    Some(measured.server?.cores() / measured.joined as f64).filter(|cost| cost.is_finite())
}

/// Bytes of memory per viewer, as the first viewers made it grow.
fn grown(contender: &Contender) -> Option<f64> {
    let (first, _) = contender.rounds.first()?;
    first.server.map(|server| server.rss_per_viewer).filter(|bytes| *bytes > 0.0)
}

/// Whether the floor sends what this server sent: as many packets and bytes to each viewer.
fn is_same(measured: &Measured, floor: &Floor) -> bool {
    let near = |one: f64, other: f64| (one / other - 1.0).abs() < SAME;
    let (viewers, destinations) = (measured.joined as f64, f64::from(floor.destinations));
    near(measured.packets_per_second / viewers, floor.packets as f64 / floor.seconds / destinations)
        && near(measured.bits_per_second / viewers, floor.bytes as f64 * 8.0 / floor.seconds / destinations)
}

fn figures(contender: &Contender, ours: &Contender, floors: &[Floor]) -> Figures {
    let rounds = &contender.rounds;
    let of =
        |figure: &dyn Fn(&Measured) -> f64| Spread::of(rounds.iter().map(|(measured, _)| figure(measured)));
    let of_server = |figure: &dyn Fn(&super::measured::Server) -> f64| {
        Spread::of(rounds.iter().filter_map(|(measured, _)| measured.server.as_ref().map(figure)))
    };
    let over = |figure: &dyn Fn(&Measured) -> Option<f64>| {
        let pairs = rounds.iter().zip(&ours.rounds);
        Spread::of(pairs.filter_map(|((theirs, _), (ours, _))| Some(figure(theirs)? / figure(ours)?)))
    };
    let costs = rounds.iter().zip(floors).filter(|((measured, _), floor)| is_same(measured, floor));
    Figures {
        name: contender.name.clone(),
        joined: of(&|measured| measured.joined as f64),
        packets_per_second: of(&|measured| measured.packets_per_second),
        bits_per_second: of(&|measured| measured.bits_per_second),
        loss: of(&Measured::loss),
        join_p99_seconds: of(&|measured| measured.join.p99),
        cores_user: of_server(&|server| server.cores_user),
        cores_system: of_server(&|server| server.cores_system),
        ns_per_packet: of_server(&|server| server.cpu_per_packet * 1e9),
        us_per_viewer_second: Spread::of(
            rounds.iter().filter_map(|(measured, _)| Some(cost(measured)? * 1e6)),
        ),
        rss_bytes: Spread::of(rounds.iter().map(|(_, rss)| *rss as f64)),
        rss_bytes_per_viewer: grown(contender),
        cost_over_floor: over_floor(
            costs.filter_map(|((measured, _), floor)| Some((measured.server?.cpu_per_packet, floor))),
        ),
        cpu_over_sluice: over(&cost),
        rss_per_viewer_over_sluice: grown(contender).zip(grown(ours)).map(|(theirs, ours)| theirs / ours),
    }
}

fn write(report: &mut Report, all: &[Contender], floors: &[Floor], camera: bool) {
    let figures: Vec<Figures> = all.iter().map(|contender| figures(contender, &all[0], floors)).collect();
    report.text(format!(
        "Servers are measured in turn, round after round, by the same viewers; ratios are of figures of one round. \
         {} Servers cut pictures into packets of different size, so CPU is compared per viewer. Memory per viewer is \
         growth while those of the first round join: later ones find the memory taken.",
        if camera {
            "All of them pull the same camera."
        } else {
            "**Sluice plays its own clip: give --camera with what the peers pull, or the streams differ.**"
        }
    ));
    let whole = |value| number(value, 0);
    let two = |value| number(value, 2);
    let ratio = |value: f64| format!("{} x", number(value, 2));
    let kibibytes = |bytes: f64| format!("{} KiB", number(bytes / 1_024.0, 1));
    let mebibytes = |bytes: f64| format!("{} MiB", number(bytes / f64::from(1 << 20), 1));
    let mut table = Table::new(&[
        "server",
        "connected",
        "packets/s",
        "Mbit/s",
        "lost",
        "cores user + system",
        "ns per packet",
        "cost / floor",
        "µs per viewer and second",
        "over Sluice's",
    ]);
    let mut others = Table::new(&["server", "join p99", "memory", "memory per viewer", "over Sluice's"]);
    for server in &figures {
        table.row([
            server.name.clone(),
            text(server.joined, whole),
            text(server.packets_per_second, whole),
            text(server.bits_per_second, |bits| number(bits / 1e6, 1)),
            text(server.loss, percent),
            format!("{} + {}", text(server.cores_user, two), text(server.cores_system, two)),
            text(server.ns_per_packet, whole),
            text(server.cost_over_floor, two),
            text(server.us_per_viewer_second, whole),
            text(server.cpu_over_sluice, ratio),
        ]);
        others.row([
            server.name.clone(),
            text(server.join_p99_seconds, |seconds| format!("{} ms", number(seconds * 1e3, 1))),
            text(server.rss_bytes, mebibytes),
            server.rss_bytes_per_viewer.map_or("-".to_owned(), kibibytes),
            server.rss_per_viewer_over_sluice.map_or("-".to_owned(), ratio),
        ]);
    }
    report.table(table);
    report.table(others);
    report.text(
        "*Cost / floor* is only told where the server sent as many packets and bytes to a viewer as the floor, within a \
         tenth: the floor is the demo clip in our packets.",
    );
    report.set_figures(&figures);
}

#[cfg(test)]
mod tests {
    use super::super::measured::tests::TEXT;
    use super::*;

    #[test]
    fn a_peer_is_a_name_an_endpoint_and_its_processes() {
        let peer: Peer = "mtx=http://h:8890/cam1/whep,12,34".parse().expect("good");
        assert_eq!(
            (peer.name.as_str(), peer.url.as_str(), &peer.pids[..]),
            ("mtx", "http://h:8890/cam1/whep", &[12, 34][..])
        );
        let odd: Peer = "j=http://h/a,b?x=y,7".parse().expect("a comma and an equals sign in the URL");
        assert_eq!((odd.url.as_str(), &odd.pids[..]), ("http://h/a,b?x=y", &[7][..]));
        for wrong in ["http://h/whep,1", "x=http://h/whep", "x=h,1", "=http://h/whep,1"] {
            assert!(wrong.parse::<Peer>().expect_err(wrong).contains("NAME=WHEP_URL,PID"), "{wrong}");
        }
    }

    #[test]
    fn ratios_are_of_one_round() {
        let measured: Measured = serde_json::from_str(TEXT).expect("a report");
        let round = |factor: f64| {
            let mut measured = measured.clone();
            measured.server.as_mut().expect("it was looked at").cores_user = 0.1 * factor;
            measured.server.as_mut().expect("it was looked at").cores_system = 0.2 * factor;
            (measured, 1)
        };
        let contender = |rounds: Vec<(Measured, u64)>| Contender {
            name: "x".to_owned(),
            url: String::new(),
            pids: Vec::new(),
            rounds,
        };
        // The machine was half as fast in the second round, for both.
        let (ours, theirs) =
            (contender(vec![round(1.0), round(2.0)]), contender(vec![round(10.0), round(20.0)]));
        let ratio = figures(&theirs, &ours, &[]).cpu_over_sluice.expect("two rounds");
        assert!((ratio.min - 10.0).abs() < 1e-9 && (ratio.max - 10.0).abs() < 1e-9, "{ratio:?}");
        assert_eq!(figures(&ours, &ours, &[]).cost_over_floor, None, "no floor, no ratio");
    }

    #[test]
    fn our_own_cores_can_be_read() {
        assert!(allowed_cores(std::process::id()).is_some_and(|list| !list.is_empty()));
    }
}
