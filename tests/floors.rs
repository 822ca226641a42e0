//! Imports go down: a folder of `src` uses what stands below it and nothing beside or above it, and no two files of
//! a crate use each other.
//!
//! Owns the list of floors; docs/ARCHITECTURE.md draws them. What a crate may use, the compiler keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. Who stands on one floor together does not know each other.
const FLOORS: &[&[&str]] = &[
    &["cipher", "client", "contain", "count", "descriptors", "executor", "fault", "feed", "id", "stat"],
    &["current", "supervise", "tasks", "track"],
    &["peer"],
    &["viewer"],
    &["shard"],
    &["stream"],
    &["source"],
    &["floor", "probe", "session"],
    &["ops", "profile"],
    &["operator"],
    &["http"],
    &["server"],
    &["dashboards", "doctor", "effective", "greet", "hash", "import", "manual", "meant", "notify", "top"],
];

/// The crates, by where their files are and which folders in there are crates of their own.
const CRATES: &[(&str, &[&str])] = &[
    ("src", &["src/load", "src/media", "src/sound"]),
    ("src/load", &[]),
    ("src/media", &[]),
    ("src/sound", &[]),
    ("io", &[]),
    ("config", &[]),
    ("benches", &["benches/micro"]),
    ("tests/harness", &[]),
];

/// A module by its path in the crate; the crate itself is the empty one.
type Module = Vec<String>;

/// Which modules of a crate each of them uses, its ancestors left out: a child may use its parent's words.
type Uses = BTreeMap<Module, BTreeSet<Module>>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The modules below `folder`, without tests.
fn modules(folder: &Path, but: &[PathBuf], module: &[String], found: &mut BTreeMap<Module, String>) {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    for path in entries.filter(|path| !but.contains(path)) {
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if stem.ends_with("tests") || matches!(&stem[..], "build" | "main") && module.is_empty() {
            continue;
        }
        let child = || module.iter().cloned().chain([stem.clone()]).collect::<Module>();
        if path.is_dir() {
            modules(&path, but, &child(), found);
        } else if is_source {
            let name = if matches!(&stem[..], "mod" | "lib") { module.to_vec() } else { child() };
            found.insert(name, fs::read_to_string(&path).expect("text"));
        }
    }
}

/// The text before its tests, without comments.
fn code(text: &str) -> String {
    let product = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
    product.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The paths that a `use` names, taken apart: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(tree: &str, before: &[String], found: &mut Vec<Module>) {
    let tree = tree.trim();
    let (head, list) = match tree.split_once('{') {
        Some((head, list)) => (head, list.strip_suffix('}')),
        None => (tree, None),
    };
    let names = head.split("::").map(|name| name.split(" as ").next().unwrap_or_default().trim());
    let path: Module =
        before.iter().cloned().chain(names.filter(|name| !name.is_empty()).map(str::to_owned)).collect();
    let Some(list) = list else { return found.push(path) };
    let (mut depth, mut start) = (0, 0);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                paths(&list[start..at], &path, found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !list[start..].trim().is_empty() {
        paths(&list[start..], &path, found);
    }
}

/// What a module names of its own crate: in `use`, and by paths that begin with `crate::`.
fn named(module: &Module, text: &str) -> Vec<Module> {
    let code = code(text);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let before = code[..at].chars().next_back();
        if before.is_none_or(|before| before.is_whitespace()) {
            paths(code[at + 4..].split(';').next().unwrap_or_default(), &[], &mut found);
        }
    }
    for (at, _) in code.match_indices("crate::") {
        let path: String =
            code[at..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
        paths(path.trim_end_matches(':'), &[], &mut found);
    }
    let absolute = |path: Module| {
        let supers = path.iter().take_while(|name| *name == "super").count();
        let (from, rest) = match path.first().map(String::as_str) {
            Some("crate") => (&module[..0], &path[1..]),
            Some("super") => (&module[..module.len().checked_sub(supers)?], &path[supers..]),
            Some("self") => (&module[..], &path[1..]),
            _ => (&module[..], &path[..]),
        };
        Some([from, rest].concat())
    };
    found.into_iter().filter_map(absolute).collect()
}

/// Who uses whom in the crate at `folder`.
fn uses(folder: &str, but: &[&str]) -> Uses {
    let mut all = BTreeMap::new();
    let but: Vec<PathBuf> = but.iter().map(|folder| root().join(folder)).collect();
    modules(&root().join(folder), &but, &[], &mut all);
    among(&all)
}

fn among(all: &BTreeMap<Module, String>) -> Uses {
    let deepest = |path: &Module| (0..=path.len()).rev().find(|end| all.contains_key(&path[..*end]));
    let uses_of = |(module, text): (&Module, &String)| {
        let used = named(module, text).into_iter().filter_map(|path| Some(path[..deepest(&path)?].to_vec()));
        (module.clone(), used.filter(|other| !module.starts_with(other)).collect())
    };
    all.iter().map(uses_of).collect()
}

/// Modules that come back to themselves.
fn circle(uses: &Uses) -> Option<Vec<Module>> {
    let mut left: Uses = uses.clone();
    // Whoever uses nobody that is left is in no circle, and neither is whom nobody uses.
    loop {
        let before = left.len();
        let names: BTreeSet<Module> = left.keys().cloned().collect();
        left.retain(|_, used| used.iter().any(|other| names.contains(other)));
        let used: BTreeSet<Module> = left.values().flatten().cloned().collect();
        left.retain(|module, _| used.contains(module));
        if left.len() == before {
            return (before > 0).then(|| left.into_keys().collect());
        }
    }
}

/// Imports that go sideways or up, as sentences.
fn climbs(uses: &Uses) -> Vec<String> {
    let floor = |folder: &str| FLOORS.iter().position(|names| names.contains(&folder));
    let mut found = Vec::new();
    for (module, used) in uses {
        let Some(folder) = module.first() else { continue };
        let Some(own) = floor(folder) else {
            found.push(format!("{folder} stands on no floor: name it in FLOORS"));
            continue;
        };
        for other in used.iter().filter_map(|other| other.first()).filter(|other| *other != folder) {
            if floor(other).is_none_or(|other| other >= own) {
                found.push(format!("{} uses {other}, which does not stand below it", module.join("/")));
            }
        }
    }
    found
}

#[test]
fn no_folder_uses_what_stands_beside_or_above_it() {
    let climbs = climbs(&uses("src", CRATES[0].1));
    assert!(climbs.is_empty(), "{climbs:#?}");
}

#[test]
fn no_files_of_a_crate_use_each_other_in_a_circle() {
    for (folder, but) in CRATES {
        assert_eq!(circle(&uses(folder, but)), None, "{folder}");
    }
}

#[test]
fn an_import_that_climbs_and_a_circle_are_found() {
    let crate_of = |files: &[(&str, &str)]| {
        let module = |path: &str| path.split('/').map(str::to_owned).collect::<Module>();
        among(&files.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect())
    };
    let good = [
        ("shard", "mod worker;\nuse crate::viewer::Viewer;"),
        ("shard/worker", "use super::Shard;\nuse std::fmt;"),
        (
            "viewer",
            "// use crate::shard::Shard;\nstruct Viewer;\n\n#[cfg(test)]\nmod tests { use crate::shard::Shard; }",
        ),
    ];
    let uses = crate_of(&good);
    assert_eq!((climbs(&uses), circle(&uses)), (vec![], None));
    for bad in
        ["use crate::{\n    id::Id,\n    shard::{self, Shard},\n};", "fn f(shard: &crate::shard::Shard) {}"]
    {
        let files = [good[0], good[1], ("id", ""), ("viewer", bad)];
        let uses = crate_of(&files);
        assert_eq!(climbs(&uses), ["viewer uses shard, which does not stand below it"], "{bad}");
        assert_eq!(circle(&uses), Some(vec![vec!["shard".to_owned()], vec!["viewer".to_owned()]]), "{bad}");
    }
}
