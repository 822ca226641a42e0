//! The wall: pictures without players, order, trouble in words, and what it costs.

use std::process::Command;

use super::*;

/// The names on the wall, in their order.
const NAMES: &str = "[...document.querySelectorAll('.tile .name')].map((name) => name.textContent).join()";

/// Waits until the tile of `name` shows a picture that is not of one colour.
fn wait_for_picture(page: &mut Page, name: &str) {
    page.wait_until(&format!(
        "(() => {{ const {{canvas}} = sluiceWall.tiles.get('{name}');
         const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
         return canvas.width > 100 && new Set(pixels.filter((_, at) => at % 4 === 1)).size > 20; }})()"
    ));
}

#[test]
fn every_stream_has_its_picture_and_its_place_and_trouble_its_words() {
    let _turn = turn();
    let names = ["cam10", "cam2", "yard-1", "cam1", "gate"];
    let sluice = demos(&names, &["yard-2=rtsp://user:canary@127.0.0.1:1/x"]);
    let mut page = Page::open(sluice.http, "/");
    page.wait_until(&format!("{NAMES} === 'cam1,cam2,cam10,gate,yard-1,yard-2'"));
    for name in names {
        wait_for_picture(&mut page, name);
    }
    page.screenshot("wall");
    assert_eq!(sluice.metric("sluice_sessions"), 0.0, "pictures make nobody a viewer");

    page.wait_until("document.querySelector('#attention').innerText.trim() === '1 of 6 needs attention'");
    page.eval("document.querySelector('#attention').click()");
    page.wait_until(&format!("{NAMES} === 'yard-2'"));
    page.eval("document.querySelector('.tile .why').focus()");
    page.act("press Enter");
    page.wait_until("document.querySelector('#details').open");
    page.wait_until("/reach|refused/.test(document.querySelector('#details .reason').innerText)");
    let ways = page.eval("document.querySelector('#details .ways').innerText").to_string();
    for way in ["yard-2/whep", "<iframe", "frame.mp4", "sluice load whep"] {
        assert!(ways.contains(way), "no {way} in {ways}");
    }
    assert!(!page.eval("document.documentElement.innerHTML").to_string().contains("canary"));
    page.act("press Escape");
    page.wait_until("!document.querySelector('#details').open && document.activeElement.matches('.why')");
    page.eval("document.querySelector('#attention').click()");

    page.eval("document.querySelector('#group').click()");
    let groups = "[...document.querySelectorAll('.group h2')].map((name) => name.textContent).join()";
    page.wait_until(&format!("{groups} === 'cam,yard,Others'"));
    page.act("press /");
    for key in "YARD".chars() {
        page.act(&format!("press {key}"));
    }
    page.wait_until(&format!("{NAMES} === 'yard-1,yard-2'"));
    page.act("press Escape");
    page.wait_until(&format!("{NAMES} === 'cam1,cam2,cam10,yard-1,yard-2,gate'"));

    // What was chosen is there the next time.
    page.eval(
        "(() => { const size = document.querySelector('#size'); size.value = 400;
         for (const type of ['input', 'change']) size.dispatchEvent(new Event(type)); location.reload(); })()",
    );
    page.wait_until(&format!(
        "document.querySelector('#size').value === '400' && {groups} === 'cam,yard,Others'"
    ));
    page.assert_sound();
}

#[test]
fn a_tile_plays_while_it_is_pointed_at_or_has_the_focus() {
    let _turn = turn();
    let sluice = demos(&["gate", "yard"], &[]);
    let mut page = Page::open(sluice.http, "/");
    wait_for_picture(&mut page, "yard");
    page.act("hover [aria-label^='yard,']");
    page.wait_until("document.querySelector('.view.playing')?.closest('.tile').tile.name === 'yard'");
    page.screenshot("wall-live");
    wait_for_sessions(&sluice, 1.0);
    let muted = page.eval("document.querySelector('.view video').muted");
    assert_eq!(muted, true);
    page.act("hover #bar");
    wait_for_sessions(&sluice, 0.0);
    assert_eq!(page.eval("document.querySelectorAll('.view video').length"), 0);
    wait_for_picture(&mut page, "yard");

    page.eval("document.querySelector('#screen').focus()");
    page.act("press Tab");
    page.wait_until("document.querySelector('.view.playing')?.closest('.tile').tile.name === 'gate'");
    page.act("press ArrowRight");
    page.wait_until("document.querySelector('.view.playing')?.closest('.tile').tile.name === 'yard'");
    wait_for_sessions(&sluice, 1.0);
    page.act("press Enter");
    page.wait_until("location.pathname === '/yard/' && document.querySelector('video')?.videoWidth > 0");
    page.assert_sound();
}

#[test]
fn nothing_moves_for_those_who_want_less_motion() {
    let _turn = turn();
    let sluice = demos(&["gate"], &[]);
    let mut page = Page::open(sluice.http, "/");
    page.act("media prefers-reduced-motion=reduce");
    wait_for_picture(&mut page, "gate");
    page.act("hover .view");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(page.eval("sluiceWall.preview.name"), serde_json::Value::Null);
    assert_eq!(sluice.metric("sluice_sessions"), 0.0);
}

#[test]
fn only_what_is_on_the_screen_is_loaded_and_the_list_only_when_it_changed() {
    let _turn = turn();
    let names: Vec<String> = (1..=40).map(|number| format!("cam{number}")).collect();
    let sluice = demos(&names.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let mut page = Page::open(sluice.http, "/");
    page.wait_until("sluiceWall.tiles.size === 40 && sluiceWall.counts.drawn >= 6");
    std::thread::sleep(std::time::Duration::from_secs(6));
    let shown = page.eval("[...sluiceWall.tiles.values()].filter((tile) => tile.canvas.still).length");
    let near = page.eval(
        "[...document.querySelectorAll('.tile')].filter((tile) => tile.getBoundingClientRect().top < innerHeight + 210).length",
    );
    assert_eq!(shown, near, "those on the screen and just below it");
    assert!(near.as_u64().is_some_and(|near| (6..30).contains(&near)), "{near}");
    // The last ones come when they are looked at.
    page.eval("scrollTo(0, document.documentElement.scrollHeight)");
    wait_for_picture(&mut page, "cam40");
    // No more than the pace, however many tiles: five a second.
    let before = page.eval("sluiceWall.counts.requests").as_u64().expect("a number");
    std::thread::sleep(std::time::Duration::from_secs(4));
    let asked = page.eval("sluiceWall.counts.requests").as_u64().expect("a number") - before;
    assert!(asked <= 4 * 5 + near.as_u64().expect("a number") + 4, "{asked} requests in 4 s");
    let lists = page.eval(
        "performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/streams.json'))
         .map(({encodedBodySize}) => encodedBodySize > 0 ? 'full' : 'none').join()",
    );
    let lists = lists.as_str().expect("text");
    assert!(lists.split(',').count() <= 8, "one every three seconds: {lists}");
    assert!(lists.ends_with("none"), "it did not change: {lists}");
    page.assert_sound();
}

#[test]
fn a_picture_of_four_slices_and_of_high_profile_is_shown() {
    let _turn = turn();
    let file = std::env::temp_dir().join(format!("sluice-wall-{:016x}.mp4", rand::random::<u64>()));
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x360:rate=25:duration=2",
            "-c:v",
            "libx264",
        ])
        .args([
            "-pix_fmt",
            "yuv420p",
            "-profile:v",
            "high",
            "-bf",
            "0",
            "-g",
            "25",
            "-x264-params",
            "slices=4",
        ])
        .arg(&file)
        .status();
    assert!(made.expect("ffmpeg runs").success());
    let cameras = SLUICE.cameras(1, &["--clip", file.to_str().expect("a path in UTF-8")]);
    let _ = std::fs::remove_file(&file);
    let sluice = SLUICE.start(&[&cameras.streams()[0]]);
    let mut page = Page::open(sluice.http, "/");
    page.wait_until("sluiceWall.tiles.has('cam1')");
    wait_for_picture(&mut page, "cam1");
    // The camera goes away: its last picture stays, dated, and the stream says so.
    drop(cameras);
    page.wait_until("document.querySelector('.tile .why')?.innerText.startsWith('Camera does not answer')");
    page.wait_until("/\\d/.test(document.querySelector('.tile .old:not([hidden])')?.innerText)");
    wait_for_picture(&mut page, "cam1");
    page.screenshot("wall-away");
    // Somebody who comes now sees it too.
    page.eval("location.reload()");
    page.wait_until("globalThis.sluiceWall?.tiles.has('cam1')");
    wait_for_picture(&mut page, "cam1");
    page.assert_sound();
}
