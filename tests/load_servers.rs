//! The load generator against servers that are not ours: what it counts is what was done on the way, to the
//! packet, and a server that deceives is found out.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the server runs against real time and real sockets; a failed test shows its seed"
)]

#[path = "load_servers/link.rs"]
mod link;
#[path = "load_servers/pictures.rs"]
mod pictures;
#[path = "load_servers/server.rs"]
mod server;

use std::time::Duration;

use sluice_harness::Binary;

use link::Shares;
use server::{Cheat, PICTURES, Script, Server};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// A seed of this run, said if the test fails.
fn seed() -> u64 {
    let seed = rand::random::<u32>().into();
    println!("seed {seed}");
    seed
}

#[test]
fn loss_doubling_and_reordering_are_counted_to_the_packet() {
    let link = Shares { lost: 0.04, doubled: 0.02, held: 0.02, repairs_lost: 0.0 };
    let server = Server::start(Script { link, ..Script::honest(seed()) });
    let load = SLUICE.load_to(0, &server.url(), &["--viewers=6", "--duration=6s", "--nack=off"]);
    let done = server.done();
    assert_eq!(done.media, 6 * pictures::packets_of(PICTURES), "all was sent in time: {done:?}");
    assert!(done.lost > 40 && done.doubled > 15 && done.held > 15, "{done:?}");
    assert_eq!(load.count("/totals/expected"), done.media, "{done:?}");
    assert_eq!(load.count("/lost_before_repair"), done.lost, "{done:?}");
    assert_eq!(load.count("/lost"), done.lost, "{done:?}");
    assert_eq!(load.count("/totals/duplicates"), done.doubled, "{done:?}");
    assert_eq!(load.count("/totals/reordered"), done.held, "{done:?}");
    assert_eq!(load.count("/totals/packets"), done.media - done.lost + done.doubled, "{done:?}");
    assert_eq!(load.count("/totals/video/expected"), done.media);
    for nothing in
        ["/totals/repaired", "/totals/stale", "/totals/restarts", "/totals/unknown", "/totals/nacked"]
    {
        assert_eq!(load.count(nothing), 0, "{nothing}");
    }
    // It is silent when all is sent, and the curves end there too.
    assert_eq!(load.count("/stalled"), 6);
    load.assert_warns("6 viewers had no packet for more than 2 s");
    let points = load.report.pointer("/series/points").and_then(|points| points.as_array()).expect("points");
    let lost: f64 = points.iter().filter_map(|point| point["loss"].as_f64()).sum();
    assert!(lost > 0.0, "{points:#?}");
    assert_eq!(points.last().and_then(|point| point["packets_per_second"].as_f64()), Some(0.0));
}

#[test]
fn what_is_repaired_is_counted_to_the_packet() {
    // Verification waits for five requests, a tenth of a second apart: so seldom are all of them in vain.
    let link = Shares { lost: 0.05, repairs_lost: 0.1, ..Shares::default() };
    let server = Server::start(Script { link, ..Script::honest(seed()) });
    let arguments = ["--viewers=8", "--duration=5s", "--verify=4", "--require=verify_errors<1"];
    let load = SLUICE.load_to(0, &server.url(), &arguments);
    let done = server.done();
    assert!(done.lost > 40 && done.repairs_lost > 0, "{done:?}");
    assert_eq!(load.count("/totals/expected"), done.media, "{done:?}");
    assert_eq!(load.count("/lost_before_repair"), done.lost, "{done:?}");
    assert_eq!(load.count("/totals/repairs"), done.repairs, "{done:?}");
    assert_eq!(load.count("/totals/repaired"), done.lost, "ten requests for each are enough: {done:?}");
    assert_eq!(load.count("/lost"), 0, "{done:?}");
    assert_eq!(load.count("/totals/duplicates"), done.repairs - done.lost, "asked for twice, came twice");
    assert!(load.count("/totals/nacked") >= done.repairs + done.repairs_lost, "{done:?}");
    assert_eq!(load.count("/verified/frames"), 2 * u64::from(PICTURES));
    assert_eq!(load.count("/verified/incomplete"), 0);
}

#[test]
fn the_age_of_pictures_is_that_which_they_claim() {
    let old = Duration::from_millis(150);
    let server = Server::start(Script { old, ..Script::honest(seed()) });
    let arguments = ["--viewers=2", "--duration=4s", "--verify=1", "--require=delay_p50<150ms"];
    let load = SLUICE.load_to(1, &server.url(), &arguments);
    // What claims to be from before its viewer connected, or from his first half second, is no delay.
    let (dated, past) = (load.count("/delay/count"), load.count("/verified/from_past"));
    assert_eq!(dated + past, 2 * u64::from(PICTURES), "{:#}", load.report);
    assert!(past >= 2 && dated >= 50, "{past} and {dated}");
    let smallest = load.number("/delay/quantiles/0/1");
    assert!(smallest >= 0.1485, "to 1 %: {smallest}");
    assert!(load.text.contains("MISSED: delay_p50<150ms"), "{}", load.text);
    // Cameras whose clock is ahead are not believed.
    drop(server);
    let server = Server::start(Script { old: Duration::ZERO, ..Script::honest(seed()) });
    SLUICE.load_to(
        0,
        &server.url(),
        &["--viewers=1", "--duration=3s", "--verify=1", "--require=delay_max<30s"],
    );
}

#[test]
fn a_server_that_takes_viewers_and_sends_nothing_is_found_out() {
    let server = Server::start(Script { cheat: Cheat::DeadAir, ..Script::honest(seed()) });
    let load = SLUICE.load_to(1, &server.url(), &["--viewers=3", "--duration=1s"]);
    assert_eq!((load.count("/joined"), load.count("/silent")), (3, 3));
    assert_eq!(load.count("/totals/packets"), 0);
    load.assert_warns("3 viewers connected and never got a packet");
}

#[test]
fn packets_under_the_key_of_somebody_else_are_found_out() {
    let server = Server::start(Script { cheat: Cheat::WrongKey, ..Script::honest(seed()) });
    let arguments = ["--viewers=2", "--duration=3s", "--verify=1", "--require=verify_errors<1"];
    let load = SLUICE.load_to(1, &server.url(), &arguments);
    assert!(load.count("/verified/forged") > 100, "{:#}", load.report);
    assert_eq!((load.count("/verified/authentic"), load.count("/verified/frames")), (0, 0));
    load.assert_warns("are not authentic");
    // Without keys nobody can tell, and the headers look well.
    let load = SLUICE.load_to(0, &server.url(), &["--viewers=2", "--duration=3s"]);
    assert_eq!((load.count("/lost"), load.count("/verifiers")), (0, 0));
}

#[test]
fn a_replay_is_found_out() {
    let server = Server::start(Script { cheat: Cheat::Replay, ..Script::honest(seed()) });
    let arguments = ["--viewers=2", "--duration=4s", "--verify=1", "--require=duplicates<1"];
    let load = SLUICE.load_to(1, &server.url(), &arguments);
    let done = server.done();
    assert_eq!(done.doubled, done.media, "each once more");
    assert_eq!(load.count("/totals/duplicates"), done.doubled);
    assert_eq!(load.count("/totals/expected"), done.media);
    assert_eq!(load.count("/verified/frames"), 2 * u64::from(PICTURES), "a frame that comes again is none");
    load.assert_warns("packets came again although nobody had asked for them");
}

#[test]
fn a_frozen_picture_is_found_out() {
    let server = Server::start(Script { cheat: Cheat::Frozen, ..Script::honest(seed()) });
    let arguments = ["--viewers=1", "--duration=3s", "--verify=1", "--require=verify_errors<1"];
    let load = SLUICE.load_to(1, &server.url(), &arguments);
    assert_eq!((load.count("/lost"), load.count("/verified/frames")), (0, PICTURES.into()));
    // The keyframes among them are fragmented under another type, so each begins anew.
    assert_eq!(load.count("/verified/frozen"), 3 * (29 - 2) + (9 - 2));
    load.assert_warns("the picture is frozen");
}
