//! Tells the bench how it was optimised: its figures are worth as much.

fn main() {
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=OPT_LEVEL_OF_BUILD={level}");
    println!("cargo::rerun-if-changed=build.rs");
}
