//! Keys of what operators are answered on: `[admin]`, `[metrics]`, `[compat]` and `[pprof]`.

use super::{Draft, LISTEN, LISTEN_OR_NONE, NETWORKS, PEM, each, key};
use crate::{
    Reload::{Live, NewSessions, Restart},
    parse,
    resolve::Key,
    value::Kind,
};

pub(super) static KEYS: &[Key<Draft>] = &[
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
        Kind::List(NETWORKS, |d, v| {
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
        Kind::Text(LISTEN_OR_NONE, |d, v| parse::listen_or_none(v).map(|a| d.config.metrics.listen = a)),
    ),
    key("compat.mediamtx_metrics", "false", Restart, Kind::Bool(|d, v| d.config.compat.mediamtx_metrics = v)),
    key(
        "pprof.listen",
        "\"none\"",
        Restart,
        Kind::Text(LISTEN_OR_NONE, |d, v| parse::listen_or_none(v).map(|a| d.config.pprof.listen = a)),
    ),
];
