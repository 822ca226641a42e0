//! Codecs whose pictures are NAL units: what each of them has to say so that its pictures can be forwarded.
//!
//! Owns the words between a codec's syntax ([`NalCodec`], [`Role`], [`Payload`]) and what is the same for all of them:
//! the way in (`depacketize`; of files `byte_stream`), the parameter sets and the judgement of a picture (`bitstream`, `sets`), the way out
//! (`payloads`), and the way back to a file (`unpack`). Never decodes, and names no codec.

mod bits;
mod bitstream;
mod byte_stream;
mod depacketize;
mod payloads;
mod sets;
mod sprop;
mod unpack;

use std::fmt::Debug;

use bytes::Bytes;
use shiguredo_mp4::boxes::SampleEntry;

pub(crate) use bits::Bits;
pub use bitstream::{Bitstream, Picture, Unsendable};
pub(crate) use byte_stream::pictures;
pub use depacketize::{Depacketizer, LeftOut, Packet, PictureTooLarge};
pub(crate) use payloads::payloads;
pub use sets::ParameterSets;
pub(crate) use sprop::parameter_sets;
pub use unpack::{Unpacked, Unpacker};

/// What stands before each unit of a byte stream (Annex B of both standards).
pub const START_CODE: [u8; 3] = [0, 0, 1];

/// What a NAL unit is to who forwards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A slice of a picture.
    Slice {
        /// Of a picture that a decoder can begin with.
        key: bool,
        /// Whether it is the first of its picture; `None` if it does not say.
        first: Option<bool>,
    },
    /// A parameter set, of the kind with this place in [`NalCodec::sets`].
    Set(usize),
    /// Supplemental information for the slices behind it.
    Info,
    /// The beginning of a picture.
    Delimiter,
    /// Filler, ends of sequences and streams: RTP says the same or has no use for it.
    Needless,
    /// Goes with the slices before it.
    Behind,
    /// Something else that goes with the next slice.
    Other,
    /// Damaged, empty, or of a type that no unit in a packet has.
    Malformed,
}

impl Role {
    /// Whether it is a slice of a picture.
    pub fn is_slice(self) -> bool {
        matches!(self, Role::Slice { .. })
    }

    /// Whether it is a slice of a picture that a decoder can begin with.
    pub fn is_key(self) -> bool {
        matches!(self, Role::Slice { key: true, .. })
    }
}

/// The header of a NAL unit or of a payload, at most three bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; 3],
    len: u8,
}

impl Head {
    pub(crate) fn new<const N: usize>(head: [u8; N]) -> Head {
        const { assert!(N <= 3) };
        let mut bytes = [0; 3];
        bytes[..N].copy_from_slice(&head);
        Head { bytes, len: N as u8 }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What an RTP payload holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// One NAL unit.
    Unit(&'a [u8]),
    /// NAL units, each behind its length in 16 bits.
    Aggregate(&'a [u8]),
    /// A piece of one.
    Fragment(Fragment<'a>),
    /// Nothing that can be read.
    Foreign,
}

/// A piece of a NAL unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Whether it is the first.
    pub first: bool,
    /// Whether it is the last.
    pub last: bool,
    /// The header of the unit.
    pub header: Head,
    /// What is behind the header.
    pub part: &'a [u8],
}

impl Fragment<'_> {
    /// The role of the unit, if this is its first fragment: its header and the byte behind it tell.
    pub fn role(&self, codec: &dyn NalCodec) -> Role {
        let (mut first, header) = ([0; 4], self.header.bytes());
        first[..header.len()].copy_from_slice(header);
        let Some(byte) = self.part.first() else { return codec.role(header) };
        first[header.len()] = *byte;
        codec.role(&first[..header.len() + 1])
    }
}

/// How the blocks of a slice are predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceKind {
    /// From pictures before it.
    P,
    /// From pictures before and after it.
    B,
    /// From itself alone.
    I,
}

/// The first fields of a slice header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceHead {
    /// Whether it is the first slice of its picture.
    pub begins_picture: bool,
    /// Of which kind.
    pub kind: SliceKind,
    /// The picture parameter set that it needs.
    pub pps: u32,
}

/// Which parameter set a NAL unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetId {
    /// The place of its kind in [`NalCodec::sets`].
    pub kind: usize,
    /// Its own number.
    pub id: u32,
    /// The number of the set that it refers to, one kind before its own. Of the first kind its own.
    pub of: u32,
}

/// What is known of a video, as far as it can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct VideoFacts {
    /// What the codec says of profile and level in three bytes, the number of the profile first: of H.264 its
    /// `profile-level-id` (RFC 6184 §8.1), of H.265 profile, tier flag and level (ITU-T H.265 §7.4.4).
    pub profile_level_id: Option<[u8; 3]>,
    /// Width and height in pixels.
    pub size: Option<(u16, u16)>,
    /// Pictures a second.
    pub frame_rate: Option<f32>,
    /// `chroma_format_idc`: 1 is 4:2:0.
    pub chroma_format: Option<u32>,
    /// Whether fields may be coded.
    pub interlaced: bool,
    /// Bits in the head of a slice between the number of its PPS and the flag that it is a field's, where there is such a flag
    /// (ITU-T H.264 §7.3.3).
    pub before_field_flag: Option<u32>,
    /// Whether there are B pictures that are shown in another order than they come.
    pub b_pictures: bool,
    /// Whether pictures follow their arrival, because the source's timestamps do not fit.
    pub by_arrival: bool,
}

/// What one codec says of its bits, its packets and its descriptions.
///
/// A unit value implements it, and [`VideoCodec::nal`](crate::VideoCodec::nal) names it: nothing else has to change for
/// another codec of NAL units.
pub trait NalCodec: Debug + Sync {
    /// The encoding name of `a=rtpmap`.
    fn encoding_name(&self) -> &'static str;

    /// Whether every browser plays it.
    fn is_everywhere(&self) -> bool;

    /// The kinds of parameter sets, from the one that refers to none to the one that pictures refer to. The last but
    /// one describes the video. Two or three.
    fn sets(&self) -> &'static [&'static str];

    /// Bytes of the header of a NAL unit.
    fn header_bytes(&self) -> usize;

    /// The header of a NAL unit with supplemental information for the slices behind it ([`Role::Info`]).
    fn info_head(&self) -> Head;

    /// What a NAL unit is, by its first bytes.
    fn role(&self, nal: &[u8]) -> Role;

    /// The head of a slice; `None` if it is none, or no sound one.
    fn slice_head(&self, nal: &[u8]) -> Option<SliceHead>;

    /// Whether a slice is one of a field, and not of a whole frame, by what the parameter set of its video says.
    fn is_field(&self, nal: &[u8], video: &VideoFacts) -> bool;

    /// Which set a parameter set is; `None` if its numbers cannot be read.
    fn set_id(&self, nal: &[u8]) -> Option<SetId>;

    /// What the parameter set of a video says; `None` of any other NAL unit. `b_pictures` is whether there may be some.
    fn describe(&self, nal: &[u8]) -> Option<VideoFacts>;

    /// What an RTP payload holds, not empty.
    fn payload<'a>(&self, payload: &'a [u8]) -> Payload<'a>;

    /// The header of a payload that aggregates `nals`, none of which is empty.
    fn aggregate_head(&self, nals: &[&[u8]]) -> Head;

    /// The header of a payload with a fragment of `nal`: one byte more than the unit's own header. Its last byte
    /// has room for the bits that say whether it is the first (0x80) and the last (0x40).
    fn fragment_head(&self, nal: &[u8]) -> Head;

    /// Parameters of `a=fmtp` that hold parameter sets.
    fn set_parameters(&self) -> &'static [&'static str];

    /// Whether `a=fmtp` has parameters that only this codec has.
    fn is_meant_by(&self, fmtp: &str) -> bool;

    /// Why packets with this `a=fmtp` cannot be read, if they cannot, and what to do about it.
    fn unreadable(&self, fmtp: &str) -> Option<&'static str>;

    /// Of payload types with this codec, by the value of their `a=fmtp`, the one that says most truly what the source
    /// sends, whose profile and level may be known.
    fn choose(&self, offered: &[&str], source: Option<[u8; 3]>) -> Option<usize>;

    /// Why none of them can be chosen and what would help, in a sentence. `others` are the names of what is offered.
    fn lacking(&self, offered: &[&str], source: Option<[u8; 3]>, others: &str) -> String;

    /// Profile and level in words, such as `High` and `4.0`.
    fn profile_name(&self, profile_level_id: [u8; 3]) -> (String, String);

    /// Whether browsers that take the codec take this profile.
    fn is_common(&self, profile: u8) -> bool;

    /// Whether pictures of this profile, common or not, have more than 8 bits.
    fn is_deep(&self, profile: u8) -> bool;

    /// The profiles that are common, in words, and the one that has no B pictures.
    fn common(&self) -> (&'static str, Option<&'static str>);

    /// How a file says what `sets` say (ISO/IEC 14496-15), the newest of each kind first.
    fn sample_entry(&self, sets: &[Vec<u8>]) -> Result<SampleEntry, String>;
}

/// Whether the picture of these NAL units is one that a decoder can begin with.
pub(crate) fn is_keyframe(codec: &dyn NalCodec, nals: &[Bytes]) -> bool {
    nals.iter().any(|nal| codec.role(nal).is_key())
}

/// Whether a payload begins what can be decoded without anything before it: parameter sets and the like, or a
/// keyframe.
pub(crate) fn begins_group(codec: &dyn NalCodec, payload: &[u8]) -> bool {
    let role = match codec.payload(payload) {
        Payload::Unit(nal) => codec.role(nal),
        Payload::Aggregate(units) => units.get(2..).map_or(Role::Malformed, |nal| codec.role(nal)),
        Payload::Fragment(fragment) if fragment.first => fragment.role(codec),
        Payload::Fragment(_) | Payload::Foreign => Role::Malformed,
    };
    role.is_key() || matches!(role, Role::Set(_) | Role::Info | Role::Delimiter)
}

/// Whether a payload can be one of the codec: what it begins with is a NAL unit of a known type.
pub(crate) fn reads(codec: &dyn NalCodec, payload: &[u8]) -> bool {
    let role = match codec.payload(payload) {
        Payload::Unit(nal) => codec.role(nal),
        Payload::Aggregate(units) => units.get(2..).map_or(Role::Malformed, |nal| codec.role(nal)),
        Payload::Fragment(fragment) => codec.role(fragment.header.bytes()),
        Payload::Foreign => Role::Malformed,
    };
    !matches!(role, Role::Malformed | Role::Other)
}

/// Whether a payload is, or begins an aggregate with, a set that describes a video of a size.
pub(crate) fn describes(codec: &dyn NalCodec, payload: &[u8]) -> bool {
    let described = |nal: &[u8]| codec.describe(nal).is_some_and(|facts| facts.size.is_some());
    match codec.payload(payload) {
        Payload::Unit(nal) => described(nal),
        Payload::Aggregate(units) => units.split_first_chunk().is_some_and(|(length, rest)| {
            rest.get(..usize::from(u16::from_be_bytes(*length))).is_some_and(described)
        }),
        Payload::Fragment(_) | Payload::Foreign => false,
    }
}

/// `nal` without the zeros behind it: a unit never ends with one (§7.4.1 of both standards), so they are padding, or
/// the first byte of a start code of four.
pub fn trimmed(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &nal[..end]
}

/// Where the next `00 00 01` is, at `from` or behind it. Reads every third byte where there are few zeros.
pub fn find_start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(&[first, second, third]) = data.get(at..at + START_CODE.len()) {
        match third {
            0 => at += 1,
            1 if first == 0 && second == 0 => return Some(at),
            _ => at += START_CODE.len(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_are_found_at_every_offset() {
        for offset in 0..12 {
            let mut data = vec![0xff; offset];
            data.extend_from_slice(&[0, 0, 1, 0xff]);
            assert_eq!(find_start_code(&data, 0), Some(offset));
            data[offset + 2] = 3;
            assert_eq!(find_start_code(&data, 0), None);
        }
        assert_eq!(find_start_code(&[0, 0, 0, 0, 1], 0), Some(2));
        assert_eq!(find_start_code(&[0, 0], 0), None);
        assert_eq!(trimmed(&[0x41, 1, 0, 0]), [0x41, 1]);
        assert_eq!(trimmed(&[0, 0]), [0u8; 0]);
    }
}
