//! Servers that mean harm or are broken: each is a readable error in time, and never holds up the end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;
use url::Url;

use crate::server::{Request, SDP, interleaved, player, request, server, up_to_play, write};
use crate::{Pull, impatient, with_login};

/// Expects an attempt on `url` to fail with a sentence that has `wanted` in it, twice, and the source to stop
/// in time.
async fn expect_failure(url: Url, wanted: &str) {
    let address = format!("camera {}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or_default());
    let mut pull = Pull::start(with_login(impatient(url), "admin", "s3cret"));
    for _ in 0..2 {
        let (error, _) = pull.waiting().await;
        assert!(error.contains(wanted), "{error:?} does not say {wanted:?}");
        assert!(error.starts_with(&address) && error.len() < 500 && !error.contains('\n'), "{error:?}");
        assert!(!error.contains("s3cret"), "{error:?}");
    }
    pull.stop().await;
}

#[tokio::test]
async fn a_server_that_never_answers() {
    let (url, _) = server(|stream| async move { while request(&stream).await.is_some() {} }).await;
    expect_failure(url, "did not answer DESCRIBE within 1 s").await;
}

#[tokio::test]
async fn a_server_that_dribbles() {
    let (url, _) = server(|stream| async move {
        write(&stream, b"RTSP/1.0 200 OK\r\nX-Long: ").await;
        for _ in 0..100 {
            write(&stream, b"x").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    expect_failure(url, "did not answer DESCRIBE within 1 s").await;
}

#[tokio::test]
async fn a_server_that_announces_two_gigabytes() {
    let (url, _) = server(|stream| async move {
        let Some(Request { cseq, .. }) = request(&stream).await else { return };
        let head = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\n");
        write(&stream, format!("{head}Content-Length: 2000000000\r\n\r\n").as_bytes()).await;
        write(&stream, &[b'x'; 100_000]).await;
        while request(&stream).await.is_some() {}
    })
    .await;
    expect_failure(url, "an answer of more than 262144 bytes, no camera does").await;
}

#[tokio::test]
async fn a_server_that_closes_at_once() {
    let (url, _) = server(|stream| async move { drop(stream) }).await;
    expect_failure(url, "closed the connection instead of answering ").await;
}

#[tokio::test]
async fn a_server_that_speaks_something_else() {
    let (url, _) = server(|stream| async move {
        request(&stream).await;
        write(&stream, &[0xf7, 0, 1, 0xff, b'\n', 0x1b, b'[', b'2', b'J'].repeat(100)).await;
        while request(&stream).await.is_some() {}
    })
    .await;
    expect_failure(url, "is the port right?").await;
}

#[tokio::test]
async fn a_server_that_says_the_password() {
    let (url, _) = server(|stream| async move {
        request(&stream).await;
        write(&stream, b"RTSP/1.0 404 s3cret\r\nCSeq: 77\r\n\r\n").await;
        while request(&stream).await.is_some() {}
    })
    .await;
    expect_failure(url, "refused DESCRIBE: it has no such stream").await;
}

#[tokio::test]
async fn a_server_that_never_is_content_with_the_password() {
    let (url, connections) = server(|stream| async move {
        while let Some(Request { cseq, .. }) = request(&stream).await {
            let challenge = "WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\n";
            write(
                &stream,
                format!("RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n{challenge}\r\n").as_bytes(),
            )
            .await;
        }
    })
    .await;
    expect_failure(url.clone(), "check user and password").await;

    let before = connections.load(Ordering::Relaxed);
    let mut settings = with_login(impatient(url), "admin", "s3cret");
    settings.rtsp.reconnect_max = Duration::from_secs(20);
    let mut pull = Pull::start(settings);
    let (_, retry_in) = pull.waiting().await;
    assert!(retry_in >= Duration::from_secs(10), "asking often locks the user out: {retry_in:?}");
    assert_eq!(connections.load(Ordering::Relaxed) - before, 1);
    pull.stop().await;
}

#[tokio::test]
async fn a_server_that_hangs_in_setup() {
    let (url, _) = server(|stream| async move {
        let Some(Request { cseq, .. }) = request(&stream).await else { return };
        let head = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\n");
        write(&stream, format!("{head}Content-Length: {}\r\n\r\n{SDP}", SDP.len()).as_bytes()).await;
        while request(&stream).await.is_some() {}
    })
    .await;
    expect_failure(url, "did not answer SETUP within 1 s").await;
}

#[tokio::test]
async fn a_server_that_closes_after_play() {
    let (url, _) = server(|stream| async move { up_to_play(&stream, SDP, "1", b"").await }).await;
    expect_failure(url, "closed the connection").await;
}

#[tokio::test]
async fn a_server_that_resets_after_play() {
    let (url, _) = server(|stream| async move {
        up_to_play(&stream, SDP, "1", b"").await;
        stream.set_zero_linger().expect("the socket is open");
    })
    .await;
    expect_failure(url, "broke the connection").await;
}

#[tokio::test]
async fn a_server_that_sends_no_h264_after_play() {
    let interleaved_mode = (0..100).flat_map(|n| interleaved(n, 96, &[0x7d, n, n])).collect();
    expect_failure(player(SDP, interleaved_mode).await, "not what its session description announced").await;
}

#[tokio::test]
async fn a_server_that_sends_another_payload_type() {
    // Comfort noise (RFC 3389): a level in one byte.
    let noise = (0..100).flat_map(|n| interleaved(n, 13, &[n & 0x1f])).collect();
    expect_failure(player(SDP, noise).await, "not what its session description announced").await;
}

/// What is poured without end, of each kind, costs a bounded amount and a sentence.
#[tokio::test]
async fn servers_that_pour() {
    let ok = "RTSP/1.0 200 OK\r\nCSeq: 1\r\n";
    let description = format!("{ok}Content-Type: application/sdp\r\n");
    for (start, poured, wanted) in [
        (format!("{ok}X: "), "x".repeat(1 << 16), "bytes of headers"),
        (ok.to_owned(), "hN:x\r\n".repeat(10_000), "bytes of headers"),
        (ok.to_owned(), " folded\r\n".repeat(10_000), "bytes of headers"),
        (
            format!("{description}Content-Length: 4000000000\r\n\r\n"),
            "x".repeat(1 << 16),
            "an answer of more than 262144 bytes",
        ),
        (format!("{description}\r\n"), "a=x\r\n".repeat(10_000), "an answer of more than 262144 bytes"),
        (String::new(), "x".repeat(1 << 16), "is the port right?"),
        (String::new(), "\r\n".repeat(1 << 15), "did not answer DESCRIBE"),
        (String::new(), "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".repeat(1_000), "did not answer DESCRIBE"),
        (
            String::new(),
            "RTSP/1.0 100 Continue\r\n\r\n".repeat(1_000),
            "100 Continue\", which is no answer yet",
        ),
    ] {
        let pour = move |stream: TcpStream| {
            let (start, poured) = (start.clone(), poured.clone());
            async move {
                request(&stream).await;
                write(&stream, start.as_bytes()).await;
                // At most 64 MiB, and to whoever still takes it.
                for _ in 0..1_000 {
                    if !write(&stream, poured.as_bytes()).await {
                        return;
                    }
                }
                // A close would be another failure.
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        };
        let (url, _) = server(pour).await;
        expect_failure(url, wanted).await;
    }
}

#[tokio::test]
async fn a_description_of_countless_sections_costs_little_and_is_counted() {
    let sections = "m=audio 0 RTP/AVP 18\r\na=control:t\r\n".repeat(6_000);
    let (url, _) = server(move |stream| {
        let sections = sections.clone();
        async move { up_to_play(&stream, &sections, "1", b"").await }
    })
    .await;
    expect_failure(url, "more streams are not").await;
}

/// Each session is ended on its own connection, and a camera that does not confirm it holds up nothing for long.
#[tokio::test]
async fn a_server_that_never_confirms_an_end_is_told_of_each_once() {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let sessions = Arc::new(AtomicUsize::new(0));
    let (told, begun) = (ended.clone(), sessions.clone());
    let (url, _) = server(move |stream| {
        let (told, begun) = (told.clone(), begun.clone());
        async move {
            let session = begun.fetch_add(1, Ordering::Relaxed).to_string();
            up_to_play(&stream, SDP, &format!("{session};timeout=4294967295"), b"").await;
            while let Some(Request { method, session, .. }) = request(&stream).await {
                if method == "TEARDOWN" {
                    told.lock().expect("no panic while locked").push(session);
                }
            }
        }
    })
    .await;
    let mut pull = Pull::start(impatient(url));
    for _ in 0..3 {
        pull.waiting().await;
    }
    pull.stop().await;
    let ended = ended.lock().expect("no panic while locked");
    assert_eq!(*ended, (0..ended.len()).map(|session| session.to_string()).collect::<Vec<_>>());
    assert!(ended.len() >= 3, "{ended:?}");
}
