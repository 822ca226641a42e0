//! Sources: what feeds a stream (an RTSP camera pulled, the demo inside the binary).
//!
//! Owns the words between a source and its stream ([`Sink`], [`SourceState`], [`Formats`]) and the
//! waiting time between attempts. Never knows shards or viewers.

pub mod backoff;
pub mod demo;
mod feed;
pub mod rtsp;

pub use feed::Feed;

use std::time::Duration;

use crate::track::{AccessUnit, AudioFrame, Codec};

/// What a source is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// Making a connection: the first, or one after a wait.
    Connecting,
    /// Media flows. Timelines are anchored anew at the first frame after this.
    Playing,
    /// The last attempt failed; the next begins after `retry_in`.
    Waiting {
        /// Why, in words for an operator. Holds no credentials.
        error: String,
        /// Time until the next attempt.
        retry_in: Duration,
    },
}

/// The video of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoFormat {
    /// Its codec.
    pub codec: Codec,
    /// `profile-level-id` of the sequence parameter set (RFC 6184 §8.1), when known.
    pub profile_level_id: Option<[u8; 3]>,
    /// Width and height in pixels, when known.
    pub size: Option<(u16, u16)>,
    /// Frames a second that the source announces, when it does.
    pub frame_rate: Option<f32>,
}

/// The audio of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFormat {
    /// Its codec.
    pub codec: Codec,
    /// Channels.
    pub channels: u8,
}

/// What a source carries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Formats {
    /// The video, if any that can be forwarded.
    pub video: Option<VideoFormat>,
    /// The audio, if any that can be forwarded.
    pub audio: Option<AudioFormat>,
    /// What is there but not forwarded, in sentences for an operator.
    pub notes: Vec<String>,
}

/// Where a source puts what it reads: its stream. No method blocks.
pub trait Sink: Send {
    /// The source's state changed.
    fn state(&mut self, state: SourceState);
    /// The source told what it carries. Comes before its media, and again after each reconnect.
    fn formats(&mut self, formats: Formats);
    /// One picture.
    fn video(&mut self, unit: AccessUnit);
    /// One audio packet.
    fn audio(&mut self, frame: AudioFrame);
    /// `packets` RTP packets of this source were lost before they reached us.
    fn lost(&mut self, packets: u64);
    /// The source began anew within its session: another SSRC, or packet numbers that have nothing to do with those
    /// before.
    fn restarted(&mut self);
}
