//! Which payload type a stream gets, and answers letter for letter.

use sluice_media::{AudioCodec, VideoCodec};

use super::*;
use crate::stream::{AudioFormat, VideoFormat};

#[path = "answer_soundness_tests.rs"]
mod soundness;

const CHROMIUM: &str = include_str!("../../tests/data/chromium-156.sdp");
const CHROMIUM_DATA: &str = include_str!("../../tests/data/chromium-156-datachannel.sdp");
const AIORTC: &str = include_str!("../../tests/data/aiortc-1.16.sdp");
const LIBDATACHANNEL: &str = include_str!("../../tests/data/libdatachannel-0.24.sdp");
const WERIFT: &str = include_str!("../../tests/data/werift-0.24.sdp");
const FFMPEG: &str = include_str!("../../tests/data/ffmpeg-9-whip.sdp");
const REAL: [&str; 6] = [CHROMIUM, CHROMIUM_DATA, AIORTC, LIBDATACHANNEL, WERIFT, FFMPEG];

const HIGH: [u8; 3] = [0x64, 0x00, 0x28];
const MAIN: [u8; 3] = [0x4d, 0x00, 0x28];
const CONSTRAINED_BASELINE: [u8; 3] = [0x42, 0xc0, 0x1e];

fn formats(video: Option<[u8; 3]>, audio: Option<AudioCodec>) -> Formats {
    Formats {
        video: video.map(|profile| VideoFormat {
            codec: VideoCodec::H264,
            profile_level_id: Some(profile),
            size: None,
            frame_rate: None,
        }),
        audio: audio.map(|codec| AudioFormat::new(codec, 2)),
        ..Formats::default()
    }
}

/// FFmpeg's offer is a publisher's: turned around it is one of a viewer that insists on being the DTLS server.
#[track_caller]
fn offer(text: &str) -> Offer {
    Offer::parse(&text.replace("a=sendonly", "a=recvonly")).expect("an offer that is accepted")
}

fn try_negotiate(offer: &Offer, formats: &Formats) -> Result<Negotiated, OfferError> {
    let mut ssrc = 1_000;
    negotiate(offer, formats, || {
        ssrc += 1;
        ssrc
    })
}

#[track_caller]
fn negotiated(offer: &Offer, formats: &Formats) -> Negotiated {
    try_negotiate(offer, formats).expect("an offer that fits")
}

fn answered(offer: &Offer, negotiated: &Negotiated) -> String {
    let credentials = Credentials { ufrag: "srv0".to_owned(), pwd: "s".repeat(36) };
    let candidates = ["192.0.2.7:8189", "[2001:db8::7]:8189", "127.0.0.1:8189"];
    let candidates = candidates.map(|address| address.parse().expect("an address"));
    let identity = Identity {
        credentials: &credentials,
        fingerprint: "AB:CD",
        candidates: &candidates,
        tcp_port: None,
        session_id: 77,
        stream: "gate",
    };
    answer(offer, negotiated, &identity)
}

/// The payload types of video and audio.
fn chosen(offer: &Offer, formats: &Formats) -> Vec<Option<(u8, Option<u8>)>> {
    let media = negotiated(offer, formats).media;
    media
        .iter()
        .map(|media| media.as_ref().map(|m| (*m.payload_type, m.rtx_payload_type.as_deref().copied())))
        .collect()
}

/// Chromium's offer as one with a decoder for H.265 would write it: two formats of H.264 rewritten, because Debian's has
/// no such decoder, so that nothing could be recorded.
fn with_h265() -> String {
    let formats = [
        ("116", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f", "1"),
        ("41", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=f4001f", "2"),
    ];
    formats.into_iter().fold(CHROMIUM.to_owned(), |offer, (payload_type, before, profile)| {
        let map = |name| format!("a=rtpmap:{payload_type} {name}/90000");
        let fmtp = |parameters: &str| format!("a=fmtp:{payload_type} {parameters}");
        let parameters = format!("level-id=180;profile-id={profile};tier-flag=0;tx-mode=SRST");
        offer.replace(&map("H264"), &map("H265")).replace(&fmtp(before), &fmtp(&parameters))
    })
}

#[test]
fn h265_goes_to_who_offers_its_profile_and_others_are_told_what_to_set() {
    let formats = |profile_level_id| Formats {
        video: Some(VideoFormat { codec: VideoCodec::H265, profile_level_id, size: None, frame_rate: None }),
        ..Formats::default()
    };
    let taking = offer(&with_h265());
    for (source, payload_type, repair) in
        [(Some([1, 0, 120]), 116, 117), (Some([2, 0, 120]), 41, 42), (None, 116, 117)]
    {
        assert_eq!(chosen(&taking, &formats(source))[0], Some((payload_type, Some(repair))), "{source:?}");
    }
    let sdp = answered(&taking, &negotiated(&taking, &formats(Some([1, 0, 120]))));
    for line in [
        "a=rtpmap:116 H265/90000",
        "a=fmtp:116 level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST",
        "a=rtcp-fb:116 nack",
        "a=fmtp:117 apt=116",
    ] {
        assert!(sdp.contains(&format!("\r\n{line}\r\n")), "no {line} in {sdp}");
    }

    let refused = |text: &str, source| match try_negotiate(&offer(text), &formats(source)) {
        Err(OfferError::Video(sentence)) => sentence,
        other => panic!("{other:?}"),
    };
    for text in [CHROMIUM, AIORTC, WERIFT] {
        assert_eq!(
            refused(text, Some([1, 0, 120])),
            "this camera sends H.265, which this browser cannot play: set it to H.264, or give its second stream"
        );
    }
    let sentence = refused(&with_h265(), Some([4, 0, 120]));
    assert!(sentence.starts_with("this camera sends H.265 in profile Range Extensions, which"), "{sentence}");
}

#[test]
fn the_payload_type_says_most_truly_what_the_camera_sends() {
    let chrome_with_high = CHROMIUM.replace("f4001f", "640c1f");
    for (text, profile, payload_type, why) in [
        (CHROMIUM, CONSTRAINED_BASELINE, 108, "42c0 is Constrained Baseline, as 42e0 is"),
        (CHROMIUM, [0x42, 0xe0, 0x1f], 108, "the same"),
        (CHROMIUM, [0x42, 0x00, 0x1e], 102, "Baseline"),
        (CHROMIUM, MAIN, 116, "Main"),
        (CHROMIUM, [0x4d, 0x40, 0x1f], 116, "Main, other constraint flags"),
        (CHROMIUM, HIGH, 108, "High, which this Chromium does not offer: it decodes it all the same"),
        (CHROMIUM, [0xf4, 0x00, 0x28], 41, "High 4:4:4"),
        (&chrome_with_high, HIGH, 41, "High, other constraint flags"),
        (AIORTC, HIGH, 101, "Constrained Baseline"),
        (AIORTC, [0x42, 0x00, 0x1f], 99, "Baseline"),
        (LIBDATACHANNEL, HIGH, 96, "the only one"),
        (WERIFT, MAIN, 97, "the only one, in small letters"),
    ] {
        let media = chosen(&offer(text), &formats(Some(profile), Some(AudioCodec::Opus)));
        assert_eq!(media[0].expect("video").0, payload_type, "{why}");
    }
    let unknown = Formats {
        video: formats(Some(HIGH), None).video.map(|video| VideoFormat { profile_level_id: None, ..video }),
        ..Formats::default()
    };
    assert_eq!(chosen(&offer(CHROMIUM), &unknown), [Some((108, Some(109))), None]);
}

#[test]
fn retransmissions_go_under_the_payload_type_that_names_ours() {
    let both = formats(Some(HIGH), Some(AudioCodec::Opus));
    assert_eq!(chosen(&offer(CHROMIUM), &both), [Some((108, Some(109))), Some((111, None))]);
    assert_eq!(chosen(&offer(AIORTC), &both), [Some((101, Some(102))), Some((96, None))]);
    assert_eq!(chosen(&offer(FFMPEG), &both), [Some((111, None)), Some((106, Some(105)))]);
    assert_eq!(chosen(&offer(LIBDATACHANNEL), &both)[0], Some((96, None)));
    // Without RTX a NACK could not be answered, so none is asked for; the rest of the feedback stays.
    let sdp = answered(&offer(LIBDATACHANNEL), &negotiated(&offer(LIBDATACHANNEL), &both));
    assert!(sdp.contains("a=rtcp-fb:96 nack pli\r\n") && !sdp.contains("a=rtcp-fb:96 nack\r\n"), "{sdp}");
}

#[test]
fn without_repair_no_answer_offers_rtx_or_nack_and_every_answer_keeps_pli() {
    for text in REAL {
        let mut offer = offer(text);
        let formats = formats(Some(CONSTRAINED_BASELINE), Some(AudioCodec::Opus));
        let with = answered(&offer, &negotiated(&offer, &formats));
        offer.forget_repair();
        let without = answered(&offer, &negotiated(&offer, &formats));
        assert!(!without.to_lowercase().contains("rtx") && !without.contains("ssrc-group:FID"), "{without}");
        assert!(!without.lines().any(|line| line.starts_with("a=rtcp-fb:") && line.ends_with(" nack")));
        let requests = |sdp: &str| {
            sdp.lines().filter(|line| line.ends_with("nack pli") || line.ends_with("ccm fir")).count()
        };
        assert_eq!(requests(&without), requests(&with), "{without}");
    }
}

/// The payload type of RED that is agreed on for the sound.
fn redundancy(text: &str, audio: AudioCodec) -> Option<u8> {
    let negotiated = negotiated(&offer(text), &formats(Some(CONSTRAINED_BASELINE), Some(audio)));
    let media = negotiated.media.into_iter().flatten();
    let mut types = media.map(|media| (media.codec.kind(), media.redundant_payload_type));
    let sound = types.find(|(kind, _)| *kind == Kind::Audio).and_then(|(_, redundant)| redundant);
    sound.map(|payload_type| *payload_type)
}

#[test]
fn red_of_opus_is_agreed_on_behind_it_where_it_is_offered() {
    assert_eq!(redundancy(CHROMIUM, AudioCodec::Opus), Some(63));
    for other in [AIORTC, LIBDATACHANNEL, WERIFT, FFMPEG] {
        assert_eq!(redundancy(other, AudioCodec::Opus), None);
    }
    for text in [CHROMIUM, CHROMIUM_DATA] {
        let formats = formats(Some(CONSTRAINED_BASELINE), Some(AudioCodec::Opus));
        let mut offer = offer(text);
        let sdp = answered(&offer, &negotiated(&offer, &formats));
        soundness::check(&offer, &sdp);
        assert!(sdp.contains("\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n"), "{sdp}");
        assert!(sdp.contains("\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"), "{sdp}");
        offer.forget_redundancy();
        let sdp = answered(&offer, &negotiated(&offer, &formats));
        assert!(sdp.contains("\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n") && !sdp.contains("red/"), "{sdp}");
    }
}

#[test]
fn red_that_is_not_of_two_of_our_opus_is_not_agreed_on() {
    for codec in [AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722] {
        assert_eq!(redundancy(CHROMIUM, codec), None, "{codec:?}");
    }
    // Nor where it would be of what was chosen, if that is not Opus.
    let of_pcmu = CHROMIUM.replace("red/48000/2", "red/8000").replace("63 111/111", "63 0/0");
    assert_eq!(redundancy(&of_pcmu, AudioCodec::Pcmu), None);
    for (from, to) in [
        ("fmtp:63 111/111", "fmtp:63 111/111/111"),
        ("fmtp:63 111/111", "fmtp:63 111"),
        ("fmtp:63 111/111", "fmtp:63 111/0"),
        ("fmtp:63 111/111", "fmtp:63 9/111"),
        ("fmtp:63 111/111", "fmtp:63 /"),
        ("fmtp:63 111/111", "fmtp:63 x/y"),
        ("fmtp:63 111/111", "nothing:63"),
        ("red/48000/2", "red/8000/2"),
        ("red/48000/2", "red/48000"),
        ("red/48000/2", "redder/48000/2"),
    ] {
        assert!(CHROMIUM.contains(from), "{from}");
        assert_eq!(redundancy(&CHROMIUM.replace(from, to), AudioCodec::Opus), None, "{to}");
    }
    // A second Opus has the RED; ours is the first.
    let second = CHROMIUM.replace(
        "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111",
        "a=rtpmap:63 red/48000/2\r\na=fmtp:63 110/110",
    );
    assert_eq!(redundancy(&second, AudioCodec::Opus), None);
}

#[test]
fn ssrcs_of_a_session_differ_whatever_the_generator_gives() {
    let formats = formats(Some([0x42, 0xe0, 0x1f]), Some(AudioCodec::Opus));
    let offer = offer(CHROMIUM);
    for constant in [0, 7, u32::MAX - 1, u32::MAX] {
        let negotiated = negotiate(&offer, &formats, || constant).expect("something in common");
        let media = negotiated.media.iter().flatten();
        let mut ssrcs: Vec<u32> = media.flat_map(|media| [*media.ssrc, *media.rtx_ssrc]).collect();
        ssrcs.sort_unstable();
        ssrcs.dedup();
        assert_eq!(ssrcs.len(), 4, "of {constant}");
        assert!(!ssrcs.contains(&0));
    }
}

#[test]
fn audio_is_matched_by_name_and_clock_whatever_the_capitals() {
    for (text, codec, payload_type) in [
        (CHROMIUM, AudioCodec::Opus, Some(111)),
        (CHROMIUM, AudioCodec::Pcmu, Some(0)),
        (CHROMIUM, AudioCodec::Pcma, Some(8)),
        (WERIFT, AudioCodec::Opus, Some(96)),
        (LIBDATACHANNEL, AudioCodec::Opus, Some(111)),
        (LIBDATACHANNEL, AudioCodec::Pcma, None),
    ] {
        let media = chosen(&offer(text), &formats(Some(HIGH), Some(codec)));
        assert!(media[0].is_some(), "video is served in any case");
        assert_eq!(media[1].map(|(payload_type, _)| payload_type), payload_type, "{codec:?}");
    }
    let wide = WERIFT.replace("OPUS/48000/2", "OPUS/16000");
    assert_eq!(chosen(&offer(&wide), &formats(Some(HIGH), Some(AudioCodec::Opus)))[1], None);
}

/// The order of the offer's bundle is that of the answer's, and its first member has the candidates.
#[test]
fn the_bundle_keeps_the_order_of_the_offer() {
    let both = formats(Some(HIGH), Some(AudioCodec::Opus));
    for (text, group, setup) in [
        (CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 1 0"), "BUNDLE 1 0", "passive"),
        // Without the sound the next member has the transport, with its role, if it has one of its own.
        (
            CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 1 0").replace("opus", "speex").replacen(
                "a=ice-ufrag:lKdY",
                "a=ice-ufrag:mLeZ",
                1,
            ),
            "BUNDLE 0",
            "passive",
        ),
        (CHROMIUM.replacen("a=setup:actpass", "a=setup:passive", 1), "BUNDLE 0 1", "active"),
    ] {
        let offer = offer(&text);
        let sdp = answered(&offer, &negotiated(&offer, &both));
        soundness::check(&offer, &sdp);
        assert!(sdp.contains(&format!("\r\na=group:{group}\r\n")), "{sdp}");
        assert!(sdp.contains(&format!("\r\na=setup:{setup}\r\n")), "{sdp}");
    }
}

#[test]
fn a_long_mid_does_without_its_header_extension() {
    for (length, extension) in [(16, true), (17, false), (64, false)] {
        let mid = "m".repeat(length);
        let text = CHROMIUM
            .replace("a=mid:0", &format!("a=mid:{mid}"))
            .replace("BUNDLE 0", &format!("BUNDLE {mid}"));
        let media = negotiated(&offer(&text), &formats(Some(HIGH), None)).media.remove(0).expect("video");
        assert_eq!((media.mid, media.mid_id.is_some()), (mid, extension));
    }
}

#[test]
fn an_offer_without_our_video_is_refused_with_what_it_has() {
    let no_h264: String = CHROMIUM.split_inclusive("\r\n").filter(|line| !line.contains("H264")).collect();
    let mode_0 = WERIFT.replace("packetization-mode=1", "packetization-mode=0");
    let nothing = WERIFT.replace("a=rtpmap:97", "a=nothing:97");
    let no_mode = WERIFT.replace("packetization-mode=1", "x=1");
    let wanted = "the stream's video is H264 with packetization-mode=1 (RFC 6184 §6.3)";
    let lacks = format!("{wanted}; the offer has no H264");
    let advice = "Let the player offer packetization-mode=1 in a=fmtp";
    for (text, formats, sentence) in [
        (
            &no_h264,
            formats(Some(HIGH), None),
            format!("{lacks} (it has VP8, VP9, AV1, red, ulpfec, flexfec-03)"),
        ),
        (
            &mode_0,
            formats(Some(HIGH), None),
            format!(
                "{wanted}; the offer has H264 with packetization-mode=0 only, which allows no picture larger \
                 than a packet, and cameras' are. {advice}"
            ),
        ),
        (
            &no_mode,
            formats(Some(HIGH), None),
            format!(
                "{wanted}; the offer's H264 says no packetization-mode, which means 0: whole pictures in one \
                 packet, and cameras' are larger. {advice}"
            ),
        ),
        (&nothing, formats(Some(HIGH), None), format!("{lacks} (it has no codec at all)")),
        (
            &LIBDATACHANNEL.to_owned(),
            formats(None, Some(AudioCodec::Pcma)),
            "nothing of this stream (PCMA audio) fits the offer".to_owned(),
        ),
        (
            &CHROMIUM.to_owned(),
            Formats::default(),
            "nothing of this stream (nothing yet) fits the offer".to_owned(),
        ),
    ] {
        let refusal = try_negotiate(&offer(text), &formats).expect_err(&sentence);
        assert_eq!((refusal.to_string(), refusal.reason()), (sentence, "codec"));
    }
    // Nothing that carries media: the sentence names both.
    let [session, _, _, data] = CHROMIUM_DATA.split("\r\nm=").collect::<Vec<_>>()[..] else {
        panic!("4 parts")
    };
    let only_data = offer(&format!("{session}\r\nm={data}"));
    assert_eq!(
        try_negotiate(&only_data, &formats(Some(HIGH), Some(AudioCodec::Opus)))
            .expect_err("no media")
            .to_string(),
        "nothing of this stream (H264 video, opus audio) fits the offer"
    );
}

#[test]
fn what_a_stream_lacks_is_rejected_and_the_rest_is_served() {
    let text = offer(CHROMIUM_DATA);
    let sdp = answered(&text, &negotiated(&text, &formats(Some(HIGH), None)));
    assert!(
        sdp.ends_with(
            "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=inactive\r\n\
             m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=inactive\r\n"
        ),
        "{sdp}"
    );
    assert!(sdp.contains("a=group:BUNDLE 0\r\n"), "{sdp}");
    // Where the sound has a transport of its own, nothing is kept for the sake of the video's.
    let (head, rest) = CHROMIUM_DATA.split_once("\r\nm=audio ").expect("a second section");
    let own = offer(&format!("{head}\r\nm=audio {}", rest.replace("a=ice-ufrag:La0/", "a=ice-ufrag:Lb1/")));
    let sdp = answered(&own, &negotiated(&own, &formats(None, Some(AudioCodec::Opus))));
    assert!(sdp.contains("m=video 0 ") && sdp.contains("m=audio 9 ") && sdp.contains("a=group:BUNDLE 1\r\n"));
}

/// An offer with the policy `max-bundle` has one transport, that of its first section: it is kept, whatever it carries. Of
/// Chromium's nothing else tells that policy than that the sections have the same credentials.
#[test]
fn the_first_section_of_a_bundle_without_other_transports_keeps_its_own() {
    // RFC 9429 §5.2.1.
    let max_bundle = |text: &str| {
        let (head, rest) = text.split_once("\r\nm=audio ").expect("a second section");
        let (_port, rest) = rest.split_once(' ').expect("a port");
        format!("{head}\r\nm=audio 0 {}", rest.replacen("a=mid:1", "a=bundle-only\r\na=mid:1", 1))
    };
    let sound = formats(None, Some(AudioCodec::Opus));
    let recorded = [CHROMIUM, CHROMIUM_DATA, AIORTC];
    for text in recorded.map(max_bundle).into_iter().chain(recorded.map(str::to_owned)) {
        let text = offer(&text);
        let negotiated = negotiated(&text, &sound);
        let sdp = answered(&text, &negotiated);
        soundness::check(&text, &sdp);
        let video = sdp.split("\r\nm=").find(|section| section.starts_with("video 9 ")).expect("kept");
        for line in ["a=inactive", "a=setup:passive", "a=ice-ufrag:srv0", "a=end-of-candidates"] {
            assert!(video.contains(&format!("\r\n{line}")), "no {line} in {video}");
        }
        assert!(!video.contains("a=msid:") && sdp.contains("\r\na=group:BUNDLE 0 1\r\n"), "{sdp}");
        assert_eq!(negotiated.mids(&text), ["0", "1"], "an ICE restart concerns the same transport");
        assert_eq!(negotiated.media.iter().flatten().count(), 1, "nothing is sent in it");
    }
    // What it says of its transport counts.
    let passive = max_bundle(CHROMIUM).replacen("a=setup:actpass", "a=setup:passive", 1);
    let passive = offer(&passive);
    assert!(answered(&passive, &negotiated(&passive, &sound)).contains("\r\na=setup:active\r\n"));
}

#[test]
fn one_answer_letter_for_letter() {
    let text = offer(AIORTC);
    let sdp = answered(&text, &negotiated(&text, &formats(Some(HIGH), Some(AudioCodec::Opus))));
    let expected = "\
v=0
o=- 77 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1
a=msid-semantic: WMS gate
a=ice-lite
m=video 9 UDP/TLS/RTP/SAVPF 101 102
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=mid:0
a=sendonly
a=rtcp-mux
a=rtcp-mux-only
a=rtcp-rsize
a=setup:passive
a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=rtpmap:101 H264/90000
a=fmtp:101 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtcp-fb:101 nack
a=rtcp-fb:101 nack pli
a=rtcp-fb:101 goog-remb
a=msid:gate video
a=rtpmap:102 rtx/90000
a=fmtp:102 apt=101
a=ssrc-group:FID 1001 1002
a=ssrc:1001 cname:sluice
a=ssrc:1002 cname:sluice
a=ice-ufrag:srv0
a=ice-pwd:ssssssssssssssssssssssssssssssssssss
a=fingerprint:sha-256 AB:CD
a=candidate:1 1 udp 2130706431 192.0.2.7 8189 typ host
a=candidate:2 1 udp 2130706175 2001:db8::7 8189 typ host
a=candidate:3 1 udp 2130705919 127.0.0.1 8189 typ host
a=end-of-candidates
m=audio 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=mid:1
a=sendonly
a=rtcp-mux
a=rtcp-mux-only
a=rtcp-rsize
a=setup:passive
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=rtpmap:96 opus/48000/2
a=msid:gate audio
a=ssrc:1003 cname:sluice
a=ice-ufrag:srv0
a=ice-pwd:ssssssssssssssssssssssssssssssssssss
a=fingerprint:sha-256 AB:CD
";
    pretty(&sdp.replace("\r\n", "\n"), expected);
}

#[track_caller]
fn pretty(left: &str, right: &str) {
    let difference = left.lines().zip(right.lines()).find(|(left, right)| left != right);
    assert_eq!(difference, None);
    assert_eq!(left.len(), right.len(), "{left}");
}

#[test]
fn a_restart_is_answered_with_the_new_transport_only() {
    let credentials = Credentials { ufrag: "new0".to_owned(), pwd: "n".repeat(36) };
    let candidates = ["192.0.2.7:8189".parse().expect("an address")];
    let identity = Identity {
        credentials: &credentials,
        fingerprint: "AB:CD",
        candidates: &candidates,
        tcp_port: None,
        session_id: 0,
        stream: "gate",
    };
    let fragment = restart_fragment(&["v".to_owned(), "a".to_owned()], &identity);
    assert_eq!(
        fragment,
        "a=ice-lite\r\na=group:BUNDLE v a\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:v\r\n\
         a=ice-ufrag:new0\r\na=ice-pwd:nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\r\n\
         a=candidate:1 1 udp 2130706431 192.0.2.7 8189 typ host\r\na=end-of-candidates\r\n"
    );
}

#[test]
fn extension_ids_that_mean_something_else_in_another_section_are_not_confirmed_there() {
    let video_3 = AIORTC
        .replace("a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc", "a=extmap:3 urn:ietf:params:rtp-hdrext:ssrc");
    let text = offer(&video_3);
    soundness::check(
        &text,
        &answered(&text, &negotiated(&text, &formats(Some(HIGH), Some(AudioCodec::Opus)))),
    );
}
