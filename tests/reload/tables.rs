//! What a running server takes over of its configuration, beside its streams.

use std::collections::BTreeSet;

use serde_json::json;
use sluice_config::{Reload, keys};
use sluice_harness::{Request, Response, Sluice};

use crate::{File, SLUICE, streams};

const OFFER: &str = include_str!("../data/chromium-156.sdp");

/// Another value of every key that a running server takes over; streams, `log.level` and `[access]` have tests of their
/// own.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("config", "watch", "true"),
    ("http", "allow_origin", "[\"https://tv.example.com\"]"),
    ("http", "header_timeout", "\"4s\""),
    ("http", "trusted_proxies", "[\"127.0.0.0/8\"]"),
    ("admin", "hosts", "[\"metrics.lan\"]"),
    ("admin", "sources", "[\"127.0.0.1\"]"),
    ("egress", "spread", "\"5ms\""),
    ("egress", "audio_hold", "\"5ms\""),
    ("egress", "rate", "\"950Mbit/s\""),
    ("ice", "addresses", "[\"192.0.2.7\"]"),
    ("ice", "interfaces", "[\"lo\"]"),
    ("ice", "loopback", "false"),
    ("limits", "viewers_per_stream", "1"),
    ("limits", "pending", "900"),
    ("limits", "share_per_address", "40"),
    ("limits", "joins_per_address", "100"),
    ("limits", "joins_per_stream", "90"),
    ("limits", "joins", "900"),
    ("limits", "egress_per_address", "\"900Mbit/s\""),
    ("limits", "egress_per_stream", "\"900Mbit/s\""),
    ("limits", "busy", "80"),
    ("limits", "setup_timeout", "\"9s\""),
    ("limits", "consent_timeout", "\"20s\""),
    ("drain", "timeout", "\"1m\""),
    ("drain", "elsewhere", "\"https://tv2.example.com\""),
    ("rtsp", "fingerprint", "\"33949e05fffb5ff3e8aa16f8213a6251b4d9363804ba53233c4da9a46d6f2739\""),
    ("rtsp", "transport", "\"udp\""),
    ("rtsp", "connect_timeout", "\"4s\""),
    ("rtsp", "request_timeout", "\"9s\""),
    ("rtsp", "data_timeout", "\"9s\""),
    ("rtsp", "reconnect_min", "\"400ms\""),
    ("rtsp", "reconnect_max", "\"20s\""),
    ("rtsp", "max_frame", "\"2MiB\""),
    ("on_demand", "enabled", "true"),
    ("on_demand", "start_timeout", "\"9s\""),
    ("on_demand", "close_after", "\"20s\""),
    ("on_demand", "made_streams", "100"),
    ("nack", "enabled", "false"),
    ("nack", "history", "\"2s\""),
    ("red", "enabled", "false"),
    ("track", "history_bytes", "\"8MiB\""),
];

fn reload(sluice: &Sluice) -> Response {
    Request::new("POST", "/api/v1/config/reload").send(sluice.admin)
}

fn join(sluice: &Sluice) -> Response {
    let offer = Request::offer("/gate/whep", OFFER);
    sluice.request(offer.header("X-Forwarded-For", "203.0.113.7").header("Origin", "https://tv.example.com"))
}

fn file(demo: &str) -> String {
    let mut text = demo.to_owned();
    let tables: BTreeSet<&str> = OTHERWISE.iter().map(|(table, ..)| *table).collect();
    for table in tables {
        text.push_str(&format!("[{table}]\n"));
        for (_, key, value) in OTHERWISE.iter().filter(|(other, ..)| *other == table) {
            text.push_str(&format!("{key} = {value}\n"));
        }
    }
    text + "[rtcp]\nreport_interval = \"2s\"\n"
}

#[test]
fn every_key_but_those_that_need_a_restart_has_an_effect_on_those_who_come_after() {
    let demo = streams(&[("gate", "demo")]);
    let configuration = File::new(&demo);
    let sluice = configuration.serve();
    sluice.wait_until_playing("gate");
    let before = join(&sluice);
    assert_eq!(before.status, 201, "{}", before.text());
    for gone in ["rtx/90000", "red/48000"] {
        assert!(before.text().contains(gone), "{}", before.text());
    }
    assert_eq!(before.header("access-control-allow-origin"), Some("*"));

    configuration.write(&file(&demo));
    let answer = reload(&sluice);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let named = |part: &str| -> BTreeSet<String> {
        let changed = answer.json()[part].as_array().expect(part).clone();
        changed.iter().filter_map(|changed| changed["key"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(named("restart"), BTreeSet::new());
    let takes_over = |key: &sluice_config::KeyInfo| {
        key.reload != Reload::Restart
            && !["streams.", "access."].iter().any(|table| key.path.starts_with(table))
            // Given on the command line, which is stronger than the file.
            && !["log.level", "ice.addresses"].contains(&key.path.as_str())
    };
    let known: BTreeSet<String> = keys().into_iter().filter(takes_over).map(|key| key.path).collect();
    assert_eq!(named("settings"), known);
    // The demo is no camera; but it is on demand now.
    assert_eq!(answer.json()["streams"]["changed"], json!(["gate"]));

    let full = join(&sluice);
    assert_eq!(full.status, 503, "{}", full.text());
    assert!(full.text().contains("limits.viewers_per_stream"), "{}", full.text());
    assert_eq!(full.header("access-control-allow-origin"), Some("https://tv.example.com"));
    let there = before.session("/gate/whep").expect("a session");
    assert_eq!(sluice.request(Request::new("DELETE", &there)).status, 200);
    let after = sluice_harness::wait_for("a place", || Some(join(&sluice)).filter(|join| join.status == 201));
    for gone in ["rtx/90000", "red/48000"] {
        assert!(!after.text().contains(gone), "{}", after.text());
    }
    let viewers = Request::get("/api/v1/sessions").send(sluice.admin).json();
    assert_eq!(viewers["sessions"][0]["address"], "203.0.113.7", "the proxy says who asks: {viewers}");
    let named = Request::get("/livez").header("Host", "metrics.lan").send(sluice.admin);
    assert_eq!(named.status, 200, "{}", named.text());
}

#[test]
fn what_cannot_be_put_into_effect_here_changes_nothing() {
    let demo = streams(&[("gate", "demo")]);
    let configuration = File::new(&demo);
    let path = configuration.0.to_str().expect("a path").to_owned();
    let sluice = SLUICE.start(&["-c", &path, "--set", "ice.addresses="]);
    sluice.wait_until_playing("gate");
    let other = streams(&[("gate", "demo"), ("yard", "demo")]);
    configuration.write(&format!("{other}[ice]\ninterfaces = [\"none0\"]\n[nack]\nenabled = false\n"));
    let refused = reload(&sluice);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("ice.interfaces"), "{}", refused.text());
    assert_eq!(crate::names(&sluice), ["gate"]);
    assert!(join(&sluice).text().contains("rtx/90000"));
    assert_eq!(sluice.metric("sluice_config_last_reload_successful"), 0.0);

    configuration.write(&format!("{other}[ice]\ninterfaces = [\"lo\"]\n"));
    assert_eq!(reload(&sluice).status, 200);
    sluice.wait_until_playing("yard");
    let answer = sluice.request(Request::offer("/yard/whep", OFFER)).text();
    let candidates: Vec<&str> = answer.lines().filter(|line| line.starts_with("a=candidate")).collect();
    let local = candidates.iter().all(|line| line.contains(" 127.0.0.1 ") || line.contains(" ::1 "));
    assert!(local && !candidates.is_empty(), "{candidates:?}");
}
