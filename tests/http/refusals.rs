//! What of a URL cannot be read is refused in the form of all refusals, whichever part of the server reads it.

use sluice_harness::Request;

use crate::{playing, refused};

#[test]
fn names_that_are_no_utf_8_are_refused_as_all_else_is() {
    let sluice = playing(&[]);
    for (method, path) in [
        ("GET", "/api/v1/streams/%FF"),
        ("PUT", "/api/v1/streams/site/%C3%28"),
        ("DELETE", "/api/v1/streams/%FF"),
        ("GET", "/api/v1/sessions/%FF"),
        ("DELETE", "/api/v1/sessions/%FF"),
        ("GET", "/static/%FF"),
    ] {
        let sentence = refused(&Request::new(method, path).send(sluice.admin), 400);
        assert!(sentence.contains("is no UTF-8"), "{method} {path}: {sentence}");
    }
    refused(&sluice.request(Request::get("/static/%FF")), 400);
    refused(&sluice.request(Request::get("/%FF/")), 404);
    // MediaMTX's programs read its form.
    for (method, path) in [
        ("GET", "/v3/paths/get/%FF"),
        ("POST", "/v3/webrtcsessions/kick/%FF"),
        ("PATCH", "/v3/config/paths/patch/%FF"),
    ] {
        let answer = Request::new(method, path).send(sluice.admin);
        assert_eq!((answer.status, &answer.json()["status"]), (400, &"error".into()), "{method} {path}");
        let sentence = answer.json()["error"].as_str().expect("a sentence").to_owned();
        assert!(sentence.contains("is no UTF-8"), "{method} {path}: {sentence}");
    }
}

#[test]
fn a_query_that_says_one_thing_twice_is_refused_as_all_else_is() {
    let sluice = playing(&[]);
    let twice = Request::get("/debug/pprof/threads?seconds=1&seconds=2").send(sluice.admin);
    assert_eq!(twice.status, 200, "what takes no seconds reads none");
    let twice = Request::get("/debug/pprof/profile?seconds=1&seconds=2").send(sluice.admin);
    let sentence = refused(&twice, 400);
    assert!(sentence.contains("give each key once") && sentence.contains("seconds"), "{sentence}");
}

#[test]
fn what_a_path_does_not_take_is_refused_as_all_else_is() {
    let sluice = playing(&["--set", "metrics.listen=127.0.0.1:0"]);
    for (method, path, allow) in [
        ("POST", "/api/v1/streams", "GET"),
        ("PATCH", "/api/v1/streams/demo", "PUT"),
        ("DELETE", "/api/v1/tokens", "POST"),
        ("PUT", "/api/v1/drain", "DELETE"),
        ("POST", "/metrics", "GET"),
        ("POST", "/readyz", "GET"),
    ] {
        let answer = Request::new(method, path).send(sluice.admin);
        let sentence = refused(&answer, 405);
        assert!(sentence.contains("Allow"), "{method} {path}: {sentence}");
        assert!(answer.header("allow").is_some_and(|all| all.contains(allow)), "{method} {path}: {answer:?}");
    }
    let answer = sluice.request(Request::new("POST", "/streams.json"));
    refused(&answer, 405);
    assert!(answer.header("allow").is_some_and(|all| all.contains("GET")), "{answer:?}");
}

#[test]
fn json_that_says_one_thing_twice_is_refused() {
    let sluice = playing(&[]);
    for (method, path, body) in [
        ("POST", "/api/v1/tokens", "{\"streams\":[\"demo\"],\"streams\":[\"*\"],\"for\":\"1m\"}"),
        ("PUT", "/api/v1/streams/gate", "{\"source\":\"demo\",\"source\":\"demo\"}"),
        ("POST", "/api/v1/drain", "{\"timeout\":\"1h\",\"timeout\":\"2h\"}"),
        ("PUT", "/api/v1/log/level", "{\"streams\":{\"demo\":\"debug\",\"demo\":\"info\"}}"),
    ] {
        let sentence = refused(&Request::new(method, path).body(body).send(sluice.admin), 400);
        assert!(sentence.contains("stands there twice"), "{method} {path}: {sentence}");
    }
    let add = Request::new("POST", "/v3/config/paths/add/gate").body("{\"source\":\"a\",\"source\":\"b\"}");
    assert_eq!(add.send(sluice.admin).status, 400);
    assert_eq!(Request::get("/api/v1/drain").send(sluice.admin).json()["draining"], false);
}
