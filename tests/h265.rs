//! H.265 from end to end: a camera that was not written here, a viewer that checks everything, and other people's
//! decoder, which sees the very pictures that were encoded.
//!
//! Needs Debian's ffmpeg and GStreamer with x265.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice::track::VideoPacketizer;
use sluice_harness::gstreamer::Camera;
use sluice_harness::{Binary, Request, wait_for};
use sluice_media::nal::{START_CODE, find_start_code};
use sluice_media::{AccessUnit, VideoCodec};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// An offer that has no H.265.
const CHROMIUM: &str = include_str!("data/chromium-156.sdp");

/// Pictures of the clip.
const PICTURES: usize = 75;

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let path = std::env::temp_dir().join(format!("sluice-h265-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&path).expect("a directory");
        Directory(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn ffmpeg(arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["60", "ffmpeg", "-v", "warning", "-y"]).args(arguments).stdin(Stdio::null());
    command
}

#[track_caller]
fn said(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !errors.to_lowercase().contains("error"),
        "{}\n{errors}",
        output.status
    );
    String::from_utf8(output.stdout).expect("text")
}

/// Digests of the decoded pictures of an input, in order.
fn digests(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().expect("a digest").trim()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The pictures of a byte stream, each as its NAL units: one begins at what may stand before a first slice.
fn pictures(stream: &[u8]) -> Vec<Vec<Bytes>> {
    let (mut pictures, mut has_slice) = (vec![Vec::new()], false);
    let mut start = find_start_code(stream, 0);
    while let Some(code) = start {
        start = find_start_code(stream, code + START_CODE.len());
        let nal = &stream[code + START_CODE.len()..start.unwrap_or(stream.len())];
        let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let (nal, kind) = (&nal[..end], nal[0] >> 1 & 0x3f);
        let is_first_slice = kind < 32 && nal[2] & 0x80 != 0;
        if has_slice && (is_first_slice || (32..40).contains(&kind)) {
            pictures.push(Vec::new());
            has_slice = false;
        }
        has_slice |= kind < 32;
        pictures.last_mut().expect("one is begun").push(Bytes::copy_from_slice(nal));
    }
    pictures
}

#[test]
fn a_camera_of_h265_plays_to_who_takes_it_and_others_are_told_why_not() {
    let camera = Camera::small(&["--video", "h265"]);
    let sluice = SLUICE.start(&[&format!("cam={}", camera.url)]);
    sluice.wait_until_playing("cam");

    // Every viewer sees whole pictures from its first packet on, and repairs are asked for and come.
    let url = format!("http://{}/cam/whep", sluice.http);
    let checks = ["--require=failed<1", "--require=silent<1", "--require=verify_errors<1"];
    let load =
        SLUICE.load_to(0, &url, &[&["--viewers=3", "--duration=4s", "--verify=1"][..], &checks].concat());
    assert!(load.number("/verified/frames") >= 3.0 * 90.0, "{:#}", load.report);
    assert!(load.number("/verified/keyframes") >= 3.0 * 4.0, "{:#}", load.report);
    let lossy = ["--viewers=3", "--duration=4s", "--verify=1", "--loss=5%"];
    let load = SLUICE.load_to(0, &url, &[&lossy[..], &checks].concat());
    assert!(load.number("/verified/frames") >= 3.0 * 80.0, "{:#}", load.report);

    // A browser without it.
    let answer = sluice.request(Request::offer("/cam/whep", CHROMIUM));
    assert_eq!(answer.status, 422, "{}", answer.text());
    let words =
        "this camera sends H.265, which this browser cannot play: set it to H.264, or give its second stream";
    assert!(answer.text().contains(words), "{}", answer.text());
    let streams = sluice.request(Request::get("/streams.json")).json();
    assert!(streams.to_string().contains("\"codec\":\"H265\""), "{streams:#}");

    // Its still, in a player's eyes.
    let directory = Directory::new();
    let still = directory.file("still.mp4");
    let answer = sluice.request(Request::get("/cam/frame.mp4"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    std::fs::write(&still, &answer.body).expect("a file");
    let entries = "stream=codec_name,codec_tag_string,width,height";
    let probe = ["-v", "warning", "-show_entries", entries, "-of", "csv=p=0", text(&still)];
    let output = Command::new("ffprobe").args(probe).output().expect("ffprobe is installed");
    assert_eq!(said(output).trim(), "hevc,hvc1,320,180");
    let output = ffmpeg(&["-xerror", "-i", text(&still), "-f", "framemd5", "-"]).output();
    assert_eq!(digests(&said(output.expect("ffmpeg is installed"))).len(), 1);
}

#[test]
fn other_people_s_decoder_sees_the_very_pictures_that_were_encoded() {
    let directory = Directory::new();
    let (clip, description) = (directory.file("clip.h265"), directory.file("clip.sdp"));
    let seconds = (PICTURES / 25).to_string();
    // Slices of a few packets, keyframes of many.
    let source =
        ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-t", &seconds, "-pix_fmt", "yuv420p"];
    let encoder =
        ["-c:v", "libx265", "-x265-params", "bframes=0:keyint=25:slices=3:log-level=none", text(&clip)];
    said(ffmpeg(&[&source[..], &encoder].concat()).output().expect("ffmpeg is installed"));
    let decoded = ffmpeg(&["-i", text(&clip), "-fps_mode", "passthrough", "-f", "framemd5", "-"]).output();
    let decoded = said(decoded.expect("ffmpeg is installed"));
    let expected = digests(&decoded);
    assert_eq!(expected.len(), PICTURES);

    // A free port, which the receiver takes.
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let sdp = format!(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video {port} RTP/AVP 96\r\n\
         a=rtpmap:96 H265/90000\r\n"
    );
    std::fs::write(&description, sdp).expect("a file");
    let (count, input) = (
        PICTURES.to_string(),
        ["-protocol_whitelist", "file,udp,rtp", "-buffer_size", "8388608", "-threads", "1"],
    );
    let output =
        ["-i", text(&description), "-fps_mode", "passthrough", "-frames:v", &count, "-f", "framemd5", "-"];
    let mut receiver = ffmpeg(&[&["-xerror"][..], &input, &output].concat());
    let receiver =
        receiver.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ffmpeg is installed");
    let bound = format!(":{port:04X} ");
    wait_for("the receiver's socket", || {
        let sockets = std::fs::read_to_string("/proc/net/udp").expect("Linux");
        sockets.contains(&bound).then_some(())
    });

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut packetizer = VideoPacketizer::new(VideoCodec::H265, 1_000);
    let pictures = pictures(&std::fs::read(&clip).expect("the clip"));
    assert_eq!(pictures.len(), PICTURES);
    let mut largest = 0;
    // Some more behind them: the receiver holds the last ones until it knows that they are whole.
    for (index, nals) in pictures.iter().cycle().take(PICTURES + 25).cloned().enumerate() {
        let unit =
            AccessUnit { nals, timestamp: 3_600 * index as i64, received: Instant::now(), after_gap: false };
        for train in packetizer.packetize(unit).expect("a picture") {
            for (at, payload) in train.packets.iter().enumerate() {
                let marker = if train.marker(at) { 0x80 } else { 0 };
                let number = (train.sequence + at as u64).0 as u16;
                let mut packet = vec![0x80, marker | 96];
                packet.extend_from_slice(&number.to_be_bytes());
                packet.extend_from_slice(&(train.timestamp as u32).to_be_bytes());
                packet.extend_from_slice(&[0, 0, 0, 7]);
                packet.extend_from_slice(payload);
                largest = largest.max(payload.len());
                socket.send_to(&packet, ("127.0.0.1", port)).expect("sent");
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(largest <= sluice_media::MAX_PAYLOAD, "{largest}");
    let received = said(receiver.wait_with_output().expect("its output"));
    assert_eq!(digests(&received), expected);
}
