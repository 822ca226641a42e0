//! Shards: sets of viewers, each with one thread, one socket and no one else's memory.
//!
//! [`Shard`] is the state and takes `now` and bytes; `fan_out` keeps the trains that are on their way to
//! its viewers; [`worker`] is the pinned thread that runs it (`live` keeps it running), `outbox` is how its
//! bytes get to the kernel (`carried`: how late that is; `connections`: those of viewers without UDP, and `checks` how much STUN of each is looked at), and [`watch`] looks at it from outside (`standstill`: why it does not run); [`command`] is
//! all that the control plane may say to it, [`question`] what it asks ([`ask`] waits for the answer), [`place`] which shard it says it to, and `room` whether that one can serve a viewer more
//! (`beside`: what one takes of the line beside pictures), by what viewers weigh ([`weight`]).

pub mod ask;
mod beside;
mod carried;
mod checks;
pub mod command;
mod connections;
mod demux;
mod fan_out;
mod layer;
mod live;
mod outbox;
pub mod place;
pub mod question;
mod rate;
mod room;
#[expect(clippy::module_inception, reason = "the shard's state is the shard")]
mod shard;
mod shed;
mod standstill;
pub mod watch;
pub mod weight;
pub mod worker;

pub use command::Tuning;
pub(crate) use fan_out::FanOut;
pub use fan_out::Pacing;
pub(crate) use outbox::MESSAGES_PER_TURN;
pub use room::{NoRoom, RoomLimits};
pub use shard::{Ended, News, Progress, Shard};
