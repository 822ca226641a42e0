//! The fan-out of one stream: its layers' recent past, and the ways to the shards that have viewers of them.
//!
//! Owns how many chose which layer on which shard, and which layers a shard therefore is sent: those that somebody there
//! chose, another one where the source of the chosen is away, and what is watched still by who is about to go over. Its
//! stream keeps it under one short lock of the control plane; shards get messages and take no lock.

use std::sync::Arc;

use sluice_media::Kind;

use crate::id::{LAYERS_MAX, LayerId, StreamId};
use crate::shard::command::{Media, QueueShare, ShardBusy, ShardHandle, Watched};
use crate::track::{KeyframeRequest, Recent, RecentLimits, TrackSeq, Train};

/// The way of a stream's trains to the shards.
pub(super) struct Publisher {
    stream: StreamId,
    /// Encodings of its video, by number.
    layers: [Published; LAYERS_MAX],
    /// The ways to the shards, by number.
    ways: Vec<Way>,
    limits: RecentLimits,
}

/// One layer.
struct Published {
    recent: Recent,
    /// What is known of it on each shard.
    places: Vec<Place>,
    /// The newest keyframe that was whole. The ring forgets it behind a gap.
    keyframe: Vec<Arc<Train>>,
    /// The newest train is of a keyframe.
    in_keyframe: bool,
    /// The number behind the newest train ever kept.
    end: TrackSeq,
    /// Its source brings nothing.
    away: bool,
    /// Where shards ask for a keyframe.
    request: KeyframeRequest,
}

/// A layer on one shard.
#[derive(Clone, Default)]
struct Place {
    /// Viewers that chose it.
    viewers: usize,
    /// The shard is sent it.
    sent: bool,
    /// What the shard was told last of its source: that it is away.
    told_away: bool,
    /// Whether anybody is sent it there.
    watched: Watched,
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

impl Published {
    /// A layer that is sent to nobody.
    fn new(shards: usize, limits: RecentLimits) -> Published {
        Published {
            recent: Recent::new(limits),
            places: vec![Place::default(); shards],
            keyframe: Vec::new(),
            in_keyframe: false,
            end: TrackSeq::default(),
            away: true,
            request: KeyframeRequest::default(),
        }
    }

    fn keep(&mut self, train: Arc<Train>) {
        // Only the first of its trains says that it is one.
        self.in_keyframe = train.keyframe || self.in_keyframe && !train.starts_frame;
        let is_whole = self.in_keyframe && train.ends_frame;
        self.end = self.end.max(train.end());
        self.recent.push(train);
        if is_whole {
            let newest = self.recent.newest_keyframe();
            if !newest.is_empty() {
                self.keyframe = newest;
            }
        }
    }

    /// From now on `shard` is sent it.
    fn send_to(&mut self, layer: LayerId, way: &Way, shard: usize) -> Result<(), ShardBusy> {
        let place = &mut self.places[shard];
        if place.sent {
            return Ok(());
        }
        let from = self.recent.since_keyframe().unwrap_or(TrackSeq(u64::MAX));
        let recent = self.recent.trains_from(from).cloned().collect();
        let (keyframe, watched) = (self.request.clone(), place.watched.clone());
        let begin = Media::Subscribe { layer, recent, keyframe, watched, away: self.away };
        way.shard.media(begin, &way.share)?;
        (place.sent, place.told_away) = (true, self.away);
        Ok(())
    }
}

impl Publisher {
    /// Without layers, to all shards.
    pub(super) fn new(stream: StreamId, shards: &[Arc<ShardHandle>], limits: RecentLimits) -> Publisher {
        let ways = shards.iter().map(|shard| Way { shard: shard.clone(), share: QueueShare::default() });
        let layers = std::array::from_fn(|_| Published::new(shards.len(), limits));
        Publisher { stream, layers, ways: ways.collect(), limits }
    }

    /// A layer begins, whose source is asked for keyframes by `request`.
    pub(super) fn begin(&mut self, number: u8, request: KeyframeRequest) {
        self.layers[usize::from(number)].request = request;
    }

    /// A layer is no more: nothing of it is kept.
    pub(super) fn end(&mut self, layer: LayerId) {
        self.set_away(layer, true);
        let Published { recent, keyframe, in_keyframe, .. } = &mut self.layers[usize::from(layer.number)];
        (*recent, *in_keyframe) = (Recent::new(self.limits), false);
        keyframe.clear();
    }

    /// Rings of its layers keep as much as `limits` say from now on. Those of shards are told by others.
    pub(super) fn limit(&mut self, limits: RecentLimits) {
        self.limits = limits;
        self.layers.iter_mut().for_each(|layer| layer.recent.limit(limits));
    }

    /// Forgets the past of a layer, but for its newest keyframe. Numbers go on.
    pub(super) fn forget(&mut self, number: u8) {
        self.layers[usize::from(number)].recent.forget();
    }

    /// The recent past of a layer.
    pub(super) fn recent(&self, number: u8) -> &Recent {
        &self.layers[usize::from(number)].recent
    }

    /// The number behind the newest train of a layer, of whatever source it ever had.
    pub(super) fn end_of(&self, number: u8) -> TrackSeq {
        self.layers[usize::from(number)].end
    }

    /// The trains of its newest keyframe, whatever came or was missed since; none before the first.
    pub(super) fn newest_keyframe(&self, number: u8) -> &[Arc<Train>] {
        &self.layers[usize::from(number)].keyframe
    }

    /// Viewers that chose a layer.
    pub(super) fn viewers(&self, number: u8) -> usize {
        self.layers[usize::from(number)].places.iter().map(|place| place.viewers).sum()
    }

    /// Whether any shard is sent a layer.
    pub(super) fn is_sent(&self, number: u8) -> bool {
        self.layers[usize::from(number)].places.iter().any(|place| place.sent)
    }

    /// Sends a train to every shard that has viewers of it; one of video, which is of `layer`, is kept for shards
    /// that will.
    pub(super) fn publish(&mut self, layer: LayerId, train: Arc<Train>) {
        let number = usize::from(layer.number);
        match train.codec.kind() {
            Kind::Video => {
                for shard in 0..self.ways.len() {
                    self.tell(layer, shard);
                    if !self.layers[number].places[shard].sent {
                        continue;
                    }
                    if self.needs(number, shard) {
                        self.ways[shard].offer(Media::Picture { layer, train: train.clone() });
                    } else {
                        self.leave(layer, shard);
                    }
                }
                self.layers[number].keep(train);
            }
            Kind::Audio => {
                let heard = |shard: usize| self.layers.iter().any(|layer| layer.places[shard].sent);
                for (_, way) in self.ways.iter().enumerate().filter(|(shard, _)| heard(*shard)) {
                    way.offer(Media::Sound { stream: self.stream, train: train.clone() });
                }
            }
        }
    }

    /// Whether a shard needs a layer: somebody there chose it, or chose one whose source is away, or is sent it still.
    fn needs(&self, number: usize, shard: usize) -> bool {
        let place = &self.layers[number].places[shard];
        place.viewers > 0 || self.stands_in(number, shard) || place.watched.is_watched()
    }

    /// Whether it is shown on that shard to who chose another.
    fn stands_in(&self, number: usize, shard: usize) -> bool {
        let lacks = |(other, layer): (usize, &Published)| {
            other != number && layer.away && layer.places[shard].viewers > 0
        };
        !self.layers[number].away && self.layers.iter().enumerate().any(lacks)
    }

    fn leave(&mut self, layer: LayerId, shard: usize) {
        self.layers[usize::from(layer.number)].places[shard].sent = false;
        // If this does not fit, the shard keeps one stale ring, bounded, until the next viewer.
        self.ways[shard].offer(Media::Unsubscribe { layer });
    }

    /// The source of a layer brings nothing, or brings something again: who chose it is sent another one meanwhile.
    pub(super) fn set_away(&mut self, layer: LayerId, away: bool) {
        let number = usize::from(layer.number);
        if std::mem::replace(&mut self.layers[number].away, away) == away {
            return;
        }
        (0..self.ways.len()).for_each(|shard| self.tell(layer, shard));
    }

    /// Tells a shard whose source is away and is not, where it does not know yet, and sends it what is shown instead. What
    /// does not fit into its queue is told again with the next picture: it would show the wrong layer, or a still picture.
    fn tell(&mut self, layer: LayerId, shard: usize) {
        self.send_what_stands_in(layer, shard);
        for number in 0..LAYERS_MAX {
            let Published { ref mut places, away, .. } = self.layers[number];
            let (place, way) = (&mut places[shard], &self.ways[shard]);
            if place.sent && place.told_away != away {
                let layer = LayerId { number: number as u8, ..layer };
                let told = way.shard.media(Media::Away { layer, away }, &way.share).is_ok();
                place.told_away ^= told;
            }
        }
    }

    /// A viewer of `layer` comes to `shard`: it gets it from now on, and its recent past.
    pub(super) fn subscribe(&mut self, layer: LayerId, shard: usize) -> Result<(), ShardBusy> {
        let number = usize::from(layer.number);
        self.layers[number].send_to(layer, &self.ways[shard], shard)?;
        self.layers[number].places[shard].viewers += 1;
        self.send_what_stands_in(layer, shard);
        Ok(())
    }

    /// Sends a shard what is shown there instead of a layer of the stream that is away.
    fn send_what_stands_in(&mut self, layer: LayerId, shard: usize) {
        for number in 0..LAYERS_MAX {
            if self.stands_in(number, shard) {
                let id = LayerId { number: number as u8, ..layer };
                let _ = self.layers[number].send_to(id, &self.ways[shard], shard);
            }
        }
    }

    /// A viewer of `layer` has gone from `shard`, or chose another one there.
    pub(super) fn unsubscribe(&mut self, layer: LayerId, shard: usize) {
        let place = &mut self.layers[usize::from(layer.number)].places[shard];
        place.viewers = place.viewers.saturating_sub(1);
        // Who is about to go over to another is sent it until then: `publish` sees when.
        for number in 0..LAYERS_MAX {
            let is_idle = self.ways[shard].shard.health.is_gone() || !self.needs(number, shard);
            let place = &self.layers[number].places[shard];
            if place.sent && place.viewers == 0 && is_idle {
                self.leave(LayerId { number: number as u8, ..layer }, shard);
            }
        }
    }
}
