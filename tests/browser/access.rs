//! Pages that are not for everybody: the browser asks who it is, or the address has a token.

use serde_json::{Value, json};
use sluice_harness::page::{Page, turn};
use sluice_harness::{Request, Sluice, wait_for};

use crate::other::Other;
use crate::{SLUICE, assert_plays};

/// A server with `gate` and `yard`, where Ann may watch the gate, and Bob may have tokens made.
fn guarded() -> Sluice {
    guarded_with(&[])
}

/// The same with more arguments.
fn guarded_with(more: &[&str]) -> Sluice {
    let keys = [
        "access.users.ann.password=meow",
        "access.users.ann.read=gate",
        "access.users.bob.from=127.0.0.1",
        "access.users.bob.api=true",
        "access.users.bob.metrics=true",
    ];
    let sets = keys.iter().flat_map(|key| ["--set", key]);
    let sluice = SLUICE.start(
        &["gate=demo", "yard=demo"].into_iter().chain(sets).chain(more.iter().copied()).collect::<Vec<_>>(),
    );
    ["gate", "yard"].iter().for_each(|name| sluice.wait_until_playing(name));
    sluice
}

/// What a page says over its picture.
fn message(stats: &Value) -> &str {
    stats["message"].as_str().unwrap_or_default()
}

/// Whether something went wrong that begins with these words.
fn went_wrong(stats: &Value, words: &str) -> bool {
    let errors = stats["errors"].as_array().expect("a list");
    errors.iter().any(|error| error["text"].as_str().is_some_and(|text| text.starts_with(words)))
}

#[test]
fn the_browser_asks_for_a_name_and_a_password_and_plays_with_them() {
    let _turn = turn();
    let sluice = guarded();
    // Its window is closed; then something wrong is typed into it.
    for mut page in [Page::open(sluice.http, "/gate/"), Page::open_as("ann:woof", sluice.http, "/gate/")] {
        let stats = page.stats();
        assert!(went_wrong(&stats, "asked in vain for a name and a password"), "{stats:#}");
        assert!(stats["state"].is_null(), "no player without a name: {stats:#}");
    }
    assert_eq!(sluice.metric("sluice_sessions"), 0.0);

    let mut page = Page::open_as("ann:meow", sluice.http, "/gate/?muted=0");
    let stats = page.wait_for_frames(90);
    assert_plays(&stats, "audio/opus");
    // Everything that the page asks for goes with them, and nothing of the page has them.
    assert_eq!(sluice.metric("sluice_viewers"), 1.0);
    assert_eq!(
        page.eval("document.documentElement.outerHTML.includes('meow') || location.href.includes('meow')"),
        false
    );
    let list = "fetch('/streams.json').then((answer) => answer.json()).then((list) => list.streams.map((one) => one.name))";
    assert_eq!(page.eval(list), json!(["gate"]));
    // So does what the player asks below its own address, where a script is asked for nothing.
    press_right(&mut page);
    page.wait_until(&asked_for_the_list(200));
    drop(page);
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);

    let mut page = Page::open_as("ann:meow", sluice.http, "/yard/");
    page.wait_until("document.getElementById('message')?.hidden === false");
    let stats = page.stats();
    assert!(!message(&stats).is_empty() && stats["video"].is_null(), "it says that she may not: {stats:#}");
    assert_eq!(sluice.metric("sluice_sessions"), 0.0);
}

#[test]
fn a_page_with_a_token_in_its_address_plays_without_asking() {
    let _turn = turn();
    let sluice = guarded();
    let wanted = json!({ "streams": ["gate"], "for": "10m" });
    let made = Request::new("POST", "/api/v1/tokens").body(wanted.to_string()).send(sluice.admin);
    assert_eq!(made.status, 201, "{}", made.text());
    let token = made.json()["token"].as_str().expect("a token").to_owned();

    let mut page = Page::open(sluice.http, &format!("/gate/?muted=0&token={token}"));
    let stats = page.wait_for_frames(90);
    assert_plays(&stats, "audio/opus");
    page.assert_sound();
    drop(page);
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);

    // The wall shows what the token is for, and no other name.
    let mut wall = Page::open(sluice.http, &format!("/?wall&token={token}"));
    sluice.wait_for_metric("sluice_viewers", "is 1", |viewers| viewers == 1.0);
    assert_eq!(wall.eval("document.body.innerText.includes('yard')"), false);
    drop(wall);
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);

    let mut other = Page::open(sluice.http, &format!("/yard/?token={token}"));
    other.wait_until("document.getElementById('message')?.hidden === false");
    assert!(other.stats()["video"].is_null());
    let mut wrong = Page::open(sluice.http, &format!("/gate/?token={token}x"));
    assert!(went_wrong(&wrong.stats(), "status 401 for "), "no window over a page with a token");
    assert_eq!(sluice.metric("sluice_sessions"), 0.0);
}

#[test]
fn a_page_whose_token_is_over_says_so_and_asks_rarely() {
    let _turn = turn();
    let sluice = guarded();
    let wanted = json!({ "streams": ["gate"], "for": "8s" });
    let made = Request::new("POST", "/api/v1/tokens").body(wanted.to_string()).send(sluice.admin);
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    let mut kiosk = Page::open(sluice.http, &format!("/?wall&token={token}"));
    kiosk.wait_until("sluiceKiosk.cells.get('gate')?.age < 1000");
    assert_eq!(kiosk.eval("document.querySelectorAll('.doubts li').length"), 0, "a token means something");
    let words = "sluiceKiosk.cells.get('gate').element.querySelector('.words').innerText";
    kiosk.wait_until(&format!("{words}.startsWith('This token has expired')"));
    drop(kiosk);

    let made = Request::new("POST", "/api/v1/tokens").body(wanted.to_string()).send(sluice.admin);
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    let mut wall = Page::open(sluice.http, &format!("/?token={token}"));
    wall.wait_until("sluiceWall.counts.drawn > 0");
    wall.wait_until(
        "document.getElementById('server').innerText.startsWith('This token has expired: open the page again with a new one. What you see is as of')",
    );
    let asked = "performance.getEntriesByType('resource').filter(({name}) => /frame.mp4|streams.json/.test(name)).length";
    let before = wall.eval(asked);
    // As long, it would have asked for the list twice, and for the picture.
    std::thread::sleep(std::time::Duration::from_secs(8));
    assert_eq!(wall.eval(asked), before);
}

#[test]
fn a_page_that_the_other_server_refuses_comes_back_to_its_own() {
    let _turn = turn();
    let other = guarded();
    let elsewhere = format!("drain.elsewhere=http://{}", other.http);
    let sluice = guarded_with(&["--set", &elsewhere]);
    let mut page = Page::open_as("ann:meow", sluice.http, "/gate/");
    page.wait_for_frames(30);
    let drain = |method: &str| Request::new(method, "/api/v1/drain").body(r#"{"timeout":"3s"}"#);
    assert_eq!(drain("POST").send(sluice.admin).status, 202);
    page.wait_until("document.getElementById('message-detail').innerText.startsWith('It sends viewers to another one, which')");
    assert_eq!(page.eval("sluice.player.state === 'waiting' || sluice.player.state === 'connecting'"), true);
    let back = Request::new("DELETE", "/api/v1/drain").send(sluice.admin);
    assert!(back.status < 300, "{} {}", back.status, back.text());
    sluice.wait_for_metric("sluice_viewers", "is 1", |viewers| viewers == 1.0);
    page.wait_until("document.getElementById('message').hidden");
    assert_eq!(other.metric("sluice_sessions"), 0.0);
}

/// Has a player look for the next stream.
fn press_right(page: &mut Page) {
    page.eval(
        "document.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true })), null",
    );
}

/// Whether a page was answered so when it asked for the list. A window would have that wait for whoever looks.
fn asked_for_the_list(status: u16) -> String {
    format!(
        "performance.getEntriesByType('resource').some((one) => \
         /gate.streams.json/.test(one.name) && one.responseStatus === {status})"
    )
}

#[test]
fn a_page_that_everybody_may_open_asks_nobody_for_a_password() {
    let _turn = turn();
    let judge = Other::start(|question| (if question["path"] == "gate" { 204 } else { 401 }, String::new()));
    let hook = format!("access.hook.url={}", judge.url("/auth"));
    let sluice = guarded_with(&["--set", &hook]);
    let mut page = Page::open(sluice.http, "/gate/");
    page.wait_for_frames(30);
    press_right(&mut page);
    page.wait_until(&asked_for_the_list(401));
    page.wait_for_frames(60);
    assert_eq!(page.eval("location.pathname"), "/gate/");
}

#[test]
fn a_page_whose_address_says_who_asks_opens_no_window_for_what_it_asks_beside() {
    let _turn = turn();
    // Whoever has the key may watch the gate, and not know what else there is.
    let judge = Other::start(|question| {
        let may = question["path"] == "gate"
            && question["query"].as_str().is_some_and(|all| all.contains("key=right"));
        (if may { 204 } else { 401 }, String::new())
    });
    let hook = format!("access.hook.url={}", judge.url("/auth"));
    let sluice = guarded_with(&["--set", &hook]);
    let mut page = Page::open(sluice.http, "/gate/?key=right");
    page.wait_for_frames(30);
    press_right(&mut page);
    let list = |query: &str| judge.asked().iter().any(|one| one["path"] == "" && one["query"] == query);
    wait_for("the question about the list, with the page's key", || list("key=right").then_some(()));
    // It is answered: a window would have it wait for whoever looks.
    page.wait_until(&asked_for_the_list(401));
    page.wait_for_frames(60);
    assert_eq!(page.eval("location.pathname"), "/gate/");
}
