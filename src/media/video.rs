//! The video codecs that are forwarded: the only file that tells one from the other.
//!
//! Owns the list. Whatever else there is to know of one of them stands in a folder of its own, behind [`NalCodec`].

use bytes::Bytes;

use crate::Packets;
use crate::h264::H264;
use crate::h265::H265;
use crate::nal::{self, Bitstream, Depacketizer, NalCodec, Unpacker};

/// A video codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264 with `packetization-mode=1` (RFC 6184).
    H264,
    /// H.265 in one stream (RFC 7798).
    H265,
}

impl VideoCodec {
    /// All of them.
    pub const ALL: [VideoCodec; 2] = [VideoCodec::H264, VideoCodec::H265];

    /// RTP clock rate of every video, in Hz (RFC 6184 §8.1, RFC 7798 §7.1).
    pub const CLOCK_RATE: u32 = 90_000;

    /// What to set a camera to that sends something else.
    pub const WANTED: &str = "H.264";

    /// What it says of its bits, packets and descriptions.
    pub fn nal(self) -> &'static dyn NalCodec {
        match self {
            VideoCodec::H264 => &H264,
            VideoCodec::H265 => &H265,
        }
    }

    /// The encoding name of `a=rtpmap`.
    pub fn encoding_name(self) -> &'static str {
        self.nal().encoding_name()
    }

    /// The codec with this encoding name, compared without regard to case (RFC 8866 §6.6).
    pub fn of_name(name: &str) -> Option<VideoCodec> {
        VideoCodec::ALL.into_iter().find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))
    }

    /// The codec that can be told by the value of `a=fmtp` alone.
    pub fn of_parameters(fmtp: &str) -> Option<VideoCodec> {
        VideoCodec::ALL.into_iter().find(|codec| codec.nal().is_meant_by(fmtp))
    }

    /// The parameter sets in the value of an `a=fmtp` attribute (all behind the payload type), each as a NAL unit.
    pub fn parameter_sets(self, fmtp: &str) -> Vec<Bytes> {
        nal::parameter_sets(self.nal(), fmtp)
    }

    /// Whether the picture of these NAL units is one that a decoder can begin with.
    pub fn is_keyframe(self, nals: &[Bytes]) -> bool {
        nal::is_keyframe(self.nal(), nals)
    }

    /// Whether an RTP payload, not empty, can be one of this codec.
    pub fn reads(self, payload: &[u8]) -> bool {
        nal::reads(self.nal(), payload)
    }

    /// Whether an RTP payload, not empty, holds a parameter set of this codec that describes a video.
    pub fn describes(self, payload: &[u8]) -> bool {
        nal::describes(self.nal(), payload)
    }

    /// The pictures of a byte stream (Annex B) in decoding order, each as its NAL units without start codes, delimiters
    /// and filler.
    pub fn pictures(self, stream: &Bytes) -> Vec<Vec<Bytes>> {
        nal::pictures(self.nal(), stream)
    }

    /// From packets to pictures, of which at most `max_bytes` are held.
    pub fn depacketizer(self, max_bytes: usize) -> Depacketizer {
        Depacketizer::new(self.nal(), max_bytes)
    }

    /// From pictures to what is sent of them.
    pub fn bitstream(self) -> Bitstream {
        Bitstream::new(self.nal())
    }

    /// The RTP payloads of one picture's NAL units, each of at most `max_payload` bytes (4 to 65,535). Empty units are
    /// left out.
    pub fn payloads(self, nals: &[&[u8]], max_payload: usize) -> Packets {
        nal::payloads(self.nal(), nals, max_payload)
    }

    /// From the payloads of a picture, of `bytes` bytes in all, to what a file holds.
    pub fn unpacker(self, bytes: usize) -> Unpacker {
        Unpacker::new(self.nal(), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_is_found_by_its_name_in_any_case() {
        for codec in VideoCodec::ALL {
            assert_eq!(VideoCodec::of_name(&codec.encoding_name().to_lowercase()), Some(codec));
        }
        assert_eq!(VideoCodec::of_name("VP8"), None);
    }
}
