//! `frame.mp4`: who has it already gets nothing, and what is not there is told in words.

use sluice_harness::{Request, Response, Sluice, wait_for};

use crate::{SLUICE, playing, refused};

fn still(sluice: &Sluice) -> Response {
    wait_for("a still", || {
        Some(sluice.request(Request::get("/demo/frame.mp4"))).filter(|answer| answer.status == 200)
    })
}

#[test]
fn a_still_is_sent_to_those_who_do_not_have_it() {
    let sluice = playing(&[]);
    let first = still(&sluice);
    assert_eq!(&first.body[4..8], b"ftyp");
    assert_eq!(first.header("content-type"), Some("video/mp4"));
    assert_eq!(first.header("content-length"), Some(first.body.len().to_string().as_str()));
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    assert_eq!(first.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(first.header("access-control-allow-origin"), Some("*"));
    assert!(first.header("last-modified").is_some_and(|date| date.ends_with(" GMT")), "the age of a picture");

    // A keyframe comes every 2 s: between two of them the answer stays the same.
    let asked = |tag: &str| sluice.request(Request::get("/demo/frame.mp4").header("If-None-Match", tag));
    let (same, tag) = wait_for("an answer between two keyframes", || {
        let tag = still(&sluice).header("etag").expect("a tag").to_owned();
        Some((asked(&tag), tag)).filter(|(answer, _)| answer.status == 304)
    });
    assert!(same.body.is_empty() && same.header("etag") == Some(&tag));
    let newer = wait_for("the next keyframe", || Some(asked(&tag)).filter(|answer| answer.status == 200));
    assert_ne!(newer.header("etag"), Some(tag.as_str()));

    let head = sluice.request(Request::new("HEAD", "/demo/frame.mp4"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(sluice.request(Request::new("POST", "/demo/frame.mp4")).status, 405);
    // Asking makes nobody a viewer.
    assert_eq!(sluice.metric("sluice_sessions"), 0.0);
}

#[test]
fn a_still_that_is_not_there_is_explained() {
    let sluice = SLUICE.start(&["gate=rtsp://user:canary@127.0.0.1:1/x"]);
    let away = sluice.request(Request::get("/gate/frame.mp4"));
    let sentence = refused(&away, 409);
    assert!(sentence.contains("\"gate\"") && sentence.contains("keyframe"), "{sentence}");
    assert_eq!(away.header("retry-after"), Some("1"));
    let sentence = refused(&sluice.request(Request::get("/nothing/frame.mp4")), 404);
    assert!(sentence.contains("\"nothing\""), "{sentence}");
}

/// A camera that does not let us in will not do so in a moment.
#[test]
fn a_still_is_not_promised_where_waiting_does_not_help() {
    let cameras = SLUICE.cameras(1, &["--auth", "admin:right"]);
    let url = cameras.urls[0].replace("rtsp://", "rtsp://admin:canary@");
    let sluice = SLUICE.start(&[&format!("locked={url}")]);
    let answer = wait_for("the camera's refusal", || {
        let answer = sluice.request(Request::get("/locked/frame.mp4"));
        String::from_utf8_lossy(&answer.body).contains("waiting does not help").then_some(answer)
    });
    let sentence = refused(&answer, 409);
    assert!(sentence.contains("password") && !sentence.contains("127.0.0.1"), "{sentence}");
    assert_eq!(answer.header("retry-after"), None);
}
