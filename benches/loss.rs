//! `sluice bench loss`: a bad last mile, with and without repair.
//!
//! Owns the list of impairments and the question what repair gives and costs. Loss is made at the receiver
//! (`sluice load whep --loss`), so the server sends into it as into any bad line.

use serde::Serialize;

use super::error::BenchError;
use super::floor::{CLIP, Floor, FloorSize, over_floor};
use super::measured::{Measured, share};
use super::options::Common;
use super::report::{Report, Table};
use super::rig::{Loading, Rig, Serving};
use super::spread::{Spread, number, percent, text};
use super::tell;

/// What is done to packets: its name, and the generator's argument.
const LINES: [(&str, &str); 6] = [
    ("none", "--loss=0"),
    ("1 % random", "--loss=1%"),
    ("5 % random", "--loss=5%"),
    ("10 % random", "--loss=10%"),
    ("bursts of 8, 1.6 % in all", "--burst-loss=0.2%x8"),
    ("bursts of 20, 5 % in all", "--burst-loss=0.25%x20"),
];
/// Those that `--quick` takes.
const QUICK_LINES: [usize; 3] = [0, 2, 5];

/// Command line of `sluice bench loss`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Viewers [default: 200; with --quick 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    viewers: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// One impairment with repair or without, and what was measured in each round.
struct Line {
    name: &'static str,
    argument: &'static str,
    nack: bool,
    rounds: Vec<(Measured, Floor)>,
}

#[derive(Debug, Serialize)]
struct Figures {
    loss: &'static str,
    nack: bool,
    video_lost_before_repair: Option<Spread>,
    video_lost: Option<Spread>,
    /// Retransmissions that came, over video packets.
    repair_overhead: Option<Spread>,
    incomplete_frames: Option<Spread>,
    keyframe_requests_per_viewer_minute: Option<Spread>,
    packets_per_second: Option<Spread>,
    server_ns_per_packet: Option<Spread>,
    server_us_per_viewer_second: Option<Spread>,
    cost_over_floor: Option<Spread>,
}

/// Measures.
pub async fn run(rig: &Rig, options: &Options) -> Result<Report, BenchError> {
    let quick = options.common.quick;
    let viewers = options.viewers.unwrap_or(if quick { 20 } else { 200 });
    let window = if quick { CLIP / 3 } else { CLIP };
    let chosen = LINES.iter().enumerate().filter(|(index, _)| !quick || QUICK_LINES.contains(index));
    let mut lines: Vec<Line> = chosen
        .flat_map(|(_, &(name, argument))| {
            [true, false].map(|nack| Line { name, argument, nack, rounds: Vec::new() })
        })
        .collect();
    let mut report = Report::new(&format!("Loss on the last mile of {viewers} viewers"), rig);
    for round in 1..=options.common.rounds() {
        let server = rig.server(&Serving::demo(viewers)).await?;
        let mut all = Vec::with_capacity(lines.len());
        for line in &lines {
            tell(&format!("round {round}: loss {}, NACK {}", line.name, on(line.nack)));
            let more = vec![
                line.argument.to_owned(),
                format!("--nack={}", on(line.nack)),
                "--verify=10".to_owned(),
                format!("--seed={round}"),
            ];
            let loading = Loading { duration: window, more, ..Loading::of(&[server.whep("demo")], viewers) };
            let measured = rig.load(&server, &loading).await?;
            report.doubt(line.name, &measured);
            all.push(measured);
        }
        let cipher = server.cipher()?;
        drop(server);
        let size = FloorSize { streams: 1, viewers, send_times: false, cipher, duration: window };
        let floor = rig.floor(size).await?;
        floor.doubts().iter().for_each(|doubt| report.warn("floor", doubt));
        lines.iter_mut().zip(all).for_each(|(line, measured)| line.rounds.push((measured, floor)));
    }
    write(&mut report, &lines.iter().map(Line::figures).collect::<Vec<_>>());
    Ok(report)
}

fn on(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

impl Line {
    fn figures(&self) -> Figures {
        let of = |figure: &dyn Fn(&Measured) -> f64| Spread::of(self.rounds.iter().map(|(m, _)| figure(m)));
        let of_server = |figure: &dyn Fn(&Measured, super::measured::Server) -> f64| {
            Spread::of(self.rounds.iter().filter_map(|(m, _)| Some(figure(m, m.server?))))
        };
        let costs = self.rounds.iter().filter_map(|(m, floor)| Some((m.cpu_per_packet_reached()?, floor)));
        Figures {
            loss: self.name,
            nack: self.nack,
            video_lost_before_repair: of(&|m| m.totals.video.share_lost_before_repair()),
            video_lost: of(&|m| m.totals.video.share_lost()),
            repair_overhead: of(&|m| share(m.totals.repairs, m.totals.video.expected)),
            incomplete_frames: of(&|m| {
                share(m.verified.incomplete, m.verified.frames + m.verified.incomplete)
            }),
            keyframe_requests_per_viewer_minute: of(&|m| {
                let minutes = (m.joining_seconds + m.measured_seconds) / 60.0;
                m.totals.keyframe_requests as f64 / m.joined as f64 / minutes
            }),
            packets_per_second: of(&|m| m.packets_per_second),
            server_ns_per_packet: Spread::of(
                self.rounds.iter().filter_map(|(m, _)| Some(m.cpu_per_packet_reached()? * 1e9)),
            ),
            server_us_per_viewer_second: of_server(&|m, server| server.cores() / m.joined as f64 * 1e6),
            cost_over_floor: over_floor(costs),
        }
    }
}

fn write(report: &mut Report, figures: &[Figures]) {
    report.text(
        "Loss is made on arrival, of retransmissions too; viewers ask for video again (NACK) and not for audio, \
         as browsers do. *Overhead* is retransmissions over video packets. *Frames incomplete* is by the one viewer in \
         ten that decrypts. Packets that were lost on purpose count as sent in what a packet costs, and the floor is \
         that of a good line.",
    );
    let whole = |value| number(value, 0);
    let mut table = Table::new(&[
        "loss",
        "NACK",
        "video lost before repair",
        "video lost",
        "overhead",
        "frames incomplete",
        "keyframes asked for, per viewer and minute",
        "ns per packet",
        "µs per viewer and second",
        "cost / floor",
    ]);
    for figures in figures {
        table.row([
            figures.loss.to_owned(),
            on(figures.nack).to_owned(),
            text(figures.video_lost_before_repair, percent),
            text(figures.video_lost, percent),
            text(figures.repair_overhead, percent),
            text(figures.incomplete_frames, percent),
            text(figures.keyframe_requests_per_viewer_minute, |count| number(count, 1)),
            text(figures.server_ns_per_packet, whole),
            text(figures.server_us_per_viewer_second, whole),
            text(figures.cost_over_floor, |ratio| number(ratio, 2)),
        ]);
    }
    report.table(table);
    report.set_figures(&figures);
}
