//! What a stream is doing: the state of its source, what it carries, and why it has no picture.

use std::time::Duration;

use super::keyframes::AWAITED;
use super::{Cause, Formats};

/// What a source is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// Making a connection: the first, or one after a wait.
    Connecting,
    /// A session runs, and whoever came now would get no picture.
    Starting {
        /// Why, in words for everybody: they name neither the camera nor its address.
        why: String,
    },
    /// Whoever comes gets a picture: a keyframe was packetized (of a stream without video, sound).
    Playing,
    /// The last attempt failed; the next begins after `retry_in`.
    Waiting {
        /// Why, in words for an operator. Holds no credentials.
        error: String,
        /// The same as a word.
        cause: Cause,
        /// Time until the next attempt.
        retry_in: Duration,
    },
}

impl SourceState {
    /// Their names in JSON and in metrics.
    pub const NAMES: [&str; 4] = ["connecting", "starting", "playing", "waiting"];

    /// Its name.
    pub fn name(&self) -> &'static str {
        SourceState::NAMES[match self {
            SourceState::Connecting => 0,
            SourceState::Starting { .. } => 1,
            SourceState::Playing => 2,
            SourceState::Waiting { .. } => 3,
        }]
    }
}

/// What a stream is doing, and what it carries.
#[derive(Debug, Clone)]
pub struct Status {
    /// What its source does.
    pub state: SourceState,
    /// What it carries, as of the last time it played.
    pub formats: Option<Formats>,
    /// Why there is no picture, until there is one: it stays while the next attempt is made.
    pub failure: Option<String>,
    /// What kind of thing keeps its source away, as long as that is so.
    pub cause: Option<Cause>,
}

impl Status {
    /// Its source does something else now.
    pub fn enter(&mut self, state: SourceState) {
        match &state {
            SourceState::Connecting => {}
            // Nothing that explains more than why the last attempt failed.
            SourceState::Starting { why } if why == AWAITED && self.failure.is_some() => {}
            SourceState::Starting { why } => self.failure = Some(why.clone()),
            SourceState::Playing => self.failure = None,
            SourceState::Waiting { error, .. } => self.failure = Some(error.clone()),
        }
        match &state {
            SourceState::Connecting => {}
            SourceState::Starting { why } if why == AWAITED => {}
            SourceState::Starting { .. } | SourceState::Playing => self.cause = None,
            SourceState::Waiting { cause, .. } => self.cause = Some(*cause),
        }
        self.state = state;
    }

    /// The formats, if viewers can be answered now.
    pub fn playable(&self) -> Option<&Formats> {
        match self.state {
            SourceState::Playing => self.formats.as_ref(),
            _ => None,
        }
    }
}
