//! Camera pairs, and sources that are tried in order: real cameras, whose servers are killed in turn, and real players.
//!
//! Needs Debian's GStreamer with x264 and x265, and Chromium.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_harness::gstreamer::Camera;
use sluice_harness::page::{Page, turn};
use sluice_harness::player::Player;
use sluice_harness::{Binary, Request, Response, Sluice, wait_for};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// An offer that has no H.265.
const CHROMIUM: &str = include_str!("data/chromium-156.sdp");

/// Short waits, so that a camera that was killed is missed soon.
const PATIENCE: [&str; 8] = [
    "--set",
    "rtsp.connect_timeout=1s",
    "--set",
    "rtsp.data_timeout=3s",
    "--set",
    "rtsp.reconnect_min=100ms",
    "--set",
    "rtsp.reconnect_max=500ms",
];

/// A configuration file, removed with the test.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> File {
        let file = File(std::env::temp_dir().join(format!("sluice-pairs-{}.toml", rand::random::<u64>())));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).expect("the file is written");
    }

    fn serve(&self) -> Sluice {
        SLUICE.start(&[&["-c", self.0.to_str().expect("a path")], &PATIENCE[..]].concat())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The large picture of a camera.
fn high(arguments: &[&str]) -> Camera {
    let large = ["--size", "640x360", "--fps", "25", "--gop", "25", "--kbps", "800"];
    Camera::start(&[&large, arguments].concat())
}

/// The small one.
fn low(arguments: &[&str]) -> Camera {
    Camera::small(arguments)
}

/// The port of a camera, so that it comes back where it was.
fn port(camera: &Camera) -> String {
    camera.url.port().expect("a port").to_string()
}

fn pair(high: &Camera, low: &Camera) -> String {
    format!("[streams.gate]\nsource = {{ high = \"{}\", low = \"{}\" }}\n", high.url, low.url)
}

/// What the API tells of the stream.
fn gate(sluice: &Sluice) -> Value {
    Request::get("/api/v1/streams/gate").send(sluice.admin).json()
}

/// Waits until each of the stream's layers is in that state.
fn wait_for_layers(sluice: &Sluice, states: [&str; 2]) {
    let is = |value: &Value| {
        let layers = value["layers"].as_array().expect("layers");
        layers.iter().map(|layer| layer["state"].as_str().unwrap_or_default()).eq(states)
    };
    wait_for(&format!("layers that are {states:?}"), || Some(gate(sluice)).filter(is));
}

/// What the only session is sent.
fn sent(sluice: &Sluice) -> String {
    let sessions = Request::get("/api/v1/sessions").send(sluice.admin).json();
    sessions["sessions"][0]["layer"].as_str().unwrap_or_default().to_owned()
}

fn wait_until_sent(sluice: &Sluice, layer: &str) {
    wait_for(&format!("the session to be sent {layer}"), || (sent(sluice) == layer).then_some(()));
}

fn choose(sluice: &Sluice, session: &str, layer: &str) -> Response {
    let body = json!({ "mediaId": "0", "encodingId": layer }).to_string();
    let request =
        Request::new("POST", &format!("{session}/layer")).header("Content-Type", "application/json");
    sluice.request(request.body(body))
}

/// The SPS that came last, which tells the two pictures apart: of an aggregate of parameter sets (RFC 6184 §5.7.1) the first
/// unit.
fn sets(player: &Player) -> Vec<u8> {
    let sets = player.client.pictures().filter(|packet| packet.payload[0] & 0x1f == 24);
    sets.last()
        .map(|packet| packet.payload[3..3 + usize::from(packet.payload[2])].to_vec())
        .unwrap_or_default()
}

/// Numbers without gaps, and timestamps that grow.
fn assert_one_line(player: &Player) {
    let mut packets: Vec<_> =
        player.client.pictures().map(|packet| (packet.sequence, packet.timestamp)).collect();
    packets.sort_unstable();
    packets.dedup();
    for pair in packets.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1, "a gap in the numbers");
        let step = pair[1].1.wrapping_sub(pair[0].1) as i32;
        assert!((0..3 * 90_000).contains(&step), "timestamps went by {step}");
    }
}

#[test]
fn a_viewer_goes_from_layer_to_layer_within_its_session() {
    let (high, low) = (high(&["--audio", "opus"]), low(&[]));
    let file = File::new(&pair(&high, &low));
    let sluice = file.serve();
    wait_for_layers(&sluice, ["playing", "playing"]);
    let mut player = Player::join(&sluice, "/gate/whep");
    player.run_until("a picture", |player| !sets(player).is_empty());
    let large = sets(&player);
    assert_eq!(sent(&sluice), "high");
    let session = player.location.clone();
    let told = sluice.request(Request::get(&format!("{session}/layer"))).json();
    assert_eq!((&told["encodingId"], &told["chosen"]), (&json!("high"), &json!("high")), "{told:#}");
    let sizes = told["layers"].as_array().expect("layers").iter().map(|layer| layer["width"].as_u64());
    assert_eq!(sizes.collect::<Vec<_>>(), [Some(640), Some(320)]);

    let mut now = large.clone();
    for (round, layer) in ["low", "high", "low"].into_iter().enumerate() {
        let answer = choose(&sluice, &session, layer);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["chosen"], layer);
        // Not again at once.
        let again = choose(&sluice, &session, if layer == "low" { "high" } else { "low" });
        assert_eq!((again.status, again.header("retry-after")), (429, Some("1")), "{}", again.text());
        let before = now.clone();
        player.run_until("the other picture", |player| sets(player) != before);
        now = sets(&player);
        assert_eq!(now == large, layer == "high", "round {round}");
        wait_until_sent(&sluice, layer);
        let began = Instant::now();
        player.run_until("a second of it", |_| began.elapsed() > Duration::from_millis(1_200));
    }
    assert_one_line(&player);
    let viewers = |layer: &str| format!("sluice_stream_layer_viewers{{stream=\"gate\",layer=\"{layer}\"}}");
    assert_eq!((sluice.metric(&viewers("high")), sluice.metric(&viewers("low"))), (0.0, 1.0));
    assert_eq!(sluice.metric("sluice_sessions"), 1.0, "it is one session");
    for (body, status) in [(r#"{"encodingId":"middle"}"#, 400), ("low", 400)] {
        let request = Request::new("POST", &format!("{session}/layer"));
        let answer = sluice.request(request.header("Content-Type", "application/json").body(body));
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    assert_eq!(choose(&sluice, "/gate/whep/00000000000000000000000000000000", "low").status, 404);
    // The first choice of who joins.
    for (query, layer) in [("?layer=low", "low"), ("", "high"), ("?layer=high", "high")] {
        let answer = sluice.request(Request::offer(&format!("/gate/whep{query}"), CHROMIUM));
        assert_eq!((answer.status, answer.header("layer")), (201, Some(layer)), "{query}");
    }
    assert_eq!(sluice.request(Request::offer("/gate/whep?layer=middle", CHROMIUM)).status, 400);
}

#[test]
fn who_cannot_play_the_high_layer_is_sent_the_low_one() {
    let (high, low) = (high(&["--video", "h265"]), low(&[]));
    let file = File::new(&pair(&high, &low));
    let sluice = file.serve();
    wait_for_layers(&sluice, ["playing", "playing"]);
    let answer = sluice.request(Request::offer("/gate/whep", CHROMIUM));
    assert_eq!((answer.status, answer.header("layer")), (201, Some("low")), "{}", answer.text());
    assert!(
        answer.text().contains("H264/90000") && !answer.text().contains("H265/90000"),
        "{}",
        answer.text()
    );
    // Not even where it asks for it; and within its session it cannot have it.
    let answer = sluice.request(Request::offer("/gate/whep?layer=high", CHROMIUM));
    assert_eq!(answer.header("layer"), Some("low"));
    let session = answer.session("/gate/whep").expect("a session");
    let refused = choose(&sluice, &session, "high");
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("?layer=high"), "{}", refused.text());
    let told = sluice.request(Request::get(&format!("{session}/layer"))).json();
    assert_eq!(
        (&told["encodingId"], &told["layers"][0]["playable"]),
        (&json!("low"), &json!(false)),
        "{told:#}"
    );

    // Who can, gets it, and checks that it is whole.
    let checks =
        ["--viewers=2", "--duration=3s", "--verify=1", "--require=failed<1", "--require=verify_errors<1"];
    let url = format!("http://{}/gate/whep", sluice.http);
    SLUICE.load_to(0, &url, &checks);
    SLUICE.load_to(0, &format!("{url}?layer=low"), &checks);
    let list = sluice.request(Request::get("/streams.json")).json();
    let codecs = list["streams"][0]["layers"].as_array().expect("layers");
    let codecs: Vec<&str> = codecs.iter().filter_map(|layer| layer["video"]["codec"].as_str()).collect();
    assert_eq!(codecs, ["H265", "H264"]);
    assert!(!list.to_string().contains("127.0.0.1"), "where cameras are is nobody's business");
}

#[test]
fn who_can_play_neither_layer_is_not_told_to_give_a_second_one() {
    let (high, low) = (high(&["--video", "h265"]), low(&["--video", "h265"]));
    let file = File::new(&pair(&high, &low));
    let sluice = file.serve();
    wait_for_layers(&sluice, ["playing", "playing"]);
    let answer = sluice.request(Request::offer("/gate/whep", CHROMIUM));
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains("set it to H.264 in one of its two streams"), "{}", answer.text());
    let notes = gate(&sluice)["notes"].to_string();
    assert!(notes.contains("the other layer of the pair") && !notes.contains("second stream"), "{notes}");
}

#[test]
fn who_can_play_the_low_layer_alone_stays_while_it_is_away() {
    let (high, one) = (high(&["--video", "h265"]), low(&[]));
    let port = port(&one);
    let file = File::new(&pair(&high, &one));
    let sluice = file.serve();
    wait_for_layers(&sluice, ["playing", "playing"]);
    let mut player = Player::join(&sluice, "/gate/whep");
    player.run_until("a picture", |player| !sets(player).is_empty());
    drop(one);
    wait_for_layers(&sluice, ["playing", "waiting"]);
    // Who comes now is told which camera is away, and when to ask again.
    let refused = sluice.request(Request::offer("/gate/whep", CHROMIUM));
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert!(refused.text().contains("its low layer is away"), "{}", refused.text());
    assert!(refused.json()["cause"].is_string(), "{}", refused.text());
    let before = player.client.pictures().count();
    let back = low(&["--port", &port]);
    player.run_until("pictures again", |player| player.client.pictures().count() > before + 20);
    assert!(!player.is_closed());
    assert_eq!(sluice.metric("sluice_sessions"), 1.0);
    assert_eq!(sluice.metric("sluice_viewer_ends_total{reason=\"codec_changed\"}"), 0.0);
    assert_one_line(&player);
    drop(back);
}

#[test]
fn a_session_is_told_what_it_is_shown_where_its_layer_comes_with_another_codec() {
    let (one, low) = (high(&[]), low(&[]));
    let port = port(&one);
    let file = File::new(&pair(&one, &low));
    let sluice = file.serve();
    wait_for_layers(&sluice, ["playing", "playing"]);
    let mut player = Player::join(&sluice, "/gate/whep");
    player.run_until("a picture", |player| !sets(player).is_empty());
    let large = sets(&player);
    drop(one);
    player.run_until("the other picture", |player| sets(player) != large);
    // What is answered with is what the answer names.
    let answer = sluice.request(Request::offer("/gate/whep", CHROMIUM));
    assert_eq!((answer.status, answer.header("layer")), (201, Some("low")), "{}", answer.text());

    let other = high(&["--port", &port, "--video", "h265"]);
    wait_for_layers(&sluice, ["playing", "playing"]);
    let told = || sluice.request(Request::get(&format!("{}/layer", player.location))).json();
    let is_low = |told: &Value| told["encodingId"] == "low" && told["chosen"] == "low";
    let told = wait_for("it to be told", || Some(told()).filter(is_low));
    assert_eq!(told["layers"][0]["playable"], json!(false), "{told:#}");
    assert_eq!(choose(&sluice, &player.location, "high").status, 422);
    drop(other);

    // With its own codec it is shown again.
    let small = sets(&player);
    let back = high(&["--port", &port]);
    player.run_until("its own picture again", |player| sets(player) != small);
    assert!(!player.is_closed());
    drop(back);
}

#[test]
fn while_the_source_is_away_the_other_layer_is_shown_and_then_it_again() {
    let (one, low) = (high(&[]), low(&["--audio", "opus"]));
    let port = port(&one);
    let file = File::new(&pair(&one, &low));
    let sluice = file.serve();
    wait_for_layers(&sluice, ["playing", "playing"]);
    let mut player = Player::join(&sluice, "/gate/whep");
    player.run_until("a picture", |player| !sets(player).is_empty());
    let large = sets(&player);
    drop(one);
    player.run_until("the other picture", |player| sets(player) != large);
    wait_until_sent(&sluice, "low");
    let state = gate(&sluice);
    assert_eq!((&state["state"], &state["video"]["width"]), (&json!("playing"), &json!(320)), "{state:#}");
    assert!(state["notes"].to_string().contains("the high stream of this camera is away"), "{state:#}");
    assert_eq!(sluice.metric("sluice_stream_up{stream=\"gate\"}"), 1.0);
    assert_eq!(sluice.metric("sluice_stream_layer_up{stream=\"gate\",layer=\"high\"}"), 0.0);
    let told = sluice.request(Request::get(&format!("{}/layer", player.location))).json();
    assert_eq!((&told["encodingId"], &told["chosen"]), (&json!("low"), &json!("high")), "{told:#}");

    let back = high(&["--port", &port]);
    let small = sets(&player);
    player.run_until("its own picture again", |player| sets(player) != small);
    wait_until_sent(&sluice, "high");
    assert_one_line(&player);
    assert!(!player.is_closed());
    drop(back);
}

#[test]
fn a_reload_of_one_half_leaves_the_viewers_of_the_other_alone() {
    let (high_camera, low_camera, other) = (high(&[]), low(&[]), low(&[]));
    let file = File::new(&pair(&high_camera, &low_camera));
    let sluice = file.serve();
    wait_for_layers(&sluice, ["playing", "playing"]);
    let url = format!("http://{}/gate/whep", sluice.http);
    std::thread::scope(|scope| {
        let watched = scope.spawn(|| {
            let bounds = ["--require=loss<=0", "--require=verify_errors<1", "--require=failed<1"];
            SLUICE.load(&url, &[&["--viewers=3", "--duration=9s", "--verify=1"], &bounds[..]].concat())
        });
        sluice.wait_for_metric("sluice_viewers", "is 3", |viewers| viewers == 3.0);
        for text in [
            pair(&high_camera, &other),
            // And none at all, and one again.
            format!("[streams.gate]\nsource = \"{}\"\n", high_camera.url),
            pair(&high_camera, &low_camera),
        ] {
            file.write(&text);
            let answer = Request::new("POST", "/api/v1/config/reload").send(sluice.admin);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json()["streams"]["changed"], json!(["gate"]), "{}", answer.text());
            std::thread::sleep(Duration::from_millis(1_200));
        }
        let watched = watched.join().expect("a report");
        assert_eq!(watched.code, Some(0), "{}", watched.text);
    });
    wait_for_layers(&sluice, ["playing", "playing"]);
    let starts = |layer: &str| {
        sluice.metric(&format!("sluice_stream_starts_total{{stream=\"gate\",layer=\"{layer}\"}}"))
    };
    assert_eq!(starts("high"), 1.0, "the high one played on");
}

#[test]
fn sources_that_are_killed_in_turn_are_followed_by_the_next_and_then_by_the_first() {
    let (first, second) = (low(&[]), high(&[]));
    let (first_port, url) = (port(&first), |camera: &Camera| camera.url.to_string());
    let text = format!("[streams.gate]\nsource = [\"{}\", \"{}\"]\n", url(&first), url(&second));
    let file = File::new(&text);
    let sluice = file.serve();
    let turn = || {
        let told = gate(&sluice);
        let (source, of) = (told["turn"]["source"].as_u64(), told["turn"]["of"].as_u64());
        (told["state"] == "playing").then_some((source, of, told["turn"]["at"].as_str().map(str::to_owned)))
    };
    let wait_for_turn = |number: u64, camera: &str| {
        let at = format!("rtsp://{camera}");
        let wanted = (Some(number), Some(2), Some(at));
        wait_for(&format!("source {number} to play"), || turn().filter(|turn| *turn == wanted))
    };
    let place = |camera: &Camera| format!("127.0.0.1:{}", port(camera));
    wait_for_turn(1, &place(&first));
    let mut player = Player::join(&sluice, "/gate/whep");
    player.run_until("a picture", |player| !sets(player).is_empty());

    let small = sets(&player);
    drop(first);
    player.run_until("pictures of the second", |player| sets(player) != small);
    wait_for_turn(2, &place(&second));
    // The first is back, and the second plays on.
    let first = low(&["--port", &first_port]);
    let began = Instant::now();
    player.run_until("some time", |_| began.elapsed() > Duration::from_secs(6));
    wait_for_turn(2, &place(&second));
    let list = sluice.request(Request::get("/streams.json")).json();
    assert_eq!(list["streams"][0]["turn"], json!({ "source": 2, "of": 2 }), "without where");

    let large = sets(&player);
    drop(second);
    player.run_until("pictures of the first", |player| sets(player) != large);
    wait_for_turn(1, &place(&first));
    assert_one_line(&player);
}

#[test]
fn the_player_has_a_menu_and_the_wall_takes_the_low_layer() {
    let _turn = turn();
    let (high_camera, low_camera) = (high(&["--audio", "opus"]), low(&[]));
    let file = File::new(&pair(&high_camera, &low_camera));
    let sluice = file.serve();
    wait_for_layers(&sluice, ["playing", "playing"]);
    let mut page = Page::open(sluice.http, "/gate/?muted=1");
    page.wait_for_frames(10);
    page.wait_until("document.querySelector('video').videoWidth === 640");
    page.wait_until("!document.querySelector('#layer').hidden");
    let options =
        page.eval("[...document.querySelector('#layer').options].map((option) => option.text).join('|')");
    assert_eq!(options, "High · 640 × 360 · H.264|Low · 320 × 180 · H.264");
    let session = page.eval("sluice.player.session.url.href");
    let choose = |page: &mut Page, layer: &str| {
        page.eval(&format!(
            "(() => {{ const menu = document.querySelector('#layer'); menu.value = '{layer}';
             menu.dispatchEvent(new Event('change')); }})()"
        ));
    };
    for (layer, width) in [("low", 320), ("high", 640), ("low", 320)] {
        choose(&mut page, layer);
        page.wait_until(&format!("document.querySelector('video').videoWidth === {width}"));
        let frames = page.stats()["video"]["framesDecoded"].as_u64().expect("a number");
        page.wait_for_frames(frames + 20);
    }
    assert_eq!(page.eval("sluice.player.session.url.href"), session, "it is the same session");
    page.assert_sound();
    drop(page);

    let mut page = Page::open(sluice.http, "/gate/?layer=low&muted=1");
    page.wait_for_frames(5);
    page.wait_until("document.querySelector('video').videoWidth === 320");
    assert_eq!(page.eval("sluice.player.session.layer"), "low");
    // The high one is there, and is not missed.
    assert_eq!(page.eval("document.querySelector('#layer-note').hidden"), true);
    drop(page);

    let mut page = Page::open(sluice.http, "/?wall");
    page.wait_until("document.querySelector('video')?.videoWidth === 320");
    wait_until_sent(&sluice, "low");
    drop(page);
    let mut page = Page::open(sluice.http, "/");
    page.wait_until("sluiceWall.counts.drawn > 0");
    let asked = page.eval(
        "performance.getEntriesByType('resource').map(({name}) => name).filter((name) => name.includes('frame.mp4')).join()",
    );
    assert!(asked.as_str().is_some_and(|asked| asked.contains("/gate/frame.mp4?layer=low")), "{asked}");
    let size = |query: &str| sluice.request(Request::get(&format!("/gate/frame.mp4{query}"))).text().len();
    assert!(size("?layer=low") < size("?layer=high"), "the low picture is no smaller");
}

#[test]
fn the_page_says_which_picture_is_away_and_goes_on_where_the_other_has_another_codec() {
    let _turn = turn();
    let (high_camera, low_camera) = (high(&[]), low(&[]));
    let port = port(&high_camera);
    let file = File::new(&pair(&high_camera, &low_camera));
    let sluice = file.serve();
    wait_for_layers(&sluice, ["playing", "playing"]);
    let mut page = Page::open(sluice.http, "/gate/?muted=1");
    page.wait_for_frames(10);
    page.wait_until("document.querySelector('video').videoWidth === 640");
    drop(high_camera);
    page.wait_until("document.querySelector('video').videoWidth === 320");
    page.wait_until("document.querySelector('#layer-note').textContent.startsWith('The high picture')");
    let back = high(&["--port", &port]);
    page.wait_until("document.querySelector('video').videoWidth === 640");
    page.wait_until("document.querySelector('#layer-note').hidden");
    drop(page);

    // Whose codec is another, when it comes.
    drop(back);
    wait_for_layers(&sluice, ["waiting", "playing"]);
    let mut page = Page::open(sluice.http, "/gate/?muted=1");
    page.wait_for_frames(5);
    let other = high(&["--port", &port, "--video", "h265"]);
    wait_for_layers(&sluice, ["playing", "playing"]);
    let frames = page.stats()["video"]["framesDecoded"].as_u64().expect("a number");
    page.wait_for_frames(frames + 60);
    assert_eq!(
        page.eval("document.querySelector('video').videoWidth"),
        320,
        "it goes on with what it can play"
    );
    // Who chooses the other nevertheless is told why it is not shown, and the menu says what is.
    page.eval(
        "(() => { const menu = document.querySelector('#layer'); menu.value = 'high';
         menu.dispatchEvent(new Event('change')); })()",
    );
    page.wait_until(
        "document.querySelector('#layer-note').textContent.startsWith('The high picture of this camera is H.265')",
    );
    page.wait_until("document.querySelector('#layer').value === 'low'");
    drop(other);
    // And has it as soon as it can be shown.
    let back = high(&["--port", &port]);
    page.wait_until("document.querySelector('video').videoWidth === 640");
    page.wait_until("document.querySelector('#layer').value === 'high'");
    page.wait_until("document.querySelector('#layer-note').hidden");
    drop(back);
}
