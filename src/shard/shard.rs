//! The state of one shard: its viewers, whose datagram is whose, and the recent past of each stream.
//!
//! A worker hands it one thing at a time (a datagram, a command, a train, the time) and an
//! [`Egress`]; it calls the viewers concerned and keeps the books. It never reads a clock, blocks,
//! locks or knows a socket.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::Egress;
use super::command::{Command, Media};
use super::deadlines::Deadlines;
use super::demux::{Demux, Owner};
use crate::id::{SessionId, StreamId};
use crate::ops::counters::ShardCounters;
use crate::track::{Codec, Kind, Recent, RecentLimits, Train};
use crate::viewer::{EndReason, Epoch, Keyframes, Outcome, Repairs, Surroundings, Viewer};

/// A viewer whose deadline passed is called again after this time at the soonest, whatever it wants:
/// an engine with a broken timer would else never let its shard go on.
const MIN_PAUSE: Duration = Duration::from_millis(1);

/// A viewer that is over, for the control plane's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its session.
    pub session: SessionId,
    /// What it watched.
    pub stream: StreamId,
    /// Why it ended.
    pub reason: EndReason,
    /// Whether it ever connected.
    pub connected: bool,
}

/// A set of viewers on one thread.
pub struct Shard {
    viewers: Slab<Seat>,
    by_session: HashMap<SessionId, usize>,
    demux: Demux,
    deadlines: Deadlines,
    streams: HashMap<StreamId, Stream>,
    limits: RecentLimits,
    epoch: Epoch,
    counters: Arc<ShardCounters>,
    ended: Vec<Ended>,
    /// Viewers that are connected.
    connected: u64,
    /// Kept between calls so that a fan-out allocates nothing.
    roll: Vec<usize>,
}

struct Seat {
    viewer: Viewer,
    connected: bool,
}

/// One stream on this shard.
struct Stream {
    video: Recent,
    /// Slots of its viewers, in no order.
    viewers: Vec<usize>,
}

impl Shard {
    /// An empty shard; rings hold as much as `limits` say.
    pub fn new(limits: RecentLimits, epoch: Epoch, counters: Arc<ShardCounters>) -> Shard {
        Shard {
            viewers: Slab::new(),
            by_session: HashMap::new(),
            demux: Demux::default(),
            deadlines: Deadlines::default(),
            streams: HashMap::new(),
            limits,
            epoch,
            counters,
            ended: Vec::new(),
            connected: 0,
            roll: Vec::new(),
        }
    }

    /// When [`Shard::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Viewers that are here.
    pub fn viewers(&self) -> usize {
        self.viewers.len()
    }

    /// Addresses and user name fragments in the demultiplexer: 0 and 0 when nobody is here.
    pub fn demux_len(&self) -> (usize, usize) {
        self.demux.len()
    }

    /// Takes what ended since the last call.
    pub fn drain_ended(&mut self) -> std::vec::Drain<'_, Ended> {
        self.ended.drain(..)
    }

    /// One datagram from `source` to our address `local`.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        local: Option<IpAddr>,
        datagram: &[u8],
        egress: &mut dyn Egress,
    ) {
        let slot = match self.demux.owner(source, datagram) {
            Owner::Known(slot) => slot,
            Owner::Claimed(slot) => {
                if !self.admit(now, slot, source, local, datagram) {
                    self.counters.discarded_unauthenticated.add(1);
                    return;
                }
                slot
            }
            Owner::UnknownUfrag => return self.counters.discarded_unknown_ufrag.add(1),
            Owner::UnknownAddress => return self.counters.discarded_unknown_address.add(1),
            Owner::Alien => return self.counters.discarded_alien.add(1),
        };
        self.with_viewer(slot, |viewer, around| {
            viewer.handle_datagram(now, source, datagram, around, egress)
        });
    }

    /// One command of the control plane. Returns whether the thread shall end.
    pub fn handle_command(&mut self, now: Instant, command: Command, egress: &mut dyn Egress) -> bool {
        match command {
            Command::Join(viewer) => self.join(*viewer),
            Command::Leave(session) => {
                if let Some(&slot) = self.by_session.get(&session) {
                    self.viewers[slot].viewer.close(egress);
                    self.remove(slot, EndReason::Deleted);
                }
            }
            Command::RestartIce { session, local, remote } => {
                if let Some(&slot) = self.by_session.get(&session) {
                    let viewer = &mut self.viewers[slot].viewer;
                    self.demux.remove_ufrag(&viewer.ufrag);
                    viewer.restart_ice(local, remote);
                    self.demux.insert_ufrag(viewer.ufrag.clone(), slot);
                    // The engine was changed: it is drained in the same breath.
                    self.with_viewer(slot, |viewer, around| viewer.handle_timeout(now, around, egress));
                }
            }
            Command::Shutdown => {
                self.end_all(EndReason::Shutdown, egress);
                return true;
            }
        }
        false
    }

    /// Media of a stream.
    pub fn handle_media(&mut self, now: Instant, media: Media, egress: &mut dyn Egress) {
        match media {
            Media::Subscribe { stream, recent } => {
                let video = &mut self.stream(stream).video;
                for train in recent {
                    video.push(train);
                }
            }
            Media::Unsubscribe { stream } => {
                if self.streams.get(&stream).is_some_and(|stream| stream.viewers.is_empty()) {
                    self.streams.remove(&stream);
                }
            }
            Media::Train { stream, train } => self.fan_out(now, stream, &train, egress),
        }
    }

    /// Calls every viewer whose deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant, egress: &mut dyn Egress) {
        while let Some(slot) = self.deadlines.expired(now) {
            self.with_viewer(slot, |viewer, around| viewer.handle_timeout(now, around, egress));
            if let Some(seat) = self.viewers.get(slot) {
                self.deadlines.set(slot, seat.viewer.deadline().max(now + MIN_PAUSE));
            }
        }
    }

    /// Ends every viewer with a goodbye.
    pub fn end_all(&mut self, reason: EndReason, egress: &mut dyn Egress) {
        let slots: Vec<usize> = self.viewers.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.viewers[slot].viewer.close(egress);
            self.remove(slot, reason);
        }
    }

    /// Drops every viewer without touching its engine: after a defect of ours nothing in here can be
    /// trusted, but the books outside must still close.
    pub fn abandon(&mut self) {
        let ended = self.viewers.drain().map(|Seat { viewer, connected }| Ended {
            session: viewer.session,
            stream: viewer.stream,
            reason: EndReason::EngineFailed,
            connected,
        });
        self.ended.extend(ended);
        self.counters.ended(EndReason::EngineFailed).add(self.connected);
        self.by_session.clear();
        self.demux = Demux::default();
        self.deadlines = Deadlines::default();
        self.streams.clear();
        self.connected = 0;
        self.counters.viewers.set(0);
        self.counters.connected_now.set(0);
    }

    fn fan_out(&mut self, now: Instant, stream: StreamId, train: &Arc<Train>, egress: &mut dyn Egress) {
        self.counters.trains.add(1);
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        if train.codec.kind() == Kind::Video {
            entry.video.push(train.clone());
        }
        let mut roll = std::mem::take(&mut self.roll);
        roll.extend_from_slice(&entry.viewers);
        for slot in roll.drain(..) {
            self.with_viewer(slot, |viewer, around| {
                viewer.handle_train(now, train, around, egress);
                Outcome::default()
            });
        }
        self.roll = roll;
    }

    fn join(&mut self, viewer: Viewer) {
        let (session, stream, deadline) = (viewer.session, viewer.stream, viewer.deadline());
        let ufrag = viewer.ufrag.clone();
        let slot = self.viewers.insert(Seat { viewer, connected: false });
        self.by_session.insert(session, slot);
        self.demux.insert_ufrag(ufrag, slot);
        self.deadlines.set(slot, deadline);
        self.stream(stream).viewers.push(slot);
        self.counters.viewers.set(self.viewers.len() as u64);
    }

    fn admit(
        &mut self,
        now: Instant,
        slot: usize,
        source: SocketAddr,
        local: Option<IpAddr>,
        datagram: &[u8],
    ) -> bool {
        let (taken, evicted) = self.viewers[slot].viewer.admit(now, source, local, datagram);
        if let Some(evicted) = evicted {
            self.demux.remove_address(evicted, slot);
        }
        if taken {
            self.demux.insert_address(source, slot);
        }
        taken
    }

    /// Calls one viewer and does what its outcome asks for.
    fn with_viewer(&mut self, slot: usize, call: impl FnOnce(&mut Viewer, Surroundings<'_>) -> Outcome) {
        let Some(seat) = self.viewers.get_mut(slot) else { return };
        let Some(stream) = self.streams.get(&seat.viewer.stream) else { return };
        let around =
            Surroundings { video: &stream.video, epoch: &self.epoch, feedback: &self.counters.feedback };
        let outcome = call(&mut seat.viewer, around);
        if let Some(reason) = outcome.ended {
            return self.remove(slot, reason);
        }
        if let Some(took) = outcome.connected {
            seat.connected = true;
            self.connected += 1;
            self.counters.connected_now.set(self.connected);
            self.counters.connected.add(1);
            self.counters.connect_micros.add(took.as_micros() as u64);
        }
        let counters = &self.counters;
        if outcome.repairs != Repairs::default() {
            let Repairs { sent, repeated, unknown, over_budget, not_agreed } = outcome.repairs;
            counters.repairs_sent.add(u64::from(sent));
            counters.repairs_repeated.add(u64::from(repeated));
            counters.repairs_unknown.add(u64::from(unknown));
            counters.repairs_over_budget.add(u64::from(over_budget));
            counters.repairs_not_agreed.add(u64::from(not_agreed));
        }
        counters.withheld.add(u64::from(outcome.withheld));
        if outcome.keyframes != Keyframes::default() {
            let Keyframes { replayed, coalesced, awaited } = outcome.keyframes;
            counters.keyframes_replayed.add(u64::from(replayed));
            counters.keyframes_coalesced.add(u64::from(coalesced));
            counters.keyframes_awaited.add(u64::from(awaited));
        }
        self.deadlines.set(slot, seat.viewer.deadline());
    }

    fn remove(&mut self, slot: usize, reason: EndReason) {
        let Seat { viewer, connected } = self.viewers.remove(slot);
        self.by_session.remove(&viewer.session);
        self.demux.remove_ufrag(&viewer.ufrag);
        for address in viewer.addresses() {
            self.demux.remove_address(address, slot);
        }
        self.deadlines.clear(slot);
        if let Some(stream) = self.streams.get_mut(&viewer.stream)
            && let Some(place) = stream.viewers.iter().position(|&other| other == slot)
        {
            stream.viewers.swap_remove(place);
        }
        self.counters.viewers.set(self.viewers.len() as u64);
        self.connected -= u64::from(connected);
        self.counters.connected_now.set(self.connected);
        self.counters.ended(reason).add(1);
        self.ended.push(Ended { session: viewer.session, stream: viewer.stream, reason, connected });
    }

    fn stream(&mut self, id: StreamId) -> &mut Stream {
        let limits = self.limits;
        self.streams
            .entry(id)
            .or_insert_with(|| Stream { video: Recent::new(Codec::H264, limits), viewers: Vec::new() })
    }
}
