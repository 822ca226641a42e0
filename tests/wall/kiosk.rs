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
    for name in ["cam1", "gate", "nothing"] {
        page.wait_until(&format!("{} === 'The server does not answer'", words(name)));
    }
    page.screenshot("kiosk-late");
}

#[test]
fn what_means_nothing_in_the_address_is_said_and_the_rest_is_shown() {
    let _turn = turn();
    let sluice = demos(&["cam1"], &[]);
    let doubts = "[...document.querySelectorAll('.doubts li')].map((line) => line.innerText).join('|')";
    for (query, said) in [
        ("columns=0", &["columns=0 is not a number from 1 to 12: there are as many columns"][..]),
        ("columns=abc&cycle=5", &["columns=abc is not a number", "cycle=5 has no unit, as 5s has: pictures"]),
        ("columns=13&cycle=1s", &["columns=13 is not a number", "cycle=1s is not a time from 2s to 24h"]),
        ("cycle=40000h", &["cycle=40000h is not a time from 2s to 24h"]),
        ("colums=2", &["A wall has no setting \"colums\": there are streams, columns and cycle."]),
        (
            "streams=cam1,cam3,gate*",
            &[
                "streams=cam3: there is no stream of that name; / lists those there are.",
                "streams=gate*: no stream has a name like that",
            ],
        ),
        ("streams=cam*&columns=2&cycle=20s", &[]),
    ] {
        let mut page = Page::open(sluice.http, &format!("/?wall&{query}"));
        page.wait_until("sluiceKiosk.cells.get('cam1')?.age < 1000");
        let lines = page.eval(doubts);
        let lines: Vec<&str> = lines.as_str().expect("text").split_terminator('|').collect();
        assert_eq!(lines.len(), said.len(), "{query}: {lines:?}");
        for (line, said) in lines.iter().zip(said) {
            assert!(line.starts_with(said), "{query}: {line:?} is not {said:?}");
        }
        if said.is_empty() {
            page.assert_sound();
        }
    }
    let mut page = Page::open(sluice.http, "/?wall&streams=gate*");
    page.wait_until(
        "document.querySelector('.notice')?.innerText.startsWith('streams=gate*: no stream has a name like that')",
    );
    assert_eq!(page.eval(doubts), "");
}

#[test]
fn a_page_whose_scripts_did_not_come_says_so_and_comes_by_itself() {
    let _turn = turn();
    let sluice = demos(&["cam1"], &[]);
    let mut page = Page::open(sluice.http, "/?wall");
    page.wait_until("globalThis.sluiceKiosk?.cells.size === 1");
    page.act("block *kiosk.js");
    page.eval("location.reload()");
    page.wait_until(
        "document.querySelector('p.noscript[role]')?.innerText.startsWith('The server does not answer.')",
    );
    page.act("block none");
    page.wait_until("globalThis.sluiceKiosk?.cells.get('cam1')?.age < 1000");
}
