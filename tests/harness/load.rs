//! `sluice load whep` as a process of its own, and its report.

use std::process::{Command, Output};

use serde_json::Value;

/// What a load test said.
pub struct Load {
    /// The table, and what went wrong.
    pub text: String,
    /// Its exit code.
    pub code: Option<i32>,
    /// The JSON; null if there is none.
    pub report: Value,
}

impl Load {
    /// Runs one to its end.
    pub(crate) fn run(mut command: Command, url: &str, arguments: &[&str]) -> Load {
        let file = std::env::temp_dir().join(format!("sluice-load-{}.json", rand::random::<u64>()));
        let output = command
            .args(["load", "whep", url, "--json"])
            .arg(&file)
            .args(arguments)
            .output()
            .expect("the binary starts");
        let report = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let _ = std::fs::remove_file(&file);
        Load { text: text(&output), code: output.status.code(), report: report.unwrap_or(Value::Null) }
    }

    /// A number of the report.
    #[track_caller]
    pub fn number(&self, pointer: &str) -> f64 {
        let number = self.report.pointer(pointer).and_then(Value::as_f64);
        number.unwrap_or_else(|| panic!("no {pointer} in {:#}", self.report))
    }

    /// A count of the report.
    #[track_caller]
    pub fn count(&self, pointer: &str) -> u64 {
        let number = self.report.pointer(pointer).and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("no {pointer} in {:#}", self.report))
    }

    /// A warning with these words must be there.
    #[track_caller]
    pub fn assert_warns(&self, words: &str) {
        let warnings = self.report["warnings"].as_array().expect("warnings");
        let said = warnings.iter().any(|warning| warning.as_str().is_some_and(|text| text.contains(words)));
        assert!(said, "no {words:?} in {warnings:#?}\n{}", self.text);
        let in_table = self.text.contains("WARNING") && self.text.contains(words);
        assert!(in_table, "the table does not say it:\n{}", self.text);
    }
}

/// What a process wrote.
pub fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}\n{err}")
}
