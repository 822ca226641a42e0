//! Sources: what feeds a stream (an RTSP camera pulled, the demo inside the binary).
//!
//! Owns sessions with cameras and the waiting time between attempts. Never knows shards or viewers.

pub mod backoff;
pub mod demo;
pub mod rtsp;
pub mod thread;
