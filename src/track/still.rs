//! One picture as a file: a keyframe's packets as an MP4 of one sample (ISO/IEC 14496-12).
//!
//! Never decodes, and keeps nothing: the trains stay as they are, shared with every shard.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use shiguredo_mp4::TrackKind;
use shiguredo_mp4::boxes::SampleEntry;
use shiguredo_mp4::mux::{Mp4FileMuxer, Mp4FileMuxerOptions, Sample, estimate_maximum_moov_box_size};
use sluice_media::Codec;

use super::{TrackSeq, Train};

/// How long the one picture is shown by a player that plays the file.
const SHOWN_SECONDS: u32 = 1;

/// Why packets are no picture that a file can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StillError {
    /// The packets are not what the codec's payload format says.
    #[error("packet {sequence} of the keyframe is malformed: {what}")]
    Malformed {
        /// The packet's track sequence number.
        sequence: TrackSeq,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There are no slices.
    #[error("the keyframe has no slices")]
    NoSlices,
    /// The parameter sets say something that files have no words for.
    #[error("its parameter sets do not fit an MP4 file: {0}")]
    Sets(String),
}

/// The keyframe whose packets are `trains` (as [`super::Recent::newest_keyframe`] gives them) as an MP4 file.
/// What tells the player how to decode it comes first.
pub fn still(trains: &[Arc<Train>]) -> Result<Bytes, StillError> {
    let (Some(last), Some(Codec::Video(codec))) = (trains.last(), trains.first().map(|train| train.codec))
    else {
        return Err(StillError::NoSlices);
    };
    let mut picture = codec.unpacker(trains.iter().map(|train| train.bytes()).sum());
    for train in trains {
        for (packet, at) in train.packets.iter().zip(0..) {
            let sequence = train.sequence + at;
            picture.push(packet).map_err(|what| StillError::Malformed { sequence, what })?;
        }
    }
    let Some(picture) = picture.finish() else {
        let what = "the last fragments have no end";
        return Err(StillError::Malformed { sequence: TrackSeq(last.end().0.saturating_sub(1)), what });
    };
    if picture.sample.is_empty() {
        return Err(StillError::NoSlices);
    }
    let entry = picture.entry.map_err(StillError::Sets)?;
    file(entry, picture.set_bytes, &picture.sample).map_err(StillError::Sets)
}

/// A file of one video track with one sample. `set_bytes` are those of the parameter sets in `entry`.
fn file(entry: SampleEntry, set_bytes: usize, sample: &[u8]) -> Result<Bytes, String> {
    let options = Mp4FileMuxerOptions {
        reserved_moov_box_size: estimate_maximum_moov_box_size(&[1]) + set_bytes,
        ..Default::default()
    };
    let mut muxer = Mp4FileMuxer::with_options(options).map_err(|error| error.to_string())?;
    let head = muxer.initial_boxes_bytes();
    let mut bytes = Vec::with_capacity(head.len() + sample.len());
    bytes.extend_from_slice(head);
    let data_offset = bytes.len() as u64;
    bytes.extend_from_slice(sample);
    muxer
        .append_sample(&Sample {
            track_kind: TrackKind::Video,
            sample_entry: Some(entry),
            keyframe: true,
            timescale: NonZeroU32::MIN,
            duration: SHOWN_SECONDS,
            composition_time_offset: None,
            data_offset,
            data_size: sample.len(),
        })
        .map_err(|error| error.to_string())?;
    let done = muxer.finalize().map_err(|error| error.to_string())?;
    for (offset, written) in done.offset_and_bytes_pairs() {
        let offset = usize::try_from(offset).map_err(|error| error.to_string())?;
        let place = bytes.get_mut(offset..offset + written.len());
        place.ok_or("the index does not fit before the picture")?.copy_from_slice(written);
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests;
