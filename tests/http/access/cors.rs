//! Which pages of other sites may use what is answered (CORS).

use sluice_harness::{Request, Response};

use super::{OFFER, guarded, named};

const TV: &str = "https://tv.example.com";
const RADIO: &str = "https://radio.example.com:8443";

fn allowed(answer: &Response) -> Option<&str> {
    let credentials = answer.header("access-control-allow-credentials");
    assert_eq!(credentials, None, "no page of another site uses what a browser remembers for us");
    answer.header("access-control-allow-origin")
}

#[test]
fn only_listed_origins_are_repeated_and_never_with_credentials() {
    for (setting, cases) in [
        ("*", &[(None, Some("*")), (Some(TV), Some("*")), (Some("null"), Some("*"))][..]),
        ("", &[(None, None), (Some(TV), None), (Some("null"), None)]),
        (
            "https://tv.example.com,https://radio.example.com:8443",
            &[
                (None, None),
                (Some(TV), Some(TV)),
                (Some(RADIO), Some(RADIO)),
                (Some("http://tv.example.com"), None),
                (Some("https://tv.example.com:444"), None),
                (Some("https://tv.example.com.evil.lan"), None),
                (Some("https://eviltv.example.com"), None),
                (Some("null"), None),
            ],
        ),
    ] {
        let allow = format!("http.allow_origin={setting}");
        let sluice = guarded(&[&allow, "access.users.ann.password=hunter2", "access.users.ann.read=*"]);
        let listed = setting.contains("tv");
        for (origin, expected) in cases {
            let from = |request: Request| match origin {
                Some(origin) => sluice.request(request.header("Origin", origin)),
                None => sluice.request(request),
            };
            for (request, status) in [
                (Request::new("OPTIONS", "/gate/whep"), 200),
                (Request::offer("/gate/whep", OFFER), 401),
                (named(Request::offer("/gate/whep", OFFER), "ann", "hunter2"), 201),
                (named(Request::get("/gate/frame.mp4"), "ann", "hunter2"), 200),
                (named(Request::offer("/attic/whep", OFFER), "ann", "hunter2"), 404),
            ] {
                let answer = from(request);
                assert_eq!(answer.status, status, "{setting} {origin:?}");
                assert_eq!(allowed(&answer), *expected, "{setting} for {origin:?} with {status}");
                assert_eq!(answer.header("vary"), listed.then_some("Origin"), "{setting} for {origin:?}");
                // A picture is read; only a session is more than that.
                let is_picture = status == 200 && answer.header("content-type") == Some("video/mp4");
                let methods = answer.header("access-control-allow-methods").is_some();
                assert_eq!(methods, expected.is_some() && !is_picture, "nothing is allowed in part");
                assert_eq!(answer.header("accept-post").is_some(), !is_picture);
                let exposed = answer.header("access-control-expose-headers");
                assert_eq!(exposed == Some("ETag, Retry-After"), expected.is_some() && is_picture);
            }
        }
    }
}
