//! `sluice top` against a real server: once for scripts, and in a terminal.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use sluice_harness::authority::{Authority, PairFiles};
use sluice_harness::{Binary, Sluice};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

fn served() -> Sluice {
    let sluice =
        SLUICE.start(&["roof=rtsp://user:canary@127.0.0.1:1/x", "--set", "streams.gate.source=demo"]);
    sluice.wait_until_playing("gate");
    sluice
}

fn top(arguments: &[&str]) -> Output {
    SLUICE.command().arg("top").args(arguments).stdin(Stdio::null()).output().expect("the binary starts")
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn once_prints_shards_streams_and_viewers_and_no_secret() {
    let sluice = served();
    let url = format!("http://{}/gate/whep", sluice.http);
    let mut viewers = SLUICE
        .command()
        .args(["load", "whep", &url, "--viewers", "3", "--duration", "1m"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    sluice.wait_for_metric("sluice_viewers", "is 3", |viewers| viewers == 3.0);
    // The next sample knows of them.
    std::thread::sleep(Duration::from_secs(2));
    let output = top(&[&sluice.admin.to_string(), "--once"]);
    let _ = viewers.kill();
    let _ = viewers.wait();
    let text = said(&output.stdout);
    assert!(output.status.success(), "{text}{}", said(&output.stderr));
    assert!(text.starts_with(&format!(
        "sluice {} http://{}\n3 viewers, ",
        env!("CARGO_PKG_VERSION"),
        sluice.admin
    )));
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let of = |name: &str| lines.iter().filter(|line| line.contains(&name)).count();
    assert_eq!(of("gate"), 4, "the stream and three viewers: {text}");
    let roof = lines.iter().find(|line| line.first() == Some(&"roof")).expect("the camera");
    assert!(roof.contains(&"unreachable:"), "{text}");
    let shards = lines.iter().skip_while(|line| line.first() != Some(&"shard")).skip(1);
    assert_eq!(shards.take_while(|line| !line.is_empty()).count(), 2, "{text}");
    assert!(!text.contains("canary") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn in_a_terminal_it_shows_the_server_and_q_quits() {
    let sluice = served();
    let command = format!("stty cols 80 rows 24; {} top http://{}", SLUICE.path(), sluice.admin);
    // util-linux's script gives it a terminal.
    let mut terminal = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, from the Debian package bsdutils");
    let mut keys = terminal.stdin.take().expect("piped");
    std::thread::sleep(Duration::from_secs(2));
    keys.write_all(b"\ts").and_then(|()| keys.flush()).expect("it reads");
    std::thread::sleep(Duration::from_secs(1));
    keys.write_all(b"q").and_then(|()| keys.flush()).expect("it reads");
    let output = terminal.wait_with_output().expect("it ends");
    let text = said(&output.stdout);
    assert!(output.status.success(), "{text}");
    // A terminal is told to skip what is empty: only what is in one colour, or in bold, comes in one piece. Tab took the
    // keys to the shards.
    for words in ["roof", "gate", "Tab, arrows move   s sort (by loss)   q quit", "\u{1b}[1m Shards: 2 "] {
        assert!(text.contains(words), "no {words:?} in {text:?}");
    }
    // The screen that was there before is back.
    assert!(text.contains("\u{1b}[?1049h") && text.contains("\u{1b}[?1049l"), "{text:?}");
}

#[test]
fn a_listener_with_tls_is_asked_of_whom_it_is_said_to_be() {
    let authority = Authority::default();
    let files = PairFiles::new(&authority.pair(&["127.0.0.1"]));
    let arguments = [files.arguments("admin"), files.arguments("http")].concat();
    let sluice = SLUICE.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let url = format!("https://ann:canary@{}", sluice.admin);
    let whep = format!("https://{}/demo/whep", sluice.http);
    let ca = std::env::temp_dir().join(format!("sluice-top-{}.pem", std::process::id()));
    std::fs::write(&ca, authority.certificate()).expect("a file");
    let ca = ca.to_str().expect("UTF-8");
    for (trust, words) in [
        (&["--ca", ca][..], None),
        (&["--insecure"], None),
        (&[], Some("--ca FILE names an authority to believe")),
        (&["--ca", "/nowhere"], Some("--ca /nowhere: ")),
    ] {
        let output = top(&[&[&*url, "--once"], trust].concat());
        let text = said(&output.stdout) + &said(&output.stderr);
        assert_eq!(output.status.success(), words.is_none(), "{trust:?}: {text}");
        assert!(text.contains(words.unwrap_or("stream")) && !text.contains("canary"), "{trust:?}: {text}");

        let mut load = SLUICE.command();
        load.args(["load", "whep", &whep, "--viewers", "2", "--duration", "1s"]).args(trust);
        let output = load.output().expect("the binary starts");
        let text = said(&output.stdout) + &said(&output.stderr);
        assert_eq!(output.status.success(), words.is_none(), "{trust:?}: {text}");
        assert!(text.contains(words.unwrap_or("2 viewers of https://")), "{trust:?}: {text}");
    }
    std::fs::remove_file(ca).expect("a file");
}

#[test]
fn what_cannot_be_shown_is_said_with_the_way_out() {
    let sluice = served();
    let (admin, http) = (sluice.admin.to_string(), sluice.http.to_string());
    for (arguments, code, words) in [
        (&["ftp://host:9997", "--once"][..], 2, "write http://HOST:PORT"),
        (&["a b", "--once"], 2, "write http://HOST:PORT"),
        (&["127.0.0.1:1", "--once"], 3, "no answer from http://127.0.0.1:1: "),
        (&["127.0.0.1:1", "--once"], 3, "does admin.listen name this address?"),
        (&["nobody.invalid", "--once"], 3, "no answer from http://nobody.invalid:9997"),
        (&[&http, "--once"], 3, "404 Not Found: nothing is here"),
        (&[&admin], 4, "--once prints everything once"),
        (&["--sort", "los"], 2, "there are loss, round_trip"),
    ] {
        let output = top(arguments);
        let text = said(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(words) && !text.contains("panicked"), "{arguments:?}: {text}");
    }
}
