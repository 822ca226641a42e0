//! One line of the page: what was looked at, what was found, and whether that is good.
//!
//! Owns the three verdicts. Never judges: each check does that by bounds of its own.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::report::Table;

/// Whether what was found is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within its bounds.
    Good,
    /// Beyond one of them.
    Bad,
    /// It could not be looked at; the reason is what was measured.
    NotChecked,
}

impl Verdict {
    /// Good if something holds.
    pub fn good_if(holds: bool) -> Verdict {
        if holds { Verdict::Good } else { Verdict::Bad }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Good => "good",
            Verdict::Bad => "BAD",
            Verdict::NotChecked => "not checked",
        })
    }
}

/// A bound for people: 0.9 as `90 %`.
pub fn whole_percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A finished check.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What it is of.
    pub name: &'static str,
    /// Its outcome.
    pub verdict: Verdict,
    /// What was found, in a sentence.
    pub measured: String,
    /// How it was looked at and what is good, for the page's text.
    pub how: String,
    /// Figures, for machines.
    pub figures: Value,
    /// Details, for people.
    #[serde(skip)]
    pub table: Option<Table>,
    /// What makes the figures doubtful.
    #[serde(skip)]
    pub doubts: Vec<String>,
}

impl Check {
    /// A check that could not be made, and why.
    pub fn not_checked(name: &'static str, why: &str, how: &str) -> Check {
        Check {
            name,
            verdict: Verdict::NotChecked,
            measured: format!("not checked: {why}"),
            how: how.to_owned(),
            figures: Value::Null,
            table: None,
            doubts: Vec::new(),
        }
    }
}
