//! What one thread's viewers send, a batch at a time, and what ends one of them.
//!
//! Owns the batch of a worker and the guard around engines. Never decides what is said.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use sluice_io::{Batch, BatchLimits, GsoMode, Sender, Socket};

use super::super::client::ClientError;

/// Datagrams of one viewer on their way.
pub(super) struct Outbox {
    batch: Batch,
    sender: Sender,
}

impl Outbox {
    /// An empty one. Viewers say little: no trains.
    pub(super) fn new() -> Outbox {
        Outbox { batch: Batch::new(BatchLimits::default()), sender: Sender::new(GsoMode::Off) }
    }

    /// Adds a datagram.
    pub(super) fn push(&mut self, socket: &Socket, to: SocketAddr, datagram: &[u8], now: Instant) {
        if self.batch.push(to, None, datagram).is_err() {
            self.flush(socket, now);
            // Empty or longer than a message may be: nothing that a viewer says.
            let _ = self.batch.push(to, None, datagram);
        }
    }

    /// Sends what there is; what the kernel does not take is lost, as on any last mile.
    pub(super) fn flush(&mut self, socket: &Socket, now: Instant) {
        if !self.batch.is_empty() {
            self.sender.flush(socket, &mut self.batch, now);
            self.batch.clear();
        }
    }
}

/// Why one viewer ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the engine panicked")]
    Panic,
}

/// A panic of the engine ends one viewer, and is told as such.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, ClientError>) -> Result<T, Trouble> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => Ok(result?),
        Err(_) => Err(Trouble::Panic),
    }
}
