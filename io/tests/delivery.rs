//! What goes into a batch comes out at the peers: the same bytes, cut in the same places, in the same order.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "this is test code")]

mod common;

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
};

use common::{Peer, Sending, numbered, receive_until, socket};
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};
use sluice_io::{AppendError, GsoMode, Receiver, Socket};

/// Datagrams between two reads of the peers: what a receive buffer takes where `rmem_max` is at its default.
const IN_FLIGHT: usize = 120;

/// Some datagrams of one size to one peer, perhaps with a shorter one behind.
#[derive(Debug, Clone)]
struct Run {
    peer: usize,
    count: usize,
    len: usize,
    tail: Option<usize>,
}

fn any_run() -> impl Strategy<Value = Run> {
    (0..3_usize, 1..=64_usize, 1..=1_500_usize, proptest::option::of(1..=1_500_usize))
        .prop_map(|(peer, count, len, tail)| Run { peer, count, len, tail })
}

/// Two peers without GRO and one with it.
struct Peers {
    plain: [Peer; 2],
    gro: (Socket, Receiver),
}

impl Peers {
    fn new() -> Self {
        let plain = ["127.0.0.1:0", "127.0.0.1:0"].map(Peer::at);
        Self { plain, gro: (socket("127.0.0.1:0"), Receiver::new()) }
    }

    fn address(&self, peer: usize) -> SocketAddr {
        match self.plain.get(peer) {
            Some(plain) => plain.address,
            None => self.gro.0.local_addr(),
        }
    }

    fn assert_receive(&mut self, expected: &mut [Vec<Vec<u8>>; 3]) {
        for (peer, expected) in self.plain.iter().zip(expected.iter()) {
            for datagram in expected {
                assert!(peer.receive().0 == *datagram, "a datagram of {} bytes, in order", datagram.len());
            }
            peer.assert_nothing_more();
        }
        let (socket, receiver) = &mut self.gro;
        let received = receive_until(receiver, socket, expected[2].len());
        let received: Vec<_> = received.into_iter().map(|(_, bytes)| bytes).collect();
        assert!(received == expected[2], "{} of {} datagrams", received.len(), expected[2].len());
        expected.iter_mut().for_each(Vec::clear);
    }
}

fn deliver(peers: &mut Peers, sending: &mut Sending, runs: &[Run]) {
    let mut expected = [const { Vec::new() }; 3];
    let mut number = 0_usize;
    let mut in_flight = 0;
    for run in runs {
        let lengths = std::iter::repeat_n(run.len, run.count).chain(run.tail);
        for len in lengths {
            let datagram: Vec<u8> = (0..len).map(|index| (number * 31 + index) as u8).collect();
            number += 1;
            let to = peers.address(run.peer);
            if in_flight == IN_FLIGHT {
                flush(sending);
                peers.assert_receive(&mut expected);
                in_flight = 0;
            }
            if sending.batch.push(to, None, &datagram) == Err(AppendError::Full) {
                flush(sending);
                sending.batch.push(to, None, &datagram).unwrap();
            }
            expected[run.peer].push(datagram);
            in_flight += 1;
        }
    }
    flush(sending);
    peers.assert_receive(&mut expected);
}

fn flush(sending: &mut Sending) {
    let (messages, segments, bytes) =
        (sending.batch.messages(), sending.batch.segments(), sending.batch.bytes());
    let report = sending.flush();
    assert!(sending.batch.is_empty());
    assert_eq!((report.segments, report.bytes), (segments, bytes));
    assert_eq!((report.dropped.total(), report.blocked_messages, report.gso_fallbacks), (0, 0, 0));
    assert!(report.messages == messages || report.messages == segments, "{report:?}");
    assert_eq!(report.calls, report.messages.div_ceil(64));
}

fn check(mode: GsoMode) {
    // PROPTEST_RNG_SEED=<seed> runs the same cases again.
    let seed = match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(0),
    };
    eprintln!("seed {seed}");
    let config =
        Config { cases: 64, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&proptest::collection::vec(any_run(), 1..8), |runs| {
        // New sockets for each case: what a failed one leaves behind must not fail the next.
        deliver(&mut Peers::new(), &mut Sending::from("127.0.0.1:0", mode), &runs);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
}

#[test]
fn batches_arrive_as_they_were_made() {
    check(GsoMode::On);
}

#[test]
fn without_gso_the_same_datagrams_arrive() {
    check(GsoMode::Off);
}

#[test]
fn a_train_is_one_message_with_gso_and_one_for_each_datagram_without() {
    let peer = Peer::at("127.0.0.1:0");
    for (mode, messages) in [(GsoMode::On, 1), (GsoMode::Off, 64)] {
        let mut sending = Sending::from("127.0.0.1:0", mode);
        sending.push_numbered(peer.address, 0, 63, 1_000);
        sending.push_numbered(peer.address, 63, 1, 10);
        let report = sending.flush();
        assert_eq!((report.calls, report.messages, report.segments), (1, messages, 64));
        assert_eq!(peer.receive_numbers(64), (0..64).collect::<Vec<_>>());
    }
}

#[test]
fn one_call_carries_64_messages_with_a_segment_size_each() {
    let peers: Vec<_> = (0..64).map(|_| Peer::at("127.0.0.1:0")).collect();
    let mut sending = Sending::from("127.0.0.1:0", GsoMode::On);
    for (index, peer) in peers.iter().enumerate() {
        sending.push_numbered(peer.address, 0, 4, 1_200 - index);
        sending.push_numbered(peer.address, 4, 1, 60);
    }
    let report = sending.flush();
    assert_eq!((report.calls, report.messages, report.segments), (1, 64, 320));
    for (index, peer) in peers.iter().enumerate() {
        for number in 0..4 {
            assert_eq!(peer.receive().0, numbered(number, 1_200 - index));
        }
        assert_eq!(peer.receive().0, numbered(4, 60));
    }
}

#[test]
fn a_datagram_written_in_place_is_sent_and_one_taken_back_is_not() {
    let peer = Peer::at("127.0.0.1:0");
    let mut sending = Sending::from("127.0.0.1:0", GsoMode::On);
    for keep in [true, false, true] {
        let write = |buffer: &mut [u8]| {
            buffer.fill(u8::from(keep));
            keep.then_some(700)
        };
        sending.batch.append_with(peer.address, None, 1_200, write).unwrap();
    }
    assert_eq!(sending.flush().messages, 1);
    assert_eq!((peer.receive().0, peer.receive().0), (vec![1; 700], vec![1; 700]));
    peer.assert_nothing_more();
}
