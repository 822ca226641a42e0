//! When a source on demand may rest: some time after the last who wanted its stream has gone.
//!
//! Owns the time. Never knows who wants a stream. A shell: it waits.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it waits")]

use tokio::time::sleep;

use crate::stream::Orders;

/// Waits until the source runs on demand and nobody has wanted its stream for `on_demand.close_after`. What is said of that
/// meanwhile counts.
pub(super) fn unwanted(orders: &Orders) -> impl Future<Output = ()> + Send + use<> {
    let (mut origins, mut demand) = (orders.origins(), orders.demand());
    async move {
        loop {
            let on_demand = origins.borrow_and_update().on_demand;
            let rests = async {
                loop {
                    // An error says that the stream is gone, which ends the source otherwise.
                    if !on_demand.enabled || demand.wait_for(|demand| *demand == 0).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                    tokio::select! {
                        biased;
                        Ok(_) = demand.wait_for(|demand| *demand > 0) => {}
                        () = sleep(on_demand.close_after) => return,
                    }
                }
            };
            tokio::select! {
                () = rests => return,
                Ok(()) = origins.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::{Duration, Instant};

    use sluice_config::{OnDemand, Rtsp, Source};
    use tokio::time::timeout;

    use super::*;
    use crate::stream::{HIGH, Origin, Registry};
    use crate::track::RecentLimits;

    /// Longer than the source lingers, where it may not end.
    const LONG: Duration = Duration::from_millis(400);

    fn origin(enabled: bool, close_after: Duration) -> Origin {
        let on_demand = OnDemand { enabled, close_after, ..OnDemand::default() };
        Origin { source: Source::Demo, rtsp: Rtsp::default(), on_demand }
    }

    fn registry() -> Registry {
        Registry::new(&[], RecentLimits { bytes: 1 << 20, history: Duration::ZERO })
    }

    #[tokio::test]
    async fn a_source_lingers_from_the_last_on_and_not_while_somebody_waits_for_it() {
        let time = LONG / 4;
        let (stream, orders) = registry().add("gate", origin(true, time)).expect("a stream");
        let held = [stream.hold(), stream.hold()];
        let mut rests = pin!(unwanted(&orders));
        assert!(timeout(LONG, rests.as_mut()).await.is_err(), "two wait");
        let [first, second] = held;
        drop(first);
        assert!(timeout(LONG, rests.as_mut()).await.is_err(), "one waits");
        // Somebody comes before it rests.
        drop(second);
        assert!(timeout(Duration::ZERO, rests.as_mut()).await.is_err());
        let held = stream.hold();
        assert!(timeout(LONG, rests.as_mut()).await.is_err(), "one has come back");
        let gone = Instant::now();
        drop(held);
        rests.await;
        assert!(gone.elapsed() >= time);
        assert_eq!(stream.waiting(), 0);
    }

    #[tokio::test]
    async fn what_is_said_of_it_meanwhile_counts() {
        let (stream, orders) = registry().add("gate", origin(false, Duration::ZERO)).expect("a stream");
        let mut rests = pin!(unwanted(&orders));
        assert!(timeout(LONG, rests.as_mut()).await.is_err(), "it is not on demand");
        assert!(stream.change(HIGH, origin(true, Duration::from_secs(3_600))));
        assert!(timeout(LONG, rests.as_mut()).await.is_err(), "it lingers");
        assert!(stream.change(HIGH, origin(true, Duration::ZERO)));
        rests.await;
    }
}
