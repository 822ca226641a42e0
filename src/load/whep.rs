//! The course of a load test: join, measure, settle, leave. A shell.
//!
//! Owns the pace of joins and the phases. One phase follows another: (1) all viewers join, or fail;
//! (2) for the duration asked for, packets and the server's CPU are measured, and viewers come and go;
//! (3) what is still missing may be repaired; (4) everybody leaves. Every phase has an end in time.
//! `people` is who comes and goes, `events` what happens meanwhile, `progress` what is seen of it.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and waits")]

mod events;
mod people;
mod progress;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use indicatif::ProgressBar;
use sluice_media::dtls::{DtlsSetupError, SharedDtls};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use url::Url;

use super::delay::Wall;
use super::gone::Mark;
use super::http::{Answer, Endpoint, EndpointError, Refusal};
use super::machine::{self, Machine};
use super::options::{LimitError, MAX_REQUESTS, Options, Switch};
use super::process::{self, Sample};
use super::report::{Report, Run, Setting, Window};
use super::series::{Recorder, STEP};
use super::worker::{self, Command, Event, Handle};

/// How long joins may go on after the last one was begun: a worker's own bound, and a little.
const JOIN_GRACE: Duration = Duration::from_secs(15);

/// Time for repairs of what is missing at the end: a few round trips of NACK.
const SETTLE: Duration = Duration::from_millis(600);

/// Time for workers to tell, and for sessions to be deleted, at the end.
const END: Duration = Duration::from_secs(10);

/// Time between two looks at what is due.
const PACE: Duration = Duration::from_millis(5);

/// Why a load test cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The endpoint cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The machine does not allow it.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// DTLS cannot work.
    #[error(transparent)]
    Dtls(#[from] DtlsSetupError),
    /// A thread cannot be started.
    #[error("a receiving thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Runs a test to its end. Ctrl-C ends it early, with a report.
pub async fn run(options: &Options) -> Result<Report, LoadError> {
    options.check_limits()?;
    let (endpoint, local) = Endpoint::find(options.url.clone(), &options.trust).await?;
    let mut endpoints = vec![endpoint];
    for url in &options.also {
        endpoints.push(Endpoint::find(url.clone(), &options.trust).await?.0);
    }
    let dtls = SharedDtls::new()?;
    let setting = Setting {
        url: machine::shown(&options.url),
        also: options.also.iter().map(machine::shown).collect(),
        viewers: options.viewers,
        command: machine::command(),
        machine: Machine::read(),
        started: SystemTime::now(),
    };
    let before = Sample::of_all(&options.server_pid);
    let (events_in, events) = mpsc::unbounded_channel();
    let usable = sluice_io::affinity::cores();
    let mut workers = Vec::new();
    for index in 0..options.threads() {
        let wanted = options.cores.get(index % options.cores.len().max(1));
        let core = wanted.and_then(|wanted| usable.iter().find(|core| core.index() == *wanted));
        workers.push(worker::start(index, core.copied(), dtls.clone(), events_in.clone())?);
    }
    let addresses = match &options.source_addresses[..] {
        [] => vec![local],
        given => given.to_vec(),
    };
    let began = Instant::now();
    let wall = Wall::new(began, SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let course = Course {
        options,
        marks: vec![Mark::default(); workers.len()],
        workers,
        addresses,
        dtls,
        endpoints,
        events,
        requests: JoinSet::new(),
        slots: Arc::new(Semaphore::new(MAX_REQUESTS)),
        places: HashMap::new(),
        watching: VecDeque::new(),
        next_id: 0,
        random: options.seed,
        run: Run { before, ..Run::default() },
        stopped: 0,
        began,
        wall,
        recorder: Recorder::new(process::thread_times().0, before),
        // Between two tellings of the workers.
        next_record: Some(began + STEP + STEP / 4),
        progress: progress::line(),
    };
    course.follow(setting).await
}

struct Course<'a> {
    options: &'a Options,
    workers: Vec<Handle>,
    addresses: Vec<IpAddr>,
    dtls: SharedDtls,
    endpoints: Vec<Endpoint>,
    events: mpsc::UnboundedReceiver<Event>,
    requests: JoinSet<(u32, Outcome)>,
    slots: Arc<Semaphore>,
    /// Sessions to delete when their viewers leave.
    places: HashMap<u32, Option<Url>>,
    /// Viewers in the order in which they may be replaced.
    watching: VecDeque<u32>,
    next_id: u32,
    random: u64,
    /// The workers' latest counts.
    marks: Vec<Mark>,
    run: Run,
    stopped: usize,
    began: Instant,
    /// What time of day it is, for viewers that tell the age of pictures.
    wall: Wall,
    recorder: Recorder,
    /// When the next point of the curves is due; none once the measurement is over.
    next_record: Option<Instant>,
    progress: ProgressBar,
}

enum Outcome {
    Answered(Result<Answer, Refusal>),
    Abandoned,
    Deleted,
}

/// What ended a wait.
#[derive(Debug, PartialEq, Eq)]
enum Woken {
    Time,
    Event,
    Interrupt,
}

impl Course<'_> {
    async fn follow(mut self, setting: Setting) -> Result<Report, LoadError> {
        let mut interrupted = self.join_all().await;
        if !interrupted {
            interrupted = self.measure().await;
        }
        self.run.interrupted = interrupted;
        self.next_record = None;
        self.workers.iter().for_each(|worker| worker.send(Command::Freeze));
        if self.options.nack == Switch::On && !interrupted {
            self.until(Instant::now() + SETTLE, |_| false).await;
        }
        self.leave_all().await;
        self.progress.finish_and_clear();
        self.run.recorder = Some(self.recorder);
        let mut report = Report::new(setting, self.run);
        for requirement in &self.options.require {
            let figure = report.figure(requirement.figure);
            if !requirement.is_met_by(figure) {
                let measured =
                    figure.map_or("not measured".to_owned(), |figure| format!("measured {figure}"));
                report.missed.push(format!("{requirement} ({measured})"));
            }
        }
        Ok(report)
    }

    /// Phase 1. Returns whether it was interrupted.
    async fn join_all(&mut self) -> bool {
        let began = Instant::now();
        let viewers = u64::from(self.options.viewers);
        while self.run.attempted < viewers {
            let due = began + Duration::from_secs_f64(self.run.attempted as f64 / self.options.rate);
            let now = Instant::now();
            if due <= now {
                self.run.lateness = self.run.lateness.max(now - due);
                self.join(due);
                if !self.attempted_is_multiple_of(16) {
                    continue;
                }
            }
            if self.wait(due.min(Instant::now() + PACE)).await == Woken::Interrupt {
                return true;
            }
        }
        let settled = |run: &Run| run.joined + run.failures.values().sum::<u64>() >= run.attempted;
        let interrupted = self.until(Instant::now() + JOIN_GRACE, settled).await;
        self.run.joining = began.elapsed();
        interrupted
    }

    /// Events are looked at between joins, even when joins are late.
    fn attempted_is_multiple_of(&self, count: u64) -> bool {
        self.run.attempted.is_multiple_of(count)
    }

    /// Phase 2. Returns whether it was interrupted.
    async fn measure(&mut self) -> bool {
        let start = self.mark().await;
        self.recorder.begin_measuring(self.began.elapsed());
        let server_start = Sample::of_all(&self.options.server_pid);
        let began = Instant::now();
        let until = began + self.options.duration;
        let (mut churned, mut abandoned) = (0_u64, 0_u64);
        let due = |count: u64, rate: f64| {
            if rate > 0.0 { began + Duration::from_secs_f64((count + 1) as f64 / rate) } else { until }
        };
        let mut interrupted = false;
        while Instant::now() < until && !interrupted {
            let now = Instant::now();
            if due(churned, self.options.churn) <= now {
                churned += 1;
                self.replace_one();
            }
            if due(abandoned, self.options.abandon) <= now {
                abandoned += 1;
                self.abandon();
            }
            let next = due(churned, self.options.churn).min(due(abandoned, self.options.abandon)).min(until);
            interrupted = self.wait(next).await == Woken::Interrupt;
        }
        let server_end = Sample::of_all(&self.options.server_pid);
        let length = began.elapsed();
        let end = self.mark().await;
        self.record_last();
        self.run.window = Some(Window {
            length,
            workers: start.into_iter().zip(end).collect(),
            server: server_start.zip(server_end),
        });
        interrupted
    }

    /// Phase 4.
    async fn leave_all(&mut self) {
        // From here on it is no failure to end.
        self.watching.clear();
        let ids: Vec<u32> = self.places.keys().copied().collect();
        ids.into_iter().for_each(|id| self.delete(id));
        let deadline = Instant::now() + END;
        while !self.requests.is_empty() && self.wait(deadline).await == Woken::Event {}
        self.workers.iter().for_each(|worker| worker.send(Command::Stop));
        let deadline = Instant::now() + END;
        while self.stopped < self.workers.len() && self.wait(deadline).await == Woken::Event {}
    }

    /// Asks all workers what they have counted, and waits for it.
    async fn mark(&mut self) -> Vec<Mark> {
        self.workers.iter().for_each(|worker| worker.send(Command::Mark));
        let mut marks: BTreeMap<usize, Mark> = BTreeMap::new();
        let deadline = tokio::time::Instant::from_std(Instant::now() + END);
        while marks.len() < self.workers.len() {
            match tokio::time::timeout_at(deadline, self.events.recv()).await {
                Ok(Some(Event::Marked(index, mark))) => {
                    self.marks[index] = mark;
                    marks.insert(index, mark);
                }
                Ok(Some(event)) => self.handle_event(event),
                Ok(None) | Err(_) => break,
            }
        }
        (0..self.workers.len()).map(|index| marks.get(&index).copied().unwrap_or(self.marks[index])).collect()
    }

    /// Waits until a time, or until what the workers told is enough. Returns whether it was interrupted.
    async fn until(&mut self, deadline: Instant, enough: impl Fn(&Run) -> bool) -> bool {
        while !enough(&self.run) {
            match self.wait(deadline).await {
                Woken::Event => {}
                Woken::Time => return false,
                Woken::Interrupt => return true,
            }
        }
        false
    }

    /// Waits for the next event, at most until a time.
    async fn wait(&mut self, deadline: Instant) -> Woken {
        let record = self.next_record;
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => return Woken::Interrupt,
            () = at(record) => self.record(),
            event = self.events.recv() => match event {
                Some(event) => self.handle_event(event),
                None => return Woken::Time,
            },
            Some(Ok((id, outcome))) = self.requests.join_next() => self.handle_outcome(id, outcome),
            () = tokio::time::sleep_until(deadline.into()) => return Woken::Time,
        }
        Woken::Event
    }
}

/// Waits until then, or for ever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
