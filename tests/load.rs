//! The load generator against our own server: what it reports must be what was done.

use std::process::Command;

use sluice_harness::load::text;
use sluice_harness::{Binary, Request, Sluice, wait_for};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

fn demo(arguments: &[&str]) -> (Sluice, String) {
    let sluice = SLUICE.start(arguments);
    sluice.wait_until_playing("demo");
    let url = format!("http://{}/demo/whep", sluice.http);
    (sluice, url)
}

#[test]
fn twenty_viewers_lose_nothing_and_every_fourth_sees_whole_frames() {
    let (sluice, url) = demo(&[]);
    let pid = sluice.pid().to_string();
    let load = SLUICE.load_to(
        0,
        &url,
        &[
            "--viewers=20",
            "--duration=3s",
            "--verify=4",
            "--server-pid",
            &pid,
            "--require=loss<=0",
            "--require=failed<1",
            "--require=silent<1",
            "--require=verify_errors<1",
            "--require=duplicates<1",
        ],
    );
    assert_eq!(load.number("/joined"), 20.0);
    assert_eq!(load.number("/verifiers"), 5.0);
    // 3 s of 30 frames a second, and what each got at the start.
    assert!(load.number("/verified/frames") >= 5.0 * 90.0, "{:#}", load.report);
    assert!(load.number("/verified/keyframes") >= 5.0, "{:#}", load.report);
    assert!(load.number("/server/cpu_per_packet") > 0.0, "{:#}", load.report);
    assert_eq!(load.number("/generator/kernel_drops"), 0.0, "{:#}", load.report);
    // Everybody took leave as pages do.
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
    let deleted = "sluice_viewer_ends_total{reason=\"deleted\"}";
    sluice.wait_for_metric(deleted, "is 20", |deleted| deleted == 20.0);
    let metrics = Request::get("/metrics").send(sluice.admin).text();
    assert!(!metrics.contains("reason=\"no_session\""), "{metrics}");
}

#[test]
fn a_name_and_a_password_are_sent_to_each_server_and_shown_nowhere() {
    let users = ["--set", "access.users.ann.password=canary-ann", "--set", "access.users.ann.read=*"];
    let (_sluice, url) = demo(&users);
    let named = |password: &str| url.replace("http://", &format!("http://ann:{password}@"));
    let also = format!("--also={}?token=canary-token", named("canary-ann"));
    let run = |url: &str, more: &[&str]| {
        let mut command = SLUICE.command();
        command.args(["load", "whep", url, "--viewers=2", "--duration=1s", "--json=/dev/stdout"]);
        command.args(more).output().expect("it runs")
    };
    let both = run(&named("canary-ann"), &[&also, "--require=failed<1", "--require=silent<1"]);
    let said = text(&both);
    assert!(both.status.success(), "{said}");
    assert!(said.contains("token=..."), "{said}");
    let wrong = run(&named("canary-wrong"), &[]);
    assert!(text(&wrong).contains("401"), "{}", text(&wrong));
    let nobody = run(&url, &[]);
    assert!(text(&nobody).contains("401"), "{}", text(&nobody));
    // What cannot be read is repeated without it.
    let strange = [
        run("http://ann:canary-ann@127.0.0.1:99999/demo/whep", &[]),
        run(&named("canary-ann").replace("http:", "rtsp:"), &[]),
        run(&url, &["--also=http://ann:canary-ann@127.0.0.1:99999/demo/whep"]),
    ];
    for output in strange.iter().chain([&both, &wrong]) {
        assert!(!text(output).contains("canary"), "{}", text(output));
    }
    assert!(strange.iter().all(|output| !output.status.success()));
}

#[test]
fn loss_made_here_is_reported_as_such() {
    let (_sluice, url) = demo(&["--set", "red.enabled=false"]);
    let arguments = ["--viewers=10", "--duration=3s", "--nack=off", "--loss=5%", "--duplicate=2%"];
    let load = SLUICE.load_to(0, &url, &arguments);
    let (lost, made) = (load.number("/lost"), load.number("/totals/impaired/lost"));
    assert!(made > 100.0, "{:#}", load.report);
    // What was lost before a stream's first packet or behind its last cannot show: two streams each.
    assert!(lost <= made && lost >= made - 15.0, "{lost} reported, {made} made");
    let (again, doubled) = (load.number("/totals/duplicates"), load.number("/totals/impaired/doubled"));
    assert_eq!(again, doubled, "what is doubled shows, wherever it is");
    assert_eq!(load.number("/lost_before_repair"), lost, "nothing was asked for again");
    assert!(load.number("/totals/keyframe_requests") >= 1.0, "a browser would ask for a keyframe");
}

#[test]
fn what_is_asked_for_again_comes_again() {
    let (_sluice, url) = demo(&[]);
    let bounds = ["--require=loss_before_repair>3%", "--require=video_loss<0.2%"];
    let arguments = [&["--viewers=10", "--duration=3s", "--loss=5%", "--verify=1"], &bounds[..]].concat();
    let load = SLUICE.load_to(0, &url, &arguments);
    assert!(load.number("/totals/repaired") > 100.0, "{:#}", load.report);
    assert!(load.number("/totals/repairs") >= load.number("/totals/repaired"), "{:#}", load.report);
    // Frames are whole again: at most a few were given up on.
    let (whole, broken) = (load.number("/verified/frames"), load.number("/verified/incomplete"));
    assert!(broken < 0.05 * whole, "{:#}", load.report);
    assert_eq!(load.number("/verified/forged"), 0.0, "repairs are authentic");
}

#[test]
fn sound_that_is_lost_comes_with_the_packet_behind_it() {
    for (enabled, bound) in [("true", "--require=sound_loss<2%"), ("false", "--require=sound_loss>3%")] {
        let (_sluice, url) = demo(&["--set", &format!("red.enabled={enabled}")]);
        // Their first reports come after a second.
        let bounds = ["--require=loss_before_repair>3%", bound, "--require=verify_errors<=0"];
        let arguments =
            [&["--viewers=10", "--duration=12s", "--loss=5%", "--verify=2"], &bounds[..]].concat();
        let load = SLUICE.load_to(0, &url, &arguments);
        assert_eq!(load.number("/totals/recovered") > 100.0, enabled == "true", "{:#}", load.report);
        assert_eq!(load.number("/totals/unknown"), 0.0, "{:#}", load.report);
    }
}

#[test]
fn viewers_come_and_go_and_offers_are_left_alone() {
    let (sluice, url) = demo(&["--set", "limits.setup_timeout=2s"]);
    let load = SLUICE.load_to(0, &url, &["--viewers=5", "--duration=3s", "--churn=4", "--abandon=2"]);
    assert!(load.number("/joined") >= 5.0 + 8.0, "{:#}", load.report);
    assert!(load.number("/abandoned") >= 4.0, "{:#}", load.report);
    assert_eq!(load.number("/lost"), 0.0, "{:#}", load.report);
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
}

#[test]
fn a_bound_that_is_not_kept_is_an_exit_code_of_1() {
    let (_sluice, url) = demo(&[]);
    let load = SLUICE.load_to(1, &url, &["--viewers=1", "--duration=500ms", "--require=join_p50<1ns"]);
    let missed = load.report["missed"][0].as_str().expect("a bound");
    assert!(missed.starts_with("join_p50<1ns"), "{missed}");
}

#[test]
fn failures_are_told_by_their_reason() {
    let (sluice, _) = demo(&[]);
    let url = format!("http://{}/nothing/whep", sluice.http);
    let load = SLUICE.load_to(1, &url, &["--viewers=3", "--duration=500ms"]);
    assert_eq!(load.number("/failures/http 404 Not Found"), 3.0, "{:#}", load.report);
    assert_eq!(load.text.matches("there is no stream named \"nothing\"").count(), 1, "{}", load.text);
    let page = format!("http://{}/demo/", sluice.http);
    let load = SLUICE.load_to(1, &page, &["--viewers=1", "--duration=500ms"]);
    assert!(load.text.contains("WHEP addresses end in /whep: try /demo/whep"), "{}", load.text);

    let (_full, url) = demo(&["--set=limits.viewers=1"]);
    let load = SLUICE.load_to(0, &url, &["--viewers=3", "--duration=500ms"]);
    assert_eq!(load.number("/failures/http 503 Service Unavailable"), 2.0, "{:#}", load.report);
    let why = load.report["why"]["http 503 Service Unavailable"].as_str().expect("the server's words");
    assert!(why.contains("limits.viewers") && load.text.matches(why).count() == 1, "{why}: {}", load.text);

    let load = SLUICE.load_to(2, &url, &["--report=/nowhere/report.html"]);
    assert!(load.text.contains("cannot be written to /nowhere/report.html: No such file"), "{}", load.text);

    let load = SLUICE.load_to(2, "http://127.0.0.1:1/demo/whep", &[]);
    assert!(load.text.contains("is the server running?"), "{}", load.text);
}

#[test]
fn an_interrupt_ends_the_test_early_with_its_report() {
    let (sluice, url) = demo(&[]);
    let mut child = SLUICE
        .command()
        .args(["load", "whep", &url, "--viewers=2", "--duration=10m"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts");
    sluice.wait_for_metric("sluice_sessions", "is 2", |sessions| sessions == 2.0);
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    wait_for("the load test to end", || child.try_wait().expect("its status"));
    let output = child.wait_with_output().expect("its output");
    assert!(text(&output).contains("(interrupted)"), "{}", text(&output));
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
}

#[test]
fn the_html_report_is_one_file_with_every_curve_and_every_row() {
    let (sluice, url) = demo(&[]);
    let (pid, file) = (
        sluice.pid().to_string(),
        std::env::temp_dir().join(format!("sluice-{}.html", rand::random::<u64>())),
    );
    let path = file.to_str().expect("text");
    let secret = url.replace("http://", "http://me:hush@") + "?token=hush";
    let arguments = ["--viewers=5", "--duration=3s", "--verify=1", "--server-pid", &pid, "--report", path];
    let load = SLUICE.load_to(1, &secret, &[&arguments[..], &["--require=loss<0"]].concat());
    let html = std::fs::read_to_string(&file).expect("a report");
    std::fs::remove_file(&file).expect("it was there");
    for title in [
        "Viewers",
        "Packets a second",
        "Bits a second",
        "Lost packets",
        "Server: cores",
        "Server: resident memory",
        "Server: context switches a second",
        "Generator: cores",
        "How many are faster",
    ] {
        assert!(html.contains(&format!("<b>{title}</b>")), "{title}");
    }
    assert_eq!(html.matches("<svg").count(), 9);
    // Rows of the table, the bound that was missed, the command.
    for words in ["time to the first packet", "CPU per packet delivered", "Missed: loss&lt;0", "--verify=1"] {
        assert!(html.contains(words), "{words}");
    }
    for forbidden in ["<script", "<link", "src=", "url(", "NaN", "hush"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(!load.report.to_string().contains("hush") && !load.text.contains("hush"), "{}", load.text);

    // A curve has a point a second while joining and measuring, and adds up to what was counted.
    let points = load.report.pointer("/series/points").and_then(|points| points.as_array()).expect("points");
    assert!((2..=5).contains(&points.len()), "{points:#?}");
    let (mut packets, mut before) = (0.0, 0.0);
    for point in points {
        let number = |name: &str| point[name].as_f64().unwrap_or_else(|| panic!("{name} of {point:#}"));
        packets += number("packets_per_second") * (number("at") - before);
        before = number("at");
        assert!(number("server_rss_bytes") > 1e6 && number("server_threads") >= 2.0, "{point:#}");
    }
    assert!(packets > 0.0 && packets <= load.number("/totals/packets") + 0.5, "{packets}");
}

#[test]
fn who_comes_when_the_shard_has_no_room_is_refused_and_who_watches_loses_nothing() {
    // Of one percent a few viewers take more, in a build without optimizations at that.
    let (sluice, url) = demo(&["--set", "shards.count=1", "--set", "limits.busy=1"]);
    let expected = "sluice_shard_expected_ratio{shard=\"0\"}";
    let offer = || sluice_harness::Request::offer("/demo/whep", include_str!("data/chromium-156.sdp"));
    let arguments = ["--viewers=20", "--rate=1000", "--duration=6s", "--require=loss<=0"];
    let load = std::thread::scope(|scope| {
        let watching = scope.spawn(|| SLUICE.load_to(0, &url, &arguments));
        sluice.wait_for_metric(expected, "is over the mark", |ratio| ratio > 0.02);
        let refusal = sluice.request(offer());
        assert_eq!(refusal.status, 503, "{}", refusal.text());
        assert!(refusal.header("retry-after").is_some());
        let why = refusal.json()["detail"].as_str().expect("a sentence").to_owned();
        assert!(why.contains("limits.busy") && why.contains("shard 0"), "{why}");
        watching.join().expect("the load")
    });
    assert!(sluice.metric("sluice_shard_joins_refused_total{shard=\"0\"}") >= 1.0);
    assert!(load.number("/joined") >= 1.0, "{:#}", load.report);
    // Without viewers it is taken again.
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
    wait_for("a join to be taken again", || (sluice.request(offer()).status == 201).then_some(()));
}
