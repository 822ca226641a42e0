//! Who may do what, as a client sees it.

mod addresses;
mod cors;
mod hook;
mod jwt;
mod operators;
mod other;
mod table;
mod tokens;
mod users;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_harness::{Request, Sluice};

use crate::SLUICE;

/// A browser's offer.
const OFFER: &str = include_str!("../../data/chromium-156.sdp");

/// A server with two streams, `gate` and `yard`, and these keys, once both play.
fn guarded(keys: &[&str]) -> Sluice {
    let sets = keys.iter().flat_map(|key| ["--set", key]);
    let arguments: Vec<&str> = ["gate=demo", "yard=demo"].into_iter().chain(sets).collect();
    let sluice = SLUICE.start(&arguments);
    ["gate", "yard"].iter().for_each(|name| sluice.wait_until_playing(name));
    sluice
}

/// A request of somebody with a name and a password.
fn named(request: Request, name: &str, password: &str) -> Request {
    let said = STANDARD.encode(format!("{name}:{password}"));
    request.header("Authorization", &format!("Basic {said}"))
}

/// What `sluice hash` prints for a password.
fn hash(password: &str) -> String {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = SLUICE.command();
    let command = command.arg("hash").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    writeln!(child.stdin.take().expect("piped"), "{password}").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
