//! A report: what was measured, on what, and what makes it doubtful; as JSON and as Markdown.
//!
//! Owns the layout. Never computes a figure.

use std::fmt::{self, Write as _};
use std::fs;

use serde::Serialize;

use super::error::BenchError;
use super::measured::Measured;
use super::options::Common;
use super::rig::Rig;
use super::setting::Setting;

/// Part of its core from which a server is taken to be at its limit.
const BUSY: f64 = 0.9;

/// One profile's outcome.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it is about, in a line.
    pub title: String,
    /// Where, when and how.
    pub setting: Setting,
    /// What makes figures doubtful; each once.
    pub warnings: Vec<String>,
    /// Something is not as it should be.
    pub failed: bool,
    /// The figures, for machines.
    pub figures: serde_json::Value,
    /// The figures, for people: paragraphs and tables in order.
    #[serde(skip)]
    pub parts: Vec<Part>,
}

/// A piece of a report.
#[derive(Debug, Clone)]
pub enum Part {
    /// A heading.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A table.
    Table(Table),
}

/// Columns and rows.
#[derive(Debug, Clone, Default)]
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows. The first column is text, the others are numbers.
    pub fn new(columns: &[&'static str]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; missing cells stay empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().collect();
        debug_assert!(row.len() <= self.columns.len(), "{row:?} is wider than {:?}", self.columns);
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }
}

impl Report {
    /// A report of a rig, without figures yet.
    pub fn new(title: &str, rig: &Rig) -> Report {
        Report {
            title: title.to_owned(),
            setting: rig.setting().clone(),
            warnings: rig.warnings().to_vec(),
            failed: false,
            figures: serde_json::Value::Null,
            parts: Vec::new(),
        }
    }

    /// Adds a doubt, with what it is about in front; the same one only once.
    pub fn warn(&mut self, about: &str, warning: &str) {
        let warning = format!("{about}: {warning}");
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Carries every doubt of a load test into the report.
    pub fn doubt(&mut self, about: &str, measured: &Measured) {
        if let Some(cores) = measured.server.map(|server| server.cores()).filter(|cores| *cores > BUSY) {
            let limit = format!(
                "the server was at its limit ({cores:.2} of its one core): what it cost holds, that many \
                 viewers do not"
            );
            self.warn(about, &limit);
        }
        if let Some(troubles) = measured.troubles() {
            self.warn(about, &format!("not everybody could join or stay: {troubles}"));
        }
        measured.warnings.iter().for_each(|warning| self.warn(about, warning));
    }

    /// Sets the figures for machines.
    pub fn set_figures(&mut self, figures: &impl Serialize) {
        // Fails only for maps whose keys are no strings; ours are structs.
        self.figures = serde_json::to_value(figures).unwrap_or_default();
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Heading(text.into()));
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Text(text.into()));
    }

    /// Adds a table.
    pub fn table(&mut self, table: Table) {
        self.parts.push(Part::Table(table));
    }

    /// Writes both forms where the options say, and gives the report on.
    pub fn written(self, rig: &Rig, common: &Common) -> Result<Report, BenchError> {
        let json = common.json.clone().unwrap_or_else(|| rig.out().join("report.json"));
        let markdown = common.markdown.clone().unwrap_or_else(|| rig.out().join("report.md"));
        let text = serde_json::to_string_pretty(&self).map_err(std::io::Error::from);
        text.and_then(|text| fs::write(&json, text + "\n")).map_err(BenchError::file(&json))?;
        fs::write(&markdown, self.to_string()).map_err(BenchError::file(&markdown))?;
        super::tell(&format!("the report is {}; logs are beside it", markdown.display()));
        Ok(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting { command, machine, is_virtual, load_average, date, version, network, cores } =
            &self.setting;
        writeln!(f, "# {}\n\n```sh\n{command}\n```\n", self.title)?;
        for warning in &self.warnings {
            writeln!(f, "**WARNING: {warning}.**\n", warning = warning.trim_end_matches('.'))?;
        }
        for part in &self.parts {
            match part {
                Part::Heading(text) => writeln!(f, "## {text}\n")?,
                Part::Text(text) => writeln!(f, "{text}\n")?,
                Part::Table(table) => writeln!(f, "{table}")?,
            }
        }
        writeln!(f, "## Machine\n")?;
        writeln!(f, "- {machine}{}", if *is_virtual { ", a virtual machine" } else { "" })?;
        writeln!(f, "- {date}; load average before: {load_average:.2}; Sluice {version}")?;
        writeln!(f, "- {cores}")?;
        writeln!(f, "- {network}.")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules = String::new();
        for index in 0..self.columns.len() {
            let _ = write!(rules, "{}|", if index == 0 { "---" } else { "---:" });
        }
        writeln!(f, "| {} |\n|{rules}", self.columns.join(" | "))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            title: "Egress".to_owned(),
            setting: Setting::look("0", "loopback".to_owned(), "server on core 0".to_owned()),
            warnings: Vec::new(),
            failed: false,
            figures: serde_json::Value::Null,
            parts: Vec::new(),
        }
    }

    #[test]
    fn a_table_has_as_many_cells_in_each_row() {
        let mut table = Table::new(&["viewers", "ns"]);
        table.row(["100".to_owned(), "2,478".to_owned()]);
        table.row(["not run".to_owned()]);
        assert_eq!(table.to_string(), "| viewers | ns |\n|---|---:|\n| 100 | 2,478 |\n| not run |  |\n");
    }

    #[test]
    fn warnings_stand_before_the_figures_and_once() {
        let mut report = report();
        let mut table = Table::new(&["viewers"]);
        table.row(["100".to_owned()]);
        report.table(table);
        report.warn("100 viewers", "the generator was the limit");
        report.warn("100 viewers", "the generator was the limit");
        let text = report.to_string();
        assert_eq!(text.matches("WARNING").count(), 1, "{text}");
        assert!(text.find("WARNING") < text.find("| 100 |"), "{text}");
        assert!(text.contains("server on core 0"), "{text}");
    }
}
