//! Peers: the transport of one remote end, whatever role it has: engine, paths, and the port its datagrams leave by.

mod check;
mod egress;
mod engine;
mod paths;
mod remote;
mod transport;

pub use check::Check;
pub use egress::{Control, Egress, Lane, STALL};
pub use engine::{Credentials, Engine, EngineError, EngineParams, MediaParams};
pub use paths::{FRESH, Path};
pub use remote::{ConnectionId, Remote};
pub use transport::{Admission, Peer, PeerLimits, Turned};
