//! Keys of what is read and what is sent: `[rtsp]`, `[nack]`, `[red]`, `[rtcp]`, `[srtp]` and `[track]`.

use std::time::Duration;

use super::{DAY, Draft, FINGERPRINT, HOUR, MINUTE, SECOND, TENTH, each, key};
use crate::{
    Bytes, Cipher,
    Reload::{Live, NewSessions, Restart},
    Transport,
    config::FRAME_MAX,
    parse,
    resolve::Key,
    value::Kind,
};

const TEN_SECONDS: Duration = Duration::from_secs(10);

pub(super) static KEYS: &[Key<Draft>] = &[
    key(
        "rtsp.transport",
        "\"tcp\"",
        NewSessions,
        Kind::Choice(&Transport::NAMES, |d, v| d.config.rtsp.transport = Transport::ALL[v]),
    ),
    key(
        "rtsp.fingerprint",
        "\"\"",
        NewSessions,
        Kind::Texts(FINGERPRINT, |d, v| {
            each(v, parse::fingerprint).map(|fingerprints| d.config.rtsp.fingerprint = fingerprints)
        }),
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
    key("on_demand.enabled", "false", Live, Kind::Bool(|d, v| d.config.on_demand.enabled = v)),
    key(
        "on_demand.start_timeout",
        "\"10s\"",
        Live,
        Kind::Duration(Duration::ZERO, MINUTE, |d, v| d.config.on_demand.start_timeout = v),
    ),
    key(
        "on_demand.close_after",
        "\"10s\"",
        Live,
        Kind::Duration(Duration::ZERO, DAY, |d, v| d.config.on_demand.close_after = v),
    ),
    key(
        "on_demand.made_streams",
        "256",
        Live,
        Kind::Integer(1, 10_000, |d, v| d.config.on_demand.made_streams = v as u32),
    ),
    key("nack.enabled", "true", NewSessions, Kind::Bool(|d, v| d.config.nack.enabled = v)),
    key("nack.history", "\"1s\"", Live, Kind::Duration(TENTH, TEN_SECONDS, |d, v| d.config.nack.history = v)),
    key("red.enabled", "true", NewSessions, Kind::Bool(|d, v| d.config.red.enabled = v)),
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
];
