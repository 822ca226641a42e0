//! What one message suffers, its neighbours never do: refused destinations, full buffers, paths that refuse
//! trains.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "this is test code")]

mod common;

use std::{net::SocketAddr, time::Duration};

use common::{Peer, Sending, in_network_namespace, run};
use sluice_io::{DropReason, GsoMode, Socket, SocketOptions};

#[test]
fn a_refused_destination_costs_nobody_else_a_datagram() {
    // (destination, what the kernel says to an IPv4 socket)
    let poisons: [(&str, DropReason); 3] = [
        ("127.0.0.1:0", DropReason::Invalid),
        ("255.255.255.255:9", DropReason::Denied),
        ("[2001:db8::1]:9", DropReason::Invalid),
    ];
    for mode in [GsoMode::On, GsoMode::Off] {
        for (poison, reason) in poisons {
            for poisoned in [1, 3] {
                let poison: SocketAddr = poison.parse().unwrap();
                let before = Peer::at("127.0.0.1:0");
                let behind = Peer::at("127.0.0.1:0");
                let mut sending = Sending::from("127.0.0.1:0", mode);
                sending.push_numbered(before.address, 0, 4, 1_000);
                sending.push_numbered(poison, 0, poisoned, 1_000);
                sending.push_numbered(behind.address, 0, 4, 1_000);
                sending.push_numbered(before.address, 4, 4, 1_000);

                let report = sending.flush();
                let context = format!("{poisoned} x {poison}, GSO {mode:?}: {report:?}");
                assert_eq!(report.segments, 12, "{context}");
                assert_eq!(report.dropped.count(reason), usize::from(poisoned), "{context}");
                assert_eq!(report.dropped.total(), usize::from(poisoned), "{context}");
                assert!(sending.batch.is_empty(), "{context}");
                assert_eq!(before.receive_numbers(8), [0, 1, 2, 3, 4, 5, 6, 7], "{context}");
                assert_eq!(behind.receive_numbers(4), [0, 1, 2, 3], "{context}");
            }
        }
    }
}

#[test]
fn poison_at_either_end_and_all_over_is_survived_in_bounded_calls() {
    let poison: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let peer = Peer::at("127.0.0.1:0");
    let mut sending = Sending::from("127.0.0.1:0", GsoMode::On);
    for index in 0..32 {
        sending.push_numbered(poison, 0, 1, 100);
        sending.push_numbered(peer.address, index, 1, 100);
    }
    let report = sending.flush();
    assert_eq!((report.segments, report.dropped.count(DropReason::Invalid)), (32, 32));
    // An error shows only when its message is the first of a call: two calls for each poisoned one.
    assert!(report.calls <= 64, "{report:?}");
    assert_eq!(peer.receive_numbers(32), (0..32).collect::<Vec<_>>());
}

#[test]
fn an_unreachable_network_is_named() {
    in_network_namespace(|| {
        let mut sending = Sending::from("0.0.0.0:0", GsoMode::On);
        sending.push_numbered("192.0.2.1:9".parse().unwrap(), 0, 2, 100);
        assert_eq!(sending.flush().dropped.count(DropReason::Unreachable), 2);
    });
}

#[test]
fn a_path_that_is_too_narrow_for_a_train_gets_the_same_bytes_without_gso() {
    in_network_namespace(|| {
        assert!(run("ip link set lo mtu 600"));
        let [narrow, other] = ["127.0.0.1:0", "127.0.0.2:0"].map(Peer::at);
        let mut sending = Sending::from("0.0.0.0:0", GsoMode::On);
        let round = |sending: &mut Sending| {
            sending.push_numbered(other.address, 0, 3, 500);
            sending.push_numbered(narrow.address, 0, 5, 1_200);
            sending.push_numbered(other.address, 3, 3, 500);
            let report = sending.flush();
            assert_eq!((report.segments, report.dropped.total()), (11, 0), "{report:?}");
            assert_eq!(narrow.receive_numbers(5), [0, 1, 2, 3, 4], "in fragments");
            assert_eq!(other.receive_numbers(6), [0, 1, 2, 3, 4, 5]);
            (report.gso_fallbacks, report.messages)
        };
        assert_eq!(
            round(&mut sending),
            (1, 7),
            "refused as a train, then sent one by one; others keep theirs"
        );
        assert_eq!(round(&mut sending), (0, 7), "remembered: not asked again");
        sending.now += Duration::from_secs(59);
        assert_eq!(round(&mut sending), (0, 7), "still remembered");
        sending.now += Duration::from_secs(1);
        assert_eq!(round(&mut sending), (1, 7), "asked again after 60 s");

        assert!(run("ip link set lo mtu 1500"));
        sending.now += Duration::from_secs(60);
        sending.push_numbered(narrow.address, 0, 5, 1_200);
        let report = sending.flush();
        assert_eq!((report.messages, report.gso_fallbacks), (1, 0), "a repaired path has its trains again");
        assert_eq!(narrow.receive_numbers(5), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_full_send_buffer_keeps_the_rest_in_order() {
    for mode in [GsoMode::On, GsoMode::Off] {
        in_network_namespace(|| {
            // A queue that lets out next to nothing, so that what is sent stays charged to the socket.
            if !run("tc qdisc add dev lo root tbf rate 8kbit burst 2000 limit 10000000") {
                eprintln!("skipped: this kernel has no tbf queue");
                return;
            }
            let peer = Peer::at("127.0.0.1:0");
            let mut sending = Sending::from("127.0.0.1:0", mode);
            let address = "127.0.0.1:0".parse().unwrap();
            sending.socket =
                Socket::bind(SocketOptions { address, receive_buffer: 0, send_buffer: 16 * 1024 }).unwrap();
            // Trains of two, kept apart by datagrams of another size.
            for number in (0..60).step_by(3) {
                sending.push_numbered(peer.address, number, 2, 1_000);
                sending.push_numbered(peer.address, number + 2, 1, 1_100);
            }
            let first = sending.flush();
            let sent = first.segments;
            assert!(sent > 0 && first.blocked_messages > 0, "{first:?}");
            assert_eq!(first.dropped.total(), 0);
            assert_eq!(
                (sending.batch.segments(), sending.batch.messages()),
                (60 - sent, first.blocked_messages)
            );

            let again = sending.flush();
            assert_eq!((again.calls, again.segments), (1, 0), "no spinning: {again:?}");

            // Without the queue (what it held is gone, and no longer charged) the rest leaves, in order.
            assert!(run("tc qdisc del dev lo root"));
            while let Ok((_, _)) = receive_nothing_or_one(&peer) {}
            let rest = sending.flush();
            assert_eq!((rest.segments, rest.blocked_messages), (60 - sent, 0), "{rest:?}");
            assert_eq!(peer.receive_numbers(60 - sent), (sent as u8..60).collect::<Vec<_>>());
        });
    }
}

/// What the queue let through before it was removed.
fn receive_nothing_or_one(peer: &Peer) -> std::io::Result<(usize, SocketAddr)> {
    peer.socket.set_nonblocking(true)?;
    let received = peer.socket.recv_from(&mut [0; 2_000]);
    peer.socket.set_nonblocking(false)?;
    received
}

#[test]
fn a_closed_port_does_not_disturb_the_others() {
    // Its ICMP answer must not come back as an error of somebody else's message.
    let closed = Peer::at("127.0.0.1:0").address;
    let open = Peer::at("127.0.0.1:0");
    let mut sending = Sending::from("127.0.0.1:0", GsoMode::On);
    for number in 0..10 {
        sending.push_numbered(closed, 0, 2, 300);
        sending.push_numbered(open.address, number, 1, 300);
        let report = sending.flush();
        assert_eq!((report.segments, report.dropped.total()), (3, 0), "{report:?}");
    }
    assert_eq!(open.receive_numbers(10), (0..10).collect::<Vec<_>>());
}
