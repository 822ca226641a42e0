//! What comes of a camera, in figures.
//!
//! Owns the counting: pictures, keyframes, bytes, and the time between them. Never reads a clock: time goes by as
//! media arrives.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_media::nal::VideoFacts;
use sluice_media::{AccessUnit, AudioFrame};

use crate::stream::Formats;
use crate::stream::excess::Excess;
use crate::stream::keyframes::Keyframes;
use crate::track::VideoPacketizer;

/// Keyframes that are enough: two distances between them tell whether they are equal. More makes each probe longer,
/// fewer takes a single odd group for the rule.
const ENOUGH_KEYFRAMES: u64 = 3;

/// Time with pictures that is enough. Longer makes each probe longer; shorter makes rates of cameras that begin with
/// a burst, or have many keyframes a second, less true.
const ENOUGH_TIME: Duration = Duration::from_secs(4);

/// Sound alone is looked at for so long.
const ENOUGH_SOUND: Duration = Duration::from_secs(2);

/// Time without media that is called silence, unless what came before had gaps like it: cameras for time-lapse send a
/// picture every few seconds. Raising it lets cameras pass that stopped; lowering it blames those that stutter.
const SILENCE: Duration = Duration::from_secs(3);

/// Rates are not told of a shorter time: they would be guesses.
const SHORTEST: f64 = 1.0;

/// Where in time something came.
#[derive(Debug, Clone, Copy)]
struct Moment {
    received: Instant,
    /// By the camera's clock, in ticks of 90 kHz.
    timestamp: i64,
}

/// What was counted of a session.
#[derive(Debug)]
pub(super) struct Measure {
    formats: Option<Formats>,
    packetizer: Option<VideoPacketizer>,
    watch: Keyframes,
    /// As the server leaves out what is too much.
    excess: Excess,
    /// The newest arrival.
    now: Option<Instant>,
    /// What the session found out of itself.
    remarks: Vec<String>,
    /// The camera began anew: its timestamps tell no time between before and after.
    restarts: u64,
    lost: u64,
    /// When the newest picture came, or sound where there is no video, and the longest time between two.
    newest: Option<Instant>,
    gap: Duration,
    pictures: u64,
    bytes: u64,
    first: Option<Moment>,
    last: Option<Moment>,
    keyframes: u64,
    /// The first keyframe and the newest, each with the bytes before it.
    first_keyframe: Option<(Moment, u64)>,
    last_keyframe: Option<(Moment, u64)>,
    shortest: f64,
    longest: f64,
    sounds: u64,
    sound_bytes: u64,
    sound: Option<(Instant, Instant)>,
}

/// Seconds from one keyframe to the next.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = ProbeInterval)]
pub(crate) struct Interval {
    pub(super) mean: f64,
    pub(super) shortest: f64,
    pub(super) longest: f64,
}

impl Default for Measure {
    fn default() -> Measure {
        Measure {
            formats: None,
            packetizer: None,
            watch: Keyframes::default(),
            excess: Excess::new(),
            now: None,
            remarks: Vec::new(),
            restarts: 0,
            lost: 0,
            newest: None,
            gap: Duration::ZERO,
            pictures: 0,
            bytes: 0,
            first: None,
            last: None,
            keyframes: 0,
            first_keyframe: None,
            last_keyframe: None,
            shortest: f64::INFINITY,
            longest: 0.0,
            sounds: 0,
            sound_bytes: 0,
            sound: None,
        }
    }
}

impl Measure {
    pub(super) fn begin(&mut self, formats: Formats, parameter_sets: &[Bytes]) {
        if let Some(video) = &formats.video {
            let packetizer = self.packetizer.get_or_insert_with(|| VideoPacketizer::new(video.codec, 0));
            packetizer.restart(video.codec);
            packetizer.set_parameter_sets(parameter_sets);
        }
        self.formats = Some(formats);
    }

    /// Takes one picture, and judges it as the server does: by whether packets can be made of it.
    pub(super) fn video(&mut self, unit: AccessUnit) {
        let (received, timestamp) = (unit.received, unit.timestamp);
        self.arrived(received);
        let bytes: usize = unit.nals.iter().map(Bytes::len).sum();
        let moment = Moment { received, timestamp };
        let Some(packetizer) = &mut self.packetizer else { return };
        self.now = Some(received);
        let is_keyframe = packetizer.codec().is_keyframe(&unit.nals);
        let admitted = self.excess.admits_picture(&unit);
        match packetizer.packetize(unit) {
            _ if !admitted => self.watch.other(received, None),
            Ok(trains) if trains.first().is_some_and(|train| train.keyframe) => {
                self.watch.forwarded(received);
                self.keyframe(moment);
            }
            Ok(_) => self.watch.other(received, None),
            Err(error) => self.watch.other(received, is_keyframe.then(|| error.reason())),
        }
        self.pictures += 1;
        self.bytes += bytes as u64;
        self.first.get_or_insert(moment);
        // B pictures come behind others that are shown later.
        let newest = self.last.map_or(timestamp, |last| last.timestamp.max(timestamp));
        self.last = Some(Moment { received, timestamp: newest });
    }

    fn keyframe(&mut self, moment: Moment) {
        self.keyframes += 1;
        if let Some((last, _)) = self.last_keyframe {
            let seconds = self.seconds(last, moment);
            self.shortest = self.shortest.min(seconds);
            self.longest = self.longest.max(seconds);
        }
        self.first_keyframe.get_or_insert((moment, self.bytes));
        self.last_keyframe = Some((moment, self.bytes));
    }

    pub(super) fn audio(&mut self, frame: &AudioFrame) {
        self.sounds += 1;
        self.now = Some(frame.received);
        self.excess.admits_sound(frame);
        self.sound_bytes += frame.payload.len() as u64;
        if self.packetizer.is_none() {
            self.arrived(frame.received);
        }
        let first = self.sound.map_or(frame.received, |(first, _)| first);
        self.sound = Some((first, frame.received));
    }

    fn arrived(&mut self, received: Instant) {
        let gap = self.newest.map_or(Duration::ZERO, |newest| received.saturating_duration_since(newest));
        self.gap = self.gap.max(gap);
        self.newest = Some(received);
    }

    /// For how long nothing has come, if that is longer than this camera's own pauses.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        let silence = now.saturating_duration_since(self.newest?);
        (silence >= SILENCE && silence > self.gap * 3).then_some(silence)
    }

    pub(super) fn lost(&mut self, packets: u64) {
        self.lost += packets;
    }

    pub(super) fn damaged_keyframe(&mut self, received: Instant) {
        self.watch.damaged(received);
    }

    /// Sentences of the session about itself, in place of those before.
    pub(super) fn remark(&mut self, notes: &[String]) {
        self.remarks = notes.to_vec();
    }

    /// What is wrong with the session, in the server's words.
    pub(super) fn remarks(&self) -> Vec<String> {
        [&self.remarks[..], &self.excess.notes(self.now)].concat()
    }

    pub(super) fn restarted(&mut self) {
        self.restarts += 1;
        // What was newest by the old clock is no measure for the new one.
        self.last = None;
    }

    /// Whether more would tell nothing new.
    pub(super) fn is_enough(&self) -> bool {
        let Some(formats) = &self.formats else { return false };
        let sound = self.sound.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first));
        if formats.video.is_none() {
            return sound >= ENOUGH_SOUND;
        }
        let seen = match (self.first, self.last) {
            (Some(first), Some(last)) => last.received.saturating_duration_since(first.received),
            _ => Duration::ZERO,
        };
        let heard = formats.audio.is_none() || self.sounds > 0;
        self.keyframes >= ENOUGH_KEYFRAMES && seen >= ENOUGH_TIME && heard
    }

    /// Seconds between two moments: by the camera's clock, which knows no delays, if that agrees with ours.
    fn seconds(&self, from: Moment, to: Moment) -> f64 {
        let ours = to.received.saturating_duration_since(from.received).as_secs_f64();
        let theirs = to.timestamp.saturating_sub(from.timestamp) as f64 / 90_000.0;
        let credible = self.restarts == 0 && theirs >= ours / 2.0 && theirs <= ours * 2.0;
        if credible { theirs } else { ours }
    }

    /// What the session brings; `None` if none began.
    pub(super) fn formats(&self) -> Option<&Formats> {
        self.formats.as_ref()
    }

    pub(super) fn facts(&self) -> VideoFacts {
        self.packetizer.as_ref().map(VideoPacketizer::facts).unwrap_or_default()
    }

    /// The watch on its keyframes.
    pub(super) fn watch(&self) -> &Keyframes {
        &self.watch
    }

    pub(super) fn packets_lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    pub(super) fn pictures(&self) -> u64 {
        self.pictures
    }

    pub(super) fn keyframes(&self) -> u64 {
        self.keyframes
    }

    pub(super) fn sounds(&self) -> u64 {
        self.sounds
    }

    /// Pictures a second.
    pub(super) fn rate(&self) -> Option<f64> {
        let seconds = self.seconds(self.first?, self.last?);
        (seconds >= SHORTEST).then(|| (self.pictures - 1) as f64 / seconds)
    }

    /// Bits a second: of whole groups if there are any, for a keyframe more or less is much.
    pub(super) fn bits_per_second(&self) -> Option<f64> {
        let (bytes, seconds) = match (self.first_keyframe, self.last_keyframe) {
            (Some((from, before)), Some((to, all))) if self.keyframes > 1 => {
                (all - before, self.seconds(from, to))
            }
            _ => (self.bytes, self.seconds(self.first?, self.last?)),
        };
        (seconds >= SHORTEST).then(|| bytes as f64 * 8.0 / seconds)
    }

    /// From one keyframe to the next; `None` if there was no second one.
    pub(super) fn interval(&self) -> Option<Interval> {
        let ((first, _), (last, _)) = (self.first_keyframe?, self.last_keyframe?);
        let mean = self.seconds(first, last) / (self.keyframes - 1) as f64;
        (self.keyframes > 1).then_some(Interval { mean, shortest: self.shortest, longest: self.longest })
    }

    /// Seconds with pictures since the newest keyframe.
    pub(super) fn since_keyframe(&self) -> Option<f64> {
        let ((keyframe, _), last) = (self.last_keyframe?, self.last?);
        Some(last.received.saturating_duration_since(keyframe.received).as_secs_f64())
    }

    /// Bits of sound a second.
    pub(super) fn sound_bits_per_second(&self) -> Option<f64> {
        let (first, last) = self.sound?;
        let seconds = last.saturating_duration_since(first).as_secs_f64();
        (seconds >= SHORTEST).then(|| self.sound_bytes as f64 * 8.0 / seconds)
    }
}

#[cfg(test)]
#[path = "measure_tests.rs"]
pub(in crate::probe) mod tests;
