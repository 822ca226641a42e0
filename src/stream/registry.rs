//! Streams by name: their state, and the fan-out of each to the shards that have viewers of it.
//!
//! Owns the recent past of every track (a new shard starts from it) and the count of viewers per
//! shard, under one short lock per stream. Never knows single viewers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant, SystemTime};

use sluice_media::Kind;

use super::trouble::{Seen, Watch};
use super::{Cause, Formats, KeptStill, SourceState, StreamCounters};
use crate::contain::{lock, read, write};
use crate::id::{LayerId, StreamId};
use crate::shard::command::{Media, QueueShare, ShardBusy, ShardHandle};
use crate::track::{Recent, RecentLimits, TrackSeq, Train};

/// All streams of this process.
pub struct Registry {
    by_name: BTreeMap<String, Arc<Stream>>,
}

/// One stream.
pub struct Stream {
    /// Its number on the data plane.
    pub id: StreamId,
    /// Its name in URLs.
    pub name: String,
    /// Where it comes from, without credentials.
    pub source: String,
    /// What it counts.
    pub counters: StreamCounters,
    /// Sessions that watch it.
    pub viewers: AtomicUsize,
    /// Its newest picture as a file, for those who ask.
    pub still: KeptStill,
    status: RwLock<Status>,
    watch: Mutex<Watch>,
    publisher: Mutex<Publisher>,
}

/// What a stream is doing, and what it carries.
#[derive(Debug, Clone)]
pub struct Status {
    /// What its source does.
    pub state: SourceState,
    /// What it carries, as of the last time it played.
    pub formats: Option<Formats>,
    /// Why there is no picture, until there is one: it stays while the next attempt is made.
    pub failure: Option<String>,
    /// What kind of thing keeps its source away, as long as that is so.
    pub cause: Option<Cause>,
}

impl Status {
    /// Its source does something else now.
    pub fn enter(&mut self, state: SourceState) {
        match &state {
            SourceState::Connecting => {}
            SourceState::Starting { why } => self.failure = Some(why.clone()),
            SourceState::Playing => self.failure = None,
            SourceState::Waiting { error, .. } => self.failure = Some(error.clone()),
        }
        match &state {
            SourceState::Connecting => {}
            SourceState::Starting { .. } | SourceState::Playing => self.cause = None,
            SourceState::Waiting { cause, .. } => self.cause = Some(*cause),
        }
        self.state = state;
    }

    /// The formats, if viewers can be answered now.
    pub fn playable(&self) -> Option<&Formats> {
        match self.state {
            SourceState::Playing => self.formats.as_ref(),
            _ => None,
        }
    }
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

struct Publisher {
    /// Encodings of its video, by number. A camera has one.
    layers: Vec<Published>,
    /// The ways to the shards, by number.
    ways: Vec<Way>,
}

/// One layer.
struct Published {
    recent: Recent,
    /// How many watch it, by shard.
    viewers: Vec<usize>,
}

/// The way to one shard.
struct Way {
    shard: Arc<ShardHandle>,
    /// Of the shard's queue.
    share: QueueShare,
}

impl Way {
    /// A full queue drops and counts; the ring's gap makes viewers wait for a keyframe.
    fn offer(&self, media: Media) {
        let _ = self.shard.media(media, &self.share);
    }
}

impl Registry {
    /// A registry of the given streams, by name and source label, which fan out to `shards`.
    pub fn new(
        streams: impl IntoIterator<Item = (String, String)>,
        shards: &[Arc<ShardHandle>],
        limits: RecentLimits,
    ) -> Registry {
        let made = streams.into_iter().enumerate().map(|(index, (name, source))| {
            let ways = shards.iter().map(|shard| Way { shard: shard.clone(), share: QueueShare::default() });
            let layer = Published { recent: Recent::new(limits), viewers: vec![0; shards.len()] };
            let stream = Stream {
                id: StreamId(index as u32),
                name: name.clone(),
                source,
                counters: StreamCounters::default(),
                viewers: AtomicUsize::new(0),
                still: KeptStill::default(),
                status: RwLock::new(Status {
                    state: SourceState::Connecting,
                    formats: None,
                    failure: None,
                    cause: None,
                }),
                watch: Mutex::default(),
                publisher: Mutex::new(Publisher { layers: vec![layer], ways: ways.collect() }),
            };
            (name, Arc::new(stream))
        });
        Registry { by_name: made.collect() }
    }

    /// The stream of that name.
    pub fn stream(&self, name: &str) -> Option<&Arc<Stream>> {
        self.by_name.get(name)
    }

    /// All streams, by name.
    pub fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.by_name.values()
    }
}

impl Stream {
    /// What it is doing.
    pub fn status(&self) -> Status {
        read(&self.status).clone()
    }

    /// Changes what it is doing.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut write(&self.status));
    }

    /// Whether it needs attention, as of the last look.
    pub fn watch(&self) -> Watch {
        *lock(&self.watch)
    }

    /// Looks whether it needs attention: once a second. `now` and `date` are the same moment.
    pub fn look(&self, now: Instant, date: SystemTime) {
        let startable = self.has_start();
        let newest = lock(&self.publisher).layers[0].recent.latest().map(|train| train.received);
        let status = self.status();
        let has = |part: fn(&Formats) -> bool| status.formats.as_ref().is_some_and(part);
        // Pictures that nobody could begin with are not kept.
        let starting = matches!(status.state, SourceState::Starting { .. });
        let newest = newest.filter(|_| !starting).or(starting.then_some(now));
        let startable = startable && !starting;
        let seen = Seen {
            playing: starting || status.state == SourceState::Playing,
            failed: status.failure.is_some(),
            video: has(|formats| formats.video.is_some()),
            left_out: has(|formats| !formats.notes.is_empty()),
            newest,
            startable,
        };
        lock(&self.watch).look(now, date, seen);
    }

    /// The layer that a viewer watches who asks for nothing else.
    pub fn layer(&self) -> LayerId {
        self.id.layer(0)
    }

    /// Sends trains to every shard that has viewers of them, and keeps those of video, which are of `layer`, for
    /// shards that will.
    pub fn publish(&self, layer: LayerId, trains: impl IntoIterator<Item = Arc<Train>>) {
        let mut publisher = lock(&self.publisher);
        let Publisher { layers, ways } = &mut *publisher;
        for train in trains {
            match train.codec.kind() {
                Kind::Video => {
                    let Published { recent, viewers } = &mut layers[usize::from(layer.number)];
                    for (way, _) in ways.iter().zip(viewers).filter(|(_, viewers)| **viewers > 0) {
                        way.offer(Media::Picture { layer, train: train.clone() });
                    }
                    recent.push(train);
                }
                Kind::Audio => {
                    let heard = |shard: usize| layers.iter().any(|layer| layer.viewers[shard] > 0);
                    for (_, way) in ways.iter().enumerate().filter(|(shard, _)| heard(*shard)) {
                        way.offer(Media::Sound { stream: self.id, train: train.clone() });
                    }
                }
            }
        }
    }

    /// The trains of its newest keyframe, none before the first. Shards are not asked.
    pub fn newest_keyframe(&self) -> Vec<Arc<Train>> {
        lock(&self.publisher).layers[0].recent.newest_keyframe()
    }

    /// What its ring tells.
    pub fn ring(&self) -> Ring {
        let publisher = lock(&self.publisher);
        let recent = &publisher.layers[0].recent;
        let (keyframe, next) = (recent.keyframe_received(), recent.next_keyframe());
        let interval = keyframe.zip(next).map(|(keyframe, next)| next.saturating_duration_since(keyframe));
        Ring { keyframe, interval, evicted_early: recent.evicted_early() }
    }

    /// Whether there is a keyframe to show.
    pub fn has_picture(&self) -> bool {
        !self.newest_keyframe().is_empty()
    }

    /// Whether a viewer that comes now can start before the next keyframe.
    pub fn has_start(&self) -> bool {
        lock(&self.publisher).layers[0].recent.since_keyframe().is_some()
    }

    /// A viewer of `layer` comes to `shard`: it gets it from now on, and its recent past.
    pub fn subscribe(&self, layer: LayerId, shard: usize) -> Result<(), ShardBusy> {
        let mut publisher = lock(&self.publisher);
        let Publisher { layers, ways } = &mut *publisher;
        let Published { recent, viewers } = &mut layers[usize::from(layer.number)];
        if viewers[shard] == 0 {
            let from = recent.since_keyframe().unwrap_or(TrackSeq(u64::MAX));
            let recent = recent.trains_from(from).cloned().collect();
            let Way { shard, share } = &ways[shard];
            shard.media(Media::Subscribe { layer, recent }, share)?;
        }
        viewers[shard] += 1;
        self.viewers.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A viewer of `layer` has gone from `shard`.
    pub fn unsubscribe(&self, layer: LayerId, shard: usize) {
        let mut publisher = lock(&self.publisher);
        let Publisher { layers, ways } = &mut *publisher;
        let viewers = &mut layers[usize::from(layer.number)].viewers[shard];
        *viewers = viewers.saturating_sub(1);
        if *viewers == 0 {
            // If this does not fit, the shard keeps one stale ring, bounded, until the next viewer.
            ways[shard].offer(Media::Unsubscribe { layer });
        }
        self.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
