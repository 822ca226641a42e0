//! Keys of the way out: `[udp]`, `[egress]`, `[ice]` and `[shards]`.

use std::time::Duration;

use super::{Draft, LISTEN_OR_NONE, RATE, SECOND, TENTH, each, key};
use crate::{
    Bytes,
    Reload::{Live, NewSessions, Restart},
    config::SHARDS_MAX,
    parse,
    resolve::Key,
    value::Kind,
};

const BUFFER_MIN: Bytes = Bytes::kib(64);
const BUFFER_MAX: Bytes = Bytes::mib(1024);

// The casts below are within the range that stands beside them.
pub(super) static KEYS: &[Key<Draft>] = &[
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
        Kind::Text(LISTEN_OR_NONE, |d, v| parse::listen_or_none(v).map(|a| d.config.ice.tcp_listen = a)),
    ),
    key(
        "shards.count",
        "0",
        Restart,
        Kind::Integer(0, SHARDS_MAX as u64, |d, v| d.config.shards.count = v as u16),
    ),
    key("shards.pin", "true", Restart, Kind::Bool(|d, v| d.config.shards.pin = v)),
];
