//! Sound of a stream that browsers do not take: turned into Opus while somebody watches.
//!
//! Owns what waits to be turned, its bound, and that one thread at a time is at it. What is made goes the way of all
//! sound: into the track's packetizer, and to the shards.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use sluice_media::{AudioCodec, AudioFrame, Foreign};
use sluice_sound::{Packet, Transcoder};

use super::pool::Job;
use super::sound::{AudioTrack, publish};
use super::told;
use super::{Layer, Stream};
use crate::contain::lock;

/// Units that wait at the most: 1.4 s of 48 kHz. More bridge longer waits for a core, which are heard anyway.
const WAITING_MAX: usize = 64;

/// The sound of one session of a source, on its way to Opus.
pub(super) struct Transcoding(Arc<Turning>);

struct Turning {
    stream: Arc<Stream>,
    layer: Arc<Layer>,
    /// What that is called in the log.
    title: String,
    sound: Foreign,
    /// Of the source's timestamps, in Hz.
    clock_rate: u32,
    track: AudioTrack,
    waiting: Mutex<Waiting>,
    work: Mutex<Work>,
    /// The session is over: what is left of it must not come behind the next one's.
    over: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<AudioFrame>,
    /// A thread has them, or will.
    given: bool,
}

#[derive(Default)]
struct Work {
    transcoder: Option<Transcoder>,
    /// When trouble was told last.
    told: Option<Instant>,
}

impl Transcoding {
    /// Of sound whose timestamps have `clock_rate`, into `track`.
    pub(super) fn new(
        (stream, layer, title): (Arc<Stream>, Arc<Layer>, String),
        track: AudioTrack,
        sound: Foreign,
        clock_rate: u32,
    ) -> Transcoding {
        Transcoding(Arc::new(Turning {
            stream,
            layer,
            title,
            sound,
            clock_rate,
            track,
            waiting: Mutex::default(),
            work: Mutex::default(),
            over: AtomicBool::new(false),
        }))
    }

    /// Takes the next unit. Never waits: where nobody watches, another layer is heard, or too much waits already, it is
    /// dropped.
    pub(super) fn push(&self, frame: AudioFrame) {
        let Transcoding(turning) = self;
        let mut waiting = lock(&turning.waiting);
        let is_heard = turning.stream.hears(turning.layer.id.number, AudioCodec::Opus);
        if turning.stream.viewers.load(Ordering::Relaxed) == 0 || !is_heard {
            waiting.frames.clear();
            // Whoever comes next begins anew; until then its memory is free.
            if let Ok(mut work) = turning.work.try_lock() {
                work.transcoder = None;
            }
            return;
        }
        if waiting.frames.len() == WAITING_MAX {
            turning.layer.counters.sound_discarded.add_shared(1);
            return;
        }
        waiting.frames.push_back(frame);
        if !std::mem::replace(&mut waiting.given, true) {
            turning.stream.pool.give(turning.clone());
        }
    }
}

impl Drop for Transcoding {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
        // Whoever turns a unit now is done with it behind this.
        drop(lock(&self.0.work));
    }
}

impl Job for Turning {
    fn run(&self) {
        let mut work = lock(&self.work);
        loop {
            let frame = {
                let mut waiting = lock(&self.waiting);
                let Some(frame) = waiting.frames.pop_front() else {
                    waiting.given = false;
                    return;
                };
                frame
            };
            if !self.over.load(Ordering::Relaxed) {
                self.turn(&mut work, &frame);
            }
        }
    }

    fn failed(&self) {
        self.layer.counters.sound_discarded.add_shared(1);
        // Its state is not to be trusted; the next unit begins anew.
        lock(&self.work).transcoder = None;
        self.work.clear_poison();
        let mut waiting = lock(&self.waiting);
        waiting.frames.clear();
        waiting.given = false;
    }
}

/// A timestamp of sound with `clock_rate` by the clock of Opus.
pub(super) fn opus_timestamp(timestamp: i64, clock_rate: u32) -> i64 {
    let ticks = i128::from(timestamp) * i128::from(AudioCodec::Opus.clock_rate());
    (ticks / i128::from(clock_rate.max(1))) as i64
}

impl Turning {
    fn turn(&self, work: &mut Work, frame: &AudioFrame) {
        let mut packets: Vec<Packet> = Vec::new();
        let timestamp = opus_timestamp(frame.timestamp, self.clock_rate);
        let transcoder = match &mut work.transcoder {
            Some(transcoder) => transcoder,
            none => match Transcoder::new(self.sound) {
                Ok(transcoder) => none.insert(transcoder),
                Err(error) => return self.trouble(&mut work.told, frame.received, &error.to_string()),
            },
        };
        if let Err(error) = transcoder.push(&frame.payload, timestamp, &mut packets) {
            return self.trouble(&mut work.told, frame.received, &error.to_string());
        }
        self.layer.counters.sound_transcoded.add_shared(1);
        for Packet { payload, timestamp } in packets {
            let made = AudioFrame { payload, timestamp, received: frame.received };
            if let Err(error) = publish(&self.stream, &self.layer, &self.track, made) {
                self.trouble(&mut work.told, frame.received, &error.to_string());
            }
        }
    }

    /// Counts a unit that gives no sound, and tells of it once in a while.
    fn trouble(&self, told: &mut Option<Instant>, now: Instant, error: &str) {
        self.layer.counters.sound_discarded.add_shared(1);
        let recently = |at: Instant| now.saturating_duration_since(at) < told::INTERVAL;
        if !told.is_some_and(recently) {
            *told = Some(now);
            let (stream, sound) = (&self.title, self.sound.to_string());
            let discarded = self.layer.counters.sound_discarded.get();
            tracing::warn!(stream, sound, discarded, error, "sound cannot be turned into Opus");
        }
    }
}

#[cfg(test)]
#[path = "transcode_tests.rs"]
mod tests;
