use sluice_media::{AudioCodec, VideoCodec};

use super::*;

fn offer(media: &str, encoding: &str, clock_rate: u32, channels: Option<u16>) -> Offer {
    Offer {
        media: media.to_owned(),
        encoding: encoding.to_owned(),
        clock_rate,
        channels,
        payload_type: 96,
        more_types: Vec::new(),
        frame_rate: None,
        send_only: false,
        feedback: false,
        fmtp: String::new(),
    }
}

/// As cameras announce it, with that configuration.
fn aac(config: &str) -> Offer {
    let fmtp = format!("mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config={config}");
    Offer { fmtp, ..offer("audio", "mpeg4-generic", 48_000, Some(2)) }
}

#[test]
fn sound_that_becomes_opus_is_taken_where_none_goes_on_as_it_comes() {
    let video = offer("video", "h264", 90_000, None);
    let offers = [video.clone(), aac("1190"), offer("audio", "l16", 16_000, Some(1))];
    let choice = choose(&offers, None);
    let format = choice.formats(&offers).audio.expect("sound");
    assert_eq!(format.to_string(), "opus stereo from AAC-LC 48000 Hz stereo");
    assert_eq!(format.made_of.map(|made_of| made_of.clock_rate), Some(48_000));
    let choice = choose(&[video, aac("1190"), offer("audio", "pcma", 8_000, None)], None);
    assert_eq!(choice.audio, Some((2, Sound::Forwarded(AudioCodec::Pcma))));
}

#[test]
fn the_first_h264_and_the_first_audio_that_browsers_take_are_chosen() {
    let offers = [
        offer("application", "vnd.onvif.metadata", 90_000, None),
        aac("1190"),
        offer("video", "h265", 90_000, None),
        offer("video", "h264", 90_000, None),
        offer("audio", "pcma", 8_000, Some(1)),
        offer("audio", "opus", 48_000, Some(2)),
        offer("video", "h264", 90_000, None),
    ];
    let choice = choose(&offers, None);
    assert_eq!(
        (choice.video, choice.audio),
        (Some((3, VideoCodec::H264)), Some((4, Sound::Forwarded(AudioCodec::Pcma))))
    );
    assert_eq!(
        choice.notes,
        [
            "application vnd.onvif.metadata is not carried",
            "audio mpeg4-generic is left out: a stream carries one video and one audio, the first of each",
            "video h265 is left out: a stream carries one video and one audio, the first of each",
            "audio opus is left out: a stream carries one video and one audio, the first of each",
            "video h264 is left out: a stream carries one video and one audio, the first of each",
        ]
    );
}

#[test]
fn what_is_missing_in_consequence_is_said() {
    let high = choose(&[offer("video", "h264", 90_000, None), aac("2b8a0800")], None);
    assert_eq!(
        high.notes,
        [
            "audio mpeg4-generic is left out: it is HE-AAC, which is not carried; set the camera's audio to G.711 at 8 kHz, Opus or AAC-LC"
        ]
    );

    let jpeg = choose(&[offer("video", "jpeg", 90_000, None), offer("audio", "pcmu", 8_000, None)], None);
    assert_eq!(
        jpeg.notes,
        ["video jpeg is not carried: serving audio only; set the camera's video to H.264"]
    );
    let microphone =
        choose(&[offer("application", "x", 90_000, None), offer("audio", "pcmu", 8_000, None)], None);
    let left_out = [&high, &jpeg, &microphone].map(|choice| choice.video_left_out);
    assert_eq!(left_out, [false, true, false], "a camera that has no video leaves none out");

    let nothing =
        choose(&[offer("video", "jpeg", 90_000, None), offer("audio", "g726-32", 8_000, None)], None);
    assert_eq!((nothing.video, nothing.audio), (None, None));
    assert_eq!(
        nothing.notes,
        [
            "video jpeg is not carried; set the camera's video to H.264",
            "audio g726-32 is not carried; set the camera's audio to G.711 at 8 kHz, Opus or AAC-LC"
        ]
    );
}

#[test]
fn g711_of_another_shape_is_not_forwarded_as_if_it_were_telephone_sound() {
    let choice =
        choose(&[offer("audio", "pcmu", 16_000, Some(1)), offer("audio", "pcma", 8_000, Some(2))], None);
    assert_eq!(choice.audio, None);
    assert_eq!(
        choice.notes,
        [
            "audio pcmu at 16000 Hz with 1 channels is not carried; set the camera's audio to G.711 at 8 kHz, Opus or AAC-LC",
            "audio pcma at 8000 Hz with 2 channels is not carried",
        ]
    );
}

#[test]
fn a_hostile_description_makes_neither_long_nor_many_nor_unprintable_notes() {
    let nasty = format!("\x1b[2J\n{}", "x".repeat(10_000));
    let offers: Vec<Offer> = (0..1_000).map(|_| offer("video", &nasty, 90_000, None)).collect();
    let notes = choose(&offers, None).notes;
    assert_eq!(notes.len(), MAX_NOTES);
    assert_eq!(notes.last().map(String::as_str), Some("993 more streams are not carried"));
    assert!(notes.iter().all(|note| note.len() < 140 && !note.contains(char::is_control)), "{notes:?}");
}

#[test]
fn formats_are_what_the_description_tells_of_the_chosen_streams() {
    let mut offers = [offer("video", "h264", 90_000, None), offer("audio", "opus", 48_000, Some(2))];
    let formats = choose(&offers, None).formats(&offers);
    let video = formats.video.expect("H.264 is chosen");
    assert_eq!((video.codec, video.frame_rate, video.size), (VideoCodec::H264, None, None));
    assert_eq!(formats.audio, Some(crate::stream::AudioFormat::new(AudioCodec::Opus, 2)));

    offers[0].frame_rate = Some(12.5);
    let formats = choose(&offers, None).formats(&offers);
    assert_eq!(formats.video.and_then(|video| video.frame_rate), Some(12.5));
    offers[0].fmtp = "packetization-mode=1;sprop-parameter-sets=Z0IAHpWoKA9k,aM48gA==;".to_owned();
    assert_eq!(choose(&offers, None).parameter_sets(&offers).len(), 2);
}

#[test]
fn the_way_back_is_taken_for_sound_only_where_there_is_no_other() {
    let video = offer("video", "h264", 90_000, None);
    let back = Offer { send_only: true, ..offer("audio", "pcmu", 8_000, None) };
    let microphone = offer("audio", "pcma", 8_000, None);
    let choice = choose(&[video.clone(), back.clone(), microphone], None);
    assert_eq!(choice.audio, Some((2, Sound::Forwarded(AudioCodec::Pcma))));
    assert!(choice.notes.len() == 1 && choice.notes[0].contains("sendonly"), "{:?}", choice.notes);
    // Many cameras say it of what they send.
    let choice = choose(&[Offer { send_only: true, ..video }, back], None);
    assert_eq!(
        (choice.video, choice.audio),
        (Some((0, VideoCodec::H264)), Some((1, Sound::Forwarded(AudioCodec::Pcmu))))
    );
    assert_eq!(choice.notes, [""; 0]);
}

#[test]
fn h265_is_taken_where_there_is_nothing_else_and_not_out_of_order() {
    let alone = choose(&[offer("video", "h265", 90_000, None)], None);
    assert_eq!((alone.video, alone.notes), (Some((0, VideoCodec::H265)), vec![]));
    let out_of_order =
        Offer { fmtp: "sprop-max-don-diff=2".to_owned(), ..offer("video", "h265", 90_000, None) };
    let choice = choose(&[out_of_order], None);
    assert_eq!(choice.video, None);
    assert_eq!(
        choice.notes,
        [
            "video h265 is left out: its packets are out of decoding order (sprop-max-don-diff), which is not read: switch \
          interleaving off in the camera"
        ]
    );
}
