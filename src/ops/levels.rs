//! Which lines of the log are written: by part of the program as `log.level` says, more of single streams, and both
//! changed while the server runs.
//!
//! Owns what is in effect now. A change costs nothing on the way of media: what is off is off before a line is made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, RwLock};

use serde::{Deserialize, Serialize};
use sluice_config::check_log_level;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::{EnvFilter, Registry};
use utoipa::ToSchema;

use super::log;
use crate::contain::{lock, read, write};

/// Streams that can have a level of their own. Each line that is off by its part is compared with all of them.
const STREAMS_MAX: usize = 64;

/// What is in effect, and what is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LogLevels)]
pub struct Told {
    /// The filter by parts, in the words of `log.level`; left out in a change it stays as it is.
    #[serde(default)]
    pub level: Option<String>,
    /// Levels of streams that tell more than their part does, by name.
    #[serde(default)]
    pub streams: BTreeMap<String, String>,
}

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// No filter; what is wrong with it.
    #[error("level {0:?} is not a filter: {1}; write for example \"info\" or \"info,sluice::source=debug\"")]
    Filter(String, String),
    /// No level of a stream.
    #[error("level {1:?} of stream {0:?} is none: there are off, error, warn, info, debug and trace")]
    Stream(String, String),
    /// Too many.
    #[error("{0} streams have a level of their own; {STREAMS_MAX} can")]
    Streams(usize),
}

/// The near end of the filter.
pub struct Levels {
    filter: Arc<RwLock<ByStream>>,
    told: Mutex<Told>,
}

impl Levels {
    /// The filter that `log.level` says, and what changes it.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn new(level: &str) -> Result<(Levels, impl Filter<Registry> + use<>), LevelError> {
        let told = Told { level: Some(level.to_owned()), streams: BTreeMap::new() };
        let filter = Arc::new(RwLock::new(ByStream::of(&told)?));
        Ok((Levels { filter: filter.clone(), told: Mutex::new(told) }, Shared(filter)))
    }

    /// What is in effect.
    pub fn told(&self) -> Told {
        lock(&self.told).clone()
    }

    /// Puts `wanted` into effect, streams as it lists them and no others.
    ///
    /// # Errors
    ///
    /// Something in it is no level: then nothing is changed.
    pub fn change(&self, mut wanted: Told) -> Result<Told, LevelError> {
        let mut told = lock(&self.told);
        wanted.level = wanted.level.or_else(|| told.level.clone());
        *write(&self.filter) = ByStream::of(&wanted)?;
        // What was found to be off for good may be on now.
        tracing::callsite::rebuild_interest_cache();
        told.clone_from(&wanted);
        Ok(wanted)
    }
}

/// The filter as the log has it. The library's `reload` would not ask for the fields of a line.
struct Shared(Arc<RwLock<ByStream>>);

impl Filter<Registry> for Shared {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, Registry>) -> bool {
        read(&self.0).enabled(metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        read(&self.0).callsite_enabled(metadata)
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, Registry>) -> bool {
        read(&self.0).event_enabled(event, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        read(&self.0).max_level_hint()
    }
}

/// Lines that their part lets through, and those of streams that have a level of their own.
struct ByStream {
    parts: EnvFilter,
    streams: Vec<(String, LevelFilter)>,
}

impl ByStream {
    fn of(told: &Told) -> Result<ByStream, LevelError> {
        if told.streams.len() > STREAMS_MAX {
            return Err(LevelError::Streams(told.streams.len()));
        }
        let level = told.level.as_deref().unwrap_or_default();
        let no_filter = |error: String| LevelError::Filter(level.to_owned(), error);
        // The library takes a mistyped level for a part, and nothing for everything.
        check_log_level(level).map_err(no_filter)?;
        let parts = log::filter(level).map_err(|error| no_filter(error.to_string()))?;
        let stream = |(name, level): (&String, &String)| match level.parse() {
            Ok(filter) => Ok((name.clone(), filter)),
            Err(_) => Err(LevelError::Stream(name.clone(), level.clone())),
        };
        Ok(ByStream { parts, streams: told.streams.iter().map(stream).collect::<Result<_, _>>()? })
    }

    /// Whether some stream may want a line of this kind. Libraries do not name streams.
    fn may_want(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("sluice")
            && metadata.fields().field("stream").is_some()
            && self.streams.iter().any(|(_, level)| metadata.level() <= level)
    }
}

impl ByStream {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, Registry>) -> bool {
        Filter::enabled(&self.parts, metadata, context) || self.may_want(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let by_part = Filter::<Registry>::callsite_enabled(&self.parts, metadata);
        if !by_part.is_always() && self.may_want(metadata) { Interest::sometimes() } else { by_part }
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, Registry>) -> bool {
        let metadata = event.metadata();
        if Filter::enabled(&self.parts, metadata, context) {
            return true;
        }
        let mut named = Named(None);
        event.record(&mut named);
        let of = |name: &str| {
            self.streams.iter().any(|(stream, level)| stream == name && metadata.level() <= level)
        };
        named.0.as_deref().is_some_and(of)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let streams = self.streams.iter().map(|(_, level)| *level).max().unwrap_or(LevelFilter::OFF);
        Filter::<Registry>::max_level_hint(&self.parts).map(|parts| parts.max(streams))
    }
}

/// The stream that a line names.
struct Named(Option<String>);

impl Visit for Named {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "stream" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "stream" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::Layer as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<String>>);

    impl io::Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn streams(streams: &[(&str, &str)]) -> BTreeMap<String, String> {
        streams.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned())).collect()
    }

    /// What comes through of a line of each level for each of three streams, as `gate:debug`.
    fn written(out: &Out) -> String {
        out.0.lock().unwrap().clear();
        for stream in ["gate", "yard"] {
            tracing::info!(target: "sluice::source", stream, "info");
            tracing::debug!(target: "sluice::source", stream, "debug");
            // As most parts say it.
            tracing::trace!(target: "sluice::source", stream = %stream, "trace");
            tracing::warn!(target: "retina::client", stream, "library");
        }
        tracing::debug!(target: "sluice::shard", "of no stream");
        let text = out.0.lock().unwrap().clone();
        let word = |line: &str| {
            let stream = line.rsplit_once("stream=").map_or("-", |(_, stream)| stream.trim_matches('"'));
            format!("{stream}:{}", line.split_whitespace().nth(1).unwrap_or_default())
        };
        text.lines().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn single_streams_tell_more_and_all_else_stays_as_it_is() {
        let (levels, filter) = Levels::new("info").unwrap();
        let out = Out::default();
        let make = {
            let out = out.clone();
            move || out.clone()
        };
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(make)
            .with_ansi(false)
            .without_time()
            .with_target(false);
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
        tracing::subscriber::with_default(subscriber, || {
            assert_eq!(written(&out), "gate:info yard:info");
            levels.change(Told { level: None, streams: streams(&[("gate", "debug")]) }).unwrap();
            assert_eq!(written(&out), "gate:info gate:debug yard:info");
            levels
                .change(Told { level: None, streams: streams(&[("gate", "trace"), ("yard", "debug")]) })
                .unwrap();
            assert_eq!(written(&out), "gate:info gate:debug gate:trace yard:info yard:debug");
            let told = levels.change(Told { level: Some("warn".into()), streams: BTreeMap::new() }).unwrap();
            assert_eq!((written(&out), told), (String::new(), levels.told()));
            // What is wrong changes nothing.
            for (wrong, says) in [
                (
                    Told { level: Some("loud".into()), streams: BTreeMap::new() },
                    "level \"loud\" is not a filter",
                ),
                (
                    Told { level: Some(String::new()), streams: BTreeMap::new() },
                    "level \"\" is not a filter: it is empty",
                ),
                (
                    Told { level: Some("info,".into()), streams: BTreeMap::new() },
                    "level \"info,\" is not a filter: there is nothing beside a comma",
                ),
                (
                    Told { level: None, streams: streams(&[("gate", "loud")]) },
                    "level \"loud\" of stream \"gate\"",
                ),
            ] {
                assert!(levels.change(wrong).unwrap_err().to_string().starts_with(says), "{says}");
                assert_eq!(levels.told(), Told { level: Some("warn".into()), streams: BTreeMap::new() });
            }
        });
    }
}
