//! Cameras that are away: wall, kiosk and player say which kind of thing it is, each thing once.

use super::*;
use sluice_harness::cameras::Cameras;

/// Names of streams whose cameras are away, and what is said of each.
const AWAY: [(&str, &str); 5] = [
    ("locked", "Password needed"),
    ("mistyped", "Wrong password"),
    ("nameless", "No such host"),
    ("nowhere", "No such path on the camera"),
    ("off", "Camera does not answer"),
];

/// The streams of [`AWAY`], by cameras that want `user:canary`.
fn away(cameras: &Cameras) -> Vec<String> {
    let port = cameras.port();
    vec![
        format!("locked=rtsp://127.0.0.1:{port}/cam1"),
        format!("mistyped=rtsp://user:canari@127.0.0.1:{port}/cam1"),
        // RFC 6761 §6.4: nobody has such a name.
        "nameless=rtsp://user:canary@camera.invalid/x".to_owned(),
        format!("nowhere=rtsp://user:canary@127.0.0.1:{port}/cam9"),
        "off=rtsp://127.0.0.1:1/x".to_owned(),
    ]
}

#[test]
fn why_a_camera_is_away_is_said_in_a_few_words_wherever_its_picture_would_be() {
    let _turn = turn();
    let cameras = SLUICE.cameras(1, &["--auth", "user:canary"]);
    let streams = away(&cameras);
    let sluice = demos(&["demo"], &streams.iter().map(String::as_str).collect::<Vec<_>>());
    let mut page = Page::open(sluice.http, "/");
    page.wait_until("document.querySelector('#attention').innerText.trim() === '5 of 6 need attention'");
    for (name, words) in AWAY {
        let tile = format!("sluiceWall.tiles.get('{name}').element");
        page.wait_until(&format!("{tile}.querySelector('.why').innerText.trim().startsWith('{words}')"));
        page.wait_until(&format!("{tile}.querySelector('.nothing').innerText === '{words}'"));
    }
    // What takes a restart says so.
    page.eval("sluiceWall.tiles.get('mistyped').element.querySelector('.why').click()");
    page.wait_until("document.querySelector('#details .state').innerText.startsWith('Wrong password')");
    let advice = page.eval("document.querySelector('#details .advice').innerText").to_string();
    assert!(advice.contains("reload Sluice"), "{advice}");
    page.screenshot("details-away");

    let mut page = Page::open(sluice.http, "/?wall");
    for (name, words) in AWAY {
        page.wait_until(&format!(
            "sluiceKiosk.cells.get('{name}')?.element.querySelector('.words').innerText === '{words}'"
        ));
    }
    page.screenshot("kiosk-away");

    for (name, words) in AWAY {
        let mut page = Page::open(sluice.http, &format!("/{name}/"));
        page.wait_until(&format!("document.querySelector('#message-title').innerText === '{words}.'"));
        let detail = page.eval("document.querySelector('#message-detail').innerText");
        let detail = detail.as_str().expect("text");
        assert!(detail.starts_with("The camera ") && detail.ends_with('.'), "{detail}");
        for once in ["no picture", "trying again", name, "canar"] {
            assert!(!detail.contains(once), "{once} in {detail}");
        }
    }
}

#[test]
fn an_announced_address_that_cannot_be_reached_is_named_with_the_key_that_sets_it() {
    let _turn = turn();
    // RFC 5737: nobody has this address.
    let sluice = demos(&["gate"], &["--set", "ice.addresses=192.0.2.9"]);
    let mut page = Page::open(sluice.http, "/gate/");
    page.wait_until("document.querySelector('#message-title').innerText === 'No UDP path to the server.'");
    let detail = page.eval("document.querySelector('#message-detail').innerText");
    let detail = detail.as_str().expect("text");
    for part in ["192.0.2.9", "ice.addresses", "127.0.0.1", &format!("port {}/udp", sluice.udp_port)] {
        assert!(detail.contains(part), "no {part} in {detail}");
    }
    page.screenshot("player-address");
}

#[test]
fn a_port_that_is_closed_is_named_where_the_address_is_that_of_the_page() {
    let _turn = turn();
    // Nobody listens there: the page comes from the address, and media does not.
    let sluice = demos(&["gate"], &["--set", "udp.address=127.0.0.2"]);
    let mut page = Page::open(sluice.http, "/gate/");
    page.wait_until("document.querySelector('#message-title').innerText === 'No UDP path to the server.'");
    let detail = page.eval("document.querySelector('#message-detail').innerText").to_string();
    let open = format!("port {}/udp", sluice.udp_port);
    assert!(detail.contains(&open) && detail.contains("must be open to this computer"), "{detail}");
    assert!(!detail.contains("ice.addresses"), "{detail}");
}
