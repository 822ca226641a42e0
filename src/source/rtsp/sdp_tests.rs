use super::*;

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=cam\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n";
const VIDEO: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n\
    a=framerate:25\r\na=control:trackID=1\r\n";

fn video() -> Media {
    Media {
        kind: "video".into(),
        payload_type: Some(96),
        more_types: Vec::new(),
        encoding: "h264".into(),
        clock_rate: 90_000,
        channels: None,
        fmtp: Some("packetization-mode=1".into()),
        control: Some("trackID=1".into()),
        frame_rate: Some(25.0),
        send_only: false,
        group: None,
        port: None,
        feedback: false,
    }
}

#[test]
fn what_matters_is_read_and_no_other_line_does_harm() {
    let plain = read(format!("{HEAD}{VIDEO}").as_bytes());
    assert_eq!(
        plain,
        Description {
            control: Some("*".into()),
            media: vec![video()],
            said: vec!["cam".into(), "control:*".into()],
            ..Description::default()
        }
    );
    for head in [
        "",
        "v=0\r\no=- 1001 1 IN\r\ns=IPC stream\r\nc=IN\r\n",
        "v=0\r\no=- -7751900248001175080 -1 IN IP4 1\r\n",
        "v=1\r\nv=0\r\nb=AS:many\r\nt=now\r\nx\r\n=\r\n==\r\na=\r\na\r\n\0\0\r\ni=\r\n",
        "a=range:npt=now-\r\na=x-qt-text-nam:x\r\n",
    ] {
        let read = read(format!("{head}{VIDEO}").as_bytes());
        assert_eq!(read.media, [video()], "{head}");
    }
}

#[test]
fn ports_encodings_of_text_and_ends_of_lines_do_not_matter() {
    let odd = [
        VIDEO.replace("video 0 ", "video -1253744643 "),
        VIDEO.replace("video 0 ", "VIDEO  0/2\t"),
        VIDEO.replace("\r\n", "\n"),
        VIDEO.replace("\r\n", "\r"),
        VIDEO.replace("\r\n", " \r\n"),
        VIDEO.replace("a=", " a="),
        VIDEO.replace("rtpmap:96 ", "rtpmap: 96  "),
        VIDEO.replace("fmtp:96 ", "fmtp:97 "),
        VIDEO.replace("rtpmap:96 ", "rtpmap:97 "),
        VIDEO.replace("H264/90000", "h264/90000/1").replace("/1\r", "\r"),
        VIDEO.replace("H264/90000", "H264"),
        VIDEO.replace("H264/90000", "H264/fast"),
        VIDEO.replace("a=rtpmap:96 H264/90000\r\n", ""),
        VIDEO.replace("a=rtpmap", "a=framerate:x\r\na=RtpMap"),
    ];
    for text in odd {
        assert_eq!(read(text.as_bytes()).media, [video()], "{text:?}");
    }
    let gbk = [b"v=0\ns=\xb4\xf3\xc3\xc5\nc=IN IP4 '&\xff\xfe\r\n", VIDEO.as_bytes()].concat();
    assert_eq!(read(&gbk).media, [video()]);
}

#[test]
fn private_sections_are_kept_apart() {
    let private =
        "m=application/tp-link 0 RTP/AVP smart/0/25000\r\na=rtpmap:95 tp-link/25000\r\na=control:track3\r\n";
    let read = read(format!("{HEAD}{VIDEO}{private}m=\r\nm=audio 0 RTP/AVP 0\r\n").as_bytes());
    assert_eq!(read.media.len(), 4);
    assert_eq!(read.media[0], video());
    assert_eq!(
        (read.media[1].kind.as_str(), read.media[1].encoding.as_str()),
        ("application/tp-link", "tp-link")
    );
    assert_eq!(read.media[2], Media::default());
    assert_eq!((read.media[3].encoding.as_str(), read.media[3].channels), ("pcmu", Some(1)));
}

#[test]
fn of_several_formats_the_one_that_is_carried_is_read() {
    let text = "m=audio 0 RTP/AVP 97 8 0\r\na=rtpmap:97 MPEG4-GENERIC/16000\r\na=fmtp:97 config=1408\r\n";
    let media = read(text.as_bytes()).media.swap_remove(0);
    assert_eq!((media.payload_type, media.encoding.as_str(), media.fmtp), (Some(8), "pcma", None));
    let media = read(text.replace(" 8 0", "").as_bytes()).media.swap_remove(0);
    assert_eq!(
        (media.payload_type, media.encoding.as_str(), media.clock_rate),
        (Some(97), "mpeg4-generic", 16_000)
    );
    let events = "m=audio 0 RTP/AVP 101 97\r\na=rtpmap:101 telephone-event/8000\r\n";
    let media = read(text.replace("m=audio 0 RTP/AVP 97 8 0\r\n", events).as_bytes()).media.swap_remove(0);
    assert_eq!((media.payload_type, media.encoding.as_str()), (Some(97), "mpeg4-generic"));
    let media = read(b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 HEVC/90000\r\n").media.swap_remove(0);
    assert_eq!(media.encoding, "h265");
    let media = read(b"m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/16000\r\n").media.swap_remove(0);
    assert_eq!((media.encoding.as_str(), media.clock_rate), ("pcmu", 16_000));
    // The first control counts, also one before the map.
    let media = read(b"m=audio 0 RTP/AVP 0\r\na=control:a\r\na=control:b\r\n").media.swap_remove(0);
    assert_eq!(media.control.as_deref(), Some("a"));
}

#[test]
fn formats_of_one_codec_in_a_section_are_one() {
    let text = "m=video 0 RTP/AVP 96 97 98 99\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 H264/90000\r\n\
                a=rtpmap:98 rtx/90000\r\na=rtpmap:99 H264/90000\r\n";
    let media = read(text.as_bytes()).media.swap_remove(0);
    assert_eq!((media.payload_type, media.more_types), (Some(96), vec![97, 99]));
}

#[test]
fn sections_without_end_are_counted() {
    let text = format!("{HEAD}{VIDEO}{}", "m=audio 0 RTP/AVP 0\r\na=control:t\r\n".repeat(5_000));
    let read = read(text.as_bytes());
    assert_eq!((read.media.len(), read.more), (MAX_SECTIONS, 5_001 - MAX_SECTIONS));
    let maps = format!("{VIDEO}{}", "a=rtpmap:1 x/1\r\na=fmtp:1 x\r\n".repeat(5_000));
    assert_eq!(super::read(maps.as_bytes()).media, [video()]);
}

/// retina's reader, strict as it is, reads the same from cameras that behave.
#[test]
fn well_behaved_descriptions_read_as_by_sdp_types() {
    let theirs = sdp_types::Session::parse(format!("{HEAD}{VIDEO}").as_bytes()).expect("it is well-formed");
    let ours = read(format!("{HEAD}{VIDEO}").as_bytes());
    assert_eq!(theirs.medias.len(), ours.media.len());
    for (theirs, ours) in theirs.medias.iter().zip(&ours.media) {
        assert_eq!(theirs.media, ours.kind);
        assert_eq!(theirs.fmt.parse().ok(), ours.payload_type);
        assert_eq!(theirs.get_first_attribute_value("control").ok().flatten(), ours.control.as_deref());
    }
}

#[test]
fn ends_of_strings_and_folds_do_no_harm() {
    let plain = format!("{HEAD}{VIDEO}");
    for text in [
        plain.replace("\r\n", "\0\r\n"),
        format!("{}\0", plain.trim_end()),
        plain.replace("packetization-", "\r\n packetization-"),
        plain.replace("\r\n", "\r\n\t"),
    ] {
        assert_eq!(read(text.as_bytes()).media, [video()], "{text:?}");
    }
}

#[test]
fn parameters_over_several_lines_are_one_formats() {
    let text = VIDEO.replace(
        "a=fmtp:96 packetization-mode=1",
        "a=fmtp:96 packetization-mode=1;\r\na=fmtp:97 x=y\r\na=fmtp:96 sprop-parameter-sets=Z0I=",
    );
    let media = read(text.as_bytes()).media.swap_remove(0);
    assert_eq!(media.fmtp.as_deref(), Some("packetization-mode=1;sprop-parameter-sets=Z0I="));
}

#[test]
fn h264_is_known_by_what_only_it_has() {
    let media = |text: &str| read(text.as_bytes()).media.swap_remove(0);
    assert_eq!(media(&VIDEO.replace("H264/90000", "H264/0")), video());
    for (parameters, encoding) in [
        ("packetization-mode=1", "h264"),
        ("profile-level-id=42c014;sprop-parameter-sets=Z0I=", "h264"),
        ("sprop-parameter-sets=Z0I=", "h264"),
        ("profile-level-id=42C014", "h264"),
        ("profile-level-id=1; config=000001b0", ""),
        ("x-sprop-parameter-sets=Z0I=", ""),
    ] {
        let read = media(&format!("m=video 0 RTP/AVP 96\r\na=fmtp:96 {parameters}\r\n"));
        assert_eq!(read.encoding, encoding, "{parameters}");
    }
}

#[test]
fn whether_a_camera_may_be_asked_is_in_its_profile() {
    let of = |line: &str| {
        read(format!("v=0\r\n{line}\r\na=rtpmap:96 H264/90000\r\n").as_bytes()).media[0].feedback
    };
    assert!(of("m=video 0 RTP/AVPF 96") && of("m=video 0 rtp/avpf 96") && of("m=video 0 RTP/SAVPF 96"));
    assert!(!of("m=video 0 RTP/AVP 96") && !of("m=video 0 RTP/SAVP 96") && !of("m=video"));
}
