//! The start page in Chromium: the wall, the kiosk and the player beside them, as a person uses them.
//!
//! Needs what tests/browser.rs needs, and Debian's ffmpeg.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

#[path = "wall/away.rs"]
mod away;
#[path = "wall/kiosk.rs"]
mod kiosk;
#[path = "wall/player.rs"]
mod player;
#[path = "wall/prefix.rs"]
mod prefix;
#[path = "wall/wall.rs"]
mod wall;

use sluice_harness::page::{Page, turn};
use sluice_harness::{Binary, Request, Sluice};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// A server of these streams, all of them the demo, and of more.
fn demos(names: &[&str], more: &[&str]) -> Sluice {
    let demos: Vec<String> = names.iter().map(|name| format!("streams.{name}.source=demo")).collect();
    let demos = demos.iter().flat_map(|demo| ["--set", demo.as_str()]);
    let sluice = SLUICE.start(&demos.chain(more.iter().copied()).collect::<Vec<_>>());
    for name in names {
        sluice.wait_until_playing(name);
    }
    sluice
}

/// Sessions there are, once they are as many.
#[track_caller]
fn wait_for_sessions(sluice: &Sluice, number: f64) {
    sluice.wait_for_metric("sluice_sessions", &format!("is {number}"), |sessions| sessions == number);
}
