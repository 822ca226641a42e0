//! Streams: what a viewer asks for by name, fed by a source, handed to the shards that have viewers of it.
//!
//! A stream has one layer, or as a pair two: each with a source, a state and a ring of its own ([`Layer`]), and one sound.
//!
//! Owns the words between a source and its stream ([`Sink`], [`SourceState`], [`Formats`]), the judgement of what comes
//! (is it fit for browsers, does it play, is it too much), its handle to its source ([`Origin`], [`Orders`]), and the
//! registry, which streams are added to and removed from while others play. Never knows single viewers.

pub(crate) mod advice;
mod brand;
mod cause;
mod counters;
pub(crate) mod excess;
pub(crate) mod fitness;
mod formats;
mod handle;
mod ingest;
pub(crate) mod keyframes;
mod layer;
mod lip_sync;
mod pool;
mod publisher;
mod registry;
mod sink;
mod sound;
mod status;
mod still;
#[expect(clippy::module_inception, reason = "the stream itself")]
mod stream;
mod told;
mod transcode;
pub mod trouble;

pub use brand::{Brand, Setting};
pub use cause::Cause;
pub use counters::{StreamCounters, TrackCounters};
pub use formats::{AudioFormat, Formats, MadeOf, VideoFormat};
pub use handle::{Orders, Origin, WANTED_RETRY, Wishes};
pub use ingest::Ingest;
pub use layer::Layer;
pub use registry::Registry;
pub use sink::Sink;
pub use status::{SourceState, Status};
pub use still::{KeptStill, Still};
pub use stream::{HIGH, Hold, LOW, Ring, StateChange, Stream};
