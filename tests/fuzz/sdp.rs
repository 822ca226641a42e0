//! Offers and fragments. What is taken must be answerable, section by section.

use rand::RngExt;
use sluice::peer::Credentials;
use sluice::session::answer::{Identity, answer, negotiate};
use sluice::session::offer::Offer;
use sluice::session::sdpfrag::Fragment;
use sluice::stream::{AudioFormat, Formats, VideoFormat};
use sluice_media::{AudioCodec, VideoCodec};

use crate::{mutate, run};

const OFFERS: [&str; 5] = [
    include_str!("../data/chromium-156.sdp"),
    include_str!("../data/chromium-156-datachannel.sdp"),
    include_str!("../data/aiortc-1.16.sdp"),
    include_str!("../data/libdatachannel-0.24.sdp"),
    include_str!("../data/werift-0.24.sdp"),
];

const FRAGMENT: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\na=ice-options:trickle\r\n\
                        m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
                        a=candidate:1 1 udp 2113937151 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n";

fn formats() -> Formats {
    let video = VideoFormat {
        codec: VideoCodec::H264,
        profile_level_id: Some([0x42, 0xc0, 0x1f]),
        size: None,
        frame_rate: None,
    };
    let audio = AudioFormat::new(AudioCodec::Opus, 2);
    Formats { video: Some(video), audio: Some(audio), ..Formats::default() }
}

#[test]
fn an_offer_is_refused_or_answered() {
    let (formats, mut answered) = (formats(), 0);
    let credentials = Credentials { ufrag: "abcd".to_owned(), pwd: "0123456789abcdef0123456789".to_owned() };
    let candidates = ["192.0.2.1:8189".parse().expect("an address")];
    run(1_500, |random| {
        let text = match random.random_range(0..10) {
            0 => String::from_utf8_lossy(&mutate::noise(random, 2_000)).into_owned(),
            index => mutate::text(random, OFFERS[index % OFFERS.len()]),
        };
        let Ok(offer) = Offer::parse(&text) else { return };
        let Ok(negotiated) = negotiate(&offer, &formats, || 7) else { return };
        assert_eq!(negotiated.media.len(), offer.sections.len());
        let identity = Identity {
            credentials: &credentials,
            fingerprint: "00",
            candidates: &candidates,
            tcp_port: None,
            session_id: 1,
            stream: "cam",
        };
        let sdp = answer(&offer, &negotiated, &identity);
        let sections = sdp.split("\r\n").filter(|line| line.starts_with("m=")).count();
        assert_eq!(sections, offer.sections.len(), "{sdp}");
        let sound = |line: &str| line.is_empty() || line.as_bytes().get(1) == Some(&b'=');
        assert!(sdp.split("\r\n").all(sound), "{sdp}");
        assert!(!sdp.replace("\r\n", "").contains(['\r', '\n', '\0']), "{sdp}");
        answered += 1;
    });
    assert!(answered > 0, "damage that nothing survives reaches nothing");
}

#[test]
fn a_fragment_is_refused_or_read() {
    let mut read = 0;
    run(1_500, |random| {
        let text = match random.random_range(0..10) {
            0 => String::from_utf8_lossy(&mutate::noise(random, 1_000)).into_owned(),
            _ => mutate::text(random, FRAGMENT),
        };
        let Ok(fragment) = Fragment::parse(&text) else { return };
        read += 1;
        assert!(fragment.candidates <= text.lines().count());
        for Credentials { ufrag, pwd } in fragment.credentials {
            assert!((4..=256).contains(&ufrag.len()) && (22..=256).contains(&pwd.len()));
        }
    });
    assert!(read > 0);
}
