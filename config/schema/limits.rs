//! Keys of who is let in and for how long: `[limits]` and `[drain]`.

use std::{num::NonZeroU32, time::Duration};

use super::{DAY, Draft, HOUR, MINUTE, RATE, SECOND, key};
use crate::{
    Reload::{Live, NewSessions, Restart},
    config::CONSENT_MIN,
    parse,
    resolve::Key,
    value::Kind,
};

// The casts below are within the range that stands beside them.
pub(super) static KEYS: &[Key<Draft>] = &[
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
];
