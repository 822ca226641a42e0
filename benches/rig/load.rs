//! Cameras and viewers in their place.
//!
//! Owns the command lines of `sluice load`, and the wait for its report. Never knows the server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sluice_load::process;

use super::super::child::{Child, READY};
use super::super::error::{BenchError, What};
use super::super::measured::{self, Measured};
use super::super::site::{Place, cores_text};
use super::{Rig, Server};

/// Files that the generator has open beside one a viewer; it checks the same itself.
const OTHER_FILES: u64 = 192;

/// Time for a load test beyond what it was asked to take: late joins, repairs, goodbyes.
const LOAD_GRACE: Duration = Duration::from_secs(60);

/// What `sluice load whep` shall do.
#[derive(Debug, Clone)]
pub struct Loading {
    /// Endpoints; viewers are spread over them.
    pub urls: Vec<String>,
    /// Viewers at a time.
    pub viewers: u32,
    /// Joins a second.
    pub rate: f64,
    /// How long to measure.
    pub duration: Duration,
    /// Further arguments, as in `--nack=off`.
    pub more: Vec<String>,
}

/// A running load test. It ends with this.
#[derive(Debug)]
pub struct Generator {
    child: Child,
    json: PathBuf,
    patience: Duration,
}

/// Running cameras. They end with this.
#[derive(Debug)]
pub struct Cameras {
    _child: Child,
    /// Their URLs.
    pub urls: Vec<String>,
}

impl Loading {
    /// So many viewers for 10 s, at the generator's defaults.
    pub fn of(urls: &[String], viewers: u32) -> Loading {
        let duration = Duration::from_secs(10);
        Loading { urls: urls.to_vec(), viewers, rate: 200.0, duration, more: Vec::new() }
    }
}

impl Rig {
    /// Starts cameras that show the demo beside the generator, and waits until they can be played.
    pub async fn cameras(&self, count: u16) -> Result<Cameras, BenchError> {
        self.cameras_showing(count, &[]).await
    }

    /// The same, with arguments of `sluice load cameras` that say what they show.
    pub async fn cameras_showing(&self, count: u16, showing: &[String]) -> Result<Cameras, BenchError> {
        let (_, ip) = self.site.addresses();
        let mut command = self.sluice([
            "load".to_owned(),
            "cameras".to_owned(),
            format!("--count={count}"),
            format!("--listen={ip}"),
            "--rtsp-port=0".to_owned(),
        ]);
        command.args(showing);
        let mut child = self.start(What::Cameras, command, &self.load)?;
        let out = child.out().to_owned();
        let urls = || {
            let lines: Vec<String> = fs::read_to_string(&out).ok()?.lines().map(str::to_owned).collect();
            (lines.len() == usize::from(count)).then_some(lines)
        };
        let urls = child.until("listen", READY, urls).await?;
        Ok(Cameras { _child: child, urls })
    }

    /// Starts a load test that also accounts for `pids`, on the cores of `place`.
    pub fn start_load(
        &self,
        pids: &[u32],
        loading: &Loading,
        place: &Place,
    ) -> Result<Generator, BenchError> {
        check_files(loading.viewers)?;
        let json = self.out.join(format!("{:03}-generator.json", self.started.get() + 1));
        // A result of an earlier bench in the same directory is not ours.
        let _ = fs::remove_file(&json);
        let (first, others) = loading.urls.split_first().expect("a load test has an endpoint");
        let mut command = self.sluice(["load", "whep", first]);
        command
            .args(others.iter().flat_map(|url| ["--also", url]))
            .args(pids.iter().map(|pid| format!("--server-pid={pid}")))
            .arg(format!("--viewers={}", loading.viewers))
            .arg(format!("--rate={}", loading.rate))
            .arg(format!("--duration={}ms", loading.duration.as_millis()))
            .arg(format!("--cores={}", cores_text(&place.cores).replace(' ', "")))
            .arg("--json")
            .arg(&json)
            .args(&loading.more);
        let joining = Duration::from_secs_f64(f64::from(loading.viewers) / loading.rate);
        let patience = joining + loading.duration + LOAD_GRACE;
        Ok(Generator { child: self.start(What::Generator, command, place)?, json, patience })
    }

    /// The generator's place in two, for two load tests at a time: on different cores if it has several.
    pub fn load_places(&self) -> [Place; 2] {
        let cores = &self.load.cores;
        let (one, other) = cores.split_at(cores.len() / 2);
        let (one, other) = if one.is_empty() { (other, other) } else { (one, other) };
        [one, other].map(|cores| self.site.load(cores.to_vec()))
    }

    /// Runs a load test against a server of ours.
    pub async fn load(&self, server: &Server, loading: &Loading) -> Result<Measured, BenchError> {
        self.start_load(&[server.pid()], loading, &self.load)?.end().await
    }
}

impl Generator {
    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.ended().is_none()
    }

    /// Asks it to end early, with its report.
    pub fn interrupt(&self) {
        // Without the command it ends with us, and without its report.
        let _ = Command::new("kill").args(["-INT", &self.child.pid().to_string()]).status();
    }

    /// Waits for its report.
    pub async fn end(mut self) -> Result<Measured, BenchError> {
        let status = self.child.end(self.patience).await?;
        // 0 and 1 come with a report; what it says of bounds and joins is ours to judge.
        if !matches!(status.code(), Some(0 | 1)) || !self.json.exists() {
            return Err(self.child.died(status, "without a report"));
        }
        measured::read(&self.json)
    }
}

/// Whether this shell allows the files that so many viewers need.
fn check_files(viewers: u32) -> Result<(), BenchError> {
    let needed = u64::from(viewers) + OTHER_FILES;
    match process::open_files_limit() {
        Some(allowed) if allowed < needed => Err(BenchError::Cannot(format!(
            "{viewers} viewers need {needed} open files and this shell allows {allowed}: run `ulimit -n {needed}` first"
        ))),
        _ => Ok(()),
    }
}
