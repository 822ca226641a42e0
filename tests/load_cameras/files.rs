//! Files of the user's: MP4, made here by ffmpeg.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::*;

/// A directory that goes away with the test.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Directory {
        let path = std::env::temp_dir().join(format!("sluice-clips-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&path).expect("a directory");
        Directory(path)
    }

    /// Makes a file of it by ffmpeg.
    #[track_caller]
    pub fn make(&self, name: &str, arguments: &[&str]) -> String {
        let file = self.0.join(name);
        let file = file.to_str().expect("a path in UTF-8");
        players::run("ffmpeg", &[&["-v", "warning"], arguments, &[file]].concat());
        file.to_owned()
    }

    /// Writes a file into it.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> String {
        let file = self.0.join(name);
        std::fs::write(&file, bytes).expect("a file");
        file.to_str().expect("a path in UTF-8").to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Moving pictures, 25 a second, a keyframe each second.
pub const PICTURES: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=4"];
const SOUND: [&str; 4] = ["-f", "lavfi", "-i", "sine=duration=4"];
const H264: [&str; 8] = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25", "-bf", "0"];

#[test]
fn an_mp4_is_shown_at_its_own_pace_with_the_very_pictures_that_are_in_it() {
    let directory = Directory::new();
    // The index behind the media, as it is by default, and a first track that is sound.
    let tracks = ["-map", "0:a", "-map", "1:v", "-c:a", "aac"];
    let file = directory.make("clip.mp4", &[&SOUND[..], &PICTURES, &tracks, &H264].concat());
    let clip = players::digests(&["-i", &file], "100");
    assert_eq!(clip.iter().collect::<HashSet<_>>().len(), 100, "a still clip would prove nothing");
    let cameras = SLUICE.cameras(2, &["--clip", &file]);
    let report = players::probe(&cameras.urls[0]);
    assert_eq!(report["streams"].as_array().map(Vec::len), Some(1), "a file has no sound: {report}");
    let seen = players::digests(&["-rtsp_transport", "tcp", "-i", &cameras.urls[0]], "100");
    assert_eq!(seen.len(), 100);
    let keyframe = clip.iter().position(|digest| *digest == seen[0]).expect("a picture of the clip");
    assert_eq!(keyframe % 25, 0);
    let expected: Vec<&String> = clip.iter().cycle().skip(keyframe).take(100).collect();
    assert_eq!(seen.iter().collect::<Vec<_>>(), expected);

    let times = players::picture_times(&cameras.urls[0], 60);
    let odd = times.windows(2).map(|pair| pair[1] - pair[0]).find(|step| (step - 0.04).abs() > 0.000_1);
    assert!(times.len() > 50 && odd.is_none(), "25 a second: {times:?}");

    let sluice = server(&cameras, &[]);
    sluice.wait_until_playing("cam2");
    wait_for_figure(&sluice, "keyframes_total", "cam2", 2.0);
    assert_undisturbed(&sluice, "cam2");
}

#[test]
fn the_pace_of_an_mp4_can_be_set() {
    let directory = Directory::new();
    let file = directory.make("clip.mp4", &[&PICTURES[..], &H264].concat());
    let cameras = SLUICE.cameras(1, &["--clip", &file, "--fps", "50"]);
    let times = players::picture_times(&cameras.urls[0], 60);
    let odd = times.windows(2).map(|pair| pair[1] - pair[0]).find(|step| (step - 0.02).abs() > 0.000_1);
    assert!(times.len() > 50 && odd.is_none(), "50 a second: {times:?}");
}

#[test]
fn an_mp4_that_cannot_be_shown_says_why_and_the_way_out() {
    let directory = Directory::new();
    let make = |name: &str, parts: &[&[&str]]| directory.make(name, &parts.concat());
    let whole = make("whole.mp4", &[&PICTURES, &H264]);
    let cut = directory.0.join("cut.mp4");
    let bytes = std::fs::read(Path::new(&whole)).expect("the file");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("written");
    let cut = cut.to_str().expect("a path in UTF-8").to_owned();
    for (file, sentence) in [
        (make("sound.mp4", &[&SOUND, &["-c:a", "aac"]]), "without a video track"),
        (make("mpeg4.mp4", &[&PICTURES, &["-c:v", "mpeg4"]]), "whose video is of the type mp4v"),
        (
            make("h265.mp4", &[&PICTURES, &["-c:v", "libx265", "-x265-params", "log-level=none"]]),
            "has B pictures",
        ),
        (
            make("fragments.mp4", &[&PICTURES, &H264, &["-movflags", "frag_keyframe+empty_moov"]]),
            "make it whole by `ffmpeg",
        ),
        (make("b.mp4", &[&PICTURES, &H264, &["-bf", "2"]]), "has B pictures"),
        (cut, "it ends before its index"),
    ] {
        let error = refused(&["--clip", &file]);
        assert!(error.contains(sentence) && error.contains(&file), "{error}");
    }
}
