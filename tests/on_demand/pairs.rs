//! Pairs whose two sources run on demand: both wake and rest together, and who waits gets the layer that it can be shown.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;
use sluice_harness::gstreamer::Camera;
use sluice_harness::player::Player;
use sluice_harness::{Request, Sluice, wait_for};

use crate::{CHROMIUM, SLUICE, start, wait_until_idle};

/// How much later the low layer comes than the high one: the whole of a handshake, and more.
const LATER: Duration = Duration::from_millis(1_500);

fn offer(path: &str) -> Request {
    Request::offer(path, CHROMIUM)
}

fn pair(high: &str, low: &str) -> String {
    format!("streams.cam.source={{ high = {high:?}, low = {low:?} }}")
}

/// The states of both layers.
fn layers(sluice: &Sluice) -> Vec<String> {
    let stream = Request::get("/api/v1/streams/cam").send(sluice.admin).json();
    let layers = stream["layers"].as_array().expect("layers").iter();
    layers.map(|layer| layer["state"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What the only session is sent.
fn sent(sluice: &Sluice) -> String {
    let sessions = Request::get("/api/v1/sessions").send(sluice.admin).json();
    sessions["sessions"][0]["layer"].as_str().unwrap_or_default().to_owned()
}

/// A way to a camera that lets nothing through for a while after each connection.
fn later(camera: &Camera) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let mut url = camera.url.clone();
    let to = format!("127.0.0.1:{}", url.port().expect("a port"));
    url.set_port(Some(listener.local_addr().expect("its address").port())).expect("a URL with a host");
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let to = to.clone();
            std::thread::spawn(move || {
                std::thread::sleep(LATER);
                let Ok(far) = TcpStream::connect(to) else { return };
                let (near_too, far_too) =
                    (near.try_clone().expect("a handle"), far.try_clone().expect("a handle"));
                std::thread::spawn(move || copy(near_too, far_too));
                copy(far, near);
            });
        }
    });
    url.into()
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4_096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn both_layers_wake_for_the_first_viewer_and_rest_after_the_last() {
    let cameras = SLUICE.cameras(1, &["--pairs"]);
    let sluice = start(&["--set", &pair(&cameras.urls[0], &cameras.urls[1])]);
    assert_eq!(layers(&sluice), ["idle", "idle"]);
    // By the low one, too: the wall wakes what it shows.
    for (path, layer) in [("/cam/whep?layer=low", "low"), ("/cam/whep", "high")] {
        let mut player = Player::join(&sluice, path);
        player.run_until("pictures", |player| player.pictures().len() > 5);
        wait_for("both layers", || (layers(&sluice) == ["playing", "playing"]).then_some(()));
        wait_for("its layer", || (sent(&sluice) == layer).then_some(()));
        assert_eq!(sluice.request(Request::new("DELETE", &player.location)).status, 200);
        wait_until_idle(&sluice);
        wait_for("both to rest", || (layers(&sluice) == ["idle", "idle"]).then_some(()));
    }
    drop(sluice);
    let (_, log) = cameras.terminate();
    assert_eq!(log.matches(": connected ").count(), 4, "two sessions each time: {log}");
}

/// The high layer plays long before the low one, and in a codec that the offer does not have.
#[test]
fn an_offer_waits_for_the_layer_that_it_takes() {
    let (high, low) = (Camera::small(&["--video", "h265"]), Camera::small(&[]));
    let sluice = start(&["--set", &pair(high.url.as_str(), &later(&low))]);
    let answer = sluice.request(offer("/cam/whep"));
    assert_eq!((answer.status, answer.header("layer")), (201, Some("low")), "{}", answer.text());
}

/// A high layer that fails at once is no reason to send away who could be shown the other one.
#[test]
fn an_offer_waits_for_the_layer_that_has_not_failed() {
    let low = Camera::small(&[]);
    let nobody = format!("rtsp://127.0.0.1:{}/", sluice_harness::ports::free_port());
    let sluice = start(&["--set", &pair(&nobody, &later(&low))]);
    let answer = sluice.request(offer("/cam/whep"));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let mut player = Player::join(&sluice, "/cam/whep");
    player.run_until("pictures", |player| player.pictures().len() > 5);
}

#[test]
fn where_both_fail_all_that_wait_are_told_at_once() {
    let nobody = || format!("rtsp://127.0.0.1:{}/", sluice_harness::ports::free_port());
    let sluice = start(&["--set", "on_demand.start_timeout=1m", "--set", &pair(&nobody(), &nobody())]);
    let answer = sluice.request(offer("/cam/whep"));
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(answer.json()["cause"], "unreachable", "{}", answer.text());
    wait_until_idle(&sluice);
}

#[test]
fn a_pattern_makes_pairs_and_takes_them_away_whole() {
    let cameras = SLUICE.cameras(2, &["--pairs"]);
    let url = cameras.urls[0].strip_suffix("cam1").expect("rtsp://HOST/cam1");
    let source =
        format!("streams.\"~^hall/([0-9]+)$\".source={{ high = \"{url}cam$1\", low = \"{url}cam$1-sub\" }}");
    let sluice = SLUICE.start(&["--set", "on_demand.close_after=1s", "--set", &source, "demo=demo"]);
    let listed = || {
        let list = Request::get("/api/v1/streams").send(sluice.admin).json();
        list["streams"]
            .as_array()
            .expect("streams")
            .iter()
            .map(|stream| stream["name"].clone())
            .collect::<Vec<_>>()
    };
    for layer in ["low", "high"] {
        let mut player = Player::join(&sluice, &format!("/hall/2/whep?layer={layer}"));
        player.run_until("pictures", |player| player.pictures().len() > 5);
        assert_eq!(listed(), [Value::from("demo"), Value::from("hall/2")]);
        // The other one is shown until it is there.
        wait_for("its layer", || (sent(&sluice) == layer).then_some(()));
        assert_eq!(sluice.request(Request::new("DELETE", &player.location)).status, 200);
        wait_for("it to go", || (listed() == [Value::from("demo")]).then_some(()));
    }
    let (status, log) = sluice.terminate();
    assert!(status.success(), "{log}");
}
