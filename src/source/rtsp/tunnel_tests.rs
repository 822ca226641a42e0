use sluice_config::{Credentials, Rtsp, RtspUrl};

use super::super::RtspSettings;
use super::*;

fn settings(url: &str) -> RtspSettings {
    let camera: RtspUrl = url.parse().expect(url);
    RtspSettings { stream: "gate".to_owned(), camera, rtsp: Rtsp::default() }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn both_halves_have_the_cookie_and_the_path() {
    let settings = settings("rtsp+http://192.0.2.9:8080/live/main?channel=1");
    let mut auth = Authenticator::new(None, 1);
    let mut tunnel = Tunnel::new(&settings.camera.url, &mut auth, 0xabc);
    let (get, post) = (text(&tunnel.get()), text(&tunnel.post()));
    assert!(get.starts_with("GET /live/main?channel=1 HTTP/1.0\r\nHost: 192.0.2.9:8080\r\n"), "{get}");
    assert!(get.ends_with("Accept: application/x-rtsp-tunnelled\r\n\r\n"), "{get}");
    assert!(post.starts_with("POST /live/main?channel=1 HTTP/1.0\r\n"), "{post}");
    assert!(post.contains("Content-Type: application/x-rtsp-tunnelled\r\n") && post.ends_with("\r\n\r\n"));
    let cookie =
        |head: &str| head.lines().find(|line| line.starts_with("x-sessioncookie: ")).map(str::to_owned);
    assert_eq!(cookie(&get).expect("a cookie"), "x-sessioncookie: 0000000000000000000abc");
    assert_eq!(cookie(&get), cookie(&post));
}

#[test]
fn what_follows_the_head_of_the_answer_is_kept() {
    let settings = settings("rtsp+http://192.0.2.9/main");
    let mask = Mask::new(&settings);
    let mut auth = Authenticator::new(None, 1);
    let mut tunnel = Tunnel::new(&settings.camera.url, &mut auth, 1);
    let whole = b"HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\nRTSP/1.0";
    assert!(matches!(tunnel.opened(BytesMut::from(&whole[..30]), &mask), Opened::More));
    match tunnel.opened(BytesMut::from(&whole[..]), &mask) {
        Opened::Yes(rest) => assert_eq!(&rest[..], b"RTSP/1.0"),
        other => panic!("{other:?}"),
    }
    for refusal in ["HTTP/1.1 404 Not Found\r\n\r\n", "garbage\r\n\r\n", "HTTP/1.1 302 Found\r\n\r\n"] {
        let opened = tunnel.opened(BytesMut::from(refusal.as_bytes()), &mask);
        assert!(matches!(&opened, Opened::No(Failure::NoTunnel(_))), "{opened:?}");
    }
    let endless = BytesMut::from(&vec![b'x'; MAX_HEAD + 1][..]);
    assert!(matches!(tunnel.opened(endless, &mask), Opened::No(_)), "it is bounded");
}

#[test]
fn credentials_are_given_when_they_are_asked_for_and_not_before() {
    let mut settings = settings("rtsp+http://192.0.2.9/main");
    settings.camera.credentials = Some(Credentials { username: "u".to_owned(), password: "canary".into() });
    let mask = Mask::new(&settings);
    let mut auth = Authenticator::new(settings.camera.credentials.clone(), 1);
    let mut tunnel = Tunnel::new(&settings.camera.url, &mut auth, 1);
    assert!(!text(&tunnel.get()).contains("Authorization"));
    let challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"n1\"\r\n\r\n";
    let refused = || BytesMut::from(challenge.as_bytes());
    assert!(matches!(tunnel.opened(refused(), &mask), Opened::Again));
    let get = text(&tunnel.get());
    assert!(
        get.contains("Authorization: Digest ") && get.contains("uri=\"/main\"") && !get.contains("canary"),
        "{get}"
    );
    let again = tunnel.opened(refused(), &mask);
    assert!(matches!(again, Opened::No(Failure::TunnelSignIn(Verdict::Wrong))), "{again:?}");
}

#[test]
fn requests_are_coded_one_by_one_and_a_refusal_of_the_post_is_told() {
    let mut requests = Requests::default();
    let mut output = BytesMut::from(&b"OPTIONS * RTSP/1.0\r\n\r\n"[..]);
    requests.take(&mut output);
    assert!(output.is_empty());
    let coded = requests.coded().clone();
    assert_eq!(STANDARD.decode(&coded[..]).expect("base64"), b"OPTIONS * RTSP/1.0\r\n\r\n");
    assert_eq!(requests.answered(b"HTTP/1.0 20"), None);
    assert_eq!(requests.answered(b"0 OK\r\n"), None);
    let mut requests = Requests::default();
    let refused = requests.answered(b"HTTP/1.0 403 Forbidden\r\n").map(|refused| refused.to_string());
    assert_eq!(refused.as_deref(), Some("HTTP/1.0 403 Forbidden"));
    assert_eq!(Requests::default().answered(b"HTTP/1.1 100 Continue\r\n"), None);
}

#[test]
fn a_post_that_is_asked_who_is_there_is_made_again_with_all_that_it_had() {
    let mut settings = settings("rtsp+http://192.0.2.9/main");
    settings.camera.credentials = Some(Credentials { username: "u".to_owned(), password: "canary".into() });
    let mut auth = Authenticator::new(settings.camera.credentials.clone(), 1);
    let mut tunnel = Tunnel::new(&settings.camera.url, &mut auth, 7);
    assert!(!text(&tunnel.post()).contains("Authorization"));
    let mut requests = Requests::default();
    requests.take(&mut BytesMut::from(&b"DESCRIBE x RTSP/1.0\r\n\r\n"[..]));
    let all = requests.coded().split();
    // Its head comes in pieces.
    assert_eq!(
        requests.answered(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\","),
        None
    );
    let refused = requests.answered(b" nonce=\"n2\"\r\n\r\n").expect("refused");
    assert!(refused.asks());
    tunnel.asked(&refused).expect("there are credentials");
    let post = text(&tunnel.post());
    assert!(post.contains("Authorization: Digest ") && post.contains("nonce=\"n2\""), "{post}");
    assert!(requests.again() && requests.coded()[..] == all[..]);
    // The same again: they are wrong.
    let failed = tunnel.asked(&refused);
    assert!(matches!(failed, Err(Failure::TunnelSignIn(Verdict::Wrong))), "{failed:?}");
    // Once the server has answered a request nothing is kept.
    requests.heard();
    assert!(!requests.again());
}
