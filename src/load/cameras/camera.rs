//! One camera: its place in the clip, its clock, and the units of media that it sends to all its clients.
//!
//! Owns what is due when, and with which timestamp. Never reads a clock and never knows a client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_media::nal::Role;
use sluice_media::{Packets, VideoCodec};

use super::clip::Clip;
use super::faults::Faults;
use super::send_time;

/// A ticker that is this much behind was stopped or starved. It leaves out what it missed, as a camera
/// would, because a burst of old pictures is something that no camera sends.
const TOO_LATE: Duration = Duration::from_secs(1);

/// The payload type of video, a dynamic one.
const VIDEO_PAYLOAD_TYPE: u8 = 96;

/// The tracks of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

impl Track {
    /// All, in the order of the session description.
    pub const ALL: [Track; 2] = [Track::Video, Track::Audio];

    /// Its place in arrays.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name in URLs (`a=control`).
    pub fn control(self) -> &'static str {
        ["track1", "track2"][self.index()]
    }
}

/// A picture or a packet of sound, ready for every client.
#[derive(Debug)]
pub struct Unit {
    /// What it is of.
    pub track: Track,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// Whether a client can start with it.
    pub keyframe: bool,
    /// Payloads of its RTP packets.
    pub payloads: Packets,
}

/// What never changes of a camera.
#[derive(Debug)]
pub struct Camera {
    /// Its path: `cam1`, or `cam1-sub` of a pair's second stream.
    pub name: String,
    /// What it shows.
    pub clip: Arc<Clip>,
    /// What it does wrong.
    pub faults: Faults,
    /// Whether pictures say when they were sent.
    pub send_times: bool,
    /// When its first unit is due.
    began: Instant,
    /// Index of its first picture in the clip.
    start: usize,
    /// The timestamps of its first units.
    first_timestamps: [u32; 2],
}

impl Camera {
    /// The stream of camera `index`, from 0, of `count`, with `suffix` behind its name. They begin at `now`, each at its own moment within the first
    /// picture's time. `random` is where its timestamps begin.
    pub fn new(
        (index, count, suffix): (usize, usize, &str),
        clip: Arc<Clip>,
        faults: &Faults,
        send_times: bool,
        now: Instant,
        random: [u32; 2],
    ) -> Camera {
        let phase = Duration::from_secs_f64(index as f64 / count.max(1) as f64 / clip.fps);
        Camera {
            name: format!("cam{}{suffix}", index + 1),
            faults: faults.of(index),
            send_times,
            began: now + phase,
            start: clip.start(index, count),
            clip,
            first_timestamps: random,
        }
    }

    /// Its tracks.
    pub fn tracks(&self) -> impl Iterator<Item = Track> {
        let silent = self.clip.sound.is_none();
        Track::ALL.into_iter().filter(move |track| !(silent && *track == Track::Audio))
    }

    /// The payload type of a track.
    pub fn payload_type(&self, track: Track) -> u8 {
        match (track, &self.clip.sound) {
            (Track::Audio, Some(sound)) => sound.payload_type,
            _ => VIDEO_PAYLOAD_TYPE,
        }
    }

    /// Ticks a second of a track's timestamps.
    fn clock_rate(&self, track: Track) -> u32 {
        match (track, &self.clip.sound) {
            (Track::Audio, Some(sound)) => sound.clock_rate,
            _ => VideoCodec::CLOCK_RATE,
        }
    }

    /// RTP timestamp of a track at a time.
    pub fn timestamp(&self, track: Track, at: Instant) -> u32 {
        self.timestamp_after(track, at.saturating_duration_since(self.began))
    }

    fn timestamp_after(&self, track: Track, elapsed: Duration) -> u32 {
        let time = self.faults.drifted(elapsed) + self.faults.ahead(elapsed);
        // Rounded, so that pictures step by whole ticks where their rate allows it. Wraps, as it must.
        let ticks = (time.as_nanos() * u128::from(self.clock_rate(track)) + 500_000_000) / 1_000_000_000;
        self.first_timestamps[track.index()].wrapping_add(ticks as u32)
    }

    /// From the beginning to unit `number` of a track. Computed each time, so that nothing adds up.
    fn elapsed(&self, track: Track, number: u64) -> Duration {
        match track {
            Track::Video => Duration::from_nanos((number as f64 * 1e9 / self.clip.fps) as u64),
            Track::Audio => self.clip.sound.as_ref().map_or(Duration::MAX, |sound| sound.elapsed(number)),
        }
    }

    /// Makes unit `due`, of which pictures say that they are sent at `realtime_nanos`.
    pub fn unit(&self, due: Due, realtime_nanos: u64) -> Unit {
        let Due { track, number, .. } = due;
        let timestamp = self.timestamp_after(track, self.elapsed(track, number));
        match track {
            Track::Video => {
                let at = (self.start as u64 + number) % self.clip.pictures.len() as u64;
                let nals = &self.clip.pictures[at as usize];
                let codec = self.clip.codec;
                let keyframe = codec.is_keyframe(nals);
                let mut nals = nals.clone();
                if !self.faults.sets_in_stream() {
                    nals.retain(|nal| !matches!(codec.nal().role(nal), Role::Set(_)));
                }
                if self.send_times {
                    let slice = nals.iter().position(|nal| codec.nal().role(nal).is_slice());
                    nals.insert(slice.unwrap_or(0), send_time::write(codec, realtime_nanos));
                }
                let nals: Vec<&[u8]> = nals.iter().map(|nal| &nal[..]).collect();
                let payloads = codec.payloads(&nals, self.faults.max_payload());
                Unit { track, timestamp, keyframe, payloads }
            }
            Track::Audio => {
                // Where the picture is, to the nearest packet.
                let start = Duration::from_secs_f64(self.start as f64 / self.clip.fps);
                let packet = self.clip.sound.as_ref().and_then(|sound| {
                    let at = (sound.at(start) + number) % sound.payloads.len().max(1) as u64;
                    sound.payloads.get(at as usize)
                });
                let payloads = packet.into_iter().collect();
                Unit { track, timestamp, keyframe: true, payloads }
            }
        }
    }
}

/// A unit whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Of which track.
    pub track: Track,
    /// How many were before it.
    pub number: u64,
    /// By how much it is late.
    pub late: Duration,
}

/// Says which unit of a camera is next.
#[derive(Debug)]
pub struct Ticker {
    camera: Arc<Camera>,
    next: [u64; 2],
    skipped: u64,
}

impl Ticker {
    /// Begins at the camera's beginning.
    pub fn new(camera: Arc<Camera>) -> Ticker {
        Ticker { camera, next: [0; 2], skipped: 0 }
    }

    /// When the next unit is due.
    pub fn deadline(&self) -> Instant {
        self.camera.began + self.first().1
    }

    /// The next unit, if it is due at `now`.
    pub fn poll(&mut self, now: Instant) -> Option<Due> {
        let elapsed = now.checked_duration_since(self.camera.began)?;
        loop {
            let (track, due) = self.first();
            let late = elapsed.checked_sub(due)?;
            let number = self.next[track.index()];
            self.next[track.index()] += 1;
            if late < TOO_LATE {
                return Some(Due { track, number, late });
            }
            self.skipped += 1;
        }
    }

    /// How many units were left out since the last call.
    pub fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    fn first(&self) -> (Track, Duration) {
        let camera = &self.camera;
        let due = camera.tracks().map(|track| (track, camera.elapsed(track, self.next[track.index()])));
        due.min_by_key(|(_, elapsed)| *elapsed).unwrap_or((Track::Video, Duration::ZERO))
    }
}

#[cfg(test)]
#[path = "camera_tests.rs"]
mod tests;
