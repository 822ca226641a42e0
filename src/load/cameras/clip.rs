//! What the cameras show: the demo's clip, or a file with H.264 or H.265.
//!
//! Owns the judgement whether a file can be replayed for ever. Never knows a camera.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use sluice_media::nal::{Role, SliceKind, VideoFacts};
use sluice_media::{VideoCodec, clip};

use super::mp4::{self, Mp4Error};
use super::sound::{Audio, Sound};

/// Bytes of a file at the most. It is held in memory; raising it costs that.
const MAX_FILE: u64 = 256 << 20;

/// Pictures a second of the demo's clip.
const DEMO_FPS: f64 = 30.0;

/// Pictures a second of a byte stream, which does not say; cameras mostly have 25 or 30.
const BYTE_STREAM_FPS: f64 = 30.0;

/// Pictures a second that a clip may have; an MP4 file that says otherwise is broken, or no video.
const FPS: std::ops::RangeInclusive<f64> = 1.0..=240.0;

/// Pictures and sound to be repeated without end. They begin with a keyframe.
#[derive(Debug)]
pub struct Clip {
    /// What it is encoded with.
    pub codec: VideoCodec,
    /// NAL units of each picture.
    pub pictures: Vec<Vec<Bytes>>,
    /// Indices of the pictures that are keyframes; the first is 0.
    pub keyframes: Vec<usize>,
    /// What is heard, which is never a file's own.
    pub sound: Option<Sound>,
    /// Pictures a second.
    pub fps: f64,
    /// The first parameter set of each kind, in the order of the codec's own list.
    pub sets: Vec<Bytes>,
    /// What the one of them says that describes the video.
    pub facts: VideoFacts,
}

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// It cannot be read.
    #[error("clip {0} cannot be read: {1}")]
    Io(PathBuf, #[source] std::io::Error),
    /// It is too large.
    #[error("clip {0} has {1} bytes, the limit is {MAX_FILE}: cut it, it is repeated anyway")]
    TooLarge(PathBuf, u64),
    /// It is an MP4 file without pictures that can be used.
    #[error("clip {0} {1}")]
    Mp4(PathBuf, #[source] Mp4Error),
    /// It is an MP4 file of an unlikely pace.
    #[error("clip {0} has {1:.3} pictures a second; say how many to send by --fps (1 to 240)")]
    Fps(PathBuf, f64),
    /// It is something else than H.264 or H.265.
    #[error(
        "clip {0} is neither MP4 nor an H.264 byte stream (Annex B) nor one of H.265, or has no keyframe with its \
         parameter sets: make one by `ffmpeg -i INPUT -an -c:v libx264 -bf 0 -g 60 OUTPUT.mp4`"
    )]
    NotVideo(PathBuf),
    /// It has B pictures: their order of display is not that of the file, and no time is in it.
    #[error(
        "clip {0} has B pictures, which cameras do not send and browsers do not play: encode it again by \
         `ffmpeg -i INPUT -an -c:v libx264 -bf 0 -g 60 OUTPUT.mp4`"
    )]
    BPictures(PathBuf),
}

impl Clip {
    /// The demo's: 10 s of 720p30 with an IDR picture every 2 s, and its sound.
    pub fn demo() -> Clip {
        let demo = Clip::new(VideoCodec::H264, clip::pictures(), DEMO_FPS);
        Clip { sound: Sound::of(Audio::Opus), ..demo.expect("the demo is a clip, by its test") }
    }

    /// A file, without sound, at `fps` pictures a second, or as many as it says. Reads it; blocks.
    ///
    /// The pace is even, as a camera's is, also where the times in an MP4 file are not.
    pub fn read(path: &Path, fps: Option<f64>) -> Result<Clip, ClipError> {
        let failed = |error| ClipError::Io(path.into(), error);
        let bytes = std::fs::metadata(path).map_err(failed)?.len();
        if bytes > MAX_FILE {
            return Err(ClipError::TooLarge(path.into(), bytes));
        }
        let file = Bytes::from(std::fs::read(path).map_err(failed)?);
        let clip = if mp4::is_mp4(&file) {
            let video = mp4::read(&file).map_err(|error| ClipError::Mp4(path.into(), error))?;
            Clip::new(video.codec, video.pictures, fps.unwrap_or(video.fps))
        } else {
            // What is one codec's keyframe with its parameter sets is nothing of the kind to the other.
            let read =
                |codec: VideoCodec| Clip::new(codec, codec.pictures(&file), fps.unwrap_or(BYTE_STREAM_FPS));
            VideoCodec::ALL.into_iter().find_map(read)
        };
        let clip = clip.ok_or_else(|| ClipError::NotVideo(path.into()))?;
        if !FPS.contains(&clip.fps) {
            return Err(ClipError::Fps(path.into(), clip.fps));
        }
        if clip.has_b_pictures() {
            return Err(ClipError::BPictures(path.into()));
        }
        Ok(clip)
    }

    /// Leaves out what is before the first keyframe. `None` without one, or without parameter sets.
    fn new(codec: VideoCodec, mut pictures: Vec<Vec<Bytes>>, fps: f64) -> Option<Clip> {
        let is_keyframe = |picture: &Vec<Bytes>| codec.is_keyframe(picture);
        let nal = codec.nal();
        let first = |set| pictures.iter().flatten().find(|unit| nal.role(unit) == Role::Set(set)).cloned();
        let sets = (0..nal.sets().len()).map(first).collect::<Option<Vec<Bytes>>>()?;
        let facts = sets.iter().find_map(|set| nal.describe(set))?;
        facts.profile_level_id?;
        pictures.drain(..pictures.iter().position(is_keyframe)?);
        let keyframes = (0..pictures.len()).filter(|&index| is_keyframe(&pictures[index])).collect();
        Some(Clip { codec, pictures, keyframes, sound: None, fps, sets, facts })
    }

    /// Whether pictures are shown in another order than they come. Of H.265 the parameter sets tell, because its B slices
    /// often refer to the past only; of H.264 they often do not, and its B slices hardly ever do that.
    fn has_b_pictures(&self) -> bool {
        match self.codec {
            VideoCodec::H264 => self.pictures.iter().any(|picture| is_b(picture)),
            VideoCodec::H265 => self.facts.b_pictures,
        }
    }

    /// Where camera `index` of `count` begins: the cameras' keyframes come evenly spread over time, and
    /// cameras show different groups of pictures where there are several.
    pub fn start(&self, index: usize, count: usize) -> usize {
        let group = index % self.keyframes.len();
        let first = self.keyframes[group];
        let end = self.keyframes.get(group + 1).copied().unwrap_or(self.pictures.len());
        first + (end - first) * index / count.max(1)
    }
}

/// Whether the first slice of a picture in H.264 is a B slice.
fn is_b(picture: &[Bytes]) -> bool {
    let codec = VideoCodec::H264.nal();
    let slice = picture.iter().find(|nal| codec.role(nal).is_slice());
    slice.and_then(|nal| codec.slice_head(nal)).is_some_and(|head| head.kind == SliceKind::B)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(units: &[&'static [u8]]) -> Vec<Bytes> {
        units.iter().map(|unit| Bytes::from_static(unit)).collect()
    }

    #[test]
    fn a_clip_begins_at_its_first_keyframe() {
        let pictures = vec![
            picture(&[&[0x41, 0x9a]]),
            picture(&[&[0x67, 0x42, 0xc0, 0x1f], &[0x68, 1], &[0x65, 0x88]]),
            picture(&[&[0x41, 0x9a]]),
            picture(&[&[0x65, 0x88]]),
        ];
        let of = |pictures| Clip::new(VideoCodec::H264, pictures, 25.0);
        let clip = of(pictures).expect("a clip");
        assert_eq!((clip.pictures.len(), &clip.keyframes[..]), (3, &[0, 2][..]));
        assert!(of(vec![picture(&[&[0x65, 0x88]])]).is_none(), "no parameter sets");
        assert!(of(Vec::new()).is_none());
    }

    #[test]
    fn b_pictures_are_told_by_their_first_slice() {
        for (bits, b) in
            [(0xa0, true), (0x9c, true), (0x9a, false), (0xe0, false), (0x88, false), (0xb8, false)]
        {
            let slice = Bytes::copy_from_slice(&[0x01, bits, 0x80]);
            assert_eq!(is_b(&[Bytes::from_static(&[0x06, 0xa0]), slice]), b, "{bits:08b}");
        }
    }

    #[test]
    fn keyframes_of_many_cameras_are_spread_evenly() {
        let clip = Clip::demo();
        for count in [1, 2, 5, 60] {
            let mut phases: Vec<usize> = (0..count).map(|index| clip.start(index, count) % 60).collect();
            phases.sort_unstable();
            let expected: Vec<usize> = (0..count).map(|index| 60 * index / count).collect();
            assert_eq!(phases, expected);
        }
        assert!((0..1_000).all(|index| clip.start(index, 1_000) < clip.pictures.len()));
    }
}
