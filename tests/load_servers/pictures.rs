//! H.264 made up, in packets: enough for a viewer who checks everything but decodes nothing.

use std::time::{Duration, SystemTime};

use sluice_harness::sample::{PPS, SPS};
use sluice_load::cameras::send_time;
use sluice_media::VideoCodec;

/// Pictures from one keyframe to the next.
const GOP: u32 = 30;
/// Fragments of a keyframe and of other pictures.
const FRAGMENTS: (u32, u32) = (6, 3);

/// Packets of the first `pictures` pictures.
pub fn packets_of(pictures: u32) -> u64 {
    let keyframes = pictures.div_ceil(GOP);
    u64::from(keyframes * (1 + FRAGMENTS.0) + (pictures - keyframes) * (1 + FRAGMENTS.1))
}

/// RTP payloads of picture `number`: an aggregate with its send time, `old` before now, and its parameter sets;
/// then the slice in fragments. What the slice shows is `shown`.
pub fn payloads(number: u32, shown: u32, old: Duration) -> Vec<Vec<u8>> {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let sei = send_time::write(VideoCodec::H264, (since_1970 - old).as_nanos() as u64);
    let keyframe = number.is_multiple_of(GOP);
    let (sets, slice, fragments): (&[&[u8]], u8, u32) =
        if keyframe { (&[SPS, PPS], 5, FRAGMENTS.0) } else { (&[], 1, FRAGMENTS.1) };
    let mut aggregate = vec![0x78];
    for unit in [&[&sei[..]], sets].concat() {
        aggregate.extend((unit.len() as u16).to_be_bytes());
        aggregate.extend(unit);
    }
    let fragment = |index: u32| {
        let edges = u8::from(index == 0) << 7 | u8::from(index == fragments - 1) << 6;
        let mut payload = vec![0x7c, edges | slice];
        if index == 0 {
            // Its first bit says that the slice begins the picture (`first_mb_in_slice` 0).
            payload.push(0x88);
        }
        payload.extend(shown.to_be_bytes().repeat(100));
        payload
    };
    std::iter::once(aggregate).chain((0..fragments).map(fragment)).collect()
}
