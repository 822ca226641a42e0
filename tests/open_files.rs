//! The limit of open files: raised as far as it goes, shared out, and named where it is not enough.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use sluice_harness::{Binary, Request, wait_for};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let sluice = SLUICE.start(&[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", sluice.pid())).expect("its limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line of it");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
}

#[test]
fn connections_that_the_limit_does_not_allow_are_refused_with_a_way_out() {
    let serve = format!(
        "ulimit -n 256 && exec {} --set http.connections=4096 --set http.listen=127.0.0.1:0 --set \
         admin.listen=127.0.0.1:0 --set udp.address=127.0.0.1 --set udp.port=60989 --set shards.count=1",
        SLUICE.path()
    );
    let output = Command::new("sh").args(["-c", &serve]).stdout(Stdio::null()).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["http.connections = 4096", "may have 256", "set http.connections to", "LimitNOFILE="] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
}

#[test]
fn clients_who_hold_every_place_leave_the_listener_and_health_alone() {
    let sluice = SLUICE.start(&["--set", "http.connections=20", "--set", "http.header_timeout=1s"]);
    sluice.wait_until_playing("demo");
    let held: Vec<TcpStream> = (0..60)
        .filter_map(|_| TcpStream::connect_timeout(&sluice.http, Duration::from_secs(1)).ok())
        .collect();
    assert_eq!(Request::get("/livez").send(sluice.admin).status, 200);
    drop(held);
    // Their places are free once their ends are seen.
    wait_for("a place", || {
        let answer = Request::get("/demo/whep").try_send(sluice.http);
        answer.is_ok_and(|answer| answer.status == 204).then_some(())
    });
    assert_eq!(sluice.metric("sluice_task_ends_total{task=\"http\"}"), 0.0);
    assert_eq!(sluice.metric("sluice_shard_up{shard=\"0\"}"), 1.0);
}
