//! The endpoint besides answering offers: other methods, limits, streams without a picture, the form of refusals.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use sluice_harness::player::Player;
use sluice_harness::{Request, wait_for};

use crate::{AIORTC, CHROMIUM, ENDPOINT, SLUICE, join, playing, refused, retry_after};

#[test]
fn e12_get_is_204_without_content() {
    let sluice = playing(&[]);
    let answer = sluice.request(Request::get(ENDPOINT));
    assert_eq!((answer.status, answer.body.len()), (204, 0));
}

#[test]
fn e13_head_tells_that_this_is_a_whep_endpoint() {
    let sluice = playing(&[]);
    let answer = sluice.request(Request::new("HEAD", ENDPOINT));
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), Some("application/sdp"));
    assert_eq!(sluice.request(Request::new("HEAD", "/nothing/whep")).status, 404);
}

#[test]
fn e14_options_answers_preflights_with_every_header_a_player_needs() {
    let sluice = playing(&[]);
    let (_, location) = join(&sluice, CHROMIUM);
    let preflight = |path: &str| {
        let request = Request::new("OPTIONS", path).header("Origin", "https://tv.example.com");
        sluice.request(request.header("Access-Control-Request-Method", "POST"))
    };
    // A preflight must work for any name: a browser shows no script the status of one that failed.
    for path in [ENDPOINT, &location, "/nothing/whep", "/demo/whep/nothing"] {
        let answer = preflight(path);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        for (name, value) in [
            ("accept-post", "application/sdp"),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "OPTIONS, HEAD, GET, POST, PATCH, DELETE"),
            ("access-control-allow-headers", "Authorization, Content-Type, If-Match, ETag, Prefer"),
            ("access-control-max-age", "86400"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let exposed = answer.header("access-control-expose-headers").expect("exposed headers");
        for name in
            ["Location", "Link", "ETag", "Accept-Patch", "Retry-After", "Access-Control-Allow-Methods"]
        {
            assert!(exposed.split(", ").any(|other| other == name), "{name} in {exposed}");
        }
    }
    // Refusals too: without the header the page could not read why.
    let answer = sluice.request(Request::offer("/nothing/whep", CHROMIUM));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));

    let sluice = playing(&["--set", "http.allow_origin=https://tv.example.com"]);
    let preflight = Request::new("OPTIONS", ENDPOINT).header("Origin", "https://tv.example.com");
    let answer = sluice.request(preflight);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://tv.example.com"));
    assert_eq!(answer.header("vary"), Some("Origin"));
}

#[test]
fn e15_e16_no_link_is_given_that_a_player_could_not_understand() {
    let sluice = playing(&[]);
    assert_eq!(join(&sluice, CHROMIUM).0.header("link"), None);
    assert_eq!(sluice.request(Request::new("OPTIONS", ENDPOINT)).header("link"), None);
}

#[test]
fn e17_a_post_is_never_redirected() {
    let sluice = playing(&[]);
    for path in [ENDPOINT, "/demo", "/demo/", "/", "/demo/whep/"] {
        let status = sluice.request(Request::offer(path, CHROMIUM)).status;
        assert!(!(300..400).contains(&status), "{path}: {status}");
    }
}

#[test]
fn e18_over_a_limit_is_503_and_a_place_that_is_left_is_given_again() {
    for (limit, sentence) in [
        ("limits.viewers=2", "the server has its 2 viewers (limits.viewers)"),
        ("limits.viewers_per_stream=2", "stream \"demo\" has its 2 viewers (limits.viewers_per_stream)"),
        ("limits.pending=2", "2 joins are not connected yet (limits.pending)"),
    ] {
        let sluice = playing(&["--set", limit]);
        join(&sluice, CHROMIUM);
        let (_, location) = join(&sluice, AIORTC);
        let answer = sluice.request(Request::offer(ENDPOINT, CHROMIUM));
        assert_eq!(refused(&answer, 503), sentence);
        retry_after(&answer);
        assert_eq!(sluice.request(Request::new("DELETE", &location)).status, 200);
        wait_for("the place", || {
            let answer = sluice.request(Request::offer(ENDPOINT, CHROMIUM));
            (answer.status == 201).then_some(())
        });
    }
}

#[test]
fn e18_the_limit_of_one_stream_leaves_the_others_alone() {
    let sluice = playing(&[
        "--set",
        "limits.viewers_per_stream=1",
        "--set",
        "streams.demo.source=demo",
        "--set",
        "streams.other.source=demo",
    ]);
    sluice.wait_until_playing("other");
    join(&sluice, CHROMIUM);
    refused(&sluice.request(Request::offer(ENDPOINT, CHROMIUM)), 503);
    assert_eq!(sluice.request(Request::offer("/other/whep", CHROMIUM)).status, 201);
}

/// As many addresses as a test wants, behind a proxy that says which.
fn from(address: &str) -> Request {
    Request::offer(ENDPOINT, CHROMIUM).header("X-Forwarded-For", address)
}

const PROXY: &str = "http.trusted_proxies=127.0.0.1";

#[test]
fn e18_one_address_cannot_take_the_pending_places_of_others() {
    let sluice = playing(&["--set", PROXY, "--set", "limits.pending=40"]);
    // Offers that are never followed up, one behind the other.
    let flood: Vec<_> = (0..60).map(|_| sluice.request(from("198.51.100.1, 198.51.100.2"))).collect();
    assert_eq!(flood.iter().filter(|answer| answer.status == 201).count(), 21, "half of the places");
    let sentence = refused(&flood[59], 429);
    assert!(sentence.starts_with("21 joins of this address are not connected yet"), "{sentence}");
    assert!(sentence.contains("(limits.share_per_address is 50 %)"), "{sentence}");
    retry_after(&flood[59]);
    assert_eq!(sluice.metric("sluice_joins_refused_total{reason=\"address_pending\"}"), 39.0);
    // An IPv6 customer is one, however many addresses he uses; the first of the two above is hearsay.
    for (address, joins) in [("2001:db8::1", true), ("2001:db8:0:1::1", true), ("198.51.100.1", true)] {
        assert_eq!(sluice.request(from(address)).status == 201, joins, "{address}");
    }
    // A place is pending until its viewer is connected, and not a moment longer.
    let peers: Vec<Player> = (0..3)
        .map(|_| {
            let mut peer = Player::join(&sluice, ENDPOINT);
            peer.run_until("media", |peer| peer.is_connected() && peer.packets() > 0);
            peer
        })
        .collect();
    wait_for("places that are not pending", || {
        (sluice.request(from("198.51.100.7")).status == 201).then_some(())
    });
    drop(peers);
}

#[test]
fn e18_one_address_cannot_take_the_viewers_of_others() {
    let sluice =
        playing(&["--set", PROXY, "--set", "limits.viewers=10", "--set", "limits.share_per_address=20"]);
    let statuses: Vec<u16> = (0..5).map(|_| sluice.request(from("198.51.100.1")).status).collect();
    assert_eq!(statuses, [201, 201, 201, 429, 429]);
    let sentence = refused(&sluice.request(from("198.51.100.1")), 429);
    assert!(
        sentence.starts_with("this address has 3 viewers; the places that are left are for others"),
        "{sentence}"
    );
    assert_eq!(sluice.request(from("198.51.100.2")).status, 201);
}

#[test]
fn e23_one_address_joins_at_a_rate_whatever_it_calls_itself() {
    let sluice = playing(&["--set", "limits.joins_per_address=1"]);
    // Nobody is told to trust 127.0.0.1 here.
    let answers: Vec<_> = (1..=9).map(|n| sluice.request(from(&format!("198.51.100.{n}")))).collect();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses[..5], [201; 5], "a burst of five seconds' worth");
    let last = answers.iter().rev().find(|answer| answer.status == 429).expect("a refusal");
    assert_eq!(
        refused(last, 429),
        "this address joins more than 1 times a second (limits.joins_per_address)"
    );
    assert_eq!(retry_after(last), 1);
    assert!(sluice.metric("sluice_joins_refused_total{reason=\"address_rate\"}") >= 1.0);
    // What is wrong with an offer is not looked for before: that is what the rate is for.
    assert_eq!(sluice.request(Request::offer(ENDPOINT, "v=0")).status, 429);
    wait_for("another join", || (sluice.request(from("198.51.100.1")).status == 201).then_some(()));
}

#[test]
fn a_slash_behind_the_endpoint_does_no_harm() {
    let sluice = playing(&[]);
    for path in ["/demo/whep/", "/demo/whep/?x=y"] {
        let answer = sluice.request(Request::offer(path, CHROMIUM));
        assert_eq!(answer.status, 201, "{}", answer.text());
        let session = answer.session(path).expect("a session");
        assert!(session.starts_with("/demo/whep/"), "{session}");
        assert_eq!(sluice.request(Request::new("DELETE", &session)).status, 200);
    }
}

#[test]
fn e19_a_stream_without_a_picture_is_409_and_one_that_cannot_be_is_404() {
    let sluice = SLUICE.start(&["cam=rtsp://127.0.0.1:1/x"]);
    let answer = sluice.request(Request::offer("/cam/whep", CHROMIUM));
    let sentence = refused(&answer, 409);
    assert!(sentence.starts_with("stream \"cam\" has no picture yet: "), "{sentence}");
    retry_after(&answer);
    // Once the attempt has failed, the sentence says why.
    wait_for("the camera's error", || {
        let answer = sluice.request(Request::offer("/cam/whep", CHROMIUM));
        retry_after(&answer);
        let sentence = refused(&answer, 409);
        assert!(!sentence.contains("127.0.0.1"), "where the camera is concerns nobody here: {sentence}");
        // For pages, without what the sentence says around it.
        let problem = answer.json();
        let reason = problem["reason"].as_str().expect("a reason");
        assert!(sentence.contains(reason) && !reason.contains("no picture yet"), "{reason}");
        (problem["cause"] == "unreachable" && reason.contains("cannot be reached")).then_some(())
    });
    let answer = sluice.request(Request::offer("/nothing/whep", CHROMIUM));
    assert_eq!(
        refused(&answer, 404),
        "there is no stream named \"nothing\"; the start page / lists those there are"
    );
    assert_eq!(answer.header("retry-after"), None);
}

/// Plays a camera whose pictures all refer to ones before, until the other end closes.
#[expect(clippy::disallowed_methods, reason = "the pace of a camera")]
fn camera_without_keyframes(stream: TcpStream) -> std::io::Result<()> {
    const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n\
        m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n";
    let (mut lines, mut stream) = (BufReader::new(stream.try_clone()?).lines(), stream);
    loop {
        let request: Vec<String> = lines
            .by_ref()
            .take_while(|line| line.as_ref().is_ok_and(|l| !l.is_empty()))
            .collect::<Result<_, _>>()?;
        let Some(first) = request.first() else { return Ok(()) };
        let cseq = request.iter().find(|line| line.starts_with("CSeq")).map_or("", String::as_str);
        let (headers, body) = match first.split(' ').next() {
            Some("DESCRIBE") => {
                (format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", SDP.len()), SDP)
            }
            Some("SETUP") => {
                ("Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n".to_owned(), "")
            }
            _ => (String::new(), ""),
        };
        stream.write_all(format!("RTSP/1.0 200 OK\r\n{cseq}\r\n{headers}\r\n{body}").as_bytes())?;
        if first.starts_with("PLAY") {
            break;
        }
    }
    for sequence in 0..=u8::MAX {
        let ticks = u32::from(sequence) * 9_000;
        let mut packet = vec![b'$', 0, 0, 16, 0x80, 0xe0, 0, sequence];
        packet.extend_from_slice(&ticks.to_be_bytes());
        // An SSRC, and the head of a P slice: ue 0, ue 0, ue 0.
        packet.extend_from_slice(&[1, 2, 3, 4, 0x41, 0b1110_0000, 0x80, 1]);
        stream.write_all(&packet)?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a camera is none of the server's threads")]
fn a_camera_that_sends_pictures_but_no_keyframe_is_409_with_the_way_out() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let source = format!("cam=rtsp://{}/x", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = camera_without_keyframes(stream);
        }
    });
    let sluice = SLUICE.start(&[&source]);
    wait_for("the camera's pictures", || {
        let answer = sluice.request(Request::offer("/cam/whep", CHROMIUM));
        retry_after(&answer);
        let sentence = refused(&answer, 409);
        assert!(sentence.starts_with("stream \"cam\" has no picture yet: "), "{sentence}");
        (sentence.contains("no keyframe for") && sentence.contains("intra refresh")).then_some(())
    });
}

#[test]
fn e21_refusals_are_problem_details_with_an_error_for_older_players() {
    let sluice = playing(&[]);
    let answer = sluice.request(Request::offer("/nothing/whep", CHROMIUM));
    let problem = answer.json();
    assert_eq!(problem["type"], "about:blank");
    assert_eq!(problem["title"], "Not Found");
    assert_eq!(problem["status"], 404);
    assert_eq!(problem["detail"], problem["error"]);
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
}

#[test]
fn e23_session_urls_cannot_be_guessed() {
    let sluice = playing(&[]);
    let mut urls: Vec<String> = (0..8).map(|_| join(&sluice, CHROMIUM).1).collect();
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), 8);
    // 128 bits: any two differ in about half of their digits, not in a counter at the end.
    let digits = |url: &str| url.rsplit('/').next().unwrap_or_default().as_bytes().to_vec();
    for pair in urls.windows(2) {
        let same = digits(&pair[0]).iter().zip(digits(&pair[1])).filter(|(a, b)| **a == *b).count();
        assert!(same < 16, "{pair:?}");
    }
    // The log follows sessions by their first digits, which open nothing.
    let log = sluice.log();
    assert!(urls.iter().all(|url| !log.contains(url.rsplit('/').next().expect("an id"))), "{log}");
}

#[test]
fn other_methods_are_405_with_those_allowed() {
    let sluice = playing(&[]);
    let (_, location) = join(&sluice, CHROMIUM);
    for (method, path, allow) in [
        ("PUT", ENDPOINT, "GET, HEAD, OPTIONS, POST"),
        ("DELETE", ENDPOINT, "GET, HEAD, OPTIONS, POST"),
        ("PATCH", ENDPOINT, "GET, HEAD, OPTIONS, POST"),
        ("POST", &location, "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("PUT", &location, "DELETE, GET, HEAD, OPTIONS, PATCH"),
    ] {
        let answer = sluice.request(Request::new(method, path));
        assert_eq!(refused(&answer, 405), format!("this URL takes {allow}"));
        assert_eq!(answer.header("allow"), Some(allow));
    }
}
