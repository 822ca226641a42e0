use super::*;
use crate::VideoCodec;
use crate::h264::kind;

const MAX: usize = 100_000;

/// Timestamp and NAL units of each picture.
type Pictures = Vec<(i64, Vec<Vec<u8>>)>;

/// Feeds packets `(timestamp, marker, after_loss, payload)` and returns what comes out.
fn depacketize(packets: &[(i64, bool, bool, &[u8])]) -> Pictures {
    let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
    push_all(&mut depacketizer, packets).expect("within the limit")
}

fn push_all(
    depacketizer: &mut Depacketizer,
    packets: &[(i64, bool, bool, &[u8])],
) -> Result<Pictures, PictureTooLarge> {
    let out = push_units(depacketizer, packets)?;
    Ok(out
        .into_iter()
        .map(|unit| (unit.timestamp, unit.nals.iter().map(|nal| nal.to_vec()).collect()))
        .collect())
}

#[expect(clippy::disallowed_methods, reason = "any instant serves")]
fn push_units(
    depacketizer: &mut Depacketizer,
    packets: &[(i64, bool, bool, &[u8])],
) -> Result<Vec<AccessUnit>, PictureTooLarge> {
    let received = Instant::now();
    let mut out = Vec::new();
    for &(timestamp, marker, after_loss, payload) in packets {
        let payload = Bytes::copy_from_slice(payload);
        depacketizer
            .push(Packet { payload, timestamp, marker, after_loss, restarted: false, received }, &mut out)?;
    }
    Ok(out)
}

const SPS_NAL: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0x11];
const PPS_NAL: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
const IDR_NAL: &[u8] = &[0x65, 0x88, 0x84, 0x22];
const P_NAL: &[u8] = &[0x41, 0x9a, 0x02];
// Slices that do not begin a picture.
const IDR_LATER: &[u8] = &[0x65, 0x48, 0x84];
const P_LATER: &[u8] = &[0x41, 0x4a, 0x02];

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
    let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
    let units = push_all(&mut depacketizer, &[(10, true, false, &[0x78, 0, 3, 0x41, 0x9a, 2, 0, 9, 0x41])]);
    assert_eq!(units, Ok(vec![(10, vec![P_NAL.to_vec()])]));
    assert_eq!(depacketizer.discarded(), 1);
}

#[test]
fn fu_a_is_put_together_with_its_header_restored() {
    let units = depacketize(&[
        (10, false, false, &[0x7c, 0x85, 0x88, 2]),
        (10, false, false, &[0x7c, 0x05, 3, 4]),
        (10, true, false, &[0x7c, 0x45, 5]),
    ]);
    assert_eq!(units, [(10, vec![vec![0x65, 0x88, 2, 3, 4, 5]])]);
}

#[test]
fn fu_a_with_start_and_end_in_one_and_with_a_forgotten_end_bit_are_taken() {
    let units = depacketize(&[
        (10, false, false, &[0x5c, 0xc1, 0x9a]),
        (10, false, false, &[0x5c, 0x81, 0x4a]),
        (10, false, false, &[0x5c, 0x01, 9]),
        (10, true, false, P_LATER),
    ]);
    assert_eq!(units, [(10, vec![vec![0x41, 0x9a], vec![0x41, 0x4a, 9], P_LATER.to_vec()])]);
}

#[test]
fn fragments_without_end_bits_end_at_the_marker_once_that_is_known() {
    // The first time, what comes next tells that the picture is at its end; then the marker is enough.
    let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
    let first = [(10, false, false, &[0x5c, 0x81, 0x9a][..]), (10, true, false, &[0x5c, 0x01, 9])];
    assert_eq!(push_all(&mut depacketizer, &first), Ok(vec![]));
    let second = [(20, false, false, &[0x5c, 0x81, 0x9a][..]), (20, true, false, &[0x5c, 0x01, 8])];
    let whole = |last| vec![vec![0x41, 0x9a, last]];
    assert_eq!(push_all(&mut depacketizer, &second), Ok(vec![(10, whole(9)), (20, whole(8))]));
}

/// What comes out, and whether it comes after a gap.
fn gaps(packets: &[(i64, bool, bool, &[u8])]) -> Vec<(i64, bool)> {
    let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
    let units = push_units(&mut depacketizer, packets).expect("within the limit");
    units.iter().map(|unit| (unit.timestamp, unit.after_gap)).collect()
}

#[test]
fn a_picture_that_lacks_a_packet_is_left_out_and_the_next_one_tells() {
    let start: &[u8] = &[0x5c, 0x81, 0x9a];
    let (part, end): (&[u8], &[u8]) = (&[0x5c, 0x01, 2], &[0x5c, 0x41, 3]);
    for (what, damaged) in [
        ("a fragment", [(20, false, false, start), (20, false, true, part), (20, true, false, end)]),
        ("the first fragment", [(20, false, true, part), (20, false, false, part), (20, true, false, end)]),
        ("the last fragment", [(20, false, false, start), (20, false, false, part), (30, true, true, P_NAL)]),
        ("a slice", [(20, false, false, P_NAL), (20, false, true, P_LATER), (20, true, false, P_LATER)]),
        (
            "the first slice",
            [(20, false, true, P_LATER), (20, false, false, P_LATER), (20, true, false, P_LATER)],
        ),
    ] {
        let packets = [&[(10, true, false, P_NAL)][..], &damaged, &[(40, true, false, P_NAL)]].concat();
        let next = if what == "the last fragment" { vec![(30, true), (40, false)] } else { vec![(40, true)] };
        assert_eq!(gaps(&packets), [vec![(10, false)], next].concat(), "{what} is missing");
    }
    // Between two whole pictures at least one is missing.
    assert_eq!(
        gaps(&[(10, true, false, P_NAL), (30, true, true, P_NAL), (40, true, false, P_NAL)]),
        [(10, false), (30, true), (40, false)]
    );
    // A session that begins in the middle of a picture.
    assert_eq!(gaps(&[(10, true, false, part), (20, true, false, P_NAL)]), [(20, true)]);
}

/// What a restart cuts off gets no end, whatever the sender begins anew with.
#[test]
fn a_restart_never_makes_a_whole_picture_of_a_part() {
    let start: &[u8] = &[0x7c, 0x85, 0x88];
    let part: &[u8] = &[0x7c, 0x05, 2];
    let open: [&[&[u8]]; 3] = [&[start, part], &[IDR_NAL, IDR_LATER], &[IDR_NAL, start]];
    for (open, begins) in open.into_iter().flat_map(|open| [(open, SPS_NAL), (open, IDR_NAL), (open, start)])
    {
        let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
        let mut cut: Vec<_> = open.iter().map(|payload| (10, false, *payload)).collect();
        cut.push((10, true, begins));
        // The timestamps go on or begin anew, too.
        for timestamp in [10, 900] {
            let mut out = Vec::new();
            for &(_, restarted, payload) in &cut {
                let timestamp = if restarted { timestamp } else { 10 };
                depacketizer.push(packet(timestamp, restarted, payload), &mut out).expect("small");
            }
            let later: &[(i64, bool, bool, &[u8])] = &match begins {
                begins if begins == start => vec![(timestamp, true, false, &[0x7c, 0x45, 5][..])],
                begins if begins == IDR_NAL => vec![(timestamp, true, false, IDR_LATER)],
                _ => vec![(timestamp, true, false, IDR_NAL)],
            };
            out.extend(push_units(&mut depacketizer, later).expect("small"));
            assert!(out.len() <= 1, "{open:02x?} then {begins:02x?}: {out:?}");
            depacketizer = VideoCodec::H264.depacketizer(MAX);
        }
    }
    // Behind a whole picture nothing is missing.
    let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
    let mut out = push_units(&mut depacketizer, &[(10, true, false, P_NAL)]).expect("small");
    depacketizer.push(packet(900, true, SPS_NAL), &mut out).expect("small");
    out.extend(push_units(&mut depacketizer, &[(900, true, false, P_NAL)]).expect("small"));
    assert_eq!(out.iter().map(|unit| unit.after_gap).collect::<Vec<_>>(), [false, false]);
    // In the middle of pictures something is.
    depacketizer.push(packet(5_000, true, P_NAL), &mut out).expect("small");
    out.extend(push_units(&mut depacketizer, &[(8_000, true, false, P_NAL)]).expect("small"));
    assert!(out[2].after_gap && !out[3].after_gap);
}

#[expect(clippy::disallowed_methods, reason = "any instant serves")]
fn packet(timestamp: i64, restarted: bool, payload: &[u8]) -> Packet {
    let payload = Bytes::copy_from_slice(payload);
    Packet { payload, timestamp, marker: false, after_loss: false, restarted, received: Instant::now() }
}

#[test]
fn packets_of_one_picture_with_a_timestamp_each_stay_one_picture() {
    // One tick more each, with and without markers: fragments, then slices of their own.
    for marker in [false, true] {
        let units = depacketize(&[
            (10, false, false, SPS_NAL),
            (11, false, false, PPS_NAL),
            (12, false, false, &[0x7c, 0x85, 0x88, 1]),
            (13, false, false, &[0x7c, 0x05, 2]),
            (14, false, false, &[0x7c, 0x45, 3]),
            (15, marker, false, IDR_LATER),
            (3_010, false, false, P_NAL),
            (3_011, false, false, &[0x5c, 0x81, 0x4a]),
            (3_012, marker, false, &[0x5c, 0x41, 1]),
            (6_010, true, false, P_NAL),
        ]);
        let idr = vec![SPS_NAL.to_vec(), PPS_NAL.to_vec(), vec![0x65, 0x88, 1, 2, 3], IDR_LATER.to_vec()];
        let p = vec![P_NAL.to_vec(), vec![0x41, 0x4a, 1]];
        assert_eq!(units, [(12, idr), (3_010, p), (6_010, vec![P_NAL.to_vec()])], "marker {marker}");
    }
    // A piece of another unit, and one behind a loss, belong to nothing.
    for (lost, other) in [(true, [0x7c, 0x45, 3]), (false, [0x5c, 0x41, 3])] {
        let units = depacketize(&[
            (10, false, false, &[0x7c, 0x85, 0x88, 1]),
            (11, true, lost, &other),
            (3_010, true, false, P_NAL),
        ]);
        assert!(units.iter().all(|(_, nals)| nals.iter().all(|nal| nal.len() < 5)), "{units:?}");
    }
}

#[test]
fn pictures_that_are_left_out_are_counted_by_what_they_lack() {
    let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
    let packets: [(i64, bool, bool, &[u8]); 7] = [
        (10, false, false, &[0x7c, 0x85, 0x88]),
        (10, true, true, &[0x7c, 0x45, 5]),
        (20, false, true, &[0x7c, 0x05, 5]),
        (20, true, false, &[0x7c, 0x45, 5]),
        (30, false, false, &[0x5c, 0x81, 0x9a]),
        (30, true, true, P_LATER),
        (40, true, false, P_LATER),
    ];
    assert_eq!(push_all(&mut depacketizer, &packets), Ok(Vec::new()));
    assert_eq!(depacketizer.left_out(), LeftOut { damaged: 3, keyframes: 2, headless: 1 });
}

#[test]
fn parameter_sets_of_a_picture_that_is_left_out_go_before_the_next() {
    let units = depacketize(&[
        (10, false, false, SPS_NAL),
        (10, false, false, PPS_NAL),
        (10, false, false, &[0x7c, 0x85, 0x88]),
        (10, true, true, &[0x7c, 0x45, 5]),
        (20, true, false, P_NAL),
    ]);
    assert_eq!(units, [(20, vec![SPS_NAL.to_vec(), PPS_NAL.to_vec(), P_NAL.to_vec()])]);
}

/// A picture of a first slice and two more, each with `markers`.
fn slices(timestamp: i64, first: &'static [u8], markers: [bool; 3]) -> Vec<(i64, bool, bool, &'static [u8])> {
    let later = if first == IDR_NAL { IDR_LATER } else { P_LATER };
    let nals = [first, later, later].into_iter().zip(markers);
    nals.map(|(nal, marker)| (timestamp, marker, false, nal)).collect()
}

#[test]
fn slices_with_a_marker_each_are_one_picture() {
    let all = [true; 3];
    for (what, times) in [("each its timestamp", [10, 20, 30, 40]), ("one timestamp", [10; 4])] {
        let packets = [
            slices(times[0], IDR_NAL, all),
            slices(times[1], P_NAL, all),
            slices(times[2], P_NAL, all),
            slices(times[3], IDR_NAL, all),
            vec![(times[3] + 10, true, false, P_NAL)],
        ]
        .concat();
        let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
        let units = push_units(&mut depacketizer, &packets).expect("within the limit");
        // The first marker is believed; then the picture is taken back and comes whole, as one that follows nothing.
        let seen: Vec<_> = units
            .iter()
            .map(|unit| (unit.nals.len(), VideoCodec::H264.is_keyframe(&unit.nals), unit.after_gap))
            .collect();
        let expected =
            [(1, true, false), (3, true, true), (3, false, false), (3, false, false), (3, true, false)];
        assert_eq!(seen, expected, "{what}");
        assert_eq!(units[1].timestamp, units[0].timestamp + 1, "{what}: two pictures have two times");
    }
}

#[test]
fn a_wrong_marker_in_a_picture_that_is_no_keyframe_costs_that_picture() {
    let packets = [
        slices(10, IDR_NAL, [false, false, true]),
        slices(20, P_NAL, [true; 3]),
        slices(30, P_NAL, [true; 3]),
        slices(40, IDR_NAL, [true; 3]),
        vec![(50, true, false, P_NAL)],
    ]
    .concat();
    let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
    let units = push_units(&mut depacketizer, &packets).expect("within the limit");
    let seen: Vec<_> = units.iter().map(|unit| (unit.timestamp, unit.nals.len(), unit.after_gap)).collect();
    assert_eq!(seen, [(10, 3, false), (20, 1, false), (30, 3, true), (40, 3, false)]);
}

#[test]
fn a_marker_on_every_packet_cuts_no_unit() {
    let packets: Vec<(i64, bool, bool, &[u8])> = vec![
        (10, true, false, SPS_NAL),
        (10, true, false, PPS_NAL),
        (10, true, false, &[0x7c, 0x85, 0x88, 1]),
        (10, true, false, &[0x7c, 0x05, 2]),
        (10, true, false, &[0x7c, 0x45, 3]),
        (20, true, false, &[0x5c, 0x81, 0x9a]),
        (20, true, false, &[0x5c, 0x41, 1]),
        (30, true, false, P_NAL),
    ];
    assert_eq!(
        depacketize(&packets),
        [
            (10, vec![SPS_NAL.to_vec(), PPS_NAL.to_vec(), vec![0x65, 0x88, 1, 2, 3]]),
            (20, vec![vec![0x41, 0x9a, 1]]),
        ]
    );
}

#[test]
fn without_markers_and_timestamps_a_first_slice_begins_the_next_picture() {
    let units = depacketize(&[
        (10, false, false, SPS_NAL),
        (10, false, false, PPS_NAL),
        (10, false, false, IDR_NAL),
        (10, false, false, IDR_LATER),
        (10, false, false, P_NAL),
        (10, false, false, SPS_NAL),
        (10, false, false, IDR_NAL),
        (20, false, false, P_NAL),
    ]);
    assert_eq!(
        units.iter().map(|(_, nals)| nals.iter().map(|nal| kind(nal)).collect()).collect::<Vec<Vec<u8>>>(),
        [vec![7, 8, 5, 5], vec![1], vec![7, 5]]
    );
}

/// High profile, 320 × 240, no frame_mbs_only_flag, `frame_num` of 4 bits, of x264.
const INTERLACED: &[u8] = b"\x67\x64\x00\x15\xac\xec\x14\x10\xfc\xb8\x08\x80\x00\x00\x03\x00\x80\x00\x00\x0a\
    \x0f\x8a\x15\x70";

// First slices: ue 0, `slice_type` 7 or 5, ue 0, `frame_num` of 4 bits, `field_pic_flag`, `bottom_field_flag`.
const IDR_FIELD: &[u8] = &[0x65, 0b1000_1000, 0b1000_0101, 0xff];
const P_FIELD: &[u8] = &[0x41, 0b1001_1010, 0b0001_1111];
const P_TOP: &[u8] = &[0x41, 0b1001_1010, 0b0001_0111];

#[test]
fn two_fields_of_one_timestamp_stay_together() {
    let packets = [(10, false, false, INTERLACED), (10, false, false, IDR_FIELD), (10, true, false, P_FIELD)];
    let units = depacketize(&packets);
    assert_eq!(units.len(), 1);
    assert_eq!(units[0].1.len(), 3);
}

/// A marker behind each field, as some encoders of PAFF set it: the first keyframe is handed out once more, whole.
#[test]
fn a_marker_behind_each_field_does_not_part_a_picture() {
    let mut packets =
        vec![(10, false, false, INTERLACED), (10, true, false, IDR_FIELD), (10, true, false, P_FIELD)];
    for at in [20, 30, 40] {
        packets.extend([(at, true, false, P_TOP), (at, true, false, P_FIELD)]);
    }
    let units = depacketize(&packets);
    let slices: Vec<usize> =
        units.iter().map(|(_, nals)| nals.iter().filter(|nal| kind(nal) != 7).count()).collect();
    assert_eq!(
        slices,
        [1, 2, 2, 2],
        "the field that a marker ended, then whole pictures; the last is not over yet"
    );
}

/// Frames with one timestamp, of a camera that could code fields and does not: they are no fields of each other.
#[test]
fn frames_with_one_timestamp_are_no_fields() {
    let idr = &[0x65, 0b1000_1000, 0b1000_0010];
    let packets = [
        (10, false, false, INTERLACED),
        (10, true, false, idr),
        (10, true, false, P_NAL),
        (10, true, false, P_NAL),
    ];
    assert_eq!(depacketize(&packets).len(), 3);
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
    let slices = [P_NAL, &[0, 0, 1], P_LATER].concat();
    let units = depacketize(&[(10, true, false, &prefixed), (20, true, false, &slices)]);
    assert_eq!(units, [(10, vec![IDR_NAL.to_vec()]), (20, vec![P_NAL.to_vec(), P_LATER.to_vec()])]);
}

#[test]
fn slices_of_well_behaved_senders_are_not_searched() {
    // No start code can be in a NAL unit (emulation prevention), so this tests only that nobody looks.
    let slice = [0x41, 0x9a, 0, 0, 1, 5];
    assert_eq!(depacketize(&[(10, true, false, &slice)]), [(10, vec![slice.to_vec()])]);
}

#[test]
fn interleaved_mode_damaged_and_empty_units_are_counted_and_left_out() {
    let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
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
    let big = [&[0x41, 0x9a][..], &[0x41; 398]].concat();
    let start: &[u8] = &[0x5c, 0x81, 0x9a];
    let part = [&[0x5c, 0x01][..], &[9; 400]].concat();
    let tiny = [0x78, 0, 1, 0x41, 0, 1, 0x41, 0, 1, 0x41, 0, 1, 0x41, 0, 1, 0x41];
    let later = [&[0x41, 0x4a][..], &[0x41; 398]].concat();
    for payloads in [vec![&big[..], &later, &later], vec![start, &part, &part, &part], vec![&tiny[..]; 8]] {
        let mut depacketizer = VideoCodec::H264.depacketizer(1_000);
        let packets: Vec<_> = payloads.iter().map(|payload| (10, false, false, *payload)).collect();
        assert_eq!(push_all(&mut depacketizer, &packets), Err(PictureTooLarge), "{} packets", packets.len());
    }
    // The limit is for one picture, not for the stream.
    let mut depacketizer = VideoCodec::H264.depacketizer(1_000);
    let pictures: Vec<_> = (0..50).map(|timestamp| (timestamp, true, false, &big[..])).collect();
    assert_eq!(push_all(&mut depacketizer, &pictures).map(|units| units.len()), Ok(50));
}

#[test]
fn what_is_held_is_what_is_counted() {
    // Packets of almost nothing but zeros: what is kept of them is two bytes.
    let mut packet = vec![0; 65_000];
    packet[..2].copy_from_slice(P_LATER.first_chunk::<2>().expect("a slice"));
    let mut depacketizer = VideoCodec::H264.depacketizer(MAX);
    let (payload, mut out) = (Bytes::from(packet), Vec::new());
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    let received = Instant::now();
    for _ in 0..1_000 {
        let payload = Bytes::copy_from_slice(&payload);
        let packet =
            Packet { payload, timestamp: 1, marker: false, after_loss: false, restarted: false, received };
        depacketizer.push(packet.clone(), &mut out).expect("a few bytes each");
        assert!(packet.payload.is_unique(), "the packet is let go");
    }
    let held: usize = depacketizer.picture.nals.iter().map(|nal| nal.len() + size_of::<Bytes>()).sum();
    assert!(held > 0 && held <= depacketizer.picture.bytes && depacketizer.picture.bytes < MAX, "{held}");
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
        let mut depacketizer = VideoCodec::H264.depacketizer(600);
        let packets: Vec<_> = packets.iter().map(|packet| (packet.0, packet.1, packet.2, &packet.3[..])).collect();
        if let Ok(units) = push_all(&mut depacketizer, &packets) {
            for (_, nals) in units {
                proptest::prop_assert!(nals.iter().any(|nal| (1..=5).contains(&kind(nal))));
                proptest::prop_assert!(nals.iter().all(|nal| (1..=23).contains(&kind(nal))));
                proptest::prop_assert!(nals.iter().map(Vec::len).sum::<usize>() <= 600);
            }
        }
    }
}
