//! Sequence parameter sets (ITU-T H.264 §7.3.2.1.1 and, behind the flag, the VUI of Annex E).

use super::{SPS, kind};
use crate::nal::Bits;

/// Profiles whose sets tell chroma format and bit depth; all others are 4:2:0 of 8 bits (§7.3.2.1.1).
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// `aspect_ratio_idc` of a ratio that is written out.
const EXTENDED_SAR: u32 = 255;

/// What a sequence parameter set says, as far as somebody asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Sps {
    /// `seq_parameter_set_id`.
    pub id: u32,
    /// `chroma_format_idc`: 1 is 4:2:0.
    pub chroma_format: u32,
    /// `separate_colour_plane_flag`.
    pub separate_colour_planes: bool,
    /// The larger of luma's and chroma's.
    pub bit_depth: u32,
    /// Bits of `frame_num` in a slice head.
    pub frame_num_bits: u32,
    /// Pictures go out in the order in which they are decoded (`pic_order_cnt_type` 2).
    pub output_in_order: bool,
    /// `frame_mbs_only_flag`; without it fields may be coded.
    pub progressive: bool,
    /// Width and height in pixels, cropped; `None` where that is nothing, or more than 65,535.
    pub size: Option<(u16, u16)>,
    /// Pictures a second.
    pub frame_rate: Option<f32>,
    /// Pictures that may go before one and be shown after it (`num_reorder_frames`).
    pub reorder_frames: Option<u32>,
}

impl Sps {
    /// The `seq_parameter_set_id` of a NAL unit, in its range.
    pub fn id(nal: &[u8]) -> Option<u32> {
        let payload = nal.get(4..).filter(|_| kind(nal) == SPS)?;
        Bits::new(payload).unsigned().filter(|id| *id <= 31)
    }

    /// Of a NAL unit. `None` if it is no set, or ends too early. A VUI that ends too early is left out.
    pub fn read(nal: &[u8]) -> Option<Sps> {
        let id = Sps::id(nal)?;
        let mut bits = Bits::new(nal.get(4..)?);
        bits.unsigned()?;
        let mut sps = Sps {
            id,
            chroma_format: 1,
            separate_colour_planes: false,
            bit_depth: 8,
            frame_num_bits: 0,
            output_in_order: false,
            progressive: true,
            size: None,
            frame_rate: None,
            reorder_frames: None,
        };
        if HIGH_PROFILES.contains(&nal[1]) {
            sps.read_high(&mut bits)?;
        }
        sps.frame_num_bits = bits.unsigned().filter(|bits| *bits <= 12)? + 4;
        sps.read_order(&mut bits)?;
        bits.unsigned()?; // max_num_ref_frames
        bits.flag()?; // gaps_in_frame_num_value_allowed_flag
        sps.read_size(&mut bits)?;
        if bits.flag()? {
            // What it had to say before it broke off stays.
            let _ = sps.read_vui(&mut bits);
        }
        Some(sps)
    }

    fn read_high(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.chroma_format = bits.unsigned().filter(|format| *format <= 3)?;
        self.separate_colour_planes = self.chroma_format == 3 && bits.flag()?;
        let (luma, chroma) = (bits.unsigned()?, bits.unsigned()?);
        self.bit_depth = 8 + luma.max(chroma).min(6);
        bits.flag()?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            let lists = if self.chroma_format == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.flag()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(())
    }

    fn read_order(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        match bits.unsigned()? {
            0 => bits.unsigned().map(|_| ()),
            1 => {
                bits.flag()?;
                bits.signed()?;
                bits.signed()?;
                let cycle = bits.unsigned().filter(|cycle| *cycle <= 255)?;
                (0..cycle).try_for_each(|_| bits.signed().map(|_| ()))
            }
            2 => {
                self.output_in_order = true;
                Some(())
            }
            _ => None,
        }
    }

    fn read_size(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        // Beyond 2^16 macroblocks is no picture; below it nothing can overflow.
        let mut macroblocks = || bits.unsigned().filter(|count| *count < 1 << 16).map(|count| count + 1);
        let (across, down) = (macroblocks()?, macroblocks()?);
        self.progressive = bits.flag()?;
        if !self.progressive {
            bits.flag()?; // mb_adaptive_frame_field_flag
        }
        bits.flag()?; // direct_8x8_inference_flag
        let frame_height = if self.progressive { 1 } else { 2 };
        let (width, height) = (across * 16, down * 16 * frame_height);
        let mut cropped = [0; 4];
        if bits.flag()? {
            for edge in &mut cropped {
                *edge = bits.unsigned()?;
            }
        }
        // Units of cropping (§7.4.2.1.1).
        let (unit_x, unit_y) = match self.chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let less = |size: u32, unit: u32, edges: [u32; 2]| {
            let cut = edges[0].checked_add(edges[1])?.checked_mul(unit)?;
            u16::try_from(size.checked_sub(cut)?).ok().filter(|size| *size > 0)
        };
        let width = less(width, unit_x, [cropped[0], cropped[1]]);
        self.size = width.zip(less(height, unit_y * frame_height, [cropped[2], cropped[3]]));
        Some(())
    }

    fn read_vui(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        if bits.flag()? && bits.number(8)? == EXTENDED_SAR {
            bits.skip(32)?;
        }
        if bits.flag()? {
            bits.flag()?; // overscan_appropriate_flag
        }
        if bits.flag()? {
            bits.skip(4)?; // video_format, video_full_range_flag
            if bits.flag()? {
                bits.skip(24)?; // colour primaries, transfer characteristics, matrix
            }
        }
        if bits.flag()? {
            bits.unsigned()?; // where chroma samples lie
            bits.unsigned()?;
        }
        if bits.flag()? {
            let (ticks, scale) = (bits.number(32)?, bits.number(32)?);
            bits.flag()?; // fixed_frame_rate_flag
            // A picture lasts two ticks (§E.2.1).
            let rate = f64::from(scale) / (2.0 * f64::from(ticks));
            self.frame_rate = Some(rate as f32).filter(|rate| rate.is_finite() && *rate > 0.0);
        }
        let (nal_hrd, vcl_hrd) = (skip_hrd(bits)?, skip_hrd(bits)?);
        if nal_hrd || vcl_hrd {
            bits.flag()?; // low_delay_hrd_flag
        }
        bits.flag()?; // pic_struct_present_flag
        if bits.flag()? {
            bits.flag()?; // motion_vectors_over_pic_boundaries_flag
            for _ in 0..4 {
                bits.unsigned()?; // sizes and lengths of vectors
            }
            self.reorder_frames = Some(bits.unsigned()?);
        }
        Some(())
    }

    /// Whether pictures may go out in another order than they are decoded in.
    pub fn reorders(&self) -> bool {
        !self.output_in_order && self.reorder_frames != Some(0)
    }
}

fn skip_scaling_list(bits: &mut Bits<'_>, length: usize) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..length {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// Whether HRD parameters (§E.1.2) are there; passes over them.
fn skip_hrd(bits: &mut Bits<'_>) -> Option<bool> {
    if !bits.flag()? {
        return Some(false);
    }
    let count = bits.unsigned().filter(|count| *count <= 31)? + 1;
    bits.skip(8)?;
    for _ in 0..count {
        bits.unsigned()?;
        bits.unsigned()?;
        bits.flag()?;
    }
    bits.skip(20)?;
    Some(true)
}

#[cfg(test)]
#[path = "sps_tests.rs"]
mod tests;
