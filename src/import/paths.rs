//! MediaMTX's paths as streams, with what `pathDefaults` says of all of them.
//!
//! Owns which of them can be streams: those with a name, or a pattern of names, and a source that is pulled by RTSP.

use std::collections::BTreeSet;
use std::time::Duration;

use sluice_config::{Fingerprint, Line, RtspUrl, StreamKey, format_duration, go_duration};

use super::Import;
use super::document::{Toml, accepted, name};
use super::report::{At, Part, printable};
use super::yaml::Node;

/// What MediaMTX and Sluice both have where nothing is said.
const USUAL: Duration = Duration::from_secs(10);

/// What MediaMTX calls the settings of every path that has none.
const ALL: [&str; 2] = ["all", "all_others"];

/// The table of what is said of every path.
const ALL_PATHS: &str = "pathDefaults";

/// Takes all of them.
pub(super) fn take(import: &mut Import<'_>) {
    let root = import.root;
    let defaults = root.member(ALL_PATHS).map_or(&[][..], Node::members);
    import.sort_out(defaults, Some(ALL_PATHS));
    let paths = root.member("paths").map_or(&[][..], Node::members);
    let mut limits = BTreeSet::new();
    let mut said = None;
    for (path, node) in paths {
        import.sort_out(node.members(), Some(path));
        let of = Path { name: path, line: node.line, own: node, defaults };
        import.report.streams.1 += 1;
        if of.take(import) {
            import.report.streams.0 += 1;
            let limit = of.text("maxReaders").filter(|limit| *limit != "0").map(str::to_owned);
            if limit.is_some() {
                said = said.or(Some(of.at("maxReaders")));
            }
            limits.insert(limit);
        }
    }
    if let Some(at) = said {
        readers(import, at, &limits);
    }
}

/// A limit of each path is one of all streams here. The first of them stands there.
fn readers(import: &mut Import<'_>, at: At<'_>, limits: &BTreeSet<Option<String>>) {
    let mut each = limits.iter();
    match (each.next(), each.next()) {
        (Some(Some(limit)), None) => {
            let limit = limit.parse().map_or_else(|_| Toml::from(limit.as_str()), Toml::Number);
            import.put(at, "limits.viewers_per_stream", limit);
        }
        (None | Some(None), None) => {}
        _ => {
            let words = "limits.viewers_per_stream is one for all streams: the paths differ, so none is set";
            import.report.add(Part::Missing, at, words);
        }
    }
}

struct Path<'a> {
    name: &'a str,
    line: usize,
    own: &'a Node,
    defaults: &'a [(String, Node)],
}

impl<'a> Path<'a> {
    /// A key of it, or that of all paths.
    fn node(&self, key: &str) -> Option<&'a Node> {
        let default = || self.defaults.iter().find(|(name, _)| name == key).map(|(_, node)| node);
        self.own.member(key).or_else(default)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.node(key)?.text().filter(|text| !text.is_empty())
    }

    /// Where a key of it stands, or where it does.
    fn own_at(&self, key: &'a str) -> At<'a> {
        At { key, line: self.own.member(key).map_or(self.line, |node| node.line), path: Some(self.name) }
    }

    /// Where a key of it stands, or that of all paths.
    fn at(&self, key: &'a str) -> At<'a> {
        let default = self.defaults.iter().find(|(name, _)| name == key);
        match default.filter(|_| self.own.member(key).is_none()) {
            Some((_, node)) => At { key, line: node.line, path: Some(ALL_PATHS) },
            None => self.own_at(key),
        }
    }

    /// Writes it as a stream; whether it is one.
    fn take(&self, import: &mut Import<'_>) -> bool {
        let source = with_groups(self.text("source").unwrap_or("publisher"), self.is_pattern());
        match self.refusal(&source) {
            None => self.write(import, &source),
            Some(why) => {
                import.report.add(Part::Missing, self.own_at("source"), why);
                let name = printable(self.name);
                import.document.comment("streams", &format!("Not taken over, as the report says: {name}"));
                return false;
            }
        }
        true
    }

    /// Whether it is one path for many names.
    fn is_pattern(&self) -> bool {
        self.name.starts_with('~')
    }

    /// Why it cannot be a stream, if it cannot. Holds nothing of its source.
    fn refusal(&self, source: &str) -> Option<String> {
        let scheme = source.split_once("://").map_or(source, |(scheme, _)| scheme);
        if ALL.contains(&self.name) {
            return Some("streams that nobody has named: write a [streams.NAME] for each of them".to_owned());
        }
        if let Err(error) = self.name.parse::<StreamKey>() {
            return Some(match self.is_pattern() {
                true => format!("{error}; write a [streams.NAME] for each of its names"),
                false => format!("{error}; give it another name, and write that into what links to it"),
            });
        }
        match scheme {
            "rtsp" | "rtsps" | "rtsp+http" => {
                let refused = source.parse::<RtspUrl>().err().map(|error| error.to_string());
                let refused = refused.or_else(|| {
                    let lines = format!("streams.{}.source = {}", name(self.name), Toml::from(source));
                    accepted(lines).err().filter(|_| self.is_pattern())
                });
                refused.map(|why| format!("its source is refused: {why}"))
            }
            "publisher" => Some(
                "it waits for somebody who sends it: have the encoder offer RTSP, and give that as source"
                    .to_owned(),
            ),
            "redirect" => {
                Some("nobody is sent to another address: give the camera's own as source".to_owned())
            }
            "rtsps+http" => {
                let source = in_tls(source);
                source.parse::<RtspUrl>().err().map(|error| format!("its source is refused: {error}"))
            }
            "rtsp+ws" | "rtsps+ws" => Some(format!(
                "{scheme}:// is not pulled: pull the camera by rtsp://, rtsps:// or rtsp+http://"
            )),
            other => Some(format!(
                "a source of kind {} is not pulled: give the camera's or encoder's RTSP address",
                other.chars().filter(|c| !c.is_control()).take(20).collect::<String>()
            )),
        }
    }

    /// The certificate of its source, where one is shown.
    fn fingerprint(&self, import: &mut Import<'_>, table: &str, source: &str) {
        let key = "sourceFingerprint";
        let Some(text) = self.text(key) else { return };
        let line = source.split_once("://").and_then(|(scheme, _)| Line::of(scheme));
        match text.parse::<Fingerprint>() {
            _ if line.is_some_and(|line| !line.is_secret()) => {
                import.report.add(Part::Needless, self.at(key), "its source shows no certificate");
            }
            Ok(fingerprint) => {
                let fingerprint = fingerprint.to_string();
                import.document.set(table, "rtsp_fingerprint", &fingerprint.as_str().into(), "");
                import.report.add(Part::Taken, self.at(key), "rtsp_fingerprint of its stream");
            }
            Err(error) => import.report.add(Part::Missing, self.at(key), error.to_string()),
        }
    }

    fn write(&self, import: &mut Import<'_>, source: &str) {
        let table = format!("streams.{}", name(self.name));
        let source = in_tls(source);
        import.document.set(&table, "source", &source.as_str().into(), "");
        self.fingerprint(import, &table, &source);
        let transport =
            ["rtspTransport", "sourceProtocol"].into_iter().find_map(|key| Some((key, self.text(key)?)));
        match transport {
            // What does not go over plain RTSP carries its media itself.
            Some(_) if !source.starts_with("rtsp://") => {}
            Some((key, word @ ("tcp" | "udp" | "multicast"))) => {
                import.document.set(&table, "rtsp_transport", &word.into(), "");
                let words = format!("rtsp_transport = \"{word}\" of each stream that it is said of");
                import.report.once(Part::Taken, self.at(key), words);
            }
            Some((_, "automatic")) | None => {}
            Some((key, _)) => {
                let words = "a camera is pulled over tcp, udp, multicast or auto: it is what rtsp.transport says, tcp unless set";
                import.report.add(Part::Missing, self.at(key), words);
            }
        }
        self.write_on_demand(import, &table);
    }

    /// Whether it is pulled only while somebody watches; the times only where that is so.
    fn write_on_demand(&self, import: &mut Import<'_>, table: &str) {
        const ON_DEMAND: &str = "sourceOnDemand";
        if !self.node(ON_DEMAND).and_then(Node::truth).unwrap_or(false) {
            return;
        }
        import.document.set(table, "on_demand", &Toml::Truth(true), "");
        let words = "on_demand = true of each stream that it is said of";
        import.report.once(Part::Taken, self.at(ON_DEMAND), words.to_owned());
        for (key, ours) in [
            ("sourceOnDemandStartTimeout", "on_demand_start_timeout"),
            ("sourceOnDemandCloseAfter", "on_demand_close_after"),
        ] {
            let Some(text) = self.text(key) else { continue };
            let Some(time) = go_duration(text) else {
                import.report.add(Part::Missing, self.at(key), "this is no time as MediaMTX writes it");
                continue;
            };
            if time == USUAL {
                continue;
            }
            let value: Toml = format_duration(time).as_str().into();
            match accepted(format!("streams.x.source = \"demo\"\nstreams.x.{ours} = {value}")) {
                Ok(()) => {
                    import.document.set(table, ours, &value, "");
                    let words = format!("{ours} = {value} of each stream that it is said of");
                    import.report.once(Part::Taken, self.at(key), words);
                }
                Err(why) => {
                    let words = format!("{ours} does not take it: {why}");
                    import.report.add(Part::Missing, self.at(key), words);
                }
            }
        }
    }
}

/// RTSP through HTTP over TLS, as it is called here.
fn in_tls(source: &str) -> String {
    match source.strip_prefix("rtsps+http://") {
        Some(rest) => format!("rtsp+https://{rest}"),
        None => source.to_owned(),
    }
}

/// A source of a pattern as it is written here: `$G1` is `$1`, and a dollar of its own `%24`. What else MediaMTX has behind
/// one (`$MTX_QUERY`) stays, and is refused by its name.
fn with_groups(source: &str, is_pattern: bool) -> String {
    let mut parts = source.split('$');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |source, part| {
        let group = part.strip_prefix('G').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        source
            + &match group {
                Some(group) if is_pattern => format!("${group}"),
                _ if is_pattern && !part.starts_with("MTX_") => format!("%24{part}"),
                _ => format!("${part}"),
            }
    })
}

/// Keys that the credentials of one path have, in old files.
const OF_USERS: [&str; 6] = ["readUser", "readPass", "readIPs", "publishUser", "publishPass", "publishIPs"];

/// Whether paths, or all of them by `pathDefaults`, have credentials of their own.
pub(super) fn have_users(root: &Node) -> bool {
    let paths = root.member("paths").map_or(&[][..], Node::members);
    let of_users =
        |node: &Node| OF_USERS.iter().any(|key| node.member(key).is_some_and(|node| !node.is_off()));
    paths.iter().map(|(_, node)| node).chain(root.member(ALL_PATHS)).any(of_users)
}
