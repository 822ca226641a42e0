//! What everybody may read of a camera's trouble: what kind it is, and not where the camera is.
//!
//! The whole text is for operators (the log and the admin listener).

use std::net::{IpAddr, SocketAddr};

/// Stands for an address of the operator's network.
const CAMERA: &str = "the camera";

/// A text about a source without hosts, addresses, ports and URLs. `source` is the stream's own label, as in
/// `rtsp://host:port`.
pub fn discreet(text: &str, source: &str) -> String {
    let authority = source.split_once("://").map_or("", |(_, rest)| rest);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
    let words = text.split(' ').map(|word| {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '[' | ']' | ':' | '/'));
        let bare = core.trim_end_matches([':', '/']);
        if !bare.is_empty() && names_a_place(bare, host) {
            word.replacen(bare, CAMERA, 1)
        } else {
            word.to_owned()
        }
    });
    let words = words.collect::<Vec<_>>().join(" ").replace(&format!("{CAMERA} {CAMERA}"), CAMERA);
    // Failures begin with "camera HOST:PORT".
    words.replace(&format!("camera {CAMERA}"), CAMERA)
}

fn names_a_place(word: &str, host: &str) -> bool {
    let is_host = |text: &str| !host.is_empty() && text.eq_ignore_ascii_case(host);
    let (name, port) = word.rsplit_once(':').unwrap_or((word, ""));
    word.contains("://")
        || is_host(word)
        || (is_host(name) && port.parse::<u16>().is_ok())
        || word.parse::<SocketAddr>().is_ok()
        || word.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// The kind of a source, for everybody: `rtsp`, `demo`.
pub fn kind(source: &str) -> &str {
    source.split_once("://").map_or(source, |(scheme, _)| scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_left_out_and_the_rest_stays() {
        for (text, source, expected) in [
            (
                "cannot connect to 192.0.2.7:554: connection refused (os error 111)",
                "rtsp://192.0.2.7:554",
                "cannot connect to the camera: connection refused (os error 111)",
            ),
            (
                "camera 192.0.2.7:554 cannot be reached: is it on?",
                "rtsp://192.0.2.7:554",
                "the camera cannot be reached: is it on?",
            ),
            ("gate.lan:554 does not answer", "rtsp://gate.lan:554", "the camera does not answer"),
            (
                "GATE.lan, 10.0.0.7 and [fd00::7]:554!",
                "rtsp://gate.lan:554",
                "the camera, the camera and the camera!",
            ),
            ("it says \"moved to rtsp://10.0.0.9/x\".", "rtsp://a:554", "it says \"moved to the camera\"."),
            (
                "fd00::7 at 12:30 sent 4.5 MB (404)",
                "rtsp://[fd00::7]:554",
                "the camera at 12:30 sent 4.5 MB (404)",
            ),
            ("the demo ended", "demo", "the demo ended"),
        ] {
            assert_eq!(discreet(text, source), expected);
        }
        assert_eq!((kind("rtsp://192.0.2.7:554"), kind("demo")), ("rtsp", "demo"));
    }
}
