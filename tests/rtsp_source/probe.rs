//! `sluice probe`, the binary itself: what it says of good and bad cameras, and its exit codes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice_harness::gstreamer::Camera;
use tokio::net::{TcpStream, UdpSocket};
use url::Url;

use crate::oddities::of;
use crate::server::{Request, SDP, request, server, up_to_play, write};
use crate::{DEADLINE, PPS_NAL, SLUICE, SPS_NAL};

/// What it printed, and its exit code.
struct Probed {
    out: String,
    complaint: String,
    code: Option<i32>,
}

impl Probed {
    #[track_caller]
    fn json(&self) -> Value {
        let json: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out));
        assert_eq!(json["exit_code"].as_i64(), self.code.map(i64::from), "{json}");
        json
    }

    #[track_caller]
    fn says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.complaint);
        for word in words {
            assert!(self.out.contains(word), "{word:?} is not in {}", self.out);
        }
    }
}

async fn probe(url: &str, arguments: &[&str]) -> Probed {
    let mut command = SLUICE.command();
    command.args(["probe", url]).args(arguments).env("RUST_LOG", "trace").stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::time::timeout(DEADLINE, output).await.expect("it ends").expect("no panic");
    let output = output.expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let probed =
        Probed { out: text(output.stdout), complaint: text(output.stderr), code: output.status.code() };
    for said in [&probed.out, &probed.complaint] {
        assert!(!said.contains("canary"), "a password is in {said}");
    }
    probed
}

/// The camera's URL with credentials in it.
fn with_password(url: &Url, password: &str) -> String {
    url.as_str().replace("rtsp://", &format!("rtsp://viewer:{password}@"))
}

#[tokio::test]
async fn a_good_camera_plays_and_is_left_with_teardown() {
    let login = ["--user", "viewer", "--password", "canary-right"];
    let mut camera = Camera::small(&[&login[..], &["--audio", "pcma", "--gop", "30"]].concat());
    let url = with_password(&camera.url, "canary-right");
    let probed = probe(&url, &["--json", "--name", "gate"]).await;
    let json = probed.json();
    assert_eq!((probed.code, &json["plays"]), (Some(0), &Value::from("yes")), "{json}");
    assert_eq!((&json["reasons"], &json["changes"]), (&Value::from([""; 0]), &Value::from([""; 0])));
    assert_eq!((&json["transport"], &json["sign_in"]["scheme"]), (&"tcp".into(), &"digest".into()));
    let video = &json["video"];
    assert_eq!((&video["codec"], &video["profile"]), (&"H264".into(), &"Constrained Baseline".into()));
    assert_eq!((&video["width"], &video["height"]), (&320.into(), &180.into()));
    assert_eq!((&video["b_frames"], &json["audio"]["codec"]), (&false.into(), &"PCMA".into()));
    let figure = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no figure in {json}"));
    assert!((figure(&video["pictures_per_second"]) - 30.0).abs() < 3.0, "{json}");
    assert!((figure(&video["keyframe_interval_seconds"]["mean"]) - 1.0).abs() < 0.1, "{json}");
    assert!(figure(&video["bits_per_second"]) > 10_000.0, "{json}");
    assert!((figure(&json["audio"]["bits_per_second"]) - 64_000.0).abs() < 10_000.0, "{json}");
    assert!(figure(&json["seconds"]) < 10.0);
    let source = format!("source = {:?}", with_password(&camera.url, "PASSWORD"));
    let toml = json["toml"].as_str().expect("lines");
    assert!(toml.starts_with("[streams.gate]\n") && toml.contains(&source), "{toml}");
    assert_eq!(["SESSION", "TEARDOWN"].map(|_| camera.line()), ["SESSION", "TEARDOWN"]);
}

#[tokio::test]
async fn a_camera_that_goes_silent_does_not_play() {
    let cameras = SLUICE.cameras(1, &["--stall", "2500ms"]);
    let probed = probe(&cameras.urls[0], &["--timeout", "7s"]).await;
    probed.says(1, &["no, because it went silent: media came in the first ", "restart it"]);
}

#[tokio::test]
async fn passwords_that_are_wrong_or_missing_are_told_apart() {
    for (auth, name) in [("digest", "Digest MD5"), ("basic", "Basic")] {
        let camera = Camera::small(&["--user", "viewer", "--password", "canary-right", "--auth", auth]);
        let probed = probe(&with_password(&camera.url, "canary-wrong"), &[]).await;
        probed.says(3, &[&format!("{name}, refused"), "no, because ", "check user and password"]);
        let probed = probe(camera.url.as_str(), &[]).await;
        probed.says(3, &["the URL has no user and password", "it wants credentials"]);
        assert!(!probed.out.contains("[streams."), "nothing to paste yet: {}", probed.out);
    }
}

#[tokio::test]
async fn b_frames_are_seen_and_the_way_out_is_named() {
    let camera = Camera::small(&["--video", "h264-b", "--gop", "30"]);
    let probed = probe(camera.url.as_str(), &[]).await;
    probed.says(
        0,
        &[
            "H264 Main",
            ", B-frames",
            "plays in all browsers, but B-frames",
            "change on the camera: set the camera's",
        ],
    );
}

#[tokio::test]
async fn sound_that_is_not_carried_is_named_and_the_pictures_play_over_udp() {
    let camera = Camera::small(&["--audio", "g726", "--gop", "30"]);
    let probed = probe(camera.url.as_str(), &["--transport", "udp"]).await;
    probed.says(
        0,
        &["transport  udp", "without its sound (audio g726-16)", "G.711", "rtsp_transport = \"udp\"\n"],
    );
}

#[tokio::test]
async fn video_that_is_not_carried_does_not_play() {
    let camera = Camera::small(&["--video", "mjpeg"]);
    let probed = probe(camera.url.as_str(), &["--json"]).await;
    let json = probed.json();
    assert_eq!((probed.code, &json["plays"]), (Some(1), &Value::from("no")), "{json}");
    assert_eq!(json["tracks"][0]["name"], "video jpeg");
    assert_eq!(json["changes"], Value::from(["set its video to H.264"]));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_not_called_a_camera_that_is_off() {
    // RFC 6761 §6.4: nobody has such a name.
    let probed = probe("rtsp://u:canary@camera.invalid/x", &["--timeout", "4s"]).await;
    probed.says(3, &["camera.invalid:554 has a name that does not resolve", "write its IP address"]);
    assert!(!probed.out.contains("is it on"), "{}", probed.out);
}

#[tokio::test]
async fn nobody_there_and_somebody_else_there_are_not_reached() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let closed = closed.expect("a port that is closed again");
    probe(&format!("rtsp://u:canary@{closed}/x"), &[])
        .await
        .says(3, &["no, because camera", "cannot be reached"]);
    let (web, _) = server(|stream| async move {
        request(&stream).await;
        write(&stream, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    probe(web.as_str(), &[]).await.says(3, &["something that is not RTSP"]);
    let (silent, _) = server(|stream| async move { while request(&stream).await.is_some() {} }).await;
    let began = Instant::now();
    let probed = probe(silent.as_str(), &["--timeout", "2s"]).await;
    probed.says(3, &["did not answer DESCRIBE within 1.5 s"]);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_is_no_url_and_no_name_is_refused_without_repeating_it() {
    for (url, arguments, words) in [
        ("http://u:canary@127.0.0.1/x", &[][..], "not by `http://`"),
        ("u:canary@127.0.0.1", &[], "does not begin with `rtsp://`"),
        ("rtsp://u:can/ary@127.0.0.1/x", &[], "in a password write `/` as %2F"),
        ("rtsp://127.0.0.1/x", &["--name", "u:canary@h"], "stream name"),
        ("rtsp://127.0.0.1/x", &["--timeout", "2h"], "1s to 10m"),
        ("rtsp://127.0.0.1/x", &["--transport", "quic"], "tcp, udp"),
    ] {
        let probed = probe(url, arguments).await;
        assert_eq!((probed.code, &probed.out[..]), (Some(2), ""));
        assert!(probed.complaint.contains(words), "{}", probed.complaint);
    }
    let json = probe("http://u:canary@127.0.0.1/x", &["--json"]).await.json();
    assert_eq!(json["exit_code"], 2);
}

/// Serves one session: a keyframe if that is wanted, then pictures that refer to others, 25 a second.
async fn pictures(stream: TcpStream, keyframe: bool) {
    up_to_play(&stream, SDP, "1", b"").await;
    let first = if keyframe { &[SPS_NAL, PPS_NAL, b"\x65\x88\x84"][..] } else { &[] };
    let mut number = 0_u16;
    for nal in first {
        number += 1;
        write(&stream, &of(1, number, 3_600, nal)).await;
    }
    for picture in 2.. {
        number += 1;
        if !write(&stream, &of(1, number, picture * 3_600, b"\x41\x9a\x02")).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

#[tokio::test]
async fn a_keyframe_that_never_comes_or_never_again_is_said_and_not_guessed() {
    let (url, _) = server(|stream| pictures(stream, false)).await;
    let probed = probe(url.as_str(), &["--timeout", "4s"]).await;
    probed.says(1, &["no, because no keyframe for ", "change on the camera: switch intra refresh off"]);
    let (url, _) = server(|stream| pictures(stream, true)).await;
    let probed = probe(url.as_str(), &["--timeout", "4s"]).await;
    probed.says(0, &["no second keyframe within ", "plays in all browsers"]);
}

#[tokio::test]
async fn a_session_that_breaks_does_not_play() {
    let (url, _) = server(|stream| async move {
        let _ = tokio::time::timeout(Duration::from_secs(2), pictures(stream, true)).await;
    })
    .await;
    let probed = probe(url.as_str(), &[]).await;
    probed.says(1, &["no, because after ", "closed the connection"]);
}

/// A camera that has UDP alone is asked once more, and the lines to paste say so.
#[tokio::test]
async fn udp_is_tried_where_the_camera_has_nothing_else() {
    let (url, connections) = server(|stream| async move {
        let mut port = None;
        while let Some(Request { method, cseq, text, .. }) = request(&stream).await {
            let head = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n");
            let answer = match method.as_str() {
                "DESCRIBE" => format!("{head}Content-Length: {}\r\n\r\n{SDP}", SDP.len()),
                "SETUP" => {
                    let ours = text.split("client_port=").nth(1).and_then(|rest| rest.split('-').next());
                    port = ours.and_then(|digits| digits.parse::<u16>().ok());
                    if port.is_some() {
                        format!("{head}Session: 1\r\nTransport: RTP/AVP;unicast\r\n\r\n")
                    } else {
                        format!("RTSP/1.0 461 Unsupported Transport\r\nCSeq: {cseq}\r\n\r\n")
                    }
                }
                _ => format!("{head}\r\n"),
            };
            write(&stream, answer.as_bytes()).await;
            if let (Some(port), "PLAY") = (port, method.as_str()) {
                let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
                let nals = [SPS_NAL, PPS_NAL, b"\x65\x88\x84"];
                for (number, nal) in (1..).zip(nals) {
                    let packet = &of(1, number, 3_600, nal)[4..];
                    socket.send_to(packet, ("127.0.0.1", port)).await.expect("loopback");
                }
            }
        }
    })
    .await;
    let probed = probe(url.as_str(), &["--timeout", "3s", "--transport", "tcp"]).await;
    probed.says(1, &["set its rtsp_transport to udp"]);
    let probed = probe(url.as_str(), &["--json", "--timeout", "1s"]).await;
    let json = probed.json();
    assert_eq!((&json["transport"], &json["video"]["keyframes"]), (&"udp".into(), &1.into()), "{json}");
    assert!(json["toml"].as_str().is_some_and(|toml| toml.contains("rtsp_transport = \"udp\"")), "{json}");
    assert_eq!(connections.load(std::sync::atomic::Ordering::Relaxed), 3);
}

/// A camera of Hikvision's URLs: H.265 in its main stream, H.264 in its sub-stream, and no third.
async fn main_and_sub(stream: TcpStream) {
    let describe = |name: &str| {
        format!(
            "v=0\r\ns=Media Presentation\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 {name}/90000\r\na=control:track1\r\n"
        )
    };
    let mut low = false;
    while let Some(Request { method, cseq, text, .. }) = request(&stream).await {
        let head = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n");
        low |= text.contains("/Streaming/Channels/102 ");
        let sdp = describe(if low { "H264" } else { "H265" });
        let answer = match method.as_str() {
            "DESCRIBE" if !low && !text.contains("/Streaming/Channels/101 ") => {
                format!("RTSP/1.0 404 Not Found\r\nCSeq: {cseq}\r\n\r\n")
            }
            "DESCRIBE" => format!("{head}Content-Length: {}\r\n\r\n{sdp}", sdp.len()),
            "SETUP" => format!("{head}Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"),
            _ => format!("{head}\r\n"),
        };
        write(&stream, answer.as_bytes()).await;
        if method == "PLAY" {
            break;
        }
    }
    let (sets, keyframe, other): (&[&[u8]], &[u8], &[u8]) = if low {
        (&[SPS_NAL, PPS_NAL], b"\x65\x88\x84", b"\x41\x9a\x02")
    } else {
        (&[VPS_265, SPS_265, PPS_265], b"\x26\x01\xac\x10", b"\x02\x01\xd0\x10")
    };
    let mut number = 0_u16;
    for picture in 0..u32::MAX {
        let key = picture % 10 == 0;
        let nals: Vec<&[u8]> = if key { [sets, &[keyframe]].concat() } else { vec![other] };
        for nal in nals {
            number = number.wrapping_add(1);
            if !write(&stream, &of(1, number, picture * 3_600, nal)).await {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

// 1280x720, Main: of x265.
const VPS_265: &[u8] =
    b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\x92\x80\x90";
const SPS_265: &[u8] =
    b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\xa0\x02\x80\x80\x2d\x16\
    \x59\x2a\x49\x32\xbc\x05\xa0\x20\x00\x00\x03\x00\x20\x00\x00\x03\x03\xc1";
const PPS_265: &[u8] = b"\x44\x01\xc1\x72\xb4\x62\x40";

#[tokio::test]
async fn the_second_stream_is_found_where_the_pattern_of_the_url_is_known() {
    let (url, _) = server(main_and_sub).await;
    let high = url.join("/Streaming/Channels/101").expect("a URL");
    let probed = probe(&with_password(&high, "canary"), &["--name", "gate"]).await;
    probed.says(
        0,
        &[
            "verdict    plays where H.265 is there\n",
            "Hikvision: Video/Audio > Video > Video Encoding H.264",
            "\nlow        rtsp://viewer:***@127.0.0.1:",
            "/Streaming/Channels/102\n",
            "verdict    plays in all browsers\n",
            "source = { high = \"rtsp://viewer:PASSWORD@127.0.0.1:",
            "/Streaming/Channels/101\", low = \"rtsp://viewer:PASSWORD@",
        ],
    );
    let low = url.join("/Streaming/Channels/102").expect("a URL");
    let json = probe(low.as_str(), &["--json"]).await.json();
    assert_eq!((&json["verdict"], &json["plays"]), (&"plays in all browsers".into(), &"yes".into()));
    let second = &json["second"];
    assert_eq!((&second["layer"], &second["video"]["codec"]), (&"high".into(), &"H265".into()), "{json}");
    assert_eq!(second["verdict"], "plays where H.265 is there", "{json}");
    assert!(json["toml"].as_str().is_some_and(|toml| toml.contains("101\", low = ")), "{json}");
    // The pair of a channel that is not there.
    let (url, _) = server(|stream| pictures(stream, true)).await;
    let json = probe(url.as_str(), &["--json", "--timeout", "2s"]).await.json();
    assert_eq!(json["second"], Value::Null);
}

#[tokio::test]
async fn ctrl_c_takes_leave_of_the_camera_and_reports() {
    let mut camera = Camera::small(&["--gop", "10000"]);
    let child = SLUICE
        .command()
        .args(["probe", camera.url.as_str(), "--timeout", "10m"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    assert_eq!(camera.line(), "SESSION");
    tokio::time::sleep(Duration::from_secs(2)).await;
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = tokio::time::timeout(Duration::from_secs(10), output).await.expect("it ends at once");
    let output = output.expect("no panic").expect("its end");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success() && text.contains("no second keyframe within"), "{text}");
    assert_eq!(camera.line(), "TEARDOWN");
}

/// What no stream of a configuration may say is refused in its words.
#[tokio::test]
async fn options_that_do_not_fit_the_url_are_refused_as_a_configuration_is() {
    let pin = "ab".repeat(32);
    for (url, option, value, key) in [
        ("rtsps://viewer:canary@127.0.0.1:9/", "--transport", "udp", "rtsp_transport"),
        ("rtsp+http://viewer:canary@127.0.0.1:9/", "--transport", "multicast", "rtsp_transport"),
        ("rtsp://viewer:canary@127.0.0.1:9/", "--fingerprint", &pin, "rtsp_fingerprint"),
    ] {
        let probed = probe(url, &[option, value]).await;
        assert_eq!(probed.code, Some(2), "{}", probed.complaint);
        let text = format!("[streams.cam1]\nsource = {url:?}\n{key} = {value:?}\n");
        let file = Some(sluice_config::File::Text { name: "a.toml".to_owned(), text });
        let inputs = sluice_config::Inputs { file, ..sluice_config::Inputs::default() };
        let refused = sluice_config::load(inputs).expect_err("refused");
        let mistake = refused.mistakes().next().expect("a mistake");
        let (words, help) = (mistake.message.as_str(), mistake.hint.as_deref().expect("a way out"));
        let words = words.strip_prefix("the stream `cam1` ").expect("of the stream");
        let expected = format!("the camera {words}: {help}");
        assert!(probed.complaint.contains(&expected), "{expected}\n{}", probed.complaint);
    }
}
