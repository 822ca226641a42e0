use bytes::Bytes;
use sluice_media::VideoCodec;

use super::super::order::Ordered;
use super::super::sdp;
use super::*;

const SPS: &[u8] =
    b"\x67\x64\x00\x15\xac\xec\x14\x10\xfc\xb8\x08\x80\x00\x00\x03\x00\x80\x00\x00\x0a\x0f\x8a\x15\x70";
const SLICE: &[u8] = &[0x41, 0x9a, 2];

fn packet(payload_type: u8, number: u16, ssrc: u8, payload: &[u8]) -> Bytes {
    let [high, low] = number.to_be_bytes();
    [&[0x80, payload_type, high, low, 0, 0, 0, 0, 0, 0, 0, ssrc], payload].concat().into()
}

fn offers(sections: &str) -> Vec<Offer> {
    sdp::read(sections.as_bytes()).media.iter().map(Offer::from).collect()
}

fn route(offers: &[Offer], media: usize) -> Route {
    let first = 2 * media as u8;
    let track = Track { channels: (first, first + 1), ..Track::new(media, media == 0, String::new()) };
    Route::new(&track, &offers[media])
}

const VIDEO: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";
const SOUND: &str = "m=audio 0 RTP/AVP 0\r\n";

#[expect(clippy::disallowed_methods, reason = "any instant serves")]
fn epoch() -> Instant {
    Instant::now()
}

#[test]
fn another_channel_counts_only_while_the_own_one_is_silent() {
    let (start, offers) = (epoch(), offers(&format!("{VIDEO}{SOUND}")));
    let mut routes = [route(&offers, 0), route(&offers, 1)];
    let after = |seconds| start + Duration::from_secs(seconds);
    // Channels swapped, or none of those announced.
    assert_eq!(find(&mut routes, 2, 96, start), Some(0));
    assert_eq!(find(&mut routes, 0, 0, start), Some(1));
    assert_eq!(find(&mut routes, 9, 96, start), Some(0));
    assert_eq!(find(&mut routes, 9, 98, start), None);
    // The own one brings it: others of its type are strangers, until it is silent.
    assert_eq!(find(&mut routes, 0, 96, after(1)), Some(0));
    assert_eq!(find(&mut routes, 9, 96, after(2)), None);
    assert_eq!(find(&mut routes, 0, 98, after(2)), Some(0), "of another type, on its own channel");
    assert_eq!(find(&mut routes, 9, 96, after(3)), Some(0));
}

#[test]
fn the_own_channels_sender_takes_the_place_of_another_channels_at_once() {
    let (start, offers) = (epoch(), offers(VIDEO));
    let mut routes = [route(&offers, 0)];
    let mut out: Vec<Ordered> = Vec::new();
    for (channel, ssrc) in [(9, 7), (0, 1), (0, 1)] {
        if let Some(at) = find(&mut routes, channel, 96, start) {
            routes[at].order.push(packet(96, 5, ssrc, SLICE), start, None, &mut out);
        }
    }
    assert!(out.len() >= 2 && out[1].restarted, "{out:?}");
}

/// How many packets of `payload_type` came until they were taken or that was told, and the note.
fn judged(route: &mut Route, offers: &[Offer], payload_type: u8, payload: &[u8]) -> (u32, Option<String>) {
    let announced: Vec<u8> = offers.iter().flat_map(Offer::payload_types).collect();
    let news = (1..200).find(|_| {
        route.judge(&packet(payload_type, 1, 1, payload), &offers[0], Some(VideoCodec::H264), &announced)
    });
    (news.unwrap_or(0), route.note().cloned())
}

#[test]
fn a_type_that_is_not_announced_is_taken_where_only_it_comes_and_can_be_read() {
    let offers = offers(&format!("{VIDEO}{SOUND}"));
    let mut first = route(&offers, 0);
    assert_eq!(judged(&mut first, &offers, 97, SPS).0, 1, "it begins as a session does");
    assert!(first.takes(97) && !first.had_gap());
    assert!(first.note().is_some_and(|note| note.contains("payload type 97, the camera announces 96")));

    let mut later = route(&offers, 0);
    assert!(!later.judge(&packet(96, 1, 1, SLICE), &offers[0], Some(VideoCodec::H264), &[96]));
    let (count, note) = judged(&mut later, &offers, 97, SLICE);
    assert_eq!((count, later.takes(97), later.had_gap()), (MANY_OTHERS, true, true), "{note:?}");

    for (what, payload_type, payload) in
        [("no H.264", 97, &[0x80_u8, 1, 2][..]), ("another section's", 0, SLICE)]
    {
        let mut route = route(&offers, 0);
        let (count, note) = judged(&mut route, &offers, payload_type, payload);
        assert_eq!((count, route.takes(payload_type)), (MANY_OTHERS, false), "{what}");
        assert!(note.is_some_and(|note| note.contains("is left out")), "{what}");
    }
}

#[test]
fn a_type_that_comes_between_those_announced_is_never_taken() {
    let offers = offers(VIDEO);
    let mut route = route(&offers, 0);
    for number in 0..500 {
        let payload_type = if number % 10 == 0 { 96 } else { 97 };
        let packet = packet(payload_type, number, 1, SLICE);
        assert!(!route.judge(&packet, &offers[0], Some(VideoCodec::H264), &[96]));
    }
    assert!(!route.takes(97));
}

#[test]
fn all_announced_types_of_one_codec_are_taken() {
    let two = "m=video 0 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 H264/90000\r\n";
    let offers = offers(two);
    let mut routes = [route(&offers, 0)];
    assert_eq!(find(&mut routes, 0, 97, epoch()), Some(0));
    let mut out = Vec::new();
    routes[0].order.push(packet(97, 1, 1, SLICE), epoch(), None, &mut out);
    assert_eq!(out.len(), 1);
}
