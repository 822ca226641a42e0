//! The flush: a batch goes to the kernel in as few calls as its answers allow, and one refused message never
//! costs its neighbours. It owns the loop and its counts; what an answer means is `outcome`'s, and it never
//! waits.

use std::{net::SocketAddr, os::fd::AsFd, time::Instant};

use crate::{
    batch::{Batch, MAX_MESSAGES, MessageRef},
    gso::{GsoMemory, GsoMode},
    mmsg::{Outgoing, SendCall},
    outcome::{Attempt, DropReason, Outcome, judge},
    sizes::Sizes,
    socket::Socket,
};

/// Sends batches. Its storage is allocated once; it keeps what it learnt about GSO, so use one for each
/// socket.
pub struct Sender {
    call: SendCall,
    gso: GsoMemory,
}

impl Sender {
    /// A sender that begins with `mode`; ask [`self_test`](crate::gso::self_test) which.
    pub fn new(mode: GsoMode) -> Self {
        Self { call: SendCall::new(), gso: GsoMemory::new(mode) }
    }

    /// Hands the batch to the kernel, oldest message first.
    ///
    /// Afterwards the batch is empty, or begins with the first datagram that did not fit into the socket's
    /// send buffer: then wait until the socket is writable and flush again, or drop what has become too old.
    ///
    /// Each turn of the loop
    /// 1. plans: up to 64 headers from the front of the batch, a train as one header if GSO is allowed there
    ///    and as one header for each datagram if not;
    /// 2. calls the kernel once;
    /// 3. judges, and takes off the front of the batch what was sent or cannot be.
    ///
    /// It ends because every turn takes a datagram off the batch or is a retry, and of retries in a row
    /// `judge` allows only a few.
    pub fn flush(&mut self, socket: &Socket, batch: &mut Batch, now: Instant) -> FlushReport {
        let mut report = FlushReport::default();
        let mut retries = 0;
        self.gso.expire(now);
        while let Some((destination, segments)) = front(batch, &self.gso) {
            let outgoing = plan(batch, &self.gso).take(MAX_MESSAGES);
            let result = self.call.send(socket.as_fd(), socket.family(), outgoing);
            report.calls += 1;
            match judge(result, Attempt { segmented: segments > 1, retries }) {
                Outcome::Sent(messages) => {
                    report.call_sizes.note(messages);
                    self.take_sent(batch, messages, &mut report);
                    retries = 0;
                }
                Outcome::Blocked => break,
                Outcome::WithoutGso(fault) => {
                    self.gso.refused(destination, fault, now);
                    report.gso_fallbacks += 1;
                    retries += 1;
                }
                Outcome::Retry => retries += 1,
                Outcome::Drop(reason) => {
                    batch.consume(segments);
                    report.dropped.add(reason, segments);
                    retries = 0;
                }
            }
        }
        report.blocked_messages = batch.messages();
        report
    }

    /// Takes the first `messages` of the plan off the batch.
    fn take_sent(&mut self, batch: &mut Batch, messages: usize, report: &mut FlushReport) {
        let (segments_before, bytes_before) = (batch.segments(), batch.bytes());
        for _ in 0..messages {
            let Some((_, segments)) = front(batch, &self.gso) else { break };
            if segments > 1 {
                self.gso.accepted();
            }
            report.message_sizes.note(segments);
            batch.consume(segments);
            report.messages += 1;
        }
        report.segments += segments_before - batch.segments();
        report.bytes += bytes_before - batch.bytes();
    }
}

/// The batch as the kernel shall get it: whole messages where GSO is allowed, single datagrams where it is
/// not.
fn plan<'a>(batch: &'a Batch, gso: &GsoMemory) -> impl Iterator<Item = Outgoing<'a>> {
    batch.iter().flat_map(|MessageRef { destination, source, bytes, segment_len }| {
        let piece_len = if gso.allows(&destination) { bytes.len() } else { segment_len };
        bytes.chunks(piece_len).map(move |piece| Outgoing {
            destination,
            source,
            bytes: piece,
            // A message is at most 65,000 bytes long, so the length of a segment fits.
            segment_len: (piece.len() > segment_len).then_some(segment_len as u16),
        })
    })
}

/// Where the first message of the plan goes, and how many datagrams it is.
fn front(batch: &Batch, gso: &GsoMemory) -> Option<(SocketAddr, usize)> {
    plan(batch, gso).next().map(|first| (first.destination, first.segments()))
}

/// What a flush did. Every datagram that was in the batch is in exactly one of `segments`, `dropped` and the
/// batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// System calls made.
    pub calls: usize,
    /// Messages the kernel took; a message sent without GSO counts once for each of its datagrams.
    pub messages: usize,
    /// Datagrams the kernel took.
    pub segments: usize,
    /// Bytes of these datagrams.
    pub bytes: usize,
    /// How many messages each call took.
    pub call_sizes: Sizes,
    /// How many datagrams each of the messages was.
    pub message_sizes: Sizes,
    /// Messages still in the batch because the socket's send buffer is full.
    pub blocked_messages: usize,
    /// Datagrams the kernel refused, by reason. They are gone from the batch.
    pub dropped: Drops,
    /// Messages the kernel refused as trains; their datagrams were sent (or refused) one by one.
    pub gso_fallbacks: usize,
}

/// Datagrams dropped, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops([usize; DropReason::ALL.len()]);

impl Drops {
    /// Datagrams dropped for `reason`.
    pub fn count(&self, reason: DropReason) -> usize {
        self.0[reason as usize]
    }

    /// Datagrams dropped for any reason.
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, usize)> {
        DropReason::ALL.into_iter().zip(self.0)
    }

    fn add(&mut self, reason: DropReason, datagrams: usize) {
        self.0[reason as usize] += datagrams;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{batch::BatchLimits, outcome::GsoFault};

    /// Whether a device that has refused all but one of the trains that it may is still tried after it refused that one
    /// too, if `datagrams` to one peer were taken before.
    #[expect(clippy::disallowed_methods, reason = "an arbitrary point in time to count from")]
    fn is_tried_after(datagrams: usize) -> bool {
        let (mut sender, now) = (Sender::new(GsoMode::On), Instant::now());
        let to = |port| SocketAddr::from(([192, 0, 2, 1], port));
        for port in 1_000..1_015 {
            sender.gso.refused(to(port), GsoFault::Device, now);
        }
        assert!(sender.gso.allows(&to(1)), "one strike short");
        let mut batch = Batch::new(BatchLimits::default());
        for _ in 0..datagrams {
            batch.push(to(2), None, &[0; 100]).unwrap();
        }
        let mut report = FlushReport::default();
        sender.take_sent(&mut batch, 1, &mut report);
        assert_eq!((report.messages, report.segments, report.bytes), (1, datagrams, datagrams * 100));
        sender.gso.refused(to(3), GsoFault::Device, now);
        sender.gso.allows(&to(1))
    }

    #[test]
    fn a_device_is_cleared_by_trains_and_not_by_what_it_need_not_cut() {
        assert!(!is_tried_after(1));
        assert!(is_tried_after(2));
    }
}
