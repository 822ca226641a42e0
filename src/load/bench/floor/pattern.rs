//! What the floor sends when: the demo clip as trains, at their times, for one stream or many.
//!
//! Owns the schedule; it repeats without end. Never sends anything and never reads a clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::load::cameras::send_time;
use crate::source::demo;
use crate::track::{AccessUnit, AudioFrame, AudioPacketizer, Codec, Train, VideoPacketizer};

/// Time of one audio packet of the clip, and of one picture.
const PACKET: Duration = Duration::from_millis(20);
const PICTURES_PER_SECOND: u32 = 30;

/// Time between two pictures of the clip.
pub const PICTURE: Duration = Duration::from_nanos(1_000_000_000 / PICTURES_PER_SECOND as u64);

/// `nal_unit_type` of the slices of a picture.
const SLICES: std::ops::RangeInclusive<u8> = 1..=5;

/// The schedule of one repetition, in order of time.
#[derive(Debug)]
pub struct Pattern {
    /// How long a repetition is.
    pub period: Duration,
    /// What to send, oldest first.
    pub steps: Vec<Step>,
}

/// Trains of one stream that become ready together.
#[derive(Debug, Clone)]
pub struct Step {
    /// From the beginning of the repetition.
    pub at: Duration,
    /// Whose.
    pub stream: usize,
    /// What.
    pub trains: Arc<[Arc<Train>]>,
}

impl Pattern {
    /// The clip for `streams` streams, each begun a little later than the one before, so that their keyframes
    /// are spread as those of many cameras. `now` stands for the time of arrival, which is not looked at.
    pub fn new(streams: usize, send_times: bool, now: Instant) -> Pattern {
        let (period, clip) = clip(send_times, now);
        let mut steps = Vec::with_capacity(streams * clip.len());
        for stream in 0..streams {
            let later = period * stream as u32 / streams as u32;
            steps.extend(clip.iter().map(|(at, trains)| {
                let at = *at + later;
                let at = if at < period { at } else { at - period };
                Step { at, stream, trains: trains.clone() }
            }));
        }
        steps.sort_by_key(|step| step.at);
        Pattern { period, steps }
    }
}

type Timed = Vec<(Duration, Arc<[Arc<Train>]>)>;

/// The clip as the demo source plays it: every 20 ms a packet of sound, and the pictures that begin before
/// the next one.
fn clip(send_times: bool, now: Instant) -> (Duration, Timed) {
    let (mut video, mut audio) = (VideoPacketizer::new(0), AudioPacketizer::new(Codec::Opus, 0));
    let (pictures, packets) = (demo::pictures(), demo::packets());
    let mut pictures = pictures.into_iter().zip(0_u32..).peekable();
    let mut timed = Vec::with_capacity(packets.len() * 2);
    let mut add = |at: Duration, trains: Vec<Arc<Train>>| timed.push((at, trains.into()));
    for (payload, index) in packets.iter().zip(0_u32..) {
        let at = PACKET * index;
        let frame = AudioFrame { payload: payload.clone(), timestamp: i64::from(index) * 960, received: now };
        add(at, audio.packetize(frame).expect("the clip's sound is sound, by its test"));
        let starts = |number: u32| Duration::from_secs(u64::from(number)) / PICTURES_PER_SECOND;
        while let Some((mut nals, number)) = pictures.next_if(|(_, number)| starts(*number) < at + PACKET) {
            if send_times {
                let slice = nals.iter().position(|nal| SLICES.contains(&(nal[0] & 0x1f)));
                // As long as a real one; what it says is not looked at.
                nals.insert(slice.unwrap_or(0), send_time::write(u64::MAX / 3));
            }
            let unit = AccessUnit { nals, timestamp: i64::from(number) * 3_000, received: now };
            add(at, video.packetize(unit).expect("the clip's pictures are pictures, by its test"));
        }
    }
    (PACKET * packets.len() as u32, timed)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "an instant is needed and not looked at")]

    use super::*;

    fn packets(pattern: &Pattern, stream: usize) -> Vec<Vec<usize>> {
        let steps = pattern.steps.iter().filter(|step| step.stream == stream);
        steps
            .flat_map(|step| step.trains.iter().map(|train| train.packets.iter().map(|p| p.len()).collect()))
            .collect()
    }

    #[test]
    fn a_stream_is_all_of_the_clip_in_order_of_time() {
        let pattern = Pattern::new(1, false, Instant::now());
        assert_eq!(pattern.period, super::super::CLIP);
        assert!(pattern.steps.is_sorted_by_key(|step| step.at));
        let trains: Vec<&Train> =
            pattern.steps.iter().flat_map(|step| step.trains.iter().map(|train| &**train)).collect();
        let (sound, pictures): (Vec<&Train>, Vec<&Train>) =
            trains.into_iter().partition(|train| train.codec == Codec::Opus);
        assert_eq!(sound.len(), 500);
        assert_eq!(pictures.iter().filter(|train| train.ends_frame).count(), 300);
        assert_eq!(pictures.iter().filter(|train| train.keyframe).count(), 5);
        // What viewers of the demo get: 50 packets of sound a second, and 132 of video (docs/PERFORMANCE.md).
        let video: usize = pictures.iter().map(|train| train.packets.len()).sum();
        assert!((1_250..1_450).contains(&video), "{video} packets of video in 10 s");
    }

    #[test]
    fn streams_send_the_same_and_their_keyframes_are_spread() {
        let pattern = Pattern::new(64, true, Instant::now());
        assert!(pattern.steps.is_sorted_by_key(|step| step.at));
        assert!(pattern.steps.iter().all(|step| step.at < pattern.period));
        let (mut first, mut last) = (packets(&pattern, 0), packets(&pattern, 63));
        first.sort();
        last.sort();
        assert_eq!(first, last, "whatever the phase");
        let mut phases: Vec<u128> = pattern
            .steps
            .iter()
            .filter(|step| step.trains.iter().any(|train| train.codec == Codec::H264 && train.keyframe))
            .map(|step| step.at.as_micros() / 1_000)
            .collect();
        phases.dedup();
        // 5 keyframes of each of 64 streams in 10 s: one every 31 ms, not 64 at a time.
        assert!(phases.len() > 300, "keyframes at {} different moments", phases.len());
    }

    #[test]
    fn send_times_cost_a_packet_a_picture() {
        let count = |send_times| {
            let pattern = Pattern::new(1, send_times, Instant::now());
            packets(&pattern, 0).iter().map(Vec::len).sum::<usize>()
        };
        // In keyframes it shares a packet with the parameter sets or stands alone.
        let more = count(true) - count(false);
        assert!((295..=300).contains(&more), "{more} packets more for 300 pictures");
    }
}
