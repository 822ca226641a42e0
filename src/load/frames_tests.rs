#![expect(clippy::disallowed_methods, reason = "tests need some instant")]

use super::*;

fn plain(timestamp: u32, marker: bool, payload: &[u8]) -> Plain {
    Plain { timestamp, marker, payload: payload.to_vec() }
}

/// SPS and PPS in an aggregate, an IDR in three fragments; then a single slice.
fn good() -> Vec<Plain> {
    vec![
        plain(1, false, &[24, 0, 2, 0x67, 1, 0, 1, 0x68]),
        plain(1, false, &[0x7c, 0x85, 1]),
        plain(1, false, &[0x7c, 0x05, 1]),
        plain(1, true, &[0x7c, 0x45, 1]),
        plain(2, true, &[0x41, 1]),
    ]
}

fn check(packets: impl IntoIterator<Item = (u64, Plain)>) -> Verdict {
    let (mut frames, now) = (Frames::default(), Instant::now());
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
fn rules_broken_without_a_gap_are_the_servers_fault() {
    for (what, packets) in [
        ("a fragment without a beginning", vec![plain(1, true, &[0x7c, 0x45, 1])]),
        ("a fragment without an end", vec![plain(1, true, &[0x7c, 0x85, 1])]),
        ("no marker", vec![plain(1, false, &[0x65, 1]), plain(2, true, &[0x41, 1])]),
        ("an aggregate cut short", vec![plain(1, true, &[24, 0, 9, 0x65])]),
        ("a unit amid fragments", vec![plain(1, false, &[0x7c, 0x85, 1]), plain(1, true, &[0x65, 1])]),
        ("no picture at all", vec![plain(1, true, &[0x67, 1])]),
        ("an unknown unit", vec![plain(1, true, &[30, 1])]),
    ] {
        let verdict = check(numbered(packets));
        assert!(verdict.malformed >= 1, "{what}: {verdict:?}");
    }
}

#[test]
fn a_start_without_a_keyframe_or_its_parameter_sets_is_bad() {
    assert_eq!(check(numbered(vec![plain(1, true, &[0x41, 1])])).bad_starts, 1);
    assert_eq!(check(numbered(vec![plain(1, true, &[0x65, 1])])).bad_starts, 1);
}
