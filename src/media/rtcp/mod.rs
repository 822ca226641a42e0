//! RTCP (RFC 3550 §6): what is written to viewers, and what is read of theirs.

pub mod read;
mod write;

pub use write::{CNAME, Epoch, PACKET_MAX, Report, goodbye, sender_report};
