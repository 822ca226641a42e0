use super::*;
use sluice_config::{Credentials, Rtsp, Transport};

const SDP: &str = "v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n\
    m=audio 0 RTP/AVP 0\r\na=control:trackID=2\r\n";

/// A dialog in virtual time, and the camera's side of it as text.
struct Rig {
    dialog: Dialog,
    now: Instant,
    /// What the dialog wrote and the camera has not read.
    sent: String,
    /// Tracks are asked for as groups.
    shared: bool,
    events: Vec<String>,
}

impl Rig {
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn with(settings: &RtspSettings) -> Rig {
        let mut rig = Rig {
            dialog: Dialog::new(settings, 1),
            now: Instant::now(),
            sent: String::new(),
            shared: settings.rtsp.transport == Transport::Multicast,
            events: Vec::new(),
        };
        rig.dialog.begin(settings.rtsp.transport);
        rig.connected();
        rig
    }

    fn new() -> Rig {
        Rig::with(&settings())
    }

    fn connected(&mut self) {
        self.dialog.connected(self.now);
        self.collect();
    }

    fn collect(&mut self) {
        let output = self.dialog.output().split();
        self.sent += std::str::from_utf8(&output).expect("requests are text");
    }

    /// Bytes of the camera; what came of them.
    fn says(&mut self, bytes: impl AsRef<[u8]>) -> Vec<String> {
        self.dialog.input().extend_from_slice(bytes.as_ref());
        while let Some(event) = self.dialog.poll(self.now) {
            self.note(event);
        }
        self.collect();
        std::mem::take(&mut self.events)
    }

    fn note(&mut self, event: Event) {
        let failed = matches!(event, Event::Failed(_));
        let described = matches!(event, Event::Described);
        self.events.push(match event {
            Event::Failed(failure) => failure.to_string(),
            Event::Packet(channel, packet) => format!("packet of {} on {channel}", packet.len()),
            event => format!("{event:?}"),
        });
        assert!(!failed || self.events.len() < 100);
        if described {
            let shared = self.shared;
            let tracks = tracks().into_iter().map(|track| Track { shared, ..track }).collect();
            self.dialog.set_up(tracks, self.now);
        }
    }

    /// The next request: its first line and one header.
    fn request(&mut self) -> String {
        let (request, rest) = self.sent.split_once("\r\n\r\n").expect("a request was sent");
        let request = request.to_owned();
        self.sent = rest.to_owned();
        request
    }

    fn header(&mut self, name: &str) -> (String, String) {
        let request = self.request();
        let line = request.lines().next().unwrap_or_default().trim_end_matches(" RTSP/1.0").to_owned();
        let value = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        (line, value.unwrap_or_default().to_owned())
    }

    /// An answer of `status` to whatever was asked.
    fn answers(&mut self, status: &str, headers: &str) -> Vec<String> {
        self.says(format!("RTSP/1.0 {status}\r\nCSeq: 0\r\n{headers}\r\n"))
    }

    fn describes(&mut self, sdp: &str) -> Vec<String> {
        self.request();
        let headers = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", sdp.len());
        self.says(format!("RTSP/1.0 200 OK\r\nCSeq: 1\r\n{headers}\r\n{sdp}"))
    }

    /// Goes on to where PLAY is to be answered.
    fn up_to_play(&mut self) {
        assert_eq!(self.describes(SDP), ["Described"]);
        for pair in ["0-1", "2-3"] {
            self.request();
            let transport =
                format!("Transport: RTP/AVP/TCP;unicast;interleaved={pair}\r\nSession: 9;timeout=30\r\n");
            self.answers("200 OK", &transport);
        }
    }

    fn playing() -> Rig {
        let mut rig = Rig::new();
        rig.up_to_play();
        rig.request();
        assert_eq!(rig.answers("200 OK", ""), [""; 0]);
        assert!(rig.dialog.is_playing());
        rig
    }

    /// Lets time pass up to the next deadline.
    fn waits(&mut self) -> Vec<String> {
        self.now = self.dialog.deadline().expect("there is a deadline");
        if let Some(event) = self.dialog.handle_timeout(self.now) {
            self.note(event);
        }
        self.collect();
        std::mem::take(&mut self.events)
    }
}

fn settings() -> RtspSettings {
    let camera = "rtsp://10.0.0.9/cam".parse().expect("a URL");
    RtspSettings { stream: "cam".to_owned(), camera, rtsp: Rtsp::default() }
}

fn with_login() -> RtspSettings {
    let mut settings = settings();
    settings.camera.credentials = Some(Credentials { username: "admin".into(), password: "s3cret".into() });
    settings
}

fn tracks() -> Vec<Track> {
    let track = |media, name: &str| Track { channels: (0, 0), ..Track::new(media, media == 0, name.into()) };
    vec![track(0, "video h264"), track(1, "audio pcmu")]
}

#[test]
fn a_session_from_describe_to_teardown() {
    let mut rig = Rig::new();
    let request = rig.sent.clone();
    assert!(
        request.starts_with("DESCRIBE rtsp://10.0.0.9/cam RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: sluice/"),
        "{request}"
    );
    assert!(request.ends_with("\r\nAccept: application/sdp\r\n\r\n"), "{request}");
    assert_eq!(rig.describes(SDP), ["Described"]);
    let setup = rig.header("Transport");
    assert_eq!(
        (&*setup.0, &*setup.1),
        ("SETUP rtsp://10.0.0.9/cam/trackID=1", "RTP/AVP/TCP;unicast;interleaved=0-1")
    );
    assert_eq!(
        rig.answers("200 OK", "Session: 9;timeout=30\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n"),
        [""; 0]
    );
    let request = rig.request();
    assert!(request.contains("Session: 9\r\n") && request.contains("interleaved=2-3"), "{request}");
    // Another name for the session: the first one counts.
    assert_eq!(rig.answers("200 OK", "Session: 10\r\n"), ["Ready"]);
    let play = rig.header("Session");
    assert_eq!((&*play.0, &*play.1), ("PLAY rtsp://10.0.0.9/cam", "9"));
    assert_eq!(rig.answers("200 OK", "RTP-Info: nonsense\r\n"), [""; 0]);
    assert!(rig.dialog.is_playing());
    assert_eq!(rig.says([b'$', 0, 0, 8, 0x80, 0, 0, 0, 0, 0, 0, 0]), ["packet of 8 on 0"]);

    // A third of 30 s later.
    let since = rig.now;
    assert_eq!((rig.waits(), rig.now - since), (vec![], Duration::from_secs(10)));
    assert_eq!(rig.header("Session"), ("OPTIONS rtsp://10.0.0.9/cam".into(), "9".into()));
    rig.answers("200 OK", "Public: DESCRIBE, GET_PARAMETER\r\n");
    rig.waits();
    assert_eq!(rig.header("Session").0, "GET_PARAMETER rtsp://10.0.0.9/cam");
    rig.answers("200 OK", "");

    assert!(rig.dialog.tear_down(rig.now));
    rig.collect();
    assert_eq!(rig.header("Session"), ("TEARDOWN rtsp://10.0.0.9/cam".into(), "9".into()));
    assert_eq!(rig.answers("200 OK", ""), ["Over"]);
}

#[test]
fn the_next_answer_is_the_answer_but_for_one_that_comes_late() {
    let mut rig = Rig::new();
    for number in ["", "CSeq: 0\r\n", "CSeq: 99\r\n", "CSeq: x\r\n"] {
        rig = Rig::new();
        rig.says("RTSP/1.0 100 Continue\r\n\r\n");
        rig.request();
        let answer = format!("RTSP/1.0 200 OK\r\n{number}Content-Length: {}\r\n\r\n{SDP}", SDP.len());
        assert_eq!(rig.says(answer), ["Described"], "{number}");
    }
    rig.answers("200 OK", "Session: 9\r\n");
    // The sound's SETUP has no answer, and then has one when PLAY is outstanding.
    assert_eq!(rig.waits(), ["Ready"]);
    assert_eq!(rig.says("RTSP/1.0 500 Late\r\nCSeq: 3\r\n\r\n"), [""; 0]);
    assert!(!rig.dialog.is_playing());
    rig.says("RTSP/1.0 200 OK\r\nCSeq: 0\r\n\r\n");
    assert!(rig.dialog.is_playing());
}

#[test]
fn what_setup_does_not_say_is_what_was_asked_for() {
    for (transport, wanted) in [
        ("", (0, 1)),
        ("Transport: RTP/AVP/TCP;unicast\r\n", (0, 1)),
        ("Transport: RTP/AVP/TCP;unicast;interleaved=1-2\r\n", (1, 2)),
        ("Transport: RTP/AVP/TCP;unicast;interleaved=4-5;ssrc=zz\r\n", (4, 5)),
        ("Transport: \r\n", (0, 1)),
    ] {
        let mut rig = Rig::new();
        rig.describes(SDP);
        rig.answers("200 OK", transport);
        assert_eq!(rig.dialog.tracks()[0].channels, wanted, "{transport}");
        assert_eq!(rig.answers("200 OK", "Transport: RTP/AVP/TCP;interleaved=0-1\r\n"), ["Ready"]);
        let sound = if wanted.0 == 0 { (2, 3) } else { (0, 1) };
        assert_eq!(rig.dialog.tracks()[1].channels, sound, "channels that the video has are not the sound's");
    }
}

#[test]
fn sound_that_cannot_be_had_is_left_out_and_named() {
    let refused = "audio pcmu is left out: the camera refused it (RTSP/1.0 461 Unsupported Transport...)";
    for (status, note) in [
        ("461 Unsupported Transport", refused),
        (
            "200 OK\r\nTransport: RTP/AVP;unicast;client_port=5-6",
            "audio pcmu is left out: the camera sends it over UDP only",
        ),
    ] {
        let mut rig = Rig::new();
        rig.describes(SDP);
        rig.answers("200 OK", "Session: 9\r\n");
        assert_eq!(rig.answers(status, ""), ["Ready"]);
        assert_eq!(rig.dialog.tracks().len(), 1);
        assert_eq!(rig.dialog.notes().len(), 1);
        assert!(rig.dialog.notes()[0].starts_with(note.trim_end_matches("...)")), "{:?}", rig.dialog.notes());
    }
    let mut rig = Rig::new();
    rig.describes(SDP);
    rig.answers("200 OK", "Session: 9\r\n");
    assert_eq!(rig.waits(), ["Ready"]);
    assert_eq!(rig.dialog.notes(), ["audio pcmu is left out: the camera does not answer its SETUP"]);

    // Closed instead: once more, without it.
    let mut rig = Rig::new();
    rig.describes(SDP);
    rig.answers("200 OK", "Session: 9\r\n");
    assert!(matches!(rig.dialog.handle_close(), Event::Connect));
    rig.sent.clear();
    rig.connected();
    rig.describes(SDP);
    assert_eq!(rig.answers("200 OK", "Session: 9\r\n"), ["Ready"]);
    assert_eq!(rig.dialog.tracks().len(), 1);
    assert_eq!(rig.dialog.notes(), ["audio pcmu is left out: the camera closes the connection at its SETUP"]);

    // Video is what it is about.
    let mut rig = Rig::new();
    rig.describes(SDP);
    let failure = rig.answers("461 Unsupported Transport", "");
    assert!(failure[0].contains("set its rtsp_transport to udp"), "{failure:?}");
}

#[test]
fn a_udp_answer_to_a_tcp_setup_says_what_to_set() {
    let mut rig = Rig::new();
    rig.describes(SDP);
    let failure = rig.answers("200 OK", "Transport: RTP/AVP;unicast;client_port=5-6;server_port=7-8\r\n");
    assert!(failure[0].contains("set its rtsp_transport to udp"), "{failure:?}");
}

#[test]
fn the_profile_that_a_camera_describes_is_asked_for_and_the_plain_one_if_that_is_refused() {
    let mut rig = Rig::new();
    rig.describes("v=0\r\nm=video 0 RTP/AVPF 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n");
    let (url, asked) = rig.header("Transport");
    assert_eq!(asked, "RTP/AVPF/TCP;unicast;interleaved=0-1");
    assert!(rig.answers("461 Unsupported Transport", "").is_empty());
    assert_eq!(rig.header("Transport"), (url, "RTP/AVP/TCP;unicast;interleaved=0-1".to_owned()));
    assert!(!rig.answers("461 Unsupported Transport", "").is_empty(), "then it is a refusal");
}

#[test]
fn another_reading_of_a_url_is_tried_when_one_is_refused() {
    let mut rig = Rig::new();
    rig.request();
    let sdp = SDP.replace("trackID=1", "/trackID=1");
    let base = "Content-Base: rtsp://10.0.0.9/other/\r\n";
    rig.says(format!("RTSP/1.0 200 OK\r\n{base}Content-Length: {}\r\n\r\n{sdp}", sdp.len()));
    let mut tried = Vec::new();
    while rig.sent.starts_with("SETUP") {
        tried.push(rig.header("CSeq").0);
        if rig.answers("404 Not Found", "").last().is_some_and(|failure| failure.contains("check the path")) {
            break;
        }
    }
    let urls = ["/other/trackID=1", "/cam/trackID=1", "/trackID=1"];
    assert_eq!(tried, urls.map(|url| format!("SETUP rtsp://10.0.0.9{url}")));

    let mut rig = Rig::new();
    rig.up_to_play();
    for (status, url) in [
        ("457 Invalid Range", "/cam"),
        ("404 Not Found", "/cam"),
        ("200 OK", "/cam/trackID=1"),
        ("200 OK", "/cam/trackID=2"),
    ] {
        assert_eq!(rig.header("Range").0, format!("PLAY rtsp://10.0.0.9{url}"));
        assert_eq!(rig.answers(status, ""), [""; 0]);
    }
    assert!(rig.dialog.is_playing());
}

#[test]
fn keepalives_never_end_a_session() {
    // No answer: the other kind is tried.
    let mut rig = Rig::playing();
    for kind in ["OPTIONS", "GET_PARAMETER", "OPTIONS"] {
        assert_eq!(rig.waits(), [""; 0]);
        assert!(rig.request().starts_with(kind));
    }
    // Errors of every kind.
    for status in
        ["400 Bad Request", "401 Unauthorized", "454 Session Not Found", "500 Internal", "551 Option"]
    {
        let mut rig = Rig::playing();
        rig.waits();
        rig.request();
        assert_eq!(rig.answers(status, ""), [""; 0], "{status}");
        assert!(rig.dialog.is_playing());
    }
    let mut rig = Rig::playing();
    rig.waits();
    rig.answers("200 OK", "Public: GET_PARAMETER\r\n");
    rig.sent.clear();
    rig.waits();
    rig.answers("400 Bad Request", "");
    rig.sent.clear();
    rig.waits();
    assert!(rig.request().starts_with("OPTIONS"), "GET_PARAMETER was refused");
}

#[test]
fn keepalives_fit_any_timeout() {
    for (session, seconds) in
        [("9", 20), ("9;timeout=0", 20), ("9;timeout=4294967295", 20), ("9;timeout=6", 2), ("9;timeout=1", 1)]
    {
        let mut rig = Rig::new();
        rig.describes(SDP.split("m=audio").next().unwrap_or_default());
        rig.dialog.tracks.truncate(1);
        rig.answers("200 OK", &format!("Session: {session}\r\n"));
        rig.answers("200 OK", "");
        let since = rig.now;
        rig.waits();
        assert_eq!(rig.now - since, Duration::from_secs(seconds), "{session}");
    }
}

fn challenge(nonce: u32) -> String {
    format!("WWW-Authenticate: Digest realm=\"x\", nonce=\"n{nonce}\"\r\n")
}

#[test]
fn new_nonces_are_answered_in_keepalives_too() {
    let mut rig = Rig::with(&with_login());
    assert!(!rig.request().contains("Authorization"));
    rig.answers("401 Unauthorized", &challenge(1));
    assert_eq!(rig.describes(SDP), ["Described"]);
    rig.request();
    // Each request wants another nonce.
    rig.answers("401 Unauthorized", &challenge(2));
    assert!(rig.request().contains("nonce=\"n2\""));
    rig.answers("200 OK", "Session: 9\r\n");
    rig.request();
    rig.answers("200 OK", "Session: 9\r\n");
    rig.request();
    rig.answers("200 OK", "");
    rig.waits();
    rig.request();
    assert_eq!(rig.answers("401 Unauthorized", &challenge(3)), [""; 0]);
    assert!(rig.request().contains("nonce=\"n3\""));
    assert_eq!(rig.answers("401 Unauthorized", &challenge(3)), [""; 0]);
    assert!(rig.dialog.is_playing() && rig.sent.is_empty(), "a keepalive that stays refused is let be");

    // Remembered by the next attempt.
    rig.dialog.begin(Transport::Tcp);
    rig.connected();
    assert!(rig.request().contains("nonce=\"n3\""));
}

#[test]
fn a_connection_closed_behind_a_challenge_is_made_again() {
    for challenge in [challenge(1), "WWW-Authenticate: Basic realm=\"x\"\r\n".to_owned()] {
        let mut rig = Rig::with(&with_login());
        rig.answers("401 Unauthorized", &challenge);
        assert!(matches!(rig.dialog.handle_close(), Event::Connect));
        rig.sent.clear();
        rig.connected();
        assert!(rig.request().contains("Authorization: "));
    }
    // Without end it is not.
    let mut rig = Rig::with(&with_login());
    let mut connections = 1;
    loop {
        rig.answers("401 Unauthorized", &challenge(connections));
        match rig.dialog.handle_close() {
            Event::Connect => rig.connected(),
            _ => break,
        }
        connections += 1;
        assert!(connections < 20);
    }
}

#[test]
fn refusals_are_told_apart() {
    let mut rig = Rig::with(&with_login());
    rig.answers("401 Unauthorized", &challenge(1));
    let failure = rig.answers("401 Unauthorized", &challenge(1));
    assert!(failure[0].contains("check user and password"), "{failure:?}");
    let mut rig = Rig::new();
    let failure = rig.answers("401 Unauthorized", &challenge(1));
    assert!(failure[0].contains("wants credentials"), "{failure:?}");
    let mut rig = Rig::new();
    let failure = rig.answers("404 Stream Not Found", "");
    assert!(
        failure[0].ends_with("check the path of the source URL (\"RTSP/1.0 404 Stream Not Found\")"),
        "{failure:?}"
    );
}

#[test]
fn redirects_are_followed_on_the_same_host_only() {
    let mut rig = Rig::with(&with_login());
    rig.sent.clear();
    assert_eq!(rig.answers("302 Moved", "Location: rtsp://a:b@10.0.0.9:8554/cam2\r\n"), ["Connect"]);
    assert_eq!(rig.dialog.url().as_str(), "rtsp://10.0.0.9:8554/cam2");
    rig.connected();
    assert!(rig.request().starts_with("DESCRIBE rtsp://10.0.0.9:8554/cam2 "));
    assert_eq!(rig.answers("301 Moved", "Location: /cam3\r\n"), ["Connect"]);
    assert_eq!(rig.dialog.url().as_str(), "rtsp://10.0.0.9:8554/cam3");
    assert_eq!(rig.dialog.detour(), "led to 10.0.0.9:8554, which ");
    rig.dialog.begin(Transport::Tcp);
    assert_eq!(rig.dialog.url().as_str(), "rtsp://10.0.0.9/cam", "the next attempt asks the source again");
    assert_eq!(rig.dialog.detour(), "");
    rig.connected();
    assert_eq!(rig.answers("302 Moved", "Location: /hunter2\r\n"), ["Connect"]);
    assert_eq!(rig.dialog.detour(), "led to another path of its own, and there it ");

    for (location, shown) in [
        ("rtsp://a:b@192.0.2.7/hunter2", "if rtsp://192.0.2.7/... is your camera"),
        ("http://10.0.0.9/hunter2", "to http://10.0.0.9/..., where there is no RTSP"),
        ("rtsp://192.0.2.7:8554/", "if rtsp://192.0.2.7:8554 is your camera"),
        ("rtsps://192.0.2.7/hunter2", "if rtsps://192.0.2.7/... is your camera"),
    ] {
        let mut rig = Rig::new();
        let failure = rig.answers("302 Moved", &format!("Location: {location}\r\n"));
        assert!(failure[0].contains(shown) && !failure[0].contains("hunter2"), "{failure:?}");
    }
    // In a circle.
    let mut rig = Rig::new();
    let mut hops = 0;
    while rig.answers("302 Moved", "Location: rtsp://10.0.0.9/cam\r\n") == ["Connect"] {
        rig.connected();
        hops += 1;
    }
    assert!(hops < MAX_CONNECTIONS);
    // From one address to the next, and to none.
    let (mut rig, mut last) = (Rig::new(), vec!["Connect".to_owned()]);
    for hop in 0..=MAX_CONNECTIONS {
        if last == ["Connect"] {
            last = rig.answers("302 Moved", &format!("Location: rtsp://10.0.0.9/token-{hop}\r\n"));
            rig.connected();
        }
    }
    assert!(last[0].contains("from one of its addresses to the next, without end"), "{last:?}");
    assert!(!rig.dialog.transcript().contains("token-"), "{}", rig.dialog.transcript());
    let failure = Rig::new().answers("302 Moved", "");
    assert!(failure[0].contains("names no address"), "{failure:?}");
}

#[test]
fn nobody_is_redirected_to_where_others_read_along() {
    let mut safe = settings();
    safe.camera = "rtsps://10.0.0.9/cam".parse().expect("a URL");
    let mut rig = Rig::with(&safe);
    assert!(rig.request().starts_with("DESCRIBE rtsps://10.0.0.9/cam "), "{}", rig.sent);
    let failure = rig.answers("302 Moved", "Location: rtsp://10.0.0.9/hunter2\r\n");
    assert!(failure[0].contains("to rtsp://10.0.0.9/..., where others can read along"), "{failure:?}");
    let mut rig = Rig::with(&safe);
    assert_eq!(rig.answers("302 Moved", "Location: rtsps://10.0.0.9:8322/cam2\r\n"), ["Connect"]);
    // From a plain one to one that is not, and never to another host.
    assert_eq!(Rig::new().answers("302 Moved", "Location: rtsps://10.0.0.9/cam2\r\n"), ["Connect"]);
    let failure = Rig::with(&safe).answers("302 Moved", "Location: rtsps://10.0.0.10/cam\r\n");
    assert!(failure[0].contains("if rtsps://10.0.0.10/... is your camera"), "{failure:?}");
}

#[test]
fn requests_in_a_tunnel_are_those_of_any_line() {
    let mut tunnel = settings();
    tunnel.camera = "rtsp+http://10.0.0.9:8080/cam?x=1".parse().expect("a URL");
    let mut rig = Rig::with(&tunnel);
    assert!(rig.request().starts_with("DESCRIBE rtsp://10.0.0.9:8080/cam?x=1 "), "{}", rig.sent);
}

#[test]
fn tcp_is_asked_for_on_the_same_connection_where_it_will_do() {
    for may in [true, false] {
        let mut udp = settings();
        udp.rtsp.transport = Transport::Udp;
        let mut rig = Rig::with(&udp);
        if may {
            rig.dialog.allow_tcp();
        }
        rig.describes(SDP);
        let failure = rig.answers("461 Unsupported Transport", "");
        if may {
            rig.request();
            assert!(rig.request().contains("Transport: RTP/AVP/TCP;unicast;interleaved=0-1"), "{failure:?}");
            assert_eq!(rig.dialog.transport(), Transport::Tcp);
            let failure = rig.answers("461 Unsupported Transport", "");
            assert!(failure[0].contains("does not offer RTP over TCP"), "once: {failure:?}");
        } else {
            assert!(failure[0].contains("does not offer RTP over UDP"), "{failure:?}");
        }
    }
}

/// A dialog that asks for groups, described by `sdp`.
fn shared(sdp: &str) -> Rig {
    let mut settings = settings();
    settings.rtsp.transport = Transport::Multicast;
    let mut rig = Rig::with(&settings);
    rig.describes(sdp);
    rig
}

#[test]
fn a_group_is_where_the_answer_says_or_else_the_description() {
    let mut rig = shared(SDP);
    assert!(rig.sent.contains("Transport: RTP/AVP;multicast\r\n"), "{}", rig.sent);
    rig.answers(
        "200 OK",
        "Session: 1\r\nTransport: RTP/AVP;multicast;destination=239.1.2.3;port=5000-5001;ttl=16\r\n",
    );
    let group = Group { address: [239, 1, 2, 3].into(), ports: (5_000, 5_001), ttl: 16 };
    assert_eq!((rig.dialog.tracks()[0].group, rig.dialog.tracks()[0].port), (Some(group), Some(5_000)));

    let sdp = SDP.replace("m=video 0", "c=IN IP4 239.7.7.7/4\r\nm=video 6000");
    let mut rig = shared(&sdp);
    rig.answers("200 OK", "Session: 1\r\nTransport: RTP/AVP;multicast\r\n");
    let group = Group { address: [239, 7, 7, 7].into(), ports: (6_000, 6_001), ttl: 4 };
    assert_eq!(rig.dialog.tracks()[0].group, Some(group));

    // An address that is no group's, and one that is nowhere.
    for said in ["RTP/AVP;multicast;destination=10.0.0.1;port=5000-5001", "RTP/AVP;unicast;client_port=5-6"] {
        let failure = shared(SDP).answers("200 OK", &format!("Session: 1\r\nTransport: {said}\r\n"));
        assert!(failure[0].contains("does not send by multicast"), "{failure:?}");
    }
    let failure = shared(SDP).answers("461 Unsupported Transport", "");
    assert!(failure[0].contains("does not offer RTP by multicast"), "{failure:?}");
    // Sound is left out without it; a camera that chooses TCP is taken at its word.
    let mut rig = shared(SDP);
    rig.answers("200 OK", "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n");
    assert_eq!(rig.dialog.tracks()[0].port, None);
    rig.answers("200 OK", "Session: 1\r\nTransport: RTP/AVP;unicast;client_port=5-6\r\n");
    assert!(rig.dialog.notes()[0].contains("does not send it by multicast"), "{:?}", rig.dialog.notes());
}

#[test]
fn a_status_that_is_no_answer_yet_is_waited_behind_and_quoted() {
    let mut rig = Rig::new();
    assert_eq!(rig.answers("100 Continue", ""), [""; 0]);
    let failure = rig.answers("404 Not Found", "");
    assert!(failure[0].contains("404 Not Found"), "{failure:?}");
    let mut rig = Rig::new();
    assert_eq!(rig.answers("101 Fine", ""), [""; 0]);
    let failure = rig.waits();
    assert!(failure[0].contains("\"RTSP/1.0 101 Fine\", which is no answer yet"), "{failure:?}");
}

#[test]
fn media_before_the_answer_to_play_counts_and_may_stand_for_it() {
    let packet = [b'$', 0, 0, 8, 0x80, 0, 0, 0, 0, 0, 0, 0];
    let mut rig = Rig::new();
    assert_eq!(rig.says(packet), [""; 0], "nothing is set up yet");
    rig.up_to_play();
    assert_eq!(rig.says(packet), ["packet of 8 on 0"]);
    assert_eq!(rig.waits(), [""; 0]);
    assert!(rig.dialog.is_playing());

    let mut rig = Rig::new();
    rig.up_to_play();
    assert_eq!(rig.waits(), ["did not answer PLAY within 10 s: restart it if this lasts"]);
}

#[test]
fn requests_of_the_camera_are_answered() {
    let mut rig = Rig::playing();
    for (method, status) in
        [("OPTIONS", "200 OK"), ("SET_PARAMETER", "200 OK"), ("ANNOUNCE", "200 OK"), ("DESCRIBE", "501")]
    {
        assert_eq!(
            rig.says(format!("{method} rtsp://x/ RTSP/1.0\r\nCSeq: 5\r\nSession: 9\r\n\r\n")),
            [""; 0]
        );
        let reply = rig.request();
        assert!(reply.starts_with(&format!("RTSP/1.0 {status}")) && reply.contains("CSeq: 5"), "{reply}");
    }
    // One that does not read its answers gets no more of them.
    let flood = "OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 5\r\n\r\n".repeat(1_000);
    rig.dialog.input().extend_from_slice(flood.as_bytes());
    assert!(rig.dialog.poll(rig.now).is_none());
    assert!(rig.dialog.output().len() < 20_000, "{}", rig.dialog.output().len());
    assert_eq!(rig.says("TEARDOWN rtsp://x/ RTSP/1.0\r\n\r\n").len(), 1);
}

#[test]
fn descriptions_of_a_wrong_length_are_taken_as_they_are() {
    for length in ["", "Content-Length: 5000\r\n"] {
        let mut rig = Rig::new();
        let head = format!("RTSP/1.0 200 OK\r\nContent-Type: application/sdp; charset=x\r\n{length}\r\n");
        assert_eq!(rig.says(format!("{head}{SDP}")), [""; 0]);
        assert_eq!(rig.waits(), ["Described"], "{length:?}");
    }
}

#[test]
fn what_is_no_rtsp_is_quoted() {
    for (said, wanted) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "is the port right? It sent \"HTTP/1.1 400 Bad Request"),
        ("RTSP/1.0 OK 200\r\n\r\n", "It sent \"RTSP/1.0 OK 200"),
        (
            "RTSP/1.0 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
            "check the path of the source URL. It sent \"<html>\"",
        ),
        ("RTSP/1.0 200 OK\r\nContent-Length: 3000000\r\n\r\n", "answer of more than 262144 bytes"),
    ] {
        let failure = Rig::new().says(said);
        assert!(failure.len() == 1 && failure[0].contains(wanted), "{said:?}: {failure:?}");
    }
    // Where no body comes, its status says more.
    let mut rig = Rig::new();
    assert_eq!(rig.says("RTSP/1.0 204 No Content\r\n\r\n"), [""; 0]);
    let failure = rig.waits();
    assert!(failure[0].contains("It sent \"RTSP/1.0 204 No Content"), "{failure:?}");
    // A description that is whole, though less than announced, is taken soon.
    let mut rig = Rig::new();
    let head = format!("RTSP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", SDP.len() + 3);
    assert_eq!(rig.says(format!("{head}{SDP}")), [""; 0]);
    let asked = rig.now;
    assert_eq!((rig.waits(), rig.now - asked), (vec!["Described".to_owned()], STALLED));
    let mut rig = Rig::new();
    assert_eq!(rig.says("SSH-2.0-dropbear\r\n"), [""; 0]);
    let failure = rig.waits();
    assert!(failure[0].contains("is the port right? It sent \"SSH-2.0-dropbear"), "{failure:?}");
}

#[test]
fn over_udp_ports_are_asked_for_and_unusable_ones_left_alone() {
    for (answer, port, server) in [
        ("RTP/AVP;unicast;client_port=5000-5001;server_port=7-8", Some(5_000), Some((7, 8))),
        ("RTP/AVP;unicast;client_port=5000-5001;server_port=0-1;source=192.0.2.9", Some(5_000), None),
        ("RTP/AVP/TCP;unicast;interleaved=6-7", None, None),
    ] {
        let mut rig = Rig::new();
        rig.describes(SDP);
        rig.sent.clear();
        rig.dialog.set_up(vec![Track { port: Some(5_000), ..tracks().swap_remove(0) }], rig.now);
        rig.collect();
        assert_eq!(rig.header("Transport").1, "RTP/AVP;unicast;client_port=5000-5001");
        assert_eq!(rig.answers("200 OK", &format!("Transport: {answer}\r\n")), ["Ready"]);
        let track = &rig.dialog.tracks()[0];
        assert_eq!((track.port, track.server_port), (port, server), "{answer}");
    }
}

/// An answer with the number of the newest request that was read.
fn numbered(status: &str, number: u32, headers: &str) -> String {
    format!("RTSP/1.0 {status}\r\nCSeq: {number}\r\n{headers}\r\n")
}

fn description(number: u32) -> String {
    numbered("200 OK", number, &format!("Content-Length: {}\r\n", SDP.len())) + SDP
}

#[test]
fn an_answer_that_comes_twice_is_not_the_next_requests() {
    let mut rig = Rig::with(&with_login());
    let mut said = Vec::new();
    for answer in [
        numbered("401 Unauthorized", 1, &challenge(1)),
        description(2),
        numbered("200 OK", 3, "Session: 9\r\n"),
        numbered("200 OK", 4, "Session: 9\r\nTransport: RTP/AVP/TCP;interleaved=2-3\r\n"),
        numbered("200 OK", 5, "Session: 9\r\n"),
    ] {
        said.extend(rig.says(answer.repeat(2)));
    }
    assert_eq!(said, ["Described", "Ready"]);
    assert!(rig.dialog.is_playing());
    assert_eq!(rig.sent.matches("PLAY ").count(), 1);
    assert_eq!(rig.sent.matches("CSeq").count(), 5, "{}", rig.sent);

    // Where all answers have the same number, it tells nothing.
    let mut rig = Rig::new();
    rig.says(description(1));
    rig.says(numbered("200 OK", 1, "Session: 9\r\n"));
    rig.says(numbered("200 OK", 1, "Session: 9\r\nTransport: RTP/AVP/TCP;interleaved=2-3\r\n"));
    rig.says(numbered("200 OK", 1, "Session: 9\r\n"));
    assert!(rig.dialog.is_playing());
}

#[test]
fn a_refusal_behind_what_was_taken_for_the_answer_to_play_counts() {
    let mut rig = Rig::playing();
    let failure = rig.answers("454 Session Not Found", "");
    assert!(failure[0].starts_with("refused PLAY") && failure[0].contains("454"), "{failure:?}");
    // Not where media came.
    let mut rig = Rig::playing();
    rig.says([b'$', 0, 0, 8, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(rig.answers("454 Session Not Found", ""), [""; 0]);
}

#[test]
fn the_session_may_be_named_by_the_answer_to_play() {
    let mut rig = Rig::new();
    rig.describes(SDP);
    rig.answers("200 OK", "");
    rig.answers("200 OK", "");
    rig.answers("200 OK", "Session: 77;timeout=6\r\n");
    rig.sent.clear();
    let since = rig.now;
    rig.waits();
    assert_eq!(rig.header("Session").1, "77");
    assert_eq!(rig.now - since, Duration::from_secs(2));
}

#[test]
fn the_keepalive_that_ends_a_session_is_not_sent_in_the_next() {
    let mut rig = Rig::playing();
    rig.waits();
    assert!(rig.request().starts_with("OPTIONS"));
    assert!(matches!(rig.dialog.handle_close(), Event::Failed(Failure::Closed(None))));
    rig.dialog.begin(Transport::Tcp);
    rig.connected();
    rig.up_to_play();
    rig.request();
    rig.answers("200 OK", "");
    for _ in 0..3 {
        rig.waits();
        assert!(rig.request().starts_with("GET_PARAMETER"), "whether it is answered or not");
    }
    assert!(matches!(rig.dialog.handle_close(), Event::Failed(_)));
    rig.dialog.begin(Transport::Tcp);
    rig.connected();
    rig.up_to_play();
    rig.request();
    rig.answers("200 OK", "");
    rig.waits();
    assert!(rig.request().starts_with("OPTIONS"));
    rig.answers("200 OK", "Public: GET_PARAMETER\r\n");
    rig.waits();
    assert!(rig.request().starts_with("OPTIONS"), "GET_PARAMETER ended the last session");
}

#[test]
fn options_come_first_where_the_camera_wants_them() {
    let mut rig = Rig::new();
    rig.request();
    rig.answers("455 Method Not Valid in This State", "");
    assert!(rig.request().starts_with("OPTIONS rtsp://10.0.0.9/cam "));
    assert_eq!(rig.answers("200 OK", "Public: DESCRIBE\r\n"), [""; 0]);
    assert!(rig.sent.starts_with("DESCRIBE "));
    assert_eq!(rig.describes(SDP), ["Described"]);
    // Remembered, as it helped.
    rig.dialog.begin(Transport::Tcp);
    rig.sent.clear();
    rig.connected();
    assert!(rig.sent.starts_with("OPTIONS "), "{}", rig.sent);

    // A camera that closes is asked once more, and not again and again.
    let mut rig = Rig::new();
    assert!(matches!(rig.dialog.handle_close(), Event::Connect));
    rig.sent.clear();
    rig.connected();
    assert!(rig.request().starts_with("OPTIONS "));
    rig.answers("501 Not Implemented", "");
    assert!(rig.sent.starts_with("DESCRIBE "));
    let failed = rig.dialog.handle_close();
    assert!(matches!(failed, Event::Failed(Failure::Closed(Some(Method::Describe)))), "{failed:?}");
    rig.dialog.begin(Transport::Tcp);
    rig.sent.clear();
    rig.connected();
    assert!(rig.sent.starts_with("DESCRIBE "));
    assert!(rig.answers("455 x", "").is_empty() && rig.answers("200 OK", "").is_empty());
    assert_eq!(rig.answers("455 Method Not Valid", "").len(), 1);
}

#[test]
fn play_is_tried_without_range_and_setup_below_the_other_url() {
    for status in ["400 Bad Request", "455 Method Not Valid in This State", "457 Invalid Range"] {
        let mut rig = Rig::new();
        rig.up_to_play();
        assert!(rig.request().contains("\r\nRange: "));
        assert_eq!(rig.answers(status, ""), [""; 0]);
        let request = rig.request();
        assert!(request.starts_with("PLAY rtsp://10.0.0.9/cam ") && !request.contains("Range"), "{request}");
        rig.answers("200 OK", "");
        assert!(rig.dialog.is_playing());
    }
    let mut rig = Rig::new();
    rig.request();
    let base = "Content-Base: rtsp://10.0.0.9/x/\r\n";
    rig.says(format!("RTSP/1.0 200 OK\r\n{base}Content-Length: {}\r\n\r\n{SDP}", SDP.len()));
    rig.request();
    assert_eq!(rig.answers("500 Internal Server Error", ""), [""; 0]);
    assert!(rig.request().starts_with("SETUP rtsp://10.0.0.9/cam/trackID=1 "));
}

#[test]
fn what_leads_nowhere_is_said_as_it_is() {
    let mut rig = Rig::new();
    rig.describes(SDP);
    let failure =
        rig.answers("200 OK", "Transport: RTP/AVP;multicast;destination=239.1.2.3;port=5000-5001\r\n");
    assert!(failure[0].contains("multicast only") && failure[0].contains("unicast"), "{failure:?}");
    let failure = Rig::new().answers("302 Moved", "Location: rtsp://10.0.0.9/cam\r\n");
    assert!(failure[0].contains("the very address"), "{failure:?}");
}

#[test]
fn keepalive_answers_of_every_kind_leave_the_media_alone() {
    let packet = [b'$', 0, 0, 12, 0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
    for answer in [
        "RTSP/1.0 200 OK\r\nCSeq: 5\r\n",
        "RTSP/1.0 200 OK\r\nContent-Length: 30000\r\n\r\n",
        "RTSP/1.0 OK\r\n\r\n",
        "RTSP/1.0 200 OK\r\nContent-Length: 4000000\r\n\r\n",
    ] {
        let mut rig = Rig::playing();
        rig.says(packet);
        rig.waits();
        let said = rig.says([answer.as_bytes(), &packet, &packet].concat());
        assert_eq!(said, ["packet of 12 on 0"; 2], "{answer}");
    }
}
