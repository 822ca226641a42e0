//! What signalling refuses the wire refuses too, and what one datagram does to a handshake.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use sluice_harness::client::Behaviour;
use sluice_harness::link::{Link, Way};
use sluice_harness::world::World;
use sluice_media::{Class, class};

fn plays(world: &World, viewer: usize) -> bool {
    let newest = world.clients[viewer].pictures().map(|packet| packet.at).max().expect("packets");
    world.now - newest < Duration::from_millis(100)
}

#[test]
fn data_channels_are_refused_on_the_wire() {
    let mut world = World::with_camera(61);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    let answers = Rc::new(Cell::new(0));
    let counts = answers.clone();
    world.lose(move |_, way, bytes| {
        counts.set(counts.get() + u32::from(way == Way::ToClient && class(bytes) == Class::Dtls));
        false
    });
    let sent = world.tap.len();
    world.start_sctp(viewer);
    let init = world.tap[sent..].iter().filter(|(_, bytes)| bytes[0] == 23).count();
    assert!(init > 0, "an INIT in a record of application data");
    world.run(Duration::from_millis(100));
    assert_eq!(world.counters.discarded_application_data.get(), init as u64);
    // It is sent again and again.
    world.run(Duration::from_secs(10));
    assert!(world.counters.discarded_application_data.get() > init as u64);
    assert_eq!(answers.get(), 0, "SCTP was answered");
    assert!(world.ended.is_empty() && plays(&world, viewer));
}

#[test]
fn application_data_beside_a_handshake_takes_only_itself() {
    // Behind each flight of the handshake, in the same datagram: forged, and so early that there are no keys.
    let mut world = World::with_camera(62);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    let late = Rc::new(Cell::new(true));
    let hold = late.clone();
    world.lose(move |_, way, bytes| hold.get() && way == Way::ToServer && class(bytes) == Class::Dtls);
    world.run(Duration::from_millis(100));
    let (_, hello) = world.tap.iter().find(|(_, bytes)| class(bytes) == Class::Dtls).expect("a ClientHello");
    let data = [23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 3, 1, 2, 3];
    let both = [&data[..], hello, &data, &data].concat();
    late.set(false);
    world.inject(world.clients[viewer].public, &both);
    world.connect(0..1);
    assert_eq!(world.counters.discarded_application_data.get(), 2, "before and behind it");
    assert_eq!(world.counters.discarded_dtls.get(), 0);
}

#[test]
fn media_of_a_viewer_is_discarded_unopened() {
    let mut world = World::with_camera(63);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    for ssrc in 0..1_000u32 {
        let mut packet = [0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 0].to_vec();
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        packet.resize(200, 7);
        world.inject(world.clients[viewer].public, &packet);
    }
    assert_eq!(world.counters.discarded_media.get(), 1_000);
    world.run(Duration::from_secs(1));
    assert!(world.ended.is_empty() && plays(&world, viewer));
}

#[test]
fn stun_that_is_no_check_is_not_answered_even_to_a_viewer() {
    let mut world = World::with_camera(64);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    let public = world.clients[viewer].public;
    let check = world.check(viewer, false);
    // Indication, responses, TURN's Allocate; and a peer that wants our role.
    for (at, value) in [(1, 0x11), (0, 0x01), (1, 0x03)] {
        let mut other = check.clone();
        other[at] = value;
        world.inject(public, &other);
    }
    let mut controlled = check.clone();
    let role = controlled.windows(4).position(|bytes| bytes == [0x80, 0x2a, 0, 8]).expect("a role");
    controlled[role + 1] = 0x29;
    world.inject(public, &controlled);
    assert_eq!(world.counters.discarded_no_check.get(), 4);
    let sent = world.books.sent_to[&public];
    world.inject(public, &check);
    assert_eq!(world.books.sent_to[&public], sent + 1, "the check itself is good");
    world.run(Duration::from_secs(5));
    assert!(world.ended.is_empty() && plays(&world, viewer));
}

/// A record of epoch 0 with one fragment of a handshake message.
fn fragment(number: u8, kind: u8, message: u16, total: u32, offset: u32, body: &[u8]) -> Vec<u8> {
    let three = |value: u32| value.to_be_bytes()[1..].to_vec();
    let head =
        [vec![kind], three(total), message.to_be_bytes().to_vec(), three(offset), three(body.len() as u32)];
    let content = [head.concat(), body.to_vec()].concat();
    let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 1, number];
    record.extend((content.len() as u16).to_be_bytes());
    record.extend(content);
    record
}

/// A whole ClientHello (RFC 6347 §4.2) without the extended master secret, which no answer can do without.
fn hopeless_hello() -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend([7; 32]);
    body.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3, 0, 14, 0, 5, 0, 2, 0, 7, 0];
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    fragment(0, 1, 0, body.len() as u32, 0, &body)
}

/// Handshakes that somebody else disturbs: forged datagrams come from the viewer's own address, before its
/// first real one.
fn connects_in_spite_of(seed: u64, forged: &[Vec<u8>]) -> World {
    let mut world = World::with_camera(seed);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    let late = Rc::new(Cell::new(true));
    let hold = late.clone();
    world.lose(move |_, way, bytes| hold.get() && way == Way::ToServer && class(bytes) == Class::Dtls);
    // Its address is known, its ClientHello is lost.
    world.run(Duration::from_millis(100));
    assert_eq!(world.shard.demux_len(), (1, 1));
    for bytes in forged {
        world.inject(world.clients[viewer].public, bytes);
    }
    late.set(false);
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    assert!(plays(&world, viewer));
    world
}

#[test]
fn fragments_that_fill_the_queue_end_no_handshake() {
    let forged: Vec<_> = (0..64).map(|n| fragment(n, 1, 0, 9_000, u32::from(n) * 9 + 9, &[n; 9])).collect();
    let world = connects_in_spite_of(65, &forged);
    assert!(world.counters.discarded_dtls.get() > 0);
}

#[test]
fn a_fragment_that_stands_in_the_way_ends_no_handshake() {
    // The place of the real one, with another length: it would be taken for a repetition.
    connects_in_spite_of(66, &[fragment(0, 1, 0, 9_000, 0, &[1; 40])]);
}

#[test]
fn a_client_hello_that_cannot_be_served_ends_no_handshake() {
    let world = connects_in_spite_of(67, &[hopeless_hello(), hopeless_hello()]);
    assert_eq!(world.counters.discarded_dtls.get(), 2);
}

#[test]
fn alerts_and_noise_in_the_middle_end_no_handshake() {
    // Everything in clear is as good as forged; what claims to be encrypted cannot be opened.
    let alert = vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let noise = [&[22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 3, 0, 40][..], &[9; 40]].concat();
    connects_in_spite_of(68, &[alert.clone(), noise.clone()]);

    let mut world = World::with_camera(69);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    let public: SocketAddr = world.clients[viewer].public;
    for _ in 0..100 {
        world.run(Duration::from_millis(1));
        world.inject(public, &alert);
        world.inject(public, &noise);
    }
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    assert!(world.ended.is_empty() && plays(&world, viewer));
    assert!(world.counters.discarded_dtls.get() > 0);
}
