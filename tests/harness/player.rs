//! One WHEP player over a socket, which a test drives step by step and may use itself.
//!
//! For many players at a time, which need no step of their own, there is `viewers`.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::client::{Behaviour, Client, Sent};
use crate::http::Request;
use crate::server::Sluice;
use crate::wait::PATIENCE;

/// The longest wait for a datagram before the time is told.
const PAUSE: Duration = Duration::from_millis(20);

/// A player of one stream.
pub struct Player {
    /// What it does and sees.
    pub client: Client,
    /// Its socket.
    pub socket: UdpSocket,
    /// The URL of its session.
    pub location: String,
    /// Entity tag of its ICE session.
    pub etag: String,
    /// The last STUN request it sent, and where to.
    pub last_check: Option<(Vec<u8>, SocketAddr)>,
}

impl Player {
    /// Joins by WHEP; nothing has been sent by UDP yet.
    pub fn join(sluice: &Sluice, path: &str) -> Player {
        Player::join_as(sluice, path, Behaviour::PACKETS)
    }

    /// As [`Player::join`], with a behaviour of its own.
    pub fn join_as(sluice: &Sluice, path: &str, behaviour: Behaviour) -> Player {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        let local = socket.local_addr().expect("its address");
        let (mut client, offer) = Client::new(local, behaviour, Instant::now());
        let answer = sluice.request(Request::offer(path, &offer));
        assert_eq!(answer.status, 201, "{}", answer.text());
        client.take_answer(&answer.text());
        Player {
            client,
            socket,
            location: answer.session(path).expect("a session"),
            etag: answer.header("etag").expect("etag").to_owned(),
            last_check: None,
        }
    }

    /// Runs until `done`.
    #[track_caller]
    pub fn run_until(&mut self, what: &str, done: impl Fn(&Player) -> bool) {
        let began = Instant::now();
        let mut sent = self.client.handle(began, None);
        loop {
            self.send(sent);
            if done(self) {
                return;
            }
            let failed = &self.client.failed;
            assert!(failed.is_none(), "the player failed before {what}: {failed:?}");
            assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
            let pause = self.client.deadline.saturating_duration_since(Instant::now());
            let pause = pause.clamp(Duration::from_millis(1), PAUSE);
            self.socket.set_read_timeout(Some(pause)).expect("a timeout");
            let mut buffer = [0; 2_000];
            sent = match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => {
                    let now = Instant::now();
                    let mut sent = self.client.handle(now, Some((source, &buffer[..length])));
                    // Its engine reports in its own time, however much comes meanwhile.
                    if self.client.deadline <= now {
                        sent.extend(self.client.handle(now, None));
                    }
                    sent
                }
                Err(_) => self.client.handle(Instant::now(), None),
            };
        }
    }

    fn send(&mut self, sent: Vec<Sent>) {
        for (destination, datagram) in sent {
            self.socket.send_to(&datagram, destination).expect("a datagram is sent");
            // STUN messages begin with two zero bits (RFC 7983); 0x0001 is a binding request.
            if datagram.starts_with(&[0, 1]) {
                self.last_check = Some((datagram, destination));
            }
        }
    }

    /// Whether ICE and DTLS are up.
    pub fn is_connected(&self) -> bool {
        self.client.connected.is_some()
    }

    /// Whether the server said goodbye.
    pub fn is_closed(&self) -> bool {
        self.client.closed.is_some()
    }

    /// RTP packets that came in and could be opened.
    pub fn packets(&self) -> usize {
        self.client.packets.len()
    }

    /// RTP timestamps of the pictures, in the order of arrival.
    pub fn pictures(&self) -> Vec<u32> {
        let mut pictures: Vec<u32> = self.client.pictures().map(|packet| packet.timestamp).collect();
        pictures.dedup();
        pictures
    }
}
