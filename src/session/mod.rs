//! Sessions of WHEP: who may join, what an offer asks for, what is answered, and which sessions there are.
//!
//! Runs on unpinned tokio threads and may lock and allocate; it reaches shards only through their bounded queues and
//! never touches media packet by packet.

pub mod admission;
pub mod agreed;
pub mod announce;
pub mod answer;
pub mod drain;
pub mod gone;
pub mod join;
pub mod offer;
pub mod origin;
pub mod outdated;
mod pace;
pub mod right;
pub mod sdpfrag;
pub mod table;
pub mod visitor;
