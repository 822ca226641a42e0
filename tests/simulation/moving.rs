//! A viewer's address changes: NAT rebinding, ICE restart, many paths, an address that changes hands.

use std::net::SocketAddr;
use std::time::Duration;

use crate::client::Player;
use crate::link::Link;
use crate::wire::{Class, class};
use crate::world::World;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn media_follows_a_viewer_through_a_nat_rebinding() {
    let mut world = World::with_camera(31);
    let viewer = world.join(0, Player::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(3));
    let (old, new) = (world.clients[viewer].public, address("203.0.113.9:61000"));
    world.rebind(viewer, new);
    let moved = world.now;
    let media = |world: &World| world.clients[viewer].video().any(|packet| packet.at > moved);
    // Until the player's next consent check tells the server (every 3 s or less).
    assert!(world.run_until(Duration::from_secs(5), media), "no media on the new address");
    let to_old = world.books.sent_to[&old];
    world.run(Duration::from_secs(3));
    assert_eq!(world.books.sent_to[&old], to_old, "nothing more to the old address");
    let newest = world.clients[viewer].video().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100));
    assert_eq!(world.shard.demux_len(), (2, 1));

    // And back again: the first address is as good as before.
    world.rebind(viewer, old);
    let moved = world.now;
    let media = |world: &World| world.clients[viewer].video().any(|packet| packet.at > moved);
    assert!(world.run_until(Duration::from_secs(5), media), "no media on the first address");
}

#[test]
fn only_an_authentic_nomination_moves_media() {
    let mut world = World::with_camera(36);
    let viewer = world.join(0, Player::PACKETS, Link::GOOD);
    world.connect(0..1);
    let (old, new) = (world.clients[viewer].public, address("203.0.113.9:61000"));
    world.rebind(viewer, new);
    world.run(Duration::from_secs(5));
    // The old address is still a known one; a forged request from it must not bring media back.
    let mut forged = stun_request(&world, viewer);
    forged[15] ^= 1;
    let to_old = world.books.sent_to[&old];
    for _ in 0..50 {
        world.inject(old, &forged);
        world.run(Duration::from_millis(10));
    }
    assert_eq!(world.books.sent_to[&old], to_old);
}

#[test]
fn an_ice_restart_keeps_media_flowing() {
    let mut world = World::with_camera(32);
    let viewer = world.join(0, Player::PACKETS, Link::GOOD);
    world.connect(0..1);
    for restart in 1..=3 {
        world.run(Duration::from_secs(2));
        world.restart_ice(viewer);
        let from = world.now;
        world.run(Duration::from_secs(4));
        let times: Vec<_> =
            world.clients[viewer].video().map(|packet| packet.at).filter(|at| *at >= from).collect();
        let widest = times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("packets");
        assert!(widest < Duration::from_millis(200), "a gap of {widest:?} at restart {restart}");
        assert!(world.now - times[times.len() - 1] < Duration::from_millis(100));
        assert_eq!(world.shard.demux_len(), (1, 1), "the old user name fragment is forgotten");
    }
    assert!(world.ended.is_empty());
}

#[test]
fn after_an_ice_restart_the_old_credentials_open_no_new_address() {
    let mut world = World::with_camera(33);
    let viewer = world.join(0, Player::PACKETS, Link::GOOD);
    world.connect(0..1);
    let request = stun_request(&world, viewer);
    world.restart_ice(viewer);
    world.run(Duration::from_secs(2));
    let unknown = world.counters.discarded_unknown_ufrag.get();
    world.inject(address("203.0.113.50:4000"), &request);
    assert_eq!(world.counters.discarded_unknown_ufrag.get(), unknown + 1);
    assert_eq!(world.shard.demux_len(), (1, 1));
}

#[test]
fn a_ninth_address_is_refused_until_another_is_old() {
    let mut world = World::with_camera(34);
    let viewer = world.join(0, Player::PACKETS, Link::GOOD);
    world.connect(0..1);
    // STUN has no protection against being sent again, so a copy is as good as the original.
    let request = stun_request(&world, viewer);
    for port in 1..=7 {
        world.inject_genuine(SocketAddr::new(address("203.0.113.9:0").ip(), port), &request);
    }
    assert_eq!(world.shard.demux_len(), (8, 1));
    let refused = world.counters.discarded_unauthenticated.get();
    let ninth = address("203.0.113.9:9");
    for _ in 0..100 {
        world.inject(ninth, &request);
    }
    assert_eq!(world.counters.discarded_unauthenticated.get(), refused + 100);
    assert_eq!(world.shard.demux_len(), (8, 1));

    world.run(Duration::from_secs(31));
    world.inject_genuine(ninth, &request);
    assert_eq!(world.shard.demux_len(), (8, 1), "it took the place of an old one");
    assert!(world.books.sent_to.contains_key(&ninth));
    let newest = world.clients[viewer].video().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100), "the address in use was not the one to go");
}

#[test]
fn an_address_belongs_to_one_viewer_until_that_one_ends() {
    let mut world = World::with_camera(35);
    let (old, new) = (world.join(0, Player::PACKETS, Link::GOOD), world.join(0, Player::PACKETS, Link::GOOD));
    world.connect(0..2);
    let shared = world.clients[old].public;
    // Authentic for its own session, but from an address that another viewer is watching on.
    let claim = stun_request(&world, new);
    for _ in 0..50 {
        world.inject(shared, &claim);
    }
    world.run(Duration::from_secs(1));
    let newest = world.clients[old].video().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100), "it was not taken away");
    assert_eq!(world.shard.demux_len(), (2, 2));

    world.close(old);
    world.run(Duration::from_millis(100));
    world.inject_genuine(shared, &claim);
    assert_eq!(world.shard.demux_len(), (2, 1), "now it is free");
}

/// The last STUN request of a client.
fn stun_request(world: &World, viewer: usize) -> Vec<u8> {
    let public = world.clients[viewer].public;
    let mut requests = world
        .tap
        .iter()
        .filter(|(from, bytes)| *from == public && class(bytes) == Class::Stun && bytes.starts_with(&[0, 1]));
    requests.next_back().expect("a client that connected sent STUN").1.clone()
}
