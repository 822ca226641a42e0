//! Many viewers of the real binary at once, over loopback: none loses a packet, none leaves anything behind.

#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

use std::time::{Duration, Instant};

use sluice_harness::client::{Behaviour, Client};
use sluice_harness::viewers::Viewers;
use sluice_harness::{Binary, Request, wait_for};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

const RESIDENT: &str = "process_resident_memory_bytes";

#[test]
fn two_hundred_viewers_lose_no_packet() {
    let sluice = SLUICE.start(&["--set", "limits.busy=0"]);
    sluice.wait_until_playing("demo");
    let viewers = Viewers::join_many(&sluice, "demo", 200);
    viewers.wait_until_watching();
    assert_eq!(sluice.metric("sluice_viewers"), 200.0);
    std::thread::sleep(Duration::from_secs(5));
    let now = Instant::now();
    for (index, stats) in viewers.stats().iter().enumerate() {
        assert_eq!((stats.video.lost(), stats.audio.lost()), (0, 0), "viewer {index}: {stats:?}");
        assert!(stats.video.packets > 400 && stats.audio.packets > 200, "viewer {index}: {stats:?}");
        assert!(stats.video.silence(now) < Duration::from_secs(2), "viewer {index}: {stats:?}");
        assert!(!stats.closed);
    }
    for reason in
        ["socket_full", "no_memory", "too_long", "unreachable", "denied", "invalid", "refused", "other"]
    {
        let name = format!("sluice_egress_dropped_datagrams_total{{reason=\"{reason}\"}}");
        assert_eq!(sluice.metric(&name), 0.0, "{name}");
    }
    viewers.stop();
    sluice.wait_for_metric("sluice_sessions", "is 0 after their goodbyes", |sessions| sessions == 0.0);
}

#[test]
fn abandoned_offers_leave_nothing_behind_and_disturb_nobody() {
    // An unoptimised server beside other tests is soon busy, and that is not what is looked at here.
    let sluice = SLUICE.start(&["--set", "limits.setup_timeout=2s", "--set", "limits.busy=0"]);
    sluice.wait_until_playing("demo");
    let witnesses = Viewers::join_many(&sluice, "demo", 4);
    witnesses.wait_until_watching();
    let nobody = "127.0.0.1:9".parse().expect("an address");
    let (_, text) = Client::new(nobody, Behaviour::PACKETS, Instant::now());
    let mut resident = Vec::new();
    for _ in 0..3 {
        for _ in 0..500 {
            let response = sluice.request(Request::offer("/demo/whep", &text));
            assert_eq!(response.status, 201, "{}", response.text());
        }
        sluice.wait_for_metric("sluice_sessions", "is back to the witnesses", |sessions| sessions == 4.0);
        resident.push(sluice.metric(RESIDENT));
    }
    assert_eq!(sluice.metric("sluice_viewer_ends_total{reason=\"setup_timeout\"}"), 1_500.0);
    // The allocator keeps pages of the first round; a leak would add as much again in each round
    // (500 engines are about 40 MB).
    let grown = resident[2] - resident[1];
    assert!(grown < 15e6, "resident memory after each round: {resident:?}");
    for stats in witnesses.stats() {
        assert_eq!((stats.video.lost(), stats.audio.lost()), (0, 0), "{stats:?}");
        assert!(stats.video.longest_pause < Duration::from_secs(2), "{stats:?}");
    }
}

#[test]
fn viewers_that_vanish_are_forgotten() {
    let sluice = SLUICE.start(&["--set", "limits.consent_timeout=16s"]);
    sluice.wait_until_playing("demo");
    let viewers = Viewers::join_many(&sluice, "demo", 10);
    viewers.wait_until_watching();
    drop(viewers);
    sluice.wait_for_metric("sluice_sessions", "is 0 after their consent ran out", |sessions| sessions == 0.0);
    assert_eq!(sluice.metric("sluice_viewer_ends_total{reason=\"consent_expired\"}"), 10.0);
    assert_eq!(sluice.metric("sluice_viewers"), 0.0);
}

#[test]
fn a_server_that_stops_tells_its_viewers() {
    let sluice = SLUICE.start(&[]);
    sluice.wait_until_playing("demo");
    let viewers = Viewers::join_many(&sluice, "demo", 20);
    viewers.wait_until_watching();
    let (status, log) = sluice.terminate();
    assert!(status.success(), "{status}\n{log}");
    wait_for("all goodbyes", || viewers.stats().iter().all(|stats| stats.closed).then_some(()));
}

#[test]
fn a_deleted_session_is_told_and_the_others_play_on() {
    let sluice = SLUICE.start(&[]);
    sluice.wait_until_playing("demo");
    let viewers = Viewers::join_many(&sluice, "demo", 3);
    viewers.wait_until_watching();
    let response = sluice.request(Request::new("DELETE", viewers.location(1)));
    assert_eq!(response.status, 200);
    wait_for("its goodbye", || viewers.stats()[1].closed.then_some(()));
    let before = viewers.stats();
    wait_for("pictures of the others", || {
        let after = viewers.stats();
        [0, 2].iter().all(|&i| after[i].video.packets > before[i].video.packets + 20).then_some(())
    });
    assert!(!viewers.stats()[0].closed && !viewers.stats()[2].closed);
}
