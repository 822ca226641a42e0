//! `sluice dashboards`: Grafana's dashboards, Prometheus's alerts and the book that these point to, out of the binary into a
//! folder.
//!
//! Owns which files there are, where alerts say that their book is, and that what somebody changed is not overwritten.
//! Never talks to Grafana or Prometheus.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use url::{Position, Url};

/// The files: where they go below the folder, and what is in them.
const FILES: [(&str, &str); 7] = [
    (BOOK, include_str!("../docs/OPERATING.md")),
    ("grafana/overview.json", include_str!("../config/grafana/overview.json")),
    ("grafana/streams.json", include_str!("../config/grafana/streams.json")),
    ("grafana/viewers.json", include_str!("../config/grafana/viewers.json")),
    ("grafana/shards.json", include_str!("../config/grafana/shards.json")),
    ("prometheus/alerts.yml", include_str!("../config/prometheus/alerts.yml")),
    ("prometheus/alerts_test.yml", include_str!("../config/prometheus/alerts_test.yml")),
];

/// The book with a section for each alert: what an alert's `runbook_url` begins with, unless another place is given.
const BOOK: &str = "docs/OPERATING.md";

/// Where to, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder; it is made if there is none.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Where people of yours read the alerts' runbooks, as in https://wiki.example.com/sluice: alerts link to the section
    /// in it [default: docs/OPERATING.md, which is written into the folder]
    #[arg(long, value_name = "URL")]
    runbook_url: Option<Url>,
    /// Overwrite files that differ from those of this version.
    #[arg(long)]
    force: bool,
}

/// Why the files are not all there.
#[derive(Debug, thiserror::Error)]
pub enum DashboardsError {
    /// They would be overwritten.
    #[error(
        "{} other than this version's: nothing was written. Move what you changed to another place, or overwrite it \
         with --force", are(.0)
    )]
    Changed(Vec<PathBuf>),
    /// A file cannot be looked at or written.
    #[error("cannot {what} {}: {source}. Name a folder that you may write to", path.display())]
    Io {
        /// Read, make or write.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
}

/// "a is", "a and b are".
fn are(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    match names.split_last() {
        Some((last, [])) => format!("{last} is"),
        Some((last, others)) => format!("{} and {last} are", others.join(", ")),
        None => String::new(),
    }
}

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// It was not there.
    New,
    /// It was there, the same.
    Same,
    /// It was there, another one.
    Over,
}

/// Writes the files, and says to `out` what became of each and what to do with them.
///
/// # Errors
///
/// See [`DashboardsError`]. None if nobody reads `out`: the files are there.
pub fn run(options: &Options, out: &mut impl io::Write) -> Result<(), DashboardsError> {
    for (path, written) in write(options)? {
        let word = match written {
            Written::New => "wrote",
            Written::Same => "left as it was",
            Written::Over => "wrote over",
        };
        let _ = writeln!(out, "{word} {}", path.display());
    }
    let _ = writeln!(
        out,
        "Grafana: import grafana/*.json, or provision the folder. Prometheus: name prometheus/alerts.yml in rule_files, \
         and scrape the admin listener in a job called sluice (docs/OPERATING.md)."
    );
    Ok(())
}

/// Writes all files below the folder. Gives what became of each, in order.
///
/// # Errors
///
/// If one that is there differs and it may not be overwritten, none is written. Otherwise those before the one that
/// cannot be written are.
fn write(options: &Options) -> Result<Vec<(PathBuf, Written)>, DashboardsError> {
    let mut plan = Vec::new();
    for (name, text) in FILES {
        let path = options.folder.join(name);
        let text = match &options.runbook_url {
            Some(url) => text.replace(&format!("'{BOOK}#"), &format!("'{}#", without_fragment(url))),
            None => text.to_owned(),
        };
        let written = match fs::read(&path) {
            Ok(there) if there == text.as_bytes() => Written::Same,
            Ok(_) => Written::Over,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Written::New,
            Err(source) => return Err(DashboardsError::Io { what: "read", path, source }),
        };
        plan.push((path, written, text));
    }
    let changed = plan.iter().filter(|(_, written, _)| *written == Written::Over);
    let changed: Vec<PathBuf> = changed.map(|(path, ..)| path.clone()).collect();
    if !changed.is_empty() && !options.force {
        return Err(DashboardsError::Changed(changed));
    }
    for (path, written, text) in &plan {
        if *written != Written::Same {
            put(path, text)?;
        }
    }
    Ok(plan.into_iter().map(|(path, written, _)| (path, written)).collect())
}

/// What a section's name is put behind.
fn without_fragment(url: &Url) -> &str {
    &url[..Position::AfterQuery]
}

/// Writes a file and the folders it is in.
fn put(path: &Path, text: &str) -> Result<(), DashboardsError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| DashboardsError::Io { what, path, source }
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed("make", folder))?;
    }
    fs::write(path, text).map_err(failed("write", path))
}
