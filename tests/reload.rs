//! The configuration is read again: streams come, change and go while others play.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

#[path = "reload/api.rs"]
mod api;
#[path = "reload/streams.rs"]
mod by_api;
#[path = "reload/many.rs"]
mod many;
#[path = "reload/tables.rs"]
mod tables;
#[path = "reload/watched.rs"]
mod watched;

use std::path::PathBuf;
use std::time::Duration;

use sluice_harness::{Binary, Request, Sluice, wait_for};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// A configuration file, removed with the test.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> File {
        let file = File(std::env::temp_dir().join(format!("sluice-reload-{}.toml", rand::random::<u64>())));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).expect("the file is written");
    }

    fn serve(&self) -> Sluice {
        SLUICE.start(&["-c", self.0.to_str().expect("a path")])
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn streams(streams: &[(&str, &str)]) -> String {
    streams.iter().map(|(name, source)| format!("[streams.{name}]\nsource = \"{source}\"\n")).collect()
}

/// Sends SIGHUP and waits for what the log says of it.
fn reload(sluice: &Sluice) -> String {
    let before = sluice.log().len();
    sluice.signal("HUP");
    wait_for("the reload", || {
        sluice.log()[before..].lines().find(|line| line.contains("SIGHUP")).map(str::to_owned)
    })
}

fn names(sluice: &Sluice) -> Vec<String> {
    // The public list is half a second old.
    let list = Request::get("/api/v1/streams").send(sluice.admin).json();
    let streams = list["streams"].as_array().expect("streams");
    streams.iter().map(|stream| stream["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_camera_that_is_added_changed_or_removed_costs_the_viewers_of_others_nothing() {
    let cameras = SLUICE.cameras(3, &[]);
    let [first, second, third] = &cameras.urls[..] else { panic!("three cameras") };
    let file = File::new(&streams(&[("stays", first), ("moves", second), ("goes", second)]));
    let sluice = file.serve();
    ["stays", "moves", "goes"].iter().for_each(|name| sluice.wait_until_playing(name));

    let url = |name: &str| format!("http://{}/{name}/whep", sluice.http);
    std::thread::scope(|scope| {
        let watch = |name: &'static str, bounds: &'static [&'static str]| {
            let url = url(name);
            scope.spawn(move || {
                SLUICE.load(&url, &[&["--viewers=4", "--duration=8s", "--verify=1"], bounds].concat())
            })
        };
        let stays = watch("stays", &["--require=loss<=0", "--require=verify_errors<1", "--require=failed<1"]);
        let moves = watch("moves", &["--require=loss<=0", "--require=failed<1"]);
        let goes = watch("goes", &[]);
        sluice.wait_for_metric("sluice_viewers", "is 12", |viewers| viewers == 12.0);

        file.write(&streams(&[("stays", first), ("moves", third), ("comes", first)]));
        let said = reload(&sluice);
        assert!(said.contains("added comes; changed moves; removed goes"), "{said}");
        sluice.wait_until_playing("comes");
        sluice.wait_until_playing("moves");
        sluice.wait_for_metric("sluice_viewer_ends_total{reason=\"stream_removed\"}", "is 4", |ended| {
            ended == 4.0
        });

        let stays = stays.join().expect("a report");
        assert_eq!(stays.code, Some(0), "{}", stays.text);
        // Those whose camera is another one now go on under the same numbers.
        let moves = moves.join().expect("a report");
        assert_eq!(moves.code, Some(0), "{}", moves.text);
        let goes = goes.join().expect("a report");
        assert!(goes.text.contains("4 x the server closed"), "its stream went away:\n{}", goes.text);
    });
    assert_eq!(names(&sluice), ["comes", "moves", "stays"]);
    assert_eq!(sluice.request(Request::new("POST", "/goes/whep")).status, 404);
    // A stream that comes back is a new one.
    file.write(&streams(&[("goes", first)]));
    assert!(reload(&sluice).contains("added goes; removed comes, moves, stays"));
    sluice.wait_until_playing("goes");
    let back = SLUICE
        .load(&url("goes"), &["--viewers=1", "--duration=1s", "--verify=1", "--require=verify_errors<1"]);
    assert_eq!(back.code, Some(0), "{}", back.text);
    let (status, log) = sluice.terminate();
    assert!(status.success(), "{log}");
}

#[test]
fn a_key_of_rtsp_connects_only_those_cameras_anew_that_it_matters_to() {
    let cameras = SLUICE.cameras(2, &[]);
    let [first, second] = &cameras.urls[..] else { panic!("two cameras") };
    let text = |keys: &str| {
        format!("[rtsp]\n{keys}\n{}rtsp_transport = \"tcp\"\n", streams(&[("plain", first), ("own", second)]))
    };
    let metric = |sluice: &Sluice, name: &str| {
        ["plain", "own"].map(|stream| sluice.metric(&format!("{name}{{stream=\"{stream}\"}}")))
    };
    let starts = |sluice: &Sluice| metric(sluice, "sluice_stream_starts_total");
    let file = File::new(&text("reconnect_max = \"30s\""));
    let sluice = file.serve();
    ["plain", "own"].iter().for_each(|name| sluice.wait_until_playing(name));

    // What is looked at between sessions.
    file.write(&text("reconnect_max = \"20s\"\nconnect_timeout = \"4s\"\nrequest_timeout = \"4s\""));
    let said = reload(&sluice);
    assert!(said.contains("changed own, plain"), "{said}");
    let keyframes = metric(&sluice, "sluice_stream_keyframes_total");
    wait_for("three keyframes of both", || {
        let now = metric(&sluice, "sluice_stream_keyframes_total");
        now.iter().zip(keyframes).all(|(now, before)| *now >= before + 3.0).then_some(())
    });
    assert_eq!(starts(&sluice), [1.0, 1.0]);

    // What one of them says itself.
    file.write(&text("reconnect_max = \"20s\"\ntransport = \"udp\""));
    reload(&sluice);
    wait_for("the other one over UDP", || (starts(&sluice)[0] == 2.0).then_some(()));
    assert_eq!(starts(&sluice), [2.0, 1.0]);

    // What a running session has to know.
    file.write(&text("reconnect_max = \"20s\"\ntransport = \"udp\"\ndata_timeout = \"5s\""));
    reload(&sluice);
    wait_for("both anew", || (starts(&sluice) == [3.0, 2.0]).then_some(()));
    let (status, log) = sluice.terminate();
    assert!(status.success(), "{log}");
}

#[test]
fn a_configuration_with_errors_changes_nothing() {
    let file = File::new(&streams(&[("gate", "demo")]));
    let sluice = file.serve();
    sluice.wait_until_playing("gate");
    file.write("[streams.gate]\nsource = \"demo\"\n[streams.yard]\nsource = \"gopher://yard/\"\n");
    let said = reload(&sluice);
    assert!(said.contains("ERROR") && said.contains("nothing is changed"), "{said}");
    wait_for("the error", || sluice.log().contains("gopher").then_some(()));
    assert_eq!(names(&sluice), ["gate"]);
    assert_eq!(sluice.metric("sluice_stream_up{stream=\"gate\"}"), 1.0);
    std::fs::remove_file(&file.0).expect("it is there");
    assert!(reload(&sluice).contains("nothing is changed"));
    assert_eq!(names(&sluice), ["gate"]);
}

#[test]
fn what_needs_a_restart_is_named_until_there_is_one() {
    let text = streams(&[("gate", "demo")]);
    let file = File::new(&text);
    let sluice = file.serve();
    let changed = format!("{text}[limits]\nviewers = 7\n[srtp]\ncipher = \"ring\"\n");
    let waits = "without effect before a restart: limits.viewers (\"10000\" to \"7\"), \
                 srtp.cipher (\"auto\" to \"ring\")";
    for times in 1..=2 {
        file.write(&changed);
        assert!(reload(&sluice).contains("no stream differs"));
        let warned = || sluice.log().matches(waits).count();
        wait_for("the warning", || (warned() == times).then_some(()));
    }
    file.write(&text);
    reload(&sluice);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(sluice.log().matches("before a restart").count(), 2, "it is as it was at the start");
}

/// Lines of the log about joins of `stream` since `from`.
fn joins(sluice: &Sluice, from: usize, stream: &str) -> usize {
    let log = sluice.log();
    log[from..].lines().filter(|line| line.contains("viewer joins") && line.contains(stream)).count()
}

#[test]
fn the_log_tells_more_of_one_stream_or_of_all_while_the_server_runs() {
    const OFFER: &str = include_str!("data/chromium-156.sdp");
    let file = File::new(&streams(&[("gate", "demo"), ("yard", "demo")]));
    let sluice = SLUICE.start(&["-c", file.0.to_str().expect("a path"), "--set", "log.level=info"]);
    ["gate", "yard"].iter().for_each(|name| sluice.wait_until_playing(name));
    let told = |wanted: &str, status: u16| {
        let answer = Request::new("PUT", "/api/v1/log/level").body(wanted).send(sluice.admin);
        assert_eq!(answer.status, status, "{}", answer.text());
        sluice.log().len()
    };
    let join = || {
        for name in ["gate", "yard"] {
            assert_eq!(sluice.request(Request::offer(&format!("/{name}/whep"), OFFER)).status, 201);
        }
    };
    join();
    let from = told(r#"{"streams":{"gate":"debug"}}"#, 200);
    assert_eq!(joins(&sluice, 0, "gate"), 0);
    join();
    wait_for("a line", || (joins(&sluice, from, "gate") == 1).then_some(()));
    assert_eq!(joins(&sluice, from, "yard"), 0);
    let shown = Request::get("/api/v1/log/level").send(sluice.admin).json();
    assert_eq!(shown, serde_json::json!({ "level": "info", "streams": { "gate": "debug" } }));
    for wrong in [
        "",
        "{",
        r#"{"level":"=="}"#,
        r#"{"level":""}"#,
        r#"{"level":"info,"}"#,
        r#"{"streams":{"gate":"loud"}}"#,
        r#"{"streams":{"gate":"debug","attic":"debug"}}"#,
        r#"{"levels":"info"}"#,
    ] {
        told(wrong, 400);
        let still = Request::get("/api/v1/log/level").send(sluice.admin).json();
        assert_eq!(still, shown, "{wrong} changes nothing");
    }
    let from = told(r#"{"level":"sluice=debug"}"#, 200);
    join();
    wait_for("lines", || {
        (joins(&sluice, from, "yard") == 1 && joins(&sluice, from, "gate") == 1).then_some(())
    });
    // The configuration has the last word when it is read again.
    reload(&sluice);
    let from = sluice.log().len();
    join();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(joins(&sluice, from, "yard"), 0);
}
