//! A process that the bench started: where it runs, what it writes, and that it ends. A shell: it waits.
//!
//! Owns the process and its log. Whatever happens, the process is dead when this is dropped. Never knows
//! what the process does.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and waits")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::error::{BenchError, What};
use super::site::Place;

/// Time between two looks at a process or a file. Shorter takes CPU from what is measured.
const LOOK: Duration = Duration::from_millis(20);

/// Time for a process to become ready: certificates, self-tests, connecting to cameras.
pub const READY: Duration = Duration::from_secs(30);

/// Bytes of a log that an error quotes.
const TAIL: usize = 2_000;

/// A running process, killed with this.
#[derive(Debug)]
pub struct Child {
    what: What,
    process: std::process::Child,
    out: PathBuf,
    log: PathBuf,
}

impl Child {
    /// Starts `command` in `place`. What it prints goes to `stem`.out and `stem`.log (standard error).
    pub fn start(what: What, mut command: Command, place: &Place, stem: &Path) -> Result<Child, BenchError> {
        let (out, log) = (stem.with_extension("out"), stem.with_extension("log"));
        let file = |path: &Path| File::create(path).map_err(BenchError::file(path));
        // Standard input stays open as long as this lives: what reads it notices our end.
        command.stdin(Stdio::piped()).stdout(file(&out)?).stderr(file(&log)?);
        let process = place.run(|| command.spawn())?.map_err(|source| BenchError::Spawn { what, source })?;
        Ok(Child { what, process, out, log })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The file that its standard output goes to.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Closes its standard input, which asks those that read it to end.
    pub fn close_input(&mut self) {
        let _: Option<ChildStdin> = self.process.stdin.take();
    }

    /// Its end, if it has come.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Waits for its end.
    pub async fn end(&mut self, patience: Duration) -> Result<ExitStatus, BenchError> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            self.wait(began, "end", patience).await?;
        }
    }

    /// Waits until `check` finds something, while the process runs.
    pub async fn until<T>(
        &mut self,
        did: &'static str,
        patience: Duration,
        mut check: impl FnMut() -> Option<T>,
    ) -> Result<T, BenchError> {
        let began = Instant::now();
        loop {
            if let Some(found) = check() {
                return Ok(found);
            }
            if let Some(status) = self.ended() {
                return Err(self.died(status, "before it was ready"));
            }
            self.wait(began, did, patience).await?;
        }
    }

    /// The error that it ended.
    pub fn died(&self, status: ExitStatus, when: &'static str) -> BenchError {
        BenchError::Ended { what: self.what, status, when, log: self.log.clone(), tail: self.tail() }
    }

    async fn wait(&self, began: Instant, did: &'static str, patience: Duration) -> Result<(), BenchError> {
        if began.elapsed() > patience {
            return Err(BenchError::Late {
                what: self.what,
                did,
                patience,
                log: self.log.clone(),
                tail: self.tail(),
            });
        }
        tokio::time::sleep(LOOK).await;
        Ok(())
    }

    /// The end of what it wrote to standard error.
    pub fn tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(TAIL)..]).trim().to_owned()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
