//! Clients that are slow, silent, greedy or many are cut off, and nobody else notices.
#![expect(clippy::disallowed_methods, reason = "tests run against real time and real sockets")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, Request};
use crate::playing;

const SHORT: [&str; 2] = ["--set", "http.header_timeout=300ms"];

/// A connection of our own, for what no HTTP client would do.
struct Client {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Client {
    fn connect(to: SocketAddr) -> Client {
        Client { stream: TcpStream::connect(to).expect("a connection"), got: Vec::new() }
    }

    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the server still reads");
    }

    /// Reads for at most `time`; `true` once the server has closed.
    fn read(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a timeout");
        let mut buffer = [0; 4_096];
        match self.stream.read(&mut buffer) {
            Ok(0) => true,
            Ok(length) => {
                self.got.extend_from_slice(&buffer[..length]);
                false
            }
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// Sends a byte now and then until the server closes; what it said by then.
    fn drip_until_closed(mut self, byte: &[u8]) -> String {
        let began = Instant::now();
        while !self.read(Duration::from_millis(50)) {
            assert!(began.elapsed() < PATIENCE, "it was never cut off: {:?}", self.text());
            let _ = self.stream.write_all(byte);
        }
        self.text()
    }

    /// Reads until an answer without a body has arrived.
    fn answer(&mut self) -> String {
        let began = Instant::now();
        while !self.got.ends_with(b"\r\n\r\n") {
            assert!(began.elapsed() < PATIENCE, "no answer: {:?}", self.text());
            assert!(!self.read(Duration::from_millis(50)), "closed: {:?}", self.text());
        }
        let text = self.text();
        self.got.clear();
        text
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.got).into_owned()
    }
}

#[test]
fn a_client_that_sends_its_headers_slowly_is_cut_off() {
    let sluice = playing(&SHORT);
    let mut slow = Client::connect(sluice.http);
    slow.send("GET /demo/whep HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    let said = slow.drip_until_closed(b"x");
    assert!(!said.contains("204"), "{said}");
}

#[test]
fn a_client_that_says_nothing_is_cut_off() {
    let sluice = playing(&SHORT);
    for listener in [sluice.http, sluice.admin] {
        assert_eq!(Client::connect(listener).drip_until_closed(b""), "");
    }
}

#[test]
fn a_kept_connection_serves_again_and_is_closed_when_idle() {
    let sluice = playing(&SHORT);
    let mut kept = Client::connect(sluice.http);
    for _ in 0..3 {
        kept.send("GET /demo/whep HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = kept.answer();
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }
    assert_eq!(kept.drip_until_closed(b""), "", "closed without a word");
}

#[test]
fn a_slow_body_is_answered_408() {
    let sluice = playing(&SHORT);
    let mut slow = Client::connect(sluice.http);
    slow.send("POST /demo/whep HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 60000\r\n\r\nv=0");
    let said = slow.drip_until_closed(b"\n");
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.contains("the body did not arrive within 300ms"), "{said}");
    assert_eq!(sluice.metric("sluice_sessions"), 0.0);
}

#[test]
fn a_body_without_a_declared_end_is_bounded_too() {
    let sluice = playing(&[]);
    let mut greedy = Client::connect(sluice.http);
    greedy.send("POST /demo/whep HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let said = greedy.drip_until_closed(chunk.repeat(8).as_bytes());
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
}

#[test]
fn endless_headers_are_refused() {
    let sluice = playing(&[]);
    let mut greedy = Client::connect(sluice.http);
    greedy.send("GET / HTTP/1.1\r\nHost: x\r\nX-Greedy: ");
    let said = greedy.drip_until_closed("x".repeat(16 * 1024).as_bytes());
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
    assert_eq!(sluice.request(Request::get("/demo/whep")).status, 204, "others are served");
}

#[test]
fn over_the_limit_connections_wait_while_the_admin_listener_answers() {
    let sluice = playing(&["--set", "http.connections=2", "--set", "http.header_timeout=1m"]);
    let mut first = Client::connect(sluice.http);
    let mut second = Client::connect(sluice.http);
    for client in [&mut first, &mut second] {
        client.send("GET /demo/whep HTTP/1.1\r\nHost: x\r\n\r\n");
        client.answer();
    }
    let mut third = Client::connect(sluice.http);
    third.send("GET /demo/whep HTTP/1.1\r\nHost: x\r\n\r\n");
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(Request::get(path).send(sluice.admin).status, 200, "{path}");
    }
    assert!(
        !third.read(Duration::from_millis(500)) && third.got.is_empty(),
        "it does not wait: {}",
        third.text()
    );
    // Those who are served already are not disturbed, and a place that is left goes to who waits.
    second.send("GET /demo/whep HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(second.answer().starts_with("HTTP/1.1 204 "));
    drop(first);
    assert!(third.answer().starts_with("HTTP/1.1 204 "));
}

#[test]
fn what_is_not_http_is_answered_400() {
    let sluice = playing(&[]);
    let mut other = Client::connect(sluice.http);
    other.send("OPTIONS rtsp://host/x RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    let said = other.drip_until_closed(b"");
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
}
