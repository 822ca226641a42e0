//! A viewer's address changes: NAT rebinding, ICE restart, many paths, an address that changes hands.

use std::net::SocketAddr;
use std::time::Duration;

use sluice::count::EndReason;
use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::terms::LIMITS;
use sluice_harness::world::World;
use sluice_media::{Class, class};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn media_follows_a_viewer_through_a_nat_rebinding() {
    let mut world = World::with_camera(31);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(3));
    let (old, new) = (world.clients[viewer].public, address("203.0.113.9:61000"));
    world.rebind(viewer, new);
    let moved = world.now;
    let media = |world: &World| world.clients[viewer].pictures().any(|packet| packet.at > moved);
    // Until the player's next consent check tells the server (every 3 s or less).
    assert!(world.run_until(Duration::from_secs(5), media), "no media on the new address");
    let to_old = world.books.sent_to[&old];
    world.run(Duration::from_secs(3));
    assert_eq!(world.books.sent_to[&old], to_old, "nothing more to the old address");
    let newest = world.clients[viewer].pictures().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100));
    assert_eq!(world.shard.demux_len(), (2, 1));

    // And back again: the first address is as good as before.
    world.rebind(viewer, old);
    let moved = world.now;
    let media = |world: &World| world.clients[viewer].pictures().any(|packet| packet.at > moved);
    assert!(world.run_until(Duration::from_secs(5), media), "no media on the first address");
}

#[test]
fn only_an_authentic_nomination_moves_media() {
    let mut world = World::with_camera(36);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
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
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    for restart in 1..=3 {
        world.run(Duration::from_secs(2));
        world.restart_ice(viewer);
        let from = world.now;
        world.run(Duration::from_secs(4));
        let times: Vec<_> =
            world.clients[viewer].pictures().map(|packet| packet.at).filter(|at| *at >= from).collect();
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
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
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
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    for port in 1..=7 {
        let check = world.check(viewer, false);
        world.inject_genuine(SocketAddr::new(address("203.0.113.9:0").ip(), port), &check);
    }
    assert_eq!(world.shard.demux_len(), (8, 1));
    let refused = world.counters.discarded_ninth_address.get();
    let ninth = address("203.0.113.9:9");
    for _ in 0..100 {
        let check = world.check(viewer, true);
        world.inject(ninth, &check);
    }
    assert_eq!(world.counters.discarded_ninth_address.get(), refused + 100);
    assert_eq!(world.shard.demux_len(), (8, 1));

    world.run(Duration::from_secs(31));
    let check = world.check(viewer, false);
    world.inject_genuine(ninth, &check);
    assert_eq!(world.shard.demux_len(), (8, 1), "it took the place of an old one");
    assert!(world.books.sent_to.contains_key(&ninth));
    world.run(Duration::from_secs(1));
    let newest = world.clients[viewer].pictures().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100), "the address in use was not the one to go");
}

#[test]
fn an_address_belongs_to_one_viewer_until_that_one_ends_or_falls_silent() {
    for ends in [true, false] {
        let mut world = World::with_camera(35);
        let old = world.join(0, Behaviour::PACKETS, Link::GOOD);
        let new = world.join(0, Behaviour::PACKETS, Link::GOOD);
        world.connect(0..2);
        let shared = world.clients[old].public;
        let claim = |world: &mut World| {
            let check = world.check(new, false);
            world.inject_genuine(shared, &check);
        };
        // Authentic for its own session, but from an address that another viewer is watching on.
        for _ in 0..100 {
            claim(&mut world);
            world.run(Duration::from_millis(100));
        }
        let newest = world.clients[old].pictures().map(|packet| packet.at).max().expect("packets");
        assert!(world.now - newest < Duration::from_millis(100), "it was not taken away");
        assert_eq!(world.shard.demux_len(), (2, 2));
        assert_eq!(world.counters.discarded_taken_address.get(), 100);

        if ends {
            world.close(old);
            world.run(Duration::from_millis(100));
            claim(&mut world);
            assert_eq!(world.shard.demux_len(), (2, 1), "now it is free");
            continue;
        }
        world.links[old].down = true;
        world.run(Duration::from_secs(6));
        let to_shared = world.books.sent_to[&shared];
        // Not for one who is at home elsewhere: it may have forged the source.
        claim(&mut world);
        assert_eq!(world.books.sent_to[&shared], to_shared);
        // The page that was opened again behind the same NAT; but not for one who only pretends to be that.
        let down = Link { down: true, ..Link::GOOD };
        let again = world.join(0, Behaviour::PACKETS, down);
        let mut forged = world.check(again, true);
        forged[15] ^= 1;
        world.inject(shared, &forged);
        assert_eq!(world.books.sent_to[&shared], to_shared);
        let check = world.check(again, true);
        world.inject_genuine(shared, &check);
        assert_eq!(world.books.sent_to[&shared], to_shared + 1, "it is answered");
        assert_eq!(world.shard.demux_len(), (2, 3));
        world.run(Duration::from_secs(1));
        assert_eq!(world.books.sent_to[&shared], to_shared + 1, "nothing more of the old one's comes here");
        // Both end in their own time, and nothing of either is left.
        world.run(Duration::from_secs(40));
        assert_eq!(world.end_of(old).map(|(_, reason)| reason), Some(EndReason::ConsentExpired));
        assert_eq!(world.end_of(again).map(|(_, reason)| reason), Some(EndReason::SetupTimeout));
        let newest = world.clients[new].pictures().map(|packet| packet.at).max().expect("packets");
        assert!(world.now - newest < Duration::from_millis(100));
        assert_eq!(world.shard.demux_len(), (1, 1));
    }
}

#[test]
fn media_leaves_an_address_that_says_nothing_more() {
    // A second socket nominates itself once. The first goes on, and never says again that it is the one.
    let mut world = World::with_camera(37);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    world.links[viewer].down = true;
    let (first, elsewhere) = (world.clients[viewer].public, address("203.0.113.77:5000"));
    let nomination = world.check(viewer, true);
    world.inject_genuine(elsewhere, &nomination);
    let moved = world.now;
    let (mut astray, mut back) = (0, 0);
    for second in 1..=30 {
        world.run(Duration::from_secs(1));
        if second % 2 == 0 {
            let check = world.check(viewer, false);
            world.inject_genuine(first, &check);
        }
        if world.now - moved <= LIMITS.peer.fresh + Duration::from_secs(1) {
            (astray, back) = (world.books.sent_to[&elsewhere], world.books.sent_to[&first]);
        }
    }
    assert!(astray > 100, "it was nominated, after all");
    assert_eq!(world.books.sent_to[&elsewhere], astray, "media for one who asked once");
    assert!(world.books.sent_to[&first] > back + 20 * 30, "and none where the viewer is");
}

#[test]
fn a_viewer_that_vanishes_is_sent_nothing_for_long() {
    let mut world = World::with_camera(38);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(10));
    let public = world.clients[viewer].public;
    world.links[viewer].down = true;
    world.run(LIMITS.peer.fresh + Duration::from_millis(100));
    let sent = world.books.sent_to[&public];
    world.run(Duration::from_secs(40));
    assert_eq!(world.books.sent_to[&public], sent);
    assert_eq!(world.end_of(viewer).map(|(_, reason)| reason), Some(EndReason::ConsentExpired));
    world.assert_empty();
}

#[test]
fn a_copied_check_moves_no_media() {
    let mut world = World::with_camera(39);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    let thief = address("203.0.113.88:6000");
    for _ in 0..30 {
        world.run(Duration::from_secs(1));
        let copy = stun_request(&world, viewer);
        for _ in 0..3 {
            world.inject(thief, &copy);
        }
    }
    assert_eq!(world.counters.discarded_copy.get(), 90);
    assert!(!world.books.sent_to.contains_key(&thief));
    assert_eq!(world.shard.demux_len(), (1, 1));
    let gap = world.clients[viewer].pictures().map(|packet| packet.at).collect::<Vec<_>>();
    let widest = gap.windows(2).map(|pair| pair[1] - pair[0]).max().expect("packets");
    assert!(widest < Duration::from_millis(100), "{widest:?}");
}

#[test]
fn without_a_target_a_viewer_does_not_spin() {
    // All that it had of addresses is pushed out by others that then fall silent too.
    let mut world = World::with_camera(40);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(4));
    world.links[viewer].down = true;
    world.run(Duration::from_secs(10));
    let (mut calls, until) = (0, world.now + Duration::from_secs(5));
    while let Some(next) = world.shard.next_deadline().filter(|next| *next < until) {
        world.run(next.saturating_duration_since(world.now).max(Duration::from_nanos(1)));
        calls += 1;
        assert!(calls < 50, "called {calls} times although it has nothing to do");
    }
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
