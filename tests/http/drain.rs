//! A server that is to end and lets its viewers finish: by SIGTERM and by the API.

use std::time::Duration;

use sluice_harness::player::Player;
use sluice_harness::viewers::Viewers;
use sluice_harness::{Request, Sluice, wait_for};

use crate::{playing, refused};

const CHROMIUM: &str = include_str!("../data/chromium-156.sdp");

fn offer(sluice: &Sluice) -> sluice_harness::Response {
    sluice.request(Request::offer("/demo/whep", CHROMIUM))
}

fn draining(sluice: &Sluice, wanted: f64) {
    sluice.wait_for_metric("sluice_draining", &format!("is {wanted}"), |draining| draining == wanted);
}

/// Somebody who watches.
fn watching(sluice: &Sluice) -> Player {
    let mut player = Player::join(sluice, "/demo/whep");
    player.run_until("media", |player| player.is_connected() && player.packets() > 20);
    player
}

fn order(sluice: &Sluice, body: &str) -> sluice_harness::Response {
    Request::new("POST", "/api/v1/drain").body(body).send(sluice.admin)
}

#[test]
fn who_watches_may_stay_and_nobody_new_is_let_in_until_the_last_has_left() {
    let sluice = playing(&["--set", "drain.timeout=10m"]);
    let mut player = watching(&sluice);
    sluice.signal("TERM");
    draining(&sluice, 1.0);

    let refusal = offer(&sluice);
    let sentence = refused(&refusal, 503);
    assert!(sentence.contains("about to end"), "{sentence}");
    assert_eq!(refusal.json()["code"], "draining", "the page has words for it");
    assert_eq!(refusal.header("retry-after"), Some("5"));
    assert_eq!(sluice.metric("sluice_http_refusals_total{reason=\"draining\"}"), 1.0);

    let ready = Request::get("/readyz").send(sluice.admin);
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["reasons"][0], "the server is draining: 1 viewers are left");
    assert_eq!(Request::get("/livez").send(sluice.admin).status, 200);

    let before = player.packets();
    player.run_until("media all the same", |player| player.packets() > before + 60);
    assert!(!player.is_closed());
    // Pages stay, too: they have the words for why there is no picture.
    assert_eq!(sluice.request(Request::get("/demo/")).status, 200);

    assert_eq!(sluice.request(Request::new("DELETE", &player.location)).status, 200);
    let (status, log) = sluice.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("drained: stopping"), "{log}");
}

#[test]
fn a_second_sigterm_ends_at_once() {
    let sluice = playing(&["--set", "drain.timeout=10m"]);
    let mut player = watching(&sluice);
    sluice.signal("TERM");
    draining(&sluice, 1.0);
    let (status, log) = sluice.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    player.run_until("the goodbye by DTLS", |player| player.is_closed());
}

#[test]
fn whoever_is_left_when_the_time_is_over_is_told_goodbye() {
    let sluice = playing(&["--set", "drain.timeout=2s"]);
    let mut player = watching(&sluice);
    sluice.signal("TERM");
    player.run_until("the goodbye by DTLS", |player| player.is_closed());
    let (status, log) = sluice.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("drained: 1 viewers are left"), "{log}");
}

#[test]
fn a_drain_by_the_api_is_taken_back_by_the_api() {
    let sluice = playing(&[]);
    let mut player = watching(&sluice);
    let drain = |method| Request::new(method, "/api/v1/drain").send(sluice.admin);
    assert_eq!(drain("GET").json()["draining"], false);
    let sentence = refused(&order(&sluice, ""), 409);
    assert!(sentence.contains("drain.timeout is 0"), "it would stop at once: {sentence}");
    for (body, what) in
        [("{\"timeout\":\"soon\"}", "soon"), ("{\"timeout\":\"0s\"}", "0s"), ("{\"time\":1}", "time")]
    {
        let sentence = refused(&order(&sluice, body), 400);
        assert!(sentence.contains(what), "{sentence}");
    }
    // A browser that another site's page has ask changes nothing.
    let foreign = Request::new("POST", "/api/v1/drain").header("Origin", "http://evil.example");
    assert_eq!(foreign.body("{\"timeout\":\"10m\"}").send(sluice.admin).status, 403);
    assert_eq!(sluice.metric("sluice_draining"), 0.0);

    let told = order(&sluice, "{\"timeout\":\"10m\"}");
    assert_eq!(
        (told.status, &told.json()["draining"], &told.json()["viewers"]),
        (202, &true.into(), &1.into())
    );
    let left = |told: &sluice_harness::Response| told.json()["left_seconds"].as_f64().expect("a number");
    assert!((500.0..=600.0).contains(&left(&told)), "{}", left(&told));
    refused(&offer(&sluice), 503);
    // Whoever names another time gets it, longer or shorter; whoever names none changes nothing.
    for (body, wanted) in [
        ("{\"timeout\":\"1h\"}", 3_500.0..=3_600.0),
        ("", 3_500.0..=3_600.0),
        ("{\"timeout\":\"9m\"}", 440.0..=540.0),
    ] {
        let told = order(&sluice, body);
        assert!(told.status == 202 && wanted.contains(&left(&told)), "{body}: {}", told.text());
    }

    let told = drain("DELETE");
    assert_eq!((told.status, &told.json()["draining"]), (200, &false.into()));
    assert_eq!(drain("DELETE").status, 200, "twice is no mistake");
    assert_eq!(offer(&sluice).status, 201);
    let before = player.packets();
    player.run_until("media all along", |player| player.packets() > before + 20);
    assert!(!player.is_closed());
    assert_eq!(Request::get("/readyz").send(sluice.admin).status, 200);
}

#[test]
fn what_an_order_to_take_a_drain_back_is_answered_is_what_happens() {
    for _ in 0..4 {
        // Nobody watches, so that the drain is over as soon as it is looked at.
        let sluice = playing(&["--set", "drain.timeout=1h"]);
        assert_eq!(order(&sluice, "").status, 202);
        let Ok(told) = Request::new("DELETE", "/api/v1/drain").try_send(sluice.admin) else {
            // It was even later.
            let (status, log) = sluice.ended();
            assert_eq!(status.code(), Some(0), "{log}");
            continue;
        };
        if told.status == 200 {
            // Several of the looks that would have ended it.
            std::thread::sleep(Duration::from_millis(700));
            assert_eq!(offer(&sluice).status, 201, "{}", sluice.log());
            continue;
        }
        let sentence = refused(&told, 409);
        assert!(sentence.contains("stopping"), "{sentence}");
        let (status, log) = sluice.ended();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[test]
fn viewers_are_sent_to_another_server_one_after_the_other() {
    let other = playing(&[]);
    let elsewhere = format!("drain.elsewhere=http://{}", other.http);
    let sluice = playing(&["--set", "drain.timeout=10s", "--set", &elsewhere]);
    let viewers = Viewers::join_many(&sluice, "demo", 4);
    viewers.wait_until_watching();
    sluice.signal("TERM");
    draining(&sluice, 1.0);

    let sent = offer(&sluice);
    assert_eq!(sent.status, 307, "{}", sent.text());
    let there = format!("http://{}/demo/whep", other.http);
    assert_eq!(sent.header("location"), Some(there.as_str()));
    assert_eq!(sent.header("access-control-allow-origin"), Some("*"), "pages may follow");

    // One at a time: when the first is told goodbye, others still watch.
    let closed = || viewers.stats().iter().filter(|viewer| viewer.closed).count();
    let mut alone = false;
    wait_for("a goodbye to everybody", || {
        alone |= closed() == 1;
        (closed() == 4).then_some(())
    });
    assert!(alone, "all were sent away at once");
    let (status, log) = sluice.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("drained: 0 viewers are left"), "{log}");
    assert_eq!(other.request(Request::offer("/demo/whep", CHROMIUM)).status, 201, "there is where they go");
}
