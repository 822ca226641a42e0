//! `sluice bench capacity`: how many viewers of a clip does each server carry at a given load, without loss?
//!
//! Owns the clips, the turns and the ratio that is published. A fresh server for every number of viewers, on the same
//! core, in the same network, before the same camera and the same generator; [`search`] says which number comes next.
//! Servers are searched in turn, round after round, so that a noisy moment hits all of them.

mod figures;
mod peer;
mod search;

use std::fs;
use std::time::Duration;

use sluice_load::process;

use self::figures::{Clip, figures, write};
use self::peer::Peer;
use self::search::{Bounds, Found, Search, Step};
use super::clip;
use super::error::BenchError;
use super::measured::Measured;
use super::options::Common;
use super::report::Report;
use super::rig::{Loading, Rig, Serving};
use super::spread::number;
use super::tell;

/// Clips by default and with `--quick`, in Mb/s.
const CLIPS: [u32; 3] = [1, 4, 8];
const QUICK_CLIPS: [u32; 1] = [4];

/// Numbers of viewers in a search at the most.
const STEPS: usize = 8;
const QUICK_STEPS: usize = 3;

/// The first number that is tried.
const FIRST: u32 = 50;
const QUICK_FIRST: u32 = 10;

/// How long a number is measured: whole groups of pictures, of two seconds each, and so many that a keyframe which just
/// misses both ends is not taken for pictures that were left out.
const WINDOW: Duration = Duration::from_secs(6);
const QUICK_WINDOW: Duration = Duration::from_secs(4);

/// Joining takes so long at each number, between the rates below: joins are not what is measured.
const JOINING_SECONDS: f64 = 4.0;
const RATES: std::ops::RangeInclusive<f64> = 10.0..=250.0;

/// Part of its time from which a thread of the generator may have been what lost packets.
const GENERATOR_FULL: f64 = 0.9;

/// Part of the test that it may have waited for its core before something else on this machine may have been.
const GENERATOR_WAITED: f64 = 0.1;

/// Files that the generator has open beside one a viewer.
const OTHER_FILES: u64 = 256;

/// Command line of `sluice bench capacity`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Another server: its WHEP endpoint and the command that starts it, which is run without a shell on the server's
    /// core and in its network. {camera} is put in place of the camera's RTSP URL, {server} of the server's address:
    /// 'mediamtx=http://{server}:8889/cam1/whep env MTX_PATHS_CAM1_SOURCE={camera} mediamtx mediamtx.yml';
    /// may be repeated
    #[arg(long = "peer", value_name = "NAME=URL COMMAND")]
    peers: Vec<Peer>,
    /// Clips, in Mb/s; with sound (Opus) beside [default: 1,4,8; with --quick 4]
    #[arg(long, value_delimiter = ',', value_name = "MBITS", value_parser = clap::value_parser!(u32).range(1..=20))]
    clips: Vec<u32>,
    /// Cores that a server may use
    #[arg(long, value_name = "CORES", default_value_t = 0.7, value_parser = load)]
    load: f64,
    /// Viewers at the most [default: 5000, or as many as this shell may open files; with --quick 40]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    most: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

fn load(text: &str) -> Result<f64, String> {
    let load = text.parse().map_err(|_| "is not a number, as in 0.7".to_owned())?;
    if (0.05..=0.95).contains(&load) { Ok(load) } else { Err("must be 0.05 to 0.95 of a core".to_owned()) }
}

/// A server and its rounds with one clip.
struct Contender<'a> {
    name: &'a str,
    peer: Option<&'a Peer>,
    rounds: Vec<Round>,
    not_measured: Option<String>,
}

/// The camera of a clip.
#[derive(Debug, Clone, Copy)]
struct Shown<'a> {
    /// Its one URL.
    urls: &'a [String],
    /// Of its pictures alone.
    bits_per_second: f64,
}

/// One search of one server.
struct Round {
    found: Found,
    steps: Vec<Step>,
    /// The measurement of the number that was found; none if that is nobody.
    carried: Option<Measured>,
}

/// Measures.
pub async fn run(rig: &Rig, options: &Options) -> Result<Report, BenchError> {
    let quick = options.common.quick;
    let clips = match (&options.clips[..], quick) {
        ([], false) => &CLIPS[..],
        ([], true) => &QUICK_CLIPS[..],
        (given, _) => given,
    };
    let files = process::open_files_limit().map_or(u64::MAX, |files| files.saturating_sub(OTHER_FILES));
    let most = options.most.unwrap_or(if quick { 40 } else { 5_000 });
    let bounds = Bounds {
        load: options.load,
        most: u64::from(most).min(files).max(1) as u32,
        steps: if quick { QUICK_STEPS } else { STEPS },
    };
    let mut report = Report::new(&format!("Capacity: viewers at {} of a core", number(bounds.load, 2)), rig);
    if bounds.most < most {
        let few = format!("{most} viewers at the most need {} open files: `ulimit -n`", most + 256);
        report.warn("generator", &few);
    }
    let mut all = Vec::new();
    for &megabits in clips {
        all.push(clip_of(rig, options, megabits, bounds, &mut report).await?);
    }
    write(&mut report, bounds, &all);
    Ok(report)
}

/// All rounds of one clip.
async fn clip_of(
    rig: &Rig,
    options: &Options,
    megabits: u32,
    bounds: Bounds,
    report: &mut Report,
) -> Result<Clip, BenchError> {
    let path = rig.out().join(format!("clip-{megabits}.h264"));
    fs::write(&path, clip::byte_stream(megabits * 1_000_000)).map_err(BenchError::file(&path))?;
    let showing =
        [format!("--clip={}", path.display()), format!("--fps={}", clip::FPS), "--audio=opus".to_owned()];
    let camera = rig.cameras_showing(1, &showing).await?;
    let shown = Shown { urls: &camera.urls, bits_per_second: f64::from(megabits) * 1e6 };
    let contender = |name, peer| Contender { name, peer, rounds: Vec::new(), not_measured: None };
    let mut contenders = vec![contender("sluice", None)];
    contenders.extend(options.peers.iter().map(|peer| contender(&peer.name, Some(peer))));
    for round in 1..=options.common.rounds() {
        for contender in contenders.iter_mut().filter(|contender| contender.not_measured.is_none()) {
            // The second time it is known about where to look.
            let first = if options.common.quick { QUICK_FIRST } else { FIRST };
            let first = contender.rounds.last().map_or(first, |round| round.found.viewers.max(1));
            let about = format!("{} at {megabits} Mb/s, round {round}", contender.name);
            let search = Search::new(bounds, first);
            let searched = searched(rig, options, contender.peer, shown, search, &about).await;
            match searched {
                Ok(round) => {
                    if let Some(carried) = &round.carried {
                        carried.warnings.iter().for_each(|warning| report.warn(&about, warning));
                    }
                    contender.rounds.push(round);
                }
                Err(BenchError::Interrupted) => return Err(BenchError::Interrupted),
                // A peer that does not start shall not cost the others their figures.
                Err(error) if contender.peer.is_some() => contender.not_measured = Some(error.to_string()),
                Err(error) => return Err(error),
            }
        }
    }
    let ours = &contenders[0];
    let servers = contenders.iter().map(|contender| figures(contender, ours)).collect();
    Ok(Clip { megabits, servers })
}

/// One search of one server.
async fn searched(
    rig: &Rig,
    options: &Options,
    peer: Option<&Peer>,
    shown: Shown<'_>,
    mut search: Search,
    about: &str,
) -> Result<Round, BenchError> {
    let mut measured = Vec::new();
    while let Some(viewers) = search.next() {
        tell(&format!("{about}: {viewers} viewers"));
        let one = step(rig, options, peer, shown, viewers).await?;
        tell(&format!("{about}: {viewers} viewers took {} of a core", number(one.0.cores, 2)));
        search.push(one.0);
        measured.push(one);
    }
    let found = search.found();
    let carried = measured.into_iter().find(|(step, _)| step.viewers == found.viewers);
    let carried = carried.map(|(_, measured)| measured);
    Ok(Round { found, steps: search.steps().to_vec(), carried })
}

/// One number of viewers before a fresh server.
async fn step(
    rig: &Rig,
    options: &Options,
    peer: Option<&Peer>,
    shown: Shown<'_>,
    viewers: u32,
) -> Result<(Step, Measured), BenchError> {
    let mut loading = Loading::of(&[], viewers);
    loading.rate = (f64::from(viewers) / JOINING_SECONDS).clamp(*RATES.start(), *RATES.end());
    loading.duration = if options.common.quick { QUICK_WINDOW } else { WINDOW };
    let backlog = dropped_in_backlogs();
    let measured = match peer {
        None => {
            let server = rig.server(&Serving::cameras(shown.urls, viewers)).await?;
            loading.urls = vec![server.whep("cam1")];
            rig.load(&server, &loading).await?
        }
        Some(peer) => {
            let running = peer.start(rig, &shown.urls[0]).await?;
            loading.urls = vec![running.url.clone()];
            rig.start_load(&running.pids(), &loading, rig.load_place())?.end().await?
        }
    };
    let Some(server) = measured.server else {
        return Err(BenchError::Cannot("the server's CPU time could not be read: it ended".to_owned()));
    };
    if measured.packets_per_second == 0.0 {
        let troubles = measured.troubles().unwrap_or_else(|| "nobody says why".to_owned());
        return Err(BenchError::Cannot(format!("of {viewers} viewers none got a packet: {troubles}")));
    }
    let generator = &measured.generator;
    let step = Step {
        viewers,
        cores: server.cores(),
        loss: measured.loss(),
        delivered: measured.bits_per_second / measured.joined.max(1) as f64 / shown.bits_per_second,
        troubled: u64::from(viewers).saturating_sub(measured.joined)
            + measured.ended.values().sum::<u64>()
            + measured.silent,
        generator: generator.occupied > GENERATOR_FULL
            || generator.waited > GENERATOR_WAITED
            || generator.kernel_drops > 0
            || dropped_in_backlogs() > backlog,
    };
    Ok((step, measured))
}

/// Packets that this machine's cores dropped because too many waited for their network stack
/// (`net.core.netdev_max_backlog`); between namespaces that is where a receiver that is too slow loses them.
fn dropped_in_backlogs() -> u64 {
    backlogs(&fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default())
}

/// A line for each core, hexadecimal; the second column is what was dropped.
fn backlogs(softnet: &str) -> u64 {
    let column = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    softnet.lines().filter_map(column).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_all_cores_are_added_up() {
        assert_eq!(backlogs("00024427 00000010 00000000\n0001ece0 00000001 00000000\n"), 17);
        assert_eq!(backlogs(""), 0);
    }
}
