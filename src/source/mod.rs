//! Sources: what feeds a stream (an RTSP camera pulled, the demo inside the binary).
//!
//! Owns sessions with cameras and the waiting time between attempts. Never knows shards or viewers.

pub mod backoff;
pub mod demo;
pub mod rtsp;
pub mod thread;

use sluice_config::Source;
use tokio::sync::watch;

use self::rtsp::RtspSettings;
use crate::stream::{Ingest, Orders, Origin};

/// Feeds the stream `name` from what it is to be fed from, and from another when that changes, until it is over.
pub async fn run(name: &str, feed: &mut Ingest, orders: &mut Orders) {
    while !orders.is_over() {
        let origin = orders.origin();
        let wishes = orders.wishes.clone();
        match &origin.source {
            Source::Demo => demo::run(&mut *feed, orders.changed(&origin, |_| ())).await,
            Source::Rtsp(camera) => {
                let settings = |origin: &Origin| RtspSettings {
                    stream: name.to_owned(),
                    camera: camera.clone(),
                    rtsp: origin.rtsp.clone(),
                };
                let (later, told) = watch::channel(settings(&origin));
                let anew = orders.changed(&origin, |next| {
                    later.send_replace(settings(next));
                });
                rtsp::run(told, &mut *feed, wishes, anew).await;
            }
        }
    }
}
