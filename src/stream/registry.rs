//! Streams by name, which come and go while others play.
//!
//! Owns which names there are, and that no number is ever used twice. Never starts a source: whoever adds a stream gets
//! the [`Orders`] of its source.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, RwLock};

use super::pool::Pool;
use super::{Orders, Origin, StateChange, Stream};
use crate::contain::{read, write};
use crate::current::Current;
use crate::feed::Feed;
use crate::id::StreamId;
use crate::shard::command::ShardHandle;
use crate::track::RecentLimits;

/// All streams of this process.
pub struct Registry {
    by_name: RwLock<BTreeMap<String, Arc<Stream>>>,
    next: AtomicU32,
    shards: Vec<Arc<ShardHandle>>,
    limits: Current<RecentLimits>,
    /// Of all streams together.
    pool: Arc<Pool>,
    /// Where streams tell that they are in another state.
    pub changes: Arc<Feed<StateChange>>,
}

impl Registry {
    /// Without streams; those to come fan out to `shards`, and keep of the past what `limits` say.
    pub fn new(shards: &[Arc<ShardHandle>], limits: RecentLimits) -> Registry {
        let (by_name, next) = (RwLock::default(), AtomicU32::new(0));
        Registry {
            by_name,
            next,
            shards: shards.to_vec(),
            limits: Current::new(limits),
            pool: Arc::default(),
            changes: Arc::default(),
        }
    }

    /// Streams keep of the past as much as `limits` say from now on, those to come and those that there are.
    pub fn limit(&self, limits: RecentLimits) {
        let by_name = read(&self.by_name);
        self.limits.set(limits);
        by_name.values().for_each(|stream| stream.limit(limits));
    }

    /// Adds a stream that is fed from `origin`; nothing if there is one of that name.
    pub fn add(&self, name: &str, origin: Origin) -> Option<(Arc<Stream>, Orders)> {
        self.insert(name, None, origin)
    }

    /// The same of one that is made by a pattern.
    pub fn make(&self, name: &str, pattern: &str, origin: Origin) -> Option<(Arc<Stream>, Orders)> {
        self.insert(name, Some(pattern.to_owned()), origin)
    }

    fn insert(&self, name: &str, pattern: Option<String>, origin: Origin) -> Option<(Arc<Stream>, Orders)> {
        let mut by_name = write(&self.by_name);
        if by_name.contains_key(name) {
            return None;
        }
        let id = StreamId(self.next.fetch_add(1, Ordering::Relaxed));
        let (limits, changes) = (self.limits.get(), self.changes.clone());
        let (stream, orders) = Stream::new(
            id,
            (name.to_owned(), pattern),
            origin,
            &self.shards,
            limits,
            changes,
            self.pool.clone(),
        );
        by_name.insert(name.to_owned(), stream.clone());
        self.changes.tell(|| StateChange { stream: name.to_owned(), state: Some(stream.status().state) });
        Some((stream, orders))
    }

    /// Takes a stream away and stops its source. Those who watch it hold it until they have gone.
    pub fn remove(&self, name: &str) -> Option<Arc<Stream>> {
        let removed = write(&self.by_name).remove(name)?;
        removed.stop();
        self.changes.tell(|| StateChange { stream: name.to_owned(), state: None });
        Some(removed)
    }

    /// Takes a stream that was made away, unless somebody wants it. Whoever finds it later than that finds it over.
    pub fn retire(&self, stream: &Arc<Stream>) -> bool {
        let mut by_name = write(&self.by_name);
        let is_there = by_name.get(&stream.name).is_some_and(|there| Arc::ptr_eq(there, stream));
        if !is_there || stream.pattern.is_none() || stream.is_wanted() {
            return false;
        }
        by_name.remove(&stream.name);
        stream.stop();
        self.changes.tell(|| StateChange { stream: stream.name.clone(), state: None });
        true
    }

    /// The stream of that name.
    pub fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        read(&self.by_name).get(name).cloned()
    }

    /// All streams, by name.
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        read(&self.by_name).values().cloned().collect()
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
