//! Sources: what feeds a stream (an RTSP camera pulled, the demo inside the binary).
//!
//! Owns the words between a source and its stream ([`Sink`], [`SourceState`], [`Formats`]) and the
//! waiting time between attempts. Never knows shards or viewers.

pub(crate) mod advice;
pub mod backoff;
pub mod demo;
mod excess;
mod feed;
pub(crate) mod fitness;
pub(crate) mod keyframes;
pub mod rtsp;
pub mod thread;
mod told;

pub use feed::Feed;

use std::time::Duration;

use bytes::Bytes;

use crate::track::{AccessUnit, AudioFrame, Codec};

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
        /// Time until the next attempt.
        retry_in: Duration,
    },
}

/// The video of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoFormat {
    /// Its codec.
    pub codec: Codec,
    /// `profile-level-id` of the sequence parameter set (RFC 6184 §8.1), when known. A source may leave it out.
    pub profile_level_id: Option<[u8; 3]>,
    /// Width and height in pixels, when known.
    pub size: Option<(u16, u16)>,
    /// Frames a second that the source announces, when it does.
    pub frame_rate: Option<f32>,
}

impl std::fmt::Display for VideoFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.codec.encoding_name())?;
        if let Some((width, height)) = self.size {
            write!(f, " {width}x{height}")?;
        }
        self.frame_rate.map_or(Ok(()), |rate| write!(f, " {rate}/s"))
    }
}

impl std::fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let channels = if self.channels == 1 { "mono" } else { "stereo" };
        write!(f, "{} {channels}", self.codec.encoding_name())
    }
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
    /// What is there but not forwarded, or not as browsers want it, in sentences for everybody.
    pub notes: Vec<String>,
}

/// Where a source puts what it reads: its stream. No method blocks.
///
/// An attempt of a source is `state(Connecting)`, [`begin`](Self::begin) when a session is established, its media,
/// and `state(Waiting)` when it ends. Whether it plays is for the sink to say: only there is known whether a
/// viewer could show what came.
pub trait Sink: Send {
    /// The source is being connected, or waits for its next attempt.
    fn state(&mut self, state: SourceState);
    /// A session begins that brings `formats`; `parameter_sets` are the SPS and PPS of its description, each as a
    /// NAL unit. Timelines are anchored anew. Of a video source only what the description itself tells is asked
    /// for: profile and size are read from the parameter sets here.
    fn begin(&mut self, formats: Formats, parameter_sets: &[Bytes]);
    /// One picture.
    fn video(&mut self, unit: AccessUnit);
    /// One audio packet. With video it is dropped until that plays.
    fn audio(&mut self, frame: AudioFrame);
    /// `packets` RTP packets of this source were lost before they reached us.
    fn lost(&mut self, packets: u64);
    /// Sentences about the session that were found out since it began, in place of those told before.
    fn remark(&mut self, notes: &[String]);
    /// The source began anew within its session: another SSRC, or packet numbers that have nothing to do with those
    /// before.
    fn restarted(&mut self);
}

/// Lent, so that a stream's end of its source outlives a run of it that failed.
impl<S: Sink> Sink for &mut S {
    fn state(&mut self, state: SourceState) {
        S::state(self, state);
    }

    fn begin(&mut self, formats: Formats, parameter_sets: &[Bytes]) {
        S::begin(self, formats, parameter_sets);
    }

    fn video(&mut self, unit: AccessUnit) {
        S::video(self, unit);
    }

    fn audio(&mut self, frame: AudioFrame) {
        S::audio(self, frame);
    }

    fn lost(&mut self, packets: u64) {
        S::lost(self, packets);
    }

    fn remark(&mut self, notes: &[String]) {
        S::remark(self, notes);
    }

    fn restarted(&mut self) {
        S::restarted(self);
    }
}
