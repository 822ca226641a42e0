//! Offers of real clients are read for what they are; every refusal has its own sentence.

use super::*;
use crate::peer::Credentials;

#[path = "offer_robustness_tests.rs"]
mod robustness;

const CHROMIUM: &str = include_str!("../../tests/data/chromium-156.sdp");
const CHROMIUM_DATA: &str = include_str!("../../tests/data/chromium-156-datachannel.sdp");
const AIORTC: &str = include_str!("../../tests/data/aiortc-1.16.sdp");
const LIBDATACHANNEL: &str = include_str!("../../tests/data/libdatachannel-0.24.sdp");
const WERIFT: &str = include_str!("../../tests/data/werift-0.24.sdp");
const FFMPEG: &str = include_str!("../../tests/data/ffmpeg-9-whip.sdp");
const REAL: [&str; 6] = [CHROMIUM, CHROMIUM_DATA, AIORTC, LIBDATACHANNEL, WERIFT, FFMPEG];

/// A small offer that is accepted; each refusal below comes from one change to it.
const SMALL: &str = "v=0\r
o=- 1 1 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE v a\r
m=video 9 UDP/TLS/RTP/SAVPF 96\r
c=IN IP4 0.0.0.0\r
a=mid:v\r
a=recvonly\r
a=ice-ufrag:abcd\r
a=ice-pwd:0123456789abcdefghijkl\r
a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r
a=setup:actpass\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 packetization-mode=1;profile-level-id=42e01f\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
c=IN IP4 0.0.0.0\r
a=mid:a\r
a=recvonly\r
a=rtpmap:111 opus/48000/2\r
";
const FINGERPRINT: &str = "a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n";

/// [`SMALL`] with one change.
#[track_caller]
fn changed(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from:?} is not in the offer");
    SMALL.replacen(from, to, 1)
}

#[track_caller]
fn parsed(text: &str) -> Offer {
    Offer::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The transport if everything is carried.
fn transport(offer: &Offer) -> Transport {
    offer.transport(|_| true).clone()
}

fn shape(offer: &Offer) -> Vec<(SectionKind, &str, usize, bool)> {
    let sections = offer.sections.iter();
    sections.map(|s| (s.kind, s.mid.as_str(), s.payloads.len(), s.disabled)).collect()
}

use SectionKind::{Audio, Other, Video};

#[test]
fn the_small_offer_is_read_entirely() {
    let offer = parsed(SMALL);
    assert_eq!(
        transport(&offer).credentials,
        Credentials { ufrag: "abcd".to_owned(), pwd: "0123456789abcdefghijkl".to_owned() }
    );
    assert_eq!(transport(&offer).fingerprint, ("sha-256".to_owned(), (0..32).collect()));
    assert_eq!(transport(&offer).setup, Setup::ActPass);
    assert_eq!(shape(&offer), [(Video, "v", 1, false), (Audio, "a", 1, false)]);
    let h264 = &offer.sections[0].payloads[0];
    assert_eq!(
        (h264.payload_type, h264.name.as_str(), h264.clock_rate, h264.channels),
        (96, "H264", 90_000, 1)
    );
    assert_eq!(h264.parameter("PROFILE-LEVEL-ID"), Some("42e01f"));
    assert_eq!(h264.parameter("level"), None);
    assert_eq!(offer.sections[1].payloads[0].channels, 2);
}

#[test]
fn chromium() {
    let offer = parsed(CHROMIUM);
    assert_eq!(shape(&offer), [(Video, "0", 34, false), (Audio, "1", 8, false)]);
    assert_eq!((transport(&offer).credentials.ufrag.len(), transport(&offer).credentials.pwd.len()), (4, 24));
    assert_eq!(
        (transport(&offer).fingerprint.0.as_str(), transport(&offer).fingerprint.1.len()),
        ("sha-256", 32)
    );
    assert_eq!(transport(&offer).setup, Setup::ActPass);
    let (video, audio) = (&offer.sections[0], &offer.sections[1]);
    assert_eq!((video.extensions.len(), audio.extensions.len()), (11, 4));
    assert!(video.extensions.contains(&(9, "urn:ietf:params:rtp-hdrext:sdes:mid".to_owned())));
    let h264 = video.payloads.iter().find(|payload| payload.payload_type == 108).expect("108");
    assert_eq!(h264.feedback().collect::<Vec<_>>(), ["nack", "nack pli", "ccm fir", "goog-remb"]);
    // Payload types 0 and 8 are named although they need not be.
    assert!(audio.payloads.iter().any(|payload| payload.payload_type == 0 && payload.name == "PCMU"));
}

#[test]
fn a_data_channel_stands_anywhere() {
    let (session, mut sections) = split(CHROMIUM_DATA);
    assert_eq!(
        shape(&parsed(CHROMIUM_DATA)),
        [(Video, "0", 34, false), (Audio, "1", 8, false), (Other, "2", 0, false)]
    );
    sections.rotate_right(1);
    let offer = parsed(&(session + &sections.concat()));
    assert_eq!(shape(&offer)[0], (Other, "2", 0, false));
    assert_eq!(offer.sections[0].formats, "webrtc-datachannel");
    assert_eq!(transport(&offer).setup, Setup::ActPass);
}

#[test]
fn aiortc_with_an_address_for_each_section_and_hashes_we_do_not_use() {
    let offer = parsed(AIORTC);
    assert_eq!(shape(&offer), [(Video, "0", 6, false), (Audio, "1", 4, false)]);
    assert_eq!(
        (transport(&offer).fingerprint.0.as_str(), transport(&offer).fingerprint.1[0]),
        ("sha-256", 0xce)
    );
}

#[test]
fn libdatachannel_with_its_fingerprint_at_session_level() {
    let offer = parsed(LIBDATACHANNEL);
    assert_eq!(shape(&offer), [(Video, "video", 1, false), (Audio, "audio", 1, false)]);
    assert_eq!(transport(&offer).fingerprint.1[..2], [0x82, 0x60]);
}

#[test]
fn werift_with_other_capitals() {
    let offer = parsed(WERIFT);
    let names: Vec<&str> = offer.sections.iter().map(|section| section.payloads[0].name.as_str()).collect();
    assert_eq!(names, ["h264", "OPUS"]);
}

#[test]
fn ffmpeg_offers_to_send_and_is_refused_until_it_receives() {
    assert_eq!(
        Offer::parse(FFMPEG).expect_err("it sends").to_string(),
        "media section 0 does not receive: a viewer offers recvonly or sendrecv"
    );
    let offer = parsed(&FFMPEG.replace("a=sendonly", "a=recvonly"));
    assert_eq!(shape(&offer), [(Audio, "0", 1, false), (Video, "1", 2, false)]);
    assert_eq!(transport(&offer).setup, Setup::Passive);
}

#[test]
fn line_ends_without_cr_are_read_alike() {
    for text in REAL {
        assert_eq!(Offer::parse(&text.replace('\r', "")), Offer::parse(text));
        assert_eq!(Offer::parse(&format!("\u{feff}{text}")), Offer::parse(text));
    }
}

#[test]
fn setup_roles() {
    for (line, setup) in [
        ("a=setup:actpass\r\n", Setup::ActPass),
        ("a=setup:active\r\n", Setup::Active),
        ("a=setup:passive\r\n", Setup::Passive),
        ("", Setup::Active),
    ] {
        assert_eq!(transport(&parsed(&changed("a=setup:actpass\r\n", line))).setup, setup, "{line:?}");
    }
}

#[test]
fn what_stands_at_session_level_holds_for_sections() {
    let (session, sections) = split(SMALL);
    let names = ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"];
    let (shared, own): (Vec<&str>, Vec<&str>) =
        sections[0].split_inclusive("\r\n").partition(|line| names.iter().any(|name| line.starts_with(name)));
    let moved = session.clone() + &shared.concat() + &own.concat() + &sections[1];
    let (moved, small) = (parsed(&moved), parsed(SMALL));
    assert_eq!((&moved.sections, transport(&moved)), (&small.sections, transport(&small)));

    // A direction too; a section's own goes before it.
    let silent = SMALL.replace("a=recvonly\r\n", "");
    parsed(&silent);
    for direction in ["a=inactive\r\n", "a=sendonly\r\n"] {
        let one = silent.replace("m=video", &format!("{direction}m=video"));
        assert!(Offer::parse(&one).is_err(), "{direction}");
        parsed(&SMALL.replace("m=video", &format!("{direction}m=video")));
    }
}

#[test]
fn sections_that_are_switched_off_need_nothing_and_bundle_only_is_not_off() {
    let off = SMALL
        .replace("m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio 0 RTP/AVP 300")
        .replace("a=mid:a\r\n", "")
        .replace("BUNDLE v a", "BUNDLE v");
    assert_eq!(shape(&parsed(&off)), [(Video, "v", 1, false), (Audio, "", 0, true)]);
    let bundled = changed(
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
        "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=bundle-only\r\n",
    );
    assert_eq!(shape(&parsed(&bundled))[1], (Audio, "a", 1, false));
    // The transport is that of the first live section, wherever it stands.
    let first = format!("{}{}", split(&off).0, split(&off).1.iter().rev().cloned().collect::<String>());
    assert_eq!(transport(&parsed(&first)).credentials.ufrag, "abcd");
}

#[test]
fn payload_types_without_rtpmap_are_known_or_left_out() {
    let offer = parsed(&changed("SAVPF 111\r\n", "SAVPF 0 8 18 111\r\n"));
    let names: Vec<&str> = offer.sections[1].payloads.iter().map(|payload| payload.name.as_str()).collect();
    assert_eq!(names, ["PCMU", "PCMA", "opus"]);
}

#[test]
fn payload_types_that_look_like_rtcp_are_left_out() {
    for (number, usable) in [(63, true), (64, false), (72, false), (95, false), (96, true)] {
        let text =
            SMALL.replace("SAVPF 96", &format!("SAVPF {number}")).replace(":96 ", &format!(":{number} "));
        assert_eq!(!parsed(&text).sections[0].payloads.is_empty(), usable, "{number}");
    }
}

#[test]
fn feedback_for_all_payload_types_and_extension_ids() {
    let lines = "a=rtcp-fb:* nack pli\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:9 nack\r\na=rtcp-fb:* x\r\n\
                 a=extmap:3/recvonly urn:a\r\na=extmap:0 urn:b\r\na=extmap:15 urn:c\r\na=extmap:14 urn:d\r\na=extmap:x urn:e\r\n";
    let offer = parsed(&changed("a=rtpmap:96", &format!("{lines}a=rtpmap:96")));
    assert_eq!(offer.sections[0].payloads[0].feedback().collect::<Vec<_>>(), ["nack pli", "ccm fir"]);
    assert_eq!(offer.sections[0].extensions, [(3, "urn:a".to_owned()), (14, "urn:d".to_owned())]);
}

#[test]
fn a_fingerprint_by_sha_1_is_the_last_resort() {
    let sha1 = "a=fingerprint:SHA-1 00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13\r\n";
    assert_eq!(
        transport(&parsed(&changed(FINGERPRINT, sha1))).fingerprint,
        ("sha-1".to_owned(), (0..20).collect())
    );
    let both = changed(FINGERPRINT, &format!("{sha1}{FINGERPRINT}"));
    assert_eq!(transport(&parsed(&both)).fingerprint.0, "sha-256");
}

#[test]
fn credentials_outside_the_letter_of_the_rfc_are_taken() {
    let offer = parsed(&changed("a=ice-ufrag:abcd", "a=ice-ufrag:ab-_=d"));
    assert_eq!(transport(&offer).credentials.ufrag, "ab-_=d");
}

/// Each section may have a transport of its own; the bundle's is that of its first member that is carried.
#[test]
fn the_transport_is_that_of_the_bundles_first_member() {
    let own = "a=ice-ufrag:wxyz\r\na=ice-pwd:lkjihgfedcba9876543210\r\na=setup:passive\r\n";
    let text = changed("a=mid:a\r\n", &format!("a=mid:a\r\n{own}{}", FINGERPRINT.replace(":1F", ":2F")));
    let first = |text: &str, carried: &[usize]| {
        let offer = parsed(text);
        let transport = offer.transport(|index| carried.contains(&index));
        (transport.credentials.ufrag.clone(), transport.setup, transport.fingerprint.1[31], offer.bundle)
    };
    let (video, audio) = (("abcd", Setup::ActPass, 0x1f), ("wxyz", Setup::Passive, 0x2f));
    for (group, carried, (ufrag, setup, digit), order) in [
        ("BUNDLE v a", &[0, 1][..], video, vec![0, 1]),
        ("BUNDLE a v", &[0, 1], audio, vec![1, 0]),
        ("BUNDLE a v", &[0], video, vec![1, 0]),
        ("BUNDLE v a", &[1], audio, vec![0, 1]),
        ("BUNDLE a a v", &[0, 1], audio, vec![1, 0]),
    ] {
        let got = first(&text.replace("BUNDLE v a", group), carried);
        assert_eq!(got, (ufrag.to_owned(), setup, digit, order), "{group} {carried:?}");
    }
    // A section that says nothing of its own shares another's.
    assert_eq!(first(&changed("BUNDLE v a", "BUNDLE a v"), &[0, 1]).0, "abcd");
    assert_eq!(first(SMALL, &[1]).0, "abcd");
}

#[test]
fn every_refusal_has_its_sentence() {
    const ICE: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\n";
    let lines = "a=x\r\n".repeat(1_025 - SMALL.lines().count());
    let many = "m=text 9 x x\r\na=mid:t\r\n".repeat(15);
    let formats = (0..129).map(|n| format!(" {}", n % 128)).collect::<String>();
    for (from, to, sentence) in [
        (
            "m=video 9",
            "a=ice-lite\r\nm=video 9",
            "the offer is of an ICE-lite agent; one of the two sides must do full ICE",
        ),
        ("a=mid:v", &format!("{lines}a=mid:v"), "the offer has 1025 lines; 1024 are allowed"),
        ("m=video", &format!("{many}m=video"), "the offer has 17 media sections; 16 are allowed"),
        ("a=mid:v\r\n", "", "media section 0 needs an a=mid of 1 to 64 visible characters, not \"\""),
        (
            "a=mid:a\r\n",
            "a=mid\r\n",
            "media section 1 needs an a=mid of 1 to 64 visible characters, not \"\"",
        ),
        (
            "a=mid:v",
            &format!("a=mid:{}", "x".repeat(65)),
            // Somebody's text is repeated up to a length.
            &format!(
                "media section 0 needs an a=mid of 1 to 64 visible characters, not {:?}",
                "x".repeat(64)
            ),
        ),
        ("a=mid:v", "a=mid:v x", "media section 0 needs an a=mid of 1 to 64 visible characters, not \"v x\""),
        ("a=mid:v", "a=mid:ü", "media section 0 needs an a=mid of 1 to 64 visible characters, not \"ü\""),
        ("a=mid:a", "a=mid:v", "two media sections have the same a=mid"),
        (
            "a=recvonly",
            "a=inactive",
            "media section 0 does not receive: a viewer offers recvonly or sendrecv",
        ),
        (
            "a=recvonly",
            "a=sendonly",
            "media section 0 does not receive: a viewer offers recvonly or sendrecv",
        ),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP", "media section 0 uses RTP/AVP; only UDP/TLS/RTP/SAVPF is carried"),
        (
            "m=audio 9 UDP/TLS/RTP/SAVPF 111",
            "m=video 9 UDP/TLS/RTP/SAVPF 111",
            "the offer has 2 video sections; a stream has at most one audio and one video",
        ),
        (
            "m=video 9 UDP/TLS/RTP/SAVPF 96",
            "m=audio 9 UDP/TLS/RTP/SAVPF 96",
            "the offer has 2 audio sections; a stream has at most one audio and one video",
        ),
        ("a=group:BUNDLE v a\r\n", "", "all media sections must be in one a=group:BUNDLE"),
        ("BUNDLE v a", "BUNDLE v", "all media sections must be in one a=group:BUNDLE"),
        (
            "a=group:BUNDLE v a",
            "a=group:BUNDLE v\r\na=group:BUNDLE a\r\na=group:LS v a",
            "all media sections must be in one a=group:BUNDLE",
        ),
        ("SAVPF 96\r\n", "SAVPF 96 128\r\n", "media section 0: \"128\" is not a payload type of 0 to 127"),
        ("SAVPF 111\r\n", "SAVPF opus\r\n", "media section 1: \"opus\" is not a payload type of 0 to 127"),
        (
            "SAVPF 96\r\n",
            &format!("SAVPF{formats}\r\n"),
            "media section 0 lists 129 payload types; 128 are allowed",
        ),
        ("H264/90000", "H264", "media section 0: a=rtpmap:96 H264 has no clock rate"),
        (ICE, "", "the offer has no a=ice-ufrag and a=ice-pwd"),
        ("a=ice-pwd:0123456789abcdefghijkl\r\n", "", "the offer has no a=ice-ufrag and a=ice-pwd"),
        (
            "a=ice-ufrag:abcd",
            "a=ice-ufrag:abc",
            "a=ice-ufrag must be 4 to 256 characters long without spaces or colons; it has 3",
        ),
        (
            "a=ice-ufrag:abcd",
            "a=ice-ufrag:ab cd",
            "a=ice-ufrag must be 4 to 256 characters long without spaces or colons; it has 5",
        ),
        (
            "a=ice-ufrag:abcd",
            "a=ice-ufrag:ab:cd",
            "a=ice-ufrag must be 4 to 256 characters long without spaces or colons; it has 5",
        ),
        (
            "ghijkl\r\n",
            "ghijk\r\n",
            "a=ice-pwd must be 22 to 256 characters long without spaces or colons; it has 21",
        ),
        (FINGERPRINT, "", "the offer has no a=fingerprint: media is only sent encrypted"),
        ("sha-256", "sha-512", "the offer needs an a=fingerprint by sha-256; it has sha-512"),
        (":1F\r\n", "\r\n", "a=fingerprint:sha-256 is not 32 bytes of hexadecimal pairs"),
        (":1F\r\n", ":1G\r\n", "a=fingerprint:sha-256 is not 32 bytes of hexadecimal pairs"),
        (
            "a=setup:actpass",
            "a=setup:holdconn",
            "a=setup:holdconn cannot be answered; use actpass, active or passive",
        ),
    ] {
        let refusal = Offer::parse(&changed(from, to)).expect_err(sentence);
        assert_eq!(refusal.to_string(), sentence);
        assert!(REASONS.contains(&refusal.reason()) && !refusal.is_malformed());
    }
    let (session, _) = split(SMALL);
    let refusal = Offer::parse(&session).expect_err("no sections");
    assert_eq!(refusal, OfferError::Empty);
    let refusal = Offer::parse(&SMALL.replace(" 9 UDP", " 0 UDP")).expect_err("all off");
    assert_eq!(refusal, OfferError::Disabled);
}

#[test]
fn what_is_not_sdp_is_told_apart_from_what_cannot_be_answered() {
    for (text, sentence) in [
        (String::new(), "the body is not SDP: No version line"),
        (
            "{\"type\":\"offer\"}".to_owned(),
            "the body is not SDP: line 1 does not begin with a letter and \"=\"",
        ),
        (changed("v=0", "v=1"), "the body is not SDP: Invalid version at line 1: 1"),
        (
            changed("m=video 9", "m=video nine"),
            "the body is not SDP: Invalid field formatting in line 6 at Media port",
        ),
        (changed("a=mid:v", "a mid:v"), "the body is not SDP: line 8 does not begin with a letter and \"=\""),
        (changed("a=mid:v", "==v"), "the body is not SDP: line 8 does not begin with a letter and \"=\""),
        (changed("a=mid:v", "a=mid:v\ra=mid:w"), "the body is not SDP: line 8 holds a control character"),
        (changed("a=mid:v", "a=mid:v\0"), "the body is not SDP: line 8 holds a control character"),
    ] {
        let refusal = Offer::parse(&text).expect_err(sentence);
        assert!(refusal.is_malformed(), "{refusal:?}");
        assert_eq!(refusal.to_string(), sentence);
    }
}

/// The session part and the media sections of an offer.
fn split(text: &str) -> (String, Vec<String>) {
    let mut parts = text.split("\r\nm=");
    let session = format!("{}\r\n", parts.next().unwrap_or_default());
    let sections = parts.map(|part| format!("m={}\r\n", part.trim_end())).collect();
    (session, sections)
}
