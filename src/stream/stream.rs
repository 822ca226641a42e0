//! One stream: its state, its handle to its source, and its way to the shards.
//!
//! Owns what the control plane knows of it, each part under a short lock of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use super::handle::SourceHandle;
use super::pool::Pool;
use super::publisher::Publisher;
use super::trouble::{Seen, Watch};
use super::{Formats, KeptStill, Orders, Origin, SourceState, Status, StreamCounters};
use crate::contain::lock;
use crate::feed::Feed;
use crate::id::{LayerId, StreamId};
use crate::shard::command::{ShardBusy, ShardHandle};
use crate::track::{RecentLimits, Train};

/// One stream.
pub struct Stream {
    /// Its number on the data plane.
    pub id: StreamId,
    /// Its name in URLs.
    pub name: String,
    /// The pattern that it was made by, if nobody has named it.
    pub pattern: Option<String>,
    /// What it counts.
    pub counters: StreamCounters,
    /// Sessions that watch it.
    pub viewers: AtomicUsize,
    /// Its newest picture as a file, for those who ask.
    pub still: KeptStill,
    source: SourceHandle,
    /// Offers that wait for its source.
    waiting: AtomicUsize,
    status: watch::Sender<Status>,
    /// Where changes of its state are told.
    changes_told: Arc<Feed<StateChange>>,
    watch: Mutex<Watch>,
    publisher: Mutex<Publisher>,
    /// Where its sound is turned into Opus, if it has to be.
    pub(super) pool: Arc<Pool>,
}

/// A stream is in another state, or there is none of that name any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// Its name.
    pub stream: String,
    /// What its source does; nothing once it was removed.
    pub state: Option<SourceState>,
}

/// What a stream's ring tells of its video.
#[derive(Debug, Clone, Copy)]
pub struct Ring {
    /// When the newest keyframe came.
    pub keyframe: Option<Instant>,
    /// How long after the one before it.
    pub interval: Option<Duration>,
    /// Trains that went for want of room before their time, since the start.
    pub evicted_early: u64,
}

impl Stream {
    /// A stream that is fed from `origin` once somebody takes its orders.
    pub(super) fn new(
        id: StreamId,
        (name, pattern): (String, Option<String>),
        origin: Origin,
        shards: &[Arc<ShardHandle>],
        limits: RecentLimits,
        changes_told: Arc<Feed<StateChange>>,
        pool: Arc<Pool>,
    ) -> (Arc<Stream>, Orders) {
        let state = if origin.on_demand.enabled { SourceState::Idle } else { SourceState::Connecting };
        let (source, orders) = SourceHandle::new(origin);
        let publisher = Publisher::new(id, shards, limits, source.wishes().keyframe.clone());
        let stream = Stream {
            id,
            name,
            pattern,
            counters: StreamCounters::default(),
            viewers: AtomicUsize::new(0),
            still: KeptStill::default(),
            source,
            waiting: AtomicUsize::new(0),
            status: watch::Sender::new(Status { state, formats: None, failure: None, cause: None }),
            changes_told,
            watch: Mutex::default(),
            publisher: Mutex::new(publisher),
            pool,
        };
        (Arc::new(stream), orders)
    }

    /// What it is fed from, and how. Holds credentials that cannot be printed.
    pub fn origin(&self) -> Arc<Origin> {
        self.source.origin()
    }

    /// Where it comes from, without credentials.
    pub fn source(&self) -> String {
        self.origin().source.label()
    }

    /// It is fed from something else, or otherwise, from now on; viewers stay. Returns whether that is news.
    pub fn change(&self, origin: Origin) -> bool {
        self.source.change(origin)
    }

    /// How often that was changed.
    pub fn changes(&self) -> u64 {
        self.source.changes()
    }

    /// Somebody asks for it and gets no picture: a source that waits tries sooner.
    pub fn want(&self) {
        self.source.wishes().want();
    }

    /// Keeps a source on demand running for somebody who waits for it; it lingers once that is dropped.
    pub fn hold(self: &Arc<Self>) -> Hold {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.source.hold();
        Hold(self.clone())
    }

    /// Whether anybody watches it, or waits for it.
    pub fn is_wanted(&self) -> bool {
        self.source.is_wanted()
    }

    /// How many wait for its source.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Its source ends.
    pub fn stop(&self) {
        self.source.stop();
        // Whoever waits for it waits in vain.
        self.status.send_modify(|_| {});
    }

    /// Whether it is over: nobody may begin to watch it.
    pub fn is_over(&self) -> bool {
        self.source.is_stopped()
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The same for those who wait for another.
    pub fn statuses(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Changes what it is doing.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| {
            let before = status.state.name();
            let rested = status.state == SourceState::Idle;
            change(status);
            if rested && status.state != SourceState::Idle {
                self.counters.wakes.add_shared(1);
            }
            // What a source does that is being let go is nobody's news.
            if status.state.name() != before && !self.is_over() {
                self.changes_told
                    .tell(|| StateChange { stream: self.name.clone(), state: Some(status.state.clone()) });
            }
        });
    }

    /// Whether it needs attention, as of the last look.
    pub fn watch(&self) -> Watch {
        *lock(&self.watch)
    }

    /// Looks whether it needs attention: once a second, and for each list. `now` and `date` are the same moment. Gives
    /// what it does and what was found, which is of that.
    pub fn look(&self, now: Instant, date: SystemTime) -> (Status, Watch) {
        let startable = self.has_start();
        let newest = lock(&self.publisher).recent().latest().map(|train| train.received);
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

    /// The layer that a viewer watches who asks for nothing else.
    pub fn layer(&self) -> LayerId {
        self.id.layer(0)
    }

    /// Sends trains to every shard that has viewers of them, and keeps those of video, which are of `layer`, for
    /// shards that will. Here frames come in that were packetized, and packets that came as packets.
    pub fn publish(&self, layer: LayerId, trains: impl IntoIterator<Item = Arc<Train>>) {
        let mut publisher = lock(&self.publisher);
        trains.into_iter().for_each(|train| publisher.publish(layer, train));
    }

    /// It keeps of the past as much as `limits` say from now on.
    pub(super) fn limit(&self, limits: RecentLimits) {
        lock(&self.publisher).limit(limits);
    }

    /// The trains of its newest keyframe, none before the first. Shards are not asked.
    pub fn newest_keyframe(&self) -> Vec<Arc<Train>> {
        lock(&self.publisher).newest_keyframe().to_vec()
    }

    /// What its ring tells.
    pub fn ring(&self) -> Ring {
        let publisher = lock(&self.publisher);
        let recent = publisher.recent();
        let (keyframe, next) = (recent.keyframe_received(), recent.next_keyframe());
        let interval = keyframe.zip(next).map(|(keyframe, next)| next.saturating_duration_since(keyframe));
        Ring { keyframe, interval, evicted_early: recent.evicted_early() }
    }

    /// Whether there is a keyframe to show.
    pub fn has_picture(&self) -> bool {
        !lock(&self.publisher).newest_keyframe().is_empty()
    }

    /// Whether a viewer that comes now can start before the next keyframe.
    pub fn has_start(&self) -> bool {
        lock(&self.publisher).recent().since_keyframe().is_some()
    }

    /// A viewer of `layer` comes to `shard`: it gets it from now on, and its recent past.
    pub fn subscribe(&self, layer: LayerId, shard: usize) -> Result<(), ShardBusy> {
        lock(&self.publisher).subscribe(layer, shard)?;
        self.viewers.fetch_add(1, Ordering::Relaxed);
        self.source.hold();
        Ok(())
    }

    /// A viewer of `layer` has gone from `shard`.
    pub fn unsubscribe(&self, layer: LayerId, shard: usize) {
        lock(&self.publisher).unsubscribe(layer, shard);
        self.viewers.fetch_sub(1, Ordering::Relaxed);
        self.source.let_go();
    }

    /// Nothing comes until somebody wants it: of the past its newest keyframe stays.
    pub(super) fn rest(&self) {
        lock(&self.publisher).forget();
    }
}

/// Somebody waits for a stream's source: while there is one, a source on demand runs.
pub struct Hold(Arc<Stream>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.source.let_go();
    }
}
