//! `sluice manual`: manual pages and completions of shells, made from the command line as it is, for whoever packages it.
//!
//! Owns which files there are and their names; the package's list of files has the same (`Cargo.toml`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

/// Shells that are completed for, each with the name of its file.
const SHELLS: [(Shell, &str); 3] =
    [(Shell::Bash, "sluice.bash"), (Shell::Zsh, "_sluice"), (Shell::Fish, "sluice.fish")];

/// Where to.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder; it is made if there is none.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// A file or folder that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}. Name a folder that you may write to", path.display())]
pub struct ManualError {
    path: PathBuf,
    source: io::Error,
}

/// Writes `man1/sluice.1` with a page for each command beside it, and the completions.
///
/// # Errors
///
/// What cannot be written.
pub fn run(options: &Options, command: &Command) -> Result<(), ManualError> {
    let pages = options.folder.join("man1");
    at(&pages, fs::create_dir_all(&pages))?;
    at(&pages, clap_mangen::generate_to(command.clone(), &pages))?;
    for (shell, name) in SHELLS {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), "sluice", &mut text);
        let path = options.folder.join(name);
        at(&path, fs::write(&path, text))?;
    }
    Ok(())
}

fn at<T>(path: &Path, done: io::Result<T>) -> Result<T, ManualError> {
    done.map_err(|source| ManualError { path: path.to_owned(), source })
}
