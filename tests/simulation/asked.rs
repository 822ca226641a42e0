//! What a shard tells of its viewers to whoever asks.

use std::time::Duration;

use sluice::count::EndReason;
use sluice::shard::command::Command;
use sluice::shard::question::{Question, SomeViewers, VIEWERS_AT_ONCE};
use sluice::viewer::ViewerState;
use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::world::World;
use tokio::sync::oneshot;

#[test]
fn each_viewer_is_told_with_its_own_line() {
    let mut world = World::with_camera(41);
    world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.join(0, Behaviour::PACKETS, Link::lossy(0.1));
    world.connect(0..2);
    world.run(Duration::from_secs(10));

    let viewers = all(&mut world);
    let of = |client: usize| -> &ViewerState {
        let session = world.session(client);
        viewers.iter().find(|viewer| viewer.session == session).expect("told")
    };
    let (good, bad) = (of(0), of(1));
    for (client, viewer) in [(0, good), (1, bad)] {
        assert!(viewer.connected);
        assert_eq!(viewer.path.map(|path| path.remote.address), Some(world.clients[client].public));
        assert!(world.start <= viewer.since && viewer.since < world.now);
        assert!(viewer.track.round_trip.is_some() && viewer.track.packets > 500, "{:?}", viewer.track);
    }
    assert_eq!((good.track.lost, good.track.repairs, good.track.loss), (0, 0, Some(0.0)));
    assert!(bad.track.lost > 0 && bad.track.repairs > 0, "{:?}", bad.track);
}

#[test]
fn whoever_has_not_connected_is_told_as_such() {
    let mut world = World::with_camera(42);
    world.join(0, Behaviour::PACKETS, Link::lossy(1.0));
    let viewers = all(&mut world);
    assert_eq!(viewers.len(), 1);
    assert!(!viewers[0].connected && viewers[0].path.is_none() && viewers[0].track.packets == 0);
}

#[test]
fn a_full_shard_is_told_in_parts_and_nobody_twice() {
    let mut world = World::new(43);
    world.camera(sluice_media::AudioCodec::Opus);
    let viewers = VIEWERS_AT_ONCE + 3;
    for _ in 0..viewers {
        world.join(0, Behaviour::PACKETS, Link::lossy(1.0));
    }
    // A gap in the seats is no end.
    world.command(Command::End(world.session(7), EndReason::Deleted));
    let first = some(&mut world, 0);
    assert_eq!(first.viewers.len(), VIEWERS_AT_ONCE);
    let mut sessions: Vec<u128> = all(&mut world).iter().map(|viewer| viewer.session.0).collect();
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(sessions.len(), viewers - 1);
    // Beyond the end is nothing.
    let beyond = some(&mut world, usize::MAX);
    assert!(beyond.viewers.is_empty() && beyond.next.is_none());
}

fn all(world: &mut World) -> Vec<ViewerState> {
    let (mut viewers, mut next) = (Vec::new(), Some(0));
    while let Some(from) = next {
        let part = some(world, from);
        viewers.extend(part.viewers);
        next = part.next;
    }
    viewers
}

fn some(world: &mut World, from: usize) -> SomeViewers {
    let (answer, mut told) = oneshot::channel();
    world.command(Command::Ask(Question::Viewers { from, answer }));
    told.try_recv().expect("answered at once")
}
