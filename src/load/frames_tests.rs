#![expect(clippy::disallowed_methods, reason = "tests need some instant")]

use sluice_media::VideoCodec;

use super::super::delay::Wall;
use super::*;

fn plain(timestamp: u32, marker: bool, payload: &[u8]) -> Plain {
    Plain { codec: VideoCodec::H264, timestamp, marker, payload: payload.to_vec() }
}

/// SPS and PPS in an aggregate, an IDR in three fragments; then a single slice.
fn good() -> Vec<Plain> {
    vec![
        plain(1, false, &[24, 0, 2, 0x67, 1, 0, 1, 0x68]),
        plain(1, false, &[0x7c, 0x85, 0x81]),
        plain(1, false, &[0x7c, 0x05, 1]),
        plain(1, true, &[0x7c, 0x45, 1]),
        plain(2, true, &[0x41, 0x81]),
    ]
}

fn check(packets: impl IntoIterator<Item = (u64, Plain)>) -> Verdict {
    let now = Instant::now();
    let mut frames = Frames::new(Delays::since(now, Wall::new(now, Duration::from_secs(1))));
    for (sequence, packet) in packets {
        frames.handle_packet(now, sequence, packet);
    }
    frames.handle_timeout(now + PATIENCE);
    assert_eq!(frames.deadline(), None);
    frames.verdict()
}

fn numbered(packets: Vec<Plain>) -> Vec<(u64, Plain)> {
    (100..).zip(packets).collect()
}

#[test]
fn a_good_start_is_a_keyframe_and_every_frame_counts() {
    let verdict = check(numbered(good()));
    assert_eq!(verdict, Verdict { authentic: 5, frames: 2, keyframes: 1, ..Verdict::default() });
}

#[test]
fn order_does_not_matter_while_there_is_patience() {
    let mut packets = numbered(good());
    packets.swap(1, 3);
    assert_eq!(check(packets).frames, 2);
}

#[test]
fn a_missing_fragment_makes_its_frame_incomplete_not_malformed() {
    let mut packets = numbered(good());
    packets.remove(2);
    let verdict = check(packets);
    assert_eq!((verdict.incomplete, verdict.malformed, verdict.frames, verdict.errors()), (1, 0, 1, 0));
}

#[test]
fn a_missing_end_breaks_its_own_frame_and_not_more_than_the_next() {
    let mut packets = numbered(good());
    packets.remove(3);
    let verdict = check(packets);
    // The gap may have held the end of the one or the beginning of the other.
    assert_eq!((verdict.incomplete, verdict.malformed, verdict.frames), (2, 0, 0));
}

#[test]
fn a_frame_that_begins_in_the_middle_of_a_picture_is_broken() {
    let mut packets = good();
    // A picture cut in two, each half with a marker: in a slice, and in a fragment.
    for later in [&[0x41, 0x41][..], &[0x41, 0x41]] {
        packets.push(plain(packets.len() as u32, true, later));
    }
    packets.push(plain(90, false, &[0x5c, 0x81, 0x41]));
    packets.push(plain(90, true, &[0x5c, 0x41, 1]));
    // Together with its beginning it is none of that.
    packets.push(plain(91, false, &[0x41, 0x81]));
    packets.push(plain(91, true, &[0x41, 0x41]));
    let verdict = check(numbered(packets));
    assert_eq!((verdict.frames, verdict.malformed, verdict.errors()), (3, 3, 3));
}

#[test]
fn rules_broken_without_a_gap_are_the_servers_fault() {
    for (what, packets) in [
        ("a fragment without a beginning", vec![plain(1, true, &[0x7c, 0x45, 1])]),
        ("a fragment without an end", vec![plain(1, true, &[0x7c, 0x85, 0x81])]),
        ("no marker", vec![plain(1, false, &[0x65, 1]), plain(2, true, &[0x41, 0x81])]),
        ("an aggregate cut short", vec![plain(1, true, &[24, 0, 9, 0x65])]),
        ("a unit amid fragments", vec![plain(1, false, &[0x7c, 0x85, 0x81]), plain(1, true, &[0x65, 1])]),
        ("no picture at all", vec![plain(1, true, &[0x67, 1])]),
        ("an unknown unit", vec![plain(1, true, &[30, 1])]),
    ] {
        let verdict = check(numbered(packets));
        assert!(verdict.malformed >= 1, "{what}: {verdict:?}");
    }
}

#[test]
fn a_start_without_a_keyframe_or_its_parameter_sets_is_bad() {
    assert_eq!(check(numbered(vec![plain(1, true, &[0x41, 0x81])])).bad_starts, 1);
    assert_eq!(check(numbered(vec![plain(1, true, &[0x65, 1])])).bad_starts, 1);
}

#[test]
fn a_picture_that_comes_again_and_again_is_frozen() {
    // Cut in another way each time: what counts is the picture.
    let cut = |timestamp| {
        vec![plain(timestamp, false, &[0x7c, 0x81, 0x87]), plain(timestamp, true, &[0x7c, 0x41, 8])]
    };
    let whole = |timestamp, last| vec![plain(timestamp, true, &[0x61, 0x87, last])];
    let verdict = check(numbered([good(), whole(3, 8), cut(4), whole(5, 8), cut(6)].concat()));
    assert_eq!((verdict.frames, verdict.frozen, verdict.malformed), (6, 2, 0), "the third and the fourth");
    let verdict = check(numbered([good(), whole(3, 8), cut(4), whole(5, 9), cut(6), whole(7, 8)].concat()));
    assert_eq!((verdict.frames, verdict.frozen), (7, 0), "two in a row are a repetition that was asked for");
}

#[test]
fn pictures_have_the_age_of_their_last_packet() {
    let now = Instant::now();
    let mut frames = Frames::new(Delays::since(now, Wall::new(now, Duration::from_secs(1))));
    // It is level with the source by then.
    let now = now + Duration::from_secs(1);
    let picture = |timestamp, sent_ms: u64, ending: u8| {
        let sei = send_time::write(VideoCodec::H264, (2_000 + sent_ms) * 1_000_000);
        let aggregate = [&[24, 0, sei.len() as u8][..], &sei, &[0, 2, 0x67, 1, 0, 1, 0x68]].concat();
        [plain(timestamp, false, &aggregate), plain(timestamp, true, &[0x65, 0x80 | ending])]
    };
    let ms = Duration::from_millis;
    let [first, last] = picture(1, 10, 1);
    frames.handle_packet(now + ms(12), 7, first);
    // The packet between them is late: the picture is as old as it is then.
    let [next_first, next_last] = picture(2, 43, 2);
    frames.handle_packet(now + ms(45), 10, next_last);
    frames.handle_packet(now + ms(46), 8, last);
    frames.handle_packet(now + ms(60), 9, next_first);
    let [first, last] = picture(3, 10, 3);
    frames.handle_packet(now + ms(61), 11, first);
    frames.handle_packet(now + ms(62), 12, last);
    let ages: Vec<u128> = std::iter::from_fn(|| frames.poll_delay()).map(|age| age.as_millis()).collect();
    assert_eq!(ages, [36, 17]);
    let verdict = frames.verdict();
    assert_eq!((verdict.frames, verdict.again, verdict.from_past, verdict.errors()), (3, 1, 0, 0));
}
