//! What an offer costs: whatever a stranger writes into 64 KiB, it takes no more than ten times the work of a
//! browser's offer to answer or to refuse it.
//!
//! Work is counted in allocations, which do not depend on the machine; time is compared within one run, with a
//! margin, for work that allocates nothing.
#![expect(clippy::disallowed_methods, reason = "a test may look at the clock")]

use std::time::{Duration, Instant};

use allocation_counter::measure;
use sluice::peer::Credentials;
use sluice::session::answer::{Identity, answer, negotiate};
use sluice::session::offer::{OFFER_MAX, Offer, OfferError};
use sluice::session::sdpfrag::Fragment;
use sluice::stream::{AudioFormat, Formats, VideoFormat};
use sluice_media::{AudioCodec, VideoCodec};

const CHROMIUM: &str = include_str!("data/chromium-156.sdp");

/// Times a browser's work that an offer may take, in allocations and in allocated bytes.
const TIMES: u64 = 10;

/// The same in time. Twice as much, because the clock of a busy machine is no judge.
const TIMES_IN_TIME: u32 = 20;

/// What the server does with an offer before it makes an engine.
fn work(text: &str, formats: &Formats, credentials: &Credentials) -> Result<String, OfferError> {
    let mut offer = Offer::parse(text)?;
    offer.forget_repair();
    let negotiated = negotiate(&offer, formats, || 1)?;
    let identity = Identity {
        credentials,
        fingerprint: "AB:CD",
        candidates: &["192.0.2.1:8189".parse().expect("an address")],
        tcp_port: None,
        session_id: 1,
        stream: "cam",
    };
    Ok(answer(&offer, &negotiated, &identity))
}

/// Allocations, allocated bytes and the shortest of several times.
fn cost(text: &str) -> (u64, u64, Duration) {
    let formats = Formats {
        video: Some(VideoFormat {
            codec: VideoCodec::H264,
            profile_level_id: Some([0x64, 0, 0x28]),
            size: None,
            frame_rate: None,
        }),
        audio: Some(AudioFormat::new(AudioCodec::Opus, 2)),
        ..Formats::default()
    };
    let credentials = Credentials { ufrag: "srv0".to_owned(), pwd: "s".repeat(36) };
    let once = || {
        // A refusal is written out too.
        let outcome = work(text, &formats, &credentials).map_err(|error| error.to_string());
        // And a fragment of an offer's length is no dearer.
        let _ = std::hint::black_box(Fragment::parse(text).map_err(|error| error.to_string()));
        std::hint::black_box(outcome).is_ok()
    };
    let counted = measure(|| _ = once());
    let times = (0..7).map(|_| {
        let began = Instant::now();
        once();
        began.elapsed()
    });
    (counted.count_total, counted.bytes_total, times.min().expect("seven times"))
}

/// Chromium's offer with `unit` before the first place of `at`, as often as there is room for.
fn filled(text: &str, at: &str, unit: &str) -> String {
    let place = text.find(at).unwrap_or_else(|| panic!("{at:?}"));
    let filling = unit.repeat((OFFER_MAX - text.len()) / unit.len());
    format!("{}{filling}{}", &text[..place], &text[place..])
}

/// The same with as many lines as are allowed, filled up within the lines.
fn lines(text: &str, at: &str, start: &str) -> String {
    let count = 1_024 - text.lines().count();
    let room = (OFFER_MAX - text.len()) / count;
    let line = format!("{start}{}\r\n", "x".repeat(room.saturating_sub(start.len() + 2)));
    let place = text.find(at).unwrap_or_else(|| panic!("{at:?}"));
    format!("{}{}{}", &text[..place], line.repeat(count), &text[place..])
}

#[test]
fn no_offer_costs_more_than_ten_times_a_browsers() {
    let every_type: String = (0..64).chain(96..128).map(|n| format!(" {n}")).collect();
    let all = CHROMIUM.replacen("SAVPF 96", &format!("SAVPF{every_type} 96"), 1);
    let types: String = (96..128)
        .map(|n| format!("a=rtpmap:{n} H264/90000\r\na=fmtp:{n} {}\r\n", ";".repeat(1_700)))
        .collect();
    let mut many_types = CHROMIUM.replacen("SAVPF 96", &format!("SAVPF{every_type} 96"), 1);
    many_types = many_types.replacen("a=rtcp-rsize\r\n", &format!("a=rtcp-rsize\r\n{types}"), 1);
    let attribute = "a=rtcp-rsize\r\n";
    let (own, session) = (attribute, "a=group:");
    let mut shapes = vec![
        ("every type with a long a=fmtp", many_types),
        ("members of the bundle", filled(CHROMIUM, " 0 1\r\n", " 0")),
        ("unknown members", filled(CHROMIUM, " 0 1\r\n", " z")),
        ("payload types", filled(CHROMIUM, " 96 97", " 96")),
        ("a mid", filled(CHROMIUM, "0\r\na=extmap", "0")),
        ("a name that is not ASCII", filled(CHROMIUM, "s=-", "s=\u{e9}\u{e8}\u{9580}")),
        ("an origin", filled(CHROMIUM, "o=-", "o=- ")),
        ("one line", filled(CHROMIUM, own, "a=x")),
        ("short lines", filled(CHROMIUM, own, "a=x\r\n")),
        ("empty lines", filled(CHROMIUM, own, "\r\n")),
        ("empty attributes", filled(CHROMIUM, own, "a=\r\n")),
        ("sections", filled(CHROMIUM, "m=audio", "m=x 9 x x\r\n")),
        ("colons", filled(CHROMIUM, own, "a=:::::::::\r\n")),
        ("one long a=fmtp", filled(CHROMIUM, "level-asymmetry-allowed", "packetization-mode=;")),
        ("one long a=rtpmap", filled(CHROMIUM, "VP8/90000", "/")),
        ("one long fingerprint", filled(CHROMIUM, "a=fingerprint", "a=fingerprint:sha-256 00:")),
        ("one long a=setup", filled(CHROMIUM, "actpass", "x")),
        ("one long credential", filled(CHROMIUM, "nG2j", "x")),
        ("not SDP", "\u{0}".repeat(OFFER_MAX)),
        ("nothing but names", "a=".repeat(OFFER_MAX / 2)),
    ];
    for start in [
        "a=rtcp-fb:* x ",
        "a=rtcp-fb:96 ",
        "a=fmtp:* ",
        "a=rtpmap:96 ",
        "a=extmap:3 ",
        "a=extmap:3/recvonly urn:",
        "a=fingerprint:sha-512 ",
        "a=candidate:",
        "a=ssrc:1 ",
        "a=group:BUNDLE 0 1 ",
        "a=ice-ufrag:",
        "a=ice-pwd:",
        "a=mid:",
        "a=",
        "b=",
        "c=",
        "t=",
        "r=",
        "k=",
        "i=",
    ] {
        shapes.push((start, lines(&all, own, start)));
        shapes.push((start, lines(&all, session, start)));
    }
    // Lines that count: for all types, and for each.
    let all_types = format!("a=rtcp-fb:* nack pli{}", " ".repeat(30));
    shapes.push(("feedback for all types", lines(&all, own, &all_types)));
    let browser = cost(CHROMIUM);
    for (name, text) in &shapes {
        assert!(text.len() <= OFFER_MAX && text.len() + 4_000 > OFFER_MAX, "{name}: {} bytes", text.len());
        let (count, bytes, time) = cost(text);
        println!(
            "{:5.1} {:5.1} {:5.1} {name}",
            count as f64 / browser.0 as f64,
            bytes as f64 / browser.1 as f64,
            time.as_secs_f64() / browser.2.as_secs_f64()
        );
        assert!(count <= browser.0 * TIMES, "{name}: {count} allocations, a browser's takes {}", browser.0);
        assert!(bytes <= browser.1 * TIMES, "{name}: {bytes} bytes, a browser's takes {}", browser.1);
        assert!(time <= browser.2 * TIMES_IN_TIME, "{name}: {time:?}, a browser's takes {:?}", browser.2);
    }
}
