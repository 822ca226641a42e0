//! `sluice bench join`: a rush of joins while others watch.
//!
//! Owns the question what those who watch notice, and what a join costs. Each round measures the watchers
//! twice on one server: alone, and with the rush in the middle; the difference is what they noticed.

use std::time::Duration;

use serde::Serialize;

use super::clock::pause;
use super::error::BenchError;
use super::measured::{Measured, Times};
use super::options::Common;
use super::report::{Report, Table};
use super::rig::{Loading, Rig, Server, Serving};
use super::spread::{Spread, number, percent, text};
use super::tell;

/// Time over which the rush comes.
const RUSH: Duration = Duration::from_secs(2);

/// Watchers and joins, by default and with `--quick`.
const SIZE: (u32, u32) = (500, 1_000);
const QUICK_SIZE: (u32, u32) = (50, 100);

/// Time to wait for the watchers, beyond that of their joins.
const GRACE: Duration = Duration::from_secs(20);

/// Command line of `sluice bench join`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Viewers that watch [default: 500; with --quick 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    watchers: Option<u32>,
    /// Joins within 2 seconds [default: 1000; with --quick 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    joins: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// One round.
struct Round {
    alone: Measured,
    rushed: Measured,
    rush: Measured,
}

/// What the watchers had in one of the two cases.
#[derive(Debug, Serialize)]
struct Watched {
    loss: Option<Spread>,
    gap_p50_seconds: Option<Spread>,
    gap_p99_seconds: Option<Spread>,
    gap_max_seconds: Option<Spread>,
    jitter_p50_seconds: Option<Spread>,
    jitter_p99_seconds: Option<Spread>,
    delay_p50_seconds: Option<Spread>,
    delay_p99_seconds: Option<Spread>,
    delay_max_seconds: Option<Spread>,
}

#[derive(Debug, Serialize)]
struct Figures {
    watchers: u32,
    joins: u32,
    alone: Watched,
    rushed: Watched,
    /// By how much the rush moved the delay's 99th percentile, round by round.
    delay_p99_moved_seconds: Option<Spread>,
    joined: Option<Spread>,
    join_p50_seconds: Option<Spread>,
    join_p99_seconds: Option<Spread>,
    cpu_us_per_join: Option<Spread>,
}

/// Measures.
pub async fn run(rig: &Rig, options: &Options) -> Result<Report, BenchError> {
    let quick = options.common.quick;
    let (watchers, joins) = if quick { QUICK_SIZE } else { SIZE };
    let (watchers, joins) = (options.watchers.unwrap_or(watchers), options.joins.unwrap_or(joins));
    let mut report = Report::new(&format!("{joins} joins in 2 s while {watchers} watch"), rig);
    if rig.load_place().cores.len() < 2 {
        report.warn(
            "joins",
            "those who watch and those who join are simulated on one core: what the watchers notice may be the \
             generator's own work at the joins. With two or more --load-cores they are apart",
        );
    }
    let mut rounds = Vec::new();
    for round in 1..=options.common.rounds() {
        let source = rig.cameras(1).await?;
        let server = rig.server(&Serving::cameras(&source.urls, watchers + joins)).await?;
        let window = if quick { RUSH * 3 } else { RUSH * 5 };
        let watch = Loading {
            duration: window,
            more: vec![format!("--verify={}", if quick { 5 } else { 25 })],
            ..Loading::of(&[server.whep("cam1")], watchers)
        };
        let rush = Loading {
            rate: f64::from(joins) / RUSH.as_secs_f64(),
            duration: RUSH,
            ..Loading::of(&[server.whep("cam1")], joins)
        };
        tell(&format!("round {round}: {watchers} watch"));
        let [near, far] = rig.load_places();
        let alone = rig.start_load(&[server.pid()], &watch, &near)?.end().await?;
        tell(&format!("round {round}: {watchers} watch, {joins} join"));
        let watching = rig.start_load(&[server.pid()], &watch, &near)?;
        wait_for_watchers(&server, watchers, &watch).await?;
        let rush = rig.start_load(&[server.pid()], &rush, &far)?.end().await?;
        let rushed = watching.end().await?;
        for (about, measured) in [("watchers alone", &alone), ("watchers", &rushed), ("joins", &rush)] {
            report.doubt(about, measured);
        }
        rounds.push(Round { alone, rushed, rush });
    }
    write(&mut report, &figures((watchers, joins), &rounds));
    Ok(report)
}

/// Until all watch, or some have failed to.
async fn wait_for_watchers(server: &Server, watchers: u32, watch: &Loading) -> Result<(), BenchError> {
    let step = Duration::from_millis(100);
    let patience = Duration::from_secs_f64(f64::from(watchers) / watch.rate) + GRACE;
    for _ in 0..patience.as_millis() / step.as_millis() {
        if server.metric("sluice_viewers")? >= f64::from(watchers) {
            // The generator's measurement begins when all are in; so that the rush is within it.
            pause(step * 5).await;
            return Ok(());
        }
        pause(step).await;
    }
    Err(BenchError::Cannot(format!("{watchers} viewers did not join within {patience:?}")))
}

/// CPU seconds of one join: all that the server used while the rush joined, less what the watchers and the
/// joiners' own packets cost at the price they had without a rush. None if that price is not known.
fn cpu_per_join(alone: &Measured, rush: &Measured) -> Option<f64> {
    let (before, during) = (alone.server?, rush.server?);
    let joined = rush.joined as f64;
    let all = during.cpu_per_join_gross * joined;
    // The generator took its packets off at its own price; that tells how many they were.
    let packets = (during.cpu_per_join_gross - during.cpu_per_join) * joined / during.cpu_per_packet;
    let watched = before.cores() * rush.joining_seconds;
    let per_join = (all - watched - packets * before.cpu_per_packet) / joined;
    (during.cpu_per_join > 0.0 && per_join.is_finite()).then_some(per_join.max(0.0))
}

fn figures((watchers, joins): (u32, u32), rounds: &[Round]) -> Figures {
    Figures {
        watchers,
        joins,
        alone: watched(rounds.iter().map(|round| &round.alone)),
        rushed: watched(rounds.iter().map(|round| &round.rushed)),
        delay_p99_moved_seconds: Spread::of(
            rounds
                .iter()
                .filter(|round| round.alone.delay.count > 0 && round.rushed.delay.count > 0)
                .map(|round| round.rushed.delay.p99 - round.alone.delay.p99),
        ),
        joined: Spread::of(rounds.iter().map(|round| round.rush.joined as f64)),
        join_p50_seconds: Spread::of(rounds.iter().map(|round| round.rush.join.p50)),
        join_p99_seconds: Spread::of(rounds.iter().map(|round| round.rush.join.p99)),
        cpu_us_per_join: Spread::of(
            rounds.iter().filter_map(|round| Some(cpu_per_join(&round.alone, &round.rush)? * 1e6)),
        ),
    }
}

fn watched<'a>(rounds: impl Iterator<Item = &'a Measured> + Clone) -> Watched {
    let times = |which: fn(&Measured) -> Times, figure: fn(&Times) -> f64| {
        Spread::of(rounds.clone().map(which).filter(|times| times.count > 0).map(|times| figure(&times)))
    };
    Watched {
        loss: Spread::of(rounds.clone().map(Measured::loss)),
        gap_p50_seconds: times(|m| m.gap, |times| times.p50),
        gap_p99_seconds: times(|m| m.gap, |times| times.p99),
        gap_max_seconds: times(|m| m.gap, |times| times.max),
        jitter_p50_seconds: times(|m| m.jitter, |times| times.p50),
        jitter_p99_seconds: times(|m| m.jitter, |times| times.p99),
        delay_p50_seconds: times(|m| m.delay, |times| times.p50),
        delay_p99_seconds: times(|m| m.delay, |times| times.p99),
        delay_max_seconds: times(|m| m.delay, |times| times.max),
    }
}

fn write(report: &mut Report, figures: &Figures) {
    report.heading("Those who watch");
    report.text(
        "They are measured twice on the same server: alone, and with the rush in the middle of their \
         time. *Longest gap* is a viewer's longest time without a packet in one of its streams, their own joins \
         included. *Delay* is from a camera's sending of a picture until a watcher that decrypts had all of it.",
    );
    let ms = |seconds: f64| number(seconds * 1e3, 1);
    let mut table = Table::new(&[
        "watchers",
        "lost",
        "longest gap p50, ms",
        "p99",
        "max",
        "jitter p50, ms",
        "p99",
        "delay p50, ms",
        "p99",
        "max",
    ]);
    for (name, watched) in [("alone", &figures.alone), ("with the rush", &figures.rushed)] {
        table.row([
            name.to_owned(),
            text(watched.loss, percent),
            text(watched.gap_p50_seconds, ms),
            text(watched.gap_p99_seconds, ms),
            text(watched.gap_max_seconds, ms),
            text(watched.jitter_p50_seconds, ms),
            text(watched.jitter_p99_seconds, ms),
            text(watched.delay_p50_seconds, ms),
            text(watched.delay_p99_seconds, ms),
            text(watched.delay_max_seconds, ms),
        ]);
    }
    report.table(table);
    let mut table = Table::new(&[
        "joins",
        "joined",
        "time to connect p50, ms",
        "p99",
        "CPU per join, µs",
        "delay p99 moved by, ms",
    ]);
    table.row([
        number(f64::from(figures.joins), 0),
        text(figures.joined, |count| number(count, 0)),
        text(figures.join_p50_seconds, ms),
        text(figures.join_p99_seconds, ms),
        text(figures.cpu_us_per_join, |us| number(us, 0)),
        text(figures.delay_p99_moved_seconds, ms),
    ]);
    report.table(table);
    report.text(
        "CPU per join is what the server used while the rush joined, less the watchers' share and the joiners' \
         packets at the price they had before.",
    );
    report.set_figures(&figures);
}

#[cfg(test)]
mod tests {
    use super::super::measured::tests::TEXT;
    use super::*;

    #[test]
    fn a_join_costs_what_neither_watchers_nor_packets_do() {
        let mut alone: Measured = serde_json::from_str(TEXT).expect("a report");
        let mut rush = alone.clone();
        // 100 joins within 2 s, of which each used 1 ms, while watching takes 0.3 cores and 200,000 packets
        // at 2 µs went to those who joined.
        (rush.joined, rush.joining_seconds) = (100, 2.0);
        let server = alone.server.as_mut().expect("it was looked at");
        (server.cores_user, server.cores_system, server.cpu_per_packet) = (0.1, 0.2, 2e-6);
        let all = 100.0 * 1e-3 + 0.3 * 2.0 + 200_000.0 * 2e-6;
        let server = rush.server.as_mut().expect("it was looked at");
        // The rush's generator sees the watchers' packets as nobody's: its own look three times as dear.
        (server.cpu_per_packet, server.cpu_per_join_gross) = (5e-6, all / 100.0);
        server.cpu_per_join = (all - 200_000.0 * 5e-6) / 100.0;
        let cost = cpu_per_join(&alone, &rush).expect("a cost");
        assert!((cost - 1e-3).abs() < 1e-9, "{cost}");
        // Clipped by the generator: how many packets there were cannot be told.
        rush.server.as_mut().expect("it was looked at").cpu_per_join = 0.0;
        assert_eq!(cpu_per_join(&alone, &rush), None);
    }
}
