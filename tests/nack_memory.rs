//! What repair costs in memory: a ring for each track, and nothing that grows with it for each viewer.

use std::time::Duration;

use sluice::shard::Shard;
use sluice::track::RecentLimits;
use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::terms::PACING;
use sluice_harness::world::World;
use sluice_media::AudioCodec;
use sluice_media::rtcp::Epoch;

/// Bytes of heap that a shard with `viewers` on bad lines holds alone, and bytes in the ring.
fn shard_heap(viewers: usize, history: Duration) -> (usize, usize) {
    let recent = RecentLimits { bytes: 64 << 20, history };
    let mut world = World::with_rings(81, recent);
    world.camera(AudioCodec::Opus);
    world.run(Duration::from_millis(12_900));
    (0..viewers).for_each(|_| {
        world.join(0, Behaviour::PACKETS, Link::GOOD);
    });
    // A handshake over such a line may take longer than it may: that is another test's.
    world.connect(0..viewers);
    world.links.fill_with(|| Link::lossy(0.05));
    world.run(Duration::from_secs(12));
    assert!(world.counters.repairs_sent.get() > 20 * viewers as u64, "they lose packets and get them again");
    let other = Shard::new(recent, *PACING, Epoch::new(world.start, Duration::ZERO), world.counters.clone());
    let shard = std::mem::replace(&mut world.shard, other);
    assert_eq!(shard.viewers(), viewers);
    // The trains themselves stay: the camera's own ring has them too.
    let freed = allocation_counter::measure(|| drop(shard)).bytes_current;
    (freed.unsigned_abs() as usize, world.cameras[0].recent.bytes())
}

#[test]
fn a_longer_history_costs_each_track_and_no_viewer() {
    const MORE: usize = 8;
    let per_viewer = |history: u64| {
        let history = Duration::from_secs(history);
        let ((few, ring), (many, _)) = (shard_heap(2, history), shard_heap(2 + MORE, history));
        ((many - few) / MORE, ring)
    };
    let ((short, short_ring), (long, long_ring)) = (per_viewer(1), per_viewer(10));
    let seen = format!(
        "a viewer holds {short} bytes with 1 s of history and {long} with 10 s; the ring {short_ring} and {long_ring}"
    );
    assert!(long_ring > short_ring + 500_000, "{seen}");
    // What a viewer holds differs a little by what it lost and when.
    assert!(long.abs_diff(short) < 2_048, "{seen}");
}
