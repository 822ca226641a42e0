//! The receiving side of the floor: as many sockets as there are destinations, read and counted. A shell.
//!
//! Owns the sockets, made like those of the generator. Never looks into a datagram.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};
use sluice_io::{Receiver, Socket, SocketOptions};

/// As that of the generator's viewers.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Receive calls for one socket before the next one's turn.
const RECEIVES_PER_TURN: usize = 4;

const STANDARD_INPUT: Token = Token(usize::MAX);

/// The command line; the rig writes it.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Address to bind to.
    #[arg(long)]
    address: IpAddr,
    /// How many.
    #[arg(long)]
    count: usize,
}

/// What arrived.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Arrived {
    /// Datagrams.
    pub packets: u64,
}

/// Receives until standard input ends, then prints what arrived.
#[expect(clippy::print_stdout, reason = "its standard output is its result")]
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let address = SocketAddr::new(options.address, 0);
    let mut sockets = Vec::with_capacity(options.count);
    let mut text = String::new();
    for index in 0..options.count {
        let socket = Socket::bind(SocketOptions { address, receive_buffer: RECEIVE_BUFFER, send_buffer: 0 })?;
        poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(index), Interest::READABLE)?;
        text.push_str(&format!("{}\n", socket.local_addr()));
        sockets.push(socket);
    }
    let input = std::io::stdin().as_raw_fd();
    poll.registry().register(&mut SourceFd(&input), STANDARD_INPUT, Interest::READABLE)?;
    // At once, so that whoever reads it never sees a part: the empty line is the end.
    println!("{text}");
    std::io::stdout().flush()?;

    let mut receiver = Receiver::new();
    let mut events = Events::with_capacity(1_024);
    let mut arrived = Arrived::default();
    // Sockets that may hold more: readiness is an edge.
    let mut unread: VecDeque<usize> = VecDeque::new();
    let mut queued = vec![false; sockets.len()];
    loop {
        let wait = if unread.is_empty() { None } else { Some(std::time::Duration::ZERO) };
        if let Err(error) = poll.poll(&mut events, wait)
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        let mut over = false;
        for event in &events {
            let Token(index) = event.token();
            over |= event.token() == STANDARD_INPUT;
            if queued.get(index).is_some_and(|queued| !queued) {
                queued[index] = true;
                unread.push_back(index);
            }
        }
        for _ in 0..unread.len() {
            let Some(index) = unread.pop_front() else { break };
            queued[index] = false;
            if !read(&mut receiver, &sockets[index], &mut arrived)? {
                queued[index] = true;
                unread.push_back(index);
            }
        }
        if over && unread.is_empty() {
            println!("{}", serde_json::to_string(&arrived)?);
            return Ok(());
        }
    }
}

/// One turn of a socket. Returns whether it has no more.
fn read(receiver: &mut Receiver, socket: &Socket, arrived: &mut Arrived) -> std::io::Result<bool> {
    for _ in 0..RECEIVES_PER_TURN {
        let report = receiver.receive(socket, |_| {})?;
        arrived.packets += report.datagrams as u64;
        if report.drained {
            return Ok(true);
        }
    }
    Ok(false)
}
