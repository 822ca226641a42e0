//! Every query of every dashboard and alert, asked of a real Prometheus that scrapes a server under load.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sluice_harness::{Prometheus, Request};

use super::{Folder, SLUICE, text};

/// The slowest figure, a camera's drift, takes a bit more than a minute.
const PATIENCE: Duration = Duration::from_secs(240);

/// A query as Grafana would send it, with all servers and streams chosen.
fn chosen(query: &str) -> String {
    query.replace("$instance", ".+").replace("$stream", ".+").replace("$__rate_interval", "10s")
}

/// A condition that gives 0 where it does not hold, instead of nothing: that shows that there is something to judge. What
/// it is to fire for, promtool tests.
fn judged(condition: &str) -> String {
    let comparisons = [" == ", " != ", " >= ", " <= ", " > ", " < "];
    comparisons.iter().fold(condition.to_owned(), |text, comparison| {
        text.replace(comparison, &format!("{comparison}bool "))
    })
}

/// All queries, by where they stand.
fn queries(folder: &Folder) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, board) in folder.dashboards() {
        for panel in board["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let place = format!("{name}: {} {}", panel["title"], target["refId"]);
                found.insert(place, chosen(target["expr"].as_str().expect("a query")));
            }
        }
        for note in board["annotations"]["list"].as_array().expect("annotations") {
            found.insert(
                format!("{name}: {}", note["name"]),
                judged(&chosen(note["expr"].as_str().expect("a query"))),
            );
        }
    }
    let rules = text(&folder.path("prometheus/alerts.yml"));
    let mut lines = rules.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(alert) = line.strip_prefix("- alert: ") else { continue };
        let expression = lines.next().and_then(|line| line.strip_prefix("expr: '")?.strip_suffix('\''));
        found.insert(alert.to_owned(), judged(&expression.expect("one line").replace("''", "'")));
    }
    found
}

/// What a query gives now, if that is no number.
fn without_data(prometheus: &Prometheus, query: &str) -> Option<String> {
    match prometheus.query(query) {
        Ok(values) if values.iter().any(|value| !value.is_nan()) => None,
        Ok(values) => Some(format!("{query} gives {values:?}")),
        Err(error) => Some(format!("{query}: {error}")),
    }
}

/// Errors need nothing special: all counters by reason begin at 0. Loss, repairs and keyframe requests come from bad
/// lines, failed attempts from a camera that is not there, refusals from a link to a stream that is not there. What is about
/// joins has data while there are some.
#[test]
fn every_query_finds_data_in_a_server_under_load() {
    let folder = Folder::filled();
    let mut waiting = queries(&folder);
    let all = waiting.len();
    assert!(all > 100, "{all}");
    let sluice = SLUICE.start(&["cam=rtsp://127.0.0.1:1/x", "--set", "streams.demo.source=demo"]);
    sluice.wait_until_playing("demo");
    let url = format!("http://{}/demo/whep", sluice.http);
    let mut load = SLUICE
        .command()
        .args(["load", "whep", &url, "--viewers", "12", "--rate", "1", "--loss", "3%", "--duration", "300s"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let prometheus = Prometheus::start(sluice.admin);
    let began = Instant::now();
    while !waiting.is_empty() && began.elapsed() < PATIENCE {
        assert_eq!(sluice.request(Request::get("/nothing/whep")).status, 404);
        waiting.retain(|_, query| without_data(&prometheus, query).is_some());
        sleep(Duration::from_secs(1));
    }
    let missing: Vec<_> = waiting
        .iter()
        .filter_map(|(place, query)| Some(format!("{place}: {}", without_data(&prometheus, query)?)))
        .collect();
    let _ = load.kill();
    let _ = load.wait();
    assert!(missing.is_empty(), "without data after {PATIENCE:?}: {missing:#?}");
    println!("{all} queries had data within {:?}", began.elapsed());
}
