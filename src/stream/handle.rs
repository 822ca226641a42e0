//! How a stream reaches its source: what it is to be fed from, that a keyframe is needed, and that it is over.
//!
//! Owns the two ends. Neither waits for the other: a source hears of an order when it looks.

use std::sync::Arc;

use sluice_config::{Rtsp, Source};
use tokio::sync::watch;

use crate::track::KeyframeRequest;

/// What a stream is fed from, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// A camera, or the demo.
    pub source: Source,
    /// How a camera is pulled.
    pub rtsp: Rtsp,
}

/// The stream's end.
#[derive(Debug)]
pub(super) struct SourceHandle {
    origin: watch::Sender<Arc<Origin>>,
    stop: watch::Sender<bool>,
    keyframe: KeyframeRequest,
}

/// The source's end.
#[derive(Debug, Clone)]
pub struct Orders {
    origin: watch::Receiver<Arc<Origin>>,
    stop: watch::Receiver<bool>,
    /// Whether a viewer needs a keyframe before the next one that comes by itself.
    pub keyframe: KeyframeRequest,
}

impl SourceHandle {
    /// Both ends of a stream's handle to its source.
    pub(super) fn new(origin: Origin) -> (SourceHandle, Orders) {
        let (origin, origin_told) = watch::channel(Arc::new(origin));
        let (stop, stop_told) = watch::channel(false);
        let keyframe = KeyframeRequest::default();
        let orders = Orders { origin: origin_told, stop: stop_told, keyframe: keyframe.clone() };
        (SourceHandle { origin, stop, keyframe }, orders)
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
            }
            changes
        })
    }

    /// The source ends.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether it was told to.
    pub(super) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// What is set by whoever needs a keyframe.
    pub(super) fn keyframe(&self) -> &KeyframeRequest {
        &self.keyframe
    }
}

impl Orders {
    /// What to feed from; [`Orders::changed`] tells of the next.
    pub fn origin(&mut self) -> Arc<Origin> {
        self.origin.borrow_and_update().clone()
    }

    /// Waits until there is another origin than the last that was asked for, or the source is to end.
    pub async fn changed(&mut self) {
        tokio::select! {
            biased;
            // An error says that the stream is gone: nobody could ever stop us, so that is a stop too.
            _ = self.stop.wait_for(|stop| *stop) => {}
            _ = self.origin.changed() => {}
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
