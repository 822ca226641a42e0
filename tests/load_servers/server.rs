//! A small WHEP server that does what a test says, over a link that does what a test says.
//!
//! HTTP by hand, str0m for the rest: none of it is our own server's code. One thread answers offers, one sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as Queue, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sluice_media::{Class, class};
use str0m::change::SdpOffer;
use str0m::media::{MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use crate::link::{Done, Link, Shares};
use crate::pictures;

/// Time between two pictures.
const FRAME: Duration = Duration::from_millis(10);

/// Pictures for each viewer; then the server falls silent.
pub const PICTURES: u32 = 100;

/// The first sequence number: every stream rolls over.
const FIRST: u64 = 65_300;

/// How the server deceives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cheat {
    /// Not at all.
    Honest,
    /// It answers, connects, and sends no media.
    DeadAir,
    /// Viewers get what was sealed for another viewer; they come in pairs.
    WrongKey,
    /// All packets once more when they have all been sent.
    Replay,
    /// One picture over and over, under new numbers.
    Frozen,
}

/// What the server does.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    pub cheat: Cheat,
    pub link: Shares,
    pub seed: u64,
    /// How old pictures claim to be when they are sent.
    pub old: Duration,
}

impl Script {
    pub fn honest(seed: u64) -> Script {
        let link = Shares::default();
        Script { cheat: Cheat::Honest, link, seed, old: Duration::ZERO }
    }
}

/// A running one, ended with the test.
pub struct Server {
    http: SocketAddr,
    done: Arc<Mutex<Vec<Done>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    pub fn start(script: Script) -> Server {
        str0m::crypto::from_feature_flags().install_process_default();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a TCP port");
        let http = listener.local_addr().expect("its address");
        let (done, stop) = (Arc::<Mutex<Vec<Done>>>::default(), Arc::<AtomicBool>::default());
        let (sessions, queue) = channel();
        let (books, ended) = (done.clone(), stop.clone());
        let sender = std::thread::spawn(move || send(script, &queue, &books, &ended));
        let ended = stop.clone();
        let answerer = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // A client that goes away amid its request is its own affair.
                let _ = answer(stream, script, &sessions);
            }
        });
        Server { http, done, stop, threads: vec![sender, answerer] }
    }

    pub fn url(&self) -> String {
        format!("http://{}/whep", self.http)
    }

    /// What happened on the way to all viewers.
    pub fn done(&self) -> Done {
        let mut sum = Done::default();
        self.done.lock().expect("its lock").iter().for_each(|done| sum += *done);
        sum
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the one that accepts.
        let _ = TcpStream::connect(self.http);
        for thread in self.threads.drain(..) {
            assert!(thread.join().is_ok() || std::thread::panicking(), "a thread of the server panicked");
        }
    }
}

/// One request: an offer is answered, a session that ends is let go.
fn answer(mut stream: TcpStream, script: Script, sessions: &Sender<Session>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    while reader.read_line(&mut head)? > 2 {
        let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if !head.starts_with("POST") {
        return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let (session, sdp) = Session::new(script, &String::from_utf8_lossy(&body));
    let _ = sessions.send(session);
    let length = sdp.len();
    write!(
        stream,
        "HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nLocation: /session\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{sdp}"
    )
}

/// Drives all sessions until the test ends.
fn send(script: Script, queue: &Queue<Session>, books: &Mutex<Vec<Done>>, stop: &AtomicBool) {
    let mut sessions: Vec<Session> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for mut session in queue.try_iter() {
            let number = sessions.len() as u64;
            session.link = Link::new(script.link, script.seed + number, pictures::packets_of(PICTURES));
            sessions.push(session);
        }
        for index in 0..sessions.len() {
            for datagram in sessions[index].turn(script) {
                let to = if script.cheat == Cheat::WrongKey { index ^ 1 } else { index };
                // The first of a pair waits for the other.
                if let Some(other) = sessions.get_mut(to) {
                    other.deliver(&datagram, script);
                }
            }
        }
        *books.lock().expect("its lock") = sessions.iter().map(|session| session.link.done).collect();
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Session {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    video: Mid,
    payload_type: u8,
    connected: bool,
    next_picture: Instant,
    pictures: u32,
    packets: u64,
    /// What was delivered, for a replay.
    record: Vec<Vec<u8>>,
    link: Link,
}

impl Session {
    fn new(script: Script, offer: &str) -> (Session, String) {
        let now = Instant::now();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
        socket.set_nonblocking(true).expect("a socket that does not wait");
        let local = socket.local_addr().expect("its address");
        let mut rtc = RtcConfig::new()
            .clear_codecs()
            .enable_h264(true)
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_stats_interval(None)
            .build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp").expect("a candidate"));
        let offer = SdpOffer::from_sdp_string(offer).expect("an offer that str0m reads");
        let sdp = rtc.sdp_api().accept_offer(offer).expect("an offer that str0m takes").to_sdp_string();
        let section = &sdp[sdp.find("m=video").expect("video")..];
        let payload_type = section.split_whitespace().nth(3).and_then(|word| word.parse().ok());
        let session = Session {
            rtc,
            socket,
            local,
            peer: None,
            video: Mid::from("-"),
            payload_type: payload_type.expect("a payload type"),
            connected: false,
            next_picture: now,
            pictures: 0,
            packets: 0,
            record: Vec::new(),
            link: Link::new(script.link, script.seed, 0),
        };
        (session, sdp)
    }

    /// Reads, tells the time, sends what is due. Returns the media, for whom it may concern.
    fn turn(&mut self, script: Script) -> Vec<Vec<u8>> {
        let mut media = Vec::new();
        let mut buffer = [0; 2_000];
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            let datagram = Receive::new(Protocol::Udp, source, self.local, &buffer[..length]);
            self.input(Input::Receive(Instant::now(), datagram.expect("a datagram of WebRTC")), &mut media);
        }
        self.input(Input::Timeout(Instant::now()), &mut media);
        let now = Instant::now();
        if !self.connected || now < self.next_picture || script.cheat == Cheat::DeadAir {
            return media;
        }
        if self.pictures < PICTURES {
            self.next_picture = now + FRAME;
            self.show(now, script);
            self.input(Input::Timeout(now), &mut media);
        } else if script.cheat == Cheat::Replay {
            for datagram in std::mem::take(&mut self.record) {
                self.send(&datagram);
                self.link.done.doubled += 1;
            }
        }
        media
    }

    fn show(&mut self, now: Instant, script: Script) {
        let number = self.pictures;
        self.pictures += 1;
        let shown = if script.cheat == Cheat::Frozen { 0 } else { number };
        let payloads = pictures::payloads(number, shown, script.old);
        let last = payloads.len() - 1;
        for (index, payload) in payloads.into_iter().enumerate() {
            let mut api = self.rtc.direct_api();
            let stream = api.stream_tx_by_mid(self.video, None).expect("video was answered");
            if number == 0 && index == 0 {
                // As many repairs as are asked for.
                stream.set_rtx_cache(4_096, Duration::from_secs(60), None);
            }
            let sequence = (FIRST + self.packets).into();
            let write =
                RtpWrite::new(Pt::new_with_value(self.payload_type), sequence, number * 900, now, payload);
            stream.write_rtp(write.marker(index == last).nackable(true));
            self.packets += 1;
        }
    }

    fn input(&mut self, input: Input<'_>, media: &mut Vec<Vec<u8>>) {
        // One that said goodbye takes nothing any more.
        if self.rtc.handle_input(input).is_err() {
            return;
        }
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => match class(&transmit.contents) {
                    Class::Rtp => media.push(transmit.contents.to_vec()),
                    _ => {
                        self.peer = Some(transmit.destination);
                        let _ = self.socket.send_to(&transmit.contents, transmit.destination);
                    }
                },
                Ok(Output::Event(Event::Connected)) => self.connected = true,
                Ok(Output::Event(Event::MediaAdded(added))) if added.kind == MediaKind::Video => {
                    self.video = added.mid;
                }
                Ok(Output::Event(_)) => {}
                Ok(Output::Timeout(_)) | Err(_) => return,
            }
        }
    }

    /// Sends media over the link.
    fn deliver(&mut self, datagram: &[u8], script: Script) {
        let is_repair = datagram[1] & 0x7f != self.payload_type;
        for arriving in self.link.pass(datagram, is_repair) {
            self.send(&arriving);
            if script.cheat == Cheat::Replay {
                self.record.push(arriving);
            }
        }
    }

    fn send(&self, datagram: &[u8]) {
        if let Some(peer) = self.peer {
            let _ = self.socket.send_to(datagram, peer);
        }
    }
}
