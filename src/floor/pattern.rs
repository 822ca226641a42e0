//! What the floor sends when: the demo clip as trains, at their times, for one stream or many.
//!
//! Owns the schedule; it repeats without end. What shares a message, what is padded for that and what is spread
//! over time was decided beforehand, in virtual time, by the server's own [`FanOut`] at its default pace.
//! Never sends anything and never reads a clock.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_bench::floor::CLIP;
use sluice_config::Egress;
use sluice_load::cameras::send_time;
use sluice_media::{AccessUnit, AudioCodec, AudioFrame, Kind, VideoCodec, clip};

use crate::shard::{FanOut, Pacing};
use crate::track::{AudioPacketizer, Train, VideoPacketizer};

/// Time of one audio packet of the clip, and of one picture.
const PACKET: Duration = Duration::from_millis(20);
const PICTURES_PER_SECOND: u32 = 30;

/// The schedule of one repetition, in order of time.
#[derive(Debug)]
pub struct Pattern {
    /// What to send, oldest first.
    pub steps: Vec<Step>,
}

/// What becomes due at one moment for some destinations of one stream.
#[derive(Debug, Clone)]
pub struct Step {
    /// From the beginning of the repetition, less than [`CLIP`].
    pub at: Duration,
    /// Whose.
    pub stream: usize,
    /// To which of its destinations.
    pub places: Range<usize>,
    /// What, for each of them, and the bytes that go behind each train's last packet.
    pub trains: Arc<[(Arc<Train>, u8)]>,
    /// Bytes of that for one of them at the most.
    pub bytes: usize,
}

impl Pattern {
    /// The clip for `streams` streams with `viewers` destinations each, every stream begun a little later than the
    /// one before, so that their keyframes are spread as those of many cameras. Virtual time begins at `now`.
    pub fn new(streams: usize, viewers: usize, send_times: bool, now: Instant) -> Pattern {
        let clip = fanned_out(viewers, send_times, now);
        let mut steps: Vec<Step> = Vec::with_capacity(streams * clip.len());
        for stream in 0..streams {
            let later = CLIP * stream as u32 / streams as u32;
            steps.extend(clip.iter().map(|step| {
                let at = step.at + later;
                Step { at: if at < CLIP { at } else { at - CLIP }, stream, ..step.clone() }
            }));
        }
        steps.sort_by_key(|step| step.at);
        Pattern { steps }
    }
}

/// The clip as the demo source plays it, through the server's fan-out. Of two repetitions the second: the
/// first has no past.
fn fanned_out(viewers: usize, send_times: bool, now: Instant) -> Vec<Step> {
    let (mut video, mut audio) =
        (VideoPacketizer::new(VideoCodec::H264, 0), AudioPacketizer::new(AudioCodec::Opus, 0));
    let (pictures, packets) = (clip::pictures(), clip::packets());
    let mut pictures = pictures.iter().cycle().zip(0_u32..).peekable();
    let mut line = Line::new(viewers, now);
    // Every 20 ms a packet of sound, and the pictures that begin before the next one.
    for (payload, index) in packets.iter().cycle().zip(0_u32..packets.len() as u32 * 2) {
        let at = PACKET * index;
        line.run_until(at);
        let received = now + at;
        let frame = AudioFrame { payload: payload.clone(), timestamp: i64::from(index) * 960, received };
        line.push(at, audio.packetize(frame).expect("the clip's sound is sound, by its test"));
        let starts = |number: u32| Duration::from_secs(u64::from(number)) / PICTURES_PER_SECOND;
        while let Some((nals, number)) = pictures.next_if(|(_, number)| starts(*number) < at + PACKET) {
            let mut nals = nals.clone();
            if send_times {
                let slice = nals.iter().position(|nal| VideoCodec::H264.nal().role(nal).is_slice());
                // As long as a real one; what it says is not looked at.
                nals.insert(slice.unwrap_or(0), send_time::write(VideoCodec::H264, u64::MAX / 3));
            }
            let unit = AccessUnit { nals, timestamp: i64::from(number) * 3_000, received, after_gap: false };
            line.push(at, video.packetize(unit).expect("the clip's pictures are pictures, by its test"));
        }
    }
    line.run_until(CLIP * 2);
    let second = line.steps.into_iter().filter(|step| step.at >= CLIP);
    second.map(|step| Step { at: step.at - CLIP, ..step }).collect()
}

/// A fan-out in virtual time, and what it said.
struct Line {
    fan_out: FanOut,
    viewers: usize,
    began: Instant,
    at: Duration,
    steps: Vec<Step>,
}

impl Line {
    fn new(viewers: usize, began: Instant) -> Line {
        let fan_out = FanOut::new(Pacing::from(&Egress::default()));
        Line { fan_out, viewers, began, at: Duration::ZERO, steps: Vec::new() }
    }

    /// Trains that come in together. They take their turns once all that comes at that moment is in, as a
    /// shard empties its queue first.
    fn push(&mut self, at: Duration, trains: Vec<Arc<Train>>) {
        self.at = at;
        let (now, interval) = (self.began + at, Duration::from_secs(1) / PICTURES_PER_SECOND);
        for train in trains {
            match train.codec.kind() {
                Kind::Video => self.fan_out.push_picture(now, train, Some(interval)),
                Kind::Audio => self.fan_out.push_sound(now, train, true),
            }
        }
    }

    /// Takes every turn that is due before `end`.
    fn run_until(&mut self, end: Duration) {
        while let Some(due) = self.fan_out.due(self.began + self.at) {
            self.at = self.at.max(due.saturating_duration_since(self.began));
            if self.at >= end {
                return;
            }
            while let Some((place, job)) = self.fan_out.peek(self.began + self.at, self.viewers) {
                let first = job.trains().next().map(|(train, _)| train);
                // The same for the next destination at the same moment is the same step.
                let same = self.steps.last_mut().filter(|step| {
                    step.at == self.at
                        && step.places.end == place
                        && first.is_some_and(|first| Arc::ptr_eq(first, &step.trains[0].0))
                });
                match same {
                    Some(step) => step.places.end = place + 1,
                    None => self.steps.push(Step {
                        at: self.at,
                        stream: 0,
                        places: place..place + 1,
                        trains: job.trains().map(|(train, padding)| (train.clone(), padding)).collect(),
                        bytes: job.bytes,
                    }),
                }
                self.fan_out.advance(self.viewers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "an instant is needed to begin at")]

    use super::*;

    const VIEWERS: usize = 40;

    /// How many packets every destination of a stream gets, sound and pictures; all of them get the same.
    fn packets(pattern: &Pattern, stream: usize) -> (usize, usize) {
        let mut each = vec![(0, 0); VIEWERS];
        for step in pattern.steps.iter().filter(|step| step.stream == stream) {
            for (train, _) in step.trains.iter() {
                for (sound, pictures) in &mut each[step.places.clone()] {
                    match train.codec.kind() {
                        Kind::Audio => *sound += train.packets.len(),
                        Kind::Video => *pictures += train.packets.len(),
                    }
                }
            }
        }
        let few = each.iter().min().expect("some");
        let many = each.iter().max().expect("some");
        // A picture in portions may be cut by the end of the clip.
        assert!(many.1 - few.1 <= 16, "{few:?} to {many:?}");
        *many
    }

    #[test]
    fn every_destination_gets_all_of_the_clip_in_order_of_time() {
        let pattern = Pattern::new(1, VIEWERS, false, Instant::now());
        assert!(pattern.steps.is_sorted_by_key(|step| step.at));
        assert!(pattern.steps.iter().all(|step| step.at < CLIP && step.places.end <= VIEWERS));
        // What viewers of the demo get: 50 packets of sound a second, and 132 of video (docs/PERFORMANCE.md).
        let (sound, pictures) = packets(&pattern, 0);
        assert!((499..=501).contains(&sound), "{sound} packets of sound in 10 s");
        assert!((1_250..1_450).contains(&pictures), "{pictures} packets of video in 10 s");
    }

    #[test]
    fn sound_shares_messages_and_keyframes_are_spread_as_the_server_does() {
        let pattern = Pattern::new(1, VIEWERS, false, Instant::now());
        let shared = pattern.steps.iter().filter(|step| {
            step.trains.len() > 1 && step.trains[0].0.codec.kind() == Kind::Video && step.trains[0].1 > 0
        });
        assert!(shared.count() > 100, "pictures padded for the sound behind them");
        let portions =
            pattern.steps.iter().filter(|step| !(step.places.start == 0 && step.places.end == VIEWERS));
        assert!(portions.count() > 20, "portions of keyframes");
    }

    #[test]
    fn streams_send_the_same_and_their_keyframes_are_spread() {
        let pattern = Pattern::new(64, VIEWERS, true, Instant::now());
        assert!(pattern.steps.is_sorted_by_key(|step| step.at));
        assert!(pattern.steps.iter().all(|step| step.at < CLIP));
        assert_eq!(packets(&pattern, 0), packets(&pattern, 63), "whatever the phase");
        let mut moments: Vec<u128> = pattern
            .steps
            .iter()
            .filter(|step| {
                step.trains.iter().any(|(train, _)| train.codec.kind() == Kind::Video && train.keyframe)
            })
            .map(|step| step.at.as_millis())
            .collect();
        moments.dedup();
        // 5 keyframes of each of 64 streams in 10 s: one every 31 ms, not 64 at a time.
        assert!(moments.len() > 300, "keyframes at {} different moments", moments.len());
    }

    #[test]
    fn send_times_cost_a_packet_a_picture() {
        let count = |send_times| packets(&Pattern::new(1, VIEWERS, send_times, Instant::now()), 0).1;
        // In keyframes it shares a packet with the parameter sets or stands alone.
        let more = count(true) - count(false);
        assert!((290..=305).contains(&more), "{more} packets more for 300 pictures");
    }
}
