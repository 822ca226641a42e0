//! `sluice bench overload`: twice as many viewers as a core carries. Who gets what?
//!
//! Owns the classes that viewers fall into by when they came. Each round does it twice, on servers of their own: with the
//! door open, so that there is too much to send, and as the defaults have it, so that who would be too many is refused.

use std::time::Duration;

use serde::Serialize;

use super::clock::pause;
use super::error::BenchError;
use super::measured::Measured;
use super::options::Common;
use super::report::{Report, Table};
use super::rig::{Loading, Rig, Server, Serving};
use super::spread::{Spread, number, percent, text};
use super::tell;

/// Viewers that the price of one is taken of, by default and with `--quick`.
const PRICE_OF: (u32, u32) = (400, 20);

/// Viewers for each that the core carries by that price.
const TIMES: f64 = 2.0;

/// Joins a second. Slow enough for the server to be asked what it carries by those who watch already.
const RATE: f64 = 150.0;

/// The parts that come one after the other, and what they are called.
const CLASSES: [(&str, f64); 3] = [("first quarter", 0.25), ("second quarter", 0.25), ("other half", 0.5)];

/// Time under overload once the last have come, by default and with `--quick`.
const HOLD: (Duration, Duration) = (Duration::from_secs(40), Duration::from_secs(5));

/// Longer than all of them take to join: they are told when to end.
const ENDLESS: Duration = Duration::from_secs(3600);

/// Command line of `sluice bench overload`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Viewers in all [default: twice as many as the core carries, by the price of 400; with --quick of 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=50_000))]
    viewers: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// How a server treats those who are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Door {
    /// Everybody is let in.
    Open,
    /// As by default.
    Default,
}

impl Door {
    fn text(self) -> &'static str {
        match self {
            Door::Open => "open",
            Door::Default => "as by default",
        }
    }

    fn serving(self, viewers: u32) -> Serving {
        let mut serving = Serving::demo(viewers);
        if self == Door::Default {
            serving.sets.retain(|set| !set.starts_with("limits.busy="));
        }
        serving
    }
}

/// What one class had with one door.
#[derive(Debug, Serialize)]
struct Class {
    name: &'static str,
    viewers: u32,
    refused: Option<Spread>,
    /// Sessions that the server ended.
    sent_away: Option<Spread>,
    stayed: Option<Spread>,
    /// Of what the class was sent.
    loss: Option<Spread>,
    /// Viewers without a packet for more than 2 s in one of their streams.
    stalled: Option<Spread>,
    gap_p99_seconds: Option<Spread>,
}

#[derive(Debug, Serialize)]
struct Figures {
    viewers: u32,
    doors: Vec<(Door, Vec<Class>, Option<Spread>)>,
}

/// What one server did in one round.
struct Run {
    classes: Vec<Measured>,
    /// Cores that it used at the end.
    cores: Option<f64>,
}

/// Measures.
pub async fn run(rig: &Rig, options: &Options) -> Result<Report, BenchError> {
    let quick = options.common.quick;
    let viewers = match options.viewers {
        Some(viewers) => viewers,
        None => too_many(rig, quick).await?,
    };
    let mut report = Report::new(&format!("{viewers} viewers come: who gets what?"), rig);
    let mut runs: [(Door, Vec<Run>); 2] = [(Door::Open, Vec::new()), (Door::Default, Vec::new())];
    for round in 1..=options.common.rounds() {
        for (door, runs) in &mut runs {
            tell(&format!("round {round}: {viewers} viewers, the door {}", door.text()));
            runs.push(crowd(rig, *door, viewers, quick).await?);
        }
    }
    for (name, measured) in runs.iter().flat_map(|(_, runs)| runs).flat_map(named) {
        measured.warnings.iter().for_each(|warning| report.warn(name, warning));
    }
    let doors = runs.iter().map(|(door, runs)| figures(*door, viewers, runs)).collect();
    write(&mut report, &Figures { viewers, doors });
    Ok(report)
}

fn named(run: &Run) -> impl Iterator<Item = (&'static str, &Measured)> {
    CLASSES.iter().map(|(name, _)| *name).zip(&run.classes)
}

/// [`TIMES`] as many as the core carries, by the price of a few.
async fn too_many(rig: &Rig, quick: bool) -> Result<u32, BenchError> {
    let few = if quick { PRICE_OF.1 } else { PRICE_OF.0 };
    let server = rig.server(&Serving::demo(few)).await?;
    let measured = rig.load(&server, &Loading::of(&[server.whep("demo")], few)).await?;
    let cores = measured.server.map(|server| server.cores()).filter(|cores| *cores > 0.0);
    let cores = cores.ok_or_else(|| {
        BenchError::Cannot(format!("what {few} viewers cost cannot be told: name a number with --viewers"))
    })?;
    Ok((f64::from(few) / cores * TIMES) as u32)
}

/// The classes come one after the other, and stay together for a while.
async fn crowd(rig: &Rig, door: Door, viewers: u32, quick: bool) -> Result<Run, BenchError> {
    let mut server = rig.server(&door.serving(viewers)).await?;
    let mut generators = Vec::new();
    for (_, part) in CLASSES {
        let loading = Loading {
            rate: RATE,
            duration: ENDLESS,
            ..Loading::of(&[server.whep("demo")], size(viewers, part))
        };
        generators.push(rig.start_load(&[server.pid()], &loading, rig.load_place())?);
        answered(&server, &loading).await?;
    }
    let hold = if quick { HOLD.1 } else { HOLD.0 };
    let before = server.sample()?;
    pause(hold).await;
    let cores = server.sample()?.cpu().checked_sub(before.cpu()).map(|cpu| cpu.div_duration_f64(hold));
    // Together: else those who are left have room.
    generators.iter().for_each(|generator| generator.interrupt());
    let mut classes = Vec::new();
    for generator in generators {
        classes.push(generator.end().await?);
    }
    Ok(Run { classes, cores })
}

fn size(viewers: u32, part: f64) -> u32 {
    (f64::from(viewers) * part).round().max(1.0) as u32
}

/// Until as many have connected or were refused as there are, or it takes too long: then the report says who is missing.
async fn answered(server: &Server, loading: &Loading) -> Result<(), BenchError> {
    let asked = || -> Result<f64, BenchError> {
        Ok(server.metric("sluice_viewer_connects_total")? + server.metric("sluice_joins_refused_total")?)
    };
    let (before, step) = (asked()?, Duration::from_millis(250));
    let patience = Duration::from_secs_f64(f64::from(loading.viewers) / loading.rate) * 3;
    let mut waited = Duration::ZERO;
    while asked()? - before < f64::from(loading.viewers) && waited < patience {
        pause(step).await;
        waited += step;
    }
    Ok(())
}

fn figures(door: Door, viewers: u32, runs: &[Run]) -> (Door, Vec<Class>, Option<Spread>) {
    let class = |(index, (name, part)): (usize, (&'static str, f64))| {
        let over =
            |figure: fn(&Measured) -> f64| Spread::of(runs.iter().map(|run| figure(&run.classes[index])));
        Class {
            name,
            viewers: size(viewers, part),
            refused: over(|measured| measured.failures.values().sum::<u64>() as f64),
            sent_away: over(|measured| measured.ended.values().sum::<u64>() as f64),
            stayed: over(|measured| {
                measured.joined.saturating_sub(measured.ended.values().sum::<u64>()) as f64
            }),
            loss: over(Measured::loss),
            stalled: over(|measured| measured.stalled as f64),
            gap_p99_seconds: over(|measured| measured.gap.p99),
        }
    };
    let classes = CLASSES.into_iter().enumerate().map(class).collect();
    (door, classes, Spread::of(runs.iter().filter_map(|run| run.cores)))
}

fn write(report: &mut Report, figures: &Figures) {
    report.text(
        "*Door open* is `limits.busy = 0`: everybody is let in, so that there is more to send than can be sent. The newest go \
         without, and after 10 s are sent away with the reason; those who were there first shall notice nothing. *As by \
         default* who would be too many is refused. *Stalled* are viewers who had nothing for more than 2 s in one of their \
         streams, those who were sent away too.",
    );
    let mut table = Table::new(&[
        "door",
        "viewers",
        "asked",
        "refused",
        "sent away",
        "stayed",
        "lost",
        "stalled",
        "longest gap p99, ms",
        "server's cores",
    ]);
    let count = |value| number(value, 0);
    for (door, classes, cores) in &figures.doors {
        for class in classes {
            table.row([
                door.text().to_owned(),
                class.name.to_owned(),
                number(f64::from(class.viewers), 0),
                text(class.refused, count),
                text(class.sent_away, count),
                text(class.stayed, count),
                text(class.loss, percent),
                text(class.stalled, count),
                text(class.gap_p99_seconds, |seconds| number(seconds * 1e3, 0)),
                text(*cores, |cores| number(cores, 2)),
            ]);
        }
    }
    report.table(table);
    report.set_figures(figures);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_of_one_class() {
        for viewers in [4, 5, 7, 4_999, 50_000] {
            let sizes: u32 = CLASSES.iter().map(|(_, part)| size(viewers, *part)).sum();
            assert!(sizes.abs_diff(viewers) <= 2, "{sizes} of {viewers}");
        }
    }

    #[test]
    fn the_door_is_open_or_as_it_is_by_default() {
        let busy = |door: Door| door.serving(10).sets.iter().any(|set| set == "limits.busy=0");
        assert!(busy(Door::Open) && !busy(Door::Default));
    }
}
