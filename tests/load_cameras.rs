//! `sluice load cameras`: other people's players take its cameras for cameras, and ours bears what they do wrong.
//!
//! Needs Debian's ffmpeg and GStreamer (gstreamer1.0-tools, -plugins-good, -plugins-bad, -libav).
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

#[path = "load_cameras/auth.rs"]
mod auth;
#[path = "load_cameras/faults.rs"]
mod faults;
#[path = "load_cameras/files.rs"]
mod files;
#[path = "load_cameras/players.rs"]
mod players;
#[path = "load_cameras/stills.rs"]
mod stills;
#[path = "load_cameras/zoo.rs"]
mod zoo;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use sluice_harness::cameras::Cameras;
use sluice_harness::player::Player;
use sluice_harness::{Binary, PATIENCE, Sluice, wait_for};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// A server that pulls `cameras`, by their names, with short waits.
fn server(cameras: &Cameras, arguments: &[&str]) -> Sluice {
    let streams = cameras.streams();
    let patience = [
        "--set",
        "rtsp.connect_timeout=1s",
        "--set",
        "rtsp.request_timeout=1s",
        // Longer than from one keyframe to the next, with which a session begins.
        "--set",
        "rtsp.data_timeout=3s",
        "--set",
        "rtsp.reconnect_min=100ms",
        "--set",
        "rtsp.reconnect_max=400ms",
    ];
    let all = patience.iter().chain(arguments).copied().chain(streams.iter().map(String::as_str));
    SLUICE.start(&all.collect::<Vec<_>>())
}

/// A number of a stream.
fn figure(sluice: &Sluice, name: &str, stream: &str) -> f64 {
    sluice.metric(&format!("sluice_stream_{name}{{stream=\"{stream}\"}}"))
}

/// Waits until a number of a stream is at least so much.
fn wait_for_figure(sluice: &Sluice, name: &str, stream: &str, least: f64) {
    let name = format!("sluice_stream_{name}{{stream=\"{stream}\"}}");
    sluice.wait_for_metric(&name, &format!(">= {least}"), |value| value >= least);
}

/// Nothing was ever wrong with a stream.
#[track_caller]
fn assert_undisturbed(sluice: &Sluice, stream: &str) {
    let expected = [
        ("up", 1.0),
        ("starts_total", 1.0),
        ("ingress_packets_lost_total", 0.0),
        ("ingress_invalid_frames_total", 0.0),
    ];
    for (name, value) in expected {
        assert_eq!(figure(sluice, name, stream), value, "{name} of {stream}");
    }
}

#[test]
fn our_server_plays_all_cameras_over_tcp_and_udp() {
    for transport in ["tcp", "udp"] {
        let cameras = SLUICE.cameras(4, &[]);
        let sluice = server(&cameras, &["--set", &format!("rtsp.transport={transport}")]);
        for camera in ["cam1", "cam2", "cam3", "cam4"] {
            sluice.wait_until_playing(camera);
        }
        for camera in ["cam1", "cam2", "cam3", "cam4"] {
            wait_for_figure(&sluice, "keyframes_total", camera, 2.0);
            assert_undisturbed(&sluice, camera);
        }
        let (status, log) = cameras.terminate();
        assert!(status.success(), "{log}");
        assert!(log.contains("sessions=4"), "{log}");
    }
}

#[test]
fn a_viewer_reads_the_send_time_of_every_picture_behind_the_server() {
    let cameras = SLUICE.cameras(1, &[]);
    let sluice = server(&cameras, &[]);
    sluice.wait_until_playing("cam1");
    let url = format!("http://{}/cam1/whep", sluice.http);
    let load =
        SLUICE.load_to(0, &url, &["--viewers=2", "--duration=4s", "--verify=1", "--require=delay_p50<1s"]);
    // The first ones are from the past: a viewer begins with the last keyframe.
    let (dated, past) = (load.count("/delay/count"), load.count("/verified/from_past"));
    assert_eq!(dated + past, load.count("/verified/frames"), "in keyframes and in others: {:#}", load.report);
    assert!(dated > 2 * 90, "{dated}");
}

#[test]
fn more_clients_than_allowed_are_refused_and_the_first_is_not_disturbed() {
    let cameras = SLUICE.cameras(1, &["--max-clients", "1"]);
    let sluice = server(&cameras, &[]);
    sluice.wait_until_playing("cam1");
    let other = server(&cameras, &[]);
    wait_for("the refusal", || other.log().contains("it has no room for another session").then_some(()));
    assert_undisturbed(&sluice, "cam1");
    drop(sluice);
    other.wait_until_playing("cam1");
}

#[test]
fn clients_that_are_none_are_cut_off_and_hurt_nobody() {
    let cameras = SLUICE.cameras(1, &[]);
    let sluice = server(&cameras, &[]);
    sluice.wait_until_playing("cam1");
    // What is answered before the end of the connection.
    let say = |words: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", cameras.port())).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        // It may be cut off while it is still writing.
        let _ = stream.write_all(words);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("not cut off: {error}"),
            _ => String::from_utf8_lossy(&answer).into_owned(),
        }
    };
    assert_eq!(say(b"GET / HTTP/1.1\r\n\r\n"), "");
    assert_eq!(say(&[0xff; 100]), "");
    assert_eq!(say(&[b"OPTIONS * RTSP/1.0\r\nX: ", &[b'x'; 200_000][..]].concat()), "");
    assert_eq!(say(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999999999999999\r\n\r\n"), "");
    // The parser of this header that we do not use would panic on it.
    let answer = say(b"SETUP rtsp://h/cam1/track1 RTSP/1.0\r\nCSeq: 7\r\n\
        Transport: RTP/AVP;unicast;dest_addr=\"\r\n\r\nrubbish\r\n");
    assert!(answer.starts_with("RTSP/1.0 461 ") && answer.contains("CSeq: 7\r\n"), "{answer}");
    wait_for_figure(&sluice, "keyframes_total", "cam1", 2.0);
    assert_undisturbed(&sluice, "cam1");
}

#[test]
fn it_ends_after_its_duration() {
    let began = Instant::now();
    let mut cameras = SLUICE.cameras(1, &["--duration", "1s"]);
    let status = cameras.wait();
    assert!(status.success());
    assert!((Duration::from_secs(1)..PATIENCE).contains(&began.elapsed()), "{:?}", began.elapsed());
}

/// Cameras that cannot be started with these arguments: what they say.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let output = SLUICE
        .command()
        .args(["load", "cameras"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn what_cannot_be_started_says_why() {
    let error = refused(&["--clip", "/nowhere/clip.h264"]);
    assert!(error.contains("clip /nowhere/clip.h264 cannot be read: No such file"), "{error}");
    let error = refused(&["--clip", "Cargo.toml"]);
    assert!(error.contains("neither MP4 nor an H.264 byte stream") && error.contains("ffmpeg"), "{error}");
    let taken = SLUICE.cameras(1, &[]);
    let error = refused(&["--rtsp-port", &taken.port().to_string()]);
    assert!(error.contains("choose another --rtsp-port"), "{error}");
}
