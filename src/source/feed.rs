//! The way from a source into its stream: packetize once, count, publish.
//!
//! Owns the packetizers of a stream for the life of the process, so that sequence numbers and
//! timestamps go on across a camera's reconnects. Never knows RTSP, shards or viewers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Formats, Sink, SourceState};
use crate::control::registry::Stream;
use crate::track::{AccessUnit, AudioFrame, AudioPacketizer, Codec, PacketizeError, Train, VideoPacketizer};

/// A source whose frames cannot be used is told once in this time: often enough to be seen, and bounded
/// whatever the source sends.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// A stream's end of its source.
pub struct Feed {
    stream: Arc<Stream>,
    video: VideoPacketizer,
    /// One for each audio codec that the source ever had, so that one that comes back goes on.
    audio: Vec<AudioPacketizer>,
    /// The codec it has now.
    audio_codec: Option<Codec>,
    /// RTP timestamps begin at a random place (RFC 3550 §5.1); drawn once.
    first_audio_timestamp: u32,
    /// When a discarded frame was told last.
    warned: Option<Instant>,
}

impl Feed {
    /// A feed of `stream`; `timestamps` are where video's and audio's RTP timestamps begin.
    pub fn new(stream: Arc<Stream>, timestamps: (u32, u32)) -> Feed {
        Feed {
            stream,
            video: VideoPacketizer::new(timestamps.0),
            audio: Vec::new(),
            audio_codec: None,
            first_audio_timestamp: timestamps.1,
            warned: None,
        }
    }

    fn count(&self, trains: &[Arc<Train>]) {
        let counters = &self.stream.counters;
        for train in trains {
            counters.ingress_bytes.add(train.bytes() as u64);
            counters.ingress_packets.add(train.packets.len() as u64);
        }
    }

    fn invalid(&mut self, error: &PacketizeError, received: Instant) {
        let counter = &self.stream.counters.ingress_invalid;
        counter.add(1);
        let (stream, discarded) = (&self.stream.name, counter.get());
        let told = |at: Instant| received.saturating_duration_since(at) < WARNING_INTERVAL;
        if self.warned.is_some_and(told) {
            tracing::debug!(stream, discarded, %error, "a frame was discarded");
        } else {
            self.warned = Some(received);
            tracing::warn!(stream, discarded, %error, "a frame was discarded");
        }
    }
}

impl Sink for Feed {
    fn state(&mut self, state: SourceState) {
        if state == SourceState::Playing {
            self.stream.counters.starts.add(1);
            self.video.restart();
            self.audio.iter_mut().for_each(AudioPacketizer::restart);
        }
        self.stream.update(|status| status.state = state);
    }

    fn formats(&mut self, formats: Formats) {
        // A camera that comes back with another audio codec gets a new track: those who watch keep
        // their video, those who join get both.
        self.audio_codec = formats.audio.as_ref().map(|audio| audio.codec);
        if let Some(codec) = self.audio_codec
            && !self.audio.iter().any(|audio| audio.codec() == codec)
        {
            self.audio.push(AudioPacketizer::new(codec, self.first_audio_timestamp));
        }
        self.stream.update(|status| status.formats = Some(formats));
    }

    fn video(&mut self, unit: AccessUnit) {
        let received = unit.received;
        match self.video.packetize(unit) {
            Ok(trains) => {
                self.count(&trains);
                if trains.first().is_some_and(|train| train.keyframe) {
                    self.stream.counters.keyframes.add(1);
                }
                self.stream.publish(trains);
            }
            Err(error) => self.invalid(&error, received),
        }
    }

    fn audio(&mut self, frame: AudioFrame) {
        let received = frame.received;
        let Some(audio) = self.audio.iter_mut().find(|audio| Some(audio.codec()) == self.audio_codec) else {
            return;
        };
        match audio.packetize(frame) {
            Ok(trains) => {
                self.count(&trains);
                self.stream.publish(trains);
            }
            Err(error) => self.invalid(&error, received),
        }
    }

    fn lost(&mut self, packets: u64) {
        self.stream.counters.ingress_lost.add(packets);
    }

    fn restarted(&mut self) {
        self.stream.counters.ingress_restarts.add(1);
    }
}
