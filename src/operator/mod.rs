//! What an operator sees of a running server: the last ten minutes, its viewers, its configuration, and the last
//! lines of its log.
//!
//! Owns the shapes of `/api/v1`, written once: the server says them, and `sluice top` and the page read them. Nothing in
//! here is on the way of media: shards are asked by bounded questions, and all else is counted anyway.

pub mod change;
pub mod events;
pub mod history;
pub mod sample;
pub mod sessions;
pub mod settings;
pub mod shards;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use sluice_config::StreamKey;

use self::change::Changes;
use self::history::History;
use self::settings::Settings;
use crate::count::Reloads;
use crate::ops::levels::Levels;
use crate::ops::recent::Recent;
use crate::probe::Probes;
use crate::session::table::Sessions;
use crate::shard::command::ShardHandle;
use crate::stream::{Registry, Stream};

/// What an operator asks of.
pub struct Operator {
    /// Streams.
    pub registry: Arc<Registry>,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Shards, by number.
    pub shards: Vec<Arc<ShardHandle>>,
    /// The last ten minutes.
    pub history: History,
    /// The configuration that is in effect.
    pub settings: Settings,
    /// What became of it when it was last read.
    pub reloads: Arc<Reloads>,
    /// Whom changes are asked of.
    pub changes: Changes,
    /// The last lines of the log.
    pub log: Arc<Recent>,
    /// Which lines are written.
    pub levels: Arc<Levels>,
    /// Whoever looks at cameras.
    pub probes: Probes,
    /// Makes entity tags that nobody can foretell.
    tags: RandomState,
}

impl Operator {
    /// Over the given parts, with nothing seen yet.
    pub fn new(
        registry: Arc<Registry>,
        sessions: Arc<Sessions>,
        shards: Vec<Arc<ShardHandle>>,
        (settings, reloads, changes): (Settings, Arc<Reloads>, Changes),
        (log, levels): (Arc<Recent>, Arc<Levels>),
    ) -> Operator {
        let (history, probes) = (History::default(), Probes::default());
        let tags = RandomState::new();
        Operator {
            registry,
            sessions,
            shards,
            history,
            settings,
            reloads,
            changes,
            log,
            levels,
            probes,
            tags,
        }
    }

    /// As [`Operator::etag`], of a stream or of a pattern by what it is called; nothing if nobody has named it so.
    pub fn etag_of(&self, key: &StreamKey) -> Option<String> {
        match key {
            StreamKey::Name(name) => {
                let named = self.registry.stream(name.as_str()).filter(|stream| stream.pattern.is_none());
                named.map(|stream| self.etag(&stream))
            }
            StreamKey::Pattern(pattern) => {
                let keys = self.settings.of_stream(pattern.as_str());
                let told: Vec<_> = keys.iter().map(|setting| (&setting.key, &setting.value)).collect();
                (!told.is_empty())
                    .then(|| format!("\"{:016x}\"", self.tags.hash_one((pattern.as_str(), told))))
            }
        }
    }

    /// The entity tag of a stream's configuration, with its quotes (RFC 9110 §8.8.3): another after each change, whoever made
    /// it, and in each process. It tells nothing of what was changed.
    pub fn etag(&self, stream: &Stream) -> String {
        let keys = self.settings.of_stream(&stream.name);
        let told: Vec<_> = keys.iter().map(|setting| (&setting.key, &setting.value)).collect();
        format!("\"{:016x}\"", self.tags.hash_one((stream.id, stream.changes(), told)))
    }
}
