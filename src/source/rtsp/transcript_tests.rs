use sluice_config::Rtsp;

use super::*;

fn mask_of(camera: &str) -> Mask {
    let camera = camera.parse().expect("a URL");
    Mask::new(&RtspSettings { stream: "cam".to_owned(), camera, rtsp: Rtsp::default() })
}

fn mask() -> Mask {
    mask_of("rtsp://admin:s3cr%2Ft@10.0.0.9:8554/user=admin_key=hunter2?token=t0ken")
}

#[test]
fn secrets_do_not_get_in() {
    let said = "DESCRIBE rtsp://10.0.0.9:8554/user=admin_key=hunter2?token=t0ken RTSP/1.0\r\n\
        Authorization: Digest username=\"admin\", response=\"6629fae49393a05397450978507c4ef1\"\r\n\
        authorization: Basic YWRtaW46czNjci90\r\n\
        X: you are s3cr/t, s3cr%2Ft\r\n\
        Location: rtsp://admin:s3cr@t@10.0.0.9/x and rtsp://b:c@d/\r\n\x1b[2J\r\n";
    let mut transcript = Transcript::new(mask());
    transcript.sent(said.as_bytes());
    let text = transcript.text();
    for secret in
        ["hunter2", "t0ken", "6629fae", "YWRtaW", "s3cr/t", "s3cr%2Ft", "admin:", "b:c", "\x1b", "\r"]
    {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(
        text.starts_with("> DESCRIBE rtsp://10.0.0.9:8554/(path)?(query) RTSP/1.0\n> Authorization: ***\n")
    );
    assert!(text.contains("rtsp://***@10.0.0.9/x and rtsp://***@d/"), "{text}");
}

#[test]
fn what_a_camera_sends_back_is_masked_wherever_it_stands() {
    let mask = mask();
    for line in [
        "RTSP/1.0 500 Authorization: Basic YWRtaW46czNjci90",
        "RTSP/1.0 400 bad Proxy-AUTHORIZATION: Digest response=\"6629fae49393a05397450978507c4ef1\"",
        "X-Echo: username=\"admin\", response=6629fae49393a05397450978507c4ef1",
        "X-Echo: YWRtaW46czNjci90 and czNjci90 and s3cr%2Ft",
        "X-Echo: basic YWRtaW46czNjci90",
    ] {
        let quote = mask.quote(line.as_bytes());
        let shown = ["YWRtaW", "czNjci", "6629fae", "s3cr"].iter().find(|secret| quote.contains(**secret));
        assert_eq!(shown, None, "in {quote}");
    }
    let challenge = "WWW-Authenticate: Basic realm=\"cam\"";
    assert_eq!(mask.text(challenge.as_bytes()), challenge);
}

#[test]
fn a_path_is_masked_where_it_is_whole() {
    let said = "DESCRIBE rtsp://10.0.0.9/cam RTSP/1.0";
    for (camera, text, wanted) in [
        (
            "rtsp://10.0.0.9/1",
            "RTSP/1.0 404 at rtsp://10.0.0.9/1/track1",
            "RTSP/1.0 404 at rtsp://10.0.0.9/(path)/track1",
        ),
        ("rtsp://10.0.0.9/1.0", "RTP/AVP RTSP/1.0 rtsp://h/1.0", "RTP/AVP RTSP/1.0 rtsp://h/(path)"),
        (
            "rtsp://10.0.0.9/cam",
            "rtsp://h/cam2 rtsp://h/cam.sdp rtsp://h/cam.",
            "rtsp://h/cam2 rtsp://h/cam.sdp rtsp://h/(path).",
        ),
        ("rtsp://10.0.0.9/cam", said, "DESCRIBE rtsp://10.0.0.9/(path) RTSP/1.0"),
        ("rtsp://a:20@10.0.0.9/", "RTSP/1.0 200 it is 20", "RTSP/1.0 200 it is (password)"),
        ("rtsp://a:2020@10.0.0.9/", "x2020x", "x(password)x"),
    ] {
        assert_eq!(mask_of(camera).quote(text.as_bytes()), wanted, "{camera}");
    }
    let mut mask = mask_of("rtsp://10.0.0.9/cam");
    mask.hide(&"rtsp://10.0.0.9/live/token-7?k=99".parse().expect("a URL"));
    assert_eq!(mask.quote(b"rtsp://h/live/token-7?k=99"), "rtsp://h/(path)?(query)");
}

#[test]
fn quotes_are_one_short_line() {
    let mask = mask();
    assert_eq!(mask.quote(b"RTSP/1.0 200 \"s3cr/t\"\r\nmore"), "RTSP/1.0 200 '(password)'...");
    assert_eq!(mask.quote(b"a\x1b[31mb\xff"), "a?[31mb\u{fffd}");
    assert_eq!(mask.quote(&[b'x'; 5_000]).len(), MAX_QUOTE + 3);
    let turned = "a\u{202e}b\u{2028}c\u{2066}d\u{2069}e\u{200f}f\u{feff}g \u{e9}";
    assert_eq!(mask.quote(turned.as_bytes()), "a?b?c?d?e?f?g \u{e9}");
    assert_eq!(mask.quote(b""), "");
}

#[test]
fn an_empty_password_and_a_root_path_hide_nothing() {
    assert_eq!(mask_of("rtsp://admin@10.0.0.9/").quote(b"a / b"), "a / b");
}

#[test]
fn it_is_bounded_and_keeps_what_was_said_last() {
    let mut transcript = Transcript::new(mask());
    for number in 0..1_000 {
        transcript.received(
            format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{}", "X: y\r\n".repeat(5_000)).as_bytes(),
        );
    }
    let text = transcript.text();
    assert!(text.len() <= MAX_BYTES + 2 * MAX_MESSAGE, "{}", text.len());
    assert!(text.contains("CSeq: 999") && !text.contains("CSeq: 9\n"));
    transcript.received(&vec![b'x'; 200_000]);
    assert!(transcript.text().len() <= MAX_BYTES + 2 * MAX_MESSAGE);
}
