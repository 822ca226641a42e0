//! Datagrams of strangers: they are counted, and nothing else happens. That nothing is ever sent to an
//! address that did not authenticate itself is checked by the world on every datagram of every test.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::world::World;
use sluice_media::{Class, class};

fn stranger(port: u16) -> SocketAddr {
    SocketAddr::new("203.0.113.66".parse().expect("an address"), port)
}

#[test]
fn client_hellos_of_strangers_disturb_no_handshake() {
    // The race of a forged ClientHello against the real one.
    let mut world = World::with_camera(41);
    let viewers = 0..20;
    for _ in viewers.clone() {
        world.join(0, Behaviour::PACKETS, Link::GOOD);
    }
    let mut port = 1;
    for _ in 0..60 {
        world.run(Duration::from_millis(5));
        let hellos: Vec<_> =
            world.tap.iter().filter(|(_, bytes)| class(bytes) == Class::Dtls).cloned().collect();
        for (_, hello) in hellos {
            world.inject(stranger(port), &hello);
            port += 1;
        }
    }
    assert!(port > 100, "{port} is too few to tell");
    assert_eq!(world.counters.discarded_unknown_address.get(), u64::from(port) - 1);
    world.connect(viewers.clone());
    world.run(Duration::from_secs(1));
    assert!(viewers.clone().all(|viewer| world.clients[viewer].pictures().count() > 50));
    assert_eq!(world.shard.demux_len(), (20, 20));
}

#[test]
fn everything_a_viewer_sent_is_worthless_from_another_address() {
    let mut world = World::with_camera(42);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(2));
    let replay: Vec<Vec<u8>> = world.tap.iter().map(|(_, bytes)| bytes.clone()).collect();
    assert!(replay.iter().any(|bytes| class(bytes) == Class::Rtcp), "reports were among it");
    for bytes in replay.iter().filter(|bytes| class(bytes) != Class::Stun) {
        world.inject(stranger(7), bytes);
    }
    // STUN with one bit changed: its integrity covers all before the fingerprint, its last 8 bytes.
    for bytes in replay.iter().filter(|bytes| class(bytes) == Class::Stun) {
        for at in 0..bytes.len() - 8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            world.inject(stranger(8), &bytes);
        }
    }
    assert!(world.counters.discarded_unauthenticated.get() > 0);
    assert_eq!(world.shard.demux_len(), (1, 1));
    world.run(Duration::from_secs(1));
    let newest = world.clients[viewer].pictures().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100));
}

#[test]
fn media_replayed_or_forged_from_the_known_address_changes_nothing() {
    let mut world = World::with_camera(43);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    let public = world.clients[viewer].public;
    let reports: Vec<_> =
        world.tap.iter().filter(|(_, bytes)| class(bytes) == Class::Rtcp).cloned().collect();
    for (_, report) in &reports {
        for at in (0..report.len()).step_by(3) {
            let mut forged = report.clone();
            forged[at] ^= 0x04;
            world.inject(public, &forged);
            world.inject(public, &report[..at]);
        }
        world.inject(public, report);
    }
    world.run(Duration::from_secs(2));
    assert!(world.ended.is_empty());
    assert_eq!(world.counters.keyframes_replayed.get(), 0);
    let newest = world.clients[viewer].pictures().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100));
}

#[test]
fn every_kind_of_malformed_datagram_is_survived_in_every_phase() {
    let mut world = World::with_camera(44);
    let witness = world.join(0, Behaviour::PACKETS, Link::GOOD);
    let target = world.join(0, Behaviour::PACKETS, Link::GOOD);
    for phase in 0..4 {
        for first in 0..=255u8 {
            for length in (0..40).chain([64, 100, 255, 600, 1_200, 1_500, 1_600]) {
                let mut bytes = vec![first.wrapping_mul(31).wrapping_add(phase); length];
                if let Some(byte) = bytes.first_mut() {
                    *byte = first;
                }
                world.inject(stranger(9), &bytes);
                world.inject(world.clients[target].public, &bytes);
            }
        }
        // Before ICE, in the middle of DTLS, connected, and later.
        world.run(Duration::from_millis(45));
    }
    world.connect(witness..witness + 1);
    world.run(Duration::from_secs(2));
    assert!(world.end_of(witness).is_none());
    assert!(world.clients[witness].pictures().count() > 100);
    assert!(world.counters.discarded_alien.get() > 0);
    assert!(world.counters.discarded_no_check.get() > 0);
    assert!(world.counters.discarded_media.get() > 0);
    assert!(world.counters.discarded_unknown_address.get() > 0);
}

#[test]
fn forged_alerts_of_dtls_end_nobody() {
    // In clear, as before a handshake: anyone who knows the address could send them (RFC 6347 §4.1.2.7).
    let mut world = World::with_camera(45);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    for (level, description) in [(1, 0), (2, 0), (2, 10), (2, 20), (2, 40), (2, 80)] {
        for epoch in [0, 1, 2] {
            for sequence in [0, 1, 9, 255] {
                let alert = [21, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, sequence, 0, 2, level, description];
                world.inject(world.clients[viewer].public, &alert);
            }
        }
    }
    world.run(Duration::from_secs(2));
    assert!(world.ended.is_empty(), "{:?}", world.ended);
    let newest = world.clients[viewer].pictures().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100));
}
