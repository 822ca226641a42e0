//! What a check found: good, bad or unknown, why it matters, and the command that mends it.

use std::fmt;

use serde::Serialize;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum How {
    Good,
    Bad,
    Unknown,
}

impl How {
    fn word(self) -> &'static str {
        match self {
            How::Good => "good",
            How::Bad => "bad",
            How::Unknown => "unknown",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) how: How,
    /// What was looked at, in a word.
    pub(super) check: &'static str,
    /// What is so.
    pub(super) found: String,
    /// Why it matters; nothing where all is well.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) why: &'static str,
    /// What to type or to change.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) mend: String,
}

impl Finding {
    pub(super) fn good(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { how: How::Good, check, found: found.into(), why: "", mend: String::new() }
    }

    pub(super) fn bad(
        check: &'static str,
        found: impl Into<String>,
        why: &'static str,
        mend: impl Into<String>,
    ) -> Finding {
        Finding { how: How::Bad, check, found: found.into(), why, mend: mend.into() }
    }

    pub(super) fn unknown(
        check: &'static str,
        found: impl Into<String>,
        why: &'static str,
        mend: impl Into<String>,
    ) -> Finding {
        Finding { how: How::Unknown, check, found: found.into(), why, mend: mend.into() }
    }
}

/// A command that sets a limit of the whole machine, which cannot be done `inside` of a container.
pub(super) fn on_host(inside: bool, command: String) -> String {
    if inside { format!("on the host, outside of this network namespace: {command}") } else { command }
}

/// All that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) good: usize,
    pub(super) bad: usize,
    pub(super) unknown: usize,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(findings: Vec<Finding>) -> Report {
        let count = |how| findings.iter().filter(|finding| finding.how == how).count();
        let (good, bad, unknown) = (count(How::Good), count(How::Bad), count(How::Unknown));
        Report { good, bad, unknown, findings }
    }
}

impl fmt::Display for Report {
    /// What is bad comes last, where a terminal shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for how in [How::Good, How::Unknown, How::Bad] {
            for Finding { check, found, why, mend, .. } in self.findings.iter().filter(|one| one.how == how) {
                writeln!(f, "{:<9}{check:<14}{found}", how.word())?;
                for (label, text) in [("why:", *why), ("do:", mend)] {
                    if !text.is_empty() {
                        writeln!(f, "{:>22} {text}", label)?;
                    }
                }
            }
        }
        writeln!(f, "\n{} good, {} unknown, {} bad", self.good, self.unknown, self.bad)
    }
}
