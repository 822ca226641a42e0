//! A real browser plays: the demo, cameras of each audio codec, and a camera that goes away and comes back.
//!
//! Chromium is driven by `browser/play.mjs`; what is asserted is its own `getStats()`. Screenshots stay in
//! `tests/artifacts/`.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

#[path = "browser/access.rs"]
mod access;
#[path = "http/access/other.rs"]
mod other;

use std::time::Duration;

use serde_json::Value;
use sluice_harness::Binary;
use sluice_harness::authority::{Authority, PairFiles};
use sluice_harness::gstreamer::Camera;
use sluice_harness::page::{Page, frames, turn};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// What every good playback has in common.
fn assert_plays(stats: &Value, audio: &str) {
    assert_eq!(stats["failures"], serde_json::json!([]), "{stats:#}");
    assert_eq!(stats["errors"], serde_json::json!([]), "no page or policy errors: {stats:#}");
    assert_eq!(stats["video"]["frameWidth"], 1280, "{stats:#}");
    assert_eq!(stats["video"]["frameHeight"], 720, "{stats:#}");
    assert_eq!(stats["video"]["mimeType"], "video/H264", "{stats:#}");
    assert_eq!(stats["audio"]["mimeType"], audio, "{stats:#}");
    assert!(stats["audio"]["packetsReceived"].as_u64() > Some(20), "{stats:#}");
    assert_eq!(stats["transport"]["srtpCipher"], "SRTP_AEAD_AES_256_GCM", "{stats:#}");
}

/// The camera stand-in on a port.
fn stand_in(port: u16, audio: &str) -> Camera {
    Camera::start(&["--port", &port.to_string(), "--audio", audio])
}

#[test]
fn the_demo_plays_with_sound() {
    let _turn = turn();
    let sluice = SLUICE.start(&[]);
    let mut page = Page::open(sluice.http, "/demo/?muted=0");
    let stats = page.wait_for_frames(90);
    assert_plays(&stats, "audio/opus");
    page.screenshot("demo");
    assert_eq!(sluice.metric("sluice_viewers"), 1.0);
    drop(page);
    // The page says goodbye when it is left.
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
}

#[test]
fn the_demo_plays_over_https() {
    let _turn = turn();
    let files = PairFiles::new(&Authority::default().pair(&["127.0.0.1"]));
    let arguments = files.arguments("http");
    let sluice = SLUICE.start(&arguments.each_ref().map(String::as_str));
    let mut page = Page::open_secure(sluice.http, "/demo/?muted=0");
    let stats = page.wait_for_frames(90);
    assert_plays(&stats, "audio/opus");
    let protocol = page.eval("performance.getEntriesByType('navigation')[0].nextHopProtocol");
    assert_eq!(protocol, "h2");
    assert_eq!(page.eval("isSecureContext"), true);
    drop(page);
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
}

#[test]
fn a_page_goes_on_from_another_server_when_its_own_drains() {
    let _turn = turn();
    let other = SLUICE.start(&[]);
    other.wait_until_playing("demo");
    let elsewhere = format!("drain.elsewhere=http://{}", other.http);
    let sluice = SLUICE.start(&["--set", &elsewhere, "--set", "drain.timeout=2s"]);
    let sluice_http = sluice.http;
    let mut page = Page::open(sluice_http, "/demo/");
    page.wait_for_frames(30);
    assert_eq!(other.metric("sluice_sessions"), 0.0);

    sluice.signal("TERM");
    let (status, log) = sluice.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    other.wait_for_metric("sluice_viewers", "is 1", |viewers| viewers == 1.0);
    // Of another connection, whose pictures are counted anew.
    let after = page.wait_for_frames(60);
    // It asked why its session had ended, while there was somebody to ask.
    let asked = format!("(Not Found) http://{}/demo/whep/", sluice_http);
    let errors = after["errors"].as_array().expect("a list");
    let other_than_asked = |error: &&Value| !error["text"].as_str().is_some_and(|text| text.contains(&asked));
    assert_eq!(errors.iter().find(other_than_asked), None, "no page or policy errors: {after:#}");
    // It says goodbye there, too.
    drop(page);
    other.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
}

#[test]
fn a_camera_with_pcmu_plays() {
    camera_plays("pcmu", "audio/PCMU");
}

#[test]
fn a_camera_with_opus_plays() {
    camera_plays("opus", "audio/opus");
}

/// Sound that browsers do not take reaches them as Opus.
#[test]
fn a_camera_with_aac_plays() {
    camera_plays("aac-16k", "audio/opus");
}

#[test]
fn a_camera_with_g722_plays() {
    camera_plays("g722", "audio/G722");
}

fn camera_plays(audio: &str, mime: &str) {
    let _turn = turn();
    let port = sluice_harness::ports::free_port();
    let _camera = stand_in(port, audio);
    let sluice = SLUICE.start(&[&format!("cam=rtsp://127.0.0.1:{port}/cam")]);
    sluice.wait_until_playing("cam");
    let mut page = Page::open(sluice.http, "/cam/");
    // Some of them are of before the join, and sound is not: a packet of it is 60 ms here.
    let stats = page.wait_for_frames(180);
    assert_plays(&stats, mime);
    page.screenshot(&format!("camera-{audio}"));
}

/// The page asks for one transport (`max-bundle`) with the video first, and other players with the sound first.
#[test]
fn what_a_stream_lacks_keeps_no_player_from_the_rest() {
    let _turn = turn();
    let camera = Camera::start(&["--video", "none", "--audio", "pcmu"]);
    let sluice = SLUICE.start(&[&format!("mic={}", camera.url), "demo=demo"]);
    sluice.wait_until_playing("mic");
    sluice.wait_until_playing("demo");
    let mut page = Page::open(sluice.http, "/mic/?muted=0");
    page.wait_until("document.body.innerText.includes('This stream has sound only.')");
    let stats = page.stats();
    assert_eq!(stats["audio"]["mimeType"], "audio/PCMU", "{stats:#}");
    assert_eq!(stats["errors"], serde_json::json!([]), "{stats:#}");
    // Another player, which offers a codec first that the demo has not.
    let played = page.eval(
        "(async () => { const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
         const sound = pc.addTransceiver('audio', { direction: 'recvonly' });
         sound.setCodecPreferences(RTCRtpReceiver.getCapabilities('audio').codecs.filter(
         (codec) => codec.mimeType === 'audio/PCMA'));
         pc.addTransceiver('video', { direction: 'recvonly' });
         await pc.setLocalDescription();
         const answer = await fetch('/demo/whep', { method: 'POST', body: pc.localDescription.sdp,
         headers: { 'Content-Type': 'application/sdp' } });
         await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
         for (;;) { for (const report of (await pc.getStats()).values()) {
         if (report.framesDecoded > 5) { const direction = sound.currentDirection; pc.close();
         return direction; } } } })()",
    );
    assert_eq!(played, "inactive");
    // Its session ends with its connection.
    sluice.wait_for_metric("sluice_sessions", "is 1", |sessions| sessions == 1.0);

    // A player that is stopped while its offer is under way frees what comes of it, as on a wall that turns its pages.
    page.eval(
        "import('/static/whep.js').then(({ WhepPlayer }) => new Promise((done) => {
         const player = new WhepPlayer({ url: '/demo/whep' });
         const post = window.fetch;
         window.fetch = (...all) => { window.fetch = post; const answer = post(...all); player.stop();
         answer.then(() => done(true), () => done(false)); return answer; };
         player.start(); }))",
    );
    let ended = |reason: &str| format!("sluice_viewer_ends_total{{reason=\"{reason}\"}}");
    sluice.wait_for_metric(&ended("deleted"), "is 1", |ended| ended == 1.0);
    assert_eq!(sluice.metric(&ended("setup_timeout")), 0.0);
}

#[test]
fn the_same_session_shows_pictures_again_when_the_camera_comes_back() {
    let _turn = turn();
    let port = sluice_harness::ports::free_port();
    let camera = stand_in(port, "pcmu");
    let sluice = SLUICE.start(&[&format!("cam=rtsp://127.0.0.1:{port}/cam")]);
    sluice.wait_until_playing("cam");
    let mut page = Page::open(sluice.http, "/cam/");
    let before = page.wait_for_frames(60);

    drop(camera);
    sluice.wait_for_metric("sluice_stream_up{stream=\"cam\"}", "is 0", |up| up == 0.0);
    std::thread::sleep(Duration::from_secs(3));
    let away = page.stats();
    let _camera = stand_in(port, "pcmu");
    sluice.wait_until_playing("cam");
    let after = page.wait_for_frames(frames(&away) + 60);

    assert_plays(&after, "audio/PCMU");
    for what in ["ssrc", "mimeType"] {
        assert_eq!(after["video"][what], before["video"][what], "video {what}");
        assert_eq!(after["audio"][what], before["audio"][what], "audio {what}");
    }
    assert_eq!(sluice.metric("sluice_viewer_connects_total"), 1.0, "one session all along");
    assert_eq!(sluice.metric("sluice_stream_starts_total{stream=\"cam\"}"), 2.0);
    page.screenshot("camera-back");
}

/// Killed by SIGKILL, and back with another size: the page says why and for how long, and plays again by itself in the same
/// session. Back with another codec of sound, it joins again by itself, and says nothing of a fault of the server.
#[test]
fn the_page_plays_again_by_itself_whatever_camera_comes_back() {
    let _turn = turn();
    let port = sluice_harness::ports::free_port();
    let small = |size: &str, audio: &str| {
        Camera::start(&["--port", &port.to_string(), "--size", size, "--audio", audio, "--gop", "15"])
    };
    let camera = small("640x360", "pcmu");
    let sluice = SLUICE.start(&[&format!("cam=rtsp://127.0.0.1:{port}/cam")]);
    sluice.wait_until_playing("cam");
    let mut page = Page::open(sluice.http, "/cam/");
    page.wait_for_frames(30);
    // Whatever it shows from now on, it is this document.
    page.eval("window.mark = 1; window.states = []; \
               sluice.player.addEventListener('state', ({ detail }) => states.push([detail.state, detail.reason?.kind ?? null, \
               detail.reason?.problem?.code ?? null]))");
    let played = |page: &mut Page| frames(&page.stats());

    drop(camera);
    page.wait_until(
        "/It has been away for \\d+ s\\.$/.test(document.getElementById('message-detail').textContent)",
    );
    let before = played(&mut page);
    let camera = small("320x180", "pcmu");
    let back = page.wait_for_frames(before + 15);
    assert_eq!(back["video"]["frameWidth"], 320, "{back:#}");
    page.wait_until("document.getElementById('message').hidden");
    assert_eq!(page.eval("states.length"), 0, "one session all along");

    drop(camera);
    sluice.wait_for_metric("sluice_stream_up{stream=\"cam\"}", "is 0", |up| up == 0.0);
    let _camera = small("320x180", "opus");
    page.wait_until("states.some(([state]) => state === 'connected')");
    assert_eq!(page.eval("states[0]"), serde_json::json!(["waiting", "closed", "codec_changed"]));
    page.wait_for_frames(15);
    page.wait_until("document.getElementById('message').hidden");
    assert_eq!(page.eval("window.mark"), 1, "it was not loaded again");
    assert_eq!(page.stats()["audio"]["mimeType"], "audio/opus");

    // The other end that it can act on, which takes more viewers than a browser has to bring about.
    let overloaded = "explain('cam', {kind: 'closed', problem: {code: 'overloaded'}, candidates: []}).title";
    let title = page.eval(&format!("import('/static/explain.js').then(({{explain}}) => {overloaded})"));
    assert_eq!(title, "The server has too many viewers.");
}

/// The wall and all that only looks lets it rest; the page of the stream wakes it, and says so.
#[test]
fn a_page_wakes_a_camera_on_demand_and_the_wall_does_not() {
    let _turn = turn();
    let cameras = SLUICE.cameras(1, &["--audio", "none"]);
    let soon = ["--set", "on_demand.enabled=true", "--set", "on_demand.close_after=1s"];
    let sluice = SLUICE.start(&[&soon[..], &[&format!("cam={}", cameras.urls[0])]].concat());
    let mut wall = Page::open(sluice.http, "/");
    wall.wait_until("document.querySelector('.tile')?.dataset.state === 'idle'");
    assert_eq!(wall.eval("document.querySelector('.tile .size').textContent"), "On demand");
    assert_eq!(wall.eval("sluiceWall.counts.requests"), 0);
    assert_eq!(wall.eval("document.getElementById('attention').hidden"), true);
    assert_eq!(sluice.metric("sluice_stream_wakes_total{stream=\"cam\"}"), 0.0);

    let mut page = Page::open(sluice.http, "/cam/");
    page.wait_for_frames(30);
    assert_eq!(sluice.metric("sluice_stream_wakes_total{stream=\"cam\"}"), 1.0);
    page.eval("sluice.player.stop()");
    sluice.wait_for_metric("sluice_stream_idle{stream=\"cam\"}", "is 1", |idle| idle == 1.0);
    // Its last picture stays on the wall, with the time of it.
    wall.wait_until(
        "document.querySelector('.tile')?.dataset.state === 'idle' && sluiceWall.counts.drawn > 0",
    );
    wall.wait_until("!document.querySelector('.tile .old').hidden");
    assert_eq!(sluice.metric("sluice_stream_wakes_total{stream=\"cam\"}"), 1.0);
    page.eval("sluice.player.start()");
    sluice.wait_until_playing("cam");
}

/// The class that pages written for MediaMTX embed, with their options and events, for a name of two segments.
#[test]
fn a_reader_for_pages_of_mediamtx_plays_says_why_it_does_not_and_ends() {
    let _turn = turn();
    let sluice = SLUICE.start(&["site1/gate=demo"]);
    sluice.wait_until_playing("site1/gate");
    let mut page = Page::open(sluice.http, "/");
    let read = |name: &str| {
        format!(
            "new Promise((done, failed) => {{ const script = document.createElement('script'); \
             script.src = 'site1/gate/reader.js'; script.onerror = failed; script.onload = () => {{ \
             const video = document.createElement('video'); video.muted = true; video.autoplay = true; \
             window.reader = new MediaMTXWebRTCReader({{ url: new URL('{name}/whep', location).href, user: '', \
             pass: '', token: '', onError: done, \
             onTrack: (event) => {{ video.srcObject = event.streams[0]; \
             video.requestVideoFrameCallback(() => done(video.videoWidth)); }} }}); }}; \
             document.head.append(script); }})"
        )
    };
    let said = page.eval(&read("nothing"));
    assert!(said.as_str().is_some_and(|said| said.starts_with("stream not found, retrying in ")), "{said}");
    page.eval("reader.close()");
    assert_eq!(page.eval(&read("site1/gate")), 1280);
    assert_eq!(sluice.metric("sluice_viewers"), 1.0);
    page.eval("reader.close()");
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
}

/// Its own page, embedded as MediaMTX's is.
#[test]
fn the_page_of_a_name_with_a_slash_plays_without_what_its_address_leaves_out() {
    let _turn = turn();
    let sluice = SLUICE.start(&["site1/gate=demo"]);
    sluice.wait_until_playing("site1/gate");
    let mut page =
        Page::open(sluice.http, "/site1/gate?controls=false&muted=true&disablepictureinpicture=true");
    let stats = page.wait_for_frames(90);
    assert_plays(&stats, "audio/opus");
    assert_eq!(page.eval("document.title"), "site1/gate · Sluice");
    assert_eq!(page.eval("location.pathname"), "/site1/gate/");
    assert_eq!(page.eval("document.getElementById('tools').hidden"), true);
    assert_eq!(page.eval("document.getElementById('toggle-pip').hidden"), true);
    assert_eq!(page.eval("document.getElementById('video').disablePictureInPicture"), true);
}
