//! What the tests on real sockets share: peers that are plain sockets, and network namespaces of their own.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "this is test code")]

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    process::Command,
    time::{Duration, Instant},
};

use sluice_io::{Batch, BatchLimits, GsoMode, Receiver, Sender, Socket, SocketOptions};
use socket2::{Domain, Protocol, Type};

pub(crate) const BUFFER: usize = 4 << 20;

/// Everything that is needed to send, and a point in time to count from.
pub(crate) struct Sending {
    pub(crate) socket: Socket,
    pub(crate) batch: Batch,
    pub(crate) sender: Sender,
    pub(crate) now: Instant,
}

impl Sending {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary point in time to count from")]
    pub(crate) fn from(address: &str, gso: GsoMode) -> Self {
        Self {
            socket: socket(address),
            batch: Batch::new(BatchLimits::default()),
            sender: Sender::new(gso),
            now: Instant::now(),
        }
    }

    pub(crate) fn flush(&mut self) -> sluice_io::FlushReport {
        self.sender.flush(&self.socket, &mut self.batch, self.now)
    }

    /// Appends `count` datagrams of `len` bytes; byte 0 counts them from `first`.
    pub(crate) fn push_numbered(&mut self, to: SocketAddr, first: u8, count: u8, len: usize) {
        for number in first..first + count {
            self.batch.push(to, None, &numbered(number, len)).unwrap();
        }
    }
}

pub(crate) fn numbered(number: u8, len: usize) -> Vec<u8> {
    let mut datagram = vec![0xa5; len];
    datagram[0] = number;
    datagram
}

pub(crate) fn socket(address: &str) -> Socket {
    let address = address.parse().unwrap();
    Socket::bind(SocketOptions { address, receive_buffer: BUFFER, send_buffer: BUFFER }).unwrap()
}

/// A socket as somebody else would make it: blocking, without GRO, so the kernel has to cut trains for it.
pub(crate) struct Peer {
    pub(crate) socket: UdpSocket,
    pub(crate) address: SocketAddr,
}

impl Peer {
    pub(crate) fn at(address: &str) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let socket =
            socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.set_recv_buffer_size(BUFFER).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket.bind(&address.into()).unwrap();
        let socket = UdpSocket::from(socket);
        Self { address: socket.local_addr().unwrap(), socket }
    }

    /// The next datagram and who sent it; the test fails if none comes.
    pub(crate) fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 65_536];
        let (len, from) = self.socket.recv_from(&mut buffer).expect("a datagram within 2 s");
        buffer.truncate(len);
        (buffer, from)
    }

    /// The numbers of the next `count` datagrams, see [`numbered`].
    pub(crate) fn receive_numbers(&self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.receive().0[0]).collect()
    }

    pub(crate) fn assert_nothing_more(&self) {
        self.socket.set_nonblocking(true).unwrap();
        let more = self.socket.recv(&mut [0; 16]);
        self.socket.set_nonblocking(false).unwrap();
        assert_eq!(more.map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
    }
}

/// Receives from a non-blocking socket until `count` datagrams have come, or none for 2 s.
#[expect(clippy::disallowed_methods, reason = "bounds the wait")]
pub(crate) fn receive_until(
    receiver: &mut Receiver,
    socket: &Socket,
    count: usize,
) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut received = Vec::new();
    let mut last = Instant::now();
    while received.len() < count && last.elapsed() < Duration::from_secs(2) {
        let report = receiver
            .receive(socket, |datagram| received.push((datagram.source, datagram.bytes.to_vec())))
            .unwrap();
        match report.datagrams {
            0 => std::thread::yield_now(),
            _ => last = Instant::now(),
        }
    }
    received
}

/// Runs `test` on a thread in a network namespace that has only a loopback, up. It is gone when the thread
/// ends. Says so and returns if this process may not make one.
pub(crate) fn in_network_namespace(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: `unshare` takes no pointers; CLONE_NEWNET concerns only the calling thread.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                eprintln!("skipped: no network namespace for this user: {}", io::Error::last_os_error());
                return;
            }
            assert!(run("ip link set lo up"));
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs a command in the namespace of the calling thread; `false` if it fails.
pub(crate) fn run(command: &str) -> bool {
    let mut words = command.split_whitespace();
    match Command::new(words.next().unwrap()).args(words).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("{command}: {}", String::from_utf8_lossy(&output.stderr).trim());
            false
        }
        Err(error) => {
            eprintln!("{command}: {error}");
            false
        }
    }
}
