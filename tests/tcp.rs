//! Viewers without UDP: ICE over TCP (RFC 6544) against the program, and Chromium where UDP is blocked.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use sluice_harness::client::{Behaviour, Client, Sent};
use sluice_harness::http::Request;
use sluice_harness::namespace::{Namespace, run};
use sluice_harness::page::{Page, turn};
use sluice_harness::sdp::candidate;
use sluice_harness::viewers::Viewers;
use sluice_harness::wait::{PATIENCE, wait_for};
use sluice_harness::{Binary, Sluice};
use sluice_media::framing::{Frames, frame_header};
use socket2::{Domain, Socket, Type};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

const OPEN: [&str; 4] = ["--set", "ice.tcp_listen=127.0.0.1:0", "--set", "shards.count=1"];

/// Our end of a link, and a browser's.
const NEAR: &str = "198.18.233.1";
const THERE: &str = "198.18.233.2";

fn playing(more: &[&str]) -> Sluice {
    let sluice = SLUICE.start(&[&OPEN[..], more].concat());
    sluice.wait_until_playing("demo");
    sluice
}

/// Where an answer says that viewers without UDP are taken.
fn tcp_candidate(answer: &str) -> Option<SocketAddr> {
    let line = answer.lines().find(|line| line.starts_with("a=candidate:") && line.contains(" tcp "))?;
    assert!(line.ends_with(" typ host tcptype passive"), "{line}");
    let words: Vec<&str> = line.split(' ').collect();
    Some(SocketAddr::new(words[4].parse().ok()?, words[5].parse().ok()?))
}

fn connect(to: SocketAddr, from: Ipv4Addr, room: usize) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(room).expect("a window");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("an address of ours");
    socket.connect(&to.into()).expect("a connection");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
    stream
}

fn frame(datagram: &[u8]) -> Vec<u8> {
    [&frame_header(datagram.len()).expect("a short one")[..], datagram].concat()
}

/// A player whose datagrams all go over one connection.
struct Player {
    client: Client,
    stream: TcpStream,
    frames: Frames,
    /// Whom its engine believes it talks to.
    server: SocketAddr,
    session: String,
    ended: bool,
    /// The last check that it sent.
    check: Option<Vec<u8>>,
}

impl Player {
    fn join(sluice: &Sluice, room: usize) -> Player {
        let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let (mut client, offer) = Client::new(host, Behaviour::PACKETS, Instant::now());
        let response = sluice.request(Request::offer("/demo/whep", &offer));
        assert_eq!(response.status, 201, "{}", response.text());
        let answer = response.text();
        client.take_answer(&answer);
        let stream = connect(tcp_candidate(&answer).expect("a candidate"), Ipv4Addr::LOCALHOST, room);
        let server = candidate(&answer).expect("a candidate");
        let session = response.session("/demo/whep").expect("a session");
        Player { client, stream, frames: Frames::default(), server, session, ended: false, check: None }
    }

    /// Plays until `done`, which is asked again and again.
    fn play(&mut self, done: impl Fn(&Client) -> bool) {
        let began = Instant::now();
        while !done(&self.client) && !self.ended {
            assert!(began.elapsed() < PATIENCE, "waited in vain");
            self.turn();
        }
    }

    fn turn(&mut self) {
        match self.stream.read(self.frames.space()) {
            Ok(0) => self.ended = true,
            Ok(count) => self.frames.filled(count),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.ended = true,
        }
        let now = Instant::now();
        while let Some(datagram) = self.frames.next_frame().expect("whole frames") {
            let sent = self.client.handle(now, Some((self.server, datagram)));
            send(&mut self.stream, sent);
        }
        if self.client.deadline <= now {
            let sent = self.client.handle(now, None);
            let is_check = |sent: &&Sent| sent.1.starts_with(&[0, 1]);
            self.check = sent.iter().find(is_check).map(|sent| sent.1.to_vec()).or(self.check.take());
            send(&mut self.stream, sent);
        }
    }

    fn pictures(&self) -> usize {
        self.client.pictures().count()
    }

    /// Asserts that no number of its picture is missing.
    fn assert_whole(&self) {
        let numbers: Vec<u64> = self.client.pictures().map(|packet| packet.sequence).collect();
        let gaps: Vec<_> = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
        assert!(gaps.is_empty(), "{gaps:?} of {}", numbers.len());
    }
}

fn send(stream: &mut TcpStream, sent: Vec<Sent>) {
    for (_, datagram) in sent {
        // A server that has closed is seen by the next read.
        let _ = stream.write_all(&frame(&datagram));
    }
}

/// Reads until the server closes.
fn closed(stream: &mut TcpStream) {
    wait_for("the server to close the connection", || match stream.read(&mut [0; 512]) {
        Ok(0) => Some(()),
        Ok(_) => None,
        Err(error) => (!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)).then_some(()),
    });
}

#[test]
fn a_viewer_without_udp_watches_over_a_connection() {
    let sluice = playing(&[]);
    let mut player = Player::join(&sluice, 1 << 20);
    player.play(|client| client.pictures().count() > 300 && client.packets.len() > 400);
    assert!(
        player
            .client
            .audio
            .is_some_and(|audio| { player.client.packets.iter().any(|packet| packet.ssrc == audio.ssrc) })
    );
    player.assert_whole();
    assert_eq!(sluice.metric("sluice_egress_datagrams_total"), 0.0, "nothing by UDP");
    assert!(sluice.metric("sluice_egress_tcp_bytes_total") > 100_000.0);
    assert_eq!(sluice.metric("sluice_tcp_connections"), 1.0);
    let viewers = Request::get("/api/v1/sessions").send(sluice.admin).text();
    assert!(viewers.contains("\"remote\":\"tcp 127.0.0.1:"), "{viewers}");
    // Both lists name our end of the connection, not the UDP port.
    let ours = player.stream.peer_addr().expect("its address");
    assert!(viewers.contains(&format!("\"local\":\"{ours}\"")), "{viewers}");
    let theirs = Request::get("/v3/webrtcsessions/list").send(sluice.admin).json();
    let session = &theirs["items"][0];
    assert_eq!(session["localCandidate"], format!("host/tcp/{}/{}", ours.ip(), ours.port()), "{session}");
    let theirs = player.stream.local_addr().expect("its address");
    assert_eq!(session["remoteAddr"], theirs.to_string(), "{session}");

    let asked = sluice.request(Request::new("DELETE", &player.session));
    assert_eq!(asked.status, 200);
    player.play(|client| client.closed.is_some());
    closed(&mut player.stream);
    sluice.wait_for_metric("sluice_tcp_connections", "is 0", |open| open == 0.0);
}

#[test]
fn a_flood_of_checks_on_a_connection_is_looked_at_in_part_and_costs_nobody_the_picture() {
    let sluice = playing(&[]);
    let viewers = Viewers::join_many(&sluice, "demo", 2);
    let mut player = Player::join(&sluice, 1 << 20);
    player.play(|client| client.pictures().count() > 60);
    viewers.wait_until_watching();
    // One of its own, whole and authentic, as often as the line takes it.
    let check = player.check.clone().expect("it has sent one");
    let flood = frame(&check).repeat(3_000);
    let sender = {
        let mut stream = player.stream.try_clone().expect("the connection");
        std::thread::spawn(move || {
            let _ = stream.write_all(&flood);
        })
    };
    let before = player.pictures();
    player.play(|client| client.pictures().count() > before + 120);
    sender.join().expect("it is sent");
    let over = sluice.metric("sluice_ingress_discarded_datagrams_total{reason=\"check_rate\"}");
    assert!((2_000.0..3_000.0).contains(&over), "{over} of 3,000 were not looked at");
    player.assert_whole();
    assert!(!player.ended && player.client.closed.is_none());
    for stats in viewers.stats() {
        assert_eq!(stats.video.lost(), 0, "{stats:?}");
    }
}

#[test]
fn who_hangs_up_is_gone_and_others_watch_on() {
    let sluice = playing(&[]);
    let viewers = Viewers::join_many(&sluice, "demo", 4);
    let mut player = Player::join(&sluice, 1 << 20);
    player.play(|client| client.pictures().count() > 60);
    viewers.wait_until_watching();
    drop(player.stream);
    sluice.wait_for_metric("sluice_tcp_connections", "is 0", |open| open == 0.0);
    std::thread::sleep(Duration::from_secs(1));
    for stats in viewers.stats() {
        assert_eq!(stats.video.lost(), 0, "{stats:?}");
    }
}

#[test]
fn a_slow_line_gets_whole_pictures_and_holds_up_nobody() {
    let sluice = playing(&[]);
    let viewers = Viewers::join_many(&sluice, "demo", 2);
    let mut player = Player::join(&sluice, 4 << 10);
    player.play(|client| client.pictures().count() > 60);
    // It reads nothing until the server leaves out pictures: a phone in a tunnel. Its checks go on, as they come.
    let left_out = "sluice_egress_dropped_datagrams_total{reason=\"slow_line\"}";
    wait_for("pictures to be left out", || {
        let now = Instant::now();
        if player.client.deadline <= now {
            let sent = player.client.handle(now, None);
            send(&mut player.stream, sent);
        }
        (sluice.metric(left_out) > 0.0).then_some(())
    });
    let before = player.pictures();
    player.play(|client| client.pictures().count() > before + 600);
    player.assert_whole();
    assert_eq!(sluice.metric("sluice_egress_dropped_datagrams_total{reason=\"line_full\"}"), 0.0);
    for stats in viewers.stats() {
        assert_eq!(stats.video.lost(), 0, "{stats:?}");
    }
}

#[test]
fn strangers_on_connections_are_bounded_and_sent_away() {
    // A listener of both families is told IPv4 addresses as IPv6 has them (RFC 4291 §2.5.5.2).
    for listen in ["127.0.0.1:0", "[::]:0"] {
        strangers_are_bounded(listen);
    }
}

fn strangers_are_bounded(listen: &str) {
    let listen = format!("ice.tcp_listen={listen}");
    let sluice = playing(&["--set", "limits.setup_timeout=30s", "--set", &listen]);
    let (_, offer) =
        Client::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)), Behaviour::PACKETS, Instant::now());
    let answer = sluice.request(Request::offer("/demo/whep", &offer)).text();
    let to = tcp_candidate(&answer).expect("a candidate");
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, to.port()));
    // One that says how much is to come, and cannot be right; one that speaks another protocol.
    for said in [&b"\xff\xff"[..], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stranger = connect(to, Ipv4Addr::LOCALHOST, 4_096);
        stranger.write_all(said).expect("it reads");
        closed(&mut stranger);
    }
    // Of one address only so many are kept, and a viewer from another one comes in beside them.
    let mut crowd: Vec<TcpStream> =
        (0..64).map(|_| connect(to, Ipv4Addr::new(127, 0, 0, 9), 4_096)).collect();
    sluice.wait_for_metric("sluice_tcp_connections_refused_total", "is 48", |refused| refused == 48.0);
    let mut player = Player::join(&sluice, 1 << 20);
    player.play(|client| client.pictures().count() > 60);
    // A datagram of media or of DTLS from a connection that nobody is at is nobody's.
    let _ = crowd[0].write_all(&frame(&[22; 100]));
    crowd.iter_mut().for_each(closed);
    player.play(|client| client.pictures().count() > 120);
    sluice.wait_for_metric("sluice_tcp_connections", "is 1", |open| open == 1.0);
}

#[test]
fn nothing_is_announced_without_the_key() {
    let sluice = SLUICE.start(&["--set", "ice.tcp_listen=none"]);
    sluice.wait_until_playing("demo");
    let (_, offer) =
        Client::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)), Behaviour::PACKETS, Instant::now());
    let answer = sluice.request(Request::offer("/demo/whep", &offer)).text();
    assert_eq!(tcp_candidate(&answer), None);
}

/// The transport that the browser has chosen, once it shows pictures.
fn chosen(namespace: &Namespace, sluice: &Sluice) -> String {
    let mut page = Page::open_in(&namespace.name, sluice.http, "/demo/");
    page.wait_for_frames(60);
    let stats = page.stats();
    let remote = stats["transport"]["remote"].as_str().expect("where it is");
    // As in `host tcp 198.18.233.1:8189`.
    remote.split(' ').nth(1).expect("a protocol").to_owned()
}

#[test]
fn chromium_takes_tcp_where_udp_is_blocked_and_only_there() {
    let _turn = turn();
    let namespace = Namespace::new(NEAR, THERE);
    let near: IpAddr = NEAR.parse().expect("an address");
    let listen = format!("ice.tcp_listen={}", SocketAddr::new(near, 0));
    let sluice = namespace.serve(SLUICE, &["--set", &listen]);
    assert_eq!(chosen(&namespace, &sluice), "udp");
    let inside = format!("netns exec {} nft", namespace.name);
    run("ip", &format!("{inside} add table inet walled"));
    for hook in ["input", "output"] {
        run(
            "ip",
            &format!("{inside} add chain inet walled {hook} {{ type filter hook {hook} priority 0 ; }}"),
        );
        run(
            "ip",
            &format!(
                "{inside} add rule inet walled {hook} meta l4proto udp oifname != lo iifname != lo drop"
            ),
        );
    }
    assert_eq!(chosen(&namespace, &sluice), "tcp");
}
