//! One HTTP connection: how long an answer may take to be read, how long it may live, and whose place it takes.
//!
//! Owns what a client can do to us without saying anything: not reading, reading slowly, never leaving, and
//! coming a thousand times. A shell: it reads the clock and owns sockets.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Sleep};

use crate::client::{Client, Share};
use crate::contain::lock;

/// What to ask of the kernel for each direction of a connection; it takes twice as much. A client that does not
/// read holds this until its answer's time is up. Raising it lets far clients read large answers faster (a
/// window a round trip), and each of them hold more.
const BUFFER: u32 = 32 * 1024;

/// Connections that may wait to be taken up, beyond those that are served.
const BACKLOG: u32 = 1_024;

/// Bytes a second that a client must read at the least, once its first time is over. Lower lets slow readers hold
/// their places longer, higher cuts off those on bad lines.
pub const SLOWEST: u64 = 2 * 1024;

/// What the kernel still holds after we have closed it holds for so long at the least: a lost packet takes a
/// second or more to be sent again.
const LINGER_MIN: Duration = Duration::from_secs(5);

/// How long a connection may live. Then it ends behind the answer under way, and its client makes another. Longer
/// lets one client keep a place longer from those who come later.
pub const AGE_MAX: Duration = Duration::from_secs(120);

/// Waits until the server stops, and holds no lock afterwards.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone: that is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A socket to listen on, whose connections hold little of the kernel's memory.
pub fn socket(address: std::net::SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Takes connections on a socket of [`socket`].
pub fn listen(socket: TcpSocket) -> io::Result<tokio::net::TcpListener> {
    socket.listen(BACKLOG)
}

/// Connections that are taken up and wait for a place, so that one address that has its share does not stand in
/// the way of others. A browser opens six at once. Their descriptors come out of the reserve; fewer turn away
/// more of an address's connections at once.
pub const WAITING: usize = 16;

/// Places of connections by client. As many entries as there are connections.
#[derive(Debug)]
pub struct Places {
    all: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    sum: usize,
    by: HashMap<Client, usize>,
}

/// One place, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    client: Option<Client>,
}

impl Places {
    /// So many places.
    pub fn new(all: usize) -> Places {
        Places { all, taken: Mutex::default(), freed: Notify::new() }
    }

    /// A place, unless there is none or the client has its share. Who is no single client has no share.
    pub fn take(self: &Arc<Self>, client: Option<(Client, Share)>) -> Option<Place> {
        let mut taken = lock(&self.taken);
        let free = self.all.saturating_sub(taken.sum);
        let own = |client| taken.by.get(&client).copied().unwrap_or(0);
        let has_its_share = client.is_some_and(|(client, share)| !share.allows(own(client), free));
        if free == 0 || has_its_share {
            return None;
        }
        taken.sum += 1;
        let client = client.map(|(client, _)| client);
        if let Some(client) = client {
            *taken.by.entry(client).or_default() += 1;
        }
        Some(Place { places: self.clone(), client })
    }

    /// A place, once there is one.
    pub async fn wait_for(self: &Arc<Self>, client: Option<(Client, Share)>) -> Place {
        loop {
            // Registered before the look, so that a place given back in between wakes.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(place) = self.take(client) {
                return place;
            }
            freed.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.taken);
        taken.sum -= 1;
        if let Some(client) = self.client
            && let Entry::Occupied(mut own) = taken.by.entry(client)
        {
            match own.get() {
                0 | 1 => _ = own.remove(),
                _ => *own.get_mut() -= 1,
            }
        }
        drop(taken);
        self.places.freed.notify_waiters();
    }
}

/// A connection that ends when its client does not read what it asked for.
///
/// From the moment that the kernel takes no more until all is handed over, the client has `patience`, and more
/// the more it reads. No further requests are read meanwhile, or answers would gather without a bound.
#[derive(Debug)]
pub struct Watched {
    stream: TcpStream,
    patience: Duration,
    /// Since when, how much was taken since, and when to look again; while something waits.
    waiting: Option<(Instant, u64, Pin<Box<Sleep>>)>,
    /// Reading was put off until all is written.
    unread: bool,
}

impl Watched {
    /// Watches a connection.
    pub fn new(stream: TcpStream, patience: Duration) -> Watched {
        let _ = stream.set_nodelay(true);
        // For what the kernel still holds after we have closed.
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(patience.max(LINGER_MIN)));
        Watched { stream, patience, waiting: None, unread: false }
    }

    /// What became of a write or flush: counts, and gives up when it has taken too long.
    fn judge<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            return polled;
        }
        let (since, read, sleep) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, 0, Box::pin(tokio::time::sleep_until(now + self.patience)))
        });
        let until = *since + self.patience + Duration::from_millis(*read * 1_000 / SLOWEST);
        if sleep.deadline() != until {
            sleep.as_mut().reset(until);
        }
        ready!(sleep.as_mut().poll(cx));
        // A reset, so that the kernel gives back what nobody reads.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn wrote(&mut self, polled: &Poll<io::Result<usize>>) {
        if let (Poll::Ready(Ok(bytes)), Some((_, read, _))) = (polled, &mut self.waiting) {
            *read += *bytes as u64;
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waiting.is_some() {
            self.unread = true;
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(&polled);
        self.judge(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(&polled);
        self.judge(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The library flushes when it has handed over all it has.
        self.waiting = None;
        if std::mem::take(&mut self.unread) {
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_share_of_connections_and_gives_it_back() {
        let places = Arc::new(Places::new(10));
        let client = |last: u8| (Client::of(std::net::IpAddr::from([192, 0, 2, last])), Share(50));
        let mut held: Vec<Place> = (0..20).filter_map(|_| places.take(Some(client(1)))).collect();
        assert_eq!(held.len(), 6);
        held.extend((0..20).filter_map(|_| places.take(Some(client(2)))));
        assert_eq!(held.len(), 9, "half of what was left");
        held.extend(places.take(Some(client(3))));
        assert_eq!(held.len(), 10);
        held.clear();
        assert!(lock(&places.taken).by.is_empty());
        let many: Vec<Place> = (0..20).filter_map(|_| places.take(None)).collect();
        assert_eq!(many.len(), 10, "a proxy is not one client");
        assert!(places.take(Some(client(1))).is_none());
    }

    #[tokio::test]
    async fn who_waits_gets_the_place_that_is_given_back() {
        let places = Arc::new(Places::new(1));
        let held = places.take(None);
        let mut waits = pin!(places.wait_for(None));
        assert!(futures_poll(waits.as_mut()).await.is_pending());
        drop(held);
        assert!(tokio::time::timeout(Duration::from_secs(5), waits).await.is_ok());
    }

    async fn futures_poll<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }

    #[tokio::test]
    async fn the_kernel_takes_little_for_who_does_not_read() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = socket(any).and_then(listen).expect("a listener");
        let to = listener.local_addr().expect("its address");
        let peer = TcpSocket::new_v4().expect("a socket");
        peer.set_recv_buffer_size(4_096).expect("a small window");
        let (peer, accepted) = tokio::join!(peer.connect(to), listener.accept());
        let (_peer, (stream, _)) = (peer.expect("a connection"), accepted.expect("a connection"));
        let mut sent = 0;
        while let Ok(length) = stream.try_write(&[0; 1_024]) {
            sent += length;
            tokio::task::yield_now().await;
        }
        assert!(sent > 0 && sent <= 3 * BUFFER as usize, "{sent} bytes to it");
        assert!(SockRef::from(&stream).recv_buffer_size().expect("its size") <= 2 * BUFFER as usize);
    }
}
