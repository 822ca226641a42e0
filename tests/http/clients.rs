//! Clients that are slow, silent, greedy or many are cut off, and nobody else notices.
#![expect(clippy::disallowed_methods, reason = "tests run against real time and real sockets")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use sluice_harness::{PATIENCE, Request};
use socket2::{Domain, Socket, Type};

use crate::playing;

const SHORT: [&str; 2] = ["--set", "http.header_timeout=1s"];

/// A connection of our own, for what no HTTP client would do.
struct Client {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Client {
    fn connect(to: SocketAddr) -> Client {
        Client { stream: TcpStream::connect(to).expect("a connection"), got: Vec::new() }
    }

    /// From this address of ours, with little room for what it does not read.
    fn connect_from(from: [u8; 4], to: SocketAddr) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(8 * 1024).expect("a small window");
        socket.bind(&SocketAddr::from((from, 0)).into()).expect("an address of ours");
        socket.connect(&to.into()).expect("a connection");
        Client { stream: socket.into(), got: Vec::new() }
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
    assert!(said.contains("the body did not arrive within 1s"), "{said}");
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

const SCRIPT: &str = "GET /static/player.js HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn who_asks_much_and_reads_nothing_loses_his_place() {
    let sluice = playing(&["--set", "http.connections=2", "--set", "http.header_timeout=1s"]);
    let mut deaf: Vec<Client> = (0..2).map(|_| Client::connect_from([127, 0, 0, 1], sluice.http)).collect();
    deaf.iter_mut().for_each(|client| client.send(&SCRIPT.repeat(400)));
    assert_eq!(sluice.request(Request::get("/demo/whep")).status, 204);
}

#[test]
fn a_slow_reader_gets_everything() {
    const ANSWERS: usize = 60;
    let sluice = playing(&["--set", "http.header_timeout=1s"]);
    let mut slow = Client::connect_from([127, 0, 0, 1], sluice.http);
    slow.send(&SCRIPT.repeat(ANSWERS - 1));
    slow.send("GET /static/player.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let began = Instant::now();
    while !slow.read(PATIENCE) {
        std::thread::sleep(Duration::from_millis(20));
        assert!(began.elapsed() < 2 * PATIENCE, "it does not end");
    }
    assert!(began.elapsed() > Duration::from_secs(2), "not slow at all: {} bytes", slow.got.len());
    let script = sluice.request(Request::get("/static/player.js")).body;
    assert_eq!(slow.text().matches("HTTP/1.1 200 ").count(), ANSWERS);
    assert!(slow.got.ends_with(&script));
}

#[test]
fn one_address_cannot_take_the_connections_of_others() {
    let sluice = playing(&["--set", "http.connections=4", "--set", "http.header_timeout=20s"]);
    let mut greedy: Vec<Client> = (0..8).map(|_| Client::connect(sluice.http)).collect();
    for client in &mut greedy {
        client.send("GET /demo/whep HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    // Whichever of them got a place has it now.
    std::thread::sleep(Duration::from_millis(500));
    let mut other = Client::connect_from([127, 0, 0, 2], sluice.http);
    other.send("GET /demo/whep HTTP/1.1\r\nHost: x\r\n\r\n");
    let began = Instant::now();
    assert!(other.answer().starts_with("HTTP/1.1 204 "));
    assert!(began.elapsed() < Duration::from_secs(15), "it waited for their end: {:?}", began.elapsed());
    // Some of many wait for a place, and the rest are told.
    let mut crowd: Vec<Client> = (0..20).map(|_| Client::connect(sluice.http)).collect();
    let mut last = crowd.pop().expect("the last");
    while !last.read(PATIENCE) {}
    let said = last.text();
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("limits.share_per_address"), "{said}");
}

#[test]
fn what_is_not_http_is_answered_400() {
    let sluice = playing(&[]);
    let mut other = Client::connect(sluice.http);
    other.send("OPTIONS rtsp://host/x RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    let said = other.drip_until_closed(b"");
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
}

#[test]
fn the_admin_listener_answers_to_addresses_and_to_the_names_it_is_given() {
    let sluice = playing(&["--set", "admin.hosts=metrics.example"]);
    for (host, expected) in
        [("127.0.0.1:9997", 200), ("localhost", 200), ("Metrics.example:80", 200), ("evil.example", 421)]
    {
        let mut client = Client::connect(sluice.admin);
        client.send(&format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        while !client.read(PATIENCE) {}
        let said = client.text();
        assert!(said.starts_with(&format!("HTTP/1.1 {expected} ")), "{host}: {said}");
        assert_eq!(said.contains("admin.hosts"), expected == 421, "{host}");
    }
}
