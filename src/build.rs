//! Tells the binary which commit it was built from.

use std::process::Command;

fn main() {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = output.ok().filter(|output| output.status.success());
    let commit = commit.and_then(|output| String::from_utf8(output.stdout).ok());
    // A source archive has no commit; its version says enough.
    let commit = commit.map_or_else(|| "unknown".to_owned(), |commit| commit.trim().to_owned());
    // Without our prefix: cargo also sets it for what it runs, and SLUICE_ variables are configuration.
    println!("cargo::rustc-env=COMMIT_OF_BUILD={commit}");
    for path in [".git/HEAD", ".git/logs/HEAD"] {
        if std::path::Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-changed=src/build.rs");
}
