//! How bytes reach the kernel: it owns sockets, system calls and every line of `unsafe` in Sluice, and knows
//! datagrams and addresses. It never knows what a datagram means: no media, no viewers, no protocol. Beside that it owns
//! what profiles need of the kernel and the allocator ([`profile`]).
//!
//! # The way out
//!
//! ```text
//! caller --append_with--> Batch --flush--> Sender --one sendmmsg--> kernel --GSO--> wire
//!                           ^                 |
//!                           +--- blocked -----+   what the kernel did not take stays, in order
//! ```
//!
//! 1. A datagram is written in place, at the end of the [`Batch`]'s arena; nothing is copied afterwards.
//! 2. Datagrams that follow each other to one peer and are equal in size (the last may be shorter) are one
//!    *message*: the kernel takes it whole and cuts it into *segments*, which costs a tenth of sending each.
//! 3. [`Sender::flush`] hands up to 64 messages to one `sendmmsg`, each with a segment size of its own.
//! 4. The answer (a count, or an error about the first message not yet sent) is judged by a pure function: go
//!    on behind it, drop it and count, send the same bytes without GSO, or stop because the socket is full.
//!    One message can fail; its neighbours never do.
//!
//! # The way in
//!
//! [`Receiver::receive`] is one `recvmmsg`; what the kernel coalesced (GRO) is cut apart again, and each
//! datagram is handed to a closure together with where it came from and to which local address.
//!
//! Of connections (TCP) there is only what their owner's executor has no function for: [`mod@line`].
//!
//! # Addresses
//!
//! Every address at this interface is canonical: IPv4 is [`std::net::IpAddr::V4`], also on a dual-stack
//! socket. The `::ffff:a.b.c.d` form exists only between this crate and the kernel.
//!
//! # Time
//!
//! Nothing here reads a clock or spawns, and nothing waits but [`line::read_waiting`]; where time matters the caller passes
//! `now`.

#[cfg(not(target_os = "linux"))]
compile_error!("sluice-io needs Linux: sendmmsg with UDP_SEGMENT, recvmmsg with UDP_GRO");

mod address;
pub mod affinity;
pub mod batch;
mod cmsg;
pub mod deadlines;
pub mod descriptors;
pub mod gso;
pub mod line;
pub mod machine;
mod mmsg;
pub mod namespace;
mod outcome;
pub mod profile;
pub mod receiver;
pub mod sender;
mod sizes;
pub mod socket;
mod sockopt;

pub use batch::{AppendError, Batch, BatchLimits};
pub use gso::{GsoMode, GsoVerdict};
pub use outcome::DropReason;
pub use receiver::{Datagram, MAX_DATAGRAM, ReceiveReport, Receiver};
pub use sender::{Drops, FlushReport, Sender};
pub use sizes::Sizes;
pub use socket::{BufferGrant, Socket, SocketError, SocketOptions};
