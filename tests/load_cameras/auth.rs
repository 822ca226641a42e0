//! Cameras with a password: whoever knows it plays, whoever does not is told so.

use super::*;

const AUTH: [&str; 2] = ["--auth", "admin:s3cret:x"];

/// The URL of the first camera with credentials in it.
fn url(cameras: &Cameras, credentials: &str) -> String {
    cameras.urls[0].replace("rtsp://", &format!("rtsp://{credentials}@"))
}

#[test]
fn our_server_plays_with_the_password_over_tcp_and_udp() {
    let cameras = SLUICE.cameras(1, &AUTH);
    assert!(!cameras.urls[0].contains("s3cret"), "{}", cameras.urls[0]);
    for transport in ["tcp", "udp"] {
        let stream = format!("cam1={}", url(&cameras, "admin:s3cret%3Ax"));
        let sluice = SLUICE.start(&["--set", &format!("rtsp.transport={transport}"), &stream]);
        sluice.wait_until_playing("cam1");
        wait_for_figure(&sluice, "keyframes_total", "cam1", 2.0);
        assert_undisturbed(&sluice, "cam1");
    }
    let (_, log) = cameras.terminate();
    assert!(!log.contains("s3cret"), "{log}");
}

#[test]
fn our_server_says_that_a_password_is_wrong_or_wanted() {
    let cameras = SLUICE.cameras(1, &AUTH);
    for (url, advice) in [
        (url(&cameras, "admin:wrong"), "check user and password of the source"),
        (url(&cameras, "other:s3cret%3Ax"), "check user and password of the source"),
        (cameras.urls[0].clone(), "it wants credentials"),
    ] {
        let sluice = SLUICE.start(&[&format!("cam1={url}")]);
        wait_for(&format!("the advice {advice:?}"), || {
            let log = sluice.log();
            (log.contains("401") && log.contains(advice)).then_some(())
        });
        assert_eq!(figure(&sluice, "starts_total", "cam1"), 0.0);
    }
}

#[test]
fn ffprobe_plays_with_the_password_only() {
    let cameras = SLUICE.cameras(1, &AUTH);
    let report = players::probe(&url(&cameras, "admin:s3cret%3Ax"));
    assert_eq!(report["streams"][0]["codec_name"], "h264", "{report}");
    for url in [url(&cameras, "admin:wrong"), cameras.urls[0].clone()] {
        let output = Command::new("timeout")
            .args([&PATIENCE.as_secs().to_string(), "ffprobe", "-v", "error", "-rtsp_transport", "tcp", &url])
            .stdin(Stdio::null())
            .output()
            .expect("ffprobe is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("401 Unauthorized"), "{url}: {said}");
    }
}

#[test]
fn gstreamer_plays_with_the_password_over_tcp_and_udp() {
    let cameras = SLUICE.cameras(1, &AUTH);
    for protocol in ["tcp", "udp"] {
        let source = format!("location={} protocols={protocol}", cameras.urls[0]);
        players::gstreamer_plays(&format!("{source} user-id=admin user-pw=s3cret:x"));
    }
}
