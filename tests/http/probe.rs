//! Probes over HTTP: the report of `sluice probe --json`, for cameras that are where they may be, few at a time, and no
//! longer than somebody waits for it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use sluice_harness::{PATIENCE, Request, wait_for};

use super::*;

/// Cameras may be on this machine.
const HERE: [&str; 2] = ["--set", "admin.sources=127.0.0.0/8"];

fn asks(url: &str, timeout: &str) -> Request {
    let body = serde_json::json!({ "url": url, "timeout": timeout }).to_string();
    Request::new("POST", "/api/v1/probe").header("content-type", "application/json").body(body)
}

#[test]
fn a_camera_is_looked_at_and_no_password_is_told() {
    let cameras = SLUICE.cameras(1, &["--auth", "user:canary"]);
    let sluice = SLUICE.start(&HERE);
    let url = cameras.urls[0].replace("rtsp://", "rtsp://user:canary@");
    let answer = asks(&url, "10s").send(sluice.admin);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let report = answer.json();
    assert_eq!((&report["plays"], &report["exit_code"]), (&"yes".into(), &0.into()), "{report:#}");
    assert_eq!((&report["video"]["codec"], &report["video"]["width"]), (&"H264".into(), &1280.into()));
    assert_eq!((&report["sign_in"]["scheme"], &report["audio"]["codec"]), (&"digest".into(), &"opus".into()));
    assert!(report["toml"].as_str().is_some_and(|lines| lines.contains("PASSWORD")), "{report:#}");
    assert!(!answer.text().contains("canary") && !sluice.log().contains("canary"));

    let answer = asks("http://user:canary@127.0.0.1/", "10s").send(sluice.admin);
    assert!(!refused(&answer, 400).contains("canary"));
    let answer =
        Request::new("POST", "/api/v1/probe").body("{\"link\": \"rtsp://u:canary@h/\"}").send(sluice.admin);
    assert!(!refused(&answer, 400).contains("canary"));
}

#[test]
fn a_camera_may_only_be_where_the_api_may_name_one() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    silent.set_nonblocking(true).expect("settable");
    let sluice = SLUICE.start(&[]);
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"] {
        let url = format!("rtsp://{host}:{}/", silent.local_addr().expect("an address").port());
        let answer = asks(&url, "5s").send(sluice.admin);
        if answer.status == 400 {
            continue;
        }
        let report = answer.json();
        assert_eq!((answer.status, &report["exit_code"]), (200, &3.into()), "{host}: {report:#}");
        let reasons = report["reasons"].to_string();
        assert!(reasons.contains("admin.sources") || host == "2130706433", "{host}: {reasons}");
    }
    assert!(silent.accept().is_err(), "nothing was connected to");
}

#[test]
fn probes_are_few_and_end_when_nobody_waits_any_more() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("rtsp://127.0.0.1:{}/", silent.local_addr().expect("an address").port());
    let sluice = SLUICE.start(&HERE);
    let ask = || {
        let body = format!("{{\"url\":\"{url}\",\"timeout\":\"30s\"}}");
        let mut client = TcpStream::connect(sluice.admin).expect("a connection");
        let head = format!(
            "POST /api/v1/probe HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
            sluice.admin,
            body.len()
        );
        client.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).expect("written");
        let (mut camera, _) = silent.accept().expect("the probe comes");
        camera.set_read_timeout(Some(PATIENCE)).expect("settable");
        let _ = camera.read(&mut [0; 1_024]).expect("it asks something");
        (client, camera)
    };
    let (first, mut asked) = ask();
    let _second = ask();
    let third = asks(&url, "5s").send(sluice.admin);
    assert!(refused(&third, 503).contains("2 probes run already"));

    // The one who asked goes: so does the probe, long before its time.
    drop(first);
    let began = std::time::Instant::now();
    let mut rest = Vec::new();
    asked.read_to_end(&mut rest).expect("it hangs up");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let good = wait_for("the place", || {
        Some(asks(&url, "1s").send(sluice.admin)).filter(|answer| answer.status == 200)
    });
    assert_eq!(good.json()["plays"], "no");
}
