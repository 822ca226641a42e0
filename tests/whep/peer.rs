//! A viewer with an independent, full ICE agent: the same library as the server's engine, used as a client.
#![expect(clippy::disallowed_methods, reason = "tests run against real time and real sockets")]

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcConfig};

use crate::common::{PATIENCE, Request, Sluice};

/// A viewer of the demo.
pub struct Peer {
    rtc: Rtc,
    pub socket: UdpSocket,
    local: SocketAddr,
    /// The URL of its session.
    pub location: String,
    /// Entity tag of its ICE session.
    pub etag: String,
    /// RTP packets that came in.
    pub packets: u64,
    /// ICE and DTLS are up.
    pub connected: bool,
    /// The server said goodbye.
    pub closed: bool,
    /// The last STUN request it sent, and where to.
    pub last_check: Option<(Vec<u8>, SocketAddr)>,
}

impl Peer {
    /// Joins by WHEP; nothing has been sent by UDP yet.
    pub fn join(sluice: &Sluice, path: &str) -> Peer {
        str0m::crypto::from_feature_flags().install_process_default();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        let local = socket.local_addr().expect("its address");
        let mut rtc = RtcConfig::new().set_rtp_mode(true).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp").expect("a candidate"));
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().expect("an offer");
        let answer = sluice.request(Request::offer(path, &offer.to_sdp_string()));
        assert_eq!(answer.status, 201, "{}", answer.text());
        let header = |name| answer.header(name).expect(name).to_owned();
        let sdp = SdpAnswer::from_sdp_string(&answer.text()).expect("an answer");
        rtc.sdp_api().accept_answer(pending, sdp).expect("an answer to this offer");
        Peer {
            rtc,
            socket,
            local,
            location: header("location"),
            etag: header("etag"),
            packets: 0,
            connected: false,
            closed: false,
            last_check: None,
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
    pub fn run_until(&mut self, what: &str, done: impl Fn(&Peer) -> bool) {
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
                Output::Event(Event::RtpPacket(_)) => self.packets += 1,
                Output::Event(Event::Closed) => self.closed = true,
                Output::Event(_) => {}
            }
        }
    }
}
