//! Streams that are made by a pattern when somebody asks for their names.

use serde_json::{Value, json};
use sluice_harness::player::Player;
use sluice_harness::{Request, Sluice, wait_for};

use crate::{CHROMIUM, SLUICE, Silent};

/// A camera server, and the pattern by which its cameras are streams.
fn pattern(urls: &[String]) -> String {
    let url = urls[0].strip_suffix("cam1").expect("rtsp://HOST/cam1");
    format!("{url}cam$1")
}

fn start(source: &str, more: &[&str]) -> Sluice {
    let key = "streams.\"~^hall/cam([0-9]+)$\"";
    let set = format!("{key}.source={source}");
    let soon = ["--set", "on_demand.close_after=1s", "--set", &set, "demo=demo"];
    SLUICE.start(&[&soon, more].concat())
}

fn listed(sluice: &Sluice) -> Vec<(String, Value)> {
    let list = Request::get("/api/v1/streams").send(sluice.admin).json();
    let streams = list["streams"].as_array().expect("streams").iter();
    streams
        .map(|stream| (stream["name"].as_str().expect("a name").to_owned(), stream["pattern"].clone()))
        .collect()
}

fn offer(name: &str) -> Request {
    Request::offer(&format!("/{name}/whep"), CHROMIUM).header("Prefer", "wait=0")
}

#[test]
fn a_stream_is_made_for_who_asks_and_gone_once_nobody_watches() {
    let cameras = SLUICE.cameras(2, &[]);
    let sluice = start(&pattern(&cameras.urls), &[]);
    let only_demo = vec![("demo".to_owned(), Value::Null)];
    // Looking makes none.
    for (path, status) in [("/hall/cam2/", 200), ("/hall/cam2/whep", 204), ("/hall/cam2/frame.mp4", 409)] {
        assert_eq!(sluice.request(Request::get(path)).status, status, "{path}");
    }
    assert_eq!(sluice.request(Request::get("/hall/camx/")).status, 404);
    assert_eq!(sluice.request(Request::offer("/hall/cam2/whep", "no offer")).status, 400);
    assert_eq!(listed(&sluice), only_demo);

    let mut player = Player::join(&sluice, "/hall/cam2/whep");
    player.run_until("pictures", |player| player.pictures().len() > 5);
    let made = ("hall/cam2".to_owned(), json!("~^hall/cam([0-9]+)$"));
    assert_eq!(listed(&sluice), [only_demo.clone(), vec![made]].concat());
    let public = sluice.request(Request::get("/streams.json")).text();
    assert!(public.contains("hall/cam2") && !public.contains("~^"), "{public}");
    assert_eq!(sluice.metric("sluice_stream_up{stream=\"hall/cam2\"}"), 1.0);
    assert_eq!(sluice.request(Request::new("DELETE", &player.location)).status, 200);
    wait_for("it to go", || (listed(&sluice) == only_demo).then_some(()));
    // And it comes again.
    let mut player = Player::join(&sluice, "/hall/cam2/whep");
    player.run_until("pictures", |player| player.pictures().len() > 5);
    let (status, log) = sluice.terminate();
    assert!(status.success(), "{log}");
}

/// Names by the hundred, none of which is a camera that answers.
#[test]
fn names_that_nobody_watches_keep_nobody_out() {
    let cameras = SLUICE.cameras(1, &[]);
    let silent = Silent::new();
    let source = format!("{}cam$1", silent.url);
    let good = format!("streams.\"~^good([0-9]+)$\".source={}", pattern(&cameras.urls));
    let bounds =
        ["--set", "on_demand.made_streams=8", "--set", "limits.joins_per_address=1000", "--set", &good];
    let sluice = start(&source, &bounds);
    for number in 0..300 {
        let answer = sluice.request(offer(&format!("hall/cam{number}")));
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert!(listed(&sluice).len() <= 1 + 8, "{number}");
    }
    let mut player = Player::join(&sluice, "/good1/whep");
    player.run_until("pictures", |player| player.pictures().len() > 5);
    // What is watched stays, whoever asks for what.
    for number in 300..320 {
        sluice.request(offer(&format!("hall/cam{number}")));
    }
    let seen = player.pictures().len();
    player.run_until("pictures", |player| player.pictures().len() > seen + 5);
}

#[test]
fn one_address_has_its_share_of_those_that_are_wanted() {
    let silent = Silent::new();
    let bounds = ["--set", "on_demand.made_streams=4", "--set", "on_demand.start_timeout=20s"];
    let sluice = start(&format!("{}cam$1", silent.url), &bounds);
    let waits = |number: u32| {
        let (http, path) = (sluice.http, format!("/hall/cam{number}/whep"));
        std::thread::spawn(move || Request::offer(&path, CHROMIUM).try_send(http))
    };
    let mut asked = Vec::new();
    // Half of what is left: two of four, and a third while one is free for each of them.
    for number in 1..=3 {
        asked.push(waits(number));
        wait_for("it to be made", || (listed(&sluice).len() == 1 + number as usize).then_some(()));
    }
    let refused = sluice.request(offer("hall/cam9"));
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.text().contains("limits.share_per_address"), "{}", refused.text());
    assert_eq!(listed(&sluice).len(), 1 + 3, "one place is left for others");
    drop(sluice);
    drop(asked);
}

#[test]
fn a_pattern_is_put_changed_and_taken_away_by_the_api() {
    let cameras = SLUICE.cameras(2, &[]);
    let source = pattern(&cameras.urls);
    let sluice = SLUICE.start(&["--set", "admin.sources=127.0.0.0/8", "demo=demo"]);
    let path = "/api/v1/streams/~%5Ehall(%5B0-9%5D+)$";
    let put = |body: &Value| Request::new("PUT", path).body(body.to_string()).send(sluice.admin);
    assert_eq!(sluice.request(offer("hall1")).status, 404);
    let wrong = put(&json!({ "source": source.replace("$1", "$9") }));
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    assert!(wrong.text().contains("there is no `$9`"), "{}", wrong.text());
    let added = put(&json!({ "source": source }));
    assert_eq!(
        (added.status, added.json()["pattern"].as_str()),
        (201, Some("~^hall([0-9]+)$")),
        "{}",
        added.text()
    );
    let mut player = Player::join(&sluice, "/hall1/whep");
    player.run_until("pictures", |player| player.pictures().len() > 5);
    // A made one is what its pattern says.
    let removed = Request::new("DELETE", "/api/v1/streams/hall1").send(sluice.admin);
    assert_eq!(removed.status, 409, "{}", removed.text());
    let said = removed.text();
    assert!(said.contains("hall1") && said.contains("is made by ~^") && !said.contains("Name("), "{said}");
    let changed = put(&json!({ "source": source, "on_demand_close_after": "1m" }));
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_ne!(changed.header("etag"), added.header("etag"));
    let seen = player.pictures().len();
    player.run_until("pictures", |player| player.pictures().len() > seen + 5);
    // Its viewers go with it.
    assert_eq!(Request::new("DELETE", path).send(sluice.admin).status, 204);
    player.run_until("the end", Player::is_closed);
    assert_eq!(sluice.request(offer("hall1")).status, 404);
    assert_eq!(Request::get(path).send(sluice.admin).status, 404);
}

#[test]
fn who_waits_for_a_made_stream_that_gets_a_name_of_its_own_is_told_to_ask_again() {
    let (cameras, silent) = (SLUICE.cameras(1, &[]), Silent::new());
    let bounds = ["--set", "on_demand.start_timeout=20s", "--set", "admin.sources=127.0.0.0/8"];
    let sluice = start(&format!("{}cam$1", silent.url), &bounds);
    let http = sluice.http;
    let waits = std::thread::spawn(move || Request::offer("/hall/cam1/whep", CHROMIUM).send(http));
    wait_for("it to be made", || (listed(&sluice).len() == 2).then_some(()));
    let put = Request::new("PUT", "/api/v1/streams/hall/cam1")
        .body(json!({ "source": cameras.urls[0] }).to_string())
        .send(sluice.admin);
    assert_eq!(put.status, 201, "{}", put.text());
    let answer = waits.join().expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(
        answer.text().contains("ask again") && answer.header("retry-after").is_some(),
        "{}",
        answer.text()
    );
    wait_for("it to play", || (sluice.request(offer("hall/cam1")).status == 201).then_some(()));
}

/// Where the API may name cameras holds for what a name makes of them.
#[test]
fn a_pattern_of_the_api_makes_no_camera_where_the_api_may_name_none() {
    let sluice = SLUICE.start(&["demo=demo"]);
    let put = Request::new("PUT", "/api/v1/streams/~%5Ehall(%5B0-9%5D+)$")
        .body(json!({ "source": "rtsp://127.0.0.$1/" }).to_string())
        .send(sluice.admin);
    assert_eq!(put.status, 201, "{}", put.text());
    let answer = sluice.request(Request::offer("/hall1/whep", CHROMIUM));
    assert_eq!(answer.status, 409, "{}", answer.text());
    // Its line may still be on its way.
    wait_for("the log", || sluice.log().contains("admin.sources lists where it may").then_some(()));
}
