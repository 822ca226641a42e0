//! The demo source: a clip inside the binary, played for ever. A shell: it waits for each frame's time.
//!
//! Owns the taking apart of the embedded assets (made by `demo/make_clip.py`, which documents them)
//! and their pace. Speaks to its stream as a camera does; nothing behind it knows the difference.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it waits and reads the clock")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use super::{AudioFormat, Formats, Sink, SourceState, VideoFormat};
use crate::track::{AccessUnit, AudioFrame, Codec, annex_b};

static VIDEO: &[u8] = include_bytes!("demo/clip.h264");
static AUDIO: &[u8] = include_bytes!("demo/clip.opus.bin");

/// Ticks of 90 kHz per picture: 30 pictures a second.
const FRAME_TICKS: i64 = 3_000;
/// Ticks of 48 kHz per audio packet: 20 ms.
const PACKET_TICKS: i64 = 960;
/// Time of one audio packet, the pace of the loop below.
const PACKET: Duration = Duration::from_millis(20);

/// Plays the clip until `stop` turns true.
pub async fn run(mut sink: impl Sink, mut stop: watch::Receiver<bool>) {
    let pictures = pictures();
    let packets = packets();
    sink.state(SourceState::Connecting);
    let formats = Formats {
        video: Some(VideoFormat {
            codec: Codec::H264,
            profile_level_id: Some([0x42, 0xc0, 0x1f]),
            size: Some((1280, 720)),
            frame_rate: Some(30.0),
        }),
        audio: Some(AudioFormat { codec: Codec::Opus, channels: 2 }),
        notes: Vec::new(),
    };
    sink.begin(formats, &[]);

    let began = Instant::now();
    let mut pictures = pictures.iter().cycle().zip(0..).peekable();
    for (packet, index) in packets.iter().cycle().zip(0i64..) {
        // From the start, not from the last wait: so lateness does not add up.
        let at = began + due(index);
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep_until(at.into()) => {}
        }
        let received = Instant::now();
        let timestamp = index * PACKET_TICKS;
        sink.audio(AudioFrame { payload: packet.clone(), timestamp, received });
        // 90 kHz is 15/8 of 48 kHz: every picture that begins before the next packet goes now.
        while let Some((picture, number)) =
            pictures.next_if(|(_, number)| number * FRAME_TICKS * 8 < (timestamp + PACKET_TICKS) * 15)
        {
            let (nals, timestamp) = (picture.clone(), number * FRAME_TICKS);
            sink.video(AccessUnit { nals, timestamp, received, after_gap: false });
        }
    }
}

/// When packet `index` goes, from the start on: 64 bits wide, for 32 of them last 994 days.
fn due(index: i64) -> Duration {
    Duration::from_nanos((PACKET.as_nanos() as u64).saturating_mul(index as u64))
}

/// The clip's pictures: 300, 30 a second, every 60th an IDR picture with its parameter sets.
pub(crate) fn pictures() -> Vec<Vec<Bytes>> {
    annex_b::pictures(&Bytes::from_static(VIDEO))
}

/// The clip's pictures as the file that they are: a byte stream (ITU-T H.264 Annex B).
pub(crate) fn byte_stream() -> &'static [u8] {
    VIDEO
}

/// The clip's Opus packets, 20 ms of stereo each. In the asset each stands behind its length, two bytes,
/// most significant first.
pub(crate) fn packets() -> Vec<Bytes> {
    let mut packets = Vec::new();
    let mut rest = AUDIO;
    while let Some((&[high, low], behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(behind.len());
        let (packet, next) = behind.split_at(length);
        packets.push(Bytes::from_static(packet));
        rest = next;
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_waits_for_its_time_however_long_the_demo_has_run() {
        assert_eq!(due(0), Duration::ZERO);
        assert_eq!(due(50), Duration::from_secs(1));
        // 994 days, and ten times as long.
        for index in [1 << 31, 1 << 32, 10 << 32] {
            assert_eq!(due(index) - due(index - 1), PACKET, "packet {index}");
        }
    }

    #[test]
    fn the_clip_is_ten_seconds_with_a_keyframe_every_two() {
        let pictures = pictures();
        assert_eq!(pictures.len(), 300);
        for (index, picture) in pictures.iter().enumerate() {
            let types: Vec<u8> = picture.iter().map(|nal| nal[0] & 0x1f).collect();
            assert_eq!(types.contains(&5), index % 60 == 0, "picture {index} has NAL types {types:?}");
            assert_eq!(types.starts_with(&[7, 8]), index % 60 == 0, "picture {index}: {types:?}");
        }
        let packets = packets();
        assert_eq!(packets.len(), 500);
        assert!(packets.iter().all(|packet| (3..1_200).contains(&packet.len())));
    }
}
