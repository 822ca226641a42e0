//! The H.264 or H.265 pictures of an MP4 file (ISO/IEC 14496-12 and -15), as a byte stream would have them.
//!
//! Owns the way from samples to NAL units: lengths are taken away, and parameter sets, which such files keep
//! apart (`avcC`, `hvcC`), are put in front of each keyframe that has none. Never decodes, and leaves sound out.

use bytes::Bytes;
use shiguredo_mp4::TrackKind;
use shiguredo_mp4::boxes::{AvccBox, HvccBox, SampleEntry};
use shiguredo_mp4::demux::{
    DemuxError, Input, Mp4FileDemuxer, Mp4FileKind, Mp4FileKindDetector, RequiredInput,
};
use sluice_media::VideoCodec;
use sluice_media::nal::Role;

/// What is in a file.
#[derive(Debug)]
pub struct Video {
    /// What it is encoded with.
    pub codec: VideoCodec,
    /// NAL units of each picture, in the order of decoding.
    pub pictures: Vec<Vec<Bytes>>,
    /// Pictures a second, on average over the file.
    pub fps: f64,
}

/// Why a file has no pictures that can be shown.
#[derive(Debug, thiserror::Error)]
pub enum Mp4Error {
    /// It is broken, or of a kind that is not understood.
    #[error("is an MP4 file that cannot be read: {0}")]
    Broken(String),
    /// Its pictures are in fragments.
    #[error("is a fragmented MP4 file: make it whole by `ffmpeg -i INPUT -an -c:v copy OUTPUT.mp4`")]
    Fragmented,
    /// It has sound only, or nothing.
    #[error("is an MP4 file without a video track")]
    NoVideo,
    /// Its first video track is of another codec.
    #[error(
        "is an MP4 file whose video is {0}; only H.264 (avc1) and H.265 (hvc1, hev1) can be sent: encode it again \
         by `ffmpeg -i INPUT -an -c:v libx264 -bf 0 -g 60 OUTPUT.mp4`"
    )]
    Codec(String),
}

impl From<DemuxError> for Mp4Error {
    fn from(error: DemuxError) -> Mp4Error {
        Mp4Error::Broken(match error {
            DemuxError::InputRequired(_) => "it ends before its index (moov)".to_owned(),
            error => error.to_string(),
        })
    }
}

/// Whether a file is an MP4, by its first box.
pub fn is_mp4(file: &[u8]) -> bool {
    file.get(4..8) == Some(b"ftyp")
}

/// Reads the first video track of `file`. What is given are slices of it.
pub fn read(file: &Bytes) -> Result<Video, Mp4Error> {
    if is_fragmented(file) {
        return Err(Mp4Error::Fragmented);
    }
    let mut demuxer = Mp4FileDemuxer::new();
    demuxer.handle_input(Input { position: 0, data: file });
    let tracks = demuxer.tracks()?;
    let video = tracks.iter().find(|track| track.kind == TrackKind::Video).ok_or(Mp4Error::NoVideo)?;
    let (track, timescale) = (video.track_id, video.timescale.get());

    let (mut pictures, mut ticks) = (Vec::new(), 0_u64);
    let mut format = None;
    while let Some(sample) = demuxer.next_sample()? {
        if sample.track.track_id != track {
            continue;
        }
        if let Some(entry) = sample.sample_entry {
            format = Some(Format::of(entry)?);
        }
        // The first sample has an entry.
        let Some(format) = &format else { return Err(Mp4Error::NoVideo) };
        let start = usize::try_from(sample.data_offset).unwrap_or(usize::MAX);
        let end = start.checked_add(sample.data_size).filter(|&end| end <= file.len());
        let end = end.ok_or_else(|| Mp4Error::Broken("it ends before its pictures do".to_owned()))?;
        pictures.push(format.picture(file.slice(start..end))?);
        ticks += u64::from(sample.duration);
    }
    if pictures.is_empty() {
        return Err(Mp4Error::NoVideo);
    }
    if ticks == 0 {
        return Err(Mp4Error::Broken("its pictures last no time".to_owned()));
    }
    let codec = format.map_or(VideoCodec::H264, |format| format.codec);
    Ok(Video { codec, fps: pictures.len() as f64 * f64::from(timescale) / ticks as f64, pictures })
}

fn is_fragmented(file: &[u8]) -> bool {
    let mut detector = Mp4FileKindDetector::new();
    // Each step is a box, or the last one. What is asked for behind the end of the file is an error there.
    while let Some(RequiredInput { position, .. }) = detector.required_input() {
        let rest = usize::try_from(position).ok().and_then(|start| file.get(start..)).unwrap_or_default();
        detector.handle_input(Input { position, data: rest });
    }
    // What is wrong with the file is for the other reader to say.
    matches!(detector.file_kind(), Ok(Some(Mp4FileKind::FragmentedMp4)))
}

/// How samples are written.
struct Format {
    codec: VideoCodec,
    /// Bytes of the length in front of each NAL unit.
    length_bytes: usize,
    /// Parameter sets, each before those that refer to it.
    sets: Vec<Bytes>,
}

impl Format {
    fn of(entry: &SampleEntry) -> Result<Format, Mp4Error> {
        match entry {
            SampleEntry::Avc1(avc1) => {
                let AvccBox { sps_list, pps_list, length_size_minus_one, .. } = &avc1.avcc_box;
                let sets = sps_list.iter().chain(pps_list);
                Ok(Format::new(VideoCodec::H264, length_size_minus_one.get(), sets))
            }
            SampleEntry::Hvc1(hvc1) => Ok(Format::hvcc(&hvc1.hvcc_box)),
            SampleEntry::Hev1(hev1) => Ok(Format::hvcc(&hev1.hvcc_box)),
            other => Err(Mp4Error::Codec(name(other))),
        }
    }

    fn hvcc(hvcc: &HvccBox) -> Format {
        let sets = hvcc.nalu_arrays.iter().flat_map(|array| &array.nalus);
        Format::new(VideoCodec::H265, hvcc.length_size_minus_one.get(), sets)
    }

    fn new<'a>(codec: VideoCodec, length: u8, sets: impl Iterator<Item = &'a Vec<u8>>) -> Format {
        let mut sets: Vec<Bytes> = sets.map(|set| Bytes::copy_from_slice(set)).collect();
        // Whatever else stands there is no parameter set.
        sets.retain(|set| matches!(codec.nal().role(set), Role::Set(_)));
        Format { codec, length_bytes: usize::from(length) + 1, sets }
    }

    /// The NAL units of a sample, without delimiters and filler. A keyframe begins with parameter sets.
    fn picture(&self, sample: Bytes) -> Result<Vec<Bytes>, Mp4Error> {
        let mut nals = Vec::new();
        let mut rest = sample;
        while !rest.is_empty() {
            let nal = self.split_nal(&mut rest);
            let nal = nal.ok_or_else(|| Mp4Error::Broken("a picture ends within a NAL unit".to_owned()))?;
            let role = self.codec.nal().role(&nal);
            if !nal.is_empty() && !matches!(role, Role::Needless | Role::Delimiter) {
                nals.push(nal);
            }
        }
        let codec = self.codec.nal();
        let has = |set| nals.iter().any(|nal| codec.role(nal) == Role::Set(set));
        if self.codec.is_keyframe(&nals) && !(0..codec.sets().len()).all(has) {
            nals.splice(..0, self.sets.iter().cloned());
        }
        Ok(nals)
    }

    fn split_nal(&self, rest: &mut Bytes) -> Option<Bytes> {
        let length = rest.get(..self.length_bytes)?.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        let end = self.length_bytes.checked_add(length).filter(|&end| end <= rest.len())?;
        Some(rest.split_to(end).slice(self.length_bytes..))
    }
}

/// What a codec is called, for people.
fn name(entry: &SampleEntry) -> String {
    match entry {
        SampleEntry::Vp08(_) => "VP8".to_owned(),
        SampleEntry::Vp09(_) => "VP9".to_owned(),
        SampleEntry::Av01(_) => "AV1".to_owned(),
        SampleEntry::Unknown(unknown) => format!("of the type {}", unknown.box_type),
        _ => "of a type that is not for video".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(length_bytes: usize) -> Format {
        let sets = vec![Bytes::from_static(&[0x67, 1, 2, 3]), Bytes::from_static(&[0x68, 4])];
        Format { codec: VideoCodec::H264, length_bytes, sets }
    }

    fn picture(length_bytes: usize, sample: &[u8]) -> Option<Vec<Vec<u8>>> {
        let nals = format(length_bytes).picture(Bytes::copy_from_slice(sample)).ok()?;
        Some(nals.iter().map(|nal| nal.to_vec()).collect())
    }

    #[test]
    fn lengths_are_taken_away_and_keyframes_get_parameter_sets() {
        let nals = picture(4, &[0, 0, 0, 2, 0x09, 0x10, 0, 0, 0, 3, 0x65, 0x88, 1]);
        assert_eq!(nals, Some(vec![vec![0x67, 1, 2, 3], vec![0x68, 4], vec![0x65, 0x88, 1]]));
        assert_eq!(picture(2, &[0, 2, 0x41, 0x9a, 0, 0]), Some(vec![vec![0x41, 0x9a]]));
        let with_sets = [1, 0x67, 1, 0x68, 2, 0x65, 0x88];
        assert_eq!(picture(1, &with_sets), Some(vec![vec![0x67], vec![0x68], vec![0x65, 0x88]]));
    }

    #[test]
    fn a_length_that_lies_is_told() {
        for sample in [&[0, 0, 0, 5, 0x65, 0x88][..], &[0, 0], &[0xff; 8]] {
            assert_eq!(picture(4, sample), None, "{sample:02x?}");
        }
    }

    #[test]
    fn rubbish_is_no_mp4_and_half_a_file_is_a_broken_one() {
        assert!(!is_mp4(b"") && !is_mp4(&[0, 0, 0, 1, 0x67, 1, 2, 3, 4]));
        let half = b"\0\0\0\x14ftypisom\0\0\0\0isom\0\0\0\x08free";
        assert!(is_mp4(half));
        let error = read(&Bytes::from_static(half)).expect_err("no moov");
        assert!(matches!(error, Mp4Error::Broken(_)), "{error}");
    }
}
