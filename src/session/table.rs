//! WHEP sessions: the HTTP resources of viewers, and the books that go with them.
//!
//! Owns the table from session to shard. An entry lives from the answer to the shard's word that the
//! viewer is over; until that word a deleted session is only marked, so that nothing is counted
//! twice or never. Never knows HTTP.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::admission::{Admission, Place};
use super::offer::RefusedOffers;
use crate::contain::lock;
use crate::id::{LayerId, SessionId, StreamId};
use crate::shard::News;
use crate::shard::command::ShardHandle;
use crate::stream::Stream;

/// All sessions of this process.
pub struct Sessions {
    /// The door that they come in by.
    pub admission: Arc<Admission>,
    /// Offers that did not become one.
    pub refused: RefusedOffers,
    table: Mutex<HashMap<SessionId, Session>>,
}

/// One session.
#[derive(Clone)]
pub struct Session {
    /// What it watches.
    pub stream: Arc<Stream>,
    /// In which encoding.
    pub layer: LayerId,
    /// Where its viewer lives.
    pub shard: Arc<ShardHandle>,
    /// Its place in the house, given back with the last copy of this.
    pub place: Arc<Place>,
    /// Entity tag of the current ICE session, with its quotes (RFC 9725 §4.3.1).
    pub etag: String,
    /// The peer's current ICE user name fragments.
    pub remote_ufrags: Vec<String>,
    /// Tags of the sections that carry something.
    pub mids: Vec<String>,
    /// Deleted by the client; its viewer is about to go.
    deleted: bool,
}

impl Session {
    /// A session that was just answered.
    pub fn new(
        stream: Arc<Stream>,
        layer: LayerId,
        shard: Arc<ShardHandle>,
        place: Place,
        etag: String,
        remote_ufrags: Vec<String>,
        mids: Vec<String>,
    ) -> Session {
        Session { stream, layer, shard, place: Arc::new(place), etag, remote_ufrags, mids, deleted: false }
    }
}

impl Sessions {
    /// No sessions, behind this door.
    pub fn new(admission: Arc<Admission>) -> Sessions {
        Sessions { admission, refused: RefusedOffers::default(), table: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Session>> {
        lock(&self.table)
    }

    /// Sessions, those about to go too.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes a session down. Its viewer has been counted by [`Stream::subscribe`].
    pub fn insert(&self, id: SessionId, session: Session) {
        session.shard.viewers.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, session);
    }

    /// The session, if it exists on that stream and was not deleted.
    pub fn session(&self, id: SessionId, stream: &str) -> Option<Session> {
        self.lock().get(&id).filter(|session| !session.deleted && session.stream.name == stream).cloned()
    }

    /// Marks a session as deleted: it is gone for every later request.
    pub fn mark_deleted(&self, id: SessionId) {
        if let Some(session) = self.lock().get_mut(&id) {
            session.deleted = true;
        }
    }

    /// A session restarted ICE.
    pub fn restarted(&self, id: SessionId, etag: String, remote_ufrags: Vec<String>) {
        if let Some(session) = self.lock().get_mut(&id) {
            session.etag = etag;
            session.remote_ufrags = remote_ufrags;
        }
    }

    /// A shard says that a viewer is over, or a join failed: the session goes from all books.
    pub fn end(&self, id: SessionId) {
        let Some(session) = self.lock().remove(&id) else { return };
        session.shard.viewers.fetch_sub(1, Ordering::Relaxed);
        session.stream.unsubscribe(session.layer, session.shard.index);
    }

    /// Sessions that watch a stream and were not deleted, each with the shard where its viewer lives.
    pub fn of_stream(&self, stream: StreamId) -> Vec<(SessionId, Arc<ShardHandle>)> {
        let of_stream = |(id, session): (&SessionId, &Session)| {
            (session.stream.id == stream && !session.deleted).then(|| (*id, session.shard.clone()))
        };
        self.lock().iter().filter_map(of_stream).collect()
    }

    /// A shard has lost its viewers: their sessions go from all books. Returns how many there were.
    pub fn end_of_shard(&self, shard: usize) -> usize {
        let of_shard = |(id, session): (&SessionId, &Session)| (session.shard.index == shard).then_some(*id);
        let lost: Vec<SessionId> = self.lock().iter().filter_map(of_shard).collect();
        lost.iter().for_each(|id| self.end(*id));
        lost.len()
    }

    /// What a shard tells of a viewer.
    pub fn hear(&self, news: &News) {
        match news {
            News::Connected(id) => {
                let place = self.lock().get(id).map(|session| session.place.clone());
                place.inspect(|place| place.connected());
            }
            News::Ended(ended) => {
                tracing::debug!(session = ?ended.session, reason = ended.reason.label(), connected = ended.connected, "viewer ended");
                self.end(ended.session);
            }
        }
    }
}
