//! The control plane: streams, sessions, and the HTTP that viewers and operators speak.
//!
//! Runs on a few unpinned tokio threads and may lock and allocate; it reaches shards only through
//! their bounded queues and never touches media packet by packet.

pub mod admission;
pub mod announce;
pub mod answer;
pub mod client;
pub mod conditional;
pub mod connection;
pub mod discreet;
pub mod http;
pub mod offer;
pub mod problem;
pub mod registry;
pub mod sdpfrag;
pub mod sessions;
pub mod still;
pub mod trouble;
pub mod whep;
