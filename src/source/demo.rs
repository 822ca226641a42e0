//! The demo source: a clip inside the binary, played for ever. A shell: it waits for each frame's time.
//!
//! Owns the pace. Speaks to its stream as a camera does; nothing behind it knows the difference.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it waits and reads the clock")]

use std::pin::pin;
use std::time::{Duration, Instant};

use sluice_media::{AccessUnit, AudioCodec, AudioFrame, VideoCodec, clip};

use crate::stream::{AudioFormat, Formats, Sink, SourceState, VideoFormat};

/// Ticks of 90 kHz per picture: 30 pictures a second.
const FRAME_TICKS: i64 = 3_000;
/// Ticks of 48 kHz per audio packet: 20 ms.
const PACKET_TICKS: i64 = 960;
/// Time of one audio packet, the pace of the loop below.
const PACKET: Duration = Duration::from_millis(20);

/// Plays the clip until `stop` is done.
pub async fn run(mut sink: impl Sink, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let pictures = clip::pictures();
    let packets = clip::packets();
    sink.state(SourceState::Connecting);
    let formats = Formats {
        video: Some(VideoFormat {
            codec: VideoCodec::H264,
            profile_level_id: Some([0x42, 0xc0, 0x1f]),
            size: Some((1280, 720)),
            frame_rate: Some(30.0),
        }),
        audio: Some(AudioFormat::new(AudioCodec::Opus, 2)),
        ..Formats::default()
    };
    sink.begin(formats, &[]);

    let began = Instant::now();
    let mut pictures = pictures.iter().cycle().zip(0..).peekable();
    for (packet, index) in packets.iter().cycle().zip(0i64..) {
        // From the start, not from the last wait: so lateness does not add up.
        let at = began + due(index);
        tokio::select! {
            biased;
            () = &mut stop => return,
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
}
