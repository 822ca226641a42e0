//! One layer of a stream: an encoding of its video, with a source of its own.
//!
//! Owns the state of that source, the handle to it, what it counts, and its newest picture as a file, each part under a
//! short lock of its own. Knows neither the other layer nor who watches.

use std::sync::{Arc, Mutex, RwLock};
use std::time::{Instant, SystemTime};

use sluice_media::AudioCodec;

use super::handle::SourceHandle;
use super::trouble::{Seen, Watch};
use super::{Formats, KeptStill, Orders, Origin, SourceState, Status, StreamCounters, Wishes};
use crate::contain::{lock, read, write};
use crate::id::LayerId;

/// One layer.
pub struct Layer {
    /// Its number on the data plane.
    pub id: LayerId,
    /// What it counts.
    pub counters: StreamCounters,
    /// Its newest picture, for those who ask.
    pub still: KeptStill,
    source: SourceHandle,
    status: RwLock<Status>,
    watch: Mutex<Watch>,
}

impl Layer {
    /// One that is fed from `origin` once somebody takes its orders.
    pub(super) fn new(id: LayerId, origin: Origin) -> (Arc<Layer>, Orders) {
        let state = if origin.on_demand.enabled { SourceState::Idle } else { SourceState::Connecting };
        let (source, orders) = SourceHandle::new(origin);
        let layer = Layer {
            id,
            counters: StreamCounters::default(),
            still: KeptStill::default(),
            source,
            status: RwLock::new(Status { state, ..Status::default() }),
            watch: Mutex::default(),
        };
        (Arc::new(layer), orders)
    }

    /// What it is called: `high`, `low`.
    pub fn name(&self) -> &'static str {
        self.id.name()
    }

    /// What it is fed from, and how. Holds credentials that cannot be printed.
    pub fn origin(&self) -> Arc<Origin> {
        self.source.origin()
    }

    /// Where it comes from, without credentials.
    pub fn source(&self) -> String {
        self.origin().source.label()
    }

    /// It is fed from something else, or otherwise, from now on. Returns whether that is news.
    pub(super) fn change(&self, origin: Origin) -> bool {
        self.source.change(origin)
    }

    /// How often that was changed.
    pub(super) fn changes(&self) -> u64 {
        self.source.changes()
    }

    /// Whether anybody wants it.
    pub(super) fn is_wanted(&self) -> bool {
        self.source.is_wanted()
    }

    /// One more wants it, and a source on demand runs.
    pub(super) fn hold(&self) {
        self.source.hold();
    }

    /// One of them wants it no more.
    pub(super) fn let_go(&self) {
        self.source.let_go();
    }

    /// Its source ends.
    pub(super) fn stop(&self) {
        self.source.stop();
    }

    /// Whether that was told it.
    pub(super) fn is_stopped(&self) -> bool {
        self.source.is_stopped()
    }

    /// What people want of its source.
    pub(super) fn wishes(&self) -> &Wishes {
        self.source.wishes()
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        read(&self.status).clone()
    }

    /// Changes what it is doing.
    pub(super) fn update(&self, change: impl FnOnce(&mut Status)) {
        let mut status = write(&self.status);
        let rested = status.state == SourceState::Idle;
        change(&mut status);
        if rested && status.state != SourceState::Idle {
            self.counters.wakes.add_shared(1);
        }
    }

    /// What a viewer of it takes, in bits a second.
    pub fn bits(&self) -> u64 {
        self.counters.rate.get().unwrap_or(0.0) as u64
    }

    /// Whether whoever comes now gets pictures.
    pub fn shows(&self) -> bool {
        let status = read(&self.status);
        status.playable().is_some_and(|formats| formats.video.is_some())
    }

    /// Whether whoever comes now gets something.
    pub fn plays(&self) -> bool {
        read(&self.status).playable().is_some()
    }

    /// What whoever comes now hears, if anything.
    pub(super) fn sound(&self) -> Option<AudioCodec> {
        let status = read(&self.status);
        Some(status.playable()?.audio.as_ref()?.codec)
    }

    /// Whether it needs attention, as of the last look.
    pub fn watch(&self) -> Watch {
        *lock(&self.watch)
    }

    /// Looks whether it needs attention; `newest` is when its newest picture came, and `startable` whether a player can
    /// begin now. Gives what it does and what was found, which is of that.
    pub(super) fn look(
        &self,
        (now, date): (Instant, SystemTime),
        newest: Option<Instant>,
        startable: bool,
    ) -> (Status, Watch) {
        let status = self.status();
        let has = |part: fn(&Formats) -> bool| status.formats.as_ref().is_some_and(part);
        // Pictures that nobody could begin with are not kept.
        let starting = matches!(status.state, SourceState::Starting { .. });
        let newest = newest.filter(|_| !starting).or(starting.then_some(now));
        let startable = startable && !starting;
        let seen = Seen {
            idle: status.state == SourceState::Idle,
            playing: starting || status.state == SourceState::Playing,
            failed: status.failure.is_some(),
            video: has(|formats| formats.video.is_some()),
            left_out: has(|formats| formats.video_left_out),
            newest,
            startable,
        };
        let mut watch = lock(&self.watch);
        watch.look(now, date, seen);
        (status, *watch)
    }
}
