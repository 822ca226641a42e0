//! Environment variables: from `SLUICE_UDP_PORT` to the path `udp.port`. A variable knows no case, and writes
//! both `.` and `-` as `_`, so that a name in it may be of several; which one is meant is decided in `load.rs`.

use crate::{
    resolve::{KeyInfo, NAME, NoNode, PREFIX, ROW},
    suggest::nearest,
};

const HOW: &str =
    "a variable is SLUICE_ and the key's path in capitals, `_` for `.` and `-`: SLUICE_UDP_PORT is udp.port";

/// What Kubernetes sets in every pod beside a Service named `sluice` begins like this.
const KUBERNETES: [&str; 2] = ["SLUICE_PORT", "SLUICE_SERVICE_"];
const LINKS: &str =
    "if Kubernetes made it from a Service named sluice: set `enableServiceLinks: false` in the pod";

/// The path that a variable's name stands for, `SLUICE_` and all. Names in it come out in lower case.
pub(crate) fn path_of(name: &str, keys: &[KeyInfo]) -> Result<Vec<String>, NoNode> {
    let text = name.strip_prefix(PREFIX).unwrap_or(name);
    let patterns = || keys.iter().map(|key| key.path.split('.').collect::<Vec<_>>());
    // A name takes all that fits, so what says more about where it stands comes first.
    let mut found: Vec<_> = patterns().filter_map(|pattern| spelt(&pattern, text)).collect();
    found.sort_by_key(|path| std::cmp::Reverse(path.len()));
    if let Some(path) = found.into_iter().next() {
        return Ok(path);
    }
    let candidates: Vec<String> = keys.iter().filter_map(|key| filled(key, name)).collect();
    let kubernetes = KUBERNETES.iter().any(|prefix| name.starts_with(prefix));
    Err(NoNode::Unknown {
        meant: nearest(name, candidates.iter().map(String::as_str)).map(str::to_owned),
        known: if kubernetes { LINKS } else { HOW }.to_owned(),
    })
}

/// Takes `text` apart as `pattern` has it.
fn spelt(pattern: &[&str], text: &str) -> Option<Vec<String>> {
    let (first, rest) = pattern.split_first()?;
    let ends = text.match_indices('_').map(|(end, _)| end).filter(|_| !rest.is_empty());
    let ends = ends.chain(rest.is_empty().then_some(text.len()));
    ends.filter_map(|end| {
        let segment = text[..end].to_ascii_lowercase();
        let fits = match *first {
            NAME => true,
            ROW => segment.bytes().all(|digit| digit.is_ascii_digit()),
            literal => text[..end] == literal.to_ascii_uppercase(),
        };
        let behind = if rest.is_empty() { Some(Vec::new()) } else { spelt(rest, &text[end + 1..]) };
        behind.filter(|_| fits).map(|behind| [vec![segment], behind].concat())
    })
    .next_back()
}

/// The variable of a key, with the name that the faulty variable `name` seems to have in it.
fn filled(key: &KeyInfo, name: &str) -> Option<String> {
    let mark = format!("_{NAME}_");
    let Some((before, behind)) = key.variable.split_once(&mark) else { return Some(key.variable.clone()) };
    let rest = name.strip_prefix(before)?.strip_prefix('_')?;
    let name = rest.rsplit_once('_').map_or(rest, |(name, _)| name);
    Some(format!("{before}_{name}_{behind}"))
}
