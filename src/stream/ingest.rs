//! The way from a source into its layer of a stream: packetize once, count, publish.
//!
//! Owns the packetizer of the layer's pictures for the life of the process, so that sequence numbers and timestamps go on
//! across a camera's reconnects (those of sound are the stream's), and says when the layer plays: when whoever comes gets a
//! picture. Never knows RTSP, shards or viewers.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_media::{AccessUnit, AudioFrame, Kind, SourceReport};

use super::advice::Advice;
use super::excess::Excess;
use super::keyframes::Keyframes;
use super::lip_sync::LipSync;
use super::sound::{AudioTrack, SoundTrack, publish};
use super::status::SOUND_AWAITED;
use super::told::{self, Told};
use super::transcode::{self, Transcoding};
use super::{Formats, Layer, MadeOf, Sink, SourceState, Status, Stream, fitness};
use crate::track::{PacketizeError, SourceTime, Timeline, Train, VideoPacketizer};

/// A stream that plays for this long after it was already told that it plays is told again. Raising it leaves the log
/// with a failure as its last word for longer; lowering it lets a camera of short sessions write more.
const STEADY: Duration = Duration::from_secs(5);

/// Time between two looks at what is to be told of a stream that plays, while nothing but ordinary pictures come. Longer tells
/// later that keyframes stay away; shorter costs as much as packetizing.
const DESCRIBED: Duration = Duration::from_millis(500);

/// A layer's end of its source.
pub struct Ingest {
    stream: Arc<Stream>,
    layer: Arc<Layer>,
    /// What it is called in the log.
    title: String,
    /// None before a session with video.
    video: Option<VideoPacketizer>,
    /// The stream's track of the sound that the source has now.
    audio: Option<AudioTrack>,
    /// Where that is made of what the source sends, if it has to be.
    transcoding: Option<Transcoding>,
    /// RTP timestamps of video and audio begin at a random place (RFC 3550 §5.1); drawn once.
    first_timestamps: (u32, u32),
    /// What the session told of itself.
    announced: Formats,
    /// What its source found out since.
    remarks: Vec<String>,
    /// What was found out besides, as it was published.
    formats: Formats,
    /// Notes that were logged: what comes and goes is not logged again and again.
    told: Told,
    keyframes: Keyframes,
    lip_sync: LipSync,
    /// Of all sessions: one that ends gives no right to a burst in the next.
    excess: Excess,
    /// Whether a picture was left out for being over, and none came behind it.
    gap: bool,
    /// The newest arrival.
    now: Option<Instant>,
    playing: bool,
    /// When it was looked last whether there is something else to tell.
    described: Option<Instant>,
    /// When it was looked last how its clocks run.
    measured: Option<Instant>,
    /// Since when this session plays, if that is not logged.
    plays_untold: Option<Instant>,
    /// Whether this session's trouble was logged as a warning.
    trouble_logged: bool,
    /// Of what the packetizers counted, what the layer's counters have.
    jumps: u64,
    discarded_nals: u64,
    /// When a discarded frame was told last.
    warned: Option<Instant>,
}

impl Ingest {
    /// A feed of a layer of `stream`; `timestamps` are where video's and audio's RTP timestamps begin.
    pub fn new(stream: Arc<Stream>, layer: Arc<Layer>, timestamps: (u32, u32)) -> Ingest {
        Ingest {
            title: stream.title(layer.id.number),
            stream,
            layer,
            video: None,
            audio: None,
            transcoding: None,
            first_timestamps: timestamps,
            announced: Formats::default(),
            remarks: Vec::new(),
            formats: Formats::default(),
            told: Told::default(),
            keyframes: Keyframes::default(),
            lip_sync: LipSync::default(),
            excess: Excess::new(),
            gap: false,
            now: None,
            playing: false,
            described: None,
            measured: None,
            plays_untold: None,
            trouble_logged: false,
            jumps: 0,
            discarded_nals: 0,
            warned: None,
        }
    }

    /// Sends trains of video to who watches.
    fn publish(&self, trains: Vec<Arc<Train>>) {
        let counters = &self.layer.counters.video;
        for train in &trains {
            counters.bytes.add(train.bytes() as u64);
            counters.packets.add(train.packets.len() as u64);
        }
        // What was taken away has no business in the ring of what comes in its place.
        if !self.layer.is_stopped() {
            self.stream.publish(self.layer.id, trains);
        }
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        self.stream.update(&self.layer, change);
    }

    /// From now on whoever comes gets something.
    fn play(&mut self, received: Instant) {
        self.playing = true;
        self.trouble_logged = false;
        self.layer.counters.starts.add(1);
        self.describe();
        self.plays_untold = Some(received);
        if self.told.is_due("plays", self.now) {
            self.tell_that_it_plays();
        }
        self.update(|status| status.enter(SourceState::Playing));
    }

    fn tell_that_it_plays(&mut self) {
        self.plays_untold = None;
        let Formats { video, audio, .. } = &self.formats;
        let video = video.as_ref().map(tracing::field::display);
        let audio = audio.as_ref().map(tracing::field::display);
        tracing::info!(stream = self.title, video, audio, "plays");
    }

    /// Something came.
    fn arrived(&mut self, received: Instant) {
        self.now = Some(received);
        let untold = self.plays_untold.filter(|_| self.playing);
        if untold.is_some_and(|since| received.saturating_duration_since(since) >= STEADY) {
            self.tell_that_it_plays();
        }
    }

    /// A picture or sound packet is left out: its source sends too many.
    fn exceeded(&mut self, received: Instant) {
        self.layer.counters.ingress_excess.add(1);
        // Once in a while is enough to tell: there are very many.
        if self.told.is_due("too many", Some(received)) {
            self.describe();
        }
    }

    /// Tells what is known of the formats now, if that changed.
    fn describe(&mut self) {
        self.described = self.now;
        let mut formats = self.announced.clone();
        formats.notes.extend_from_slice(&self.remarks);
        if let (Some(video), Some(packetizer)) = (&mut formats.video, &self.video) {
            let facts = packetizer.facts();
            video.profile_level_id = facts.profile_level_id.or(video.profile_level_id);
            video.size = facts.size.or(video.size);
            video.frame_rate = video.frame_rate.or(facts.frame_rate);
            let advice = if self.stream.is_pair() { fitness::advice_in_pair } else { fitness::advice };
            let advice = advice(video.codec, &facts, formats.brand);
            formats.notes.extend(advice.iter().map(Advice::to_string));
        }
        if self.playing {
            formats.notes.extend(self.trouble());
            formats.notes.extend(self.lip_sync.doubt().map(|doubt| doubt.to_string()));
        }
        formats.notes.extend(self.excess.notes(self.now));
        if formats == self.formats {
            return;
        }
        for note in formats.notes.iter().filter(|note| !self.formats.notes.contains(note)) {
            if !self.told.is_due(note, self.now) {
                continue;
            }
            if self.announced.notes.contains(note) {
                tracing::info!(stream = self.title, "{note}");
            } else {
                tracing::warn!(stream = self.title, "{note}");
            }
        }
        self.formats = formats.clone();
        self.update(|status| status.formats = Some(formats));
    }

    /// Why whoever comes now gets nothing, or what is wrong with what they get.
    fn trouble(&self) -> Option<String> {
        match self.announced.video {
            Some(_) => {
                let trouble = self.keyframes.trouble()?;
                Some(trouble.for_brand(self.announced.brand).to_string())
            }
            None => (!self.playing).then(|| SOUND_AWAITED.to_owned()),
        }
    }

    /// Says why there is no picture, as long as there is none, and what is wrong with the next one.
    fn explain(&mut self) {
        if self.playing {
            self.describe();
            return;
        }
        let Some(why) = self.trouble() else { return };
        if self.keyframes.is_serious() && !std::mem::replace(&mut self.trouble_logged, true) {
            tracing::warn!(stream = self.title, "no picture can be shown: {why}");
        }
        let state = SourceState::Starting { why };
        if self.layer.status().state != state {
            self.update(|status| status.enter(state));
        }
    }

    /// Takes over what the packetizers found out: what was wrong with the source and could be helped.
    fn count_findings(&mut self) {
        let counters = &self.layer.counters;
        let video = self.video.as_ref();
        let jumps = video.map_or(0, VideoPacketizer::jumps);
        counters.ingress_jumps.add(jumps - std::mem::replace(&mut self.jumps, jumps));
        let nals = video.map_or(0, VideoPacketizer::discarded_nals);
        counters.ingress_discarded_nals.add(nals - std::mem::replace(&mut self.discarded_nals, nals));
        let is_due = |at: Instant| self.now.is_none_or(|now| now.saturating_duration_since(at) >= DESCRIBED);
        if self.measured.is_none_or(is_due) {
            self.measured = self.now;
            self.measure();
        }
    }

    /// The same of its sound.
    fn count_sound_findings(&self) {
        let jumps = self.own_sound().map_or(0, |mut track| track.new_jumps());
        self.layer.counters.ingress_jumps.add(jumps);
    }

    /// How the source's clocks run.
    fn measure(&self) {
        self.count_sound_findings();
        let counters = &self.layer.counters;
        let audio = self.own_sound();
        let timelines = [
            self.video.as_ref().map(VideoPacketizer::timeline),
            audio.as_deref().map(|track| track.packetizer.timeline()),
        ];
        for (track, timeline) in [&counters.video, &counters.audio].into_iter().zip(timelines) {
            track.drift.set(timeline.and_then(Timeline::drift));
            track.jitter.set(timeline.and_then(Timeline::jitter));
        }
    }

    /// A timestamp of the source's sound as its track counts: sound that is turned into Opus has another clock.
    fn sound_timestamp(&self, timestamp: i64) -> i64 {
        let made_of = self.announced.audio.as_ref().and_then(|audio| audio.made_of);
        made_of
            .map_or(timestamp, |MadeOf { clock_rate, .. }| transcode::opus_timestamp(timestamp, clock_rate))
    }

    /// Brings sound and pictures together by what the source says of both.
    fn align(&mut self, now: Instant) {
        let doubt = self.lip_sync.doubt();
        let video = self.video.as_ref().and_then(|video| video.timeline().moment(now));
        let audio = self.own_sound().and_then(|track| track.packetizer.timeline().moment(now));
        if let Some(alignment) = self.lip_sync.judge(video, audio) {
            if let Some(video) = &mut self.video {
                video.timeline_mut().shift(alignment.video);
            }
            if let Some(mut track) = self.own_sound() {
                track.packetizer.timeline_mut().shift(alignment.audio);
            }
        }
        if self.lip_sync.doubt() != doubt {
            self.describe();
        }
    }

    /// The stream's track of sound, while it comes from here.
    fn own_sound(&self) -> Option<MutexGuard<'_, SoundTrack>> {
        SoundTrack::of(self.audio.as_ref()?, self.layer.id.number)
    }

    fn invalid(&mut self, error: &PacketizeError, received: Instant) {
        let counter = &self.layer.counters.ingress_invalid;
        counter.add(1);
        let (stream, discarded) = (&self.title, counter.get());
        let told = |at: Instant| received.saturating_duration_since(at) < told::INTERVAL;
        if self.warned.is_some_and(told) {
            tracing::debug!(stream, discarded, %error, "a frame was discarded");
        } else {
            self.warned = Some(received);
            tracing::warn!(stream, discarded, %error, "a frame was discarded");
        }
    }
}

impl Sink for Ingest {
    fn trying(&mut self, source: usize) {
        self.update(|status| status.source = source);
    }

    fn state(&mut self, state: SourceState) {
        self.playing = false;
        if let SourceState::Waiting { cause, .. } = &state {
            self.layer.counters.failures(*cause).add(1);
        }
        let rests = state == SourceState::Idle;
        self.update(|status| status.enter(state));
        if rests {
            self.transcoding = None;
            self.stream.rest(self.layer.id);
        }
    }

    fn begin(&mut self, formats: Formats, parameter_sets: &[Bytes]) {
        self.playing = false;
        self.keyframes = Keyframes::default();
        self.lip_sync = LipSync::default();
        if let Some(codec) = formats.video.as_ref().map(|video| video.codec) {
            let first = self.first_timestamps.0;
            let end = self.stream.end_of(self.layer.id);
            let video = self.video.get_or_insert_with(|| {
                let mut video = VideoPacketizer::new(codec, first);
                video.begin_behind(end);
                video
            });
            video.restart(codec);
            video.set_parameter_sets(parameter_sets);
        }
        // What is left of the session before must not come behind this one's.
        self.transcoding = None;
        let number = self.layer.id.number;
        self.stream.sounds.restart(number);
        // A camera that comes back with another audio codec gets a new track: those who watch keep
        // their video, those who join get both.
        let codec = formats.audio.as_ref().map(|audio| audio.codec);
        self.audio = codec.map(|codec| self.stream.sounds.track(codec, self.first_timestamps.1, number));
        let made_of = formats.audio.as_ref().and_then(|audio| audio.made_of);
        self.transcoding = made_of.zip(self.audio.as_ref()).map(|(MadeOf { sound, clock_rate }, track)| {
            let whose = (self.stream.clone(), self.layer.clone(), self.title.clone());
            Transcoding::new(whose, track.clone(), sound, clock_rate)
        });
        self.announced = formats;
        self.remarks.clear();
        self.describe();
        self.explain();
    }

    fn video(&mut self, mut unit: AccessUnit) {
        let received = unit.received;
        self.arrived(received);
        if !self.excess.admits_picture(&unit) {
            self.gap = true;
            self.keyframes.other(received, None);
            self.exceeded(received);
            return;
        }
        unit.after_gap |= std::mem::take(&mut self.gap);
        if self.lip_sync.is_due(received) {
            self.align(received);
        }
        let Some(video) = &mut self.video else { return };
        let is_keyframe = video.codec().is_keyframe(&unit.nals);
        let packetized = video.packetize(unit);
        self.count_findings();
        match packetized {
            Ok(trains) if trains.first().is_some_and(|train| train.keyframe) => {
                self.layer.counters.keyframes.add(1);
                self.keyframes.forwarded(received);
                // The keyframe first: who comes because it plays finds it.
                self.publish(trains);
                if self.playing {
                    self.describe();
                } else {
                    self.play(received);
                }
                return;
            }
            Ok(trains) => {
                self.keyframes.other(received, None);
                // Before the first keyframe nobody could use it.
                if self.playing {
                    self.publish(trains);
                    let is_due = |at: Instant| received.saturating_duration_since(at) >= DESCRIBED;
                    if !self.described.is_none_or(is_due) {
                        return;
                    }
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
        self.arrived(received);
        if !self.excess.admits_sound(&frame) {
            self.exceeded(received);
            return;
        }
        if let Some(transcoding) = &self.transcoding {
            transcoding.push(frame);
        } else {
            let Some(track) = &self.audio else { return };
            let published = publish(&self.stream, &self.layer, track, frame);
            self.count_sound_findings();
            self.count_findings();
            if let Err(error) = published {
                return self.invalid(&error, received);
            }
        }
        if !self.playing {
            self.play(received);
        }
    }

    fn reported(&mut self, kind: Kind, report: SourceReport) {
        let SourceReport { ntp, timestamp, received } = report;
        let time = SourceTime(ntp);
        let reported = match kind {
            Kind::Video => {
                let track = self.video.as_mut().map(VideoPacketizer::timeline_mut);
                track.map(|timeline| timeline.report(timestamp, time, received))
            }
            Kind::Audio => {
                let timestamp = self.sound_timestamp(timestamp);
                let track = self.own_sound();
                track.map(|mut track| track.packetizer.timeline_mut().report(timestamp, time, received))
            }
        };
        if let Some(reported) = reported.filter(|_| self.announced.has_both()) {
            self.lip_sync.note(reported);
            self.align(received);
        }
    }

    fn lost(&mut self, packets: u64) {
        self.layer.counters.ingress_lost.add(packets);
    }

    fn remark(&mut self, notes: &[String]) {
        self.remarks = notes.to_vec();
        self.describe();
    }

    fn damaged_keyframe(&mut self, received: Instant) {
        self.keyframes.damaged(received);
        self.explain();
    }

    fn turned(&mut self) {
        self.layer.counters.ingress_turns.add(1);
    }

    fn restarted(&mut self) {
        self.layer.counters.ingress_restarts.add(1);
    }

    fn is_watched(&self) -> bool {
        self.stream.is_watched(&self.layer)
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
