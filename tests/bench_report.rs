//! `sluice bench report`: the page has every check, and says what it could not check.
//!
//! Needs Debian's chromium and ffmpeg, as `tests/all` installs them.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use sluice_harness::Binary;

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// The smallest report there is, on loopback, into a directory that goes away with this.
struct Report {
    directory: PathBuf,
    output: Output,
}

impl Report {
    fn make(arguments: &[&str], path: Option<&str>) -> Report {
        let directory = std::env::temp_dir().join(format!("sluice-report-{:016x}", rand::random::<u64>()));
        let mut command = SLUICE.command();
        command
            .args(["bench", "report", "--quick", "--network=loopback", "--viewers=4", "--peak-viewers=8"])
            .args(["--joins=2", "--pictures=3", "--hours=0.001", "--out"])
            .arg(&directory)
            .args(arguments);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let output = command.output().expect("the binary starts");
        Report { directory, output }
    }

    fn file(&self, name: &str) -> String {
        let said = String::from_utf8_lossy(&self.output.stderr);
        let file = self.directory.join(name);
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}\n{said}", file.display()))
    }

    fn checks(&self) -> Vec<Value> {
        let report: Value = serde_json::from_str(&self.file("report.json")).expect("JSON");
        report["figures"]["checks"].as_array().expect("checks").clone()
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn named<'a>(checks: &'a [Value], name: &str) -> &'a Value {
    checks
        .iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("no check {name:?}: {checks:#?}"))
}

const NAMES: [&str; 8] = [
    "Joins of plain viewers",
    "Packet loss",
    "Repair of loss",
    "Joins of a browser without mDNS",
    "Pictures",
    "Stability",
    "Behaviour at the peak",
    "Memory, threads and CPU before and after",
];

#[test]
fn every_check_is_made_and_a_browser_shows_the_very_pictures_of_the_source() {
    let report = Report::make(&[], None);
    let checks = report.checks();
    let page = report.file("report.md");
    assert_eq!(page, String::from_utf8_lossy(&report.output.stdout), "what is printed is what is written");
    for name in NAMES {
        let check = named(&checks, name);
        assert_ne!(check["verdict"], "not_checked", "{check:#}");
        let measured = check["measured"].as_str().expect("a sentence");
        assert!(page.contains(&format!("## {name}\n")) && page.contains(measured), "{name}: {page}");
    }
    // What a busy machine cannot spoil. Losses and times it can, so their verdicts are not asked for here.
    for name in ["Joins of plain viewers", "Joins of a browser without mDNS"] {
        assert_eq!(named(&checks, name)["verdict"], "good", "{:#}", named(&checks, name));
    }
    let browser = &named(&checks, "Joins of a browser without mDNS")["figures"];
    assert_eq!((&browser["connected"], &browser["pictures"]), (&2.into(), &2.into()), "{browser:#}");
    for join in browser["joins"].as_array().expect("joins") {
        let candidates = join["candidates"].as_array().expect("candidates");
        let hidden =
            |candidate: &Value| candidate["address"].as_str().is_some_and(|name| name.ends_with(".local"));
        assert!(!candidates.is_empty() && candidates.iter().all(hidden), "{join:#}");
    }
    let pictures = named(&checks, "Pictures")["figures"].as_array().expect("pictures").clone();
    assert_eq!(pictures.len(), 3);
    for picture in &pictures {
        let number = |name: &str| picture[name].as_f64().expect("a number");
        assert!(number("ssim") > 0.99, "{picture:#}");
        assert!(number("other") < number("ssim") - 0.02 && number("grey") < 0.9, "{picture:#}");
    }
    let failed = checks.iter().any(|check| check["verdict"] == "bad");
    assert_eq!(report.output.status.code(), Some(i32::from(failed)), "{page}");
}

#[test]
fn without_its_tools_a_check_is_unchecked_and_says_what_to_install() {
    assert!(!Path::new("/nowhere").exists());
    let report = Report::make(&[], Some("/nowhere"));
    let checks = report.checks();
    for name in ["Joins of a browser without mDNS", "Pictures"] {
        let check = named(&checks, name);
        assert_eq!(check["verdict"], "not_checked", "{check:#}");
        let measured = check["measured"].as_str().expect("a sentence");
        assert!(
            measured.starts_with("not checked: ") && measured.contains("apt-get install chromium"),
            "{measured}"
        );
    }
    for name in ["Packet loss", "Stability", "Behaviour at the peak"] {
        assert_ne!(named(&checks, name)["verdict"], "not_checked");
    }
}
