//! The HTTP side of the real binary: clients that misbehave, pages, health, metrics, and the command itself.
#![expect(clippy::disallowed_methods, reason = "tests run against real time and real sockets")]

#[path = "http/access/mod.rs"]
mod access;
#[path = "http/clients.rs"]
mod clients;
#[path = "http/command.rs"]
mod command;
#[path = "http/drain.rs"]
mod drain;
#[path = "http/http2.rs"]
mod http2;
#[path = "http/mediamtx.rs"]
mod mediamtx;
#[path = "http/metrics.rs"]
mod metrics;
#[path = "http/notify.rs"]
mod notify;
#[path = "http/operator.rs"]
mod operator;
#[path = "http/pages.rs"]
mod pages;
#[path = "http/probe.rs"]
mod probe;
#[path = "http/refusals.rs"]
mod refusals;
#[path = "http/secrets.rs"]
mod secrets;
#[path = "http/stills.rs"]
mod stills;
#[path = "http/tls.rs"]
mod tls;

use sluice_harness::{Binary, Response, Sluice};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// A server that plays the demo.
fn playing(arguments: &[&str]) -> Sluice {
    let sluice = SLUICE.start(arguments);
    sluice.wait_until_playing("demo");
    sluice
}

/// Checks a refusal and gives its sentence.
#[track_caller]
fn refused(response: &Response, status: u16) -> String {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    response.json()["detail"].as_str().expect("a sentence").to_owned()
}
