//! What RTSP and media go over: TLS, tunnels, groups, and ways that are found by trying. The cameras are GStreamer's, but
//! for those that do what it would not.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice::source::rtsp::RtspSettings;
use sluice::source::rtsp::memory::Record;
use sluice::stream::Wishes;
use sluice_config::{Fingerprint, Transport};
use sluice_harness::authority::{Authority, PairFiles};
use sluice_harness::gstreamer::Camera;
use sluice_harness::namespace::Namespace;
use sluice_media::Kind;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use url::Url;

use crate::server::{SDP, interleaved, request, server, up_to_play, write};
use crate::{Pull, SPS_NAL, Seen, fixed, impatient, quick, with_login};

/// A camera that shows a certificate of an authority that nobody trusts.
fn camera_in_tls(arguments: &[&str]) -> Camera {
    let files = PairFiles::new(&Authority::default().pair(&["127.0.0.1"]));
    let [certificate, key] = ["certificate", "key"].map(|which| files.path(which).display().to_string());
    Camera::small(&[&["--certificate", &certificate, "--key", &key], arguments].concat())
}

/// The fingerprint in a sentence that refuses a certificate.
fn told_fingerprint(sentence: &str) -> Fingerprint {
    let behind = sentence.split("rtsp_fingerprint = \"").nth(1).unwrap_or_else(|| panic!("{sentence}"));
    behind.split('"').next().unwrap_or_default().parse().unwrap_or_else(|error| panic!("{error}: {sentence}"))
}

fn pinned(mut settings: RtspSettings, fingerprint: Fingerprint) -> RtspSettings {
    settings.rtsp.fingerprint = vec![fingerprint];
    settings
}

fn by(mut settings: RtspSettings, transport: Transport) -> RtspSettings {
    settings.rtsp.transport = transport;
    settings
}

fn with_scheme(url: &Url, scheme: &str) -> Url {
    let mut url = url.clone();
    url.set_scheme(scheme).expect("a scheme of its kind");
    url
}

#[tokio::test]
async fn a_certificate_of_its_own_is_refused_with_what_lets_it_in() {
    let login = ["--user", "viewer", "--password", "canary-right", "--audio", "pcmu"];
    let camera = camera_in_tls(&login);
    let settings = with_login(quick(camera.url.clone()), "viewer", "canary-right");
    let mut pull = Pull::start(settings.clone());
    let (sentence, _) = pull.waiting().await;
    assert!(sentence.contains("shows a certificate that this machine does not trust"), "{sentence}");
    let fingerprint = told_fingerprint(&sentence);
    pull.stop().await;

    // Digest and media inside of TLS, whatever is said of UDP.
    let mut pull = Pull::start(by(pinned(settings.clone(), fingerprint), Transport::Udp));
    let (formats, _) = pull.begun().await;
    assert!(formats.audio.is_some());
    pull.video(30).await;
    pull.audio(20).await;
    pull.stop().await;

    let mut other = fingerprint;
    other.0[0] ^= 1;
    let mut pull = Pull::start(pinned(settings.clone(), other));
    let (sentence, _) = pull.waiting().await;
    assert!(sentence.contains("shows another certificate than its fingerprint says"), "{sentence}");
    assert_eq!(told_fingerprint(&sentence), fingerprint);
    pull.stop().await;

    // Of several cameras each shows its own.
    let mut settings = settings;
    settings.rtsp.fingerprint = vec![other, fingerprint];
    let mut pull = Pull::start(settings);
    pull.begun().await;
    pull.stop().await;
}

#[tokio::test]
async fn what_is_no_tls_is_said_to_be_none_and_a_silent_handshake_ends() {
    let (url, _) = server(|stream| async move {
        write(&stream, b"RTSP/1.0 400 Bad Request\r\n\r\n").await;
        while request(&stream).await.is_some() {}
    })
    .await;
    let mut pull = Pull::start(impatient(with_scheme(&url, "rtsps")));
    let (sentence, _) = pull.waiting().await;
    assert!(sentence.contains("TLS handshake: what it answers is no TLS"), "{sentence}");
    pull.stop().await;

    let (url, _) = server(|stream| async move { while request(&stream).await.is_some() {} }).await;
    let began = Instant::now();
    let mut pull = Pull::start(impatient(with_scheme(&url, "rtsps")));
    let (sentence, _) = pull.waiting().await;
    assert!(sentence.contains("TLS handshake: nothing for 1 s"), "{sentence}");
    assert!(began.elapsed() < Duration::from_secs(20));
    pull.stop().await;
}

#[tokio::test]
async fn a_tunnel_through_http_carries_requests_and_media() {
    for login in [&[][..], &["--user", "viewer", "--password", "canary-right"]] {
        let camera = Camera::small(&[login, &["--audio", "pcmu"]].concat());
        let mut settings = quick(with_scheme(&camera.url, "rtsp+http"));
        if !login.is_empty() {
            settings = with_login(settings, "viewer", "canary-right");
        }
        let mut pull = Pull::start(settings);
        pull.begun().await;
        pull.video(30).await;
        pull.audio(20).await;
        pull.stop().await;
    }
}

#[tokio::test]
async fn a_tunnel_in_tls_is_both() {
    let camera = camera_in_tls(&[]);
    let settings = quick(with_scheme(&camera.url, "rtsp+https"));
    let mut pull = Pull::start(settings.clone());
    let fingerprint = told_fingerprint(&pull.waiting().await.0);
    pull.stop().await;
    let mut pull = Pull::start(pinned(settings, fingerprint));
    pull.begun().await;
    pull.video(30).await;
    pull.stop().await;
}

#[tokio::test]
async fn a_server_without_tunnels_is_named_with_its_words() {
    for (answer, words) in [
        ("HTTP/1.0 404 Not Found\r\n\r\n", "offers no RTSP through HTTP: check port and path"),
        ("HTTP/1.0 404 Not Found\r\n\r\n", "It said \"HTTP/1.0 404 Not Found\""),
        (
            "HTTP/1.0 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n",
            "lets nobody into its RTSP through HTTP: it wants credentials",
        ),
        ("", "did not answer within 1 s when RTSP through HTTP was asked for"),
    ] {
        let (url, _) = server(move |stream| async move {
            while request(&stream).await.is_some() {
                write(&stream, answer.as_bytes()).await;
            }
        })
        .await;
        let mut pull = Pull::start(impatient(with_scheme(&url, "rtsp+http")));
        let (sentence, _) = pull.waiting().await;
        assert!(sentence.contains(words), "{sentence}");
        pull.stop().await;
    }
}

/// What closes a tunnel without a word is told with what was asked for by then, and with the way around.
#[tokio::test]
async fn a_tunnel_that_is_closed_without_a_word_says_so_and_the_way_out() {
    for (answer, words) in [
        ("", "closed the connection without a word when RTSP through HTTP was asked for"),
        (
            "HTTP/1.0 200 OK\r\n\r\n",
            "took RTSP through HTTP, and closed it without a word instead of answering OPTIONS",
        ),
        ("HTTP/1.0 403 Forb", "offers no RTSP through HTTP: check port and path"),
    ] {
        let (url, _) = server(move |stream| async move {
            if request(&stream).await.is_some_and(|head| head.method == "GET") {
                write(&stream, answer.as_bytes()).await;
            }
        })
        .await;
        let mut pull = Pull::start(impatient(with_scheme(&url, "rtsp+http")));
        let (sentence, _) = pull.waiting().await;
        assert!(sentence.contains(words) && sentence.contains("by rtsp://"), "{sentence}");
        pull.stop().await;
    }
}

/// A server that asks who is there when the POST comes, having let the GET in: the POST is made again, with credentials and with the
/// requests that the first one had. Without any that is said.
#[tokio::test]
async fn a_post_that_is_asked_who_is_there_says_it() {
    for (challenge, scheme) in
        [("Basic realm=\"x\"", "Basic "), ("Digest realm=\"x\", nonce=\"n\"", "Digest ")]
    {
        let requests: Arc<Mutex<Option<UnboundedSender<String>>>> = Arc::default();
        let posts = Arc::new(Mutex::new(Vec::new()));
        let (of_server, told) = (requests.clone(), posts.clone());
        let (url, _) = server(move |stream| {
            let (requests, posts) = (of_server.clone(), told.clone());
            async move {
                let Some(head) = request(&stream).await else { return };
                if head.method == "GET" {
                    let (sender, asked) = unbounded_channel();
                    requests.lock().expect("a lock").replace(sender);
                    tunnelled(&stream, asked).await;
                    return;
                }
                posts.lock().expect("a lock").push(head.text.clone());
                if !head.text.contains("Authorization: ") {
                    let no = format!("HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\n\r\n");
                    write(&stream, no.as_bytes()).await;
                    return;
                }
                let mut coded = Vec::new();
                while stream.readable().await.is_ok() {
                    match stream.try_read_buf(&mut coded) {
                        Ok(0) => return,
                        Ok(_) => {}
                        Err(_) => continue,
                    }
                    let whole = STANDARD.decode(&coded).ok().filter(|text| text.ends_with(b"\r\n\r\n"));
                    if let Some(text) = whole {
                        coded.clear();
                        let sender = requests.lock().expect("a lock").clone().expect("the GET came first");
                        let _ = sender.send(String::from_utf8(text).expect("text"));
                    }
                }
            }
        })
        .await;
        let settings = impatient(with_scheme(&url, "rtsp+http"));
        let mut pull = Pull::start(with_login(settings.clone(), "viewer", "canary-right"));
        pull.begun().await;
        pull.video(1).await;
        pull.stop().await;
        let posts = posts.lock().expect("a lock").clone();
        assert!(posts.len() >= 2 && !posts[0].contains("Authorization"), "{posts:?}");
        assert!(posts[1].contains(&format!("Authorization: {scheme}")), "{posts:?}");

        let mut pull = Pull::start(settings);
        let (sentence, _) = pull.waiting().await;
        assert!(
            sentence.contains("lets nobody into its RTSP through HTTP: it wants credentials"),
            "{sentence}"
        );
        pull.stop().await;
    }
}

/// The answers of a camera to the requests of a tunnel, behind its GET, and a picture.
async fn tunnelled(stream: &TcpStream, mut asked: UnboundedReceiver<String>) {
    write(stream, b"HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n").await;
    while let Some(text) = asked.recv().await {
        let cseq = text.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap_or_default();
        let head = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n");
        let answer = match text.split(' ').next().unwrap_or_default() {
            "DESCRIBE" => {
                format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len())
            }
            "SETUP" => format!("{head}Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"),
            _ => format!("{head}\r\n"),
        };
        write(stream, answer.as_bytes()).await;
        if text.starts_with("PLAY ") {
            let packets = [
                interleaved(1, 96, SPS_NAL),
                interleaved(2, 96, b"\x65\x88\x80\x01"),
                interleaved(3, 96, b"\x41\x9a\x80\x01"),
            ];
            write(stream, &packets.concat()).await;
        }
    }
}

/// Both ways are tried, and what worked is asked for first when the camera comes back.
#[tokio::test]
async fn media_comes_by_the_way_that_works() {
    for (only, arguments) in [("tcp", &["--only", "tcp"][..]), ("udp", &["--only", "udp"]), ("both", &[])] {
        let camera = Camera::small(arguments);
        let mut pull = Pull::start(by(quick(camera.url.clone()), Transport::Auto));
        pull.begun().await;
        pull.video(30).await;
        pull.stop().await;
        println!("{only} plays");
    }
}

/// A camera that takes UDP and sends nothing by it, as behind a firewall: TCP within seconds, and at once the next time.
#[tokio::test]
async fn udp_that_brings_nothing_gives_way_to_tcp_and_that_is_remembered() {
    let (asked, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (url, _) = server(move |stream| {
        let asked = asked.clone();
        async move {
            let mut udp = false;
            while let Some(this) = request(&stream).await {
                let head = format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\n", this.cseq);
                let answer = match this.method.as_str() {
                    "DESCRIBE" => format!(
                        "{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
                        SDP.len()
                    ),
                    "SETUP" => {
                        udp = !this.text.contains("/TCP");
                        let _ = asked.send(udp);
                        let transport = match udp {
                            true => "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001",
                            false => "RTP/AVP/TCP;unicast;interleaved=0-1",
                        };
                        format!("{head}Session: 1\r\nTransport: {transport}\r\n\r\n")
                    }
                    _ => format!("{head}\r\n"),
                };
                write(&stream, answer.as_bytes()).await;
                if this.method == "PLAY" && !udp {
                    let packets = [
                        interleaved(1, 96, SPS_NAL),
                        interleaved(2, 96, b"\x65\x88\x80\x01"),
                        interleaved(3, 96, b"\x41\x9a\x80\x01"),
                    ];
                    write(&stream, &packets.concat()).await;
                }
            }
        }
    })
    .await;
    let mut settings = quick(url);
    settings.rtsp.data_timeout = Duration::from_secs(4);
    let record = Record::default();
    let settings = by(settings, Transport::Auto);
    let start = || Pull::remembering(fixed(settings.clone()), Wishes::default(), true, &record);
    let mut pull = start();
    let began = Instant::now();
    pull.video(1).await;
    println!("a picture by TCP after {:?} of UDP", began.elapsed());
    assert_eq!((told.recv().await, told.recv().await), (Some(true), Some(false)));
    // It is silent, so it is connected again.
    pull.waiting().await;
    pull.video(1).await;
    assert_eq!(told.recv().await, Some(false), "TCP at once");
    pull.stop().await;
    // A source on demand that rested, or another stream of the same camera.
    let mut pull = start();
    pull.video(1).await;
    assert_eq!(told.recv().await, Some(false), "TCP at once");
    pull.stop().await;
}

/// What a camera sends once for all who read it, over a link of its own; what others send to the group is not read.
#[tokio::test]
async fn a_group_is_joined_where_the_camera_is() {
    let namespace = Namespace::new("10.77.3.1", "10.77.3.2");
    namespace.ip("route add 224.0.0.0/4 dev far");
    let small = ["--size", "320x180", "--fps", "30", "--gop", "15", "--kbps", "400", "--audio", "pcmu"];
    let group = ["--address", "10.77.3.2", "--only", "multicast"];
    let camera = Camera::start_in(&namespace, &[&small[..], &group].concat());
    let mut pull = Pull::start(by(quick(camera.url.clone()), Transport::Multicast));
    pull.begun().await;
    pull.video(10).await;
    // Somebody else on the same link.
    let stranger = UdpSocket::bind("10.77.3.1:0").expect("a socket");
    socket2::SockRef::from(&stranger)
        .set_multicast_if_v4(&"10.77.3.1".parse().expect("an address"))
        .expect("an interface");
    let packet = &interleaved(9, 96, b"\x65\x88\x80\x01")[4..];
    for port in 5_000..5_010 {
        for last in 1..=9 {
            stranger.send_to(packet, (format!("239.255.42.{last}"), port)).expect("it is sent");
        }
    }
    let mut pictures = 0;
    while pictures < 60 {
        let seen = pull.find("pictures", Some).await;
        assert!(!matches!(seen, Seen::Restarted | Seen::Remarked(_)), "{seen:?}");
        pictures += usize::from(matches!(seen, Seen::Video(_)));
    }
    pull.audio(10).await;
    pull.stop().await;

    let mut pull = Pull::start(quick(camera.url.clone()));
    let (sentence, _) = pull.waiting().await;
    assert!(sentence.contains("does not offer RTP over TCP"), "{sentence}");
    pull.stop().await;
}

#[tokio::test]
async fn reports_tell_when_pictures_and_sound_were_made() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let camera = Camera::small(&["--audio", "pcmu"]);
        let mut pull = Pull::start(by(quick(camera.url.clone()), transport));
        pull.begun().await;
        let (mut pictures, mut sounds, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        while reports.len() < 4 || reports.iter().all(|(kind, _)| *kind == reports[0].0) {
            match pull.find("reports", Some).await {
                Seen::Video(unit) => pictures.push(unit.timestamp),
                Seen::Audio(frame) => sounds.push(frame.timestamp),
                Seen::Reported(kind, report) => {
                    let of = if kind == Kind::Video { &pictures } else { &sounds };
                    let rate = if kind == Kind::Video { 90_000 } else { 8_000 };
                    let newest = *of.last().expect("units come before reports");
                    let off = (report.timestamp - newest) as f64 / f64::from(rate);
                    assert!(off.abs() < 1.0, "{kind:?} by {transport:?}: {off} s from the newest unit");
                    reports.push((kind, report));
                }
                _ => {}
            }
        }
        // Both by one clock: the difference of NTP times is that of arrivals.
        for pair in reports.windows(2) {
            let said = pair[1].1.ntp.wrapping_sub(pair[0].1.ntp).cast_signed() as f64 / 4_294_967_296.0;
            let passed = (pair[1].1.received - pair[0].1.received).as_secs_f64();
            assert!((said - passed).abs() < 0.5, "{said} s by the camera, {passed} s here");
        }
        pull.stop().await;
    }
}

#[tokio::test]
async fn a_report_before_the_first_packet_and_of_nobody_is_no_harm() {
    let report = |channel: u8, ssrc: u32| {
        let mut packet = vec![b'$', channel, 0, 28, 0x80, 200, 0, 6];
        packet.extend(ssrc.to_be_bytes());
        packet.extend((3_900_000_000_u64 << 32).to_be_bytes());
        packet.extend([0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1]);
        packet
    };
    let packets = [
        report(1, 0x0102_0304),
        interleaved(1, 96, SPS_NAL),
        interleaved(2, 96, b"\x65\x88\x80\x01"),
        // Of a sender that nobody has: whose channel it is on tells.
        report(1, 0xdead_beef),
        // On the channel of packets, and cut short.
        report(0, 0x0102_0304),
        vec![b'$', 1, 0, 8, 0x80, 200, 0, 1, 1, 2, 3, 4],
        interleaved(3, 96, b"\x41\x9a\x80\x01"),
    ];
    let packets = packets.concat();
    let (url, _) = server(move |stream| {
        let packets = packets.clone();
        async move {
            up_to_play(&stream, SDP, "1", &packets).await;
            while request(&stream).await.is_some() {}
        }
    })
    .await;
    let mut pull = Pull::start(quick(url));
    let mut reports = Vec::new();
    while reports.len() < 2 {
        let seen = pull.find("reports", Some).await;
        if let Seen::Reported(kind, report) = seen {
            reports.push((kind, report.timestamp, report.ntp >> 32));
        }
    }
    assert_eq!(reports, [(Kind::Video, 2, 3_900_000_000); 2]);
    pull.stop().await;
}
