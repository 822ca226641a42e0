//! What H.265 says to who forwards it.

use shiguredo_mp4::bitstream::h265::{
    H265ConstantFrameRate, H265SampleEntryConfig, LengthSize, build_hvc1_box,
};
use shiguredo_mp4::boxes::SampleEntry;

use super::{
    DELIMITER, Header, IRAP, NEEDLESS, PPS, PREFIX_SEI, SLICES, SPS, SUFFIX_SEI, VPS, kind, payload, sdp,
    slice, sps::Sps, words,
};
use crate::nal::{Bits, Head, NalCodec, Payload, Role, SetId, SliceHead, VideoFacts};

/// H.265 in one stream (`tx-mode=SRST`).
#[derive(Debug)]
pub(crate) struct H265;

impl NalCodec for H265 {
    fn encoding_name(&self) -> &'static str {
        "H265"
    }

    fn is_everywhere(&self) -> bool {
        false
    }

    fn sets(&self) -> &'static [&'static str] {
        &["VPS", "SPS", "PPS"]
    }

    fn header_bytes(&self) -> usize {
        2
    }

    fn info_head(&self) -> Head {
        // Of layer 0 and the lowest temporal layer, which is written as 1.
        Head::new([PREFIX_SEI << 1, 1])
    }

    fn role(&self, nal: &[u8]) -> Role {
        let Some(Header { kind, layer }) = Header::read(nal) else { return Role::Malformed };
        match kind {
            // Packet types of RTP (RFC 7798 §4.4), and what nobody defined.
            48.. => Role::Malformed,
            // Layers above the picture's own: browsers show none of them.
            _ if layer != 0 => Role::Needless,
            slice if SLICES.contains(&slice) || IRAP.contains(&slice) => {
                // `first_slice_segment_in_pic_flag` is the first bit behind the header.
                let first = nal.get(2).map(|byte| byte & 0x80 != 0);
                Role::Slice { key: IRAP.contains(&slice), first }
            }
            VPS => Role::Set(0),
            SPS => Role::Set(1),
            PPS => Role::Set(2),
            DELIMITER => Role::Delimiter,
            needless if NEEDLESS.contains(&needless) => Role::Needless,
            PREFIX_SEI => Role::Info,
            SUFFIX_SEI => Role::Behind,
            // Reserved.
            _ => Role::Other,
        }
    }

    fn slice_head(&self, nal: &[u8]) -> Option<SliceHead> {
        slice::head(nal)
    }

    /// Where fields are coded each picture is one (`field_seq_flag`, §D.3.19).
    fn is_field(&self, _: &[u8], video: &VideoFacts) -> bool {
        video.interlaced
    }

    /// ITU-T H.265 §7.3.2.1 to §7.3.2.3.
    fn set_id(&self, nal: &[u8]) -> Option<SetId> {
        let payload = nal.get(2..)?;
        match kind(nal)? {
            VPS => {
                let id = Bits::new(payload).number(4)?;
                Some(SetId { kind: 0, id, of: id })
            }
            SPS => {
                let sps = Sps::read(nal)?;
                Some(SetId { kind: 1, id: sps.id, of: sps.vps })
            }
            PPS => {
                let mut bits = Bits::new(payload);
                let id = bits.unsigned().filter(|id| *id <= 63)?;
                let of = bits.unsigned().filter(|id| *id <= 15)?;
                Some(SetId { kind: 2, id, of })
            }
            _ => None,
        }
    }

    fn describe(&self, nal: &[u8]) -> Option<VideoFacts> {
        let sps = Sps::read(nal)?;
        Some(VideoFacts {
            profile_level_id: Some([sps.profile, u8::from(sps.high_tier), sps.level]),
            size: sps.picture.and_then(|picture| picture.size),
            chroma_format: sps.picture.map(|picture| picture.chroma_format),
            interlaced: sps.interlaced,
            b_pictures: sps.picture.is_none_or(|picture| picture.reorders),
            ..VideoFacts::default()
        })
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
        &sdp::SETS
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

    fn lacking(&self, offered: &[&str], source: Option<[u8; 3]>, _: &str) -> String {
        sdp::lacking(offered, source)
    }

    fn profile_name(&self, profile_level_id: [u8; 3]) -> (String, String) {
        (words::profile(profile_level_id), words::level(profile_level_id))
    }

    fn is_common(&self, profile: u8) -> bool {
        words::COMMON.contains(&profile)
    }

    fn is_deep(&self, profile: u8) -> bool {
        profile == words::MAIN_10
    }

    fn common(&self) -> (&'static str, Option<&'static str>) {
        ("Main", None)
    }

    fn sample_entry(&self, sets: &[Vec<u8>]) -> Result<SampleEntry, String> {
        let of_kind =
            |wanted| sets.iter().filter(|set| kind(set) == Some(wanted)).cloned().collect::<Vec<_>>();
        let config = H265SampleEntryConfig {
            length_size: LengthSize::FourBytes,
            avg_frame_rate: H265SampleEntryConfig::AVG_FRAME_RATE_UNSPECIFIED,
            constant_frame_rate: H265ConstantFrameRate::Unknown,
        };
        let entry = build_hvc1_box(&of_kind(VPS), &of_kind(SPS), &of_kind(PPS), &config);
        entry.map(SampleEntry::Hvc1).map_err(|error| error.to_string())
    }
}
