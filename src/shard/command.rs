//! What the control plane may say to a shard, and what a shard says back.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};

use super::fan_out::Pacing;
use super::question::Question;
use super::room::{NoRoom, Room, RoomLimits, Sample};
use super::weight::{Load, Weight};
use crate::count::{Cell, EndReason, ShardCounters};
use crate::id::{LayerId, SessionId, StreamId};
use crate::peer::{Credentials, Remote};
use crate::track::{KeyframeRequest, RecentLimits, Train};
use crate::viewer::Viewer;

/// Commands that may wait for a shard. Full means that the shard stands still: joins are then
/// refused with 503. Raising it costs 16 bytes each and lets joins wait longer.
pub const COMMANDS_MAX: usize = 4_096;

/// Media messages that may wait for a shard: 64 cameras at 80 messages a second for half a second.
/// Full means that the shard cannot keep up: trains are then dropped and counted. Raising it costs
/// memory (a train is up to 19 KB, shared by all shards) and lets delay grow.
pub const MEDIA_MAX: usize = 2_560;

/// Of these, messages of one stream: three of the largest pictures, or what a line brings after a stall. What is over is
/// dropped and counted, so that no source takes the place of the others. Raising it lets one stream take more of it;
/// lowering it drops more behind a stall.
pub const STREAM_MEDIA_MAX: usize = MEDIA_MAX / 4;

/// From the control plane to one viewer's shard.
pub enum Command {
    /// A viewer begins here.
    Join(Box<Viewer>),
    /// A viewer has to go.
    End(SessionId, EndReason),
    /// A viewer restarts ICE (RFC 9725 §4.3.2).
    RestartIce {
        /// Whose.
        session: SessionId,
        /// Our new credentials.
        local: Credentials,
        /// The peer's new credentials.
        remote: Credentials,
    },
    /// A viewer is to watch another layer of its stream, from that one's next keyframe on.
    Choose {
        /// Whose viewer.
        session: SessionId,
        /// The number of the layer.
        layer: u8,
    },
    /// The configuration was changed.
    Tune(Tuning),
    /// Something that has an answer.
    Ask(Question),
    /// The server stops: end every viewer, then the thread.
    Shutdown,
}

/// What a shard takes over of the configuration while it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// How much each track's ring holds.
    pub recent: RecentLimits,
    /// When media leaves.
    pub pacing: Pacing,
    /// Bytes a second on the wire at the most, if there is a limit.
    pub rate: Option<f64>,
}

/// From a stream to every shard that has viewers of it.
#[derive(Debug, Clone)]
pub enum Media {
    /// The first viewer of a layer is about to come: what the layer has of its recent past.
    Subscribe {
        /// Which layer.
        layer: LayerId,
        /// Its trains, oldest first.
        recent: Vec<Arc<Train>>,
        /// Where a keyframe is asked for.
        keyframe: KeyframeRequest,
        /// Where the shard says how many watch it.
        watched: Watched,
        /// Whether its source brings nothing.
        away: bool,
    },
    /// The source of a layer brings nothing, or brings something again.
    Away {
        /// Which layer.
        layer: LayerId,
        /// Whether it brings nothing: then who watches it is sent another layer of the stream meanwhile.
        away: bool,
    },
    /// One train of video.
    Picture {
        /// Of which layer.
        layer: LayerId,
        /// The packets.
        train: Arc<Train>,
    },
    /// One train of audio.
    Sound {
        /// Of which stream.
        stream: StreamId,
        /// The packets.
        train: Arc<Train>,
    },
    /// The last viewer of a layer has gone.
    Unsubscribe {
        /// Which layer.
        layer: LayerId,
    },
}

/// How many viewers of a shard are sent a layer, or are about to be: written by the shard, and read by who decides whether
/// the shard needs the layer still.
#[derive(Debug, Clone, Default)]
pub struct Watched(Arc<AtomicUsize>);

impl Watched {
    /// So many are.
    pub(super) fn set(&self, viewers: usize) {
        self.0.store(viewers, Ordering::Release);
    }

    /// Whether anybody is.
    pub fn is_watched(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

/// How much of one shard's media queue one stream takes.
#[derive(Debug, Clone, Default)]
pub struct QueueShare(Arc<AtomicUsize>);

/// A message in a shard's media queue.
#[derive(Debug)]
pub struct Queued {
    media: Media,
    share: QueueShare,
}

impl Queued {
    /// The message, out of the queue: its place in the stream's share is free again.
    pub fn take(self) -> Media {
        self.share.0.fetch_sub(1, Ordering::Relaxed);
        self.media
    }
}

/// How the control plane reaches one shard.
pub struct ShardHandle {
    /// Its number, from 0.
    pub index: usize,
    /// Its UDP port.
    pub port: u16,
    /// Its TCP port, for viewers without UDP.
    pub tcp_port: Option<u16>,
    /// What it counts.
    pub counters: Arc<ShardCounters>,
    /// Viewers that were sent to it and have not ended: its load.
    pub viewers: AtomicUsize,
    /// What these weigh.
    pub load: Load,
    /// Whether its thread goes round, and how busy it is: as of the last look.
    pub health: Arc<Health>,
    /// Joins that were refused because it had no room.
    pub refused: Cell,
    room: Mutex<Room>,
    commands: Sender<Command>,
    media: Sender<Queued>,
    wake: Arc<Wake>,
}

/// What the last looks at a shard told, and what was decided.
#[derive(Debug, Default)]
pub struct Health {
    stuck: AtomicBool,
    gone: AtomicBool,
    given_up: AtomicBool,
    thread: OnceLock<String>,
    busy_permille: AtomicU64,
    last_busy: AtomicU64,
}

impl Health {
    /// Whether the thread stands still.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// The watchdog says whether it does.
    pub fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }

    /// The books of its viewers are closed; if the thread ever comes back, it ends them.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Whether its viewers were given up since the last call.
    pub fn take_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire) && self.given_up.swap(false, Ordering::AcqRel)
    }

    /// Whether the thread has ended.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// The thread has ended, or is about to: it never comes back.
    pub fn set_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether the thread runs: what is sent to it is done.
    pub fn is_able(&self) -> bool {
        !self.is_stuck() && !self.is_gone()
    }

    /// The thread as the kernel knows it: its folder below `/proc`, once it has begun.
    pub fn thread(&self) -> Option<&str> {
        self.thread.get().map(String::as_str)
    }

    /// The thread says which it is, once.
    pub fn set_thread(&self, folder: String) {
        let _ = self.thread.set(folder);
    }

    /// Part of the time between the last two looks that the thread worked: 0 to 1.
    pub fn busy_ratio(&self) -> f64 {
        self.busy_permille.load(Ordering::Relaxed) as f64 / 1_000.0
    }
}

/// Wakes a worker out of its poll, at most once until it has looked.
pub struct Wake {
    pending: AtomicBool,
    waker: mio::Waker,
}

impl Wake {
    /// Over mio's waker.
    pub fn new(waker: mio::Waker) -> Wake {
        Wake { pending: AtomicBool::new(false), waker }
    }

    /// Wakes the worker unless that has been done already.
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            // An eventfd write fails only when its counter is full: then the worker wakes anyway.
            let _ = self.waker.wake();
        }
    }

    /// The worker is about to look at its queues.
    pub fn taken(&self) {
        self.pending.store(false, Ordering::Release);
    }
}

/// A shard's queue is full: it stands still or cannot keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("shard {0} does not keep up: its queue is full")]
pub struct ShardBusy(pub usize);

impl ShardHandle {
    /// A handle over a worker's queues.
    pub fn new(
        index: usize,
        (port, tcp_port): (u16, Option<u16>),
        counters: Arc<ShardCounters>,
        commands: Sender<Command>,
        media: Sender<Queued>,
        wake: Arc<Wake>,
        room: RoomLimits,
    ) -> ShardHandle {
        let (viewers, load, health) = (AtomicUsize::new(0), Load::default(), Arc::default());
        let (refused, room) = (Cell::new(), Mutex::new(Room::new(room)));
        ShardHandle {
            index,
            port,
            tcp_port,
            counters,
            viewers,
            load,
            health,
            refused,
            room,
            commands,
            media,
            wake,
        }
    }

    /// Its port that `remote` talks to.
    pub fn port_of(&self, remote: &Remote) -> u16 {
        let tcp_port = self.tcp_port.filter(|_| remote.connection.is_some());
        tcp_port.unwrap_or(self.port)
    }

    /// Learns what its viewers cost, from its counters as they are `now`.
    pub fn learn(&self, now: Instant) {
        self.room().learn(now, || self.sample());
    }

    fn sample(&self) -> Sample {
        Sample::of(&self.counters, self.load.connected())
    }

    /// Whether it can serve one viewer more, of that weight, by what those it has were measured to cost.
    pub fn check_room(&self, now: Instant, weight: Weight) -> Result<(), NoRoom> {
        let mut room = self.room();
        room.learn(now, || self.sample());
        let given = self.load.given() + weight.value();
        room.check(self.index, self.viewers.load(Ordering::Relaxed), given)
    }

    /// Its viewers are weighed anew: `change` says each that weighs something else now, with whether it is connected.
    pub fn reweigh(&self, changes: impl Iterator<Item = (Weight, Weight, bool)>) {
        let mut room = self.room();
        let connected = self.load.connected();
        changes.for_each(|(before, now, is_connected)| self.load.change(before, now, is_connected));
        room.reweigh(connected, self.load.connected());
    }

    /// What the viewers that it was given will take of its time when they are all connected: from 0 on; over
    /// 1 is more than it has.
    pub fn expected_load(&self) -> f64 {
        self.room().expected(self.viewers.load(Ordering::Relaxed), self.load.given())
    }

    /// What it may take on from now on; what was learnt of its viewers stays.
    pub fn limit(&self, limits: RoomLimits) {
        self.room().limit(limits);
    }

    fn room(&self) -> std::sync::MutexGuard<'_, Room> {
        // Plain numbers, and true after a panic too.
        self.room.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes its busy ratio, `elapsed` after the last time.
    pub fn look(&self, elapsed: Duration) {
        let health = &self.health;
        let busy = self.counters.busy_nanos.get();
        let worked = busy.saturating_sub(health.last_busy.swap(busy, Ordering::Relaxed));
        let permille = (u128::from(worked) * 1_000 / elapsed.as_nanos().max(1)).min(1_000);
        health.busy_permille.store(permille as u64, Ordering::Relaxed);
    }

    /// Hands over a command.
    pub fn command(&self, command: Command) -> Result<(), ShardBusy> {
        let sent = self.commands.try_send(command);
        self.wake.wake();
        match sent {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(ShardBusy(self.index)),
        }
    }

    /// Hands over media of the stream with that share; what does not fit into the queue, or into its share
    /// ([`STREAM_MEDIA_MAX`]), is dropped and counted.
    pub fn media(&self, media: Media, share: &QueueShare) -> Result<(), ShardBusy> {
        // Its publisher's lock is held: nobody else adds to it.
        if share.0.load(Ordering::Relaxed) >= STREAM_MEDIA_MAX {
            self.counters.media_queue_share.add_shared(1);
            return Err(ShardBusy(self.index));
        }
        share.0.fetch_add(1, Ordering::Relaxed);
        let sent = self.media.try_send(Queued { media, share: share.clone() });
        self.wake.wake();
        match sent {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(queued) | TrySendError::Disconnected(queued)) => {
                queued.take();
                self.counters.media_queue_full.add_shared(1);
                Err(ShardBusy(self.index))
            }
        }
    }
}
