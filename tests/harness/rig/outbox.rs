//! The worker's way out without the kernel: an arena of messages, which are counted and, if wanted, kept.

use std::net::SocketAddr;

use sluice::peer::{Control, Egress, Lane, Path};
use sluice_io::{AppendError, Batch, BatchLimits};
use sluice_media::srtp::Sealed;

/// The worker's way out but for the system call.
pub struct Outbox {
    batch: Batch,
    sent: Sent,
    kept: Vec<(SocketAddr, Vec<u8>)>,
    keeps: bool,
}

/// What went out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams.
    pub datagrams: u64,
    /// Those of them that are media or repairs.
    pub media: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that they would have been.
    pub messages: u64,
}

impl Outbox {
    pub(super) fn new() -> Outbox {
        let batch = Batch::new(BatchLimits::default());
        Outbox { batch, sent: Sent::default(), kept: Vec::new(), keeps: false }
    }

    /// What went out since the last call.
    pub fn take_sent(&mut self) -> Sent {
        self.flush();
        std::mem::take(&mut self.sent)
    }

    /// Whether datagrams are kept from now on.
    pub fn keep(&mut self, keeps: bool) {
        self.flush();
        self.keeps = keeps;
        self.kept.clear();
    }

    /// The datagrams kept since the last call.
    pub fn take_kept(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.flush();
        std::mem::take(&mut self.kept)
    }

    fn flush(&mut self) {
        self.sent.datagrams += self.batch.segments() as u64;
        self.sent.bytes += self.batch.bytes() as u64;
        self.sent.messages += self.batch.messages() as u64;
        if self.keeps {
            for message in self.batch.iter() {
                let datagrams = message.datagrams().map(|datagram| (message.destination, datagram.to_vec()));
                self.kept.extend(datagrams);
            }
        }
        self.batch.clear();
    }
}

impl Control for Outbox {
    fn transmit(&mut self, Path { remote, local }: Path, datagram: &[u8]) {
        if self.batch.push(remote.address, local, datagram) == Err(AppendError::Full) {
            self.flush();
            self.batch.push(remote.address, local, datagram).expect("an empty batch has room");
        }
    }
}

impl Egress for Outbox {
    fn seal(
        &mut self,
        lane: Lane,
        Path { remote, local }: Path,
        max: usize,
        seal: &mut dyn FnMut(&mut [u8]) -> Option<Sealed>,
    ) {
        self.sent.media += u64::from(lane == Lane::Media);
        let mut seal = |out: &mut [u8]| seal(out).map(Sealed::len);
        let written = self.batch.append_with(remote.address, local, max, &mut seal);
        if written == Err(AppendError::Full) {
            self.flush();
            self.batch.append_with(remote.address, local, max, &mut seal).expect("an empty batch has room");
        }
    }

    fn ready(&mut self, bytes: usize) -> bool {
        if !self.batch.has_room(1, bytes) {
            self.flush();
        }
        true
    }
}
