//! What an operator sees of a running server: the last ten minutes, its viewers, its configuration, and the last
//! lines of its log.
//!
//! Owns the shapes of `/api/v1`, written once: the server says them, and `sluice top` and the page read them. Nothing in
//! here is on the way of media: shards are asked by bounded questions, and all else is counted anyway.

pub mod change;
pub mod history;
pub mod sample;
pub mod settings;
pub mod viewers;

use std::sync::Arc;

use self::change::Changes;
use self::history::History;
use self::settings::Settings;
use crate::count::Reloads;
use crate::ops::levels::Levels;
use crate::ops::recent::Recent;
use crate::session::table::Sessions;
use crate::shard::command::ShardHandle;
use crate::stream::Registry;

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
        let history = History::default();
        Operator { registry, sessions, shards, history, settings, reloads, changes, log, levels }
    }
}
