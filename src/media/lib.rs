//! What bytes mean: which protocol a datagram is, codecs and their payload formats, RTP, RTCP and SRTP, DTLS keys, and the clip of the demo.
//!
//! Below server and load alike, so that both read and write the same. Never reads a clock, opens a socket or knows a
//! viewer; what takes time is given `now`.
#![forbid(unsafe_code)]

pub mod aac;
mod audio;
mod class;
pub mod clip;
mod codec;
pub mod dtls;
pub mod fmtp;
pub mod framing;
pub mod h264;
mod h265;
pub mod nal;
mod opus;
mod packets;
mod red;
pub mod rtcp;
mod shown;
pub mod srtp;
mod static_types;
mod unit;
mod video;

pub use audio::{AudioCodec, Foreign};
pub use class::{Class, class};
pub use codec::{Codec, Kind};
pub use packets::Packets;
pub use red::{RED_HEADER, RedBlock, Redundant, read_red};
pub use shown::shown;
pub use static_types::{StaticType, static_type};
pub use unit::{AccessUnit, AudioFrame, SourceReport};
pub use video::VideoCodec;

/// RTP payload bytes of one packet at the most.
///
/// With RTP header, `abs-send-time` and the tag of AES-GCM it is a datagram of 1,236 bytes. That fits an MTU of 1,280 by
/// IPv4 (1,252) and is 4 bytes too long for it by IPv6 (1,232); `abs-capture-time`, for those who agree to it, makes it up to
/// 22 longer. Raising it saves a little CPU per byte and loses viewers behind tunnels; lowering it costs packets.
pub const MAX_PAYLOAD: usize = 1_200;
