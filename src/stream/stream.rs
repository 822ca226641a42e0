//! One stream: its layers, each with a source, and its way to the shards.
//!
//! Owns what the control plane knows of it, and which layer is shown and heard where nobody says otherwise.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant, SystemTime};

use sluice_media::AudioCodec;
use tokio::sync::watch;

use super::pool::Pool;
use super::publisher::Publisher;
use super::sound::Sounds;
use super::trouble::Watch;
use super::{Formats, Layer, Orders, Origin, SourceState, Status};
use crate::contain::{lock, read, write};
use crate::count::Cell;
use crate::feed::Feed;
use crate::id::{LAYER_NAMES, LayerId, StreamId};
use crate::shard::command::{ShardBusy, ShardHandle};
use crate::track::{RecentLimits, TrackSeq, Train};

/// The number of the layer that every stream has.
pub const HIGH: u8 = 0;

/// The number of the layer that only a pair has.
pub const LOW: u8 = 1;

/// One stream.
pub struct Stream {
    /// Its number on the data plane.
    pub id: StreamId,
    /// Its name in URLs.
    pub name: String,
    /// The pattern that it was made by, if nobody has named it.
    pub pattern: Option<String>,
    /// Sessions that watch it.
    pub viewers: AtomicUsize,
    /// Payload bytes that viewers were sent who are over, without repairs.
    pub egress_of_ended: Cell,
    /// Offers that wait for its sources.
    waiting: AtomicUsize,
    /// What the layer does that is shown.
    status: watch::Sender<Status>,
    high: Arc<Layer>,
    low: RwLock<Option<Arc<Layer>>>,
    /// Its sound, from whichever layer.
    pub(super) sounds: Sounds,
    /// Where changes of its state are told.
    changes_told: Arc<Feed<StateChange>>,
    publisher: Mutex<Publisher>,
    /// Where its sound is turned into Opus, if it has to be.
    pub(super) pool: Arc<Pool>,
}

/// A stream is in another state, or there is none of that name any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// Its name.
    pub stream: String,
    /// What its source does; nothing once it was removed.
    pub state: Option<SourceState>,
}

/// What a layer's ring tells of its video.
#[derive(Debug, Clone, Copy)]
pub struct Ring {
    /// When the newest keyframe came.
    pub keyframe: Option<Instant>,
    /// How long after the one before it.
    pub interval: Option<Duration>,
    /// Trains that went for want of room before their time, since the start.
    pub evicted_early: u64,
}

impl Stream {
    /// A stream of one layer, which is fed from `origin` once somebody takes its orders.
    pub(super) fn new(
        id: StreamId,
        (name, pattern): (String, Option<String>),
        origin: Origin,
        shards: &[Arc<ShardHandle>],
        limits: RecentLimits,
        changes_told: Arc<Feed<StateChange>>,
        pool: Arc<Pool>,
    ) -> (Arc<Stream>, Orders) {
        let (high, orders) = Layer::new(id.layer(HIGH), origin);
        let mut publisher = Publisher::new(id, shards, limits);
        publisher.begin(HIGH, high.wishes().keyframe.clone());
        let stream = Stream {
            id,
            name,
            pattern,
            viewers: AtomicUsize::new(0),
            egress_of_ended: Cell::new(),
            waiting: AtomicUsize::new(0),
            status: watch::Sender::new(high.status()),
            high,
            low: RwLock::new(None),
            sounds: Sounds::default(),
            changes_told,
            publisher: Mutex::new(publisher),
            pool,
        };
        (Arc::new(stream), orders)
    }

    /// Its layers, the high one first.
    pub fn layers(&self) -> Vec<Arc<Layer>> {
        std::iter::once(self.high.clone()).chain(read(&self.low).clone()).collect()
    }

    /// The layer of that number, if it has one.
    pub fn layer(&self, number: u8) -> Option<Arc<Layer>> {
        if number == HIGH {
            Some(self.high.clone())
        } else {
            read(&self.low).clone().filter(|_| number == LOW)
        }
    }

    /// The layer of that name, if it has one.
    pub fn layer_named(&self, name: &str) -> Option<Arc<Layer>> {
        self.layer(LAYER_NAMES.iter().position(|known| *known == name)? as u8)
    }

    /// The layer that every stream has.
    pub fn high(&self) -> &Arc<Layer> {
        &self.high
    }

    /// Whether it has two layers.
    pub fn is_pair(&self) -> bool {
        read(&self.low).is_some()
    }

    /// What the layer of that number is called in the log.
    pub fn title(&self, number: u8) -> String {
        if number == HIGH {
            self.name.clone()
        } else {
            format!("{}:{}", self.name, self.id.layer(number).name())
        }
    }

    /// The layer that is shown to who asks for none: the high one while it shows something, or the other does not either.
    pub fn shown(&self) -> Arc<Layer> {
        self.shown_of(HIGH)
    }

    /// The layer that is shown to who asks for the one of that number: that one while it shows something, or no other
    /// does.
    pub fn shown_of(&self, number: u8) -> Arc<Layer> {
        let asked = self.layer(number).unwrap_or_else(|| self.high.clone());
        let shows = |layer: &Arc<Layer>| layer.shows() || !self.is_pair() && layer.plays();
        if shows(&asked) {
            return asked;
        }
        let layers = self.layers();
        let other =
            layers.iter().find(|layer| layer.shows()).or_else(|| layers.iter().find(|layer| layer.plays()));
        other.cloned().unwrap_or(asked)
    }

    /// Whether the sound of the layer of that number is the stream's in that codec: of those that have some of it, the first's
    /// is.
    pub(super) fn hears(&self, number: u8, codec: AudioCodec) -> bool {
        // Asked with each packet of sound.
        let has_some = |layer: &Arc<Layer>| layer.sound() == Some(codec);
        let first =
            if has_some(&self.high) { Some(self.high.clone()) } else { self.layer(LOW).filter(has_some) };
        first.is_none_or(|layer| layer.id.number == number)
    }

    /// The codec of the sound that whoever comes now hears, if any.
    pub fn sound(&self) -> Option<AudioCodec> {
        self.heard()?.sound()
    }

    fn heard(&self) -> Option<Arc<Layer>> {
        self.layers().into_iter().find(|layer| layer.sound().is_some())
    }

    /// What a viewer of `layer` gets, if viewers can be answered now: its pictures, and the stream's sound.
    pub fn playable(&self, layer: &Layer) -> Option<Formats> {
        let formats = layer.status().playable().cloned()?;
        // Of a layer that is away what it had last: it comes back, and who watches cannot agree to it then.
        let known = || self.layers().into_iter().find_map(|layer| layer.status().formats?.audio);
        let audio = self.heard().and_then(|heard| heard.status().formats?.audio).or_else(known);
        Some(Formats { audio, ..formats })
    }

    /// What it is fed from, and how. Holds credentials that cannot be printed.
    pub fn origin(&self) -> Arc<Origin> {
        self.high.origin()
    }

    /// Where it comes from, without credentials.
    pub fn source(&self) -> String {
        self.layers().iter().map(|layer| layer.source()).collect::<Vec<_>>().join(", ")
    }

    /// Its layer of that number, if it has it, is fed from something else, or otherwise, from now on; viewers stay. Returns
    /// whether that is news.
    pub fn change(&self, number: u8, origin: Origin) -> bool {
        self.layer(number).is_some_and(|layer| layer.change(origin))
    }

    /// It has a low layer from now on, which is fed from `origin` once somebody takes its orders; nothing if it has one.
    pub fn add_low(&self, origin: Origin) -> Option<Orders> {
        let mut low = write(&self.low);
        if low.is_some() || self.is_over() {
            return None;
        }
        let (layer, orders) = Layer::new(self.id.layer(LOW), origin);
        lock(&self.publisher).begin(LOW, layer.wishes().keyframe.clone());
        // Whoever wants the stream wants it.
        (0..self.viewers.load(Ordering::Relaxed) + self.waiting()).for_each(|_| layer.hold());
        *low = Some(layer);
        Some(orders)
    }

    /// It has no low layer any more: who chose it is sent the high one. Returns whether it had one.
    pub fn remove_low(&self) -> bool {
        let Some(low) = write(&self.low).take() else { return false };
        low.stop();
        lock(&self.publisher).end(low.id);
        true
    }

    /// How often what it is fed from was changed.
    pub fn changes(&self) -> u64 {
        self.layers().iter().map(|layer| layer.changes() + 1).sum()
    }

    /// Somebody asks for it and gets no picture: a source that waits tries sooner.
    pub fn want(&self) {
        self.layers().iter().for_each(|layer| layer.wishes().want());
    }

    /// Keeps sources on demand running for somebody who waits for them; they linger once that is dropped.
    pub fn hold(self: &Arc<Self>) -> Hold {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.layers().iter().for_each(|layer| layer.hold());
        Hold(self.clone())
    }

    /// Whether anybody watches it, or waits for it.
    pub fn is_wanted(&self) -> bool {
        self.layers().iter().any(|layer| layer.is_wanted())
    }

    /// How many wait for its sources.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Its sources end.
    pub fn stop(&self) {
        // No layer begins once the high one is stopped.
        self.high.stop();
        self.layers().iter().for_each(|layer| layer.stop());
        // Whoever waits for it waits in vain.
        self.status.send_modify(|_| {});
    }

    /// Whether it is over: nobody may begin to watch it.
    pub fn is_over(&self) -> bool {
        self.high.is_stopped()
    }

    /// What it is doing: what the layer does that is shown.
    pub fn status(&self) -> Status {
        self.shown().status()
    }

    /// The same for those who wait for another.
    pub fn statuses(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Changes what a layer is doing.
    pub fn update(&self, layer: &Layer, change: impl FnOnce(&mut Status)) {
        let (before, of_layer) = (self.status().state, layer.status().state);
        layer.update(change);
        // One that was taken away tells shards nothing any more.
        if self.layer(layer.id.number).is_some_and(|there| std::ptr::eq(&*there, layer)) {
            lock(&self.publisher).set_away(layer.id, !layer.shows());
        }
        let status = self.status();
        let after = status.state.clone();
        self.status.send_replace(status);
        // What a source does that is being let go is nobody's news.
        let is_news =
            after.name() != before.name() || self.is_pair() && layer.status().state.name() != of_layer.name();
        if is_news && !self.is_over() {
            self.changes_told.tell(|| StateChange { stream: self.name.clone(), state: Some(after) });
        }
    }

    /// Whether it needs attention, as of the last look.
    pub fn watch(&self) -> Watch {
        self.shown().watch()
    }

    /// Looks whether its layers need attention: once a second, and for each list. `now` and `date` are the same moment.
    /// Gives what the one does that is shown, and what was found, which is of that.
    pub fn look(&self, now: Instant, date: SystemTime) -> (Status, Watch) {
        let shown = self.shown();
        let looks = self.layers().into_iter().map(|layer| (layer.id, self.look_at(&layer, now, date)));
        let looks: Vec<_> = looks.collect();
        let of_shown = looks.into_iter().find(|(id, _)| *id == shown.id);
        of_shown.map_or_else(|| (shown.status(), shown.watch()), |(_, look)| look)
    }

    /// As [`Stream::look`], of one layer.
    pub fn look_at(&self, layer: &Layer, now: Instant, date: SystemTime) -> (Status, Watch) {
        let (newest, startable) = {
            let publisher = lock(&self.publisher);
            let recent = publisher.recent(layer.id.number);
            (recent.latest().map(|train| train.received), recent.since_keyframe().is_some())
        };
        layer.look((now, date), newest, startable)
    }

    /// Sends trains to every shard that has viewers of them, and keeps those of video, which are of `layer`, for
    /// shards that will. Here frames come in that were packetized, and packets that came as packets.
    pub fn publish(&self, layer: LayerId, trains: impl IntoIterator<Item = Arc<Train>>) {
        let mut publisher = lock(&self.publisher);
        trains.into_iter().for_each(|train| publisher.publish(layer, train));
    }

    /// It keeps of the past as much as `limits` say from now on.
    pub(super) fn limit(&self, limits: RecentLimits) {
        lock(&self.publisher).limit(limits);
    }

    /// The trains of a layer's newest keyframe, none before the first. Shards are not asked.
    pub fn newest_keyframe(&self, layer: LayerId) -> Vec<Arc<Train>> {
        lock(&self.publisher).newest_keyframe(layer.number).to_vec()
    }

    /// What a layer's ring tells.
    pub fn ring(&self, layer: LayerId) -> Ring {
        let publisher = lock(&self.publisher);
        let recent = publisher.recent(layer.number);
        let (keyframe, next) = (recent.keyframe_received(), recent.next_keyframe());
        let interval = keyframe.zip(next).map(|(keyframe, next)| next.saturating_duration_since(keyframe));
        Ring { keyframe, interval, evicted_early: recent.evicted_early() }
    }

    /// The number behind the newest train of a layer, of whatever source it ever had.
    pub(super) fn end_of(&self, layer: LayerId) -> TrackSeq {
        lock(&self.publisher).end_of(layer.number)
    }

    /// Whether some layer has a keyframe to show.
    pub fn has_picture(&self) -> bool {
        let publisher = lock(&self.publisher);
        [HIGH, LOW].into_iter().any(|number| !publisher.newest_keyframe(number).is_empty())
    }

    /// Whether a viewer that comes now can start before the next keyframe.
    pub fn has_start(&self) -> bool {
        let number = self.shown().id.number;
        lock(&self.publisher).recent(number).since_keyframe().is_some()
    }

    /// Sessions whose viewers chose that layer.
    pub fn viewers_of(&self, layer: LayerId) -> usize {
        lock(&self.publisher).viewers(layer.number)
    }

    /// Whether somebody sees or hears what comes of a layer as it comes.
    pub(super) fn is_watched(&self, layer: &Layer) -> bool {
        let number = layer.id.number;
        self.viewers.load(Ordering::Relaxed) > 0
            && (lock(&self.publisher).is_sent(number)
                || layer.sound().is_some_and(|codec| self.hears(number, codec)))
            || self.waiting() > 0
    }

    /// A viewer of `layer` comes to `shard`: it gets it from now on, and its recent past.
    pub fn subscribe(&self, layer: LayerId, shard: usize) -> Result<(), ShardBusy> {
        lock(&self.publisher).subscribe(layer, shard)?;
        self.viewers.fetch_add(1, Ordering::Relaxed);
        self.layers().iter().for_each(|layer| layer.hold());
        Ok(())
    }

    /// A viewer on `shard` chose another layer than before: that one gets there, and the other until the viewer has gone
    /// over.
    pub fn choose(&self, from: LayerId, to: LayerId, shard: usize) -> Result<(), ShardBusy> {
        let mut publisher = lock(&self.publisher);
        publisher.subscribe(to, shard)?;
        publisher.unsubscribe(from, shard);
        Ok(())
    }

    /// A viewer of `layer` has gone from `shard`.
    pub fn unsubscribe(&self, layer: LayerId, shard: usize) {
        lock(&self.publisher).unsubscribe(layer, shard);
        self.viewers.fetch_sub(1, Ordering::Relaxed);
        self.let_go();
    }

    fn let_go(&self) {
        self.layers().iter().for_each(|layer| layer.let_go());
    }

    /// Nothing comes of a layer until somebody wants it: of the past its newest keyframe stays.
    pub(super) fn rest(&self, layer: LayerId) {
        lock(&self.publisher).forget(layer.number);
    }
}

/// Somebody waits for a stream's sources: while there is one, sources on demand run.
pub struct Hold(Arc<Stream>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.let_go();
    }
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
