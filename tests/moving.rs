//! A browser whose address changes, one whose network goes away, and one that media does not reach any more.
//!
//! Chromium runs in a network namespace of its own, behind a veth pair. Needs root, for the namespace.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

use std::time::{Duration, Instant};

use sluice_harness::namespace::{FAR, Namespace, run};
use sluice_harness::page::{Page, frames, turn};
use sluice_harness::{Binary, Sluice};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// Our end of the link and the browser's addresses, of the range for measurements (RFC 2544 §C.2.2).
const NEAR: &str = "198.18.232.1";
const FIRST: &str = "198.18.232.2";
const SECOND: &str = "198.18.232.3";

fn sent(sluice: &Sluice) -> f64 {
    sluice.metric("sluice_egress_datagrams_total")
}

#[test]
fn the_picture_goes_on_when_the_address_of_the_browser_changes() {
    let _turn = turn();
    let namespace = Namespace::new(NEAR, FIRST);
    let sluice = namespace.serve(SLUICE, &[]);
    let mut page = Page::open_in(&namespace.name, sluice.http, "/demo/");
    page.wait_for_frames(60);
    for (old, new) in [(FIRST, SECOND), (SECOND, FIRST)] {
        namespace.ip(&format!("address delete {old}/24 dev {FAR}"));
        namespace.ip(&format!("address add {new}/24 dev {FAR}"));
        let (moved, shown) = (Instant::now(), frames(&page.stats()));
        // The next check of Chromium comes 2.5 s after the last, and some pictures were on their way.
        page.wait_for_frames(shown + 60);
        assert!(moved.elapsed() < Duration::from_secs(8), "no picture for {:?}", moved.elapsed());
    }
    assert_eq!(sluice.metric("sluice_viewer_connects_total"), 1.0, "one session all along");
    assert_eq!(sluice.metric("sluice_sessions"), 1.0);
    page.screenshot("moved");
}

#[test]
fn a_browser_that_lost_its_network_is_sent_nothing_for_long() {
    let _turn = turn();
    let namespace = Namespace::new(NEAR, FIRST);
    let sluice = namespace.serve(SLUICE, &[]);
    let mut page = Page::open_in(&namespace.name, sluice.http, "/demo/");
    page.wait_for_frames(60);
    namespace.ip(&format!("link set {FAR} down"));
    std::thread::sleep(Duration::from_millis(7_500));
    let (before, since) = (sent(&sluice), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(sent(&sluice), before, "media for nobody, {:?} later", since.elapsed());
    assert_eq!(sluice.metric("sluice_sessions"), 1.0, "consent is not over yet");
}

#[test]
fn a_page_that_media_does_not_reach_any_more_does_not_blame_the_camera() {
    let _turn = turn();
    let namespace = Namespace::new(NEAR, FIRST);
    let sluice = namespace.serve(SLUICE, &[]);
    let mut page = Page::open_in(&namespace.name, sluice.http, "/demo/");
    page.wait_for_frames(60);
    let nft = |rule: &str| run("ip", &format!("netns exec {} nft add {rule}", namespace.name));
    nft("table inet walled");
    nft("chain inet walled input { type filter hook input priority 0 ; }");
    // RTP's payload types of media: checks and reports still come, and keep the session (RFC 5761 §4).
    nft("rule inet walled input meta l4proto udp @th,73,7 >= 96 drop");
    page.wait_until("document.querySelector('#message-detail').innerText.startsWith('The camera sends')");
    assert_eq!(sluice.metric("sluice_sessions"), 1.0, "it is the same session");
    page.screenshot("nothing-arrives");
}
