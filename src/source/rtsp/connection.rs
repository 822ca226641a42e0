//! The sockets of one session: RTSP over TCP, and RTP over UDP where that is asked for. A shell: it connects, reads
//! and writes.
//!
//! Owns that one arrival costs one read, and that UDP comes from and goes to the camera's address only.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::{Sleep, timeout};
use url::{Host, Url};

use super::RtspSettings;
use super::dialog::{Dialog, Track};
use super::failure::Failure;
use super::portions::Portions;

/// Kernel buffer of a UDP socket: a keyframe arrives at once. Less loses packets while the thread is busy; more is
/// kernel memory per camera.
const RECEIVE_BUFFER: usize = 1 << 20;

/// The same of one for reports, which are small and few.
const REPORT_BUFFER: usize = 4 << 10;

/// Bytes of a datagram, at most (RFC 768).
const MAX_DATAGRAM: usize = 64 << 10;

/// Pairs of ports that are tried before there are none.
const PORT_TRIES: usize = 50;

/// Datagrams read from one socket before others have their turn.
const MAX_ROUND: usize = 64;

/// A session's sockets.
pub(super) struct Connection {
    stream: TcpStream,
    /// The camera closed the stream, and still sends over UDP.
    without_stream: bool,
    ports: Ports,
    /// Fires at a deadline or before it: to move it with every picture would cost more than to look too often.
    timer: Pin<Box<Sleep>>,
    portions: Portions,
}

/// The UDP sockets of a session.
struct Ports {
    pairs: Vec<Pair>,
    peer: IpAddr,
    stranger: Option<IpAddr>,
    buffer: Vec<u8>,
}

/// RTP and RTCP of one track.
struct Pair {
    media: usize,
    packets: UdpSocket,
    reports: UdpSocket,
}

/// What came.
pub(super) enum Arrival {
    /// The dialog has new bytes.
    Stream,
    Closed,
    /// Of which section of the description, and each packet.
    Datagrams(usize, Vec<Bytes>),
    /// Of which section, and each report.
    Reports(usize, Vec<Bytes>),
    /// Nothing: a deadline may have passed, or there is room to write.
    Nothing,
}

impl Connection {
    /// Resolves the host of `url`, and connects to it; each in the time that the settings give.
    pub(super) async fn open(url: &Url, settings: &RtspSettings) -> Result<Connection, Failure> {
        let port = url.port().unwrap_or(554);
        let limit = settings.rtsp.connect_timeout;
        let addresses: Vec<SocketAddr> = match url.host() {
            Some(Host::Ipv4(address)) => vec![(address, port).into()],
            Some(Host::Ipv6(address)) => vec![(address, port).into()],
            Some(Host::Domain(name)) => {
                let resolved = timeout(limit, lookup_host((name, port))).await;
                let silent =
                    || Failure::NoName(format!("no name server answered within {} s", limit.as_secs_f32()));
                let found =
                    resolved.map_err(|_| silent())?.map_err(|error| Failure::NoName(error.to_string()))?;
                found.collect()
            }
            None => return Err(Failure::NoName("there is none".to_owned())),
        };
        // What was resolved is what is connected to, so that nobody's name server can answer otherwise in between.
        if let Some(reach) = &settings.rtsp.reach
            && let Some(outside) = addresses.iter().find(|address| !reach.allows(address.ip()))
        {
            return Err(Failure::OutOfReach(outside.ip()));
        }
        let connecting = TcpStream::connect(&addresses[..]);
        let stream = timeout(limit, connecting).await.map_err(|_| Failure::NoConnection(limit))?;
        let opened = stream.and_then(|stream| {
            stream.set_nodelay(true)?;
            let peer = stream.peer_addr()?.ip();
            let ports = Ports { pairs: Vec::new(), peer, stranger: None, buffer: Vec::new() };
            let timer = Box::pin(tokio::time::sleep_until((now() + settings.rtsp.data_timeout).into()));
            Ok(Connection { stream, without_stream: false, ports, timer, portions: Portions::new(now()) })
        });
        opened.map_err(|error| Failure::Unreachable(error.to_string()))
    }

    /// Opens a pair of UDP ports for the packets of section `media`; the even one.
    pub(super) fn open_ports(&mut self, media: usize) -> Result<u16, Failure> {
        let address = self.stream.local_addr().map_err(|error| Failure::NoPorts(error.to_string()))?.ip();
        let mut last = io::Error::other("no pair of ports is free");
        for _ in 0..PORT_TRIES {
            match pair(address) {
                Ok(Some((packets, reports, port))) => {
                    self.ports.pairs.push(Pair { media, packets, reports });
                    return Ok(port);
                }
                Ok(None) => {}
                Err(error) => last = error,
            }
        }
        Err(Failure::NoPorts(last.to_string()))
    }

    /// Opens the way through firewalls between us and the camera's ports, and closes ports of tracks that were not
    /// set up.
    pub(super) fn punch(&mut self, tracks: &[Track]) {
        self.ports
            .pairs
            .retain(|pair| tracks.iter().any(|track| track.media == pair.media && track.port.is_some()));
        for pair in &self.ports.pairs {
            let track = tracks.iter().find(|track| track.media == pair.media);
            let Some((packets, reports)) = track.and_then(|track| track.server_port) else { continue };
            // RTP without a payload, and an empty receiver report (RFC 3550 §6.4.2). Lost is lost.
            let _ = pair
                .packets
                .try_send_to(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], (self.ports.peer, packets).into());
            let _ =
                pair.reports.try_send_to(&[0x80, 201, 0, 1, 0, 0, 0, 0], (self.ports.peer, reports).into());
        }
    }

    /// Sends a report about section `media`, the way its packets come. Lost is lost.
    pub(super) fn report(&self, dialog: &mut Dialog, media: usize, report: &[u8]) {
        let Some(track) = dialog.tracks().iter().find(|track| track.media == media).cloned() else { return };
        match (track.port, track.server_port) {
            (None, _) => dialog.interleave(track.channels.1, report),
            (Some(_), None) => {}
            (Some(_), Some((_, port))) => {
                let pair = self.ports.pairs.iter().find(|pair| pair.media == media);
                let _ = pair.map(|pair| pair.reports.try_send_to(report, (self.ports.peer, port).into()));
            }
        }
    }

    /// The camera closed the stream; what comes over UDP is read on. Nothing is written any more.
    pub(super) fn drop_stream(&mut self) {
        self.without_stream = true;
    }

    /// Whether there is a stream.
    pub(super) fn has_stream(&self) -> bool {
        !self.without_stream
    }

    /// Who else sent to our ports.
    pub(super) fn stranger(&self) -> Option<IpAddr> {
        self.ports.stranger
    }

    /// Writes what the dialog has to say and waits for what comes, until `deadline` at most. What comes by the stream
    /// may lie for a while, if that is so.
    pub(super) async fn turn(
        &mut self,
        dialog: &mut Dialog,
        deadline: Option<Instant>,
        may_lie: bool,
    ) -> io::Result<Arrival> {
        let Connection { stream, without_stream, ports, timer, portions } = self;
        let (mut reader, writer) = stream.split();
        if *without_stream {
            dialog.output().clear();
        }
        if !dialog.output().is_empty() {
            // Almost always there is room, and reading goes on at once.
            match writer.try_write(dialog.output()) {
                Ok(count) => dialog.output().advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let pending = !dialog.output().is_empty();
        if let Some(deadline) = deadline
            && (timer.is_elapsed() || timer.deadline().into_std() > deadline)
        {
            timer.as_mut().reset(deadline.into());
        }
        if may_lie && !pending && ports.pairs.is_empty() {
            portions.rest(now());
        }
        tokio::select! {
            biased;
            // A read that does not fill its room needs no second one to learn that nothing is left.
            read = reader.read_buf(dialog.input()), if !*without_stream => {
                let read = read?;
                portions.note(read);
                Ok(if read == 0 { Arrival::Closed } else { Arrival::Stream })
            }
            (at, reports) = poll_fn(|context| ports.poll_ready(context)), if !ports.pairs.is_empty() => {
                Ok(ports.read(at, reports))
            }
            written = writer.writable(), if pending => written.map(|()| Arrival::Nothing),
            () = timer, if deadline.is_some() => Ok(Arrival::Nothing),
        }
    }
}

impl Ports {
    /// The index of a pair that has packets, or reports.
    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<(usize, bool)> {
        let mut ready = |reports: bool| {
            let ready = |pair: &Pair| {
                let socket = if reports { &pair.reports } else { &pair.packets };
                socket.poll_recv_ready(context).is_ready()
            };
            self.pairs.iter().position(ready).map(|at| (at, reports))
        };
        ready(false).or_else(|| ready(true)).map_or(Poll::Pending, Poll::Ready)
    }

    /// What has arrived at a pair from the camera.
    fn read(&mut self, at: usize, reports: bool) -> Arrival {
        let pair = &self.pairs[at];
        let socket = if reports { &pair.reports } else { &pair.packets };
        self.buffer.resize(MAX_DATAGRAM, 0);
        let mut packets = Vec::new();
        for _ in 0..MAX_ROUND {
            match socket.try_recv_from(&mut self.buffer) {
                Ok((length, from)) if from.ip() == self.peer => {
                    packets.push(Bytes::copy_from_slice(&self.buffer[..length]));
                }
                Ok((_, from)) if !reports => self.stranger = Some(from.ip()),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        if reports { Arrival::Reports(pair.media, packets) } else { Arrival::Datagrams(pair.media, packets) }
    }
}

/// The time: this shell's clock.
#[expect(clippy::disallowed_methods, reason = "this shell reads the clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Two UDP sockets, the first on an even port and the second on the next. `None` if that port is taken.
fn pair(address: IpAddr) -> io::Result<Option<(UdpSocket, UdpSocket, u16)>> {
    let first = bind(SocketAddr::new(address, 0))?;
    let port = first.local_addr()?.port();
    let (even, odd) = (port & !1, port | 1);
    let Ok(second) = bind(SocketAddr::new(address, if port == even { odd } else { even })) else {
        return Ok(None);
    };
    let (packets, reports) = if port == even { (first, second) } else { (second, first) };
    // The kernel gives what net.core.rmem_max allows.
    let _ = socket2::SockRef::from(&packets).set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket2::SockRef::from(&reports).set_recv_buffer_size(REPORT_BUFFER);
    Ok(Some((packets, reports, even)))
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}
