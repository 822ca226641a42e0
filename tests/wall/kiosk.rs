//! The kiosk: as many live pictures as fit, and words where one is not live.

use super::*;

#[test]
fn the_kiosk_plays_what_it_shows_and_nothing_else() {
    let _turn = turn();
    let sluice = demos(&["cam1", "cam2", "cam3", "cam10", "gate"], &[]);
    let mut page = Page::open(sluice.http, "/?wall&streams=gate,cam*&columns=2&cycle=4s");
    // Two rows of two fit on 1280 × 720.
    page.wait_until("[...sluiceKiosk.cells.keys()].join() === 'gate,cam1,cam2,cam3'");
    page.wait_until("[...document.querySelectorAll('#kiosk video')].every((video) => video.videoWidth > 0)");
    wait_for_sessions(&sluice, 4.0);
    page.screenshot("kiosk");
    page.wait_until("[...sluiceKiosk.cells.keys()].join() === 'cam10'");
    wait_for_sessions(&sluice, 1.0);
    page.wait_until("[...sluiceKiosk.cells.keys()].join() === 'gate,cam1,cam2,cam3'");
    // Nobody looks: nothing plays.
    page.eval(
        "(() => { Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});
         document.dispatchEvent(new Event('visibilitychange')); })()",
    );
    wait_for_sessions(&sluice, 0.0);
    page.eval("(() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); })()");
    page.wait_until("sluiceKiosk.cells.size > 0");
    page.assert_sound();
}

#[test]
fn a_picture_that_is_not_live_says_so() {
    let _turn = turn();
    let sluice = demos(&["cam1"], &["gate=rtsp://127.0.0.1:1/x"]);
    let mut page = Page::open(sluice.http, "/?wall&streams=cam1,gate,nothing");
    page.wait_until("sluiceKiosk.cells.get('cam1')?.age < 1000");
    let words =
        |name: &str| format!("sluiceKiosk.cells.get('{name}').element.querySelector('.words').innerText");
    page.wait_until(&format!("{} === 'Camera does not answer'", words("gate")));
    page.wait_until(&format!("{} === 'There is no stream of this name'", words("nothing")));
    assert_eq!(page.eval(&words("cam1")), "");
    drop(sluice);
    // With the connection its last picture is gone, so that nothing is said of its age.
    page.wait_until(&format!("{} === 'The server does not answer'", words("cam1")));
    page.screenshot("kiosk-late");
}

#[test]
fn an_address_that_means_nothing_is_said_and_the_rest_is_shown() {
    let _turn = turn();
    let sluice = demos(&["cam1"], &[]);
    let mut page = Page::open(sluice.http, "/?wall&columns=abc&cycle=1&colums=2");
    page.wait_until("sluiceKiosk.cells.get('cam1')?.age < 1000");
    let said = page.eval("document.querySelector('.doubts').innerText");
    for part in [
        "columns=abc is no number from 1 to 12",
        "cycle=1 is no time of 2 s or more",
        "colums means nothing here",
    ] {
        assert!(said.as_str().is_some_and(|said| said.contains(part)), "{part} in {said}");
    }
    let mut page = Page::open(sluice.http, "/?wall&columns=2&cycle=20s&streams=cam*");
    page.wait_until("sluiceKiosk.cells.get('cam1')?.age < 1000");
    assert_eq!(page.eval("document.querySelector('.doubts') === null"), true);
    page.assert_sound();
}
