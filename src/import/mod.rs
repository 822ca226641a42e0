//! `sluice import`: MediaMTX's configuration becomes Sluice's, with a report of what became of each key.
//!
//! Owns the command and the order of the parts. Reads one file, writes one at the most, and asks nobody. What is written
//! passes `sluice check`: each value is tried before it is taken.

mod access;
mod document;
mod global;
mod keys;
mod outside;
mod paths;
mod report;
mod users;
mod yaml;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Args;

use self::document::{Document, Toml, accepted};
use self::keys::Fate;
use self::report::{At, Part, Report};
use self::yaml::{Node, YamlError};

/// Exit code for a file that cannot be read or written.
const FAILED: u8 = 2;

/// Bytes of a file at the most.
const FILE_MAX: u64 = 4 << 20;

/// Which file, and where to.
#[derive(Debug, Args)]
pub struct Options {
    /// MediaMTX's configuration.
    #[arg(value_name = "mediamtx.yml")]
    file: PathBuf,
    /// The file to write, which must not be there yet; only its owner may read it. Without it the configuration goes to
    /// standard output, and the report to standard error.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is larger than {FILE_MAX} bytes: no configuration is", .0.display())]
    Large(PathBuf),
    #[error("{} is not the YAML that MediaMTX reads: {source}", path.display())]
    Yaml { path: PathBuf, source: YamlError },
    #[error("cannot write {}: {source}{}", path.display(), hint(source))]
    Write { path: PathBuf, source: io::Error },
    #[error("the result would have a mistake, so it was not written; please report it: {0}")]
    Result(String),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AlreadyExists => "; move it away, or give another name to --out",
        _ => "",
    }
}

/// Runs the command.
pub fn run(options: &Options) -> ExitCode {
    match import_file(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads it the exit code still tells.
            let _ = writeln!(io::stderr(), "sluice import: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn import_file(Options { file, out }: &Options) -> Result<(), ImportError> {
    let of_read = |source| ImportError::Read { path: file.clone(), source };
    if fs::metadata(file).map_err(of_read)?.len() > FILE_MAX {
        return Err(ImportError::Large(file.clone()));
    }
    let text = fs::read_to_string(file).map_err(of_read)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let yaml = |source| ImportError::Yaml { path: file.clone(), source };
    let (result, mut report) = import(&name, &text).map_err(yaml)?;
    note_variables(&mut report);
    accepted(result.clone()).map_err(ImportError::Result)?;
    let written = match out {
        Some(path) => write(path, &result).map(|()| {
            let next = report.next(&path.display().to_string());
            let _ = write!(io::stdout(), "{report}\n{next}\n");
        }),
        None => {
            let _ = write!(io::stderr(), "{report}");
            io::stdout().write_all(result.as_bytes())
        }
    };
    let path = out.clone().unwrap_or_else(|| PathBuf::from("standard output"));
    written.map_err(|source| ImportError::Write { path, source })
}

/// It holds passwords, as the file that it comes from.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// MediaMTX lets variables go before its file; here they have other names.
fn note_variables(report: &mut Report) {
    let name = |(name, _): (std::ffi::OsString, _)| name.to_string_lossy().into_owned();
    let mut set: Vec<String> =
        std::env::vars_os().map(name).filter(|name| name.starts_with("MTX_")).collect();
    set.sort();
    if !set.is_empty() {
        report.notes.push(format!(
            "These variables go before MediaMTX's file, and were not looked at: {}. Here a variable is SLUICE_ and the \
             key in capitals: SLUICE_HTTP_LISTEN.",
            set.join(", ")
        ));
    }
}

/// What one file becomes, and the report.
fn import(name: &str, text: &str) -> Result<(String, Report), YamlError> {
    let root = yaml::read(text)?;
    let mut import = Import { root: &root, document: Document::default(), report: Report::new(name) };
    import.sort_out(root.members(), None);
    global::take(&mut import);
    access::take(&mut import);
    paths::take(&mut import);
    let head = format!(
        "Made by `sluice import` from {name}. Every key is explained in config/sluice.toml; docs/MIGRATING.md says what is\n\
         different. Holds the passwords of that file: keep it from others."
    );
    Ok((import.document.text(&head), import.report))
}

/// An import under way.
struct Import<'a> {
    root: &'a Node,
    document: Document,
    report: Report,
}

impl<'a> Import<'a> {
    /// A key outside of paths.
    fn key(&self, key: &'static str) -> Option<(At<'a>, &'a Node)> {
        self.root.member(key).map(|node| (At { key, line: node.line, path: None }, node))
    }

    /// The first of several names of one thing that is there.
    fn any(&self, keys: &[&'static str]) -> Option<(At<'a>, &'a Node)> {
        keys.iter().find_map(|key| self.key(key))
    }

    /// Whether a key outside of paths is switched on.
    fn is_on(&self, key: &'static str, otherwise: bool) -> bool {
        self.key(key).and_then(|(_, node)| node.truth()).unwrap_or(otherwise)
    }

    /// Tells of every key that is not taken over by code.
    fn sort_out(&mut self, members: &'a [(String, Node)], path: Option<&'a str>) {
        for (key, node) in members {
            let at = At { key, line: node.line, path };
            match if path.is_some() { keys::path(key) } else { keys::global(key) } {
                None => self.report.add(Part::Unknown, at, keys::unknown(key, path.is_some())),
                Some(Fate::Needless(why)) if !node.is_off() => self.report.add(Part::Needless, at, why),
                Some(Fate::Missing { usual, then }) if !node.is_off() && node.texts() != [usual] => {
                    self.report.add(Part::Missing, at, then);
                }
                Some(_) => {}
            }
        }
    }

    /// Writes a key, as `table.key`, if Sluice takes its value; otherwise tells why not.
    fn put(&mut self, at: At<'_>, key: &str, value: Toml) -> bool {
        match accepted(format!("{key} = {value}")) {
            Ok(()) => {
                let (table, last) = key.rsplit_once('.').unwrap_or(("", key));
                self.document.set(table, last, &value, at.key);
                self.report.add(Part::Taken, at, format!("{key} = {value}"));
                true
            }
            Err(why) => {
                self.report.add(Part::Missing, at, format!("{key} does not take it: {why}"));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
