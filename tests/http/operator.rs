//! What operators ask of the admin listener, and who may ask.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use sluice_harness::{Request, Sluice, wait_for};

use crate::{SLUICE, playing, refused};

/// Viewers that stay until they are dropped.
pub struct Viewers(Child);

impl Viewers {
    pub fn of(sluice: &Sluice, stream: &str, number: usize, arguments: &[&str]) -> Viewers {
        let url = format!("http://{}/{stream}/whep", sluice.http);
        let load = SLUICE
            .command()
            .args(["load", "whep", &url, "--viewers", &number.to_string(), "--duration", "5m"])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let viewers = Viewers(load);
        let metric = format!("sluice_stream_viewers{{stream=\"{stream}\"}}");
        sluice.wait_for_metric(&metric, "are there", |viewers| viewers == number as f64);
        viewers
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(sluice: &Sluice, path: &str) -> Value {
    let answer = Request::get(path).send(sluice.admin);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    answer.json()
}

fn texts(lines: &Value) -> Vec<&str> {
    lines["lines"].as_array().expect("lines").iter().filter_map(|line| line["text"].as_str()).collect()
}

#[test]
fn the_worst_viewer_is_found_ended_and_remembered_with_its_reason() {
    let sluice = playing(&["--set", "streams.demo.source=demo", "--set", "streams.other.source=demo"]);
    sluice.wait_until_playing("other");
    let _good = Viewers::of(&sluice, "other", 2, &[]);
    let _bad = Viewers::of(&sluice, "demo", 3, &["--loss", "20%"]);
    let list = wait_for("a viewer that told its loss", || {
        let list = ask(&sluice, "/api/v1/sessions?sort=loss&limit=1");
        Some(list).filter(|list| list["sessions"][0]["loss"].as_f64().is_some_and(|loss| loss > 0.05))
    });
    assert_eq!((&list["total"], list["sessions"].as_array().map(Vec::len)), (&5.into(), Some(1)));
    assert_eq!(ask(&sluice, "/api/v1/sessions?stream=demo")["total"], 3);
    let worst = &list["sessions"][0];
    assert_eq!((&worst["stream"], &worst["address"]), (&"demo".into(), &"127.0.0.1".into()), "{worst}");
    assert_eq!((&worst["connected"], &list["silent_shards"]), (&true.into(), &serde_json::json!([])));
    assert!(worst["repairs"].as_u64() > Some(0) && worst["lost"].as_u64() > Some(0), "{worst}");
    let path = &worst["path"];
    assert!(path["remote"].as_str().is_some_and(|remote| remote.starts_with("127.0.0.1:")), "{worst}");
    assert!(worst["client"].as_str().is_some_and(|client| client.starts_with("sluice")), "{worst}");

    let id = worst["id"].as_str().expect("its id");
    let path = format!("/api/v1/sessions/{id}");
    assert_eq!(Request::new("DELETE", &path).send(sluice.admin).status, 204);
    let gone = wait_for("its end", || {
        let list = ask(&sluice, &format!("/api/v1/sessions?session={id}"));
        (list["total"] == 0 && list["ended"][0]["id"] == id).then(|| list["ended"][0].clone())
    });
    assert_eq!((&gone["reason"], &gone["stream"]), (&"operator".into(), &"demo".into()), "{gone}");
    assert!(gone["ended_ms"].as_u64() >= gone["since_ms"].as_u64(), "{gone}");
    let said = ask(&sluice, &format!("/api/v1/log?session={id}"));
    assert_eq!(texts(&said), ["viewer joins", "an operator ended a viewer", "viewer ended"]);
    sluice.wait_for_metric("sluice_viewer_ends_total{reason=\"operator\"}", "is 1", |ends| ends == 1.0);
    let sentence = refused(&Request::new("DELETE", &path).send(sluice.admin), 404);
    assert!(sentence.contains(id), "{sentence}");
}

#[test]
fn history_is_there_at_first_and_events_go_on_where_it_ends() {
    let sluice = playing(&[]);
    let _viewers = Viewers::of(&sluice, "demo", 2, &[]);
    let past = wait_for("a second with viewers", || {
        let past = ask(&sluice, "/api/v1/history");
        let last = past["samples"].as_array()?.last()?.clone();
        (last["viewers"] == 2 && last["egress_bps"].as_u64() > Some(100_000)).then_some(past)
    });
    let samples = past["samples"].as_array().expect("samples");
    assert!(samples.iter().any(|sample| sample["joins"]["connected"].as_f64() > Some(0.0)), "{past}");
    let last = &samples[samples.len() - 1];
    assert_eq!(last["shards"].as_array().map(Vec::len), Some(2));
    assert_eq!(last["shards"][0]["up"], true);

    let mut events = follow(&sluice).filter_map(|(name, data)| (name == "sample").then_some(data));
    let (first, second) = (events.next().expect("an event"), events.next().expect("an event"));
    assert!(first["at_ms"].as_u64() < second["at_ms"].as_u64(), "{first} {second}");
    assert!(first["at_ms"].as_u64() >= last["at_ms"].as_u64(), "{first} {last}");
    // Whoever follows does not keep the server from stopping.
    let (status, _) = sluice.terminate();
    assert!(status.success());
    assert_eq!(events.count(), 0);
}

/// What is told from now on: names of events, and their data.
fn follow(sluice: &Sluice) -> impl Iterator<Item = (String, Value)> + use<> {
    let mut stream = TcpStream::connect(sluice.admin).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    write!(stream, "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\n\r\n", sluice.admin).expect("it reads");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 200 OK"));
    let mut name = String::new();
    lines.filter_map(move |line| {
        if let Some(event) = line.strip_prefix("event: ") {
            name = event.to_owned();
        }
        let data = serde_json::from_str(line.strip_prefix("data: ")?).expect("JSON");
        Some((name.clone(), data))
    })
}

#[test]
fn whoever_follows_is_told_of_streams_and_of_sessions_as_they_come_and_go() {
    let sluice = playing(&[]);
    let mut events = follow(&sluice);
    let mut told = |kind: &str, wanted: &[&str]| {
        let states = events.by_ref().filter(|(name, _)| name == kind).map(|(_, data)| data);
        let states: Vec<Value> = states.take(wanted.len()).collect();
        let of = |state: &Value| state["state"].as_str().expect("a state").to_owned();
        assert_eq!(states.iter().map(of).collect::<Vec<_>>(), wanted, "{states:?}");
        states
    };
    let put = Request::new("PUT", "/api/v1/streams/yard").body(r#"{"source":"rtsp://localhost:1/canary"}"#);
    assert_eq!(put.send(sluice.admin).status, 201);
    let states = told("stream", &["removed", "connecting", "waiting"]);
    assert_eq!((&states[0]["name"], &states[2]["name"]), (&"demo".into(), &"yard".into()), "the demo goes");
    assert!(states[2]["error"].as_str().is_some_and(|error| error.contains("admin.sources")), "{states:?}");
    let put = Request::new("PUT", "/api/v1/streams/hall").body(r#"{"source":"demo"}"#);
    assert_eq!(put.send(sluice.admin).status, 201);
    sluice.wait_until_playing("hall");
    let viewers = Viewers::of(&sluice, "hall", 1, &[]);
    let began = told("session", &["began", "connected"]);
    assert_eq!((&began[0]["stream"], &began[0]["id"]), (&"hall".into(), &began[1]["id"]));
    let id = began[0]["id"].as_str().expect("an id");
    let one = ask(&sluice, &format!("/api/v1/sessions/{id}"));
    assert_eq!((&one["stream"], &one["connected"]), (&"hall".into(), &true.into()));
    assert_eq!(Request::new("DELETE", &format!("/api/v1/sessions/{id}")).send(sluice.admin).status, 204);
    assert_eq!(told("session", &["ended"])[0]["reason"], "operator");
    drop(viewers);
    refused(&Request::get("/api/v1/sessions/00000000").send(sluice.admin), 404);
    let shards = ask(&sluice, "/api/v1/shards");
    let ports = shards["shards"].as_array().expect("shards").iter().map(|shard| shard["port"].clone());
    let expected = [0, 1].map(|shard| Value::from(sluice.udp_port + shard));
    assert_eq!(ports.collect::<Vec<_>>(), expected);
    assert_eq!(shards["shards"][0]["up"], true);
}

#[test]
fn only_so_many_follow_and_a_place_is_given_back() {
    let sluice = playing(&[]);
    let follow = || {
        let mut stream = TcpStream::connect(sluice.admin).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        write!(stream, "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
        let mut line = String::new();
        BufReader::new(stream.try_clone().expect("a copy")).read_line(&mut line).expect("an answer");
        (stream, line.trim().to_owned())
    };
    let held: Vec<_> = (0..6).map(|_| follow()).collect();
    assert!(held.iter().all(|(_, line)| line == "HTTP/1.1 200 OK"), "{held:?}");
    let (_, line) = follow();
    assert_eq!(line, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(Request::get("/livez").send(sluice.admin).status, 200, "probes have their places");
    drop(held);
    wait_for("a place", || (follow().1 == "HTTP/1.1 200 OK").then_some(()));
}

#[test]
fn streams_have_one_shape_with_what_comes_in_for_operators_alone() {
    let sluice = SLUICE.start(&["cam=rtsp://user:canary@127.0.0.1:1/x", "--set", "streams.demo.source=demo"]);
    sluice.wait_until_playing("demo");
    let list = wait_for("the demo's bitrate", || {
        let list = ask(&sluice, "/api/v1/streams");
        Some(list).filter(|list| list["streams"][1]["ingress"]["bps"].as_u64() > Some(100_000))
    });
    assert_eq!(list["streams"][0]["source"], "rtsp://127.0.0.1:1");
    assert!(!list.to_string().contains("canary"), "{list}");
    // Times pass between two answers.
    wait_for("two answers of one moment", || {
        let mut mine = ask(&sluice, "/api/v1/streams")["streams"][1].take();
        let theirs = sluice.request(Request::get("/streams.json")).json();
        mine.as_object_mut().expect("a stream").remove("ingress");
        (mine == theirs["streams"][1]).then_some(())
    });
    assert!(ask(&sluice, "/streams")["streams"][0]["source"] == "rtsp://127.0.0.1:1");
}

#[test]
fn the_log_is_told_by_stream_and_from_a_line_on() {
    let sluice = SLUICE.start(&["cam=rtsp://user:canary@127.0.0.1:1/x", "--set", "streams.demo.source=demo"]);
    sluice.wait_until_playing("demo");
    let of = |stream: &str| ask(&sluice, &format!("/api/v1/log?level=info&stream={stream}"));
    let cam = wait_for("a line about the camera", || Some(of("cam")).filter(|cam| !texts(cam).is_empty()));
    let about = |line: &Value| {
        line["fields"].as_array().is_some_and(|fields| fields.contains(&serde_json::json!(["stream", "cam"])))
    };
    assert!(cam["lines"].as_array().expect("lines").iter().all(about), "{cam}");
    assert!(!ask(&sluice, "/api/v1/log?limit=4000").to_string().contains("canary"));
    let all = ask(&sluice, "/api/v1/log");
    let number = all["lines"][0]["number"].as_u64().expect("a number");
    let rest = ask(&sluice, &format!("/api/v1/log?after={number}"));
    assert!(rest["lines"][0]["number"].as_u64() > Some(number), "{rest}");
}

#[test]
fn a_page_of_another_site_can_neither_read_nor_end_anything() {
    let sluice = playing(&[]);
    let _viewers = Viewers::of(&sluice, "demo", 1, &[]);
    let id = ask(&sluice, "/api/v1/sessions")["sessions"][0]["id"].as_str().expect("an id").to_owned();
    let end = format!("/api/v1/sessions/{id}");
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
    ] {
        for request in [
            Request::new("DELETE", &end),
            Request::get("/api/v1/sessions"),
            Request::get("/api/v1/events"),
            Request::get("/streams"),
        ] {
            let answer = request.header(name, value).send(sluice.admin);
            refused(&answer, 403);
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    // Its browser asks first whether it may.
    let preflight = Request::new("OPTIONS", &end).header("Origin", "http://evil.example").send(sluice.admin);
    assert!(preflight.status >= 400 && preflight.header("access-control-allow-methods").is_none());
    assert_eq!(ask(&sluice, "/api/v1/sessions")["total"], 1, "nobody was ended");
    let own = Request::new("DELETE", &end).header("Sec-Fetch-Site", "same-origin");
    assert_eq!(own.send(sluice.admin).status, 204);
}

#[test]
fn what_means_nothing_is_refused_with_what_would() {
    let sluice = playing(&[]);
    for (path, words) in [
        ("/api/v1/sessions?sort=los", "sort=los is no order: there are loss, round_trip"),
        ("/api/v1/sessions?limit=1001", "limit=1001 is not a number from 0 to 1000"),
        (
            "/api/v1/sessions?strem=demo",
            "\"strem\" is not known in a query here (known: stream, session, sort, offset, limit): did you mean stream?",
        ),
        ("/api/v1/sessions?session=xyz", "\"xyz\" is no id of a session"),
        ("/api/v1/log?level=warn", "level=warn is not kept: there are debug and info"),
        ("/api/v1/log?after=-1", "after=-1 is not a number from 0"),
    ] {
        let sentence = refused(&Request::get(path).send(sluice.admin), 400);
        assert!(sentence.starts_with(words), "{sentence}");
    }
    // Whatever there is refuses what it does not know, and does nothing.
    let document = Request::get("/api/v1/openapi.json").send(sluice.admin).json();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let path = path.replace("{name}", "demo").replace("{id}", "00000000");
        for method in operations.as_object().expect("operations").keys().map(|name| name.to_uppercase()) {
            for (query, words) in [("nonesuch=1", "nonesuch"), ("limit=1&limit=2", "limit")] {
                let answer = Request::new(&method, &format!("{path}?{query}")).send(sluice.admin);
                let sentence = refused(&answer, 400);
                assert!(
                    sentence.contains(words) && sentence.contains("query"),
                    "{method} {path}: {sentence}"
                );
                asked += 1;
            }
        }
    }
    assert!(asked >= 2 * 19, "{asked}");
    let sentence = refused(&Request::get("/api/v1/streams?limit=1&limit=2").send(sluice.admin), 400);
    assert!(sentence.contains("\"limit\" stands in the query more than once"), "{sentence}");
    assert_eq!(ask(&sluice, "/api/v1/drain")["draining"], false);
    let sentence = refused(&Request::new("DELETE", "/api/v1/sessions/7").send(sluice.admin), 400);
    assert!(sentence.contains("eight hexadecimal digits"), "{sentence}");
    refused(&Request::new("DELETE", "/api/v1/sessions/00000000").send(sluice.admin), 404);
}

#[test]
fn the_configuration_in_effect_is_told_with_who_gave_each_value_and_without_secrets() {
    let cam = "cam=rtsp://user:canary@127.0.0.1:1/canary";
    let hook = "access.hook.url=http://ann:canary@127.0.0.1:1/may?key=canary";
    let sluice =
        SLUICE.start(&[cam, "--set", "streams.demo.source=demo", "--set", "nack.history=2s", "--set", hook]);
    let told = ask(&sluice, "/api/v1/config");
    let setting = |key: &str| {
        let all = told["settings"].as_array().expect("settings");
        let found = all.iter().find(|setting| setting["key"] == key);
        let found = found.unwrap_or_else(|| panic!("no {key} in {told}"));
        [&found["value"], &found["origin"]].map(|text| text.as_str().expect("text").to_owned())
    };
    assert_eq!(setting("nack.history"), ["2s", "command line"]);
    assert_eq!(setting("track.history_bytes"), ["16MiB", "default"]);
    assert_eq!(setting("streams.cam.source"), ["rtsp://127.0.0.1:1", "command line"]);
    assert_eq!(setting("access.hook.url"), ["http://127.0.0.1:1/may", "command line"]);
    assert!(!told.to_string().contains("canary"), "{told}");
    let sluice = playing(&[]);
    let told = ask(&sluice, "/api/v1/config");
    let demo = told["settings"].as_array().and_then(|all| all.last()).expect("settings");
    assert_eq!((&demo["key"], &demo["origin"]), (&"streams.demo.source".into(), &"default".into()));
}

#[test]
fn browsers_get_a_page_that_runs_nothing_foreign_and_all_others_a_list_in_plain_text() {
    let sluice = playing(&[]);
    let list = Request::get("/").send(sluice.admin);
    assert_eq!((list.status, list.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = Request::get("/").header("Accept", browser).send(sluice.admin);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!((page.header("vary"), list.header("vary")), (Some("Accept"), Some("Accept")));
    let html = page.text();
    let links = html.split('"').filter(|link| link.starts_with("static/")).collect::<Vec<_>>();
    assert!(links.len() >= 5, "{html}");
    let mut wanted: Vec<String> = links.iter().map(|link| format!("/{link}")).collect();
    let mut seen = Vec::new();
    while let Some(path) = wanted.pop().filter(|_| seen.len() < 100) {
        let file = Request::get(&path).send(sluice.admin);
        assert_eq!(file.status, 200, "{path}");
        let policy = file.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        let text = file.text();
        for import in text.lines().filter(|line| line.contains("from \"./")) {
            let name = import.split("\"./").nth(1).and_then(|rest| rest.split('"').next()).expect("a name");
            let import = format!("/static/{name}");
            if !seen.contains(&import) && !wanted.contains(&import) {
                wanted.push(import);
            }
        }
        seen.push(path);
    }
    assert!(seen.len() >= 14, "the modules were not found: {seen:?}");
    // Whoever gets a library gets its licence.
    assert!(Request::get("/static/uplot-licence.txt").send(sluice.admin).text().contains("MIT"));
    refused(&sluice.request(Request::get("/static/operator.js")), 404);
}
