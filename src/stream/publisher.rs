//! The fan-out of one stream: its layers' recent past, and the ways to the shards that have viewers of them.
//!
//! Owns how many watch which layer on which shard. Its stream keeps it under one short lock of the control plane;
//! shards get messages and take no lock.

use std::sync::Arc;

use sluice_media::Kind;

use crate::id::{LayerId, StreamId};
use crate::shard::command::{Media, QueueShare, ShardBusy, ShardHandle};
use crate::track::{KeyframeRequest, Recent, RecentLimits, TrackSeq, Train};

/// The way of a stream's trains to the shards.
pub(super) struct Publisher {
    stream: StreamId,
    /// Encodings of its video, by number. A camera has one.
    layers: Vec<Published>,
    /// The ways to the shards, by number.
    ways: Vec<Way>,
    /// Where shards ask for a keyframe.
    keyframe: KeyframeRequest,
}

/// One layer.
struct Published {
    recent: Recent,
    /// How many watch it, by shard.
    viewers: Vec<usize>,
    /// The newest keyframe that was whole. The ring forgets it behind a gap.
    keyframe: Vec<Arc<Train>>,
    /// The newest train is of a keyframe.
    in_keyframe: bool,
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

impl Publisher {
    /// Of one layer, to all shards.
    pub(super) fn new(
        stream: StreamId,
        shards: &[Arc<ShardHandle>],
        limits: RecentLimits,
        keyframe: KeyframeRequest,
    ) -> Publisher {
        let ways = shards.iter().map(|shard| Way { shard: shard.clone(), share: QueueShare::default() });
        let layer = Published {
            recent: Recent::new(limits),
            viewers: vec![0; shards.len()],
            keyframe: Vec::new(),
            in_keyframe: false,
        };
        Publisher { stream, layers: vec![layer], ways: ways.collect(), keyframe }
    }

    /// Rings of its layers keep as much as `limits` say from now on. Those of shards are told by others.
    pub(super) fn limit(&mut self, limits: RecentLimits) {
        self.layers.iter_mut().for_each(|layer| layer.recent.limit(limits));
    }

    /// Forgets the past of its layers, but for their newest keyframes. Numbers go on.
    pub(super) fn forget(&mut self) {
        self.layers.iter_mut().for_each(|layer| layer.recent.forget());
    }

    /// The recent past of the layer that a viewer watches who asks for nothing else.
    pub(super) fn recent(&self) -> &Recent {
        &self.layers[0].recent
    }

    /// The trains of its newest keyframe, whatever came or was missed since; none before the first.
    pub(super) fn newest_keyframe(&self) -> &[Arc<Train>] {
        &self.layers[0].keyframe
    }

    /// Sends a train to every shard that has viewers of it; one of video, which is of `layer`, is kept for shards
    /// that will.
    pub(super) fn publish(&mut self, layer: LayerId, train: Arc<Train>) {
        let Publisher { layers, ways, .. } = self;
        match train.codec.kind() {
            Kind::Video => {
                let Published { recent, viewers, keyframe, in_keyframe } =
                    &mut layers[usize::from(layer.number)];
                for (way, _) in ways.iter().zip(viewers).filter(|(_, viewers)| **viewers > 0) {
                    way.offer(Media::Picture { layer, train: train.clone() });
                }
                // Only the first of its trains says that it is one.
                *in_keyframe = train.keyframe || *in_keyframe && !train.starts_frame;
                let is_whole = *in_keyframe && train.ends_frame;
                recent.push(train);
                if is_whole {
                    let newest = recent.newest_keyframe();
                    if !newest.is_empty() {
                        *keyframe = newest;
                    }
                }
            }
            Kind::Audio => {
                let heard = |shard: usize| layers.iter().any(|layer| layer.viewers[shard] > 0);
                for (_, way) in ways.iter().enumerate().filter(|(shard, _)| heard(*shard)) {
                    way.offer(Media::Sound { stream: self.stream, train: train.clone() });
                }
            }
        }
    }

    /// A viewer of `layer` comes to `shard`: it gets it from now on, and its recent past.
    pub(super) fn subscribe(&mut self, layer: LayerId, shard: usize) -> Result<(), ShardBusy> {
        let Publisher { layers, ways, keyframe, .. } = self;
        let Published { recent, viewers, .. } = &mut layers[usize::from(layer.number)];
        if viewers[shard] == 0 {
            let from = recent.since_keyframe().unwrap_or(TrackSeq(u64::MAX));
            let recent = recent.trains_from(from).cloned().collect();
            let Way { shard, share } = &ways[shard];
            shard.media(Media::Subscribe { layer, recent, keyframe: keyframe.clone() }, share)?;
        }
        viewers[shard] += 1;
        Ok(())
    }

    /// A viewer of `layer` has gone from `shard`.
    pub(super) fn unsubscribe(&mut self, layer: LayerId, shard: usize) {
        let viewers = &mut self.layers[usize::from(layer.number)].viewers[shard];
        *viewers = viewers.saturating_sub(1);
        if *viewers == 0 {
            // If this does not fit, the shard keeps one stale ring, bounded, until the next viewer.
            self.ways[shard].offer(Media::Unsubscribe { layer });
        }
    }
}
