//! Cameras that mean well and are odd: they play.

use std::time::Duration;

use bytes::Bytes;
use sluice::source::rtsp::RtspSettings;

use crate::server::{SDP, SDP_PCMU, interleaved, player};
use crate::{IDR, PPS, Pull, SPS, Seen, quick, types};

#[tokio::test]
async fn pictures_behind_a_request_and_a_stray_report_of_the_camera_arrive() {
    let options = b"OPTIONS rtsp://127.0.0.1/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n".to_vec();
    // A sender report whose SSRC is not the one of the packets.
    let report = [&[b'$', 1, 0, 28, 0x80, 200, 0, 6, 9, 9, 9, 9][..], &[0; 20]].concat();
    let url = player(SDP, [options, report, interleaved(1, 96, &[0x65, 0x88, 0x84])].concat()).await;
    let mut pull = Pull::start(RtspSettings { data_timeout: Duration::from_secs(20), ..quick(url) });
    pull.begun().await;
    assert_eq!(pull.video(1).await[0].nals, [&[0x65, 0x88, 0x84][..]]);
    pull.stop().await;
}

#[tokio::test]
async fn lost_packets_are_counted_and_the_picture_behind_them_says_so() {
    let packets = [interleaved(1, 96, &[0x65, 0x88]), interleaved(4, 96, &[0x41, 0x9a])].concat();
    let mut pull = Pull::start(quick(player(SDP, packets).await));
    let first = pull.video(1).await.remove(0);
    assert_eq!((&first.nals[..], first.after_gap), (&[Bytes::from_static(&[0x65, 0x88])][..], false));
    let lost =
        pull.find("a loss", |seen| if let Seen::Lost(packets) = seen { Some(packets) } else { None }).await;
    assert_eq!(lost, 2);
    let second = pull.video(1).await.remove(0);
    assert_eq!((&second.nals[..], second.after_gap), (&[Bytes::from_static(&[0x41, 0x9a])][..], true));
    pull.stop().await;
}

#[tokio::test]
async fn parameter_sets_that_come_with_the_stream_stay_with_their_picture() {
    let sps = b"\x67\x42\xc0\x1f\xd9\x00\x50\x05\xbb\x01\x6a\x02\x02\x02\x80\x00\x00\x03\x00\x80\
        \x00\x00\x1e\x47\x8c\x19\x24";
    let packets = [&sps[..], b"\x68\xcb\x8c\xb2", b"\x65\x88"];
    let packets = (1..).zip(packets).flat_map(|(n, nal)| interleaved(n, 96, nal)).collect();
    let mut pull = Pull::start(quick(player(SDP, packets).await));
    assert_eq!(types(&pull.video(1).await[0]), [SPS, PPS, IDR]);
    pull.stop().await;
}

#[tokio::test]
async fn long_g711_packets_go_on_whole() {
    let mut pull = Pull::start(quick(player(SDP_PCMU, interleaved(1, 0, &[7; 3_000])).await));
    let frame = pull.audio(1).await.remove(0);
    assert_eq!((frame.payload.len(), frame.timestamp), (3_000, 1), "they are cut where packets are made");
    pull.stop().await;
}
