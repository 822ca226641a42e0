//! Where datagrams come from and go to: dual stack, source selection, and sockets that cannot be had.
#![allow(clippy::unwrap_used, reason = "this is test code")]

mod common;

use std::net::{IpAddr, SocketAddr};

use common::{Peer, Sending, in_network_namespace, run, socket};
use sluice_io::{GsoMode, Receiver, Socket, SocketError, SocketOptions};

fn local(port: u16, ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

fn bind(address: &str) -> Result<Socket, SocketError> {
    Socket::bind(SocketOptions { address: address.parse().unwrap(), receive_buffer: 0, send_buffer: 0 })
}

#[test]
fn a_dual_stack_socket_serves_both_families_and_never_shows_a_mapped_address() {
    let mut sending = Sending::from("[::]:0", GsoMode::On);
    let port = sending.socket.local_addr().port();
    let mut receiver = Receiver::new();
    for ip in ["127.0.0.1", "::1"] {
        let peer = Peer::at(&local(0, ip).to_string());
        peer.socket.send_to(b"hello", local(port, ip)).unwrap();
        let mut heard = Vec::new();
        receiver
            .receive(&sending.socket, |datagram| heard.push((datagram.source, datagram.local_ip)))
            .unwrap();
        assert_eq!(heard, [(peer.address, Some(ip.parse().unwrap()))]);

        let (source, local_ip) = heard[0];
        for number in 0..3 {
            sending.batch.push(source, local_ip, &common::numbered(number, 500)).unwrap();
        }
        let report = sending.flush();
        assert_eq!((report.messages, report.segments), (1, 3), "a train to {ip}");
        assert_eq!(peer.receive_numbers(3), [0, 1, 2]);
    }
}

#[test]
fn one_batch_may_mix_families() {
    let peers = ["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"].map(Peer::at);
    let mut sending = Sending::from("[::]:0", GsoMode::On);
    for peer in &peers {
        sending.push_numbered(peer.address, 0, 5, 900);
    }
    let report = sending.flush();
    assert_eq!((report.calls, report.messages, report.segments), (1, 3, 15));
    for peer in &peers {
        assert_eq!(peer.receive_numbers(5), [0, 1, 2, 3, 4]);
    }
}

#[test]
fn the_source_address_is_the_one_asked_for() {
    // On a dual-stack and on an IPv4 socket, for a train and for a single datagram.
    for address in ["[::]:0", "0.0.0.0:0"] {
        let peer = Peer::at("127.0.0.1:0");
        let mut sending = Sending::from(address, GsoMode::On);
        let port = sending.socket.local_addr().port();
        for (source, count) in [("127.0.0.2", 3), ("127.0.0.3", 1)] {
            let source: IpAddr = source.parse().unwrap();
            for _ in 0..count {
                sending.batch.push(peer.address, Some(source), &[1; 100]).unwrap();
            }
        }
        assert_eq!(sending.flush().messages, 2);
        let from: Vec<_> = (0..4).map(|_| peer.receive().1).collect();
        let [two, three] = ["127.0.0.2", "127.0.0.3"].map(|ip| local(port, ip));
        assert_eq!(from, [two, two, two, three], "from {address}");
    }
}

#[test]
fn an_ipv6_source_is_the_one_asked_for() {
    in_network_namespace(|| {
        assert!(run("ip address add fd00::2/128 dev lo nodad"));
        let peer = Peer::at("[::1]:0");
        let mut sending = Sending::from("[::]:0", GsoMode::On);
        sending.batch.push(peer.address, Some("fd00::2".parse().unwrap()), b"hello").unwrap();
        assert_eq!(sending.flush().segments, 1);
        assert_eq!(peer.receive().1.ip(), "fd00::2".parse::<IpAddr>().unwrap());
    });
}

#[test]
fn a_mapped_listen_address_is_ipv4() {
    assert!(bind("[::ffff:127.0.0.1]:0").unwrap().local_addr().is_ipv4());
}

#[test]
fn errors_name_the_address_and_the_way_out() {
    let holder = socket("127.0.0.1:0");
    let held = holder.local_addr();
    let error = bind(&held.to_string()).unwrap_err();
    assert!(matches!(error, SocketError::InUse { address } if address == held), "{error}");
    assert!(error.to_string().contains(&format!("udp {held} is in use")), "{error}");

    // TEST-NET-1 (RFC 5737) is on nobody's interface.
    let error = bind("192.0.2.1:0").unwrap_err();
    assert!(matches!(error, SocketError::NotLocal { .. }), "{error}");
    assert!(error.to_string().contains("192.0.2.1:0"), "{error}");
}

#[test]
fn a_buffer_within_the_limit_is_granted_and_one_beyond_it_says_which_sysctl() {
    let options = |receive_buffer| SocketOptions {
        address: "127.0.0.1:0".parse().unwrap(),
        receive_buffer,
        send_buffer: 32 * 1024,
    };
    let socket = Socket::bind(options(64 * 1024)).unwrap();
    assert_eq!((socket.receive_buffer().granted, socket.send_buffer().granted), (64 * 1024, 32 * 1024));
    assert!(!socket.receive_buffer().is_short());

    // No kernel grants more than an int of twice the bytes.
    let greedy = Socket::bind(options(3 << 30)).unwrap().receive_buffer();
    assert!(greedy.is_short());
    assert!(greedy.to_string().contains("net.core.rmem_max"), "{greedy}");
}

#[test]
fn datagrams_for_which_there_was_no_room_are_counted_by_the_kernel() {
    let address = "127.0.0.1:0".parse().unwrap();
    let socket = Socket::bind(SocketOptions { address, receive_buffer: 4_096, send_buffer: 0 }).unwrap();
    assert_eq!(socket.receive_drops().unwrap(), 0);
    let peer = Peer::at("127.0.0.1:0");
    for _ in 0..100 {
        peer.socket.send_to(&[0; 1_000], socket.local_addr()).unwrap();
    }
    let mut heard = 0;
    Receiver::new().receive(&socket, |_| heard += 1).unwrap();
    assert!(heard > 0);
    assert_eq!(socket.receive_drops().unwrap(), 100 - heard);
}
