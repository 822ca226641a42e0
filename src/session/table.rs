//! WHEP sessions: the HTTP resources of viewers, and the books that go with them.
//!
//! Owns the table from session to shard. An entry lives from the answer to the shard's word that the
//! viewer is over; until that word a session that ends is only marked, so that nothing is counted
//! twice or never. Never knows HTTP.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::admission::{Admission, Place};
use super::agreed::Agreed;
use super::gone::{Gone, Graves};
use super::offer::RefusedOffers;
use super::right::Right;
use super::visitor::Visitor;
use crate::contain::lock;
use crate::count::{Cell, EndReason};
use crate::feed::Feed;
use crate::id::{LayerId, SessionId, ShortId, StreamId};
use crate::shard::News;
use crate::shard::command::{ShardBusy, ShardHandle};
use crate::shard::weight::Weight;
use crate::stream::{Formats, Layer, Stream};

/// All sessions of this process.
pub struct Sessions {
    /// The door that they come in by.
    pub admission: Arc<Admission>,
    /// Sessions that were ever written down.
    pub answered: Cell,
    /// Offers that did not become one.
    pub refused: RefusedOffers,
    /// Where it is told that they begin, connect and end.
    pub happens: Feed<Happened>,
    table: Mutex<HashMap<SessionId, Session>>,
    gone: Mutex<Graves>,
}

/// Something happened to a session.
#[derive(Debug, Clone)]
pub struct Happened {
    /// Which.
    pub id: ShortId,
    /// What it watches.
    pub stream: String,
    /// Whom the offer came from.
    pub address: IpAddr,
    /// What.
    pub what: What,
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Its offer was answered.
    Began,
    /// ICE and DTLS are up.
    Connected,
    /// It is over.
    Ended(EndReason),
}

/// One session.
#[derive(Clone)]
pub struct Session {
    /// What it watches.
    pub stream: Arc<Stream>,
    /// The layer that it is counted for: that one, or another one that it can be shown.
    pub layer: LayerId,
    /// The number of the layer that it wants.
    pub wanted: u8,
    /// When it chose another than it had.
    pub chose: Option<Instant>,
    /// Where its viewer lives.
    pub shard: Arc<ShardHandle>,
    /// Who asked for it.
    pub visitor: Visitor,
    /// By what right.
    pub right: Right,
    /// Its place in the house, given back with the last copy of this.
    pub place: Arc<Place>,
    /// Entity tag of the current ICE session, with its quotes (RFC 9725 §4.3.1).
    pub etag: String,
    /// The peer's current ICE user name fragments.
    pub remote_ufrags: Vec<String>,
    /// Tags of the sections that carry something.
    pub mids: Vec<String>,
    /// What they carry.
    pub agreed: Agreed,
    /// What it weighs on its shard, as of the last look.
    weight: Weight,
    is_connected: bool,
    /// Why its viewer is about to go: by its client, say.
    ending: Option<EndReason>,
}

impl Session {
    /// A session that was just answered.
    pub fn new(
        stream: Arc<Stream>,
        (layer, wanted): (LayerId, u8),
        shard: Arc<ShardHandle>,
        (place, visitor, right): (Place, Visitor, Right),
        etag: String,
        remote_ufrags: Vec<String>,
        (mids, agreed): (Vec<String>, Agreed),
    ) -> Session {
        let place = Arc::new(place);
        let (chose, ending, is_connected) = (None, None, false);
        let weight = Weight::of(0);
        Session {
            stream,
            layer,
            wanted,
            chose,
            shard,
            visitor,
            right,
            place,
            etag,
            remote_ufrags,
            mids,
            agreed,
            weight,
            is_connected,
            ending,
        }
    }

    /// What it weighs as its stream is now.
    fn weighs(&self) -> Weight {
        Weight::of(self.stream.layer(self.layer.number).map_or(0, |layer| layer.bits()))
    }

    /// Its viewer is connected. Gives a copy.
    fn connects(&mut self) -> Session {
        if !std::mem::replace(&mut self.is_connected, true) {
            self.shard.load.connect(self.weight);
        }
        self.clone()
    }

    /// It is counted for a layer from now on. Returns whether that is news.
    fn goes_to(&mut self, layer: LayerId) -> Result<bool, ShardBusy> {
        if self.layer == layer {
            return Ok(false);
        }
        self.stream.choose(self.layer, layer, self.shard.index)?;
        self.layer = layer;
        Ok(true)
    }

    /// Whether it can be shown a layer, as far as is known of that one.
    pub fn takes(&self, layer: &Layer) -> bool {
        let formats = layer.status().formats.map(|formats| Formats { audio: None, ..formats });
        formats.is_none_or(|formats| self.agreed.fits(&formats))
    }
}

impl Sessions {
    /// No sessions, behind this door.
    pub fn new(admission: Arc<Admission>) -> Sessions {
        let refused = RefusedOffers::default();
        let (answered, table, gone) = (Cell::new(), Mutex::default(), Mutex::default());
        Sessions { admission, refused, answered, happens: Feed::default(), table, gone }
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
    pub fn insert(&self, id: SessionId, mut session: Session) {
        session.weight = session.weighs();
        session.shard.viewers.fetch_add(1, Ordering::Relaxed);
        session.shard.load.give(session.weight);
        self.answered.add_shared(1);
        self.happens.tell(|| happened(id, &session, What::Began));
        self.lock().insert(id, session);
    }

    /// The session, if it exists on that stream and does not end.
    pub fn session(&self, id: SessionId, stream: &str) -> Option<Session> {
        self.lock()
            .get(&id)
            .filter(|session| session.ending.is_none() && session.stream.name == stream)
            .cloned()
    }

    /// Marks a session as one that ends: it is gone for every later request.
    pub fn mark(&self, id: SessionId, reason: EndReason) {
        if let Some(session) = self.lock().get_mut(&id) {
            session.ending = Some(reason);
        }
    }

    /// Why a session of that stream ended lately, or is about to.
    pub fn why_ended(&self, id: SessionId, stream: &str) -> Option<EndReason> {
        let table = self.lock();
        match table.get(&id).filter(|session| session.stream.name == stream) {
            Some(session) => session.ending,
            None => lock(&self.gone).reason(id, stream),
        }
    }

    /// A session chooses a layer of its stream, `now`: its shard is sent that one from here on. Gives it as it is then;
    /// nothing if it is over, or chose that one before.
    ///
    /// # Errors
    ///
    /// The shard does not keep up: it is as it was.
    pub fn choose(&self, now: Instant, id: SessionId, layer: LayerId) -> Result<Option<Session>, ShardBusy> {
        let mut table = self.lock();
        let Some(session) = table.get_mut(&id) else { return Ok(None) };
        let goes = session.goes_to(layer)?;
        session.wanted = layer.number;
        if !goes {
            return Ok(None);
        }
        session.chose = Some(now);
        Ok(Some(session.clone()))
    }

    /// A session is sent to a layer of its stream without having chosen it. Else as [`Sessions::choose`].
    ///
    /// # Errors
    ///
    /// The shard does not keep up: it is as it was.
    pub fn send_to(&self, id: SessionId, layer: LayerId) -> Result<Option<Session>, ShardBusy> {
        let mut table = self.lock();
        let Some(session) = table.get_mut(&id) else { return Ok(None) };
        Ok(session.goes_to(layer)?.then(|| session.clone()))
    }

    /// Weighs all of them anew on their shards: streams send more or less than they did, and sessions go from layer to layer.
    pub fn weigh(&self) {
        let mut table = self.lock();
        let mut shards: HashMap<usize, (Arc<ShardHandle>, Vec<_>)> = HashMap::new();
        for session in table.values_mut() {
            let now = session.weighs();
            let before = std::mem::replace(&mut session.weight, now);
            if before != now {
                let shard = shards.entry(session.shard.index);
                let (_, changes) = shard.or_insert_with(|| (session.shard.clone(), Vec::new()));
                changes.push((before, now, session.is_connected));
            }
        }
        for (shard, changes) in shards.into_values() {
            shard.reweigh(changes.into_iter());
        }
    }

    /// A session restarted ICE.
    pub fn restarted(&self, id: SessionId, etag: String, remote_ufrags: Vec<String>) {
        if let Some(session) = self.lock().get_mut(&id) {
            session.etag = etag;
            session.remote_ufrags = remote_ufrags;
        }
    }

    /// A join failed: the session goes from all books.
    pub fn end(&self, id: SessionId) {
        self.close(id);
    }

    /// A viewer is over, `now`: its session goes from all books, but for the one of those who ended.
    fn bury(&self, now: Instant, id: SessionId, reason: EndReason, connected: bool) -> Option<Arc<Stream>> {
        let session = self.close(id)?;
        self.happens.tell(|| happened(id, &session, What::Ended(reason)));
        let Session { stream, visitor, .. } = session;
        tracing::debug!(session = ?id, stream = stream.name, remote = %visitor.address, reason = reason.label(), connected, "viewer ended");
        let gone = Gone { id, stream: stream.name.clone(), visitor, ended: now, reason, connected };
        lock(&self.gone).add(gone);
        Some(stream)
    }

    fn close(&self, id: SessionId) -> Option<Session> {
        let session = self.lock().remove(&id)?;
        session.shard.viewers.fetch_sub(1, Ordering::Relaxed);
        session.shard.load.take(session.weight, session.is_connected);
        session.stream.unsubscribe(session.layer, session.shard.index);
        Some(session)
    }

    /// Sessions with that short id that do not end: one, but for chance.
    pub fn called(&self, short: ShortId) -> Vec<(SessionId, Session)> {
        let table = self.lock();
        let called = table.iter().filter(|(id, session)| id.short() == short && session.ending.is_none());
        called.map(|(id, session)| (*id, session.clone())).collect()
    }

    /// What is kept of sessions, for as many of `ids` as there are. One lock for all.
    pub fn of(&self, ids: impl Iterator<Item = SessionId>) -> Vec<Option<(String, Visitor)>> {
        let table = self.lock();
        ids.map(|id| table.get(&id).map(|session| (session.stream.name.clone(), session.visitor.clone())))
            .collect()
    }

    /// Sessions that do not end.
    pub fn all(&self) -> Vec<(SessionId, Session)> {
        let table = self.lock();
        let there = table.iter().filter(|(_, session)| session.ending.is_none());
        there.map(|(id, session)| (*id, session.clone())).collect()
    }

    /// Sessions of a stream that do not end.
    pub fn all_of(&self, stream: StreamId) -> Vec<(SessionId, Session)> {
        let table = self.lock();
        let there =
            table.iter().filter(|(_, session)| session.stream.id == stream && session.ending.is_none());
        there.map(|(id, session)| (*id, session.clone())).collect()
    }

    /// Sessions that ended in the last ten minutes, the latest first.
    pub fn gone(&self, now: Instant) -> Vec<Gone> {
        lock(&self.gone).since(now)
    }

    /// Sessions that watch a stream and do not end, each with the shard where its viewer lives.
    pub fn of_stream(&self, stream: StreamId) -> Vec<(SessionId, Arc<ShardHandle>)> {
        let of_stream = |(id, session): (&SessionId, &Session)| {
            (session.stream.id == stream && session.ending.is_none()).then(|| (*id, session.shard.clone()))
        };
        self.lock().iter().filter_map(of_stream).collect()
    }

    /// Sessions that `over` says are, and do not end, each with the shard where its viewer lives. One lock for all.
    pub fn which(&self, over: impl Fn(&Session) -> bool) -> Vec<(SessionId, Arc<ShardHandle>)> {
        let table = self.lock();
        let which = table.iter().filter(|(_, session)| session.ending.is_none() && over(session));
        which.map(|(id, session)| (*id, session.shard.clone())).collect()
    }

    /// A shard has lost its viewers: their sessions go from all books. Returns how many there were.
    pub fn end_of_shard(&self, now: Instant, shard: usize) -> usize {
        let of_shard = |(id, session): (&SessionId, &Session)| (session.shard.index == shard).then_some(*id);
        let lost: Vec<SessionId> = self.lock().iter().filter_map(of_shard).collect();
        for id in &lost {
            self.bury(now, *id, EndReason::ShardFailed, false);
        }
        lost.len()
    }

    /// What a shard tells of a viewer.
    pub fn hear(&self, now: Instant, news: &News) {
        match news {
            News::Connected(id) => {
                let Some(session) = self.lock().get_mut(id).map(Session::connects) else { return };
                session.place.connected();
                self.happens.tell(|| happened(*id, &session, What::Connected));
            }
            News::Ended(ended) => {
                let stream = self.bury(now, ended.session, ended.reason, ended.connected);
                stream.inspect(|stream| stream.egress_of_ended.add_shared(ended.bytes));
            }
        }
    }
}
fn happened(id: SessionId, session: &Session, what: What) -> Happened {
    Happened { id: id.short(), stream: session.stream.name.clone(), address: session.visitor.address, what }
}
