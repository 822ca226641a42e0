//! The UDP sockets of one session: ports of its own, or groups that it is a member of. A shell: it opens, reads and writes.
//!
//! Owns that datagrams come from the camera's address only, and that a group is joined where the camera is.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};

use bytes::Bytes;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::dialog::{Group, Track};
use super::failure::Failure;

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

/// The UDP sockets of a session.
pub(super) struct Ports {
    pairs: Vec<Pair>,
    local: IpAddr,
    peer: IpAddr,
    stranger: Option<IpAddr>,
    buffer: Vec<u8>,
}

/// RTP and RTCP of one track.
struct Pair {
    media: usize,
    packets: UdpSocket,
    reports: UdpSocket,
    group: bool,
}

impl Ports {
    /// Of a session whose line has these ends. No socket is open yet.
    pub(super) fn new(local: IpAddr, peer: IpAddr) -> Ports {
        Ports { pairs: Vec::new(), local, peer, stranger: None, buffer: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Who else sent to our ports.
    pub(super) fn stranger(&self) -> Option<IpAddr> {
        self.stranger
    }

    /// Opens a pair of ports for the packets of section `media`; the even one.
    pub(super) fn open(&mut self, media: usize) -> Result<u16, Failure> {
        let mut last = io::Error::other("no pair of ports is free");
        for _ in 0..PORT_TRIES {
            match pair(self.local) {
                Ok(Some((packets, reports, port))) => {
                    self.pairs.push(Pair { media, packets, reports, group: false });
                    return Ok(port);
                }
                Ok(None) => {}
                Err(error) => last = error,
            }
        }
        Err(Failure::NoPorts(last.to_string()))
    }

    /// Joins the groups that the camera sends tracks to, on the interface that it is reached by.
    pub(super) fn join(&mut self, tracks: &[Track]) -> Result<(), Failure> {
        let IpAddr::V4(interface) = self.local.to_canonical() else {
            return match tracks.iter().any(|track| track.group.is_some()) {
                true => Err(Failure::NoGroup("groups are joined by IPv4 only".to_owned())),
                false => Ok(()),
            };
        };
        for track in tracks {
            let Some(group) = track.group else { continue };
            let member = |port| member(&group, port, interface);
            let opened = member(group.ports.0).and_then(|packets| Ok((packets, member(group.ports.1)?)));
            let (packets, reports) =
                opened.map_err(|error| Failure::NoGroup(format!("{}: {error}", group.address)))?;
            buffers(&packets, &reports);
            self.pairs.push(Pair { media: track.media, packets, reports, group: true });
        }
        Ok(())
    }

    /// Opens the way through firewalls between us and the camera's ports, and closes ports of tracks that were not
    /// set up.
    pub(super) fn punch(&mut self, tracks: &[Track]) {
        self.pairs
            .retain(|pair| tracks.iter().any(|track| track.media == pair.media && track.port.is_some()));
        for pair in self.pairs.iter().filter(|pair| !pair.group) {
            let track = tracks.iter().find(|track| track.media == pair.media);
            let Some((packets, reports)) = track.and_then(|track| track.server_port) else { continue };
            // RTP without a payload, and an empty receiver report (RFC 3550 §6.4.2). Lost is lost.
            let _ = pair
                .packets
                .try_send_to(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], (self.peer, packets).into());
            let _ = pair.reports.try_send_to(&[0x80, 201, 0, 1, 0, 0, 0, 0], (self.peer, reports).into());
        }
    }

    /// Sends a report about `track`: to the camera, or to the group where it listens too. Lost is lost.
    pub(super) fn report(&self, track: &Track, report: &[u8]) {
        let Some(pair) = self.pairs.iter().find(|pair| pair.media == track.media) else { return };
        let to: SocketAddr = match (track.group, track.server_port) {
            (Some(group), _) => (group.address, group.ports.1).into(),
            (None, Some((_, port))) => (self.peer, port).into(),
            (None, None) => return,
        };
        let _ = pair.reports.try_send_to(report, to);
    }

    /// The index of a pair that has packets, or reports.
    pub(super) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<(usize, bool)> {
        let mut ready = |reports: bool| {
            let ready = |pair: &Pair| {
                let socket = if reports { &pair.reports } else { &pair.packets };
                socket.poll_recv_ready(context).is_ready()
            };
            self.pairs.iter().position(ready).map(|at| (at, reports))
        };
        ready(false).or_else(|| ready(true)).map_or(Poll::Pending, Poll::Ready)
    }

    /// What has arrived at a pair from the camera, and of which section it is.
    pub(super) fn read(&mut self, at: usize, reports: bool) -> (usize, Vec<Bytes>) {
        let pair = &self.pairs[at];
        let socket = if reports { &pair.reports } else { &pair.packets };
        self.buffer.resize(MAX_DATAGRAM, 0);
        let mut packets = Vec::new();
        for _ in 0..MAX_ROUND {
            match socket.try_recv_from(&mut self.buffer) {
                Ok((length, from)) if from.ip().to_canonical() == self.peer.to_canonical() => {
                    packets.push(Bytes::copy_from_slice(&self.buffer[..length]));
                }
                Ok((_, from)) if !reports => self.stranger = Some(from.ip()),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        (pair.media, packets)
    }
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
    buffers(&packets, &reports);
    Ok(Some((packets, reports, even)))
}

/// The kernel gives what net.core.rmem_max allows.
fn buffers(packets: &UdpSocket, reports: &UdpSocket) {
    let _ = SockRef::from(packets).set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = SockRef::from(reports).set_recv_buffer_size(REPORT_BUFFER);
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// A socket for a port of a group: bound to the group's address, so that nothing else that comes to the port is read, and
/// beside others of this machine that read the same.
fn member(group: &Group, port: u16, interface: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((group.address, port)).into())?;
    socket.join_multicast_v4(&group.address, &interface)?;
    // Of what we say to the group: no further than what the camera says, and not to ourselves.
    socket.set_multicast_if_v4(&interface)?;
    socket.set_multicast_ttl_v4(group.ttl.into())?;
    socket.set_multicast_loop_v4(false)?;
    UdpSocket::from_std(socket.into())
}
