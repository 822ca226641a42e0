//! One WHEP player that a test drives step by step: str0m with a full ICE agent, over a socket that the test may use.
//!
//! For many players at a time, which need no step of their own, there is `viewers`.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use str0m::change::SdpAnswer;
use str0m::net::{Protocol, Receive};
use str0m::{Event, IceCreds, Input, Output, Rtc};

use crate::http::Request;
use crate::server::Sluice;
use crate::viewers::{offer, ssrc};
use crate::wait::PATIENCE;

/// A player of one stream.
pub struct Player {
    rtc: Rtc,
    /// Its socket.
    pub socket: UdpSocket,
    local: SocketAddr,
    /// The URL of its session.
    pub location: String,
    /// Entity tag of its ICE session.
    pub etag: String,
    /// RTP packets that came in and could be opened.
    pub packets: u64,
    /// RTP timestamps of the pictures, in the order of arrival.
    pub pictures: Vec<u32>,
    /// ICE and DTLS are up.
    pub connected: bool,
    /// The server said goodbye.
    pub closed: bool,
    /// The last STUN request it sent, and where to.
    pub last_check: Option<(Vec<u8>, SocketAddr)>,
    video_ssrc: u32,
}

impl Player {
    /// Joins by WHEP; nothing has been sent by UDP yet.
    pub fn join(sluice: &Sluice, path: &str) -> Player {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        let local = socket.local_addr().expect("its address");
        let (mut rtc, pending, text) = offer(local, Instant::now());
        let answer = sluice.request(Request::offer(path, &text));
        assert_eq!(answer.status, 201, "{}", answer.text());
        let header = |name| answer.header(name).expect(name).to_owned();
        let sdp = SdpAnswer::from_sdp_string(&answer.text()).expect("an answer that str0m reads");
        rtc.sdp_api().accept_answer(pending, sdp).expect("an answer that str0m takes");
        Player {
            rtc,
            socket,
            local,
            location: answer.session(path).expect("a session"),
            etag: header("etag"),
            packets: 0,
            pictures: Vec::new(),
            connected: false,
            closed: false,
            last_check: None,
            video_ssrc: ssrc(&answer.text(), "m=video"),
        }
    }

    /// The credentials of an ICE restart: ours new, the server's from the answer to the PATCH.
    pub fn restart(&mut self, local: IceCreds, remote: IceCreds) {
        let mut api = self.rtc.direct_api();
        api.set_local_ice_credentials(local);
        api.set_remote_ice_credentials(remote);
    }

    /// Runs until `done`.
    #[track_caller]
    pub fn run_until(&mut self, what: &str, done: impl Fn(&Player) -> bool) {
        let began = Instant::now();
        loop {
            let deadline = self.drain();
            if done(self) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
            let pause = deadline.saturating_duration_since(Instant::now());
            let pause = pause.clamp(Duration::from_millis(1), Duration::from_millis(20));
            self.socket.set_read_timeout(Some(pause)).expect("a timeout");
            let mut buffer = [0; 2_000];
            let input = match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => {
                    let datagram = Receive::new(Protocol::Udp, source, self.local, &buffer[..length]);
                    Input::Receive(Instant::now(), datagram.expect("a datagram of WebRTC"))
                }
                Err(_) => Input::Timeout(Instant::now()),
            };
            self.rtc.handle_input(input).expect("an input that is accepted");
        }
    }

    fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().expect("an output") {
                Output::Timeout(deadline) => return deadline,
                Output::Transmit(transmit) => {
                    // STUN messages begin with two zero bits (RFC 7983); 0x0001 is a binding request.
                    if transmit.contents.starts_with(&[0, 1]) {
                        self.last_check = Some((transmit.contents.to_vec(), transmit.destination));
                    }
                    self.socket
                        .send_to(&transmit.contents, transmit.destination)
                        .expect("a datagram is sent");
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(packet)) => {
                    self.packets += 1;
                    let (ssrc, timestamp) = (*packet.header.ssrc, packet.header.timestamp);
                    if ssrc == self.video_ssrc && self.pictures.last() != Some(&timestamp) {
                        self.pictures.push(timestamp);
                    }
                }
                Output::Event(Event::Closed) => self.closed = true,
                Output::Event(_) => {}
            }
        }
    }
}
