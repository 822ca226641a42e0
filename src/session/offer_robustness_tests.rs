//! Whatever arrives as an offer is refused or sound, in bounded time, without a panic.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// The largest bodies that take the most work. The bound is far above what they take (milliseconds) and far below
/// what work that grows with the square of the length would.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test may look at the clock")]
fn the_largest_offers_take_bounded_time() {
    let fill = |from: &str, unit: &str, rest: &str| {
        let room = OFFER_MAX - SMALL.len() - rest.len();
        changed(from, &format!("{from}{}{rest}", unit.repeat(room / unit.len())))
    };
    let attributes = "a=x\r\n".repeat(6_000);
    for text in [
        fill("SAVPF 96", " 0", &format!("\r\n{attributes}a=x")),
        fill("SAVPF 96", &(0..127).map(|n| format!(" {n}")).collect::<String>(), ""),
        fill("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "a=rtpmap:96 H264/90000\r\n", ""),
        fill("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "a=\r\n", ""),
        fill("a=group:BUNDLE v a", " v", ""),
        fill("a=group:BUNDLE v a\r\n", "a=group:BUNDLE v\r\n", ""),
        fill("a=recvonly\r\n", "a=extmap:1 urn:x\r\n", ""),
        fill("a=recvonly\r\n", "a=fingerprint:sha-512 00\r\n", ""),
        fill("a=recvonly\r\n", "m=x 9 x x\r\n", ""),
    ] {
        let began = Instant::now();
        let _ = Offer::parse(&text);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?} for {:?}...", began.elapsed(), &text[..200]);
    }
}

/// One change that a broken client or proxy could make to an offer.
#[derive(Debug, Clone)]
enum Damage {
    Drop(Index),
    Repeat(Index),
    Swap(Index, Index),
    Cut(Index),
    Insert(Index, char),
    Line(Index, String),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words = "(a|m|v|c)=(mid|group|rtpmap|fmtp|setup|fingerprint|ice-ufrag|extmap|video)?:?[ -~]{0,24}";
    prop_oneof![
        any::<Index>().prop_map(Damage::Drop),
        any::<Index>().prop_map(Damage::Repeat),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Swap(a, b)),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), any::<char>()).prop_map(|(at, c)| Damage::Insert(at, c)),
        (any::<Index>(), words).prop_map(|(at, line)| Damage::Line(at, line)),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> String {
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    for damage in damages {
        match damage {
            Damage::Drop(at) => drop(lines.remove(at.index(lines.len()))),
            Damage::Repeat(at) => {
                let at = at.index(lines.len());
                lines.insert(at, lines[at].clone());
            }
            Damage::Swap(a, b) => {
                let (a, b) = (a.index(lines.len()), b.index(lines.len()));
                lines.swap(a, b);
            }
            Damage::Cut(at) => lines.truncate(at.index(lines.len()) + 1),
            Damage::Insert(at, c) => {
                let at = at.index(lines.len());
                let place = lines[at].char_indices().nth(at % 8).map_or(lines[at].len(), |(place, _)| place);
                lines[at].insert(place, *c);
            }
            Damage::Line(at, line) => lines.insert(at.index(lines.len()), line.clone()),
        }
        if lines.is_empty() {
            lines.push(String::new());
        }
    }
    lines.join("\r\n")
}

/// What holds for whatever was accepted: the answer and the engine rely on it.
fn assert_sound(offer: &Offer) {
    assert!((1..=SECTIONS_MAX).contains(&offer.sections.len()));
    let live: Vec<&Section> = offer.sections.iter().filter(|section| !section.disabled).collect();
    assert!(!live.is_empty());
    for kind in [Audio, Video] {
        assert!(live.iter().filter(|section| section.kind == kind).count() <= 1);
    }
    for (index, section) in live.iter().enumerate() {
        assert!(
            (1..=MID_MAX).contains(&section.mid.len()) && section.mid.bytes().all(|b| b.is_ascii_graphic())
        );
        assert!(live[..index].iter().all(|other| other.mid != section.mid), "mids differ");
    }
    for section in &offer.sections {
        assert!(section.payloads.len() <= payload::FORMATS_MAX);
        assert!(
            section
                .payloads
                .iter()
                .all(|payload| payload.payload_type < 64 || (96..128).contains(&payload.payload_type))
        );
        assert!(section.extensions.iter().all(|(id, _)| (1..=14).contains(id)));
        assert!(![&section.media, &section.proto, &section.formats].iter().any(|text| text.contains('\r')));
    }
    let mut order = offer.bundle.clone();
    order.sort_unstable();
    let index = |(index, section): (usize, &Section)| (!section.disabled).then_some(index);
    assert_eq!(order, offer.sections.iter().enumerate().filter_map(index).collect::<Vec<_>>());
    for carried in 0..=offer.sections.len() {
        let (hash, digest) = &offer.transport(|index| index == carried).fingerprint;
        assert!(matches!((hash.as_str(), digest.len()), ("sha-256", 32) | ("sha-1", 20)));
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let _ = Offer::parse(&text);
        let _ = Offer::parse(&format!("v=0\r\n{text}"));
        let _ = Offer::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn damaged_offers_are_refused_or_sound(
        text in select(REAL.to_vec()),
        damages in prop::collection::vec(damage(), 1..8),
    ) {
        // Most damage should reach past the direction, so FFmpeg's offer is turned around.
        let text = damaged(&text.replace("a=sendonly", "a=recvonly"), &damages);
        if let Ok(offer) = Offer::parse(&text) {
            assert_sound(&offer);
        }
    }
}
