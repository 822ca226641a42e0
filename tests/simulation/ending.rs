//! How viewers end: by themselves, by the peer, by the control plane. Nothing of them stays.

use std::time::Duration;

use sluice::count::EndReason;
use sluice::shard::command::Command;
use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::terms::LIMITS;
use sluice_harness::world::World;
use sluice_media::{Class, class};

#[test]
fn a_viewer_that_never_comes_is_freed_when_its_time_is_up() {
    let mut world = World::with_camera(21);
    let down = Link { down: true, ..Link::GOOD };
    for _ in 0..20 {
        world.join(0, Behaviour::PACKETS, down);
    }
    let offered = world.now - world.start;
    assert_eq!(world.shard.viewers(), 20);
    world.run(LIMITS.peer.setup - Duration::from_millis(1));
    assert_eq!(world.shard.viewers(), 20, "not a moment too soon");
    world.run(Duration::from_millis(1));
    for viewer in 0..20 {
        assert_eq!(world.end_of(viewer), Some((offered + LIMITS.peer.setup, EndReason::SetupTimeout)));
    }
    world.assert_empty();
    assert_eq!(world.counters.ended(EndReason::SetupTimeout).get(), 20);
}

#[test]
fn a_player_that_gives_up_before_it_connects_was_not_served_and_one_that_changes_its_mind_was() {
    for (waits, reason) in [(1, EndReason::Deleted), (8, EndReason::SetupTimeout)] {
        let mut world = World::with_camera(29);
        let down = Link { down: true, ..Link::GOOD };
        let viewer = world.join(0, Behaviour::PACKETS, down);
        world.run(Duration::from_secs(waits));
        world.command(Command::End(world.session(viewer), EndReason::Deleted));
        assert_eq!(world.end_of(viewer).map(|(_, reason)| reason), Some(reason), "after {waits} s");
    }
    let mut world = World::with_camera(29);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.run(Duration::from_secs(8));
    world.command(Command::End(world.session(viewer), EndReason::Deleted));
    assert_eq!(world.end_of(viewer).map(|(_, reason)| reason), Some(EndReason::Deleted), "it watched");
}

#[test]
fn a_viewer_that_stops_halfway_is_freed_too() {
    let mut world = World::with_camera(22);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    // ICE succeeds, DTLS never does.
    world.lose(|_, _, bytes| class(bytes) == Class::Dtls);
    world.run(LIMITS.peer.setup);
    assert_eq!(world.end_of(viewer).map(|(_, reason)| reason), Some(EndReason::SetupTimeout));
    world.assert_empty();
}

#[test]
fn a_player_that_closes_is_gone_at_once() {
    let mut world = World::with_camera(23);
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    world.close(viewer);
    world.run(Duration::from_millis(20));
    assert_eq!(world.end_of(viewer).map(|(_, reason)| reason), Some(EndReason::PeerClosed));
    world.assert_empty();
}

#[test]
fn a_deleted_viewer_is_told_goodbye() {
    let mut world = World::with_camera(24);
    let (gone, stays) =
        (world.join(0, Behaviour::PACKETS, Link::GOOD), world.join(0, Behaviour::PACKETS, Link::GOOD));
    world.connect(0..2);
    let session = world.session(gone);
    world.command(Command::End(session, EndReason::Deleted));
    assert_eq!(world.end_of(gone).map(|(_, reason)| reason), Some(EndReason::Deleted));
    let left = world.now;
    world.run(Duration::from_secs(1));
    let told = world.clients[gone].closed.expect("a close_notify came");
    assert!(told - left <= Duration::from_millis(12), "{:?}", told - left);
    assert!(world.clients[stays].closed.is_none());
    assert_eq!(world.shard.viewers(), 1);
    // Deleted twice, as a DELETE that raced with another would.
    let session = world.session(gone);
    world.command(Command::End(session, EndReason::Deleted));
    assert_eq!(world.ended.len(), 1);
}

#[test]
fn a_shutdown_tells_everybody_goodbye() {
    let mut world = World::with_camera(25);
    (0..8).for_each(|_| {
        world.join(0, Behaviour::PACKETS, Link::GOOD);
    });
    world.connect(0..7);
    world.command(Command::Shutdown);
    world.run(Duration::from_millis(50));
    let told = world.clients.iter().filter(|client| client.closed.is_some()).count();
    let connected = world.clients.iter().filter(|client| client.connected.is_some()).count();
    assert_eq!(told, connected);
    assert_eq!(world.ended.len(), 8);
    world.assert_empty();
}

#[test]
fn a_shard_that_gave_everybody_up_says_so_once_and_takes_the_next() {
    let mut world = World::with_camera(27);
    (0..4).for_each(|_| {
        world.join(0, Behaviour::PACKETS, Link::GOOD);
    });
    world.connect(0..3);
    world.run(Duration::from_secs(1));
    world.shard.abandon();
    world.run(Duration::from_millis(20));
    for viewer in 0..4 {
        assert_eq!(world.end_of(viewer).map(|(_, reason)| reason), Some(EndReason::ShardFailed));
    }
    assert_eq!(world.ended.len(), 4);
    assert_eq!(world.counters.ended(EndReason::ShardFailed).get(), 4);
    assert_eq!((world.counters.viewers.get(), world.counters.connected_now.get()), (0, 0));
    world.assert_empty();
    let next = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(4..5);
    world.run(Duration::from_secs(3));
    assert!(world.clients[next].pictures().count() > 60, "it is served as any other");
}

#[test]
fn an_impostor_gets_no_media_and_is_freed() {
    // Another certificate than the offer's fingerprint names (RFC 8122 §6.2).
    let mut world = World::with_camera(26);
    let impostor = world.join(0, Behaviour { impostor: true, ..Behaviour::PACKETS }, Link::GOOD);
    let honest = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.run(LIMITS.peer.setup + Duration::from_secs(1));
    let media = world.books.media.keys().filter(|(viewer, _)| *viewer == impostor).count();
    assert_eq!(media, 0, "media for one who is not who the offer says");
    let reason = world.end_of(impostor).map(|(_, reason)| reason);
    assert!(matches!(reason, Some(EndReason::EngineFailed | EndReason::SetupTimeout)), "{reason:?}");
    assert!(world.clients[honest].pictures().count() > 100);
    assert_eq!(world.shard.viewers(), 1);
}
