//! Viewers survive their source: it dies and comes back, as it was or as another, and they see it again in the same
//! session; where another codec comes back they are told so, and join anew.
#![expect(clippy::disallowed_methods, reason = "one of these tests measures real time")]

use std::time::{Duration, Instant};

use sluice_harness::gstreamer::Camera;
use sluice_harness::player::Player;
use sluice_harness::{Binary, Request, Response, Sluice};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

const ENDS: &str = "sluice_viewer_ends_total{reason=\"codec_changed\"}";

fn camera(port: u16, more: &[&str]) -> Camera {
    Camera::small(&[&["--port", &port.to_string()], more].concat())
}

fn ask(sluice: &Sluice, player: &Player) -> Response {
    sluice.request(Request::get(&player.location))
}

/// Its server is killed (SIGKILL), and what comes back differs in all that may differ.
#[test]
fn a_camera_that_dies_and_comes_back_otherwise_is_seen_again_in_the_same_session() {
    let port = sluice_harness::ports::free_port();
    let first = camera(port, &["--audio", "pcma"]);
    let sluice = SLUICE.start(&[&format!("cam=rtsp://127.0.0.1:{port}/cam")]);
    sluice.wait_until_playing("cam");
    let mut player = Player::join(&sluice, "/cam/whep");
    player.run_until("pictures", |player| player.pictures().len() > 10);
    drop(first);
    let up = "sluice_stream_up{stream=\"cam\"}";
    for (starts, more) in [
        (2.0, &["--size", "640x360", "--audio", "pcma"][..]),
        // Its sound goes, and comes back.
        (3.0, &["--size", "1280x720", "--gop", "7", "--audio", "none"]),
        (4.0, &["--size", "320x180", "--audio", "pcma"]),
    ] {
        player.run_until("the end of the camera", |_| sluice.metric(up) == 0.0);
        let _camera = camera(port, more);
        let seen = player.pictures().len();
        player.run_until("pictures again", |player| player.pictures().len() > seen + 30);
        assert!(!player.is_closed());
        assert_eq!(ask(&sluice, &player).status, 204);
        assert_eq!(sluice.metric("sluice_stream_starts_total{stream=\"cam\"}"), starts);
    }
    let timestamps = player.pictures();
    let in_order = |pair: &[u32]| pair[1].wrapping_sub(pair[0]) < 1 << 31;
    assert!(timestamps.windows(2).all(in_order), "time goes on");
    assert_eq!(sluice.metric("sluice_viewer_connects_total"), 1.0);
    assert_eq!(sluice.metric(ENDS), 0.0);
}

#[test]
fn a_camera_that_comes_back_with_another_codec_ends_the_session_with_that_reason_and_they_join_anew() {
    let port = sluice_harness::ports::free_port();
    let first = camera(port, &["--audio", "opus"]);
    let sluice = SLUICE.start(&[&format!("cam=rtsp://127.0.0.1:{port}/cam"), "demo=demo"]);
    sluice.wait_until_playing("cam");
    let mut of_another = Player::join(&sluice, "/demo/whep");
    let mut player = Player::join(&sluice, "/cam/whep");
    player.run_until("pictures", |player| player.pictures().len() > 10);
    of_another.run_until("pictures", |player| player.pictures().len() > 10);
    drop(first);
    sluice.wait_for_metric("sluice_stream_up{stream=\"cam\"}", "is 0", |up| up == 0.0);
    assert_eq!(ask(&sluice, &player).status, 204, "while it is away nobody is sent away");
    let _h265 = camera(port, &["--video", "h265", "--audio", "opus"]);
    player.run_until("the end of the session", Player::is_closed);
    sluice.wait_for_metric(ENDS, "is 1", |ends| ends == 1.0);
    let told = ask(&sluice, &player);
    assert_eq!((told.status, told.json()["code"].as_str()), (404, Some("codec_changed")), "{}", told.text());
    assert_eq!(told.header("access-control-allow-origin"), Some("*"), "the page of another site reads it");
    // Who never had such a session is not told what others had.
    let other = sluice.request(Request::get("/demo/whep/00000000000000000000000000000001"));
    assert_eq!((other.status, other.json()["code"].as_str()), (404, Some("no_session")));
    let seen = of_another.pictures().len();
    of_another.run_until("pictures", |player| player.pictures().len() > seen + 10);
}

/// However long it has been away: who watches waits for it, so it is tried every two seconds.
#[test]
fn a_camera_that_is_away_is_asked_often_while_somebody_watches() {
    let port = sluice_harness::ports::free_port();
    let first = camera(port, &[]);
    let sluice = SLUICE.start(&[&format!("cam=rtsp://127.0.0.1:{port}/cam")]);
    sluice.wait_until_playing("cam");
    let mut player = Player::join(&sluice, "/cam/whep");
    player.run_until("pictures", |player| player.pictures().len() > 10);
    drop(first);
    let failures = "sluice_stream_failures_total{stream=\"cam\",cause=\"unreachable\"}";
    player.run_until("five attempts", |_| sluice.metric(failures) >= 5.0);
    let list = Request::get("/api/v1/streams").send(sluice.admin).json();
    let retry_in = list["streams"][0]["retry_in_ms"].as_u64();
    // None while it is being asked.
    assert!(retry_in.is_none_or(|retry_in| retry_in <= 2_000), "{list}");
    assert!(!player.is_closed());
}

/// Seconds until pictures come again, for docs/PERFORMANCE.md: `cargo test --test survive -- --ignored --nocapture`.
#[test]
#[ignore = "it measures, and takes a minute"]
fn how_long_until_pictures_come_again() {
    for away in [0, 20] {
        for run in 1..=3 {
            let port = sluice_harness::ports::free_port();
            let first = camera(port, &[]);
            let sluice = SLUICE.start(&[&format!("cam=rtsp://127.0.0.1:{port}/cam")]);
            sluice.wait_until_playing("cam");
            let mut player = Player::join(&sluice, "/cam/whep");
            player.run_until("pictures", |player| player.pictures().len() > 10);
            let killed = Instant::now();
            drop(first);
            let until = killed + Duration::from_secs(away);
            player.run_until("the time that it is away", |_| Instant::now() >= until);
            let seen = player.pictures().len();
            let _back = camera(port, &[]);
            let back = Instant::now();
            // What was under way when it died does not count: at once it may come late.
            player.run_until("pictures again", |player| player.pictures().len() > seen + 15);
            let (of_return, of_death) = (back.elapsed().as_secs_f64(), killed.elapsed().as_secs_f64());
            println!(
                "away {away} s, run {run}: half a second of pictures {of_return:.2} s after its return, {of_death:.2} s after its death"
            );
        }
    }
}

/// Sound of another kind, by the configuration: who hears it joins anew, who does not sees on.
#[test]
fn sound_of_another_codec_ends_the_sessions_that_hear_it() {
    let port = sluice_harness::ports::free_port();
    let first = camera(port, &["--audio", "opus"]);
    let sluice = SLUICE.start(&[&format!("cam=rtsp://127.0.0.1:{port}/cam")]);
    sluice.wait_until_playing("cam");
    let mut player = Player::join(&sluice, "/cam/whep");
    player.run_until("pictures", |player| player.pictures().len() > 10);
    drop(first);
    sluice.wait_for_metric("sluice_stream_up{stream=\"cam\"}", "is 0", |up| up == 0.0);
    let _other = camera(port, &["--audio", "pcma"]);
    player.run_until("the end of the session", Player::is_closed);
    let mut again = Player::join(&sluice, "/cam/whep");
    again.run_until("pictures", |player| player.pictures().len() > 10);
    assert_eq!(sluice.metric(ENDS), 1.0);
}
