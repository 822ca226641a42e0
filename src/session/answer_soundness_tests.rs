//! What holds for every answer, to every real offer and to what is left of it when parts are taken away.

use proptest::prelude::*;
use proptest::sample::select;
use str0m::change::SdpAnswer;

use sluice_media::AudioCodec;

use super::*;

#[test]
fn every_real_client_gets_a_sound_answer() {
    for text in REAL {
        let text = offer(text);
        for formats in [
            formats(Some(HIGH), Some(AudioCodec::Opus)),
            formats(Some(CONSTRAINED_BASELINE), None),
            formats(None, Some(AudioCodec::Opus)),
        ] {
            check(&text, &answered(&text, &negotiated(&text, &formats)));
        }
    }
}

/// What holds for every answer to `offer` (RFC 9143, RFC 9725 §4.4, JSEP).
#[track_caller]
pub(super) fn check(offer: &Offer, sdp: &str) {
    assert!(sdp.ends_with("\r\n") && !sdp.replace("\r\n", "").contains(['\r', '\n']), "{sdp:?}");
    let parsed = sdp_types::Session::parse(sdp.as_bytes()).expect("a session description");
    // The engine's own parser is as strict as any player's.
    SdpAnswer::from_sdp_string(sdp).unwrap_or_else(|error| panic!("{error}\n{sdp}"));
    let value = |name| parsed.get_first_attribute_value(name).ok().flatten();
    assert!(parsed.has_attribute("ice-lite"));
    assert_eq!(parsed.medias.len(), offer.sections.len(), "as many sections as in the offer");

    let live = |media: &&sdp_types::Media| media.port != 0;
    let mid =
        |media: &sdp_types::Media| media.get_first_attribute_value("mid").ok().flatten().map(str::to_owned);
    let bundled: Vec<String> = parsed.medias.iter().filter(live).filter_map(mid).collect();
    let group: Vec<&str> = value("group").expect("a bundle").split(' ').skip(1).collect();
    // The first of them has the candidates (RFC 9143 §7.3.1).
    let tagged = parsed.medias.iter().find(|media| media.has_attribute("candidate")).and_then(mid);
    assert_eq!(tagged.as_deref(), group.first().copied(), "{sdp}");
    let mut members = group.clone();
    members.sort_unstable();
    let mut sorted: Vec<&str> = bundled.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    assert_eq!(members, sorted, "{sdp}");

    let carried = |index: usize| parsed.medias[index].port != 0;
    let transport = offer.transport(carried);
    for (media, section) in parsed.medias.iter().zip(&offer.sections) {
        let values = |name: &'static str| -> Vec<&str> {
            media
                .attributes
                .iter()
                .filter(|a| a.attribute == name)
                .filter_map(|a| a.value.as_deref())
                .collect()
        };
        assert_eq!((&media.media, &media.proto), (&section.media, &section.proto));
        assert_eq!(mid(media).unwrap_or_default(), section.mid);
        if media.port == 0 {
            let kept = section.media == "application";
            assert_eq!(media.fmt, if kept { section.formats.as_str() } else { "0" });
            assert!(media.has_attribute("inactive") && values("ice-ufrag").is_empty());
            continue;
        }
        assert!(!section.disabled && section.kind != SectionKind::Other);
        if media.has_attribute("inactive") {
            // Only for the sake of its transport.
            assert_eq!((group[0], values("ssrc").len()), (section.mid.as_str(), 0), "{sdp}");
            let first = offer.bundle[0];
            assert!(
                offer.bundle.iter().any(|&index| index != first && offer.share_transport(first, index)),
                "{sdp}"
            );
            continue;
        }
        for flag in ["sendonly", "rtcp-mux", "rtcp-mux-only", "rtcp-rsize"] {
            assert!(media.has_attribute(flag), "{flag}\n{sdp}");
        }
        let setup = if transport.setup == Setup::Passive { "active" } else { "passive" };
        for (name, expected) in [("setup", setup), ("ice-ufrag", "srv0"), ("fingerprint", "sha-256 AB:CD")] {
            assert_eq!(values(name), [expected], "{sdp}");
        }
        let track = if section.kind == SectionKind::Video { "video" } else { "audio" };
        assert_eq!(values("msid"), [format!("gate {track}")], "one track of one stream");

        let types: Vec<u8> = media.fmt.split(' ').map(|number| number.parse().expect("a number")).collect();
        let payload = |number| section.payloads.iter().find(move |payload| payload.payload_type == number);
        let ours = payload(types[0]).expect("an offered payload type");
        let others: Vec<&Payload> =
            types[1..].iter().map(|&number| payload(number).expect("offered too")).collect();
        let (rtx, redundant): (Vec<&Payload>, Vec<&Payload>) =
            others.into_iter().partition(|payload| payload.is_repair());
        assert!(rtx.len() <= 1 && redundant.len() <= 1, "{sdp}");
        for rtx in &rtx {
            assert_eq!(rtx.parameter("apt"), Some(types[0].to_string().as_str()));
        }
        for redundant in redundant {
            assert!(redundant.is_redundancy_of(ours) && ours.name.eq_ignore_ascii_case("opus"), "{sdp}");
        }
        for line in values("rtcp-fb") {
            let (number, feedback) = line.split_once(' ').expect("two parts");
            assert_eq!(number, types[0].to_string());
            assert!(ours.feedback().any(|offered| offered == feedback), "{feedback} was not offered");
            assert!(feedback != "nack" || !rtx.is_empty(), "a NACK needs RTX");
        }
        for line in values("extmap") {
            let (id, uri) = line.split_once(' ').expect("two parts");
            let id: u8 = id.parse().expect("a number");
            assert!(section.extensions.contains(&(id, uri.to_owned())), "{line} was not offered so");
        }
        let sources = values("ssrc").len();
        assert_eq!((sources, values("ssrc-group").len()), (1 + rtx.len(), rtx.len()));
    }

    let with_candidates: Vec<usize> = (0..parsed.medias.len())
        .filter(|&index| parsed.medias[index].attributes.iter().any(|a| a.attribute == "candidate"))
        .collect();
    let [first] = with_candidates[..] else { panic!("one section has the candidates\n{sdp}") };
    assert!(parsed.medias[first].has_attribute("end-of-candidates"));
    assert_eq!(sdp.matches("a=candidate:").count(), 3);
}

/// A real offer in another order, with lines left out, sections switched off and another role.
fn variant(text: &str, swap: bool, kept: &[bool], off: [bool; 3], setup: &str) -> String {
    let text = text.replace("a=sendonly", "a=recvonly");
    let mut parts: Vec<String> = text.split("\r\nm=").map(str::to_owned).collect();
    let mut lines = 0;
    for (index, part) in parts.iter_mut().enumerate() {
        let optional = |line: &&str| {
            ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:"].iter().any(|start| line.starts_with(start))
        };
        let keep = |line: &&str| {
            lines += usize::from(optional(line));
            !optional(line) || kept[lines % kept.len()]
        };
        let kept: Vec<&str> = part.split("\r\n").filter(keep).collect();
        *part = kept.join("\r\n").replace("a=setup:actpass", setup);
        if index > 0 && off[index - 1] {
            *part = part.replacen(" 9 ", " 0 ", 1);
        }
    }
    if swap {
        let last = parts.len() - 1;
        parts[last] = parts[last].trim_end().to_owned();
        parts[1..].reverse();
        parts.push(String::new());
        return parts.join("\r\nm=").trim_end_matches("m=").to_owned();
    }
    parts.join("\r\nm=")
}

proptest! {
    #[test]
    fn every_subset_of_a_real_offer_gets_a_sound_answer_or_a_refusal(
        text in select(REAL.to_vec()),
        swap in any::<bool>(),
        kept in prop::collection::vec(prop::bool::weighted(0.8), 1..64),
        off in prop::array::uniform3(prop::bool::weighted(0.2)),
        setup in select(vec!["a=setup:actpass", "a=setup:active", "a=setup:passive"]),
        video in prop::option::weighted(0.9, any::<[u8; 3]>()),
        audio in prop::option::of(select(vec![AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma])),
    ) {
        let formats = formats(video, audio);
        let Ok(offer) = Offer::parse(&variant(text, swap, &kept, off, setup)) else { return Ok(()) };
        match try_negotiate(&offer, &formats) {
            Ok(negotiated) => check(&offer, &answered(&offer, &negotiated)),
            Err(error) => prop_assert!(!error.is_malformed()),
        }
    }
}
