//! Changes of streams by MediaMTX's control API: `/v3/config/paths/add`, `patch`, `replace`, `delete`.
//!
//! Owns how a path in their JSON becomes the keys of a stream. What those may be is decided where the file's are
//! (`operator::change`), and as there nothing is written to the file.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use sluice_config::{
    Config, Line, OnDemand, RtspUrl, Source, StreamKey, StreamText, format_duration, go_duration,
};

use super::Refusal;
use super::config::BETWEEN_FINGERPRINTS;
use crate::http::as_toml::as_toml;
use crate::http::json;
use crate::operator::Operator;
use crate::operator::change::{Condition, Refused, Set, Wanted};
use crate::stream::Stream;

/// Whether a stream must be there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It must not.
    Add,
    /// It must, and keeps what is not said.
    Patch,
    /// It may, and keeps nothing.
    Replace,
    /// It must, and goes.
    Delete,
}

/// What a path says of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Keys {
    source: Option<Value>,
    transport: Option<&'static str>,
    fingerprints: Option<Vec<String>>,
    on_demand: Option<bool>,
    start_timeout: Option<Duration>,
    close_after: Option<Duration>,
}

/// Makes the change of the stream `name`; `body` is a path in their JSON.
pub(super) async fn make(
    operator: &Operator,
    config: &Config,
    change: Change,
    name: &str,
    body: &[u8],
) -> Result<(), Refusal> {
    let name: StreamKey = name.parse().map_err(|error| Refusal::bad(format!("invalid name: {error}")))?;
    let before = operator.registry.stream(name.as_str());
    let is_there = operator.etag_of(&name).is_some();
    match change {
        Change::Add if is_there => return Err(Refusal::bad("path already exists")),
        Change::Patch | Change::Delete if !is_there => return Err(Refusal::none("path not found")),
        _ => {}
    }
    let stream = match change {
        Change::Delete => None,
        _ => {
            let mut keys = Keys::read(config, body)?;
            if let (Change::Patch, Some(stream)) = (change, &before) {
                keys.fill(stream);
            }
            Some(keys.text()?)
        }
    };
    let condition = match change {
        Change::Add => Condition::Absent,
        Change::Replace => Condition::Any,
        Change::Patch | Change::Delete => Condition::Present,
    };
    let set = Set { name, stream, condition, keep: false };
    operator.changes.ask(Wanted::Set(set)).await.map(drop).map_err(Refusal::from)
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Refusal {
        let why = match &refused.mistakes()[..] {
            [] => refused.to_string(),
            mistakes => mistakes.iter().map(|mistake| mistake.message.clone()).collect::<Vec<_>>().join("; "),
        };
        let status = match refused {
            Refused::NoStream(_) => StatusCode::NOT_FOUND,
            Refused::Busy | Refused::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Refused::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Refusal(status, why)
    }
}

impl Keys {
    fn read(config: &Config, body: &[u8]) -> Result<Keys, Refusal> {
        let members: Map<String, Value> = match body.trim_ascii() {
            [] => Map::new(),
            body => json::read(body).map_err(|error| Refusal::bad(error.to_string()))?,
        };
        let mut keys = Keys::default();
        for (key, value) in members {
            match (&key[..], value) {
                ("source", source @ Value::String(_)) => keys.source = Some(source),
                ("rtspTransport", Value::String(word)) => {
                    keys.transport = match &word[..] {
                        "tcp" => Some("tcp"),
                        "udp" => Some("udp"),
                        "multicast" => Some("multicast"),
                        "automatic" => Some("auto"),
                        _ => return Err(Refusal::bad("rtspTransport is tcp, udp, multicast or automatic")),
                    };
                }
                ("sourceFingerprint", Value::String(all)) => {
                    let each = all.split(BETWEEN_FINGERPRINTS).map(|one| one.trim().to_owned());
                    keys.fingerprints = Some(each.collect());
                }
                ("sourceOnDemand", Value::Bool(on_demand)) => keys.on_demand = Some(on_demand),
                ("sourceOnDemandStartTimeout", Value::String(time)) => {
                    keys.start_timeout = Some(duration(&key, &time)?);
                }
                ("sourceOnDemandCloseAfter", Value::String(time)) => {
                    keys.close_after = Some(duration(&key, &time)?);
                }
                // Their clients send what they were told.
                ("name", _) => {}
                (_, value) if asks_for_nothing(&value) => {}
                (key, value) if super::config::is_usual_of_path(config, key, &value) => {}
                (key, _) => {
                    let key = sluice_media::shown(key);
                    return Err(Refusal::bad(format!(
                        "{key} is not here: docs/MIGRATING.md lists what a path can say"
                    )));
                }
            }
        }
        Ok(keys)
    }

    /// What is not said is as it was.
    fn fill(&mut self, stream: &Stream) {
        if self.source.is_none() {
            let mut layers = stream.layers().into_iter().map(|layer| value_of(&layer.origin().source));
            self.source = match (layers.next(), layers.next()) {
                (Some(high), Some(low)) => Some(json!({ "high": high, "low": low })),
                (one, _) => one,
            };
        }
        // What goes with another kind of source goes with that one only.
        let origin = stream.origin();
        let first = self.source.as_ref().and_then(first_of);
        let line = first.and_then(|source| Line::of(source.split_once("://")?.0));
        if line.is_none_or(|line| line == Line::Plain) {
            self.transport = self.transport.or(Some(origin.rtsp.transport.name()));
        }
        if line.is_some_and(Line::is_secret) {
            let fingerprints = || origin.rtsp.fingerprint.iter().map(ToString::to_string).collect();
            self.fingerprints = Some(self.fingerprints.take().unwrap_or_else(fingerprints));
        }
        let OnDemand { enabled, start_timeout, close_after, .. } = origin.on_demand;
        self.on_demand = self.on_demand.or(Some(enabled));
        self.start_timeout = self.start_timeout.or(Some(start_timeout));
        self.close_after = self.close_after.or(Some(close_after));
    }

    /// As lines of the file.
    fn text(&self) -> Result<StreamText, Refusal> {
        let source = self.source.as_ref().filter(|source| source.as_str() != Some("publisher"));
        let Some(source) = source.and_then(as_toml) else {
            return Err(Refusal::bad(
                "source is missing: nobody can publish here, it must be an rtsp:// URL",
            ));
        };
        let mut lines = format!("source = {source}\n");
        if let Some(transport) = self.transport {
            lines += &format!("rtsp_transport = \"{transport}\"\n");
        }
        let fingerprints: Vec<&String> =
            self.fingerprints.iter().flatten().filter(|text| !text.is_empty()).collect();
        if !fingerprints.is_empty() {
            lines += &format!("rtsp_fingerprint = {}\n", json!(fingerprints));
        }
        if let Some(on_demand) = self.on_demand {
            lines += &format!("on_demand = {on_demand}\n");
        }
        let times = [("start_timeout", self.start_timeout), ("close_after", self.close_after)];
        for (key, time) in times.into_iter().filter_map(|(key, time)| Some((key, time?))) {
            lines += &format!("on_demand_{key} = \"{}\"\n", format_duration(time));
        }
        Ok(StreamText::new(lines))
    }
}

/// A time as they write it.
fn duration(key: &str, text: &str) -> Result<Duration, Refusal> {
    go_duration(text).ok_or_else(|| {
        Refusal::bad(format!("{key} is no time like \"10s\" or \"1h30m0s\": {}", sluice_media::shown(text)))
    })
}

/// The first source of those that a value names.
fn first_of(value: &Value) -> Option<&str> {
    match value {
        Value::Array(all) => first_of(all.first()?),
        Value::Object(layers) => first_of(layers.get("high")?),
        one => one.as_str(),
    }
}

/// What one layer comes from, as the file says it.
fn value_of(source: &Source) -> Value {
    let mut cameras: Vec<String> = source.cameras().map(RtspUrl::expose).collect();
    match cameras.len() {
        0 => "demo".into(),
        1 => cameras.remove(0).into(),
        _ => cameras.into(),
    }
}

/// Off, none or zero.
fn asks_for_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_source_and_transport_and_what_asks_for_nothing() {
        let mut config = Config::default();
        config.limits.viewers_per_stream = std::num::NonZeroU32::new(7);
        let keys = |body: &str| Keys::read(&config, body.as_bytes()).map_err(|Refusal(_, why)| why);
        let body = r#"{"name":"x","source":"rtsp://a","rtspTransport":"udp","record":false,"maxReaders":0,
                       "runOnReady":"","sourceOnDemandStartTimeout":"10s","overridePublisher":true}"#;
        let expected = Keys {
            source: Some("rtsp://a".into()),
            transport: Some("udp"),
            start_timeout: Some(Duration::from_secs(10)),
            ..Keys::default()
        };
        assert_eq!(keys(body), Ok(expected));
        let body = r#"{"source":"rtsps://a","sourceFingerprint":"33ab","rtspTransport":"automatic"}"#;
        let text = format!("{:?}", keys(body).map(|keys| (keys.transport, keys.fingerprints)));
        assert_eq!(text, r#"Ok((Some("auto"), Some(["33ab"])))"#);
        let several = keys(r#"{"source":"rtsps://a","sourceFingerprint":"33ab, 77cd"}"#).expect("two");
        assert_eq!(several.fingerprints, Some(vec!["33ab".to_owned(), "77cd".to_owned()]));
        assert_eq!(keys(""), Ok(Keys::default()));
        // What was told may be sent back.
        assert_eq!(
            keys(r#"{"maxReaders":7,"recordFormat":"fmp4","whepHandshakeTimeout":"0s"}"#),
            Ok(Keys::default())
        );
        for (body, why) in [
            (r#"{"record":true}"#, "record is not here"),
            (r#"{"maxReaders":8}"#, "maxReaders is not here"),
            (r#"{"sourceOnDemandCloseAfter":"soon"}"#, "no time like"),
            (r#"{"rtspTransport":"carrier"}"#, "rtspTransport is"),
            ("[]", "invalid type"),
            (r#"{"sourceOnDemand":"yes"}"#, "sourceOnDemand is not here"),
            (r#"{"source":"publisher"}"#, ""),
        ] {
            match keys(body) {
                Err(said) => assert!(!why.is_empty() && said.contains(why), "{body}: {said}"),
                Ok(keys) => assert!(why.is_empty() && keys.text().is_err(), "{body}"),
            }
        }
    }
}
