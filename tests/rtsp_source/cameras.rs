//! Real sessions: formats, codecs, transports, credentials, and a camera that goes away.

use std::future::pending;
use std::time::{Duration, Instant};

use sluice::source::rtsp;
use sluice::source::rtsp::memory::Record;
use sluice::stream::{AudioFormat, Wishes};
use sluice_harness::gstreamer::Camera;
use sluice_media::{AccessUnit, AudioCodec, VideoCodec};
use sluice_sound::Transcoder;
use tokio::sync::{mpsc, watch};

use crate::{
    Collector, DEADLINE, IDR, PPS, Pull, SPS, Seen, fixed, log, over_udp, quick, told, types, with_login,
};

/// Pictures of 30/s: whole NAL units without start codes, one IDR in fifteen with its parameter sets.
fn check_pictures(units: &[AccessUnit]) {
    assert!(units.iter().all(|unit| types(unit).iter().all(|kind| (1..=23).contains(kind))));
    let idr: Vec<&AccessUnit> = units.iter().filter(|unit| types(unit).contains(&IDR)).collect();
    assert!(units.len() < 30 || !idr.is_empty(), "no IDR in {} pictures", units.len());
    for unit in idr {
        let kinds = types(unit);
        let position = |kind| kinds.iter().position(|k| *k == kind).unwrap_or(usize::MAX);
        assert!(
            position(SPS) < position(IDR) && position(PPS) < position(IDR),
            "parameter sets missing: {kinds:?}"
        );
    }
    let steps: Vec<i64> = units.windows(2).map(|pair| pair[1].timestamp - pair[0].timestamp).collect();
    assert!(steps.iter().all(|step| *step > 0), "pictures go back in time: {steps:?}");
    let mean = steps.iter().sum::<i64>() / steps.len() as i64;
    assert!((2_000..=6_000).contains(&mean), "ticks between pictures of 30/s: {mean}");
}

#[tokio::test]
async fn h264_with_pcmu_plays() {
    let camera = Camera::small(&["--audio", "pcmu"]);
    let mut pull = Pull::start(quick(camera.url.clone()));
    let (formats, _) = pull.begun().await;
    assert_eq!(formats.audio.map(|audio| (audio.codec, audio.channels)), Some((AudioCodec::Pcmu, 1)));
    let video = formats.video.expect("video is announced");
    assert_eq!(video.codec, VideoCodec::H264);
    assert_eq!(formats.notes, [""; 0]);
    check_pictures(&pull.video(60).await);
    let frames = pull.audio(10).await;
    for pair in frames.windows(2) {
        assert_eq!(pair[1].timestamp - pair[0].timestamp, pair[0].payload.len() as i64, "a sample is a byte");
    }
    pull.stop().await;
}

/// The process may end as soon as its sources have, and a camera holds only a few sessions.
#[test]
fn the_end_of_a_session_is_told_to_the_camera_before_the_source_ends() {
    let mut camera = Camera::small(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (sender, mut seen) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    runtime.spawn(async move {
        while !matches!(seen.recv().await, Some(Seen::Begun(..)) | None) {}
        stop.send(true)
    });
    // Nothing is polled any more once this returns.
    let source = rtsp::run(
        fixed(quick(camera.url.clone())),
        Collector(sender, true),
        Wishes::default(),
        Record::default(),
        told(stopped),
        pending(),
    );
    runtime.block_on(async { tokio::time::timeout(DEADLINE, source).await }).expect("the source stops");
    drop(runtime);
    assert_eq!([camera.line(), camera.line()], ["SESSION", "TEARDOWN"]);
}

#[tokio::test]
async fn h264_with_opus_plays() {
    let camera = Camera::small(&["--audio", "opus"]);
    let mut pull = Pull::start(quick(camera.url.clone()));
    let (formats, _) = pull.begun().await;
    assert_eq!(formats.audio.map(|audio| (audio.codec, audio.channels)), Some((AudioCodec::Opus, 2)));
    check_pictures(&pull.video(40).await);
    let frames = pull.audio(20).await;
    assert!(frames.iter().all(|frame| !frame.payload.is_empty() && frame.payload.len() <= 1_275));
    for pair in frames.windows(2) {
        assert_eq!(pair[1].timestamp - pair[0].timestamp, 960, "20 ms at 48 kHz");
    }
    pull.stop().await;
}

#[tokio::test]
async fn pcma_without_video_plays() {
    let camera = Camera::small(&["--video", "none", "--audio", "pcma"]);
    let mut pull = Pull::start(quick(camera.url.clone()));
    let (formats, _) = pull.begun().await;
    assert_eq!((formats.video, formats.audio.map(|audio| audio.codec)), (None, Some(AudioCodec::Pcma)));
    pull.audio(10).await;
    pull.stop().await;
}

#[tokio::test]
async fn sound_that_becomes_opus_is_read_in_units_of_the_codec() {
    // Ticks from unit to unit: 1,024 samples of AAC, however it is packed. Samples as they are come in packets of any
    // length.
    for (audio, name, step) in [
        ("aac", "OPUS stereo from AAC-LC 48000 Hz stereo", Some(1_024)),
        ("aac-44k", "OPUS stereo from AAC-LC 44100 Hz stereo", Some(1_024)),
        ("latm", "OPUS stereo from AAC-LC 48000 Hz stereo", Some(1_024)),
        ("l16", "OPUS stereo from L16 32000 Hz mono", None),
    ] {
        let camera = Camera::small(&["--audio", audio]);
        let mut pull = Pull::start(quick(camera.url.clone()));
        let (formats, _) = pull.begun().await;
        let format = formats.audio.expect("sound");
        assert_eq!(format.to_string().to_uppercase(), name.to_uppercase());
        assert_eq!((format.codec, formats.notes), (AudioCodec::Opus, vec![]));
        let frames = pull.audio(20).await;
        let mut transcoder =
            Transcoder::new(format.made_of.expect("it is made").sound).expect("a transcoder");
        let mut packets = Vec::new();
        for frame in &frames {
            let timestamp =
                frame.timestamp * 48_000 / i64::from(format.made_of.expect("it is made").clock_rate);
            transcoder.push(&frame.payload, timestamp, &mut packets).expect("a unit");
        }
        for pair in frames.windows(2).filter(|_| step.is_some()) {
            assert_eq!(Some(pair[1].timestamp - pair[0].timestamp), step, "{audio}");
        }
        assert!(packets.len() >= 5, "{audio}: {} packets", packets.len());
        pull.stop().await;
    }
}

#[tokio::test]
async fn g722_goes_on_as_it_comes() {
    let camera = Camera::small(&["--audio", "g722"]);
    let mut pull = Pull::start(quick(camera.url.clone()));
    let (formats, _) = pull.begun().await;
    assert_eq!(formats.audio, Some(AudioFormat::new(AudioCodec::G722, 1)));
    pull.audio(10).await;
    pull.stop().await;
}

#[tokio::test]
async fn video_that_is_not_carried_is_an_error_that_names_it() {
    let camera = Camera::small(&["--video", "mjpeg"]);
    let mut settings = quick(camera.url.clone());
    settings.rtsp.reconnect_max = Duration::from_secs(20);
    let mut pull = Pull::start(settings);
    let (error, retry_in) = pull.waiting().await;
    assert!(error.contains("nothing that can be forwarded") && error.contains("video jpeg"), "{error}");
    assert!(retry_in >= Duration::from_secs(10), "trying often is useless: {retry_in:?}");
    pull.stop().await;
}

#[tokio::test]
async fn h265_plays_with_and_without_parameter_sets_in_band() {
    for arguments in [&["--video", "h265"][..], &["--video", "h265", "--no-parameter-sets"]] {
        let camera = Camera::small(arguments);
        let mut pull = Pull::start(quick(camera.url.clone()));
        let (formats, parameter_sets) = pull.begun().await;
        assert_eq!((formats.video.map(|video| video.codec), formats.notes), (Some(VideoCodec::H265), vec![]));
        let kinds: Vec<u8> = parameter_sets.iter().map(|nal| nal[0] >> 1 & 0x3f).collect();
        assert_eq!(kinds, [32, 33, 34], "VPS, SPS and PPS of the description");
        let units = pull.video(60).await;
        pull.stop().await;
        let keyframes = units.iter().filter(|unit| VideoCodec::H265.is_keyframe(&unit.nals)).count();
        assert!(keyframes >= 3, "{keyframes} keyframes in 60 pictures");

        // What comes before the first keyframe refers to what nobody has.
        let from =
            units.iter().position(|unit| VideoCodec::H265.is_keyframe(&unit.nals)).expect("a keyframe");
        let nals = units[from..].iter().flat_map(|unit| &unit.nals);
        let stream: Vec<u8> =
            parameter_sets.iter().chain(nals).flat_map(|nal| [&[0, 0, 0, 1][..], nal].concat()).collect();
        let file = std::env::temp_dir().join(format!("sluice-{:016x}.h265", rand::random::<u64>()));
        std::fs::write(&file, stream).expect("a file");
        let mut decoder = std::process::Command::new("timeout");
        let decoder =
            decoder.args(["30", "ffmpeg", "-v", "warning", "-xerror", "-f", "hevc", "-i"]).arg(&file);
        let decoder = decoder.args(["-fps_mode", "passthrough", "-f", "framemd5", "-"]);
        let output = decoder.output().expect("ffmpeg is installed");
        let _ = std::fs::remove_file(&file);
        let (errors, text) =
            (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success() && errors.is_empty(), "{errors}");
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), units.len() - from);
    }
}

#[tokio::test]
async fn parameter_sets_of_the_description_are_handed_over() {
    let camera = Camera::small(&["--no-parameter-sets"]);
    let mut pull = Pull::start(quick(camera.url.clone()));
    let (formats, parameter_sets) = pull.begun().await;
    assert!(formats.video.is_some());
    let kinds: Vec<u8> = parameter_sets.iter().map(|nal| nal[0] & 0x1f).collect();
    assert_eq!(kinds, [SPS, PPS]);
    let pictures = pull.video(40).await;
    assert!(pictures.iter().any(|unit| VideoCodec::H264.is_keyframe(&unit.nals)));
    assert!(pictures.iter().all(|unit| !types(unit).contains(&SPS)));
    pull.stop().await;
}

#[tokio::test]
async fn udp_plays() {
    let camera = Camera::small(&["--audio", "opus"]);
    let mut pull = Pull::start(over_udp(quick(camera.url.clone())));
    pull.begun().await;
    check_pictures(&pull.video(40).await);
    pull.audio(10).await;
    pull.stop().await;
}

#[tokio::test]
async fn digest_and_basic_let_in_the_right_password_only() {
    let log = log();
    for auth in ["digest", "basic"] {
        let camera = Camera::small(&["--user", "viewer", "--password", "canary-right", "--auth", auth]);
        let mut pull = Pull::start(with_login(quick(camera.url.clone()), "viewer", "canary-right"));
        pull.begun().await;
        pull.stop().await;

        let mut pull = Pull::start(with_login(quick(camera.url.clone()), "viewer", "canary-wrong"));
        let (error, _) = pull.waiting().await;
        assert!(error.contains("check user and password"), "{auth}: {error}");
        assert!(!error.contains("canary"), "{auth}: {error}");
        pull.stop().await;

        let mut pull = Pull::start(quick(camera.url.clone()));
        let (error, _) = pull.waiting().await;
        assert!(error.contains("wants credentials"), "{auth}: {error}");
        pull.stop().await;
    }
    let log = log.text();
    assert!(log.contains("check user and password"), "the log is being recorded");
    assert!(!log.contains("canary"), "a password is in the log");
}

#[tokio::test]
async fn a_wrong_path_is_named_without_showing_it() {
    let camera = Camera::small(&[]);
    let mut settings = quick(camera.url.clone());
    settings.camera.url.set_path("/password=hunter2");
    let mut pull = Pull::start(settings);
    let (error, _) = pull.waiting().await;
    assert!(error.contains("check the path") && error.contains("404"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    pull.stop().await;
}

#[tokio::test]
async fn a_camera_that_comes_back_plays_again() {
    let camera = Camera::small(&[]);
    let port = camera.url.port().expect("the camera prints its port").to_string();
    let mut pull = Pull::start(quick(camera.url.clone()));
    pull.begun().await;
    drop(camera);
    let (error, _) = pull.waiting().await;
    assert!(error.contains("closed the connection") || error.contains("broke the connection"), "{error}");
    // Some attempts on a closed port first.
    let (error, _) = pull.waiting().await;
    assert!(error.contains("cannot be reached") && error.contains(&port), "{error}");

    let _camera = Camera::small(&["--port", &port]);
    pull.find("a session after the restart", |seen| matches!(seen, Seen::Begun(..)).then_some(())).await;
    check_pictures(&pull.video(40).await);
    pull.stop().await;
}

#[tokio::test]
async fn a_camera_that_freezes_is_noticed() {
    let camera = Camera::small(&[]);
    let mut settings = quick(camera.url.clone());
    settings.rtsp.data_timeout = Duration::from_secs(5);
    let mut pull = Pull::start(settings);
    pull.begun().await;
    camera.signal("-STOP");
    let (error, _) = pull.waiting().await;
    assert!(error.contains("sent no whole picture for 5 s"), "{error}");
    // Neither the next attempt nor the teardown of the old session may hold up the end.
    pull.stop().await;
    camera.signal("-CONT");
}

#[tokio::test]
async fn a_picture_above_the_limit_ends_the_attempt() {
    let camera = Camera::small(&[]);
    let mut settings = quick(camera.url.clone());
    settings.rtsp.max_frame = sluice_config::Bytes::new(1_000);
    let mut pull = Pull::start(settings);
    let (error, _) = pull.waiting().await;
    assert!(error.contains("more than 1000 bytes"), "{error}");
    pull.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_may_be_asked_sends_a_keyframe_when_a_viewer_needs_one() {
    for udp in [false, true] {
        // One keyframe in five minutes.
        let camera = Camera::small(&["--gop", "9000", "--feedback"]);
        let settings = if udp { over_udp(quick(camera.url.clone())) } else { quick(camera.url.clone()) };
        let wishes = Wishes::default();
        let mut pull = Pull::asking(settings, wishes.clone());
        let is_idr = |seen: Seen| match seen {
            Seen::Video(unit) => Some(types(&unit).contains(&IDR)),
            _ => None,
        };
        let next =
            async |pull: &mut Pull, what| pull.find(what, |seen| is_idr(seen).filter(|idr| *idr)).await;
        next(&mut pull, "the first keyframe").await;
        for _ in 0..30 {
            assert!(!pull.find("a picture", is_idr).await, "none comes by itself");
        }
        wishes.keyframe.ask();
        next(&mut pull, "the keyframe that was asked for").await;
        pull.stop().await;
    }
}

/// Nobody watches: a camera's stream is read in portions, several pictures at a time, which costs the fewer wake-ups.
#[tokio::test]
async fn a_camera_that_nobody_watches_is_read_in_portions() {
    let camera = Camera::small(&["--audio", "pcmu"]);
    let settings = fixed(quick(camera.url.clone()));
    let mut pull = Pull::watched(settings, Wishes::default(), false);
    // It has to be known to play, first.
    pull.video(7 * 30).await;
    // What one read brought has one time of arrival.
    let mut arrivals: Vec<Instant> = pull.video(60).await.iter().map(|unit| unit.received).collect();
    arrivals.dedup();
    assert!(arrivals.len() <= 40, "60 pictures in {} reads", arrivals.len());
    pull.stop().await;
}

/// Somebody watches: sound lies in the kernel until the picture that is due brings it along, which costs the fewer wake-ups, though
/// this camera writes its pictures of seven packets in several pieces, and their delimiters before it has the pictures.
#[tokio::test]
#[ignore = "the camera has a rhythm only on a machine that is not too busy for its encoder"]
async fn sound_of_a_watched_camera_comes_with_its_pictures() {
    let size = ["--size", "640x360", "--fps", "30", "--gop", "30", "--kbps", "3000", "--pattern", "snow"];
    let camera = Camera::start(&[&size[..], &["--audio", "opus"]].concat());
    let mut pull = Pull::start(quick(camera.url.clone()));
    // It has to be known to play, and its rhythm too.
    pull.video(7 * 30).await;
    // How far before the next picture each packet of sound was read, and how far apart pictures are.
    let (mut sounds, mut before, mut pauses, mut last) = (Vec::new(), Vec::new(), Vec::new(), None);
    while pauses.len() < 5 * 30 {
        let seen = pull.find("media", |seen| match seen {
            Seen::Audio(frame) => Some((false, frame.received)),
            Seen::Video(unit) => Some((true, unit.received)),
            _ => None,
        });
        let (is_picture, received) = seen.await;
        if !is_picture {
            sounds.push(received);
            continue;
        }
        before.extend(sounds.drain(..).map(|sound| received.saturating_duration_since(sound)));
        pauses.extend(last.replace(received).map(|last| received.saturating_duration_since(last)));
    }
    pauses.sort_unstable();
    let interval = pauses[pauses.len() / 2];
    // Of sound that is read as it comes a quarter is read in the last quarter of an interval.
    let with_picture = before.iter().filter(|before| **before <= interval / 4).count();
    println!("{with_picture} of {} within a quarter of {interval:?}", before.len());
    assert!(before.len() > 100, "{} packets of sound", before.len());
    assert!(with_picture * 2 > before.len(), "{with_picture} of {}: {before:?}", before.len());
    pull.stop().await;
}
