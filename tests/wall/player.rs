//! What the player can do besides playing.

use super::*;

#[test]
fn the_player_goes_to_its_neighbours_saves_a_picture_and_tells_its_figures() {
    let _turn = turn();
    let sluice = demos(&["cam1", "cam2", "cam10"], &[]);
    let mut page = Page::open(sluice.http, "/cam2/?muted=1");
    page.wait_for_frames(5);
    page.eval(
        "(() => { let file = null; const make = URL.createObjectURL; globalThis.saved = [];
         URL.createObjectURL = (blob) => { file = blob; return make.call(URL, blob); };
         HTMLAnchorElement.prototype.click = function () {
         saved.push([this.download, file.type, file.size > 5000].join()); }; })()",
    );
    page.act("press c");
    page.wait_until("saved.length === 1");
    let saved = page.eval("saved[0]");
    let saved = saved.as_str().expect("text");
    assert!(saved.starts_with("cam2 20") && saved.ends_with(".png,image/png,true"), "{saved}");

    page.act("press s");
    page.eval(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => { copied = text; }}})",
    );
    page.wait_until("document.querySelector('#stats-rows').innerText.includes('kb/s')");
    page.eval("document.querySelector('#copy-stats').click()");
    page.wait_until("document.querySelector('#copy-stats').innerText === 'Copied'");
    let copied = page.eval("copied");
    let copied = copied.as_str().expect("text");
    let session = copied.lines().find_map(|line| line.strip_prefix("Session: ")).expect("its session");
    let found = Request::get(&format!("/api/v1/sessions?session={session}")).send(sluice.admin).json();
    assert_eq!((&found["total"], &found["sessions"][0]["stream"]), (&1.into(), &"cam2".into()), "{copied}");
    for line in ["Page: http://", "Browser: ", "Video: video/H264", "Encryption: SRTP_AEAD_AES_256_GCM"] {
        assert!(copied.contains(line), "no {line} in {copied}");
    }

    for (key, path) in [("ArrowRight", "cam10"), ("ArrowRight", "cam1"), ("ArrowLeft", "cam10")] {
        page.act(&format!("press {key}"));
        page.wait_until(&format!("location.pathname + location.search === '/{path}/?muted=1'"));
        page.wait_until("document.querySelector('video').videoWidth > 0");
    }
    wait_for_sessions(&sluice, 1.0);
    page.assert_sound();
}

#[test]
fn the_query_of_the_page_goes_along_but_for_a_token_of_ours() {
    let _turn = turn();
    let sluice = demos(&["gate"], &[]);
    for (page, whep) in [
        ("/gate/?k=a%26b&muted=1", "/gate/whep?k=a%26b&muted=1"),
        ("/gate/?token=of-another&k=good", "/gate/whep?token=of-another&k=good"),
        ("/gate/?token=sluice_x&k=good", "/gate/whep?k=good"),
        ("/gate/?token=sluice_x", "/gate/whep"),
    ] {
        let mut page = Page::open(sluice.http, page);
        page.wait_for_frames(5);
        let asked = page.eval(
            "performance.getEntriesByType('resource').map(({name}) => name).filter((name) => /.whep($|[?])/.test(name)).join()",
        );
        assert_eq!(asked, format!("http://{}{whep}", sluice.http));
        page.assert_sound();
    }
}
