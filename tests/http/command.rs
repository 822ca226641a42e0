//! The command: versions, checks, refusals before the start, and the end.
#![expect(clippy::disallowed_methods, reason = "a test takes the ports that the server wants")]

use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Output;

use sluice_harness::ports::free_udp_ports;
use sluice_harness::{Request, wait_for};

use crate::{SLUICE, playing};

fn sluice(arguments: &[&str]) -> Output {
    SLUICE.command().args(arguments).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A configuration file that goes with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("sluice-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).expect("a file");
        File(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn version_names_the_release_and_the_commit() {
    let output = sluice(&["--version"]);
    let said = text(&output.stdout);
    let commit = said
        .strip_prefix(&format!("sluice {} (", env!("CARGO_PKG_VERSION")))
        .and_then(|rest| rest.strip_suffix(")\n"))
        .unwrap_or_else(|| panic!("{said:?}"));
    let hash = commit.len() == 12 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(hash || commit == "unknown", "{commit}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn check_tells_good_from_bad() {
    let good = File::new("good", "[streams]\na.source = \"demo\"\nb.source = \"demo\"\n");
    let output = sluice(&["check", good.path()]);
    assert_eq!(text(&output.stdout), "the configuration is good: 2 streams\n");
    assert_eq!(output.status.code(), Some(0));

    let bad = File::new("bad", "[streams.gate]\nsource = \"demo\"\n\n[udp]\nprt = 8190\n");
    for arguments in [&["check", bad.path()], &["-c", bad.path()]] {
        let output = sluice(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let said = text(&output.stderr);
        for part in
            [":5:1]", "5 | prt = ****", ": ^|^", "did you mean `udp.port`?", "1 problem in the configuration"]
        {
            assert!(said.contains(part), "{part:?} in {said}");
        }
    }
}

#[test]
fn check_takes_what_the_server_would_take() {
    let file = File::new("partial", "[streams.gate-1]\nrtsp_transport = \"udp\"\n");
    let output = sluice(&["check", file.path()]);
    assert!(text(&output.stderr).contains("has no source"), "{}", text(&output.stderr));
    let mut command = SLUICE.command();
    command.args(["check", file.path()]).env("SLUICE_STREAMS_GATE_1_SOURCE", "rtsp://u:p@h/x");
    assert_eq!(
        text(&command.output().expect("the binary runs").stdout),
        "the configuration is good: 1 stream\n"
    );
    let output = sluice(&["check", file.path(), "--set", "streams.gate-1.source=demo"]);
    // One that is the demo is a stream as any other.
    assert_eq!(text(&output.stdout), "the configuration is good: 1 stream\n", "{}", text(&output.stderr));
    let output = command.args(["--set", "udp.port=0x"]).output().expect("the binary runs");
    assert!(text(&output.stderr).contains("udp.port"), "{}", text(&output.stderr));
    let empty = File::new("empty", "");
    let output = sluice(&["check", empty.path()]);
    assert_eq!(text(&output.stdout), "the configuration is good: no streams, so that the demo is served\n");
}

#[test]
fn what_is_no_stream_is_told_from_a_mistyped_command() {
    for (argument, advice) in [
        ("chekc", "did you mean `check`?"),
        ("cameras.toml", "write -c before it"),
        ("rtsp://127.0.0.1/x", "write NAME= before it"),
        ("gate", "a stream is NAME=URL"),
        // Options of other servers.
        ("--port", "write --set http.listen=:PORT"),
        ("--udp-port=9000", "write --set udp.port=VALUE"),
    ] {
        let output = sluice(&[argument]);
        assert_eq!(output.status.code(), Some(2), "{argument}");
        assert!(text(&output.stderr).contains(advice), "{advice} in {}", text(&output.stderr));
    }
}

#[test]
fn mistakes_outside_a_file_are_shown_with_a_caret_too() {
    for (arguments, parts) in [
        (&["--set", "udp.port=70000"][..], ["1 | --set udp.port=70000", "^|^"]),
        (&["cam=http://127.0.0.1/x"][..], ["1 | cam=http://127.0.0.1/x", "^|^"]),
        (&["-c", "/nonexistent/sluice.toml"][..], ["/nonexistent/sluice.toml", "No such file"]),
    ] {
        let output = sluice(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(parts.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
    }
}

#[test]
fn an_address_in_use_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = taken.local_addr().expect("its address");
    let output = sluice(&[
        "--set",
        &format!("http.listen={address}"),
        "--set",
        "udp.address=127.0.0.1",
        "--set",
        "shards.count=1",
        "--set",
        // The range of ephemeral ports of Linux, where nothing of ours listens for long.
        "udp.port=60999",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("cannot listen on {address} (http.listen)")), "{said}");
}

#[test]
fn sigterm_ends_cleanly() {
    let sluice = playing(&[]);
    let (status, log) = sluice.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("SIGTERM: stopping"), "{log}");
}

#[test]
fn a_hangup_ends_cleanly_and_signals_that_mean_nothing_do_nothing() {
    let sluice = playing(&[]);
    // SIGXFSZ comes where a log file is as large as it may be.
    for name in ["USR1", "USR2", "XFSZ"] {
        sluice.signal(name);
        wait_for("a word about it", || {
            sluice.log().contains(&format!("SIG{name} means nothing here")).then_some(())
        });
    }
    assert_eq!(sluice.request(Request::get("/streams.json")).status, 200);
    sluice.signal("HUP");
    let (status, log) = sluice.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("SIGHUP, and no configuration file to read again: stopping"), "{log}");
}

#[test]
fn sigterm_waits_for_nobody_who_hangs_on() {
    let sluice = playing(&["--set", "http.header_timeout=1m"]);
    let idle = TcpStream::connect(sluice.http).expect("a connection");
    let mut slow = TcpStream::connect(sluice.http).expect("a connection");
    slow.write_all(b"POST /demo/whep HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv=")
        .expect("it is read");
    let offer = include_str!("../data/chromium-156.sdp");
    assert_eq!(sluice.request(Request::offer("/demo/whep", offer)).status, 201);
    let (status, log) = sluice.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    drop((idle, slow));
}

#[test]
fn what_is_printed_first_is_where_to_look() {
    let sluice = SLUICE.start(&["--set", "streams.gate.source=demo"]);
    // The harness has read the first line; the URLs in it and behind it work.
    wait_for("the stream", || {
        let page = sluice.request(Request::get("/gate/"));
        (page.status == 200).then_some(())
    });
}

#[test]
fn what_hinders_the_start_is_said_once() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (tcp, udp) =
        (tcp.local_addr().map(|address| (tcp, address)), udp.local_addr().map(|address| (udp, address)));
    let ((_tcp, tcp), (_udp, udp)) = (tcp.expect("its address"), udp.expect("its address"));
    for (key, value, name) in [
        ("http.listen", tcp.to_string(), tcp.to_string()),
        ("admin.listen", tcp.to_string(), tcp.to_string()),
        ("udp.port", udp.port().to_string(), udp.to_string()),
        ("ice.addresses", "nowhere.invalid".to_owned(), "nowhere.invalid".to_owned()),
        // RFC 5737: nobody has it.
        (
            "http.listen",
            "192.0.2.77:80".to_owned(),
            "no interface of this machine has that address".to_owned(),
        ),
    ] {
        let mut settings = vec![
            "http.listen=127.0.0.1:0".to_owned(),
            "admin.listen=127.0.0.1:0".to_owned(),
            "udp.address=127.0.0.1".to_owned(),
            "shards.count=1".to_owned(),
            format!("udp.port={}", free_udp_ports(1)),
        ];
        settings.push(format!("{key}={value}"));
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let output = sluice(&arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{key}: {said}");
        let line = said.lines().last().expect("a line");
        assert!(line.contains(key) && said.ends_with('\n'), "{said:?}");
        assert_eq!(line.matches(&name).count(), 1, "{line}");
        let clauses: Vec<&str> = line.split(": ").collect();
        let is_said_once = |clause| clauses.iter().filter(|other| **other == clause).count() == 1;
        assert!(clauses.iter().all(|clause| is_said_once(*clause)), "{line}");
    }
}

#[test]
fn the_first_lines_say_what_a_person_needs_next() {
    let sluice = SLUICE.start(&["cam=rtsp://user:pw@127.0.0.1:9/x"]);
    wait_for("the hints", || sluice.log().contains("only this machine can open the pages").then_some(()));
    let log = sluice.log();
    assert!(log.contains("SLUICE_STREAMS_CAM_SOURCE"), "{log}");
    assert!(!log.contains(":pw@"), "{log}");
    let index = Request::get("/").send(sluice.admin);
    assert_eq!(index.status, 200);
    assert!(["/metrics", "/livez", "/readyz"].iter().all(|path| index.text().contains(path)));
}

#[test]
fn what_could_not_be_printed_is_no_success() {
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("it is there");
    for arguments in [
        &["schema"][..],
        &["config"],
        &["config", "--json"],
        &["--version"],
        &["--help"],
        &["load", "whep", "--help"],
    ] {
        let output = SLUICE.command().args(arguments).stdout(full()).output().expect("it runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.starts_with("cannot write to standard output: No space left"), "{arguments:?}: {said}");
    }
    // Of a check the verdict is in its exit code.
    let file = File::new("full", "[udp]\nport = 9000\n");
    let checked = SLUICE.command().args(["check", file.path()]).stdout(full()).output().expect("it runs");
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}
