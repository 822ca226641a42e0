//! Every query of every dashboard and alert, asked of a real Prometheus that scrapes a server under load.
#![expect(clippy::disallowed_methods, reason = "a test waits for what really happens")]

use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sluice_harness::prometheus::Series;
use sluice_harness::{Prometheus, Request};

use super::{Folder, SLUICE, figures, text};

/// The slowest figure, a camera's drift, takes a bit more than a minute.
const PATIENCE: Duration = Duration::from_secs(240);

/// A query, and the labels that it is read by.
struct Query {
    text: String,
    labels: Vec<String>,
}

/// A query as Grafana would send it, with all servers and streams chosen.
pub(super) fn chosen(query: &str) -> String {
    let chosen = query.replace("$instance", ".+").replace("$stream", ".+").replace("$__rate_interval", "10s");
    assert!(!chosen.contains('$'), "a variable that nothing chooses: {query}");
    chosen
}

/// A condition that gives 0 where it does not hold, instead of nothing: that shows that there is something to judge. What
/// it is to fire for, promtool tests.
fn judged(condition: &str) -> Query {
    let comparisons = [" == ", " != ", " >= ", " <= ", " > ", " < "];
    let text = comparisons.iter().fold(condition.to_owned(), |text, comparison| {
        text.replace(comparison, &format!("{comparison}bool "))
    });
    Query { text, labels: Vec::new() }
}

/// The labels that a legend such as `{{stream}} {{kind}}` names.
fn labels(legend: &str) -> Vec<String> {
    let parts = legend.split("{{").skip(1).filter_map(|part| part.split_once("}}"));
    parts.map(|(label, _)| label.trim().to_owned()).collect()
}

/// All queries, by where they stand.
fn queries(folder: &Folder) -> BTreeMap<String, Query> {
    let mut found = BTreeMap::new();
    for (name, board) in folder.dashboards() {
        for panel in figures::panels(&board) {
            for target in figures::targets(panel) {
                let text = chosen(target["expr"].as_str().expect("a query"));
                let labels = labels(target["legendFormat"].as_str().unwrap_or_default());
                found.insert(
                    format!("{name}: {} {}", panel["title"], target["refId"]),
                    Query { text, labels },
                );
            }
        }
        for note in board["annotations"]["list"].as_array().expect("annotations") {
            let condition = chosen(note["expr"].as_str().expect("a query"));
            found.insert(format!("{name}: {}", note["name"]), judged(&condition));
        }
        for variable in board["templating"]["list"].as_array().expect("variables") {
            let query = variable["query"].as_str().expect("a query");
            let Some(asked) = query.strip_prefix("label_values(") else { continue };
            let (series, label) = asked.trim_end_matches(')').rsplit_once(", ").expect("series and a label");
            found.insert(
                format!("{name}: ${}", variable["name"]),
                Query { text: chosen(series), labels: vec![label.to_owned()] },
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

/// Which layer of its stream a series is of: only those of pairs say so, and a legend is empty there for the others.
const OF_PAIRS: &str = "layer";

/// What a query gives now, or what is wrong with it: that is no number, or does not have its labels.
fn data(prometheus: &Prometheus, Query { text, labels }: &Query) -> Result<Vec<Series>, String> {
    let mut found = prometheus.series(text).map_err(|error| format!("{text}: {error}"))?;
    found.retain(|series| !series.value.is_nan());
    let lacks =
        |series: &&Series| labels.iter().any(|label| label != OF_PAIRS && !series.labels.contains_key(label));
    match found.iter().find(lacks) {
        Some(series) => Err(format!("{text} gives {series:?}, read by {labels:?}")),
        None if found.is_empty() => Err(format!("{text} gives no number")),
        None => Ok(found),
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
    let pair = "streams.pair.source={ high = 'rtsp://127.0.0.1:1/x', low = 'rtsp://127.0.0.1:1/y' }";
    let demo = "streams.demo.source=demo";
    let sluice = SLUICE.start(&["cam=rtsp://127.0.0.1:1/x", "--set", demo, "--set", pair]);
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
    let (began, mut seen) = (Instant::now(), BTreeMap::new());
    while !waiting.is_empty() && began.elapsed() < PATIENCE {
        assert_eq!(sluice.request(Request::get("/nothing/whep")).status, 404);
        waiting.retain(|_, query| match data(&prometheus, query) {
            Ok(found) => {
                seen.insert(query.text.clone(), found);
                false
            }
            Err(_) => true,
        });
        sleep(Duration::from_secs(1));
    }
    let missing: Vec<_> = waiting
        .iter()
        .filter_map(|(place, query)| Some(format!("{place}: {}", data(&prometheus, query).err()?)))
        .collect();
    if std::env::var_os("UPDATE").is_some() {
        figures::write(&folder, |text| {
            let now = data(&prometheus, &Query { text: text.to_owned(), labels: Vec::new() });
            now.ok().or_else(|| seen.get(text).cloned()).unwrap_or_default()
        });
    }
    let _ = load.kill();
    let _ = load.wait();
    assert!(missing.is_empty(), "without data after {PATIENCE:?}: {missing:#?}");
    println!("{all} queries had data within {:?}", began.elapsed());
}
