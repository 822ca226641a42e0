use super::super::measure::tests::Camera;
use super::*;
use crate::source::rtsp::{Failed, Offered};

const URL: &str = "rtsp://admin:canary@192.0.2.10/stream";

fn outcome(transport: Option<Transport>) -> Outcome {
    Outcome { failed: None, sign_in: SignIn::Digest("MD5"), transport, offered: Vec::new() }
}

fn failed(words: &str, stage: Stage) -> Outcome {
    let failed = Failed { words: words.to_owned(), stage, wants_udp: false };
    Outcome { failed: Some(failed), ..outcome(None) }
}

fn report_as(name: &str, outcome: &Outcome, measure: &Measure) -> Report {
    report_after(None, name, outcome, measure)
}

/// As [`report_as`], when the camera had been silent.
fn report_after(silence: Option<Duration>, name: &str, outcome: &Outcome, measure: &Measure) -> Report {
    let report = Report::new(&Found {
        address: "192.0.2.10:554".to_owned(),
        url: &URL.parse().expect("a URL"),
        name: &name.parse().expect("a name"),
        fingerprint: None,
        credentials: true,
        outcome,
        measure,
        time: Duration::from_millis(4_321),
        silence,
        interrupted: false,
    });
    let (text, json) = (report.to_string(), report.json());
    assert!(!text.contains("canary") && !json.contains("canary"), "a password is in {text}{json}");
    serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
    report
}

fn report(outcome: &Outcome, measure: &Measure) -> Report {
    report_as("gate", outcome, measure)
}

/// `seconds` of a camera with a keyframe each `group` pictures.
fn camera(group: u32, seconds: u32) -> Camera {
    let mut camera = Camera::new(false);
    while camera.pictures < seconds * 25 {
        camera.keyframe();
        camera.others(group - 1);
    }
    camera.keyframe();
    camera
}

#[test]
fn a_good_camera_plays_and_gets_its_lines() {
    let report = report(&outcome(Some(Transport::Tcp)), &camera(50, 4).measure);
    assert_eq!((report.plays, report.exit_code), (Plays::Yes, 0));
    assert_eq!(
        report.to_string(),
        "camera     192.0.2.10:554\n\
         transport  tcp\n\
         sign-in    Digest MD5\n\
         video      H264 Main 3.0, 320x240, 25.0 pictures/s, 1.0 Mb/s, keyframe every 2.0 s, no B-frames\n\
         audio      none\n\
         verdict    plays in all browsers\n\
         \n\
         [streams.gate]\n\
         # Write the password for PASSWORD, in it % as %25, @ as %40, / as %2F, ? as %3F and # as %23;\n\
         # or leave `source` out, and give the whole URL as the variable SLUICE_STREAMS_GATE_SOURCE.\n\
         source = \"rtsp://admin:PASSWORD@192.0.2.10/stream\"\n"
    );
}

#[test]
fn a_camera_that_went_silent_does_not_play() {
    let silence = Some(Duration::from_millis(3_200));
    let good = outcome(Some(Transport::Tcp));
    let report = report_after(silence, "gate", &good, &camera(50, 4).measure);
    assert_eq!((report.plays, report.exit_code), (Plays::No, 1));
    assert_eq!(
        report.reasons,
        ["it went silent: media came in the first 1.1 s, and none in the 3.2 s behind them"]
    );
    // A session that broke says so itself.
    let broken = failed("closed the connection", Stage::Reached);
    let report = report_after(silence, "gate", &broken, &camera(50, 4).measure);
    assert_eq!(report.reasons.len(), 1, "{:?}", report.reasons);
}

#[test]
fn the_lines_are_a_configuration_and_say_udp_where_it_must_be_set() {
    for (transport, expected) in
        [(Transport::Tcp, None), (Transport::Udp, Some(sluice_config::Transport::Udp))]
    {
        let report = report_as("Gate-1", &outcome(Some(transport)), &camera(50, 4).measure);
        let text = report.toml.expect("lines");
        let load = |text: String, env: &[(&str, &str)]| {
            let file = sluice_config::File::Text { name: "probe".to_owned(), text };
            let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let inputs = sluice_config::Inputs { file: Some(file), env, ..sluice_config::Inputs::default() };
            sluice_config::load(inputs).expect("a configuration")
        };
        assert_eq!(load(text.clone(), &[]).streams["Gate-1"].rtsp_transport, expected);
        // The other way that the lines name: without `source`, by a variable.
        let variable = "SLUICE_STREAMS_GATE_1_SOURCE";
        assert!(text.contains(variable), "{text}");
        let text = text.lines().filter(|line| !line.starts_with("source")).collect::<Vec<_>>().join("\n");
        let streams = load(text, &[(variable, "rtsp://admin:pw@192.0.2.10/stream")]).streams;
        let names: Vec<_> = streams.keys().map(sluice_config::StreamName::as_str).collect();
        assert_eq!(names, ["Gate-1"]);
    }
}

#[test]
fn flaws_are_named_with_what_to_change_and_it_plays() {
    let mut b_frames = camera(50, 4);
    b_frames.b_picture();
    let mut lossy = camera(50, 4);
    lossy.measure.lost(7);
    let mut once = Camera::new(false);
    once.keyframe();
    once.others(150);
    let mut silent = Camera::new(true);
    silent.keyframe();
    let sound = |fit| Outcome {
        offered: vec![Offered {
            kind: Some(Kind::Audio),
            name: "audio mpeg4-generic".to_owned(),
            fit,
            carried: false,
        }],
        ..outcome(Some(Transport::Tcp))
    };
    let (tcp, udp) = (outcome(Some(Transport::Tcp)), outcome(Some(Transport::Udp)));
    for (outcome, camera, reason, change) in [
        (&tcp, &b_frames, "B-frames", Some("B-frames to 0")),
        (&tcp, &camera(150, 12), "keyframes are up to 6.0 s apart", Some("to 2 s")),
        (&tcp, &once, "no second keyframe within 6.0 s", Some("to 2 s")),
        (&sound(false), &camera(50, 4), "without its sound (audio mpeg4-generic)", Some("G.711")),
        (&sound(true), &camera(50, 4), "without its sound", None),
        (&tcp, &silent, "no sound came", None),
        (&udp, &lossy, "7 packets were lost: try --transport tcp", None),
    ] {
        let report = report(outcome, &camera.measure);
        assert_eq!((report.plays, report.exit_code), (Plays::But, 0), "{reason}");
        assert!(report.reasons.len() == 1 && report.reasons[0].contains(reason), "{:?}", report.reasons);
        assert_eq!(report.changes.len(), usize::from(change.is_some()), "{:?}", report.changes);
        assert!(change.is_none_or(|change| report.changes[0].contains(change)), "{:?}", report.changes);
        assert!(report.to_string().contains(", but "));
    }
}

#[test]
fn basic_is_a_change_and_no_flaw() {
    let basic = Outcome { sign_in: SignIn::Basic, ..outcome(Some(Transport::Tcp)) };
    let report = report(&basic, &camera(50, 4).measure);
    assert_eq!((report.plays, report.exit_code), (Plays::Yes, 0));
    assert!(report.changes.len() == 1 && report.changes[0].contains("Digest"), "{:?}", report.changes);
}

#[test]
fn what_does_not_play_says_why_and_how_far_it_came() {
    let mut without_keyframe = Camera::new(false);
    without_keyframe.others(100);
    let mut without_sets = Camera::new(false);
    without_sets.keyframe_without_sets();
    let (nothing, silent) = (Measure::default(), Camera::new(false).measure);
    let there = outcome(Some(Transport::Tcp));
    let jpeg =
        vec![Offered { kind: Some(Kind::Video), name: "video jpeg".to_owned(), fit: false, carried: false }];
    for (outcome, measure, reason, change, code) in [
        (&failed("cannot be reached", Stage::Unreached), &nothing, "camera 192.0.2.10:554 cannot be", "", 3),
        (&failed("refused", Stage::SignIn), &nothing, "refused", "", 3),
        (&failed("offers nothing", Stage::Reached), &nothing, "offers nothing", "", 1),
        (
            &Outcome { offered: jpeg, ..failed("offers nothing", Stage::Reached) },
            &nothing,
            "offers",
            "H.264",
            1,
        ),
        (
            &failed("closed the connection", Stage::Reached),
            &camera(50, 4).measure,
            "after 4.3 s camera",
            "",
            1,
        ),
        (&outcome(None), &nothing, "4.3 s did not suffice", "", 3),
        (&there, &silent, "no whole picture came within 4.3 s", "", 1),
        (&there, &without_keyframe.measure, "no keyframe for 3 s", "intra refresh", 1),
        (&there, &without_sets.measure, "no SPS/PPS", "", 1),
    ] {
        let report = report(outcome, measure);
        assert_eq!((report.plays, report.exit_code), (Plays::No, code), "{reason}");
        assert!(report.reasons[0].contains(reason), "{reason}: {:?}", report.reasons);
        assert_eq!(report.changes.is_empty(), change.is_empty(), "{:?}", report.changes);
        assert!(report.changes.iter().all(|line| line.contains(change)), "{:?}", report.changes);
        assert_eq!(report.toml.is_some(), outcome.transport.is_some(), "lines once there is something");
        let text = report.to_string();
        assert!(text.contains("no, because "), "{text}");
        assert_eq!(text.contains("Digest MD5, refused"), outcome_is_sign_in(outcome), "{text}");
    }
}

fn outcome_is_sign_in(outcome: &Outcome) -> bool {
    outcome.failed.as_ref().is_some_and(|failed| failed.stage == Stage::SignIn)
}

/// What was found at the first stream of a camera, and at its second, which is `layer`.
fn joined(layer: u8, first: Report, second: Report) -> Report {
    let url = |stream: &str| format!("rtsp://admin:canary@192.0.2.10/Streaming/Channels/{stream}");
    let streams = if layer == HIGH { ["102", "101"] } else { ["101", "102"] };
    let [asked, other] = streams.map(|stream| url(stream).parse::<RtspUrl>().expect("a URL"));
    let name = "gate".parse().expect("a name");
    let mut report = first;
    report.join(&Two { first: &asked, other: &other, layer, name: &name, fingerprint: None }, second);
    assert!(!report.to_string().contains("canary") && !report.json().contains("canary"));
    report
}

#[test]
fn two_streams_that_play_are_the_lines_of_a_pair_whichever_was_asked_for() {
    let good = || report(&outcome(Some(Transport::Udp)), &camera(50, 4).measure);
    for layer in [HIGH, crate::stream::LOW] {
        let report = joined(layer, good(), good());
        let toml = report.toml.clone().expect("lines");
        let source = "source = { high = \"rtsp://admin:PASSWORD@192.0.2.10/Streaming/Channels/101\", \
            low = \"rtsp://admin:PASSWORD@192.0.2.10/Streaming/Channels/102\" }\nrtsp_transport = \"udp\"\n";
        assert!(toml.ends_with(source), "{toml}");
        let file = sluice_config::File::Text { name: "probe".to_owned(), text: toml };
        let inputs = sluice_config::Inputs { file: Some(file), ..sluice_config::Inputs::default() };
        assert!(sluice_config::load(inputs).is_ok(), "they can be read");
        let name = if layer == HIGH { "high       rtsp://" } else { "low        rtsp://" };
        assert!(report.to_string().contains(name), "{report}");
    }
    let broken = report(&failed("answered DESCRIBE by 404", Stage::Reached), &Measure::default());
    let report = joined(crate::stream::LOW, good(), broken);
    assert_eq!(
        (report.plays, report.exit_code),
        (Plays::Yes, 0),
        "a second stream that is not there is no flaw"
    );
    assert!(
        report.to_string().contains("verdict    no, because camera 192.0.2.10:554 answered DESCRIBE"),
        "{report}"
    );
    assert!(report.toml.is_some_and(|toml| toml.contains("source = \"rtsp://")), "one stream, as before");
}

#[test]
fn a_codec_that_is_not_everywhere_is_the_verdict_and_no_flaw_of_it() {
    let advice = |what: &str, setting| Advice { what: what.to_owned(), remedy: None, stops: false, setting };
    let codec = advice("H265: only some", Some(Setting::Codec));
    let flaw = advice("7 packets were lost", None);
    assert_eq!(verdict(Plays::Yes, &[]), "plays in all browsers");
    assert_eq!(
        verdict(Plays::But, std::slice::from_ref(&flaw)),
        "plays in all browsers, but 7 packets were lost"
    );
    assert_eq!(verdict(Plays::But, std::slice::from_ref(&codec)), "plays where H.265 is there");
    let both = [codec, flaw];
    assert_eq!(verdict(Plays::But, &both), "plays where H.265 is there, but 7 packets were lost");
    assert_eq!(verdict(Plays::No, &both), "no, because H265: only some; 7 packets were lost");
}
