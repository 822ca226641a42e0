//! The reference file says what the program does: every key, its default, and examples that load.

use std::collections::BTreeMap;

use sluice_config::{Config, File, Inputs, KeyInfo, keys, load};

const REFERENCE: &str = include_str!("../sluice.toml");

fn loaded(text: String) -> Config {
    let file = Some(File::Text { name: "sluice.toml".to_owned(), text });
    load(Inputs { file, ..Inputs::default() }).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn as_it_stands_it_is_the_default() {
    assert_eq!(loaded(REFERENCE.to_owned()), Config::default());
}

#[test]
fn every_key_is_there_in_order_with_its_default_and_what_a_change_of_it_needs() {
    let mut table = String::new();
    let mut written = Vec::new();
    for line in REFERENCE.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = name.to_owned();
        } else if let Some((key, value)) = line.split_once(" = ") {
            let (value, change) = value.split_once(" # ").unwrap_or((value, ""));
            written.push((format!("{table}.{key}"), value.trim().to_owned(), change.to_owned()));
        }
    }
    let known = keys().into_iter().filter_map(|key| {
        let default = key.default?.to_owned();
        Some((key.path, default, key.reload.label().to_owned()))
    });
    assert_eq!(written, known.collect::<Vec<_>>());
}

#[test]
fn its_examples_of_streams_load_and_show_every_key_of_a_stream() {
    let examples = REFERENCE.split_once("# [streams.").expect("examples").1;
    let examples: String = format!("# [streams.{examples}")
        .lines()
        // What stands between them is for people.
        .filter(|line| line.starts_with("# [") || line.contains(" = "))
        .map(|line| format!("{}\n", line[1..].trim_start()))
        .collect();
    let config = loaded(format!("{REFERENCE}\n{examples}"));
    let names: Vec<_> = config.streams.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["cam1", "gate", "hall", "lane", "test", "yard"]);
    for KeyInfo { path, reload, .. } in keys() {
        if let Some(key) = path.strip_prefix("streams.NAME.") {
            let change = format!("# {}", reload.label());
            let shown = |line: &str| line.starts_with(&format!("{key} = ")) && line.contains(&change);
            assert!(examples.lines().any(shown), "{key} with {change}");
        }
    }
}

#[test]
fn its_examples_of_users_load_and_show_every_key_of_a_user() {
    let examples = REFERENCE.split_once("# [access.users.").expect("examples").1;
    let examples: String = format!("# [access.users.{examples}")
        .lines()
        .take_while(|line| line.starts_with('#'))
        .map(|line| format!("{}\n", line[1..].trim_start()))
        .collect();
    const HASH: &str = "m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$hFrQ0xXk1bEDYhT0pGEJ3mEMbVE2XGfYxr2KO8Qz3iI";
    let config = loaded(examples.replace("m=19456,t=2,p=1$...", HASH));
    let names: Vec<_> = config.access.users.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["ann", "prometheus"]);
    for KeyInfo { path, reload, .. } in keys() {
        if let Some(key) = path.strip_prefix("access.users.NAME.") {
            let change = format!("# {}", reload.label());
            let shown = |line: &str| line.starts_with(&format!("{key} = ")) && line.contains(&change);
            assert!(examples.lines().any(shown), "{key} with {change}");
        }
    }
}

#[test]
fn every_key_is_explained() {
    // A key stands below a comment, directly or with other keys of the same paragraph.
    let mut paragraph: BTreeMap<usize, bool> = BTreeMap::new();
    let mut number = 0;
    for line in REFERENCE.lines() {
        match line {
            "" => number += 1,
            line if line.starts_with('#') => _ = paragraph.insert(number, true),
            line if line.starts_with('[') => {}
            line => assert!(paragraph.contains_key(&number), "`{line}` is not explained"),
        }
    }
}
