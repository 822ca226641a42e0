//! What a stream is doing: the state of its source, what it carries, and why it has no picture.

use std::time::Duration;

use super::{Cause, Formats};

/// What is said as long as nothing came at all.
pub(super) const PICTURE_AWAITED: &str = "the first picture is awaited";

/// The same of a stream without video.
pub(super) const SOUND_AWAITED: &str = "the first sound is awaited";

/// What a source is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// It runs on demand, and nobody wants it.
    Idle,
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
    pub const NAMES: [&str; 5] = ["idle", "connecting", "starting", "playing", "waiting"];

    /// Its name.
    pub fn name(&self) -> &'static str {
        SourceState::NAMES[match self {
            SourceState::Idle => 0,
            SourceState::Connecting => 1,
            SourceState::Starting { .. } => 2,
            SourceState::Playing => 3,
            SourceState::Waiting { .. } => 4,
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
    /// Which of the sources that are tried in order has its turn, from 0.
    pub source: usize,
}

impl Default for Status {
    fn default() -> Status {
        Status { state: SourceState::Connecting, formats: None, failure: None, cause: None, source: 0 }
    }
}

impl Status {
    /// Its source does something else now.
    pub fn enter(&mut self, state: SourceState) {
        match &state {
            SourceState::Idle => self.failure = None,
            // What a session waited for is over with it; why an attempt failed holds until the next has come further.
            SourceState::Connecting => drop(self.failure.take_if(|_| self.cause.is_none())),
            SourceState::Starting { why } if is_awaited(why) && self.cause.is_some() => {}
            SourceState::Starting { why } => self.failure = Some(why.clone()),
            SourceState::Playing => self.failure = None,
            SourceState::Waiting { error, .. } => self.failure = Some(error.clone()),
        }
        match &state {
            SourceState::Connecting => {}
            SourceState::Starting { why } if is_awaited(why) => {}
            SourceState::Idle | SourceState::Starting { .. } | SourceState::Playing => self.cause = None,
            SourceState::Waiting { cause, .. } => self.cause = Some(*cause),
        }
        self.state = state;
    }

    /// Whether a picture may be on its way: nothing has to be waited for first.
    pub fn is_underway(&self) -> bool {
        match self.state {
            SourceState::Idle | SourceState::Connecting | SourceState::Starting { .. } => true,
            SourceState::Playing => false,
            // The next of several sources has its turn at once.
            SourceState::Waiting { retry_in, .. } => retry_in.is_zero(),
        }
    }

    /// Whether nothing is known of its source yet, which is on its way for the first time.
    pub fn is_new(&self) -> bool {
        self.is_underway() && self.cause.is_none() && self.formats.is_none()
    }

    /// The formats, if viewers can be answered now.
    pub fn playable(&self) -> Option<&Formats> {
        match self.state {
            SourceState::Playing => self.formats.as_ref(),
            _ => None,
        }
    }
}

/// Whether that explains nothing.
fn is_awaited(why: &str) -> bool {
    [PICTURE_AWAITED, SOUND_AWAITED].contains(&why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_an_attempt_failed_holds_until_the_next_has_come_further_and_what_it_waited_for_does_not() {
        let mut status = Status::default();
        let failed = SourceState::Waiting {
            error: "camera a:554 does not answer".to_owned(),
            cause: Cause::Unreachable,
            retry_in: Duration::from_secs(1),
        };
        let starting = |why: &str| SourceState::Starting { why: why.to_owned() };
        let mut told = |state: SourceState| {
            status.enter(state);
            (status.failure.clone(), status.cause)
        };
        let failure = (Some("camera a:554 does not answer".to_owned()), Some(Cause::Unreachable));
        assert_eq!(told(failed), failure);
        assert_eq!(told(SourceState::Connecting), failure);
        // A camera that answers and sends nothing has come no further.
        assert_eq!(told(starting(PICTURE_AWAITED)), failure);
        assert_eq!(told(SourceState::Connecting), failure);
        let further = "no keyframe for 3 s";
        assert_eq!(told(starting(further)), (Some(further.to_owned()), None));
        // Another camera is connected, say.
        assert_eq!(told(SourceState::Connecting), (None, None));
        assert_eq!(told(starting(SOUND_AWAITED)), (Some(SOUND_AWAITED.to_owned()), None));
        // Nobody wants to know why there is no picture of what nobody wants.
        let failed = SourceState::Waiting {
            error: "camera a:554 does not answer".to_owned(),
            cause: Cause::Unreachable,
            retry_in: Duration::ZERO,
        };
        assert_eq!(told(failed), failure);
        assert_eq!(told(SourceState::Idle), (None, None));
    }
}
