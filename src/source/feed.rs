//! The way from a source into its stream: packetize once, count, publish.
//!
//! Owns the packetizers of a stream for the life of the process, so that sequence numbers and
//! timestamps go on across a camera's reconnects, and says when the stream plays: when whoever comes gets a
//! picture. Never knows RTSP, shards or viewers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::fitness;
use super::keyframes::Keyframes;
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
    /// What the session told of itself.
    announced: Formats,
    /// What was found out besides, as it was published.
    formats: Formats,
    /// Notes that were logged: a camera that comes and goes is not logged again and again.
    logged: Vec<String>,
    keyframes: Keyframes,
    playing: bool,
    /// Whether this session's trouble was logged as a warning.
    trouble_logged: bool,
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
            announced: Formats::default(),
            formats: Formats::default(),
            logged: Vec::new(),
            keyframes: Keyframes::default(),
            playing: false,
            trouble_logged: false,
            warned: None,
        }
    }

    fn publish(&self, trains: Vec<Arc<Train>>) {
        let counters = &self.stream.counters;
        for train in &trains {
            counters.ingress_bytes.add(train.bytes() as u64);
            counters.ingress_packets.add(train.packets.len() as u64);
        }
        self.stream.publish(trains);
    }

    /// From now on whoever comes gets something.
    fn play(&mut self) {
        self.playing = true;
        self.trouble_logged = false;
        self.stream.counters.starts.add(1);
        self.describe();
        let Formats { video, audio, .. } = &self.formats;
        tracing::info!(stream = self.stream.name, ?video, ?audio, "plays");
        self.stream.update(|status| status.enter(SourceState::Playing));
    }

    /// Tells what is known of the formats now, if that changed.
    fn describe(&mut self) {
        let mut formats = self.announced.clone();
        if let Some(video) = &mut formats.video {
            let facts = self.video.facts();
            video.profile_level_id = facts.profile_level_id.or(video.profile_level_id);
            video.size = facts.size.or(video.size);
            video.frame_rate = video.frame_rate.or(facts.frame_rate);
            formats.notes.extend(fitness::notes(&facts));
        }
        if self.playing {
            formats.notes.extend(self.keyframes.trouble());
        }
        if formats == self.formats {
            return;
        }
        for note in formats.notes.iter().filter(|note| !self.logged.contains(note)) {
            if self.announced.notes.contains(note) {
                tracing::info!(stream = self.stream.name, "{note}");
            } else {
                tracing::warn!(stream = self.stream.name, "{note}");
            }
        }
        self.logged.clone_from(&formats.notes);
        self.formats = formats.clone();
        self.stream.update(|status| status.formats = Some(formats));
    }

    /// Says why there is no picture, as long as there is none, and what is wrong with the next one.
    fn explain(&mut self) {
        if self.playing {
            self.describe();
            return;
        }
        let Some(why) = self.keyframes.trouble() else { return };
        if self.keyframes.is_serious() && !std::mem::replace(&mut self.trouble_logged, true) {
            tracing::warn!(stream = self.stream.name, "no picture can be shown: {why}");
        }
        let state = SourceState::Starting { why };
        if self.stream.status().state != state {
            self.stream.update(|status| status.enter(state));
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
        self.playing = false;
        self.stream.update(|status| status.enter(state));
    }

    fn begin(&mut self, formats: Formats, parameter_sets: &[Bytes]) {
        self.playing = false;
        self.keyframes = Keyframes::default();
        self.video.restart();
        self.video.set_parameter_sets(parameter_sets);
        self.audio.iter_mut().for_each(AudioPacketizer::restart);
        // A camera that comes back with another audio codec gets a new track: those who watch keep
        // their video, those who join get both.
        self.audio_codec = formats.audio.as_ref().map(|audio| audio.codec);
        if let Some(codec) = self.audio_codec
            && !self.audio.iter().any(|audio| audio.codec() == codec)
        {
            self.audio.push(AudioPacketizer::new(codec, self.first_audio_timestamp));
        }
        self.announced = formats;
        self.describe();
        self.explain();
    }

    fn video(&mut self, unit: AccessUnit) {
        let received = unit.received;
        let is_keyframe = unit.is_keyframe();
        match self.video.packetize(unit) {
            Ok(trains) if trains.first().is_some_and(|train| train.keyframe) => {
                self.stream.counters.keyframes.add(1);
                self.keyframes.forwarded(received);
                // The keyframe first: who comes because it plays finds it.
                self.publish(trains);
                if self.playing {
                    self.describe();
                } else {
                    self.play();
                }
                return;
            }
            Ok(trains) => {
                self.keyframes.other(received, None);
                // Before the first keyframe nobody could use it.
                if self.playing {
                    self.publish(trains);
                }
            }
            Err(error) => {
                self.keyframes.other(received, is_keyframe.then(|| error.reason()));
                self.invalid(&error, received);
            }
        }
        self.explain();
    }

    fn audio(&mut self, frame: AudioFrame) {
        // With video its first keyframe begins: before it timelines have no common anchor.
        if !self.playing && self.announced.video.is_some() {
            return;
        }
        let received = frame.received;
        let Some(audio) = self.audio.iter_mut().find(|audio| Some(audio.codec()) == self.audio_codec) else {
            return;
        };
        match audio.packetize(frame) {
            Ok(trains) => {
                self.publish(trains);
                if !self.playing {
                    self.play();
                }
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

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
