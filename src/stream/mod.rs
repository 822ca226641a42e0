//! Streams: what a viewer asks for by name, fed by a source, handed to the shards that have viewers of it.
//!
//! Owns the words between a source and its stream ([`Sink`], [`SourceState`], [`Formats`]), the judgement of what comes
//! (is it fit for browsers, does it play, is it too much), and the registry. Never knows single viewers.

pub(crate) mod advice;
mod cause;
mod counters;
mod excess;
pub(crate) mod fitness;
mod formats;
mod ingest;
pub(crate) mod keyframes;
pub mod registry;
mod sink;
mod still;
mod told;
pub mod trouble;

use std::time::Duration;

pub use cause::Cause;
pub use counters::{StreamCounters, TrackCounters};
pub use formats::{AudioFormat, Formats, VideoFormat};
pub use ingest::Ingest;
pub use registry::{Registry, Stream};
pub use sink::Sink;
pub use still::{KeptStill, Still};

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
