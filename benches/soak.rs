//! `sluice bench soak`: hours, and a row a minute.
//!
//! Owns the rows. They are written as they come, so that a bench that is cut off has told what it knew;
//! Ctrl-C ends it early with its report.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use serde::Serialize;
use sluice_load::process::Sample;

use super::clock::{Stopwatch, pause};
use super::error::BenchError;
use super::flatness::Growth;
use super::measured::Measured;
use super::options::Common;
use super::report::{Report, Table};
use super::rig::{Loading, Rig, Server, Serving};
use super::spread::{Spread, number, percent};
use super::{Signals, probe, tell};

/// Time between two rows, and with `--quick`.
const ROW: Duration = Duration::from_secs(60);
const QUICK_ROW: Duration = Duration::from_secs(2);

/// How long `--quick` lasts, whatever `--hours` says.
const QUICK: Duration = Duration::from_secs(30);

/// Command line of `sluice bench soak`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How long, as in 0.5 or 24; --quick lasts 30 s
    #[arg(long, value_name = "H", default_value_t = 1.0, value_parser = hours)]
    hours: f64,
    /// Viewers at a time [default: 200; with --quick 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    viewers: Option<u32>,
    /// Viewers that leave and are replaced, a second
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=5_000))]
    churn: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

fn hours(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(hours) if (0.01..=168.0).contains(&hours) => Ok(hours),
        _ => Err("0.01 to 168 hours".to_owned()),
    }
}

/// The server in one minute.
#[derive(Debug, Clone, Copy, Serialize)]
struct Row {
    seconds: f64,
    viewers: f64,
    packets_per_second: f64,
    dropped: f64,
    cores: f64,
    rss_bytes: u64,
    threads: u64,
    open_files: usize,
}

/// What rows are differences of.
struct Look {
    seconds: f64,
    sample: Sample,
    datagrams: f64,
}

#[derive(Debug, Serialize)]
struct Figures {
    seconds: f64,
    memory: Option<Growth>,
    cpu: Option<Growth>,
    loss: Option<f64>,
    longest_gap_seconds: Option<f64>,
    rows: Vec<Row>,
}

/// Measures until the time is over or a signal comes.
pub async fn run(rig: &Rig, options: &Options, signals: &mut Signals) -> Result<Report, BenchError> {
    let quick = options.common.quick;
    let viewers = options.viewers.unwrap_or(if quick { 20 } else { 200 });
    let (step, length) =
        if quick { (QUICK_ROW, QUICK) } else { (ROW, Duration::from_secs_f64(options.hours * 3_600.0)) };
    let mut report = Report::new(&format!("Soak: {viewers} viewers for {}", words(length)), rig);
    let mut server = rig.server(&Serving::demo(viewers)).await?;
    let loading = Loading {
        duration: length,
        more: vec![format!("--churn={}", options.churn), "--verify=20".to_owned()],
        ..Loading::of(&[server.whep("demo")], viewers)
    };
    let mut generator = rig.start_load(&[server.pid()], &loading, rig.load_place())?;
    let path = rig.out().join("rows.csv");
    let mut file = File::create(&path).map_err(BenchError::file(&path))?;
    writeln!(file, "seconds,viewers,packets_per_second,dropped,cores,rss_bytes,threads,open_files")
        .map_err(BenchError::file(&path))?;
    tell(&format!("{viewers} viewers for {}; a row each {}: {}", words(length), words(step), path.display()));
    let mut rows = Vec::new();
    let mut before = look(&mut server, 0.0)?;
    let mut interrupted = false;
    let began = Stopwatch::start();
    while !interrupted && generator.is_running() {
        let next = step * (rows.len() as u32 + 1);
        tokio::select! {
            biased;
            () = signals.next() => interrupted = true,
            () = pause(next.saturating_sub(began.elapsed())) => {}
        }
        if interrupted || !generator.is_running() {
            break;
        }
        let now = look(&mut server, began.elapsed().as_secs_f64())?;
        let row = row(&mut server, &before, &now)?;
        writeln!(
            file,
            "{:.1},{},{:.0},{},{:.4},{},{},{}",
            row.seconds,
            row.viewers,
            row.packets_per_second,
            row.dropped,
            row.cores,
            row.rss_bytes,
            row.threads,
            row.open_files
        )
        .map_err(BenchError::file(&path))?;
        rows.push(row);
        before = now;
    }
    if interrupted {
        report.warn("soak", "it was interrupted and is shorter than it was to be");
        generator.interrupt();
    }
    let measured = match generator.end().await {
        Ok(measured) => Some(measured),
        // Interrupted with us, before it had a report; the rows stay.
        Err(error) if interrupted => {
            report.warn("viewers", &error.to_string());
            None
        }
        Err(error) => return Err(error),
    };
    if let Some(measured) = &measured {
        report.doubt("viewers", measured);
    }
    write(&mut report, rows, measured.as_ref());
    Ok(report)
}

fn look(server: &mut Server, seconds: f64) -> Result<Look, BenchError> {
    Ok(Look { seconds, sample: server.sample()?, datagrams: server.metric("sluice_egress_datagrams_total")? })
}

fn row(server: &mut Server, before: &Look, now: &Look) -> Result<Row, BenchError> {
    let seconds = now.seconds - before.seconds;
    let metrics = server.metrics()?;
    let metric = |name| probe::metric(&metrics, name).unwrap_or(0.0);
    Ok(Row {
        seconds: now.seconds,
        viewers: metric("sluice_viewers"),
        packets_per_second: (now.datagrams - before.datagrams) / seconds,
        dropped: metric("sluice_egress_dropped_datagrams_total"),
        cores: now.sample.cpu().saturating_sub(before.sample.cpu()).as_secs_f64() / seconds,
        rss_bytes: now.sample.rss_bytes,
        threads: now.sample.threads,
        open_files: server.open_files().unwrap_or(0),
    })
}

fn write(report: &mut Report, rows: Vec<Row>, measured: Option<&Measured>) {
    let over = |figure: fn(&Row) -> f64| {
        Growth::of(&rows.iter().map(|row| (row.seconds / 3_600.0, figure(row))).collect::<Vec<_>>())
    };
    let (memory, cpu) = (over(|row| row.rss_bytes as f64), over(|row| row.cores));
    for (what, growth) in [("Memory", memory), ("CPU", cpu)] {
        report.text(match growth {
            Some(growth) => format!(
                "{what} is **{}**: {} from the first fifth after the warm-up to the last; up to 5 % counts as flat.",
                if growth.is_flat() { "flat" } else { "not flat" },
                percent(growth.part())
            ),
            None => format!("{what} is not judged: there are only {} rows.", rows.len()),
        });
    }
    let mut table = Table::new(&["what", "median", "smallest", "largest"]);
    let mut add = |what: &str, figure: fn(&Row) -> f64, write: fn(f64) -> String| {
        let spread = Spread::of(rows.iter().map(figure));
        let cells =
            spread.map(|spread| [spread.median, spread.min, spread.max].map(write)).unwrap_or_default();
        table.row(std::iter::once(what.to_owned()).chain(cells));
    };
    add("viewers", |row| row.viewers, |value| number(value, 0));
    add("packets/s", |row| row.packets_per_second, |value| number(value, 0));
    add("server, cores", |row| row.cores, |value| number(value, 3));
    add("memory, MiB", |row| row.rss_bytes as f64, |value| number(value / f64::from(1 << 20), 1));
    add("threads", |row| row.threads as f64, |value| number(value, 0));
    add("open files", |row| row.open_files as f64, |value| number(value, 0));
    add("dropped so far", |row| row.dropped, |value| number(value, 0));
    report.table(table);
    if let Some(measured) = measured {
        report.text(format!(
            "{} sessions connected; {} of all packets were lost; the longest gap of a viewer was {} ms (p50), {} ms \
             (the worst); {} whole frames and {} incomplete ones at the viewers that decrypt.",
            number(measured.joined as f64, 0),
            percent(measured.loss()),
            number(measured.gap.p50 * 1e3, 0),
            number(measured.gap.max * 1e3, 0),
            number(measured.verified.frames as f64, 0),
            number(measured.verified.incomplete as f64, 0)
        ));
    }
    report.text("`rows.csv` has all rows.");
    let figures = Figures {
        seconds: rows.last().map_or(0.0, |row| row.seconds),
        memory,
        cpu,
        loss: measured.map(Measured::loss),
        longest_gap_seconds: measured.map(|measured| measured.gap.max),
        rows,
    };
    report.set_figures(&figures);
}

fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7_200 => format!("{} min", seconds / 60),
        seconds => format!("{:.1} h", seconds as f64 / 3_600.0),
    }
}
