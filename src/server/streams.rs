//! The streams of a running server: those of its configuration, and of the next one.
//!
//! Owns the difference between the two: what is new begins, what is gone ends with those who watch it, what is fed from
//! something else goes on under its numbers, and nothing else notices.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sluice_config::{Config, OnDemand, Reach, Rtsp, Source, Stream as Settings, StreamKey, StreamName};
use tokio::sync::mpsc;

use crate::contain::lock;
use crate::count::EndReason;
use crate::operator::change::Streams as Changes;
use crate::session::table::Sessions;
use crate::shard::command::Command;
use crate::source;
use crate::source::rtsp::memory::{Memory, Record};
use crate::stream::{HIGH, Ingest, LOW, Orders, Origin, Registry, Stream};
use crate::supervise::{Ends, Task, Watched};

/// Starts, changes and ends streams.
pub struct Streams {
    registry: Arc<Registry>,
    sessions: Arc<Sessions>,
    ends: Arc<Ends>,
    /// What is remembered of cameras that nobody reads.
    pub(super) memory: Arc<Memory>,
    /// Copied to the thread of each source, which drops it when it ends; gone once the server stops.
    running: Mutex<Option<mpsc::Sender<()>>>,
}

impl Streams {
    /// Without streams. What it gives besides is closed when, after [`Streams::stop`], the last source has ended.
    pub fn new(
        registry: Arc<Registry>,
        sessions: Arc<Sessions>,
        ends: Arc<Ends>,
    ) -> (Streams, mpsc::Receiver<()>) {
        let (running, all_ended) = mpsc::channel(1);
        let memory = Arc::default();
        (Streams { registry, sessions, ends, memory, running: Mutex::new(Some(running)) }, all_ended)
    }

    /// Makes the streams those of `config`; of those for which `is_by_api` holds, cameras must be where the API may name
    /// some.
    ///
    /// # Errors
    ///
    /// The kernel gives no thread for a source: that stream and those behind it are left as they were.
    pub fn apply(&self, config: &Config, is_by_api: impl Fn(&StreamKey) -> bool) -> std::io::Result<Changes> {
        let mut changes = Changes::default();
        let wanted: BTreeSet<&str> = config.streams.keys().map(StreamName::as_str).collect();
        for stream in self.registry.streams() {
            if stream.pattern.is_some() {
                match made(config, &stream.name, &is_by_api) {
                    Some((pattern, (high, low))) if stream.pattern.as_deref() == Some(&*pattern) => {
                        let changed = stream.change(HIGH, high);
                        if self.change_low(&stream, low)? || changed {
                            changes.changed.push(stream.name.clone());
                        }
                    }
                    // It is made anew for who asks again.
                    _ => {
                        self.remove(&stream.name);
                        changes.removed.push(stream.name.clone());
                    }
                }
            } else if !wanted.contains(stream.name.as_str()) {
                self.remove(&stream.name);
                changes.removed.push(stream.name.clone());
            }
        }
        for (name, settings) in &config.streams {
            let (high, low) = origins(config, settings, is_by_api(&name.clone().into()));
            match self.registry.stream(name.as_str()) {
                Some(stream) => {
                    let changed = stream.change(HIGH, high);
                    if self.change_low(&stream, low)? || changed {
                        changes.changed.push(name.to_string());
                    }
                }
                None => {
                    self.add(name.as_str(), high, low)?;
                    changes.added.push(name.to_string());
                }
            }
        }
        Ok(changes)
    }

    /// Ends every source. Their viewers are told by their shards.
    pub fn stop(&self) {
        lock(&self.running).take();
        self.registry.streams().iter().for_each(|stream| stream.stop());
    }

    fn add(&self, name: &str, high: Origin, low: Option<Origin>) -> std::io::Result<()> {
        match self.registry.add(name, high) {
            Some((stream, orders)) => self.begin(&stream, orders, low),
            None => Ok(()),
        }
    }

    /// Starts the sources of a stream that was just added; it goes again where that fails.
    pub(super) fn begin(
        &self,
        stream: &Arc<Stream>,
        high: Orders,
        low: Option<Origin>,
    ) -> std::io::Result<()> {
        let started = self.start(stream, HIGH, high).and_then(|()| self.change_low(stream, low));
        started.inspect_err(|_| drop(self.registry.remove(&stream.name)))?;
        Ok(())
    }

    /// Makes the low layer of a stream what is fed from `origin`, or none. Returns whether that is news.
    fn change_low(&self, stream: &Arc<Stream>, origin: Option<Origin>) -> std::io::Result<bool> {
        let Some(origin) = origin else { return Ok(stream.remove_low()) };
        if stream.is_pair() {
            return Ok(stream.change(LOW, origin));
        }
        let Some(orders) = stream.add_low(origin) else { return Ok(false) };
        self.start(stream, LOW, orders).inspect_err(|_| {
            stream.remove_low();
        })?;
        Ok(true)
    }

    /// Starts the source of a layer.
    fn start(&self, stream: &Arc<Stream>, number: u8, mut orders: Orders) -> std::io::Result<()> {
        let (Some(running), Some(layer)) = (lock(&self.running).clone(), stream.layer(number)) else {
            return Ok(());
        };
        let name = stream.title(number);
        let (registry, kept) = (self.registry.clone(), stream.clone());
        let feed = Ingest::new(stream.clone(), layer.clone(), (rand::random(), rand::random()));
        let memory = self.memory.clone();
        let record = Record { memory, is_made: stream.pattern.is_some(), ..Record::default() };
        let watched = Watched::new(Task::Source, &name, orders.stop(), self.ends.clone());
        source::thread::start((stream.clone(), layer), feed, watched, running, async move |feed| {
            source::run(&name, feed, &mut orders, &record, || registry.retire(&kept)).await;
        })
    }

    fn remove(&self, name: &str) {
        let Some(stream) = self.registry.remove(name) else { return };
        self.sessions.admission.forget(stream.id);
        for (session, shard) in self.sessions.of_stream(stream.id) {
            if shard.command(Command::End(session, EndReason::StreamRemoved)).is_err() {
                // It gets no more media, and goes when its player gives up.
                tracing::warn!(stream = name, ?session, "a viewer of a removed stream could not be ended");
            }
        }
    }
}

/// What a stream is fed from that is made for `name`, and the pattern that it is made by.
pub(super) fn made(
    config: &Config,
    name: &str,
    is_by_api: impl Fn(&StreamKey) -> bool,
) -> Option<(String, (Origin, Option<Origin>))> {
    let (pattern, settings) = config.made(name)?;
    let by_api = is_by_api(&StreamKey::Pattern(pattern.clone()));
    Some((pattern.as_str().to_owned(), origins(config, &settings, by_api)))
}

/// What the layers of a stream are fed from: the high one, and the low one if there is one.
fn origins(config: &Config, settings: &Settings, by_api: bool) -> (Origin, Option<Origin>) {
    let reach = by_api.then(|| Reach(config.admin.sources.clone()));
    let (high, low) = settings.source.layers();
    let origin = |source| origin(config, settings, source, reach.clone());
    (origin(high), low.map(origin))
}

/// What a layer of a stream is fed from. The demo is no camera: how those are pulled is nothing to it.
fn origin(config: &Config, settings: &Settings, source: Source, reach: Option<Reach>) -> Origin {
    let rtsp = match source {
        Source::Rtsp(_) | Source::Pair { .. } => Rtsp { reach, ..config.rtsp_of(settings) },
        Source::Demo => Rtsp::default(),
    };
    let on_demand = config.on_demand_of(settings);
    // How one on demand is woken is nothing to others.
    let on_demand = if on_demand.enabled { on_demand } else { OnDemand::default() };
    Origin { source, rtsp, on_demand }
}
