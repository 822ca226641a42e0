//! One picture as a file: a keyframe's packets as an MP4 of one sample (ISO/IEC 14496-12 and -15).
//!
//! Owns the way back from RTP payloads (RFC 6184) to NAL units. Never decodes, and keeps nothing: the trains
//! stay as they are, shared with every shard.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use shiguredo_mp4::TrackKind;
use shiguredo_mp4::bitstream::h264::{H264SampleEntryConfig, LengthSize, build_avc1_box};
use shiguredo_mp4::boxes::{Avc1Box, SampleEntry};
use shiguredo_mp4::mux::{Mp4FileMuxer, Mp4FileMuxerOptions, Sample, estimate_maximum_moov_box_size};
use sluice_media::h264::{FU_A, PPS, SPS, STAP_A};

use super::{TrackSeq, Train};

/// How long the one picture is shown by a player that plays the file.
const SHOWN_SECONDS: u32 = 1;

/// Why packets are no picture that a file can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StillError {
    /// The packets are not what RFC 6184 says.
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
    let mut picture = Picture::with_capacity(trains.iter().map(|train| train.bytes()).sum());
    for train in trains {
        for (packet, at) in train.packets.iter().zip(0..) {
            let sequence = train.sequence + at;
            picture.push(packet).map_err(|what| StillError::Malformed { sequence, what })?;
        }
    }
    let (format, sample) = picture.finish(trains.last().map_or(TrackSeq::default(), |train| train.end()))?;
    file(format, &sample).map_err(StillError::Sets)
}

/// A picture as MP4 has it: parameter sets apart, all other NAL units behind their lengths.
struct Picture {
    sps: Vec<Vec<u8>>,
    pps: Vec<Vec<u8>>,
    sample: Vec<u8>,
    /// Where in `sample` the length of the NAL unit is whose fragments come.
    open: Option<usize>,
}

impl Picture {
    fn with_capacity(bytes: usize) -> Picture {
        Picture { sps: Vec::new(), pps: Vec::new(), sample: Vec::with_capacity(bytes), open: None }
    }

    fn push(&mut self, packet: &[u8]) -> Result<(), &'static str> {
        let (&header, body) = packet.split_first().ok_or("it is empty")?;
        if header & 0x1f == FU_A {
            return self.fragment(header, body);
        }
        if self.open.is_some() {
            return Err("the fragments before it have no end");
        }
        match header & 0x1f {
            STAP_A => self.aggregate(body),
            1..=23 => self.nal(packet),
            _ => Err("its NAL unit type is none that a picture has"),
        }
    }

    fn aggregate(&mut self, mut body: &[u8]) -> Result<(), &'static str> {
        while let Some((length, rest)) = body.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (nal, rest) = rest.split_at_checked(length).ok_or("an aggregated unit ends behind it")?;
            self.nal(nal)?;
            body = rest;
        }
        if body.is_empty() { Ok(()) } else { Err("a byte is left behind its last aggregated unit") }
    }

    fn nal(&mut self, nal: &[u8]) -> Result<(), &'static str> {
        let header = nal.first().ok_or("an aggregated unit is empty")?;
        match header & 0x1f {
            SPS => self.sps.push(nal.to_vec()),
            PPS => self.pps.push(nal.to_vec()),
            _ => {
                let at = self.begin();
                self.sample.extend_from_slice(nal);
                self.end(at);
            }
        }
        Ok(())
    }

    fn fragment(&mut self, indicator: u8, body: &[u8]) -> Result<(), &'static str> {
        let (&header, data) = body.split_first().ok_or("a fragment has no header")?;
        let at = match (header & 0x80 != 0, self.open) {
            (true, None) => {
                let at = self.begin();
                self.sample.push(indicator & 0xe0 | header & 0x1f);
                at
            }
            (false, Some(at)) => at,
            (true, Some(_)) => return Err("the fragments before it have no end"),
            (false, None) => return Err("a fragment comes without its start"),
        };
        self.sample.extend_from_slice(data);
        self.open = Some(at);
        if header & 0x40 != 0 {
            self.end(at);
            self.open = None;
        }
        Ok(())
    }

    /// Makes room for a length, and says where.
    fn begin(&mut self) -> usize {
        let at = self.sample.len();
        self.sample.extend([0; 4]);
        at
    }

    /// Writes the length of what came behind its place. A picture is far below 4 GiB (`MAX_ACCESS_UNIT`).
    fn end(&mut self, at: usize) {
        let length = (self.sample.len() - at - 4) as u32;
        self.sample[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// `end` is the sequence number behind the last packet.
    fn finish(mut self, end: TrackSeq) -> Result<(Avc1Box, Vec<u8>), StillError> {
        if self.open.is_some() {
            let what = "the last fragments have no end";
            return Err(StillError::Malformed { sequence: TrackSeq(end.0.saturating_sub(1)), what });
        }
        if self.sample.is_empty() {
            return Err(StillError::NoSlices);
        }
        // The newest come last in our trains; players take size and profile from the first.
        self.sps.reverse();
        self.pps.reverse();
        let config = H264SampleEntryConfig { length_size: LengthSize::FourBytes };
        let format = build_avc1_box(&self.sps, &self.pps, &config);
        Ok((format.map_err(|error| StillError::Sets(error.to_string()))?, self.sample))
    }
}

/// A file of one video track with one sample.
fn file(format: Avc1Box, sample: &[u8]) -> Result<Bytes, String> {
    let sets: usize = [&format.avcc_box.sps_list, &format.avcc_box.pps_list]
        .into_iter()
        .flatten()
        .map(|set| 2 + set.len())
        .sum();
    let options = Mp4FileMuxerOptions {
        reserved_moov_box_size: estimate_maximum_moov_box_size(&[1]) + sets,
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
            sample_entry: Some(SampleEntry::Avc1(format)),
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
