use super::*;

fn head(text: &str) -> Head {
    read_head(text.as_bytes())
}

#[test]
fn heads_are_read_as_cameras_write_them() {
    for text in [
        "RTSP/1.0 200 OK\r\nCSeq: 7\r\nSession: 12;timeout=60\r\n\r\n",
        "RTSP/1.0 200 OK\nCSeq: 7\nSession: 12;timeout=60\n\n",
        "RTSP/1.0 200\r\nCSeq:7\r\nSESSION : 12;timeout=60\r\n\r\n",
        "rtsp/2.0  200   Fine\r\n \r\ncseq:\t7\r\nSession: 12;\r\n\ttimeout=60\r\n\r\n",
        "RTSP/1.0 200 \u{fffd}\r\nno header at all\r\n: nameless\r\nCSeq: 7\r\nSession: 12;timeout=60",
    ] {
        let head = head(text);
        assert_eq!(head.start, Start::Response(200), "{text:?}");
        assert_eq!(head.headers.get("cseq").as_deref(), Some("7"), "{text:?}");
        let session = head.headers.get("session").expect("a session");
        assert_eq!(read_session(&session), ("12", Some(60)), "{text:?}");
    }
}

#[test]
fn bytes_that_are_no_text_stay_as_they_are() {
    let head = read_head(b"RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"\xb4\xf3\"\r\n\r\n");
    assert_eq!(head.headers.all("www-authenticate").collect::<Vec<_>>(), [b"Digest realm=\"\xb4\xf3\""]);
}

#[test]
fn a_status_that_is_none_is_not_taken_for_one() {
    for line in ["RTSP/1.0 OK", "RTSP/1.0", "RTSP/1.0 99 x", "RTSP/1.0 -200 x", "RTSP/1.0 20000 x"] {
        assert_eq!(head(line).start, Start::Unreadable, "{line}");
    }
    assert_eq!(head("OPTIONS rtsp://h/x RTSP/1.0").start, Start::Request("OPTIONS".into()));
}

#[test]
fn headers_are_counted() {
    let many = "X: 1\r\n".repeat(1_000);
    assert_eq!(head(&format!("RTSP/1.0 200 OK\r\n{many}\r\n")).headers.0.len(), MAX_HEADERS);
}

#[test]
fn sessions_live_as_long_as_they_say_in_any_spelling() {
    for (value, wanted) in [
        ("12345678", ("12345678", None)),
        ("12345678 ; timeout = 60", ("12345678", Some(60))),
        ("12345678;timeout=60;foo=1", ("12345678", Some(60))),
        ("12345678;foo=1;Timeout=\"60\"", ("12345678", Some(60))),
        ("12345678;timeout=60s", ("12345678", Some(60))),
        ("12345678;timeout=0", ("12345678", None)),
        ("12345678;timeout=-5", ("12345678", None)),
        ("12345678;timeout=99999999999999999999999", ("12345678", None)),
        ("12345678;timeout=", ("12345678", None)),
        (";timeout=30", ("", Some(30))),
    ] {
        assert_eq!(read_session(value), wanted, "{value}");
    }
}

#[test]
fn transports_say_what_they_say_and_no_more() {
    let tcp = TransportAnswer { tcp: true, ..TransportAnswer::default() };
    let udp = TransportAnswer { udp: true, ..TransportAnswer::default() };
    for (value, wanted) in [
        ("RTP/AVP/TCP;unicast;interleaved=4-5", TransportAnswer { interleaved: Some((4, 5)), ..tcp }),
        ("RTP/AVP/TCP;unicast;interleaved=4", TransportAnswer { interleaved: Some((4, 5)), ..tcp }),
        ("RTP/AVP;unicast;interleaved = 4 - 5;ssrc=zz", TransportAnswer { interleaved: Some((4, 5)), ..tcp }),
        ("RTP/AVP/TCP;unicast;interleaved=x", tcp),
        (
            "RTP/AVP/TCP;unicast;interleaved=300-301;server_port=1-2",
            TransportAnswer { server_port: Some((1, 2)), ..tcp },
        ),
        ("RTP/AVP;unicast;client_port=50000-50001", udp),
        (
            "RTP/AVP;unicast;client_port=5-6;source=192.0.2.9;server_port=50002-50003",
            TransportAnswer { server_port: Some((50_002, 50_003)), ..udp },
        ),
        ("RTP/AVP;unicast", TransportAnswer::default()),
        (
            "RTP/AVP;multicast;destination=239.1.2.3;port=5000-5001;ttl=16",
            TransportAnswer {
                multicast: true,
                destination: Some([239, 1, 2, 3].into()),
                ports: Some((5_000, 5_001)),
                ttl: Some(16),
                ..udp
            },
        ),
        ("RTP/AVP/TCP;multicast;interleaved=0-1", TransportAnswer { interleaved: Some((0, 1)), ..tcp }),
        ("", TransportAnswer::default()),
    ] {
        assert_eq!(read_transport(value), wanted, "{value}");
    }
}
