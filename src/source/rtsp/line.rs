//! What RTSP goes over: a TCP connection, TLS on one, or a tunnel of two. A shell: it connects, reads and writes.
//!
//! Owns that whoever is above sees one stream of bytes each way.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use sluice_io::line;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::{Host, Url};

use super::RtspSettings;
use super::auth::Sent;
use super::dialog::Dialog;
use super::failure::Failure;
use super::tls::{self, Offer};
use super::tunnel::{Opened, PostRefused, Requests, Tunnel, broken, cut_off};
use sluice_config::Line as Kind;

/// Connections to open one tunnel: the first, and those because of a challenge.
const MAX_TRIES: usize = 4;

/// How much longer than it was told a read may wait: what it was told changes with each picture by less, and to tell the kernel
/// costs a call. More lets sound get older where a picture is late.
const SPARE: Duration = Duration::from_millis(4);

/// Bytes of one read of what a POST is answered.
const ANSWER: usize = 512;

/// One connection, whatever is on it.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A line to a camera.
pub(super) struct Line {
    stream: Stream,
    /// The way of requests, if it is another one.
    post: Option<Post>,
    local: SocketAddr,
    peer: IpAddr,
    lie: Lie,
}

/// How what comes may lie in the kernel; of a plain connection. Kept here, for most often it is as it was, and saying so is a call.
struct Lie {
    /// From how many bytes on there is something to be read.
    low_water: u32,
    /// How long a read waits that may.
    patience: Duration,
    /// Whether one may: whoever reads by the executor must not.
    waits: bool,
}

impl Lie {
    /// Not at all.
    const NONE: Lie = Lie { low_water: 1, patience: Duration::ZERO, waits: false };
}

/// Where bytes of the camera come from.
enum Stream {
    /// As they are: what the kernel counts is what we read.
    Plain(TcpStream),
    Other(Box<dyn Duplex>),
}

impl Stream {
    /// Whatever it is.
    fn duplex(&mut self) -> &mut dyn Duplex {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Other(stream) => stream,
        }
    }

    fn boxed(self) -> Box<dyn Duplex> {
        match self {
            Stream::Plain(stream) => Box::new(stream),
            Stream::Other(stream) => stream,
        }
    }
}

/// The second half of a tunnel.
struct Post {
    stream: Box<dyn Duplex>,
    requests: Requests,
    /// What is needed for another one where this is refused.
    place: Place,
    cookie: u128,
    sent: Sent,
}

impl Line {
    /// Resolves the host of the dialog's URL, and connects to it; each step in the time that the settings give.
    pub(super) async fn open(dialog: &mut Dialog, settings: &RtspSettings) -> Result<Line, Failure> {
        let url = dialog.url().clone();
        let place = Place::resolve(&url, settings).await?;
        let (stream, local, peer) = place.connect().await?;
        if !place.kind.is_tunnel() {
            return Ok(Line { stream, post: None, local, peer, lie: Lie::NONE });
        }
        // Both halves go to one address: a name may mean several machines.
        let place = Place { addresses: vec![(peer, place.port()).into()], ..place };
        let (mask, auth) = dialog.tunnel();
        let cookie = rand::random();
        let mut tunnel = Tunnel::new(&url, auth, cookie);
        let mut stream = Some(stream.boxed());
        let limit = settings.rtsp.request_timeout;
        for _ in 0..MAX_TRIES {
            let mut get = match stream.take() {
                Some(stream) => stream,
                None => place.connect().await?.0.boxed(),
            };
            let request = tunnel.get();
            let opened = timeout(limit, async {
                get.write_all(&request).await?;
                get.flush().await?;
                let mut bytes = BytesMut::new();
                loop {
                    if get.read_buf(&mut bytes).await? == 0 {
                        return Ok(Opened::No(cut_off(&bytes, &mask)));
                    }
                    match tunnel.opened(bytes.clone(), &mask) {
                        Opened::More => {}
                        opened => return Ok(opened),
                    }
                }
            });
            let opened = opened.await.map_err(|_| Failure::TunnelSilent(limit))?;
            match opened.map_err(|error: io::Error| broken(&error))? {
                Opened::More | Opened::Again => {}
                Opened::No(failure) => return Err(failure),
                Opened::Yes(rest) => {
                    let post = place.post(&mut tunnel, limit).await?;
                    let (sent, requests) = (tunnel.sent(), Requests::default());
                    let stream = Stream::Other(Box::new(Behind { rest, stream: get }));
                    let post = Some(Post { stream: post, requests, place, cookie, sent });
                    return Ok(Line { stream, post, local, peer, lie: Lie::NONE });
                }
            }
        }
        Err(Failure::TunnelSilent(limit))
    }

    /// Answers a POST that was refused because it has to say who is there by another one, with all that the first was given.
    pub(super) async fn sign_in(
        &mut self,
        dialog: &mut Dialog,
        refused: &PostRefused,
        limit: Duration,
    ) -> Result<(), Failure> {
        let url = dialog.url().clone();
        let (mask, auth) = dialog.tunnel();
        let no_tunnel = || Failure::NoTunnel(mask.quote(refused.to_string().as_bytes()));
        let Some(post) = self.post.as_mut().filter(|_| refused.asks()) else { return Err(no_tunnel()) };
        let mut tunnel = Tunnel::new(&url, auth, post.cookie).again(post.sent.clone());
        tunnel.asked(refused)?;
        if !post.requests.again() {
            return Err(no_tunnel());
        }
        post.stream = post.place.post(&mut tunnel, limit).await?;
        post.sent = tunnel.sent();
        Ok(())
    }

    /// Our end.
    pub(super) fn local(&self) -> IpAddr {
        self.local.ip()
    }

    /// The camera's address.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Writes what there is room for of `output`. Wakes where there was none.
    pub(super) fn write(&mut self, context: &mut Context<'_>, output: &mut BytesMut) -> io::Result<()> {
        let Some(post) = &mut self.post else { return write(self.stream.duplex(), context, output) };
        post.requests.take(output);
        let written = write(&mut *post.stream, context, post.requests.coded());
        // One that is refused may be closed before it was read, and says why all the same.
        written.map_err(|error| post.refusal(context).map_or(error, io::Error::other))
    }

    /// One read into `input`: 0 bytes when the camera has closed it. A read that does not fill its room needs no second one
    /// to learn that nothing is left.
    pub(super) fn read(
        &mut self,
        context: &mut Context<'_>,
        input: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        if let Some(refusal) = self.post.as_mut().and_then(|post| post.refusal(context)) {
            return Poll::Ready(Err(io::Error::other(refusal)));
        }
        let read = match &mut self.stream {
            Stream::Plain(stream) => pin!(stream.read_buf(input)).poll(context),
            Stream::Other(stream) => pin!(stream.read_buf(input)).poll(context),
        };
        if let (Poll::Ready(Ok(1..)), Some(post)) = (&read, &mut self.post) {
            post.requests.heard();
        }
        read
    }

    /// Reads once what came is so many bytes, something ended the connection, or `limit` has passed; on a plain connection, for
    /// on others what the kernel counts is not what we read: nothing there. It blocks the thread.
    pub(super) fn read_at_rest(
        &mut self,
        bytes: u32,
        limit: Duration,
        input: &mut BytesMut,
    ) -> io::Result<Option<usize>> {
        self.set_low_water(bytes)?;
        let Stream::Plain(stream) = &self.stream else { return Ok(None) };
        let (socket, Lie { patience, waits, .. }) = (stream.as_fd(), &mut self.lie);
        if !(limit..=limit + SPARE).contains(patience) {
            *patience = limit + SPARE / 2;
            line::set_patience(socket, *patience)?;
        }
        if !std::mem::replace(waits, true) {
            line::set_waits(socket, true)?;
        }
        line::read_waiting(socket, input)
    }

    /// From now on whatever comes is told to the executor, and reads do not wait.
    pub(super) fn stop_resting(&mut self) -> io::Result<()> {
        self.set_low_water(1)?;
        if let Stream::Plain(stream) = &self.stream
            && std::mem::take(&mut self.lie.waits)
        {
            line::set_waits(stream.as_fd(), false)?;
        }
        Ok(())
    }

    /// From so many bytes on there is something to be read.
    fn set_low_water(&mut self, bytes: u32) -> io::Result<()> {
        if let Stream::Plain(stream) = &self.stream
            && std::mem::replace(&mut self.lie.low_water, bytes) != bytes
        {
            line::set_low_water(stream.as_fd(), bytes)?;
        }
        Ok(())
    }

    /// As [`Line::read`], without asking the executor whether there is something: for who has waited without it. Nothing on a
    /// connection that is not plain.
    pub(super) fn read_now(&mut self, input: &mut BytesMut) -> io::Result<Option<usize>> {
        match &self.stream {
            Stream::Plain(stream) => line::read(stream.as_fd(), input),
            Stream::Other(_) => Ok(None),
        }
    }
}

impl Post {
    /// Why it is refused, if it is. That it is closed means nothing: some servers do so with each answer that they give.
    fn refusal(&mut self, context: &mut Context<'_>) -> Option<PostRefused> {
        let mut answer = Vec::with_capacity(ANSWER);
        while let Poll::Ready(Ok(1..)) = pin!(self.stream.read_buf(&mut answer)).poll(context) {
            if let Some(refusal) = self.requests.answered(&answer) {
                return Some(refusal);
            }
            answer.clear();
        }
        None
    }
}

/// Writes what there is room for.
fn write(stream: &mut dyn Duplex, context: &mut Context<'_>, output: &mut BytesMut) -> io::Result<()> {
    let mut wrote = false;
    while !output.is_empty() {
        match Pin::new(&mut *stream).poll_write(context, output) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => output.advance(count),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
        wrote = true;
    }
    if wrote && let Poll::Ready(flushed) = Pin::new(&mut *stream).poll_flush(context) {
        flushed?;
    }
    Ok(())
}

/// Where a camera is.
struct Place {
    addresses: Vec<SocketAddr>,
    host: Host<String>,
    kind: Kind,
    limit: Duration,
    fingerprints: Vec<sluice_config::Fingerprint>,
}

impl Place {
    async fn resolve(url: &Url, settings: &RtspSettings) -> Result<Place, Failure> {
        let kind = Kind::of(url.scheme()).unwrap_or(Kind::Plain);
        let port = url.port().unwrap_or(kind.default_port());
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
        let host = url.host().ok_or_else(|| Failure::NoName("there is none".to_owned()))?.to_owned();
        Ok(Place { addresses, host, kind, limit, fingerprints: settings.rtsp.fingerprint.clone() })
    }

    /// Opens the second half of a tunnel.
    async fn post(&self, tunnel: &mut Tunnel<'_>, limit: Duration) -> Result<Box<dyn Duplex>, Failure> {
        let mut post = self.connect().await?.0.boxed();
        let head = tunnel.post();
        let written = timeout(limit, async {
            post.write_all(&head).await?;
            post.flush().await
        });
        let written = written.await.map_err(|_| Failure::TunnelSilent(limit))?;
        written.map_err(|error| broken(&error))?;
        Ok(post)
    }

    fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }

    /// A connection, with TLS on it where the URL says so; its own address, and the camera's. A camera of the right
    /// certificate whose key is too small for what is safe today gets a second one with less.
    async fn connect(&self) -> Result<(Stream, SocketAddr, IpAddr), Failure> {
        match self.connect_with(Offer::Today).await {
            Err(Failure::Unproven) => self.connect_with(Offer::SmallKeys).await,
            connected => connected,
        }
    }

    async fn connect_with(&self, offer: Offer) -> Result<(Stream, SocketAddr, IpAddr), Failure> {
        let connecting = TcpStream::connect(&self.addresses[..]);
        let stream = timeout(self.limit, connecting).await.map_err(|_| Failure::NoConnection(self.limit))?;
        let unreachable = |error: io::Error| Failure::Unreachable(error.to_string());
        let stream = stream.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let (local, peer) =
            (stream.local_addr().map_err(unreachable)?, stream.peer_addr().map_err(unreachable)?.ip());
        if !self.kind.is_secret() {
            return Ok((Stream::Plain(stream), local, peer));
        }
        let host = match &self.host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        let stream = tls::connect(stream, &host, &self.fingerprints, offer, self.limit).await?;
        Ok((Stream::Other(Box::new(stream)), local, peer))
    }
}

/// A stream of which the first bytes were read already.
struct Behind {
    rest: BytesMut,
    stream: Box<dyn Duplex>,
}

impl AsyncRead for Behind {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Behind {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
