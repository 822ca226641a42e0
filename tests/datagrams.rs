//! Malformed and forged datagrams against the real binary, while viewers watch.

#![expect(clippy::disallowed_methods, reason = "tests run against real time and real sockets")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sluice_harness::viewers::Viewers;
use sluice_harness::{Binary, Sluice};
use str0m::ice::{StunMessage, StunMessageBuilder, TransId};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// Datagrams between two pauses of the sweep: about 25,000 a second, which a busy machine can read.
const BURST: usize = 100;

fn playing(arguments: &[&str]) -> Sluice {
    let sluice = SLUICE.start(arguments);
    sluice.wait_until_playing("demo");
    sluice
}

fn stranger() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_nonblocking(true).expect("non-blocking");
    socket
}

fn discarded(sluice: &Sluice, reason: &str) -> f64 {
    sluice.metric(&format!("sluice_ingress_discarded_datagrams_total{{reason=\"{reason}\"}}"))
}

/// Datagrams of every first byte and many lengths; what is behind the first byte changes too.
fn sweep(lengths: impl Iterator<Item = usize> + Clone, mut send: impl FnMut(&[u8])) -> usize {
    let mut sent = 0;
    let mut bytes = [0u8; 1_700];
    for first in 0..=255u8 {
        for length in lengths.clone() {
            let fill = [0x00, 0xff, first, length as u8][sent % 4];
            bytes[..length].fill(fill);
            if length > 0 {
                bytes[0] = first;
            }
            send(&bytes[..length]);
            sent += 1;
            if sent.is_multiple_of(BURST) {
                std::thread::sleep(Duration::from_millis(4));
            }
        }
    }
    sent
}

fn assert_undisturbed(viewers: &Viewers) {
    let now = Instant::now();
    for stats in viewers.stats() {
        assert_eq!((stats.video.lost(), stats.audio.lost()), (0, 0), "{stats:?}");
        assert!(stats.video.longest_pause < Duration::from_secs(2), "{stats:?}");
        assert!(stats.video.silence(now) < Duration::from_secs(2), "{stats:?}");
        assert!(!stats.closed, "{stats:?}");
    }
}

#[test]
fn a_sweep_of_malformed_datagrams_disturbs_nobody_else() {
    let sluice = playing(&[]);
    let witnesses = Viewers::join_many(&sluice, "demo", 6);
    let target = Viewers::join_many(&sluice, "demo", 1);
    witnesses.wait_until_watching();
    target.wait_until_watching();
    let before = sluice.metric("process_resident_memory_bytes");

    // Both shards get half of it, each socket one address.
    let unknown = [stranger(), stranger()];
    let mut turn = 0;
    let from_unknown = sweep((0..=64).chain((65..=1_600).step_by(16)), |bytes| {
        let to = SocketAddr::from(([127, 0, 0, 1], sluice.udp_port + turn % 2));
        let _ = unknown[usize::from(turn % 2)].send_to(bytes, to);
        turn = turn.wrapping_add(1);
    });
    assert_undisturbed(&witnesses);
    assert!(!target.stats()[0].closed, "strangers end nobody");
    let from_known = sweep((0..=64).chain((65..=1_600).step_by(31)), |bytes| target.send_raw(0, bytes));
    assert!(from_unknown + from_known > 50_000, "{from_unknown} and {from_known}");

    // Longer than anything a viewer sends.
    for length in 1_601..1_700 {
        let _ = unknown[0].send_to(&vec![22; length], ("127.0.0.1", sluice.udp_port));
    }
    sluice.wait_for_metric(
        "sluice_ingress_discarded_datagrams_total{reason=\"oversize\"}",
        "counts all of them",
        |count| count == 99.0,
    );
    for reason in ["alien", "no_check", "media", "unknown_address"] {
        assert!(discarded(&sluice, reason) > 100.0, "{reason}: {}", discarded(&sluice, reason));
    }
    for socket in &unknown {
        assert!(socket.recv(&mut [0; 2_000]).is_err(), "a stranger was answered");
    }
    assert_undisturbed(&witnesses);
    // Not even the one whose address they came from: any of them could have been forged.
    assert_undisturbed(&target);
    assert_eq!(sluice.metric("sluice_viewer_ends_total{reason=\"engine_failed\"}"), 0.0);
    let grown = sluice.metric("process_resident_memory_bytes") - before;
    assert!(grown < 32e6, "resident memory grew by {grown} bytes");

    // And it still takes new ones.
    let late = Viewers::join_many(&sluice, "demo", 2);
    late.wait_until_watching();
}

#[test]
fn stun_of_many_attributes_costs_next_to_nothing() {
    let sluice = playing(&[]);
    let witnesses = Viewers::join_many(&sluice, "demo", 2);
    witnesses.wait_until_watching();
    let (server, ufrag) = (witnesses.server(0), witnesses.answer_attribute(0, "ice-ufrag"));
    let busy = |sluice: &Sluice| -> f64 {
        let shard = |n| sluice.metric(&format!("sluice_shard_busy_seconds_total{{shard=\"{n}\"}}"));
        shard(0) + shard(1)
    };
    // MAPPED-ADDRESS without an address, as often as there is room; with the right name before it too.
    let message = |attributes: &[u8]| {
        let length = (attributes.len() as u16).to_be_bytes();
        [&[0, 1, length[0], length[1], 0x21, 0x12, 0xa4, 0x42][..], &[7; 12], attributes].concat()
    };
    let many = message(&[0, 1, 0, 0].repeat(395));
    let name = format!("{ufrag}:abcd");
    let mut named = [&[0, 6, 0, name.len() as u8][..], name.as_bytes()].concat();
    named.resize(named.len().next_multiple_of(4), 0);
    let named = message(&[&named[..], &[0xc0, 1, 0, 0].repeat(300)].concat());
    let socket = stranger();
    let (quiet, began) = (busy(&sluice), Instant::now());
    std::thread::sleep(Duration::from_secs(1));
    let usual = (busy(&sluice) - quiet) / began.elapsed().as_secs_f64();
    let (before, began) = (busy(&sluice), Instant::now());
    for _ in 0..100 {
        for _ in 0..10 {
            socket.send_to(&many, server).expect("sent");
            socket.send_to(&named, server).expect("sent");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    sluice.wait_for_metric(
        "sluice_ingress_discarded_datagrams_total{reason=\"no_check\"}",
        "counts all of them",
        |count| count == 2_000.0,
    );
    // Looked at one by one, with a line of log each, it was 1.6 s.
    let cost = busy(&sluice) - before - usual * began.elapsed().as_secs_f64();
    assert!(cost < 0.2, "2,000 datagrams cost {cost} s");
    assert!(socket.recv(&mut [0; 2_000]).is_err(), "it was answered");
    assert_undisturbed(&witnesses);
}

#[test]
fn forged_stun_is_counted_and_never_answered() {
    let sluice = playing(&[]);
    let witnesses = Viewers::join_many(&sluice, "demo", 2);
    witnesses.wait_until_watching();
    let (server, ufrag) = (witnesses.server(0), witnesses.answer_attribute(0, "ice-ufrag"));
    let socket = stranger();

    let request = |username: &str| -> Vec<u8> {
        let message: StunMessage<'_> = StunMessageBuilder::new()
            .binding()
            .request()
            .username(username)
            .prio(1)
            .use_candidate()
            .ice_controlling(7)
            .build(TransId::new());
        let mut bytes = vec![0; 600];
        // A guess at the integrity: the password is not known.
        let length = message.to_bytes(Some(b"guess"), &mut bytes, |_, _| [0x5a; 20]).expect("room");
        bytes.truncate(length);
        bytes
    };
    let known = request(&format!("{ufrag}:abcd"));
    for _ in 0..200 {
        socket.send_to(&known, server).expect("sent");
        socket.send_to(&request("nobody:abcd"), server).expect("sent");
    }
    for length in 0..known.len() {
        socket.send_to(&known[..length], server).expect("sent");
    }
    // Attribute lengths that reach far behind the end, at every place where one may stand.
    for at in (22..known.len() - 2).step_by(2) {
        for length in [0xffff_u16, 0x8000, 0x0fff, 1] {
            let mut forged = known.clone();
            forged[at..at + 2].copy_from_slice(&length.to_be_bytes());
            socket.send_to(&forged, server).expect("sent");
        }
    }
    let counts_all = |count: f64| count >= 200.0;
    let name = |reason: &str| format!("sluice_ingress_discarded_datagrams_total{{reason=\"{reason}\"}}");
    sluice.wait_for_metric(&name("unauthenticated"), "counts the wrong password", counts_all);
    sluice.wait_for_metric(&name("unknown_ufrag"), "counts the unknown name", counts_all);
    std::thread::sleep(Duration::from_millis(300));
    assert!(socket.recv(&mut [0; 2_000]).is_err(), "it was answered");
    assert_undisturbed(&witnesses);
}

#[test]
fn client_hellos_from_elsewhere_stop_nobody_from_connecting() {
    let sluice = playing(&[]);
    let stop = Arc::new(AtomicBool::new(false));
    let sockets: Arc<Vec<UdpSocket>> = Arc::new((0..50).map(|_| stranger()).collect());
    let sent = Arc::new(Mutex::new(0u32));
    let spray = {
        let (stop, sockets, sent, port) = (stop.clone(), sockets.clone(), sent.clone(), sluice.udp_port);
        std::thread::spawn(move || {
            for (index, socket) in sockets.iter().cycle().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let hello = client_hello(index as u64);
                for shard in 0..2 {
                    let _ = socket.send_to(&hello, ("127.0.0.1", port + shard));
                }
                *sent.lock().expect("its lock") += 2;
                std::thread::sleep(Duration::from_micros(300));
            }
        })
    };
    let viewers = Viewers::join_many(&sluice, "demo", 20);
    viewers.wait_until_watching();
    stop.store(true, Ordering::Relaxed);
    spray.join().expect("the spray ends");
    assert!(*sent.lock().expect("its lock") > 100);
    assert_eq!(sluice.metric("sluice_viewer_connects_total"), 20.0);
    assert!(discarded(&sluice, "unknown_address") > 100.0);
    for socket in sockets.iter() {
        assert!(socket.recv(&mut [0; 2_000]).is_err(), "a ClientHello of a stranger was answered");
    }
}

/// A DTLS 1.2 ClientHello (RFC 6347 §4.2) with one cipher suite and the extensions that SRTP needs.
fn client_hello(number: u64) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend((0..32).map(|byte| byte ^ number as u8));
    body.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    // supported_groups, signature_algorithms, use_srtp (RFC 5764 §4.1.1).
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3, 0, 14, 0, 5, 0, 2, 0, 7, 0];
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let length = &(body.len() as u32).to_be_bytes()[1..];
    let handshake = [&[1], length, &[0, 0, 0, 0, 0], length, &body].concat();
    let mut record = vec![22, 0xfe, 0xff, 0, 0];
    record.extend(&number.to_be_bytes()[2..]);
    record.extend((handshake.len() as u16).to_be_bytes());
    record.extend(handshake);
    record
}
