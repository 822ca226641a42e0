//! Who gets what: no viewer ever gets a packet of another stream or a codec it did not agree to.

use std::time::Duration;

use sluice_harness::client::Behaviour;
use sluice_harness::link::Link;
use sluice_harness::world::World;
use sluice_media::{AudioCodec, VideoCodec};

#[test]
fn sixty_four_viewers_of_two_streams_get_their_own() {
    let mut world = World::new(51);
    (0..2).for_each(|_| {
        world.camera(AudioCodec::Opus);
    });
    world.run(Duration::from_millis(500));
    for viewer in 0..64 {
        world.join(viewer % 2, Behaviour::PACKETS, Link::GOOD);
        world.run(Duration::from_millis(3));
    }
    world.connect(0..64);
    world.run(Duration::from_secs(3));
    for (index, client) in world.clients.iter().enumerate() {
        let (own, other) = (&world.cameras[index % 2], &world.cameras[1 - index % 2]);
        let (mut video, mut audio) = (0, 0);
        for packet in &client.packets {
            if Some(packet.payload_type) == client.audio.map(|audio| audio.payload_type) {
                audio += 1;
                assert!(own.made(&packet.payload), "viewer {index} heard another stream");
            } else {
                video += 1;
                // Behind the NAL unit's or fragment's header; parameter sets are of no stream.
                let is_set = packet.payload[0] & 0x1f == 24;
                assert!(is_set || own.made(&packet.payload[2..]), "viewer {index} saw another stream");
                assert!(is_set || !other.made(&packet.payload[2..]));
            }
        }
        assert!(video > 200 && audio > 100, "viewer {index} got {video} and {audio}");
        let mut sequences: Vec<u64> = client.pictures().map(|packet| packet.sequence).collect();
        sequences.sort_unstable();
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap for viewer {index}");
    }
}

#[test]
fn a_codec_that_was_not_agreed_to_is_not_sent() {
    let mut world = World::new(52);
    world.camera(AudioCodec::Pcmu);
    world.run(Duration::from_millis(500));
    let old = world.join(0, Behaviour { pcmu: true, ..Behaviour::PACKETS }, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    let audio = |world: &World, viewer: usize| {
        let client = &world.clients[viewer];
        client.packets.iter().filter(|packet| packet.ssrc != client.video.ssrc).count()
    };
    assert!(audio(&world, old) >= 45);

    world.cameras[0].change_audio(AudioCodec::Opus);
    world.run(Duration::from_millis(50));
    let before = audio(&world, old);
    let new = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(new..new + 1);
    world.run(Duration::from_secs(2));
    assert_eq!(audio(&world, old), before, "it agreed to PCMU");
    assert!(audio(&world, new) >= 45, "it agreed to Opus");
    let newest = world.clients[old].pictures().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100), "its picture goes on");
}

#[test]
fn a_video_codec_that_was_not_agreed_to_is_sent_neither_live_nor_from_the_ring() {
    let mut world = World::new(53);
    world.camera(AudioCodec::Opus);
    world.run(Duration::from_millis(500));
    let watching = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(1));
    // One agreed to H.264, and is connected only when there is none any more.
    let late = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.cameras[0].change_video(VideoCodec::H265);
    world.connect(late..late + 1);
    world.run(Duration::from_millis(100));
    let pictures = |world: &World, viewer: usize| world.clients[viewer].pictures().count();
    let before = pictures(&world, watching);
    assert!(before > 30);
    world.run(Duration::from_secs(3));
    assert_eq!((pictures(&world, watching), pictures(&world, late)), (before, 0));
    let sounds =
        world.clients[late].packets.iter().filter(|packet| packet.ssrc != world.clients[late].video.ssrc);
    assert!(sounds.count() >= 100, "its sound goes on");
}
