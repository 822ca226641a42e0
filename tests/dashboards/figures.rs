//! docs/DASHBOARDS.md: every panel, what it is for, and what it showed of a server under load.
//!
//! Owns the form of the document. `UPDATE=1 cargo test --test dashboards` writes it anew, with the figures of that run;
//! otherwise all but the figures is compared with the dashboards.

use std::path::PathBuf;

use serde_json::Value;
use sluice_harness::prometheus::Series;

use super::queries::chosen;
use super::{Folder, text};

const HEAD: &str = "\
# Dashboards

What the panels of the dashboards show that `sluice dashboards DIR` writes ([OPERATING.md](OPERATING.md#dashboards-and-alerts)
says how to use them). The figures are those of one run of `UPDATE=1 cargo test --test dashboards`, which asks every query of a
Prometheus: a debug build on two busy cores with the demo, a camera that is not there, and 12 viewers of whom each loses 3 % of
its packets. They show that there is something to see in each panel, and in which unit, not how fast Sluice is.
";

/// Series of one query that are written out.
const SERIES_MAX: usize = 3;

/// The panels of a dashboard, those in rows that are folded too.
pub(super) fn panels(board: &Value) -> Vec<&Value> {
    let top = board["panels"].as_array().into_iter().flatten();
    top.flat_map(|panel| [panel].into_iter().chain(panel["panels"].as_array().into_iter().flatten()))
        .collect()
}

/// The queries of a panel.
pub(super) fn targets(panel: &Value) -> impl Iterator<Item = &Value> {
    panel["targets"].as_array().into_iter().flatten()
}

/// The document; `figure` gives what a panel shows.
fn document(folder: &Folder, figure: impl Fn(&Value) -> String) -> String {
    let mut written = HEAD.to_owned();
    for (_, board) in folder.dashboards() {
        let title = board["title"].as_str().expect("a title");
        written += &format!("\n## {title}\n\n| panel | what it is for | showed |\n|---|---|---|\n");
        for panel in panels(&board).into_iter().filter(|panel| panel["type"] != "row") {
            let word = |name: &str| panel[name].as_str().unwrap_or_default().replace('|', "\\|");
            written += &format!("| {} | {} | {} |\n", word("title"), word("description"), figure(panel));
        }
    }
    written
}

/// Writes the document with what queries gave.
pub(super) fn write(folder: &Folder, given: impl Fn(&str) -> Vec<Series>) {
    let figure = |panel: &Value| {
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        let shown = targets(panel).map(|target| {
            let query = chosen(target["expr"].as_str().expect("a query"));
            shown(&given(&query), target["legendFormat"].as_str().unwrap_or_default(), unit)
        });
        shown.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
    };
    std::fs::write(path(), document(folder, figure)).expect("the document is written");
}

/// Series as a legend and a unit have them, the greatest first.
fn shown(found: &[Series], legend: &str, unit: &str) -> String {
    if found.len() > 1 && (legend.is_empty() || legend == "{{le}}") {
        return format!("{} series", found.len());
    }
    let mut found: Vec<&Series> = found.iter().collect();
    found.sort_by(|one, other| other.value.total_cmp(&one.value));
    let name = |series: &Series| {
        let fill = |text: String, (label, value): (&String, &String)| {
            let value = if label == "instance" { "server" } else { value };
            text.replace(&format!("{{{{{label}}}}}"), value)
        };
        series.labels.iter().fold(legend.to_owned(), fill)
    };
    let written =
        found.iter().take(SERIES_MAX).map(|one| format!("{} {}", name(one), amount(one.value, unit)));
    let written = written.map(|text| text.trim().replace('|', "\\|")).collect::<Vec<_>>().join(", ");
    match found.len().saturating_sub(SERIES_MAX) {
        0 => written,
        more => format!("{written} and {more} more"),
    }
}

/// A value in its unit, as Grafana calls that.
fn amount(value: f64, unit: &str) -> String {
    match unit {
        "bps" if value >= 1e6 => format!("{} Mb/s", short(value / 1e6)),
        "bps" => format!("{} kb/s", short(value / 1e3)),
        "s" if value < 1.0 => format!("{} ms", short(value * 1e3)),
        "s" => format!("{} s", short(value)),
        "percentunit" => format!("{} %", short(value * 100.0)),
        "bytes" => format!("{} MiB", short(value / f64::from(1 << 20))),
        "ops" | "pps" | "reqps" => format!("{}/s", short(value)),
        _ => short(value),
    }
}

/// Three digits or so; drift is in millionths.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        size if size >= 0.001 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/DASHBOARDS.md")
}

/// A line without what its panel showed.
fn without_figures(line: &str) -> &str {
    let cells = line.strip_suffix(" |").and_then(|line| line.rsplit_once(" | "));
    cells.map_or(line, |(before, _)| before)
}

#[test]
fn the_document_has_every_panel_and_its_figures() {
    let (written, wanted) = (text(&path()), document(&Folder::filled(), |_| "-".to_owned()));
    let without = |text: &str| text.lines().map(|line| without_figures(line).to_owned()).collect::<Vec<_>>();
    let advice = "docs/DASHBOARDS.md is of other dashboards: UPDATE=1 cargo test --test dashboards";
    assert_eq!(without(&written), without(&wanted), "{advice}");
    let empty: Vec<&str> = written.lines().filter(|line| line.ends_with("|  |")).collect();
    assert!(empty.is_empty(), "panels that showed nothing: {empty:#?}");
}
