//! `sluice bench churn`: sessions come and go, and memory must not stay behind.
//!
//! Owns the samples of the server's memory over the sessions there have been.

use std::fs;
use std::time::Duration;

use serde::Serialize;

use super::clock::pause;
use super::error::BenchError;
use super::flatness::Growth;
use super::options::Common;
use super::report::{Report, Table};
use super::rig::{Loading, Rig, Server, Serving};
use super::spread::{number, percent};
use super::tell;

/// Sessions in all, viewers at a time, and changes a second; by default and with `--quick`.
const SIZE: (u32, u32, f64) = (40_000, 200, 200.0);
const QUICK_SIZE: (u32, u32, f64) = (1_000, 40, 40.0);

/// Sessions from which on growth is judged: fewer are all warm-up.
const SESSIONS_MIN: u32 = 10_000;

/// Time between two samples of the server: a few hundred in all.
const SAMPLE: Duration = Duration::from_millis(500);

/// Time for the last sessions to end.
const EMPTY: Duration = Duration::from_secs(40);

/// Rows of the table.
const ROWS: usize = 10;

/// Command line of `sluice bench churn`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Sessions there shall have been [default: 40000; with --quick 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    sessions: Option<u32>,
    /// Viewers at a time [default: 200; with --quick 40]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    viewers: Option<u32>,
    /// Viewers that leave and are replaced, a second [default: 200; with --quick 40]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    rate: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// The server after so many sessions.
#[derive(Debug, Clone, Copy, Serialize)]
struct Point {
    sessions: f64,
    rss_bytes: u64,
    threads: u64,
    open_files: usize,
}

#[derive(Debug, Serialize)]
struct Figures {
    sessions: f64,
    attempted: u64,
    failed: u64,
    growth: Option<Growth>,
    /// With a judgement: whether memory is flat.
    flat: Option<bool>,
    /// Before the first viewer.
    before: Point,
    /// When all had gone.
    after: Point,
    /// Sessions that the server still has then.
    left_behind: f64,
    points: Vec<Point>,
}

/// Measures, once: rounds are what the sessions are.
pub async fn run(rig: &Rig, options: &Options) -> Result<Report, BenchError> {
    let (sessions, viewers, rate) = if options.common.quick { QUICK_SIZE } else { SIZE };
    let (sessions, viewers) = (options.sessions.unwrap_or(sessions), options.viewers.unwrap_or(viewers));
    let rate = options.rate.map_or(rate, f64::from);
    let mut report = Report::new(&format!("{sessions} sessions come and go"), rig);
    let mut server = rig.server(&Serving::demo(viewers)).await?;
    let before = look(&mut server)?;
    let seconds = f64::from(sessions.saturating_sub(viewers)) / rate;
    tell(&format!("{sessions} sessions, {viewers} at a time, in {seconds:.0} s"));
    let loading = Loading {
        duration: Duration::from_secs_f64(seconds.max(1.0)),
        more: vec![format!("--churn={rate}")],
        ..Loading::of(&[server.whep("demo")], viewers)
    };
    let mut generator = rig.start_load(&[server.pid()], &loading, rig.load_place())?;
    let mut points = Vec::new();
    // The generator ends by itself, or `end` says that it does not.
    let patience = loading.duration + EMPTY * 2;
    let mut waited = Duration::ZERO;
    while generator.is_running() && waited < patience {
        points.push(look(&mut server)?);
        pause(SAMPLE).await;
        waited += SAMPLE;
    }
    let measured = generator.end().await?;
    let mut left_behind = server.metric("sluice_sessions")?;
    let mut waited = Duration::ZERO;
    while left_behind > 0.0 && waited < EMPTY {
        pause(SAMPLE).await;
        waited += SAMPLE;
        left_behind = server.metric("sluice_sessions")?;
    }
    let after = look(&mut server)?;
    report.doubt("viewers", &measured);
    if left_behind > 0.0 {
        report.warn("server", &format!("{left_behind} sessions are left although all viewers went"));
    }
    // While all watch: the ends are the joining and the leaving of everybody.
    let watching: Vec<Point> =
        points.iter().filter(|point| point.sessions >= f64::from(viewers)).copied().collect();
    let over: Vec<(f64, f64)> =
        watching.iter().map(|point| (point.sessions, point.rss_bytes as f64)).collect();
    let growth = Growth::of(&over).filter(|_| sessions >= SESSIONS_MIN);
    let failed = measured.failures.values().chain(measured.ended.values()).sum();
    let figures = Figures {
        sessions: after.sessions,
        attempted: measured.attempted,
        failed,
        growth,
        flat: growth.map(|growth| growth.is_flat()),
        before,
        after,
        left_behind,
        points: watching,
    };
    save(rig, &figures.points)?;
    write(&mut report, &figures);
    Ok(report)
}

fn look(server: &mut Server) -> Result<Point, BenchError> {
    let sample = server.sample()?;
    Ok(Point {
        sessions: server.metric("sluice_viewer_connects_total")?,
        rss_bytes: sample.rss_bytes,
        threads: sample.threads,
        open_files: server.open_files().unwrap_or(0),
    })
}

/// All samples, for a plot.
fn save(rig: &Rig, points: &[Point]) -> Result<(), BenchError> {
    let mut text = "sessions,rss_bytes,threads,open_files\n".to_owned();
    for Point { sessions, rss_bytes, threads, open_files } in points {
        text.push_str(&format!("{sessions},{rss_bytes},{threads},{open_files}\n"));
    }
    let path = rig.out().join("samples.csv");
    fs::write(&path, text).map_err(BenchError::file(&path))
}

fn write(report: &mut Report, figures: &Figures) {
    let verdict = match figures.growth {
        Some(growth) => format!(
            "Memory is **{}**: from the first fifth after the warm-up to the last it went from {} to {} ({}, {} bytes a \
             session); up to 5 % counts as flat.",
            if growth.is_flat() { "flat" } else { "not flat" },
            mebibytes(growth.early),
            mebibytes(growth.late),
            percent(growth.part()),
            number(growth.per_step, 0),
        ),
        None => format!(
            "Whether memory is flat is not judged below {} sessions: a server is still warming up.",
            number(f64::from(SESSIONS_MIN), 0)
        ),
    };
    report.text(verdict);
    report.text(format!(
        "{} of {} sessions connected, {} joins failed or sessions ended early; {} are left. `samples.csv` has all \
         samples.",
        number(figures.sessions, 0),
        number(figures.attempted as f64, 0),
        figures.failed,
        figures.left_behind
    ));
    let mut table = Table::new(&["sessions so far", "memory", "threads", "open files"]);
    let step = figures.points.len().div_ceil(ROWS).max(1);
    let chosen = figures.points.iter().step_by(step);
    for point in std::iter::once(&figures.before).chain(chosen).chain([&figures.after]) {
        table.row([
            number(point.sessions, 0),
            mebibytes(point.rss_bytes as f64),
            point.threads.to_string(),
            point.open_files.to_string(),
        ]);
    }
    report.table(table);
    report.set_figures(figures);
}

fn mebibytes(bytes: f64) -> String {
    format!("{} MiB", number(bytes / f64::from(1 << 20), 1))
}
