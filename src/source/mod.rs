//! Sources: what feeds a stream (an RTSP camera pulled, the demo inside the binary).
//!
//! Owns sessions with cameras and the waiting time between attempts. Never knows shards or viewers.

pub mod backoff;
pub mod demo;
mod linger;
pub mod rtsp;
pub mod thread;

use sluice_config::{RtspUrl, Source};
use tokio::sync::watch;

use self::linger::unwanted;
use self::rtsp::RtspSettings;
use self::rtsp::memory::Record;
use crate::stream::{Ingest, Orders, Origin, Sink as _, SourceState};

/// Feeds the stream `name` from what it is to be fed from, and from another when that changes, until it is over. On demand
/// it does while somebody wants the stream, and costs nothing but its sleeping thread otherwise; one that was made for
/// somebody is retired then. `record` is what is remembered of its cameras meanwhile.
pub async fn run(
    name: &str,
    feed: &mut Ingest,
    orders: &mut Orders,
    record: &Record,
    retire: impl Fn() -> bool,
) {
    while !orders.is_over() {
        let origin = orders.origin();
        if origin.on_demand.enabled && !orders.is_wanted() {
            feed.state(SourceState::Idle);
            if retire() {
                continue;
            }
            orders.wanted_or_changed().await;
            continue;
        }
        let wishes = orders.wishes.clone();
        let unwanted = unwanted(orders);
        match &origin.source {
            Source::Demo => {
                let over = async {
                    tokio::select! {
                        () = orders.changed(&origin, |_| ()) => {}
                        () = unwanted => {}
                    }
                };
                demo::run(&mut *feed, over).await;
            }
            // Each layer of a pair is fed by itself.
            Source::Rtsp(cameras) | Source::Pair { high: cameras, .. } => {
                let settings = |origin: &Origin| -> Vec<RtspSettings> {
                    let of = |camera: &RtspUrl| RtspSettings {
                        stream: name.to_owned(),
                        camera: camera.clone(),
                        rtsp: origin.rtsp.clone(),
                    };
                    cameras.iter().map(of).collect()
                };
                let (later, told) = watch::channel(settings(&origin));
                let anew = orders.changed(&origin, |next| {
                    later.send_replace(settings(next));
                });
                let record = Record { rests: origin.on_demand.enabled, ..record.clone() };
                rtsp::run(told, &mut *feed, wishes, record, anew, unwanted).await;
            }
        }
    }
}
