//! How a stream reaches its source: what it is to be fed from, that somebody wants it, that a keyframe is needed, and
//! that it is over.
//!
//! Owns the two ends. The stream's never waits: a source hears of an order when it looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_config::{Rtsp, Source};
use tokio::sync::{Notify, watch};

use crate::track::KeyframeRequest;

/// What a stream is fed from, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// A camera, or the demo.
    pub source: Source,
    /// How a camera is pulled.
    pub rtsp: Rtsp,
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
            connect_timeout: _,
            request_timeout: _,
            reconnect_min: _,
            reconnect_max: _,
        } = &self.rtsp;
        let of_next = &next.rtsp;
        self.source == next.source
            && (transport, data_timeout, max_frame, reach)
                == (&of_next.transport, &of_next.data_timeout, &of_next.max_frame, &of_next.reach)
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
}

/// The source's end.
#[derive(Debug, Clone)]
pub struct Orders {
    origin: watch::Receiver<Arc<Origin>>,
    stop: watch::Receiver<bool>,
    /// What people at the stream want.
    pub wishes: Wishes,
}

impl SourceHandle {
    /// Both ends of a stream's handle to its source.
    pub(super) fn new(origin: Origin) -> (SourceHandle, Orders) {
        let (origin, origin_told) = watch::channel(Arc::new(origin));
        let (stop, stop_told) = watch::channel(false);
        let wishes = Wishes::default();
        let orders = Orders { origin: origin_told, stop: stop_told, wishes: wishes.clone() };
        (SourceHandle { origin, changes: AtomicU64::new(0), stop, wishes }, orders)
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
