//! The state of one shard: its viewers, whose datagram is whose, and the books of both.
//!
//! A worker hands it one thing at a time (a datagram, a command, a train, the time) and an
//! [`Egress`]; it calls the viewers concerned and keeps the books. Trains wait in their
//! layer (`layer`) until [`Shard::poll_fan_out`] gives each viewer its turn. It never reads a clock, blocks,
//! locks or knows a socket.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use sluice_io::deadlines::Deadlines;
use sluice_media::rtcp::Epoch;

use super::command::{Command, Media, Tuning};
use super::demux::{Demux, Owner};
use super::fan_out::Pacing;
use super::layer::{Layer, LayerSlot, Layers};
use super::question::{Question, SomeViewers, VIEWERS_AT_ONCE};
use super::shed::Shed;
use crate::contain::contain;
use crate::count::EndReason;
use crate::count::ShardCounters;
use crate::fault::{Site, strikes};
use crate::id::{LAYERS_MAX, LayerId, SessionId, StreamId};
use crate::peer::{Admission, Check, ConnectionId, Egress, Remote};
use crate::track::{Recent, RecentLimits};
use crate::viewer::{Keyframes, LeftOut, Outcome, Repairs, Rings, Surroundings, Taken, Viewer};

/// A viewer whose deadline passed is called again after this time at the soonest, whatever it wants:
/// an engine with a broken timer would else never let its shard go on.
const MIN_PAUSE: Duration = Duration::from_millis(1);

/// How late a timeout is where a test has it late.
const LATE: Duration = Duration::from_millis(50);

/// Who deletes a session that had not connected after so long was not served: players give up sooner than we do (our page
/// after 8 s). Shorter counts people who close a page among those whom UDP does not reach, longer misses players that are
/// less patient.
const GIVES_UP: Duration = Duration::from_secs(5);

/// Viewers that one call gives up at most. Each is some 20 microseconds, in which nobody is sent anything; with fewer it takes
/// longer until there is room.
const GIVEN_UP_AT_ONCE: usize = 8;

/// Turns (one train to one viewer) of one [`Shard::poll_fan_out`]. Each is a few microseconds, and all of
/// one call share its time: more of them blur `abs-send-time`, fewer read the clock more often.
const TURNS_AT_ONCE: usize = 256;

/// Viewers that one [`Shard::handle_timeout`] calls: one in its catch-up costs about 10 microseconds, and all of one call
/// share its time. More of them let live trains wait for the past of others, fewer read the clock more often.
const TIMEOUTS_AT_ONCE: usize = 32;

/// Time between two looks at what a viewer here takes, one step for each layer. Longer judges joins by older figures.
const LIVE_INTERVAL: Duration = Duration::from_millis(50);

/// What [`Shard::poll_fan_out`] left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing before [`Shard::fan_out_due`].
    Idle,
    /// Turns that can be taken now: call again.
    More,
    /// Turns that wait for the [`Egress`].
    Blocked,
}

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
    /// Payload bytes that it was sent, without repairs.
    pub bytes: u64,
}

/// What the control plane's books hear of a viewer: at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It is connected.
    Connected(SessionId),
    /// It is over.
    Ended(Ended),
}

/// A set of viewers on one thread.
pub struct Shard {
    viewers: Slab<Seat>,
    by_session: HashMap<SessionId, usize>,
    demux: Demux,
    deadlines: Deadlines,
    layers: Layers,
    /// Who goes without media, and the ring that they are shown: nothing to catch up with.
    shed: Shed,
    nothing: Recent,
    /// The number of the next viewer.
    next_number: u64,
    epoch: Epoch,
    counters: Arc<ShardCounters>,
    ended: Vec<Ended>,
    arrived: Vec<SessionId>,
    /// Connections that nobody is at any more.
    abandoned: Vec<ConnectionId>,
    /// Viewers that went over to another layer at their turn, each with the one they left, and those that could not while
    /// half of a picture was out.
    moved: Vec<(usize, LayerSlot)>,
    held_up: Vec<usize>,
    /// Viewers that are connected.
    connected: u64,
    /// Of those the ones whose sound goes twice.
    redundant: u64,
    /// The last turns ended because the line or the socket took no more.
    live_waits: bool,
    /// When to look next at what viewers take.
    live_due: Option<Instant>,
    /// Those of them whose line is too narrow.
    limited: u64,
}

struct Seat {
    viewer: Viewer,
    /// Where its layer is.
    layer: LayerSlot,
    /// Where the layer is that it goes over to.
    next: Option<LayerSlot>,
    /// Its place among those who ever joined here.
    number: u64,
    connected: bool,
    /// Whether its sound goes twice.
    redundant: bool,
    /// Whether its line is known to be too narrow.
    limited: bool,
}

impl Shard {
    /// An empty shard; rings hold as much as `limits` say, and media leaves as `pacing` says.
    pub fn new(limits: RecentLimits, pacing: Pacing, epoch: Epoch, counters: Arc<ShardCounters>) -> Shard {
        Shard {
            viewers: Slab::new(),
            by_session: HashMap::new(),
            demux: Demux::default(),
            deadlines: Deadlines::default(),
            layers: Layers::new(limits, pacing),
            shed: Shed::default(),
            nothing: Recent::new(limits),
            next_number: 0,
            epoch,
            counters,
            ended: Vec::new(),
            arrived: Vec::new(),
            abandoned: Vec::new(),
            moved: Vec::new(),
            held_up: Vec::new(),
            connected: 0,
            redundant: 0,
            live_waits: false,
            live_due: None,
            limited: 0,
        }
    }

    /// When [`Shard::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// When [`Shard::poll_fan_out`] has something to do: a past time if it has already.
    pub fn fan_out_due(&self, now: Instant) -> Option<Instant> {
        self.layers.due(now)
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

    /// Takes who connected since the last call.
    pub fn drain_arrived(&mut self) -> std::vec::Drain<'_, SessionId> {
        self.arrived.drain(..)
    }

    /// One datagram from `source` to our address `local`. Returns whether `source` is a viewer's now.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: impl Into<Remote>,
        local: Option<IpAddr>,
        datagram: &[u8],
        egress: &mut dyn Egress,
    ) -> bool {
        let source = source.into();
        match self.demux.owner(source, datagram) {
            Owner::Named(slot, check) => {
                return self.handle_check(now, slot, source, local, &check, egress);
            }
            Owner::Known(slot) => {
                self.with_viewer(slot, |viewer, around| {
                    viewer.handle_datagram(now, source, datagram, around, egress)
                });
                return true;
            }
            Owner::UnknownUfrag => self.counters.discarded_unknown_ufrag.add(1),
            Owner::UnknownAddress => self.counters.discarded_unknown_address.add(1),
            Owner::NoCheck => self.counters.discarded_no_check.add(1),
            Owner::Media => self.counters.discarded_media.add(1),
            Owner::Alien => self.counters.discarded_alien.add(1),
        }
        false
    }

    /// The connection of `remote` is closed: whoever was there is not there any more.
    pub fn forget(&mut self, remote: Remote) {
        let Some(slot) = self.demux.holder(remote) else { return };
        self.demux.remove_address(remote, slot);
        if let Some(seat) = self.viewers.get_mut(slot) {
            seat.viewer.forget(remote);
        }
    }

    /// Takes the connections of viewers that ended since the last call.
    pub fn drain_abandoned(&mut self) -> std::vec::Drain<'_, ConnectionId> {
        self.abandoned.drain(..)
    }

    /// One command of the control plane. Returns whether the thread shall end.
    pub fn handle_command(&mut self, now: Instant, command: Command, egress: &mut dyn Egress) -> bool {
        match command {
            Command::Join(viewer) => self.join(now, *viewer),
            Command::End(session, reason) => {
                if let Some(&slot) = self.by_session.get(&session) {
                    let Seat { viewer, connected, .. } = &mut self.viewers[slot];
                    let waited = now.saturating_duration_since(viewer.peer().offered());
                    let gave_up = reason == EndReason::Deleted && !*connected && waited >= GIVES_UP;
                    viewer.close(egress);
                    self.remove(slot, if gave_up { EndReason::SetupTimeout } else { reason });
                }
            }
            Command::RestartIce { session, local, remote } => {
                if let Some(&slot) = self.by_session.get(&session) {
                    self.demux.remove_ufrag(self.viewers[slot].viewer.peer().ufrag());
                    let both = (local, remote);
                    self.with_viewer(slot, |viewer, around| viewer.restart_ice(now, both, around, egress));
                    // It may have ended just now.
                    if let Some(seat) = self.viewers.get(slot) {
                        self.demux.insert_ufrag(seat.viewer.peer().ufrag().to_owned(), slot);
                    }
                }
            }
            Command::Choose { session, layer } => {
                if let Some(&slot) = self.by_session.get(&session) {
                    self.viewers[slot].viewer.chosen = layer;
                    self.direct(now, slot);
                }
            }
            Command::Tune(Tuning { recent, pacing, .. }) => self.layers.tune(recent, pacing),
            Command::Ask(Question::Viewers { from, answer }) => {
                // Who asked may have gone.
                let _ = answer.send(self.some_viewers(from));
            }
            Command::Shutdown => {
                self.end_all(EndReason::Shutdown, egress);
                return true;
            }
        }
        false
    }

    /// Media of a stream. [`Shard::poll_fan_out`] sends it.
    pub fn handle_media(&mut self, now: Instant, media: Media) {
        self.layers.tidy(now);
        match media {
            Media::Subscribe { layer, recent, keyframe, watched, away } => {
                self.layers.fill(layer, recent, (keyframe, watched), away);
                self.direct_all(now, layer.stream);
            }
            Media::Unsubscribe { layer } => self.layers.leave(now, layer),
            Media::Away { layer, away } => {
                self.layers.set_away(layer, away);
                self.direct_all(now, layer.stream);
            }
            Media::Picture { .. } | Media::Sound { .. } if strikes(Site::MediaNeverReachedShard) => {}
            Media::Picture { layer, train } => {
                self.counters.trains.add(1);
                self.layers.picture(now, layer, train, &mut self.shed);
            }
            Media::Sound { stream, train } => {
                self.counters.trains.add(1);
                self.layers.sound(now, stream, &train, &mut self.shed);
            }
        }
    }

    /// Gives viewers their turns, as many as the pace, the socket and a bound allow.
    pub fn poll_fan_out(&mut self, now: Instant, egress: &mut dyn Egress) -> Progress {
        self.look(now, egress);
        let progress = self.give_turns(now, egress);
        self.live_waits = progress == Progress::Blocked;
        while let Some((slot, layer)) = self.moved.pop() {
            self.layers.hand_over(now, layer, slot);
        }
        while let Some(slot) = self.held_up.pop() {
            self.go_over(now, slot);
        }
        progress
    }

    fn give_turns(&mut self, now: Instant, egress: &mut dyn Egress) -> Progress {
        let Shard { viewers, layers, deadlines, counters, epoch, shed, moved, held_up, .. } = self;
        let Layers { slots, active, .. } = layers;
        let horizon = shed.horizon();
        let mut turns = TURNS_AT_ONCE;
        let mut index = 0;
        while let Some(&key) = active.get(index) {
            let Layer { id, fan_out, roll, active: is_active, .. } = &mut slots[key];
            let expired = fan_out.expire(now, egress.is_stalled(), roll.len());
            counters.dropped_late.add(expired.datagrams);
            let served = expired.served.min(roll.len());
            roll.rotate_left(served);
            while let Some((place, job)) = fan_out.peek(now, roll.len()) {
                let (slot, number) = roll[place];
                // Who has the beginning of a picture gets its rest.
                let goes_without = |(slot, number): (usize, u64)| {
                    let seat: &Seat = &viewers[slot];
                    number >= horizon && (seat.layer != key || !seat.viewer.is_amid(job.train()))
                };
                if goes_without((slot, number)) {
                    let without = roll[place..].iter().take_while(|&&seat| goes_without(seat)).count();
                    counters.dropped_shed.add((job.packets() * without) as u64);
                    fan_out.skip(without, roll.len());
                    continue;
                }
                let stopped = match turns {
                    0 => Some(Progress::More),
                    _ => {
                        let full = !egress.ready(job.bytes) || strikes(Site::SocketIsFull);
                        full.then_some(Progress::Blocked)
                    }
                };
                if let Some(progress) = stopped {
                    // The next call begins with this layer.
                    active.rotate_left(index);
                    return progress;
                }
                turns -= 1;
                shed.done(job.cost() as u64);
                let seat = &mut viewers[slot];
                if seat.layer != key {
                    // It waits here for a keyframe, or has just left.
                    let goes_over = seat.next == Some(key) && seat.viewer.switch_at(now, *id, job.train());
                    if !goes_over {
                        fan_out.advance(roll.len());
                        continue;
                    }
                    moved.push((slot, std::mem::replace(&mut seat.layer, key)));
                    seat.next = None;
                    deadlines.set(slot, seat.viewer.deadline());
                } else if seat.next.is_some() && job.train().ends_frame {
                    held_up.push(slot);
                }
                let (mut first, mut queued) = (false, false);
                for (train, padding) in job.trains() {
                    match seat.viewer.handle_train(now, train, padding, epoch, egress) {
                        Taken::Sent | Taken::Passed => {}
                        Taken::Queued => queued = true,
                        Taken::Twice(bytes) => {
                            counters.redundant_packets.add(1);
                            counters.redundant_bytes.add(bytes as u64);
                        }
                        Taken::First(of_all) => {
                            first = true;
                            counters.setup.first_media.observe_some(of_all);
                        }
                        Taken::SlowLine => counters.dropped_slow_line.add(train.packets.len() as u64),
                        Taken::Undecodable => counters.dropped_undecodable.add(train.packets.len() as u64),
                    }
                }
                if first || queued {
                    deadlines.set(slot, seat.viewer.deadline());
                }
                fan_out.advance(roll.len());
            }
            if fan_out.is_idle() {
                *is_active = false;
                active.swap_remove(index);
            } else {
                index += 1;
            }
        }
        Progress::Idle
    }

    /// Calls viewers whose deadline has passed, 32 at the most. Returns whether there may be more.
    pub fn handle_timeout(&mut self, now: Instant, egress: &mut dyn Egress) -> bool {
        for _ in 0..TIMEOUTS_AT_ONCE {
            let Some(slot) = self.deadlines.expired(now) else { return false };
            if strikes(Site::TimeoutIsLate) {
                self.deadlines.set(slot, now + LATE);
                continue;
            }
            self.with_viewer(slot, |viewer, around| viewer.handle_timeout(now, around, egress));
            if let Some(seat) = self.viewers.get(slot) {
                self.deadlines.set(slot, seat.viewer.deadline().max(now + MIN_PAUSE));
            }
        }
        true
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
        let seats = std::mem::take(&mut self.viewers);
        self.ended.extend(seats.iter().map(|(_, Seat { viewer, connected, .. })| Ended {
            session: viewer.session(),
            stream: viewer.layer.stream,
            reason: EndReason::ShardFailed,
            connected: *connected,
            bytes: viewer.sent().bytes,
        }));
        self.counters.ended(EndReason::ShardFailed).add(seats.len() as u64);
        for (_, seat) in seats {
            contain(|| drop(seat));
        }
        self.by_session.clear();
        self.demux = Demux::default();
        self.deadlines = Deadlines::default();
        self.layers.clear();
        self.shed = Shed::default();
        self.counters.without_media.set(0);
        self.counters.live_each.set(0);
        self.live_waits = false;
        (self.connected, self.redundant, self.limited) = (0, 0, 0);
        self.counters.redundant_now.set(0);
        self.counters.limited.set(0);
        self.counters.viewers.set(0);
        self.counters.connected_now.set(0);
    }

    /// Tells the control plane what a viewer takes.
    fn look_at_live(&mut self, now: Instant) {
        if self.live_due.is_none_or(|due| due <= now) || self.counters.live_each.get() == 0 {
            self.live_due = Some(now + LIVE_INTERVAL);
            self.counters.live_each.set(self.layers.live_each());
        }
    }

    /// Decides who goes without media, and ends who did for too long: the newest first, so that there may be room for others.
    fn look(&mut self, now: Instant, egress: &mut dyn Egress) {
        self.look_at_live(now);
        let waits = self.layers.waits_since();
        let late = waits.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.shed.look(now, late, egress.is_stalled());
        for _ in 0..GIVEN_UP_AT_ONCE {
            let Some(slot) = self.shed.gives_up(now) else { break };
            self.viewers[slot].viewer.close(egress);
            self.remove(slot, EndReason::Overloaded);
        }
        self.counters.without_media.set(self.shed.without_media() as u64);
    }

    fn some_viewers(&self, from: usize) -> SomeViewers {
        let rest = from..self.viewers.capacity().max(from);
        let mut seats = rest.filter_map(|slot| Some((slot, self.viewers.get(slot)?)));
        let viewers = seats.by_ref().take(VIEWERS_AT_ONCE).map(|(_, seat)| seat.viewer.state()).collect();
        SomeViewers { viewers, next: seats.next().map(|(slot, _)| slot) }
    }

    fn join(&mut self, now: Instant, viewer: Viewer) {
        let (session, deadline) = (viewer.session(), viewer.deadline());
        let ufrag = viewer.peer().ufrag().to_owned();
        let layer = self.layers.enter(viewer.layer);
        let number = self.next_number;
        self.next_number += 1;
        let slot = self.viewers.insert(Seat {
            viewer,
            layer,
            next: None,
            number,
            connected: false,
            redundant: false,
            limited: false,
        });
        self.by_session.insert(session, slot);
        self.demux.insert_ufrag(ufrag, slot);
        self.deadlines.set(slot, deadline);
        self.layers.enlist(layer, (slot, number));
        self.counters.viewers.set(self.viewers.len() as u64);
        self.direct(now, slot);
    }

    /// Directs all viewers of a stream.
    fn direct_all(&mut self, now: Instant, stream: StreamId) {
        let here = self.layers.of_stream(stream).into_iter().flatten();
        let of_layer =
            |layer: LayerSlot| self.layers.slots[layer].roll.iter().map(move |(slot, _)| (*slot, layer));
        let seats = here.flat_map(of_layer).filter(|(slot, layer)| self.viewers[*slot].layer == *layer);
        let slots: Vec<usize> = seats.map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.direct(now, slot));
    }

    /// Sees to it that a viewer watches the layer that it is to be shown.
    fn direct(&mut self, now: Instant, slot: usize) {
        let Shard { viewers, layers, .. } = self;
        let seat = &mut viewers[slot];
        let chosen = LayerId { number: seat.viewer.chosen, ..seat.viewer.layer };
        let wanted = layers.shown(chosen, |recent| seat.viewer.takes(recent)).filter(|to| *to != seat.layer);
        if wanted != seat.next {
            if let Some(before) = seat.next {
                layers.slots[before].strike(slot);
            }
            seat.next = wanted;
            if let Some(layer) = wanted {
                layers.enlist(layer, (slot, seat.number));
            }
        }
        self.go_over(now, slot);
    }

    /// Takes a viewer over to the layer that it waits for, if that can be done now: else it waits for the next keyframe of
    /// that one.
    fn go_over(&mut self, now: Instant, slot: usize) {
        let Shard { viewers, layers, deadlines, shed, nothing, .. } = self;
        let Some(seat) = viewers.get_mut(slot) else { return };
        let Some(next) = seat.next else { return };
        let without = seat.number >= shed.horizon();
        let layer = &layers.slots[next];
        let recent = if without { nothing } else { &layer.recent };
        if seat.viewer.switch(now, layer.id, recent) {
            let before = std::mem::replace(&mut seat.layer, next);
            seat.next = None;
            deadlines.set(slot, seat.viewer.deadline());
            layers.hand_over(now, before, slot);
        } else if !without && layer.has_no_start() {
            layer.keyframe.ask();
        }
    }

    /// A check that names the viewer of `slot`. If it is authentic its address is that viewer's; of another one
    /// only if that has been silent there, and if this one has no address of its own: with a forged source
    /// a viewer could else keep somebody's address from him, and lose nothing by it.
    fn handle_check(
        &mut self,
        now: Instant,
        slot: usize,
        source: Remote,
        local: Option<IpAddr>,
        check: &Check<'_>,
        egress: &mut dyn Egress,
    ) -> bool {
        let viewer = |slot: usize| &self.viewers[slot].viewer;
        let holder = self.demux.holder(source).filter(|&holder| holder != slot);
        if holder.is_some_and(|holder| {
            !viewer(holder).peer().is_released(now, source) || viewer(slot).peer().target(now).is_some()
        }) {
            self.counters.discarded_taken_address.add(1);
            return false;
        }
        let mut admission = Admission::Refused;
        self.with_viewer(slot, |viewer, around| {
            let (outcome, admitted) = viewer.handle_check(now, source, local, check, around, egress);
            admission = admitted;
            outcome
        });
        match admission {
            Admission::Refused => self.counters.discarded_unauthenticated.add(1),
            Admission::NoRoom => self.counters.discarded_ninth_address.add(1),
            Admission::Unannounced => self.counters.discarded_unannounced.add(1),
            Admission::Copy => self.counters.discarded_copy.add(1),
            // It may have ended just now.
            Admission::Admitted(evicted) if self.viewers.contains(slot) => {
                if let Some(evicted) = evicted {
                    self.demux.remove_address(evicted, slot);
                }
                if let Some(holder) = self.demux.insert_address(source, slot) {
                    self.viewers[holder].viewer.forget(source);
                }
            }
            Admission::Admitted(evicted) => {
                evicted.into_iter().for_each(|evicted| self.demux.remove_address(evicted, slot));
            }
        }
        matches!(admission, Admission::Admitted(_))
    }

    /// Calls one viewer and does what its outcome asks for.
    fn with_viewer(&mut self, slot: usize, call: impl FnOnce(&mut Viewer, Surroundings<'_>) -> Outcome) {
        let Some(seat) = self.viewers.get_mut(slot) else { return };
        let without = seat.number >= self.shed.horizon();
        let (video, rings) = match without {
            true => (&self.nothing, Rings([None; LAYERS_MAX])),
            false => (&self.layers.slots[seat.layer].recent, self.layers.rings(seat.viewer.layer.stream)),
        };
        let (epoch, feedback, live_waits) = (&self.epoch, &self.counters.feedback, self.live_waits);
        let around = Surroundings { video, rings, epoch, feedback, live_waits };
        let outcome = call(&mut seat.viewer, around);
        if let Some(reason) = outcome.ended {
            return self.remove(slot, reason);
        }
        let setup = &self.counters.setup;
        setup.ice.observe_some(outcome.reached);
        setup.dtls.observe_some(outcome.connected);
        setup.first_media.observe_some(outcome.first_media);
        if outcome.connected.is_some() {
            seat.connected = true;
            self.arrived.push(seat.viewer.session());
            self.shed.connected(seat.number, slot);
            self.connected += 1;
            self.counters.connected_now.set(self.connected);
            self.counters.connected.add(1);
        }
        let limited = seat.viewer.is_limited();
        if limited != std::mem::replace(&mut seat.limited, limited) {
            self.limited = if limited { self.limited + 1 } else { self.limited - 1 };
            self.counters.limited.set(self.limited);
        }
        let layer = &self.layers.slots[seat.layer];
        // Who goes without media is not helped by one.
        let starts_late = outcome.connected.is_some() && layer.recent.since_keyframe().is_none();
        if !without && (starts_late || outcome.keyframes.awaited > 0) {
            layer.keyframe.ask();
        }
        let counters = &self.counters;
        if seat.viewer.is_redundant() != seat.redundant {
            seat.redundant = !seat.redundant;
            self.redundant = self.redundant + u64::from(seat.redundant) - u64::from(!seat.redundant);
            counters.redundant_now.set(self.redundant);
        }
        if outcome.repairs != Repairs::default() {
            let Repairs { sent, repeated, unknown, over_budget, not_agreed, over_rate } = outcome.repairs;
            counters.repairs_sent.add(u64::from(sent));
            counters.repairs_repeated.add(u64::from(repeated));
            counters.repairs_unknown.add(u64::from(unknown));
            counters.repairs_over_budget.add(u64::from(over_budget));
            counters.repairs_not_agreed.add(u64::from(not_agreed));
            counters.feedback.over_rate_numbers.add(u64::from(over_rate));
        }
        if outcome.left_out != LeftOut::default() {
            let LeftOut { late, superseded, undecodable } = outcome.left_out;
            counters.thinned_late.add(u64::from(late));
            counters.thinned_superseded.add(u64::from(superseded));
            counters.thinned_undecodable.add(u64::from(undecodable));
        }
        counters.withheld.add(u64::from(outcome.withheld));
        counters.discarded_application_data.add(u64::from(outcome.application_data));
        counters.discarded_dtls.add(u64::from(outcome.dtls_refused));
        counters.discarded_rtcp.add(u64::from(outcome.rtcp_refused));
        if outcome.keyframes != Keyframes::default() {
            let Keyframes { replayed, coalesced, awaited } = outcome.keyframes;
            counters.keyframes_replayed.add(u64::from(replayed));
            counters.keyframes_coalesced.add(u64::from(coalesced));
            counters.keyframes_awaited.add(u64::from(awaited));
        }
        self.deadlines.set(slot, seat.viewer.deadline());
    }

    fn remove(&mut self, slot: usize, reason: EndReason) {
        let Seat { viewer, layer, next, number, connected, redundant, limited } = self.viewers.remove(slot);
        self.shed.left(number);
        self.counters.without_media.set(self.shed.without_media() as u64);
        self.by_session.remove(&viewer.session());
        self.demux.remove_ufrag(viewer.peer().ufrag());
        for address in viewer.peer().addresses() {
            self.demux.remove_address(address, slot);
            self.abandoned.extend(address.connection);
        }
        self.deadlines.clear(slot);
        for layer in [Some(layer), next].into_iter().flatten() {
            self.layers.slots[layer].strike(slot);
        }
        self.counters.viewers.set(self.viewers.len() as u64);
        self.limited -= u64::from(limited);
        self.counters.limited.set(self.limited);
        self.connected -= u64::from(connected);
        self.counters.connected_now.set(self.connected);
        self.redundant -= u64::from(redundant);
        self.counters.redundant_now.set(self.redundant);
        self.counters.ended(reason).add(1);
        let (session, stream, bytes) = (viewer.session(), viewer.layer.stream, viewer.sent().bytes);
        self.ended.push(Ended { session, stream, reason, connected, bytes });
        // An engine that panicked may panic again where it is dropped: that is still one viewer's matter.
        contain(|| drop(viewer));
    }
}
