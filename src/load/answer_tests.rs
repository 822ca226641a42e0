//! Viewers take the answers of other servers (tests/data) as they are, and check the addresses in them.
#![expect(clippy::disallowed_methods, reason = "tests need some instant")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluice_media::VideoCodec;
use sluice_media::dtls::SharedDtls;

use super::client::{Behaviour, Client, ClientError, Stage};
use super::formats::{Format, Formats};
use super::impair::Impairment;

const MEDIAMTX: &str = include_str!("../../tests/data/mediamtx-1.20.1-answer.sdp");
const GO2RTC: &str = include_str!("../../tests/data/go2rtc-1.9.14-answer.sdp");
const JANUS: &str = include_str!("../../tests/data/janus-1.4.1-answer.sdp");

const OPUS: Format = Format::Media { video: false, codec: None, clock: 48_000 };
const H264: Format = Format::Media { video: true, codec: Some(VideoCodec::H264), clock: 90_000 };

/// The names of the sections of an offer or answer, in order.
fn sections(sdp: &str) -> Vec<&str> {
    sdp.lines().filter_map(|line| line.strip_prefix("a=mid:")).collect()
}

/// A viewer that was given this answer, and where it sends to in the next two seconds.
fn answered(answer: &str) -> Result<(Client, BTreeSet<SocketAddr>), ClientError> {
    let (mut now, dtls) = (Instant::now(), SharedDtls::new().expect("the crypto library works"));
    let behaviour = Behaviour { nack: true, verify: None, impairment: Impairment::default(), seed: 0 };
    let local = "10.77.0.1:4000".parse().expect("an address");
    let (mut client, offer) = Client::new(now, local, 0, behaviour, &dtls)?;
    let (theirs, ours) = (sections(answer), sections(&offer));
    assert_eq!(theirs.len(), ours.len(), "{answer}");
    let answer = theirs.iter().zip(ours).fold(answer.to_owned(), |sdp, (their, our)| sdp.replace(their, our));
    let mut checked = BTreeSet::new();
    let mut out = |to: SocketAddr, _: &[u8]| {
        checked.insert(to);
    };
    client.handle_answer(now, &answer, &mut out)?;
    let end = now + Duration::from_secs(2);
    while now < end {
        now = client.deadline().clamp(now + Duration::from_millis(1), end);
        client.handle_timeout(now, &mut out)?;
    }
    Ok((client, checked))
}

fn addresses(texts: &[&str]) -> BTreeSet<SocketAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

#[test]
fn answers_of_other_servers_name_their_formats() {
    for (server, answer, expected) in [
        ("MediaMTX", MEDIAMTX, &[(111, OPUS), (108, H264)][..]),
        ("go2rtc", GO2RTC, &[(111, OPUS), (127, H264), (108, H264), (114, H264)]),
        ("Janus", JANUS, &[(111, OPUS), (127, H264), (121, Format::Repair { of: 127 })]),
    ] {
        let formats = Formats::of_answer(answer);
        for (payload_type, format) in expected {
            assert_eq!(formats.get(*payload_type), Some(*format), "{server}, {payload_type}");
        }
        assert_eq!(formats.get(96), None, "{server}: offered and not answered");
    }
}

#[test]
fn the_addresses_in_answers_of_other_servers_are_checked() {
    for (server, answer, expected) in [
        ("MediaMTX", MEDIAMTX, &["127.0.0.1:25189", "10.77.0.1:25189"][..]),
        ("go2rtc", GO2RTC, &["10.77.0.1:25187"]),
        ("Janus", JANUS, &["10.77.0.1:25465"]),
    ] {
        let (client, checked) = answered(answer).unwrap_or_else(|error| panic!("{server}: {error}"));
        assert_eq!(checked, addresses(expected), "{server}");
        assert_eq!(client.stage(), Stage::Checking, "{server}");
    }
}

#[test]
fn candidates_that_mean_nothing_to_a_viewer_do_no_harm() {
    let strange = "a=candidate:1 1 udp 2113937151 0a1b2c3d-0000-4000-8000-000000000000.local 8189 typ host\r\n\
                   a=candidate:2 1 tcp 1671430143 10.77.0.1 9 typ host tcptype active\r\n\
                   a=candidate:3 1 udp 2122262783 fe80::1 8189 typ host network-id 2\r\n\
                   a=candidate:4 2 udp 2130706430 10.77.0.1 25466 typ host generation 0 network-cost 999\r\n\
                   a=end-of-candidates\r\n";
    let answer = JANUS.replacen("a=end-of-candidates\r\n", strange, 1);
    let (client, checked) = answered(&answer).expect("the answer is good");
    assert!(checked.is_superset(&addresses(&["10.77.0.1:25465"])), "{checked:?}");
    assert_eq!(client.stage(), Stage::Checking);
}

#[test]
fn a_server_without_an_address_for_us_is_not_a_server_that_left() {
    let answer: String = MEDIAMTX.split_inclusive('\n').filter(|line| !line.contains(" udp ")).collect();
    let (client, checked) = answered(&answer).expect("the answer is good");
    assert_eq!(checked, BTreeSet::new(), "TCP is not spoken");
    // It may still call us from an address that it did not name; the worker's time limit ends it.
    assert_eq!(client.stage(), Stage::Checking);
}
