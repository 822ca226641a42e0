//! Sequence parameter sets (ITU-T H.265 §7.3.2.2), up to the order in which pictures are shown.

use super::{SPS, kind};
use crate::nal::Bits;

/// What a sequence parameter set says, as far as somebody asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sps {
    /// `sps_video_parameter_set_id`.
    pub(super) vps: u32,
    /// `sps_seq_parameter_set_id`.
    pub(super) id: u32,
    /// `general_profile_idc`.
    pub(super) profile: u8,
    /// `general_tier_flag`.
    pub(super) high_tier: bool,
    /// `general_level_idc`: thirty times the level.
    pub(super) level: u8,
    /// Says that its pictures are fields, and not that they are frames.
    pub(super) interlaced: bool,
    /// What is behind the id; `None` where that cannot be read.
    pub(super) picture: Option<Picture>,
}

/// What it says of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picture {
    /// `chroma_format_idc`: 1 is 4:2:0.
    pub(super) chroma_format: u32,
    /// Width and height in pixels, cropped; `None` where that is nothing, or more than 65,535.
    pub(super) size: Option<(u16, u16)>,
    /// Whether pictures may be shown in another order than they come (`sps_max_num_reorder_pics`); so it is where that
    /// cannot be read.
    pub(super) reorders: bool,
}

impl Sps {
    /// Of a NAL unit. `None` if it is no set, or ends before its id.
    pub(super) fn read(nal: &[u8]) -> Option<Sps> {
        kind(nal).filter(|kind| *kind == SPS)?;
        let mut bits = Bits::new(nal.get(2..)?);
        let vps = bits.number(4)?;
        let sub_layers = bits.number(3).filter(|sub_layers| *sub_layers <= 6)?;
        bits.flag()?; // sps_temporal_id_nesting_flag
        // profile_tier_level (§7.3.3)
        bits.skip(2)?; // general_profile_space
        let high_tier = bits.flag()?;
        let profile = bits.number(5)? as u8;
        bits.skip(32)?; // compatibility
        let (progressive, interlaced) = (bits.flag()?, bits.flag()?);
        bits.skip(46)?;
        let level = bits.number(8)? as u8;
        skip_sub_layers(&mut bits, sub_layers)?;
        let id = bits.unsigned().filter(|id| *id <= 15)?;
        let interlaced = interlaced && !progressive;
        let picture = Picture::read(&mut bits, sub_layers);
        Some(Sps { vps, id, profile, high_tier, level, interlaced, picture })
    }
}

impl Picture {
    fn read(bits: &mut Bits<'_>, sub_layers: u32) -> Option<Picture> {
        let chroma_format = bits.unsigned().filter(|format| *format <= 3)?;
        if chroma_format == 3 {
            bits.flag()?; // separate_colour_plane_flag
        }
        let (width, height) = (bits.unsigned()?, bits.unsigned()?);
        let mut cropped = [0; 4];
        if bits.flag()? {
            for edge in &mut cropped {
                *edge = bits.unsigned()?;
            }
        }
        // Units of cropping (Table 6-1).
        let (unit_x, unit_y) = match chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let less = |size: u32, unit: u32, edges: [u32; 2]| {
            let cut = edges[0].checked_add(edges[1])?.checked_mul(unit)?;
            u16::try_from(size.checked_sub(cut)?).ok().filter(|size| *size > 0)
        };
        let width = less(width, unit_x, [cropped[0], cropped[1]]);
        let size = width.zip(less(height, unit_y, [cropped[2], cropped[3]]));
        Some(Picture { chroma_format, size, reorders: reorders(bits, sub_layers).unwrap_or(true) })
    }
}

/// Whether the highest sub-layer, the only one that counts for who shows all of them, reorders pictures.
fn reorders(bits: &mut Bits<'_>, sub_layers: u32) -> Option<bool> {
    bits.unsigned()?; // bit depths
    bits.unsigned()?;
    bits.unsigned()?; // bits of the picture order count
    let all = bits.flag()?; // sps_sub_layer_ordering_info_present_flag
    let mut reordered = 0;
    for _ in if all { 0 } else { sub_layers }..=sub_layers {
        bits.unsigned()?; // size of the buffer
        reordered = bits.unsigned()?;
        bits.unsigned()?; // latency
    }
    Some(reordered > 0)
}

fn skip_sub_layers(bits: &mut Bits<'_>, sub_layers: u32) -> Option<()> {
    let mut has = [(false, false); 6];
    let has = has.get_mut(..sub_layers as usize)?;
    for (profile, level) in has.iter_mut() {
        (*profile, *level) = (bits.flag()?, bits.flag()?);
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers))?;
    }
    for (profile, level) in has {
        bits.skip(if *profile { 88 } else { 0 } + if *level { 8 } else { 0 })?;
    }
    Some(())
}

#[cfg(test)]
#[path = "sps_tests.rs"]
mod tests;
