//! Executors: threads that run tasks of one kind and no other.
//!
//! Owns how many threads each has. Tasks that parse what strangers send can keep a thread for a while;
//! what must not wait for them runs on another. A shell: it makes threads.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// Threads of the HTTP executor. More let more requests be parsed at once, at the cost of the shards where
/// cores are few; with one, an offer that takes long delays all other requests.
const HTTP_THREADS: usize = 2;

/// Name resolutions of one source at once. A resolver that hangs keeps one for a while.
const RESOLVERS: usize = 2;

/// An executor that goes when this is dropped, whatever its tasks are doing.
pub struct Executor(Option<Runtime>);

impl Executor {
    /// For requests: pages and WHEP.
    ///
    /// # Errors
    ///
    /// The kernel's, when it gives no thread or descriptor.
    pub fn http() -> io::Result<Executor> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(HTTP_THREADS).thread_name("http").enable_all();
        Ok(Executor(Some(builder.build()?)))
    }

    /// For one source, on the thread that calls [`Executor::run`].
    ///
    /// # Errors
    ///
    /// The kernel's, when it gives no descriptor.
    pub fn source() -> io::Result<Executor> {
        let mut builder = Builder::new_current_thread();
        builder.max_blocking_threads(RESOLVERS).thread_name("resolver").enable_all();
        Ok(Executor(Some(builder.build()?)))
    }

    /// Where to spawn.
    pub fn handle(&self) -> &Handle {
        self.runtime().handle()
    }

    /// Runs `future` to its end on this thread.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime().block_on(future)
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("it is taken by drop alone")
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A name that is still being resolved sits in a thread that cannot be stopped.
            runtime.shutdown_background();
        }
    }
}
