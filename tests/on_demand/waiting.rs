//! Offers that wait for the camera that they have woken.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use sluice_harness::player::Player;
use sluice_harness::{Request, Response, Sluice};

use crate::{CHROMIUM, SLUICE, Silent, count, of, start, wait_until_idle};

fn offer() -> Request {
    Request::offer("/cam/whep", CHROMIUM)
}

/// So many offers at once.
fn together(sluice: &Sluice, offers: usize) -> Vec<Response> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..offers).map(|_| scope.spawn(|| sluice.request(offer()))).collect();
        asked.into_iter().map(|asked| asked.join().expect("an answer")).collect()
    })
}

fn wait_for_waiting(sluice: &Sluice, offers: f64) {
    sluice.wait_for_metric(&of("waiting_joins", "cam"), "is reached", |waiting| waiting == offers);
}

const MANY: [&str; 6] = [
    "--set",
    "limits.joins_per_address=1000",
    "--set",
    "limits.share_per_address=100",
    "--set",
    "limits.pending=1000",
];

#[test]
fn a_herd_at_a_sleeping_camera_starts_one_session_and_all_join() {
    let cameras = SLUICE.cameras(1, &[]);
    let sluice = start(&[&MANY[..], &[&format!("cam={}", cameras.urls[0])]].concat());
    let answers = together(&sluice, 200);
    let refused: Vec<String> =
        answers.iter().filter(|answer| answer.status != 201).map(Response::text).collect();
    assert!(refused.is_empty(), "{} of 200: {}", refused.len(), refused[0]);
    assert_eq!([count(&sluice, "wakes_total"), count(&sluice, "starts_total")], [1.0; 2]);
    assert_eq!(count(&sluice, "waiting_joins"), 0.0);
    drop(sluice);
    let (_, log) = cameras.terminate();
    assert_eq!(log.matches(": connected ").count(), 1, "{log}");
}

/// Nothing listens there, and the limit is longer than this test waits for an answer.
#[test]
fn when_the_camera_fails_all_that_wait_are_told_at_once() {
    let port = sluice_harness::ports::free_port();
    let camera = format!("cam=rtsp://127.0.0.1:{port}/");
    let sluice = start(&[&MANY[..], &["--set", "on_demand.start_timeout=1m", &camera]].concat());
    for answer in together(&sluice, 20) {
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert_eq!(answer.json()["cause"], "unreachable", "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(count(&sluice, "waiting_joins"), 0.0);
    // Nobody asks any more: it is not asked for ever, and is no camera that is down.
    wait_until_idle(&sluice);
}

#[test]
fn an_offer_waits_up_to_the_limit_or_up_to_its_own() {
    let camera = Silent::new();
    let sluice = start(&["--set", "on_demand.start_timeout=1s", &format!("cam={}", camera.url)]);
    let late = sluice.request(offer());
    assert_eq!(late.status, 409, "{}", late.text());
    assert_eq!(late.json()["reason"], "its source is being connected", "{}", late.text());
    assert_eq!(late.header("retry-after"), Some("1"));
    assert_eq!(camera.connections(), 1);
    drop(sluice);
    // Of a minute this client wants none.
    let sluice = start(&["--set", "on_demand.start_timeout=1m", &format!("cam={}", camera.url)]);
    assert_eq!(sluice.request(offer().header("Prefer", "wait=0")).status, 409);
}

#[test]
fn a_client_that_goes_waits_no_more_and_the_camera_rests() {
    let camera = Silent::new();
    let one = ["--set", "limits.pending=1", "--set", "on_demand.start_timeout=1m"];
    let sluice = start(&[&one[..], &[&format!("cam={}", camera.url)]].concat());
    let mut client = TcpStream::connect(sluice.http).expect("a connection");
    let head = format!(
        "POST /cam/whep HTTP/1.1\r\nHost: {}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n",
        sluice.http,
        CHROMIUM.len()
    );
    client.write_all((head + CHROMIUM).as_bytes()).expect("it is sent");
    wait_for_waiting(&sluice, 1.0);
    assert!([429, 503].contains(&sluice.request(offer()).status), "the one place is taken");
    assert_eq!([count(&sluice, "idle"), count(&sluice, "wakes_total")], [0.0, 1.0]);
    drop(client);
    wait_for_waiting(&sluice, 0.0);
    wait_until_idle(&sluice);
    assert_eq!(sluice.request(offer().header("Prefer", "wait=0")).status, 409, "its place is free");
}

#[test]
fn those_that_wait_are_bounded_in_number_and_leave_room_for_others() {
    let camera = Silent::new();
    let limits = ["--set", "limits.pending=16", "--set", "limits.joins_per_address=1000"];
    let more = ["--set", "on_demand.start_timeout=1m", &format!("cam={}", camera.url)];
    let sluice = start(&[&limits[..], &more].concat());
    let mut held = Vec::new();
    // One address has its share of them, and is told so.
    let refused = loop {
        let mut client = TcpStream::connect(sluice.http).expect("a connection");
        let head = format!(
            "POST /cam/whep HTTP/1.1\r\nHost: {}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n",
            sluice.http,
            CHROMIUM.len()
        );
        client.write_all((head + CHROMIUM).as_bytes()).expect("it is sent");
        let waiting = held.len() as f64;
        client.set_read_timeout(Some(std::time::Duration::from_millis(500))).expect("a timeout");
        let mut answer = [0; 512];
        match client.read(&mut answer) {
            Ok(length) => break String::from_utf8_lossy(&answer[..length]).into_owned(),
            Err(_) => held.push(client),
        }
        assert!(waiting < 16.0, "more wait than may");
    };
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    wait_for_waiting(&sluice, held.len() as f64);
    assert_eq!(camera.connections(), 1);
}

#[test]
fn a_right_that_ends_while_its_holder_waits_lets_nobody_in() {
    let camera = Silent::new();
    let access = ["--set", "access.users.ann.password=hunter2", "--set", "access.users.ann.read=*"];
    let more = ["--set", "on_demand.start_timeout=3s", &format!("cam={}", camera.url)];
    let sluice = start(&[&access[..], &more].concat());
    let wanted = serde_json::json!({ "streams": ["cam"], "for": "2s" }).to_string();
    let made = Request::new("POST", "/api/v1/tokens").body(wanted).send(sluice.admin);
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    let offer = offer().header("Authorization", &format!("Bearer {token}"));
    let answer = sluice.request(offer);
    assert_eq!(camera.connections(), 1, "it was let in, and waited: {}", answer.text());
    assert_eq!(answer.status, 401, "{}", answer.text());
}

/// Nobody new is let in from then on: neither who waits already, and that is told at once.
#[test]
fn who_waits_when_a_drain_begins_is_sent_away() {
    let camera = Silent::new();
    let more = ["--set", "drain.timeout=10m", "--set", "on_demand.start_timeout=1m"];
    let sluice = start(&[&more[..], &[&format!("cam={}", camera.url), "demo=demo"]].concat());
    let mut player = Player::join(&sluice, "/demo/whep");
    player.run_until("pictures", |player| player.pictures().len() > 5);
    let http = sluice.http;
    let waits = std::thread::spawn(move || offer().send(http));
    wait_for_waiting(&sluice, 1.0);
    let order = Request::new("POST", "/api/v1/drain").body("{}").send(sluice.admin);
    assert!(order.status < 300, "{}", order.text());
    let answer = waits.join().expect("an answer");
    assert_eq!((answer.status, &answer.json()["code"]), (503, &"draining".into()), "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    let seen = player.pictures().len();
    player.run_until("pictures all the same", |player| player.pictures().len() > seen + 5);
    // The last who watches is the last that it waits for.
    assert_eq!(sluice.request(Request::new("DELETE", &player.location)).status, 200);
    let (status, log) = sluice.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// Nobody watches, so the drain is over at once: who waits is answered before the end all the same.
#[test]
fn who_waits_when_the_server_ends_is_answered() {
    let camera = Silent::new();
    let more = ["--set", "drain.timeout=10m", "--set", "on_demand.start_timeout=1m"];
    let sluice = start(&[&more[..], &[&format!("cam={}", camera.url)]].concat());
    let http = sluice.http;
    let waits = std::thread::spawn(move || offer().try_send(http));
    wait_for_waiting(&sluice, 1.0);
    sluice.signal("TERM");
    let answer = waits.join().expect("no panic").expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.text());
    let (status, log) = sluice.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}
