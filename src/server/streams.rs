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
use crate::stream::{Ingest, Orders, Origin, Registry, Stream};
use crate::supervise::{Ends, Task, Watched};

/// Starts, changes and ends streams.
pub struct Streams {
    registry: Arc<Registry>,
    sessions: Arc<Sessions>,
    ends: Arc<Ends>,
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
        (Streams { registry, sessions, ends, running: Mutex::new(Some(running)) }, all_ended)
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
                    Some((pattern, origin)) if stream.pattern.as_deref() == Some(&*pattern) => {
                        if stream.change(origin) {
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
            let reach = is_by_api(&name.clone().into()).then(|| Reach(config.admin.sources.clone()));
            let origin = origin(config, settings, reach);
            match self.registry.stream(name.as_str()) {
                Some(stream) if stream.change(origin.clone()) => changes.changed.push(name.to_string()),
                Some(_) => {}
                None => {
                    self.add(name.as_str(), origin)?;
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

    fn add(&self, name: &str, origin: Origin) -> std::io::Result<()> {
        match self.registry.add(name, origin) {
            Some((stream, orders)) => self.start(stream, orders),
            None => Ok(()),
        }
    }

    /// Starts the source of a stream that was just added; it goes again where that fails.
    pub(super) fn start(&self, stream: Arc<Stream>, mut orders: Orders) -> std::io::Result<()> {
        let Some(running) = lock(&self.running).clone() else { return Ok(()) };
        let name = stream.name.clone();
        let (registry, kept) = (self.registry.clone(), stream.clone());
        let feed = Ingest::new(stream.clone(), (rand::random(), rand::random()));
        let watched = Watched::new(Task::Source, &*name, orders.stop(), self.ends.clone());
        let run_name = name.clone();
        let started = source::thread::start(stream, feed, watched, running, async move |feed| {
            source::run(&run_name, feed, &mut orders, || registry.retire(&kept)).await;
        });
        started.inspect_err(|_| drop(self.registry.remove(&name)))
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
) -> Option<(String, Origin)> {
    let (pattern, settings) = config.made(name)?;
    let by_api = is_by_api(&StreamKey::Pattern(pattern.clone()));
    let reach = by_api.then(|| Reach(config.admin.sources.clone()));
    Some((pattern.as_str().to_owned(), origin(config, &settings, reach)))
}

/// What a stream is fed from. The demo is no camera: how those are pulled is nothing to it.
fn origin(config: &Config, settings: &Settings, reach: Option<Reach>) -> Origin {
    let rtsp = match settings.source {
        Source::Rtsp(_) => Rtsp { reach, ..config.rtsp_of(settings) },
        Source::Demo => Rtsp::default(),
    };
    let on_demand = config.on_demand_of(settings);
    // How one on demand is woken is nothing to others.
    let on_demand = if on_demand.enabled { on_demand } else { OnDemand::default() };
    Origin { source: settings.source.clone(), rtsp, on_demand }
}
