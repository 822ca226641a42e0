//! `sluice bench join`: a rush of joins while others watch.
//!
//! Owns the question what those who watch notice, and what a join costs. Each round measures the watchers
//! twice on one server: alone, and with the rush in the middle; the difference is what they noticed. Delay is told twice
//! too: as the generator sees it, whose own work at the joins is in it, and inside the server, where only its own is.

use std::time::Duration;

use serde::Serialize;

use super::clock::pause;
use super::error::BenchError;
use super::histogram::Histogram;
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

/// What the server counts the delay of each viewer's packets by, from ingest until the kernel took them.
const DELAY: &str = "sluice_forward_delay_seconds";

/// Time between two looks whether all have joined.
const LOOK: Duration = Duration::from_millis(50);

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
    /// The server's own delay while watchers were alone, as long as a rush, and from the first join to the last.
    inside_alone: Histogram,
    inside_rushed: Histogram,
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
    /// Inside the server: from ingest until the kernel took it.
    inside_p50_seconds: Option<Spread>,
    inside_p99_seconds: Option<Spread>,
}

#[derive(Debug, Serialize)]
struct Figures {
    watchers: u32,
    joins: u32,
    alone: Watched,
    rushed: Watched,
    /// By how much the rush moved the delay's 99th percentile, round by round.
    delay_p99_moved_seconds: Option<Spread>,
    /// The same inside the server.
    inside_p99_moved_seconds: Option<Spread>,
    joined: Option<Spread>,
    join_p50_seconds: Option<Spread>,
    join_p99_seconds: Option<Spread>,
    cpu_us_per_join: Option<Spread>,
    /// What could not be measured in which round, and why.
    not_measured: Vec<String>,
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
        let watching = rig.start_load(&[server.pid()], &watch, &near)?;
        wait_for_watchers(&server, watchers, &watch).await?;
        let before = delays(&server)?;
        pause(RUSH).await;
        let inside_alone = delays(&server)?.since(&before);
        let alone = watching.end().await?;
        tell(&format!("round {round}: {watchers} watch, {joins} join"));
        let watching = rig.start_load(&[server.pid()], &watch, &near)?;
        wait_for_watchers(&server, watchers, &watch).await?;
        let before = delays(&server)?;
        let mut rushing = rig.start_load(&[server.pid()], &rush, &far)?;
        let all = f64::from(watchers + joins);
        while rushing.is_running() && server.metric("sluice_viewers")? < all {
            pause(LOOK).await;
        }
        let inside_rushed = delays(&server)?.since(&before);
        let rush = rushing.end().await?;
        let rushed = watching.end().await?;
        for (about, measured) in [("watchers alone", &alone), ("watchers", &rushed), ("joins", &rush)] {
            report.doubt(about, measured);
        }
        rounds.push(Round { alone, rushed, rush, inside_alone, inside_rushed });
    }
    write(&mut report, &figures((watchers, joins), &rounds));
    Ok(report)
}

/// What the server has counted so far.
fn delays(server: &Server) -> Result<Histogram, BenchError> {
    Ok(Histogram::read(&server.metrics()?, DELAY))
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
/// joiners' own packets cost at the price they had without a rush. Or why that cannot be told.
fn cpu_per_join(alone: &Measured, rush: &Measured) -> Result<f64, String> {
    let (Some(before), Some(during)) = (alone.server, rush.server) else {
        return Err("the server's CPU time could not be read".to_owned());
    };
    if rush.joined == 0 {
        return Err("nobody joined".to_owned());
    }
    // The generator took the packets off at the price of its own window, which was that of everybody's packets; if
    // that was more than there was, it cut the cost off at zero, and how many packets they were is not known.
    if during.cpu_per_join <= 0.0 {
        return Err("the packets of those who joined cannot be told apart from their joins".to_owned());
    }
    let joined = rush.joined as f64;
    let all = during.cpu_per_join_gross * joined;
    let packets = (during.cpu_per_join_gross - during.cpu_per_join) * joined / during.cpu_per_packet;
    let watched = before.cores() * rush.joining_seconds;
    let rest = all - watched - packets * before.cpu_per_packet;
    if rest.is_finite() && rest > 0.0 {
        return Ok(rest / joined);
    }
    Err(format!(
        "while they joined the server used {} ms of CPU in {} ms, and watchers and packets alone come to {} ms at the price \
         that they had before: its core was full, or became faster",
        number(all * 1e3, 0),
        number(rush.joining_seconds * 1e3, 0),
        number((all - rest) * 1e3, 0)
    ))
}

fn figures((watchers, joins): (u32, u32), rounds: &[Round]) -> Figures {
    let mut reasons = Reasons::default();
    let mut cpu_us_per_join = Vec::new();
    let mut inside_p99_moved = Vec::new();
    for (index, round) in rounds.iter().enumerate() {
        let cost = cpu_per_join(&round.alone, &round.rush);
        cpu_us_per_join.extend(reasons.unless(index, "CPU per join", cost).map(|cost| cost * 1e6));
        let alone = round.inside_alone.quantile(0.99);
        let alone = reasons.unless(index, "delay p99 inside the server, watchers alone", alone);
        let rushed = round.inside_rushed.quantile(0.99);
        let rushed = reasons.unless(index, "delay p99 inside the server, with the rush", rushed);
        inside_p99_moved.extend(alone.zip(rushed).map(|(alone, rushed)| rushed - alone));
        let whole = "no watcher that decrypts had all of a picture that tells when it was sent";
        for (about, measured) in [("alone", &round.alone), ("with the rush", &round.rushed)] {
            let measured = if measured.delay.count > 0 { Ok(()) } else { Err(whole.to_owned()) };
            reasons.unless(index, &format!("delay, watchers {about}"), measured);
        }
        let joined = if round.rush.join.count > 0 { Ok(()) } else { Err("nobody connected".to_owned()) };
        reasons.unless(index, "time to connect", joined);
    }
    let joins_of = |figure: fn(&Times) -> f64| {
        let joined = rounds.iter().map(|round| round.rush.join).filter(|join| join.count > 0);
        Spread::of(joined.map(|join| figure(&join)))
    };
    Figures {
        watchers,
        joins,
        alone: watched(rounds.iter().map(|round| (&round.alone, &round.inside_alone))),
        rushed: watched(rounds.iter().map(|round| (&round.rushed, &round.inside_rushed))),
        delay_p99_moved_seconds: Spread::of(
            rounds
                .iter()
                .filter(|round| round.alone.delay.count > 0 && round.rushed.delay.count > 0)
                .map(|round| round.rushed.delay.p99 - round.alone.delay.p99),
        ),
        inside_p99_moved_seconds: Spread::of(inside_p99_moved),
        joined: Spread::of(rounds.iter().map(|round| round.rush.joined as f64)),
        join_p50_seconds: joins_of(|join| join.p50),
        join_p99_seconds: joins_of(|join| join.p99),
        cpu_us_per_join: Spread::of(cpu_us_per_join),
        not_measured: reasons.0,
    }
}

/// Why figures are missing.
#[derive(Debug, Default)]
struct Reasons(Vec<String>);

impl Reasons {
    /// The figure, or nothing with its reason kept.
    fn unless<T>(&mut self, round: usize, figure: &str, measured: Result<T, String>) -> Option<T> {
        measured.map_err(|why| self.0.push(format!("{figure}, round {}: {why}", round + 1))).ok()
    }
}

fn watched<'a>(rounds: impl Iterator<Item = (&'a Measured, &'a Histogram)> + Clone) -> Watched {
    let measured = || rounds.clone().map(|(measured, _)| measured);
    let times = |which: fn(&Measured) -> Times, figure: fn(&Times) -> f64| {
        Spread::of(measured().map(which).filter(|times| times.count > 0).map(|times| figure(&times)))
    };
    let inside = |part| Spread::of(rounds.clone().filter_map(|(_, inside)| inside.quantile(part).ok()));
    Watched {
        loss: Spread::of(measured().map(Measured::loss)),
        gap_p50_seconds: times(|m| m.gap, |times| times.p50),
        gap_p99_seconds: times(|m| m.gap, |times| times.p99),
        gap_max_seconds: times(|m| m.gap, |times| times.max),
        jitter_p50_seconds: times(|m| m.jitter, |times| times.p50),
        jitter_p99_seconds: times(|m| m.jitter, |times| times.p99),
        delay_p50_seconds: times(|m| m.delay, |times| times.p50),
        delay_p99_seconds: times(|m| m.delay, |times| times.p99),
        delay_max_seconds: times(|m| m.delay, |times| times.max),
        inside_p50_seconds: inside(0.5),
        inside_p99_seconds: inside(0.99),
    }
}

fn write(report: &mut Report, figures: &Figures) {
    report.heading("Those who watch");
    report.text(
        "They are measured twice on the same server: alone, and with the rush in the middle of their \
         time. *Longest gap* is a viewer's longest time without a packet in one of its streams, their own joins \
         included. *Delay* is from a camera's sending of a picture until a watcher that decrypts had all of it: what the \
         generator's cores do for the joins is in it. *Inside* is the server's own part, from a complete frame at ingest until \
         the kernel took it for a viewer (`sluice_forward_delay_seconds`, by a line through its buckets; sound that waits \
         for the next picture too): over 2 s with the \
         watchers alone, and from the first join to the last, those who have just joined included.",
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
        "inside p50, ms",
        "p99",
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
            text(watched.inside_p50_seconds, ms),
            text(watched.inside_p99_seconds, ms),
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
        "inside the server, ms",
    ]);
    table.row([
        number(f64::from(figures.joins), 0),
        text(figures.joined, |count| number(count, 0)),
        text(figures.join_p50_seconds, ms),
        text(figures.join_p99_seconds, ms),
        text(figures.cpu_us_per_join, |us| number(us, 0)),
        text(figures.delay_p99_moved_seconds, ms),
        text(figures.inside_p99_moved_seconds, ms),
    ]);
    report.table(table);
    report.text(
        "CPU per join is what the server used while the rush joined, less the watchers' share and the joiners' \
         packets at the price they had before.",
    );
    if !figures.not_measured.is_empty() {
        report.text(format!("Not measured: {}.", figures.not_measured.join("; ")));
    }
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
        // A core that was full while they joined: nothing is left for the joins, which is no cost of zero.
        alone.server.as_mut().expect("it was looked at").cores_user = 0.9;
        let why = cpu_per_join(&alone, &rush).expect_err("nothing is left");
        assert!(why.contains("1,100 ms of CPU in 2,000 ms") && why.contains("full"), "{why}");
        // Clipped by the generator: how many packets there were cannot be told.
        rush.server.as_mut().expect("it was looked at").cpu_per_join = 0.0;
        assert!(cpu_per_join(&alone, &rush).is_err());
    }

    #[test]
    fn what_could_not_be_measured_is_a_dash_and_a_reason() {
        let measured: Measured = serde_json::from_str(TEXT).expect("a report");
        let mut rush = measured.clone();
        rush.server.as_mut().expect("it was looked at").cpu_per_join = 0.0;
        let inside = |text: &str| Histogram::read(text, DELAY);
        let buckets = format!("{DELAY}_bucket{{le=\"0.002\"}} 100\n{DELAY}_bucket{{le=\"+Inf\"}} 100\n");
        let round = Round {
            alone: measured.clone(),
            rushed: measured,
            rush,
            inside_alone: inside(&buckets),
            inside_rushed: inside(""),
        };
        let figures = figures((10, 10), &[round]);
        assert_eq!((figures.cpu_us_per_join, figures.inside_p99_moved_seconds), (None, None));
        assert!(figures.alone.inside_p99_seconds.is_some() && figures.rushed.inside_p99_seconds.is_none());
        for word in
            ["CPU per join, round 1", "with the rush, round 1: nothing was observed", "delay, watchers alone"]
        {
            assert!(figures.not_measured.iter().any(|why| why.contains(word)), "{word}: {figures:#?}");
        }
    }
}
