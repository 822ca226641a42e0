use super::*;

const MAX: usize = 100_000;

/// Timestamp and NAL units of each picture.
type Pictures = Vec<(i64, Vec<Vec<u8>>)>;

/// Feeds packets `(timestamp, marker, after_loss, payload)` and returns what comes out.
fn depacketize(packets: &[(i64, bool, bool, &[u8])]) -> Pictures {
    let mut depacketizer = Depacketizer::new(MAX);
    push_all(&mut depacketizer, packets).expect("within the limit")
}

#[expect(clippy::disallowed_methods, reason = "any instant serves")]
fn push_all(
    depacketizer: &mut Depacketizer,
    packets: &[(i64, bool, bool, &[u8])],
) -> Result<Pictures, PictureTooLarge> {
    let received = Instant::now();
    let mut out = Vec::new();
    for &(timestamp, marker, after_loss, payload) in packets {
        let payload = Bytes::copy_from_slice(payload);
        depacketizer.push(Packet { payload, timestamp, marker, after_loss, received }, &mut out)?;
    }
    Ok(out
        .into_iter()
        .map(|unit| (unit.timestamp, unit.nals.iter().map(|nal| nal.to_vec()).collect()))
        .collect())
}

const SPS_NAL: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0x11];
const PPS_NAL: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
const IDR_NAL: &[u8] = &[0x65, 0x88, 0x84, 0x22];
const P_NAL: &[u8] = &[0x41, 0x9a, 0x02];

#[test]
fn single_units_end_at_the_marker() {
    let units =
        depacketize(&[(10, false, false, SPS_NAL), (10, false, false, PPS_NAL), (10, true, false, IDR_NAL)]);
    assert_eq!(units, [(10, vec![SPS_NAL.to_vec(), PPS_NAL.to_vec(), IDR_NAL.to_vec()])]);
}

#[test]
fn without_markers_the_next_timestamp_ends_a_picture() {
    let units =
        depacketize(&[(10, false, false, IDR_NAL), (20, false, false, P_NAL), (30, false, false, P_NAL)]);
    assert_eq!(units, [(10, vec![IDR_NAL.to_vec()]), (20, vec![P_NAL.to_vec()])]);
}

#[test]
fn parameter_sets_with_a_marker_or_timestamp_of_their_own_wait_for_their_picture() {
    let units =
        depacketize(&[(10, true, false, SPS_NAL), (11, true, false, PPS_NAL), (12, true, false, IDR_NAL)]);
    assert_eq!(units, [(12, vec![SPS_NAL.to_vec(), PPS_NAL.to_vec(), IDR_NAL.to_vec()])]);
}

#[test]
fn stap_a_is_taken_apart() {
    let mut stap = vec![0x78];
    for nal in [SPS_NAL, PPS_NAL, IDR_NAL] {
        stap.extend_from_slice(&(nal.len() as u16).to_be_bytes());
        stap.extend_from_slice(nal);
    }
    let units = depacketize(&[(10, true, false, &stap)]);
    assert_eq!(units[0].1, [SPS_NAL, PPS_NAL, IDR_NAL]);
}

#[test]
fn stap_a_cut_short_keeps_what_is_whole() {
    let mut depacketizer = Depacketizer::new(MAX);
    let units = push_all(&mut depacketizer, &[(10, true, false, &[0x78, 0, 3, 0x41, 0x9a, 2, 0, 9, 0x41])]);
    assert_eq!(units, Ok(vec![(10, vec![P_NAL.to_vec()])]));
    assert_eq!(depacketizer.discarded(), 1);
}

#[test]
fn fu_a_is_put_together_with_its_header_restored() {
    let units = depacketize(&[
        (10, false, false, &[0x7c, 0x85, 1, 2]),
        (10, false, false, &[0x7c, 0x05, 3, 4]),
        (10, true, false, &[0x7c, 0x45, 5]),
    ]);
    assert_eq!(units, [(10, vec![vec![0x65, 1, 2, 3, 4, 5]])]);
}

#[test]
fn fu_a_with_start_and_end_in_one_and_with_a_forgotten_end_bit_are_taken() {
    let units = depacketize(&[
        (10, false, false, &[0x5c, 0xc1, 7]),
        (10, false, false, &[0x5c, 0x81, 8]),
        (10, true, false, &[0x5c, 0x01, 9]),
    ]);
    assert_eq!(units, [(10, vec![vec![0x41, 7], vec![0x41, 8, 9]])]);
}

#[test]
fn a_loss_costs_the_unit_it_hit_and_not_the_picture() {
    let units = depacketize(&[
        (10, false, false, P_NAL),
        (10, false, false, &[0x5c, 0x81, 1]),
        (10, false, true, &[0x5c, 0x01, 2]), // a middle part is missing: the rest of this unit is of no use
        (10, false, false, &[0x5c, 0x41, 3]),
        (10, true, false, P_NAL),
    ]);
    assert_eq!(units, [(10, vec![P_NAL.to_vec(), P_NAL.to_vec()])]);
}

#[test]
fn a_lost_end_does_not_reach_into_the_next_picture() {
    let units = depacketize(&[
        (10, false, false, &[0x5c, 0x81, 1]),
        (20, false, true, P_NAL),
        (20, true, false, &[0x5c, 0x41, 3]),
    ]);
    assert_eq!(units, [(20, vec![P_NAL.to_vec()])]);
}

#[test]
fn a_byte_stream_where_one_unit_belongs_is_split() {
    let mut stream = SPS_NAL.to_vec();
    for nal in [PPS_NAL, IDR_NAL] {
        stream.extend_from_slice(&[0, 0, 0, 1]);
        stream.extend_from_slice(nal);
    }
    stream.push(0); // trailing_zero_8bits
    let units = depacketize(&[(10, true, false, &stream)]);
    assert_eq!(units[0].1, [SPS_NAL, PPS_NAL, IDR_NAL]);

    let mut prefixed = vec![0, 0, 0, 1];
    prefixed.extend_from_slice(IDR_NAL);
    // Seen once, slices are searched too: two of them in one packet.
    let slices = [P_NAL, &[0, 0, 1], P_NAL].concat();
    let units = depacketize(&[(10, true, false, &prefixed), (20, true, false, &slices)]);
    assert_eq!(units, [(10, vec![IDR_NAL.to_vec()]), (20, vec![P_NAL.to_vec(), P_NAL.to_vec()])]);
}

#[test]
fn slices_of_well_behaved_senders_are_not_searched() {
    // No start code can be in a NAL unit (emulation prevention), so this tests only that nobody looks.
    let slice = [0x41, 0, 0, 1, 5];
    assert_eq!(depacketize(&[(10, true, false, &slice)]), [(10, vec![slice.to_vec()])]);
}

#[test]
fn interleaved_mode_damaged_and_empty_units_are_counted_and_left_out() {
    let mut depacketizer = Depacketizer::new(MAX);
    let packets: [(i64, bool, bool, &[u8]); 7] = [
        (10, false, false, &[]),
        (10, false, false, &[0x7d, 1, 2, 3]), // FU-B
        (10, false, false, &[0x79, 1, 2, 3]), // STAP-B
        (10, false, false, &[0xc1, 1]),       // forbidden_zero_bit
        (10, false, false, &[0x7c]),          // FU-A without its header
        (10, false, false, &[0x7c, 0xdc, 1]), // FU-A of an FU-A
        (10, true, false, P_NAL),
    ];
    assert_eq!(push_all(&mut depacketizer, &packets), Ok(vec![(10, vec![P_NAL.to_vec()])]));
    assert_eq!(depacketizer.discarded(), 5);
}

#[test]
fn a_picture_is_bounded_however_it_is_cut() {
    let big = vec![0x41; 400];
    let start: &[u8] = &[0x5c, 0x81, 1];
    let part = [&[0x5c, 0x01][..], &[9; 400]].concat();
    let tiny = [0x78, 0, 1, 0x41, 0, 1, 0x41, 0, 1, 0x41, 0, 1, 0x41, 0, 1, 0x41];
    for payloads in [vec![&big[..]; 3], vec![start, &part, &part, &part], vec![&tiny[..]; 8]] {
        let mut depacketizer = Depacketizer::new(1_000);
        let packets: Vec<_> = payloads.iter().map(|payload| (10, false, false, *payload)).collect();
        assert_eq!(push_all(&mut depacketizer, &packets), Err(PictureTooLarge), "{} packets", packets.len());
    }
    // The limit is for one picture, not for the stream.
    let mut depacketizer = Depacketizer::new(1_000);
    let pictures: Vec<_> = (0..50).map(|timestamp| (timestamp, true, false, &big[..])).collect();
    assert_eq!(push_all(&mut depacketizer, &pictures).map(|units| units.len()), Ok(50));
}

proptest::prop_compose! {
    fn any_packet()(
        timestamp in 0..4i64,
        marker in proptest::bool::ANY,
        loss in proptest::bool::ANY,
        payload in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
    ) -> (i64, bool, bool, Vec<u8>) {
        (timestamp, marker, loss, payload)
    }
}

proptest::proptest! {
    /// Whatever comes, nothing panics, no picture is empty or above the limit, and every unit is one.
    #[test]
    fn anything_may_come(packets in proptest::collection::vec(any_packet(), 0..60)) {
        let mut depacketizer = Depacketizer::new(600);
        let packets: Vec<_> = packets.iter().map(|packet| (packet.0, packet.1, packet.2, &packet.3[..])).collect();
        if let Ok(units) = push_all(&mut depacketizer, &packets) {
            for (_, nals) in units {
                proptest::prop_assert!(nals.iter().any(|nal| (1..=5).contains(&nal_type(nal))));
                proptest::prop_assert!(nals.iter().all(|nal| (1..=23).contains(&nal_type(nal))));
                proptest::prop_assert!(nals.iter().map(Vec::len).sum::<usize>() <= 600);
            }
        }
    }
}
