//! Pages and what else is under a URL: they exist, they are locked to this server, and nothing else is there.

use sluice_harness::{Request, Sluice, wait_for};

use crate::{SLUICE, playing, refused};

#[test]
fn pages_and_scripts_run_nothing_foreign() {
    let sluice = playing(&[]);
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/demo/", "text/html; charset=utf-8"),
        ("/static/index.js", "text/javascript; charset=utf-8"),
        ("/static/wall.js", "text/javascript; charset=utf-8"),
        ("/static/kiosk.js", "text/javascript; charset=utf-8"),
        ("/static/player.js", "text/javascript; charset=utf-8"),
        ("/static/whep.js", "text/javascript; charset=utf-8"),
        ("/demo/reader.js", "text/javascript; charset=utf-8"),
        ("/static/wall.css", "text/css; charset=utf-8"),
        ("/static/style.css", "text/css; charset=utf-8"),
    ] {
        let page = sluice.request(Request::get(path));
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.header("content-type"), Some(content_type));
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        let head = sluice.request(Request::new("HEAD", path));
        assert_eq!((head.status, head.body.len()), (200, 0));
    }
}

/// What pages load and link to is relative, so that they work below any path of a proxy.
#[test]
fn pages_ask_for_nothing_by_an_absolute_path() {
    let sluice = playing(&[]);
    let base = url::Url::parse("http://host/tv/cams/").expect("a URL");
    for (path, from) in
        [("/", "./"), ("/demo/", "demo/"), ("/nothing/", "nothing/"), ("/site1/gate/", "site1/gate/")]
    {
        let page = sluice.request(Request::get(path)).text();
        let mut scripts: Vec<url::Url> = Vec::new();
        for link in page.split('"').skip(1).step_by(2).filter(|link| !link.starts_with("data:")) {
            assert!(!link.starts_with('/'), "{path}: {link}");
            if link.contains("static/") {
                scripts.push(base.join(from).and_then(|page| page.join(link)).expect(link));
            }
        }
        assert!(scripts.len() >= 2, "{page}");
        let mut seen = std::collections::HashSet::new();
        while let Some(url) = scripts.pop() {
            if !seen.insert(url.clone()) {
                continue;
            }
            let inside = url.path().strip_prefix("/tv/cams").unwrap_or_else(|| panic!("{url}"));
            let file = sluice.request(Request::get(inside));
            assert_eq!(file.status, 200, "{url}");
            let file = file.text();
            // `import ... from "x"` and `import("x")`.
            let code = file.lines().filter(|line| !line.trim_start().starts_with("//"));
            let imports = code.filter(|line| line.contains(" from \"") || line.contains("import(\""));
            let imports = imports.flat_map(|line| line.split('"').skip(1).step_by(2));
            let imports = imports.filter(|name| name.ends_with(".js"));
            for import in imports {
                assert!(import.starts_with("./"), "{url}: {import}");
                scripts.push(url.join(import).expect(import));
            }
        }
        assert!(seen.len() >= 8, "the modules were not found: {seen:?}");
    }
}

#[test]
fn the_player_of_a_stream_that_is_not_there_explains_itself() {
    let sluice = playing(&[]);
    let page = sluice.request(Request::get("/nothing/"));
    assert_eq!(page.status, 404);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.body, sluice.request(Request::get("/demo/")).body);
}

#[test]
fn a_stream_without_its_slash_leads_to_its_player_and_keeps_the_query() {
    let sluice = playing(&[]);
    for (path, location) in [
        ("/demo", "./demo/"),
        ("/demo?muted=0&autoplay=1", "./demo/?muted=0&autoplay=1"),
        ("/a%20b?x=%2F", "./a%20b/?x=%2F"),
        ("/site1/b.2/gate?muted=0", "./gate/?muted=0"),
        // Never to another server, whatever the name is made of.
        ("/%2F%2Fexample.com", "./%2F%2Fexample.com/"),
        ("/%5Cexample.com", "./%5Cexample.com/"),
        ("/https:", "./https%3A/"),
    ] {
        let answer = sluice.request(Request::get(path));
        assert_eq!((answer.status, answer.header("location")), (307, Some(location)), "{path}");
    }
}

#[test]
fn a_name_of_several_segments_has_a_page_a_still_a_reader_and_an_endpoint() {
    let name = "site1/b.2/gate";
    let sluice = playing(&["--set", &format!("streams.\"{name}\".source=demo"), "demo=demo"]);
    sluice.wait_until_playing(name);
    for path in [name, "site1%2Fb.2%2Fgate", "site1/b%2E2/gate"] {
        assert_eq!(sluice.request(Request::get(&format!("/{path}/"))).status, 200, "{path}");
    }
    assert_eq!(sluice.request(Request::get("/site1/b.2/")).status, 404);
    assert_eq!(sluice.request(Request::get(&format!("/{name}/reader.js"))).status, 200);
    wait_for("a still", || {
        (sluice.request(Request::get(&format!("/{name}/frame.mp4"))).status == 200).then_some(())
    });
    assert_eq!(sluice.request(Request::get(&format!("/{name}/whep"))).status, 204);
    assert_eq!(sluice.request(Request::new("DELETE", &format!("/{name}/"))).status, 405);
    let streams = sluice.request(Request::get("/streams.json")).json()["streams"].clone();
    assert!(streams.as_array().expect("a list").iter().any(|stream| stream["name"] == name), "{streams}");
    assert_eq!(sluice.metric(&format!("sluice_stream_up{{stream=\"{name}\"}}")), 1.0);
}

#[test]
fn everything_else_is_404_in_words() {
    let sluice = playing(&[]);
    for path in [
        "/demo/whep/x/y",
        "/static/../Cargo.toml",
        "/demo//",
        "/demo/../demo/",
        "/api/v1/streams",
        "/demo/publish",
        &"/demo".repeat(100),
    ] {
        let sentence = refused(&sluice.request(Request::get(path)), 404);
        assert_eq!(sentence, "nothing is here; the start page / lists the streams", "{path}");
    }
    assert_eq!(refused(&sluice.request(Request::get("/static/nothing.js")), 404), "no such file");
    // What belongs to operators is on their listener only, and the other way round.
    assert_eq!(sluice.request(Request::get("/debug/pprof/")).status, 404);
    for path in ["/demo/whep", "/streams.json"] {
        refused(&Request::get(path).send(sluice.admin), 404);
    }
    let sentence = refused(&sluice.request(Request::get("/metrics")), 404);
    assert!(sentence.contains("admin.listen"), "{sentence}");
    for path in ["/livez", "/readyz"] {
        // A name like any other here.
        assert_eq!(sluice.request(Request::get(path)).status, 307, "{path}");
    }
}

#[test]
fn the_list_of_streams_says_what_each_does() {
    let sluice = SLUICE.start(&["cam=rtsp://127.0.0.1:1/x", "--set", "streams.demo.source=demo"]);
    sluice.wait_until_playing("demo");
    let answer = sluice.request(Request::get("/streams.json"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    let list = answer.json();
    assert_eq!(list["version"], env!("CARGO_PKG_VERSION"));
    let (cam, demo) = (&list["streams"][0], &list["streams"][1]);
    assert_eq!((&cam["name"], &cam["source"]), (&"cam".into(), &"rtsp".into()));
    assert!(cam["state"] == "connecting" || cam["state"] == "waiting", "{cam}");
    assert_eq!(cam["picture"], false, "{cam}");
    assert_eq!((&demo["name"], &demo["state"]), (&"demo".into(), &"playing".into()));
    assert_eq!((&demo["video"]["codec"], &demo["audio"]["codec"]), (&"H264".into(), &"opus".into()));
}

/// One stream as `/streams.json` has it.
fn listed(sluice: &Sluice, place: usize) -> serde_json::Value {
    sluice.request(Request::get("/streams.json")).json()["streams"][place].clone()
}

#[test]
fn a_stream_that_needs_attention_says_why_and_since_when() {
    let sluice = SLUICE.start(&["cam=rtsp://127.0.0.1:1/x", "--set", "streams.demo.source=demo"]);
    let cam = wait_for("the camera to be called away", || {
        Some(listed(&sluice, 0)).filter(|cam| !cam["trouble"].is_null())
    });
    assert_eq!(cam["trouble"]["kind"], "away");
    let detail = cam["trouble"]["detail"].as_str().expect("why").to_owned();
    assert!(detail.contains("the camera") && !cam.to_string().contains("127.0.0.1"), "{cam}");
    assert!(cam["since"].as_str().is_some_and(|date| date.ends_with(" GMT")), "{cam}");
    // While it is tried again the reason stays: a page would flicker.
    let tried = wait_for("the next attempt", || {
        Some(listed(&sluice, 0)).filter(|cam| cam["state"] == "connecting" || cam["retry_in_ms"] != 0)
    });
    assert_eq!(tried["trouble"]["kind"], "away", "{tried}");
    let demo =
        wait_for("the demo's picture", || Some(listed(&sluice, 1)).filter(|demo| demo["picture"] == true));
    assert_eq!(demo["trouble"], serde_json::Value::Null, "{demo}");
}

#[test]
fn who_has_the_list_or_a_script_already_is_sent_neither() {
    let sluice = playing(&[]);
    for path in ["/streams.json", "/", "/static/style.css", "/demo/"] {
        // The list changes while the demo starts, and no more then.
        let (again, tag) = wait_for("an answer without a body", || {
            let tag = sluice.request(Request::get(path)).header("etag").expect("a tag").to_owned();
            let again = sluice.request(Request::get(path).header("If-None-Match", &tag));
            Some((again, tag)).filter(|(again, _)| again.status == 304)
        });
        assert_eq!((again.body.len(), again.header("etag")), (0, Some(tag.as_str())), "{path}");
        assert!(again.header("date").is_some(), "pages count time by the server's clock");
    }
    // Explained anew each time: a browser shows the page of a 404.
    let missing = sluice.request(Request::get("/nothing/"));
    let tag = missing.header("etag").expect("a tag");
    assert_eq!(sluice.request(Request::get("/nothing/").header("If-None-Match", tag)).status, 404);
}
