//! How a stream reaches its source: what it is to be fed from, how many want it, that a keyframe is needed, and that it
//! is over.
//!
//! Owns the two ends. The stream's never waits: a source hears of an order when it looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_config::{OnDemand, Rtsp, Source};
use tokio::sync::{Notify, watch};

use crate::track::KeyframeRequest;

/// What a stream is fed from, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// A camera, or the demo.
    pub source: Source,
    /// How a camera is pulled.
    pub rtsp: Rtsp,
    /// Whether it is only while somebody wants it.
    pub on_demand: OnDemand,
}

impl Origin {
    /// Whether a session that was begun by this is as good as one begun by `next`: whatever else differs is looked at
    /// between sessions only.
    fn goes_on_by(&self, next: &Origin) -> bool {
        let Rtsp {
            transport,
            data_timeout,
            max_frame,
            reach,
            fingerprint,
            connect_timeout: _,
            request_timeout: _,
            reconnect_min: _,
            reconnect_max: _,
        } = &self.rtsp;
        let of_next = &next.rtsp;
        self.source == next.source
            && (transport, data_timeout, max_frame)
                == (&of_next.transport, &of_next.data_timeout, &of_next.max_frame)
            && (reach, fingerprint) == (&of_next.reach, &of_next.fingerprint)
    }
}

/// A source that somebody waits for is tried again this soon, however often it has failed. Shorter asks a camera that is
/// away more often; longer lets people wait.
pub const WANTED_RETRY: Duration = Duration::from_secs(2);

/// What people at a stream want of its source.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// A viewer needs a keyframe before the next one that comes by itself.
    pub keyframe: KeyframeRequest,
    want: Arc<Notify>,
}

impl Wishes {
    /// Somebody asks for the stream and gets no picture.
    pub fn want(&self) {
        self.want.notify_one();
    }

    /// Waits until somebody has asked for the stream since the last call.
    pub async fn wanted(&self) {
        self.want.notified().await;
    }
}

/// The stream's end.
#[derive(Debug)]
pub(super) struct SourceHandle {
    origin: watch::Sender<Arc<Origin>>,
    /// How often that was changed.
    changes: AtomicU64,
    stop: watch::Sender<bool>,
    wishes: Wishes,
    /// How many watch the stream, or wait for it. Told where the first comes and the last goes.
    demand: watch::Sender<usize>,
}

/// The source's end.
#[derive(Debug, Clone)]
pub struct Orders {
    origin: watch::Receiver<Arc<Origin>>,
    stop: watch::Receiver<bool>,
    demand: watch::Receiver<usize>,
    /// What people at the stream want.
    pub wishes: Wishes,
}

impl SourceHandle {
    /// Both ends of a stream's handle to its source.
    pub(super) fn new(origin: Origin) -> (SourceHandle, Orders) {
        let (origin, origin_told) = watch::channel(Arc::new(origin));
        let (stop, stop_told) = watch::channel(false);
        let (demand, demand_told) = watch::channel(0);
        let wishes = Wishes::default();
        let orders =
            Orders { origin: origin_told, stop: stop_told, demand: demand_told, wishes: wishes.clone() };
        (SourceHandle { origin, changes: AtomicU64::new(0), stop, wishes, demand }, orders)
    }

    /// What it is fed from.
    pub(super) fn origin(&self) -> Arc<Origin> {
        self.origin.borrow().clone()
    }

    /// It is fed from something else, or otherwise, from now on. Returns whether that is news.
    pub(super) fn change(&self, origin: Origin) -> bool {
        self.origin.send_if_modified(|now| {
            let changes = **now != origin;
            if changes {
                *now = Arc::new(origin);
                self.changes.fetch_add(1, Ordering::Relaxed);
            }
            changes
        })
    }

    /// How often it was.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Whether anybody wants it.
    pub(super) fn is_wanted(&self) -> bool {
        *self.demand.borrow() > 0
    }

    /// One more wants it.
    pub(super) fn hold(&self) {
        self.demand.send_if_modified(|demand| {
            *demand += 1;
            *demand == 1
        });
    }

    /// One of them wants it no more.
    pub(super) fn let_go(&self) {
        self.demand.send_if_modified(|demand| {
            *demand = demand.saturating_sub(1);
            *demand == 0
        });
    }

    /// The source ends.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether it was told to.
    pub(super) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// What people at the stream want.
    pub(super) fn wishes(&self) -> &Wishes {
        &self.wishes
    }
}

impl Orders {
    /// What to feed from now; [`Orders::changed`] tells of the next.
    pub fn origin(&mut self) -> Arc<Origin> {
        self.origin.borrow_and_update().clone()
    }

    /// The same for those who wait for the next beside these orders.
    pub fn origins(&self) -> watch::Receiver<Arc<Origin>> {
        self.origin.clone()
    }

    /// How many want the stream. Told where the first comes and the last goes.
    pub fn demand(&self) -> watch::Receiver<usize> {
        self.demand.clone()
    }

    /// Whether anybody does.
    pub fn is_wanted(&self) -> bool {
        *self.demand.borrow() > 0
    }

    /// Waits until somebody wants the stream, or anything else is another than it was.
    pub async fn wanted_or_changed(&mut self) {
        let Orders { origin, stop, demand, .. } = self;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            // An error says that the stream is gone, which the stop above says, too.
            Ok(()) = origin.changed() => {}
            Ok(_) = demand.wait_for(|demand| *demand > 0) => {}
        }
    }

    /// Waits until the source has to begin anew, because another origin than `begun` takes it, or is to end. Origins by
    /// which it goes on are given to `take`.
    pub async fn changed(&mut self, begun: &Origin, mut take: impl FnMut(&Origin)) {
        let Orders { origin, stop, .. } = self;
        let elsewhere = async {
            while origin.changed().await.is_ok() {
                let next = origin.borrow_and_update().clone();
                if !begun.goes_on_by(&next) {
                    break;
                }
                take(&next);
            }
        };
        tokio::select! {
            biased;
            // An error says that the stream is gone: nobody could ever stop us, so that is a stop too.
            _ = stop.wait_for(|stop| *stop) => {}
            () = elsewhere => {}
        }
    }

    /// Whether the source is to end.
    pub fn is_over(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    /// Turns `true` when the source is to end.
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }
}
