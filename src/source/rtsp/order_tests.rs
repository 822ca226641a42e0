use super::*;

/// What comes out of packets given as (SSRC, number, timestamp): number or timestamp is in the payload.
struct Rig {
    order: Order,
    now: Instant,
    out: Vec<Ordered>,
}

impl Rig {
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn new(udp: bool) -> Rig {
        Rig { order: Order::new(vec![96], udp, None), now: Instant::now(), out: Vec::new() }
    }

    fn push(&mut self, ssrc: u32, number: u16, timestamp: u32) {
        self.order.push(packet(96, ssrc, number, timestamp), self.now, None, &mut self.out);
    }

    fn numbers(&mut self, ssrc: u32, numbers: impl IntoIterator<Item = u16>) {
        numbers.into_iter().for_each(|number| self.push(ssrc, number, 0));
    }

    /// Number, loss before it, restart.
    fn seen(&mut self) -> Vec<(u16, u16, bool)> {
        let number = |packet: &Ordered| u16::from_be_bytes([packet.payload[0], packet.payload[1]]);
        self.out.drain(..).map(|packet| (number(&packet), packet.lost, packet.restarted)).collect()
    }
}

fn packet(payload_type: u8, ssrc: u32, number: u16, timestamp: u32) -> Bytes {
    let mut packet = vec![0x80, payload_type];
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&number.to_be_bytes());
    packet.into()
}

fn whole(numbers: impl IntoIterator<Item = u16>) -> Vec<(u16, u16, bool)> {
    numbers.into_iter().map(|number| (number, 0, false)).collect()
}

#[test]
fn gaps_are_losses_also_where_numbers_wrap() {
    for udp in [false, true] {
        let mut rig = Rig::new(udp);
        rig.numbers(1, [65_533, 65_534, 2]);
        rig.now += HOLD;
        rig.order.release(rig.now, &mut rig.out);
        assert_eq!(rig.seen(), [(65_533, 0, false), (65_534, 0, false), (2, 3, false)], "udp {udp}");
    }
}

#[test]
fn a_new_ssrc_is_a_restart_and_no_loss() {
    for udp in [false, true] {
        let mut rig = Rig::new(udp);
        rig.numbers(1, [10, 11]);
        rig.numbers(2, [40_000]);
        assert_eq!(rig.seen(), whole([10, 11]), "the first may go on");
        rig.now += claim::ENDED;
        rig.numbers(2, [40_001]);
        assert_eq!(rig.seen(), [(40_000, 0, true), (40_001, 0, false)], "udp {udp}");
        // Now the other one is the stranger.
        rig.numbers(1, [12]);
        rig.numbers(2, [40_002]);
        assert_eq!((rig.seen(), rig.order.foreign()), (whole([40_002]), 1));
    }
}

#[test]
fn who_sends_between_the_packets_of_a_sender_is_left_out_and_counted() {
    for udp in [false, true] {
        let mut rig = Rig::new(udp);
        // Two encoders by turns, packet by packet and picture by picture; and one odd packet a second.
        for turn in 0..100 {
            let count = 1 + turn % 4;
            rig.numbers(1, turn * 10..turn * 10 + count);
            rig.numbers(2, turn * 7..turn * 7 + count);
            rig.now += Duration::from_millis(100);
        }
        assert!(rig.seen().iter().all(|(number, _, restarted)| number % 10 < 4 && !restarted), "udp {udp}");
        assert_eq!(rig.order.foreign(), 246, "those behind its last packet may be a new one's");
    }
}

#[test]
fn a_sender_that_says_its_end_or_that_was_not_announced_gives_way_at_once() {
    let mut rig = Rig::new(false);
    rig.numbers(1, [1, 2]);
    assert!(!rig.order.end(7) && rig.order.end(1));
    rig.numbers(2, [9]);
    assert_eq!(rig.seen(), [(1, 0, false), (2, 0, false), (9, 0, true)]);

    let mut rig = Rig { order: Order::new(vec![96], false, Some(2)), ..Rig::new(false) };
    rig.numbers(1, [1, 2]);
    rig.numbers(2, [9]);
    rig.numbers(1, [3]);
    rig.numbers(2, [10]);
    assert_eq!(rig.seen(), [(1, 0, false), (2, 0, false), (9, 0, true), (10, 0, false)]);
}

/// Whatever SSRCs come, little is held of those that may be new.
#[test]
fn what_is_held_of_another_sender_is_bounded() {
    let mut rig = Rig::new(false);
    rig.numbers(1, [1]);
    rig.numbers(2, 0..20_000);
    assert!(rig.order.claim.held().0);
    for ssrc in 3..5_000 {
        rig.numbers(ssrc, [7]);
    }
    assert_eq!(rig.order.claim.held(), (true, 1));
}

#[test]
fn a_camera_that_changes_its_ssrc_again_and_again_is_waited_for_once() {
    let mut rig = Rig::new(false);
    rig.numbers(1, [1, 2]);
    rig.numbers(2, [50, 51]);
    let (due, before) = (rig.order.deadline().expect("it is waited for"), rig.now);
    assert_eq!(due, before + claim::ENDED);
    rig.now = due;
    rig.order.release(due, &mut rig.out);
    assert_eq!(
        rig.seen(),
        [(1, 0, false), (2, 0, false), (50, 0, true), (51, 0, false)],
        "nothing more has to come"
    );
    for ssrc in 3..6 {
        rig.now += Duration::from_secs(1);
        rig.numbers(ssrc, [7, 8]);
        assert_eq!(rig.seen(), [(7, 0, true), (8, 0, false)]);
    }
    // One of each packet is nobody.
    rig.numbers(9, [1]);
    assert!(rig.seen().is_empty());
    // One that comes back shows that two send.
    rig.now += Duration::from_secs(1);
    rig.numbers(5, [9]);
    rig.numbers(6, [1]);
    rig.numbers(5, [10]);
    assert_eq!(rig.seen(), [(9, 0, false), (1, 0, true)]);
    rig.numbers(6, [2]);
    rig.now += Duration::from_secs(1);
    rig.numbers(6, [3]);
    rig.numbers(7, [1]);
    rig.numbers(6, [4]);
    assert_eq!(rig.seen(), whole([2, 3, 4]));
}

#[test]
fn numbers_in_steps_are_not_believed_inside_a_connection() {
    let mut rig = Rig::new(false);
    rig.numbers(1, (0..100).map(|number| number * 2));
    let lost: Vec<u16> = rig.seen().into_iter().map(|(_, lost, _)| lost).collect();
    assert_eq!(lost.iter().map(|lost| usize::from(*lost)).sum::<usize>(), usize::from(MAX_STEPS));
    assert!(rig.order.is_disbelieved() && lost[usize::from(MAX_STEPS) + 1..].iter().all(|lost| *lost == 0));
    // A line that loses every third packet is believed.
    let mut rig = Rig::new(false);
    rig.numbers(1, (0..300).filter(|number| number % 3 > 0));
    assert!(!rig.order.is_disbelieved());
}

#[test]
fn numbers_that_jump_are_a_restart_and_no_loss() {
    for (to, udp) in [(40_000, false), (11, false), (4_000, false), (40_000, true), (9_000, true)] {
        let mut rig = Rig::new(udp);
        rig.numbers(1, [500, 501, to, to + 1, to + 2]);
        let mut wanted = whole([500, 501, to, to + 1, to + 2]);
        wanted[2].2 = true;
        assert_eq!(rig.seen(), wanted, "to {to}");
    }
}

#[test]
fn one_odd_number_over_udp_restarts_nothing() {
    let mut rig = Rig::new(true);
    rig.numbers(1, [500, 501, 40_000, 502, 7, 503]);
    assert_eq!(rig.seen(), whole([500, 501, 502, 503]));
}

#[test]
fn packets_over_udp_are_put_back_in_order() {
    for sent in [[1, 3, 2, 4, 5, 6], [1, 2, 6, 5, 4, 3], [1, 4, 3, 3, 2, 5], [1, 3, 4, 5, 6, 2]] {
        let mut rig = Rig::new(true);
        rig.numbers(1, sent);
        let last = *sent.iter().max().expect("there is one");
        assert_eq!(rig.seen(), whole(1..=last), "{sent:?}");
    }
}

#[test]
fn what_is_missing_is_waited_for_neither_long_nor_for_many_packets() {
    let mut rig = Rig::new(true);
    rig.numbers(1, [1, 3]);
    assert_eq!(rig.seen(), whole([1]));
    assert_eq!(rig.order.deadline(), Some(rig.now + HOLD));
    rig.now += HOLD;
    rig.order.release(rig.now, &mut rig.out);
    assert_eq!((rig.seen(), rig.order.deadline()), (vec![(3, 1, false)], None));
    // It comes at last: too late.
    rig.numbers(1, [2, 4]);
    assert_eq!(rig.seen(), whole([4]));

    let mut rig = Rig::new(true);
    rig.numbers(1, [1]);
    rig.numbers(1, 3..200);
    let seen = rig.seen();
    assert_eq!((seen.len(), seen[1]), (198, (3, 1, false)));
    assert!(rig.order.held.is_empty());

    // Each second one is missing: the room is bounded.
    let mut rig = Rig::new(true);
    rig.numbers(1, (0..1_000).map(|number| number * 2));
    assert!(rig.order.held.len() <= MAX_HELD);
}

#[test]
fn numbers_that_mean_nothing_are_not_believed_for_ever() {
    // The same number on every packet, and random ones.
    for numbers in [vec![7; 400], (0..400).map(|n: u16| n.wrapping_mul(40_503)).collect::<Vec<_>>()] {
        let mut rig = Rig::new(false);
        rig.numbers(1, numbers);
        rig.seen();
        rig.numbers(1, [7, 7, 7, 9_000, 7]);
        assert_eq!(rig.seen(), whole([7, 7, 7, 9_000, 7]));
    }
}

#[test]
fn timestamps_are_unwrapped() {
    let mut rig = Rig::new(false);
    for (number, timestamp) in [(1, u32::MAX - 10), (2, 20), (3, 10), (4, 3_000_000_000)] {
        rig.push(1, number, timestamp);
    }
    let seen: Vec<i64> = rig.out.iter().map(|packet| packet.timestamp - i64::from(u32::MAX)).collect();
    assert_eq!(seen, [-10, 21, 11, 3_000_000_001 - (1 << 32)]);
}

#[test]
fn what_is_no_rtp_or_somebody_elses_is_counted_and_changes_nothing() {
    let mut rig = Rig::new(false);
    rig.numbers(1, [1]);
    let now = rig.now;
    for other in [
        packet(107, 2, 900, 0),
        packet(13, 3, 5, 0),
        Bytes::from_static(b""),
        Bytes::from_static(b"\x80\x60\x00"),
        Bytes::from_static(&[0x40; 20]),
        Bytes::from_static(&[0xbf; 20]),
    ] {
        rig.order.push(other, now, None, &mut rig.out);
    }
    rig.numbers(1, [2]);
    // Comfort noise shares numbers with the sound around it, and goes on to be left out by its type.
    rig.order.push(packet(13, 1, 3, 0), now, None, &mut rig.out);
    rig.numbers(1, [4]);
    assert_eq!(rig.seen(), whole([1, 2, 3, 4]));
    assert_eq!(rig.order.discarded(), 6);
}

#[test]
fn padding_that_is_not_there_is_not_taken_off() {
    let mut rig = Rig::new(false);
    for number in 1..4 {
        let mut packet = packet(96, 1, number, 0).to_vec();
        packet[0] |= 0x20;
        packet.extend_from_slice(&[0xff; 8]);
        rig.order.push(packet.into(), rig.now, None, &mut rig.out);
    }
    assert!(rig.out.iter().all(|packet| packet.payload.len() == 10));
    assert_eq!(rig.seen(), whole([1, 2, 3]));
    // What is there is.
    let mut padded = packet(96, 1, 4, 0).to_vec();
    padded[0] |= 0x20;
    padded.extend_from_slice(&[0, 0, 3]);
    rig.order.push(padded.into(), rig.now, None, &mut rig.out);
    assert_eq!(rig.out[0].payload.len(), 2);
}

/// Inside a connection nothing overtakes: another payload with the last number is no repetition.
#[test]
fn one_number_for_all_packets_of_a_picture_loses_none() {
    for (udp, wanted) in [(false, 12), (true, 4)] {
        let mut rig = Rig::new(udp);
        for picture in 1..5_u16 {
            for part in 0..3_u8 {
                let mut packet = packet(96, 1, picture, u32::from(picture) * 3_600).to_vec();
                packet.push(part);
                // And one of them twice.
                for _ in 0..=u8::from(part == 2) {
                    rig.order.push(packet.clone().into(), rig.now, None, &mut rig.out);
                }
            }
        }
        assert_eq!(rig.out.len(), wanted, "udp {udp}");
        assert!(rig.seen().iter().all(|(_, lost, restarted)| *lost == 0 && !restarted));
    }
}

#[test]
fn numbers_that_other_tracks_used_up_are_no_losses() {
    let mut rig = Rig::new(false);
    for (number, missing) in [(1, None), (4, Some(0)), (9, Some(2)), (11, None)] {
        rig.order.push(packet(96, 1, number, 0), rig.now, missing, &mut rig.out);
    }
    assert_eq!(rig.seen(), [(1, 0, false), (4, 0, false), (9, 2, false), (11, 1, false)]);
}
