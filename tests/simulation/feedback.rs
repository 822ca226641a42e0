//! RTCP between a viewer and us, byte by byte: who is answered, what is counted, what is reported.

use std::time::{Duration, Instant};

use sluice::count::EndReason;
use sluice::count::histogram::{Histogram, Snapshot};
use sluice::shard::command::Command;
use sluice::track::RecentLimits;
use sluice_harness::client::{Behaviour, Client};
use sluice_harness::link::Link;
use sluice_harness::terms::LIMITS;
use sluice_harness::world::World;
use sluice_load::rtcp::{self, ReportBlock};
use sluice_media::Kind;

/// What the viewer calls itself.
const SELF: u32 = 0x0506_0708;

/// A viewer by hand that has watched for three seconds.
fn watching(mut world: World) -> World {
    world.join(0, Behaviour::BY_HAND, Link::GOOD);
    world.connect(0..1);
    world.run(Duration::from_secs(3));
    world
}

fn ssrc(world: &World, kind: Kind) -> u32 {
    *world.track(0, kind).ssrc
}

/// Media packets that were sent under an SSRC.
fn sent(world: &World, ssrc: u32) -> usize {
    world.books.media.get(&(0, ssrc)).map_or(0, Vec::len)
}

/// The last `count` numbers that were sent under an SSRC.
fn newest(world: &World, ssrc: u32, count: usize) -> Vec<u16> {
    let media = &world.books.media[&(0, ssrc)];
    media[media.len() - count..].iter().map(|(number, _)| *number).collect()
}

/// Appends a full intra request (RFC 5104 §4.3.1).
fn fir(out: &mut Vec<u8>, media: u32) {
    out.extend([0x84, 206, 0, 4]);
    out.extend(SELF.to_be_bytes());
    out.extend([0; 4]);
    out.extend(media.to_be_bytes());
    out.extend([1, 0, 0, 0]);
}

/// Asks for everything under each of `media`: lost packets by the numbers of both tracks, and a keyframe
/// in both ways.
fn requests(world: &World, media: &[u32]) -> Vec<u8> {
    let mut compound = Vec::new();
    rtcp::receiver_report(&mut compound, SELF, &[]);
    for &media in media {
        for kind in [Kind::Video, Kind::Audio] {
            let numbers = newest(world, ssrc(world, kind), 20);
            rtcp::nack(&mut compound, SELF, media, &numbers);
        }
        rtcp::pli(&mut compound, SELF, media);
        fir(&mut compound, media);
    }
    compound
}

fn ask(world: &mut World, media: u32) {
    let compound = requests(world, &[media]);
    world.report(0, &compound);
    world.run(Duration::from_millis(100));
}

/// Requests for packets and for keyframes that were looked at, whatever came of them.
fn answered(world: &World) -> u64 {
    let counters = &world.counters;
    [
        &counters.repairs_sent,
        &counters.repairs_repeated,
        &counters.repairs_unknown,
        &counters.repairs_over_budget,
        &counters.repairs_not_agreed,
        &counters.keyframes_replayed,
        &counters.keyframes_coalesced,
        &counters.keyframes_awaited,
    ]
    .iter()
    .map(|counter| counter.get())
    .sum()
}

#[test]
fn only_what_names_the_video_is_answered_from_its_ring() {
    let mut world = watching(World::with_camera(61));
    let (video, audio) = (world.track(0, Kind::Video), world.track(0, Kind::Audio));
    let (video, repairs, audio, unused) = (*video.ssrc, *video.rtx_ssrc, *audio.ssrc, *audio.rtx_ssrc);
    let others = [repairs, audio, unused, SELF, 0, u32::MAX, 0xdead_beef];
    for (index, other) in others.into_iter().enumerate() {
        ask(&mut world, other);
        assert_eq!(answered(&world), 0, "SSRC {other:#x}");
        // Two NACKs, a PLI, a FIR.
        assert_eq!(world.counters.feedback.misdirected.get(), 4 * (index as u64 + 1));
    }
    assert_eq!((sent(&world, repairs), sent(&world, unused)), (0, 0));

    ask(&mut world, video);
    // Of the audio's numbers, some may by chance be numbers of video too.
    assert!(sent(&world, repairs) >= 20, "{}", sent(&world, repairs));
    assert_eq!(sent(&world, repairs) as u64, world.counters.repairs_sent.get());
    assert_eq!((world.counters.keyframes_replayed.get(), world.counters.keyframes_coalesced.get()), (1, 1));
    assert_eq!(sent(&world, unused), 0);
    assert_eq!(world.counters.feedback.misdirected.get(), 4 * others.len() as u64);
    assert_eq!(world.counters.feedback.packets.nack.get(), 2 * (others.len() as u64 + 1));
}

#[test]
fn a_viewer_that_asks_for_everything_at_once_plays_on() {
    let mut world = watching(World::with_camera(62));
    let (video, audio) = (ssrc(&world, Kind::Video), ssrc(&world, Kind::Audio));
    let repairs = *world.track(0, Kind::Video).rtx_ssrc;
    for _ in 0..80 {
        let compound = requests(&world, &[audio, 0xdead_beef, video, repairs]);
        world.report(0, &compound);
        world.report(0, &compound);
        world.run(Duration::from_millis(100));
    }
    let camera = &world.cameras[0];
    let client = &world.clients[0];
    let (mut pictures, mut sounds) = (0, 0);
    for packet in &client.packets {
        if packet.ssrc == audio {
            sounds += 1;
            // Nothing of the ring under the audio's numbers.
            assert!(packet.payload.len() == 120 && camera.made(&packet.payload));
        } else {
            assert_eq!(packet.ssrc, video);
            pictures += 1;
        }
    }
    // 50 a second for eleven seconds; more, and something came twice.
    assert!((500..=560).contains(&sounds), "{sounds}");
    assert!(pictures > 700, "{pictures}");
    assert!(world.counters.repairs_over_budget.get() + world.counters.repairs_repeated.get() > 0);
    let newest = client.pictures().map(|packet| packet.at).max().expect("packets");
    assert!(world.now - newest < Duration::from_millis(100));
    assert_eq!(world.shard.viewers(), 1);
}

#[test]
fn without_repair_a_nack_is_counted_and_the_ring_still_serves_who_joins() {
    let recent = RecentLimits { bytes: 8 << 20, history: Duration::ZERO };
    let mut world = World::with_rings(63, recent);
    world.camera(sluice_media::AudioCodec::Opus);
    world.run(Duration::from_millis(3_500));
    world.join(0, Behaviour::BY_HAND, Link::GOOD);
    world.connect(0..1);
    let track = world.track(0, Kind::Video);
    assert_eq!(track.rtx_payload_type, None, "the answer offers none");
    let (video, repairs) = (*track.ssrc, *track.rtx_ssrc);
    world.run(Duration::from_millis(60));
    // Frames since the last keyframe: 1.5 seconds of them, with its own.
    let frames = world.cameras[0].frames.len() as u64 % sluice_harness::camera::GOP;
    assert!(frames > 30 && sent(&world, video) as u64 > frames, "{} packets", sent(&world, video));

    world.run(Duration::from_secs(3));
    ask(&mut world, video);
    // Forty numbers; sound's may be packed into more words than one, never into fewer packets.
    assert_eq!(world.counters.repairs_not_agreed.get(), 40);
    assert_eq!(world.counters.repairs_sent.get() + world.counters.repairs_unknown.get(), 0);
    assert_eq!(sent(&world, repairs), 0);
    assert_eq!(world.counters.keyframes_replayed.get(), 1, "keyframes may be asked for as before");
}

/// How many were observed, and their mean.
fn read(histogram: &Histogram) -> (u64, f64) {
    let snapshot = Snapshot::of([histogram]);
    (snapshot.count(), snapshot.sum() / (snapshot.count().max(1) as f64))
}

#[test]
fn receiver_reports_become_loss_jitter_and_round_trips() {
    let mut world = watching(World::with_camera(64));
    let clocks = [(Kind::Video, 90_000), (Kind::Audio, 48_000)];
    for round in 0..3 {
        let blocks = clocks.map(|(kind, clock)| {
            let ssrc = ssrc(&world, kind);
            let (at, ntp) = last_sender_report(&world.clients[0], ssrc);
            ReportBlock {
                ssrc,
                // Of a second that was without loss: the counts tell of all of them.
                fraction_lost: 0,
                lost: 5 * round,
                highest: 20_000 + 100 * round,
                jitter: clock / 50,
                last_report: ntp,
                since_last_report: world.now - at,
            }
        });
        let stranger = ReportBlock { ssrc: 9, lost: 1_000, jitter: 1 << 20, ..ReportBlock::default() };
        let mut compound = Vec::new();
        rtcp::receiver_report(&mut compound, SELF, &[blocks[0], stranger, blocks[1]]);
        if round == 1 {
            as_sender_report(&mut compound);
        }
        world.report(0, &compound);
        world.run(Duration::from_secs(1));
    }
    let feedback = &world.counters.feedback;
    for (kind, _) in clocks {
        let heard = feedback.of(kind);
        assert_eq!(read(&heard.loss), (2, 0.05), "{kind:?}");
        assert_eq!(heard.lost.get(), 10, "{kind:?}");
        let (count, jitter) = read(&heard.jitter);
        assert!(count == 3 && (jitter - 0.02).abs() < 1e-4, "{kind:?}: {count} of {jitter}");
        // Ten milliseconds each way.
        let (count, round_trip) = read(&heard.round_trip);
        assert!(count == 3 && (round_trip - 0.02).abs() < 1e-4, "{kind:?}: {count} of {round_trip}");
    }
    assert_eq!(feedback.packets.receiver_report.get(), 3);
    assert_eq!(feedback.misdirected.get(), 0);
}

/// Whoever sends something himself reports with that (RFC 3550 §6.4.1).
fn as_sender_report(report: &mut Vec<u8>) {
    report.splice(8..8, [0; 20]);
    report[1] = 200;
    let words = report.len() / 4 - 1;
    report[2..4].copy_from_slice(&(words as u16).to_be_bytes());
}

#[test]
fn estimates_are_kept_apart_by_what_the_viewer_is_sent() {
    let mut world = watching(World::with_camera(65));
    // Its camera makes about 1.1 Mb/s.
    for (bits_per_second, below) in
        [(5_000_000, 0), (5_000_000, 0), (100_000, 1), (100_000, 2), (4_000_000, 2)]
    {
        let mut compound = Vec::new();
        rtcp::remb(&mut compound, SELF, bits_per_second, &[ssrc(&world, Kind::Video)]);
        // Every report comes twice within a moment: the second is no observation.
        world.report(0, &compound);
        world.report(0, &compound);
        world.run(Duration::from_secs(1));
        assert_eq!(world.counters.feedback.estimate_below_sent.get(), below, "{bits_per_second}");
    }
    let feedback = &world.counters.feedback;
    let (count, mean) = read(&feedback.estimate);
    assert_eq!(count, 5);
    assert!((mean * 8.0 - 2_840_000.0).abs() < 10_000.0, "{mean}");
    assert_eq!(feedback.packets.remb.get(), 10);
}

#[test]
fn what_nothing_acts_on_is_counted() {
    let mut world = watching(World::with_camera(66));
    let mut compound = Vec::new();
    rtcp::receiver_report(&mut compound, SELF, &[]);
    // Application layer feedback that is no REMB, and a goodbye.
    compound.extend([0x8f, 206, 0, 3]);
    compound.extend(SELF.to_be_bytes());
    compound.extend([0, 0, 0, 0, b'X', b'Y', b'Z', b'!']);
    compound.extend([0x81, 203, 0, 1]);
    compound.extend(SELF.to_be_bytes());
    world.report(0, &compound);
    // More in one datagram than are read.
    let mut many = Vec::new();
    (0..100).for_each(|_| rtcp::pli(&mut many, SELF, 9));
    world.report(0, &many);
    world.run(Duration::from_millis(100));
    let packets = &world.counters.feedback.packets;
    assert_eq!((packets.receiver_report.get(), packets.other.get()), (1, 2));
    assert_eq!((packets.pli.get(), packets.unread.get()), (64, 36));
    assert_eq!(world.shard.viewers(), 1);
}

/// The packets of a compound report: type, SSRC and all of it.
fn packets(compound: &[u8]) -> Vec<(u8, u32, &[u8])> {
    let mut rest = compound;
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let length = 4 * (1 + usize::from(u16::from_be_bytes([rest[2], rest[3]])));
        let (packet, behind) = rest.split_at(length);
        packets.push((packet[1], word(packet, 4), packet));
        rest = behind;
    }
    packets
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Sender reports about an SSRC: when they came, and the reports.
fn sender_reports(client: &Client, ssrc: u32) -> Vec<(Instant, Vec<u8>)> {
    let mut found = Vec::new();
    for (at, compound) in &client.reports {
        let packets = packets(compound);
        if packets[0].0 == 200 && packets[0].1 == ssrc {
            found.push((*at, packets[0].2.to_vec()));
        }
    }
    found
}

/// When the last sender report about an SSRC came, and the middle of its NTP time.
fn last_sender_report(client: &Client, ssrc: u32) -> (Instant, u32) {
    let (at, report) = sender_reports(client, ssrc).pop().expect("a sender report");
    (at, word(&report, 8) << 16 | word(&report, 12) >> 16)
}

#[test]
fn the_first_sender_report_comes_with_the_first_packets_and_then_one_an_interval() {
    let mut world = watching(World::with_camera(67));
    world.run(Duration::from_secs(7));
    let client = &world.clients[0];
    for (kind, clock) in [(Kind::Video, 90_000.0), (Kind::Audio, 48_000.0)] {
        let ssrc = ssrc(&world, kind);
        let first_packet = client.packets.iter().find(|packet| packet.ssrc == ssrc).expect("packets").at;
        let reports = sender_reports(client, ssrc);
        let after = reports[0].0.saturating_duration_since(first_packet);
        assert!(after <= Duration::from_millis(5), "{kind:?}: {after:?} after the first packet");
        // About ten seconds of playing.
        assert!((3..=4).contains(&reports.len()), "{kind:?}: {}", reports.len());
        for pair in reports.windows(2) {
            let apart = pair[1].0 - pair[0].0;
            assert!(
                apart.abs_diff(LIMITS.report_interval) < Duration::from_millis(50),
                "{kind:?}: {apart:?}"
            );
            // Both clocks went on by the same time, whatever was rewritten to start at once.
            let ntp =
                |report: &[u8]| f64::from(word(report, 8)) + f64::from(word(report, 12)) / 2f64.powi(32);
            let by_ntp = ntp(&pair[1].1) - ntp(&pair[0].1);
            let by_rtp = f64::from(word(&pair[1].1, 16).wrapping_sub(word(&pair[0].1, 16))) / clock;
            assert!((by_ntp - by_rtp).abs() < 0.002, "{kind:?}: {by_ntp} s of NTP, {by_rtp} s of RTP");
            assert!(word(&pair[1].1, 20) > word(&pair[0].1, 20), "packets");
            assert!(word(&pair[1].1, 24) > word(&pair[0].1, 24), "bytes");
        }
    }
    for (_, compound) in &client.reports {
        let packets = packets(compound);
        let kinds: Vec<u8> = packets.iter().map(|packet| packet.0).collect();
        assert_eq!(kinds, [200, 202], "a report and its source description");
        let (_, about, description) = packets[1];
        assert_eq!(about, packets[0].1, "of the same source");
        // One chunk, its first item a CNAME: the same for both tracks, which belong together.
        assert_eq!(description[0], 0x81);
        assert_eq!(description[8..16], [1, 6, b's', b'l', b'u', b'i', b'c', b'e']);
    }
}

#[test]
fn a_viewer_that_ends_is_told_so_for_each_track() {
    let mut world = watching(World::with_camera(68));
    let before = world.clients[0].reports.len();
    let session = world.session(0);
    world.command(Command::End(session, EndReason::Deleted));
    world.run(Duration::from_millis(50));
    let client = &world.clients[0];
    let mut over = Vec::new();
    for (_, compound) in &client.reports[before..] {
        let packets = packets(compound);
        assert!(matches!(packets[0].0, 200 | 201), "a compound begins with a report (RFC 3550 §6.1)");
        over.extend(packets.iter().filter(|packet| packet.0 == 203).map(|packet| packet.1));
    }
    over.sort_unstable();
    let mut tracks = [ssrc(&world, Kind::Video), ssrc(&world, Kind::Audio)];
    tracks.sort_unstable();
    assert_eq!(over, tracks);
    assert!(client.closed.is_some(), "and DTLS is closed");
}
