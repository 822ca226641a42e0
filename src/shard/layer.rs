//! The layers on one shard: for each encoding of a stream's video that somebody here watches its ring, its viewers and
//! the trains that wait for their turns.
//!
//! Owns which of them have something to send. Sound is of all layers of its stream, and travels with the pictures of
//! each. Never calls a viewer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::fan_out::{FanOut, Pacing, cost_of};
use super::shed::Shed;
use crate::id::{LayerId, StreamId};
use crate::track::{KeyframeRequest, Recent, RecentLimits, Train};

/// A picture older than this does not count as flowing: sound no longer waits to travel with the next.
const FLOWING: Duration = Duration::from_millis(250);

/// A layer's place here.
pub(super) type LayerSlot = usize;

/// One layer.
pub(super) struct Layer {
    pub(super) recent: Recent,
    /// Where a keyframe is asked for.
    pub(super) keyframe: KeyframeRequest,
    pub(super) fan_out: FanOut,
    /// Slots and numbers of its viewers, in the order of their turns.
    pub(super) roll: Vec<(usize, u64)>,
    /// Whether it is among the active ones.
    pub(super) active: bool,
}

/// All layers of a shard.
pub(super) struct Layers {
    pub(super) slots: Slab<Layer>,
    /// Those with trains that wait, each once.
    pub(super) active: Vec<LayerSlot>,
    by_id: HashMap<LayerId, LayerSlot>,
    by_stream: HashMap<StreamId, Vec<LayerSlot>>,
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
            recent: Recent::new(self.limits),
            keyframe: KeyframeRequest::default(),
            fan_out: FanOut::new(self.pacing),
            roll: Vec::new(),
            active: false,
        });
        self.by_id.insert(id, slot);
        self.by_stream.entry(id.stream).or_default().push(slot);
        slot
    }

    /// Forgets a layer that nobody watches.
    pub(super) fn leave(&mut self, id: LayerId) {
        let Some(&slot) = self.by_id.get(&id).filter(|slot| self.slots[**slot].roll.is_empty()) else {
            return;
        };
        self.by_id.remove(&id);
        if let Some(of_stream) = self.by_stream.get_mut(&id.stream) {
            of_stream.retain(|other| *other != slot);
            if of_stream.is_empty() {
                self.by_stream.remove(&id.stream);
            }
        }
        self.active.retain(|&other| other != slot);
        self.slots.remove(slot);
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        *self = Layers::new(self.limits, self.pacing);
    }

    /// Puts what a layer is of the recent past into its ring; keyframes of it are asked for with `keyframe`.
    pub(super) fn fill(&mut self, id: LayerId, recent: Vec<Arc<Train>>, keyframe: KeyframeRequest) {
        let slot = self.enter(id);
        self.slots[slot].keyframe = keyframe;
        for train in recent {
            self.slots[slot].recent.push(train);
        }
    }

    /// A picture, or a piece of one, of a layer.
    pub(super) fn picture(&mut self, now: Instant, id: LayerId, train: Arc<Train>, shed: &mut Shed) {
        let Some(&slot) = self.by_id.get(&id) else { return };
        let layer = &mut self.slots[slot];
        shed.asked(now, layer.cost(&train, shed.horizon()));
        if train.keyframe {
            shed.begins();
        }
        layer.recent.push(train.clone());
        let interval = layer.recent.frame_interval();
        layer.fan_out.push_picture(now, train, interval);
        self.activate(slot);
    }

    /// Sound of a stream: it goes to the viewers of all its layers.
    pub(super) fn sound(&mut self, now: Instant, stream: StreamId, train: &Arc<Train>, shed: &mut Shed) {
        for at in 0..self.by_stream.get(&stream).map_or(0, Vec::len) {
            let slot = self.by_stream[&stream][at];
            let layer = &mut self.slots[slot];
            shed.asked(now, layer.cost(train, shed.horizon()));
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

    /// The viewer in `slot` watches it no more.
    pub(super) fn strike(&mut self, slot: usize) {
        if let Some(place) = self.roll.iter().position(|&(other, _)| other == slot) {
            // In order, so that those behind keep their turns of the trains under way.
            self.roll.remove(place);
            self.fan_out.removed(place);
        }
    }
}
