//! What Sluice makes of the answers of camera models (tests/cameras): which tracks, by which URLs, what is left out and
//! what is said of it.

use std::sync::{Arc, Mutex};

use sluice_media::nal::START_CODE;

use crate::server::{Request, request, server, write};
use crate::{Pull, quick};

/// What a camera said to one request.
struct Said {
    method: String,
    /// What was asked for, where the transcript tells.
    url: String,
    head: Vec<String>,
    body: Vec<String>,
}

/// The answers of a transcript, in order.
fn answers(transcript: &str) -> Vec<Said> {
    let mut all: Vec<Said> = Vec::new();
    let mut in_body = false;
    for line in transcript.lines().filter(|line| !line.starts_with('#')) {
        if let Some(request) = line.strip_prefix("> ") {
            let (method, url) = request.split_once(' ').unwrap_or((request, ""));
            all.push(Said { method: method.into(), url: url.into(), head: Vec::new(), body: Vec::new() });
            in_body = false;
            continue;
        }
        let said = all.last_mut().expect("a transcript begins with a request");
        match line {
            "" if !in_body => in_body = true,
            line if in_body => said.body.push(line.to_owned()),
            line => said.head.push(line.to_owned()),
        }
    }
    all
}

impl Said {
    /// As bytes, in answer to the request numbered `cseq`.
    fn bytes(&self, cseq: &str) -> String {
        let body: String = self.body.iter().map(|line| format!("{line}\r\n")).collect();
        let mut text = String::new();
        for line in &self.head {
            let name = line.split(':').next().unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "cseq" => text += &format!("{name}: {cseq}\r\n"),
                "content-length" => text += &format!("{name}: {}\r\n", body.len()),
                _ => text += &format!("{line}\r\n"),
            }
        }
        text + "\r\n" + &body
    }
}

/// Plays a transcript and says what Sluice made of it, a line for each thing.
async fn look(transcript: &'static str) -> Vec<String> {
    let said = answers(transcript);
    let path = said[0].url.clone();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = asked.clone();
    let (url, _) = server(move |stream| {
        let told = told.clone();
        async move {
            let mut left = answers(transcript);
            while let Some(Request { method, cseq, text, .. }) = request(&stream).await {
                if method == "SETUP" {
                    let target = text.split(' ').nth(1).unwrap_or_default();
                    let target = target.splitn(4, '/').nth(3).unwrap_or_default();
                    told.lock().expect("no panic").push(format!("SETUP /{target}"));
                }
                let at = left.iter().position(|said| said.method == method);
                let answer = match at.map(|at| left.remove(at)) {
                    Some(said) => said.bytes(&cseq),
                    // What the transcript does not have is answered as it is asked.
                    None => {
                        let transport = text.lines().find(|line| line.starts_with("Transport: "));
                        let transport = transport.map_or(String::new(), |line| format!("{line}\r\n"));
                        format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 1\r\n{transport}\r\n")
                    }
                };
                write(&stream, answer.as_bytes()).await;
            }
        }
    })
    .await;
    let mut pull = Pull::start(quick(url.join(&path).expect("a URL")));
    let (formats, sets) = pull.begun().await;
    pull.stop().await;
    assert!(sets.iter().all(|set| !set.starts_with(&START_CODE)), "sets without start codes");
    let mut lines = Vec::new();
    let sets = sets.len();
    lines.extend(formats.video.map(|video| format!("{video}, {sets} parameter sets")));
    lines.extend(formats.audio.map(|audio| audio.to_string()));
    lines.extend(formats.brand.map(|brand| format!("{brand:?}")));
    lines.extend(asked.lock().expect("no panic").drain(..));
    lines.extend(formats.notes);
    lines
}

/// A test for each transcript of `tests/cameras`: its name, the file, and what is made of that.
macro_rules! models {
    ($(fn $name:ident() $file:literal [$($line:literal),+ $(,)?])+) => { $(
        #[tokio::test]
        async fn $name() {
            assert_eq!(look(include_str!(concat!("../cameras/", $file))).await, [$($line),+]);
        }
    )+ };
}

models! {
    fn a_hikvision_is_asked_by_its_own_urls_with_their_query() "hikvision-ds-2cd.txt" [
        "H264, 2 parameter sets",
        "Hikvision",
        "SETUP /Streaming/Channels/101/trackID=1?transportmode=unicast&profile=Profile_1",
        "application vnd.onvif.metadata is not carried",
    ]

    fn a_hikvision_server_describes_its_sound_under_another_number() "hikvision-media-server.txt" [
        "H264, 0 parameter sets",
        "opus stereo from AAC-LC 16000 Hz mono",
        "Hikvision",
        "SETUP /openUrl/gate/trackID=video",
        "SETUP /openUrl/gate/trackID=audio",
    ]

    fn a_dahua_sends_h265_and_g711() "dahua-h265.txt" [
        "H265 12/s, 3 parameter sets",
        "PCMA mono",
        "Dahua",
        "SETUP /cam/realmonitor?channel=1&subtype=2/trackID=0",
        "SETUP /cam/realmonitor?channel=1&subtype=2/trackID=1",
    ]

    fn the_way_back_of_a_dahua_doorbell_is_left_out() "dahua-doorbell-onvif.txt" [
        "H264 15/s, 2 parameter sets",
        "PCMA mono",
        "Dahua",
        "SETUP /cam/realmonitor?channel=1&subtype=0&unicast=true&proto=Onvif/trackID=0",
        "SETUP /cam/realmonitor?channel=1&subtype=0&unicast=true&proto=Onvif/trackID=1",
        "application vnd.onvif.metadata is not carried",
        "audio pcmu is left out: the camera seems to mean it for sound sent to it (sendonly)",
    ]

    fn the_aac_of_a_reolink_becomes_opus() "reolink-rlc-410.txt" [
        "H264, 2 parameter sets",
        "opus stereo from AAC-LC 16000 Hz mono",
        "Reolink",
        "SETUP /h264Preview_01_main/trackID=1",
        "SETUP /h264Preview_01_main/trackID=2",
    ]

    fn an_axis_sends_overlays_that_are_left_out() "axis-gstreamer.txt" [
        "H264 12/s, 2 parameter sets",
        "opus stereo from AAC-LC 16000 Hz mono",
        "Axis",
        "SETUP /axis-media/media.amp/stream=0?video=1&audio=1&svg=on",
        "SETUP /axis-media/media.amp/stream=1?video=1&audio=1&svg=on",
        "application image.svg.data is not carried",
    ]

    fn an_older_axis_writes_its_parameters_in_capitals() "axis-p1311.txt" [
        "H264 30/s, 2 parameter sets",
        "opus stereo from AAC-LC 16000 Hz mono",
        "Axis",
        "SETUP /axis-media/media.amp/trackID=1?videocodec=h264",
        "SETUP /axis-media/media.amp/trackID=2?videocodec=h264",
    ]

    fn a_samsung_names_another_host_and_its_ports() "hanwha-samsung.txt" [
        "H264 30/s, 2 parameter sets",
        "PCMU mono",
        "Hanwha",
        "SETUP /profile5/media.smp/trackID=v",
        "SETUP /profile5/media.smp/trackID=a",
        "application of no known format is not carried",
    ]

    fn a_uniview_cuts_its_lines_short() "uniview-ipc.txt" [
        "H264, 2 parameter sets",
        "Uniview",
        "SETUP /media/video1/video",
        "application vnd.onvif.metadata is not carried",
    ]

    fn a_tp_link_has_a_private_section() "tp-link-ipc.txt" [
        "H265, 3 parameter sets",
        "PCMA mono",
        "TpLink",
        "SETUP /stream1/track1",
        "SETUP /stream1/track2",
        "application/tp-link tp-link is not carried",
    ]

    fn a_tapo_has_no_parameter_sets_yet() "tapo-c200.txt" [
        "H264, 0 parameter sets",
        "PCMA mono",
        "TpLink",
        "SETUP /stream1/track1",
        "SETUP /stream1/track2",
    ]

    fn a_sony_has_lines_out_of_order() "sony-snc-wr630.txt" [
        "H264 25/s, 2 parameter sets",
        "SETUP /media/video1/trackID=1",
    ]

    fn a_foscam_has_sound_without_a_map() "foscam-c1.txt" [
        "H264, 2 parameter sets",
        "PCMU mono",
        "SETUP /videoMain/track1",
        "SETUP /videoMain/track2",
    ]

    fn a_vstarcam_has_no_control_of_its_session() "vstarcam.txt" [
        "H264, 2 parameter sets",
        "PCMA mono",
        "SETUP /tcp/av0_0/track0",
        "SETUP /tcp/av0_0/track1",
    ]

    fn an_anjvision_has_a_base_without_a_scheme() "anjvision.txt" [
        "H265, 3 parameter sets",
        "SETUP /stream0/trackID=1",
    ]

    fn a_macro_video_has_no_origin() "macro-video.txt" [
        "H264, 2 parameter sets",
        "SETUP /onvif1/track1",
    ]

    fn a_xiongmai_has_two_frame_rates() "xiongmai-h264dvr.txt" [
        "H264 25/s, 2 parameter sets",
        "PCMA mono",
        "SETUP /camera/trackID=3",
        "SETUP /camera/trackID=4",
    ]

    fn a_gw_contradicts_the_static_type() "gw-ipc.txt" [
        "H264, 2 parameter sets",
        "PCMU mono",
        "SETUP /H264?channel=1&subtype=0&unicast=true&proto=Onvif/video",
        "SETUP /H264?channel=1&subtype=0&unicast=true&proto=Onvif/audio",
    ]

    fn a_luckfox_says_neither_unicast_nor_multicast() "luckfox-rkipc.txt" [
        "H264, 0 parameter sets",
        "SETUP /live/0/track1",
    ]
}
