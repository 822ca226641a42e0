//! Every key: its path, its default, what a change of it needs, what it takes and where it goes. This table is the whole
//! schema: the file, the environment, the command line and the documentation all read it, and no key exists outside it.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use crate::{
    Bytes, Cipher, Config, JwtAlgorithm, KeyInfo, LogFormat, Password, Reload, Source, StreamName,
    StreamNameError, Transport, User, UserName, acme,
    config::{CONSENT_MIN, FRAME_MAX, SHARDS_MAX},
    parse,
    resolve::{Key, Repeated, Schema},
    value::{Kind, Refusal},
};

use Reload::{Live, NewSessions, Restart};

/// A configuration while it is put together from several sources.
#[derive(Default)]
pub(crate) struct Draft {
    /// Without its streams.
    pub(crate) config: Config,
    pub(crate) streams: BTreeMap<StreamName, StreamDraft>,
}

/// A stream while it is put together.
#[derive(Default)]
pub(crate) struct StreamDraft {
    pub(crate) source: Option<Source>,
    pub(crate) rtsp_transport: Option<Transport>,
}

/// What browsers take lists of such sites for (hstspreload.org).
const TWO_YEARS: Duration = Duration::from_secs(2 * 365 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const TEN_SECONDS: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const TENTH: Duration = Duration::from_millis(100);
const BUFFER_MIN: Bytes = Bytes::kib(64);
const BUFFER_MAX: Bytes = Bytes::mib(1024);

const ACTIONS: &str = "read, publish, api, metrics, pprof";
const CLAIM: &str = "\"\" for anything, or what the claim must be";
const STREAMS_MEANT: &str = "names of streams, with * for anything, or ~ and a regular expression";
const RATE: &str = "\"0\" for no limit, or a bitrate from 1Mbit/s like \"950Mbit/s\"";
const LISTEN: &str = "\"ADDRESS:PORT\", or \":PORT\" for every address";
const PEM: &str = "\"\" for none, or the path of a PEM file";
const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Udp];

const fn key(path: &'static str, default: &'static str, reload: Reload, kind: Kind<Draft>) -> Key<Draft> {
    Key { path, default: Some(default), reload, kind }
}

// The casts below are within the range that stands beside them.
static KEYS: &[Key<Draft>] = &[
    key("config.watch", "false", Live, Kind::Bool(|d, v| d.config.config.watch = v)),
    key(
        "http.listen",
        "\"[::]:8889\"",
        Restart,
        Kind::Text(LISTEN, |d, v| parse::listen(v).map(|a| d.config.http.listen = a)),
    ),
    key(
        "http.allow_origin",
        "[\"*\"]",
        Live,
        Kind::List("\"*\", or origins like \"https://tv.example.com\"", |d, v| {
            each(v, parse::origin).map(|origins| d.config.http.allow_origin = origins)
        }),
    ),
    key(
        "http.header_timeout",
        "\"5s\"",
        NewSessions,
        Kind::Duration(TENTH, MINUTE, |d, v| d.config.http.header_timeout = v),
    ),
    key(
        "http.connections",
        "0",
        Restart,
        Kind::Integer(0, 1_000_000, |d, v| d.config.http.connections = v as u32),
    ),
    key(
        "http.trusted_proxies",
        "[]",
        NewSessions,
        Kind::List("IP addresses and networks like \"10.0.0.0/8\"", |d, v| {
            each(v, parse::network).map(|networks| d.config.http.trusted_proxies = networks)
        }),
    ),
    key(
        "http.hsts",
        "\"0s\"",
        Restart,
        Kind::Duration(Duration::ZERO, TWO_YEARS, |d, v| d.config.http.hsts = v),
    ),
    key(
        "http.tls.certificate",
        "\"\"",
        Restart,
        Kind::Text(PEM, |d, v| parse::file(v).map(|file| d.config.http.tls.certificate = file)),
    ),
    key(
        "http.tls.key",
        "\"\"",
        Restart,
        Kind::Text(PEM, |d, v| parse::file(v).map(|file| d.config.http.tls.key = file)),
    ),
    key(
        "http.tls.acme.domains",
        "[]",
        Restart,
        Kind::List("DNS names, 100 at the most", |d, v| {
            if v.len() > acme::DOMAINS_MAX {
                return Err(vec![(
                    acme::DOMAINS_MAX,
                    Refusal::new("a certificate has 100 names at the most"),
                )]);
            }
            each(v, acme::domain).map(|domains| d.config.http.tls.acme.domains = domains)
        }),
    ),
    key(
        "http.tls.acme.contact",
        "\"\"",
        Restart,
        Kind::Text("\"\" for none, or a mail address", |d, v| {
            acme::contact(v).map(|contact| d.config.http.tls.acme.contact = contact)
        }),
    ),
    key(
        "http.tls.acme.directory",
        "\"https://acme-v02.api.letsencrypt.org/directory\"",
        Restart,
        Kind::Text("the https:// URL of a directory", |d, v| {
            acme::directory(v).map(|url| d.config.http.tls.acme.directory = url)
        }),
    ),
    key(
        "http.tls.acme.cache",
        "\"/var/lib/sluice/acme\"",
        Restart,
        Kind::Text("the path of a folder", |d, v| match parse::file(v)? {
            Some(path) => {
                d.config.http.tls.acme.cache = path;
                Ok(())
            }
            None => Err(Refusal::new("a certificate has to be kept, or each start asks for another")
                .meant(acme::CACHE)),
        }),
    ),
    key(
        "http.tls.acme.root",
        "\"\"",
        Restart,
        Kind::Text(PEM, |d, v| parse::file(v).map(|file| d.config.http.tls.acme.root = file)),
    ),
    key(
        "access.read",
        "[]",
        Live,
        Kind::List("IP addresses and networks like \"10.0.0.0/8\"", |d, v| {
            each(v, parse::network).map(|networks| d.config.access.read = networks)
        }),
    ),
    key(
        "access.jwt.keys",
        "\"\"",
        Live,
        Kind::Text("\"\" for none, or the path of a PEM or JWKS file, or the URL of a JWKS", |d, v| {
            parse::key_source(v).map(|keys| d.config.access.jwt.keys = keys)
        }),
    ),
    key(
        "access.jwt.algorithm",
        "\"auto\"",
        Live,
        Kind::Choice(&parse::JWT_ALGORITHMS, |d, v| {
            d.config.access.jwt.algorithm = v.checked_sub(1).map(|at| JwtAlgorithm::ALL[at]);
        }),
    ),
    key(
        "access.jwt.issuer",
        "\"\"",
        Live,
        Kind::Text(CLAIM, |d, v| plain(v, &mut d.config.access.jwt.issuer)),
    ),
    key(
        "access.jwt.audience",
        "\"\"",
        Live,
        Kind::Text(CLAIM, |d, v| plain(v, &mut d.config.access.jwt.audience)),
    ),
    key(
        "access.jwt.claim",
        "\"sluice\"",
        Live,
        Kind::Text("the name of a claim", |d, v| match v {
            "" => Err(Refusal::new("a claim has a name").meant("sluice")),
            name => plain(name, &mut d.config.access.jwt.claim),
        }),
    ),
    key(
        "access.jwt.actions",
        "[\"read\", \"publish\"]",
        Live,
        Kind::List(ACTIONS, |d, v| {
            each(v, parse::action).map(|actions| d.config.access.jwt.actions = actions)
        }),
    ),
    key(
        "access.hook.url",
        "\"\"",
        Live,
        Kind::Text("\"\" for none, or an http:// or https:// URL", |d, v| {
            parse::web_url(v).map(|url| d.config.access.hook.url = url)
        }),
    ),
    key(
        "access.hook.timeout",
        "\"2s\"",
        Live,
        Kind::Duration(TENTH, MINUTE, |d, v| d.config.access.hook.timeout = v),
    ),
    key(
        "access.hook.cache",
        "\"10s\"",
        Live,
        Kind::Duration(Duration::ZERO, HOUR, |d, v| d.config.access.hook.cache = v),
    ),
    key(
        "access.hook.concurrency",
        "32",
        Live,
        Kind::Integer(1, 1_000, |d, v| d.config.access.hook.concurrency = v as u32),
    ),
    key(
        "access.hook.actions",
        "[\"read\", \"publish\"]",
        Live,
        Kind::List(ACTIONS, |d, v| {
            each(v, parse::action).map(|actions| d.config.access.hook.actions = actions)
        }),
    ),
    key(
        "admin.listen",
        "\"127.0.0.1:9997\"",
        Restart,
        Kind::Text(LISTEN, |d, v| parse::listen(v).map(|a| d.config.admin.listen = a)),
    ),
    key(
        "admin.hosts",
        "[]",
        Live,
        Kind::List("host names, without ports", |d, v| {
            each(v, parse::host_name).map(|hosts| d.config.admin.hosts = hosts)
        }),
    ),
    key(
        "admin.sources",
        "[\"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\", \"100.64.0.0/10\", \"fc00::/7\"]",
        NewSessions,
        Kind::List("IP addresses and networks like \"10.0.0.0/8\"", |d, v| {
            each(v, parse::network).map(|networks| d.config.admin.sources = networks)
        }),
    ),
    key(
        "admin.tls.certificate",
        "\"\"",
        Restart,
        Kind::Text(PEM, |d, v| parse::file(v).map(|file| d.config.admin.tls.certificate = file)),
    ),
    key(
        "admin.tls.key",
        "\"\"",
        Restart,
        Kind::Text(PEM, |d, v| parse::file(v).map(|file| d.config.admin.tls.key = file)),
    ),
    key(
        "metrics.listen",
        "\"none\"",
        Restart,
        Kind::Text("\"none\", \"ADDRESS:PORT\", or \":PORT\" for every address", |d, v| {
            parse::listen_or_none(v).map(|a| d.config.metrics.listen = a)
        }),
    ),
    key("compat.mediamtx_metrics", "false", Restart, Kind::Bool(|d, v| d.config.compat.mediamtx_metrics = v)),
    key(
        "pprof.listen",
        "\"none\"",
        Restart,
        Kind::Text("\"none\", \"ADDRESS:PORT\", or \":PORT\" for every address", |d, v| {
            parse::listen_or_none(v).map(|a| d.config.pprof.listen = a)
        }),
    ),
    key(
        "udp.address",
        "\"::\"",
        Restart,
        Kind::Text("an IP address, or \"::\" for all", |d, v| {
            parse::ip(v).map(|ip| d.config.udp.address = ip)
        }),
    ),
    key("udp.port", "8189", Restart, Kind::Integer(1, 65_535, |d, v| d.config.udp.port = v as u16)),
    key("udp.gso", "true", Restart, Kind::Bool(|d, v| d.config.udp.gso = v)),
    key(
        "udp.receive_buffer",
        "\"8MiB\"",
        Restart,
        Kind::Bytes(BUFFER_MIN, BUFFER_MAX, |d, v| d.config.udp.receive_buffer = v),
    ),
    key(
        "udp.send_buffer",
        "\"8MiB\"",
        Restart,
        Kind::Bytes(BUFFER_MIN, BUFFER_MAX, |d, v| d.config.udp.send_buffer = v),
    ),
    key(
        "egress.spread",
        "\"15ms\"",
        Live,
        Kind::Duration(Duration::ZERO, SECOND, |d, v| d.config.egress.spread = v),
    ),
    key(
        "egress.audio_hold",
        "\"10ms\"",
        Live,
        Kind::Duration(Duration::ZERO, TENTH, |d, v| d.config.egress.audio_hold = v),
    ),
    key(
        "egress.rate",
        "\"0\"",
        Live,
        Kind::Text(RATE, |d, v| parse::bitrate(v).map(|rate| d.config.egress.rate = rate)),
    ),
    key(
        "ice.addresses",
        "[]",
        NewSessions,
        Kind::List("IP addresses and host names, without ports, and \"interfaces\"", |d, v| {
            each(v, parse::ice_address).map(|addresses| d.config.ice.addresses = addresses)
        }),
    ),
    key(
        "ice.interfaces",
        "[]",
        NewSessions,
        Kind::List("interface names like \"eth0\"", |d, v| {
            each(v, parse::interface).map(|interfaces| d.config.ice.interfaces = interfaces)
        }),
    ),
    key("ice.loopback", "true", NewSessions, Kind::Bool(|d, v| d.config.ice.loopback = v)),
    key(
        "ice.tcp_listen",
        "\"none\"",
        Restart,
        Kind::Text("\"none\", \"ADDRESS:PORT\", or \":PORT\" for every address", |d, v| {
            parse::listen_or_none(v).map(|a| d.config.ice.tcp_listen = a)
        }),
    ),
    key(
        "shards.count",
        "0",
        Restart,
        Kind::Integer(0, SHARDS_MAX as u64, |d, v| d.config.shards.count = v as u16),
    ),
    key("shards.pin", "true", Restart, Kind::Bool(|d, v| d.config.shards.pin = v)),
    key(
        "limits.viewers",
        "10000",
        Restart,
        Kind::Integer(1, 1_000_000, |d, v| d.config.limits.viewers = v as u32),
    ),
    key(
        "limits.viewers_per_stream",
        "0",
        NewSessions,
        Kind::Integer(0, 1_000_000, |d, v| {
            d.config.limits.viewers_per_stream = NonZeroU32::new(v as u32);
        }),
    ),
    key(
        "limits.pending",
        "1000",
        NewSessions,
        Kind::Integer(1, 100_000, |d, v| d.config.limits.pending = v as u32),
    ),
    key(
        "limits.share_per_address",
        "50",
        NewSessions,
        Kind::Integer(1, 100, |d, v| d.config.limits.share_per_address = v as u8),
    ),
    key(
        "limits.joins_per_address",
        "200",
        NewSessions,
        Kind::Integer(1, 100_000, |d, v| d.config.limits.joins_per_address = v as u32),
    ),
    key(
        "limits.joins_per_stream",
        "0",
        NewSessions,
        Kind::Integer(0, 1_000_000, |d, v| d.config.limits.joins_per_stream = v as u32),
    ),
    key(
        "limits.joins",
        "0",
        NewSessions,
        Kind::Integer(0, 1_000_000, |d, v| d.config.limits.joins = v as u32),
    ),
    key(
        "limits.egress_per_address",
        "\"0\"",
        NewSessions,
        Kind::Text(RATE, |d, v| parse::bitrate(v).map(|rate| d.config.limits.egress_per_address = rate)),
    ),
    key(
        "limits.egress_per_stream",
        "\"0\"",
        NewSessions,
        Kind::Text(RATE, |d, v| parse::bitrate(v).map(|rate| d.config.limits.egress_per_stream = rate)),
    ),
    key("limits.busy", "90", NewSessions, Kind::Integer(0, 100, |d, v| d.config.limits.busy = v as u8)),
    key(
        "limits.setup_timeout",
        "\"10s\"",
        NewSessions,
        Kind::Duration(SECOND, MINUTE, |d, v| d.config.limits.setup_timeout = v),
    ),
    key(
        "limits.consent_timeout",
        "\"30s\"",
        NewSessions,
        Kind::Duration(CONSENT_MIN, HOUR, |d, v| {
            d.config.limits.consent_timeout = v;
        }),
    ),
    key(
        "drain.timeout",
        "\"0s\"",
        Live,
        Kind::Duration(Duration::ZERO, DAY, |d, v| d.config.drain.timeout = v),
    ),
    key(
        "drain.elsewhere",
        "\"\"",
        Live,
        Kind::Text("\"\" for none, or a URL like \"https://tv2.example.com\"", |d, v| {
            parse::site(v).map(|site| d.config.drain.elsewhere = site)
        }),
    ),
    key(
        "rtsp.transport",
        "\"tcp\"",
        NewSessions,
        Kind::Choice(&["tcp", "udp"], |d, v| d.config.rtsp.transport = TRANSPORTS[v]),
    ),
    key(
        "rtsp.connect_timeout",
        "\"5s\"",
        NewSessions,
        Kind::Duration(TENTH, MINUTE, |d, v| d.config.rtsp.connect_timeout = v),
    ),
    key(
        "rtsp.request_timeout",
        "\"10s\"",
        NewSessions,
        Kind::Duration(TENTH, MINUTE, |d, v| d.config.rtsp.request_timeout = v),
    ),
    key(
        "rtsp.data_timeout",
        "\"10s\"",
        NewSessions,
        Kind::Duration(SECOND, HOUR, |d, v| d.config.rtsp.data_timeout = v),
    ),
    key(
        "rtsp.reconnect_min",
        "\"500ms\"",
        NewSessions,
        Kind::Duration(TENTH, HOUR, |d, v| d.config.rtsp.reconnect_min = v),
    ),
    key(
        "rtsp.reconnect_max",
        "\"30s\"",
        NewSessions,
        Kind::Duration(TENTH, HOUR, |d, v| d.config.rtsp.reconnect_max = v),
    ),
    key(
        "rtsp.max_frame",
        "\"4MiB\"",
        NewSessions,
        Kind::Bytes(Bytes::kib(64), FRAME_MAX, |d, v| d.config.rtsp.max_frame = v),
    ),
    key("nack.enabled", "true", NewSessions, Kind::Bool(|d, v| d.config.nack.enabled = v)),
    key("nack.history", "\"1s\"", Live, Kind::Duration(TENTH, TEN_SECONDS, |d, v| d.config.nack.history = v)),
    key(
        "rtcp.report_interval",
        "\"3s\"",
        NewSessions,
        Kind::Duration(SECOND, MINUTE, |d, v| d.config.rtcp.report_interval = v),
    ),
    key(
        "srtp.cipher",
        "\"auto\"",
        Restart,
        Kind::Choice(&["auto", "aws-lc", "ring"], |d, v| {
            d.config.srtp.cipher = [Cipher::Auto, Cipher::AwsLc, Cipher::Ring][v];
        }),
    ),
    key(
        "track.history_bytes",
        "\"16MiB\"",
        Live,
        Kind::Bytes(Bytes::kib(256), Bytes::mib(1024), |d, v| {
            d.config.track.history_bytes = v;
        }),
    ),
    key(
        "log.level",
        "\"info\"",
        Live,
        Kind::Text("error, warn, info, debug, trace, off, or a list like \"info,sluice=debug\"", |d, v| {
            parse::log_filter(v).map(|filter| d.config.log.level = filter)
        }),
    ),
    key(
        "log.format",
        "\"text\"",
        Restart,
        Kind::Choice(&["text", "json"], |d, v| {
            d.config.log.format = [LogFormat::Text, LogFormat::Json][v];
        }),
    ),
];

static STREAM_KEYS: [Key<StreamDraft>; 2] = [
    Key {
        path: "source",
        default: None,
        reload: Live,
        kind: Kind::Text("\"rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH\" or \"demo\"", |draft, v| {
            parse::source(v).map(|source| draft.source = Some(source))
        }),
    },
    Key {
        path: "rtsp_transport",
        default: None,
        reload: Live,
        kind: Kind::Choice(&["tcp", "udp"], |draft, v| draft.rtsp_transport = Some(TRANSPORTS[v])),
    },
];

static STREAMS: Repeated<Draft, StreamDraft, StreamName> = Repeated {
    path: "streams",
    rows: false,
    one: "a stream",
    name: |name| name.parse().map_err(|error: StreamNameError| error.to_string()),
    enter: |draft, name| draft.streams.entry(name.clone()).or_default(),
    schema: Schema { keys: &STREAM_KEYS, repeated: &[] },
};

const fn of_user(path: &'static str, kind: Kind<User>) -> Key<User> {
    Key { path, default: None, reload: Live, kind }
}

static USER_KEYS: [Key<User>; 7] = [
    of_user(
        "password",
        Kind::Text("what `sluice hash` prints, or the password itself", |user, v| {
            Password::parse(v).map(|password| user.password = Some(password))
        }),
    ),
    of_user(
        "from",
        Kind::List("IP addresses and networks like \"10.0.0.0/8\"", |user, v| {
            each(v, parse::network).map(|networks| user.from = networks)
        }),
    ),
    of_user(
        "read",
        Kind::List(STREAMS_MEANT, |user, v| each(v, parse::pattern).map(|streams| user.read = streams)),
    ),
    of_user(
        "publish",
        Kind::List(STREAMS_MEANT, |user, v| each(v, parse::pattern).map(|streams| user.publish = streams)),
    ),
    of_user("api", Kind::Bool(|user, v| user.api = v)),
    of_user("metrics", Kind::Bool(|user, v| user.metrics = v)),
    of_user("pprof", Kind::Bool(|user, v| user.pprof = v)),
];

static USERS: Repeated<Draft, User, UserName> = Repeated {
    path: "access.users",
    rows: false,
    one: "a user",
    name: str::parse,
    enter: |draft, name| draft.config.access.users.entry(name.clone()).or_default(),
    schema: Schema { keys: &USER_KEYS, repeated: &[] },
};

/// All that can be configured.
pub(crate) static SCHEMA: Schema<Draft> = Schema { keys: KEYS, repeated: &[&USERS, &STREAMS] };

/// Every key there is, in the order of the reference file.
pub fn keys() -> Vec<KeyInfo> {
    SCHEMA.keys()
}

fn plain(text: &str, target: &mut String) -> Result<(), Refusal> {
    target.clear();
    target.push_str(text);
    Ok(())
}

fn each<T>(texts: &[&str], parse: fn(&str) -> Result<T, Refusal>) -> Result<Vec<T>, Vec<(usize, Refusal)>> {
    let (mut good, mut bad) = (Vec::with_capacity(texts.len()), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        match parse(text) {
            Ok(value) => good.push(value),
            Err(refusal) => bad.push((index, refusal)),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(bad) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use toml::de::DeValue;

    use super::*;
    use crate::{
        resolve::{NoNode, Node},
        value::Given,
        variable::path_of,
    };

    #[test]
    fn the_defaults_written_here_are_the_defaults() {
        for key in KEYS {
            let mut draft = Draft::default();
            let default = key.default.expect("a key of the configuration has a default");
            let value = DeValue::parse(default).expect(default);
            key.kind
                .apply(&mut draft, &Given::Toml(&value))
                .map_err(|faults| format!("{faults:?}"))
                .expect(key.path);
            assert_eq!(draft.config, Config::default(), "{}", key.path);
        }
    }

    #[test]
    fn every_key_has_a_path_a_table_and_a_variable_of_its_own() {
        let all = keys();
        assert_eq!(all.iter().map(|key| &key.path).collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(all.iter().map(|key| &key.variable).collect::<BTreeSet<_>>().len(), all.len());
        for KeyInfo { path, variable, .. } in &all {
            let segments: Vec<_> = path.split('.').collect();
            assert!(matches!(SCHEMA.resolve(&segments), Ok(Node::Key(_))), "{path}");
            let found = path_of(variable, &all).unwrap_or_default();
            assert_eq!(found.join("."), path.replace("NAME", "name"), "{variable}");
        }
    }

    #[test]
    fn setters_reach_the_field_they_are_named_after() {
        for key in KEYS {
            let text = match &key.kind {
                Kind::Bool(_) => (key.default == Some("false")).to_string(),
                Kind::Integer(_, max, _) => max.to_string(),
                // Its default is its most.
                Kind::Bytes(min, _, _) if key.path == "rtsp.max_frame" => min.to_string(),
                Kind::Bytes(_, max, _) => max.to_string(),
                Kind::Duration(_, max, _) => crate::format_duration(*max),
                Kind::Choice(words, _) => words[words.len() - 1].to_owned(),
                Kind::List(..) if matches!(key.path, "http.trusted_proxies" | "access.read") => {
                    "::1".to_owned()
                }
                Kind::List(..)
                    if key.path.ends_with(".actions")
                        || matches!(key.path, "http.allow_origin" | "admin.sources") =>
                {
                    String::new()
                }
                Kind::List(..) => "lo".to_owned(),
                Kind::Text(..) if key.path == "access.hook.url" => "http://a.b/".to_owned(),
                Kind::Text(..) if key.path == "log.level" => "debug".to_owned(),
                Kind::Text(..) if key.path == "drain.elsewhere" => "https://a.b".to_owned(),
                Kind::Text(RATE, _) => "1Gbit/s".to_owned(),
                Kind::Text(..) if key.path == "udp.address" => "10.0.0.1".to_owned(),
                Kind::Text(..) if key.path == "http.tls.acme.contact" => "ops@a.b".to_owned(),
                Kind::Text(..) if key.path == "http.tls.acme.directory" => "https://a.b/".to_owned(),
                Kind::Text(..) if key.path.contains(".tls.") => "/etc/a.pem".to_owned(),
                Kind::Text(..) => "10.0.0.1:1".to_owned(),
            };
            let mut draft = Draft::default();
            key.kind
                .apply(&mut draft, &Given::Text { text: &text, at: 0 })
                .map_err(|faults| format!("{faults:?}"))
                .expect(key.path);
            // The first line that differs is the field's.
            let (before, after) = (format!("{:#?}", Config::default()), format!("{:#?}", draft.config));
            let line = before
                .lines()
                .zip(after.lines())
                .position(|(before, after)| before != after)
                .expect(key.path);
            let depth = |line: &str| line.len() - line.trim_start().len();
            let lines: Vec<_> = after.lines().take(line + 1).collect();
            // Upwards, each line that is less indented than all before it names a table that the field is in.
            let mut path = Vec::new();
            let mut inside = usize::MAX;
            for line in lines.iter().rev().filter(|line| depth(line) > 0) {
                if depth(line) < inside {
                    inside = depth(line);
                    path.insert(0, line.trim().split(':').next().unwrap_or_default());
                }
            }
            assert_eq!(path.join("."), key.path);
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
            ("tls.certificate", Some("http.tls.certificate")),
            ("dtls.fingerprint", None),
        ] {
            match SCHEMA.resolve(&path.split('.').collect::<Vec<_>>()) {
                Err(NoNode::Unknown { meant, .. }) => assert_eq!(meant.as_deref(), expected, "{path}"),
                _ => panic!("{path} is no key"),
            }
        }
    }
}
