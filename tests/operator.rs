//! The operator's page in Chromium, under load, as a person uses it.
//!
//! Needs what tests/browser.rs needs.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Stdio};

use sluice_harness::page::{Page, turn};
use sluice_harness::{Binary, Sluice};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// Viewers that stay until they are dropped.
struct Viewers(Child);

impl Viewers {
    fn of(sluice: &Sluice, stream: &str, number: usize, arguments: &[&str]) -> Viewers {
        let url = format!("http://{}/{stream}/whep", sluice.http);
        let mut command = SLUICE.command();
        command.args(["load", "whep", &url, "--viewers", &number.to_string(), "--duration", "5m"]);
        let viewers = command.args(arguments).stdout(Stdio::null()).spawn().expect("the binary starts");
        Viewers(viewers)
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server of two demos and a camera that is away, with viewers of one demo that lose and of one that do not.
fn served() -> (Sluice, [Viewers; 2]) {
    let sluice = SLUICE.start(&[
        "roof=rtsp://user:canary@127.0.0.1:1/x",
        "--set",
        "streams.gate.source=demo",
        "--set",
        "streams.yard.source=demo",
    ]);
    sluice.wait_until_playing("gate");
    sluice.wait_until_playing("yard");
    let viewers = [Viewers::of(&sluice, "gate", 2, &["--loss", "15%"]), Viewers::of(&sluice, "yard", 3, &[])];
    sluice.wait_for_metric("sluice_viewers", "is 5", |viewers| viewers == 5.0);
    (sluice, viewers)
}

/// The texts of a column of a table, by its label.
fn column(table: &str, label: &str) -> String {
    format!(
        "[...document.querySelectorAll('{table} td[data-label=\"{label}\"]')].map((cell) => cell.textContent).join()"
    )
}

#[test]
fn charts_are_full_at_first_and_go_on_and_a_viewer_that_loses_is_found_and_ended() {
    let _turn = turn();
    let (sluice, _viewers) = served();
    // Somebody comes late: what was before is there.
    std::thread::sleep(std::time::Duration::from_secs(5));
    let mut page = Page::open(sluice.admin, "/");
    page.wait_until("sluiceOperator.charts.points('egress')[0]?.length >= 5");
    let first = page.eval("sluiceOperator.feed.samples.length").as_u64().expect("a number");
    page.wait_until(&format!("sluiceOperator.feed.samples.length >= {}", first + 3));
    page.wait_until("document.querySelector('#summary').innerText.startsWith('5 viewers, ')");
    page.wait_until("document.querySelectorAll('#shards .shard').length === 2");
    let drawn = "[...document.querySelectorAll('.u-wrap canvas')].every((canvas) => { const {data} = \
                 canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height); \
                 return new Set(data).size > 8; })";
    page.wait_until(drawn);

    // What is wrong comes first, and no secret is anywhere.
    page.wait_until(&format!("{} === 'roof,gate,yard'", column("#streams", "Stream")));
    page.wait_until(&format!("/^Camera does not answer/.test({})", column("#streams", "State")));
    page.wait_until(&format!("/,[0-9.]+ Mb.s,/.test({})", column("#streams", "Bitrate")));
    page.wait_until(&format!("/^–,[0-9.]+ s,[0-9.]+ s$/.test({})", column("#streams", "Keyframe every")));
    for chart in ["forward", "setup", "joins", "loss", "round-trip", "repairs"] {
        page.wait_until(&format!("sluiceOperator.charts.points('{chart}')[1].some((value) => value > 0)"));
    }
    assert!(!page.eval("document.documentElement.innerHTML").to_string().contains("canary"));

    // Shards are asked for viewers when somebody wants to see them.
    assert_eq!(page.eval("document.querySelector('#viewers-live').hidden"), true);
    page.eval("document.querySelector('#viewers-show').click()");
    page.wait_until(&format!("{}.startsWith('gate,gate,yard')", column("#viewers-live", "Stream")));
    page.wait_until(&format!("/^[0-9.]+ %,/.test({})", column("#viewers-live", "Loss")));
    page.screenshot("operator");
    let id = page.eval("document.querySelector('#viewers-live td.id').innerText");
    let id = id.as_str().expect("an id").to_owned();
    let button = format!("[aria-label=\"End the viewer {id}\"]");
    page.eval(&format!("document.querySelector('{button}').focus()"));
    page.act("press Enter");
    page.wait_until(&format!("document.querySelector('{button}').innerText === 'Really end?'"));
    assert_eq!(sluice.metric("sluice_viewer_ends_total{reason=\"operator\"}"), 0.0, "the first press asks");
    page.act("press Enter");
    page.wait_until(&format!("!{}.includes('{id}')", column("#viewers-live", "Session")));
    page.wait_until(&format!("{}.includes('{id}')", column("#viewers-ended", "Session")));
    sluice.wait_for_metric("sluice_viewer_ends_total{reason=\"operator\"}", "is 1", |ends| ends == 1.0);
    page.wait_until(&format!(
        "[...document.querySelectorAll('.lines li')].some((line) => line.innerText.includes(\
                              'an operator ended a viewer') && line.innerText.includes('session={id}'))"
    ));

    // Whoever complains is found by what the player shows, also afterwards.
    page.act("press /");
    for key in id.chars() {
        page.act(&format!("press {key}"));
    }
    page.wait_until(&format!(
        "{} === '{id}' && document.querySelector('#viewers-live').hidden",
        column("#viewers-ended", "Session")
    ));
    assert_eq!(page.eval(&column("#viewers-ended", "Reason")), "an operator ended it");
    page.assert_sound();
}

#[test]
fn a_camera_is_looked_at_before_it_is_added() {
    let _turn = turn();
    let cameras = SLUICE.cameras(1, &[]);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let sluice = SLUICE.start(&["--set", "admin.sources=127.0.0.0/8"]);
    let mut page = Page::open(sluice.admin, "/");
    let look = |url: &str| {
        format!(
            "(() => {{ const form = document.querySelector('#probe form'); form.elements.url.value = '{url}'; \
             form.requestSubmit(); return true; }})()"
        )
    };
    let verdict = "document.querySelector('#probe .verdict').innerText";
    page.eval(&look(&cameras.urls[0]));
    page.wait_until(&format!("{verdict} === 'Plays in all browsers.'"));
    page.wait_until(
        "document.querySelector('#probe .found').innerText.includes('H264, Constrained Baseline')",
    );
    page.wait_until("document.querySelector('#probe pre').innerText.startsWith('[streams.cam1]')");
    page.eval("document.querySelector('#probe').scrollIntoView()");
    page.screenshot("probe");

    // All that the API takes can be said: by a group, where this camera has none, and as another stream.
    let fill = |fields: &[(&str, &str)]| {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("elements.{name}.value = '{value}'; ")).collect();
        format!(
            "(() => {{ const {{ elements }} = document.querySelector('#probe form'); {} return true; }})()",
            fields.concat()
        )
    };
    page.eval(&fill(&[("transport", "multicast")]));
    page.eval(&look(&cameras.urls[0]));
    page.wait_until(&format!("{verdict}.includes('by multicast')"));
    page.eval(&fill(&[("transport", "auto"), ("name", "yard"), ("timeout", "30s")]));
    page.eval(&look(&cameras.urls[0]));
    page.wait_until("document.querySelector('#probe pre').innerText.startsWith('[streams.yard]')");
    page.eval(
        "(() => { const ask = fetch; window.fetch = (url, options) => { window.asked = options?.body ?? window.asked; \
         return ask(url, options); }; return true; })()",
    );
    let fingerprint = "33".repeat(32);
    page.eval(&fill(&[("transport", ""), ("timeout", ""), ("fingerprint", &fingerprint)]));
    let secret = cameras.urls[0].replace("rtsp://", "rtsps://");
    page.eval(&look(&secret));
    let said = serde_json::json!({ "url": secret, "name": "yard", "fingerprint": fingerprint });
    assert_eq!(page.eval("JSON.parse(window.asked)"), said, "what is empty is not said");
    page.wait_until(&format!("{verdict}.includes('TLS handshake')"));
    page.eval(&fill(&[("fingerprint", "")]));

    // What nobody wants to wait for is stopped, and the camera is let go.
    page.eval(&look(&format!("rtsp://127.0.0.1:{}/", silent.local_addr().expect("an address").port())));
    let (mut camera, _) = silent.accept().expect("the probe comes");
    page.wait_until("document.querySelector('#probe form button').innerText === 'Stop'");
    page.wait_until("document.querySelector('#probe pre').hidden");
    page.eval("document.querySelector('#probe form button').click()");
    page.wait_until(&format!("{verdict} === 'Stopped.'"));
    camera.set_read_timeout(Some(sluice_harness::PATIENCE)).expect("settable");
    camera.read_to_end(&mut Vec::new()).expect("it hangs up");
    page.assert_sound();
}

#[test]
fn a_stream_that_is_pressed_is_what_viewers_and_log_are_about_until_escape() {
    let _turn = turn();
    let (sluice, _viewers) = served();
    let mut page = Page::open(sluice.admin, "/");
    page.wait_until(&format!("{} === 'roof,gate,yard'", column("#streams", "Stream")));
    page.eval("document.querySelector('#viewers-show').click()");
    page.wait_until("document.querySelectorAll('#viewers-live tbody tr').length === 5");
    let about = "[...new Set([...document.querySelectorAll('.lines li')].map((line) => \
                 /stream=(\\w+)/.exec(line.innerText)?.[1] ?? '-'))].sort().join()";
    page.wait_until(&format!("{about}.includes('gate') && {about}.includes('roof')"));
    page.eval("document.querySelectorAll('#streams td.name button')[2].focus()");
    page.act("press Enter");
    page.wait_until(&format!("{about} === 'yard'"));
    page.wait_until(&format!("{} === 'yard,yard,yard'", column("#viewers-live", "Stream")));
    page.act("press Escape");
    page.wait_until("document.querySelectorAll('#viewers-live tbody tr').length === 5");

    page.act("press 6");
    page.wait_until("document.activeElement.id === 'settings'");
    let keys = column("#settings", "Key");
    page.wait_until(&format!("{keys}.includes('streams.gate.source') && !{keys}.includes('nack.history')"));
    page.eval("document.querySelector('#settings-given').click()");
    page.wait_until(&format!("{keys}.includes('nack.history')"));
    page.assert_sound();
}

#[test]
fn nothing_is_wider_than_a_phone_and_both_colour_schemes_can_be_read() {
    let _turn = turn();
    let (sluice, _viewers) = served();
    let mut page = Page::open(sluice.admin, "/");
    page.wait_until("sluiceOperator.charts.points('egress')[0]?.length >= 2");
    page.eval("document.querySelector('#viewers-show').click()");
    page.wait_until("document.querySelectorAll('#viewers-live tbody tr').length === 5");
    let colour = "getComputedStyle(document.body).backgroundColor";
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        page.act(&format!("media prefers-color-scheme={scheme}"));
        page.act("view 1280 720");
        page.screenshot(&format!("operator-{scheme}"));
        grounds.push(page.eval(colour));
        page.act("view 390 844");
        page.wait_until("document.documentElement.scrollWidth <= 390");
        page.screenshot(&format!("operator-{scheme}-phone"));
    }
    assert_ne!(grounds[0], grounds[1]);
    page.assert_sound();
}

#[test]
fn a_server_that_goes_away_is_said_and_the_page_comes_back_with_it() {
    let _turn = turn();
    let (sluice, viewers) = served();
    let mut page = Page::open(sluice.admin, "/");
    page.wait_until("sluiceOperator.charts.points('egress')[0]?.length >= 2");
    assert_eq!(page.eval("document.querySelector('#server').hidden"), true);
    let admin = sluice.admin;
    drop((viewers, sluice));
    page.wait_until("document.querySelector('#server').innerText.includes('does not answer')");
    let _again = SLUICE.start(&["--set", &format!("admin.listen={admin}")]);
    page.wait_until("document.querySelector('#server').hidden");
    page.wait_until(&format!("{} === 'demo'", column("#streams", "Stream")));
}

/// A page of another site, on another port of this machine, that does to the admin listener what it can.
fn foreign(admin: SocketAddr, id: &str) -> SocketAddr {
    let page = format!(
        "<!doctype html><title>x</title><script>globalThis.done = (async () => {{ const said = [];\
         for (const [path, options] of [['viewers/{id}', {{method: 'DELETE'}}], ['viewers', {{}}],\
         ['viewers', {{mode: 'no-cors'}}]]) {{ try {{ const answer = await fetch('http://{admin}/api/v1/' + path,\
         options); said.push(answer.type + (await answer.text()).length); }} catch {{ said.push('refused'); }} }}\
         const events = new EventSource('http://{admin}/api/v1/events');\
         said.push(await new Promise((done) => {{ events.onerror = () => done('refused'); events.onopen = () => \
         done('open'); }})); return said.join(); }})()</script>"
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let _ = client.read(&mut [0; 4_096]);
            let length = page.len();
            let _ = write!(
                client,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
            );
        }
    });
    address
}

#[test]
fn a_page_of_another_site_reads_nothing_and_ends_nobody() {
    let _turn = turn();
    let (sluice, _viewers) = served();
    let viewers = || sluice_harness::Request::get("/api/v1/sessions").send(sluice.admin).json();
    let id = viewers()["sessions"][0]["id"].as_str().expect("an id").to_owned();
    let mut page = Page::open(foreign(sluice.admin, &id), "/");
    // An opaque answer has no bytes for whoever asked.
    assert_eq!(page.eval("done"), "refused,refused,opaque0,refused");
    assert_eq!(viewers()["total"], 5);
    assert_eq!(sluice.metric("sluice_viewer_ends_total{reason=\"operator\"}"), 0.0);
}
