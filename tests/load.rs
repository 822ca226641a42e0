//! The load generator against our own server: what it reports must be what was done.

mod common;

use std::process::{Command, Output};

use common::{Sluice, wait_for};
use serde_json::Value;

/// Runs `sluice load whep` and returns its report too.
fn load(url: &str, arguments: &[&str]) -> (Output, Value) {
    let file = std::env::temp_dir().join(format!("sluice-load-{}.json", rand::random::<u64>()));
    let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["load", "whep", url, "--json"])
        .arg(&file)
        .args(arguments)
        .output()
        .expect("the binary starts");
    let report = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let _ = std::fs::remove_file(&file);
    (output, report.unwrap_or(Value::Null))
}

fn demo(arguments: &[&str]) -> (Sluice, String) {
    let sluice = Sluice::start(arguments);
    sluice.wait_until_playing("demo");
    let url = format!("http://{}/demo/whep", sluice.http);
    (sluice, url)
}

fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}\n{err}")
}

fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {pointer} in {report:#}"))
}

#[test]
fn twenty_viewers_lose_nothing_and_every_fourth_sees_whole_frames() {
    let (sluice, url) = demo(&[]);
    let pid = sluice.pid().to_string();
    let (output, report) = load(
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
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(number(&report, "/joined"), 20.0);
    assert_eq!(number(&report, "/verifiers"), 5.0);
    // 3 s of 30 frames a second, and what each got at the start.
    assert!(number(&report, "/verified/frames") >= 5.0 * 90.0, "{report:#}");
    assert!(number(&report, "/verified/keyframes") >= 5.0, "{report:#}");
    assert!(number(&report, "/server/cpu_per_packet") > 0.0, "{report:#}");
    assert_eq!(number(&report, "/generator/kernel_drops"), 0.0, "{report:#}");
    // Everybody said goodbye.
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
}

#[test]
fn loss_made_here_is_reported_as_such() {
    let (_sluice, url) = demo(&[]);
    let (output, report) =
        load(&url, &["--viewers=10", "--duration=3s", "--nack=off", "--loss=5%", "--duplicate=2%"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let (lost, made) = (number(&report, "/lost"), number(&report, "/totals/impaired/lost"));
    assert!(made > 100.0, "{report:#}");
    // What was lost before a stream's first packet or behind its last cannot show: two streams each.
    assert!(lost <= made && lost >= made - 40.0, "{lost} reported, {made} made");
    let (again, doubled) =
        (number(&report, "/totals/duplicates"), number(&report, "/totals/impaired/doubled"));
    assert!(again <= doubled && again >= doubled - 40.0, "{again} reported, {doubled} made");
    assert_eq!(number(&report, "/lost_before_repair"), lost, "nothing was asked for again");
    assert!(number(&report, "/totals/keyframe_requests") >= 1.0, "a browser would ask for a keyframe");
}

#[test]
fn what_is_asked_for_again_comes_again() {
    let (_sluice, url) = demo(&[]);
    let bounds = ["--require=loss_before_repair>3%", "--require=video_loss<0.2%"];
    let (output, report) =
        load(&url, &[&["--viewers=10", "--duration=3s", "--loss=5%", "--verify=1"], &bounds[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(number(&report, "/totals/repaired") > 100.0, "{report:#}");
    assert!(number(&report, "/totals/repairs") >= number(&report, "/totals/repaired"), "{report:#}");
    // Frames are whole again: at most a few were given up on.
    let (whole, broken) = (number(&report, "/verified/frames"), number(&report, "/verified/incomplete"));
    assert!(broken < 0.05 * whole, "{report:#}");
    assert_eq!(number(&report, "/verified/forged"), 0.0, "repairs are authentic");
}

#[test]
fn viewers_come_and_go_and_offers_are_left_alone() {
    let (sluice, url) = demo(&["--set", "limits.setup_timeout=2s"]);
    let (output, report) = load(&url, &["--viewers=5", "--duration=3s", "--churn=4", "--abandon=2"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(number(&report, "/joined") >= 5.0 + 8.0, "{report:#}");
    assert!(number(&report, "/abandoned") >= 4.0, "{report:#}");
    assert_eq!(number(&report, "/lost"), 0.0, "{report:#}");
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
}

#[test]
fn a_bound_that_is_not_kept_is_an_exit_code_of_1() {
    let (_sluice, url) = demo(&[]);
    let (output, report) = load(&url, &["--viewers=1", "--duration=500ms", "--require=join_p50<1ns"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        report["missed"][0].as_str().is_some_and(|missed| missed.starts_with("join_p50<1ns")),
        "{report:#}"
    );
}

#[test]
fn failures_are_told_by_their_reason() {
    let (sluice, _) = demo(&[]);
    let (output, report) =
        load(&format!("http://{}/nothing/whep", sluice.http), &["--viewers=3", "--duration=500ms"]);
    assert_eq!(output.status.code(), Some(1), "nothing was measured: {}", text(&output));
    assert_eq!(number(&report, "/failures/http 404 Not Found"), 3.0, "{report:#}");

    let (output, _) = load("http://127.0.0.1:1/demo/whep", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("is the server running?"), "{}", text(&output));
}

#[test]
fn an_interrupt_ends_the_test_early_with_its_report() {
    let (sluice, url) = demo(&[]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
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
