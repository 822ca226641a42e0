//! Changes of a running server, in words: what is wanted, what became of it, and why it did not.
//!
//! Owns the queue between those who ask (the API, a signal, the watch of the file) and the one who makes changes, one after
//! the other (`server::live`). Whoever asks waits for nobody but for him.

use std::fmt;

use serde::{Deserialize, Serialize};
use sluice_config::{ConfigError, Mistake, StreamKey, StreamText};
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;

/// Changes that may wait. Each may read a file; more would only let them grow old.
const WAITING_MAX: usize = 16;

/// What is wanted.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// The configuration is to be read again, and what differs to be taken over.
    Reload(Why),
    /// A stream is to be another, or none.
    Set(Set),
}

/// What a stream is to be.
#[derive(Debug, Clone)]
pub struct Set {
    /// Which.
    pub name: StreamKey,
    /// Its keys; nothing: it is to go.
    pub stream: Option<StreamText>,
    /// What it must be so far.
    pub condition: Condition,
    /// Whether it is written to the configuration file.
    pub keep: bool,
}

/// What a stream must be, so that it is changed (RFC 9110 §13.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Condition {
    /// Anything.
    #[default]
    Any,
    /// There must be none (`If-None-Match: *`).
    Absent,
    /// There must be one (`If-Match: *`).
    Present,
    /// It must be what one of these entity tags says (`If-Match`).
    Tagged(Vec<String>),
}

impl Condition {
    /// Whether a stream with that entity tag, or none, is what it must be.
    pub fn holds(&self, etag: Option<&str>) -> bool {
        match (self, etag) {
            (Condition::Any, _) | (Condition::Present, Some(_)) | (Condition::Absent, None) => true,
            (Condition::Tagged(tags), Some(etag)) => tags.iter().any(|tag| tag == etag),
            _ => false,
        }
    }
}

/// Why the configuration is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// SIGHUP.
    Signal,
    /// `POST /api/v1/config/reload`.
    Api,
    /// Its file has changed (`config.watch`).
    File,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Signal => "SIGHUP",
            Why::Api => "API",
            Why::File => "the file has changed",
        })
    }
}

/// What was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// What became of the streams.
    pub streams: Streams,
    /// Keys that have their new value now.
    pub settings: Vec<Changed>,
    /// Keys that have it after a restart, whenever they were changed.
    pub restart: Vec<Changed>,
}

/// What became of the streams, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StreamChanges)]
pub struct Streams {
    /// Those that began.
    pub added: Vec<String>,
    /// Those that are fed from something else, or otherwise; their viewers stay.
    pub changed: Vec<String>,
    /// Those that ended, with their viewers.
    pub removed: Vec<String>,
}

/// One key whose value differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChangedSetting)]
pub struct Changed {
    /// `udp.port`.
    pub key: String,
    /// What it was. No secret.
    pub before: String,
    /// What it is, or will be.
    pub after: String,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Changed { key, before, after } = self;
        write!(f, "{key} ({before:?} to {after:?})")
    }
}

impl fmt::Display for Applied {
    /// What has an effect now.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Streams { added, changed, removed } = &self.streams;
        let parts = [("added", added), ("changed", changed), ("removed", removed)];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let mut parts: Vec<String> =
            parts.map(|(what, names)| format!("{what} {}", names.join(", "))).collect();
        if parts.is_empty() {
            parts.push("no stream differs".to_owned());
        }
        if !self.settings.is_empty() {
            parts.push(listed(&self.settings));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Keys with their values, for a line of the log.
pub fn listed(changed: &[Changed]) -> String {
    changed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Why nothing, or not everything, was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The configuration has errors.
    #[error("nothing is changed, the configuration has errors\n{0}")]
    Invalid(ConfigError),
    /// There is nothing to read again, or to write to.
    #[error(
        "the server was started without a configuration file: start it with -c FILE to reload or to keep a change"
    )]
    NoFile,
    /// There is no such stream.
    #[error("there is no stream {0:?}; /api/v1/streams lists those there are")]
    NoStream(String),
    /// The stream is not what it must be.
    #[error("the stream {0:?} is not what the condition says: ask for it again, and decide anew")]
    Condition(String),
    /// Something else stands in the way.
    #[error("nothing is changed: {0}")]
    Conflict(String),
    /// It is well written, and cannot be put into effect on this machine.
    #[error("nothing is changed: {0}")]
    Unusable(String),
    /// The kernel or another part of the server did not do as it should.
    #[error("not everything could be taken over: {0}")]
    Failed(String),
    /// Too many changes wait.
    #[error("{WAITING_MAX} changes wait already: try again")]
    Busy,
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

impl Refused {
    /// What is wrong with the configuration, one by one.
    pub fn mistakes(&self) -> Vec<Mistake> {
        match self {
            Refused::Invalid(error) => error.mistakes().collect(),
            _ => Vec::new(),
        }
    }
}

/// What became of it.
pub type Answer = Result<Applied, Refused>;

/// What is wanted, and where the answer goes.
#[derive(Debug)]
pub struct Order {
    /// What.
    pub wanted: Wanted,
    /// Gone if nobody waits.
    pub answer: oneshot::Sender<Answer>,
}

/// Whom changes are asked of.
#[derive(Debug, Clone)]
pub struct Changes(mpsc::Sender<Order>);

impl Changes {
    /// An empty queue, and its other end.
    pub fn new() -> (Changes, mpsc::Receiver<Order>) {
        let (orders, queue) = mpsc::channel(WAITING_MAX);
        (Changes(orders), queue)
    }

    /// Asks, and waits for what becomes of it.
    ///
    /// # Errors
    ///
    /// [`Refused`]: what was to be changed is as it was, but for [`Refused::Failed`].
    pub async fn ask(&self, wanted: Wanted) -> Answer {
        let answer = self.order(wanted)?;
        answer.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Asks, and waits for nothing; the log says what becomes of it.
    pub fn tell(&self, wanted: Wanted) {
        // What waits already will find what is there now.
        if let Err(refused) = self.order(wanted) {
            tracing::warn!("{refused}");
        }
    }

    fn order(&self, wanted: Wanted) -> Result<oneshot::Receiver<Answer>, Refused> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Order { wanted, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Busy,
            mpsc::error::TrySendError::Closed(_) => Refused::Stopping,
        })?;
        Ok(answered)
    }
}
