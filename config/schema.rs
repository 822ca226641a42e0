//! Every key: its path, its default, what it takes and where it goes. This table is the whole schema: the file, the
//! environment, the command line and the documentation all read it, and no key exists outside it.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    Bytes, Config, LogFormat, Source, StreamName, StreamNameError, Transport,
    config::{CONSENT_MIN, FRAME_MAX, SHARDS_MAX},
    parse,
    suggest::nearest,
    value::{Kind, Refusal},
};

/// One key of `T`: the configuration, or one stream of it.
pub(crate) struct Key<T: 'static> {
    /// `udp.port`; of a stream `source`.
    pub(crate) path: &'static str,
    /// As TOML; `None` if there is none.
    pub(crate) default: Option<&'static str>,
    pub(crate) kind: Kind<T>,
}

/// A stream while it is put together from several sources.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) source: Option<Source>,
    pub(crate) rtsp_transport: Option<Transport>,
}

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const TEN_SECONDS: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const TENTH: Duration = Duration::from_millis(100);
const BUFFER_MIN: Bytes = Bytes::kib(64);
const BUFFER_MAX: Bytes = Bytes::mib(1024);

const LISTEN: &str = "\"ADDRESS:PORT\", or \":PORT\" for every address";
const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Udp];

const fn key<T>(path: &'static str, default: &'static str, kind: Kind<T>) -> Key<T> {
    Key { path, default: Some(default), kind }
}

// The casts below are within the range that stands beside them.
static KEYS: [Key<Config>; 41] = [
    key(
        "http.listen",
        "\"[::]:8889\"",
        Kind::Text(LISTEN, |c, v| parse::listen(v).map(|a| c.http.listen = a)),
    ),
    key(
        "http.allow_origin",
        "\"*\"",
        Kind::Text("\"*\" or one origin like \"https://tv.example.com\"", |c, v| {
            parse::origin(v).map(|origin| c.http.allow_origin = origin)
        }),
    ),
    key("http.header_timeout", "\"5s\"", Kind::Duration(TENTH, MINUTE, |c, v| c.http.header_timeout = v)),
    key("http.connections", "0", Kind::Integer(0, 1_000_000, |c, v| c.http.connections = v as u32)),
    key(
        "http.trusted_proxies",
        "[]",
        Kind::List("IP addresses and networks like \"10.0.0.0/8\"", |c, v| {
            each(v, parse::network).map(|networks| c.http.trusted_proxies = networks)
        }),
    ),
    key(
        "admin.listen",
        "\"127.0.0.1:9997\"",
        Kind::Text(LISTEN, |c, v| parse::listen(v).map(|a| c.admin.listen = a)),
    ),
    key(
        "admin.hosts",
        "[]",
        Kind::List("host names, without ports", |c, v| {
            each(v, parse::host_name).map(|hosts| c.admin.hosts = hosts)
        }),
    ),
    key(
        "udp.address",
        "\"::\"",
        Kind::Text("an IP address, or \"::\" for all", |c, v| parse::ip(v).map(|ip| c.udp.address = ip)),
    ),
    key("udp.port", "8189", Kind::Integer(1, 65_535, |c, v| c.udp.port = v as u16)),
    key("udp.gso", "true", Kind::Bool(|c, v| c.udp.gso = v)),
    key(
        "udp.receive_buffer",
        "\"8MiB\"",
        Kind::Bytes(BUFFER_MIN, BUFFER_MAX, |c, v| c.udp.receive_buffer = v),
    ),
    key("udp.send_buffer", "\"8MiB\"", Kind::Bytes(BUFFER_MIN, BUFFER_MAX, |c, v| c.udp.send_buffer = v)),
    key("egress.spread", "\"15ms\"", Kind::Duration(Duration::ZERO, SECOND, |c, v| c.egress.spread = v)),
    key(
        "egress.audio_hold",
        "\"10ms\"",
        Kind::Duration(Duration::ZERO, TENTH, |c, v| c.egress.audio_hold = v),
    ),
    key(
        "egress.rate",
        "\"0\"",
        Kind::Text("\"0\" for no limit, or a bitrate from 1Mbit/s like \"950Mbit/s\"", |c, v| {
            parse::bitrate(v).map(|rate| c.egress.rate = rate)
        }),
    ),
    key(
        "ice.addresses",
        "[]",
        Kind::List("IP addresses and host names, without ports, and \"interfaces\"", |c, v| {
            each(v, parse::ice_address).map(|addresses| c.ice.addresses = addresses)
        }),
    ),
    key(
        "ice.interfaces",
        "[]",
        Kind::List("interface names like \"eth0\"", |c, v| {
            each(v, parse::interface).map(|interfaces| c.ice.interfaces = interfaces)
        }),
    ),
    key("ice.loopback", "true", Kind::Bool(|c, v| c.ice.loopback = v)),
    key("shards.count", "0", Kind::Integer(0, SHARDS_MAX as u64, |c, v| c.shards.count = v as u16)),
    key("shards.pin", "true", Kind::Bool(|c, v| c.shards.pin = v)),
    key("limits.viewers", "10000", Kind::Integer(1, 1_000_000, |c, v| c.limits.viewers = v as u32)),
    key(
        "limits.viewers_per_stream",
        "0",
        Kind::Integer(0, 1_000_000, |c, v| {
            c.limits.viewers_per_stream = NonZeroU32::new(v as u32);
        }),
    ),
    key("limits.pending", "1000", Kind::Integer(1, 100_000, |c, v| c.limits.pending = v as u32)),
    key("limits.share_per_address", "50", Kind::Integer(1, 100, |c, v| c.limits.share_per_address = v as u8)),
    key(
        "limits.joins_per_address",
        "200",
        Kind::Integer(1, 100_000, |c, v| c.limits.joins_per_address = v as u32),
    ),
    key("limits.busy", "90", Kind::Integer(0, 100, |c, v| c.limits.busy = v as u8)),
    key("limits.setup_timeout", "\"10s\"", Kind::Duration(SECOND, MINUTE, |c, v| c.limits.setup_timeout = v)),
    key(
        "limits.consent_timeout",
        "\"30s\"",
        Kind::Duration(CONSENT_MIN, HOUR, |c, v| {
            c.limits.consent_timeout = v;
        }),
    ),
    key("rtsp.transport", "\"tcp\"", Kind::Choice(&["tcp", "udp"], |c, v| c.rtsp.transport = TRANSPORTS[v])),
    key("rtsp.connect_timeout", "\"5s\"", Kind::Duration(TENTH, MINUTE, |c, v| c.rtsp.connect_timeout = v)),
    key("rtsp.request_timeout", "\"10s\"", Kind::Duration(TENTH, MINUTE, |c, v| c.rtsp.request_timeout = v)),
    key("rtsp.data_timeout", "\"10s\"", Kind::Duration(SECOND, HOUR, |c, v| c.rtsp.data_timeout = v)),
    key("rtsp.reconnect_min", "\"500ms\"", Kind::Duration(TENTH, HOUR, |c, v| c.rtsp.reconnect_min = v)),
    key("rtsp.reconnect_max", "\"30s\"", Kind::Duration(TENTH, HOUR, |c, v| c.rtsp.reconnect_max = v)),
    key("rtsp.max_frame", "\"4MiB\"", Kind::Bytes(Bytes::kib(64), FRAME_MAX, |c, v| c.rtsp.max_frame = v)),
    key("nack.enabled", "true", Kind::Bool(|c, v| c.nack.enabled = v)),
    key("nack.history", "\"1s\"", Kind::Duration(TENTH, TEN_SECONDS, |c, v| c.nack.history = v)),
    key("rtcp.report_interval", "\"3s\"", Kind::Duration(SECOND, MINUTE, |c, v| c.rtcp.report_interval = v)),
    key(
        "track.history_bytes",
        "\"16MiB\"",
        Kind::Bytes(Bytes::kib(256), Bytes::mib(1024), |c, v| {
            c.track.history_bytes = v;
        }),
    ),
    key(
        "log.level",
        "\"info\"",
        Kind::Text("error, warn, info, debug, trace, off, or a list like \"info,sluice=debug\"", |c, v| {
            parse::log_filter(v).map(|filter| c.log.level = filter)
        }),
    ),
    key(
        "log.format",
        "\"text\"",
        Kind::Choice(&["text", "json"], |c, v| {
            c.log.format = [LogFormat::Text, LogFormat::Json][v];
        }),
    ),
];

static STREAM_KEYS: [Key<Draft>; 2] = [
    Key {
        path: "source",
        default: None,
        kind: Kind::Text("\"rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH\" or \"demo\"", |draft, v| {
            parse::source(v).map(|source| draft.source = Some(source))
        }),
    },
    Key {
        path: "rtsp_transport",
        default: None,
        kind: Kind::Choice(&["tcp", "udp"], |draft, v| draft.rtsp_transport = Some(TRANSPORTS[v])),
    },
];

/// The names of the top-level tables, in the order of the reference file.
const SECTIONS: [&str; 13] = [
    "http", "admin", "udp", "egress", "ice", "shards", "limits", "rtsp", "nack", "rtcp", "track", "log",
    "streams",
];

fn each<T>(texts: &[&str], parse: fn(&str) -> Result<T, Refusal>) -> Result<Vec<T>, (usize, Refusal)> {
    texts.iter().enumerate().map(|(index, text)| parse(text).map_err(|refusal| (index, refusal))).collect()
}

/// What documentation says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// `udp.port`, `streams.NAME.source`.
    pub path: String,
    /// `SLUICE_UDP_PORT`, `SLUICE_STREAMS_NAME_SOURCE`.
    pub variable: String,
    /// As written in the file; `None` where there is none.
    pub default: Option<&'static str>,
    /// In words.
    pub allowed: String,
}

/// Every key there is, in the order of the reference file.
pub fn keys() -> impl Iterator<Item = KeyInfo> {
    let info = |path: String, default, allowed| KeyInfo { variable: variable(&path), path, default, allowed };
    let global = KEYS.iter().map(move |key| info(key.path.to_owned(), key.default, key.kind.allowed()));
    let stream = STREAM_KEYS
        .iter()
        .map(move |key| info(format!("streams.NAME.{}", key.path), key.default, key.kind.allowed()));
    global.chain(stream)
}

/// The environment variable of a key.
fn variable(path: &str) -> String {
    format!("SLUICE_{}", path.replace('.', "_").to_ascii_uppercase())
}

/// What a path leads to.
pub(crate) enum Node {
    /// Keys, or tables of keys.
    Table,
    Key(&'static Key<Config>),
    StreamKey(StreamName, &'static Key<Draft>),
}

/// Why a path leads nowhere.
pub(crate) enum NoNode {
    Unknown {
        /// The whole path that was probably meant.
        meant: Option<String>,
        /// What stands in the table the path goes through.
        known: String,
    },
    Name(StreamNameError),
}

/// Follows a path from the root.
pub(crate) fn resolve(path: &[&str]) -> Result<Node, NoNode> {
    match path {
        [] | ["streams"] => Ok(Node::Table),
        ["streams", name, rest @ ..] => {
            let parsed: StreamName = name.parse().map_err(NoNode::Name)?;
            let [last] = rest else {
                return if rest.is_empty() {
                    Ok(Node::Table)
                } else {
                    Err(unknown_stream_key(name, rest[0]))
                };
            };
            let key = STREAM_KEYS
                .iter()
                .find(|key| key.path == *last)
                .ok_or_else(|| unknown_stream_key(name, last))?;
            Ok(Node::StreamKey(parsed, key))
        }
        [section] if SECTIONS.contains(section) => Ok(Node::Table),
        path => {
            let joined = path.join(".");
            let key = KEYS.iter().find(|key| key.path == joined).ok_or_else(|| unknown(path, &joined))?;
            Ok(Node::Key(key))
        }
    }
}

fn unknown_stream_key(name: &str, key: &str) -> NoNode {
    let keys = || STREAM_KEYS.iter().map(|key| key.path);
    NoNode::Unknown {
        meant: nearest(key, keys()).map(|key| format!("streams.{name}.{key}")),
        known: format!("a stream has {}", join(keys())),
    }
}

/// Near in its own table, near as a whole, or right in another table: in this order.
fn unknown(path: &[&str], joined: &str) -> NoNode {
    let paths = || KEYS.iter().map(|key| key.path);
    let last = path.last().copied().unwrap_or_default();
    let inside = path.first().filter(|section| path.len() > 1 && SECTIONS.contains(section));
    let (siblings, known): (Vec<&str>, _) = match inside {
        Some(section) => {
            let prefix = format!("{section}.");
            let siblings: Vec<_> = paths().filter_map(|path| path.strip_prefix(&*prefix)).collect();
            let known = format!("`{section}` has {}", join(siblings.iter().copied()));
            (siblings, known)
        }
        None => (SECTIONS.to_vec(), format!("there are {}", join(SECTIONS))),
    };
    let near = match inside {
        Some(section) => nearest(last, siblings).map(|key| format!("{section}.{key}")),
        None if path.len() == 1 => nearest(last, siblings).map(str::to_owned),
        None => None,
    };
    let elsewhere = || paths().find(|path| path.rsplit('.').next() == Some(last));
    let meant = near.or_else(|| nearest(joined, paths()).or_else(elsewhere).map(str::to_owned));
    NoNode::Unknown { meant, known }
}

fn join<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// Follows a variable's name, `SLUICE_` and all. Stream names come out in lower case.
pub(crate) fn resolve_variable(name: &str) -> Result<Node, NoNode> {
    if let Some(key) = KEYS.iter().find(|key| variable(key.path) == name) {
        return Ok(Node::Key(key));
    }
    let variables = KEYS.iter().map(|key| variable(key.path));
    let Some(rest) = name.strip_prefix("SLUICE_STREAMS_") else {
        let variables: Vec<_> = variables.collect();
        let kubernetes = KUBERNETES.iter().any(|prefix| name.starts_with(prefix));
        return Err(NoNode::Unknown {
            meant: nearest(name, variables.iter().map(String::as_str)).map(str::to_owned),
            known: if kubernetes { LINKS } else { HOW }.to_owned(),
        });
    };
    for key in &STREAM_KEYS {
        let suffix = variable(key.path).replace("SLUICE", "");
        if let Some(stream) = rest.strip_suffix(&*suffix) {
            let stream = stream.to_ascii_lowercase().parse().map_err(NoNode::Name)?;
            return Ok(Node::StreamKey(stream, key));
        }
    }
    let stream = rest.rsplit_once('_').map_or(rest, |(stream, _)| stream);
    let candidates: Vec<_> =
        STREAM_KEYS.iter().map(|key| variable(&format!("streams.{stream}.{}", key.path))).collect();
    Err(NoNode::Unknown {
        meant: nearest(name, candidates.iter().map(String::as_str)).map(str::to_owned),
        known: HOW.to_owned(),
    })
}

const HOW: &str =
    "a variable is SLUICE_ and the key's path in capitals, `_` for `.` and `-`: SLUICE_UDP_PORT is udp.port";

/// What Kubernetes sets in every pod beside a Service named `sluice` begins like this.
const KUBERNETES: [&str; 2] = ["SLUICE_PORT", "SLUICE_SERVICE_"];
const LINKS: &str =
    "if Kubernetes made it from a Service named sluice: set `enableServiceLinks: false` in the pod";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use toml::de::DeValue;

    use super::*;
    use crate::value::Given;

    #[test]
    fn the_defaults_written_here_are_the_defaults() {
        for key in &KEYS {
            let mut config = Config::default();
            let default = key.default.expect("a key of the configuration has a default");
            let value = DeValue::parse(default).expect(default);
            key.kind.apply(&mut config, &Given::Toml(&value)).map_err(|fault| fault.why).expect(key.path);
            assert_eq!(config, Config::default(), "{}", key.path);
        }
    }

    #[test]
    fn every_key_has_a_path_a_table_and_a_variable_of_its_own() {
        let all: Vec<_> = keys().collect();
        assert_eq!(all.iter().map(|key| &key.path).collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(all.iter().map(|key| &key.variable).collect::<BTreeSet<_>>().len(), all.len());
        for key in all {
            assert!(SECTIONS.contains(&key.path.split('.').next().expect("a first segment")), "{}", key.path);
            let path: Vec<_> = key.path.split('.').collect();
            assert!(!matches!(resolve(&path), Err(_) | Ok(Node::Table)), "{}", key.path);
            assert!(!matches!(resolve_variable(&key.variable), Err(_) | Ok(Node::Table)), "{}", key.variable);
        }
    }

    #[test]
    fn setters_reach_the_field_they_are_named_after() {
        for key in &KEYS {
            let text = match &key.kind {
                Kind::Bool(_) => "false".to_owned(),
                Kind::Integer(_, max, _) => max.to_string(),
                // Its default is its most.
                Kind::Bytes(min, _, _) if key.path == "rtsp.max_frame" => min.to_string(),
                Kind::Bytes(_, max, _) => max.to_string(),
                Kind::Duration(_, max, _) => crate::format_duration(*max),
                Kind::Choice(words, _) => words[words.len() - 1].to_owned(),
                Kind::List(..) if key.path == "http.trusted_proxies" => "::1".to_owned(),
                Kind::List(..) => "lo".to_owned(),
                Kind::Text(..) if key.path == "log.level" => "debug".to_owned(),
                Kind::Text(..) if key.path == "http.allow_origin" => "https://a.b".to_owned(),
                Kind::Text(..) if key.path == "egress.rate" => "1Gbit/s".to_owned(),
                Kind::Text(..) if key.path == "udp.address" => "10.0.0.1".to_owned(),
                Kind::Text(..) => "10.0.0.1:1".to_owned(),
            };
            let mut config = Config::default();
            key.kind
                .apply(&mut config, &Given::Text { text: &text, at: 0 })
                .map_err(|fault| fault.why)
                .expect(key.path);
            // The first line that differs is the field's, below the last line of a section's own indent.
            let (before, after) = (format!("{:#?}", Config::default()), format!("{config:#?}"));
            let line = before
                .lines()
                .zip(after.lines())
                .position(|(before, after)| before != after)
                .expect(key.path);
            let lines: Vec<_> = after.lines().take(line + 1).collect();
            let section = lines.iter().rfind(|line| line.starts_with("    ") && !line.starts_with("     "));
            let name = |line: &str| line.trim().split(':').next().unwrap_or_default().to_owned();
            assert_eq!(format!("{}.{}", name(section.expect("a section")), name(lines[line])), key.path);
        }
    }

    #[test]
    fn suggestions_come_from_the_nearest_table() {
        for (path, expected) in [
            ("udp.prt", Some("udp.port")),
            ("port", Some("udp.port")),
            ("udp.viewers", Some("limits.viewers")),
            ("udpp.port", Some("udp.port")),
            ("htpp", Some("http")),
            ("streams.a.sorce", Some("streams.a.source")),
            ("dtls.certificate", None),
        ] {
            match resolve(&path.split('.').collect::<Vec<_>>()) {
                Err(NoNode::Unknown { meant, .. }) => assert_eq!(meant.as_deref(), expected, "{path}"),
                _ => panic!("{path} is no key"),
            }
        }
    }
}
