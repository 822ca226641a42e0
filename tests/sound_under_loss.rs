//! A browser whose line loses packets: how much of the sound does it make up, and what does it take to have less of that?
//!
//! Chromium runs in a network namespace of its own, which drops a part of the datagrams that come in, at random. Needs root,
//! for the namespace. docs/PERFORMANCE.md, "Sound under loss", has the figures that the ignored test prints.
#![expect(clippy::disallowed_methods, reason = "tests run against real time")]

use std::time::Duration;

use serde_json::Value;
use sluice_harness::namespace::{Namespace, run};
use sluice_harness::page::{Page, turn};
use sluice_harness::{Binary, Sluice};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// Our end of the link and the browser's, of the range for measurements (RFC 2544 §C.2.2).
const NEAR: &str = "198.18.232.1";
const FAR: &str = "198.18.232.2";

/// How long the first reports of loss may take, and what a player does with the beginning of its sound.
const SETTLES: Duration = Duration::from_secs(12);

/// From now on so many of a thousand datagrams that come to the browser are lost.
fn lose(namespace: &Namespace, per_thousand: u32) {
    let inside = |arguments: &str| run("ip", &format!("netns exec {} nft {arguments}", namespace.name));
    inside("add table inet line");
    inside("flush table inet line");
    inside("add chain inet line input { type filter hook input priority 0 ; }");
    if per_thousand > 0 {
        inside(&format!(
            "add rule inet line input meta l4proto udp numgen random mod 1000 < {per_thousand} drop"
        ));
    }
}

/// What a browser has made of its sound, and the server of its packets, so far.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    samples: f64,
    concealed: f64,
    packets: f64,
    lost: f64,
    bytes: f64,
    sent_twice: f64,
    longer: f64,
}

impl Heard {
    fn so_far(sluice: &Sluice, page: &mut Page) -> Heard {
        let stats = page.stats();
        let audio = |name: &str| stats["audio"][name].as_f64().unwrap_or(0.0);
        Heard {
            samples: audio("totalSamplesReceived"),
            concealed: audio("concealedSamples"),
            packets: audio("packetsReceived"),
            lost: audio("packetsLost"),
            bytes: audio("bytesReceived"),
            sent_twice: sluice.metric("sluice_redundant_packets_total"),
            longer: sluice.metric("sluice_redundant_bytes_total"),
        }
    }

    fn since(self, before: Heard) -> Heard {
        Heard {
            samples: self.samples - before.samples,
            concealed: self.concealed - before.concealed,
            packets: self.packets - before.packets,
            lost: self.lost - before.lost,
            bytes: self.bytes - before.bytes,
            sent_twice: self.sent_twice - before.sent_twice,
            longer: self.longer - before.longer,
        }
    }

    /// Part of the sound that was made up.
    fn made_up(&self) -> f64 {
        self.concealed / self.samples.max(1.0)
    }

    /// Part of the packets that did not come.
    fn loss(&self) -> f64 {
        self.lost / (self.lost + self.packets).max(1.0)
    }
}

/// Plays the demo behind a line that loses so much for a while, and gives what happened after the first [`SETTLES`].
fn listen(namespace: &Namespace, sluice: &Sluice, time: Duration) -> (Heard, Value) {
    let mut page = Page::open_in(&namespace.name, sluice.http, "/demo/?muted=0");
    page.wait_for_frames(1);
    std::thread::sleep(SETTLES);
    let before = Heard::so_far(sluice, &mut page);
    std::thread::sleep(time);
    let after = Heard::so_far(sluice, &mut page);
    (after.since(before), page.stats())
}

#[test]
fn sound_that_goes_twice_is_heard_at_five_percent_of_loss() {
    let _turn = turn();
    let namespace = Namespace::new(NEAR, FAR);
    let sluice = namespace.serve(SLUICE, &[]);
    lose(&namespace, 50);
    let (heard, stats) = listen(&namespace, &sluice, Duration::from_secs(20));
    assert!(heard.loss() > 0.02, "the line loses: {heard:?}");
    assert!(heard.sent_twice > 800.0, "of 1,000 packets: {heard:?}");
    // Without that it is all of it. A browser on a machine that is busy makes up some for other reasons, so this is no
    // measurement: the other test is.
    assert!(heard.made_up() < heard.loss() * 0.7, "{heard:?} {stats:#}");
    assert_eq!(stats["audio"]["mimeType"], "audio/opus", "{stats:#}");
    sluice.wait_for_metric("sluice_viewers_with_redundant_sound", "is 0", |now| now == 0.0);
}

#[test]
#[ignore = "a measurement: cargo test --test sound_under_loss -- --ignored --nocapture"]
fn what_becomes_of_sound_at_every_loss() {
    let _turn = turn();
    println!("| loss set | RED | packets | lost | made up | sound kbit/s | of it for RED |");
    for per_thousand in [0, 10, 50, 100] {
        for red in [false, true] {
            let namespace = Namespace::new(NEAR, FAR);
            let sluice = namespace.serve(SLUICE, &["--set", &format!("red.enabled={red}")]);
            lose(&namespace, per_thousand);
            let time = Duration::from_secs(60);
            let (heard, _) = listen(&namespace, &sluice, time);
            println!(
                "| {:.1} % | {red} | {} | {:.2} % | {:.2} % | {:.1} | {:.1} |",
                f64::from(per_thousand) / 10.0,
                heard.packets,
                heard.loss() * 100.0,
                heard.made_up() * 100.0,
                heard.bytes * 8.0 / time.as_secs_f64() / 1e3,
                heard.longer * (1.0 - heard.loss()) * 8.0 / time.as_secs_f64() / 1e3,
            );
        }
    }
}
