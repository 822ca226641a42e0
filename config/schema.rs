//! Every key: its path, its default, what a change of it needs, what it takes and where it goes. These tables are the whole
//! schema: the file, the environment, the command line and the documentation all read them, and no key exists outside of
//! them. Here is their order, and what several of them use; each table's keys are in a file below.

mod access;
mod http;
mod limits;
mod line;
mod media;
mod operators;
mod streams;

use std::{collections::BTreeMap, time::Duration};

use crate::{
    Config, Fingerprint, KeyInfo, LogFormat, Reload, Source, Stream, StreamKey, Transport, parse,
    resolve::{Key, Schema},
    value::{Kind, Refusal},
};

use Reload::{Live, Restart};

/// A configuration while it is put together from several sources.
#[derive(Default)]
pub(crate) struct Draft {
    /// Without its streams.
    pub(crate) config: Config,
    pub(crate) streams: BTreeMap<StreamKey, StreamDraft>,
}

/// A stream while it is put together.
#[derive(Default)]
pub(crate) struct StreamDraft {
    pub(crate) source: Option<Source>,
    pub(crate) rtsp_transport: Option<Transport>,
    pub(crate) rtsp_fingerprint: Vec<Fingerprint>,
    pub(crate) on_demand: Option<bool>,
    pub(crate) on_demand_start_timeout: Option<Duration>,
    pub(crate) on_demand_close_after: Option<Duration>,
}

impl StreamDraft {
    /// The stream, if it has a source.
    pub(crate) fn finish(self) -> Option<Stream> {
        Some(Stream {
            source: self.source?,
            rtsp_transport: self.rtsp_transport,
            rtsp_fingerprint: self.rtsp_fingerprint,
            on_demand: self.on_demand,
            on_demand_start_timeout: self.on_demand_start_timeout,
            on_demand_close_after: self.on_demand_close_after,
        })
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const TENTH: Duration = Duration::from_millis(100);

const RATE: &str = "\"0\" for no limit, or a bitrate from 1Mbit/s like \"950Mbit/s\"";
pub(crate) const LISTEN: &str = "\"ADDRESS:PORT\", or \":PORT\" for every address";
pub(crate) const LISTEN_OR_NONE: &str = "\"none\", \"ADDRESS:PORT\", or \":PORT\" for every address";
const NETWORKS: &str = "IP addresses and networks like \"10.0.0.0/8\"";
const PEM: &str = "\"\" for none, or the path of a PEM file";
const FINGERPRINT: &str = "the SHA-256 of a certificate in 64 hexadecimal digits";

const fn key(path: &'static str, default: &'static str, reload: Reload, kind: Kind<Draft>) -> Key<Draft> {
    Key { path, default: Some(default), reload, kind }
}

static CONFIG: [Key<Draft>; 1] =
    [key("config.watch", "false", Live, Kind::Bool(|d, v| d.config.config.watch = v))];

static LOG: [Key<Draft>; 2] = [
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

/// All that can be configured, in the order of the reference file.
pub(crate) static SCHEMA: Schema<Draft> = Schema {
    keys: &[&CONFIG, http::KEYS, access::KEYS, operators::KEYS, line::KEYS, limits::KEYS, media::KEYS, &LOG],
    repeated: &[&access::USERS, &streams::STREAMS],
};

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
#[path = "schema_tests.rs"]
mod tests;
