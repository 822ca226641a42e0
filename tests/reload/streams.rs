//! `/api/v1/streams`: streams that come, change and go by the API, for now or for good.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use sluice_harness::{Request, Response, Sluice, wait_for};

use crate::{File, SLUICE, names, streams};

fn path(name: &str) -> String {
    format!("/api/v1/streams/{name}")
}

fn put(sluice: &Sluice, name: &str, keys: &Value) -> Response {
    Request::new("PUT", &path(name)).body(keys.to_string()).send(sluice.admin)
}

fn get(sluice: &Sluice, name: &str) -> Response {
    Request::get(&path(name)).send(sluice.admin)
}

fn reload(sluice: &Sluice) -> Response {
    Request::new("POST", "/api/v1/config/reload").send(sluice.admin)
}

#[test]
fn a_stream_comes_changes_and_goes_while_others_lose_nothing() {
    let cameras = SLUICE.cameras(2, &[]);
    let [first, second] = &cameras.urls[..] else { panic!("two cameras") };
    let file = File::new(&streams(&[("stays", first)]));
    let path = file.0.to_str().expect("a path").to_owned();
    let sluice = SLUICE.start(&["-c", &path, "--set", "admin.sources=127.0.0.0/8"]);
    sluice.wait_until_playing("stays");
    let url = format!("http://{}/stays/whep", sluice.http);
    std::thread::scope(|scope| {
        let watched = scope.spawn(|| {
            let bounds = ["--require=loss<=0", "--require=verify_errors<1", "--require=failed<1"];
            SLUICE.load(&url, &[&["--viewers=4", "--duration=8s", "--verify=1"], &bounds[..]].concat())
        });
        sluice.wait_for_metric("sluice_viewers", "is 4", |viewers| viewers == 4.0);

        let added = put(&sluice, "site1/gate", &json!({ "source": first }));
        assert_eq!(added.status, 201, "{}", added.text());
        assert_eq!(added.json()["settings"][0]["origin"], "API");
        sluice.wait_until_playing("site1/gate");
        let changed = put(&sluice, "site1/gate", &json!({ "source": second, "rtsp_transport": "udp" }));
        assert_eq!(changed.status, 200, "{}", changed.text());
        assert_ne!(changed.header("etag"), added.header("etag"));
        sluice.wait_until_playing("site1/gate");
        assert_eq!(names(&sluice), ["site1/gate", "stays"]);
        let removed = Request::new("DELETE", &self::path("site1/gate")).send(sluice.admin);
        assert_eq!(removed.status, 204, "{}", removed.text());
        assert_eq!(names(&sluice), ["stays"]);
        assert_eq!(get(&sluice, "site1/gate").status, 404);

        let watched = watched.join().expect("a report");
        assert_eq!(watched.code, Some(0), "{}", watched.text);
    });
    assert_eq!(std::fs::read_to_string(&file.0).expect("text"), streams(&[("stays", first)]));
}

#[test]
fn what_is_kept_is_in_the_file_with_its_comments_and_what_is_not_lasts_until_the_file_says_otherwise() {
    let text = "# The house.\n[streams.gate] # east\nsource = \"demo\" # for now\n";
    let file = File::new(text);
    std::fs::set_permissions(&file.0, std::fs::Permissions::from_mode(0o640)).expect("a mode");
    let sluice = file.serve();
    let read = || std::fs::read_to_string(&file.0).expect("text");

    let camera = json!({ "source": "rtsp://user:canary@10.255.255.1/canary" });
    assert_eq!(put(&sluice, "yard?keep=true", &camera).status, 201);
    let kept = format!("{text}\n[streams.yard]\nsource = \"rtsp://user:canary@10.255.255.1/canary\"\n");
    assert_eq!(read(), kept);
    assert_eq!(std::fs::metadata(&file.0).expect("a file").permissions().mode() & 0o7777, 0o640);
    let origin = |name: &str| get(&sluice, name).json()["settings"][0]["origin"].as_str().map(str::to_owned);
    assert!(origin("yard").is_some_and(|origin| origin.ends_with(".toml:6")), "{:?}", origin("yard"));

    assert_eq!(put(&sluice, "hall", &json!({ "source": "demo" })).status, 201);
    assert_eq!(read(), kept, "it is for now");
    // A reload of a file that says nothing of it leaves it.
    assert_eq!(reload(&sluice).json()["streams"], json!({ "added": [], "changed": [], "removed": [] }));
    assert_eq!(names(&sluice), ["gate", "hall", "yard"]);
    file.write(&format!("{kept}[streams.hall]\nsource = \"rtsp://10.255.255.2/\"\n"));
    assert_eq!(reload(&sluice).json()["streams"]["changed"], json!(["hall"]));

    let removed = Request::new("DELETE", &path("yard?keep=true")).send(sluice.admin);
    assert_eq!(removed.status, 204, "{}", removed.text());
    assert_eq!(read(), format!("{text}[streams.hall]\nsource = \"rtsp://10.255.255.2/\"\n"));
    assert_eq!(names(&sluice), ["gate", "hall"]);

    // Somebody has edited the file, and nobody has read it since.
    file.write(&format!("{}# mine\n", read()));
    let refused = put(&sluice, "roof?keep=true", &json!({ "source": "demo" }));
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("reload it first"), "{}", refused.text());
    assert!(read().ends_with("# mine\n") && !read().contains("roof"));
    assert_eq!(names(&sluice), ["gate", "hall"]);
    assert_eq!(reload(&sluice).status, 200);
    assert_eq!(put(&sluice, "roof?keep=true", &json!({ "source": "demo" })).status, 201);
    assert!(read().contains("# mine\n") && read().contains("[streams.roof]"), "{}", read());
    assert!(!sluice.log().contains("canary"), "{}", sluice.log());
}

#[test]
fn a_change_is_made_on_its_condition_alone() {
    let file = File::new(&streams(&[("gate", "demo")]));
    let sluice = file.serve();
    let demo = json!({ "source": "demo" }).to_string();
    let change = |method: &str, name: &str, header: (&str, &str)| {
        let request = Request::new(method, &path(name)).header(header.0, header.1);
        let request = if method == "PUT" { request.body(demo.clone()) } else { request };
        request.send(sluice.admin).status
    };
    assert_eq!(change("PUT", "gate", ("If-None-Match", "*")), 412, "it is there");
    assert_eq!(change("PUT", "yard", ("If-Match", "*")), 412, "it is not");
    assert_eq!(change("PUT", "yard", ("If-None-Match", "*")), 201);
    let etag = get(&sluice, "yard").header("etag").expect("a tag").to_owned();
    assert_eq!(change("PUT", "yard", ("If-Match", &etag)), 200, "nothing differs");
    let tcp = json!({ "source": "demo", "rtsp_transport": "tcp" });
    let tagged = Request::new("PUT", &path("yard")).header("If-Match", &etag).body(tcp.to_string());
    assert_eq!(tagged.send(sluice.admin).status, 200);
    assert_eq!(change("DELETE", "yard", ("If-Match", &etag)), 412, "somebody changed it since");
    assert_eq!(
        change(
            "DELETE",
            "yard",
            ("If-Match", &format!("\"x\", {}", get(&sluice, "yard").header("etag").expect("a tag")))
        ),
        204
    );
    assert_eq!(change("DELETE", "yard", ("If-None-Match", "*")), 404);
}

#[test]
fn what_a_stream_may_be_is_what_it_may_be_in_the_file_and_mistakes_change_nothing() {
    let file = File::new(&streams(&[("gate", "demo")]));
    let sluice = file.serve();
    for (name, body, status, words) in [
        ("yard", r#"{"source":"gopher://yard/"}"#, 422, "gopher"),
        ("yard", r#"{"sorce":"demo"}"#, 422, "streams.yard.source"),
        ("yard", r#"{"source":7}"#, 422, "expected a string"),
        ("yard", "{}", 422, "has no source"),
        ("yard", r#"{"source":"demo","rtsp_transport":"tpc"}"#, 422, "tcp"),
        ("yard", r#"{"source":{"a":{"b":1}}}"#, 400, "source is neither"),
        ("yard", r#"{"source":{"high":"demo"}}"#, 422, "stands alone"),
        ("yard", r#"{"source":{"high":"rtsp://a"}}"#, 422, "it has `high` and no `low`"),
        ("yard", r#"{"a b":1}"#, 400, "is no key of a stream"),
        ("yard", "[]", 400, "no JSON as in"),
        ("yard", "", 400, "no JSON as in"),
        (
            "yard?kep=true",
            r#"{"source":"demo"}"#,
            400,
            "is not known in a query here (known: keep): did you mean keep?",
        ),
        ("yard?keep=yes", r#"{"source":"demo"}"#, 400, "neither true nor false"),
        ("whep", r#"{"source":"demo"}"#, 400, "a path of the server"),
        ("yard", r#"{"source":"rtsp://127.0.0.1:9997/"}"#, 422, "admin.sources"),
        ("yard", r#"{"source":"rtsp://[::ffff:169.254.169.254]/"}"#, 422, "admin.sources"),
        ("yard?keep=true", r#"{"source":"rtsp://localhost/"}"#, 422, "admin.sources"),
        ("yard?keep=true", r#"{"source":"rtsp://nobody.invalid/"}"#, 422, "does not resolve"),
    ] {
        let refused = Request::new("PUT", &path(name)).body(body).send(sluice.admin);
        assert_eq!(refused.status, status, "{body}: {}", refused.text());
        assert_eq!(refused.header("content-type"), Some("application/problem+json"), "{body}");
        assert!(refused.text().contains(words), "{body}: {}", refused.text());
    }
    assert_eq!(names(&sluice), ["gate"]);
    // A name is looked at when it is connected to: whoever answers for it may answer otherwise by then.
    assert_eq!(put(&sluice, "yard", &json!({ "source": "rtsp://localhost:1/" })).status, 201);
    let error = wait_for("an attempt", || get(&sluice, "yard").json()["error"].as_str().map(str::to_owned));
    assert!(error.contains("admin.sources"), "{error}");
    // The file's cameras may be anywhere.
    file.write(&streams(&[("gate", "rtsp://127.0.0.1:1/")]));
    assert_eq!(reload(&sluice).status, 200);
    let error = wait_for("an attempt", || get(&sluice, "gate").json()["error"].as_str().map(str::to_owned));
    assert!(error.contains("cannot be reached"), "{error}");
    let alone = SLUICE.start(&["gate=demo"]);
    let refused = put(&alone, "yard?keep=true", &json!({ "source": "demo" }));
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("-c FILE"), "{}", refused.text());
}

#[test]
fn what_a_variable_or_an_argument_says_cannot_be_changed_in_the_file() {
    let text = streams(&[("gate", "demo")]);
    let file = File::new(&text);
    let path = file.0.to_str().expect("a path").to_owned();
    let sluice = SLUICE.start(&["-c", &path, "yard=demo"]);
    let camera = json!({ "source": "rtsp://10.255.255.1/" });
    for refused in [
        put(&sluice, "yard?keep=true", &camera),
        Request::new("DELETE", &self::path("yard?keep=true")).send(sluice.admin),
    ] {
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(refused.text().contains("command line"), "{}", refused.text());
    }
    assert_eq!(std::fs::read_to_string(&file.0).expect("text"), text);
    assert_eq!(put(&sluice, "yard", &camera).status, 200, "for now it can");
}

#[test]
fn the_list_is_told_by_name_state_and_part() {
    let file = File::new(&streams(&[("a1", "demo"), ("a2", "rtsp://127.0.0.1:1/"), ("b1", "demo")]));
    let sluice = file.serve();
    ["a1", "b1"].iter().for_each(|name| sluice.wait_until_playing(name));
    let list = |query: &str| {
        let list = Request::get(&format!("/api/v1/streams{query}")).send(sluice.admin).json();
        let streams = list["streams"].as_array().expect("streams").clone();
        let names = streams.iter().map(|stream| stream["name"].as_str().expect("a name").to_owned());
        (list["total"].as_u64(), names.collect::<Vec<_>>())
    };
    let expected =
        |total: u64, names: &[&str]| (Some(total), names.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(list(""), expected(3, &["a1", "a2", "b1"]));
    assert_eq!(list("?name=a"), expected(2, &["a1", "a2"]));
    assert_eq!(list("?state=playing&name=1"), expected(2, &["a1", "b1"]));
    assert_eq!(list("?offset=1&limit=1"), expected(3, &["a2"]));
    assert_eq!(list("?offset=7"), expected(3, &[]));
    for wrong in ["?state=asleep", "?limit=x", "?nme=a"] {
        assert_eq!(
            Request::get(&format!("/api/v1/streams{wrong}")).send(sluice.admin).status,
            400,
            "{wrong}"
        );
    }
}
