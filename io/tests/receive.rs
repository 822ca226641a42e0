//! The way in: coalesced datagrams are cut apart, long ones never get through, an empty socket is no error.
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod common;

use common::{Peer, Sending, receive_until, socket};
use sluice_io::{GsoMode, ReceiveReport, Receiver, receiver::MAX_DATAGRAM};

#[test]
fn an_empty_socket_is_an_empty_report() {
    let report = Receiver::new().receive(&socket("127.0.0.1:0"), |_| panic!("nothing was sent")).unwrap();
    assert_eq!(report, ReceiveReport { drained: true, ..ReceiveReport::default() });
}

#[test]
fn a_coalesced_train_is_cut_into_its_datagrams() {
    let socket = socket("127.0.0.1:0");
    let mut sending = Sending::from("127.0.0.1:0", GsoMode::On);
    sending.push_numbered(socket.local_addr(), 0, 9, 1_100);
    sending.push_numbered(socket.local_addr(), 9, 1, 77);
    assert_eq!(sending.flush().messages, 1);

    let mut heard = Vec::new();
    let report = Receiver::new()
        .receive(&socket, |datagram| {
            assert_eq!(datagram.source, sending.socket.local_addr());
            assert_eq!(datagram.local_ip, Some(socket.local_addr().ip()));
            heard.push((datagram.bytes[0], datagram.bytes.len()));
        })
        .unwrap();
    let expected: Vec<_> = (0..9).map(|number| (number, 1_100)).chain([(9, 77)]).collect();
    assert_eq!(heard, expected);
    // One message shows that the kernel did coalesce, or this test would prove nothing.
    assert_eq!(report, ReceiveReport { messages: 1, datagrams: 10, oversized: 0, drained: true });
}

#[test]
fn one_call_takes_a_batch_and_says_when_the_socket_is_drained() {
    let socket = socket("127.0.0.1:0");
    let peers: Vec<_> = (0..40).map(|_| Peer::at("127.0.0.1:0")).collect();
    for (number, peer) in peers.iter().enumerate() {
        peer.socket.send_to(&[number as u8; 100], socket.local_addr()).unwrap();
    }
    let mut receiver = Receiver::new();
    let mut heard = Vec::new();
    let first = receiver.receive(&socket, |datagram| heard.push(datagram.bytes[0])).unwrap();
    assert_eq!((first.messages, first.drained), (32, false));
    let second = receiver.receive(&socket, |datagram| heard.push(datagram.bytes[0])).unwrap();
    assert_eq!((second.messages, second.drained), (8, true));
    assert_eq!(heard, (0..40).collect::<Vec<_>>());
}

#[test]
fn datagrams_over_the_limit_are_counted_and_never_passed_on() {
    let socket = socket("127.0.0.1:0");
    let peer = Peer::at("127.0.0.1:0");
    for len in [1, MAX_DATAGRAM + 1, MAX_DATAGRAM, 9_000, 65_507, 2] {
        peer.socket.send_to(&vec![0; len], socket.local_addr()).unwrap();
    }
    let mut lengths = Vec::new();
    let report = Receiver::new().receive(&socket, |datagram| lengths.push(datagram.bytes.len())).unwrap();
    assert_eq!(lengths, [1, MAX_DATAGRAM, 2]);
    assert_eq!((report.datagrams, report.oversized), (3, 3));
}

#[test]
fn a_coalesced_train_of_long_datagrams_is_discarded_whole() {
    let socket = socket("127.0.0.1:0");
    let mut sending = Sending::from("127.0.0.1:0", GsoMode::On);
    sending.push_numbered(socket.local_addr(), 0, 4, MAX_DATAGRAM + 1);
    sending.push_numbered(socket.local_addr(), 4, 1, 10);
    assert_eq!(sending.flush().messages, 1);
    let mut heard = Vec::new();
    let report = Receiver::new().receive(&socket, |datagram| heard.push(datagram.bytes[0])).unwrap();
    assert_eq!(heard, [4]);
    assert_eq!((report.datagrams, report.oversized), (1, 4));
}

#[test]
fn an_empty_datagram_is_passed_on_as_such() {
    let socket = socket("127.0.0.1:0");
    let peer = Peer::at("127.0.0.1:0");
    for bytes in [b"".as_slice(), b"x"] {
        peer.socket.send_to(bytes, socket.local_addr()).unwrap();
    }
    let received = receive_until(&mut Receiver::new(), &socket, 2);
    assert_eq!(received, [(peer.address, vec![]), (peer.address, b"x".to_vec())]);
}
