//! Cameras that mean well and are odd: they play.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sluice::source::rtsp::RtspSettings;
use sluice::stream::SourceState;
use tokio::net::UdpSocket;

use crate::server::{Request, SDP, SDP_PCMU, interleaved, player, request, server, up_to_play, write};
use crate::{
    IDR, PPS, PPS_NAL, Pull, SPS, SPS_NAL, Seen, impatient, log, over_udp, quick, types, with_login,
};

#[tokio::test]
async fn pictures_behind_a_request_and_a_stray_report_of_the_camera_arrive() {
    let options = b"OPTIONS rtsp://127.0.0.1/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n".to_vec();
    // A sender report whose SSRC is not the one of the packets.
    let report = [&[b'$', 1, 0, 28, 0x80, 200, 0, 6, 9, 9, 9, 9][..], &[0; 20]].concat();
    let url = player(SDP, [options, report, interleaved(1, 96, &[0x65, 0x88, 0x84])].concat()).await;
    let mut settings = quick(url);
    settings.rtsp.data_timeout = Duration::from_secs(20);
    let mut pull = Pull::start(settings);
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
    let packets = [SPS_NAL, PPS_NAL, b"\x65\x88"];
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

/// An interleaved packet of the video of another sender.
pub(crate) fn of(ssrc: u8, number: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![b'$', 0];
    packet.extend_from_slice(&((12 + payload.len()) as u16).to_be_bytes());
    packet.extend_from_slice(&[0x80, 0x80 | 96]);
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, ssrc]);
    packet.extend_from_slice(payload);
    packet
}

/// Pictures up to the one that ends in `last`, losses and restarts.
async fn until(pull: &mut Pull, last: u8) -> (Vec<u8>, u64, usize) {
    let (mut pictures, mut lost, mut restarts) = (Vec::new(), 0, 0);
    while pictures.last() != Some(&last) {
        pull.find("pictures", |seen| {
            match seen {
                Seen::Video(unit) => pictures.extend(unit.nals.last().and_then(|nal| nal.last())),
                Seen::Lost(packets) => lost += packets,
                Seen::Restarted => restarts += 1,
                Seen::State(SourceState::Waiting { error, .. }) => panic!("the session has ended: {error}"),
                _ => return None,
            }
            Some(())
        })
        .await;
    }
    (pictures, lost, restarts)
}

#[tokio::test]
async fn a_new_ssrc_with_each_group_is_a_restart_and_no_loss() {
    let group = |ssrc: u8| {
        let number = u16::from(ssrc) * 20_000;
        let at = u32::from(ssrc) * 9_000;
        [
            of(ssrc, number, at, &[0x65, 0x88, ssrc * 10]),
            of(ssrc, number + 1, at + 3_000, &[0x41, 0x9a, ssrc * 10 + 1]),
        ]
    };
    let (url, _) = server(move |stream| async move {
        // Behind the first there is no pause, so that the second may be somebody else's; the third need not wait.
        let [first, second, third] = [1, 2, 3].map(|ssrc| group(ssrc).concat());
        up_to_play(&stream, SDP, "1", &[first, second].concat()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        write(&stream, &third).await;
        while request(&stream).await.is_some() {}
    })
    .await;
    let mut pull = Pull::start(quick(url));
    assert_eq!(until(&mut pull, 31).await, (vec![10, 11, 20, 21, 30, 31], 0, 2));
    pull.stop().await;
}

#[tokio::test]
async fn rubbish_between_packets_costs_nothing_else() {
    let packets = (1..9)
        .flat_map(|n| [of(1, n.into(), n.into(), &[0x65, 0x88, n]), b"rubbish $ \x00\x13\x37".to_vec()]);
    let mut pull = Pull::start(quick(player(SDP, packets.flatten().collect()).await));
    assert_eq!(until(&mut pull, 8).await, ((1..9).collect(), 0, 0));
    pull.stop().await;
}

/// A camera that wants Digest with a nonce of its own for each request, closes behind the first refusal, answers with
/// odd lines and a wrong CSeq, and refuses the sound.
#[tokio::test]
async fn many_oddities_at_once() {
    let log = log();
    let sdp = SDP.replace("o=- 0 0 IN IP4 127.0.0.1", "o=- -1 x").replace("s=x", "s=\u{fffd}")
        + "m=audio 0 RTP/AVP 0\r\na=control:track2\r\n";
    let nonces = Arc::new(AtomicUsize::new(0));
    let (url, connections) = server(move |stream| {
        let (sdp, nonces) = (sdp.clone(), nonces.clone());
        async move {
            while let Some(Request { method, text, .. }) = request(&stream).await {
                let nonce = nonces.load(Ordering::Relaxed);
                if !text.contains(&format!("nonce=\"n{nonce}\"")) {
                    let nonce = nonces.fetch_add(1, Ordering::Relaxed) + 1;
                    let challenge =
                        format!("Basic realm=x\nWWW-Authenticate: Digest realm=\"x\", nonce=\"n{nonce}\"");
                    write(&stream, format!("RTSP/1.0 401\nWWW-Authenticate: {challenge}\n\n").as_bytes())
                        .await;
                    if nonce == 1 {
                        return;
                    }
                    continue;
                }
                nonces.fetch_add(1, Ordering::Relaxed);
                let answer = match method.as_str() {
                    "DESCRIBE" => {
                        format!("Content-Type: application/SDP;x\nContent-Length: {}\n\n{sdp}", sdp.len())
                    }
                    "SETUP" if text.contains("track2") => {
                        write(&stream, b"RTSP/1.0 461 canary-right\r\n\r\n").await;
                        continue;
                    }
                    "SETUP" => "Session: 9 ; timeout = 60\n \nTransport: RTP/AVP/TCP;unicast\n\n".to_owned(),
                    _ => "RTP-Info: nonsense\n\n".to_owned(),
                };
                write(&stream, format!("RTSP/1.0 200\nCSeq: 0\n{answer}").as_bytes()).await;
                if method == "PLAY" {
                    write(&stream, &of(1, 1, 1, &[0x65, 0x88, 1])).await;
                }
            }
        }
    })
    .await;
    let settings = with_login(quick(url), "viewer", "canary-right");
    let mut pull = Pull::start(RtspSettings { stream: "many-oddities".into(), ..settings });
    let (formats, _) = pull.begun().await;
    let note = "audio pcmu is left out: the camera refused it (RTSP/1.0 461 (password)";
    assert!(formats.notes.iter().any(|line| line.starts_with(note)), "{:?}", formats.notes);
    assert_eq!(until(&mut pull, 1).await.0, [1]);
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    pull.stop().await;
    assert!(!log.text().contains("canary"), "a password is in the log");
}

#[tokio::test]
async fn what_was_said_in_a_failed_attempt_is_in_the_log_without_secrets() {
    let log = log();
    let (url, _) = server(|stream| async move {
        while let Some(Request { text, .. }) = request(&stream).await {
            let challenge = "WWW-Authenticate: Digest realm=\"a realm\", nonce=\"1\"\r\n";
            let status =
                if text.contains("Authorization") { "404 canary-right has no such" } else { "401 Who" };
            write(&stream, format!("RTSP/1.0 {status}\r\n{challenge}\r\n").as_bytes()).await;
        }
    })
    .await;
    let mut url = url;
    url.set_path("/user=viewer_key=canary-path");
    url.set_query(Some("token=canary-token"));
    let mut pull = Pull::start(with_login(quick(url), "viewer", "canary-right"));
    let (error, _) = pull.waiting().await;
    assert!(error.contains("no such stream") && error.contains("(password) has no such"), "{error}");
    pull.stop().await;
    let log = log.text();
    for line in
        ["> DESCRIBE rtsp://127.0.0.1:", "> Authorization: ***", "< RTSP/1.0 401 Who", "realm=\"a realm\""]
    {
        assert!(log.contains(line), "{line} is not in the log");
    }
    assert!(!log.contains("canary"), "a secret is in the log");
}

/// RTP over UDP by hand: packets from other ports of the camera, out of order, and from somebody else.
#[tokio::test]
async fn udp_comes_from_the_camera_whatever_its_port_and_is_put_in_order() {
    let (url, _) = server(|stream| async move {
        let mut port = 0_u16;
        while let Some(Request { method, cseq, text, .. }) = request(&stream).await {
            let head = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n");
            let answer = match method.as_str() {
                "DESCRIBE" => format!("{head}Content-Length: {}\r\n\r\n{SDP}", SDP.len()),
                "SETUP" => {
                    let digits = text.split("client_port=").nth(1).and_then(|rest| rest.split('-').next());
                    port = digits.and_then(|digits| digits.parse().ok()).expect("a port");
                    // `source` is somebody else, who must not be sent anything either.
                    let transport = "RTP/AVP;unicast;source=127.0.0.2;server_port=0-1";
                    format!("{head}Session: 1\r\nTransport: {transport};client_port={port}\r\n\r\n")
                }
                _ => format!("{head}\r\n"),
            };
            write(&stream, answer.as_bytes()).await;
            if method == "PLAY" {
                let (ours, other) =
                    (UdpSocket::bind("127.0.0.1:0").await, UdpSocket::bind("127.0.0.2:0").await);
                let (ours, other) = (ours.expect("a port"), other.expect("a port"));
                for n in [1_u8, 2, 4, 3, 5] {
                    let packet = of(1, n.into(), n.into(), &[0x65, 0x88, n]);
                    let forged = of(1, n.into(), n.into(), &[0x65, 0x88, 99]);
                    other.send_to(&forged[4..], ("127.0.0.1", port)).await.expect("loopback");
                    ours.send_to(&packet[4..], ("127.0.0.1", port)).await.expect("loopback");
                }
            }
        }
    })
    .await;
    let mut pull = Pull::start(over_udp(impatient(url)));
    assert_eq!(until(&mut pull, 5).await, (vec![1, 2, 3, 4, 5], 0, 0));
    let (error, _) = pull.waiting().await;
    assert!(error.contains("packets came from 127.0.0.2"), "{error}");
    pull.stop().await;
}

#[tokio::test]
async fn packets_of_another_type_than_announced_are_named() {
    let packets = (1..=60).flat_map(|number| interleaved(number, 97, &[7; 160])).collect();
    let mut pull = Pull::start(quick(player(SDP_PCMU, packets).await));
    let notes =
        pull.find("a remark", |seen| if let Seen::Remarked(notes) = seen { Some(notes) } else { None }).await;
    assert!(
        notes.len() == 1 && notes[0].contains("payload type 97") && notes[0].contains("announces 0"),
        "{notes:?}"
    );
    pull.stop().await;
}

/// A marked packet of type 95 looks like a report.
#[tokio::test]
async fn a_payload_type_that_looks_like_a_report_is_the_tracks_where_it_is_announced() {
    const SDP_95: &str = "v=0\r\nm=video 0 RTP/AVP 95\r\na=rtpmap:95 H264/90000\r\na=control:track1\r\n";
    let packets = [interleaved(1, 95, &[0x65, 0x88]), interleaved(2, 95, &[0x41, 0x9a])].concat();
    let mut pull = Pull::start(quick(player(SDP_95, packets).await));
    assert_eq!(pull.video(2).await.len(), 2);
    pull.stop().await;
}
