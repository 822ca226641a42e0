//! WHEP rule by rule, against the real binary: what docs/WHEP.md lists, each under its number.
//!
//! The `e` rules are about the endpoint (whep/offers.rs, whep/endpoint.rs), the `s` rules about the session URL
//! (whep/session.rs).

#[path = "whep/endpoint.rs"]
mod endpoint;
#[path = "whep/offers.rs"]
mod offers;
#[path = "whep/session.rs"]
mod session;

use sluice_harness::{Binary, Request, Response, Sluice};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

const CHROMIUM: &str = include_str!("data/chromium-156.sdp");
const AIORTC: &str = include_str!("data/aiortc-1.16.sdp");

const ENDPOINT: &str = "/demo/whep";

/// A server that plays the demo.
fn playing(arguments: &[&str]) -> Sluice {
    let sluice = SLUICE.start(arguments);
    sluice.wait_until_playing("demo");
    sluice
}

/// Joins, and gives the answer and the session's URL.
#[track_caller]
fn join(sluice: &Sluice, sdp: &str) -> (Response, String) {
    let answer = sluice.request(Request::offer(ENDPOINT, sdp));
    assert_eq!(answer.status, 201, "{}\n{sdp}", answer.text());
    let location = answer.session(ENDPOINT).expect("a session URL");
    (answer, location)
}

/// Checks a refusal and gives its sentence.
#[track_caller]
fn refused(response: &Response, status: u16) -> String {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    response.json()["detail"].as_str().expect("a sentence").to_owned()
}

#[track_caller]
fn retry_after(response: &Response) -> u64 {
    let seconds = response.header("retry-after").expect("Retry-After").parse().expect("whole seconds");
    assert!(seconds >= 1);
    seconds
}
