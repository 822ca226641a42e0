//! The reference file says what the program does: every key, its default, and examples that load.

use std::collections::BTreeMap;

use sluice_config::{Config, File, Inputs, keys, load};

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
fn every_key_is_there_with_its_default_in_order() {
    let mut table = String::new();
    let mut written = Vec::new();
    for line in REFERENCE.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = name.to_owned();
        } else if let Some((key, value)) = line.split_once(" = ") {
            written.push((format!("{table}.{key}"), value.to_owned()));
        }
    }
    let known: Vec<_> =
        keys().filter_map(|key| key.default.map(|default| (key.path, default.to_owned()))).collect();
    assert_eq!(written, known);
}

#[test]
fn its_examples_of_streams_load_and_show_every_key_of_a_stream() {
    let examples = REFERENCE.split_once("# [streams.").expect("examples").1;
    let examples: String = format!("# [streams.{examples}")
        .lines()
        .map(|line| format!("{}\n", line[1..].trim_start()))
        .collect();
    let config = loaded(format!("{REFERENCE}\n{examples}"));
    let names: Vec<_> = config.streams.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["cam1", "gate", "test"]);
    for key in keys() {
        if let Some(key) = key.path.strip_prefix("streams.NAME.") {
            assert!(examples.contains(&format!("{key} = ")), "{key}");
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
