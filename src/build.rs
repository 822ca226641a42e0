//! Tells the binary which commit it was built from.

use std::path::Path;
use std::process::Command;

fn main() {
    // A source archive has no commit; its version says enough.
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    // Without our prefix: cargo also sets it for what it runs, and SLUICE_ variables are configuration.
    println!("cargo::rustc-env=COMMIT_OF_BUILD={commit}");
    println!("cargo::rerun-if-changed=src/build.rs");

    // HEAD changes when a branch is checked out, its log with whatever moves it from here, and the branch's file with
    // whatever moves it from elsewhere. A branch that was packed has none.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        // Git knows where: a worktree has a HEAD of its own, and its branches are the main checkout's. A path that does
        // not exist would have every build begin anew.
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// What git answers; none if there is no git, no repository or no answer.
fn git(question: &[&str]) -> Option<String> {
    let output = Command::new("git").args(question).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
