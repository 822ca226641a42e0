//! Peers: the transport of one remote end, whatever role it has: engine, paths, and the port its datagrams leave by.

mod check;
mod egress;
mod engine;
mod paths;

pub use check::Check;
pub use egress::{Egress, Lane};
pub(crate) use engine::is_srtp;
pub use engine::{Credentials, Engine, EngineError, EngineParams, MediaParams, Turn};
pub use paths::FRESH;
pub(crate) use paths::{Path, Paths, Standing, Target};
