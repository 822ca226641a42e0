//! What is in a sender report, where padding goes, and how repairs are counted.

use sluice_io::MAX_DATAGRAM;
use sluice_media::srtp::{Opener, ReportKeys};

use super::*;

const EVERY: Duration = Duration::from_secs(3);

/// The report that is due, as the viewer reads it: words of four bytes.
fn report(world: &mut World) -> Option<Vec<u32>> {
    let World { track, now, sealer, epoch, wire, .. } = world;
    track.report(EVERY, sealer, &mut Way { now: *now, path: World::path(), epoch, egress: wire });
    let sealed = wire.2.pop()?;
    let keying = Keying {
        material: Zeroizing::new((0..88).collect()),
        profile: SrtpProfile::AEAD_AES_256_GCM,
        // The viewer is the other end.
        active: true,
    };
    let keys = ReportKeys::derive(&keying, &str0m::crypto::from_feature_flags()).expect("a known profile");
    let mut opener = Opener::new(&keys, Library::default()).expect("derived keys");
    let mut room = [0; MAX_DATAGRAM];
    let compound = opener.open(&sealed, &mut room).expect("authentic");
    Some(compound.chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().expect("4 bytes"))).collect())
}

#[test]
fn a_sender_report_tells_what_was_sent_and_the_timestamp_of_now() {
    let mut world = World::new();
    assert_eq!(report(&mut world), None, "nothing was sent yet");
    world.live(3, true);
    world.live(2, false);
    let newest = world.of(MEDIA)[4].1;
    world.now += Duration::from_millis(100);
    let told = report(&mut world).expect("the first train asks for it");
    let ntp = world.epoch.ntp(world.now);
    // RFC 3550 §6.4.1: NTP time, the RTP timestamp of the same moment, packets, payload bytes.
    let wanted = [(ntp >> 32) as u32, ntp as u32, newest + 9_000, 5, 250];
    assert_eq!((told[0], told[1], &told[2..7]), (0x80c8_0006, MEDIA, &wanted[..]));

    world.now += EVERY - Duration::from_millis(1);
    assert_eq!(report(&mut world), None, "not due yet");
    world.now += Duration::from_millis(1);
    let again = report(&mut world).expect("due");
    assert_eq!(again[4], newest + 9_000 + 3 * 90_000);
    assert_eq!(world.track.report_due(), Some(world.now + EVERY));
    let (sent, state) = (world.track.sent(), world.track.state());
    assert_eq!((sent.packets, sent.bytes, state.packets), (5, 250, 5));
}

#[test]
fn padding_is_behind_the_last_packet_of_a_train_and_no_other() {
    let mut world = World::new();
    world.live(1, true);
    for (packets, longer) in [(0..3, [0, 0, 7]), (0..2, [0, 0, 0])] {
        let train = world.frame(3, false);
        let forward = world.track.forwarder.forward(&train).expect("it follows");
        let before = world.wire.0.len();
        let World { track, now, sealer, epoch, wire, .. } = &mut world;
        let way = &mut Way { now: *now, path: World::path(), epoch, egress: wire };
        track.send((&train, packets.clone()), forward, 7, sealer, way);
        let lengths: Vec<usize> = world.wire.0[before..].iter().map(|sent| sent.3).collect();
        let wanted: Vec<usize> = longer[packets].iter().map(|more| lengths[0] + more).collect();
        assert_eq!(lengths, wanted);
    }
}

#[test]
fn each_of_several_packets_goes_again_once_in_a_round_trip() {
    let mut world = World::new();
    world.live(20, true);
    let number = world.of(MEDIA)[5].0;
    assert_eq!(world.nack(number, 0b111), Repairs { sent: 4, ..Repairs::default() });
    assert_eq!(world.nack(number, 0b111), Repairs { repeated: 4, ..Repairs::default() });
    assert_eq!(world.track.state().repairs, 4);
}

#[test]
fn repairs_add_up_each_kind_by_itself() {
    let of = |n| Repairs {
        sent: n,
        repeated: 2 * n,
        unknown: 3 * n,
        over_budget: 4 * n,
        not_agreed: 5 * n,
        over_rate: 6 * n,
    };
    let mut sum = of(1);
    sum += of(10);
    assert_eq!(sum, of(11));
}
