//! Whether it stays as it is: viewers watch for hours, some leave and others come, and the server is looked at again
//! and again. A shell: it waits.
//!
//! Owns the samples and what counts as growth. Never starts a server.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and waits")]

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use super::Options;
use super::check::{Check, Verdict, whole_percent};
use super::reading::mebibytes;
use crate::error::BenchError;
use crate::report::Table;
use crate::rig::{Loading, Rig, Server};
use crate::spread::{number, percent};

/// Looks at the server, evenly spread over the whole time, a second apart if that makes fewer. More show shorter
/// waves and cost rows.
const SAMPLES_MAX: u32 = 48;
const SAMPLES_MIN: u32 = 8;

/// One viewer in so many leaves each minute, and another comes.
const CHURN: f64 = 10.0;

/// Part of the video that may be missing for good.
const LOSS: f64 = 0.000_1;

/// Growth of memory from the second quarter of the time to the last one that is no growth: the allocator's breath.
/// The first quarter is left out, in which caches and rings fill.
const GROWTH: f64 = 0.05;
const GROWTH_BYTES: u64 = 2 << 20;

/// The server at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
struct Sample {
    seconds: f64,
    rss_bytes: u64,
    threads: u64,
    open_files: Option<usize>,
    cores: f64,
}

/// Watches.
pub async fn check(rig: &Rig, server: &mut Server, options: &Options) -> Result<Check, BenchError> {
    let length = options.stability();
    let mut loading = Loading::of(&[server.whep("demo")], options.viewers());
    loading.duration = length;
    let churn = f64::from(options.viewers()) / CHURN / 60.0;
    loading.more = vec![format!("--churn={churn:.3}")];
    let mut generator = rig.start_load(&[server.pid()], &loading, rig.load_place())?;

    let joining = Duration::from_secs_f64(f64::from(loading.viewers) / loading.rate);
    tokio::time::sleep(joining).await;
    let (began, mut samples) = (Instant::now(), Vec::new());
    let mut last = (began, server.sample()?);
    let count = (length.as_secs() as u32).clamp(SAMPLES_MIN, SAMPLES_MAX);
    for number in 1..=count {
        tokio::time::sleep_until((began + length * number / count).into()).await;
        if !generator.is_running() {
            break;
        }
        let (now, sample) = (Instant::now(), server.sample()?);
        samples.push(Sample {
            seconds: (now - began).as_secs_f64(),
            rss_bytes: sample.rss_bytes,
            threads: sample.threads,
            open_files: server.open_files(),
            cores: (sample.cpu() - last.1.cpu()).as_secs_f64() / (now - last.0).as_secs_f64(),
        });
        last = (now, sample);
    }
    let measured = generator.end().await?;

    let grown = growth(&samples);
    let threads = samples.iter().map(|sample| sample.threads);
    let steady = threads.clone().min() == threads.max();
    let loss = measured.totals.video.share_lost();
    let troubles = measured.troubles();
    let memory = match grown {
        Some((before, after)) => {
            format!("memory {} and then {}", mebibytes(before as u64), mebibytes(after as u64))
        }
        None => "memory not seen often enough".to_owned(),
    };
    Ok(Check {
        name: "Stability",
        verdict: Verdict::good_if(
            grown.is_some_and(|(before, after)| after <= before * (1.0 + GROWTH) + GROWTH_BYTES as f64)
                && steady
                && loss <= LOSS
                && troubles.is_none()
                && measured.totals.counts.expected > 0,
        ),
        measured: format!(
            "{} viewers for {}: {memory}; {} of the video lost, longest gap of a viewer {} ms, {}",
            options.viewers(),
            span(length),
            percent(loss),
            number(measured.gap.max * 1e3, 0),
            troubles.unwrap_or("nobody thrown out".to_owned())
        ),
        how: format!(
            "Viewers watch; one in {CHURN} leaves each minute and another one comes. Good if memory in the last quarter is \
             at most {} and {} above that of the second one (medians), if no thread is made, at most {} of the video is \
             lost, and all joins succeed. It says nothing about longer times than it took: --hours sets that.",
            whole_percent(GROWTH),
            mebibytes(GROWTH_BYTES),
            percent(LOSS)
        ),
        figures: json!({ "seconds": length.as_secs_f64(), "samples": samples, "video_loss": loss, "gap_max_seconds": measured.gap.max }),
        table: Some(table(&samples)),
        doubts: measured.warnings,
    })
}

/// Median memory of the second and of the last quarter; none with too few samples for that.
fn growth(samples: &[Sample]) -> Option<(f64, f64)> {
    let quarter = samples.len() / 4;
    let median = |samples: &[Sample]| {
        let mut bytes: Vec<u64> = samples.iter().map(|sample| sample.rss_bytes).collect();
        bytes.sort_unstable();
        bytes.get(bytes.len() / 2).map(|&bytes| bytes as f64)
    };
    Some((median(samples.get(quarter..2 * quarter)?)?, median(&samples[samples.len() - quarter..])?))
}

/// A dozen rows at the most: all are in the JSON.
fn table(samples: &[Sample]) -> Table {
    let mut table = Table::new(&["after", "resident memory", "threads", "open files", "CPU"]);
    let step = samples.len().div_ceil(12).max(1);
    for sample in samples.iter().skip(step - 1).step_by(step) {
        table.row([
            span(Duration::from_secs_f64(sample.seconds)),
            mebibytes(sample.rss_bytes),
            sample.threads.to_string(),
            sample.open_files.map_or("-".to_owned(), |files| files.to_string()),
            format!("{} cores", number(sample.cores, 2)),
        ]);
    }
    table
}

fn span(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 10.0 => format!("{seconds:.1} s"),
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(megabytes: &[u64]) -> Vec<Sample> {
        let sample = |&megabytes: &u64| Sample {
            seconds: 0.0,
            rss_bytes: megabytes << 20,
            threads: 4,
            open_files: None,
            cores: 0.1,
        };
        megabytes.iter().map(sample).collect()
    }

    #[test]
    fn growth_leaves_out_the_beginning_and_single_peaks() {
        let mebibyte = f64::from(1 << 20);
        let found = growth(&samples(&[10, 15, 20, 20, 20, 90, 21, 21, 21, 21, 21, 22])).expect("enough");
        assert_eq!(found, (20.0 * mebibyte, 21.0 * mebibyte));
        assert_eq!(growth(&samples(&[10, 20, 30])), None);
        assert_eq!(growth(&[]), None);
    }

    #[test]
    fn times_have_their_units() {
        let text = [5, 90, 600, 86_400].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(text, ["5.0 s", "90 s", "10 min", "24.0 h"]);
    }
}
