//! The cameras of other households: H.265, AAC and G.711, pairs, clocks that drift, UDP that loses and turns around.

use super::files::{Directory, PICTURES};
use super::*;

/// No B pictures, a keyframe each second.
const H265: [&str; 6] =
    ["-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "bframes=0:keyint=25:log-level=none"];

#[test]
fn h265_comes_as_it_is_in_the_file_and_each_picture_tells_its_time() {
    let directory = Directory::new();
    for name in ["clip.mp4", "clip.hevc"] {
        let file = directory.make(name, &[&PICTURES[..], &H265].concat());
        let clip = players::digests(&["-i", &file], "100");
        let cameras = SLUICE.cameras(1, &["--clip", &file, "--fps", "25"]);
        let report = players::probe(&cameras.urls[0]);
        assert_eq!(report["streams"][0]["codec_name"], "hevc", "{name}: {report}");
        let seen = players::digests(&["-rtsp_transport", "tcp", "-i", &cameras.urls[0]], "60");
        let keyframe = clip.iter().position(|digest| *digest == seen[0]).expect("a picture of the clip");
        let expected: Vec<&String> = clip.iter().cycle().skip(keyframe).take(60).collect();
        assert_eq!((keyframe % 25, seen.iter().collect::<Vec<_>>()), (0, expected), "{name}");

        let sluice = server(&cameras, &[]);
        sluice.wait_until_playing("cam1");
        let url = format!("http://{}/cam1/whep", sluice.http);
        let load = SLUICE.load_to(0, &url, &["--viewers=2", "--duration=3s", "--verify=1"]);
        let (dated, past) = (load.count("/delay/count"), load.count("/verified/from_past"));
        assert_eq!(dated + past, load.count("/verified/frames"), "{:#}", load.report);
        assert!(dated > 2 * 40, "{:#}", load.report);
        assert_undisturbed(&sluice, "cam1");
    }
}

#[test]
fn every_sound_is_what_it_says_and_can_be_heard() {
    for (audio, codec, rate) in
        [("aac", "aac", "16000"), ("pcmu", "pcm_mulaw", "8000"), ("pcma", "pcm_alaw", "8000")]
    {
        let cameras = SLUICE.cameras(1, &["--audio", audio]);
        let report = players::probe(&cameras.urls[0]);
        let sound = &report["streams"][1];
        assert_eq!((&sound["codec_name"], &sound["sample_rate"]), (&codec.into(), &rate.into()), "{report}");

        // Other people's decoder hears a tone without a gap: no 50 ms of it are silent.
        let input =
            ["-v", "info", "-nostats", "-rtsp_transport", "tcp", "-i", &cameras.urls[0], "-t", "3", "-vn"];
        let output = ["-af", "silencedetect=n=0.02:d=0.05,volumedetect", "-f", "null", "-"];
        let heard = Command::new("timeout")
            .args(["60", "ffmpeg"])
            .args(input)
            .args(output)
            .stdin(Stdio::null())
            .output()
            .expect("ffmpeg is installed");
        let said = String::from_utf8_lossy(&heard.stderr);
        let loud =
            said.split("max_volume: ").nth(1).and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        assert!(loud.is_some_and(|decibels| (-30.0..-3.0).contains(&decibels)), "{audio}: {said}");
        // A decoder of AAC is silent until its second frame.
        let silences =
            said.lines().filter_map(|line| line.split("silence_start: ").nth(1)?.trim().parse().ok());
        assert_eq!(silences.filter(|start: &f64| *start > 0.1).count(), 0, "{audio}: {said}");

        let sluice = server(&cameras, &[]);
        sluice.wait_until_playing("cam1");
        // Sound that has to be made into Opus is made while somebody watches.
        let url = format!("http://{}/cam1/whep", sluice.http);
        SLUICE.load_to(0, &url, &["--viewers=1", "--duration=3s", "--require=failed<1"]);
        let packets = "sluice_stream_ingress_packets_total{stream=\"cam1\",kind=\"audio\"}";
        sluice.wait_for_metric(packets, ">= 20", |value| value >= 20.0);
        assert_undisturbed(&sluice, "cam1");
    }
}

#[test]
fn a_pair_has_two_streams_of_one_camera() {
    let directory = Directory::new();
    let main = directory.make("main.mp4", &[&PICTURES[..], &H265].concat());
    let sub = directory.make(
        "sub.mp4",
        &[
            &PICTURES[..],
            &["-s", "160x120", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25", "-bf", "0"],
        ]
        .concat(),
    );
    let cameras = SLUICE.cameras(2, &["--clip", &main, "--audio", "aac", "--pairs", "--sub-clip", &sub]);
    let names: Vec<&str> = cameras.urls.iter().filter_map(|url| url.rsplit('/').next()).collect();
    assert_eq!(names, ["cam1", "cam1-sub", "cam2", "cam2-sub"]);
    for (url, codec, width) in [(&cameras.urls[2], "hevc", 320), (&cameras.urls[3], "h264", 160)] {
        let report = players::probe(url);
        let (video, sound) = (&report["streams"][0], &report["streams"][1]);
        assert_eq!((&video["codec_name"], &video["width"]), (&codec.into(), &width.into()), "{report}");
        assert_eq!(sound["codec_name"], "aac", "{report}");
    }
    let both = [format!("high={}", cameras.urls[0]), format!("low={}", cameras.urls[1])];
    let sluice = SLUICE.start(&both.iter().map(String::as_str).collect::<Vec<_>>());
    for stream in ["high", "low"] {
        sluice.wait_until_playing(stream);
        wait_for_figure(&sluice, "keyframes_total", stream, 2.0);
        assert_undisturbed(&sluice, stream);
    }
}

#[test]
fn udp_that_turns_packets_around_costs_no_picture_and_one_that_loses_them_is_counted() {
    let udp = ["--set", "rtsp.transport=udp"];
    let cameras = SLUICE.cameras(2, &["--udp-reorder", "5%", "--faulty", "1"]);
    let sluice = server(&cameras, &udp);
    sluice.wait_until_playing("cam1");
    wait_for_figure(&sluice, "keyframes_total", "cam1", 3.0);
    assert_undisturbed(&sluice, "cam1");
    // It ends its sessions, which are counted then.
    let (ended, _) = sluice.terminate();
    assert!(ended.success());
    let (_, log) = cameras.terminate();
    assert!(log.contains("lost_by_udp=0 ") && !log.contains("reordered_by_udp=0 "), "{log}");

    let cameras = SLUICE.cameras(2, &["--udp-loss", "1%", "--faulty", "1"]);
    let sluice = server(&cameras, &udp);
    sluice.wait_until_playing("cam2");
    wait_for_figure(&sluice, "ingress_packets_lost_total", "cam1", 5.0);
    wait_for_figure(&sluice, "keyframes_total", "cam2", 2.0);
    assert_undisturbed(&sluice, "cam2");
    // By TCP there is nothing to lose.
    let sluice = server(&cameras, &[]);
    sluice.wait_until_playing("cam1");
    wait_for_figure(&sluice, "keyframes_total", "cam1", 2.0);
    assert_undisturbed(&sluice, "cam1");
}

#[test]
fn a_clock_that_drifts_shows_in_the_timestamps() {
    let cameras = SLUICE.cameras(1, &["--clock-drift", "-50000", "--audio", "none"]);
    let times = players::picture_times(&cameras.urls[0], 60);
    let odd =
        times.windows(2).map(|pair| pair[1] - pair[0]).find(|step| (step - 0.95 / 30.0).abs() > 0.000_1);
    assert!(times.len() > 50 && odd.is_none(), "{times:?}");
}

/// What `sluice probe --json` says of a camera.
fn probed(url: &str) -> serde_json::Value {
    let output =
        SLUICE.command().args(["probe", "--json", "--timeout", "20s", url]).stdin(Stdio::null()).output();
    serde_json::from_slice(&output.expect("the binary starts").stdout).expect("JSON")
}

#[test]
fn what_browsers_do_not_show_is_named_with_what_to_set() {
    let directory = Directory::new();
    for (name, encoder, plays, what, change) in [
        ("422.mp4", &["-pix_fmt", "yuv422p"][..], "no", "profile High 4:2:2", "set the camera's profile to"),
        (
            "fields.mp4",
            &["-pix_fmt", "yuv420p", "-flags", "+ilme+ildct", "-x264-params", "tff=1"],
            "but",
            "interlaced pictures: browsers show them with combs",
            "set the camera to progressive",
        ),
    ] {
        let h264 = ["-c:v", "libx264", "-g", "25", "-bf", "0"];
        let file = directory.make(name, &[&PICTURES[..], &h264, encoder].concat());
        let cameras = SLUICE.cameras(1, &["--clip", &file]);
        let report = probed(&cameras.urls[0]);
        assert_eq!(report["plays"], plays, "{name}: {report:#}");
        assert!(report["reasons"].to_string().contains(what), "{name}: {report:#}");
        assert!(report["changes"].to_string().contains(change), "{name}: {report:#}");
    }
}

#[test]
fn recovery_points_are_no_keyframes_and_the_way_out_is_named() {
    let directory = Directory::new();
    // The first picture alone is one that a decoder can begin with; from then on columns of blocks are renewed, behind an
    // SEI that says so.
    let source = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=40"];
    let encoder = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "0"];
    let refresh = ["-x264-params", "intra-refresh=1:keyint=25"];
    let file = directory.make("refresh.h264", &[&source[..], &encoder, &refresh].concat());
    let stream = std::fs::read(&file).expect("the file");
    let units = |stream: &[u8], unit: &[u8]| stream.windows(unit.len()).filter(|part| *part == unit).count();
    // An SEI of type 6 (recovery point, ITU-T H.264 §D.1.8) for each second, and one IDR picture.
    assert!(units(&stream, &[0, 0, 1, 6, 6]) >= 38, "{}", units(&stream, &[0, 0, 1, 6, 6]));
    assert_eq!(units(&stream, &[0, 0, 1, 0x65]), 1);
    assert_no_keyframe(&file);

    // Of H.265 the encoder here renews and writes no such SEI (ITU-T H.265 §D.3.8): 24 pictures, exact, before each VPS.
    let encoder = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];
    let refresh = ["-x265-params", "intra-refresh=1:keyint=25:bframes=0:log-level=none"];
    let file = directory.make("plain.hevc", &[&source[..], &encoder, &refresh].concat());
    let (plain, vps) = (std::fs::read(&file).expect("the file"), [0, 0, 0, 1, 0x40, 1]);
    let recovery = [0, 0, 0, 1, 0x4e, 1, 6, 2, 0x06, 0x14, 0x80];
    let mut stream = Vec::new();
    for (at, byte) in plain.iter().enumerate() {
        if plain[at..].starts_with(&vps) {
            stream.extend_from_slice(&recovery);
        }
        stream.push(*byte);
    }
    assert!(units(&stream, &recovery) >= 38, "{}", units(&stream, &recovery));
    let file = directory.keep("refresh.hevc", &stream);
    assert_no_keyframe(&file);
}

/// The second half of the clip, which has no keyframe, does not play, and what to set is said.
fn assert_no_keyframe(file: &str) {
    let cameras = SLUICE.cameras(2, &["--clip", file, "--fps", "25", "--begin-anywhere"]);
    let report = probed(&cameras.urls[1]);
    assert_eq!((&report["plays"], &report["video"]["keyframes"]), (&"no".into(), &0.into()), "{report:#}");
    assert!(report["video"]["pictures"].as_u64().is_some_and(|pictures| pictures > 100), "{report:#}");
    let words = format!("{} {}", report["reasons"], report["changes"]);
    assert!(words.contains("no keyframe for") && words.contains("intra refresh"), "{report:#}");
}
