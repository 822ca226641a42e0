//! The POST: which offers are answered, what the answer says, and how each refusal is told.

use sluice_harness::Request;

use crate::{AIORTC, CHROMIUM, ENDPOINT, join, playing, refused};

const CHROMIUM_DATA: &str = include_str!("../data/chromium-156-datachannel.sdp");
const LIBDATACHANNEL: &str = include_str!("../data/libdatachannel-0.24.sdp");
const WERIFT: &str = include_str!("../data/werift-0.24.sdp");
const FFMPEG: &str = include_str!("../data/ffmpeg-9-whip.sdp");
/// Offers that must be answered. Of FFmpeg's there is only a publisher's, so tests turn it around.
const PLAYERS: [&str; 5] = [CHROMIUM, CHROMIUM_DATA, AIORTC, LIBDATACHANNEL, WERIFT];

/// The lines of the media sections of an answer, those before the first left out.
fn sections(sdp: &str) -> Vec<Vec<&str>> {
    sdp.split("\r\nm=").skip(1).map(|section| section.split("\r\n").collect()).collect()
}

#[test]
fn e1_post_answers_201_with_location_and_sdp() {
    let sluice = playing(&[]);
    for path in [ENDPOINT, "/demo/whep?token=x&y=%20"] {
        let answer = sluice.request(Request::offer(path, CHROMIUM));
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/sdp"));
        assert!(answer.text().starts_with("v=0\r\n"), "{}", answer.text());
        // Without a query: some clients append to it.
        let id = answer.header("location").and_then(|url| url.strip_prefix("../demo/whep/"));
        let id = id.unwrap_or_else(|| panic!("{:?}", answer.header("location")));
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        // What everybody may know of it.
        let public = format!("{}-0000-8000-8000-000000000000", &id[..8]);
        assert_eq!(answer.header("id"), Some(public.as_str()));
    }
    assert_eq!(sluice.metric("sluice_sessions"), 2.0);
}

/// A proxy that serves us below a path of its own, and takes it off, changes no header.
#[test]
fn e1_the_session_url_keeps_what_a_proxy_puts_before_it() {
    let sluice = playing(&[]);
    let answer = sluice.request(Request::offer(ENDPOINT, CHROMIUM));
    let direct = answer.session(ENDPOINT).expect("a session URL");
    assert_eq!(answer.session("/tv/cams/demo/whep?x=/y/"), Some(format!("/tv/cams{direct}")));
    // Clients that write it where the path was, and pages at the root that take it for their own.
    for base in ["/", "/player.html"] {
        assert_eq!(answer.session(base).as_deref(), Some(direct.as_str()), "{base}");
    }
    assert_eq!(sluice.request(Request::new("DELETE", &direct)).status, 200);
}

/// However many segments a name has, and however it is written.
#[test]
fn e1_the_session_url_of_a_name_with_slashes_leads_to_the_session() {
    let sluice = playing(&["site1/b.2/gate=demo", "demo=demo"]);
    sluice.wait_until_playing("site1/b.2/gate");
    for endpoint in ["/site1/b.2/gate/whep", "/site1%2Fb.2%2Fgate/whep", "/site1/b.2/gate/whep/"] {
        let answer = sluice.request(Request::offer(endpoint, CHROMIUM));
        assert_eq!(answer.status, 201, "{endpoint}: {}", answer.text());
        let session = answer.session(endpoint).expect("a session URL");
        assert!(session.starts_with("/site1/b.2/gate/whep/"), "{endpoint}: {session}");
        assert_eq!(sluice.request(Request::new("DELETE", &session)).status, 200, "{endpoint}");
    }
    refused(&sluice.request(Request::offer("/site1/whep", CHROMIUM)), 404);
}

#[test]
fn e2_what_is_wrong_with_a_post_is_told_by_its_status() {
    let sluice = playing(&[]);
    let send = |content_type: &str, body: &[u8]| {
        sluice.request(Request::new("POST", ENDPOINT).header("Content-Type", content_type).body(body))
    };
    for content_type in ["application/sdp", "Application/SDP", "application/sdp; charset=utf-8"] {
        assert_eq!(send(content_type, CHROMIUM.as_bytes()).status, 201, "{content_type}");
    }
    let wrong = refused(&send("application/json", CHROMIUM.as_bytes()), 415);
    assert_eq!(wrong, "Content-Type must be application/sdp, not \"application/json\"");
    let none = Request::new("POST", ENDPOINT).body(CHROMIUM);
    assert_eq!(refused(&sluice.request(none), 415), "Content-Type must be application/sdp, not \"\"");

    for (body, sentence) in [
        (&b""[..], "the body is not SDP: No version line"),
        (b"{}", "the body is not SDP: line 1 does not begin with a letter and \"=\""),
        // Behind such a line the parsing library panics.
        (
            b"v=0\r\nhello\r\na=mid:0\r\n",
            "the body is not SDP: line 2 does not begin with a letter and \"=\"",
        ),
        (b"v=0\r\n\xff\xfe", "the body is not SDP: it is not UTF-8 text"),
    ] {
        assert_eq!(refused(&send("application/sdp", body), 400), sentence);
    }
    let unanswerable = CHROMIUM.replace("a=ice-ufrag:", "a=no-ufrag:");
    let sentence = refused(&send("application/sdp", unanswerable.as_bytes()), 422);
    assert_eq!(sentence, "the offer has no a=ice-ufrag and a=ice-pwd");
}

#[test]
fn e2_a_body_over_64_kib_is_413() {
    let sluice = playing(&[]);
    let padding = |bytes: usize| {
        let line = format!("a=x:{}\r\n", "x".repeat(1_000));
        let mut sdp = CHROMIUM.to_owned();
        while sdp.len() + line.len() <= bytes {
            sdp.push_str(&line);
        }
        let rest = bytes - sdp.len();
        sdp + "a=" + &"x".repeat(rest - 4) + "\r\n"
    };
    let largest = sluice.request(Request::offer(ENDPOINT, &padding(64 * 1024)));
    assert_eq!(largest.status, 201, "{}", largest.text());
    let sentence = refused(&sluice.request(Request::offer(ENDPOINT, &padding(64 * 1024 + 1))), 413);
    assert!(sentence.contains("65536 bytes"), "{sentence}");
}

#[test]
fn e3_every_live_section_of_the_answer_is_sendonly() {
    let sluice = playing(&[]);
    for offer in PLAYERS {
        let (answer, _) = join(&sluice, offer);
        let answer = answer.text();
        for section in sections(&answer).into_iter().filter(|section| !section[0].contains(" 0 UDP")) {
            assert!(section.contains(&"a=sendonly"), "{answer}");
            assert!(
                !["a=recvonly", "a=sendrecv", "a=inactive"].iter().any(|d| section.contains(d)),
                "{answer}"
            );
        }
    }
}

#[test]
fn e4_only_an_offer_that_receives_is_answered() {
    let sluice = playing(&[]);
    join(&sluice, &CHROMIUM.replace("a=recvonly", "a=sendrecv"));
    join(&sluice, &CHROMIUM.replace("a=recvonly\r\n", ""));
    for direction in ["a=sendonly", "a=inactive"] {
        let offer = CHROMIUM.replace("a=recvonly", direction);
        let sentence = refused(&sluice.request(Request::offer(ENDPOINT, &offer)), 422);
        assert_eq!(sentence, "media section 0 does not receive: a viewer offers recvonly or sendrecv");
    }
    // A publisher at the wrong URL learns so.
    refused(&sluice.request(Request::offer(ENDPOINT, FFMPEG)), 422);
}

#[test]
fn e5_a_second_video_is_422() {
    let sluice = playing(&[]);
    let video = CHROMIUM.find("m=video").expect("video")..CHROMIUM.find("m=audio").expect("audio");
    let second = CHROMIUM[video].replace("a=mid:0", "a=mid:2");
    let offer = CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + &second;
    let sentence = refused(&sluice.request(Request::offer(ENDPOINT, &offer)), 422);
    assert_eq!(sentence, "the offer has 2 video sections; a stream has at most one audio and one video");
}

#[test]
fn e6_a_data_channel_and_unknown_audio_are_rejected_and_the_rest_is_served() {
    let sluice = playing(&[]);
    let (answer, _) = join(&sluice, CHROMIUM_DATA);
    let text = answer.text();
    assert!(text.contains("\r\na=group:BUNDLE 0 1\r\n"), "{text}");
    assert!(text.contains("\r\nm=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"), "{text}");
    let (answer, _) = join(&sluice, &CHROMIUM.replace("opus", "speex"));
    let text = answer.text();
    assert!(text.contains("\r\na=group:BUNDLE 0\r\n") && text.contains("\r\nm=audio 0 "), "{text}");
    // Without the video there is nothing to watch.
    let sentence = refused(&sluice.request(Request::offer(ENDPOINT, &CHROMIUM.replace("H264", "H265"))), 422);
    assert_eq!(
        sentence,
        "the stream's video is H264 with packetization-mode=1 (RFC 6184 §6.3); the offer has no H264 \
         (it has VP8, VP9, H265, AV1, red, ulpfec, flexfec-03)"
    );
}

#[test]
fn e7_every_dtls_role_is_answered() {
    let sluice = playing(&[]);
    for (offered, answered) in [("actpass", "passive"), ("active", "passive"), ("passive", "active")] {
        let (answer, _) = join(&sluice, &CHROMIUM.replace("setup:actpass", &format!("setup:{offered}")));
        assert!(answer.text().contains(&format!("a=setup:{answered}\r\n")), "{offered}: {}", answer.text());
    }
    join(&sluice, &FFMPEG.replace("a=sendonly", "a=recvonly"));
}

#[test]
fn e8_the_answer_has_all_candidates() {
    let sluice = playing(&["--set", "ice.addresses=192.0.2.9,127.0.0.1"]);
    let (answer, _) = join(&sluice, CHROMIUM);
    let text = answer.text();
    let candidates: Vec<Vec<&str>> = text
        .split("\r\n")
        .filter(|line| line.starts_with("a=candidate:"))
        .map(|line| line.split(' ').collect())
        .collect();
    // First the address that the request came in on: some clients use the first only.
    let addresses: Vec<&str> = candidates.iter().map(|candidate| candidate[4]).collect();
    assert_eq!(addresses, ["127.0.0.1", "192.0.2.9"], "{text}");
    for candidate in candidates {
        let port: u16 = candidate[5].parse().expect("a port");
        assert!((sluice.udp_port..sluice.udp_port + 2).contains(&port), "{port} is a shard's");
        assert_eq!(candidate[6..], ["typ", "host"]);
    }
    assert_eq!(text.matches("a=end-of-candidates\r\n").count(), 1);
}

#[test]
fn e9_the_server_is_ice_lite() {
    let sluice = playing(&[]);
    let (answer, _) = join(&sluice, CHROMIUM);
    let text = answer.text();
    assert!(text.split("\r\nm=").next().is_some_and(|session| session.contains("\r\na=ice-lite")), "{text}");
    let lite = CHROMIUM.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n");
    refused(&sluice.request(Request::offer(ENDPOINT, &lite)), 422);
}

#[test]
fn e10_everything_is_bundled_on_one_port_with_rtcp() {
    let sluice = playing(&[]);
    for offer in PLAYERS {
        // None of these offers says rtcp-mux-only; it is not asked for.
        assert!(!offer.contains("rtcp-mux-only"));
        let (answer, _) = join(&sluice, offer);
        let text = answer.text();
        assert_eq!(text.matches("a=group:BUNDLE").count(), 1, "{text}");
        for section in sections(&text).into_iter().filter(|section| section.contains(&"a=sendonly")) {
            assert!(section.contains(&"a=rtcp-mux") && section.contains(&"a=rtcp-mux-only"), "{text}");
        }
    }
    let unbundled = CHROMIUM.replace("a=group:BUNDLE 0 1\r\n", "");
    let sentence = refused(&sluice.request(Request::offer(ENDPOINT, &unbundled)), 422);
    assert_eq!(sentence, "all media sections must be in one a=group:BUNDLE");
}

#[test]
fn e11_all_tracks_are_of_one_media_stream() {
    let sluice = playing(&[]);
    for offer in PLAYERS {
        let (answer, _) = join(&sluice, offer);
        let text = answer.text();
        let msids: Vec<&str> = text.split("\r\n").filter(|line| line.starts_with("a=msid:")).collect();
        assert_eq!(msids, ["a=msid:demo video", "a=msid:demo audio"]);
    }
}

/// What passes the reading of an offer must also pass the engine: a panic there would show as a lost connection.
#[test]
fn odd_offers_are_answered_or_refused_in_words() {
    let sluice = playing(&[]);
    let one_type_for_both = LIBDATACHANNEL.replace("SAVPF 111", "SAVPF 96").replace(":111 ", ":96 ");
    let one_id_for_two = AIORTC.replace("a=extmap:3 ", "a=extmap:1 ");
    let long_mid =
        CHROMIUM.replace("a=mid:0", "a=mid:'\"%s;,()[]{}<>&").replace("BUNDLE 0", "BUNDLE '\"%s;,()[]{}<>&");
    let rtcp_range = LIBDATACHANNEL.replace("SAVPF 96", "SAVPF 72").replace(":96 ", ":72 ");
    let no_parameters = LIBDATACHANNEL.replace("profile-level-id=42e01f;", "profile-level-id=xyz;;=;");
    let long_credentials = CHROMIUM.replace("a=ice-ufrag:", &format!("a=ice-ufrag:{}", "u".repeat(252)));
    let sha_1 = "a=fingerprint:sha-1 00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13\r\na=old:";
    let sha_1 = CHROMIUM.replace("a=fingerprint:", sha_1);
    for offer in
        [one_type_for_both, one_id_for_two, long_mid, rtcp_range, no_parameters, long_credentials, sha_1]
    {
        let answer = sluice.request(Request::offer(ENDPOINT, &offer));
        if answer.status != 201 {
            refused(&answer, 422);
        }
    }
    assert!(!sluice.log().contains("panicked"), "{}", sluice.log());
}

#[test]
fn without_repair_the_answer_offers_no_nack_and_keeps_pli() {
    for (enabled, expected) in [("true", true), ("false", false)] {
        let sluice = playing(&["--set", &format!("nack.enabled={enabled}")]);
        let answer = join(&sluice, CHROMIUM).0.text();
        let says = |end: &str| answer.lines().any(|line| line.ends_with(end));
        assert_eq!((says(" nack"), answer.contains(" rtx/")), (expected, expected), "{answer}");
        assert!(says(" nack pli") && says(" goog-remb"), "{answer}");
    }
}

#[test]
fn offers_that_cannot_be_answered_are_counted_by_what_is_wrong_with_them() {
    let sluice = playing(&[]);
    let sending = CHROMIUM.replace("a=recvonly", "a=sendonly");
    let plain = CHROMIUM.replace("a=fingerprint", "a=finger");
    for (offer, status, reason) in [
        ("no SDP", 400, "syntax"),
        (&sending, 422, "direction"),
        (&plain, 422, "dtls"),
        ("v=0\r\n", 422, "sections"),
    ] {
        let counted = || sluice.metric(&format!("sluice_offers_refused_total{{reason=\"{reason}\"}}"));
        let before = counted();
        assert_eq!(sluice.request(Request::offer(ENDPOINT, offer)).status, status, "{reason}");
        assert_eq!(counted(), before + 1.0, "{reason}");
    }
}
