//! The Debian package: made of the binary under test, judged by lintian, and its life from installation to purge.
//!
//! `package/life.sh` lives that life in an overlay of this machine. Needs root, `dpkg` and `cargo deb`; without them it says
//! so and passes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Whether a program runs here.
fn has(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

/// What is missing on this machine, if anything is.
fn missing() -> Option<&'static str> {
    if !has("dpkg-deb", "--version") {
        return Some("dpkg");
    }
    if !has("cargo-deb", "--version") {
        return Some("cargo-deb (cargo install cargo-deb --version 3.8.0 --locked)");
    }
    if !has("lintian", "--version") {
        return Some("lintian");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().next());
    (uid != Some("0")).then_some("root")
}

#[track_caller]
fn succeed(output: &Output) -> String {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}", output.status);
    said
}

/// The package of the binary under test, in `folder`, which has all that `Cargo.toml` names for it.
fn build(folder: &Path) -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_sluice"));
    let manual = Path::new(ROOT).join("target/manual");
    succeed(&Command::new(binary).arg("manual").arg(&manual).output().expect("the binary runs"));
    // `target/debug` or `target/release`: the profile that the tests were built with.
    let profile = match binary.parent().and_then(Path::file_name).and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("{binary:?} is in no folder"),
    };
    let package = folder.join("sluice.deb");
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(ROOT).args([
        "deb",
        "--no-build",
        "--no-strip",
        "--offline",
        "--fast",
        "--profile",
        profile,
        "--output",
    ]);
    succeed(&command.arg(&package).output().expect("cargo deb runs"));
    package
}

#[test]
fn the_unit_leaves_little_open() {
    if !has("systemd-analyze", "--version") {
        eprintln!("skipped: this machine has no systemd-analyze");
        return;
    }
    let unit = Path::new(ROOT).join("config/systemd/sluice.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--threshold=20"]).arg(unit);
    succeed(&analyze.output().expect("systemd-analyze runs"));
}

#[test]
fn the_package_is_clean_and_lives_from_installation_to_purge() {
    if let Some(missing) = missing() {
        eprintln!("skipped: this machine has no {missing}");
        return;
    }
    let folder = std::env::temp_dir().join(format!("sluice-package-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let package = build(&folder);

    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on=error,warning", "--suppress-tags-from-file"]);
    lintian.arg(Path::new(ROOT).join("tests/package/lintian")).arg(&package);
    succeed(&lintian.output().expect("lintian runs"));

    let mut life = Command::new("unshare");
    life.args(["--mount", "--net", "--pid", "--fork", "--kill-child"]);
    life.arg(Path::new(ROOT).join("tests/package/life.sh")).arg(&package);
    let said = succeed(&life.output().expect("unshare, from util-linux"));
    assert!(said.contains("so: its user stays"), "it did not come to its end:\n{said}");
    let _ = std::fs::remove_dir_all(&folder);
}
