//! RTCP (RFC 3550 §6): what is written to viewers, and what is read of theirs.

pub mod read;
mod write;

pub use write::{
    CNAME, Epoch, KEYFRAME_REQUEST, PACKET_MAX, Report, goodbye, keyframe_request, sender_report,
};
