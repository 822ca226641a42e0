//! Dashboards and alerts: the command writes them, every query of them finds data, and every alert fires for what it is
//! about and says where to read on.

#[path = "dashboards/command.rs"]
mod command;
#[path = "dashboards/figures.rs"]
mod figures;
#[path = "dashboards/queries.rs"]
mod queries;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use sluice_harness::Binary;

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("sluice-dashboards-{}-{number}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }

    /// Runs `sluice dashboards` on it.
    fn fill(&self, arguments: &[&str]) -> Output {
        SLUICE.command().arg("dashboards").arg(&self.0).args(arguments).output().expect("the binary runs")
    }

    /// With the files in it.
    fn filled() -> Folder {
        let folder = Folder::new();
        let output = folder.fill(&[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The dashboards in it, in the order of their names.
    fn dashboards(&self) -> Vec<(String, serde_json::Value)> {
        let files = std::fs::read_dir(self.path("grafana"))
            .expect("a folder")
            .map(|file| file.expect("a file").path());
        let read = |path: PathBuf| {
            let json = serde_json::from_str(&text(&path)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            (path.file_stem().expect("a name").to_string_lossy().into_owned(), json)
        };
        let mut boards: Vec<(String, serde_json::Value)> = files.map(read).collect();
        boards.sort_by(|one, other| one.0.cmp(&other.0));
        boards
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}
