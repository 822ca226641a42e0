//! One client's connection: reads requests, writes answers and media. A shell: sockets, clocks, waiting.
//!
//! Owns what a client can do to us: large or slow requests, not reading, silence. What a request means is
//! decided in `session`.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads clocks")]

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use rtsp_types::{Message, ParseError};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{interval, timeout};

use super::auth::Credentials;
use super::camera::{Camera, Track, Unit};
use super::faults::Act;
use super::mile::Mile;
use super::session::{Change, Outgoing, Session};
use super::transport::Way;
use super::{Figures, rtp};

/// Time between sender reports of a track, in which receivers learn how audio and video lie together.
const REPORTS: Duration = Duration::from_secs(5);

/// Bytes of a request at the most; interleaved packets, which clients send too, have up to 65,539.
const MAX_MESSAGE: usize = 70_000;

/// A client that takes nothing for so long is cut off. Meanwhile its camera's units wait, then drop out.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that says nothing for so long is gone, unless it takes media on this connection.
const IDLE: Duration = Duration::from_secs(90);

/// Precision of that.
const IDLE_LOOK: Duration = Duration::from_secs(10);

/// Random bytes that are sent as garbage.
const GARBAGE: usize = 256;

/// What all clients share.
#[derive(Debug)]
pub struct Shared {
    /// The cameras.
    pub cameras: Arc<[Arc<Camera>]>,
    /// Their units, in the same order.
    pub units: Vec<broadcast::Sender<Arc<Unit>>>,
    /// The sockets that RTP and RTCP leave by.
    pub udp: (UdpSocket, UdpSocket),
    /// Ports of those.
    pub udp_ports: (u16, u16),
    /// What clients have to know.
    pub credentials: Option<Credentials>,
    /// What is counted.
    pub figures: Figures,
}

/// Why a connection ended. Only for the log.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The client closed it.
    #[error("the client left")]
    Left,
    /// It broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    /// The client does not read.
    #[error("the client took nothing for {} s", WRITE_TIMEOUT.as_secs())]
    Stuck,
    /// The client said nothing.
    #[error("the client said nothing for {} s", IDLE.as_secs())]
    Idle,
    /// The client sent something that is no RTSP.
    #[error("the client sent no RTSP, or a request over {MAX_MESSAGE} bytes")]
    Rubbish,
    /// `--drop-connection`.
    #[error("dropped, as the options ask")]
    Dropped,
}

/// Serves a client to its end. One that is not `admitted` gets no session.
pub async fn serve(stream: TcpStream, client: IpAddr, shared: Arc<Shared>, admitted: bool) -> End {
    // Pictures are written whole, so waiting for more gains nothing.
    let _ = stream.set_nodelay(true);
    let session =
        Session::new(shared.cameras.clone(), client, shared.udp_ports, admitted, shared.credentials.clone());
    let now = Instant::now();
    let connection = Client {
        stream,
        session,
        shared,
        inbound: Vec::new(),
        outbound: Vec::new(),
        heard: now,
        playback: None,
    };
    match connection.run().await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

struct Client {
    stream: TcpStream,
    session: Session,
    shared: Arc<Shared>,
    /// What came and is not yet a message.
    inbound: Vec<u8>,
    /// What is to be written.
    outbound: Vec<u8>,
    /// When anything came.
    heard: Instant,
    playback: Option<Playback>,
}

/// What there is while a session plays.
struct Playback {
    camera: Arc<Camera>,
    units: broadcast::Receiver<Arc<Unit>>,
    since: Instant,
    /// Times that garbage was sent.
    garbage: u128,
    /// Video begins, and goes on after a gap, with a keyframe, as cameras do it.
    awaits_keyframe: bool,
    /// When the next report of each track is due.
    reports: [Instant; 2],
    /// The way of each track's packets by UDP.
    miles: [Mile; 2],
}

impl Client {
    async fn run(mut self) -> Result<std::convert::Infallible, End> {
        let end = self.until_end().await;
        self.stop();
        end
    }

    async fn until_end(&mut self) -> Result<std::convert::Infallible, End> {
        let mut looks = interval(IDLE_LOOK);
        loop {
            tokio::select! {
                biased;
                readable = self.stream.readable() => {
                    readable?;
                    self.read()?;
                    let handled = self.handle_messages();
                    // What came before rubbish is answered.
                    self.flush().await?;
                    handled?;
                }
                unit = next_unit(&mut self.playback) => self.handle_unit(unit).await?,
                _ = looks.tick() => {
                    let takes_media = self.playback.is_some() && self.session.is_interleaved();
                    if !takes_media && self.heard.elapsed() > IDLE {
                        return Err(End::Idle);
                    }
                }
            }
            self.flush().await?;
        }
    }

    fn read(&mut self) -> Result<(), End> {
        let mut buffer = [0; 4096];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => Err(End::Left),
            Ok(count) => {
                self.inbound.extend_from_slice(&buffer[..count]);
                self.heard = Instant::now();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn handle_messages(&mut self) -> Result<(), End> {
        let mut taken = 0;
        while taken < self.inbound.len() {
            match Message::<Vec<u8>>::parse(&self.inbound[taken..]) {
                Ok((Message::Request(request), count)) => {
                    taken += count;
                    let (response, change) =
                        self.session.handle_request(&request, Instant::now(), &mut rand::random);
                    // Into a vector: cannot fail.
                    let _ = response.write(&mut self.outbound);
                    self.handle_change(change);
                }
                // Receiver reports on their channel, and answers to requests that we never make.
                Ok((_, count)) => taken += count,
                Err(ParseError::Incomplete(_)) if self.inbound.len() - taken <= MAX_MESSAGE => break,
                Err(_) => return Err(End::Rubbish),
            }
        }
        self.inbound.drain(..taken);
        Ok(())
    }

    fn handle_change(&mut self, change: Change) {
        match (change, self.session.playing()) {
            (Change::Play, Some(index)) => {
                let now = Instant::now();
                self.shared.figures.plays.fetch_add(1, Ordering::Relaxed);
                let camera = self.shared.cameras[index].clone();
                self.playback = Some(Playback {
                    miles: [(); 2].map(|()| camera.faults.mile(rand::random())),
                    awaits_keyframe: !camera.faults.begin_anywhere,
                    camera,
                    units: self.shared.units[index].subscribe(),
                    since: now,
                    garbage: 0,
                    reports: [now; 2],
                });
            }
            (Change::Stop, _) => self.stop(),
            _ => {}
        }
    }

    /// Ends what plays, and counts what its ways did.
    fn stop(&mut self) {
        let Some(playback) = self.playback.take() else { return };
        for done in playback.miles.iter().map(Mile::done) {
            self.shared.figures.lost.fetch_add(done.lost, Ordering::Relaxed);
            self.shared.figures.reordered.fetch_add(done.held, Ordering::Relaxed);
        }
    }

    async fn handle_unit(&mut self, unit: Result<Arc<Unit>, RecvError>) -> Result<(), End> {
        let Some(playback) = &mut self.playback else { return Ok(()) };
        let unit = match unit {
            Ok(unit) => unit,
            Err(RecvError::Lagged(missed)) => {
                self.shared.figures.missed.fetch_add(missed, Ordering::Relaxed);
                playback.awaits_keyframe = true;
                return Ok(());
            }
            // The cameras end with the process.
            Err(RecvError::Closed) => return Err(End::Left),
        };
        let now = Instant::now();
        match playback.camera.faults.act(now - playback.since, &mut playback.garbage) {
            Act::Close => return Err(End::Dropped),
            Act::Silence => return Ok(()),
            Act::Garbage => self.garbage(unit.track).await?,
            Act::Send => {}
        }
        self.send(&unit, now).await
    }

    async fn send(&mut self, unit: &Unit, now: Instant) -> Result<(), End> {
        let Some(playback) = &mut self.playback else { return Ok(()) };
        let Some(Outgoing { stream, way }) = self.session.track(unit.track) else { return Ok(()) };
        if unit.track == Track::Video {
            if playback.awaits_keyframe && !unit.keyframe {
                return Ok(());
            }
            playback.awaits_keyframe = false;
        }
        let out = &mut self.outbound;
        let sockets = &self.shared.udp;
        let due = &mut playback.reports[unit.track.index()];
        // The first goes ahead of the media, so that no client has to guess at first.
        if *due <= now {
            *due = now + REPORTS;
            let timestamp = playback.camera.timestamp(unit.track, now);
            let start = begin(out, *way, true);
            stream.report(SystemTime::now(), timestamp, &playback.camera.name, out);
            finish(out, start, *way, sockets).await?;
        }
        let last = unit.payloads.len().saturating_sub(1);
        for (index, payload) in unit.payloads.iter().enumerate() {
            let marker = match (unit.track, &playback.camera.clip.sound) {
                // The end of a picture (RFC 6184 §5.1, RFC 7798 §4.1).
                (Track::Video, _) => index == last,
                (Track::Audio, sound) => {
                    stream.is_new() || sound.as_ref().is_some_and(|sound| sound.marks_each)
                }
            };
            let start = begin(out, *way, false);
            stream.packet(unit.timestamp, marker, payload, out);
            match *way {
                Way::Interleaved { .. } => finish(out, start, *way, sockets).await?,
                Way::Udp { rtp, .. } => {
                    let (passes, released) = playback.miles[unit.track.index()].pass(&out[start.start..]);
                    if passes {
                        send_to(&sockets.0, &out[start.start..], rtp).await?;
                    }
                    if let Some(released) = released {
                        send_to(&sockets.0, &released, rtp).await?;
                    }
                    out.truncate(start.start);
                }
            }
            self.shared.figures.bytes.fetch_add((rtp::HEADER + payload.len()) as u64, Ordering::Relaxed);
        }
        if let (Way::Udp { rtp, .. }, Some(late)) = (*way, playback.miles[unit.track.index()].end()) {
            send_to(&sockets.0, &late, rtp).await?;
        }
        self.shared.figures.packets.fetch_add(unit.payloads.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Sends bytes that are neither RTSP nor RTP; on a connection they also lack the frame.
    async fn garbage(&mut self, track: Track) -> Result<(), End> {
        let mut bytes: [u8; GARBAGE] = std::array::from_fn(|_| rand::random());
        // No frame by chance (`$`), no RTP (0x80) and no request.
        bytes[0] = 0xff;
        match self.session.track(track).map(|outgoing| outgoing.way) {
            Some(Way::Udp { rtp, .. }) => send_to(&self.shared.udp.0, &bytes, rtp).await,
            Some(Way::Interleaved { .. }) => {
                self.outbound.extend_from_slice(&bytes);
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        let mut written = 0;
        while written < self.outbound.len() {
            match self.stream.try_write(&self.outbound[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    timeout(WRITE_TIMEOUT, self.stream.writable()).await.map_err(|_| End::Stuck)??;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.outbound.clear();
        Ok(())
    }
}

/// The next unit; never, while nothing plays.
async fn next_unit(playback: &mut Option<Playback>) -> Result<Arc<Unit>, RecvError> {
    match playback {
        Some(playback) => playback.units.recv().await,
        None => std::future::pending().await,
    }
}

/// Begins a packet at the end of `out`, with the frame of RFC 2326 §10.12 if it goes on the connection,
/// and gives the place.
fn begin(out: &mut Vec<u8>, way: Way, rtcp: bool) -> Begun {
    let start = out.len();
    if let Way::Interleaved { rtp: media, rtcp: reports } = way {
        out.extend_from_slice(&[b'$', if rtcp { reports } else { media }, 0, 0]);
    }
    Begun { start, rtcp }
}

struct Begun {
    start: usize,
    rtcp: bool,
}

/// Ends the packet: fills in its length, or sends it by UDP and takes it away.
async fn finish(
    out: &mut Vec<u8>,
    begun: Begun,
    way: Way,
    (media, reports): &(UdpSocket, UdpSocket),
) -> Result<(), End> {
    let Begun { start, rtcp } = begun;
    match way {
        Way::Interleaved { .. } => {
            // Payloads are bounded well below it (`Faults::max_payload`).
            let length = (out.len() - start - 4) as u16;
            out[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
        Way::Udp { rtp: address, rtcp: report_address } => {
            let (socket, to) = if rtcp { (reports, report_address) } else { (media, address) };
            let sent = send_to(socket, &out[start..], to).await;
            out.truncate(start);
            sent
        }
    }
}

/// Sends a datagram. Errors of a destination (nobody there, no route) are left to the client to notice;
/// it ends with its connection.
async fn send_to(socket: &UdpSocket, bytes: &[u8], to: std::net::SocketAddr) -> Result<(), End> {
    let sent = timeout(WRITE_TIMEOUT, socket.send_to(bytes, to)).await;
    sent.map(|_| ()).map_err(|_| End::Stuck)
}
