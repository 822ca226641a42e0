//! The layers on one shard: for each encoding of a stream's video that somebody here watches its ring, its viewers and
//! the trains that wait for their turns.
//!
//! Owns which of them have something to send, which of them is shown to who chose one, and how long a ring stays that was
//! left for another. Sound is of all layers of its stream, and travels with the pictures of each. Never calls a viewer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::beside::Beside;
use super::command::Watched;
use super::fan_out::{FanOut, Pacing, cost_of};
use super::shed::Shed;
use crate::id::{LAYERS_MAX, LayerId, StreamId};
use crate::track::{KeyframeRequest, Recent, RecentLimits, Train};
use crate::viewer::Rings;

/// A picture older than this does not count as flowing: sound no longer waits to travel with the next.
const FLOWING: Duration = Duration::from_millis(250);

/// A layer's place here.
pub(super) type LayerSlot = usize;

/// One layer.
pub(super) struct Layer {
    pub(super) id: LayerId,
    pub(super) recent: Recent,
    /// Where a keyframe is asked for.
    pub(super) keyframe: KeyframeRequest,
    pub(super) fan_out: FanOut,
    /// Slots and numbers of its viewers, and of those who wait for its next keyframe, in the order of their turns.
    pub(super) roll: Vec<(usize, u64)>,
    /// Whether it is among the active ones.
    pub(super) active: bool,
    /// Its source brings nothing.
    away: bool,
    watched: Watched,
    /// What its viewers are sent beside the payload of its pictures.
    beside: Beside,
    /// When somebody went over to another layer last: packets of this one may be asked for still.
    handed_over: Option<Instant>,
    /// Nobody watches it, and it stays for what may be asked for.
    left: bool,
}

/// All layers of a shard.
pub(super) struct Layers {
    pub(super) slots: Slab<Layer>,
    /// Those with trains that wait, each once.
    pub(super) active: Vec<LayerSlot>,
    by_id: HashMap<LayerId, LayerSlot>,
    by_stream: HashMap<StreamId, [Option<LayerSlot>; LAYERS_MAX]>,
    /// Those that nobody watches and that stay for a while.
    left: Vec<LayerSlot>,
    limits: RecentLimits,
    pacing: Pacing,
}

impl Layers {
    /// None; rings will hold as much as `limits` say, and media leaves as `pacing` says.
    pub(super) fn new(limits: RecentLimits, pacing: Pacing) -> Layers {
        Layers {
            slots: Slab::new(),
            active: Vec::new(),
            by_id: HashMap::new(),
            by_stream: HashMap::new(),
            left: Vec::new(),
            limits,
            pacing,
        }
    }

    /// Rings hold as much as `limits` say from now on, and media leaves as `pacing` says.
    pub(super) fn tune(&mut self, limits: RecentLimits, pacing: Pacing) {
        (self.limits, self.pacing) = (limits, pacing);
        for (_, layer) in &mut self.slots {
            layer.recent.limit(limits);
            layer.fan_out.tune(pacing);
        }
    }

    /// Where the layer is; it is made if this is the first that is heard of it.
    pub(super) fn enter(&mut self, id: LayerId) -> LayerSlot {
        if let Some(&slot) = self.by_id.get(&id) {
            return slot;
        }
        let slot = self.slots.insert(Layer {
            id,
            recent: Recent::new(self.limits),
            keyframe: KeyframeRequest::default(),
            fan_out: FanOut::new(self.pacing),
            roll: Vec::new(),
            active: false,
            away: false,
            watched: Watched::default(),
            beside: Beside::default(),
            handed_over: None,
            left: false,
        });
        self.by_id.insert(id, slot);
        self.by_stream.entry(id.stream).or_default()[usize::from(id.number)] = Some(slot);
        slot
    }

    /// Forgets a layer that nobody watches: at once, or when nobody can ask for a packet of it any more.
    pub(super) fn leave(&mut self, now: Instant, id: LayerId) {
        let Some(&slot) = self.by_id.get(&id).filter(|slot| self.slots[**slot].roll.is_empty()) else {
            return;
        };
        if self.may_be_asked_for(now, slot) {
            if !std::mem::replace(&mut self.slots[slot].left, true) {
                self.left.push(slot);
            }
        } else {
            self.forget(slot);
        }
    }

    /// Forgets what was left for a while and is needed no more.
    pub(super) fn tidy(&mut self, now: Instant) {
        while let Some(place) = self.left.iter().position(|&slot| !self.may_be_asked_for(now, slot)) {
            let slot = self.left.swap_remove(place);
            self.slots[slot].left = false;
            if self.slots[slot].roll.is_empty() {
                self.forget(slot);
            }
        }
    }

    fn may_be_asked_for(&self, now: Instant, slot: LayerSlot) -> bool {
        let since = |at: Instant| now.saturating_duration_since(at);
        self.slots[slot].handed_over.is_some_and(|at| since(at) < self.limits.history)
    }

    fn forget(&mut self, slot: LayerSlot) {
        let id = self.slots.remove(slot).id;
        self.by_id.remove(&id);
        if let Some(of_stream) = self.by_stream.get_mut(&id.stream) {
            of_stream[usize::from(id.number)] = None;
            if of_stream.iter().all(Option::is_none) {
                self.by_stream.remove(&id.stream);
            }
        }
        self.active.retain(|&other| other != slot);
        self.left.retain(|&other| other != slot);
    }

    /// Where the layers of a stream are that are here, by number.
    pub(super) fn of_stream(&self, stream: StreamId) -> [Option<LayerSlot>; LAYERS_MAX] {
        self.by_stream.get(&stream).copied().unwrap_or_default()
    }

    /// The rings of those layers.
    pub(super) fn rings(&self, stream: StreamId) -> Rings<'_> {
        Rings(self.of_stream(stream).map(|slot| slot.map(|slot| &self.slots[slot].recent)))
    }

    /// Which layer is shown to somebody who chose `id` and can be shown those that `takes` says: that one, or while its
    /// source is away another whose is not. Nothing if there is none.
    pub(super) fn shown(&self, id: LayerId, takes: impl Fn(&Recent) -> bool) -> Option<LayerSlot> {
        let chosen = self.by_id.get(&id).copied();
        let others = self.of_stream(id.stream).into_iter().flatten();
        let mut best_first = chosen.into_iter().chain(others);
        let is_shown = |slot: &LayerSlot| {
            let Layer { away, left, recent, .. } = &self.slots[*slot];
            !away && !left && takes(recent)
        };
        best_first.find(is_shown)
    }

    /// Whether the source of a layer brings nothing.
    pub(super) fn set_away(&mut self, id: LayerId, away: bool) {
        if let Some(&slot) = self.by_id.get(&id) {
            self.slots[slot].away = away;
        }
    }

    /// Puts a viewer at the end of a layer's turns.
    pub(super) fn enlist(&mut self, slot: LayerSlot, viewer: (usize, u64)) {
        let layer = &mut self.slots[slot];
        layer.roll.push(viewer);
        layer.watched.set(layer.roll.len());
    }

    /// The viewer in `slot` went over to another layer.
    pub(super) fn hand_over(&mut self, now: Instant, layer: LayerSlot, slot: usize) {
        let layer = &mut self.slots[layer];
        layer.handed_over = Some(now);
        layer.strike(slot);
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.slots.iter().for_each(|(_, layer)| layer.watched.set(0));
        *self = Layers::new(self.limits, self.pacing);
    }

    /// Puts what a layer is of the recent past into its ring; keyframes of it are asked for with `keyframe`, and who watches
    /// it is told to `watched`.
    pub(super) fn fill(
        &mut self,
        id: LayerId,
        recent: Vec<Arc<Train>>,
        (keyframe, watched): (KeyframeRequest, Watched),
        away: bool,
    ) {
        let slot = self.enter(id);
        self.left.retain(|&other| other != slot);
        let layer = &mut self.slots[slot];
        (layer.keyframe, layer.watched, layer.away, layer.left) = (keyframe, watched, away, false);
        layer.watched.set(layer.roll.len());
        for train in recent {
            layer.recent.push(train);
        }
    }

    /// A picture, or a piece of one, of a layer.
    pub(super) fn picture(&mut self, now: Instant, id: LayerId, train: Arc<Train>, shed: &mut Shed) {
        let Some(&slot) = self.by_id.get(&id) else { return };
        let layer = &mut self.slots[slot];
        shed.asked(now, layer.cost(&train, shed.horizon()));
        layer.beside.note(now, &train);
        if train.keyframe {
            shed.begins();
        }
        layer.recent.push(train.clone());
        // A whole picture goes out at once, whatever the interval.
        let is_piece = !(train.starts_frame && train.ends_frame);
        let interval = is_piece.then(|| layer.recent.frame_interval()).flatten();
        layer.fan_out.push_picture(now, train, interval);
        self.activate(slot);
    }

    /// Sound of a stream: it goes to the viewers of all its layers.
    pub(super) fn sound(&mut self, now: Instant, stream: StreamId, train: &Arc<Train>, shed: &mut Shed) {
        for slot in self.of_stream(stream).into_iter().flatten() {
            let layer = &mut self.slots[slot];
            shed.asked(now, layer.cost(train, shed.horizon()));
            layer.beside.note(now, train);
            let flowing = |latest: &Arc<Train>| now.saturating_duration_since(latest.received) < FLOWING;
            let flows = layer.recent.latest().is_some_and(flowing);
            if !flows {
                shed.begins();
            }
            layer.fan_out.push_sound(now, train.clone(), flows);
            self.activate(slot);
        }
    }

    /// When some layer has a turn to give: a past time if it has already.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.active.iter().filter_map(|&slot| self.slots[slot].fan_out.due(now)).min()
    }

    /// Bytes a second on the wire that a viewer takes of what he watches, on average; 0 where nobody is.
    pub(super) fn live_each(&self) -> u64 {
        let watched = self.slots.iter().filter(|(_, layer)| !layer.roll.is_empty());
        let (viewers, bytes) = watched.fold((0, 0), |(viewers, bytes), (_, layer)| {
            let here = layer.roll.len() as u64;
            (viewers + here, bytes + here * layer.beside.with(layer.recent.bytes_per_second()))
        });
        bytes / viewers.max(1)
    }

    /// Since when the oldest train waits.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.active.iter().filter_map(|&slot| self.slots[slot].fan_out.waits_since()).min()
    }

    fn activate(&mut self, slot: LayerSlot) {
        if !std::mem::replace(&mut self.slots[slot].active, true) {
            self.active.push(slot);
        }
    }
}

impl Layer {
    /// What a train costs for those who are served, in bytes.
    fn cost(&self, train: &Train, horizon: u64) -> u64 {
        let served = match horizon {
            u64::MAX => self.roll.len(),
            horizon => self.roll.iter().filter(|(_, number)| *number < horizon).count(),
        };
        (cost_of(train) * served) as u64
    }

    /// Whether its ring has nothing to begin with.
    pub(super) fn has_no_start(&self) -> bool {
        self.recent.since_keyframe().is_none()
    }

    /// The viewer in `slot` watches it no more.
    pub(super) fn strike(&mut self, slot: usize) {
        if let Some(place) = self.roll.iter().position(|&(other, _)| other == slot) {
            // In order, so that those behind keep their turns of the trains under way.
            self.roll.remove(place);
            self.fan_out.removed(place);
            self.watched.set(self.roll.len());
        }
    }
}
