//! The session description of a camera (RFC 8866).
//!
//! Owns its text. Never knows a client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::camera::{Camera, Track};

/// Describes `camera` as DESCRIBE answers it.
///
/// Codec parameters are those of RFC 6184 §8.1 and RFC 7587 §7; `a=control` is relative to
/// `Content-Base` (RFC 2326 §C.1.1).
pub fn describe(camera: &Camera) -> String {
    let mut sdp = format!(
        "v=0\r\no=- 0 1 IN IP4 0.0.0.0\r\ns={}\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\na=range:npt=now-\r\n",
        camera.name
    );
    for track in camera.tracks() {
        let (payload_type, control) = (track.payload_type(), track.control());
        let media = match track {
            Track::Video => format!(
                "m=video 0 RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} H264/90000\r\n\
                 a=fmtp:{payload_type} packetization-mode=1;{}\r\na=framerate:{}\r\n",
                parameters(camera),
                camera.clip.fps
            ),
            Track::Audio => format!(
                "m=audio 0 RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} opus/48000/2\r\n\
                 a=fmtp:{payload_type} sprop-stereo=1\r\n"
            ),
        };
        sdp += &format!("{media}a=control:{control}\r\n");
    }
    sdp
}

fn parameters(camera: &Camera) -> String {
    let (sps, pps) = (&camera.clip.sps, &camera.clip.pps);
    let mut parameters = match sps[..] {
        [_, profile, constraints, level, ..] => {
            format!("profile-level-id={profile:02X}{constraints:02X}{level:02X}")
        }
        _ => String::new(),
    };
    if camera.faults.sets_in_description() {
        parameters += &format!(";sprop-parameter-sets={},{}", BASE64.encode(sps), BASE64.encode(pps));
    }
    parameters
}
