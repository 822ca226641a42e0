//! What programs made for MediaMTX ask: its control API below `/v3`, and its names of metrics.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};
use sluice_harness::ports::free_port;
use sluice_harness::prometheus::Prometheus;
use sluice_harness::{Request, Response, Sluice, wait_for};

use crate::operator::Viewers;
use crate::{playing, refused};

/// Members of answers of MediaMTX 1.20.1, as recorded.
const SHAPES: &str = include_str!("../data/mediamtx-1.20.1-shapes.json");

fn ask(sluice: &Sluice, path: &str) -> Response {
    Request::get(path).send(sluice.admin)
}

#[track_caller]
fn told(sluice: &Sluice, path: &str) -> Value {
    let answer = ask(sluice, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    answer.json()
}

/// A refusal in their form: its sentence.
#[track_caller]
fn said(answer: &Response, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["status"], "error", "{body}");
    body["error"].as_str().expect("a sentence").to_owned()
}

/// Every member of `theirs` is in `ours`, with a value of its type, and ours has no other.
#[track_caller]
fn same_shape(ours: &Value, theirs: &Value, at: &str) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let names =
                |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(ours), names(theirs), "{at}");
            ours.iter().for_each(|(name, value)| same_shape(value, &theirs[name], &format!("{at}.{name}")));
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            for (ours, theirs) in ours.iter().zip(theirs) {
                same_shape(ours, theirs, &format!("{at}[]"));
            }
        }
        _ => {
            assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(theirs), "{at}: {ours} {theirs}")
        }
    }
}

#[test]
fn paths_and_sessions_have_the_members_and_types_that_mediamtx_gives() {
    let shapes: Value = serde_json::from_str(SHAPES).expect("JSON");
    let sluice = playing(&["demo=demo", "site1/gate=demo"]);
    sluice.wait_until_playing("site1/gate");
    let _viewers = Viewers::of(&sluice, "site1/gate", 2, &[]);
    let sessions = wait_for("sessions with media", || {
        let list = told(&sluice, "/v3/webrtcsessions/list");
        let sent = |session: &Value| session["outboundRTPPackets"].as_u64() > Some(10);
        list["items"].as_array()?.iter().all(sent).then_some(list)
    });
    same_shape(&sessions, &shapes["webrtcsessions/list"], "webrtcsessions/list");
    assert_eq!((&sessions["itemCount"], &sessions["pageCount"]), (&2.into(), &1.into()));
    let first = &sessions["items"][0];
    let (id, path) = (first["id"].as_str().expect("an id"), "/v3/webrtcsessions/get/");
    assert_eq!(told(&sluice, &format!("{path}{id}"))["created"], first["created"]);
    assert_eq!((&first["path"], &first["state"]), (&"site1/gate".into(), &"read".into()));
    for (candidate, kind) in [("localCandidate", "host/udp/"), ("remoteCandidate", "prflx/udp/")] {
        assert!(first[candidate].as_str().is_some_and(|label| label.starts_with(kind)), "{first}");
    }
    let address: SocketAddr =
        first["remoteAddr"].as_str().and_then(|text| text.parse().ok()).expect("an address");
    assert!(address.port() > 0, "{first}");

    let paths = told(&sluice, "/v3/paths/list?itemsPerPage=1&page=1");
    assert_eq!((&paths["itemCount"], &paths["pageCount"]), (&2.into(), &2.into()));
    same_shape(&paths, &shapes["paths/list"], "paths/list");
    let gate = told(&sluice, "/v3/paths/get/site1/gate");
    assert_eq!(gate["name"], paths["items"][0]["name"]);
    assert_eq!((&gate["ready"], &gate["tracks"]), (&true.into(), &json!(["H264", "Opus"])));
    assert_eq!(gate["tracks2"][0]["codecProps"]["width"], 1280);
    assert_eq!(gate["readers"].as_array().map(Vec::len), Some(2));
    assert!(gate["inboundBytes"].as_u64() > Some(0) && gate["outboundBytes"].as_u64() > Some(0), "{gate}");
    same_shape(&told(&sluice, "/v3/info"), &shapes["info"], "info");
    for list in ["rtspconns", "rtspsessions"] {
        let empty = json!({ "itemCount": 0, "pageCount": 0, "items": [] });
        assert_eq!(told(&sluice, &format!("/v3/{list}/list")), empty);
    }
    let configs = told(&sluice, "/v3/config/paths/list");
    same_shape(&configs, &shapes["config/paths/list"], "config/paths/list");
    assert_eq!(told(&sluice, "/v3/config/paths/get/site1/gate"), configs["items"][1]);
    same_shape(&told(&sluice, "/v3/config/global/get"), &shapes["config/global/get"], "config/global/get");
}

#[test]
fn a_session_that_is_kicked_is_over_and_what_it_was_sent_stays_counted() {
    let sluice = playing(&[]);
    let viewers = Viewers::of(&sluice, "demo", 1, &[]);
    let sent = || told(&sluice, "/v3/paths/get/demo")["outboundBytes"].as_u64().unwrap_or(0);
    let before = wait_for("media", || Some(sent()).filter(|sent| *sent > 10_000));
    let id = told(&sluice, "/v3/webrtcsessions/list")["items"][0]["id"].as_str().expect("an id").to_owned();
    let kick = format!("/v3/webrtcsessions/kick/{id}");
    let foreign = Request::new("POST", &kick).header("Sec-Fetch-Site", "cross-site").send(sluice.admin);
    assert_eq!(foreign.status, 403);
    let kicked = Request::new("POST", &kick).send(sluice.admin);
    assert_eq!((kicked.status, kicked.json()), (200, json!({ "status": "ok" })));
    sluice.wait_for_metric("sluice_viewer_ends_total{reason=\"operator\"}", "is 1", |ends| ends == 1.0);
    assert_eq!(said(&Request::new("POST", &kick).send(sluice.admin), 404), "session not found");
    drop(viewers);
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
    assert!(sent() >= before, "{} < {before}", sent());
}

#[test]
fn paths_are_added_changed_and_taken_away_while_others_play() {
    let sluice = playing(&["demo=demo"]);
    let _viewers = Viewers::of(&sluice, "demo", 1, &[]);
    let change = |method: &str, path: &str, body: &str| {
        Request::new(method, &format!("/v3/config/paths/{path}")).body(body).send(sluice.admin)
    };
    #[track_caller]
    fn done(answer: &Response) {
        assert_eq!((answer.status, answer.json()), (200, json!({ "status": "ok" })), "{}", answer.text());
    }
    let config = || told(&sluice, "/v3/config/paths/get/site1/new");
    done(&change("POST", "add/site1/new", r#"{"source":"demo","record":false}"#));
    sluice.wait_until_playing("site1/new");
    assert_eq!(said(&change("POST", "add/site1/new", r#"{"source":"demo"}"#), 400), "path already exists");
    let camera = r#"{"source":"rtsp://user:canary@10.255.255.1:1/x"}"#;
    done(&change("POST", "replace/site1/new", camera));
    assert_eq!(
        (&config()["source"], &config()["rtspTransport"]),
        (&"rtsp://10.255.255.1:1".into(), &"tcp".into())
    );
    done(&change("PATCH", "patch/site1/new", r#"{"rtspTransport":"udp"}"#));
    assert_eq!(
        (&config()["source"], &config()["rtspTransport"]),
        (&"rtsp://10.255.255.1:1".into(), &"udp".into())
    );
    for (method, path, body, status, why) in [
        ("PATCH", "patch/nothing", "{}", 404, "path not found"),
        ("DELETE", "delete/nothing", "", 404, "path not found"),
        ("POST", "add/other", "{}", 400, "source is missing"),
        ("POST", "add/other", "[", 400, "EOF while parsing a list"),
        ("POST", "add/other", "[]", 400, "expected a map"),
        ("POST", "add/other", r#"{"source":"srt://127.0.0.1:1"}"#, 400, "source"),
        ("POST", "add/other", r#"{"source":"demo","runOnReady":"x"}"#, 400, "runOnReady is not here"),
        ("POST", "add/a/whep", r#"{"source":"demo"}"#, 400, "invalid name"),
    ] {
        let sentence = said(&change(method, path, body), status);
        assert!(sentence.contains(why) && !sentence.contains("canary"), "{path}: {sentence}");
    }
    done(&change("DELETE", "delete/site1/new", ""));
    assert_eq!(said(&ask(&sluice, "/v3/paths/get/site1/new"), 404), "path not found");
    assert_eq!(sluice.metric("sluice_stream_viewers{stream=\"demo\"}"), 1.0, "nobody else noticed");
}

#[test]
fn what_is_not_there_is_refused_in_their_form() {
    let sluice = playing(&[]);
    for (path, status, why) in [
        ("/v3/paths/get/nothing", 404, "path not found"),
        ("/v3/config/paths/get/nothing", 404, "path configuration not found"),
        ("/v3/webrtcsessions/get/x", 400, "invalid UUID"),
        ("/v3/webrtcsessions/get/00000000-0000-8000-8000-000000000000", 404, "session not found"),
        ("/v3/paths/list?itemsPerPage=0", 400, "invalid items per page"),
        ("/v3/paths/list?page=x", 400, "page=x is not a number"),
    ] {
        assert_eq!(said(&ask(&sluice, path), status), why, "{path}");
    }
    assert!(said(&ask(&sluice, "/v3/nothing"), 404).contains("docs/MIGRATING.md"));
    refused(&sluice.request(Request::get("/v3/paths/get/demo/whep/x/y")), 404);
}

#[test]
fn dashboards_made_for_mediamtx_draw_if_its_metrics_are_switched_on() {
    let port = free_port();
    let sluice = playing(&[
        "--set",
        "compat.mediamtx_metrics=true",
        "--set",
        &format!("metrics.listen=127.0.0.1:{port}"),
    ]);
    let _viewers = Viewers::of(&sluice, "demo", 2, &[]);
    let metrics = SocketAddr::from(([127, 0, 0, 1], port));
    let text = |query: &str| Request::get(&format!("/metrics{query}")).send(metrics).text();
    let names = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split(['{', ' ']).next().map(str::to_owned)).collect::<BTreeSet<_>>()
    };
    let shapes: Value = serde_json::from_str(SHAPES).expect("JSON");
    let theirs = |kind: &str| {
        let names = shapes["metrics"][kind].as_array().expect("names").iter();
        names.filter_map(|name| name.as_str().map(str::to_owned)).collect::<BTreeSet<_>>()
    };
    for kind in ["paths", "webrtc_sessions", "rtsp_conns", "rtsp_sessions"] {
        assert_eq!(names(&text(&format!("?type={kind}"))), theirs(kind), "{kind}");
    }
    assert_eq!(names(&text("?path=demo")), theirs("paths"));
    assert_eq!(text("?path=nothing"), "");
    assert!(
        text("?type=paths")
            .contains("paths_readers{name=\"demo\",readerType=\"webRTCSession\",state=\"ready\"} 2\n")
    );
    // Nothing else is on that listener.
    assert_eq!(Request::get("/v3/paths/list").send(metrics).status, 404);

    // One scrape has both, and a Prometheus reads it.
    let both = names(&text(""));
    assert!(both.contains("sluice_viewers") && both.is_superset(&theirs("webrtc_sessions")), "{both:?}");
    let prometheus = Prometheus::start(metrics);
    for (query, wanted) in [
        ("sum(paths{state=\"ready\"})", 1.0),
        ("sum(paths_readers) by (name)", 2.0),
        ("count(webrtc_sessions{state=\"read\"})", 2.0),
    ] {
        wait_for(query, || (prometheus.query(query).ok()? == [wanted]).then_some(()));
    }
    wait_for("a rate", || {
        let rate = prometheus.query("sum(rate(webrtc_sessions_bytes_sent[15s]))").ok()?;
        rate.first().is_some_and(|rate| *rate > 10_000.0).then_some(())
    });
}

#[test]
fn without_the_switch_there_are_no_names_but_ours() {
    let sluice = playing(&[]);
    let text = ask(&sluice, "/metrics?type=paths").text();
    assert!(text.ends_with("# EOF\n") && text.contains("sluice_viewers"), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("paths")), "{text}");
}
