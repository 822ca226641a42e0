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

/// The MTU that every path by IPv6 has (RFC 8200 §5); those of tunnels and of mobile networks are often no larger.
pub const LEAST_MTU: usize = 1_280;

/// Bytes of a datagram at the most, so that it passes such a path: what headers of IPv6 and UDP leave. None that is larger
/// is ever sent.
pub const DATAGRAM_MAX: usize = LEAST_MTU - 40 - 8;

/// Bytes of the header extensions that packets carry at the most: the block's own header (RFC 8285 §4.2),
/// `abs-send-time`, a MID of 16 bytes or in its place `abs-capture-time`, and padding to words.
pub const EXTENSION_MAX: usize = (4 + (1 + 3) + (1 + 16) as usize).next_multiple_of(4);

/// Bytes before the payload of what is sent again: its original number (RFC 4588 §4).
pub const ORIGINAL_NUMBER: usize = 2;

/// RTP payload bytes of one packet at the most: 1,174, so that with all that may be around them they make no datagram of
/// more than [`DATAGRAM_MAX`], when they are sent again either.
///
/// Raising it saves a little CPU per byte and loses viewers behind tunnels; lowering it costs packets.
pub const MAX_PAYLOAD: usize =
    DATAGRAM_MAX - srtp::RTP_HEADER - EXTENSION_MAX - ORIGINAL_NUMBER - srtp::TAG_MAX;

const _: () = assert!(MAX_PAYLOAD == 1_174, "docs, and words of `import`, name it");
