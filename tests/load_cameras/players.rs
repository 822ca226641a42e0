//! Players that we did not write: ffmpeg, ffprobe, GStreamer.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};

use sluice_load::cameras::send_time;
use sluice_media::VideoCodec;

use super::*;

/// The clip of the demo.
pub const CLIP: &str = "src/source/demo/clip.h264";

/// Runs a program to its end, which must be a good one, and gives its standard output.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let limit = PATIENCE.as_secs().to_string();
    let output = Command::new("timeout")
        .args([&limit, program])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{said}", output.status);
    assert!(!said.to_lowercase().contains("error"), "{program} {arguments:?}\n{said}");
    output.stdout
}

/// What `ffprobe` says of the streams of a URL.
pub fn probe(url: &str) -> serde_json::Value {
    let report =
        run("ffprobe", &["-v", "warning", "-rtsp_transport", "tcp", "-show_streams", "-of", "json", url]);
    serde_json::from_slice(&report).expect("JSON")
}

/// When the next `count` pictures are to be shown, by their RTP timestamps.
pub fn picture_times(url: &str, count: u32) -> Vec<f64> {
    let input = ["-v", "warning", "-rtsp_transport", "tcp", url];
    let interval = format!("%+#{count}");
    let wanted = [
        "-select_streams",
        "v",
        "-show_entries",
        "packet=pts_time",
        "-read_intervals",
        &interval,
        "-of",
        "csv=p=0",
    ];
    let text = String::from_utf8(run("ffprobe", &[&wanted[..], &input].concat())).expect("text");
    text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

/// Digests of decoded pictures, in order.
pub fn digests(input: &[&str], pictures: &str) -> Vec<String> {
    let output = ["-map", "0:v", "-fps_mode", "passthrough", "-frames:v", pictures, "-f", "framemd5", "-"];
    let arguments = [&["-v", "warning", "-xerror"], input, &output].concat();
    let text = String::from_utf8(run("ffmpeg", &arguments)).expect("text");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().expect("a digest").trim().to_owned()).collect()
}

#[test]
fn ffprobe_sees_what_the_cameras_are() {
    let cameras = SLUICE.cameras(2, &[]);
    let report = probe(&cameras.urls[1]);
    let (video, audio) = (&report["streams"][0], &report["streams"][1]);
    assert_eq!((&video["codec_name"], &video["profile"]), (&"h264".into(), &"Constrained Baseline".into()));
    assert_eq!((&video["width"], &video["height"]), (&1280.into(), &720.into()));
    assert_eq!(video["r_frame_rate"], "30/1");
    assert_eq!((&audio["codec_name"], &audio["channels"]), (&"opus".into(), &2.into()));
}

#[test]
fn a_file_can_be_shown_at_any_rate() {
    let cameras = SLUICE.cameras(1, &["--clip", CLIP, "--fps", "25"]);
    let report = probe(&cameras.urls[0]);
    assert_eq!(report["streams"].as_array().map(Vec::len), Some(1), "a file has no sound: {report}");
    // The clip's own header says 30: what counts are the times of its packets.
    let times = picture_times(&cameras.urls[0], 60);
    assert!(times.len() > 50, "{times:?}");
    let odd = times.windows(2).map(|pair| pair[1] - pair[0]).find(|step| (step - 0.04).abs() > 0.000_1);
    assert_eq!(odd, None, "{times:?}");
}

#[test]
fn ffmpeg_decodes_the_very_pictures_of_the_clip_over_tcp_and_udp() {
    let clip: Vec<String> = digests(&["-i", CLIP], "300");
    let different: HashSet<&String> = clip.iter().collect();
    assert!(different.len() > 250, "a still clip would prove nothing");
    for arguments in [&[][..], &["--big-packets", "--audio", "none"]] {
        let cameras = SLUICE.cameras(2, arguments);
        for transport in ["tcp", "udp"] {
            let seen = digests(&["-rtsp_transport", transport, "-i", &cameras.urls[1]], "100");
            // The second of two cameras begins in the second group of pictures, amid; so it comes to the third.
            let keyframe = clip.iter().position(|digest| *digest == seen[0]).expect("a picture of the clip");
            assert_eq!(keyframe % 60, 0);
            let expected: Vec<&String> = clip.iter().cycle().skip(keyframe).take(100).collect();
            assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "{transport} {arguments:?}");
        }
    }
}

#[test]
fn gstreamer_plays_picture_and_sound_over_tcp_and_udp() {
    let cameras = SLUICE.cameras(1, &[]);
    for protocol in ["tcp", "udp"] {
        gstreamer_plays(&format!("location={} protocols={protocol}", cameras.urls[0]));
    }
}

/// Plays two seconds of picture and sound, with `source` as the properties of `rtspsrc`.
#[track_caller]
pub fn gstreamer_plays(source: &str) {
    let pipeline = format!(
        "rtspsrc {source} latency=100 name=camera \
         camera. ! application/x-rtp,media=video ! rtph264depay ! h264parse ! avdec_h264 ! \
         fakesink name=picture silent=false sync=false \
         camera. ! application/x-rtp,media=audio ! rtpopusdepay ! opusdec ! \
         fakesink name=sound silent=false sync=false"
    );
    // It is stopped from here: over TCP the end of one sink ends both, over UDP it does not.
    let mut player = Command::new("timeout")
        .args([&PATIENCE.as_secs().to_string(), "gst-launch-1.0", "-v"])
        .args(pipeline.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("GStreamer is installed");
    let (mut pictures, mut sounds) = (0, 0);
    let mut lines = BufReader::new(player.stdout.take().expect("piped")).lines().map_while(Result::ok);
    while pictures < 60 || sounds < 60 {
        let line = lines.next().unwrap_or_else(|| panic!("{source}: {pictures} pictures, {sounds} sounds"));
        assert!(!line.contains("ERROR"), "{source}: {line}");
        pictures += u32::from(line.contains("picture: last-message = chain"));
        sounds += u32::from(line.contains("sound: last-message = chain"));
    }
    // To `timeout`, which passes it on; a kill would leave the player behind.
    Command::new("kill").args(["-TERM", &player.id().to_string()]).status().expect("kill runs");
    player.wait().expect("its status");
}

#[test]
fn pictures_carry_their_send_time_unless_they_shall_not() {
    let nanos =
        || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let times = |arguments: &[&str]| -> Vec<u64> {
        let cameras = SLUICE.cameras(1, arguments);
        let input = ["-v", "warning", "-rtsp_transport", "tcp", "-i", &cameras.urls[0]];
        let output = ["-map", "0:v", "-c", "copy", "-frames:v", "70", "-f", "h264", "-"];
        let stream = run("ffmpeg", &[&input[..], &output].concat());
        // It is 60 bytes long at the most; what comes behind its end is not read.
        let starts = (2..stream.len()).filter(|&at| stream[at - 2..=at] == [0, 0, 1]);
        starts
            .filter_map(|at| {
                send_time::read(VideoCodec::H264.nal(), &stream[at + 1..stream.len().min(at + 60)])
            })
            .collect()
    };
    let before = nanos();
    let seen = times(&[]);
    assert_eq!(seen.len(), 70);
    assert!(seen.iter().all(|time| (before..nanos()).contains(time)), "{seen:?}");
    assert!(seen.is_sorted_by(|earlier, later| earlier < later), "{seen:?}");
    let whole = Duration::from_nanos(seen[69] - seen[0]).as_secs_f64();
    assert!((2.1..2.6).contains(&whole), "69 intervals of 1/30 s took {whole} s");
    assert_eq!(times(&["--no-timestamps"]), Vec::<u64>::new());
}
