//! Sound that becomes Opus, from a camera that was not written here to a viewer that listens: it is heard, only while
//! somebody watches, and when the pictures say.
//!
//! Needs Debian's ffmpeg and GStreamer with libav.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use sluice_harness::Binary;
use sluice_harness::client::{Behaviour, Client, Packet};
use sluice_harness::gstreamer::Camera;
use sluice_harness::player::Player;

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// How far beep and flash may come apart on the way, in seconds. The least that anybody notices is 0.045 (ITU-R BT.1359-1).
const APART: f64 = 0.015;

/// A clip that goes away with the test.
struct Clip(std::path::PathBuf);

impl Clip {
    /// A white flash at each full second, which is a keyframe, and a beep with it.
    fn new() -> Clip {
        let path = std::env::temp_dir().join(format!("sluice-sound-{:016x}.mov", rand::random::<u64>()));
        let picture = "nullsrc=s=320x180:r=25:d=60,geq=lum='if(lt(mod(T,1),0.1),235,16)':cb=128:cr=128";
        let sound = "aevalsrc='0.6*sin(2*PI*1000*t)*lt(mod(t,1),0.1)':s=48000:d=60";
        let arguments = ["-v", "error", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound];
        let codecs =
            ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"];
        let groups = ["-x264-params", "keyint=25:min-keyint=25:scenecut=0", "-c:a", "pcm_s16le"];
        let mut command = Command::new("timeout");
        command.args(["60", "ffmpeg"]).args(arguments).args(codecs).args(groups).arg(&path);
        assert!(command.stdin(Stdio::null()).status().expect("ffmpeg runs").success());
        Clip(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Clip {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// By how much beeps are behind flashes, in seconds, as FFmpeg has both from the camera itself.
fn by_ffmpeg(url: &str) -> f64 {
    let mut command = Command::new("timeout");
    command.args([
        "60",
        "ffmpeg",
        "-hide_banner",
        "-nostats",
        "-rtsp_transport",
        "tcp",
        "-i",
        url,
        "-t",
        "8",
    ]);
    command.args([
        "-vf",
        "blackdetect=d=0.2:pix_th=0.5",
        "-af",
        "silencedetect=n=0.1:d=0.3",
        "-f",
        "null",
        "-",
    ]);
    let output = command.stdin(Stdio::null()).output().expect("ffmpeg runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let numbers = |word: &str| -> Vec<f64> {
        let behind = said.split(word).skip(1);
        behind.filter_map(|text| text.trim_start().split([' ', '\n', '\r']).next()?.parse().ok()).collect()
    };
    apart(&numbers("black_end:"), &numbers("silence_end:")).unwrap_or_else(|| panic!("{said}"))
}

/// The median of how far each of `beeps` is behind the flash that is nearest.
fn apart(flashes: &[f64], beeps: &[f64]) -> Option<f64> {
    let behind = |beep: &f64| {
        let all = flashes.iter().map(|flash| beep - flash);
        all.min_by(|a, b| a.abs().total_cmp(&b.abs()))
    };
    let mut all: Vec<f64> = beeps.iter().filter_map(behind).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().filter(|_| all.len() >= 3)
}

/// The seconds of RTP timestamps of `ssrc` by the last sender report about it (RFC 3550 §6.4.1).
fn seconds(client: &Client, ssrc: u32, rate: f64) -> Option<impl Fn(u32) -> f64 + use<>> {
    let reports = client.reports.iter().rev().map(|(_, compound)| compound);
    let is_its = |report: &&Vec<u8>| report[1] == 200 && report[4..8] == ssrc.to_be_bytes();
    let report = reports.into_iter().find(is_its)?;
    let word = |at: usize| u32::from_be_bytes(report[at..at + 4].try_into().expect("four bytes"));
    let ntp = f64::from(word(8)) + f64::from(word(12)) / 2f64.powi(32);
    let timestamp = word(16);
    Some(move |at: u32| ntp + f64::from(at.wrapping_sub(timestamp).cast_signed()) / rate)
}

/// Timestamps of keyframes.
fn flashes(packets: &[&Packet]) -> Vec<u32> {
    let is_key = |packet: &&&Packet| match packet.payload[0] & 0x1f {
        5 => true,
        24 => packet.payload[3] & 0x1f == 7,
        28 => packet.payload[1] & 0x1f == 5,
        _ => false,
    };
    let mut all: Vec<u32> = packets.iter().filter(is_key).map(|packet| packet.timestamp).collect();
    all.dedup();
    all
}

/// Timestamps of where sound begins behind a silence.
fn beeps(packets: &[&Packet]) -> Vec<u32> {
    let mut decoder = ropus::Decoder::new(48_000, ropus::Channels::Mono).expect("a decoder");
    let (mut all, mut silence) = (Vec::new(), 0);
    for packet in packets {
        let mut samples = [0.0; 5_760];
        let count = decoder.decode_float(&packet.payload, &mut samples, ropus::DecodeMode::Normal);
        for (index, sample) in samples[..count.expect("Opus")].iter().enumerate() {
            if sample.abs() < 0.1 {
                silence += 1;
            } else {
                if silence > 14_400 {
                    all.push(packet.timestamp.wrapping_add(index as u32));
                }
                silence = 0;
            }
        }
    }
    all
}

#[test]
fn sound_is_heard_when_the_pictures_say() {
    let clip = Clip::new();
    let clip = clip.path().to_str().expect("a path in UTF-8");
    for audio in ["aac-16k", "aac-44k", "l16"] {
        let camera = Camera::start(&["--clip", clip, "--audio", audio]);
        let sluice = SLUICE.start(&[&format!("cam={}", camera.url)]);
        sluice.wait_until_playing("cam");
        let url = camera.url.to_string();
        let source = std::thread::spawn(move || by_ffmpeg(&url));
        let mut player = Player::join_as(&sluice, "/cam/whep", Behaviour::BY_HAND);
        let began = Instant::now();
        player.run_until("eight seconds", |_| began.elapsed() > Duration::from_secs(8));
        let client = &player.client;
        let of = |ssrc: u32| -> Vec<&Packet> {
            client.packets.iter().filter(|packet| packet.ssrc == ssrc).collect()
        };
        let (video, sound) = (client.video.ssrc, client.audio.as_ref().expect("sound").ssrc);
        let flash_at = seconds(client, video, 90_000.0).expect("a report about pictures");
        let beep_at = seconds(client, sound, 48_000.0).expect("a report about sound");
        let flashes: Vec<f64> = flashes(&of(video)).into_iter().map(flash_at).collect();
        let beeps: Vec<f64> = beeps(&of(sound)).into_iter().map(beep_at).collect();
        let ours = apart(&flashes, &beeps).unwrap_or_else(|| panic!("{flashes:?} {beeps:?}"));
        let theirs = source.join().expect("FFmpeg listens");
        println!("{audio}: beeps are {ours:.3} s behind flashes here, {theirs:.3} s at the source");
        assert!((ours - theirs).abs() < APART, "{audio}: {ours:.3} s, at the source {theirs:.3} s");
    }
}

/// An independent reader of header extensions, and a camera on this machine, whose clock is ours.
#[test]
fn who_asks_is_told_when_pictures_and_sound_were_captured() {
    let camera = Camera::small(&["--audio", "opus"]);
    let sluice = SLUICE.start(&[&format!("cam={}", camera.url)]);
    sluice.wait_until_playing("cam");
    let asks = Behaviour { capture_times: true, ..Behaviour::BY_HAND };
    let mut player = Player::join_as(&sluice, "/cam/whep", asks);
    let ssrcs = [player.client.video.ssrc, player.client.audio.as_ref().expect("sound").ssrc];
    player.run_until("media", |player| {
        ssrcs.iter().all(|ssrc| player.client.packets.iter().any(|p| p.ssrc == *ssrc))
    });
    // It reports: until then a MID has the place.
    let blocks = ssrcs.map(|ssrc| [&ssrc.to_be_bytes()[..], &[0; 20]].concat()).concat();
    let report = [&[0x82, 201, 0, 13, 0, 0, 0, 9][..], &blocks].concat();
    let report = player.client.seal(&report);
    let (_, server) = player.last_check.clone().expect("it has found the server");
    player.socket.send_to(&report, server).expect("a report is sent");
    let told = |player: &Player, ssrc: u32| -> Vec<Packet> {
        let of =
            player.client.packets.iter().filter(|packet| packet.ssrc == ssrc && packet.captured.is_some());
        of.cloned().collect()
    };
    player.run_until("three times of each", |player| ssrcs.iter().all(|ssrc| told(player, *ssrc).len() >= 3));
    let (now, wall) = (Instant::now(), SystemTime::now());
    for ssrc in ssrcs {
        let told = told(&player, ssrc);
        for packet in &told {
            let captured = packet.captured.expect("told");
            let came = wall - (now - packet.at);
            let delay =
                came.duration_since(captured.capture_time).expect("nothing comes before it is captured");
            let ahead = captured.clock_offset_secs();
            println!("{ssrc}: {delay:?} from capture to here, the camera's clock is {ahead:?} s ahead");
            assert!(delay < Duration::from_secs(2), "{delay:?}");
            assert!(ahead.is_some_and(|ahead| ahead.abs() < 2.0), "{ahead:?}");
        }
        let apart = told[2].at - told[1].at;
        assert!(apart > Duration::from_millis(900), "once a second: {apart:?}");
    }
}

#[test]
fn sound_costs_nothing_while_nobody_watches() {
    let camera = Camera::small(&["--audio", "aac"]);
    let sluice = SLUICE.start(&[&format!("cam={}", camera.url)]);
    sluice.wait_until_playing("cam");
    let turned = "sluice_stream_sound_transcoded_units_total{stream=\"cam\"}";
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(sluice.metric(turned), 0.0);
    let mut player = Player::join(&sluice, "/cam/whep");
    let heard = |player: &Player| {
        let sound = player.client.audio.as_ref().expect("sound").ssrc;
        player.client.packets.iter().filter(|packet| packet.ssrc == sound).count()
    };
    player.run_until("sound", |player| heard(player) >= 50);
    assert!(sluice.metric(turned) >= 40.0, "{}", sluice.metric(turned));
    assert_eq!(sluice.metric("sluice_stream_sound_discarded_units_total{stream=\"cam\"}"), 0.0);
}
