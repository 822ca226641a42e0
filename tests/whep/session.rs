//! The session URL: trickle, ICE restart, end.

use sluice_harness::player::Player;
use sluice_harness::{Request, Response, Sluice, wait_for};
use str0m::IceCreds;

use crate::{CHROMIUM, ENDPOINT, join, playing, refused};

const SDPFRAG: &str = "application/trickle-ice-sdpfrag";

/// The credentials in [`CHROMIUM`], as its trickle fragments repeat them.
fn offered(name: &str) -> &'static str {
    let start = CHROMIUM.find(name).expect(name) + name.len();
    CHROMIUM[start..].lines().next().expect("a line")
}

/// What Chromium trickles: its current credentials and one candidate with an mDNS name.
fn trickle() -> String {
    format!(
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2113937151 eb2d48f8-88f7-4d8c-bea3-c6adbd8c3065.local 5000 typ host\r\n\
         a=candidate:2 1 tcp 1 192.0.2.1 9 typ host tcptype active\r\na=end-of-candidates\r\n",
        offered("a=ice-ufrag:"),
        offered("a=ice-pwd:")
    )
}

fn restart(ufrag: &str) -> String {
    format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:0123456789abcdefghijkl\r\n")
}

fn patch(url: &str, body: &str) -> Request {
    Request::new("PATCH", url).header("Content-Type", SDPFRAG).body(body)
}

fn ended(sluice: &Sluice, reason: &str) -> f64 {
    sluice.metric(&format!("sluice_viewer_ends_total{{reason=\"{reason}\"}}"))
}

/// The value of an attribute of a fragment.
fn value(fragment: &Response, name: &str) -> String {
    let text = fragment.text();
    let line = text.split("\r\n").find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
}

#[test]
fn s1_delete_frees_the_session_whatever_if_match_says() {
    let sluice = playing(&[]);
    for header in [None, Some("\"something else\""), Some("*")] {
        let (_, url) = join(&sluice, CHROMIUM);
        let mut delete = Request::new("DELETE", &url);
        if let Some(tag) = header {
            delete = delete.header("If-Match", tag);
        }
        assert_eq!(sluice.request(delete.clone()).status, 200);
        // It is gone at once, for every method.
        let sentence = refused(&sluice.request(delete), 404);
        assert_eq!(sentence, "no such session: it has ended, or never was; POST a new offer to begin one");
        refused(&sluice.request(Request::get(&url)), 404);
        refused(&sluice.request(patch(&url, &trickle())), 404);
    }
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
    sluice.wait_for_metric("sluice_stream_viewers{stream=\"demo\"}", "is 0", |viewers| viewers == 0.0);
    assert_eq!(ended(&sluice, "deleted"), 3.0);
}

#[test]
fn s2_the_end_revokes_consent_at_once() {
    let sluice = playing(&[]);
    let mut peer = Player::join(&sluice, ENDPOINT);
    peer.run_until("media", |peer| peer.is_connected() && peer.packets() > 20);
    sluice.wait_for_metric("sluice_viewers", "is 1", |viewers| viewers == 1.0);

    assert_eq!(sluice.request(Request::new("DELETE", &peer.location)).status, 200);
    peer.run_until("the goodbye by DTLS", |peer| peer.is_closed());
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
    assert_eq!(sluice.metric("sluice_viewers"), 0.0);

    // A check that was answered before is discarded now.
    let (check, server) = peer.last_check.expect("checks were sent");
    let discarded = "sluice_ingress_discarded_datagrams_total{reason=\"unknown_ufrag\"}";
    let before = sluice.metric(discarded);
    peer.socket.set_nonblocking(true).expect("non-blocking");
    while peer.socket.recv(&mut [0; 2_000]).is_ok() {}
    peer.socket.send_to(&check, server).expect("a datagram is sent");
    sluice.wait_for_metric(discarded, "counts it", |discarded| discarded > before);
    assert!(peer.socket.recv(&mut [0; 2_000]).is_err(), "it was answered");
}

#[test]
fn s2_a_server_that_stops_says_goodbye() {
    let sluice = playing(&[]);
    let mut peer = Player::join(&sluice, ENDPOINT);
    peer.run_until("media", |peer| peer.is_connected() && peer.packets() > 0);
    let (status, log) = sluice.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    peer.run_until("the goodbye by DTLS", |peer| peer.is_closed());
}

#[test]
fn s3_a_viewer_that_falls_silent_is_freed() {
    let sluice = playing(&["--set", "limits.consent_timeout=15s"]);
    let mut peer = Player::join(&sluice, ENDPOINT);
    peer.run_until("media", |peer| peer.is_connected() && peer.packets() > 0);
    // Nobody runs the peer from here on.
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
    assert_eq!(ended(&sluice, "consent_expired"), 1.0);
    refused(&sluice.request(Request::new("DELETE", &peer.location)), 404);
}

#[test]
fn s3_offers_that_are_never_followed_up_hold_nobody_up_and_are_forgotten() {
    let sluice = playing(&["--set", "limits.setup_timeout=3s"]);
    let urls: Vec<String> = (0..20).map(|_| join(&sluice, CHROMIUM).1).collect();
    let mut peer = Player::join(&sluice, ENDPOINT);
    peer.run_until("media between dead joins", |peer| peer.is_connected() && peer.packets() > 20);
    sluice.wait_for_metric("sluice_sessions", "is 1", |sessions| sessions == 1.0);
    assert_eq!(ended(&sluice, "setup_timeout"), 20.0);
    refused(&sluice.request(Request::get(&urls[0])), 404);
    assert_eq!(sluice.request(Request::get(&peer.location)).status, 204);
}

#[test]
fn s4_a_patch_of_another_type_is_415_and_a_broken_one_400() {
    let sluice = playing(&[]);
    let (_, url) = join(&sluice, CHROMIUM);
    for content_type in ["application/sdp", "application/json", "text/plain"] {
        let request = Request::new("PATCH", &url).header("Content-Type", content_type).body(trickle());
        let sentence = refused(&sluice.request(request), 415);
        assert_eq!(sentence, format!("Content-Type must be {SDPFRAG}, not {content_type:?}"));
    }
    for (body, sentence) in [
        (&b""[..], "it is empty"),
        (b"{\"candidate\":\"\"}", "line 1 is neither a= nor m="),
        (b"a=ice-ufrag:abcd\r\n", "a=ice-ufrag and a=ice-pwd come together or not at all"),
        (
            b"a=ice-ufrag:a\r\na=ice-pwd:0123456789abcdefghijkl\r\n",
            "a=ice-ufrag must be 4 to 256 characters long without spaces or colons; it has 1",
        ),
        (b"a=mid:\xff\r\n", "it is not UTF-8 text"),
    ] {
        let request = Request::new("PATCH", &url).header("Content-Type", SDPFRAG).body(body);
        assert_eq!(
            refused(&sluice.request(request), 400),
            format!("the body is not an SDP fragment: {sentence}")
        );
    }
    let large = format!("a=mid:0\r\na=x:{}\r\n", "x".repeat(64 * 1024));
    refused(&sluice.request(patch(&url, &large)), 413);
    assert_eq!(sluice.request(Request::get(&url)).status, 204, "the session lives on");
}

#[test]
fn s5_s6_trickled_candidates_are_204_and_never_resolved() {
    let sluice = playing(&[]);
    let (answer, url) = join(&sluice, CHROMIUM);
    let etag = answer.header("etag").expect("an ETag").to_owned();
    let only_end = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=end-of-candidates\r\n".to_owned();
    for body in [trickle(), only_end] {
        let response = sluice.request(patch(&url, &body).header("If-Match", &etag));
        assert_eq!((response.status, response.body.len()), (204, 0), "{}", response.text());
        assert_eq!(response.header("etag"), None);
    }
}

#[test]
fn s7_the_201_has_a_strong_etag_and_names_the_patch_type() {
    let sluice = playing(&[]);
    let tags: Vec<String> = (0..2)
        .map(|_| {
            let (answer, _) = join(&sluice, CHROMIUM);
            assert_eq!(answer.header("accept-patch"), Some(SDPFRAG));
            answer.header("etag").expect("an ETag").to_owned()
        })
        .collect();
    for tag in &tags {
        assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    }
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn s8_another_etag_is_412_and_a_restart_without_one_428() {
    let sluice = playing(&[]);
    let (answer, url) = join(&sluice, CHROMIUM);
    let etag = answer.header("etag").expect("an ETag").to_owned();
    for name in ["If-Match", "ETag"] {
        let sentence = refused(&sluice.request(patch(&url, &trickle()).header(name, "\"other\"")), 412);
        assert_eq!(
            sentence,
            "If-Match names another ICE session than the current one: it was restarted since"
        );
        refused(&sluice.request(patch(&url, &restart("wxyz")).header(name, "\"other\"")), 412);
    }
    let sentence = refused(&sluice.request(patch(&url, &restart("wxyz"))), 428);
    assert_eq!(sentence, "new ICE credentials restart ICE: send If-Match with \"*\" or the session's ETag");
    // Leniency: trickle needs no tag, may carry "*", and one player sends it as a request header ETag.
    assert_eq!(sluice.request(patch(&url, &trickle())).status, 204);
    for (name, tag) in [("If-Match", "*"), ("ETag", &etag), ("If-Match", &format!("\"other\", {etag}"))] {
        let response = sluice.request(patch(&url, &trickle()).header(name, tag));
        assert_eq!(response.status, 204, "{name}: {tag}");
    }
}

#[test]
fn s9_new_credentials_restart_ice_and_get_a_new_etag() {
    let sluice = playing(&[]);
    let (answer, url) = join(&sluice, CHROMIUM);
    let first = answer.header("etag").expect("an ETag").to_owned();
    let restarted = sluice.request(patch(&url, &restart("wxyz")).header("If-Match", "*"));
    assert_eq!(restarted.status, 200, "{}", restarted.text());
    assert_eq!(restarted.header("content-type"), Some(SDPFRAG));
    let second = restarted.header("etag").expect("an ETag").to_owned();
    assert_ne!(first, second);
    for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
        let old = answer.text();
        assert!(!old.contains(&value(&restarted, name)), "{name} is new");
    }
    let text = restarted.text();
    assert!(text.starts_with("a=ice-lite\r\n") && text.ends_with("a=end-of-candidates\r\n"), "{text}");
    assert_eq!(text.matches("a=candidate:").count(), 1, "{text}");

    // The old tag is over; the same credentials once more are no second restart.
    refused(&sluice.request(patch(&url, &restart("wxyz")).header("If-Match", &first)), 412);
    let again = sluice.request(patch(&url, &restart("wxyz")).header("If-Match", "*"));
    assert_eq!(again.status, 204);
    let third = sluice.request(patch(&url, &restart("stuv")).header("If-Match", &second));
    assert_eq!(third.status, 200);
}

#[test]
fn s7_the_own_credentials_of_a_bundled_section_restart_nothing() {
    let sluice = playing(&[]);
    let ufrag = offered("a=ice-ufrag:");
    // The last section says another name, as offers do whose sections could stand alone.
    let (before, last) = CHROMIUM.rsplit_once(&format!("a=ice-ufrag:{ufrag}")).expect("more sections");
    let (_, url) = join(&sluice, &format!("{before}a=ice-ufrag:Own7{last}"));
    let own = trickle().replace(ufrag, "Own7");
    assert_eq!(sluice.request(patch(&url, &own).header("If-Match", "*")).status, 204);
    assert_eq!(sluice.request(patch(&url, &restart("wxyz")).header("If-Match", "*")).status, 200);
}

#[test]
fn a_tag_that_a_proxy_made_weak_is_still_the_tag() {
    let sluice = playing(&[]);
    let (answer, url) = join(&sluice, CHROMIUM);
    let etag = answer.header("etag").expect("an ETag").to_owned();
    assert_eq!(sluice.request(patch(&url, &trickle()).header("If-Match", &format!("W/{etag}"))).status, 204);
    refused(&sluice.request(patch(&url, &trickle()).header("If-Match", "W/\"other\"")), 412);
}

#[test]
fn s9_s11_media_goes_on_after_a_restart() {
    let sluice = playing(&[]);
    let mut peer = Player::join(&sluice, ENDPOINT);
    peer.run_until("media", |peer| peer.is_connected() && peer.packets() > 20);
    let local = IceCreds { ufrag: "wxyz".to_owned(), pass: "0123456789abcdefghijkl".to_owned() };
    let answer = sluice.request(patch(&peer.location, &restart(&local.ufrag)).header("If-Match", &peer.etag));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let remote = IceCreds { ufrag: value(&answer, "a=ice-ufrag:"), pass: value(&answer, "a=ice-pwd:") };
    let server = remote.ufrag.clone();
    peer.client.restart(local, remote);
    peer.last_check = None;
    let before = peer.packets();
    // More than a check interval: the new credentials are in use, and were accepted.
    peer.run_until("media under new credentials", |peer| {
        let checked = peer
            .last_check
            .as_ref()
            .is_some_and(|(check, _)| check.windows(server.len()).any(|window| window == server.as_bytes()));
        checked && peer.packets() > before + 100
    });
    assert_eq!(sluice.metric("sluice_ingress_discarded_datagrams_total{reason=\"unauthenticated\"}"), 0.0);
    assert_eq!(sluice.metric("sluice_viewers"), 1.0);
}

#[test]
fn s10_a_restart_that_is_refused_leaves_the_session_running() {
    let sluice = playing(&[]);
    let mut peer = Player::join(&sluice, ENDPOINT);
    peer.run_until("media", |peer| peer.is_connected() && peer.packets() > 20);
    refused(&sluice.request(patch(&peer.location, &restart("wxyz")).header("If-Match", "\"other\"")), 412);
    refused(&sluice.request(patch(&peer.location, &restart("wxyz"))), 428);
    refused(&sluice.request(patch(&peer.location, "nonsense")), 400);
    let before = peer.packets();
    peer.run_until("media all the same", |peer| peer.packets() > before + 50);
}

#[test]
fn s12_get_of_a_session_is_204_without_content() {
    let sluice = playing(&[]);
    let (_, url) = join(&sluice, CHROMIUM);
    for method in ["GET", "HEAD"] {
        let answer = sluice.request(Request::new(method, &url));
        assert_eq!((answer.status, answer.body.len()), (204, 0));
    }
}

#[test]
fn a_session_is_known_under_its_own_stream_only() {
    let sluice = playing(&["--set", "streams.demo.source=demo", "--set", "streams.other.source=demo"]);
    let (_, url) = join(&sluice, CHROMIUM);
    let id = url.rsplit('/').next().expect("an id");
    for path in [
        format!("/other/whep/{id}"),
        format!("/nothing/whep/{id}"),
        format!("/demo/whep/{id}0"),
        format!("/demo/whep/{}", &id[1..]),
        "/demo/whep/00000000000000000000000000000000".to_owned(),
        "/demo/whep/x".to_owned(),
    ] {
        for method in ["GET", "DELETE"] {
            refused(&sluice.request(Request::new(method, &path)), 404);
        }
        refused(&sluice.request(patch(&path, &trickle())), 404);
    }
    assert_eq!(sluice.request(Request::new("DELETE", &url)).status, 200);
    wait_for("the end", || (sluice.metric("sluice_sessions") == 0.0).then_some(()));
}
