//! Tokens of our own, for pages where nobody can type a password.

use serde_json::{Value, json};
use sluice_harness::{Request, Response, Sluice};

use super::{OFFER, named};
use crate::refused;

const USERS: [&str; 4] = [
    "access.users.ann.password=hunter2",
    "access.users.ann.api=true",
    "access.users.ann.metrics=true",
    "access.users.ann.read=*",
];

fn make(sluice: &Sluice, wanted: &Value) -> Response {
    let request = Request::new("POST", "/api/v1/tokens").body(wanted.to_string());
    named(request, "ann", "hunter2").send(sluice.admin)
}

fn token(sluice: &Sluice, wanted: &Value) -> String {
    let made = make(sluice, wanted);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("cache-control"), Some("no-store"));
    made.json()["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_token_opens_pages_and_streams_that_it_was_made_for_until_it_ends() {
    let sluice = guarded_by_ann();
    let long = token(&sluice, &json!({ "streams": ["g*"], "for": "10m" }));
    for (path, status) in [
        (format!("/gate/?token={long}"), 200),
        (format!("/?wall&token={long}"), 200),
        (format!("/gate/frame.mp4?muted=1&token={long}"), 200),
        (format!("/yard/frame.mp4?token={long}"), 403),
        (format!("/gate/frame.mp4?token={long}x"), 401),
        ("/gate/frame.mp4?token=".to_owned(), 401),
    ] {
        assert_eq!(sluice.request(Request::get(&path)).status, status, "{path}");
    }
    let list =
        sluice.request(Request::get("/streams.json").header("Authorization", &format!("Bearer {long}")));
    assert_eq!(list.json()["streams"].as_array().map(Vec::len), Some(1), "{}", list.text());
    let joined = sluice.request(Request::offer(&format!("/gate/whep?token={long}"), OFFER));
    assert_eq!(joined.status, 201, "{}", joined.text());
    let location = joined.header("location").expect("a session");
    assert!(!location.contains("token"), "{location}");
    // A page that goes elsewhere takes its token along.
    let moved = sluice.request(Request::get(&format!("/gate?token={long}")));
    assert_eq!(moved.header("location"), Some(format!("./gate/?token={long}").as_str()));

    let short = token(&sluice, &json!({ "streams": ["gate"], "for": "2s" }));
    let bearer = format!("Bearer {short}");
    let join = || sluice.request(Request::offer("/gate/whep", OFFER).header("Authorization", &bearer));
    assert_eq!(join().status, 201);
    wait_for_metric(&sluice, "sluice_viewer_ends_total{reason=\"access_expired\"}", 1.0);
    let again = join();
    assert!(refused(&again, 401).contains("expired"));
    assert!(again.header("www-authenticate").is_some_and(|said| said.starts_with("Bearer")));
    assert_eq!(metric(&sluice, "sluice_sessions"), Some(1.0), "the other one plays on");
    let log = sluice.log();
    assert!(log.contains("a token was made") && !log.contains("sluice_"), "{log}");
    // Who had it made is written down with it.
    let made: Vec<&str> = log.lines().filter(|line| line.contains("a token was made")).collect();
    assert!(made.len() == 2 && made.iter().all(|line| line.contains("by=\"ann\"")), "{made:#?}");
}

#[test]
fn what_means_no_stream_there_is_now_is_told_and_an_expression_is_as_good_as_a_name() {
    let sluice = guarded_by_ann();
    let wanted = json!({ "streams": ["gate", "gaet", "~^ya.d$", "hall-*", "~^x"], "for": "10m" });
    let made = make(&sluice, &wanted);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["unmatched"], json!(["gaet", "hall-*", "~^x"]));
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    assert_eq!(sluice.request(Request::get(&format!("/yard/frame.mp4?token={token}"))).status, 200);
}

#[test]
fn only_who_has_api_gets_one_and_only_for_what_can_be_given() {
    let sluice = guarded_by_ann();
    let wanted = json!({ "streams": ["gate"], "for": "10m" }).to_string();
    let stranger = Request::new("POST", "/api/v1/tokens").body(wanted.clone()).send(sluice.admin);
    assert_eq!(stranger.status, 401);
    let page = Request::new("POST", "/api/v1/tokens").body(wanted).header("Origin", "https://evil.lan");
    assert_eq!(named(page, "ann", "hunter2").send(sluice.admin).status, 403, "a page of another site");
    for (wanted, why) in [
        (json!([["gate"], "10m"]), "it is no object"),
        (json!({}), "streams"),
        (json!({ "streams": ["gate"] }), "for"),
        (json!({ "streams": [], "for": "10m" }), "0 names"),
        (json!({ "streams": ["ga te"], "for": "10m" }), "` `"),
        (json!({ "streams": ["gate", "yard/whep"], "for": "10m" }), "whep"),
        (json!({ "streams": ["~("], "for": "10m" }), "no regular expression"),
        (json!({ "streams": ["gate"], "for": "10" }), "for:"),
        (json!({ "streams": ["gate"], "for": "8760h" }), "out of range"),
        (json!({ "streams": ["gate"], "for": "10m", "action": "api" }), "unknown field"),
    ] {
        let said = refused(&make(&sluice, &wanted), 400);
        assert!(said.contains(why), "{wanted}: {said}");
    }
    // A token opens nothing of the operators'.
    let token = token(&sluice, &json!({ "streams": ["*"], "for": "10m" }));
    for path in ["/metrics", "/api/v1/sessions", "/debug/pprof/"] {
        let answer = Request::get(&format!("{path}?token={token}")).send(sluice.admin);
        assert_eq!(answer.status, 403, "{path}");
    }
}

/// `guarded` looks at metrics, which nobody but ann may here.
fn guarded_by_ann() -> Sluice {
    let sets: Vec<&str> =
        ["gate=demo", "yard=demo"].into_iter().chain(USERS.iter().flat_map(|key| ["--set", key])).collect();
    let sluice = crate::SLUICE.start(&sets);
    for stream in ["gate", "yard"] {
        wait_for_metric(&sluice, &format!("sluice_stream_up{{stream=\"{stream}\"}}"), 1.0);
    }
    sluice
}

fn metric(sluice: &Sluice, name: &str) -> Option<f64> {
    let text = named(Request::get("/metrics"), "ann", "hunter2").send(sluice.admin).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.and_then(|value| value.parse().ok())
}

fn wait_for_metric(sluice: &Sluice, name: &str, value: f64) {
    sluice_harness::wait_for(name, || (metric(sluice, name) == Some(value)).then_some(()));
}
