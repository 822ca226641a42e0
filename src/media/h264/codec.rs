//! What H.264 says to who forwards it.

use shiguredo_mp4::bitstream::h264::{H264SampleEntryConfig, LengthSize, build_avc1_box};
use shiguredo_mp4::boxes::SampleEntry;

use super::{
    DELIMITER, IDR, LATER_PARTITIONS, NEEDLESS, PPS, SEI, SLICES, SPS, Sps, kind, payload, profile_level_id,
    sdp, slice, words,
};
use crate::nal::{Bits, Head, NalCodec, Payload, Role, SetId, SliceHead, VideoFacts};

/// H.264 in `packetization-mode=1`.
#[derive(Debug)]
pub(crate) struct H264;

impl NalCodec for H264 {
    fn encoding_name(&self) -> &'static str {
        "H264"
    }

    fn is_everywhere(&self) -> bool {
        true
    }

    fn sets(&self) -> &'static [&'static str] {
        &["SPS", "PPS"]
    }

    fn header_bytes(&self) -> usize {
        1
    }

    fn info_head(&self) -> Head {
        // `nal_ref_idc` is 0, as it must be (ITU-T H.264 §7.4.1).
        Head::new([SEI])
    }

    fn role(&self, nal: &[u8]) -> Role {
        let Some(&header) = nal.first() else { return Role::Malformed };
        let forbidden_zero_bit = header & 0x80;
        match kind(nal) {
            _ if forbidden_zero_bit != 0 => Role::Malformed,
            slice if SLICES.contains(&slice) => {
                // `first_mb_in_slice` is ue(v): zero is the bit `1`. So two bytes are enough, a first fragment will do.
                let says = nal.get(1).filter(|_| !LATER_PARTITIONS.contains(&slice));
                Role::Slice { key: slice == IDR, first: says.map(|byte| byte & 0x80 != 0) }
            }
            SEI => Role::Info,
            SPS => Role::Set(0),
            PPS => Role::Set(1),
            DELIMITER => Role::Delimiter,
            needless if NEEDLESS.contains(&needless) => Role::Needless,
            // Auxiliary slices and those of extensions.
            19..=21 => Role::Behind,
            13..=23 => Role::Other,
            // Packet types of RTP (RFC 6184 §5.2), and no type at all.
            _ => Role::Malformed,
        }
    }

    fn slice_head(&self, nal: &[u8]) -> Option<SliceHead> {
        slice::head(nal)
    }

    fn is_field(&self, nal: &[u8], video: &VideoFacts) -> bool {
        video.before_field_flag.is_some_and(|bits| slice::is_field(nal, bits))
    }

    /// ITU-T H.264 §7.3.2.1.1, §7.3.2.2.
    fn set_id(&self, nal: &[u8]) -> Option<SetId> {
        match kind(nal) {
            SPS => {
                let id = Sps::id(nal)?;
                Some(SetId { kind: 0, id, of: id })
            }
            PPS => {
                let mut bits = Bits::new(&nal[1..]);
                let id = bits.unsigned().filter(|id| *id <= 255)?;
                let of = bits.unsigned().filter(|id| *id <= 31)?;
                Some(SetId { kind: 1, id, of })
            }
            _ => None,
        }
    }

    fn describe(&self, nal: &[u8]) -> Option<VideoFacts> {
        let profile_level_id = Some(profile_level_id(nal)?);
        let facts = VideoFacts { profile_level_id, b_pictures: true, ..VideoFacts::default() };
        Some(Sps::read(nal).map_or(facts, |sps| {
            VideoFacts {
                size: sps.size,
                frame_rate: sps.frame_rate,
                chroma_format: Some(sps.chroma_format),
                interlaced: !sps.progressive,
                before_field_flag: (!sps.progressive)
                    .then_some(sps.frame_num_bits + if sps.separate_colour_planes { 2 } else { 0 }),
                b_pictures: sps.reorders(),
                ..facts
            }
        }))
    }

    fn payload<'a>(&self, payload: &'a [u8]) -> Payload<'a> {
        payload::read(payload)
    }

    fn aggregate_head(&self, nals: &[&[u8]]) -> Head {
        payload::aggregate_head(nals)
    }

    fn fragment_head(&self, nal: &[u8]) -> Head {
        payload::fragment_head(nal)
    }

    fn set_parameters(&self) -> &'static [&'static str] {
        &["sprop-parameter-sets"]
    }

    fn is_meant_by(&self, fmtp: &str) -> bool {
        sdp::is_meant_by(fmtp)
    }

    fn unreadable(&self, fmtp: &str) -> Option<&'static str> {
        sdp::unreadable(fmtp)
    }

    fn choose(&self, offered: &[&str], source: Option<[u8; 3]>) -> Option<usize> {
        sdp::choose(offered, source)
    }

    fn lacking(&self, offered: &[&str], _: Option<[u8; 3]>, others: &str) -> String {
        sdp::lacking(offered, others)
    }

    fn profile_name(&self, profile_level_id: [u8; 3]) -> (String, String) {
        (words::profile(profile_level_id), words::level(profile_level_id))
    }

    fn is_common(&self, profile: u8) -> bool {
        words::COMMON.contains(&profile)
    }

    fn is_deep(&self, profile: u8) -> bool {
        words::DEEP.contains(&profile)
    }

    fn common(&self) -> (&'static str, Option<&'static str>) {
        ("Baseline, Main or High", Some("Baseline"))
    }

    fn sample_entry(&self, sets: &[Vec<u8>]) -> Result<SampleEntry, String> {
        let of_kind = |wanted| sets.iter().filter(|set| kind(set) == wanted).cloned().collect::<Vec<_>>();
        let config = H264SampleEntryConfig { length_size: LengthSize::FourBytes };
        let entry = build_avc1_box(&of_kind(SPS), &of_kind(PPS), &config);
        entry.map(SampleEntry::Avc1).map_err(|error| error.to_string())
    }
}
