//! The pinned thread that runs many viewers, and how to talk to it. A shell.
//!
//! Owns one UDP socket a viewer (servers tell viewers by address) behind one epoll, and one set of
//! receive buffers for all. Never speaks HTTP: offers go out as events, answers come as commands.
//! `seats` is its loop, `outbox` its way out.

mod outbox;
mod seats;

use std::net::IpAddr;
use std::time::Instant;

use mio::{Poll, Token, Waker};
use seats::Worker;
use sluice_io::affinity::{self, CoreId};
use sluice_media::dtls::SharedDtls;
use tokio::sync::mpsc::UnboundedSender;

use super::client::Behaviour;
use super::gone::{Gone, Mark};

/// Commands that may wait for a worker. The coordinator waits when they are more.
const COMMANDS_MAX: usize = 4_096;

const WAKER: Token = Token(usize::MAX);

/// What the coordinator may ask for.
pub enum Command {
    /// A viewer shall join. `began` is when its join counts from.
    Join {
        /// Its number, never used twice.
        id: u32,
        /// The address its socket is bound to.
        address: IpAddr,
        /// How it behaves.
        behaviour: Behaviour,
        /// When its join counts from.
        began: Instant,
    },
    /// The server answered the viewer's offer.
    Answer {
        /// The viewer.
        id: u32,
        /// The answer.
        sdp: String,
    },
    /// The viewer's offer failed: it is forgotten.
    Forget {
        /// The viewer.
        id: u32,
    },
    /// The viewer leaves.
    Leave {
        /// The viewer.
        id: u32,
    },
    /// Tell what has been counted up to now: [`Event::Marked`].
    Mark,
    /// The measurement is over: take only repairs.
    Freeze,
    /// Everybody leaves, and the thread ends with [`Event::Stopped`].
    Stop,
}

/// What a worker tells.
pub enum Event {
    /// A viewer's offer is to be posted.
    Offer {
        /// The viewer.
        id: u32,
        /// The offer.
        sdp: String,
    },
    /// A viewer connected.
    Joined,
    /// A viewer is gone before its time, or never came.
    Failed {
        /// The viewer.
        id: u32,
        /// Why, in few words that group well.
        reason: String,
        /// Whether it had been connected.
        was_connected: bool,
    },
    /// What has been counted, from time to time.
    Ticked(usize, Mark),
    /// What has been counted at [`Command::Mark`].
    Marked(usize, Mark),
    /// The last word: everything about all viewers there were.
    Stopped(Box<Gone>),
}

/// How the coordinator reaches a worker.
pub struct Handle {
    commands: crossbeam_channel::Sender<Command>,
    waker: Waker,
}

impl Handle {
    /// Gives a command; waits while the worker has too many. A worker that is gone takes none.
    pub fn send(&self, command: Command) {
        let _ = self.commands.send(command);
        let _ = self.waker.wake();
    }
}

/// Starts a worker.
pub fn start(
    index: usize,
    core: Option<CoreId>,
    dtls: SharedDtls,
    events: UnboundedSender<Event>,
) -> std::io::Result<Handle> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let (commands_in, commands) = crossbeam_channel::bounded(COMMANDS_MAX);
    let mut worker = Worker::new(index, poll, commands, dtls, events);
    std::thread::Builder::new().name(format!("viewers-{index}")).spawn(move || {
        if let Some(core) = core
            && !affinity::pin(core)
        {
            tracing::warn!(thread = index, ?core, "the thread could not be pinned to its core");
        }
        worker.run();
    })?;
    Ok(Handle { commands: commands_in, waker })
}
