//! The server between the checks: memory, threads, files and what it does while nobody watches. A shell: it waits.
//!
//! Owns when a server counts as left alone, and the judgement whether something stayed behind.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and waits")]

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use super::check::{Check, Verdict};
use crate::error::BenchError;
use crate::probe;
use crate::report::Table;
use crate::rig::Server;
use crate::spread::number;

/// Time for the last viewers to be gone: the server waits 30 s for the consent of one that did not say goodbye.
const LEAVING: Duration = Duration::from_secs(40);

/// Time between two looks whether they are.
const LOOK: Duration = Duration::from_millis(200);

/// How long CPU is counted. `/proc` counts in 10 ms, so that a share is told to half a percent.
const WATCHING: Duration = Duration::from_secs(2);

/// What an idle server may need more than before, in cores: a timer that was left behind, or a thread that spins.
const IDLE_MORE: f64 = 0.03;

/// Files that may be open more than before: a keep-alive connection of whoever looked last.
const FILES_MORE: usize = 2;

/// The server at one moment, with nobody watching.
#[derive(Debug, Serialize)]
struct Reading {
    when: &'static str,
    rss_bytes: u64,
    /// Heap and stacks: what is resident and not of a file.
    anonymous_bytes: Option<u64>,
    threads: u64,
    open_files: Option<usize>,
    sessions: f64,
    idle_cores: f64,
    cpu_seconds: f64,
}

/// All of them in order.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Readings(Vec<Reading>);

impl Readings {
    /// Waits until nobody watches, and reads.
    pub async fn take(&mut self, when: &'static str, server: &mut Server) -> Result<(), BenchError> {
        let (sessions, _) = until_left(server).await?;
        let (first, since) = (server.sample()?, Instant::now());
        tokio::time::sleep(WATCHING).await;
        let sample = server.sample()?;
        self.0.push(Reading {
            when,
            rss_bytes: sample.rss_bytes,
            anonymous_bytes: anonymous_bytes(server.pid()),
            threads: sample.threads,
            open_files: server.open_files(),
            sessions,
            idle_cores: (sample.cpu() - first.cpu()).as_secs_f64() / since.elapsed().as_secs_f64(),
            cpu_seconds: sample.cpu().as_secs_f64(),
        });
        Ok(())
    }

    /// Whether the last reading is as the first was.
    pub fn check(&self) -> Check {
        let mut table = Table::new(&[
            "",
            "resident memory",
            "heap and stacks",
            "threads",
            "open files",
            "sessions",
            "CPU while idle",
            "CPU so far",
        ]);
        for reading in &self.0 {
            table.row([
                reading.when.to_owned(),
                mebibytes(reading.rss_bytes),
                reading.anonymous_bytes.map_or("-".to_owned(), mebibytes),
                reading.threads.to_string(),
                reading.open_files.map_or("-".to_owned(), |files| files.to_string()),
                number(reading.sessions, 0),
                format!("{} cores", number(reading.idle_cores, 3)),
                format!("{} s", number(reading.cpu_seconds, 1)),
            ]);
        }
        let how = "Read while nobody watches, before the first check and after the last. Good if no thread, no session \
                   and no open file is left over and the idle server needs no more CPU. Memory is shown and not \
                   judged here: the allocator keeps a part of a peak's for the next one; that it does not grow is \
                   the matter of stability."
            .to_owned();
        let ([first, .., last] | [first @ last]) = &self.0[..] else {
            return Check::not_checked(NAME, "nothing was read", &how);
        };
        let files = first.open_files.zip(last.open_files);
        Check {
            name: NAME,
            verdict: Verdict::good_if(
                last.threads == first.threads
                    && last.sessions == 0.0
                    && last.idle_cores <= first.idle_cores + IDLE_MORE
                    && files.is_none_or(|(first, last)| last <= first + FILES_MORE),
            ),
            measured: format!(
                "memory {} before, {} after; threads {} and {}; idle CPU {} and {} cores",
                mebibytes(first.rss_bytes),
                mebibytes(last.rss_bytes),
                first.threads,
                last.threads,
                number(first.idle_cores, 3),
                number(last.idle_cores, 3)
            ),
            how,
            figures: json!(null),
            table: Some(table),
            doubts: Vec::new(),
        }
    }
}

const NAME: &str = "Memory, threads and CPU before and after";

/// Bytes for people.
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", number(bytes as f64 / f64::from(1 << 20), 1))
}

/// Waits until nobody watches; what sessions are left then, and how long it took.
pub async fn until_left(server: &Server) -> Result<(f64, Duration), BenchError> {
    let began = Instant::now();
    loop {
        let (sessions, waited) = (sessions(server)?, began.elapsed());
        if sessions == 0.0 || waited > LEAVING {
            return Ok((sessions, waited));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// `RssAnon` of `/proc/PID/status` (proc(5)).
fn anonymous_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1_024)
}

fn sessions(server: &Server) -> Result<f64, BenchError> {
    let metrics = server.metrics()?;
    let sessions = probe::metric(&metrics, "sluice_sessions");
    sessions.ok_or_else(|| BenchError::Cannot("the server has no metric sluice_sessions".to_owned()))
}
