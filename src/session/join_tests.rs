//! A join depends on what it is given and on nothing else.
#![expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]

use std::sync::LazyLock;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sluice_media::{AudioCodec, VideoCodec};

use super::*;
use crate::id::StreamId;
use crate::peer::PeerLimits;
use crate::stream::{AudioFormat, VideoFormat};

const CHROMIUM: &str = include_str!("../../tests/data/chromium-156.sdp");

static DTLS: LazyLock<SharedDtls> = LazyLock::new(|| SharedDtls::new().expect("DTLS"));

fn formats() -> Formats {
    let video = VideoFormat { codec: VideoCodec::H264, profile_level_id: None, size: None, frame_rate: None };
    let audio = AudioFormat::new(AudioCodec::Opus, 2);
    Formats { video: Some(video), audio: Some(audio), ..Formats::default() }
}

fn made(offer: &str, seed: u64, now: Instant) -> Result<Joined, JoinError> {
    let formats = formats();
    let candidates = ["192.0.2.1:8189".parse().expect("an address")];
    let limits = ViewerLimits {
        peer: PeerLimits {
            setup: Duration::from_secs(10),
            consent: Duration::from_secs(30),
            fresh: crate::peer::FRESH,
        },
        report_interval: Duration::from_secs(3),
    };
    let terms = Terms {
        layer: StreamId(1).layer(0),
        name: "gate",
        formats: &formats,
        candidates: &candidates,
        tcp_port: None,
        dtls: &DTLS,
        limits,
        repair: true,
        redundancy: true,
    };
    join(offer, terms, &mut StdRng::seed_from_u64(seed), now)
}

#[test]
fn the_same_entropy_gives_the_same_join_and_other_entropy_shares_nothing_with_it() {
    let now = Instant::now();
    let [first, again, other] =
        [1, 1, 2].map(|seed| made(CHROMIUM, seed, now).expect("an offer of Chromium"));
    assert_eq!((&first.answer, &first.etag), (&again.answer, &again.etag));
    assert_eq!(first.viewer.session(), again.viewer.session());
    assert_ne!(first.viewer.session(), other.viewer.session());
    assert_ne!(first.etag, other.etag);
    let secret = |answer: &str, name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no {name} in {answer}"))
    };
    for name in ["a=ice-ufrag:", "a=ice-pwd:", "a=ssrc:", "o=- "] {
        assert_ne!(secret(&first.answer, name), secret(&other.answer, name), "{name}");
    }
    assert!(secret(&first.answer, "a=ice-pwd:").len() >= 22);
    assert_eq!(first.viewer.peer().ufrag(), secret(&first.answer, "a=ice-ufrag:"));
    assert_eq!(first.mids, ["0", "1"]);
}

#[test]
fn a_refusal_says_whose_it_is() {
    let now = Instant::now();
    assert!(matches!(made("no SDP", 1, now), Err(JoinError::Offer(OfferError::Line(1, _)))));
    let sending = CHROMIUM.replace("a=recvonly", "a=sendonly");
    assert!(matches!(made(&sending, 1, now), Err(JoinError::Offer(OfferError::Direction(_)))));
}
