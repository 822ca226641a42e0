//! Who may watch without a name: `access.read`.

use sluice_harness::Request;

use crate::{SLUICE, refused};

const CHROMIUM: &str = include_str!("../../data/chromium-156.sdp");

#[test]
fn addresses_that_are_not_listed_see_no_stream_and_no_name() {
    let proxy = ["--set", "http.trusted_proxies=127.0.0.1"];
    let sluice =
        SLUICE.start(&[&proxy[..], &["--set", "access.read=198.51.100.0/24,2001:db8::/32"]].concat());
    sluice.wait_until_playing("demo");
    let as_client =
        |request: Request, client: &str| sluice.request(request.header("X-Forwarded-For", client));
    let joined = as_client(Request::offer("/demo/whep", CHROMIUM), "2001:db8::7");
    assert_eq!(joined.status, 201);
    let session = joined.session("/demo/whep").expect("a session");
    for client in ["198.51.100.9", "::ffff:198.51.100.9"] {
        for (path, status) in
            [("/streams.json", 200), ("/demo/frame.mp4", 200), ("/demo/", 200), ("/none/", 404)]
        {
            assert_eq!(as_client(Request::get(path), client).status, status, "{path} for {client}");
        }
    }
    for client in ["198.51.101.9", "2001:db9::7", "127.0.0.1"] {
        for request in [
            Request::get("/streams.json"),
            Request::get("/demo/frame.mp4"),
            Request::get("/none/frame.mp4"),
            Request::offer("/demo/whep", CHROMIUM),
            Request::offer("/none/whep", CHROMIUM),
            Request::new("DELETE", &session),
        ] {
            let answer = as_client(request, client);
            let detail = refused(&answer, 403);
            assert!(detail.starts_with(&format!("{client} may not watch here: access.read")), "{detail}");
        }
        // The page is the same for any name, and a preflight works for everybody.
        for (method, path, status) in
            [("GET", "/demo/", 200), ("GET", "/none/", 200), ("OPTIONS", "/demo/whep", 200)]
        {
            assert_eq!(as_client(Request::new(method, path), client).status, status, "{method} {path}");
        }
    }
    assert_eq!(sluice.metric("sluice_sessions"), 1.0, "nobody else could end it");
}

#[test]
fn an_address_that_is_none_is_refused_at_the_start() {
    let output = SLUICE.command().args(["--set", "access.read=office"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("access.read") && said.contains("office"), "{said}");
}
