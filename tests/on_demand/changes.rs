//! What changes while a camera rests, while offers wait for it, and while people watch.

use serde_json::json;
use sluice_harness::player::Player;
use sluice_harness::{Request, wait_for};

use crate::{CHROMIUM, SLUICE, Silent, count, of, start, wait_until_idle};

fn put(sluice: &sluice_harness::Sluice, keys: &serde_json::Value) {
    let answer = Request::new("PUT", "/api/v1/streams/cam").body(keys.to_string()).send(sluice.admin);
    assert!(answer.status < 300, "{}", answer.text());
}

#[test]
fn it_is_switched_on_and_off_while_people_watch_and_costs_them_nothing() {
    let cameras = SLUICE.cameras(1, &[]);
    let source = &cameras.urls[0];
    let sluice = start(&["--set", "admin.sources=127.0.0.0/8", &format!("cam={source}")]);
    wait_until_idle(&sluice);
    // Off: it is connected though nobody watches.
    put(&sluice, &json!({ "source": source, "on_demand": false }));
    sluice.wait_until_playing("cam");
    let mut player = Player::join(&sluice, "/cam/whep");
    player.run_until("pictures", |player| player.pictures().len() > 5);
    put(&sluice, &json!({ "source": source, "on_demand": true }));
    let seen = player.pictures().len();
    player.run_until("more pictures", |player| player.pictures().len() > seen + 60);
    assert_eq!(count(&sluice, "starts_total"), 1.0, "the session goes on");
    assert_eq!(sluice.request(Request::new("DELETE", &player.location)).status, 200);
    wait_until_idle(&sluice);
    // Longer for this one: it does not rest.
    put(&sluice, &json!({ "source": source, "on_demand": true, "on_demand_close_after": "1h" }));
    let mut player = Player::join(&sluice, "/cam/whep");
    player.run_until("pictures", |player| player.pictures().len() > 5);
    assert_eq!(sluice.request(Request::new("DELETE", &player.location)).status, 200);
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(count(&sluice, "idle"), 0.0);
    put(&sluice, &json!({ "source": source, "on_demand_close_after": "0s" }));
    wait_until_idle(&sluice);
}

#[test]
fn a_stream_that_is_removed_or_a_server_that_drains_ends_the_waiting_with_its_reason() {
    let camera = Silent::new();
    let sluice = start(&["--set", "on_demand.start_timeout=1m", &format!("cam={}", camera.url), "demo=demo"]);
    std::thread::scope(|scope| {
        let waits = || {
            let asked = scope.spawn(|| sluice.request(Request::offer("/cam/whep", CHROMIUM)));
            sluice.wait_for_metric(&of("waiting_joins", "cam"), "is 1", |waiting| waiting == 1.0);
            asked
        };
        let asked = waits();
        let removed = Request::new("DELETE", "/api/v1/streams/cam").send(sluice.admin);
        assert_eq!(removed.status, 204, "{}", removed.text());
        let answer = asked.join().expect("an answer");
        assert_eq!(answer.status, 404, "{}", answer.text());

        let added =
            Request::new("PUT", "/api/v1/streams/cam").body(r#"{"source":"demo"}"#).send(sluice.admin);
        assert_eq!(added.status, 201, "{}", added.text());
        assert_eq!(sluice.request(Request::offer("/cam/whep", CHROMIUM)).status, 201, "another camera");
    });
}

#[test]
fn a_server_that_stops_answers_those_that_wait() {
    let camera = Silent::new();
    let sluice = start(&["--set", "on_demand.start_timeout=1m", &format!("cam={}", camera.url)]);
    let http = sluice.http;
    let asked = std::thread::spawn(move || Request::offer("/cam/whep", CHROMIUM).try_send(http));
    sluice.wait_for_metric(&of("waiting_joins", "cam"), "is 1", |waiting| waiting == 1.0);
    let (status, log) = sluice.terminate();
    assert!(status.success(), "{log}");
    let answer = asked.join().expect("no panic").expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.text());
}

/// `PATCH` of MediaMTX's control API keeps what it does not say.
#[test]
fn it_is_read_and_written_as_mediamtx_has_it() {
    let cameras = SLUICE.cameras(1, &[]);
    let sluice = SLUICE.start(&["--set", "admin.sources=127.0.0.0/8", "demo=demo"]);
    let body =
        json!({ "source": cameras.urls[0], "sourceOnDemand": true, "sourceOnDemandCloseAfter": "1m30s" });
    let added = Request::new("POST", "/v3/config/paths/add/cam").body(body.to_string()).send(sluice.admin);
    assert_eq!(added.status, 200, "{}", added.text());
    wait_until_idle(&sluice);
    let told = || Request::get("/v3/config/paths/get/cam").send(sluice.admin).json();
    let said = told();
    assert_eq!(said["sourceOnDemand"], true, "{said}");
    assert_eq!(said["sourceOnDemandCloseAfter"], "90s", "{said}");
    assert_eq!(Request::get("/v3/paths/get/cam").send(sluice.admin).json()["ready"], false);
    let patch = json!({ "sourceOnDemandStartTimeout": "5s" }).to_string();
    let patched = Request::new("PATCH", "/v3/config/paths/patch/cam").body(patch).send(sluice.admin);
    assert_eq!(patched.status, 200, "{}", patched.text());
    let said = told();
    assert_eq!((&said["sourceOnDemand"], &said["sourceOnDemandStartTimeout"]), (&true.into(), &"5s".into()));
    assert_eq!(said["sourceOnDemandCloseAfter"], "90s", "{said}");
    assert_eq!(sluice.request(Request::offer("/cam/whep", CHROMIUM)).status, 201);
    wait_for("the path to be ready", || {
        let path = Request::get("/v3/paths/get/cam").send(sluice.admin).json();
        (path["ready"] == true).then_some(())
    });
}
