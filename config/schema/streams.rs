//! Keys of a stream.

use std::time::Duration;

use super::{DAY, Draft, FINGERPRINT, MINUTE, StreamDraft, each};
use crate::{
    Reload::Live,
    StreamKey, Transport, parse,
    resolve::{Key, Repeated, Schema},
    value::{Kind, Reads},
};

const SOURCE: &str = "\"rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH\", several in [], two layers as { high = ..., low = ... }, or \"demo\"";

const READS: Reads = Reads { alone: parse::source, camera: parse::camera };

static STREAM_KEYS: [Key<StreamDraft>; 6] = [
    Key {
        path: "source",
        default: None,
        reload: Live,
        kind: Kind::Source(SOURCE, READS, |draft, v| draft.source = Some(v)),
    },
    Key {
        path: "rtsp_transport",
        default: None,
        reload: Live,
        kind: Kind::Choice(&Transport::NAMES, |draft, v| draft.rtsp_transport = Some(Transport::ALL[v])),
    },
    Key {
        path: "rtsp_fingerprint",
        default: None,
        reload: Live,
        kind: Kind::Texts(FINGERPRINT, |draft, v| {
            each(v, parse::fingerprint).map(|fingerprints| draft.rtsp_fingerprint = fingerprints)
        }),
    },
    Key {
        path: "on_demand",
        default: None,
        reload: Live,
        kind: Kind::Bool(|draft, v| draft.on_demand = Some(v)),
    },
    Key {
        path: "on_demand_start_timeout",
        default: None,
        reload: Live,
        kind: Kind::Duration(Duration::ZERO, MINUTE, |draft, v| draft.on_demand_start_timeout = Some(v)),
    },
    Key {
        path: "on_demand_close_after",
        default: None,
        reload: Live,
        kind: Kind::Duration(Duration::ZERO, DAY, |draft, v| draft.on_demand_close_after = Some(v)),
    },
];

pub(super) static STREAMS: Repeated<Draft, StreamDraft, StreamKey> = Repeated {
    path: "streams",
    rows: false,
    one: "a stream",
    name: str::parse,
    enter: |draft, name| draft.streams.entry(name.clone()).or_default(),
    schema: Schema { keys: &[&STREAM_KEYS], repeated: &[] },
};
