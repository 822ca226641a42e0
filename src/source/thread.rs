//! The thread of a source, with an executor of its own.
//!
//! Owns that one source cannot delay another: what a camera sends is parsed on this thread and no other,
//! and the kernel shares the cores among them. Owns, too, what is told of a source whose run failed. A
//! shell: it makes a thread.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::executor::Executor;
use crate::stream::{Cause, Ingest, Layer, Sink as _, SourceState, Stream};
use crate::supervise::Watched;

/// What is said of a stream whose source does not run.
const FAILED: &str = "its source failed inside the server, whose log says where";

/// Runs `run` for ever into `feed`, of a layer of a stream, on a thread of its own, until it is told to stop; a run that ends by
/// itself or panics begins again. `done` is dropped when the thread ends.
///
/// # Errors
///
/// The kernel's, when it gives no thread.
pub fn start(
    (stream, layer): (Arc<Stream>, Arc<Layer>),
    mut feed: Ingest,
    mut watched: Watched,
    done: mpsc::Sender<()>,
    mut run: impl AsyncFnMut(&mut Ingest) + Send + 'static,
) -> io::Result<()> {
    let name = format!("from-{}", stream.title(layer.id.number));
    let ending = Ending(stream, layer, done);
    std::thread::Builder::new().name(name).spawn(move || {
        let _ending = ending;
        let executor = match Executor::source() {
            Ok(executor) => executor,
            Err(error) => return tracing::error!(%error, "a source's executor cannot start"),
        };
        executor.run(async {
            while let Some(pause) = watched.run(run(&mut feed)).await {
                feed.state(SourceState::Waiting {
                    error: FAILED.to_owned(),
                    cause: Cause::Internal,
                    retry_in: pause,
                });
                watched.pause(pause).await;
            }
        });
    })?;
    Ok(())
}

/// Whatever ends the thread: nothing comes from it any more.
struct Ending(Arc<Stream>, Arc<Layer>, #[expect(dead_code, reason = "its drop tells")] mpsc::Sender<()>);

impl Drop for Ending {
    fn drop(&mut self) {
        let state = SourceState::Waiting {
            error: FAILED.to_owned(),
            cause: Cause::Internal,
            retry_in: Duration::ZERO,
        };
        self.0.update(&self.1, |status| status.enter(state));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "this test watches a real thread")]
mod tests {
    use std::time::Instant;

    use sluice_config::{OnDemand, Rtsp, Source};
    use tokio::sync::watch;

    use super::*;
    use crate::source::demo;
    use crate::stream::{Origin, Registry};
    use crate::supervise::{Ends, Task};
    use crate::track::RecentLimits;

    fn stream() -> Arc<Stream> {
        let limits = RecentLimits { bytes: 1 << 20, history: Duration::ZERO };
        let origin = Origin { source: Source::Demo, rtsp: Rtsp::default(), on_demand: OnDemand::default() };
        let (stream, _) = Registry::new(&[], limits).add("gate", origin).unwrap();
        stream
    }

    fn wait_for(what: &str, check: impl Fn() -> bool) {
        let began = Instant::now();
        while !check() {
            assert!(began.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_source_that_panics_is_down_and_comes_back_where_it_was() {
        let (stop, stopping) = watch::channel(false);
        let (done, mut all_done) = mpsc::channel(1);
        let ends = Arc::new(Ends::default());
        let stream = stream();
        let feed = Ingest::new(stream.clone(), stream.high().clone(), (1, 1));
        let watched = Watched::new(Task::Source, "gate", stopping.clone(), ends.clone());
        let playing = |stream: &Stream| stream.status().state == SourceState::Playing;
        let (fail, mut failing) = watch::channel(false);
        let mut failed = false;
        start((stream.clone(), stream.high().clone()), feed, watched, done, async move |feed| {
            let failing = async {
                if failed {
                    std::future::pending::<()>().await;
                }
                let _ = failing.wait_for(|fail| *fail).await;
                failed = true;
                panic!("a defect of the source");
            };
            tokio::select! {
                () = demo::run(feed, async { drop(stopping.clone().wait_for(|stop| *stop).await) }) => {}
                () = failing => {}
            }
        })
        .unwrap();
        wait_for("pictures", || playing(&stream) && stream.high().counters.video.packets.get() > 10);
        fail.send(true).unwrap();
        wait_for("its end to be seen", || !playing(&stream));
        assert_eq!(ends.of(Task::Source), 1);
        let before = stream.high().counters.video.packets.get();
        wait_for("pictures again", || {
            playing(&stream) && stream.high().counters.video.packets.get() > before + 10
        });
        assert_eq!(stream.high().counters.starts.get(), 2);
        stop.send(true).unwrap();
        assert_eq!(all_done.blocking_recv(), None, "the thread ends");
        assert_eq!((ends.of(Task::Source), ends.is_lost()), (1, false));
        assert!(!playing(&stream));
    }
}
