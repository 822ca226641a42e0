//! A browser behind a narrow link: do its estimates reach us without transport-cc, and does the picture hold?
//!
//! Chromium runs in a network namespace of its own, behind a veth pair whose way to it is shaped by `tbf`. Needs root,
//! for the namespace. docs/OPERATING.md, "Limited links", has the figures that the ignored test prints.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice_harness::namespace::{Namespace, run};
use sluice_harness::page::{Page, frames, turn};
use sluice_harness::{Binary, Sluice};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// How long to wait for a first picture before measuring anyway.
const FIRST_PICTURE: Duration = Duration::from_secs(15);

/// The browser's namespace, with a link that can be made narrow.
struct Narrow(Namespace);

/// Our end of the link and the browser's, of the range for measurements (RFC 2544 §C.2.2).
const NEAR: &str = "198.18.231.1";
const FAR: &str = "198.18.231.2";

impl Narrow {
    fn new() -> Narrow {
        Narrow(Namespace::new(NEAR, FAR))
    }

    /// From now on the way to the browser carries `kbit` thousand bits a second, behind a queue of `queue`.
    fn limit(&self, kbit: u32, queue: Duration) {
        let device = &self.0.device;
        let latency = queue.as_millis();
        let rate = format!("{kbit}kbit");
        run("tc", &format!("qdisc replace dev {device} root tbf rate {rate} burst 10kb latency {latency}ms"));
    }

    /// Datagrams that the queue had no room for so far, and bytes that wait in it now.
    fn queue(&self) -> (u64, u64) {
        let output = Command::new("tc").args(["-s", "-j", "qdisc", "show", "dev", &self.0.device]).output();
        let text = output.expect("tc, from the Debian package iproute2").stdout;
        let shown: Value = serde_json::from_slice(&text).expect("JSON");
        let count = |name: &str| shown[0][name].as_u64().expect("a count");
        (count("drops"), count("backlog"))
    }
}

/// Counters of the server and of the browser at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    frames: f64,
    freezes: f64,
    frozen: f64,
    lost: f64,
    nacks: f64,
    estimates: f64,
    estimated: f64,
    below: f64,
    repairs: f64,
    keyframes: f64,
    reported_lost: f64,
    sent_bytes: f64,
    left_out: f64,
}

impl Moment {
    fn now(sluice: &Sluice, page: &mut Page) -> Moment {
        let stats = page.stats();
        let video = |name: &str| stats["video"][name].as_f64().unwrap_or(0.0);
        Moment {
            frames: frames(&stats) as f64,
            freezes: video("freezeCount"),
            frozen: video("totalFreezesDuration"),
            lost: video("packetsLost"),
            nacks: video("nackCount"),
            estimates: sluice.metric("sluice_viewer_estimate_bytes_per_second_count"),
            estimated: sluice.metric("sluice_viewer_estimate_bytes_per_second_sum"),
            below: sluice.metric("sluice_viewer_estimates_below_sent_total"),
            repairs: sluice.metric("sluice_repair_requests_total{result=\"sent\"}"),
            keyframes: sluice.metric("sluice_keyframe_requests_total{result=\"replayed\"}"),
            reported_lost: sluice.metric("sluice_viewer_lost_packets_total{kind=\"video\"}"),
            sent_bytes: sluice.metric("sluice_egress_bytes_total"),
            left_out: ["late", "superseded", "undecodable"]
                .map(|reason| sluice.metric(&format!("sluice_thinned_pictures_total{{reason=\"{reason}\"}}")))
                .iter()
                .sum(),
        }
    }

    /// What happened since `before`.
    fn since(self, before: Moment) -> Moment {
        Moment {
            frames: self.frames - before.frames,
            freezes: self.freezes - before.freezes,
            frozen: self.frozen - before.frozen,
            lost: self.lost - before.lost,
            nacks: self.nacks - before.nacks,
            estimates: self.estimates - before.estimates,
            estimated: self.estimated - before.estimated,
            below: self.below - before.below,
            repairs: self.repairs - before.repairs,
            keyframes: self.keyframes - before.keyframes,
            reported_lost: self.reported_lost - before.reported_lost,
            sent_bytes: self.sent_bytes - before.sent_bytes,
            left_out: self.left_out - before.left_out,
        }
    }

    /// The mean estimate in bits per second.
    fn estimate(&self) -> f64 {
        self.estimated * 8.0 / self.estimates.max(1.0)
    }
}

/// What the link's queue was like.
#[derive(Debug, Clone, Copy)]
struct Queue {
    /// Datagrams that it had no room for.
    dropped: u64,
    /// Bytes that waited in it, the mean of looks ten times a second.
    mean: f64,
}

/// Plays for a while, and gives what happened after the first `settle`.
fn watch(narrow: &Narrow, sluice: &Sluice, settle: Duration, time: Duration) -> (Moment, Queue) {
    let mut page = Page::open_in(&narrow.0.name, sluice.http, "/demo/");
    // On a link below the bitrate there may never be one.
    let opened = Instant::now();
    while frames(&page.stats()) == 0 && opened.elapsed() < FIRST_PICTURE {
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(settle);
    let (before, (dropped, _)) = (Moment::now(sluice, &mut page), narrow.queue());
    let (mut waiting, mut looks) = (0, 0);
    let began = Instant::now();
    while began.elapsed() < time {
        std::thread::sleep(Duration::from_millis(100));
        waiting += narrow.queue().1;
        looks += 1;
    }
    let after = Moment::now(sluice, &mut page);
    let mean = waiting as f64 / f64::from(looks);
    (after.since(before), Queue { dropped: narrow.queue().0 - dropped, mean })
}

#[test]
fn estimates_arrive_and_the_picture_holds_on_a_link_of_twice_the_bitrate() {
    let _turn = turn();
    let narrow = Narrow::new();
    // The demo is 1.25 Mb/s with its sound and its headers.
    narrow.limit(2_500, Duration::from_millis(300));
    let sluice = narrow.0.serve(SLUICE, &[]);
    let (seen, _) = watch(&narrow, &sluice, Duration::from_secs(5), Duration::from_secs(10));
    assert!(seen.estimates >= 5.0, "about one a second: {seen:?}");
    // It knows the link by what came through it: more than nothing, no multiple of the link.
    assert!((500e3..5e6).contains(&seen.estimate()), "{} b/s: {seen:?}", seen.estimate());
    assert!(seen.frames > 200.0, "of 300 frames: {seen:?}");
    assert!(seen.frozen < 1.0, "{seen:?}");
    assert!(sluice.metric("sluice_viewer_round_trip_seconds_count{kind=\"video\"}") > 0.0);
    assert!(sluice.metric("sluice_viewer_jitter_seconds_count{kind=\"audio\"}") > 0.0);
}

#[test]
fn whole_pictures_are_shown_on_a_link_of_four_fifths_of_the_bitrate() {
    let _turn = turn();
    let narrow = Narrow::new();
    narrow.limit(1_000, Duration::from_millis(300));
    let sluice = narrow.0.serve(SLUICE, &[]);
    let (seen, _) = watch(&narrow, &sluice, Duration::from_secs(10), Duration::from_secs(20));
    assert!(seen.left_out > 30.0, "of 600 pictures: {seen:?}");
    assert!(seen.frames > 150.0, "of 600 pictures: {seen:?}");
    // It was nearly twice the link's width once.
    assert!(seen.sent_bytes * 8.0 / 20.0 < 1_100e3, "{seen:?}");
}

#[test]
#[ignore = "a measurement: cargo test --release --test limited_link -- --ignored --nocapture"]
fn what_links_of_every_width_do() {
    let _turn = turn();
    let narrow = Narrow::new();
    println!(
        "| link kbit/s | queue ms | repair | frames/s | freezes | frozen s | dropped | lost | NACKs | repairs | \
         replays | left out | estimates | mean kbit/s | below | sent kbit/s | queue ms, mean |"
    );
    // The demo is 1.25 Mb/s: the last three are 1.2, 0.8 and 0.5 of it.
    let wide_to_narrow = [20_000, 3_000, 2_000, 1_500, 1_000, 625];
    for (repair, queue, links) in [
        ("true", 300, &wide_to_narrow[..]),
        ("true", 1_000, &[1_500, 1_000, 625]),
        ("false", 300, &[1_500, 1_000]),
    ] {
        for &kbit in links {
            narrow.limit(kbit, Duration::from_millis(queue));
            let sluice = narrow.0.serve(SLUICE, &["--set", &format!("nack.enabled={repair}")]);
            let time = Duration::from_secs(20);
            let (seen, Queue { dropped, mean }) = watch(&narrow, &sluice, Duration::from_secs(10), time);
            println!(
                "| {kbit} | {queue} | {repair} | {:.1} | {} | {:.1} | {dropped} | {} | {} | {} | {} | {} | {} | {:.0} | {} | {:.0} | {:.0} |",
                seen.frames / time.as_secs_f64(),
                seen.freezes,
                seen.frozen,
                seen.reported_lost,
                seen.nacks,
                seen.repairs,
                seen.keyframes,
                seen.left_out,
                seen.estimates,
                seen.estimate() / 1e3,
                seen.below,
                seen.sent_bytes * 8.0 / time.as_secs_f64() / 1e3,
                mean * 8.0 / f64::from(kbit),
            );
        }
    }
}
