//! A WHEP viewer of the pictures of one stream, which decrypts them and reads what is in front of them.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use sluice::load::cameras::send_time;
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use crate::common::{PATIENCE, Request, Sluice};

const SEI: u8 = 6;
const STAP_A: u8 = 24;

/// A picture as far as it was looked at.
pub struct Picture {
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// From being sent by the camera to being read here, if it says so.
    pub delay: Option<Duration>,
}

/// A viewer.
pub struct Watcher {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    /// What it saw, in the order of arrival.
    pub pictures: Vec<Picture>,
}

impl Watcher {
    /// Joins by WHEP.
    pub fn join(sluice: &Sluice, stream: &str) -> Watcher {
        str0m::crypto::from_feature_flags().install_process_default();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        let local = socket.local_addr().expect("its address");
        let mut rtc = RtcConfig::new().set_rtp_mode(true).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp").expect("a candidate"));
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().expect("an offer");
        let answer = sluice.request(Request::offer(&format!("/{stream}/whep"), &offer.to_sdp_string()));
        assert_eq!(answer.status, 201, "{}", answer.text());
        let sdp = SdpAnswer::from_sdp_string(&answer.text()).expect("an answer");
        rtc.sdp_api().accept_answer(pending, sdp).expect("an answer to this offer");
        Watcher { rtc, socket, local, pictures: Vec::new() }
    }

    /// Watches for so long, from the first picture on.
    #[track_caller]
    pub fn watch(&mut self, time: Duration) {
        let mut end = Instant::now() + PATIENCE;
        loop {
            let deadline = self.drain();
            let now = Instant::now();
            if !self.pictures.is_empty() {
                end = end.min(now + time);
            }
            if now >= end {
                assert!(!self.pictures.is_empty(), "no picture within {PATIENCE:?}");
                return;
            }
            let pause = deadline.saturating_duration_since(now);
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
                    self.socket
                        .send_to(&transmit.contents, transmit.destination)
                        .expect("a datagram is sent");
                }
                Output::Event(Event::RtpPacket(packet)) => {
                    let timestamp = packet.header.timestamp;
                    if self.pictures.last().is_none_or(|picture| picture.timestamp != timestamp) {
                        self.pictures.push(Picture { timestamp, delay: None });
                    }
                    let picture = self.pictures.last_mut().expect("at least the one just pushed");
                    picture.delay = picture.delay.or(delay(&packet.payload));
                }
                Output::Event(_) => {}
            }
        }
    }
}

/// How old the send time in an RTP payload is, if there is one.
fn delay(payload: &[u8]) -> Option<Duration> {
    let sent = match payload.first()? & 0x1f {
        SEI => send_time::read(payload),
        STAP_A => {
            let mut rest = &payload[1..];
            std::iter::from_fn(|| {
                let (length, behind) = rest.split_first_chunk()?;
                let (nal, next) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
                rest = next;
                Some(nal)
            })
            .find_map(send_time::read)
        }
        _ => None,
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    now.checked_sub(Duration::from_nanos(sent?))
}
