//! Sluice: a WebRTC SFU for bare-metal Linux.
//!
//! Modules in the order in which a frame passes them (docs/ARCHITECTURE.md has the picture):
//! [`source`] reads cameras, [`stream`] judges what comes, [`track`] packetizes once, [`shard`] fans out on pinned
//! threads, [`viewer`] numbers and seals for one player, and `sluice-io` hands batches to the kernel. Beside the way:
//! [`session`] (who may join), [`http`] (WHEP, pages, health), [`ops`] (metrics, the log), [`profile`] (where time
//! and memory go) and [`probe`] (what a camera is like).
#![forbid(unsafe_code)]

pub mod cipher;
pub mod client;
pub mod contain;
pub mod count;
pub mod current;
pub mod descriptors;
pub mod doctor;
pub mod executor;
pub mod fault;
pub mod feed;
pub mod floor;
pub mod http;
pub mod id;
pub mod import;
pub mod operator;
pub mod ops;
pub mod peer;
pub mod probe;
pub mod profile;
pub mod server;
pub mod session;
pub mod shard;
pub mod source;
pub mod stat;
pub mod stream;
pub mod supervise;
pub mod tasks;
pub mod top;
pub mod track;
pub mod viewer;
