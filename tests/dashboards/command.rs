//! `sluice dashboards`: what it writes, and what it does not write over.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use super::{Folder, text};

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_somebody_changed_is_not_written_over_unless_asked() {
    let folder = Folder::filled();
    let (alerts, overview) = (folder.path("prometheus/alerts.yml"), folder.path("grafana/overview.json"));
    let original = text(&alerts);
    std::fs::write(&alerts, "mine").expect("a file");
    std::fs::remove_file(&overview).expect("a file");

    let output = folder.fill(&[]);
    let error = said(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    let alone =
        format!("sluice dashboards: {} is other than this version's: nothing was written", alerts.display());
    assert!(error.starts_with(&alone) && error.contains("--force"), "{error}");
    assert_eq!(text(&alerts), "mine");
    assert!(!overview.exists(), "all or nothing");

    let output = folder.fill(&["--force"]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(text(&alerts), original);
    let told = said(&output.stdout);
    assert!(told.contains(&format!("wrote over {}\n", alerts.display())), "{told}");
    assert!(told.contains(&format!("wrote {}\n", overview.display())), "{told}");
    assert_eq!(told.matches("left as it was ").count(), 5, "{told}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_the_reason() {
    let folder = Folder::new();
    std::fs::write(&folder.0, "a file").expect("a file");
    let output = folder.fill(&[]);
    std::fs::remove_file(&folder.0).expect("a file");
    let error = said(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains(folder.0.to_str().expect("UTF-8")) && error.contains("Not a directory"),
        "{error}"
    );
}

#[test]
fn what_is_written_is_what_the_repository_has() {
    let folder = Folder::filled();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");
    for part in ["grafana", "prometheus"] {
        let names = |folder: PathBuf| -> BTreeSet<_> {
            let files = std::fs::read_dir(folder).expect("a folder");
            files.map(|file| file.expect("a file").file_name()).collect()
        };
        assert_eq!(names(folder.path(part)), names(root.join(part)));
    }
}

#[test]
fn dashboards_are_told_apart_and_their_panels_too() {
    let dashboards = Folder::filled().dashboards();
    let uids: BTreeSet<_> = dashboards.iter().map(|(_, board)| board["uid"].to_string()).collect();
    assert_eq!(uids.len(), 4);
    for (name, board) in &dashboards {
        let panels = board["panels"].as_array().expect("panels");
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].to_string()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}");
        let place =
            |panel: &serde_json::Value, side: &str| panel["gridPos"][side].as_u64().expect("a number");
        for (index, panel) in panels.iter().enumerate() {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| place(panel, side));
            assert!(x + w <= 24 && w > 0 && h > 0, "{name}: {panel}");
            let apart = |other: &serde_json::Value| {
                let [ox, oy, ow, oh] = ["x", "y", "w", "h"].map(|side| place(other, side));
                x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y
            };
            assert!(panels[..index].iter().all(apart), "{name}: {} lies on another", panel["title"]);
            if panel["type"] != "row" {
                assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {panel}");
                assert!(panel["description"].as_str().is_some_and(|text| text.len() > 8), "{name}: {panel}");
            }
        }
    }
}

/// The names of all alerts.
fn alerts(folder: &Folder) -> Vec<String> {
    let text = text(&folder.path("prometheus/alerts.yml"));
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn each_alert_has_its_section_in_the_operators_book() {
    let folder = Folder::filled();
    let book = text(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATING.md"));
    let rules = text(&folder.path("prometheus/alerts.yml"));
    let alerts = alerts(&folder);
    assert!(alerts.len() >= 20);
    for alert in alerts {
        assert!(book.contains(&format!("\n#### {alert}\n")), "{alert} has no section");
        let link = format!("runbook_url: 'docs/OPERATING.md#{}'\n", alert.to_lowercase());
        assert_eq!(rules.matches(&link).count(), 1, "{link}");
    }
}

/// A link that leads nowhere helps nobody at night: the book is beside the alerts, or where it is said to be.
#[test]
fn runbooks_are_where_alerts_say() {
    let folder = Folder::filled();
    assert_eq!(
        text(&folder.path("docs/OPERATING.md")),
        text(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATING.md"))
    );
    let elsewhere = ["--runbook-url", "https://wiki.example.com/ops?page=sluice#top", "--force"];
    assert!(folder.fill(&elsewhere).status.success());
    let rules = text(&folder.path("prometheus/alerts.yml"));
    for alert in alerts(&folder) {
        let link = format!("'https://wiki.example.com/ops?page=sluice#{}'\n", alert.to_lowercase());
        assert_eq!(rules.matches(&link).count(), 1, "{link}");
    }
    check_with_promtool(&folder);
    let output = folder.fill(&["--runbook-url", "wiki"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output.stderr));
}

#[test]
fn each_alert_fires_for_what_it_is_about_by_promtool() {
    let folder = Folder::filled();
    let cases = text(&folder.path("prometheus/alerts_test.yml"));
    for alert in alerts(&folder) {
        assert!(cases.contains(&format!("- alertname: {alert}\n")), "{alert} is not tested");
    }
    check_with_promtool(&folder);
}

fn check_with_promtool(folder: &Folder) {
    let promtool = |arguments: &[&str]| {
        let output = Command::new("promtool").args(arguments).current_dir(folder.path("prometheus")).output();
        let output = output.expect("promtool, from the Debian package prometheus");
        assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    };
    promtool(&["check", "rules", "alerts.yml"]);
    promtool(&["test", "rules", "alerts_test.yml"]);
}
