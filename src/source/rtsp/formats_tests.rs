use std::time::Instant;

use super::*;

// Of x264: constrained baseline, 1280x720 at 30/s and 640x360 at 25/s, and the picture parameter set of both.
const SPS_720: &[u8] = b"\x67\x42\xc0\x1f\xd9\x00\x50\x05\xbb\x01\x6a\x02\x02\x02\x80\x00\x00\x03\x00\x80\
    \x00\x00\x1e\x47\x8c\x19\x24";
const SPS_360: &[u8] = b"\x67\x42\xc0\x1e\xd9\x00\xa0\x2f\xf9\x70\x16\xa0\xc0\xc0\xd4\xa0\x00\x00\x03\
    \x00\x20\x00\x00\x06\x51\xe2\xc5\xc9";
const PPS: &[u8] = b"\x68\xcb\x8c\xb2";
const IDR: &[u8] = b"\x65\x88\x84";
const P: &[u8] = b"\x41\x9a\x02";
const DELIMITER: &[u8] = b"\x09\xf0";

fn offer(media: &str, encoding: &str, clock_rate: u32, channels: Option<u16>) -> Offer {
    Offer {
        media: media.to_owned(),
        encoding: encoding.to_owned(),
        clock_rate,
        channels,
        payload_type: 96,
        frame_rate: None,
        parameter_sets: None,
    }
}

#[expect(clippy::disallowed_methods, reason = "any instant serves")]
fn unit(nals: &[&'static [u8]]) -> AccessUnit {
    let nals = nals.iter().map(|nal| Bytes::from_static(nal)).collect();
    AccessUnit { nals, timestamp: 0, received: Instant::now() }
}

fn announced() -> ParameterSets {
    ParameterSets::out_of_band(Some((Bytes::from_static(SPS_720), Bytes::from_static(PPS))))
}

#[test]
fn the_first_h264_and_the_first_audio_that_browsers_take_are_chosen() {
    let offers = [
        offer("application", "vnd.onvif.metadata", 90_000, None),
        offer("audio", "mpeg4-generic", 48_000, Some(2)),
        offer("video", "h265", 90_000, None),
        offer("video", "h264", 90_000, None),
        offer("audio", "pcma", 8_000, Some(1)),
        offer("audio", "opus", 48_000, Some(2)),
        offer("video", "h264", 90_000, None),
    ];
    let choice = choose(&offers);
    assert_eq!((choice.video, choice.audio), (Some(3), Some((4, Codec::Pcma))));
    assert_eq!(
        choice.notes,
        [
            "application vnd.onvif.metadata is not carried yet",
            "audio mpeg4-generic is not carried yet",
            "video h265 is not carried yet",
            "audio opus is left out: a stream carries one video and one audio, the first of each",
            "video h264 is left out: a stream carries one video and one audio, the first of each",
        ]
    );
}

#[test]
fn what_is_missing_in_consequence_is_said() {
    let aac =
        choose(&[offer("video", "h264", 90_000, None), offer("audio", "mpeg4-generic", 16_000, Some(1))]);
    assert_eq!(aac.notes, ["audio mpeg4-generic is not carried yet: serving video only"]);

    let h265 = choose(&[offer("video", "h265", 90_000, None), offer("audio", "pcmu", 8_000, None)]);
    assert_eq!(h265.notes, ["video h265 is not carried yet: serving audio only"]);

    let nothing = choose(&[offer("video", "h265", 90_000, None), offer("audio", "g726-32", 8_000, None)]);
    assert_eq!((nothing.video, nothing.audio), (None, None));
    assert_eq!(nothing.notes, ["video h265 is not carried yet", "audio g726-32 is not carried yet"]);
}

#[test]
fn g711_of_another_shape_is_not_forwarded_as_if_it_were_telephone_sound() {
    let choice = choose(&[offer("audio", "pcmu", 16_000, Some(1)), offer("audio", "pcma", 8_000, Some(2))]);
    assert_eq!(choice.audio, None);
    assert_eq!(
        choice.notes,
        [
            "audio pcmu at 16000 Hz with 1 channels is not carried yet",
            "audio pcma at 8000 Hz with 2 channels is not carried yet",
        ]
    );
}

#[test]
fn a_hostile_description_makes_neither_long_nor_many_nor_unprintable_notes() {
    let nasty = format!("\x1b[2J\n{}", "x".repeat(10_000));
    let offers: Vec<Offer> = (0..1_000).map(|_| offer("video", &nasty, 90_000, None)).collect();
    let notes = choose(&offers).notes;
    assert_eq!(notes.len(), MAX_NOTES);
    assert_eq!(notes.last().map(String::as_str), Some("993 more streams are not carried"));
    assert!(notes.iter().all(|note| note.len() < 100 && !note.contains(char::is_control)), "{notes:?}");
}

#[test]
fn formats_describe_the_announced_video_and_the_chosen_audio() {
    let mut offers = [offer("video", "h264", 90_000, None), offer("audio", "opus", 48_000, Some(2))];
    let formats = choose(&offers).formats(&offers, &announced());
    let video = formats.video.expect("H.264 is chosen");
    assert_eq!(video.profile_level_id, Some([0x42, 0xc0, 0x1f]));
    assert_eq!((video.size, video.frame_rate), (Some((1280, 720)), Some(30.0)));
    assert_eq!(formats.audio, Some(AudioFormat { codec: Codec::Opus, channels: 2 }));

    offers[0].frame_rate = Some(12.5);
    let formats = choose(&offers).formats(&offers, &announced());
    assert_eq!(formats.video.and_then(|video| video.frame_rate), Some(12.5), "a=framerate goes first");
}

#[test]
fn unreadable_parameter_sets_leave_the_video_undescribed() {
    for sps in [&b""[..], b"\x67", b"\x67\x42\xc0", b"\x67\xff\xff\xff\xff\xff\xff\xff", &[0x67; 5_000]] {
        let sets = ParameterSets::out_of_band(Some((Bytes::copy_from_slice(sps), Bytes::new())));
        assert_eq!(sets.format(None).size, None, "{} bytes", sps.len());
    }
    assert_eq!(ParameterSets::default().format(None).profile_level_id, None);
}

#[test]
fn announced_sets_are_put_before_idr_pictures_only_and_behind_the_delimiter() {
    let mut sets = announced();
    let mut idr = unit(&[DELIMITER, IDR]);
    assert!(!sets.pass(&mut idr));
    assert_eq!(idr.nals, [DELIMITER, SPS_720, PPS, IDR]);

    let mut p = unit(&[P]);
    sets.pass(&mut p);
    assert_eq!(p.nals, [P]);

    let mut with_pps = unit(&[PPS, IDR]);
    sets.pass(&mut with_pps);
    assert_eq!(with_pps.nals, [SPS_720, PPS, IDR]);
}

#[test]
fn sets_of_the_stream_replace_the_announced_ones_for_good() {
    let mut sets = announced();
    assert!(sets.pass(&mut unit(&[SPS_360, PPS, IDR])), "another picture size is a change");
    assert_eq!(sets.format(None).size, Some((640, 360)));
    assert!(!sets.pass(&mut unit(&[SPS_360, PPS, IDR])), "the same again is none");

    let mut bare = unit(&[IDR]);
    sets.pass(&mut bare);
    assert_eq!(bare.nals, [IDR], "the packetizer remembers what came in the stream");
}

#[test]
fn sets_that_come_only_in_the_stream_are_learnt() {
    let mut sets = ParameterSets::default();
    assert!(!sets.pass(&mut unit(&[P])));
    assert!(sets.pass(&mut unit(&[SPS_720, PPS, IDR])));
    assert_eq!(sets.format(None).size, Some((1280, 720)));
}
