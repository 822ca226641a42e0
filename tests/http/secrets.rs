//! A camera's password is nowhere to be seen, whatever the camera does with it.
#![expect(clippy::disallowed_methods, reason = "the camera of this test runs on a thread")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use sluice_harness::{Request, wait_for};

use crate::SLUICE;

const CANARY: &str = "hunter2canary";
/// `admin:hunter2canary`, as HTTP Basic sends it.
const BASIC: &str = "YWRtaW46aHVudGVyMmNhbmFyeQ==";

const OFFER: &str = include_str!("../data/chromium-156.sdp");

/// A camera that asks for a password and then sends it back: in its refusal, and as what is no answer at all.
fn echoing_camera() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(echo(stream))));
    address
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        if head.contains("Authorization: ") {
            let authorization =
                head.lines().find(|line| line.starts_with("Authorization: ")).unwrap_or_default();
            let sequence = sequence(&head);
            write!(stream, "RTSP/1.0 500 {authorization}\r\n{sequence}\r\nContent-Length: 0\r\n\r\n")?;
            return stream.write_all(head.as_bytes());
        }
        let sequence = sequence(&head);
        write!(
            stream,
            "RTSP/1.0 401 Unauthorized\r\n{sequence}\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n"
        )?;
    }
}

fn sequence(head: &str) -> &str {
    head.lines().find(|line| line.starts_with("CSeq:")).unwrap_or("CSeq: 1")
}

#[test]
fn no_page_metric_log_or_refusal_holds_a_password() {
    let camera = echoing_camera();
    let sluice = SLUICE.start(&[
        &format!("dead=rtsp://admin:{CANARY}@127.0.0.1:1/x"),
        &format!("echo=rtsp://admin:{CANARY}@{camera}/x"),
        &format!("query=rtsp://127.0.0.1:1/x?user=admin&password={CANARY}"),
    ]);
    let streams = ["dead", "echo", "query"];
    let mut seen = Vec::new();
    for stream in streams {
        let sentence = wait_for("the camera's failure", || {
            let answer = sluice.request(Request::offer(&format!("/{stream}/whep"), OFFER));
            assert_eq!(answer.status, 409);
            let text = answer.text();
            text.contains("trying again").then_some(text)
        });
        seen.push(sentence);
        seen.push(sluice.request(Request::get(&format!("/{stream}/"))).text());
    }
    let list = sluice.request(Request::get("/streams.json"));
    // Where a camera is, everybody need not know; the operator must.
    assert_eq!(list.json()["streams"][0]["source"], "rtsp");
    seen.push(list.text());
    for text in &seen {
        assert!(!text.contains("127.0.0.1:1"), "{text}");
    }
    let whole = Request::get("/streams").send(sluice.admin);
    assert_eq!(whole.json()["streams"][0]["source"], "rtsp://127.0.0.1:1");
    seen.push(whole.text());
    for path in ["/metrics", "/readyz", "/livez"] {
        seen.push(Request::get(path).send(sluice.admin).text());
    }
    let (status, log) = sluice.terminate();
    assert!(status.success());
    for stream in streams {
        assert!(log.contains(stream), "the log tells of {stream}: {log}");
    }
    seen.push(log);
    for text in seen {
        assert!(!text.contains("canary") && !text.contains("hunter") && !text.contains(BASIC), "{text}");
    }
}
