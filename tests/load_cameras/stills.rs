//! `frame.mp4`: other people's decoder sees in it the very keyframe that the camera sent.

use sluice_harness::Request;

use super::*;
use crate::files::{Directory, PICTURES};

/// The file of the newest keyframe, on disk, and its tag.
fn still(directory: &Directory, sluice: &Sluice, stream: &str) -> (String, String) {
    let answer = sluice.request(Request::get(&format!("/{stream}/frame.mp4")));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let tag = answer.header("etag").expect("a tag").to_owned();
    (directory.keep("still.mp4", &answer.body), tag)
}

#[test]
fn a_still_is_the_newest_keyframe_in_one_slice_or_four() {
    let directory = Directory::new();
    // Baseline in one slice; High in four, three of which are longer than a packet and one is not.
    for (name, encoder) in [
        ("one.mp4", &["-profile:v", "baseline", "-g", "25"][..]),
        ("four.mp4", &["-profile:v", "high", "-bf", "0", "-g", "25", "-x264-params", "slices=4"]),
    ] {
        let h264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p"];
        let file = directory.make(name, &[&PICTURES[..], &h264, encoder].concat());
        let clip = players::digests(&["-i", &file], "100");
        let keyframes: Vec<&String> = clip.iter().step_by(25).collect();
        let cameras = SLUICE.cameras(1, &["--clip", &file]);
        let sluice = server(&cameras, &[]);
        wait_for_figure(&sluice, "keyframes_total", "cam1", 1.0);

        let (first, tag) = still(&directory, &sluice, "cam1");
        let seen = players::digests(&["-i", &first], "10");
        assert_eq!(seen.len(), 1, "one picture");
        assert!(keyframes.contains(&&seen[0]), "{name}: no keyframe of the clip");

        let before = figure(&sluice, "keyframes_total", "cam1");
        wait_for_figure(&sluice, "keyframes_total", "cam1", before + 1.0);
        let (second, newer) = still(&directory, &sluice, "cam1");
        let later = players::digests(&["-i", &second], "10");
        assert!(keyframes.contains(&&later[0]) && later != seen && newer != tag, "{name}");
    }
}
