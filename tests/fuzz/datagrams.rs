//! Datagrams: noise, and damage to real STUN, DTLS and SRTCP, from strangers and from a viewer's own
//! address, in the middle of handshakes and later. The world checks that no stranger is answered.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::world::World;
use sluice_media::{Class, class};

use crate::{mutate, run};

#[test]
fn datagrams_hurt_at_most_the_viewer_they_pretend_to_be_of() {
    run(6, |random| {
        let mut world = World::with_camera(random.random());
        let witness = world.join(0, Behaviour::PACKETS, Link::GOOD);
        world.connect(0..1);
        let target = world.join(0, Behaviour::PACKETS, Link::GOOD);
        let stranger = "203.0.113.66:4000".parse().expect("an address");
        for _ in 0..30 {
            for _ in 0..40 {
                let (bytes, replayed) = datagram(random, &world);
                let source = if random.random_bool(0.5) { stranger } else { world.clients[target].public };
                if replayed {
                    world.inject_genuine(source, &bytes);
                } else {
                    world.inject(source, &bytes);
                }
            }
            world.run(Duration::from_millis(random.random_range(1..20)));
        }
        world.run(Duration::from_secs(1));
        assert!(world.end_of(witness).is_none(), "{:?}", world.ended);
        let newest = world.clients[witness].pictures().map(|packet| packet.at).max().expect("packets");
        assert!(world.now - newest < Duration::from_millis(100), "the witness sees nothing any more");
        // Whatever became of the target, nothing of it outlives its consent.
        world.links[target].down = true;
        world.links[witness].down = true;
        world.run(Duration::from_secs(50));
        world.assert_empty();
    });
}

/// A datagram, and whether it is as good as one that a client sent: STUN has no protection against
/// being sent again, and its integrity leaves out the header's length and the fingerprint behind it.
fn datagram(random: &mut StdRng, world: &World) -> (Vec<u8>, bool) {
    if random.random_bool(0.2) {
        let mut bytes = mutate::noise(random, 1_600);
        if let Some(first) = bytes.first_mut() {
            *first = [0, 1, 20, 21, 22, 23, 63, 128, 129, 191][random.random_range(0..10)];
        }
        return (bytes, false);
    }
    let (_, sound) = &world.tap[random.random_range(0..world.tap.len())];
    let mut bytes = mutate::bytes(random, sound);
    bytes.truncate(1_600);
    let protected = sound.len().saturating_sub(8);
    let same = |range: std::ops::Range<usize>| bytes.get(range.clone()) == sound.get(range);
    let replayed = class(sound) == Class::Stun && same(0..2) && same(4..protected);
    (bytes, replayed)
}
